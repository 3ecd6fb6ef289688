/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/base64.h"

#include <limits.h>
#include <openssl/evp.h>

/* EVP_DecodeBlock() accepts white space around the text, and padding in the middle of it. */
static bool is_base64(const char *s, size_t n, size_t *ret_padding) {
        static const char alphabet[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                       "0123456789+/";
        size_t padding = 0;

        if (n == 0 || n % 4 != 0 || n > INT_MAX)
                return false;
        while (padding < 2 && s[n - 1 - padding] == '=')
                padding++;
        for (size_t i = 0; i < n - padding; i++)
                if (!memchr(alphabet, s[i], sizeof(alphabet) - 1))
                        return false;
        *ret_padding = padding;
        return true;
}

int base64_decode_bytes(const char *s, size_t n, char **ret, size_t *ret_size) {
        size_t padding;
        char *bytes;
        int r;

        assert(s && ret && ret_size);

        if (!is_base64(s, n, &padding))
                return -EBADMSG;
        bytes = malloc(n / 4 * 3 + 1);
        if (!bytes)
                return -ENOMEM;
        r = EVP_DecodeBlock((unsigned char *) bytes, (const unsigned char *) s, (int) n);
        if (r < 0 || (size_t) r < padding) {
                free(bytes);
                return -EBADMSG;
        }
        *ret_size = (size_t) r - padding;
        bytes[*ret_size] = '\0';
        *ret = bytes;
        return 0;
}
