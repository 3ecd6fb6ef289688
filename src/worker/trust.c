/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/trust.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/hash.h"
#include "image/manifest.h"

#define KEY_SIZE_MAX (64 * 1024)

/* "The signature policy FILE does not accept WHAT: ... REASON" */
static int refuse(const Trust *t, const PolicyScope *scope, int code, const char *what,
                  const char *reason, Error *e) {
        char rule[POLICY_TEXT_SIZE];

        return error_setf(e, code, "The signature policy %s does not accept %s: by %s %s",
                          policy_file(t->policy), what, policy_scope_describe(scope, rule), reason);
}

/* What is refused whoever has signed it. */
static int check_refusals(const Trust *t, const PolicyScope *scope, const char *what, Error *e) {
        for (size_t i = 0; i < scope->n_requirements; i++) {
                const PolicyRequirement *q = scope->requirements + i;
                char reason[POLICY_TEXT_SIZE];

                if (q->kind == POLICY_REJECT)
                        return refuse(t, scope, CTR_PERMISSION_DENIED, what, "all is rejected", e);
                if (q->kind != POLICY_UNSUPPORTED)
                        continue;
                (void) snprintf(reason, sizeof(reason), "it needs %s, which cannot be checked here",
                                q->unsupported);
                return refuse(t, scope, CTR_NOT_IMPLEMENTED, what, reason, e);
        }
        return 0;
}

static int load_key_file(const char *path, SignatureKeys **keys, Error *e) {
        _cleanup_free_ char *pem = NULL;
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        r = fd < 0 ? -errno : fd_read_all(fd, KEY_SIZE_MAX, &pem, &size);
        if (r < 0) {
                errno = -r;
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Failed to read %s, a key of the signature policy: %m", path);
        }
        return signature_keys_add(keys, pem, size, path, e);
}

static int load_keys(const Trust *t, const PolicyRequirement *q, SignatureKeys **keys, Error *e) {
        int r = 0;

        STRV_FOREACH(path, q->key_files)
                if (r == 0)
                        r = load_key_file(*path, keys, e);
        STRV_FOREACH(pem, q->keys)
                if (r == 0)
                        r = signature_keys_add(keys, *pem, strlen(*pem), policy_file(t->policy), e);
        return r;
}

int trust_load_policy(Trust *t, Error *e) {
        assert(t);

        return policy_load(&t->policy, e);
}

int trust_load(Trust *t, const Reference *reference, Error *e) {
        _cleanup_free_ char *what = NULL;
        int r;

        assert(t && reference);

        r = policy_load(&t->policy, e);
        if (r != 0 || !t->policy)
                return r;
        what = reference_to_string(reference);
        t->scope = policy_find_reference(t->policy, reference);
        if (!what || !t->scope)
                return -ENOMEM;
        r = check_refusals(t, t->scope, what, e);
        if (r != 0)
                return r;
        t->keys = calloc(t->scope->n_requirements, sizeof(SignatureKeys *));
        if (!t->keys)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < t->scope->n_requirements; i++)
                if (t->scope->requirements[i].kind == POLICY_SIGSTORE)
                        r = load_keys(t, t->scope->requirements + i, t->keys + i, e);
        return r;
}

void trust_clear(Trust *t) {
        for (size_t i = 0; t->keys && i < t->scope->n_requirements; i++)
                signature_keys_free(t->keys[i]);
        free(t->keys);
        policy_free(t->policy);
        *t = (Trust){};
}

/* An image under examination, with what was fetched of its signatures. */
typedef struct Examination {
        const TrustImage *image;
        Registry *registry;
        Http *http;
        bool fetched;
        Signatures signatures;
} Examination;

/* Who has none is told apart from who cannot be asked. */
static int fetch_signatures(Examination *x, Error *e) {
        _cleanup_free_ char *data = NULL, *media_type = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        char tag[SIGNATURE_TAG_SIZE];
        size_t size;
        int r;

        if (x->fetched)
                return 0;
        r = registry_get_manifest(x->registry, x->http, signature_tag(x->image->digest, tag),
                                  MANIFEST_SIZE_MAX, &data, &size, &media_type, &local);
        if (r == 0)
                r = signatures_parse(data, size, &x->signatures, &local);
        if (r != 0 && r != CTR_NOT_FOUND)
                return error_prefix(e, error_propagate(e, r, &local), "The signatures %s", tag);
        x->fetched = true;
        return 0;
}

typedef struct Payload {
        char *data;
        size_t size, max;
} Payload;

static int on_payload(const void *data, size_t size, void *userdata, Error *e) {
        Payload *p = userdata;

        if (size > p->max - p->size)
                return error_setf(e, CTR_DATA_LOSS,
                                  "A signed statement is larger than its descriptor says");
        memcpy(p->data + p->size, data, size);
        p->size += size;
        return 0;
}

