/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/container-late.h"

#include "basic/fs.h"

struct Late {
        json_t *document; /* "ociVersion", "annotations", "hooks" */
        SpecHooks hooks[_HOOK_POINT_MAX];
        char *id, *bundle;
};

Late *late_free(Late *l) {
        if (!l)
                return NULL;
        spec_hooks_clear(l->hooks);
        json_decref(l->document);
        free(l->id);
        free(l->bundle);
        free(l);
        return NULL;
}
int late_new(const Setup *s, Late **ret) {
        static const char *const keys[] = {"ociVersion", "annotations", "hooks"};
        _cleanup_(late_freep) Late *l = NULL;

        if (s->spec->hooks[HOOK_POSTSTART].n == 0 && s->spec->hooks[HOOK_POSTSTOP].n == 0)
                return 0;
        l = calloc(1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        l->document = json_object();
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                json_t *value = json_object_get(s->spec->document, keys[i]);

                if (value && json_object_set(l->document, keys[i], value) < 0)
                        return -ENOMEM;
        }
        if (free_and_strdup(&l->id, s->id) < 0 || free_and_strdup(&l->bundle, s->bundle) < 0)
                return -ENOMEM;
        if (spec_parse_hooks(l->hooks, l->document, NULL) != 0)
                return -ENOMEM;
        *ret = TAKE_PTR(l);
        return 0;
}

int late_hooks_begin(const Late *l, pid_t pid, HookPoint point, uint64_t timeout_usec,
                     HooksRun **ret, Error *e) {
        _cleanup_free_ char *state = NULL;
        bool stop = point == HOOK_POSTSTOP;
        int r;

        if (l->hooks[point].n == 0)
                return 0;
        r = hooks_state(l->document, l->id, l->bundle, stop ? "stopped" : "running", stop ? 0 : pid,
                        &state);
        return r < 0 ? r : hooks_begin(&l->hooks[point], point, state, timeout_usec, ret, e);
}
