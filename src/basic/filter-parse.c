/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Reads the text of a filter: one pass, one byte of look-ahead. Blanks between the parts of a
 * condition are skipped.
 */

#include <ctype.h>

#include "basic/filter-internal.h"

typedef struct Parser {
        const char *text, *p;
        Error *e;
} Parser;

static int fail(const Parser *parser, const char *at, const char *sentence) {
        return error_setf(parser->e, CTR_INVALID_ARGUMENT, "position %zu: %s",
                          (size_t) (at - parser->text), sentence);
}

static void skip_blanks(Parser *parser) {
        while (isspace((unsigned char) *parser->p))
                parser->p++;
}

static bool is_name_char(char c) {
        return isalnum((unsigned char) c) || c == '_' || c == '-';
}

static unsigned digit_value(char c) {
        if (c >= '0' && c <= '9')
                return (unsigned) (c - '0');
        if (c >= 'a' && c <= 'f')
                return (unsigned) (c - 'a') + 10;
        if (c >= 'A' && c <= 'F')
                return (unsigned) (c - 'A') + 10;
        return 16;
}

/* A code point as UTF-8. Returns behind it. */
static char *put_utf8(char *out, uint32_t c) {
        if (c < 0x80)
                *out++ = (char) c;
        else if (c < 0x800)
                *out++ = (char) (0xc0 | c >> 6);
        else {
                if (c < 0x10000)
                        *out++ = (char) (0xe0 | c >> 12);
                else {
                        *out++ = (char) (0xf0 | c >> 18);
                        *out++ = (char) (0x80 | (c >> 12 & 0x3f));
                }
                *out++ = (char) (0x80 | (c >> 6 & 0x3f));
        }
        if (c >= 0x80)
                *out++ = (char) (0x80 | (c & 0x3f));
        return out;
}

/* n digits: a byte (three octal or two hexadecimal ones) or a code point (four, eight). */
static int read_number(Parser *parser, unsigned base, unsigned n, char **out) {
        const char *start = parser->p;
        uint32_t value = 0;
        bool is_byte = base == 8 || n == 2;

        for (unsigned i = 0; i < n; i++) {
                unsigned digit = digit_value(*parser->p);

                if (digit >= base)
                        return fail(parser, start, "bad number in an escape sequence");
                value = value * base + digit;
                parser->p++;
        }
        if (value == 0)
                return fail(parser, start, "a NUL character is not allowed");
        if (is_byte ? value > 0xff : value > 0x10ffff || (value >= 0xd800 && value < 0xe000))
                return fail(parser, start, "an escape sequence stands for no character");
        if (is_byte)
                *(*out)++ = (char) value;
        else
                *out = put_utf8(*out, value);
        return 0;
}

/* The parser is behind the backslash. */
static int read_escape(Parser *parser, char quote, char **out) {
        static const char simple[] = "abfnrtv\\", meaning[] = "\a\b\f\n\r\t\v\\";
        char c = *parser->p;
        const char *found;

        if (c >= '0' && c <= '7')
                return read_number(parser, 8, 3, out);
        found = c ? strchr(simple, c) : NULL;
        if (!found && c != quote && c != 'x' && c != 'u' && c != 'U')
                return fail(parser, parser->p, "unknown escape sequence");
        parser->p++;
        if (c == 'x')
                return read_number(parser, 16, 2, out);
        if (c == 'u')
                return read_number(parser, 16, 4, out);
        if (c == 'U')
                return read_number(parser, 16, 8, out);
        *(*out)++ = found ? meaning[found - simple] : c;
        return 0;
}

/* A quoted string; no form of it gets longer by being read. */
static int read_quoted(Parser *parser, char **ret) {
        const char *start = parser->p;
        _cleanup_free_ char *s = NULL;
        char quote = *parser->p++, *out;
        int r;

        s = out = malloc(strlen(start) + 1);
        if (!s)
                return -ENOMEM;
        while (*parser->p != quote) {
                if (!*parser->p || *parser->p == '\n')
                        return fail(parser, start, "the quotation does not end");
                if (*parser->p != '\\') {
                        *out++ = *parser->p++;
                        continue;
                }
                parser->p++;
                r = read_escape(parser, quote, &out);
                if (r != 0)
                        return r;
        }
        parser->p++;
        *out = '\0';
        *ret = TAKE_PTR(s);
        return 0;
}

