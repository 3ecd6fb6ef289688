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

/* The specification has unsigned 64-bit integers ("soft": 18446744073709551615 is RLIM_INFINITY,
 * and usual), our JSON parser has signed ones. Integers of 20 digits, which fit only the former,
 * become in place the signed integer of the same bits, which is never longer. */
static void fold_unsigned(char *text, size_t size) {
        char *end = text + size;
        bool string = false;

        for (char *p = text; p < end; p++) {
                char digits[24];
                unsigned long long value;
                size_t n = 0;

                if (string && *p == '\\')
                        p++;
                else if (*p == '"')
                        string = !string;
                if (string || *p < '1' || *p > '9')
                        continue;
                while (p + n < end && p[n] >= '0' && p[n] <= '9')
                        n++;
                if (n == 20 && (p == text || !strchr("-+.eE", p[-1])) &&
                    (p + n == end || !strchr(".eE", p[n]))) {
                        memcpy(digits, p, n);
                        digits[n] = '\0';
                        errno = 0;
                        value = strtoull(digits, NULL, 10);
                        if (errno == 0) {
                                int k = snprintf(digits, sizeof(digits), "%lld", (long long) value);

                                memset(p, ' ', n);
                                memcpy(p, digits, (size_t) k);
                        }
                }
                p += n - 1;
        }
}

static int parse_text(char *text, size_t size, const char *what, json_t **ret, Error *e) {
        fold_unsigned(text, size);
        return json_parse(text, size, what, ret, e);
}

int spec_parse_text(char *text, size_t size, const char *what, Spec **ret, Error *e) {
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
