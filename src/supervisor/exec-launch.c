/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What the manager writes for an exec, and what it asks for a checkpoint, as JSON: both directions
 * side by side. Invariant: what was written reads back equal.
 */

#include "basic/json.h"
#include "basic/strv.h"
#include "supervisor/protocol.h"
#include "supervisor/record.h"
#include "supervisor/stdio-document.h"

#define EMPTY_NAMESPACES_MAX 16U

void exec_launch_clear(ExecLaunch *l) {
        if (!l)
                return;
        stdio_paths_clear(l->stdio_path);
        *l = (ExecLaunch){};
}

int exec_launch_to_json(const ExecLaunch *l, json_t *process, json_t **ret) {
        _cleanup_json_ json_t *streams = NULL;
        json_t *j;
        int r;

        assert(l && process && ret);

        r = stdio_to_json(l->stdio, l->stdio_path, &streams);
        if (r < 0)
                return r;
        j = json_pack("{s:O, s:O, s:b}", "process", process, "stdio", streams, "terminal",
                      (int) l->terminal);
        if (!j)
                return -ENOMEM;
        *ret = j;
        return 0;
}

int exec_launch_from_json(json_t *j, ExecLaunch *ret, Error *e) {
        _cleanup_(exec_launch_clear) ExecLaunch l = {};
        json_t *process = NULL;
        int r;

        assert(j && ret);

        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "not an object");
        r = json_get_object(j, "", "process", &process, e);
        if (r < 0)
                return r;
        if (!process)
                return error_setf(e, -EBADMSG, "process is missing");
        r = stdio_from_json(j, l.stdio, l.stdio_path, e);
        if (r < 0)
                return r;
        r = json_get_bool(j, "", "terminal", &l.terminal, e);
        if (r < 0)
                return r;

        *ret = l;
        l = (ExecLaunch){};
        return 0;
}

void checkpoint_request_clear(CheckpointRequest *c) {
        if (!c)
                return;
        free(c->images);
        free(c->parent);
        strv_free(c->empty_namespaces);
        *c = (CheckpointRequest){};
}

int checkpoint_request_to_text(const CheckpointRequest *c, char **ret) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        assert(c && c->images && ret);

        j = json_pack("{s:s, s:s*, s:b, s:b, s:b, s:b, s:b, s:o}", "images", c->images, "parent",
                      c->parent, "leave_running", (int) c->leave_running, "allow_tcp",
                      (int) c->allow_tcp, "allow_unix_sockets", (int) c->allow_unix_sockets,
                      "allow_terminal", (int) c->allow_terminal, "file_locks", (int) c->file_locks,
                      "empty_namespaces", json_from_strv(c->empty_namespaces));
        if (!j)
                return -EINVAL;
        r = json_to_text(j, &text);
        if (r < 0)
                return r;
        if (strlen(text) >= SUPERVISOR_MESSAGE_TEXT_MAX)
                return -ENAMETOOLONG;
        *ret = TAKE_PTR(text);
        return 0;
}

static int read_flags(json_t *j, CheckpointRequest *c, Error *e) {
        static const char *const keys[] = {"leave_running", "allow_tcp", "allow_unix_sockets",
                                           "allow_terminal", "file_locks"};
        bool *const targets[] = {&c->leave_running, &c->allow_tcp, &c->allow_unix_sockets,
                                 &c->allow_terminal, &c->file_locks};

        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                int r = json_get_bool(j, "", keys[i], targets[i], e);

                if (r < 0)
                        return r;
        }
        return 0;
}

int checkpoint_request_from_text(const char *text, CheckpointRequest *ret, Error *e) {
        _cleanup_(checkpoint_request_clear) CheckpointRequest c = {};
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(text && ret);

        r = json_parse(text, strlen(text), "checkpoint request", &j, e);
        if (r != 0)
                return r;
        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "checkpoint request: not an object");
        r = document_read_string(j, "images", &c.images, e);
        if (r >= 0)
                r = document_read_string(j, "parent", &c.parent, e);
        if (r >= 0)
                r = read_flags(j, &c, e);
        if (r >= 0)
                r = json_get_strv(j, "", "empty_namespaces", EMPTY_NAMESPACES_MAX,
                                  &c.empty_namespaces, e);
        if (r < 0)
                return r;
        if (isempty(c.images) || c.images[0] != '/' || (c.parent && c.parent[0] != '/'))
                return error_setf(e, -EBADMSG, "images, parent: expected absolute paths");

        *ret = c;
        c = (CheckpointRequest){};
        return 0;
}
