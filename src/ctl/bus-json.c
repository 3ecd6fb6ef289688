/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/bus-json.h"

static json_t *json_from_uint64(uint64_t u) {
        char buf[24];

        if (u <= INT64_MAX)
                return json_integer((json_int_t) u);
        if (u == UINT64_MAX)
                return json_string("infinity");
        (void) snprintf(buf, sizeof(buf), "%llu", (unsigned long long) u);
        return json_string(buf);
}

static json_t *json_from_basic(char type, const void *value) {
        switch (type) {
        case SD_BUS_TYPE_BYTE:
                return json_integer(*(const uint8_t *) value);
        case SD_BUS_TYPE_BOOLEAN:
                return json_boolean(*(const int *) value);
        case SD_BUS_TYPE_INT16:
                return json_integer(*(const int16_t *) value);
        case SD_BUS_TYPE_UINT16:
                return json_integer(*(const uint16_t *) value);
        case SD_BUS_TYPE_INT32:
                return json_integer(*(const int32_t *) value);
        case SD_BUS_TYPE_UINT32:
                return json_integer(*(const uint32_t *) value);
        case SD_BUS_TYPE_INT64:
                return json_integer(*(const int64_t *) value);
        case SD_BUS_TYPE_UINT64:
                return json_from_uint64(*(const uint64_t *) value);
        case SD_BUS_TYPE_DOUBLE:
                return json_real(*(const double *) value);
        case SD_BUS_TYPE_STRING:
        case SD_BUS_TYPE_OBJECT_PATH:
        case SD_BUS_TYPE_SIGNATURE:
                return json_string(*(const char *const *) value);
        default: /* a descriptor has no meaning outside the process */
                return json_null();
        }
}

static int read_basic(sd_bus_message *m, char type, json_t **ret) {
        union {
                uint8_t y;
                int b;
                uint64_t t;
                double d;
                const char *s;
        } value = {};
        int r;

        r = sd_bus_message_read_basic(m, type, &value);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENXIO;
        *ret = json_from_basic(type, &value);
        return *ret ? 0 : -ENOMEM;
}

static int read_dictionary(sd_bus_message *m, const char *contents, json_t *object) {
        char entry[260];
        int r;

        /* contents is "{sX}" or "{oX}" */
        if (strlen(contents) >= sizeof(entry))
                return -EBADMSG;
        strcpy(entry, contents + 1);
        entry[strlen(entry) - 1] = '\0';

        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_DICT_ENTRY, entry)) > 0) {
                const char *key;
                json_t *value;

                r = sd_bus_message_read_basic(m, contents[1], &key);
                if (r < 0)
                        return r;
                r = bus_message_read_json(m, &value);
                if (r < 0)
                        return r;
                if (json_object_set_new(object, key, value) < 0)
                        return -ENOMEM;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r;
}

static int read_elements(sd_bus_message *m, json_t *array) {
        int r;

        while ((r = sd_bus_message_at_end(m, false)) == 0) {
                json_t *item;

                r = bus_message_read_json(m, &item);
                if (r < 0)
                        return r;
                if (json_array_append_new(array, item) < 0)
                        return -ENOMEM;
        }
        return r;
}

static int read_container(sd_bus_message *m, char type, const char *contents, json_t **ret) {
        bool is_object = type == SD_BUS_TYPE_ARRAY && contents[0] == SD_BUS_TYPE_DICT_ENTRY_BEGIN &&
                         (contents[1] == SD_BUS_TYPE_STRING ||
                          contents[1] == SD_BUS_TYPE_OBJECT_PATH);
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = sd_bus_message_enter_container(m, type, contents);
        if (r < 0)
                return r;
        if (type == SD_BUS_TYPE_VARIANT)
                r = bus_message_read_json(m, &j);
        else {
                j = is_object ? json_object() : json_array();
                if (!j)
                        return -ENOMEM;
                r = is_object ? read_dictionary(m, contents, j) : read_elements(m, j);
        }
        if (r < 0)
                return r;
        r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

/* The recursion is bounded by D-Bus itself: a message's types nest at most 64 deep. */
int bus_message_read_json(sd_bus_message *m, json_t **ret) {
        const char *contents;
        char type;
        int r;

        assert(m && ret);

        r = sd_bus_message_peek_type(m, &type, &contents);
        if (r < 0)
                return r;
        if (r == 0)
                return -ENXIO;
        return contents ? read_container(m, type, contents, ret) : read_basic(m, type, ret);
}

/* An array of structures of a text (an object's path or a string) and a dictionary. */
static int read_rows(sd_bus_message *m, char type, const char *contents, const char *key,
                     json_t **ret) {
        _cleanup_json_ json_t *rows = json_array();
        char array[16];
        int r;

        if (!rows)
                return -ENOMEM;
        (void) snprintf(array, sizeof(array), "(%s)", contents);
        r = sd_bus_message_enter_container(m, SD_BUS_TYPE_ARRAY, array);
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, SD_BUS_TYPE_STRUCT, contents)) > 0) {
                _cleanup_json_ json_t *row = NULL;
                const char *text;

                r = sd_bus_message_read_basic(m, type, &text);
                if (r >= 0)
                        r = bus_message_read_json(m, &row);
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
                if (json_object_set_new(row, key, json_string(text)) < 0 ||
                    json_array_append(rows, row) < 0)
                        return -ENOMEM;
        }
        if (r >= 0)
                r = sd_bus_message_exit_container(m);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(rows);
        return 0;
}

int bus_message_read_listing(sd_bus_message *m, json_t **ret) {
        assert(m && ret);

        return read_rows(m, SD_BUS_TYPE_OBJECT_PATH, "oa{sv}", "ObjectPath", ret);
}

int bus_message_read_named(sd_bus_message *m, const char *key, json_t **ret) {
        assert(m && key && ret);

        return read_rows(m, SD_BUS_TYPE_STRING, "sa{sv}", key, ret);
}
