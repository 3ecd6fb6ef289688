/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker export: its options, and the order in which the job is set up. */

#include <getopt.h>

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

static int parse_format(const char *s, ExportFormat *ret, Error *e) {
        if (streq(s, "oci-archive"))
                *ret = EXPORT_OCI;
        else if (streq(s, "docker-archive"))
                *ret = EXPORT_DOCKER;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--format must be oci-archive or docker-archive");
        return 0;
}

/* It belongs to the digest that follows. */
static int add_name(ExportOptions *o, const char *name, Error *e) {
        if (o->n_names == EXPORT_NAMES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "More than %i names", EXPORT_NAMES_MAX);
        o->names[o->n_names++] = (ExportName){.image = o->n_images, .name = name};
        return 0;
}

static int add_image(ExportOptions *o, const char *digest, Error *e) {
        if (o->n_images == EXPORT_IMAGES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "More than %i images",
                                  EXPORT_IMAGES_MAX);
        return digest_parse(digest, o->images + o->n_images++, e);
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        static const struct option options[] = {
                        {"root", required_argument, NULL, 'r'},
                        {"control-fd", required_argument, NULL, 'c'},
                        {"fd", required_argument, NULL, 'f'},
                        {"format", required_argument, NULL, 't'},
                        {"platform", required_argument, NULL, 'p'},
                        {"all-platforms", no_argument, NULL, 'a'},
                        {"name", required_argument, NULL, 'n'},
                        {},
        };
        int c, r = 0;

        /* "-": arguments come in their place among the options */
        while (r == 0 && (c = getopt_long(argc, argv, "-", options, NULL)) >= 0)
                switch (c) {
                case 1:
                        r = add_image(&o->export, optarg, e);
                        break;
                case 'r':
                        o->root = optarg;
                        break;
                case 'c':
                        r = option_control_fd(optarg, &o->control_fd, e);
                        break;
                case 'f':
                        r = option_fd("fd", optarg, &o->fd, e);
                        break;
                case 't':
                        r = parse_format(optarg, &o->export.format, e);
                        break;
                case 'p':
                        r = platform_parse(optarg, &o->export.platform, e);
                        break;
                case 'a':
                        o->export.all_platforms = true;
                        break;
                case 'n':
                        r = add_name(&o->export, optarg, e);
                        break;
                default:
                        r = option_unknown(e);
                }
        for (; r == 0 && optind < argc; optind++)
                r = add_image(&o->export, argv[optind], e);
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
