/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/auth-file.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "basic/base64.h"
#include "basic/fs.h"
#include "basic/json.h"

#define FILE_SIZE_MAX    (1024 * 1024)
#define SECRET_MAX       (16 * 1024)
#define DEFAULT_REGISTRY "docker.io"

void secret_freep(char **s) {
        if (!*s)
                return;
        explicit_bzero(*s, strlen(*s));
        free(*s);
}

void login_clear(Login *l) {
        secret_freep(&l->username);
        secret_freep(&l->password);
        secret_freep(&l->identity_token);
        *l = (Login){};
}

/* containers/auth.json below a directory that a variable names, or below base. *ret is NULL without
 * both. */
static int path_below(const char *variable, const char *base, const char *middle, const char *name,
                      char **ret) {
        const char *dir = getenv(variable);
        int n;

        if (!isempty(dir))
                n = asprintf(ret, "%s/%s", dir, name);
        else if (!isempty(base))
                n = asprintf(ret, "%s/%s/%s", base, middle, name);
        else {
                *ret = NULL;
                return 0;
        }
        return n < 0 ? -ENOMEM : 0;
}

int auth_file_default(char **ret, Error *e) {
        const char *only = getenv("REGISTRY_AUTH_FILE");
        char *path = NULL;
        int r;

        if (!isempty(only))
                path = strdup(only);
        else if (geteuid() == 0)
                path = strdup("/run/containers/0/auth.json");
        else {
                r = path_below("XDG_RUNTIME_DIR", getenv("HOME"), ".config", "containers/auth.json",
                               &path);
                if (r == 0 && !path)
                        return error_setf(e, CTR_FAILED_PRECONDITION,
                                          "neither $XDG_RUNTIME_DIR nor $HOME says where "
                                          "credentials are kept; use --authfile");
        }
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        *ret = path;
        return 0;
}

bool name_has_host(const char *name) {
        size_t n = strcspn(name, "/");

        return name[n] && (memchr(name, '.', n) || memchr(name, ':', n) ||
                           (n == STRLEN("localhost") && startswith(name, "localhost")));
}

char *auth_scope_of_image(const char *name) {
        size_t n = strcspn(name, "@");
        const char *slash = memrchr(name, '/', n), *last = slash ?: name;
        const char *colon = memchr(last, ':', (size_t) (name + n - last));
        char *scope;

        if (colon) /* of a tag: that of a registry's port is before the last slash */
                n = (size_t) (colon - name);
        if (asprintf(&scope, "%s%s%.*s", name_has_host(name) ? "" : DEFAULT_REGISTRY "/",
                     slash ? "" : "library/", (int) n, name) < 0)
                return NULL;
        return scope;
}

/* Keys are written with a scheme and the path of an API's version, too, and for the default
 * registry under the name of its index. */
char *auth_scope_of_registry(const char *key) {
        const char *host = strstr(key, "://");
        size_t n;

        if (host)
                host += STRLEN("://");
        n = host ? strcspn(host, "/") : strlen(key);
        host = host ?: key;
        while (n > 0 && host[n - 1] == '/')
                n--;
        if (n == STRLEN("index." DEFAULT_REGISTRY) && startswith(host, "index." DEFAULT_REGISTRY))
                return strdup(DEFAULT_REGISTRY);
        return strndup(host, n);
}

static bool scope_contains(const char *scope, const char *name) {
        const char *rest = startswith(name, scope);

        return rest && (!*rest || *rest == '/');
}

static int login_from_entry(const json_t *entry, const char *path, Login *ret, Error *e) {
        const char *token = json_string_value(json_object_get(entry, "identitytoken"));
        const char *auth = json_string_value(json_object_get(entry, "auth"));
        _cleanup_secret_ char *text = NULL;
        size_t size;
        char *colon;

        if (!isempty(token))
                ret->identity_token = strdup(token);
        else if (!isempty(auth)) {
                if (strlen(auth) > SECRET_MAX || base64_decode(auth, &text, &size) < 0 ||
                    memchr(text, '\0', size) || !(colon = strchr(text, ':')))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s has an entry that is not the base64 of "
                                          "NAME:PASSWORD",
                                          path);
                ret->username = strndup(text, (size_t) (colon - text));
                ret->password = strdup(colon + 1);
        } else
                return 0;
        if (ret->identity_token || (ret->username && ret->password))
                return 0;
        login_clear(ret);
        return error_setf(e, -ENOMEM, "Out of memory");
}

/* An empty document if there is no file. */
static int read_document(const char *path, json_t **ret, Error *e) {
        _cleanup_secret_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT) {
                *ret = json_object();
                return *ret ? 0 : error_setf(e, -ENOMEM, "Out of memory");
        }
        r = fd < 0 ? -errno : fd_read_all(fd, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        r = json_parse(text, size, path, ret, e);
        if (r == 0 && !json_is_object(*ret)) {
                json_decref(TAKE_PTR(*ret));
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not an object", path);
        }
        return r;
}

