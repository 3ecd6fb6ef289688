/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Versions: what can be asked for, and how it is kept while it is under way. */

#include "manager/version.h"

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/json.h"
#include "basic/log.h"
#include "manager/copy.h"
#include "manager/db.h"
#include "manager/restart-internal.h"
#include "manager/sweeper.h"
#include "manager/version-internal.h"

#define NUMBERS_TRIED 1000

VersionOperation *version_operation_free(VersionOperation *o) {
        VersionCallback callback;

        if (!o)
                return NULL;
        callback = o->callback;
        if (o->container->version_operation == o)
                o->container->version_operation = NULL;
        if (callback)
                callback(-ESHUTDOWN, NULL, 0, NULL, o->userdata);
        sd_event_source_disable_unref(o->source);
        for (size_t i = 0; i < 3; i++)
                free(o->streams[i]);
        json_decref(o->labels);
        error_clear(&o->error);
        free(o->snapshot);
        free(o);
        return NULL;
}
DEFINE_CLEANUP(VersionOperation *, version_operation_free);

int version_operation_check(const Container *c, Error *e) {
        const VersionOperation *o = c->version_operation;

        if (!o || o->making_task)
                return 0;
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          o->rollback ? "The container \"%s\" is going back to version %u"
                                      : "Version %2$u of the container \"%1$s\" is being made",
                          c->object.name, o->version);
}

int version_operation_to_text(const VersionOperation *o, char **ret) {
        _cleanup_json_ json_t *j = NULL;

        j = json_pack("{sb sI sb sb s[s?s?s?] sI sO*}", "rollback", (int) o->rollback, "version",
                      (json_int_t) o->version, "start", (int) o->start, "switched",
                      (int) o->switched, "streams", o->streams[0], o->streams[1], o->streams[2],
                      "stop_timeout", (json_int_t) MIN_OF(o->stop_timeout, (uint64_t) INT64_MAX),
                      "labels", o->labels);
        return j ? json_to_text(j, ret) : -ENOMEM;
}

static int operation_from_text(Container *c, VersionOperation **ret, Error *e) {
        _cleanup_(version_operation_freep) VersionOperation *o = NULL;
        _cleanup_json_ json_t *j = NULL;
        json_t *streams = NULL;
        uint64_t version = 0;
        int r;

        o = calloc(1, sizeof(VersionOperation));
        if (!o)
                return -ENOMEM;
        o->container = c;
        r = json_parse(c->operation, strlen(c->operation), "operation", &j, e);
        if (r != 0)
                return r;
        r = json_get_uint64(j, "", "version", UINT32_MAX, &version, e);
        if (r >= 0)
                r = json_get_uint64(j, "", "stop_timeout", INT64_MAX, &o->stop_timeout, e);
        if (r >= 0)
                r = json_get_bool(j, "", "rollback", &o->rollback, e);
        if (r >= 0)
                r = json_get_bool(j, "", "start", &o->start, e);
        if (r >= 0)
                r = json_get_bool(j, "", "switched", &o->switched, e);
        if (r >= 0)
                r = json_get_array(j, "", "streams", 3, &streams, e);
        if (r < 0)
                return r;
        o->version = (uint32_t) version;
        o->labels = json_incref(json_object_get(j, "labels"));
        for (size_t i = 0; i < 3; i++) {
                r = free_and_strdup(&o->streams[i], json_string_value(json_array_get(streams, i)));
                if (r < 0)
                        return r;
        }
        *ret = TAKE_PTR(o);
        return 0;
}

/* Whether there is to be a task again: one that runs, or that the restart monitor is about to
 * start. */
static bool wants_to_run(const Container *c) {
        if (c->restart->phase != RESTART_IDLE)
                return true;
        return c->task &&
               (c->task->process.status == TASK_RUNNING ||
                c->task->process.status == TASK_PAUSING || c->task->process.status == TASK_PAUSED);
}

