/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/certificates.h"

#include <fcntl.h>

#include "basic/fs.h"

#define FILE_SIZE_MAX (1024 * 1024)
#define FILES_MAX     256
#define CA_SIZE_MAX   (4U * 1024 * 1024)

static bool has_suffix(const char *name, const char *suffix) {
        size_t n = strlen(name), m = strlen(suffix);

        return name[0] != '.' && n > m && streq(name + n - m, suffix);
}

static int is_certificate(const struct dirent *de) {
        return has_suffix(de->d_name, ".crt") || has_suffix(de->d_name, ".cert");
}

void certificates_clear(Certificates *c) {
        free(c->ca);
        free(c->client);
        free(c->key);
        *c = (Certificates){};
}

static int add_authority(Certificates *c, int dir_fd, const char *dir, const char *name, Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        size_t size, have = c->ca ? strlen(c->ca) : 0;
        char *larger;
        int r;

        /* an administrator may put a symbolic link here */
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        r = fd < 0 ? -errno : fd_read_all(fd, FILE_SIZE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s/%s: %m", dir, name);
        if (memchr(text, '\0', size) || have + size > CA_SIZE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s/%s is no certificate in PEM", dir,
                                  name);
        larger = realloc(c->ca, have + size + 2);
        if (!larger)
                return -ENOMEM;
        memcpy(larger + have, text, size);
        memcpy(larger + have + size, "\n", 2);
        c->ca = larger;
        return 0;
}

/* The first one in the order of names is ours. */
static int set_client(Certificates *c, int dir_fd, const char *dir, const char *name, Error *e) {
        int stem = (int) (strlen(name) - STRLEN(".cert"));

        if (c->client)
                return 0;
        if (asprintf(&c->client, "%s/%s", dir, name) < 0) {
                c->client = NULL;
                return -ENOMEM;
        }
        if (asprintf(&c->key, "%s/%.*s.key", dir, stem, name) < 0) {
                c->key = NULL;
                return -ENOMEM;
        }
        if (faccessat(dir_fd, strrchr(c->key, '/') + 1, F_OK, 0) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s has no key beside it: %m",
                                  c->client);
        return 0;
}

static int load_directory(const char *base, const char *host, Certificates *c, bool *ret_found,
                          Error *e) {
        _cleanup_free_ char *dir = NULL;
        _cleanup_close_ int fd = -1;
        struct dirent **names = NULL;
        int n, r = 0;

        if (asprintf(&dir, "%s/%s", base, host) < 0) {
                dir = NULL;
                return -ENOMEM;
        }
        fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : error_setf(e, -errno, "Failed to open %s: %m", dir);
        n = scandirat(fd, ".", &names, is_certificate, alphasort);
        if (n < 0)
                return error_setf(e, -errno, "Failed to list %s: %m", dir);
        if (n > FILES_MAX)
                r = error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s: more than %i files", dir, FILES_MAX);
        for (int i = 0; i < n; i++) {
                const char *name = names[i]->d_name;

                if (r == 0)
                        r = has_suffix(name, ".crt") ? add_authority(c, fd, dir, name, e)
                                                     : set_client(c, fd, dir, name, e);
                free(names[i]);
        }
        free(names);
        *ret_found = true;
        return r;
}

int certificates_load(const char *host, Certificates *ret, Error *e) {
        static const char *const places[] = {"/etc/containers/certs.d", "/etc/docker/certs.d"};
        _cleanup_(certificates_clear) Certificates c = {};
        const char *only = getenv("CTR_CERTS_DIR");
        bool found = false;
        int r = 0;

        assert(host && ret && !strchr(host, '/'));

        if (!isempty(only))
                r = load_directory(only, host, &c, &found, e);
        for (size_t i = 0; isempty(only) && r == 0 && !found && i < ELEMENTSOF(places); i++)
                r = load_directory(places[i], host, &c, &found, e);
        if (r != 0)
                return r;
        *ret = c;
        c = (Certificates){};
        return 0;
}
