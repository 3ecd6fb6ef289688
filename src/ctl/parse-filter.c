/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filters in the words of docker and podman, as the service has them: "label=KEY[=VALUE]" and
 * "label!=..." become conditions on a label. They narrow the filter before them: for those tools
 * all have to match, while filters of the service are alternatives. */

#include "basic/strv.h"
#include "ctl/options.h"

/* In quotes. */
static char *quote(const char *s, size_t n) {
        char *text = malloc(2 * n + 3), *end = text;

        if (!text)
                return NULL;
        *end++ = '"';
        for (size_t i = 0; i < n; i++) {
                if (s[i] == '"' || s[i] == '\\')
                        *end++ = '\\';
                *end++ = s[i];
        }
        *end++ = '"';
        *end = '\0';
        return text;
}

/* Joins it to the last one. */
static int narrow(char ***filters, const char *condition) {
        size_t n = strv_length(*filters);
        char *joined;

        if (n == 0)
                return strv_extend(filters, condition);
        if (asprintf(&joined, "%s,%s", (*filters)[n - 1], condition) < 0)
                return -ENOMEM;
        free((*filters)[n - 1]);
        (*filters)[n - 1] = joined;
        return 0;
}

int parse_filter(const char *s, void *target, Error *e) {
        _cleanup_free_ char *key = NULL, *value = NULL, *condition = NULL;
        const char *label = startswith(s, "label="), *equals;
        bool negated = !label;

        if (!label)
                label = startswith(s, "label!=");
        if (!label)
                return strv_extend(target, s);
        equals = strchrnul(label, '=');
        if (equals == label)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" names no label", s);
        if (negated && !*equals)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" needs a value: there is no filter for labels that are "
                                  "not there",
                                  s);
        key = quote(label, (size_t) (equals - label));
        value = *equals ? quote(equals + 1, strlen(equals + 1)) : NULL;
        if (!key || (*equals && !value) ||
            asprintf(&condition, "labels.%s%s%s", key,
                     !*equals  ? ""
                     : negated ? "!="
                               : "==",
                     strempty(value)) < 0)
                return -ENOMEM;
        return narrow(target, condition);
}

int parse_prune_filter(const char *s, void *target, Error *e) {
        Options *o = target;
        const char *until = startswith(s, "until=");

        return until ? parse_time(until, &o->until, e) : parse_filter(s, &o->filters, e);
}
