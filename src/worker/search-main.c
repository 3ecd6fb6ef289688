/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker search: asks registries for the names of images. Those that the configuration lists
 * are asked, unless the term begins with a host. */

#include "basic/clock.h"
#include "basic/strv.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/remote.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define HOSTS_MAX   16
#define MAX_DEFAULT 25
#define MAX_MAX     1000U
/* all registries together: somebody waits for it, and a catalog may have a hundred slow pages */
#define SEARCH_SEC 120L

typedef struct Host {
        RegistrySearch search;
        char *name, *path;
        Registry *registry;
} Host;

typedef struct Search {
        WorkerJob job;
        Remote remote;
        Host hosts[HOSTS_MAX];
        size_t n_hosts;
        json_t *found; /* of the job's thread until that ends */
} Search;

/* One that cannot be asked is the end: nobody shall take a part for the whole. */
static int run(WorkerJob *j, Error *e) {
        _cleanup_(http_freep) Http *http = NULL;
        long limit_sec = http_time_limit("CTR_SEARCH_SEC", SEARCH_SEC);
        uint64_t deadline = now_monotonic() + (uint64_t) limit_sec * USEC_PER_SEC;
        Search *s = (Search *) j;
        int r;

        r = http_new(&http);
        for (size_t i = 0; r == 0 && i < s->n_hosts; i++) {
                Host *h = s->hosts + i;

                h->search.deadline = deadline;
                r = registry_search(h->registry, http, &h->search, s->found, e);
                if (r == CTR_DEADLINE_EXCEEDED)
                        return error_prefix(e, r, "The search is given up after %li s", limit_sec);
        }
        return r;
}

static json_t *progress(WorkerJob *j) {
        return json_pack("{s:s, s:s, s:[]}", "type", "progress", "phase", "search", "layers");
}

static json_t *result(WorkerJob *j) {
        return json_pack("{s:s, s:O}", "type", "result", "images", ((Search *) j)->found);
}

static const JobType type = {.name = "search", .run = run, .progress = progress, .result = result};

typedef struct Options {
        const char *term;
        uint64_t max;       /* of each registry */
        int control_fd;     /* -1: none */
        int credentials_fd; /* -1: those of the configuration */
} Options;

static int take_max(const WorkerOption *o, const char *value, Error *e) {
        return option_number(o, value, MAX_MAX, o->target, e);
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"credentials-fd", option_fd, &o->credentials_fd},
                        {"max", take_max, &o->max},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        return r == 0 ? options_only_argument(arguments, "term", &o->term, e) : r;
}

static void search_clear(Search *s) {
        for (size_t i = 0; i < s->n_hosts; i++) {
                registry_free(s->hosts[i].registry);
                free(s->hosts[i].name);
                free(s->hosts[i].path);
        }
        remote_close(&s->remote);
        json_decref(s->found);
        job_clear(&s->job);
}

/* n: the length of its name. */
static int add_host(Search *s, const char *name, size_t n, const char *term, size_t max, Error *e) {
        _cleanup_reference_ Reference reference = {};
        _cleanup_free_ char *any = NULL;
        Host *h = s->hosts + s->n_hosts;

        if (s->n_hosts == HOSTS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "More than %i registries are configured to search in", HOSTS_MAX);
        /* it must be one that an image's name can begin with */
        if (asprintf(&any, "%.*s/any/name", (int) n, name) < 0) {
                any = NULL;
                return -ENOMEM;
        }
        if (memchr(name, '/', n) || reference_host_length(any) != n ||
            reference_parse(any, &reference, NULL) != 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%.*s\" is not a registry host",
                                  (int) n, name);
        h->name = TAKE_PTR(reference.registry);
        s->n_hosts++;
        h->search = (RegistrySearch){.host = h->name, .term = term, .max = max};
        return 0;
}

/* Where to search for what. */
static int add_hosts(Search *s, const Options *o, Error *e) {
        char *const *configured = registries_unqualified(s->remote.registries);
        size_t n = reference_host_length(o->term);
        int r = 0;

        if (n > 0)
                return add_host(s, o->term, n, o->term + n + 1, o->max, e);
        if (isempty(o->term))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The term to search for is empty");
        if (!configured)
                return add_host(s, REFERENCE_DEFAULT_REGISTRY, STRLEN(REFERENCE_DEFAULT_REGISTRY),
                                o->term, o->max, e);
        for (; r == 0 && *configured; configured++)
                r = add_host(s, *configured, strlen(*configured), o->term, o->max, e);
        return r;
}

static int search(Search *s, const Options *o, Error *e) {
        int r;

        r = job_init(&s->job, &type, o->control_fd, e);
        if (r == 0 && !(s->found = json_array()))
                r = -ENOMEM;
        /* they are for one registry, and nobody said which */
        if (r == 0 && o->credentials_fd >= 0 && reference_host_length(o->term) == 0)
                r = error_setf(e, CTR_INVALID_ARGUMENT,
                               "Credentials are for one registry: the term must begin with its "
                               "host");
        if (r == 0)
                r = remote_load(&s->remote, o->credentials_fd, e);
        if (r == 0)
                r = add_hosts(s, o, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_NETWORK, NULL, e);
        if (r == 0)
                r = http_initialize();
        for (size_t i = 0; r == 0 && i < s->n_hosts; i++) {
                Host *h = s->hosts + i;

                r = remote_open_search(&s->remote, h->name, h->search.term, &s->job.canceled,
                                       &h->path, &h->registry, e);
                h->search.path = h->path;
        }
        return r == 0 ? report_run(&s->job, e) : r;
}

int verb_search(int argc, char *argv[]) {
        Options o = {.max = MAX_DEFAULT, .control_fd = -1, .credentials_fd = -1};
        _cleanup_(search_clear) Search s = {};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        block_signals();
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = search(&s, &o, &e);
        return report_end(o.control_fd, r, &e);
}
