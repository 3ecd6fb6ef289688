/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/copy-path.h"

void copy_end_clear(CopyEnd *end) {
        free(end->container);
        free(end->path);
        *end = (CopyEnd){};
}

int copy_end_parse(const char *s, CopyEnd *ret, Error *e) {
        const char *colon = strchr(s, ':');
        _cleanup_free_ char *container = NULL;
        char *path;

        if (s[0] != '/' && s[0] != '.' && colon) {
                if (colon == s)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" names no container", s);
                container = strndup(s, (size_t) (colon - s));
                if (!container ||
                    asprintf(&path, "%s%s", colon[1] == '/' ? "" : "/", colon + 1) < 0)
                        return error_setf(e, -ENOMEM, "Out of memory");
        } else if (isempty(s))
                return error_setf(e, CTR_INVALID_ARGUMENT, "a path is empty");
        else
                path = strdup(s);
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        *ret = (CopyEnd){.container = TAKE_PTR(container), .path = path};
        return 0;
}

static size_t without_slashes(const char *path) {
        size_t n = strlen(path);

        while (n > 1 && path[n - 1] == '/')
                n--;
        return n;
}

/* Whether it ends in "/." or is ".": what is in the directory. */
static bool means_contents(const char *path) {
        size_t n = strlen(path);

        return n > 0 && path[n - 1] == '.' && (n == 1 || path[n - 2] == '/');
}

static int set_directory(CopyTarget *t, const char *path, size_t n, Error *e) {
        if (n >= sizeof(t->directory))
                return error_setf(e, -ENAMETOOLONG, "\"%s\" is too long", path);
        memcpy(t->directory, path, n);
        t->directory[n] = '\0';
        return 0;
}

static int set_name(CopyTarget *t, const char *name, size_t n, Error *e) {
        if (n >= sizeof(t->as))
                return error_setf(e, -ENAMETOOLONG, "\"%s\" is too long", name);
        memcpy(t->as, name, n);
        t->as[n] = '\0';
        return 0;
}

/* path as a directory and a name in it. */
static int split(CopyTarget *t, const char *path, Error *e) {
        size_t n = without_slashes(path);
        const char *slash = memrchr(path, '/', n);
        const char *name = slash ? slash + 1 : path;
        int r;

        if (slash)
                r = set_directory(t, path, slash == path ? 1 : (size_t) (slash - path), e);
        else
                r = set_directory(t, ".", 1, e);
        return r == 0 ? set_name(t, name, (size_t) (path + n - name), e) : r;
}

/* The name that a source has, "" if it has none of its own: "/", "..". */
static int own_name(CopyTarget *t, const char *source, Error *e) {
        size_t n = without_slashes(source);
        const char *slash = memrchr(source, '/', n);
        const char *name = slash ? slash + 1 : source;

        n = (size_t) (source + n - name);
        if (n == 2 && startswith(name, ".."))
                n = 0;
        return set_name(t, name, n, e);
}

int copy_target(const char *source, CopyKind source_kind, const char *target, CopyKind target_kind,
                CopyTarget *ret, Error *e) {
        bool contents = means_contents(source), slash = target[strlen(target) - 1] == '/';
        CopyTarget t = {};
        int r;

        if (source_kind == COPY_ABSENT)
                return error_setf(e, CTR_NOT_FOUND, "\"%s\" does not exist", source);
        if (source_kind == COPY_FILE && (contents || source[strlen(source) - 1] == '/'))
                return error_setf(e, CTR_FAILED_PRECONDITION, "\"%s\" is not a directory", source);
        if (target_kind == COPY_FILE && (slash || source_kind == COPY_DIRECTORY))
                return error_setf(e, CTR_FAILED_PRECONDITION, "\"%s\" is not a directory", target);
        if (target_kind == COPY_ABSENT && source_kind == COPY_FILE && slash)
                return error_setf(e, CTR_NOT_FOUND, "The directory \"%s\" does not exist", target);

        if (target_kind == COPY_DIRECTORY) {
                r = set_directory(&t, target, strlen(target), e);
                if (r == 0 && !contents)
                        r = own_name(&t, source, e);
        } else
                r = split(&t, target, e);
        if (r == 0)
                *ret = t;
        return r;
}
