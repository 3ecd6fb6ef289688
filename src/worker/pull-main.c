/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker pull: its options, and the order in which the job is set up. */

#include <getopt.h>

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

static int parse_policy(const char *s, bool *ret_prefer_local, Error *e) {
        *ret_prefer_local = streq(s, "missing");
        if (!*ret_prefer_local && !streq(s, "always"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--policy must be \"always\" or \"missing\"");
        return 0;
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        static const struct option options[] = {
                        {"root", required_argument, NULL, 'r'},
                        {"control-fd", required_argument, NULL, 'c'},
                        {"platform", required_argument, NULL, 'p'},
                        {"no-unpack", no_argument, NULL, 'n'},
                        {"limit", required_argument, NULL, 'm'},
                        {"policy", required_argument, NULL, 'l'},
                        {"credentials-fd", required_argument, NULL, 'k'},
                        {"known-digest", required_argument, NULL, 'd'},
                        {"all-platforms", no_argument, NULL, 'a'},
                        {},
        };
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'r':
                        o->root = optarg;
                        break;
                case 'c':
                        r = option_control_fd(optarg, &o->control_fd, e);
                        break;
                case 'k':
                        r = option_fd("credentials-fd", optarg, &o->credentials_fd, e);
                        break;
                case 'p':
                        r = platform_parse(optarg, &o->pull.platform, e);
                        break;
                case 'n':
                        o->pull.unpack = false;
                        break;
                case 'm':
                        r = option_limit(optarg, &o->pull.limits, e);
                        break;
                case 'l':
                        r = parse_policy(optarg, &o->pull.prefer_local, e);
                        break;
                case 'a':
                        o->pull.all_platforms = true;
                        break;
                case 'd':
                        o->pull.has_known = true;
                        r = digest_parse(optarg, &o->pull.known, e);
                        break;
                default:
                        r = option_unknown(e);
                }
        if (r == 0 && argc - optind != 1)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "Exactly one image reference is needed");
        if (r == 0)
                o->reference = argv[optind];
        return r;
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
