/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/pull.h"

#include <fcntl.h>

#include "basic/json.h"
#include "basic/strv.h"
#include "image/platform.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/image-commit.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/snapshot.h"

#define LAYERS_MAX        512
#define PULLS_RUNNING_MAX 4

typedef struct PullState {
        bool unpack;
        bool all_platforms;
        bool with_blobs; /* also of layers whose trees are there */
        KeepLayers keep_layers;
        char *lease;
        json_t *labels;
} PullState;

static void pull_state_free(void *p) {
        PullState *state = p;

        free(state->lease);
        json_decref(state->labels);
        free(state);
}

static int is_claimed(Object *o, void *userdata) {
        return json_object_get(JOB(o)->claims, userdata) ? 1 : 0;
}

/* True if somebody is extracting that layer. Who has begun something himself does not wait, so that
 * no two can wait for each other. */
static bool must_wait_for(const Job *j, const char *chain_id) {
        return json_object_size(j->claims) == 0 &&
               object_foreach(j->object.manager, OBJECT_JOB, NULL, is_claimed, (void *) chain_id) !=
                               0;
}

/* Whether the blob of a layer whose tree is there is to be fetched. 1, 0, or an error. */
static int blob_is_wanted(Manager *m, json_t *layer, bool with_blobs, Error *e) {
        const char *digest, *hex;
        int r;

        r = json_get_string(layer, "plan.layers", "digest", &digest, e);
        if (r <= 0)
                return r;
        hex = startswith(digest, "sha256:");
        if (!hex || strchr(hex, '/') ||
            faccessat(m->content_fd, hex, F_OK, AT_SYMLINK_NOFOLLOW) == 0)
                return 0;
        /* one that has a row was lost */
        return with_blobs ? 1 : db_blob_find(m->db, digest, e);
}

typedef struct Answer {
        json_t *have, *fetch; /* arrays */
        json_t *missing;      /* {chain id: true} */
        bool wait;            /* somebody else is making one of them */
} Answer;

static void answer_clear(Answer *a) {
        json_decref(a->have);
        json_decref(a->fetch);
        json_decref(a->missing);
}

static int answer_layer(Job *j, json_t *layer, bool with_blobs, Answer *a, Error *e) {
        Manager *m = j->object.manager;
        const char *chain_id;
        int64_t id = 0;
        int found, r;

        r = json_get_string(layer, "plan.layers", "chain_id", &chain_id, e);
        if (r <= 0)
                return r < 0 ? r
                             : error_setf(e, -EBADMSG,
                                          "The worker's plan has a layer without chain_id");
        found = db_layer_find(m->db, chain_id, &id, e);
        if (found != 0 && found != 1)
                return found;
        a->wait = a->wait || (found == 0 && must_wait_for(j, chain_id));
        r = found == 1 ? blob_is_wanted(m, layer, with_blobs, e) : 0;
        if (r != 0 && r != 1)
                return r;
        if (json_array_append_new(a->have, found == 1 ? json_integer(id) : json_null()) < 0 ||
            json_array_append_new(a->fetch, json_boolean(r == 1)) < 0 ||
            (found == 0 && json_object_set_new(a->missing, chain_id, json_true()) < 0))
                return -ENOMEM;
        return 0;
}

