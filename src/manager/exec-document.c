/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The process of an exec: the one of the document that the task was made from (A2.2), whatever the
 * container's says by now, with what the request changes.
 */

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/exec-internal.h"
#include "manager/spec-internal.h"
#include "manager/task-internal.h"

#define ENVIRONMENT_MAX 16384U

/* 0 or -ENOMEM, which a value of NULL is, too. */
static int set(json_t *process, const char *key, json_t *value) {
        return json_object_set_new(process, key, value) < 0 ? -ENOMEM : 0;
}

static int change_environment(json_t *process, const ExecRequest *request, Error *e) {
        _cleanup_strv_free_ char **env = NULL;
        int r;

        r = json_get_strv(process, "process", "env", ENVIRONMENT_MAX, &env, e);
        if (r < 0)
                return r;
        if (request->terminal && !strv_env_get(env, "TERM")) {
                r = strv_env_assign(&env, "TERM=xterm");
                if (r < 0)
                        return r;
        }
        STRV_FOREACH(s, request->environment) {
                r = strv_env_assign(&env, *s);
                if (r < 0)
                        return r;
        }
        return set(process, "env", json_from_strv(env));
}

static bool is_replaced(const ExecRequest *request, const char *type) {
        for (size_t i = 0; i < request->n_rlimits; i++)
                if (streq_ptr(type, request->rlimits[i].name))
                        return true;
        return false;
}

static int change_rlimits(json_t *process, const ExecRequest *request) {
        _cleanup_json_ json_t *all = json_array();
        json_t *old;
        size_t i;

        json_array_foreach(json_object_get(process, "rlimits"), i, old)
                if (!is_replaced(request, json_string_value(json_object_get(old, "type"))) &&
                    json_array_append(all, old) < 0)
                        return -ENOMEM;
        for (i = 0; i < request->n_rlimits; i++) {
                const ContainerRlimit *l = request->rlimits + i;

                if (json_array_append_new(all, json_pack("{sssIsI}", "type", l->name, "soft",
                                                         (json_int_t) l->soft, "hard",
                                                         (json_int_t) l->hard)) < 0)
                        return -ENOMEM;
        }
        return set(process, "rlimits", json_incref(all));
}

static int change_capabilities(json_t *process, const ExecRequest *request, Error *e) {
        json_t *old = json_object_get(json_object_get(process, "capabilities"), "bounding"), *new;
        _cleanup_error_ Error local = ERROR_NULL;

        if (!request->capabilities_add && !request->capabilities_drop)
                return 0;
        new = spec_capabilities_change(old, request->capabilities_add, request->capabilities_drop,
                                       &local);
        if (!new)
                return error_propagate(e, -ENOMEM, &local);
        return set(process, "capabilities", new);
}

static int change_terminal(json_t *process, const ExecRequest *request) {
        int r;

        /* D16 */
        r = set(process, "terminal", json_boolean(request->terminal));
        if (r < 0)
                return r;
        (void) json_object_del(process, "consoleSize");
        if (!request->terminal || request->width == 0 || request->height == 0)
                return 0;
        return set(process, "consoleSize",
                   json_pack("{sisi}", "height", (int) MIN_OF(request->height, 0xffffU), "width",
                             (int) MIN_OF(request->width, 0xffffU)));
}

static int change_process(json_t *process, const ExecRequest *request, Error *e) {
        const char *cwd = request->working_directory;
        int r;

        if (!request->command || isempty(request->command[0]))
                return error_setf(e, CTR_INVALID_ARGUMENT, "No command given");
        if (!isempty(cwd) && cwd[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The working directory \"%s\" is not an absolute path", cwd);
        r = set(process, "args", json_from_strv(request->command));
        if (r == 0 && !isempty(cwd))
                r = set(process, "cwd", json_string(cwd));
        if (r == 0 && request->no_new_privileges_set)
                r = set(process, "noNewPrivileges", json_boolean(request->no_new_privileges));
        if (r == 0)
                r = change_environment(process, request, e);
        if (r == 0)
                r = change_rlimits(process, request);
        if (r == 0)
                r = change_terminal(process, request);
        return r == 0 ? change_capabilities(process, request, e) : r;
}

/* The user is a name that the container's own files give meaning to: an annotation, as init's. */
static int add_annotations(json_t *document, json_t *config, const ExecRequest *request) {
        json_t *annotations = json_object_get(config, "annotations");
        const char *user = request->user;

        if (!user)
                user = json_string_value(json_object_get(annotations, SPEC_ANNOTATION_USER));
        if (!user)
                return 0;
        return set(document, "annotations",
                   json_pack("{ss}", SPEC_ANNOTATION_USER, isempty(user) ? "0" : user));
}

static int write_document(Exec *x, json_t *config, json_t *process, const ExecRequest *request) {
        _cleanup_(exec_launch_clear) ExecLaunch launch = {.terminal = request->terminal};
        _cleanup_json_ json_t *document = NULL;
        _cleanup_free_ char *text = NULL;
        char name[TASK_EXEC_FILE_SIZE];
        int r;

        for (size_t i = 0; i < ELEMENTSOF(launch.stdio); i++) {
                launch.stdio[i] = request->streams.kind[i];
                r = free_and_strdup(&launch.stdio_path[i], request->streams.path[i]);
                if (r < 0)
                        return r;
        }
        r = exec_launch_to_json(&launch, process, &document);
        if (r < 0)
                return r;
        r = add_annotations(document, config, request);
        if (r < 0)
                return r;
        r = json_to_text(document, &text);
        if (r < 0)
                return r;
        return file_write_atomic_at(x->task->dir_fd,
                                    exec_file_name(TASK_FILE_EXEC_PREFIX, x->id, name), text,
                                    strlen(text), 0600, 0);
}

int exec_document_write(Exec *x, const ExecRequest *request, Error *e) {
        _cleanup_json_ json_t *config = NULL, *process = NULL;
        json_t *own;
        int r;

        r = json_read_file_at(x->task->dir_fd, TASK_FILE_CONFIG, TASK_CONFIG_MAX, &config, e);
        if (r != 0)
                return r;
        r = json_get_object(config, "", "process", &own, e);
        if (r < 0)
                return r;
        if (r == 0)
                return error_setf(e, CTR_DATA_LOSS, "%s has no process", TASK_FILE_CONFIG);
        process = json_deep_copy(own);
        if (!process)
                return -ENOMEM;
        r = change_process(process, request, e);
        if (r == 0)
                r = write_document(x, config, process, request);
        if (r < 0)
                return error_setf(e, r, "Failed to write the document of exec %s: %m", x->id);
        return r;
}
