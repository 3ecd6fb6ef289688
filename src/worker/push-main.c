/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker push: its options, and the order in which the job is set up. */

#include <getopt.h>

#include "basic/strv.h"
#include "config.h"
#include "worker/options.h"
#include "worker/push.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define MOUNT_FROM_MAX 8

typedef struct Options {
        PushOptions push;
        const char *root, *reference;
        int control_fd;     /* -1: none */
        int credentials_fd; /* -1: those of the configuration */
} Options;

static int parse_chunk(const char *s, uint64_t *ret, Error *e) {
        unsigned long long size;
        char *end;

        errno = 0;
        size = strtoull(s, &end, 10);
        if (errno != 0 || *end || *s < '0' || *s > '9' || (size > 0 && size < PUSH_CHUNK_MIN) ||
            size > BLOB_SIZE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--chunk-size must be 0 or at least %i bytes", PUSH_CHUNK_MIN);
        *ret = size;
        return 0;
}

/* It becomes part of an address, and of the scope of a token. */
static int parse_mount_from(const char *s, char ***list, Error *e) {
        _cleanup_free_ char *name = NULL;
        _cleanup_reference_ Reference ref = {};
        int r;

        if (asprintf(&name, "localhost/%s", s) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        r = reference_parse(name, &ref, e);
        if (r != 0)
                return error_prefix(e, r, "--mount-from=%s", s);
        if (!streq(ref.repository, s))
                return error_setf(e, CTR_INVALID_ARGUMENT, "--mount-from=%s is no repository", s);
        if (strv_length(*list) == MOUNT_FROM_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--mount-from can be given %i times at most", MOUNT_FROM_MAX);
        return strv_extend(list, s);
}

static int parse_option(int c, const char *value, Options *o, Error *e) {
        switch (c) {
        case 'r':
                o->root = value;
                return 0;
        case 'c':
                return option_control_fd(value, &o->control_fd, e);
        case 'k':
                return option_fd("credentials-fd", value, &o->credentials_fd, e);
        case 'p':
                return platform_parse(value, &o->push.platform, e);
        case 'a':
                o->push.all_platforms = true;
                return 0;
        case 'd':
                o->push.has_digest = true;
                return digest_parse(value, &o->push.digest, e);
        case 's':
                return parse_chunk(value, &o->push.chunk, e);
        case 'm':
                return parse_mount_from(value, &o->push.mount_from, e);
        default:
                return option_unknown(e);
        }
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        static const struct option options[] = {
                        {"root", required_argument, NULL, 'r'},
                        {"control-fd", required_argument, NULL, 'c'},
                        {"credentials-fd", required_argument, NULL, 'k'},
                        {"platform", required_argument, NULL, 'p'},
                        {"all-platforms", no_argument, NULL, 'a'},
                        {"from-digest", required_argument, NULL, 'd'},
                        {"chunk-size", required_argument, NULL, 's'},
                        {"mount-from", required_argument, NULL, 'm'},
                        {},
        };
        int c, r = 0;

        while (r == 0 && (c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                r = parse_option(c, optarg, o, e);
        if (r == 0 && argc - optind != 1)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "Exactly one image reference is needed");
        if (r == 0)
                o->reference = argv[optind];
        return r;
}

static int push(Push *p, const Options *o, Error *e) {
        int r;

        r = push_init(p, &o->push, o->control_fd, e);
        if (r == 0)
                r = store_open_root(&p->store, o->root, e);
        if (r == 0)
                r = reference_parse(o->reference, &p->reference, e);
        /* the last things that are read from where the sandbox may not look */
        if (r == 0)
                r = remote_load(&p->remote, o->credentials_fd, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_NETWORK, &p->store.root_fd, e);
        if (r == 0)
                r = store_open(&p->store, e);
        if (r == 0)
                r = remote_open(&p->remote, &p->reference, &p->job.canceled, e);
        return r == 0 ? report_run(&p->job, e) : r;
}

int verb_push(int argc, char *argv[]) {
        _cleanup_(push_clear) Push p = {.store = STORE_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Options o = {.root = CTR_STATE_DIR, .control_fd = -1, .credentials_fd = -1};
        int r;

        block_signals();
        platform_host(&o.push.platform);
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = push(&p, &o, &e);
        strv_free(o.push.mount_from);
        return report_end(o.control_fd, r, &e);
}
