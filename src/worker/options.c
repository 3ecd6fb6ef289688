/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/options.h"

#include <getopt.h>
#include <limits.h>
#include <signal.h>
#include <sys/socket.h>

#include "basic/fs.h"
#include "basic/process.h"
#include "image/digest.h"
#include "image/platform.h"
#include "worker/container-root.h"

#define OPTIONS_MAX 16
#define REQUEST_MAX (4U * 1024 * 1024)
#define OPTION_BASE 256 /* of the values of getopt_long(), behind all characters */

static bool option_has_value(const WorkerOption *o) {
        return o->take != option_set && o->take != option_unset;
}

int options_parse(const WorkerOption *options, int argc, char *argv[], char ***ret_arguments,
                  Error *e) {
        struct option table[OPTIONS_MAX + 1] = {};
        const WorkerOption *arguments = NULL;
        size_t n = 0;
        int c, r;

        for (const WorkerOption *o = options; o->take; o++) {
                if (*o->name == '\0') {
                        arguments = o;
                        continue;
                }
                assert(n < OPTIONS_MAX);
                table[n++] = (struct option){
                                .name = o->name,
                                .has_arg = option_has_value(o) ? required_argument : no_argument,
                                .val = OPTION_BASE + (int) (o - options),
                };
        }
        /* "-": an argument is the value of an option 1 */
        while ((c = getopt_long(argc, argv, arguments ? "-" : "", table, NULL)) >= 0) {
                const WorkerOption *o = c == 1             ? arguments
                                        : c >= OPTION_BASE ? options + (c - OPTION_BASE)
                                                           : NULL;

                if (!o)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "Unknown option or missing value, see ctr-worker --help");
                r = o->take(o, optarg, e);
                if (r != 0)
                        return r;
        }
        for (; arguments && argv[optind]; optind++) {
                r = arguments->take(arguments, argv[optind], e);
                if (r != 0)
                        return r;
        }
        *ret_arguments = argv + optind;
        return 0;
}

int options_only_argument(char *const *arguments, const char *what, const char **ret, Error *e) {
        if (!arguments[0] || arguments[1])
                return error_setf(e, CTR_INVALID_ARGUMENT, "Exactly one %s is needed", what);
        *ret = arguments[0];
        return 0;
}

int option_set(const WorkerOption *o, const char *value, Error *e) {
        *(bool *) o->target = true;
        return 0;
}

int option_unset(const WorkerOption *o, const char *value, Error *e) {
        *(bool *) o->target = false;
        return 0;
}

int option_string(const WorkerOption *o, const char *value, Error *e) {
        *(const char **) o->target = value;
        return 0;
}

int option_number(const WorkerOption *o, const char *value, uint64_t max, uint64_t *ret, Error *e) {
        unsigned long long n;
        char *end;

        errno = 0;
        n = strtoull(value, &end, 10);
        if (errno != 0 || *end || *value < '1' || *value > '9' || n > max)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--%s=%s is not a number from 1 to %llu",
                                  o->name, value, (unsigned long long) max);
        *ret = n;
        return 0;
}

int option_fd(const WorkerOption *o, const char *value, Error *e) {
        char *end;
        long fd;

        errno = 0;
        fd = strtol(value, &end, 10);
        if (errno != 0 || *end || end == value || fd < 3 || fd > INT32_MAX ||
            fd_set_cloexec((int) fd, true) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--%s=%s is no open file", o->name,
                                  value);
        *(int *) o->target = (int) fd;
        return 0;
}

int option_control_fd(const WorkerOption *o, const char *value, Error *e) {
        int fd = -1, type, *target = o->target;
        const WorkerOption plain = {o->name, option_fd, &fd};
        socklen_t size = sizeof(int);

        if (option_fd(&plain, value, NULL) != 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--%s=%s is not a SOCK_SEQPACKET socket",
                                  o->name, value);
        *target = fd;
        return 0;
}

int option_request(const WorkerOption *o, const char *value, Error *e) {
        _cleanup_close_ int fd = -1;
        const WorkerOption plain = {o->name, option_fd, &fd};
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *j = NULL;
        json_t **request = o->target;
        size_t size;
        int r;

        r = option_fd(&plain, value, e);
        if (r != 0)
                return r;
        r = fd_read_all(fd, REQUEST_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r == -EFBIG ? CTR_INVALID_ARGUMENT : r,
                                  "Failed to read the request: %s", strerror(-r));
        r = json_parse(text, size, "request", &j, e);
        if (r != 0)
                return r;
        if (!json_is_object(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The request is no object");
        json_decref(*request);
        *request = TAKE_PTR(j);
        return 0;
}

int option_platform(const WorkerOption *o, const char *value, Error *e) {
        return platform_parse(value, o->target, e);
}

int option_digest(const WorkerOption *o, const char *value, Error *e) {
        return digest_parse(value, o->target, e);
}

int option_layers(const WorkerOption *o, const char *value, Error *e) {
        return container_root_parse_layers(o->target, value, e);
}

int option_limit(const WorkerOption *o, const char *value, Error *e) {
        ApplyLimits *limits = o->target;
        uint64_t xattr_bytes = limits->xattr_bytes, xattr_count = limits->xattr_count;
        const struct {
                const char *prefix;
                uint64_t *field, max;
        } known[] = {{"entries=", &limits->entries, UINT32_MAX},
                     {"bytes=", &limits->bytes, INT64_MAX},
                     {"xattr-bytes=", &xattr_bytes, XATTR_SIZE_MAX},
                     {"xattr-count=", &xattr_count, UINT16_MAX}};

        for (size_t i = 0; i < ELEMENTSOF(known); i++) {
                const char *number = startswith(value, known[i].prefix);
                unsigned long long n;
                char *end;

                if (!number)
                        continue;
                errno = 0;
                n = strtoull(number, &end, 10);
                if (errno != 0 || *end || *number < '0' || *number > '9' || n > known[i].max)
                        break;
                *known[i].field = n;
                limits->xattr_bytes = xattr_bytes;
                limits->xattr_count = (unsigned) xattr_count;
                return 0;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "--limit=%s is no limit of a layer", value);
}

void block_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}
