/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/hash.h"

#include <openssl/evp.h>

#define READ_SIZE (256 * 1024)

struct Hash {
        DigestAlgorithm algorithm;
        EVP_MD_CTX *context;
};

int hash_new(DigestAlgorithm algorithm, Hash **ret) {
        _cleanup_(hash_freep) Hash *h = NULL;

        assert(ret);

        h = calloc(1, sizeof(Hash));
        if (!h)
                return -ENOMEM;
        h->algorithm = algorithm;
        h->context = EVP_MD_CTX_new();
        if (!h->context ||
            EVP_DigestInit_ex(h->context, algorithm == DIGEST_SHA512 ? EVP_sha512() : EVP_sha256(),
                              NULL) != 1)
                return -ENOMEM;
        *ret = TAKE_PTR(h);
        return 0;
}

int hash_update(Hash *h, const void *data, size_t size) {
        assert(h);

        return EVP_DigestUpdate(h->context, data, size) == 1 ? 0 : -EIO;
}

int hash_final(Hash *h, Digest *ret) {
        static const char digits[] = "0123456789abcdef";
        unsigned char raw[EVP_MAX_MD_SIZE];
        unsigned n = 0;

        assert(h && ret);

        if (EVP_DigestFinal_ex(h->context, raw, &n) != 1 ||
            2 * (size_t) n != digest_hex_length(h->algorithm))
                return -EIO;
        *ret = (Digest){.algorithm = h->algorithm};
        for (unsigned i = 0; i < n; i++) {
                ret->hex[2 * i] = digits[raw[i] >> 4];
                ret->hex[2 * i + 1] = digits[raw[i] & 15];
        }
        return 0;
}

Hash *hash_free(Hash *h) {
        if (!h)
                return NULL;
        EVP_MD_CTX_free(h->context);
        free(h);
        return NULL;
}

int hash_buffer(DigestAlgorithm algorithm, const void *data, size_t size, Digest *ret) {
        _cleanup_(hash_freep) Hash *h = NULL;
        int r;

        r = hash_new(algorithm, &h);
        if (r < 0)
                return r;
        r = hash_update(h, data, size);
        if (r < 0)
                return r;
        return hash_final(h, ret);
}

int hash_file(DigestAlgorithm algorithm, int fd, Digest *ret) {
        _cleanup_(hash_freep) Hash *h = NULL;
        _cleanup_free_ char *buf = NULL;
        off_t offset = 0;
        int r;

        buf = malloc(READ_SIZE);
        if (!buf)
                return -ENOMEM;
        r = hash_new(algorithm, &h);
        if (r < 0)
                return r;
        for (;;) {
                ssize_t n = pread(fd, buf, READ_SIZE, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return hash_final(h, ret);
                r = hash_update(h, buf, (size_t) n);
                if (r < 0)
                        return r;
                offset += n;
        }
}

int hash_chain_id(const Digest *parent, const Digest *diff_id, Digest *ret) {
        char text[2 * DIGEST_STRING_SIZE];

        assert(diff_id && ret);

        if (!parent) {
                *ret = *diff_id;
                return 0;
        }
        (void) snprintf(text, sizeof(text), "%s %s", DIGEST_STRING(parent), DIGEST_STRING(diff_id));
        return hash_buffer(DIGEST_SHA256, text, strlen(text), ret);
}
