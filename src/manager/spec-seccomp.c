/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The "linux.seccomp" part of the document: the default profile, in which a capability that a
 * container has beyond the default ones opens the system calls that it is for. */

#include "basic/json.h"
#include "manager/manager.h"
#include "manager/spec-internal.h"

/* The calls of all granted extra capabilities as the keys of an object. */
static json_t *extra_calls(Manager *m, json_t *capabilities) {
        json_t *calls = json_object(), *capability, *names, *name;
        size_t i, n;

        if (!calls)
                return NULL;
        json_array_foreach(capabilities, i, capability) {
                const char *s = json_string_value(capability);

                if (spec_capability_is_default(s))
                        continue;
                names = json_object_get(m->seccomp_capabilities, s);
                json_array_foreach(names, n, name) {
                        if (json_object_set_new(calls, json_string_value(name), json_true()) < 0) {
                                json_decref(calls);
                                return NULL;
                        }
                }
        }
        return calls;
}

/* Takes the calls out of a rule's names; true if none is left. */
static bool rule_remove(json_t *rule, json_t *calls) {
        json_t *names = json_object_get(rule, "names");

        for (size_t i = json_array_size(names); i > 0; i--)
                if (json_object_get(calls, json_string_value(json_array_get(names, i - 1))))
                        (void) json_array_remove(names, i - 1);
        return json_array_size(names) == 0;
}

json_t *spec_seccomp(Manager *m, json_t *capabilities) {
        _cleanup_json_ json_t *calls = NULL, *profile = NULL, *allowed = NULL;
        json_t *rules;
        const char *name;
        json_t *unused;

        calls = extra_calls(m, capabilities);
        if (!calls)
                return NULL;
        if (json_object_size(calls) == 0)
                return json_incref(m->seccomp);

        profile = json_deep_copy(m->seccomp);
        allowed = json_array();
        rules = json_object_get(profile, "syscalls");
        if (!rules || !allowed)
                return NULL;
        for (size_t i = json_array_size(rules); i > 0; i--)
                if (rule_remove(json_array_get(rules, i - 1), calls))
                        (void) json_array_remove(rules, i - 1);
        json_object_foreach(calls, name, unused) {
                if (json_array_append_new(allowed, json_string(name)) < 0)
                        return NULL;
        }
        if (json_array_append_new(rules, json_pack("{sOss}", "names", allowed, "action",
                                                   "SCMP_ACT_ALLOW")) < 0)
                return NULL;
        return json_incref(profile);
}
