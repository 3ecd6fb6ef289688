/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/registries.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/toml.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define FILES_MAX     256
#define ENTRIES_MAX   1024
#define MIRRORS_MAX   64
#define SEARCHED_MAX  64

/* Which pulls a mirror serves. */
typedef enum MirrorUse {
        MIRROR_ALL,
        MIRROR_DIGEST_ONLY,
        MIRROR_TAG_ONLY,
} MirrorUse;

typedef struct Mirror {
        char *location;
        bool insecure;
        MirrorUse use;
} Mirror;

typedef struct Entry {
        char *prefix, *location;
        bool insecure, blocked, mirrors_by_digest_only;
        Mirror *mirrors;
        size_t n_mirrors;
} Entry;

struct Registries {
        Entry *entries;
        size_t n_entries;
        char **unqualified;
};

static void entry_clear(Entry *entry) {
        free(entry->prefix);
        free(entry->location);
        for (size_t i = 0; i < entry->n_mirrors; i++)
                free(entry->mirrors[i].location);
        free(entry->mirrors);
        *entry = (Entry){};
}

Registries *registries_free(Registries *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_entries; i++)
                entry_clear(r->entries + i);
        free(r->entries);
        strv_free(r->unqualified);
        free(r);
        return NULL;
}

/* Hands over a finished table. A prefix defaults to the location and the location to the prefix. */
static int add_entry(Registries *r, Entry *entry, const Toml *t, Error *e) {
        Entry *larger;

        if (!entry->prefix && !entry->location)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s, before line %u: a [[registry]] needs a prefix or a location",
                                  t->file, t->line);
        if (!entry->prefix && !(entry->prefix = strdup(entry->location)))
                return -ENOMEM;
        if (!entry->location && !(entry->location = strdup(entry->prefix)))
                return -ENOMEM;
        for (size_t i = 0; i < entry->n_mirrors; i++)
                if (!entry->mirrors[i].location)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s, before line %u: a [[registry.mirror]] needs a "
                                          "location",
                                          t->file, t->line);
        for (size_t i = 0; i < r->n_entries; i++)
                if (streq(r->entries[i].prefix, entry->prefix)) {
                        entry_clear(r->entries + i);
                        r->entries[i] = *entry;
                        *entry = (Entry){};
                        return 0;
                }
        if (r->n_entries == ENTRIES_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s: more than %i registries", t->file,
                                  ENTRIES_MAX);
        larger = reallocarray(r->entries, r->n_entries + 1, sizeof(Entry));
        if (!larger)
                return -ENOMEM;
        r->entries = larger;
        r->entries[r->n_entries++] = *entry;
        *entry = (Entry){};
        return 0;
}

static int add_mirror(Entry *entry, const Toml *t, Error *e) {
        Mirror *larger;

        if (entry->n_mirrors == MIRRORS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s, line %u: more than %i mirrors",
                                  t->file, t->line, MIRRORS_MAX);
        larger = reallocarray(entry->mirrors, entry->n_mirrors + 1, sizeof(Mirror));
        if (!larger)
                return -ENOMEM;
        entry->mirrors = larger;
        entry->mirrors[entry->n_mirrors++] = (Mirror){};
        return 0;
}

static int set_string(char **field, const Toml *t, TomlEvent event, Error *e) {
        if (event != TOML_STRING || !*t->text)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s, line %u: %s must be a non-empty string", t->file, t->line,
                                  t->name);
        return free_and_strdup(field, t->text);
}

static int set_boolean(bool *field, const Toml *t, TomlEvent event, Error *e) {
        if (event != TOML_BOOLEAN)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s, line %u: %s must be true or false",
                                  t->file, t->line, t->name);
        *field = t->boolean;
        return 0;
}

static int set_key(Entry *entry, const Toml *t, TomlEvent event, Error *e) {
        if (streq(t->name, "prefix"))
                return set_string(&entry->prefix, t, event, e);
        if (streq(t->name, "location"))
                return set_string(&entry->location, t, event, e);
        if (streq(t->name, "insecure"))
                return set_boolean(&entry->insecure, t, event, e);
        if (streq(t->name, "blocked"))
                return set_boolean(&entry->blocked, t, event, e);
        if (streq(t->name, "mirror-by-digest-only"))
                return set_boolean(&entry->mirrors_by_digest_only, t, event, e);
        return 0;
}

static int set_mirror_key(Mirror *mirror, const Toml *t, TomlEvent event, Error *e) {
        static const char *const uses[] = {[MIRROR_ALL] = "all",
                                           [MIRROR_DIGEST_ONLY] = "digest-only",
                                           [MIRROR_TAG_ONLY] = "tag-only"};

        if (streq(t->name, "location"))
                return set_string(&mirror->location, t, event, e);
        if (streq(t->name, "insecure"))
                return set_boolean(&mirror->insecure, t, event, e);
        if (!streq(t->name, "pull-from-mirror"))
                return 0;
        for (size_t i = 0; event == TOML_STRING && i < ELEMENTSOF(uses); i++)
                if (streq(t->text, uses[i])) {
                        mirror->use = (MirrorUse) i;
                        return 0;
                }
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "%s, line %u: %s must be \"all\", \"digest-only\" or \"tag-only\"",
                          t->file, t->line, t->name);
}

/* Where a key belongs to. */
typedef enum Section {
        SECTION_TOP,
        SECTION_OTHER,
        SECTION_REGISTRY,
        SECTION_MIRROR,
} Section;

