/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/options.h"

#include <stdarg.h>

#include "basic/filter.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "bus/error.h"

#define LABEL_BYTES_MAX 4096U /* of key and value together, as containerd has it */

int option_invalid(OptionReader *o, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (!text)
                return -ENOMEM;
        return bus_error_invalid(o->error, "Option %s: %s", o->key, text);
}

int option_read_string(OptionReader *o, const char **ret) {
        size_t size;
        int r;

        r = sd_bus_message_read_basic(o->message, 's', ret);
        if (r <= 0)
                return r;
        size = strlen(*ret) + 1;
        if (size > o->budget)
                return option_invalid(o, "all strings together are longer than %u bytes",
                                      OPTIONS_BYTES_MAX);
        o->budget -= size;
        return 1;
}

int option_read_name(OptionReader *o, const char *const *names, size_t n, size_t *ret) {
        char all[128] = "";
        const char *name;
        int r;

        r = option_read_string(o, &name);
        if (r < 0)
                return r;
        for (size_t i = 0, used = 0; i < n; i++) {
                if (streq(names[i], name)) {
                        *ret = i;
                        return 0;
                }
                used += (size_t) snprintf(all + used, sizeof(all) - used, "%s%s", i > 0 ? ", " : "",
                                          names[i]);
                assert(used < sizeof(all));
        }
        return option_invalid(o, "\"%.64s\" is none of %s", name, all);
}

int option_count(OptionReader *o, size_t *n) {
        if (++*n > OPTIONS_ITEMS_MAX)
                return option_invalid(o, "more than %u items", OPTIONS_ITEMS_MAX);
        return 0;
}

int option_string(OptionReader *o, void *target) {
        return option_read_string(o, target);
}

int option_string_copy(OptionReader *o, void *target) {
        char **p = target;
        const char *s;
        int r;

        r = option_read_string(o, &s);
        if (r < 0)
                return r;
        return free_and_strdup(p, s);
}

int option_bool(OptionReader *o, void *target) {
        int b, r;

        r = sd_bus_message_read_basic(o->message, 'b', &b);
        if (r < 0)
                return r;
        *(bool *) target = b;
        return 0;
}

int option_bool_inverted(OptionReader *o, void *target) {
        bool b;
        int r;

        r = option_bool(o, &b);
        if (r < 0)
                return r;
        *(bool *) target = !b;
        return 0;
}

int option_uint64(OptionReader *o, void *target) {
        return sd_bus_message_read_basic(o->message, 't', target);
}

int option_int(OptionReader *o, void *target) {
        int32_t i;
        int r;

        r = sd_bus_message_read_basic(o->message, 'i', &i);
        if (r < 0)
                return r;
        *(int *) target = i;
        return 0;
}

