/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/pull.h"

#include <fcntl.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/image.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define LAYERS_MAX 512

int pull_answer_plan(Job *j, json_t *plan, json_t **ret, Error *e) {
        _cleanup_json_ json_t *have = json_array();
        Manager *m = j->object.manager;
        json_t *layers, *layer;
        size_t i;
        int r;

        if (!have)
                return -ENOMEM;
        r = json_get_array(plan, "plan", "layers", LAYERS_MAX, &layers, e);
        if (r < 0)
                return r;
        if (r == 0)
                return error_setf(e, -EBADMSG, "The worker's plan has no layers");
        json_array_foreach(layers, i, layer) {
                const char *chain_id;
                int64_t id = 0;

                r = json_get_string(layer, "plan.layers", "chain_id", &chain_id, e);
                if (r < 0)
                        return r;
                if (r == 0)
                        return error_setf(e, -EBADMSG,
                                          "The worker's plan has a layer without chain_id");
                r = db_snapshot_find(m->db, "", chain_id, &id, e);
                if (r != 0 && r != 1)
                        return r;
                if (json_array_append_new(have, r == 1 ? json_integer(id) : json_null()) < 0)
                        return -ENOMEM;
        }
        *ret = json_pack("{sssO}", "type", "have", "layers", have);
        return *ret ? 0 : -ENOMEM;
}

/* Somebody else committed the same layer meanwhile: this tree is not needed. */
static void discard_tree(Manager *m, const char *directory) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (overlayfs_discard(m->snapshots_fd, directory, &e) != 0)
                log_warning("%s", error_text(&e));
        (void) sweeper_sweep(m->sweeper);
}

/* The rows that a transaction has made and whose trees have their place already: when it fails, the
 * numbers are given again, and the trees would be in the way. */
typedef struct Adopted {
        int64_t ids[LAYERS_MAX];
        size_t n;
} Adopted;

static int commit_layer(Manager *m, json_t *layer, int64_t parent, Adopted *adopted,
                        int64_t *ret_id, Error *e) {
        const char *chain_id, *directory = NULL;
        uint64_t bytes = 0, inodes = 0;
        int64_t id;
        int r;

        r = json_get_string(layer, "result.layers", "chain_id", &chain_id, e);
        if (r == 0)
                return error_setf(e, -EBADMSG, "The worker's result has a layer without chain_id");
        if (r > 0)
                r = json_get_string(layer, "result.layers", "directory", &directory, e);
        if (r >= 0)
                r = json_get_uint64(layer, "result.layers", "bytes", INT64_MAX, &bytes, e);
        if (r >= 0)
                r = json_get_uint64(layer, "result.layers", "inodes", INT64_MAX, &inodes, e);
        if (r < 0)
                return r;
        if (directory && (!startswith(directory, ".new-") || strchr(directory, '/')))
                return error_setf(e, -EBADMSG, "The worker names no layer: \"%s\"", directory);

        r = db_snapshot_find(m->db, "", chain_id, ret_id, e);
        if (r == 1 && directory)
                discard_tree(m, directory);
        if (r != 0)
                return r == 1 ? 0 : r;
        if (!directory)
                return error_setf(e, CTR_CONFLICT, "The layer %s has vanished", chain_id);
        r = db_snapshot_insert(m->db, "", chain_id, SNAPSHOT_COMMITTED, parent, bytes, inodes, &id,
                               e);
        if (r != 0)
                return r;
        r = overlayfs_adopt(m->snapshots_fd, directory, (uint64_t) id, e);
        if (r != 0)
                return r;
        adopted->ids[adopted->n++] = id;
        *ret_id = id;
        return 0;
}

