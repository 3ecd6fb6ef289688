/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/options.h"

#include <limits.h>
#include <signal.h>
#include <sys/socket.h>

#include "basic/process.h"

int option_fd(const char *name, const char *value, int *ret, Error *e) {
        char *end;
        long fd;

        errno = 0;
        fd = strtol(value, &end, 10);
        if (errno != 0 || *end || end == value || fd < 3 || fd > INT32_MAX ||
            fd_set_cloexec((int) fd, true) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--%s=%s is no open file", name, value);
        *ret = (int) fd;
        return 0;
}

int option_control_fd(const char *value, int *ret, Error *e) {
        socklen_t size = sizeof(int);
        int fd = -1, type;

        if (option_fd("control-fd", value, &fd, NULL) != 0 ||
            getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0 || type != SOCK_SEQPACKET)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--control-fd=%s is not a SOCK_SEQPACKET socket", value);
        *ret = fd;
        return 0;
}

int option_limit(const char *value, ApplyLimits *limits, Error *e) {
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

int option_unknown(Error *e) {
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "Unknown option or missing value, see ctr-worker --help");
}

void block_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}
