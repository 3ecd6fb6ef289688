/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/credentials.h"

#include <fcntl.h>
#include <openssl/evp.h>

#include "basic/base64.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "image/reference.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define SECRET_MAX    (16 * 1024)

typedef struct Entry Entry;
struct Entry {
        Entry *next;
        unsigned file; /* which one it is from */
        char *scope;   /* "host[:port][/path]"; NULL: everything */
        Credential credential;
};

/* The entries of earlier files come first. */
struct Credentials {
        Entry *first, *last;
        unsigned n_files;
};

static void secret_free(char *s) {
        if (!s)
                return;
        explicit_bzero(s, strlen(s));
        free(s);
}

void secret_freep(char **s) {
        secret_free(*s);
}

static Entry *entry_free(Entry *entry) {
        if (!entry)
                return NULL;
        free(entry->scope);
        secret_free(entry->credential.username);
        secret_free(entry->credential.password);
        secret_free(entry->credential.identity_token);
        free(entry);
        return NULL;
}
DEFINE_CLEANUP(Entry *, entry_free);

Credentials *credentials_free(Credentials *c) {
        if (!c)
                return NULL;
        for (Entry *entry = c->first, *next; entry; entry = next) {
                next = entry->next;
                entry_free(entry);
        }
        free(c);
        return NULL;
}

/* Keys are written in many ways: with a scheme, with the path of an API's version, and for the
 * default registry under the name of its index. */
static char *scope_from_key(const char *key) {
        static const char index[] = "index." REFERENCE_DEFAULT_REGISTRY;
        const char *host = strstr(key, "://"), *rest;
        size_t n;
        char *scope;

        if (host) {
                host += STRLEN("://");
                return strndup(host, strcspn(host, "/"));
        }
        rest = startswith(key, index);
        if (rest && (!*rest || *rest == '/'))
                return asprintf(&scope, "%s%s", REFERENCE_DEFAULT_REGISTRY, rest) < 0 ? NULL
                                                                                      : scope;
        n = strlen(key);
        while (n > 0 && key[n - 1] == '/')
                n--;
        return strndup(key, n);
}

static char *scope_of_entry(const char *key) {
        _cleanup_free_ char *scope = scope_from_key(key);

        if (streq_ptr(scope, "index." REFERENCE_DEFAULT_REGISTRY))
                return strdup(REFERENCE_DEFAULT_REGISTRY);
        return TAKE_PTR(scope);
}

/* "auth": base64 of NAME:PASSWORD. */
static int decode_auth(const char *auth, Credential *ret) {
        size_t size;
        char *text, *colon;
        int r;

        if (strlen(auth) > SECRET_MAX)
                return -EBADMSG;
        r = base64_decode(auth, &text, &size);
        if (r < 0)
                return r;
        colon = strchr(text, ':');
        if (colon) {
                ret->username = strndup(text, (size_t) (colon - text));
                ret->password = strdup(colon + 1);
        }
        explicit_bzero(text, size);
        free(text);
        if (!colon)
                return -EBADMSG;
        return ret->username && ret->password ? 0 : -ENOMEM;
}

