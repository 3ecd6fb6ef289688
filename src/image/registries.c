/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/strv.h"
#include "image/registries-internal.h"

void registry_entry_clear(RegistryEntry *entry) {
        free(entry->prefix);
        free(entry->location);
        for (size_t i = 0; i < entry->n_mirrors; i++)
                free(entry->mirrors[i].location);
        free(entry->mirrors);
        *entry = (RegistryEntry){};
}

Registries *registries_free(Registries *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_entries; i++)
                registry_entry_clear(r->entries + i);
        free(r->entries);
        strv_free(r->unqualified);
        free(r);
        return NULL;
}

/* The length of the prefix that matches name ("host[:port]/a/b"), 0 if it does not. "*.example.com"
 * stands for the sub-domains. */
static size_t prefix_match(const char *prefix, const char *name) {
        const char *rest = name;
        size_t n = strlen(prefix);

        if (startswith(prefix, "*.")) {
                size_t host = strcspn(name, "/:"), suffix = strcspn(prefix + 1, "/:");

                if (host <= suffix || strncmp(name + host - suffix, prefix + 1, suffix) != 0)
                        return 0;
                rest = name + host - suffix;
                prefix++;
        }
        if (!(rest = startswith(rest, prefix)) || (*rest && *rest != '/' && *rest != ':'))
                return 0;
        return n;
}

/* Adds an endpoint for "host[:port]/repository". */
static int add_endpoint(RegistryEndpoints *endpoints, const char *location, bool insecure,
                        Error *e) {
        const char *slash = strchr(location, '/');
        RegistryEndpoint *larger, *endpoint;

        if (!slash || !slash[1])
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The configured location %s has no repository in it", location);
        larger = reallocarray(endpoints->items, endpoints->n + 1, sizeof(RegistryEndpoint));
        if (!larger)
                return -ENOMEM;
        endpoints->items = larger;
        endpoint = larger + endpoints->n++;
        *endpoint = (RegistryEndpoint){
                        .host = strndup(location, (size_t) (slash - location)),
                        .repository = strdup(slash + 1),
                        .insecure = insecure,
        };
        return endpoint->host && endpoint->repository ? 0 : -ENOMEM;
}

/* The location with what follows the prefix in name. */
static int add_relocated(RegistryEndpoints *endpoints, const char *location, const char *rest,
                         bool insecure, Error *e) {
        _cleanup_free_ char *full = NULL;

        if (asprintf(&full, "%s%s", location, rest) < 0) {
                full = NULL;
                return -ENOMEM;
        }
        return add_endpoint(endpoints, full, insecure, e);
}

static bool mirror_serves(const RegistryEntry *entry, const RegistryMirror *mirror,
                          const Reference *reference) {
        if (reference->has_digest)
                return mirror->use != MIRROR_TAG_ONLY;
        return mirror->use != MIRROR_DIGEST_ONLY && !entry->mirrors_by_digest_only;
}

/* n: how much of name the entry's prefix covers. */
static int endpoints_of_entry(const RegistryEntry *entry, const Reference *reference,
                              const char *name, size_t n, RegistryEndpoints *endpoints, Error *e) {
        int r;

        if (entry->blocked)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The registry of %s is blocked by the configuration of %s", name,
                                  entry->prefix);
        for (size_t i = 0; i < entry->n_mirrors; i++) {
                const RegistryMirror *mirror = entry->mirrors + i;

                if (!mirror_serves(entry, mirror, reference))
                        continue;
                /* behind a wildcard the whole host is what the mirror stands for */
                r = add_relocated(endpoints, mirror->location,
                                  *entry->prefix == '*' ? strchr(name, '/') : name + n,
                                  mirror->insecure, e);
                if (r != 0)
                        return r;
        }
        /* a wildcard has nothing that the location could replace */
        if (*entry->prefix == '*' || streq(entry->prefix, entry->location))
                return add_endpoint(endpoints, name, entry->insecure, e);
        return add_relocated(endpoints, entry->location, name + n, entry->insecure, e);
}

