/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/image-archive.h"

#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/image-commit.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/snapshot.h"

#define IMPORTS_RUNNING_MAX 2
#define EXPORTS_RUNNING_MAX 4
#define IMAGES_MAX          64
#define NAMES_MAX           2000 /* of one image */
#define NAME_DEFAULT        "localhost/imported"

typedef struct ImportState {
        char *base; /* the name that was given, without tag and digest */
        char *name; /* that name, normalised; NULL: none was given */
        bool unpack;
        KeepLayers keep_layers;
        char *lease;
        json_t *labels;
} ImportState;

static void import_state_free(void *p) {
        ImportState *state = p;

        if (!state)
                return;
        json_decref(state->labels);
        free(state->lease);
        free(state->base);
        free(state->name);
        free(state);
}

/* Results with the names that they get; name k belongs to result k. */
typedef struct Naming {
        const ImportState *state;
        json_t *names; /* array of strings */
        ImageResult *results;
        size_t n_nameless;
} Naming;

/* The strings in names own those of the results. */
static int add_result(Naming *n, json_t *image, const char *name) {
        size_t k = json_array_size(n->names);
        ImageResult *larger;

        larger = reallocarray(n->results, k + 1, sizeof(ImageResult));
        if (!larger)
                return -ENOMEM;
        n->results = larger;
        if (json_array_append_new(n->names, json_string(name)) < 0)
                return -ENOMEM;
        n->results[k] = (ImageResult){
                        .name = json_string_value(json_array_get(n->names, k)),
                        .result = image,
                        .lease = n->state->lease,
                        .labels = n->state->labels,
                        .unpacked = n->state->unpack,
                        .discard_layers = n->state->keep_layers == KEEP_LAYERS_NONE,
        };
        return 0;
}

/* What somebody else wrote, as a name of ours: 1, 0 if it cannot be one, or -ENOMEM. */
static int normalize_name(const ImportState *state, const char *text, char **ret) {
        _cleanup_free_ char *whole = NULL;
        int r;

        if (asprintf(&whole, "%s%s%s", strpbrk(text, "/:@") ? "" : state->base,
                     strpbrk(text, "/:@") ? "" : ":", text) < 0)
                return -ENOMEM;
        r = reference_normalize(whole, ret, NULL);
        return r < 0 ? r : r == 0;
}

static int name_by_digest(Naming *n, json_t *image, Error *e) {
        _cleanup_free_ char *text = NULL, *name = NULL;
        const char *digest;
        int r;

        if (n->state->name && n->n_nameless == 1)
                return add_result(n, image, n->state->name);
        if (json_get_string(image, "result.images", "digest", &digest, e) <= 0)
                return error_setf(e, -EBADMSG, "The worker's result has an image without digest");
        if (asprintf(&text, "%s@%s", n->state->base, digest) < 0)
                return -ENOMEM;
        r = reference_normalize(text, &name, e);
        return r == 0 ? add_result(n, image, name) : r;
}

