/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/volume.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "snapshot/native.h"
#include "snapshot/overlayfs.h"

#define RANDOM_SIZE 32

int volume_name_validate(const char *name, Error *e) {
        return identifier_validate(name, "name of the volume", e);
}

static int random_name(char **ret) {
        uint8_t bits[RANDOM_SIZE];
        char *name;

        if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
                return -EIO;
        name = malloc(2 * sizeof(bits) + 1);
        if (!name)
                return -ENOMEM;
        for (size_t i = 0; i < sizeof(bits); i++)
                (void) sprintf(name + 2 * i, "%02x", bits[i]);
        *ret = name;
        return 0;
}

/* Its labels may not be what ends it. */
static int check_labels(json_t *labels, Error *e) {
        const char *key;
        json_t *value;

        json_object_foreach(labels, key, value)
                if (startswith(key, "containerd.io/gc.") || streq(key, SNAPSHOT_LABEL_COLLECT))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The label \"%s\" is not for volumes: they stay until "
                                          "they are removed",
                                          key);
        return 0;
}

int volume_insert(Manager *m, const char *namespace, const char *name, json_t *labels,
                  const char *tree, int64_t *ret_id, Error *e) {
        _cleanup_free_ char *random = NULL, *key = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        bool anonymous = isempty(name);
        const char *snapshotter;
        int r = 0;

        if (anonymous) {
                r = random_name(&random);
                name = random;
        } else
                r = volume_name_validate(name, e);
        if (r == 0)
                r = check_labels(labels, e);
        if (r == 0)
                r = snapshotter_choose(m, namespace, VOLUME_SNAPSHOTTER, &snapshotter, e);
        if (r == 0 && asprintf(&key, "volume/%s", name) < 0)
                r = -ENOMEM;
        if (r != 0)
                return r;
        r = db_snapshot_insert(m->db,
                               &(Snapshot){
                                               .kind = SNAPSHOT_ACTIVE,
                                               .snapshotter = (char *) snapshotter,
                                               .namespace = (char *) namespace,
                                               .key = key,
                                               .labels = labels,
                                               .volume = (char *) name,
                                               .anonymous = anonymous,
                               },
                               ret_id, &local);
        if (r == CTR_ALREADY_EXISTS)
                return error_setf(e, r, "The volume \"%s\" exists already", name);
        if (r != 0)
                return error_propagate(e, r, &local);
        if (tree)
                return overlayfs_adopt(snapshotter_directory(m, VOLUME_SNAPSHOTTER), tree,
                                       (uint64_t) *ret_id, e);
        return snapshot_directory_make(m, VOLUME_SNAPSHOTTER, *ret_id, 0, NULL, e);
}

int volume_create(Manager *m, const char *namespace, const char *name, json_t *labels,
                  char **ret_name, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int64_t id = 0;
        int r;

        r = namespace_validate(namespace, e);
        if (r == 0)
                r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = volume_insert(m, namespace, name, labels, NULL, &id, e);
        if (r == 0) {
                r = db_snapshot_get(m->db, id, &s, e);
                r = r == 1 ? 0 : r == 0 ? -ENOENT : r;
        }
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0) {
                if (id > 0)
                        (void) sweeper_doom(m->sweeper, id, NULL);
                return r;
        }
        transaction = NULL;
        *ret_name = TAKE_PTR(s->volume);
        return 0;
}

