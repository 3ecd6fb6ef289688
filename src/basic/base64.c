/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/base64.h"

static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";

char *base64_encode(const char *s) {
        size_t n = strlen(s);
        char *out = malloc((n + 2) / 3 * 4 + 1), *p = out;

        if (!out)
                return NULL;
        for (size_t i = 0; i < n; i += 3) {
                size_t left = MIN_OF(n - i, (size_t) 3);
                uint32_t group = (uint32_t) (unsigned char) s[i] << 16;

                if (left > 1)
                        group |= (uint32_t) (unsigned char) s[i + 1] << 8;
                if (left > 2)
                        group |= (unsigned char) s[i + 2];
                *p++ = alphabet[group >> 18];
                *p++ = alphabet[group >> 12 & 63];
                *p++ = left > 1 ? alphabet[group >> 6 & 63] : '=';
                *p++ = left > 2 ? alphabet[group & 63] : '=';
        }
        *p = '\0';
        return out;
}

/* The three bytes of four characters; of padding nothing counts. */
static int decode_group(const char *s, size_t padding, char out[static 3]) {
        uint32_t group = 0;

        for (size_t i = 0; i < 4; i++) {
                const char *c = i < 4 - padding ? strchr(alphabet, s[i]) : alphabet;

                if (!c)
                        return -EBADMSG;
                group = group << 6 | (uint32_t) (c - alphabet);
        }
        out[0] = (char) (group >> 16);
        out[1] = (char) (group >> 8 & 255);
        out[2] = (char) (group & 255);
        return 0;
}

int base64_decode(const char *s, char **ret, size_t *ret_size) {
        _cleanup_free_ char *out = NULL;
        size_t n, padding = 0;

        assert(s && ret && ret_size);

        n = strlen(s);
        if (n % 4 != 0)
                return -EBADMSG;
        while (padding < 2 && n > 0 && s[n - 1 - padding] == '=')
                padding++;
        out = malloc(n / 4 * 3 + 1);
        if (!out)
                return -ENOMEM;
        for (size_t i = 0; i < n; i += 4) {
                int r = decode_group(s + i, i + 4 == n ? padding : 0, out + i / 4 * 3);

                if (r < 0)
                        return r;
        }
        *ret_size = n / 4 * 3 - padding;
        out[*ret_size] = '\0';
        *ret = TAKE_PTR(out);
        return 0;
}
