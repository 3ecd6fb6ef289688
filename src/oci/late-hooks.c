/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/late-hooks.h"

#include <fcntl.h>
#include <unistd.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"

static bool has_hooks(json_t *hooks, HookPoint point) {
        return json_array_size(json_object_get(hooks, hook_point_to_string(point))) > 0;
}

int late_hooks_keep(const State *s, json_t *document, Error *e) {
        json_t *hooks = json_object_get(document, "hooks");
        json_t *annotations = json_object_get(document, "annotations");
        _cleanup_json_ json_t *kept = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        if (!has_hooks(hooks, HOOK_POSTSTART) && !has_hooks(hooks, HOOK_POSTSTOP))
                return 0;
        kept = json_pack("{s:O, s:O, s:O*}", "ociVersion", json_object_get(document, "ociVersion"),
                         "hooks", hooks, "annotations", annotations);
        r = kept ? json_to_text(kept, &text) : -ENOMEM;
        if (r == 0)
                r = file_write_atomic_at(s->dir_fd, STATE_HOOKS, text, strlen(text), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to keep the hooks: %m") : 0;
}

static int run(const State *s, json_t *document, HookPoint point, Error *e) {
        SpecHooks hooks[_HOOK_POINT_MAX] = {};
        _cleanup_free_ char *state = NULL;
        bool stop = point == HOOK_POSTSTOP;
        int r;

        r = spec_parse_hooks(hooks, document, e);
        if (r == 0)
                r = hooks_state(document, s->id, s->bundle, stop ? "stopped" : "running",
                                stop ? 0 : s->pid, &state);
        if (r == 0)
                r = hooks_run(&hooks[point], point, state, UINT64_MAX, NULL, NULL, e);
        spec_hooks_clear(hooks);
        return r;
}

int late_hooks_run(const State *s, HookPoint point, Error *e) {
        _cleanup_json_ json_t *document = NULL;
        int r;

        if (faccessat(s->dir_fd, STATE_HOOKS, F_OK, 0) < 0 && errno == ENOENT)
                return 0; /* nearly always */
        r = spec_read_document(s->dir_fd, STATE_HOOKS, &document, e);
        return r == 0 ? run(s, document, point, e) : r;
}

void late_hooks_stop(const State *s) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (late_hooks_run(s, HOOK_POSTSTOP, &e) != 0)
                log_warning("%s", error_text(&e));
}
