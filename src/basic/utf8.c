/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/utf8.h"

size_t utf8_character(const char *s) {
        const unsigned char *p = (const unsigned char *) s;
        size_t n = *p < 0x80                 ? 1
                   : *p >= 0xc2 && *p < 0xe0 ? 2
                   : *p >= 0xe0 && *p < 0xf0 ? 3
                   : *p >= 0xf0 && *p < 0xf5 ? 4
                                             : 0;

        if ((*p == 0xe0 && p[1] < 0xa0) || (*p == 0xed && p[1] > 0x9f) ||
            (*p == 0xf0 && p[1] < 0x90) || (*p == 0xf4 && p[1] > 0x8f))
                return 0;
        for (size_t i = 1; i < n; i++)
                if ((p[i] & 0xc0) != 0x80)
                        return 0;
        return n;
}

bool utf8_is_valid(const char *s) {
        while (*s) {
                size_t n = utf8_character(s);

                if (n == 0)
                        return false;
                s += n;
        }
        return true;
}

char *utf8_repair(char *s) {
        for (char *p = s; p && *p;) {
                size_t n = utf8_character(p);

                if (n == 0)
                        *p++ = '?';
                else
                        p += n;
        }
        return s;
}

void utf8_make_printable(char *s) {
        (void) utf8_repair(s);
        for (unsigned char *p = (unsigned char *) s; *p; p++)
                if (*p < ' ' || *p == 0x7f)
                        *p = '?';
                else if (*p == 0xc2 && p[1] < 0xa0) /* U+0080 to U+009F */
                        p[0] = p[1] = '?';
}