static int commit_layers(Manager *m, json_t *result, Adopted *adopted, int64_t *ret_top, Error *e) {
        json_t *layers, *layer;
        int64_t top = 0;
        size_t i;
        int r;

        r = json_get_array(result, "result", "layers", LAYERS_MAX, &layers, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no layers");
        json_array_foreach(layers, i, layer) {
                r = commit_layer(m, layer, top, adopted, &top, e);
                if (r != 0)
                        return r;
        }
        *ret_top = top;
        return 0;
}

static int digest_of(json_t *result, const char *member, char **ret, Error *e) {
        const char *digest;
        json_t *o;
        int r;

        r = json_get_object(result, "result", member, &o, e);
        if (r > 0)
                r = json_get_string(o, member, "digest", &digest, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's result has no %s", member);
        return free_and_strdup(ret, digest);
}

static uint64_t blobs_size(json_t *blobs) {
        uint64_t size = 0;
        json_t *blob;
        size_t i;

        json_array_foreach(blobs, i, blob)
                size += (uint64_t) json_integer_value(json_object_get(blob, "size"));
        return size;
}

/* A new, unlinked image from the worker's result. */
static int image_from_result(Manager *m, const char *namespace, const char *reference,
                             json_t *result, Image **ret, Error *e) {
        _cleanup_(image_freep) Image *i = NULL;
        const char *digest, *media_type;
        int r;

        i = calloc(1, sizeof(Image));
        if (!i)
                return -ENOMEM;
        r = object_init(&i->object, m, OBJECT_IMAGE, namespace, reference);
        if (r < 0)
                return r;
        if (json_get_string(result, "result", "digest", &digest, e) <= 0 ||
            json_get_string(result, "result", "media_type", &media_type, e) <= 0)
                return error_setf(e, -EBADMSG, "The worker's result has no digest");
        if (free_and_strdup(&i->digest, digest) < 0 ||
            free_and_strdup(&i->media_type, media_type) < 0)
                return -ENOMEM;
        r = digest_of(result, "manifest", &i->manifest_digest, e);
        if (r == 0)
                r = digest_of(result, "config", &i->config_digest, e);
        if (r != 0)
                return r;
        i->size = blobs_size(json_object_get(result, "blobs"));
        i->labels = json_object();
        if (!i->labels)
                return -ENOMEM;
        i->created_at = i->updated_at = now_realtime();
        *ret = TAKE_PTR(i);
        return 0;
}

/* Keeps the object that the world knows and gives it the new content. */
static void image_replace(Image *old, Image *new) {
        char *digest = old->digest, *media_type = old->media_type;
        char *manifest = old->manifest_digest, *config = old->config_digest;

        old->digest = TAKE_PTR(new->digest);
        old->media_type = TAKE_PTR(new->media_type);
        old->manifest_digest = TAKE_PTR(new->manifest_digest);
        old->config_digest = TAKE_PTR(new->config_digest);
        old->size = new->size;
        old->unpacked = new->unpacked;
        old->snapshot = new->snapshot;
        old->updated_at = new->updated_at;
        free(digest);
        free(media_type);
        free(manifest);
        free(config);
        object_mark_dirty(&old->object);
}

static int commit_rows(Manager *m, Image *i, bool unpacked, json_t *result, Adopted *adopted,
                       Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        i->unpacked = unpacked;
        if (unpacked) {
                r = commit_layers(m, result, adopted, &i->snapshot, e);
                if (r != 0)
                        return r;
                /* the worker synced the trees; their new names are to be there before the rows */
                if (adopted->n > 0 && fsync(m->snapshots_fd) < 0)
                        return error_setf(e, -errno, "Failed to sync the snapshots: %m");
        }
        r = db_image_put(m->db, i, json_object_get(result, "blobs"), e);
        if (r != 0)
                return r;
        r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

static int commit_or_discard(Manager *m, Image *i, bool unpacked, json_t *result, Error *e) {
        Adopted adopted = {};
        int r;

        r = commit_rows(m, i, unpacked, result, &adopted, e);
        if (r == 0)
                return 0;
        for (size_t n = 0; n < adopted.n; n++) {
                _cleanup_error_ Error local = ERROR_NULL;

                if (sweeper_doom(m->sweeper, adopted.ids[n], &local) != 0)
                        log_warning("%s", error_text(&local));
        }
        return r;
}

static int pull_commit(Manager *m, const char *namespace, const char *reference, bool unpacked,
                       json_t *result, Error *e) {
        _cleanup_(image_freep) Image *i = NULL;
        Object *old;
        int r;

        r = image_from_result(m, namespace, reference, result, &i, e);
        if (r != 0)
                return r;
        old = object_find(m, OBJECT_IMAGE, namespace, reference);
        if (old) {
                Image *known = IMAGE(old);

                i->created_at = known->created_at;
                json_decref(i->labels);
                i->labels = json_incref(known->labels);
                /* without unpacking again what is unpacked stays so */
                if (!unpacked && known->unpacked &&
                    streq(known->manifest_digest, i->manifest_digest)) {
                        i->snapshot = known->snapshot;
                        unpacked = true;
                }
        }
        r = commit_or_discard(m, i, unpacked, result, e);
        if (r != 0)
                return r;
        if (old) {
                image_replace(IMAGE(old), i);
                return sweeper_collect(m->sweeper, NULL, NULL, e);
        }
        r = object_link(&i->object);
        if (r < 0)
                return r;
        TAKE_PTR(i);
        return 0;
}

typedef struct PullState {
        bool unpack;
} PullState;

static int commit(Job *j, json_t *result, Error *e) {
        const PullState *state = j->userdata;
        int r;

        r = pull_commit(j->object.manager, j->namespace, j->description, state->unpack, result, e);
        if (r == 0)
                r = job_set_outcome(j, "Image", json_string(j->description));
        if (r == 0)
                r = job_set_outcome(j, "Digest", json_incref(json_object_get(result, "digest")));
        return r;
}

const JobType job_pull_type = {
                .name = "pull",
                .action = "image-pull",
                .plan = pull_answer_plan,
                .commit = commit,
                .destroy = free,
};

/* What a pull that has nothing to do brings; NULL if it has. */
static json_t *outcome_if_there(Manager *m, const PullRequest *request, const char *name) {
        Object *o = object_find(m, OBJECT_IMAGE, request->namespace, name);

        if (!request->if_missing || !o || (!IMAGE(o)->unpacked && !request->no_unpack))
                return NULL;
        return json_pack("{ss ss}", "Image", name, "Digest", IMAGE(o)->digest);
}

static int pull_arguments(const PullRequest *request, const char *name, char ***ret) {
        _cleanup_strv_free_ char **l = NULL;

        if ((request->no_unpack && strv_extend(&l, "--no-unpack") < 0) ||
            strv_extend(&l, "--") < 0 || strv_extend(&l, name) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        _cleanup_json_ json_t *outcome = NULL;
        _cleanup_free_ PullState *state = NULL;
        _cleanup_free_ char *name = NULL;
        int r;

        r = reference_normalize(request->reference, &name, e);
        if (r != 0)
                return r;
        state = malloc(sizeof(PullState));
        if (!state || pull_arguments(request, name, &arguments) < 0)
                return -ENOMEM;
        *state = (PullState){.unpack = !request->no_unpack};
        outcome = outcome_if_there(m, request, name);
        r = job_start(m,
                      &(JobRequest){
                                      .type = &job_pull_type,
                                      .namespace = request->namespace,
                                      .description = name,
                                      .arguments = arguments,
                                      .userdata = state,
                                      .outcome = outcome,
                      },
                      ret, e);
        if (r == 0)
                TAKE_PTR(state);
        return r;
}
