/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/signature.h"

#include <openssl/evp.h>
#include <openssl/pem.h>

#include "basic/base64.h"
#include "basic/json.h"

#define PAYLOAD_TYPE "application/vnd.dev.cosign.simplesigning.v1+json"
#define ANNOTATION   "dev.cosignproject.cosign/signature"
#define BASE64_MAX   4096 /* four times that of an RSA key of 4096 bits */

struct SignatureKeys {
        EVP_PKEY **items;
        size_t n;
};

const char *signature_tag(const Digest *manifest, char buf[static SIGNATURE_TAG_SIZE]) {
        (void) snprintf(buf, SIGNATURE_TAG_SIZE, "%s-%s.sig",
                        digest_algorithm_to_string(manifest->algorithm), manifest->hex);
        return buf;
}

void signatures_clear(Signatures *s) {
        for (size_t i = 0; i < s->n; i++) {
                free(s->items[i].base64);
                free(s->items[i].payload);
        }
        free(s->items);
        *s = (Signatures){};
}

/* An entry that is no signature is left alone. *ret_is tells. */
static int parse_entry(json_t *j, const char *path, Signature *ret, bool *ret_is, Error *e) {
        const char *media_type = NULL, *digest = NULL, *base64 = NULL;
        json_t *annotations;
        int r;

        *ret_is = false;
        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "%s: expected an object", path);
        r = json_get_string(j, path, "mediaType", &media_type, e);
        if (r < 0 || !streq_ptr(media_type, PAYLOAD_TYPE))
                return r < 0 ? r : 0;
        r = json_get_string(j, path, "digest", &digest, e);
        if (r > 0)
                r = json_get_uint64(j, path, "size", INT64_MAX, &ret->size, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "%s has no digest or size", path);
        r = digest_parse(digest, &ret->digest, e);
        if (r != 0)
                return error_prefix(e, r, "%s.digest", path);
        if (ret->size > SIGNATURE_PAYLOAD_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s is larger than %i bytes", path,
                                  SIGNATURE_PAYLOAD_MAX);
        r = json_get_object(j, path, "annotations", &annotations, e);
        if (r > 0)
                r = json_get_string(annotations, path, ANNOTATION, &base64, e);
        if (r < 0)
                return r;
        *ret_is = true;
        if (base64 && strlen(base64) <= BASE64_MAX && !(ret->base64 = strdup(base64)))
                return -ENOMEM;
        return 0;
}

static int parse_entries(json_t *layers, Signatures *s, Error *e) {
        json_t *item;
        size_t i;

        s->items = calloc(json_array_size(layers) + 1, sizeof(Signature));
        if (!s->items)
                return -ENOMEM;
        json_array_foreach(layers, i, item) {
                char path[32];
                bool is;
                int r;

                (void) snprintf(path, sizeof(path), "layers[%zu]", i);
                r = parse_entry(item, path, s->items + s->n, &is, e);
                if (r != 0)
                        return r;
                s->n += is;
        }
        return 0;
}

int signatures_parse(const char *data, size_t size, Signatures *ret, Error *e) {
        _cleanup_(signatures_clear) Signatures s = {};
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        json_t *layers;
        int r;

        assert(data && ret);

        r = json_parse(data, size, "document", &j, &local);
        if (r == 0 && !json_is_object(j))
                r = error_setf(&local, -EBADMSG, "it is no object");
        if (r == 0) {
                r = json_get_array(j, "", "layers", SIZE_MAX, &layers, &local);
                if (r == 0)
                        r = error_setf(&local, -EBADMSG, "layers is missing");
                else if (r > 0)
                        r = json_array_size(layers) > SIGNATURES_MAX
                                            ? error_setf(&local, CTR_RESOURCE_EXHAUSTED,
                                                         "it has more than %i signatures",
                                                         SIGNATURES_MAX)
                                            : parse_entries(layers, &s, &local);
        }
        if (r != 0) {
                if (local.code == -EBADMSG)
                        local.code = CTR_INVALID_ARGUMENT;
                return error_propagate(e, r, &local);
        }
        *ret = s;
        s = (Signatures){};
        return 0;
}

SignatureKeys *signature_keys_free(SignatureKeys *k) {
        if (!k)
                return NULL;
        for (size_t i = 0; i < k->n; i++)
                EVP_PKEY_free(k->items[i]);
        free(k->items);
        free(k);
        return NULL;
}

static EVP_PKEY *read_key(const char *pem, size_t size) {
        EVP_PKEY *key;
        BIO *bio;

        if (size > INT32_MAX || !(bio = BIO_new_mem_buf(pem, (int) size)))
                return NULL;
        key = PEM_read_bio_PUBKEY(bio, NULL, NULL, NULL);
        BIO_free(bio);
        return key;
}

int signature_keys_add(SignatureKeys **keys, const char *pem, size_t size, const char *where,
                       Error *e) {
        EVP_PKEY **larger, *key;

        assert(keys && pem && where);

        if (!*keys && !(*keys = calloc(1, sizeof(SignatureKeys))))
                return -ENOMEM;
        larger = reallocarray((*keys)->items, (*keys)->n + 1, sizeof(EVP_PKEY *));
        if (!larger)
                return -ENOMEM;
        (*keys)->items = larger;
        key = read_key(pem, size);
        if (!key || (EVP_PKEY_get_base_id(key) != EVP_PKEY_EC &&
                     EVP_PKEY_get_base_id(key) != EVP_PKEY_RSA &&
                     EVP_PKEY_get_base_id(key) != EVP_PKEY_ED25519)) {
                EVP_PKEY_free(key);
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "%s is no public key (ECDSA, RSA or Ed25519) in PEM", where);
        }
        larger[(*keys)->n++] = key;
        return 0;
}

/* 1: the key has signed it, 0: it has not; -ENOMEM. */
static int verify_one(EVP_PKEY *key, const Signature *s, const char *raw, size_t size) {
        EVP_MD_CTX *context;
        int r;

        context = EVP_MD_CTX_new();
        if (!context)
                return -ENOMEM;
        r = EVP_DigestVerifyInit(context, NULL,
                                 EVP_PKEY_get_base_id(key) == EVP_PKEY_ED25519 ? NULL
                                                                               : EVP_sha256(),
                                 NULL, key);
        if (r == 1)
                r = EVP_DigestVerify(context, (const unsigned char *) raw, size,
                                     (const unsigned char *) s->payload, s->size);
        EVP_MD_CTX_free(context);
        return r == 1;
}

int signature_verify(const Signature *s, const SignatureKeys *keys, SignedStatement *ret,
                     Error *e) {
        _cleanup_free_ char *raw = NULL;
        size_t size;
        int r;

        assert(s && s->payload && keys && ret);

        if (!s->base64)
                return error_setf(e, CTR_PERMISSION_DENIED, "it has no signature");
        r = base64_decode(s->base64, &raw, &size);
        if (r == -EBADMSG)
                return error_setf(e, CTR_PERMISSION_DENIED, "its signature is no base64");
        if (r < 0)
                return r;
        for (size_t i = 0; i < keys->n; i++) {
                r = verify_one(keys->items[i], s, raw, size);
                if (r < 0)
                        return r;
                if (r > 0)
                        return signed_statement_parse(s->payload, s->size, ret, e);
        }
        return error_setf(e, CTR_PERMISSION_DENIED, "none of the policy's keys has made it");
}
