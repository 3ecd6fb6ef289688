/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/registries.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/toml.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define FILES_MAX     256
#define ENTRIES_MAX   1024

typedef struct Entry {
        char *prefix, *location;
        bool insecure, blocked;
} Entry;

struct Registries {
        Entry *entries;
        size_t n_entries;
};

static void entry_clear(Entry *entry) {
        free(entry->prefix);
        free(entry->location);
        *entry = (Entry){};
}

Registries *registries_free(Registries *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_entries; i++)
                entry_clear(r->entries + i);
        free(r->entries);
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

static int set_key(Entry *entry, const Toml *t, TomlEvent event, Error *e) {
        static const char *const strings[] = {"prefix", "location"}, *const booleans[] = {
                                                                                     "insecure",
                                                                                     "blocked"};
        char **text_fields[] = {&entry->prefix, &entry->location};
        bool *boolean_fields[] = {&entry->insecure, &entry->blocked};

        for (size_t i = 0; i < 2; i++) {
                if (streq(t->name, strings[i])) {
                        if (event != TOML_STRING || !*t->text)
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s, line %u: %s must be a non-empty string",
                                                  t->file, t->line, t->name);
                        return free_and_strdup(text_fields[i], t->text);
                }
                if (streq(t->name, booleans[i])) {
                        if (event != TOML_BOOLEAN)
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s, line %u: %s must be true or false", t->file,
                                                  t->line, t->name);
                        *boolean_fields[i] = t->boolean;
                        return 0;
                }
        }
        return 0; /* mirror-by-digest-only and the like, which concern mirrors */
}

int registries_parse(Registries **registries, const char *text, const char *file, Error *e) {
        Toml t = {.p = text, .file = file};
        bool in_registry = false;
        TomlEvent event;
        Entry entry = {};
        int r;

        if (!*registries && !(*registries = calloc(1, sizeof(Registries))))
                return -ENOMEM;
        do {
                r = toml_next(&t, &event, e);
                if (r != 0)
                        break;
                if (event == TOML_END || event == TOML_TABLE || event == TOML_ARRAY_TABLE) {
                        if (in_registry)
                                r = add_entry(*registries, &entry, &t, e);
                        in_registry = event == TOML_ARRAY_TABLE && streq(t.name, "registry");
                } else if (in_registry)
                        r = set_key(&entry, &t, event, e);
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

int registries_lookup(const Registries *registries, const Reference *reference,
                      RegistryEndpoint *ret, Error *e) {
        _cleanup_free_ char *name = NULL, *location = NULL;
        const Entry *best = NULL;
        size_t best_length = 0;
        char *slash;

        assert(registries && reference && ret);

        if (asprintf(&name, "%s/%s", reference->registry, reference->repository) < 0) {
                name = NULL;
                return -ENOMEM;
        }
        for (size_t i = 0; i < registries->n_entries; i++) {
                size_t n = prefix_match(registries->entries[i].prefix, name);

                if (n > best_length) {
                        best_length = n;
                        best = registries->entries + i;
                }
        }
        if (best && best->blocked)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The registry of %s is blocked by the configuration of %s", name,
                                  best->prefix);
        /* a wildcard has nothing that the location could replace */
        if (best && *best->prefix != '*' && !streq(best->prefix, best->location)) {
                if (asprintf(&location, "%s%s", best->location, name + best_length) < 0) {
                        location = NULL;
                        return -ENOMEM;
                }
        } else
                location = TAKE_PTR(name);

        slash = strchr(location, '/');
        if (!slash || !slash[1])
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The configured location %s has no repository in it", location);
        ret->repository = strdup(slash + 1);
        *slash = '\0';
        ret->host = TAKE_PTR(location);
        ret->insecure = best && best->insecure;
        if (!ret->repository) {
                registry_endpoint_clear(ret);
                return -ENOMEM;
        }
        return 0;
}

void registry_endpoint_clear(RegistryEndpoint *endpoint) {
        free(endpoint->host);
        free(endpoint->repository);
        *endpoint = (RegistryEndpoint){};
}
