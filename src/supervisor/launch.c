/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The launch document as JSON, both directions side by side. Invariant: what task_launch_to_json()
 * wrote reads back equal, and what reads back is consistent: an upper directory has a work
 * directory and something below it; the paths of a checkpoint and of a runtime are absolute.
 */

#include <signal.h>

#include "basic/identifier.h"
#include "basic/json.h"
#include "supervisor/record.h"
#include "supervisor/stdio-document.h"

void task_launch_clear(TaskLaunch *l) {
        if (!l)
                return;
        free(l->namespace);
        free(l->id);
        free(l->unit);
        free(l->log_identifier);
        stdio_paths_clear(l->stdio_path);
        free(l->rootfs_lower);
        free(l->rootfs_upper);
        free(l->rootfs_work);
        free(l->checkpoint);
        free(l->checkpoint_name);
        free(l->runtime);
        free(l->runtime_name);
        *l = (TaskLaunch){};
}

int task_launch_to_json(const TaskLaunch *l, json_t **ret) {
        _cleanup_json_ json_t *j = NULL, *streams = NULL;
        int r;

        assert(l && l->namespace && l->id && l->unit && ret);

        r = stdio_to_json(l->stdio, l->stdio_path, &streams);
        if (r < 0)
                return r;
        j = json_pack("{s:s, s:s, s:s, s:s*, s:O, s:b, s:i, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, "
                      "s:s*}",
                      "namespace", l->namespace, "id", l->id, "unit", l->unit, "log_identifier",
                      l->log_identifier, "stdio", streams, "terminal", (int) l->terminal,
                      "stop_signal", l->stop_signal, "rootfs_lower", l->rootfs_lower,
                      "rootfs_upper", l->rootfs_upper, "rootfs_work", l->rootfs_work, "checkpoint",
                      l->checkpoint, "checkpoint_name", l->checkpoint_name, "runtime", l->runtime,
                      "runtime_name", l->runtime_name);
        if (!j)
                return -EINVAL;
        /* UINT64_MAX (never) is no JSON integer: the member is left out */
        if (l->stop_timeout <= INT64_MAX &&
            json_object_set_new(j, "stop_timeout", json_integer((json_int_t) l->stop_timeout)) < 0)
                return -ENOMEM;

        *ret = TAKE_PTR(j);
        return 0;
}

static int read_required_string(json_t *j, const char *key, char **p, Error *e) {
        int r;

        r = document_read_string(j, key, p, e);
        if (r < 0)
                return r;
        if (isempty(*p))
                return error_setf(e, -EBADMSG, "%s is missing", key);
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

        r = document_read_string(j, "log_identifier", &l->log_identifier, e);
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
                int r = document_read_string(j, keys[i], targets[i], e);

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
        r = stdio_from_json(j, l->stdio, l->stdio_path, e);
        if (r < 0)
                return r;
        r = read_rootfs(j, l, e);
        if (r < 0)
                return r;
        r = document_read_string(j, "checkpoint", &l->checkpoint, e);
        if (r >= 0)
                r = document_read_string(j, "checkpoint_name", &l->checkpoint_name, e);
        if (r >= 0)
                r = document_read_string(j, "runtime", &l->runtime, e);
        if (r >= 0)
                r = document_read_string(j, "runtime_name", &l->runtime_name, e);
        if (r < 0)
                return r;
        if (l->runtime && l->runtime[0] != '/')
                return error_setf(e, -EBADMSG, "runtime: expected an absolute path");
        if (l->checkpoint && l->checkpoint[0] != '/')
                return error_setf(e, -EBADMSG, "checkpoint: expected an absolute path");
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
