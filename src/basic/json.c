/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/json.h"

#include "basic/fs.h"
#include "basic/strv.h"

int json_parse(const char *data, size_t size, const char *what, json_t **ret, Error *e) {
        json_error_t je;
        json_t *j;

        assert(data && what && ret);

        /* jansson bounds the depth itself (JSON_PARSER_MAX_DEPTH, 2048) */
        j = json_loadb(data, size, JSON_REJECT_DUPLICATES, &je);
        if (!j) {
                if (json_error_code(&je) == json_error_out_of_memory)
                        return error_setf(e, -ENOMEM, "%s: %m", what);
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s, line %i column %i: %s", what,
                                  je.line, je.column, je.text);
        }
        *ret = j;
        return 0;
}

int json_read_file_at(int dir_fd, const char *path, size_t max, json_t **ret, Error *e) {
        _cleanup_free_ char *data = NULL;
        size_t size;
        int r;

        r = file_read_at(dir_fd, path, max, &data, &size);
        if (r == -EFBIG)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is larger than %zu bytes", path,
                                  max);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        return json_parse(data, size, path, ret, e);
}

/* 1 and the member, 0 if missing or null. */
static int json_member(json_t *o, const char *key, json_t **ret) {
        json_t *j = json_object_get(o, key);

        if (!j || json_is_null(j))
                return 0;
        *ret = j;
        return 1;
}

static int bad_type(Error *e, const char *path, const char *key, const char *expected) {
        return error_setf(e, -EBADMSG, "%s%s%s: expected %s", path, *path ? "." : "", key,
                          expected);
}

int json_get_string(json_t *o, const char *path, const char *key, const char **ret, Error *e) {
        json_t *j;
        int r;

        r = json_member(o, key, &j);
        if (r <= 0)
                return r;
        /* a NUL inside would cut the string short for us and not for others */
        if (!json_is_string(j) || strlen(json_string_value(j)) != json_string_length(j))
                return bad_type(e, path, key, "a string");
        *ret = json_string_value(j);
        return 1;
}

int json_get_bool(json_t *o, const char *path, const char *key, bool *ret, Error *e) {
        json_t *j;
        int r;

        r = json_member(o, key, &j);
        if (r <= 0)
                return r;
        if (!json_is_boolean(j))
                return bad_type(e, path, key, "true or false");
        *ret = json_is_true(j);
        return 1;
}

int json_get_int64(json_t *o, const char *path, const char *key, int64_t min, int64_t max,
                   int64_t *ret, Error *e) {
        json_int_t value;
        json_t *j;
        int r;

        r = json_member(o, key, &j);
        if (r <= 0)
                return r;
        if (!json_is_integer(j))
                return bad_type(e, path, key, "an integer");
        value = json_integer_value(j);
        if (value < min || value > max)
                return error_setf(e, -EBADMSG, "%s%s%s: %lld is not between %lld and %lld", path,
                                  *path ? "." : "", key, (long long) value, (long long) min,
                                  (long long) max);
        *ret = value;
        return 1;
}

int json_get_uint64(json_t *o, const char *path, const char *key, uint64_t max, uint64_t *ret,
                    Error *e) {
        int64_t value;
        int r;

        r = json_get_int64(o, path, key, 0, (int64_t) MIN_OF(max, (uint64_t) INT64_MAX), &value, e);
        if (r > 0)
                *ret = (uint64_t) value;
        return r;
}

int json_get_object(json_t *o, const char *path, const char *key, json_t **ret, Error *e) {
        json_t *j;
        int r;

        r = json_member(o, key, &j);
        if (r <= 0)
                return r;
        if (!json_is_object(j))
                return bad_type(e, path, key, "an object");
        *ret = j;
        return 1;
}

int json_get_array(json_t *o, const char *path, const char *key, size_t max, json_t **ret,
                   Error *e) {
        json_t *j;
        int r;

        r = json_member(o, key, &j);
        if (r <= 0)
                return r;
        if (!json_is_array(j))
                return bad_type(e, path, key, "an array");
        if (json_array_size(j) > max)
                return error_setf(e, -EBADMSG, "%s%s%s: more than %zu entries", path,
                                  *path ? "." : "", key, max);
        *ret = j;
        return 1;
}

int json_get_strv(json_t *o, const char *path, const char *key, size_t max, char ***ret, Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        json_t *array, *item;
        size_t i, n;
        int r;

        r = json_get_array(o, path, key, max, &array, e);
        if (r <= 0)
                return r;
        n = json_array_size(array);
        l = calloc(n + 1, sizeof(char *));
        if (!l)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                const char *s = json_string_value(item);

                if (!s || strlen(s) != json_string_length(item))
                        return bad_type(e, path, key, "an array of strings");
                l[i] = strdup(s);
                if (!l[i])
                        return -ENOMEM;
        }
        strv_free(*ret);
        *ret = TAKE_PTR(l);
        return 1;
}

json_t *json_from_strv(char *const *l) {
        _cleanup_json_ json_t *array = json_array();

        STRV_FOREACH(s, l)
                if (json_array_append_new(array, json_string(*s)) < 0)
                        return NULL;
        return TAKE_PTR(array);
}

int json_to_text(json_t *j, char **ret) {
        _cleanup_free_ char *text = NULL;
        size_t size;

        assert(j && ret);

        /* into a buffer of known size nothing is allocated, so that nothing is lost on the way:
         * jansson 2.14 ignores a failure to append a key */
        size = json_dumpb(j, NULL, 0, JSON_COMPACT);
        if (size == 0)
                return -ENOMEM;
        text = malloc(size + 1);
        if (!text)
                return -ENOMEM;
        if (json_dumpb(j, text, size, JSON_COMPACT) != size)
                return -ENOMEM;
        text[size] = '\0';
        *ret = TAKE_PTR(text);
        return 0;
}
