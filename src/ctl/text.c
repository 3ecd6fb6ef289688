/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/text.h"

#include <langinfo.h>
#include <limits.h>
#include <locale.h>
#include <sys/ioctl.h>
#include <time.h>
#include <wchar.h>

static bool locale_done, locale_utf8;

void text_init_locale(void) {
        if (locale_done)
                return;
        /* only characters: numbers and messages stay the same everywhere */
        (void) setlocale(LC_CTYPE, "");
        locale_utf8 = streq(nl_langinfo(CODESET), "UTF-8");
        locale_done = true;
}

static bool is_plain(unsigned char c) {
        return c >= 0x20 && c < 0x7f;
}

/* What turns around the order in which a terminal shows what comes after it. */
static bool is_direction(wchar_t c) {
        return (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

/* Bytes of the printable character at s, its columns; 0 if it is none. */
static size_t character(const char *s, size_t *ret_width) {
        mbstate_t state = {};
        wchar_t wc;
        size_t n;
        int w;

        if (is_plain((unsigned char) *s)) {
                *ret_width = 1;
                return 1;
        }
        n = mbrtowc(&wc, s, strlen(s), &state);
        if (n == 0 || n > MB_LEN_MAX)
                return 0;
        w = wcwidth(wc);
        if (w < 0 || is_direction(wc))
                return 0;
        *ret_width = (size_t) w;
        return n;
}

char *text_escape(const char *s) {
        char *escaped, *p;
        size_t width;

        text_init_locale();
        escaped = malloc(4 * strlen(s) + 1);
        if (!escaped)
                return NULL;
        for (p = escaped; *s;) {
                size_t n = character(s, &width);

                if (n == 0) {
                        p += sprintf(p, "\\x%02x", (unsigned char) *s++);
                        continue;
                }
                memcpy(p, s, n);
                p += n;
                s += n;
        }
        *p = '\0';
        return escaped;
}

size_t text_width(const char *s) {
        size_t width = 0, w = 1;

        while (*s) {
                size_t n = character(s, &w);

                width += n > 0 ? w : 1;
                s += n > 0 ? n : 1;
        }
        return width;
}

void text_shorten(char *s, size_t capacity, size_t width) {
        const char *ellipsis = locale_utf8 ? "\xe2\x80\xa6" : ".";
        size_t used = 0, w = 1;
        char *p = s;

        if (text_width(s) <= width)
                return;
        if (width == 0) {
                *s = '\0';
                return;
        }
        for (;;) {
                size_t n = character(p, &w);

                if (n == 0)
                        n = w = 1;
                if (used + w > width - 1 || (size_t) (p - s) + n + strlen(ellipsis) >= capacity)
                        break;
                used += w;
                p += n;
        }
        if (capacity > strlen(ellipsis))
                strcpy(p, ellipsis);
}

const char *text_bytes(uint64_t bytes, char buf[static TEXT_NUMBER_MAX]) {
        static const char units[] = "BKMGTPE";
        uint64_t tenths = bytes;
        size_t i = 0;

        if (bytes < 1024) {
                (void) snprintf(buf, TEXT_NUMBER_MAX, "%uB", (unsigned) bytes);
                return buf;
        }
        while (tenths >= 1024 * 1024) {
                tenths /= 1024;
                i++;
        }
        tenths = tenths * 10 / 1024;
        i++;
        (void) snprintf(buf, TEXT_NUMBER_MAX, "%u.%u%c", (unsigned) (tenths / 10),
                        (unsigned) (tenths % 10), units[i]);
        return buf;
}

const char *text_span(uint64_t usec, char buf[static TEXT_AGO_MAX]) {
        static const struct {
                uint64_t seconds;
                const char *name;
        } units[] = {{365 * 86400, "year"}, {30 * 86400, "month"}, {7 * 86400, "week"},
                     {86400, "day"},        {3600, "hour"},        {60, "minute"},
                     {1, "second"}};
        uint64_t seconds = usec / USEC_PER_SEC;

        for (size_t i = 0; i < ELEMENTSOF(units); i++) {
                uint64_t n = seconds / units[i].seconds;

                if (n == 0)
                        continue;
                (void) snprintf(buf, TEXT_AGO_MAX, "%llu %s%s", (unsigned long long) n,
                                units[i].name, n == 1 ? "" : "s");
                return buf;
        }
        (void) snprintf(buf, TEXT_AGO_MAX, "less than a second");
        return buf;
}

const char *text_time(uint64_t usec, char buf[static TEXT_TIME_MAX]) {
        time_t seconds = (time_t) (usec / USEC_PER_SEC);
        char zone[8] = "", clock[32] = "";
        struct tm tm;

        if (!localtime_r(&seconds, &tm) || strftime(clock, sizeof(clock), "%FT%T", &tm) == 0 ||
            strftime(zone, sizeof(zone), "%z", &tm) != STRLEN("+0200")) {
                (void) snprintf(buf, TEXT_TIME_MAX, "-");
                return buf;
        }
        (void) snprintf(buf, TEXT_TIME_MAX, "%s.%06u%.3s:%s", clock,
                        (unsigned) (usec % USEC_PER_SEC), zone, zone + 3);
        return buf;
}

static unsigned terminal_number(const char *variable) {
        const char *s = getenv(variable);
        unsigned long n = s ? strtoul(s, NULL, 10) : 0;

        return n > 0 && n < 10000 ? (unsigned) n : 0;
}

unsigned terminal_columns(int fd) {
        struct winsize size = {};

        if (!isatty(fd))
                return 0;
        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_col == 0)
                return terminal_number("COLUMNS") ?: 80;
        return size.ws_col;
}

unsigned terminal_lines(int fd) {
        struct winsize size = {};

        if (!isatty(fd))
                return 0;
        if (ioctl(fd, TIOCGWINSZ, &size) < 0 || size.ws_row == 0)
                return terminal_number("LINES") ?: 24;
        return size.ws_row;
}
