/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker export: its options, and the order in which the job is set up. */

#include "config.h"
#include "worker/export.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Options {
        ExportOptions export;
        const char *root;
        int control_fd; /* -1: none */
        int fd;         /* of the archive; -1: not given */
} Options;

static int take_format(const WorkerOption *o, const char *value, Error *e) {
        ExportFormat *format = o->target;

        if (streq(value, "oci-archive"))
                *format = EXPORT_OCI;
        else if (streq(value, "docker-archive"))
                *format = EXPORT_DOCKER;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--format must be oci-archive or docker-archive");
        return 0;
}

/* It belongs to the digest that follows. */
static int take_name(const WorkerOption *o, const char *value, Error *e) {
        ExportOptions *x = o->target;

        if (x->n_names == EXPORT_NAMES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "More than %i names", EXPORT_NAMES_MAX);
        x->names[x->n_names++] = (ExportName){.image = x->n_images, .name = value};
        return 0;
}

static int take_image(const WorkerOption *o, const char *value, Error *e) {
        ExportOptions *x = o->target;

        if (x->n_images == EXPORT_IMAGES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "More than %i images",
                                  EXPORT_IMAGES_MAX);
        return digest_parse(value, x->images + x->n_images++, e);
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"fd", option_fd, &o->fd},
                        {"format", take_format, &o->export.format},
                        {"platform", option_platform, &o->export.platform},
                        {"all-platforms", option_set, &o->export.all_platforms},
                        {"name", take_name, &o->export},
                        {"", take_image, &o->export},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r == 0 && (o->fd < 0 || o->export.n_images == 0))
                r = error_setf(e, CTR_INVALID_ARGUMENT,
                               "--fd and the digest of an image are needed");
        return r;
}

static int export_images(Export *x, const Options *o, Error *e) {
        int r;

        r = export_init(x, &o->export, o->control_fd, e);
        if (r != 0)
                return r;
        x->fd = o->fd;
        r = store_open_root(&x->store, o->root, e);
        if (r == 0)
                r = sandbox_enter(0, &x->store.root_fd, e);
        if (r == 0)
                r = store_open(&x->store, e);
        return r == 0 ? report_run(&x->job, e) : r;
}

int verb_export(int argc, char *argv[]) {
        _cleanup_(export_clear) Export x = {.store = STORE_NULL, .fd = -1};
        Options o = {.root = CTR_STATE_DIR, .control_fd = -1, .fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        platform_host(&o.export.platform);
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = export_images(&x, &o, &e);
        return report_end(o.control_fd, r, &e);
}