int option_strv(OptionReader *o, void *target) {
        _cleanup_strv_free_ char **l = NULL;
        size_t n = 0, allocated = 0;
        const char *s;
        int r;

        r = sd_bus_message_enter_container(o->message, 'a', "s");
        if (r < 0)
                return r;
        while ((r = option_read_string(o, &s)) > 0) {
                if (n + 2 > allocated) {
                        char **grown;

                        allocated = allocated * 2 + 8;
                        grown = realloc(l, allocated * sizeof(char *));
                        if (!grown)
                                return -ENOMEM;
                        l = grown;
                }
                l[n] = strdup(s);
                l[n + 1] = NULL;
                if (!l[n])
                        return -ENOMEM;
                r = option_count(o, &n);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *(char ***) target = TAKE_PTR(l);
        return sd_bus_message_exit_container(o->message);
}

int option_filters(OptionReader *o, void *target) {
        _cleanup_strv_free_ char **alternatives = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = option_strv(o, &alternatives);
        if (r < 0)
                return r;
        r = filter_new(alternatives, target, &e);
        return r == CTR_INVALID_ARGUMENT ? option_invalid(o, "%s", error_text(&e)) : r;
}

static int read_label(OptionReader *o, json_t *labels) {
        const char *key, *value;
        int r;

        r = option_read_string(o, &key);
        if (r < 0)
                return r;
        r = option_read_string(o, &value);
        if (r < 0)
                return r;
        if (isempty(key))
                return option_invalid(o, "the key of a label must not be empty");
        if (strlen(key) + strlen(value) > LABEL_BYTES_MAX)
                return option_invalid(o, "the label %.64s is longer than %u bytes", key,
                                      LABEL_BYTES_MAX);
        if (json_object_get(labels, key))
                return option_invalid(o, "the label %s is given twice", key);
        return json_object_set_new(labels, key, json_string(value)) < 0 ? -ENOMEM : 0;
}

int option_labels(OptionReader *o, void *target) {
        _cleanup_json_ json_t *labels = NULL;
        size_t n = 0;
        int r;

        labels = json_object();
        if (!labels)
                return -ENOMEM;
        r = sd_bus_message_enter_container(o->message, 'a', "{ss}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(o->message, 'e', "ss")) > 0) {
                r = option_count(o, &n);
                if (r < 0)
                        return r;
                r = read_label(o, labels);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(o->message);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        *(json_t **) target = TAKE_PTR(labels);
        return sd_bus_message_exit_container(o->message);
}

int labels_read(sd_bus_message *m, json_t **ret, sd_bus_error *error) {
        OptionReader o = {
                        .message = m,
                        .key = "Labels",
                        .budget = OPTIONS_BYTES_MAX,
                        .error = error,
        };

        return option_labels(&o, ret);
}

int strings_read(sd_bus_message *m, const char *what, char ***ret, sd_bus_error *error) {
        OptionReader o = {
                        .message = m,
                        .key = what,
                        .budget = OPTIONS_BYTES_MAX,
                        .error = error,
        };

        return option_strv(&o, ret);
}

/* Finds the row of key with that signature. *seen has a bit for each key, the one of its first row.
 */
static int find_option(OptionReader *o, const Option *table, const char *signature, uint64_t *seen,
                       const Option **ret) {
        const Option *first = NULL, *row;
        uint64_t bit;

        for (row = table; row->key; row++) {
                assert((size_t) (row - table) < OPTIONS_KEYS_MAX);
                if (!streq(row->key, o->key))
                        continue;
                first = first ?: row;
                if (streq(row->signature, signature))
                        break;
        }
        if (!first)
                return bus_error_invalid(o->error, "Unknown option %.64s", o->key);
        if (!row->key)
                return option_invalid(o, "a value of type %s is needed, not %s", first->signature,
                                      signature);
        bit = UINT64_C(1) << (first - table);
        if (*seen & bit)
                return option_invalid(o, "given twice");
        *seen |= bit;
        *ret = row;
        return 0;
}

static int read_option(OptionReader *o, const Option *table, void *base, uint64_t *seen) {
        const char *signature;
        const Option *option = NULL;
        int r;

        r = sd_bus_message_read_basic(o->message, 's', &o->key);
        if (r < 0)
                return r;
        r = sd_bus_message_peek_type(o->message, NULL, &signature);
        if (r < 0)
                return r;
        r = find_option(o, table, signature, seen, &option);
        if (r < 0)
                return r;
        r = sd_bus_message_enter_container(o->message, 'v', signature);
        if (r < 0)
                return r;
        r = option->parse(o, (uint8_t *) base + option->offset);
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(o->message);
}

int options_read(sd_bus_message *m, const Option *table, void *base, sd_bus_error *error) {
        OptionReader o = {.message = m, .budget = OPTIONS_BYTES_MAX, .error = error};
        uint64_t seen = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                r = read_option(&o, table, base, &seen);
                if (r < 0)
                        return r;
                r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        if (r < 0)
                return r;
        return sd_bus_message_exit_container(m);
}

int options_read_none(sd_bus_message *m, sd_bus_error *error) {
        static const Option none[] = {{}};

        return options_read(m, none, NULL, error);
}