static int check_container(const Container *c, Error *e) {
        int r;

        r = version_operation_check(c, e);
        if (r != 0)
                return r;
        if (c->auto_remove || c->volatile_root)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container \"%s\" is %s: nobody wants to keep its root",
                                  c->object.name, c->auto_remove ? "AutoRemove" : "Volatile");
        if (c->snapshot == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container \"%s\" has no root: its snapshot \"%s\" was "
                                  "committed",
                                  c->object.name, c->snapshot_key);
        if (c->task && c->task->process.status == TASK_UNKNOWN)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The task of \"%s\" is being created, or not known",
                                  c->object.name);
        return container_check_writers(c, e);
}

static int operation_new(Container *c, const VersionRequest *request, VersionCallback callback,
                         void *userdata, VersionOperation **ret) {
        _cleanup_(version_operation_freep) VersionOperation *o = calloc(1, sizeof(*o));

        if (!o)
                return -ENOMEM;
        o->container = c;
        o->start = !request->no_start && wants_to_run(c);
        o->stop_timeout = request->stop_timeout;
        o->labels = json_incref(request->labels);
        for (unsigned i = 0; i < 3; i++) {
                const char *stream = c->task ? process_stream(&c->task->process, i)
                                             : c->restart->streams[i];
                int r = free_and_strdup(&o->streams[i], stream);

                if (r < 0)
                        return r;
        }
        o->callback = callback;
        o->userdata = userdata;
        *ret = TAKE_PTR(o);
        return 0;
}

/* The name of the file that is there while an operation is under way. No id has a colon. */
static char *file_name(const Container *c) {
        char *name;

        return asprintf(&name, "version:%s:%s", c->object.namespace, c->object.name) < 0 ? NULL
                                                                                         : name;
}

