/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/content.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "image/content.h"
#include "image/digest.h"
#include "manager/db-gc.h"
#include "manager/image.h"
#include "manager/job.h"
#include "manager/lookup.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

#define DAMAGED_MAX 500

int contents_foreach(Manager *m, const char *namespace, int (*f)(const Content *c, void *userdata),
                     void *userdata, Error *e) {
        return db_content_foreach(m->db, namespace, f, userdata, e);
}

bool content_lookup(const void *content, const FilterField *field, const char **ret) {
        const Content *c = content;

        if (streq(field->rests[0], "digest"))
                return filter_value(c->digest, ret);
        if (streq(field->rests[0], "namespace"))
                return filter_value(c->namespace, ret);
        if (streq(field->rests[0], "mediatype"))
                return filter_value(c->media_type, ret);
        return label_lookup(c->labels, field, ret);
}

static int find(Manager *m, const char *namespace, const char *digest, Digest *ret_digest,
                int64_t *ret_id, Error *e) {
        int r;

        r = digest_parse(digest, ret_digest, e);
        if (r != 0)
                return r;
        r = db_content_find(m->db, namespace, digest, ret_id, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND, "There is no content %s in namespace \"%s\"",
                                  digest, namespace);
        return r == 1 ? 0 : r;
}

int content_open_in(Manager *m, const char *namespace, const char *digest, int *ret_fd, Error *e) {
        _cleanup_close_ int content_fd = -1;
        int64_t id = 0;
        Digest d;
        int r;

        r = find(m, namespace, digest, &d, &id, e);
        if (r != 0)
                return r;
        content_fd = content_open(m->state_fd);
        if (content_fd < 0)
                return error_setf(e, content_fd, "Failed to open the content store: %m");
        r = content_open_blob(content_fd, &d, ret_fd, NULL, e);
        if (r != CTR_NOT_FOUND)
                return r;
        r = content_set_damaged(m, digest, e);
        return r != 0 ? r
                      : error_setf(e, CTR_DATA_LOSS, "The blob %s is missing in the content store",
                                   digest);
}

static int delete_row(Manager *m, int64_t id, DbRemoved *ret, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_content_remove(m->db, id, ret, e);
        if (r != 0 && r != 1)
                return r;
        r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

int content_delete(Manager *m, const char *namespace, const char *digest, Error *e) {
        _cleanup_(db_removed_done) DbRemoved removed = {};
        _cleanup_free_ char *user = NULL;
        int64_t id = 0;
        Digest d;
        int r;

        r = find(m, namespace, digest, &d, &id, e);
        if (r != 0)
                return r;
        r = db_content_user(m->db, namespace, digest, &user, e);
        if (r != 0 && !user)
                return r;
        if (user)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The content %s is needed by %s",
                                  digest, user);
        r = delete_row(m, id, &removed, e);
        return r == 0 && removed.blob ? sweeper_remove_blob(m->sweeper, removed.blob) : r;
}

int content_set_labels(Manager *m, const char *namespace, const char *digest, json_t *labels,
                       Error *e) {
        int64_t id = 0;
        Digest d;
        int r;

        r = find(m, namespace, digest, &d, &id, e);
        if (r == 0)
                r = db_content_set_labels(m->db, id, labels, e);
        /* what it referred to may be garbage now */
        return r != 0 ? r : sweeper_collect(m->sweeper, NULL, NULL, e);
}

static int clear_damaged(Object *o, void *userdata) {
        Image *i = IMAGE(o);

        i->was_damaged = i->damaged;
        i->damaged = false;
        return 0;
}

static int set_damaged(const char *namespace, const char *name, void *userdata) {
        Object *o = object_find(userdata, OBJECT_IMAGE, namespace, name);

        if (o)
                IMAGE(o)->damaged = true;
        return 0;
}

static int tell_damaged(Object *o, void *userdata) {
        if (IMAGE(o)->damaged != IMAGE(o)->was_damaged)
                object_mark_dirty(o);
        return 0;
}

int content_update_images(Manager *m, Error *e) {
        int r;

        (void) object_foreach(m, OBJECT_IMAGE, NULL, clear_damaged, NULL);
        r = db_damaged_images_foreach(m->db, set_damaged, m, e);
        (void) object_foreach(m, OBJECT_IMAGE, NULL, tell_damaged, NULL);
        return r;
}

int content_set_damaged(Manager *m, const char *digest, Error *e) {
        int r;

        r = db_blob_set_damaged(m->db, digest, now_realtime(), e);
        return r != 0 ? r : content_update_images(m, e);
}

/* "sha256/<hex>", as the worker names it, as a digest; what is none has no row. */
static int note_damaged(Manager *m, const char *blob, bool quarantined, json_t *list, Error *e) {
        char digest[DIGEST_STRING_SIZE];
        const char *slash = strchr(blob, '/');
        Digest d;
        int n;

        if (!slash)
                return error_setf(e, -EBADMSG, "The worker names no blob: \"%s\"", blob);
        n = snprintf(digest, sizeof(digest), "%.*s:%s", (int) (slash - blob), blob, slash + 1);
        if (n >= (int) sizeof(digest) || digest_parse(digest, &d, NULL) != 0)
                return json_array_append_new(list, json_string(blob)) < 0 ? -ENOMEM : 0;
        if (json_array_append_new(list, json_string(digest)) < 0)
                return -ENOMEM;
        log_error("The blob %s is damaged", digest);
        /* as long as the file is there no pull fetches it again */
        return quarantined ? db_blob_set_damaged(m->db, digest, now_realtime(), e) : 0;
}

static int verify_commit(Job *j, json_t *result, Error *e) {
        _cleanup_json_ json_t *list = json_array();
        json_int_t blobs = json_integer_value(json_object_get(result, "blobs"));
        json_int_t bytes = json_integer_value(json_object_get(result, "bytes"));
        json_int_t n_damaged = json_integer_value(json_object_get(result, "n_damaged"));
        Manager *m = j->object.manager;
        json_t *damaged, *item;
        const char *blob;
        size_t i;
        int r;

        if (!list)
                return -ENOMEM;
        r = json_get_array(result, "result", "damaged", DAMAGED_MAX, &damaged, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no damaged");
        json_array_foreach(damaged, i, item) {
                r = json_get_string(item, "result.damaged", "blob", &blob, e);
                if (r <= 0)
                        return r < 0 ? r : error_setf(e, -EBADMSG, "The worker names no blob");
                r = note_damaged(m, blob, json_is_true(json_object_get(item, "quarantined")), list,
                                 e);
                if (r != 0)
                        return r;
        }
        r = content_update_images(m, e);
        if (r == 0)
                r = job_set_outcome(j, "Blobs", json_integer(blobs));
        if (r == 0)
                r = job_set_outcome(j, "Bytes", json_integer(bytes));
        if (r == 0)
                r = job_set_outcome(j, "NDamaged", json_integer(n_damaged));
        return r != 0 ? r : job_set_outcome(j, "Damaged", json_incref(list));
}

static const JobType verify_type = {
                .name = "verify",
                .action = "content-manage",
                .blobs = JOB_BLOBS_NONE,
                .commit = verify_commit,
};

int content_verify(Manager *m, bool quarantine, Job **ret, Error *e) {
        const char *const arguments[] = {quarantine ? "--quarantine" : NULL, NULL};

        return job_start(m,
                         &(JobRequest){
                                         .type = &verify_type,
                                         .namespace = "",
                                         .description = "content",
                                         .arguments = (char *const *) arguments,
                         },
                         ret, e);
}
