/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/log.h"

#include <stdarg.h>
#include <sys/uio.h>

#include "basic/utf8.h"

#define LINE_SIZE_MAX 4096

static int max_level = LOG_INFO;

void log_set_max_level(int level) {
        max_level = level;
}

int log_get_max_level(void) {
        return max_level;
}

void log_parse_environment(void) {
        static const char *const names[] = {"emerg",   "alert",  "crit", "err",
                                            "warning", "notice", "info", "debug"};
        const char *s = getenv("CTR_LOG_LEVEL");

        for (size_t i = 0; s && i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]) || (s[0] == (char) ('0' + i) && !s[1]))
                        log_set_max_level((int) i);
}

int log_internal(int level, int error, const char *format, ...) {
        char text[LINE_SIZE_MAX], prefix[8] = "";
        int saved_errno = errno;
        struct iovec iov[3];
        va_list ap;
        int n;

        errno = abs(error);
        va_start(ap, format);
        n = vsnprintf(text, sizeof(text), format, ap);
        va_end(ap);
        if (n >= 0) {
                /* a message is one line: what it quotes must not make another one */
                utf8_make_printable(text);
                if (getenv("JOURNAL_STREAM"))
                        (void) snprintf(prefix, sizeof(prefix), "<%i>", level & LOG_PRIMASK);
                iov[0] = (struct iovec){.iov_base = prefix, .iov_len = strlen(prefix)};
                iov[1] = (struct iovec){.iov_base = text, .iov_len = strlen(text)};
                iov[2] = (struct iovec){.iov_base = (char *) "\n", .iov_len = 1};
                /* where would one complain about a failed complaint? */
                (void) !writev(STDERR_FILENO, iov, ELEMENTSOF(iov));
        }
        errno = saved_errno;
        return -abs(error);
}
