/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/toml.h"

#include "basic/strv.h"

#define NESTING_MAX 32

static int bad(const Toml *t, Error *e, const char *what) {
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s, line %u: %s", t->file, t->line, what);
}

static void skip_blank(Toml *t) {
        t->p += strspn(t->p, " \t");
}

/* White space, line ends and comments. */
static void skip_lines(Toml *t) {
        for (;;) {
                skip_blank(t);
                if (*t->p == '#')
                        t->p += strcspn(t->p, "\n");
                if (*t->p == '\r' && t->p[1] == '\n')
                        t->p++;
                if (*t->p != '\n')
                        return;
                t->p++;
                t->line++;
        }
}

/* Nothing but a comment may follow on the line. */
static int end_of_line(Toml *t, Error *e) {
        skip_blank(t);
        if (*t->p == '#')
                t->p += strcspn(t->p, "\n");
        if (*t->p == '\r')
                t->p++;
        if (*t->p != '\n' && *t->p != '\0')
                return bad(t, e, "unexpected text at the end of the line");
        return 0;
}

/* "basic" with escapes or 'literal' */
static int read_string(Toml *t, char *buf, size_t size, Error *e) {
        char quote = *t->p++;
        size_t n = 0;

        if (t->p[0] == quote && t->p[1] == quote)
                return bad(t, e, "multi-line strings are not supported");
        while (*t->p != quote) {
                char c = *t->p++;

                if (c == '\0' || c == '\n')
                        return bad(t, e, "the string has no end");
                if (c == '\\' && quote == '"') {
                        static const char from[] = "bfnrt\"\\", to[] = "\b\f\n\r\t\"\\";
                        const char *k = *t->p ? strchr(from, *t->p) : NULL;

                        if (!k)
                                return bad(t, e, "this escape sequence is not supported");
                        c = to[k - from];
                        t->p++;
                }
                if (n + 1 >= size)
                        return bad(t, e, "the string is too long");
                buf[n++] = c;
        }
        buf[n] = '\0';
        t->p++;
        return 0;
}

static bool is_bare(char c) {
        return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
               c == '_' || c == '-';
}

/* a.b."c d" */
static int read_key(Toml *t, Error *e) {
        size_t n = 0;

        for (;;) {
                int r;

                skip_blank(t);
                if (*t->p == '"' || *t->p == '\'') {
                        r = read_string(t, t->name + n, sizeof(t->name) - n, e);
                        if (r != 0)
                                return r;
                        n += strlen(t->name + n);
                } else {
                        if (!is_bare(*t->p))
                                return bad(t, e, "a key is expected");
                        while (is_bare(*t->p)) {
                                if (n + 2 >= sizeof(t->name))
                                        return bad(t, e, "the key is too long");
                                t->name[n++] = *t->p++;
                        }
                }
                skip_blank(t);
                if (*t->p != '.' || n + 2 >= sizeof(t->name))
                        break;
                t->name[n++] = *t->p++;
        }
        t->name[n] = '\0';
        return 0;
}

static int read_table(Toml *t, TomlEvent *ret, Error *e) {
        bool array = t->p[1] == '[';
        int r;

        t->p += array ? 2 : 1;
        r = read_key(t, e);
        if (r != 0)
                return r;
        if (t->p[0] != ']' || (array && t->p[1] != ']'))
                return bad(t, e, "a ']' is expected");
        t->p += array ? 2 : 1;
        *ret = array ? TOML_ARRAY_TABLE : TOML_TABLE;
        return end_of_line(t, e);
}

/* A value that we do not use: strings are skipped as such, brackets must be balanced. */
static int skip_value(Toml *t, Error *e) {
        char stack[NESTING_MAX];
        size_t depth = 0;

        do {
                if (depth > 0)
                        skip_lines(t);
                if (*t->p == '"' || *t->p == '\'') {
                        int r = read_string(t, t->text, sizeof(t->text), e);

                        if (r != 0)
                                return r;
                } else if (*t->p == '[' || *t->p == '{') {
                        if (depth == NESTING_MAX)
                                return bad(t, e, "too deeply nested");
                        stack[depth++] = *t->p++ == '[' ? ']' : '}';
                } else if (*t->p == ']' || *t->p == '}') {
                        if (depth == 0 || stack[--depth] != *t->p++)
                                return bad(t, e, "the brackets do not match");
                } else if (*t->p == '\0')
                        return bad(t, e, "the value has no end");
                else if (depth > 0 && strchr(",=", *t->p))
                        t->p++;
                else {
                        size_t n = strcspn(t->p, " \t\r\n#,=[]{}\"'");

                        if (n == 0)
                                return bad(t, e, "a value is expected");
                        t->p += n;
                }
                skip_blank(t);
        } while (depth > 0);
        return 0;
}

static int read_pair(Toml *t, TomlEvent *ret, Error *e) {
        int r;

        r = read_key(t, e);
        if (r != 0)
                return r;
        if (*t->p != '=')
                return bad(t, e, "a '=' is expected");
        t->p++;
        skip_blank(t);
        if (*t->p == '"' || *t->p == '\'') {
                r = read_string(t, t->text, sizeof(t->text), e);
                *ret = TOML_STRING;
        } else if (startswith(t->p, "true") || startswith(t->p, "false")) {
                t->boolean = *t->p == 't';
                t->p += t->boolean ? STRLEN("true") : STRLEN("false");
                *ret = TOML_BOOLEAN;
        } else {
                t->value = t->p;
                t->value_line = t->line;
                r = skip_value(t, e);
                *ret = TOML_OTHER;
        }
        if (r != 0)
                return r;
        return end_of_line(t, e);
}

int toml_next(Toml *t, TomlEvent *ret, Error *e) {
        assert(t && t->p && ret);

        if (t->line == 0)
                t->line = 1;
        skip_lines(t);
        if (!*t->p) {
                *ret = TOML_END;
                return 0;
        }
        return *t->p == '[' ? read_table(t, ret, e) : read_pair(t, ret, e);
}

int toml_read_strings(const Toml *t, size_t max, char ***ret, Error *e) {
        Toml array = {.p = t->value, .file = t->file, .line = t->value_line};
        _cleanup_strv_free_ char **l = NULL;

        if (*array.p++ != '[')
                return bad(&array, e, "an array of strings is expected");
        for (skip_lines(&array); *array.p != ']'; skip_lines(&array)) {
                int r;

                if (*array.p != '"' && *array.p != '\'')
                        return bad(&array, e, "a string is expected");
                if (strv_length(l) == max)
                        return bad(&array, e, "the array is too long");
                r = read_string(&array, array.text, sizeof(array.text), e);
                if (r == 0)
                        r = strv_extend(&l, array.text);
                if (r != 0)
                        return r;
                skip_lines(&array);
                if (*array.p == ',')
                        array.p++;
                else if (*array.p != ']')
                        return bad(&array, e, "a ',' is expected");
        }
        *ret = TAKE_PTR(l);
        return 0;
}
