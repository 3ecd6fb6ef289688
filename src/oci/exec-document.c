/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/exec-document.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "runtime/capability.h"
#include "runtime/spec.h"

void exec_options_clear(ExecOptions *o) {
        strv_free(o->env);
        strv_free(o->gids);
        strv_free(o->capabilities);
}

static int set_args(json_t *process, char *const *args, Error *e) {
        json_t *array = json_from_strv(args);

        if (!array)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The command is not valid UTF-8");
        return json_object_set_new(process, "args", array) < 0 ? -ENOMEM : 0;
}

/* What is given comes after what the container has: the last one of a name counts. */
static int add_env(json_t *process, char *const *env, Error *e) {
        _cleanup_strv_free_ char **all = NULL;
        json_t *array;
        int r;

        r = json_get_strv(process, "process", "env", SPEC_ARGUMENTS_MAX, &all, e);
        if (r < 0)
                return r;
        STRV_FOREACH(s, env) {
                if (!strchr(*s, '='))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "--env: \"%s\" is no NAME=VALUE",
                                          *s);
                r = strv_env_assign(&all, *s);
                if (r < 0)
                        return r;
        }
        array = json_from_strv(all);
        if (!array)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The environment is not valid UTF-8");
        return json_object_set_new(process, "env", array) < 0 ? -ENOMEM : 0;
}

static int read_number(const char *text, size_t n, json_int_t *ret) {
        char *end;

        errno = 0;
        *ret = strtoll(text, &end, 10);
        return errno != 0 || end != text + n || n == 0 || *ret < 0 || *ret >= UINT32_MAX ? -EINVAL
                                                                                         : 0;
}

/* "UID[:GID]" */
static int set_user(json_t *process, const char *user, char *const *gids, Error *e) {
        json_t *object = json_object_get(process, "user"), *array;
        json_int_t uid = 0, gid = 0;
        const char *colon;

        if (!json_is_object(object) &&
            (!(object = json_object()) || json_object_set_new(process, "user", object) < 0))
                return -ENOMEM;
        if (user) {
                colon = strchrnul(user, ':');
                if (read_number(user, (size_t) (colon - user), &uid) < 0 ||
                    (*colon && read_number(colon + 1, strlen(colon + 1), &gid) < 0))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "--user: \"%s\" is not UID[:GID]", user);
                if (json_object_set_new(object, "uid", json_integer(uid)) < 0 ||
                    (*colon && json_object_set_new(object, "gid", json_integer(gid)) < 0))
                        return -ENOMEM;
        }
        if (!gids)
                return 0;
        array = json_array();
        if (json_object_set_new(object, "additionalGids", array) < 0)
                return -ENOMEM;
        STRV_FOREACH(s, gids) {
                if (read_number(*s, strlen(*s), &gid) < 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "--additional-gids: \"%s\" is no number", *s);
                if (json_array_append_new(array, json_integer(gid)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int add_capability(json_t *process, const char *name) {
        static const char *const sets[] = {"bounding", "effective", "permitted"};
        json_t *all = json_object_get(process, "capabilities");

        if (!json_is_object(all) &&
            (!(all = json_object()) || json_object_set_new(process, "capabilities", all) < 0))
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                json_t *set = json_object_get(all, sets[i]);

                if (!json_is_array(set) &&
                    (!(set = json_array()) || json_object_set_new(all, sets[i], set) < 0))
                        return -ENOMEM;
                if (json_array_append_new(set, json_string(name)) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int set_rights(const ExecOptions *o, json_t *process, Error *e) {
        STRV_FOREACH(s, o->capabilities) {
                if (capability_from_string(*s) < 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "--cap: unknown capability %s",
                                          *s);
                if (add_capability(process, *s) < 0)
                        return -ENOMEM;
        }
        if (o->no_new_privileges &&
            json_object_set_new(process, "noNewPrivileges", json_true()) < 0)
                return -ENOMEM;
        if (o->apparmor &&
            json_object_set_new(process, "apparmorProfile", json_string(o->apparmor)) < 0)
                return -ENOMEM;
        if (o->label && json_object_set_new(process, "selinuxLabel", json_string(o->label)) < 0)
                return -ENOMEM;
        return 0;
}

static int from_container(const ExecOptions *o, int dir_fd, const char *config_name, json_t **ret,
                          Error *e) {
        _cleanup_json_ json_t *config = NULL;
        json_t *process = NULL;
        int r;

        r = spec_read_document(dir_fd, config_name, &config, e);
        if (r != 0)
                return r;
        r = json_get_object(config, "", "process", &process, e);
        if (r <= 0)
                return r < 0 ? r : spec_missing(e, "", "process");
        (void) json_object_del(process, "consoleSize");
        if (json_object_set_new(process, "terminal", json_boolean(o->terminal)) < 0 ||
            (o->cwd && json_object_set_new(process, "cwd", json_string(o->cwd)) < 0))
                return -ENOMEM;
        r = set_args(process, o->args, e);
        if (r == 0 && o->env)
                r = add_env(process, o->env, e);
        if (r == 0 && (o->user || o->gids))
                r = set_user(process, o->user, o->gids, e);
        if (r == 0)
                r = set_rights(o, process, e);
        if (r == 0)
                *ret = json_incref(process);
        return r;
}

int exec_document_write(const ExecOptions *o, int dir_fd, const char *config_name, const char *name,
                        bool *ret_terminal, Error *e) {
        _cleanup_json_ json_t *process = NULL, *document = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = o->file ? spec_read_document(AT_FDCWD, o->file, &process, e)
                    : from_container(o, dir_fd, config_name, &process, e);
        if (r != 0)
                return r;
        *ret_terminal = json_is_true(json_object_get(process, "terminal"));
        /* conmon says it both ways */
        if (o->file && o->terminal && !*ret_terminal) {
                *ret_terminal = true;
                if (json_object_set_new(process, "terminal", json_true()) < 0)
                        return -ENOMEM;
        }
        document = json_pack("{s:O}", "process", process);
        r = document ? json_to_text(document, &text) : -ENOMEM;
        if (r == 0)
                r = file_write_atomic_at(dir_fd, name, text, strlen(text), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to write the document of the process: %m") : 0;
}
