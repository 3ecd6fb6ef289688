/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/strv.h"

#include <stdarg.h>

char **strv_free(char **l) {
        for (char **s = l; s && *s; s++)
                free(*s);
        free(l);
        return NULL;
}

size_t strv_length(char *const *l) {
        size_t n = 0;

        while (l && l[n])
                n++;
        return n;
}

static int strv_consume(char ***l, char *s) {
        size_t n = strv_length(*l);
        char **larger;

        if (!s)
                return -ENOMEM;
        larger = reallocarray(*l, n + 2, sizeof(char *));
        if (!larger) {
                free(s);
                return -ENOMEM;
        }
        larger[n] = s;
        larger[n + 1] = NULL;
        *l = larger;
        return 0;
}

int strv_extend(char ***l, const char *s) {
        return strv_consume(l, strdup(s));
}

int strv_extendf(char ***l, const char *format, ...) {
        char *s = NULL;
        va_list ap;
        int n;

        va_start(ap, format);
        n = vasprintf(&s, format, ap);
        va_end(ap);
        return n < 0 ? -ENOMEM : strv_consume(l, s);
}

char **strv_copy(char *const *l) {
        size_t n = strv_length(l);
        char **copy;

        copy = calloc(n + 1, sizeof(char *));
        if (!copy)
                return NULL;
        for (size_t i = 0; i < n; i++) {
                copy[i] = strdup(l[i]);
                if (!copy[i])
                        return strv_free(copy);
        }
        return copy;
}

static size_t name_length(const char *assignment) {
        return strcspn(assignment, "=");
}

const char *strv_env_get(char *const *l, const char *name) {
        size_t n = strlen(name);

        STRV_FOREACH(s, l)
                if (strncmp(*s, name, n) == 0 && (*s)[n] == '=')
                        return *s + n + 1;
        return NULL;
}

int strv_env_assign(char ***l, const char *assignment) {
        size_t n = name_length(assignment);
        bool unset = assignment[n] != '=';

        for (char **s = *l; s && *s; s++) {
                if (name_length(*s) != n || strncmp(*s, assignment, n) != 0)
                        continue;
                if (unset) {
                        free(*s);
                        memmove(s, s + 1, (strv_length(s + 1) + 1) * sizeof(char *));
                        return 0;
                }
                return free_and_strdup(s, assignment);
        }
        return unset ? 0 : strv_extend(l, assignment);
}
