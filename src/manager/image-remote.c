/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/image-remote.h"

#include <inttypes.h>

#include "basic/json.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/manager.h"

#define RUNNING_MAX    4
#define MOUNT_FROM_MAX 8
/* names, in all namespaces: more may be of other registries */
#define RELATIVES_MAX 64

/* Numbers and strings of the result that are the outcome, too. */
static int take_over(Job *j, json_t *result, const char *member, const char *key) {
        json_t *value = json_object_get(result, member);

        return value ? job_set_outcome(j, key, json_incref(value)) : 0;
}

static int push_commit(Job *j, json_t *result, Error *e) {
        int r;

        r = take_over(j, result, "digest", "Digest");
        if (r == 0)
                r = take_over(j, result, "uploaded", "Uploaded");
        if (r == 0)
                r = take_over(j, result, "mounted", "Mounted");
        if (r == 0)
                r = take_over(j, result, "existed", "Existed");
        return r;
}

static const JobType push_type = {
                .name = "push",
                .action = "image-push",
                .first_phase = "resolve",
                .n_running_max = RUNNING_MAX,
                .commit = push_commit,
};

static bool strv_contains(char *const *l, const char *s) {
        STRV_FOREACH(item, l)
                if (streq(*item, s))
                        return true;
        return false;
}

/* Other repositories of the target's registry that are likely to have blobs of the image: those
 * whose images need them here. One that has not costs the registry a look. */
static int add_mounts(const Image *i, const Reference *target, char ***l, Error *e) {
        _cleanup_strv_free_ char **found = NULL;
        _cleanup_json_ json_t *names = NULL;
        json_t *name;
        size_t k;
        int r;

        r = db_image_relatives(i->object.manager->db, i, RELATIVES_MAX, &names, e);
        if (r != 0)
                return r;
        json_array_foreach(names, k, name) {
                _cleanup_reference_ Reference other = {};

                if (reference_parse(json_string_value(name), &other, NULL) != 0 ||
                    !streq(other.registry, target->registry) ||
                    streq(other.repository, target->repository) ||
                    strv_length(found) == MOUNT_FROM_MAX || strv_contains(found, other.repository))
                        continue;
                if (strv_extend(&found, other.repository) < 0 ||
                    strv_extendf(l, "--mount-from=%s", other.repository) < 0)
                        return -ENOMEM;
        }
        return 0;
}

/* Without a platform it is the manifest that is here: of an index that may be another one than
 * ours. */
static int push_arguments(const Image *i, const PushRequest *q, const char *target, char ***ret,
                          Error *e) {
        bool all = q->all_platforms || !image_has_config(i);
        _cleanup_reference_ Reference reference = {};
        _cleanup_strv_free_ char **l = NULL;
        int r;

        r = reference_parse(target, &reference, e);
        if (r != 0)
                return r;
        if (strv_extendf(&l, "--from-digest=%s",
                         all || q->platform ? i->digest : i->manifest_digest) < 0 ||
            (all && strv_extend(&l, "--all-platforms") < 0) ||
            (q->platform && strv_extendf(&l, "--platform=%s", q->platform) < 0) ||
            (q->chunk_size > 0 && strv_extendf(&l, "--chunk-size=%" PRIu64, q->chunk_size) < 0))
                return -ENOMEM;
        r = add_mounts(i, &reference, &l, e);
        if (r != 0)
                return r;
        if (strv_extend(&l, "--") < 0 || strv_extend(&l, target) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

int job_push(Image *i, const PushRequest *request, Job **ret, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        _cleanup_free_ char *target = NULL;
        int r;

        r = reference_normalize(request->target ?: i->object.name, &target, e);
        if (r == 0)
                r = push_arguments(i, request, target, &arguments, e);
        if (r != 0)
                return r;
        return job_start(i->object.manager,
                         &(JobRequest){
                                         .type = &push_type,
                                         .namespace = i->object.namespace,
                                         .description = target,
                                         .arguments = arguments,
                                         .files = {{request->credentials_fd > 0 ? "--credentials-fd"
                                                                                : NULL,
                                                    request->credentials_fd, true}},
                         },
                         ret, e);
}

static int resolve_commit(Job *j, json_t *result, Error *e) {
        return take_over(j, result, "digest", "Digest");
}

static const JobType resolve_type = {
                .name = "resolve",
                .blobs = JOB_BLOBS_NONE,
                .action = "image-pull",
                .first_phase = "resolve",
                .n_running_max = RUNNING_MAX,
                .without_store = true,
                .commit = resolve_commit,
};

int job_resolve(Manager *m, const char *namespace, const char *reference, int credentials_fd,
                Job **ret, Error *e) {
        _cleanup_free_ char *name = NULL;
        int r;

        r = reference_normalize(reference, &name, e);
        if (r != 0)
                return r;
        return job_start(m,
                         &(JobRequest){
                                         .type = &resolve_type,
                                         .namespace = namespace,
                                         .description = name,
                                         .arguments = (char *[]){(char *) "--", name, NULL},
                                         .files = {{credentials_fd > 0 ? "--credentials-fd" : NULL,
                                                    credentials_fd, true}},
                         },
                         ret, e);
}

static int search_commit(Job *j, json_t *result, Error *e) {
        json_t *images = json_object_get(result, "images");

        if (!json_is_array(images))
                return error_setf(e, -EBADMSG, "The worker does not tell what it has found");
        return job_set_outcome(j, "Images", json_incref(images));
}

/* What a private registry has is not for everybody who may look at jobs. */
static const JobType search_type = {
                .name = "search",
                .blobs = JOB_BLOBS_NONE,
                .action = "image-pull",
                .first_phase = "search",
                .n_running_max = RUNNING_MAX,
                .without_store = true,
                .confidential = true,
                .commit = search_commit,
};

int job_search(Manager *m, const char *namespace, const char *term, unsigned max,
               int credentials_fd, Job **ret, Error *e) {
        _cleanup_strv_free_ char **l = NULL;

        if (strv_extendf(&l, "--max=%u", max) < 0 || strv_extend(&l, "--") < 0 ||
            strv_extend(&l, term) < 0)
                return -ENOMEM;
        return job_start(m,
                         &(JobRequest){
                                         .type = &search_type,
                                         .namespace = namespace,
                                         .description = term,
                                         .arguments = l,
                                         .files = {{credentials_fd > 0 ? "--credentials-fd" : NULL,
                                                    credentials_fd, true}},
                         },
                         ret, e);
}