int layers_answer_plan(Job *j, json_t *plan, bool with_blobs, json_t **ret, Error *e) {
        _cleanup_(answer_clear) Answer a = {.have = json_array(),
                                            .fetch = json_array(),
                                            .missing = json_object()};
        json_t *layers, *layer;
        size_t i;
        int r;

        if (!a.have || !a.fetch || !a.missing)
                return -ENOMEM;
        r = json_get_array(plan, "plan", "layers", LAYERS_MAX, &layers, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's plan has no layers");
        json_array_foreach(layers, i, layer) {
                r = answer_layer(j, layer, with_blobs, &a, e);
                if (r != 0)
                        return r;
        }
        if (a.wait) {
                *ret = NULL;
                return 0;
        }
        if (json_object_update(j->claims, a.missing) < 0)
                return -ENOMEM;
        *ret = json_pack("{sssOsO}", "type", "have", "layers", a.have, "fetch", a.fetch);
        return *ret ? 0 : -ENOMEM;
}

static int plan(Job *j, json_t *packet, json_t **ret, Error *e) {
        const PullState *state = j->userdata;

        return layers_answer_plan(j, packet, state->with_blobs, ret, e);
}

static int commit(Job *j, json_t *result, Error *e) {
        const PullState *state = j->userdata;
        int r;

        r = images_commit(j->object.manager, j->namespace,
                          &(ImageResult){
                                          .name = j->description,
                                          .result = result,
                                          .lease = state->lease,
                                          .labels = state->labels,
                                          .unpacked = state->unpack,
                                          .discard_layers = state->keep_layers == KEEP_LAYERS_NONE,
                          },
                          1, e);
        if (r == 0)
                r = job_set_outcome(j, "Image", json_string(j->description));
        if (r == 0)
                r = job_set_outcome(j, "Digest", json_incref(json_object_get(result, "digest")));
        return r;
}

static int find_name(Object *o, void *userdata) {
        const char **name_or_digest = userdata;

        if (!streq(o->name, *name_or_digest))
                return 0;
        *name_or_digest = IMAGE(o)->digest;
        return 1;
}

/* What the name stands for as far as we know, in whatever namespace: a hint that saves fetching the
 * manifest again. NULL if it is new. */
static const char *known_digest(Manager *m, const char *namespace, const char *name) {
        Object *o = object_find(m, OBJECT_IMAGE, namespace, name);

        if (o)
                return IMAGE(o)->digest;
        return object_foreach(m, OBJECT_IMAGE, NULL, find_name, &name) == 1 ? name : NULL;
}

/* Another pull of it may have ended just now. */
static int begin(const Job *j, char ***arguments) {
        const char *known = known_digest(j->object.manager, j->namespace, j->description);

        if ((known && strv_extendf(arguments, "--known-digest=%s", known) < 0) ||
            strv_extend(arguments, "--") < 0 || strv_extend(arguments, j->description) < 0)
                return -ENOMEM;
        return 0;
}

const JobType job_pull_type = {
                .name = "pull",
                .action = "image-pull",
                .first_phase = "resolve",
                .n_running_max = PULLS_RUNNING_MAX,
                .resumable = true,
                .ends_with_result = true,
                .blobs = JOB_BLOBS_PLANNED,
                .begin = begin,
                .plan = plan,
                .commit = commit,
                .destroy = pull_state_free,
};

static bool has_platform(const Image *i, const char *platform) {
        char text[PLATFORM_STRING_SIZE];
        json_t *item;
        Platform p;
        size_t k;

        if (platform_parse(platform, &p, NULL) != 0)
                return false;
        (void) platform_to_string(&p, text);
        json_array_foreach(i->platforms, k, item)
                if (streq_ptr(json_string_value(item), text))
                        return true;
        return false;
}

/* Whether there is nothing to do, or the error that the policy asks for. */
static int check_policy(const PullRequest *q, const Image *i, const char *name, bool *ret_done,
                        Error *e) {
        bool unpacked = i && (i->unpacked || q->no_unpack);

        if (q->policy == IMAGE_POLICY_NEVER && !i)
                return error_setf(e, CTR_NOT_FOUND,
                                  "There is no image \"%s\" in namespace \"%s\", and it is not to "
                                  "be pulled",
                                  name, q->namespace);
        if (q->policy == IMAGE_POLICY_NEVER && !unpacked)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The image \"%s\" is not unpacked, and it is not to be pulled",
                                  name);
        /* of other platforms and of all blobs nobody knows whether they are there */
        *ret_done = q->policy == IMAGE_POLICY_NEVER ||
                    (q->policy == IMAGE_POLICY_MISSING && unpacked && !i->damaged &&
                     !q->all_platforms && q->keep_layers != KEEP_LAYERS_ALL &&
                     (!q->platform || has_platform(i, q->platform)));
        return 0;
}

static int pull_arguments(const PullRequest *q, char ***ret) {
        _cleanup_strv_free_ char **l = NULL;

        if ((q->no_unpack && strv_extend(&l, "--no-unpack") < 0) ||
            (q->all_platforms && strv_extend(&l, "--all-platforms") < 0) ||
            (q->platform && strv_extendf(&l, "--platform=%s", q->platform) < 0))
                return -ENOMEM;
        STRV_FOREACH(limit, q->limits)
                if (strv_extendf(&l, "--limit=%s", *limit) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

static int pull_start(Manager *m, const PullRequest *q, const Image *i, const char *name,
                      bool nothing_to_do, Job **ret, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        _cleanup_json_ json_t *outcome = NULL;
        _cleanup_free_ char *key = NULL;
        PullState *state;
        int r;

        r = q->lease ? lease_check(m, q->namespace, q->lease, e) : 0;
        if (r == 0 && q->lease && nothing_to_do)
                r = lease_add_image(m, q->namespace, q->lease, name, e);
        if (r != 0)
                return r;
        if (nothing_to_do) {
                outcome = json_pack("{ss ss}", "Image", name, "Digest", i->digest);
                if (!outcome)
                        return -ENOMEM;
        }
        if (pull_arguments(q, &arguments) < 0 || asprintf(&key, "pull %s", name) < 0)
                return -ENOMEM;
        state = malloc(sizeof(PullState));
        if (!state)
                return -ENOMEM;
        *state = (PullState){.unpack = !q->no_unpack,
                             .all_platforms = q->all_platforms,
                             .with_blobs = q->keep_layers == KEEP_LAYERS_ALL || q->all_platforms,
                             .keep_layers = q->keep_layers,
                             .labels = json_incref(q->labels)};
        if (q->lease && free_and_strdup(&state->lease, q->lease) < 0) {
                pull_state_free(state);
                return -ENOMEM;
        }
        r = job_start(m,
                      &(JobRequest){
                                      .type = &job_pull_type,
                                      .namespace = q->namespace,
                                      .description = name,
                                      .arguments = arguments,
                                      .files = {{q->credentials_fd > 0 ? "--credentials-fd" : NULL,
                                                 q->credentials_fd, true}},
                                      .userdata = state,
                                      .key = key,
                                      .outcome = outcome,
                      },
                      ret, e);
        if (r != 0) {
                pull_state_free(state);
                return r;
        }
        (*ret)->needs_more = q->all_platforms;
        return 0;
}

int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e) {
        _cleanup_free_ char *name = NULL;
        bool nothing_to_do = false;
        const char *snapshotter;
        Image *i;
        int r;

        r = reference_normalize(request->reference, &name, e);
        /* its layers are the same for all of them */
        if (r == 0 && !isempty(request->snapshotter))
                r = snapshotter_choose(m, request->namespace, request->snapshotter, &snapshotter,
                                       e);
        if (r != 0)
                return r;
        i = IMAGE(object_find(m, OBJECT_IMAGE, request->namespace, name));
        r = check_policy(request, i, name, &nothing_to_do, e);
        return r == 0 ? pull_start(m, request, i, name, nothing_to_do, ret, e) : r;
}