int volume_find(Manager *m, const char *namespace, const char *name, Snapshot **ret, Error *e) {
        int r;

        r = volume_name_validate(name, e);
        if (r != 0)
                return r;
        r = db_volume_find(m->db, namespace, name, ret, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        return error_setf(e, CTR_NOT_FOUND, "There is no volume \"%s\" in namespace \"%s\"", name,
                          namespace);
}

static const JobType type_export = {.name = "export",
                                    .verb = "export-root",
                                    .action = "snapshot-manage",
                                    .blobs = JOB_BLOBS_NONE,
                                    .commit = job_commit_bytes};
static const JobType type_import = {.name = "import",
                                    .verb = "copy-in",
                                    .action = "snapshot-manage",
                                    .blobs = JOB_BLOBS_NONE,
                                    .commit = job_commit_bytes};

typedef struct JobLook {
        const Snapshot *volume;
        const JobType *type; /* NULL: of both */
        const char *found;
} JobLook;

static int look_at_job(Object *o, void *userdata) {
        const Job *j = JOB(o);
        JobLook *l = userdata;

        if ((j->type != &type_export && j->type != &type_import) ||
            (l->type && j->type != l->type) || !streq(j->namespace, l->volume->namespace) ||
            !streq(j->description, l->volume->volume))
                return 0;
        l->found = j->type->name;
        return 1;
}

/* The name of a job of that type (NULL: any) for the volume's archive that is under way, or NULL.
 */
static const char *find_job(Manager *m, const Snapshot *s, const JobType *type) {
        JobLook l = {.volume = s, .type = type};

        (void) object_foreach(m, OBJECT_JOB, NULL, look_at_job, &l);
        return l.found;
}

int volume_is_busy(Manager *m, int64_t id, bool *ret, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        int r;

        r = db_snapshot_get(m->db, id, &s, e);
        if (r != 0 && r != 1)
                return r;
        *ret = r == 1 && s->volume && find_job(m, s, NULL);
        return 0;
}

/* Whether the directory has an entry: 1 or 0. */
static int has_entries(int fd) {
        _cleanup_closedir_ DIR *dir = dir_stream_open_at(fd, ".");
        struct dirent *de;

        if (!dir)
                return -errno;
        while ((errno = 0, de = readdir(dir)))
                if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        return 1;
        return -errno;
}

int volume_is_fresh(Manager *m, const Snapshot *s, bool *ret, Error *e) {
        _cleanup_free_ char *user = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        *ret = false;
        r = db_snapshot_mounter(m->db, s->id, &user, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        if (find_job(m, s, &type_import))
                return 0; /* there will be something */
        r = overlayfs_open_tree(snapshotter_directory(m, VOLUME_SNAPSHOTTER), (uint64_t) s->id, &fd,
                                e);
        if (r != 0)
                return r;
        r = has_entries(fd);
        if (r < 0)
                return error_setf(e, r, "Failed to read the volume \"%s\": %m", s->volume);
        *ret = r == 0;
        return 0;
}

char *volume_path(const Manager *m, int64_t id) {
        char *path;

        return asprintf(&path, "%s/" NATIVE_DIRECTORY "/%" PRIi64 "/fs", m->state_dir, id) < 0
                               ? NULL
                               : path;
}

int volume_remove(Manager *m, const char *namespace, const char *name, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        _cleanup_free_ char *user = NULL;
        const char *job;
        int r;

        r = volume_find(m, namespace, name, &s, e);
        if (r != 0)
                return r;
        r = db_snapshot_mounter(m->db, s->id, &user, e);
        if (r == 1)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The volume \"%s\" is used by the container \"%s\"", name, user);
        job = find_job(m, s, NULL);
        if (r == 0 && job)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The %s of the volume \"%s\" is under way", job, name);
        if (r == 0)
                r = db_snapshot_delete(m->db, s->id, e);
        if (r != 0)
                return r;
        /* the row is gone: a directory that cannot be moved now goes at the next start */
        (void) sweeper_doom(m->sweeper, s->id, NULL);
        return 0;
}

typedef struct Prune {
        Manager *manager;
        const VolumePrune *request;
        json_t *names, *ids;
} Prune;

static int choose(const Snapshot *s, void *userdata) {
        Prune *p = userdata;
        const VolumePrune *q = p->request;
        _cleanup_free_ char *user = NULL;
        int r;

        if ((!s->anonymous && !q->named) || (q->before > 0 && s->created_at >= q->before) ||
            (q->matches && !q->matches(s, q->userdata)) || find_job(p->manager, s, NULL))
                return 0;
        r = db_snapshot_mounter(p->manager->db, s->id, &user, NULL);
        if (r != 0)
                return r == 1 ? 0 : r;
        if (json_array_append_new(p->names, json_string(s->volume)) < 0 ||
            json_array_append_new(p->ids, json_integer(s->id)) < 0)
                return -ENOMEM;
        return 0;
}

int volumes_prune(Manager *m, const VolumePrune *request, json_t **ret, Error *e) {
        _cleanup_json_ json_t *names = json_array(), *ids = json_array();
        Prune p = {.manager = m, .request = request, .names = names, .ids = ids};
        _cleanup_rollback_ Database *transaction = NULL;
        json_t *id;
        size_t i;
        int r;

        if (!names || !ids)
                return -ENOMEM;
        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_volumes_foreach(m->db, request->namespace, choose, &p, e);
        json_array_foreach(ids, i, id)
                if (r == 0)
                        r = db_snapshot_delete(m->db, json_integer_value(id), e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        json_array_foreach(ids, i, id)
                (void) sweeper_doom(m->sweeper, json_integer_value(id), NULL);
        *ret = TAKE_PTR(names);
        return 0;
}

/* The worker locks what it writes to, so that two imports do not meet. */
static int start(Manager *m, const JobType *type, const Snapshot *s, const char *path, int fd,
                 Job **ret, Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        int r;

        r = strv_extendf(&l, "--layers=" VOLUME_SNAPSHOTTER "/%" PRIi64, s->id);
        if (r == 0 && path)
                r = strv_extend(&l, path);
        if (r < 0)
                return r;
        return job_start(m,
                         &(JobRequest){
                                         .type = type,
                                         .namespace = s->namespace,
                                         .description = s->volume,
                                         .arguments = l,
                                         .files = {{.option = "--fd", .fd = fd}},
                         },
                         ret, e);
}

int volume_export(Manager *m, const Snapshot *s, int fd, Job **ret, Error *e) {
        return start(m, &type_export, s, NULL, fd, ret, e);
}

int volume_import(Manager *m, const Snapshot *s, int fd, Job **ret, Error *e) {
        return start(m, &type_import, s, "/", fd, ret, e);
}
