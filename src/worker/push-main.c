/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker push: its options, and the order in which the job is set up. */

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

static int take_chunk_size(const WorkerOption *o, const char *value, Error *e) {
        uint64_t *target = o->target;
        unsigned long long size;
        char *end;

        errno = 0;
        size = strtoull(value, &end, 10);
        if (errno != 0 || *end || *value < '0' || *value > '9' ||
            (size > 0 && size < PUSH_CHUNK_MIN) || size > BLOB_SIZE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--chunk-size must be 0 or at least %i bytes", PUSH_CHUNK_MIN);
        *target = size;
        return 0;
}

/* It becomes part of an address, and of the scope of a token. */
static int take_mount_from(const WorkerOption *o, const char *value, Error *e) {
        char ***list = o->target;
        _cleanup_free_ char *name = NULL;
        _cleanup_reference_ Reference ref = {};
        int r;

        if (asprintf(&name, "localhost/%s", value) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        r = reference_parse(name, &ref, e);
        if (r != 0)
                return error_prefix(e, r, "--mount-from=%s", value);
        if (!streq(ref.repository, value))
                return error_setf(e, CTR_INVALID_ARGUMENT, "--mount-from=%s is no repository",
                                  value);
        if (strv_length(*list) == MOUNT_FROM_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--mount-from can be given %i times at most", MOUNT_FROM_MAX);
        return strv_extend(list, value);
}

static int take_from_digest(const WorkerOption *o, const char *value, Error *e) {
        PushOptions *push = o->target;

        push->has_digest = true;
        return digest_parse(value, &push->digest, e);
}

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"credentials-fd", option_fd, &o->credentials_fd},
                        {"platform", option_platform, &o->push.platform},
                        {"all-platforms", option_set, &o->push.all_platforms},
                        {"from-digest", take_from_digest, &o->push},
                        {"chunk-size", take_chunk_size, &o->push.chunk},
                        {"mount-from", take_mount_from, &o->push.mount_from},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        return r == 0 ? options_only_argument(arguments, "image reference", &o->reference, e) : r;
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