int auth_file_find(const char *path, const char *wanted, Login *ret, Error *e) {
        _cleanup_json_ json_t *document = NULL;
        const json_t *best = NULL;
        size_t longest = 0;
        const char *key;
        json_t *entry;
        int r;

        r = read_document(path, &document, e);
        if (r != 0)
                return r;
        json_object_foreach(json_object_get(document, "auths"), key, entry) {
                _cleanup_free_ char *scope = auth_scope_of_registry(key);

                if (!scope)
                        return error_setf(e, -ENOMEM, "Out of memory");
                if (scope_contains(scope, wanted) && (!best || strlen(scope) > longest)) {
                        best = entry;
                        longest = strlen(scope);
                }
        }
        return best ? login_from_entry(best, path, ret, e) : 0;
}

static bool login_is_set(const Login *l) {
        return l->identity_token || l->username;
}

int auth_files_find(const char *scope, Login *ret, Error *e) {
        static const struct {
                const char *variable, *middle, *name;
        } places[] = {
                        {"XDG_RUNTIME_DIR", NULL, "containers/auth.json"},
                        {"XDG_CONFIG_HOME", ".config", "containers/auth.json"},
                        {"DOCKER_CONFIG", ".docker", "config.json"},
        };
        const char *only = getenv("REGISTRY_AUTH_FILE");
        int r = 0;

        if (!isempty(only))
                return auth_file_find(only, scope, ret, e);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(places) && !login_is_set(ret); i++) {
                const char *home = places[i].middle ? getenv("HOME") : NULL;
                _cleanup_free_ char *path = NULL;

                r = path_below(places[i].variable, home, strempty(places[i].middle), places[i].name,
                               &path);
                if (r == 0 && path)
                        r = auth_file_find(path, scope, ret, e);
        }
        return r == -ENOMEM ? error_setf(e, r, "Out of memory") : r;
}

static int entry_from_login(const Login *l, json_t **ret) {
        _cleanup_secret_ char *text = NULL, *auth = NULL;

        if (l->identity_token) {
                *ret = json_pack("{s:s, s:s}", "auth", "", "identitytoken", l->identity_token);
                return *ret ? 0 : -ENOMEM;
        }
        if (asprintf(&text, "%s:%s", l->username, l->password) < 0) {
                text = NULL;
                return -ENOMEM;
        }
        auth = base64_encode(text);
        if (!auth)
                return -ENOMEM;
        *ret = json_pack("{s:s}", "auth", auth);
        return *ret ? 0 : -ENOMEM;
}

/* Takes every spelling of the registry's key away. */
static int remove_entries(json_t *auths, const char *registry, bool *ret_found) {
        const char *key;
        json_t *entry;
        void *next;

        json_object_foreach_safe(auths, next, key, entry) {
                _cleanup_free_ char *scope = auth_scope_of_registry(key);

                if (!scope)
                        return -ENOMEM;
                if (!streq(scope, registry))
                        continue;
                (void) json_object_del(auths, key);
                *ret_found = true;
        }
        return 0;
}

static int change_document(json_t *document, const char *registry, const Login *l) {
        json_t *auths = json_object_get(document, "auths"), *entry;
        bool found = false;
        int r;

        if (!json_is_object(auths)) {
                auths = json_object();
                if (json_object_set_new(document, "auths", auths) < 0)
                        return -ENOMEM;
        }
        r = remove_entries(auths, registry, &found);
        if (r != 0 || !l)
                return r != 0 ? r : found ? 0 : CTR_NOT_FOUND;
        r = entry_from_login(l, &entry);
        if (r != 0)
                return r;
        return json_object_set_new(auths, registry, entry) < 0 ? -ENOMEM : 0;
}

/* The directory of the file, locked: who changes it at the same time waits. */
static int open_directory(const char *path, const char **ret_name, int *ret_fd, Error *e) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *dir = slash ? strndup(path, (size_t) (slash - path)) : strdup(".");
        _cleanup_close_ int fd = -1;

        if (!dir)
                return error_setf(e, -ENOMEM, "Out of memory");
        fd = dir_open_make_at(AT_FDCWD, *dir ? dir : "/", 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open %s: %m", dir);
        if (flock(fd, LOCK_EX) < 0)
                return error_setf(e, -errno, "Failed to lock %s: %m", dir);
        *ret_name = slash ? slash + 1 : path;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int auth_file_store(const char *path, const char *registry, const Login *l, Error *e) {
        _cleanup_json_ json_t *document = NULL;
        _cleanup_secret_ char *text = NULL;
        _cleanup_close_ int dir_fd = -1;
        const char *name = NULL;
        int r;

        r = open_directory(path, &name, &dir_fd, e);
        if (r == 0)
                r = read_document(path, &document, e);
        if (r != 0)
                return r;
        r = change_document(document, registry, l);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, r, "There is no login for \"%s\" in %s", registry, path);
        if (r == 0)
                text = json_dumps(document, JSON_INDENT(8));
        if (r != 0 || !text)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = file_write_atomic_at(dir_fd, name, text, strlen(text), 0600, FILE_WRITE_SYNC);
        return r < 0 ? error_setf(e, r, "Failed to write %s: %m", path) : 0;
}
