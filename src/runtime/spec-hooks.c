/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

#include <limits.h>

static const char *const point_names[_HOOK_POINT_MAX] = {
                [HOOK_PRESTART] = "prestart",
                [HOOK_CREATE_RUNTIME] = "createRuntime",
                [HOOK_CREATE_CONTAINER] = "createContainer",
                [HOOK_START_CONTAINER] = "startContainer",
                [HOOK_POSTSTART] = "poststart",
                [HOOK_POSTSTOP] = "poststop",
};

const char *hook_point_to_string(HookPoint point) {
        assert(point < _HOOK_POINT_MAX);
        return point_names[point];
}

static int parse_hook(SpecHook *h, json_t *item, const char *path, Error *e) {
        uint64_t timeout = 0;
        size_t n = 0;
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_string(item, path, "path", &h->path, e);
        if (r < 0)
                return r;
        if (r == 0 || h->path[0] != '/' || strlen(h->path) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.path: not an absolute path", path);
        r = spec_get_strings(item, path, "args", SPEC_ARGUMENTS_MAX, &h->args, &n, e);
        if (r == 0)
                r = spec_get_strings(item, path, "env", SPEC_ARGUMENTS_MAX, &h->env, &n, e);
        if (r != 0)
                return r;
        r = json_get_uint64(item, path, "timeout", UINT32_MAX, &timeout, e);
        if (r < 0)
                return r;
        if (r > 0 && timeout == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.timeout: not greater than 0", path);
        h->timeout_sec = (unsigned) timeout;
        return 0;
}

static int parse_point(SpecHooks *hooks, json_t *section, const char *name, Error *e) {
        char path[SPEC_PATH_SIZE], item_path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(section, "hooks", name, SPEC_HOOKS_MAX, &array, e);
        if (r <= 0 || json_array_size(array) == 0)
                return MIN_OF(r, 0);
        hooks->list = calloc(json_array_size(array), sizeof(SpecHook));
        if (!hooks->list)
                return -ENOMEM;
        (void) snprintf(path, sizeof(path), "hooks.%s", name);
        json_array_foreach(array, i, item) {
                hooks->n = i + 1;
                r = parse_hook(&hooks->list[i], item, spec_path_index(item_path, path, i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int spec_parse_hooks(SpecHooks hooks[static _HOOK_POINT_MAX], json_t *document, Error *e) {
        json_t *section;
        int r;

        r = json_get_object(document, "", "hooks", &section, e);
        if (r <= 0)
                return r;
        for (HookPoint i = 0; i < _HOOK_POINT_MAX; i++) {
                r = parse_point(&hooks[i], section, point_names[i], e);
                if (r != 0)
                        return r;
        }
        return 0;
}

void spec_hooks_clear(SpecHooks hooks[static _HOOK_POINT_MAX]) {
        for (HookPoint i = 0; i < _HOOK_POINT_MAX; i++) {
                for (size_t k = 0; k < hooks[i].n; k++) {
                        free(hooks[i].list[k].args);
                        free(hooks[i].list[k].env);
                }
                free(hooks[i].list);
                hooks[i] = (SpecHooks){};
        }
}
