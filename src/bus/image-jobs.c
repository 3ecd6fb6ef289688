/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Methods of the manager that start a job about images. */

#include <inttypes.h>

#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "bus/authorize.h"
#include "bus/descriptor.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/service.h"
#include "image/platform.h"
#include "image/reference.h"
#include "manager/image-archive.h"
#include "manager/image-remote.h"
#include "manager/pull.h"

/* h: int, as long as the message. */
int option_credentials(OptionReader *o, void *target) {
        int fd, r;

        r = sd_bus_message_read_basic(o->message, 'h', &fd);
        if (r < 0)
                return r;
        if (!fd_is_open_for(fd, false))
                return option_invalid(o, "the descriptor is not open for reading");
        if (!fd_is_stream(fd))
                return option_invalid(o, "the descriptor is neither a file nor a pipe");
        *(int *) target = fd;
        return 0;
}

static int option_platform(OptionReader *o, void *target) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char **p = target;
        Platform platform;
        int r;

        r = option_read_string(o, p);
        if (r < 0)
                return r;
        r = platform_parse(*p, &platform, &e);
        return r != 0 ? option_invalid(o, "%s", error_text(&e)) : 0;
}

static int option_policy(OptionReader *o, void *target) {
        static const char *const names[] = {
                        [IMAGE_POLICY_ALWAYS] = "always",
                        [IMAGE_POLICY_MISSING] = "missing",
                        [IMAGE_POLICY_NEVER] = "never",
        };
        size_t value;
        int r;

        r = option_read_name(o, names, ELEMENTSOF(names), &value);
        if (r >= 0)
                *(ImagePolicy *) target = (ImagePolicy) value;
        return r;
}

/* b: KeepLayers, which is neither without the option. */
static int option_keep_layers(OptionReader *o, void *target) {
        bool keep;
        int r;

        r = option_bool(o, &keep);
        if (r >= 0)
                *(KeepLayers *) target = keep ? KEEP_LAYERS_ALL : KEEP_LAYERS_NONE;
        return r;
}

/* a{st}: char **, owned, of NAME=VALUE. */
static int option_limits(OptionReader *o, void *target) {
        static const char *const known[] = {"entries", "bytes", "xattr-bytes", "xattr-count"};
        char ***l = target;
        const char *name;
        uint64_t value;
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(o->message, 'a', "{st}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_read(o->message, "{st}", &name, &value)) > 0) {
                bool found = false;

                for (size_t i = 0; i < ELEMENTSOF(known); i++)
                        found = found || streq(known[i], name);
                if (!found)
                        return option_invalid(o, "\"%.64s\" is no limit of a layer", name);
                r = option_count(o, &n);
                if (r < 0)
                        return r;
                if (strv_extendf(l, "%s=%" PRIu64, name, value) < 0)
                        return -ENOMEM;
        }
        return r < 0 ? r : sd_bus_message_exit_container(o->message);
}

/* Options of PullImage and ImportImages that are owned. */
typedef struct JobOptions {
        PullRequest pull;
        ImportRequest import;
        json_t *labels;
        char **limits, **changes;
} JobOptions;

static void job_options_done(JobOptions *o) {
        json_decref(o->labels);
        strv_free(o->limits);
        strv_free(o->changes);
}

