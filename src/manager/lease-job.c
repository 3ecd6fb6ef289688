/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The leases of jobs. A job that fetches blobs gets one with its plan; it ends with the image's
 * record. After a failure that of a pull stays, for the next try; that of what cannot be taken up
 * again (an import, a commit) goes, in a new manager at its start.
 */

#include "manager/lease-internal.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "image/digest.h"
#include "manager/db.h"
#include "manager/job.h"
#include "manager/manager.h"
#include "manager/pull.h"
#include "manager/sweeper.h"

#define JOB_LEASE_USEC     (24 * 3600 * USEC_PER_SEC)
#define PLAN_LAYERS_MAX    512
#define PLAN_DOCUMENTS_MAX 64
#define PLAN_OTHERS_MAX    16384

static int job_lease_new(Job *j, Error *e) {
        Manager *m = j->object.manager;
        _cleanup_json_ json_t *labels = NULL;
        int r;

        if (j->lease)
                return 0;
        r = lease_random_id(&j->lease);
        if (r < 0)
                return r;
        labels = json_pack("{ss ss}", LEASE_LABEL_JOB, j->type->name, LEASE_LABEL_TARGET,
                           j->description);
        if (!labels)
                return -ENOMEM;
        r = db_namespace_ensure(m->db, j->namespace, e);
        return r != 0 ? r
                      : db_lease_create(m->db, j->namespace, j->lease, labels,
                                        now_realtime() + JOB_LEASE_USEC, e);
}

/* One blob of a plan: what fetches it is listed, too, until it is there. */
static int protect_blob(Job *j, json_t *layer, Error *e) {
        const char *digest = json_string_value(json_object_get(layer, "digest"));
        json_int_t size = json_integer_value(json_object_get(layer, "size"));
        Manager *m = j->object.manager;
        Digest d;
        int r;

        if (!digest)
                return 0;
        r = digest_parse(digest, &d, e);
        if (r == 0)
                r = db_lease_add(m->db, j->namespace, j->lease, "content", digest, e);
        if (r == 0)
                r = db_lease_add(m->db, j->namespace, j->lease, "ingests", digest, e);
        return r != 0 ? r
                      : db_ingest_put(m->db, j->namespace, digest, (uint64_t) MAX_OF(size, 0), e);
}

/* An array of digests. "documents" are index, manifest and config: another job may have brought
 * them, and its failure must not take them away. "others" are all blobs of an index's other images.
 */
static int protect_digests(Job *j, json_t *plan, const char *name, size_t max, Error *e) {
        json_t *digests = NULL, *digest;
        size_t i;
        int r;

        r = json_get_array(plan, "plan", name, max, &digests, e);
        if (r < 0)
                return r;
        json_array_foreach(digests, i, digest) {
                const char *text = json_string_value(digest);
                Digest d;

                r = digest_parse(strempty(text), &d, e);
                if (r == 0)
                        r = db_lease_add(j->object.manager->db, j->namespace, j->lease, "content",
                                         text, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int protect_all(Job *j, json_t *plan, json_t *answer, Error *e) {
        json_t *layers = NULL, *have = json_object_get(answer, "layers"), *layer;
        Manager *m = j->object.manager;
        int r;

        r = json_get_array(plan, "plan", "layers", PLAN_LAYERS_MAX, &layers, e);
        if (r < 0)
                return r;
        r = job_lease_new(j, e);
        if (r == 0)
                r = protect_digests(j, plan, "documents", PLAN_DOCUMENTS_MAX, e);
        if (r == 0)
                r = protect_digests(j, plan, "others", PLAN_OTHERS_MAX, e);
        for (size_t i = 0; r == 0 && i < json_array_size(layers); i++) {
                json_int_t id = json_integer_value(json_array_get(have, i));

                layer = json_array_get(layers, i);
                r = id > 0 ? db_lease_add_layer(m->db, j->namespace, j->lease, id, e)
                           : protect_blob(j, layer, e);
                /* a blob whose layer is there may be there, too, and be part of the image */
                if (r == 0 && id > 0 && json_object_get(layer, "digest"))
                        r = db_lease_add(m->db, j->namespace, j->lease, "content",
                                         json_string_value(json_object_get(layer, "digest")), e);
        }
        return r;
}

int lease_protect_plan(Job *j, json_t *plan, json_t *answer, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        Manager *m = j->object.manager;
        int r;

        /* after a power loss nobody wants it back */
        r = db_begin_unsynced(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = protect_all(j, plan, answer, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        return leases_schedule(m->leases, e);
}

/* What failed before, and came to its end now: only one job of a key runs at a time. */
static int end_former(Job *j, Error *e) {
        Manager *m = j->object.manager;
        _cleanup_json_ json_t *leases = NULL;
        json_t *lease;
        size_t i;
        int r;

        r = db_lease_list(m->db, j->namespace, 0, &leases, e);
        json_array_foreach(r == 0 ? leases : NULL, i, lease) {
                json_t *labels = json_object_get(lease, "labels");

                if (!streq_ptr(json_string_value(json_object_get(labels, LEASE_LABEL_JOB)),
                               j->type->name) ||
                    !streq_ptr(json_string_value(json_object_get(labels, LEASE_LABEL_TARGET)),
                               j->description))
                        continue;
                r = lease_end(m, j->namespace, json_string_value(json_object_get(lease, "id")), e);
                if (r != 0)
                        break;
        }
        return r;
}

/* One that a power loss brings back holds nothing that it should not, and expires. */
static int end_own(Job *j, bool success, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        Manager *m = j->object.manager;
        int r;

        r = db_begin_unsynced(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = lease_end(m, j->namespace, j->lease, e);
        if (r == 0 && success && j->key)
                r = end_former(j, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0)
                return r;
        transaction = NULL;
        return leases_schedule(m->leases, e);
}

void lease_job_done(Job *j, bool success) {
        Manager *m = j->object.manager;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = leases_end_forsaken(m->leases, &e);
        if (r == 0 && j->lease && (success || !j->type->resumable))
                r = end_own(j, success, &e);
        if (r == 0)
                return;
        log_warning("A lease of job %s stays for now: %s", j->object.name, error_text_of(r, &e));
        leases_forsake(m->leases);
        error_clear(&e);
        (void) sweeper_collect(m->sweeper, NULL, NULL, &e);
}

static int has_lease(Object *o, void *userdata) {
        return streq_ptr(JOB(o)->lease, userdata);
}

int leases_recover(Manager *m, Error *e) {
        _cleanup_json_ json_t *leases = NULL;
        json_t *lease;
        size_t i;
        int r;

        r = db_lease_list(m->db, NULL, 0, &leases, e);
        json_array_foreach(r == 0 ? leases : NULL, i, lease) {
                const char *id = json_string_value(json_object_get(lease, "id"));
                json_t *labels = json_object_get(lease, "labels");
                const char *job = json_string_value(json_object_get(labels, LEASE_LABEL_JOB));

                if (!job || streq(job, job_pull_type.name) ||
                    object_foreach(m, OBJECT_JOB, NULL, has_lease, (void *) id) != 0)
                        continue;
                r = lease_end(m, json_string_value(json_object_get(lease, "namespace")), id, e);
                if (r != 0)
                        return r;
        }
        return r;
}
