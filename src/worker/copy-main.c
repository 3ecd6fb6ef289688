/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker copy-out, copy-in, stat-path and export-root: their options, and the order in which
 * the job is set up. */

#include <fcntl.h>

#include "basic/strv.h"
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

static int parse_options(int argc, char *argv[], CopyKind kind, Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"container-fd", option_fd, &o->container.fd},
                        {"user-namespace-fd", option_fd, &o->userns_fd},
                        {"layers", option_layers, &o->container},
                        {"fd", option_fd, &o->fd},
                        {"limit", option_limit, &o->limits},
                        {"follow-link", option_set, &o->copy.follow},
                        {"no-overwrite-dir-non-dir", option_set, &o->copy.insert.keep_kind},
                        {"no-owner", option_set, &o->copy.insert.own},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r != 0)
                return r;
        /* export-root has its path already */
        if (strv_length(arguments) != !o->copy.insert.path)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The path of one file is needed");
        if (!o->copy.insert.path)
                o->copy.insert.path = arguments[0];
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
