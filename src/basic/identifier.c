/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/identifier.h"

static bool is_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
}

static bool is_separator(char c) {
        return c == '.' || c == '_' || c == '-';
}

bool identifier_is_valid(const char *s) {
        size_t n = s ? strnlen(s, IDENTIFIER_MAX + 1) : 0;

        if (n == 0 || n > IDENTIFIER_MAX || !is_alnum(s[0]) || !is_alnum(s[n - 1]))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_alnum(s[i]) && !(is_separator(s[i]) && is_alnum(s[i - 1])))
                        return false;
        return true;
}

int identifier_validate(const char *s, const char *what, Error *e) {
        if (isempty(s))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The %s must not be empty", what);
        if (strnlen(s, IDENTIFIER_MAX + 1) > IDENTIFIER_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The %s is longer than %i characters",
                                  what, IDENTIFIER_MAX);
        if (!identifier_is_valid(s))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The %s \"%s\" is not valid: letters and digits, separated by "
                                  "single '.', '_' or '-'",
                                  what, s);
        return 0;
}

int namespace_validate(const char *s, Error *e) {
        if (isempty(s))
                return error_setf(e, CTR_FAILED_PRECONDITION, "A namespace is required");
        if (streq(s, "version"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The namespace \"version\" is reserved");
        return identifier_validate(s, "namespace", e);
}

const char *unit_name_from_identifier(const char *namespace, const char *id,
                                      char buf[static UNIT_NAME_SIZE]) {
        bool is_default = streq(namespace, NAMESPACE_DEFAULT);

        assert(identifier_is_valid(namespace) && identifier_is_valid(id));

        (void) snprintf(buf, UNIT_NAME_SIZE, "ctr-%s%s%s.scope", is_default ? "" : namespace,
                        is_default ? "" : ":", id);
        return buf;
}

int unit_name_to_identifier(const char *unit, char **ret_namespace, char **ret_id) {
        _cleanup_free_ char *namespace = NULL, *id = NULL;
        const char *name, *end, *colon;

        assert(unit && ret_namespace && ret_id);

        name = startswith(unit, "ctr-");
        end = name ? strrchr(name, '.') : NULL;
        if (!end || !streq(end, ".scope"))
                return -EINVAL;

        colon = memchr(name, ':', end - name);
        namespace = colon ? strndup(name, colon - name) : strdup(NAMESPACE_DEFAULT);
        if (colon)
                name = colon + 1;
        id = strndup(name, end - name);
        if (!namespace || !id)
                return -ENOMEM;
        if (!identifier_is_valid(namespace) || !identifier_is_valid(id))
                return -EINVAL;

        *ret_namespace = TAKE_PTR(namespace);
        *ret_id = TAKE_PTR(id);
        return 0;
}
