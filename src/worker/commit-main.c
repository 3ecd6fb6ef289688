/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker commit: its options, and the order in which the job is set up. */

#include "config.h"
#include "worker/commit.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Options {
        CommitOptions commit;
        const char *root;
        int control_fd; /* -1: none */
} Options;

static int take_compression(const WorkerOption *o, const char *value, Error *e) {
        Compression *compression = o->target;

        if (streq(value, "gzip"))
                *compression = COMPRESSION_GZIP;
        else if (streq(value, "zstd"))
                *compression = COMPRESSION_ZSTD;
        else if (streq(value, "none"))
                *compression = COMPRESSION_NONE;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--compression must be gzip, zstd or none");
        return 0;
}

static int take_layers(const WorkerOption *o, const char *value, Error *e) {
        const ContainerRoot *own = o->target;
        int r;

        r = option_layers(o, value, e);
        if (r != 0)
                return r;
        if (own->n_layers > COMMIT_LAYERS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "More than %u layers are to be made",
                                  COMMIT_LAYERS_MAX);
        if (own->n_trees > 0 && own->n_trees < own->n_layers)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--layers=%s is not all of one snapshotter", value);
        return 0;
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"base", option_digest, &o->commit.base},
                        {"layers", take_layers, &o->commit.own},
                        {"lower", option_layers, &o->commit.lower},
                        {"compression", take_compression, &o->commit.compression},
                        {"request-fd", option_request, &o->commit.request},
                        {"limit", option_limit, &o->commit.pull.limits},
                        {"no-unpack", option_unset, &o->commit.pull.unpack},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r == 0 && (*arguments || !*o->commit.base.hex || o->commit.own.n_layers == 0))
                r = error_setf(e, CTR_INVALID_ARGUMENT,
                               "--base, --layers and no argument are needed");
        if (r == 0 && (o->commit.own.n_trees > 0) != (o->commit.lower.n_layers > 0))
                r = error_setf(e, CTR_INVALID_ARGUMENT,
                               "--lower is needed with whole trees, and with nothing else");
        return r;
}

/* What whole trees are compared with. */
static int mount_lower(Options *o, Error *e) {
        int r;

        if (o->commit.lower.n_layers == 0)
                return 0;
        r = container_root_mount(&o->commit.lower, o->root, 0, false, e);
        if (r == 0)
                r = container_root_leave(o->root, e);
        if (r == 0)
                sandbox_let_read(o->commit.lower.fd);
        return r;
}

static int commit(Commit *c, Options *o, Error *e) {
        int r;

        r = mount_lower(o, e);
        if (r == 0)
                r = store_open_root(&c->store, o->root, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT, &c->store.root_fd, e);
        if (r == 0)
                r = store_open(&c->store, e);
        return r == 0 ? report_run(&c->job, e) : r;
}

int verb_commit(int argc, char *argv[]) {
        _cleanup_(commit_clear) Commit c = {.store = STORE_NULL};
        Options o = {.root = CTR_STATE_DIR, .control_fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        platform_host(&o.commit.pull.platform);
        o.commit.pull.unpack = true;
        o.commit.pull.limits = apply_limits_default;
        o.commit.compression = COMPRESSION_GZIP;
        o.commit.own = o.commit.lower = CONTAINER_ROOT_NULL;
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = commit_init(&c, &o.commit, o.control_fd, &e);
        if (r == 0)
                r = commit(&c, &o, &e);
        container_root_clear(&o.commit.lower);
        json_decref(o.commit.request);
        return report_end(o.control_fd, r, &e);
}