static int make_file(const Container *c, Error *e) {
        _cleanup_free_ char *name = file_name(c);
        _cleanup_close_ int fd = -1;

        if (!name)
                return -ENOMEM;
        fd = openat(c->object.manager->state_fd, name, O_WRONLY | O_CREAT | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        return fd < 0 ? error_setf(e, -errno, "Failed to make %s: %m", name) : 0;
}

static bool has_file(const Container *c) {
        _cleanup_free_ char *name = file_name(c);

        /* what cannot be told is taken for under way */
        return !name || faccessat(c->object.manager->state_fd, name, F_OK, 0) >= 0 ||
               errno != ENOENT;
}

void version_operation_end(Container *c) {
        _cleanup_free_ char *name = file_name(c);
        _cleanup_error_ Error e = ERROR_NULL;

        if (!name || (unlinkat(c->object.manager->state_fd, name, 0) < 0 && errno != ENOENT))
                log_error("Failed to remove the file of the operation of container %s: %m",
                          c->object.name);
        /* the switch may have done it */
        if (c->operation && db_container_set_operation(c->object.manager->db, c, NULL, &e) != 0)
                log_warning("%s", error_text(&e));
        free(TAKE_PTR(c->operation));
}

/* From here on it is done, whatever happens. The row comes before the file, so that nothing is left
 * of one that a kill ended in between. */
static int operation_begin(VersionOperation *o, Error *e) {
        _cleanup_(version_operation_freep) VersionOperation *owned = o;
        VersionCallback callback = o->callback;
        _cleanup_free_ char *text = NULL;
        Container *c = o->container;
        int r;

        o->callback = NULL; /* not told before this returns */
        r = version_operation_to_text(o, &text);
        if (r == 0)
                r = db_container_set_operation(c->object.manager->db, c, text, e);
        if (r != 0)
                return r;
        free(c->operation);
        c->operation = TAKE_PTR(text);
        r = make_file(c, e);
        if (r == 0)
                r = version_operation_run(o, e);
        if (r != 0) {
                version_operation_end(c);
                return r;
        }
        o->callback = callback;
        TAKE_PTR(owned);
        return 0;
}

/* Numbers are not given twice, and the name must be free. */
static int next_version(const Container *c, uint32_t *ret, Error *e) {
        for (uint32_t n = c->last_version + 1; n <= c->last_version + NUMBERS_TRIED; n++) {
                _cleanup_(snapshot_freep) Snapshot *s = NULL;
                _cleanup_free_ char *key = NULL;
                int r;

                if (asprintf(&key, "%s-v%u", c->object.name, n) < 0)
                        return -ENOMEM;
                r = db_snapshot_find(c->object.manager->db, c->snapshotter, c->object.namespace,
                                     key, &s, e);
                if (r == 0)
                        *ret = n;
                if (r != 1)
                        return r;
        }
        return error_setf(e, CTR_FAILED_PRECONDITION,
                          "The snapshots \"%s-v...\" that are there leave no name for a version",
                          c->object.name);
}

int version_create(Container *c, const VersionRequest *request, VersionCallback callback,
                   void *userdata, Error *e) {
        VersionOperation *o = NULL;
        uint32_t version = 0;
        int r;

        r = check_container(c, e);
        if (r == 0)
                r = next_version(c, &version, e);
        if (r == 0)
                r = operation_new(c, request, callback, userdata, &o);
        if (r != 0)
                return r;
        o->version = version;
        return operation_begin(o, e);
}

typedef struct Search {
        uint32_t version;
        int64_t id;
        char *key;
} Search;

static int find_version(const Snapshot *s, void *userdata) {
        Search *search = userdata;

        if (s->version != search->version)
                return 0;
        search->id = s->id;
        return free_and_strdup(&search->key, s->key);
}

static int look_up(Container *c, uint32_t version, Search *ret, Error *e) {
        int r;

        *ret = (Search){.version = version};
        r = db_versions_foreach(c->object.manager->db, c->object.namespace, c->object.name,
                                find_version, ret, e);
        if (r == 0 && ret->id == 0)
                return error_setf(e, CTR_NOT_FOUND, "The container \"%s\" has no version %u",
                                  c->object.name, version);
        return r;
}

int version_rollback(Container *c, uint32_t version, const VersionRequest *request,
                     VersionCallback callback, void *userdata, Error *e) {
        VersionOperation *o = NULL;
        Search found;
        int r;

        r = check_container(c, e);
        if (r != 0)
                return r;
        r = look_up(c, version, &found, e);
        free(found.key);
        if (r == 0)
                r = snapshot_check_parent(c->object.manager, c->snapshotter, found.id, e);
        if (r == 0)
                r = operation_new(c, request, callback, userdata, &o);
        if (r != 0)
                return r;
        o->version = version;
        o->rollback = true;
        return operation_begin(o, e);
}

int version_delete(Container *c, uint32_t version, Error *e) {
        Manager *m = c->object.manager;
        _cleanup_free_ char *user = NULL;
        Search found;
        int r;

        r = version_operation_check(c, e);
        if (r != 0)
                return r;
        r = look_up(c, version, &found, e);
        free(found.key);
        if (r == 0)
                r = db_snapshot_child(m->db, found.id, &user, e);
        if (r == 1)
                r = db_snapshot_forget_version(m->db, found.id, e);
        else if (r == 0) {
                r = db_snapshot_delete(m->db, found.id, e);
                if (r == 0)
                        (void) sweeper_doom(m->sweeper, found.id, NULL);
        }
        if (r == 0)
                (void) sweeper_collect(m->sweeper, NULL, NULL, NULL);
        return r;
}

static int recover_one(Object *o, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = CONTAINER(o);
        VersionOperation *operation = NULL;
        int r;

        /* one that is over, of which a kill or a full disk may have left the file or the row */
        if (!c->operation || !has_file(c)) {
                version_operation_end(c);
                return 0;
        }
        log_info("Going on with what was begun with the root of container %s", c->object.name);
        r = operation_from_text(c, &operation, &e);
        if (r == 0) {
                r = version_operation_run(operation, &e);
                if (r != 0)
                        version_operation_free(operation);
        }
        if (r != 0)
                log_error("Failed to go on with the version of container %s: %s", c->object.name,
                          error_text_of(r, &e));
        return 0;
}

void versions_recovered(Manager *m) {
        (void) object_foreach(m, OBJECT_CONTAINER, NULL, recover_one, NULL);
}