/* The head of a table ends the registry before it, unless it is one of its mirrors. */
static int begin_table(Registries *registries, Entry *entry, const Toml *t, TomlEvent event,
                       Section *section, Error *e) {
        bool in_entry = *section == SECTION_REGISTRY || *section == SECTION_MIRROR;
        int r = 0;

        if (event == TOML_ARRAY_TABLE && streq(t->name, "registry.mirror") && in_entry) {
                *section = SECTION_MIRROR;
                return add_mirror(entry, t, e);
        }
        if (in_entry)
                r = add_entry(registries, entry, t, e);
        *section = event == TOML_ARRAY_TABLE && streq(t->name, "registry") ? SECTION_REGISTRY
                                                                           : SECTION_OTHER;
        return r;
}

static int set_top_key(Registries *registries, const Toml *t, TomlEvent event, Error *e) {
        _cleanup_strv_free_ char **hosts = NULL;
        int r;

        if (!streq(t->name, "unqualified-search-registries"))
                return 0;
        if (event != TOML_OTHER)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s, line %u: %s must be an array of strings", t->file, t->line,
                                  t->name);
        r = toml_read_strings(t, SEARCHED_MAX, &hosts, e);
        if (r != 0)
                return r;
        strv_free(registries->unqualified);
        registries->unqualified = TAKE_PTR(hosts);
        return 0;
}

int registries_parse(Registries **registries, const char *text, const char *file, Error *e) {
        Toml t = {.p = text, .file = file};
        Section section = SECTION_TOP;
        TomlEvent event;
        Entry entry = {};
        int r;

        if (!*registries && !(*registries = calloc(1, sizeof(Registries))))
                return -ENOMEM;
        do {
                r = toml_next(&t, &event, e);
                if (r != 0)
                        break;
                if (event == TOML_END || event == TOML_TABLE || event == TOML_ARRAY_TABLE)
                        r = begin_table(*registries, &entry, &t, event, &section, e);
                else if (section == SECTION_TOP)
                        r = set_top_key(*registries, &t, event, e);
                else if (section == SECTION_REGISTRY)
                        r = set_key(&entry, &t, event, e);
                else if (section == SECTION_MIRROR)
                        r = set_mirror_key(entry.mirrors + entry.n_mirrors - 1, &t, event, e);
        } while (r == 0 && event != TOML_END);
        entry_clear(&entry);
        return r;
}

static int load_file(Registries **registries, int dir_fd, const char *name, const char *file,
                     Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        /* not file_read_at(): an administrator may well put a symbolic link here */
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_setf(e, -errno, "Failed to open %s: %m", file);
        r = fd_read_all(fd, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", file);
        if (memchr(text, '\0', size))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s contains a NUL byte", file);
        return registries_parse(registries, text, file, e);
}

static int is_conf(const struct dirent *de) {
        size_t n = strlen(de->d_name);

        return de->d_name[0] != '.' && n > STRLEN(".conf") &&
               streq(de->d_name + n - STRLEN(".conf"), ".conf");
}

static int load_directory(Registries **registries, const char *path, Error *e) {
        struct dirent **names = NULL;
        _cleanup_close_ int fd = -1;
        int n, r = 0;

        fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_setf(e, -errno, "Failed to open %s: %m", path);
        n = scandirat(fd, ".", &names, is_conf, alphasort);
        if (n < 0)
                return error_setf(e, -errno, "Failed to list %s: %m", path);
        if (n > FILES_MAX)
                r = error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s: more than %i files", path,
                               FILES_MAX);
        for (int i = 0; i < n; i++) {
                _cleanup_free_ char *file = NULL;

                if (r == 0 && asprintf(&file, "%s/%s", path, names[i]->d_name) < 0) {
                        file = NULL;
                        r = -ENOMEM;
                }
                if (r == 0)
                        r = load_file(registries, fd, names[i]->d_name, file, e);
                free(names[i]);
        }
        free(names);
        return r;
}

int registries_load(Registries **ret, Error *e) {
        _cleanup_(registries_freep) Registries *registries = NULL;
        const char *only = getenv("CONTAINERS_REGISTRIES_CONF");
        int r;

        assert(ret);

        registries = calloc(1, sizeof(Registries));
        if (!registries)
                return -ENOMEM;
        if (!isempty(only))
                r = load_file(&registries, AT_FDCWD, only, only, e);
        else {
                r = load_file(&registries, AT_FDCWD, "/etc/containers/registries.conf",
                              "/etc/containers/registries.conf", e);
                if (r == 0)
                        r = load_directory(&registries, "/etc/containers/registries.conf.d", e);
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(registries);
        return 0;
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

static bool mirror_serves(const Entry *entry, const Mirror *mirror, const Reference *reference) {
        if (reference->has_digest)
                return mirror->use != MIRROR_TAG_ONLY;
        return mirror->use != MIRROR_DIGEST_ONLY && !entry->mirrors_by_digest_only;
}

/* n: how much of name the entry's prefix covers. */
static int endpoints_of_entry(const Entry *entry, const Reference *reference, const char *name,
                              size_t n, RegistryEndpoints *endpoints, Error *e) {
        int r;

        if (entry->blocked)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The registry of %s is blocked by the configuration of %s", name,
                                  entry->prefix);
        for (size_t i = 0; i < entry->n_mirrors; i++) {
                const Mirror *mirror = entry->mirrors + i;

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
static const Entry *find_entry(const Registries *registries, const char *name, size_t *ret_length) {
        const Entry *best = NULL;

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
        const Entry *best;
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
        const Entry *entry;
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