static int fetch_payload(const Examination *x, Signature *s, Error *e) {
        _cleanup_free_ char *data = NULL;
        Digest actual;
        Payload p;
        int r;

        if (s->payload)
                return 0;
        data = calloc(1, s->size + 1);
        if (!data)
                return -ENOMEM;
        p = (Payload){.data = data, .max = s->size};
        r = registry_get_blob(x->registry, x->http, &s->digest, 0, on_payload, &p, e);
        if (r == 0)
                r = hash_buffer(s->digest.algorithm, data, p.size, &actual);
        if (r != 0)
                return r;
        if (p.size != s->size || !digest_equal(&actual, &s->digest))
                return error_setf(e, CTR_DATA_LOSS,
                                  "The registry sent content with the digest %s instead of %s",
                                  DIGEST_STRING(&actual), DIGEST_STRING(&s->digest));
        s->payload = TAKE_PTR(data);
        return 0;
}

/* How much of a text may be in a sentence of ours. */
static size_t printable_length(const char *s) {
        size_t n = 0;

        while (n < REFERENCE_MAX && s[n] >= ' ' && s[n] <= '~')
                n++;
        return n;
}

/* CTR_PERMISSION_DENIED if the signature is not on this image. */
static int check_statement(const TrustImage *image, const PolicyIdentity *identity,
                           const SignedStatement *said, Error *e) {
        Digest actual;
        int r;

        r = hash_buffer(said->digest.algorithm, image->data, image->size, &actual);
        if (r < 0)
                return r;
        if (!digest_equal(&actual, &said->digest))
                return error_setf(e, CTR_PERMISSION_DENIED, "it is on another image, %s",
                                  DIGEST_STRING(&said->digest));
        r = policy_identity_matches(identity, image->reference, said->reference);
        if (r < 0)
                return r;
        return r > 0 ? 0
                     : error_setf(e, CTR_PERMISSION_DENIED, "it is on an image called \"%.*s\"",
                                  (int) printable_length(said->reference), said->reference);
}

/* 0 if that signature will do; CTR_PERMISSION_DENIED if it will not. */
static int check_signature(const Examination *x, Signature *s, const PolicyRequirement *q,
                           const SignatureKeys *keys, Error *e) {
        _cleanup_(signed_statement_clear) SignedStatement said = {};
        int r;

        r = signature_verify(s, keys, &said, e);
        return r == 0 ? check_statement(x->image, &q->identity, &said, e) : r;
}

/* 0 if one of the signatures will do. *ret_reason says why not. */
static int check_signatures(Examination *x, const PolicyRequirement *q, const SignatureKeys *keys,
                            Error *ret_reason, Error *e) {
        int r;

        r = fetch_signatures(x, e);
        if (r != 0)
                return r;
        if (x->signatures.n == 0)
                return error_setf(ret_reason, CTR_PERMISSION_DENIED,
                                  "it needs a signature and has none");
        for (size_t i = 0; i < x->signatures.n; i++) {
                _cleanup_error_ Error reason = ERROR_NULL;
                Signature *s = x->signatures.items + i;

                r = fetch_payload(x, s, e);
                if (r != 0)
                        return r;
                r = check_signature(x, s, q, keys, &reason);
                if (r < 0)
                        (void) error_move(e, &reason);
                if (r <= 0)
                        return r;
                if (i == 0)
                        (void) error_setf(ret_reason, r,
                                          "it needs a signature, and of those that it has (%zu) "
                                          "none will do: %s",
                                          x->signatures.n, error_text(&reason));
        }
        return CTR_PERMISSION_DENIED;
}

static int examine(const Trust *t, Examination *x, Error *e) {
        _cleanup_free_ char *what = NULL;

        for (size_t i = 0; i < t->scope->n_requirements; i++) {
                _cleanup_error_ Error reason = ERROR_NULL;
                int r;

                if (t->scope->requirements[i].kind != POLICY_SIGSTORE)
                        continue;
                r = check_signatures(x, t->scope->requirements + i, t->keys[i], &reason, e);
                if (r == 0)
                        continue;
                if (reason.code == 0)
                        return r;
                what = reference_to_string(x->image->reference);
                return what ? refuse(t, t->scope, r, what, error_text(&reason), e) : -ENOMEM;
        }
        return 0;
}

int trust_check_image(const Trust *t, const TrustImage *image, Registry *registry, Http *http,
                      Error *e) {
        Examination x = {.image = image, .registry = registry, .http = http};
        int r;

        assert(t && image && registry && http);

        if (!t->policy)
                return 0;
        r = examine(t, &x, e);
        signatures_clear(&x.signatures);
        return r;
}

int trust_check_archive(const Trust *t, const char *transport, Error *e) {
        const PolicyScope *scope;
        char what[64];
        int r;

        assert(t && transport);

        if (!t->policy)
                return 0;
        r = policy_find_archive(t->policy, transport, &scope, e);
        if (r != 0)
                return r;
        (void) snprintf(what, sizeof(what), "an archive of the kind \"%s\"", transport);
        r = check_refusals(t, scope, what, e);
        for (size_t i = 0; r == 0 && i < scope->n_requirements; i++)
                if (scope->requirements[i].kind != POLICY_ACCEPT)
                        r = refuse(t, scope, CTR_PERMISSION_DENIED, what,
                                   "it needs a signature, and archives have none", e);
        return r;
}
