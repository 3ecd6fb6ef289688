/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/runtime-name.h"

#include <ctype.h>
#include <limits.h>
#include <sys/stat.h>

#include "basic/log.h"
#include "manager/manager.h"

#define NAME_MAX_LENGTH 128U

static bool is_path(const char *name) {
        return name[0] == '/';
}

int runtime_name_check(const char *name, Error *e) {
        if (isempty(name) || strlen(name) > (is_path(name) ? PATH_MAX - 1 : NAME_MAX_LENGTH))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "A runtime is a name or an absolute path");
        if (is_path(name))
                return 0;
        for (const char *p = name; *p; p++)
                if (!isalnum((unsigned char) *p) && (p == name || !strchr("._+-", *p)))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The runtime \"%s\" is neither a name nor an absolute "
                                          "path",
                                          name);
        return 0;
}

/* Ours by another name: containerd's, whose kinds differ in how it talks to them (A5.7). */
static bool is_own(const char *name) {
        static const char *const deprecated[] = {"io.containerd.runtime.v1.",
                                                 "io.containerd.runc.v1"};

        if (streq(name, RUNTIME_DEFAULT))
                return true;
        for (size_t i = 0; i < ELEMENTSOF(deprecated); i++)
                if (startswith(name, deprecated[i])) {
                        log_warning("The runtime name \"%s\" is deprecated", name);
                        return true;
                }
        return startswith(name, "io.containerd.");
}

static bool is_safe(const struct stat *st) {
        /* nobody moves another's file out of a directory with the sticky bit */
        return st->st_uid == 0 &&
               (!(st->st_mode & 0022) || (S_ISDIR(st->st_mode) && (st->st_mode & S_ISVTX)));
}

static int check_file(const char *path, Error *e) {
        struct stat st;

        if (stat(path, &st) < 0)
                return error_setf(e, -errno, "Failed to look at the runtime %s: %m", path);
        if (!S_ISREG(st.st_mode) || !(st.st_mode & 0111))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The runtime %s is not an executable file", path);
        return is_safe(&st) ? 0
                            : error_setf(e, CTR_FAILED_PRECONDITION,
                                         "The runtime %s can be changed by others than root", path);
}

/* It will run as root: nobody else may be able to say what it is. Without links, *ret is what was
 * looked at. */
static int check_program(const char *path, char **ret, Error *e) {
        _cleanup_free_ char *real = realpath(path, NULL), *directory = NULL;
        int r;

        if (!real)
                return error_setf(e, errno == ENOENT || errno == ENOTDIR ? CTR_NOT_FOUND : -errno,
                                  "Failed to find the runtime %s: %m", path);
        r = check_file(real, e);
        if (r != 0)
                return r;
        directory = strdup(real);
        if (!directory)
                return -ENOMEM;
        for (char *slash; (slash = strrchr(directory, '/'));) {
                struct stat st;

                slash[slash == directory] = '\0';
                if (stat(directory, &st) < 0)
                        return error_setf(e, -errno, "Failed to look at %s: %m", directory);
                if (!is_safe(&st))
                        return error_setf(e, CTR_FAILED_PRECONDITION,
                                          "The runtime %s can be replaced by others than root, "
                                          "who may write to %s",
                                          path, directory);
                if (slash == directory)
                        break;
        }
        *ret = TAKE_PTR(real);
        return 0;
}

static int find_in(const char *directory, size_t length, const char *name, char **ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        if (asprintf(&path, "%.*s/%s", (int) length, directory, name) < 0)
                return -ENOMEM;
        r = check_program(path, ret, &local);
        if (r != 0)
                (void) error_move(e, &local);
        return r;
}

int runtime_resolve(Manager *m, const char *name, char **ret, Error *e) {
        int r;

        assert(m && name && ret);

        *ret = NULL;
        r = runtime_name_check(name, e);
        if (r != 0 || is_own(name))
                return r;
        if (is_path(name))
                return check_program(name, ret, e);
        for (const char *p = m->runtime_path; *p;) {
                size_t length = strcspn(p, ":");
                _cleanup_error_ Error local = ERROR_NULL;

                r = p[0] == '/' ? find_in(p, length, name, ret, &local) : CTR_NOT_FOUND;
                if (r != CTR_NOT_FOUND) {
                        (void) error_move(e, &local);
                        return r;
                }
                p += length + (p[length] == ':');
        }
        return error_setf(e, CTR_NOT_FOUND, "There is no runtime \"%s\" in %s", name,
                          m->runtime_path);
}

int runtime_check_user_namespace(const char *name, const char *program, UserNamespaceMode mode,
                                 Error *e) {
        if (!program || mode == USER_NAMESPACE_HOST)
                return 0;
        return error_setf(e, CTR_NOT_IMPLEMENTED,
                          "A container of the runtime \"%s\" can have no user namespace", name);
}