/* *ret stays NULL where there is none. */
static int read_secret(json_t *j, const char *path, const char *key, char **ret, Error *e) {
        const char *s;
        int r;

        r = json_get_string(j, path, key, &s, NULL);
        if (r < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: %s is no string", path, key);
        if (r == 0 || !*s)
                return 0;
        if (strlen(s) > SECRET_MAX || strpbrk(s, "\r\n"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: %s is no credential", path, key);
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

/* *ret is NULL for one without anything that we can use. */
static int entry_new(const char *key, json_t *j, const char *file, Entry **ret, Error *e) {
        _cleanup_(entry_freep) Entry *entry = NULL;
        _cleanup_secret_ char *auth = NULL;
        int r;

        if (!json_is_object(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: auths.%s is no object", file, key);
        entry = calloc(1, sizeof(Entry));
        if (!entry || !(entry->scope = scope_of_entry(key)))
                return -ENOMEM;
        r = read_secret(j, file, "identitytoken", &entry->credential.identity_token, e);
        if (r == 0 && !entry->credential.identity_token) {
                r = read_secret(j, file, "auth", &auth, e);
                if (r != 0 || !auth)
                        return r;
                r = decode_auth(auth, &entry->credential);
                if (r == -EBADMSG)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s: auths.%s.auth is not the base64 of NAME:PASSWORD",
                                          file, key);
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(entry);
        return 0;
}

static int credentials_ensure(Credentials **c) {
        if (!*c)
                *c = calloc(1, sizeof(Credentials));
        return *c ? 0 : -ENOMEM;
}

static void credentials_add(Credentials *c, Entry *entry) {
        if (c->last)
                c->last->next = entry;
        else
                c->first = entry;
        c->last = entry;
        entry->file = c->n_files;
}

static int parse_secret_document(char *text, size_t size, const char *file, json_t **ret,
                                 Error *e) {
        int r = json_parse(text, size, file, ret, e);

        explicit_bzero(text, size);
        if (r == 0 && !json_is_object(*ret))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: not an object", file);
        return r;
}

int credentials_parse(Credentials **c, char *text, size_t size, const char *file, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        json_t *auths = NULL, *value;
        const char *key;
        int r;

        assert(c && text && file);

        r = credentials_ensure(c);
        if (r == 0)
                r = parse_secret_document(text, size, file, &j, e);
        if (r != 0)
                return r;
        (*c)->n_files++;
        r = json_get_object(j, file, "auths", &auths, NULL);
        if (r < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: auths is no object", file);
        if (r == 0)
                return 0;
        json_object_foreach(auths, key, value) {
                Entry *entry = NULL;

                r = entry_new(key, value, file, &entry, e);
                if (r != 0)
                        return r;
                if (entry)
                        credentials_add(*c, entry);
        }
        return 0;
}

int credentials_parse_single(char *text, size_t size, Credentials **ret, Error *e) {
        static const char what[] = "The credentials";
        _cleanup_(credentials_freep) Credentials *c = NULL;
        _cleanup_(entry_freep) Entry *entry = NULL;
        _cleanup_json_ json_t *j = NULL;
        Credential *credential;
        int r;

        r = credentials_ensure(&c);
        if (r == 0)
                r = parse_secret_document(text, size, what, &j, e);
        if (r != 0)
                return r;
        entry = calloc(1, sizeof(Entry));
        if (!entry)
                return -ENOMEM;
        credential = &entry->credential;
        r = read_secret(j, what, "identity_token", &credential->identity_token, e);
        if (r == 0)
                r = read_secret(j, what, "username", &credential->username, e);
        if (r == 0)
                r = read_secret(j, what, "password", &credential->password, e);
        if (r != 0)
                return r;
        if (!credential->identity_token && (!credential->username || !credential->password))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s need a username and a password, or an identity token", what);
        credentials_add(c, TAKE_PTR(entry));
        *ret = TAKE_PTR(c);
        return 0;
}

static int load_file(Credentials **c, const char *path, bool required, Error *e) {
        _cleanup_close_ int fd = -1;
        char *text = NULL;
        size_t size;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0)
                return errno == ENOENT && !required
                                       ? 0
                                       : error_setf(e, -errno, "Failed to open %s: %m", path);
        r = fd_read_all(fd, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        r = credentials_parse(c, text, size, path, e);
        free(text);
        return r;
}

/* A file below a directory that a variable names, or else below the format's. */
static int load_below(Credentials **c, const char *variable, const char *base, const char *fallback,
                      const char *name, Error *e) {
        const char *dir = getenv(variable);
        _cleanup_free_ char *path = NULL;
        int n;

        if (!isempty(dir))
                n = asprintf(&path, "%s/%s", dir, name);
        else if (!isempty(base))
                n = asprintf(&path, "%s/%s/%s", base, fallback, name);
        else
                return 0;
        if (n < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return load_file(c, path, false, e);
}

int credentials_load(Credentials **ret, Error *e) {
        _cleanup_(credentials_freep) Credentials *c = NULL;
        const char *only = getenv("REGISTRY_AUTH_FILE"), *home = getenv("HOME");
        char run[64];
        int r;

        assert(ret);

        if (isempty(home) && geteuid() == 0)
                home = "/root"; /* a service has no HOME unless it is told one */
        (void) snprintf(run, sizeof(run), "%u", (unsigned) geteuid());
        r = credentials_ensure(&c);
        if (r == 0 && !isempty(only))
                r = load_file(&c, only, true, e);
        else if (r == 0) {
                if (isempty(getenv("XDG_RUNTIME_DIR")))
                        r = load_below(&c, "", "/run/containers", run, "auth.json", e);
                else
                        r = load_below(&c, "XDG_RUNTIME_DIR", NULL, "", "containers/auth.json", e);
                if (r == 0)
                        r = load_below(&c, "XDG_CONFIG_HOME", home, ".config",
                                       "containers/auth.json", e);
                if (r == 0)
                        r = load_below(&c, "DOCKER_CONFIG", home, ".docker", "config.json", e);
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(c);
        return 0;
}

/* Whether scope is name or a path above it. */
static bool scope_contains(const char *scope, const char *name) {
        const char *rest = startswith(name, scope);

        return rest && (!*rest || *rest == '/');
}

const Credential *credentials_find(const Credentials *c, const char *host, const char *repository) {
        _cleanup_free_ char *name = NULL;
        const Entry *best = NULL;

        if (!c || asprintf(&name, "%s/%s", host, repository) < 0) {
                name = NULL;
                return NULL;
        }
        for (const Entry *entry = c->first; entry; entry = entry->next) {
                if (best && best->file != entry->file)
                        break;
                if (!entry->scope)
                        return &entry->credential;
                if (scope_contains(entry->scope, name) &&
                    (!best || strlen(entry->scope) > strlen(best->scope)))
                        best = entry;
        }
        return best ? &best->credential : NULL;
}

int credential_basic(const Credential *credential, char **ret) {
        _cleanup_secret_ char *plain = NULL;
        size_t n;
        char *header;

        if (asprintf(&plain, "%s:%s", credential->username, credential->password) < 0) {
                plain = NULL;
                return -ENOMEM;
        }
        n = strlen(plain);
        header = malloc(STRLEN("Basic ") + (n + 2) / 3 * 4 + 1);
        if (!header)
                return -ENOMEM;
        memcpy(header, "Basic ", STRLEN("Basic "));
        (void) EVP_EncodeBlock((unsigned char *) header + STRLEN("Basic "),
                               (const unsigned char *) plain, (int) n);
        *ret = header;
        return 0;
}
