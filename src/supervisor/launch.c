/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The launch document as JSON, both directions side by side. Invariant: what task_launch_to_json()
 * wrote reads back equal, and what reads back is consistent: a stream that needs a path has an
 * absolute one, an upper directory has a work directory and something below it.
 */

#include <signal.h>

#include "basic/identifier.h"
#include "basic/json.h"
#include "supervisor/record.h"

static const char *const stdio_kind_names[_STDIO_KIND_MAX] = {
                [STDIO_NULL] = "null",     [STDIO_FD] = "fd",     [STDIO_JOURNAL] = "journal",
                [STDIO_FIFO] = "fifo",     [STDIO_FILE] = "file", [STDIO_BINARY] = "binary",
                [STDIO_ATTACH] = "attach",
};

static const char *const stream_names[3] = {"stdin", "stdout", "stderr"};

const char *stdio_kind_to_string(StdioKind kind) {
        return (int) kind >= 0 && kind < _STDIO_KIND_MAX ? stdio_kind_names[kind] : NULL;
}

static bool stdio_kind_has_path(StdioKind kind) {
        return kind == STDIO_FIFO || kind == STDIO_FILE || kind == STDIO_BINARY;
}

void task_launch_clear(TaskLaunch *l) {
        if (!l)
                return;
        free(l->namespace);
        free(l->id);
        free(l->unit);
        free(l->log_identifier);
        for (size_t i = 0; i < ELEMENTSOF(l->stdio_path); i++)
                free(l->stdio_path[i]);
        free(l->rootfs_lower);
        free(l->rootfs_upper);
        free(l->rootfs_work);
        *l = (TaskLaunch){};
}

int task_launch_to_json(const TaskLaunch *l, json_t **ret) {
        _cleanup_json_ json_t *j = NULL, *streams = NULL;

        assert(l && l->namespace && l->id && l->unit && ret);

        streams = json_object();
        if (!streams)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(l->stdio); i++) {
                const char *kind = stdio_kind_to_string(l->stdio[i]);

                if (!kind || stdio_kind_has_path(l->stdio[i]) != !!l->stdio_path[i])
                        return -EINVAL;
                if (json_object_set_new(streams, stream_names[i],
                                        json_pack("{s:s, s:s*}", "kind", kind, "path",
                                                  l->stdio_path[i])) < 0)
                        return -EINVAL; /* not UTF-8, or no memory: jansson does not tell */
        }

        j = json_pack("{s:s, s:s, s:s, s:s*, s:O, s:b, s:i, s:s*, s:s*, s:s*}", "namespace",
                      l->namespace, "id", l->id, "unit", l->unit, "log_identifier",
                      l->log_identifier, "stdio", streams, "terminal", (int) l->terminal,
                      "stop_signal", l->stop_signal, "rootfs_lower", l->rootfs_lower,
                      "rootfs_upper", l->rootfs_upper, "rootfs_work", l->rootfs_work);
        if (!j)
                return -EINVAL;
        /* UINT64_MAX (never) is no JSON integer: the member is left out */
        if (l->stop_timeout <= INT64_MAX &&
            json_object_set_new(j, "stop_timeout", json_integer((json_int_t) l->stop_timeout)) < 0)
                return -ENOMEM;

        *ret = TAKE_PTR(j);
        return 0;
}

/* Copies an optional string member into *p. */
static int read_string(json_t *j, const char *key, char **p, Error *e) {
        const char *s = NULL;
        int r;

        r = json_get_string(j, "", key, &s, e);
        if (r <= 0)
                return r;
        r = free_and_strdup(p, s);
        return r < 0 ? r : 1;
}

static int read_required_string(json_t *j, const char *key, char **p, Error *e) {
        int r;

        r = read_string(j, key, p, e);
        if (r < 0)
                return r;
        if (isempty(*p))
                return error_setf(e, -EBADMSG, "%s is missing", key);
        return 0;
}

