/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which scope of a policy counts for an image. */

#include "image/policy-internal.h"

static const PolicyScope *find(const Policy *p, const char *transport, const char *name, size_t n) {
        for (size_t i = 0; i < p->n_scopes; i++) {
                const PolicyScope *s = p->scopes + i;

                if (streq_ptr(s->transport, transport) && strncmp(s->name, name, n) == 0 &&
                    !s->name[n])
                        return s;
        }
        return NULL;
}

/* "*.example.com" for a host "a.b.example.com:5000", the longest one that there is. */
static const PolicyScope *find_wildcard(const Policy *p, const char *transport, const char *host) {
        size_t n = strcspn(host, ":");

        for (size_t i = 1; i < n; i++) {
                char wildcard[REFERENCE_MAX];
                const PolicyScope *s;

                if (host[i] != '.')
                        continue;
                (void) snprintf(wildcard, sizeof(wildcard), "*%.*s", (int) (n - i), host + i);
                s = find(p, transport, wildcard, strlen(wildcard));
                if (s)
                        return s;
        }
        return NULL;
}

static const PolicyScope *find_standard(const Policy *p, const char *transport) {
        return find(p, transport, "", 0) ?: find(p, NULL, "", 0);
}

const PolicyScope *policy_find_reference(const Policy *p, const Reference *reference) {
        Reference plain = *reference;
        _cleanup_free_ char *whole = NULL;
        const PolicyScope *s;
        size_t n;

        assert(p && reference);

        /* what a digest is asked for by is no tag */
        if (plain.has_digest)
                plain.tag = NULL;
        whole = reference_to_string(&plain);
        if (!whole)
                return NULL;
        s = find(p, "docker", whole, strlen(whole));
        n = strlen(plain.registry) + 1 + strlen(plain.repository);
        while (!s && n > 0) {
                s = find(p, "docker", whole, n);
                while (n > 0 && whole[n - 1] != '/')
                        n--;
                if (n > 0)
                        n--; /* the slash */
        }
        return s ?: find_wildcard(p, "docker", plain.registry) ?: find_standard(p, "docker");
}

int policy_find_archive(const Policy *p, const char *transport, const PolicyScope **ret, Error *e) {
        assert(p && transport && ret);

        for (size_t i = 0; i < p->n_scopes; i++)
                if (streq_ptr(p->scopes[i].transport, transport) && *p->scopes[i].name)
                        return error_setf(e, CTR_FAILED_PRECONDITION,
                                          "The signature policy %s tells archives of the kind "
                                          "\"%s\" apart by their paths, which are not known: the "
                                          "only scope that can be used there is \"\"",
                                          p->file, transport);
        *ret = find_standard(p, transport);
        return 0;
}

const char *policy_scope_describe(const PolicyScope *scope, char buf[static POLICY_TEXT_SIZE]) {
        if (!scope->transport)
                (void) snprintf(buf, POLICY_TEXT_SIZE, "its default");
        else if (!*scope->name)
                (void) snprintf(buf, POLICY_TEXT_SIZE, "its rule for \"%.60s\"", scope->transport);
        else
                (void) snprintf(buf, POLICY_TEXT_SIZE, "its rule for \"%.300s\" of \"%.60s\"",
                                scope->name, scope->transport);
        return buf;
}
