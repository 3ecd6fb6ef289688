/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker copy-out, copy-in, stat-path and export-root: their options, and the order in which
 * the job is set up. */

#include <fcntl.h>
#include <getopt.h>

#include "config.h"
#include "worker/copy.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Options {
        CopyOptions copy;
        ApplyLimits limits;
        const char *root;
        ContainerRoot container;
        int control_fd, fd, userns_fd; /* -1: none */
} Options;

static int set_option(Options *o, int c, Error *e) {
        switch (c) {
        case 'r':
                o->root = optarg;
                return 0;
        case 'c':
                return option_control_fd(optarg, &o->control_fd, e);
        case 'C':
                return option_fd("container-fd", optarg, &o->container.fd, e);
        case 'u':
                return option_fd("user-namespace-fd", optarg, &o->userns_fd, e);
        case 'l':
                return container_root_parse_layers(&o->container, optarg, e);
        case 'f':
                return option_fd("fd", optarg, &o->fd, e);
        case 'm':
                return option_limit(optarg, &o->limits, e);
        case 'L':
                o->copy.follow = true;
                return 0;
        case 'k':
                o->copy.insert.keep_kind = true;
                return 0;
        case 'o':
                o->copy.insert.own = true;
                return 0;
        default:
                return option_unknown(e);
        }
}

static int parse_options(int argc, char *argv[], CopyKind kind, Options *o, Error *e) {
        static const struct option options[] = {
                        {"root", required_argument, NULL, 'r'},
                        {"control-fd", required_argument, NULL, 'c'},
                        {"container-fd", required_argument, NULL, 'C'},
                        {"user-namespace-fd", required_argument, NULL, 'u'},
                        {"layers", required_argument, NULL, 'l'},
                        {"fd", required_argument, NULL, 'f'},
                        {"limit", required_argument, NULL, 'm'},
                        {"follow-link", no_argument, NULL, 'L'},
                        {"no-overwrite-dir-non-dir", no_argument, NULL, 'k'},
                        {"no-owner", no_argument, NULL, 'o'},
                        {},
        };
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                r = set_option(o, c, e);
        if (r != 0)
                return r;
        /* export-root has its path already */
        if (argc - optind != !o->copy.insert.path)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The path of one file is needed");
        if (!o->copy.insert.path)
                o->copy.insert.path = argv[optind];
        if ((o->fd < 0) != (kind == COPY_STAT))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  kind == COPY_STAT ? "There is no archive for --fd"
                                                    : "--fd is needed");
        if ((o->container.fd < 0) == (o->container.n_layers == 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Either --container-fd or --layers is needed");
        /* layers have the ids that the container has */
        if (o->userns_fd >= 0 && o->container.fd < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--user-namespace-fd is for a --container-fd");
        return 0;
}

static int run(Copy *c, CopyKind kind, const Options *o, Error *e) {
        int r = 0;

        if (c->root.fd < 0)
                r = container_root_mount(&c->root, o->root, 0, kind == COPY_IN, e);
        if (r != 0)
                return r;
        if (kind == COPY_IN)
                sandbox_let_write(c->root.fd);
        else
                sandbox_let_read(c->root.fd);
        sandbox_use_ids(o->userns_fd);
        r = sandbox_enter(kind == COPY_IN ? SANDBOX_MAKE : SANDBOX_READ, NULL, e);
        return r == 0 ? report_run(&c->job, e) : r;
}

static int verb(int argc, char *argv[], CopyKind kind, const char *path) {
        Options o = {
                        .copy.insert.path = path,
                        .limits = apply_limits_default,
                        .root = CTR_STATE_DIR,
                        .container = CONTAINER_ROOT_NULL,
                        .control_fd = -1,
                        .fd = -1,
                        .userns_fd = -1,
        };
        _cleanup_(copy_clear) Copy c = {.root = CONTAINER_ROOT_NULL, .fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        o.copy.insert.limits = &o.limits;
        r = parse_options(argc, argv, kind, &o, &e);
        if (r == 0)
                r = copy_init(&c, kind, &o.copy, o.control_fd, &e);
        if (r == 0) {
                c.root = o.container;
                r = o.fd < 0 ? 0 : copy_set_archive(&c, o.fd, &e);
        }
        if (r == 0)
                r = run(&c, kind, &o, &e);
        return report_end(o.control_fd, r, &e);
}

int verb_copy_out(int argc, char *argv[]) {
        return verb(argc, argv, COPY_OUT, NULL);
}

int verb_copy_in(int argc, char *argv[]) {
        return verb(argc, argv, COPY_IN, NULL);
}

int verb_stat_path(int argc, char *argv[]) {
        return verb(argc, argv, COPY_STAT, NULL);
}

int verb_export_root(int argc, char *argv[]) {
        return verb(argc, argv, COPY_OUT, "/");
}
