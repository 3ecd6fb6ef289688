/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* From text to a Spec: JSON with the integers that the specification has and our parser has not. */

#include "basic/fs.h"
#include "runtime/spec.h"

typedef int (*SectionsParser)(Spec *s, Error *e);

/* Takes over the document. */
static int parse_with(SectionsParser parse, json_t *document, Spec **ret, Error *e) {
        _cleanup_(spec_freep) Spec *s = NULL;
        int r;

        assert(document && ret);

        s = calloc(1, sizeof(*s));
        if (!s) {
                json_decref(document);
                return -ENOMEM;
        }
        s->document = document;
        s->process.user.umask = (mode_t) -1;

        r = parse(s, e);
        if (r == -EBADMSG) { /* from the json_get_*() functions, which have set the text */
                if (e)
                        e->code = CTR_INVALID_ARGUMENT;
                return CTR_INVALID_ARGUMENT;
        }
        if (r != 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

int spec_parse(json_t *document, Spec **ret, Error *e) {
        return parse_with(spec_parse_sections, document, ret, e);
}

/* The integer of n digits at p, if only an unsigned one has room for it: 1, else 0. */
static int read_unsigned(const char *text, const char *p, size_t n, const char *end,
                         unsigned long long *ret) {
        char digits[24];

        if ((n != 19 && n != 20) || (p > text && strchr("-+.eE", p[-1])) ||
            (p + n < end && strchr(".eE", p[n])))
                return 0;
        memcpy(digits, p, n);
        digits[n] = '\0';
        errno = 0;
        *ret = strtoull(digits, NULL, 10);
        return errno == 0 && *ret > INT64_MAX;
}

/* The specification has unsigned 64-bit integers ("soft": 18446744073709551615 is RLIM_INFINITY,
 * and usual), our JSON parser has signed ones. Those that only the former have room for become the
 * signed integer of the same bits. */
static int fold_unsigned(const char *text, size_t size, char **ret, size_t *ret_size) {
        const char *end = text + size;
        bool string = false;
        char *folded, *q;

        /* one of 19 digits may get a sign more */
        folded = q = malloc(size + size / 19 + sizeof("-9223372036854775808"));
        if (!folded)
                return -ENOMEM;
        for (const char *p = text; p < end;) {
                unsigned long long value;
                size_t n = 0;

                if (*p == '"')
                        string = !string;
                else if (string && *p == '\\' && p + 1 < end)
                        *q++ = *p++;
                else if (!string)
                        while (p + n < end && p[n] >= '0' && p[n] <= '9')
                                n++;
                if (n > 0 && read_unsigned(text, p, n, end, &value) > 0)
                        q += sprintf(q, "%lld", (long long) value);
                else {
                        memcpy(q, p, MAX_OF(n, (size_t) 1));
                        q += MAX_OF(n, (size_t) 1);
                }
                p += MAX_OF(n, (size_t) 1);
        }
        *ret = folded;
        *ret_size = (size_t) (q - folded);
        return 0;
}

static int parse_text(const char *text, size_t size, const char *what, json_t **ret, Error *e) {
        _cleanup_free_ char *folded = NULL;
        int r;

        r = fold_unsigned(text, size, &folded, &size);
        return r < 0 ? r : json_parse(folded, size, what, ret, e);
}

int spec_parse_text(const char *text, size_t size, const char *what, Spec **ret, Error *e) {
        json_t *document = NULL;
        int r;

        r = parse_text(text, size, what, &document, e);
        return r != 0 ? r : spec_parse(document, ret, e);
}

int spec_read_document(int dir_fd, const char *name, json_t **ret, Error *e) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read_at(dir_fd, name, SPEC_SIZE_MAX, &text, &size);
        if (r == -EFBIG)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is larger than %u bytes", name,
                                  SPEC_SIZE_MAX);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", name);
        return parse_text(text, size, name, ret, e);
}

static int read_with(SectionsParser parse, int dir_fd, const char *name, Spec **ret, Error *e) {
        json_t *document = NULL;
        int r;

        r = spec_read_document(dir_fd, name, &document, e);
        return r != 0 ? r : parse_with(parse, document, ret, e);
}

int spec_read(int dir_fd, const char *name, Spec **ret, Error *e) {
        return read_with(spec_parse_sections, dir_fd, name, ret, e);
}

int spec_read_process(int dir_fd, const char *name, Spec **ret, Error *e) {
        return read_with(spec_parse_process_sections, dir_fd, name, ret, e);
}
