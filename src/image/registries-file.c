/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "image/registries-internal.h"
#include "image/toml.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define FILES_MAX     256
#define ENTRIES_MAX   1024
#define MIRRORS_MAX   64
#define SEARCHED_MAX  64

/* Hands over a finished table. A prefix defaults to the location and the location to the prefix. */
static int add_entry(Registries *r, RegistryEntry *entry, const Toml *t, Error *e) {
        RegistryEntry *larger;

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
                        registry_entry_clear(r->entries + i);
                        r->entries[i] = *entry;
                        *entry = (RegistryEntry){};
                        return 0;
                }
        if (r->n_entries == ENTRIES_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s: more than %i registries", t->file,
                                  ENTRIES_MAX);
        larger = reallocarray(r->entries, r->n_entries + 1, sizeof(RegistryEntry));
        if (!larger)
                return -ENOMEM;
        r->entries = larger;
        r->entries[r->n_entries++] = *entry;
        *entry = (RegistryEntry){};
        return 0;
}

static int add_mirror(RegistryEntry *entry, const Toml *t, Error *e) {
        RegistryMirror *larger;

        if (entry->n_mirrors == MIRRORS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s, line %u: more than %i mirrors",
                                  t->file, t->line, MIRRORS_MAX);
        larger = reallocarray(entry->mirrors, entry->n_mirrors + 1, sizeof(RegistryMirror));
        if (!larger)
                return -ENOMEM;
        entry->mirrors = larger;
        entry->mirrors[entry->n_mirrors++] = (RegistryMirror){};
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

static int set_key(RegistryEntry *entry, const Toml *t, TomlEvent event, Error *e) {
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

static int set_mirror_key(RegistryMirror *mirror, const Toml *t, TomlEvent event, Error *e) {
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
static int begin_table(Registries *registries, RegistryEntry *entry, const Toml *t, TomlEvent event,
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
        RegistryEntry entry = {};
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
        registry_entry_clear(&entry);
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
