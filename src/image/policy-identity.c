/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a signature may call an image ("signedIdentity" of containers-policy.json(5)). */

#include "basic/json.h"
#include "image/policy-internal.h"

static bool same_repository(const Reference *a, const Reference *b) {
        return streq(a->registry, b->registry) && streq(a->repository, b->repository);
}

static bool same_reference(const Reference *a, const Reference *b) {
        return same_repository(a, b) && streq_ptr(a->tag, b->tag) &&
               a->has_digest == b->has_digest &&
               (!a->has_digest || digest_equal(&a->digest, &b->digest));
}

/* A tag that is not there is not ":latest" here. *ret_named: it has a tag or a digest. */
static int parse_strict(const char *s, Reference *ret, bool *ret_named, Error *e) {
        const char *slash = strrchr(s, '/');

        *ret_named = strchr(s, '@') || strchr(slash ? slash : s, ':');
        return reference_parse(s, ret, e);
}

/* "host[:port]", or that and the first parts of a repository, as they are in a full reference. */
static int check_prefix(const char *s, const char *path, const char *key, Error *e) {
        _cleanup_reference_ Reference r = {};
        _cleanup_free_ char *whole = NULL, *again = NULL;
        bool has_path = strchr(s, '/');

        if (asprintf(&whole, "%s%s", s, has_path ? "" : "/repository") < 0) {
                whole = NULL;
                return -ENOMEM;
        }
        if (reference_parse(whole, &r, NULL) == 0 &&
            asprintf(&again, "%s%s%s", r.registry, has_path ? "/" : "",
                     has_path ? r.repository : "") < 0) {
                again = NULL;
                return -ENOMEM;
        }
        if (!streq_ptr(again, s))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.%s is neither a registry nor a full name in one", path, key);
        return 0;
}

static int need_string(json_t *j, const char *path, const char *key, const char **ret, Error *e) {
        int r = json_get_string(j, path, key, ret, e);

        return r > 0 ? 0 : r < 0 ? r : error_setf(e, -EBADMSG, "%s.%s is missing", path, key);
}

static int read_reference(json_t *j, const char *path, const char *key, PolicyIdentity *i,
                          Error *e) {
        const char *s = NULL;
        bool named = false;
        int r;

        r = need_string(j, path, key, &s, e);
        if (r == 0)
                r = parse_strict(s, &i->reference, &named, e);
        if (r == 0 && i->kind == IDENTITY_EXACT_REFERENCE && !named)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s has neither a tag nor a digest",
                               path, key);
        return r;
}

static int read_remap(json_t *j, const char *path, PolicyIdentity *i, Error *e) {
        static const char *const keys[] = {"prefix", "signedPrefix"};
        char **const fields[] = {&i->prefix, &i->signed_prefix};

        for (size_t k = 0; k < ELEMENTSOF(keys); k++) {
                const char *s = NULL;
                int r;

                r = need_string(j, path, keys[k], &s, e);
                if (r == 0)
                        r = check_prefix(s, path, keys[k], e);
                if (r != 0)
                        return r;
                *fields[k] = strdup(s);
                if (!*fields[k])
                        return -ENOMEM;
        }
        return 0;
}

