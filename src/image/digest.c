/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/digest.h"

static const struct {
        const char *name;
        size_t hex_length;
} algorithms[_DIGEST_ALGORITHM_MAX] = {
                [DIGEST_SHA256] = {"sha256", 64},
                [DIGEST_SHA512] = {"sha512", 128},
};

const char *digest_algorithm_to_string(DigestAlgorithm a) {
        assert(a < _DIGEST_ALGORITHM_MAX);

        return algorithms[a].name;
}

size_t digest_hex_length(DigestAlgorithm a) {
        assert(a < _DIGEST_ALGORITHM_MAX);

        return algorithms[a].hex_length;
}

/* algorithm-component (algorithm-separator algorithm-component)* of descriptor.md */
static bool algorithm_is_wellformed(const char *s, size_t n) {
        bool component = false;

        for (size_t i = 0; i < n; i++)
                if ((s[i] >= 'a' && s[i] <= 'z') || (s[i] >= '0' && s[i] <= '9'))
                        component = true;
                else if (strchr("+._-", s[i]) && component)
                        component = false;
                else
                        return false;
        return component;
}

int digest_parse(const char *s, Digest *ret, Error *e) {
        size_t n, hex_length;
        Digest d = {};

        assert(s && ret);

        n = strcspn(s, ":");
        if (s[n] != ':' || !algorithm_is_wellformed(s, n))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%.160s\" is not a digest of the form algorithm:hex", s);

        for (d.algorithm = 0; d.algorithm < _DIGEST_ALGORITHM_MAX; d.algorithm++)
                if (strlen(algorithms[d.algorithm].name) == n &&
                    strncmp(algorithms[d.algorithm].name, s, n) == 0)
                        break;
        if (d.algorithm == _DIGEST_ALGORITHM_MAX)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "The digest algorithm of \"%.160s\" is neither sha256 nor sha512",
                                  s);

        hex_length = algorithms[d.algorithm].hex_length;
        if (strspn(s + n + 1, "0123456789abcdef") != hex_length || s[n + 1 + hex_length] != '\0')
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%.160s\" is not a digest: %s has %zu lower-case hexadecimal "
                                  "digits",
                                  s, algorithms[d.algorithm].name, hex_length);
        memcpy(d.hex, s + n + 1, hex_length);
        *ret = d;
        return 0;
}

const char *digest_to_string(const Digest *d, char buf[static DIGEST_STRING_SIZE]) {
        (void) snprintf(buf, DIGEST_STRING_SIZE, "%s:%s", digest_algorithm_to_string(d->algorithm),
                        d->hex);
        return buf;
}

bool digest_equal(const Digest *a, const Digest *b) {
        return a->algorithm == b->algorithm && streq(a->hex, b->hex);
}