int method_pull_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(JobOptions, pull.namespace)},
                        {"Unpack", "b", option_bool_inverted, offsetof(JobOptions, pull.no_unpack)},
                        {"Policy", "s", option_policy, offsetof(JobOptions, pull.policy)},
                        {"Platform", "s", option_platform, offsetof(JobOptions, pull.platform)},
                        {"AllPlatforms", "b", option_bool,
                         offsetof(JobOptions, pull.all_platforms)},
                        {"KeepLayers", "b", option_keep_layers,
                         offsetof(JobOptions, pull.keep_layers)},
                        {"Credentials", "h", option_credentials,
                         offsetof(JobOptions, pull.credentials_fd)},
                        {"Snapshotter", "s", option_string, offsetof(JobOptions, pull.snapshotter)},
                        {"Lease", "s", option_string, offsetof(JobOptions, pull.lease)},
                        {"Labels", "a{ss}", option_labels, offsetof(JobOptions, labels)},
                        {"Limits", "a{st}", option_limits, offsetof(JobOptions, limits)},
                        {},
        };
        _cleanup_(job_options_done) JobOptions options = {.pull.namespace = NAMESPACE_DEFAULT};
        _cleanup_free_ char *reference = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Job *job;
        int r;

        r = prepare_image(m, s, table, &options, &options.pull.namespace, &reference, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        options.pull.reference = reference;
        options.pull.labels = options.labels;
        options.pull.limits = options.limits;
        r = job_pull(s->manager, &options.pull, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &job->object);
}

typedef struct PushOptions {
        const char *namespace;
        PushRequest push;
} PushOptions;

/* The user's rights are for the image, and for where it goes: that is reached with credentials of
 * the machine's. */
static int push_authorize(sd_bus_message *m, Service *s, const PushOptions *o,
                          const char *reference, sd_bus_error *error) {
        _cleanup_free_ char *target = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r = 0;

        if (o->push.target)
                r = reference_normalize(o->push.target, &target, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return authorize_each(s, m,
                              (AuthorityDetails[]){{.namespace = o->namespace, .image = reference},
                                                   {.namespace = o->namespace, .image = target}},
                              target ? 2 : 1, error);
}

int method_push_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(PushOptions, namespace)},
                        {"Target", "s", option_string, offsetof(PushOptions, push.target)},
                        {"Platform", "s", option_platform, offsetof(PushOptions, push.platform)},
                        {"AllPlatforms", "b", option_bool,
                         offsetof(PushOptions, push.all_platforms)},
                        {"ChunkSize", "t", option_uint64, offsetof(PushOptions, push.chunk_size)},
                        {"Credentials", "h", option_credentials,
                         offsetof(PushOptions, push.credentials_fd)},
                        {},
        };
        PushOptions options = {.namespace = NAMESPACE_DEFAULT};
        _cleanup_free_ char *reference = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Image *image;
        Job *job;
        int r;

        r = reference_read(m, &reference, error);
        if (r >= 0)
                r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = push_authorize(m, s, &options, reference, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_find(s->manager, options.namespace, reference, &image, &e);
        if (r == 0)
                r = job_push(image, &options.push, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &job->object);
}