static int read_stream(json_t *streams, size_t i, TaskLaunch *l, Error *e) {
        const char *kind = NULL, *path = NULL;
        json_t *j = NULL;
        int r;

        r = json_get_object(streams, "stdio", stream_names[i], &j, e);
        if (r <= 0)
                return r; /* not there: null */
        r = json_get_string(j, stream_names[i], "kind", &kind, e);
        if (r < 0)
                return r;
        r = json_get_string(j, stream_names[i], "path", &path, e);
        if (r < 0)
                return r;

        for (StdioKind k = 0; k < _STDIO_KIND_MAX; k++) {
                if (!streq_ptr(kind, stdio_kind_names[k]))
                        continue;
                if (stdio_kind_has_path(k) != !!path || (path && path[0] != '/'))
                        return error_setf(e, -EBADMSG, "%s.path: expected %s", stream_names[i],
                                          stdio_kind_has_path(k) ? "an absolute path" : "none");
                if (k == STDIO_JOURNAL && i == STDIN_FILENO)
                        return error_setf(e, -EBADMSG, "stdin.kind: the journal is for output");
                l->stdio[i] = k;
                return free_and_strdup(&l->stdio_path[i], path);
        }
        return error_setf(e, -EBADMSG, "%s.kind: unknown kind \"%s\"", stream_names[i],
                          strempty(kind));
}

static int read_streams(json_t *j, TaskLaunch *l, Error *e) {
        json_t *streams = NULL;
        int r;

        r = json_get_object(j, "", "stdio", &streams, e);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(l->stdio); i++) {
                r = read_stream(streams, i, l, e);
                if (r < 0)
                        return r;
        }
        return 0;
}

static int read_names(json_t *j, TaskLaunch *l, Error *e) {
        static const char *const keys[] = {"namespace", "id", "unit"};
        char **const targets[] = {&l->namespace, &l->id, &l->unit};
        int r;

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                r = read_required_string(j, keys[i], targets[i], e);
                if (r < 0)
                        return r;
        }
        if (!identifier_is_valid(l->namespace) || !identifier_is_valid(l->id))
                return error_setf(e, -EBADMSG, "namespace or id is not valid");
        if (isempty(l->unit) || strchr(l->unit, '/'))
                return error_setf(e, -EBADMSG, "unit: expected a unit name");

        r = read_string(j, "log_identifier", &l->log_identifier, e);
        if (r < 0)
                return r;
        if (l->log_identifier && strchr(l->log_identifier, '\n'))
                return error_setf(e, -EBADMSG, "log_identifier: expected one line");
        return 0;
}

static int read_rootfs(json_t *j, TaskLaunch *l, Error *e) {
        static const char *const keys[] = {"rootfs_lower", "rootfs_upper", "rootfs_work"};
        char **const targets[] = {&l->rootfs_lower, &l->rootfs_upper, &l->rootfs_work};

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                int r = read_string(j, keys[i], targets[i], e);

                if (r < 0)
                        return r;
        }
        if (!!l->rootfs_upper != !!l->rootfs_work || (l->rootfs_upper && !l->rootfs_lower))
                return error_setf(e, -EBADMSG,
                                  "rootfs_upper needs rootfs_work and rootfs_lower beside it");
        return 0;
}

static int launch_from_json(json_t *j, TaskLaunch *l, Error *e) {
        int64_t stop_signal = SIGTERM;
        int r;

        r = read_names(j, l, e);
        if (r < 0)
                return r;
        r = read_streams(j, l, e);
        if (r < 0)
                return r;
        r = read_rootfs(j, l, e);
        if (r < 0)
                return r;
        r = json_get_bool(j, "", "terminal", &l->terminal, e);
        if (r < 0)
                return r;
        r = json_get_int64(j, "", "stop_signal", 1, SIGRTMAX, &stop_signal, e);
        if (r < 0)
                return r;
        l->stop_signal = (int) stop_signal;
        l->stop_timeout = UINT64_MAX;
        r = json_get_uint64(j, "", "stop_timeout", INT64_MAX, &l->stop_timeout, e);
        return r < 0 ? r : 0;
}

int task_launch_from_json(json_t *j, TaskLaunch *ret, Error *e) {
        TaskLaunch l = {};
        int r;

        assert(j && ret);

        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "%s: not an object", TASK_FILE_LAUNCH);

        r = launch_from_json(j, &l, e);
        if (r < 0) {
                task_launch_clear(&l);
                if (r == -EBADMSG)
                        (void) error_prefix(e, r, "%s", TASK_FILE_LAUNCH);
                return r;
        }
        *ret = l;
        return 0;
}