/* The usable names of one image; *ret_n tells how many there are. */
static int name_image(Naming *n, json_t *image, bool add, size_t *ret_n, Error *e) {
        json_t *names, *item;
        size_t i;
        int r;

        *ret_n = 0;
        r = json_get_array(image, "result.images", "names", NAMES_MAX, &names, e);
        if (r <= 0)
                return r;
        json_array_foreach(names, i, item) {
                _cleanup_free_ char *name = NULL;

                r = normalize_name(n->state, strempty(json_string_value(item)), &name);
                if (r < 0)
                        return r;
                if (r == 0) {
                        log_warning("An imported image has the name \"%.200s\", which is no name "
                                    "of an image",
                                    strempty(json_string_value(item)));
                        continue;
                }
                ++*ret_n;
                if (add)
                        r = add_result(n, image, name);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int name_images(Naming *n, json_t *images, Error *e) {
        size_t i, found;
        json_t *image;
        int r;

        json_array_foreach(images, i, image) {
                r = name_image(n, image, false, &found, e);
                if (r < 0)
                        return r;
                n->n_nameless += found == 0;
        }
        json_array_foreach(images, i, image) {
                r = name_image(n, image, true, &found, e);
                if (r == 0 && found == 0)
                        r = name_by_digest(n, image, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int import_commit(Job *j, json_t *result, Error *e) {
        Naming n = {.state = j->userdata, .names = json_array()};
        json_t *images;
        int r;

        r = n.names ? json_get_array(result, "result", "images", IMAGES_MAX, &images, e) : -ENOMEM;
        if (r == 0)
                r = error_setf(e, -EBADMSG, "The worker's result has no images");
        if (r > 0)
                r = name_images(&n, images, e);
        if (r == 0)
                r = images_commit(j->object.manager, j->namespace, n.results,
                                  json_array_size(n.names), e);
        if (r == 0)
                r = job_set_outcome(j, "Images", json_incref(n.names));
        free(n.results);
        json_decref(n.names);
        return r;
}

static int import_plan(Job *j, json_t *packet, json_t **ret, Error *e) {
        return layers_answer_plan(j, packet, false, ret, e);
}

static const JobType import_type = {
                .name = "import",
                .action = "image-import",
                .first_phase = "read",
                .n_running_max = IMPORTS_RUNNING_MAX,
                .brings_blobs = true,
                .plan = import_plan,
                .commit = import_commit,
                .destroy = import_state_free,
};

static int import_state_new(Manager *m, const ImportRequest *q, ImportState **ret, Error *e) {
        _cleanup_reference_ Reference reference = {};
        ImportState *state;
        int r = 0;

        if (q->lease)
                r = lease_check(m, q->namespace, q->lease, e);
        if (r == 0 && q->name)
                r = reference_parse(q->name, &reference, e);
        if (r != 0)
                return r;
        state = calloc(1, sizeof(ImportState));
        if (!state)
                return -ENOMEM;
        state->unpack = !q->no_unpack;
        state->keep_layers = q->keep_layers;
        state->labels = json_incref(q->labels);
        if (!q->name)
                state->base = strdup(NAME_DEFAULT);
        else if (asprintf(&state->base, "%s/%s", reference.registry, reference.repository) < 0)
                state->base = NULL;
        if (q->name)
                state->name = reference_to_string(&reference);
        if (q->lease)
                state->lease = strdup(q->lease);
        if (!state->base || (q->name && !state->name) || (q->lease && !state->lease)) {
                import_state_free(state);
                return -ENOMEM;
        }
        *ret = state;
        return 0;
}

static int import_arguments(const ImportRequest *q, char ***ret) {
        _cleanup_strv_free_ char **l = NULL;

        if ((q->no_unpack && strv_extend(&l, "--no-unpack") < 0) ||
            (q->rootfs && strv_extend(&l, "--rootfs") < 0) ||
            (q->platform && strv_extendf(&l, "--platform=%s", q->platform) < 0))
                return -ENOMEM;
        STRV_FOREACH(limit, q->limits)
                if (strv_extendf(&l, "--limit=%s", *limit) < 0)
                        return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

static int import_write_request(const ImportRequest *q, int *ret_fd, Error *e) {
        _cleanup_json_ json_t *j = NULL;

        if (!q->comment && !q->changes)
                return 0;
        if (!q->rootfs)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Comment and Changes are for a root file system (Rootfs) only");
        j = json_pack("{ss* so}", "comment", q->comment, "changes", json_from_strv(q->changes));
        return j ? job_write_request(j, ret_fd, e) : -ENOMEM;
}

int job_import(Manager *m, const ImportRequest *request, Job **ret, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        _cleanup_close_ int request_fd = -1;
        const char *snapshotter;
        ImportState *state;
        int r;

        if (!isempty(request->snapshotter)) {
                r = snapshotter_choose(m, request->namespace, request->snapshotter, &snapshotter,
                                       e);
                if (r != 0)
                        return r;
        }
        r = import_write_request(request, &request_fd, e);
        if (r == 0)
                r = import_state_new(m, request, &state, e);
        if (r != 0)
                return r;
        r = import_arguments(request, &arguments);
        if (r == 0)
                r = job_start(m,
                              &(JobRequest){
                                              .type = &import_type,
                                              .namespace = request->namespace,
                                              .description = state->name ?: "",
                                              .arguments = arguments,
                                              .files = {{"--fd", request->fd},
                                                        {request_fd < 0 ? NULL : "--request-fd",
                                                         request_fd}},
                                              .userdata = state,
                              },
                              ret, e);
        if (r != 0)
                import_state_free(state);
        return r;
}

/* The job's userdata is the array of names. */
static int export_commit(Job *j, json_t *result, Error *e) {
        json_t *bytes = json_object_get(result, "bytes");
        int r;

        r = job_set_outcome(j, "Images", json_incref(j->userdata));
        return r == 0 && bytes ? job_set_outcome(j, "Bytes", json_incref(bytes)) : r;
}

static void export_destroy(void *names) {
        json_decref(names);
}

static const JobType export_type = {
                .name = "export",
                .action = "image-export",
                .first_phase = "write",
                .n_running_max = EXPORTS_RUNNING_MAX,
                .commit = export_commit,
                .destroy = export_destroy,
};

/* One image under all the names that are asked for, so that its content is in the archive once. */
static int export_one(const ExportRequest *q, Image *const *images, size_t n, size_t i, char ***l) {
        bool index = q->all_platforms || q->platform || !image_has_config(images[i]);

        for (size_t k = 0; k < i; k++)
                if (streq(images[k]->digest, images[i]->digest))
                        return 0;
        for (size_t k = i; k < n; k++)
                if (streq(images[k]->digest, images[i]->digest) &&
                    strv_extendf(l, "--name=%s", images[k]->object.name) < 0)
                        return -ENOMEM;
        return strv_extend(l, index ? images[i]->digest : images[i]->manifest_digest);
}

static int export_arguments(const ExportRequest *q, Image *const *images, size_t n, char ***ret,
                            Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        bool all = q->all_platforms;
        int r = 0;

        for (size_t i = 0; i < n; i++) {
                if (!image_has_config(images[i]) && q->platform)
                        return error_setf(e, CTR_FAILED_PRECONDITION,
                                          "The image \"%s\" has no platform that could be chosen",
                                          images[i]->object.name);
                all = all || !image_has_config(images[i]);
        }
        if ((all && strv_extend(&l, "--all-platforms") < 0) ||
            (q->platform && strv_extendf(&l, "--platform=%s", q->platform) < 0) ||
            strv_extendf(&l, "--format=%s", q->format) < 0)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < n; i++)
                r = export_one(q, images, n, i, &l);
        if (r == 0)
                *ret = TAKE_PTR(l);
        return r;
}

/* Each once, however often and under whatever short name it is asked for. */
static int find_images(Manager *m, const ExportRequest *q, Image **images, json_t *names,
                       Error *e) {
        size_t n = 0;
        int r;

        STRV_FOREACH(reference, q->references) {
                bool known = false;

                r = image_find(m, q->namespace, *reference, images + n, e);
                if (r != 0)
                        return r;
                for (size_t i = 0; i < n; i++)
                        known = known || images[i] == images[n];
                if (known)
                        continue;
                if (json_array_append_new(names, json_string(images[n]->object.name)) < 0)
                        return -ENOMEM;
                n++;
        }
        return 0;
}

int job_export(Manager *m, const ExportRequest *request, Job **ret, Error *e) {
        _cleanup_strv_free_ char **arguments = NULL;
        Image *images[EXPORT_REFERENCES_MAX];
        size_t n = strv_length(request->references);
        json_t *names;
        int r;

        if (n == 0 || n > EXPORT_REFERENCES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Between 1 and %i images can be exported at once",
                                  EXPORT_REFERENCES_MAX);
        names = json_array();
        r = names ? find_images(m, request, images, names, e) : -ENOMEM;
        if (r == 0)
                r = export_arguments(request, images, json_array_size(names), &arguments, e);
        if (r == 0)
                r = job_start(m,
                              &(JobRequest){
                                              .type = &export_type,
                                              .namespace = request->namespace,
                                              .description = images[0]->object.name,
                                              .arguments = arguments,
                                              .files = {{"--fd", request->fd}},
                                              .userdata = names,
                              },
                              ret, e);
        if (r != 0)
                json_decref(names);
        return r;
}
