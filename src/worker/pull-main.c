/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker pull: its options, and the order in which the job is set up. */

#include "config.h"
#include "worker/options.h"
#include "worker/pull-packet.h"
#include "worker/remote.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Options {
        PullOptions pull;
        const char *root, *reference;
        int control_fd;     /* -1: none */
        int credentials_fd; /* -1: those of the configuration */
} Options;

typedef struct PullJob {
        WorkerJob job;
        Store store;
        Remote remote;
        Trust trust;
        Pull pull;
} PullJob;

static int run(WorkerJob *j, Error *e) {
        PullJob *p = (PullJob *) j;

        return pull_run(&p->pull, p->remote.registry, e);
}

static void undo(WorkerJob *j) {
        pull_undo(&((PullJob *) j)->pull);
}

static json_t *progress(WorkerJob *j) {
        return pack_pull_progress(&((PullJob *) j)->pull);
}

static json_t *plan(WorkerJob *j) {
        return pack_pull_plan(&((PullJob *) j)->pull);
}

static int answer(WorkerJob *j, json_t *packet, Error *e) {
        return unpack_pull_have(&((PullJob *) j)->pull, packet, e);
}

static json_t *result(WorkerJob *j) {
        return pack_pull_result(&((PullJob *) j)->pull);
}

static const JobType type = {
                .name = "pull",
                .run = run,
                .undo = undo,
                .progress = progress,
                .plan = plan,
                .answer = answer,
                .result = result,
};

static int take_policy(const WorkerOption *o, const char *value, Error *e) {
        bool *prefer_local = o->target;

        *prefer_local = streq(value, "missing");
        if (!*prefer_local && !streq(value, "always"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--policy must be \"always\" or \"missing\"");
        return 0;
}

static int take_known_digest(const WorkerOption *o, const char *value, Error *e) {
        PullOptions *pull = o->target;

        pull->has_known = true;
        return digest_parse(value, &pull->known, e);
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"credentials-fd", option_fd, &o->credentials_fd},
                        {"platform", option_platform, &o->pull.platform},
                        {"all-platforms", option_set, &o->pull.all_platforms},
                        {"no-unpack", option_unset, &o->pull.unpack},
                        {"limit", option_limit, &o->pull.limits},
                        {"policy", take_policy, &o->pull.prefer_local},
                        {"known-digest", take_known_digest, &o->pull},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        return r == 0 ? options_only_argument(arguments, "image reference", &o->reference, e) : r;
}

static void pull_job_clear(PullJob *p) {
        pull_clear(&p->pull);
        trust_clear(&p->trust);
        remote_close(&p->remote);
        store_close(&p->store);
        job_clear(&p->job);
}

static int pull(PullJob *p, const Options *o, Error *e) {
        int r;

        r = job_init(&p->job, &type, o->control_fd, e);
        if (r == 0)
                r = store_open_root(&p->store, o->root, e);
        if (r != 0)
                return r;
        pull_init(&p->pull, &p->job, &p->store, &o->pull);
        p->pull.trust = &p->trust;
        r = reference_parse(o->reference, &p->pull.reference, e);
        /* the last things that are read from where the sandbox may not look */
        if (r == 0)
                r = trust_load(&p->trust, &p->pull.reference, e);
        if (r == 0)
                r = remote_load(&p->remote, o->credentials_fd, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT | SANDBOX_NETWORK, &p->store.root_fd, e);
        if (r == 0)
                r = store_open(&p->store, e);
        if (r == 0)
                r = remote_open(&p->remote, &p->pull.reference, &p->job.canceled, e);
        return r == 0 ? report_run(&p->job, e) : r;
}

int verb_pull(int argc, char *argv[]) {
        _cleanup_(pull_job_clear) PullJob p = {.store = STORE_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Options o = {.root = CTR_STATE_DIR,
                     .control_fd = -1,
                     .credentials_fd = -1,
                     .pull.unpack = true};
        int r;

        block_signals();
        platform_host(&o.pull.platform);
        o.pull.limits = apply_limits_default;
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = pull(&p, &o, &e);
        return report_end(o.control_fd, r, &e);
}
