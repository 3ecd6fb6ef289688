/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/detach-keys.h"

#include <ctype.h>

/* The key that the n characters at s name, or -EINVAL. */
static int parse_key(const char *s, size_t n) {
        const char *control = startswith(s, "ctrl-");
        int c;

        if (n == 1 && (unsigned char) *s >= 0x20)
                return (unsigned char) *s;
        if (!control || n != STRLEN("ctrl-") + 1)
                return -EINVAL;
        c = toupper((unsigned char) *control);
        return c >= '@' && c <= '_' ? c - '@' : -EINVAL;
}

int parse_detach_keys(const char *s, void *target, Error *e) {
        DetachKeys keys = {.set = true};

        for (const char *p = s; *p;) {
                size_t n = strcspn(p, ",");
                int key = parse_key(p, n);

                if (key < 0 || keys.n == DETACH_KEYS_MAX || (p[n] == ',' && p[n + 1] == '\0'))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" is not a sequence of at most %i keys such as %s",
                                          s, DETACH_KEYS_MAX, DETACH_KEYS_DEFAULT);
                keys.keys[keys.n++] = (unsigned char) key;
                p += n + (p[n] == ',');
        }
        *(DetachKeys *) target = keys;
        return 0;
}

/* With matched keys seen and another one than the next: how much of their end, at least one less,
 * is a beginning of the sequence. */
static size_t fall_back(const DetachKeys *k, size_t matched) {
        for (size_t n = matched - 1; n > 0; n--)
                if (memcmp(k->keys, k->keys + matched - n, n) == 0)
                        return n;
        return 0;
}

bool detach_keys_scan(const DetachKeys *k, size_t *matched, const unsigned char *in, size_t n,
                      unsigned char *out, size_t *ret_n) {
        size_t n_out = 0;

        for (size_t i = 0; i < n; i++) {
                while (*matched > 0 && in[i] != k->keys[*matched]) {
                        size_t kept = fall_back(k, *matched);

                        memcpy(out + n_out, k->keys, *matched - kept);
                        n_out += *matched - kept;
                        *matched = kept;
                }
                if (k->n > 0 && in[i] == k->keys[*matched])
                        ++*matched;
                else
                        out[n_out++] = in[i];
                if (k->n > 0 && *matched == k->n) {
                        *ret_n = n_out;
                        return true;
                }
        }
        *ret_n = n_out;
        return false;
}