/* The entry that counts for a name, and how much of that its prefix covers; NULL: there is none. */
static const RegistryEntry *find_entry(const Registries *registries, const char *name,
                                       size_t *ret_length) {
        const RegistryEntry *best = NULL;

        *ret_length = 0;
        for (size_t i = 0; i < registries->n_entries; i++) {
                size_t n = prefix_match(registries->entries[i].prefix, name);

                if (n > *ret_length) {
                        *ret_length = n;
                        best = registries->entries + i;
                }
        }
        return best;
}

int registries_lookup(const Registries *registries, const Reference *reference,
                      RegistryEndpoints *ret, Error *e) {
        _cleanup_(registry_endpoints_clear) RegistryEndpoints endpoints = {};
        _cleanup_free_ char *name = NULL;
        const RegistryEntry *best;
        size_t best_length;
        int r;

        assert(registries && reference && ret);

        if (asprintf(&name, "%s/%s", reference->registry, reference->repository) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        best = find_entry(registries, name, &best_length);
        r = best ? endpoints_of_entry(best, reference, name, best_length, &endpoints, e)
                 : add_endpoint(&endpoints, name, false, e);
        if (r != 0)
                return r;
        *ret = endpoints;
        endpoints = (RegistryEndpoints){};
        return 0;
}

int registries_lookup_host(const Registries *registries, const char *host, RegistryEndpoint *ret,
                           Error *e) {
        _cleanup_(registry_endpoint_clear) RegistryEndpoint endpoint = {};
        _cleanup_free_ char *location = NULL;
        const RegistryEntry *entry;
        const char *slash;
        size_t n;

        entry = find_entry(registries, host, &n);
        if (entry && entry->blocked)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The registry %s is blocked by the configuration of %s", host,
                                  entry->prefix);
        /* a wildcard has nothing that the location could replace */
        if (!entry || *entry->prefix == '*')
                location = strdup(host);
        else if (asprintf(&location, "%s%s", entry->location, host + n) < 0)
                location = NULL;
        if (!location)
                return -ENOMEM;
        slash = strchrnul(location, '/');
        endpoint = (RegistryEndpoint){
                        .host = strndup(location, (size_t) (slash - location)),
                        .repository = strdup(*slash ? slash + 1 : ""),
                        .insecure = entry && entry->insecure,
        };
        if (!endpoint.host || !endpoint.repository)
                return -ENOMEM;
        *ret = endpoint;
        endpoint = (RegistryEndpoint){};
        return 0;
}

static bool is_at(const char *location, const char *host) {
        const char *rest = startswith(location, host);

        return rest && (!*rest || *rest == '/');
}

bool registries_host_is_insecure(const Registries *registries, const char *host) {
        const RegistryEntry *own;
        size_t n;

        assert(registries && host);

        own = find_entry(registries, host, &n);
        if (own && own->insecure)
                return true;
        for (size_t i = 0; i < registries->n_entries; i++) {
                const RegistryEntry *entry = registries->entries + i;

                if (entry->insecure && is_at(entry->location, host))
                        return true;
                for (size_t k = 0; k < entry->n_mirrors; k++)
                        if (entry->mirrors[k].insecure && is_at(entry->mirrors[k].location, host))
                                return true;
        }
        return false;
}

char *const *registries_unqualified(const Registries *registries) {
        return registries->unqualified;
}

void registry_endpoint_clear(RegistryEndpoint *endpoint) {
        free(endpoint->host);
        free(endpoint->repository);
        *endpoint = (RegistryEndpoint){};
}

void registry_endpoints_clear(RegistryEndpoints *endpoints) {
        for (size_t i = 0; i < endpoints->n; i++)
                registry_endpoint_clear(endpoints->items + i);
        free(endpoints->items);
        *endpoints = (RegistryEndpoints){};
}