/* With most archives the names are the archive's, so rights for one of them are not enough. */
static int import_authorize(sd_bus_message *m, Service *s, const ImportRequest *q,
                            sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *name = NULL;
        int r = 0;

        if (q->rootfs && q->name)
                r = reference_normalize(q->name, &name, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return authorize(s, m, &(AuthorityDetails){.namespace = q->namespace, .image = name},
                         error);
}

int method_import_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace,
                         offsetof(JobOptions, import.namespace)},
                        {"Name", "s", option_string, offsetof(JobOptions, import.name)},
                        {"Rootfs", "b", option_bool, offsetof(JobOptions, import.rootfs)},
                        {"Unpack", "b", option_bool_inverted,
                         offsetof(JobOptions, import.no_unpack)},
                        {"Platform", "s", option_platform, offsetof(JobOptions, import.platform)},
                        {"Comment", "s", option_string, offsetof(JobOptions, import.comment)},
                        {"Changes", "as", option_strv, offsetof(JobOptions, changes)},
                        {"KeepLayers", "b", option_keep_layers,
                         offsetof(JobOptions, import.keep_layers)},
                        {"Snapshotter", "s", option_string,
                         offsetof(JobOptions, import.snapshotter)},
                        {"Lease", "s", option_string, offsetof(JobOptions, import.lease)},
                        {"Labels", "a{ss}", option_labels, offsetof(JobOptions, labels)},
                        {"Limits", "a{st}", option_limits, offsetof(JobOptions, limits)},
                        {},
        };
        _cleanup_(job_options_done) JobOptions options = {.import.namespace = NAMESPACE_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Job *job;
        int r;

        r = bus_read_fd(m, false, &options.import.fd, error);
        if (r < 0)
                return r;
        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = import_authorize(m, s, &options.import, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        options.import.labels = options.labels;
        options.import.limits = options.limits;
        options.import.changes = options.changes;
        r = job_import(s->manager, &options.import, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &job->object);
}

static int option_format(OptionReader *o, void *target) {
        const char **format = target;
        int r;

        r = option_read_string(o, format);
        if (r < 0)
                return r;
        return streq(*format, "oci-archive") || streq(*format, "docker-archive")
                               ? 0
                               : option_invalid(o,
                                                "\"%.64s\" is neither oci-archive nor "
                                                "docker-archive",
                                                *format);
}

static int export_authorize(sd_bus_message *m, Service *s, const char *namespace,
                            char *const *references, sd_bus_error *error) {
        AuthorityDetails details[AUTHORITY_DETAILS_MAX] = {{.namespace = namespace}};
        char *images[AUTHORITY_DETAILS_MAX] = {};
        _cleanup_error_ Error e = ERROR_NULL;
        size_t n = 0;
        int r = 0;

        if (strv_length(references) > ELEMENTSOF(details))
                return authorize(s, m, &details[0], error); /* which job_export() refuses */
        for (; r == 0 && references && references[n]; n++) {
                r = reference_normalize(references[n], &images[n], &e);
                details[n] = (AuthorityDetails){.namespace = namespace, .image = images[n]};
        }
        r = r != 0 ? bus_error_set(error, r, &e)
                   : authorize_each(s, m, details, MAX_OF(n, (size_t) 1), error);
        for (size_t i = 0; i < n; i++)
                free(images[i]);
        return r;
}

int method_export_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(ExportRequest, namespace)},
                        {"Format", "s", option_format, offsetof(ExportRequest, format)},
                        {"Platform", "s", option_platform, offsetof(ExportRequest, platform)},
                        {"AllPlatforms", "b", option_bool, offsetof(ExportRequest, all_platforms)},
                        {},
        };
        ExportRequest request = {.namespace = NAMESPACE_DEFAULT, .format = "oci-archive"};
        _cleanup_strv_free_ char **references = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Job *job;
        int r;

        r = strings_read(m, "references", &references, error);
        if (r >= 0)
                r = bus_read_fd(m, true, &request.fd, error);
        if (r >= 0)
                r = options_read(m, table, &request, error);
        if (r < 0)
                return r;
        r = export_authorize(m, s, request.namespace, references, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        request.references = references;
        r = job_export(s->manager, &request, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &job->object);
}

static int reply_digest(sd_bus_message *m, Object *o) {
        return sd_bus_reply_method_return(m, "s",
                                          json_string_value(json_object_get(JOB(o)->outcome,
                                                                            "Digest")));
}

typedef struct ResolveOptions {
        const char *namespace;
        int credentials_fd;
} ResolveOptions;

int method_resolve_remote_digest(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(ResolveOptions, namespace)},
                        {"Credentials", "h", option_credentials,
                         offsetof(ResolveOptions, credentials_fd)},
                        {},
        };
        ResolveOptions options = {.namespace = NAMESPACE_DEFAULT};
        _cleanup_free_ char *reference = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Late *late;
        Job *job;
        int r;

        r = prepare_image(m, s, table, &options, &options.namespace, &reference, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = job_resolve(s->manager, options.namespace, reference, options.credentials_fd, &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = late_new(s, m, reply_digest, &late, error);
        if (r < 0)
                return r;
        late_set_waiters(late, &job->waiters);
        r = job_wait(job, late_complete, late, &e);
        return late_started(late, r, &e, error);
}
