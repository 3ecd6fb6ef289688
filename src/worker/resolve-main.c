/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker resolve: asks a registry what a reference names at the moment. No layer is fetched,
 * and mostly not even a manifest. */

#include "image/manifest.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/remote.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Resolve {
        WorkerJob job;
        Remote remote;
        Reference reference;
        Digest digest; /* what was found */
} Resolve;

static int run(WorkerJob *j, Error *e) {
        _cleanup_(http_freep) Http *http = NULL;
        Resolve *q = (Resolve *) j;
        const Reference *ref = &q->reference;
        int r;

        r = http_new(&http);
        if (r < 0)
                return r;
        return registry_resolve(q->remote.registry, http,
                                ref->has_digest ? DIGEST_STRING(&ref->digest) : ref->tag,
                                MANIFEST_SIZE_MAX, &q->digest, e);
}

static json_t *progress(WorkerJob *j) {
        return json_pack("{s:s, s:s, s:[]}", "type", "progress", "phase", "resolve", "layers");
}

static json_t *result(WorkerJob *j) {
        const Resolve *q = (Resolve *) j;
        _cleanup_free_ char *reference = NULL;

        reference = reference_to_string(&q->reference);
        return reference ? json_pack("{s:s, s:s, s:s}", "type", "result", "reference", reference,
                                     "digest", DIGEST_STRING(&q->digest))
                         : NULL;
}

static const JobType type = {.name = "request", .run = run, .progress = progress, .result = result};

typedef struct Options {
        const char *reference;
        int control_fd;     /* -1: none */
        int credentials_fd; /* -1: those of the configuration */
} Options;

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"credentials-fd", option_fd, &o->credentials_fd},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        return r == 0 ? options_only_argument(arguments, "image reference", &o->reference, e) : r;
}

static void resolve_clear(Resolve *q) {
        remote_close(&q->remote);
        reference_clear(&q->reference);
        job_clear(&q->job);
}

static int resolve(Resolve *q, const Options *o, Error *e) {
        int r;

        r = job_init(&q->job, &type, o->control_fd, e);
        if (r == 0)
                r = reference_parse(o->reference, &q->reference, e);
        if (r == 0)
                r = remote_load(&q->remote, o->credentials_fd, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_NETWORK, NULL, e);
        if (r == 0)
                r = remote_open(&q->remote, &q->reference, &q->job.canceled, e);
        return r == 0 ? report_run(&q->job, e) : r;
}

int verb_resolve(int argc, char *argv[]) {
        _cleanup_(resolve_clear) Resolve q = {};
        Options o = {.control_fd = -1, .credentials_fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = resolve(&q, &o, &e);
        return report_end(o.control_fd, r, &e);
}
