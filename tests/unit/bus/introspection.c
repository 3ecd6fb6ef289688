/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "introspection.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

typedef struct Reader {
        const char *prefix;
        char interface[128];
        char line[1024]; /* of the member that is being read */
        char emits[64];
        bool in_property;
        char **lines;
} Reader;

/* Copies the value of an attribute of the tag; "" if it is not there. */
static void attribute(const char *tag, size_t size, const char *name, char *buf, size_t buf_size) {
        char start[64];
        const char *at, *end;

        buf[0] = '\0';
        (void) snprintf(start, sizeof(start), " %s=\"", name);
        at = memmem(tag, size, start, strlen(start));
        if (!at)
                return;
        at += strlen(start);
        end = memchr(at, '"', (size_t) (tag + size - at));
        assert_non_null(end);
        assert_true((size_t) (end - at) < buf_size);
        memcpy(buf, at, (size_t) (end - at));
        buf[end - at] = '\0';
}

_printf_(2, 3) static void append(Reader *r, const char *format, ...) {
        size_t n = strlen(r->line);
        va_list ap;

        va_start(ap, format);
        assert_true(vsnprintf(r->line + n, sizeof(r->line) - n, format, ap) <
                    (int) (sizeof(r->line) - n));
        va_end(ap);
}

static void end_member(Reader *r) {
        if (r->in_property)
                append(r, " EmitsChangedSignal=%s", r->emits);
        if (r->line[0] && startswith(r->interface, r->prefix))
                assert_int_equal(strv_extend(&r->lines, r->line), 0);
        r->line[0] = '\0';
        r->in_property = false;
}

static void read_annotation(Reader *r, const char *name, const char *value) {
        if (r->in_property && streq(name, "org.freedesktop.DBus.Property.EmitsChangedSignal"))
                (void) snprintf(r->emits, sizeof(r->emits), "%s", value);
        else
                append(r, " %s=%s", name, value);
}

static void read_tag(Reader *r, const char *tag, size_t size) {
        char name[128], type[64], direction[16], value[64];

        attribute(tag, size, "name", name, sizeof(name));
        attribute(tag, size, "type", type, sizeof(type));
        if (startswith(tag, "interface "))
                strcpy(r->interface, name);
        else if (startswith(tag, "method ") || startswith(tag, "signal ")) {
                append(r, "%s %.6s %s", r->interface, tag, name);
                if (tag[size - 1] == '/')
                        end_member(r);
        } else if (startswith(tag, "property ")) {
                attribute(tag, size, "access", value, sizeof(value));
                append(r, "%s property %s %s %s", r->interface, name, type, value);
                strcpy(r->emits, "true");
                r->in_property = true;
                if (tag[size - 1] == '/')
                        end_member(r);
        } else if (startswith(tag, "arg ")) {
                attribute(tag, size, "direction", direction, sizeof(direction));
                append(r, " %s:%s:%s", direction, name, type);
        } else if (startswith(tag, "annotation ")) {
                attribute(tag, size, "value", value, sizeof(value));
                read_annotation(r, name, value);
        } else if (startswith(tag, "/method") || startswith(tag, "/signal") ||
                   startswith(tag, "/property"))
                end_member(r);
}

static int compare(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

char **introspection_read(const char *xml, const char *prefix) {
        Reader r = {.prefix = prefix};

        for (const char *p = strchr(xml, '<'); p; p = strchr(p, '<')) {
                const char *end;

                if (startswith(p, "<!--")) {
                        p = strstr(p, "-->");
                        assert_non_null(p);
                        continue;
                }
                end = strchr(p, '>');
                assert_non_null(end);
                read_tag(&r, p + 1, (size_t) (end - p - 1));
                p = end;
        }
        if (r.lines)
                qsort(r.lines, strv_length(r.lines), sizeof(char *), compare);
        return r.lines;
}
