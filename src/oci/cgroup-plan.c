/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Which cgroup a container is to have: what linux.cgroupsPath says, in the two ways that the caller
 * of a runtime may choose from. */

#include "basic/cgroup.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "oci/cgroup.h"

#define PATH      "linux.cgroupsPath"
#define DEPTH_MAX 64

static int format_path(char **ret, const char *parent, const char *name) {
        if (asprintf(ret, "%s/%s", parent, name) >= 0)
                return 0;
        *ret = NULL;
        return -ENOMEM;
}

/* Relative paths, and containers without one, start where root's containers are by convention, or
 * beside the caller: its own cgroup has processes, and so no controllers to hand down. */
static int plan_directory(const Context *c, const char *path, const char *id, char **ret,
                          Error *e) {
        _cleanup_free_ char *own = NULL;
        char *slash;
        int r;

        if (path && path[0] == '/') {
                const char *below = path + strspn(path, "/");

                if (!*below)
                        return error_setf(e, CTR_INVALID_ARGUMENT, PATH ": \"%s\" is everybody's",
                                          path);
                *ret = strdup(below);
                return *ret ? 0 : -ENOMEM;
        }
        if (!c->rootless)
                return format_path(ret, RUNTIME_NAME, path ? path : id);
        r = cgroup_path_of(0, &own, e);
        if (r != 0)
                return r;
        slash = strrchr(own, '/');
        if (slash)
                *slash = '\0';
        return format_path(ret, slash ? own : "", path ? path : id);
}

/* "slice:prefix:name" */
static int plan_scope(const Context *c, const char *path, State *s, char **ret_slice, Error *e) {
        const char *slice = "", *prefix = RUNTIME_NAME, *name = s->id;
        _cleanup_free_ char *copy = NULL;

        if (path) {
                char *prefix_at, *name_at;

                copy = strdup(path);
                if (!copy)
                        return -ENOMEM;
                prefix_at = strchr(copy, ':');
                name_at = prefix_at ? strchr(prefix_at + 1, ':') : NULL;
                if (!name_at || !name_at[1] || strchr(path, '/'))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          PATH
                                          ": \"%s\" is not of the form "
                                          "\"slice:prefix:name\", which --systemd-cgroup needs",
                                          path);
                *prefix_at = *name_at = '\0';
                slice = copy;
                prefix = prefix_at + 1;
                name = name_at + 1;
        }
        if (asprintf(&s->scope, "%s%s%s.scope", prefix, *prefix ? "-" : "", name) < 0) {
                s->scope = NULL;
                return -ENOMEM;
        }
        s->user_bus = c->rootless;
        if (!*slice)
                slice = c->rootless ? "user.slice" : "system.slice";
        *ret_slice = strdup(slice);
        return *ret_slice ? 0 : -ENOMEM;
}

/* What the kernel would refuse halfway, with directories made already; how deep they may be it does
 * not say, only takes minutes for thousands. */
static int check_path(const char *path, Error *e) {
        const char *rest = path;
        char name[NAME_MAX + 1];
        unsigned depth = 0;
        int r;

        if (strstr(path, ".."))
                return error_setf(e, CTR_INVALID_ARGUMENT, PATH ": \"%.128s\" leads away", path);
        while ((r = path_next(&rest, name)) > 0)
                if (streq(name, ".") || ++depth > DEPTH_MAX)
                        break;
        if (r != 0 || strchr(path, '\n'))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  PATH ": \"%.128s\" is not a path of at most %d names", path,
                                  DEPTH_MAX);
        return 0;
}

int cgroup_plan(const Context *c, json_t *config, State *s, char **ret_slice, Error *e) {
        const char *path = NULL;
        json_t *section;
        int r;

        r = json_get_object(config, "", "linux", &section, e);
        if (r > 0)
                r = json_get_string(section, "linux", "cgroupsPath", &path, e);
        if (r < 0)
                return r;
        if (isempty(path))
                path = NULL;
        r = path ? check_path(path, e) : 0;
        if (r != 0)
                return r;
        return c->systemd_cgroup ? plan_scope(c, path, s, ret_slice, e)
                                 : plan_directory(c, path, s->id, &s->cgroup, e);
}