static int read_name(Parser *parser, char **ret) {
        const char *start;

        skip_blanks(parser);
        start = parser->p;
        if (*start == '"')
                return read_quoted(parser, ret);
        while (is_name_char(*parser->p))
                parser->p++;
        if (parser->p == start)
                return fail(parser, start, "expected a name or a quoted one");
        *ret = strndup(start, (size_t) (parser->p - start));
        return *ret ? 0 : -ENOMEM;
}

/* Puts the names one after the other, each with its NUL, and the same once more joined by dots. */
static int set_field(Condition *c, char *const *names, size_t n) {
        size_t size = 0;
        char *p;

        for (size_t i = 0; i < n; i++)
                size += strlen(names[i]) + 1;
        c->text = p = malloc(2 * size);
        if (!c->text)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                c->field.names[i] = p;
                p = stpcpy(p, names[i]) + 1;
        }
        for (size_t i = 0; i < n; i++) {
                c->field.rests[i] = p;
                p = stpcpy(p, names[i]);
                *p++ = i + 1 < n ? '.' : '\0';
        }
        c->field.n = n;
        return 0;
}

static int read_path(Parser *parser, Condition *c) {
        char *names[FILTER_NAMES_MAX] = {};
        size_t n = 0;
        int r;

        for (;;) {
                r = read_name(parser, &names[n]);
                if (r != 0)
                        break;
                n++;
                skip_blanks(parser);
                if (*parser->p != '.') {
                        r = set_field(c, names, n);
                        break;
                }
                if (n == FILTER_NAMES_MAX) {
                        r = fail(parser, parser->p, "the path is too long");
                        break;
                }
                parser->p++;
        }
        for (size_t i = 0; i < n; i++)
                free(names[i]);
        return r;
}

static int read_operator(Parser *parser, FilterOperator *ret) {
        const char *start = parser->p;
        size_t n = strspn(start, "=!~");

        if (n == 2 && start[1] == '=') {
                *ret = *start == '='   ? FILTER_EQUAL
                       : *start == '!' ? FILTER_NOT_EQUAL
                                       : FILTER_MATCHES;
                parser->p += n;
                return 0;
        }
        return fail(parser, start, "expected one of the operators ==, != and ~=");
}

static int read_value(Parser *parser, Condition *c) {
        const char *start;

        skip_blanks(parser);
        start = parser->p;
        if (*start == '"' || (c->operator== FILTER_MATCHES &&(*start == '/' || *start == '|')))
                return read_quoted(parser, &c->value);
        while (*parser->p && *parser->p != ',' && !isspace((unsigned char) *parser->p))
                parser->p++;
        if (parser->p == start)
                return fail(parser, start, "expected a value or a quoted one");
        c->value = strndup(start, (size_t) (parser->p - start));
        return c->value ? 0 : -ENOMEM;
}

static int read_condition(Parser *parser, Condition *c) {
        _cleanup_error_ Error cause = ERROR_NULL;
        const char *value;
        int r;

        r = read_path(parser, c);
        if (r != 0)
                return r;
        c->operator= FILTER_PRESENT;
        if (!*parser->p || *parser->p == ',')
                return 0;
        r = read_operator(parser, &c->operator);
        if (r != 0)
                return r;
        skip_blanks(parser);
        value = parser->p;
        r = read_value(parser, c);
        if (r != 0)
                return r;
        r = condition_compile(c, &cause);
        if (r == CTR_INVALID_ARGUMENT)
                return fail(parser, value, error_text(&cause));
        if (r != 0)
                return r;
        skip_blanks(parser);
        return 0;
}

int filter_parse(const char *text, ConditionAppend append, void *userdata, Error *e) {
        Parser parser = {.text = text, .p = text, .e = e};

        for (;;) {
                _cleanup_(condition_done) Condition c = {};
                int r;

                r = read_condition(&parser, &c);
                if (r != 0)
                        return r;
                r = append(&c, userdata);
                if (r != 0)
                        return r;
                c = (Condition){}; /* handed over */
                if (!*parser.p)
                        return 0;
                if (*parser.p != ',')
                        return fail(&parser, parser.p, "expected a comma");
                parser.p++;
        }
}
