/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Standard streams as JSON, both directions side by side. Invariant: what reads back is consistent:
 * a stream that needs a path has an absolute one, or a URI if it is a log program.
 */

#include "supervisor/stdio-document.h"

#include "basic/json.h"

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

void stdio_paths_clear(char *paths[static 3]) {
        for (size_t i = 0; i < 3; i++) {
                free(paths[i]);
                paths[i] = NULL;
        }
}

int stdio_to_json(const StdioKind kinds[static 3], char *const paths[static 3], json_t **ret) {
        _cleanup_json_ json_t *streams = NULL;

        streams = json_object();
        if (!streams)
                return -ENOMEM;
        for (size_t i = 0; i < 3; i++) {
                const char *kind = stdio_kind_to_string(kinds[i]);

                if (!kind || stdio_kind_has_path(kinds[i]) != !!paths[i])
                        return -EINVAL;
                if (json_object_set_new(streams, stream_names[i],
                                        json_pack("{s:s, s:s*}", "kind", kind, "path", paths[i])) <
                    0)
                        return -EINVAL; /* not UTF-8, or no memory: jansson does not tell */
        }
        *ret = TAKE_PTR(streams);
        return 0;
}

int document_read_string(json_t *j, const char *key, char **p, Error *e) {
        const char *s = NULL;
        int r;

        r = json_get_string(j, "", key, &s, e);
        if (r <= 0)
                return r;
        r = free_and_strdup(p, s);
        return r < 0 ? r : 1;
}

static int path_check(StdioKind kind, size_t i, const char *path, Error *e) {
        if (stdio_kind_has_path(kind) != !!path)
                return error_setf(e, -EBADMSG, "%s.path: expected %s", stream_names[i],
                                  path ? "none" : "an absolute path");
        if (!path)
                return 0;
        if (kind == STDIO_BINARY) {
                if (!startswith(path, "binary:///") && !startswith(path, "binary-v2:///"))
                        return error_setf(e, -EBADMSG,
                                          "%s.path: expected binary:///PATH or binary-v2:///PATH",
                                          stream_names[i]);
                return 0;
        }
        return path[0] == '/' ? 0
                              : error_setf(e, -EBADMSG, "%s.path: expected an absolute path",
                                           stream_names[i]);
}

static int read_stream(json_t *streams, size_t i, StdioKind *kind, char **path, Error *e) {
        const char *name = NULL, *value = NULL;
        json_t *j = NULL;
        int r;

        r = json_get_object(streams, "stdio", stream_names[i], &j, e);
        if (r <= 0)
                return r; /* not there: null */
        r = json_get_string(j, stream_names[i], "kind", &name, e);
        if (r < 0)
                return r;
        r = json_get_string(j, stream_names[i], "path", &value, e);
        if (r < 0)
                return r;

        for (StdioKind k = 0; k < _STDIO_KIND_MAX; k++) {
                if (!streq_ptr(name, stdio_kind_names[k]))
                        continue;
                r = path_check(k, i, value, e);
                if (r < 0)
                        return r;
                if (i == STDIN_FILENO && (k == STDIO_JOURNAL || k == STDIO_BINARY))
                        return error_setf(e, -EBADMSG, "stdin.kind: the %s is for output",
                                          k == STDIO_JOURNAL ? "journal" : "log program");
                *kind = k;
                return free_and_strdup(path, value);
        }
        return error_setf(e, -EBADMSG, "%s.kind: unknown kind \"%s\"", stream_names[i],
                          strempty(name));
}

int stdio_from_json(json_t *j, StdioKind kinds[static 3], char *paths[static 3], Error *e) {
        json_t *streams = NULL;
        int r;

        r = json_get_object(j, "", "stdio", &streams, e);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < 3; i++) {
                r = read_stream(streams, i, &kinds[i], &paths[i], e);
                if (r < 0)
                        return r;
        }
        return 0;
}