int policy_identity_parse(json_t *j, const char *path, PolicyIdentity *ret, Error *e) {
        static const struct {
                const char *name;
                const char *keys[4];
        } kinds[_IDENTITY_KIND_MAX] = {
                        [IDENTITY_REPOSITORY_DIGEST_OR_EXACT] = {"matchRepoDigestOrExact",
                                                                 {"type"}},
                        [IDENTITY_EXACT] = {"matchExact", {"type"}},
                        [IDENTITY_REPOSITORY] = {"matchRepository", {"type"}},
                        [IDENTITY_EXACT_REFERENCE] = {"exactReference",
                                                      {"type", "dockerReference"}},
                        [IDENTITY_EXACT_REPOSITORY] = {"exactRepository",
                                                       {"type", "dockerRepository"}},
                        [IDENTITY_REMAP] = {"remapIdentity", {"type", "prefix", "signedPrefix"}},
        };
        const char *type = NULL;
        size_t k = 0;
        int r;

        assert(j && path && ret);

        r = need_string(j, path, "type", &type, e);
        if (r != 0)
                return r;
        while (k < ELEMENTSOF(kinds) && !streq(kinds[k].name, type))
                k++;
        if (k == ELEMENTSOF(kinds))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type \"%.60s\" is not known", path,
                                  type);
        r = policy_check_keys(j, path, kinds[k].keys, e);
        if (r != 0)
                return r;
        ret->kind = (IdentityKind) k;
        if (k == IDENTITY_EXACT_REFERENCE)
                return read_reference(j, path, "dockerReference", ret, e);
        if (k == IDENTITY_EXACT_REPOSITORY)
                return read_reference(j, path, "dockerRepository", ret, e);
        return k == IDENTITY_REMAP ? read_remap(j, path, ret, e) : 0;
}

void policy_identity_clear(PolicyIdentity *i) {
        reference_clear(&i->reference);
        free(i->prefix);
        free(i->signed_prefix);
        *i = (PolicyIdentity){};
}

/* Where the image's name begins with the prefix, *ret is it with the other one in its place. 0,
 * CTR_NOT_FOUND if it does not, -ENOMEM. */
static int remap(const PolicyIdentity *i, const Reference *wanted, Reference *ret) {
        _cleanup_free_ char *name = NULL, *mapped = NULL;
        const char *rest;

        name = reference_to_string(wanted);
        if (!name)
                return -ENOMEM;
        rest = startswith(name, i->prefix);
        /* of a prefix that is a whole repository a tag or a digest comes next */
        if (!rest || (*rest != '/' && !(strchr(i->prefix, '/') && strchr(":@", *rest))))
                return CTR_NOT_FOUND;
        if (asprintf(&mapped, "%s%s", i->signed_prefix, rest) < 0) {
                mapped = NULL;
                return -ENOMEM;
        }
        return reference_parse(mapped, ret, NULL);
}

/* By digest the repository is enough: which image it is the digest says. */
static bool matches_repository_or_exact(const Reference *wanted, const Reference *is) {
        return wanted->has_digest ? same_repository(wanted, is) : same_reference(wanted, is);
}

static bool matches_exactly(const Reference *wanted, const Reference *is) {
        Reference plain = *wanted;

        /* who asks for a digest has not asked for what the tag beside it stands for */
        if (wanted->has_digest)
                plain.tag = NULL;
        return same_reference(&plain, is);
}

static int matches_remapped(const PolicyIdentity *i, const Reference *wanted, const Reference *is) {
        _cleanup_reference_ Reference mapped = {};
        int r;

        r = remap(i, wanted, &mapped);
        if (r < 0)
                return r;
        if (r == CTR_NOT_FOUND)
                return matches_repository_or_exact(wanted, is);
        return r == 0 && matches_repository_or_exact(&mapped, is);
}

int policy_identity_matches(const PolicyIdentity *i, const Reference *wanted, const char *is) {
        _cleanup_reference_ Reference r = {};
        bool named;
        int k;

        assert(i && wanted && is);

        k = parse_strict(is, &r, &named, NULL);
        if (k != 0)
                return k < 0 ? k : 0;
        switch (i->kind) {
        case IDENTITY_REPOSITORY:
                return same_repository(wanted, &r);
        case IDENTITY_EXACT_REPOSITORY:
                return same_repository(&i->reference, &r);
        case IDENTITY_EXACT_REFERENCE:
                return named && same_reference(&i->reference, &r);
        case IDENTITY_EXACT:
                return named && matches_exactly(wanted, &r);
        case IDENTITY_REMAP:
                return named ? matches_remapped(i, wanted, &r) : 0;
        default:
                return named && matches_repository_or_exact(wanted, &r);
        }
}
