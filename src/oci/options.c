/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/options.h"

#include <getopt.h>
#include <limits.h>

#include "basic/strv.h"
#include "oci/context.h"

#define OPTIONS_MAX 40
#define HELP_VALUE  256

static void print_help(const OptionTable *t) {
        (void) printf("Usage: " RUNTIME_NAME " %s\n\n", t->usage);
        for (size_t i = 0; i < t->n; i++) {
                const Option *o = &t->options[i];
                char names[48];

                if (!o->help)
                        continue;
                (void) snprintf(names, sizeof(names), "--%s%s", o->name,
                                o->type == OPTION_FLAG ? "" : " VALUE");
                if (o->short_name)
                        (void) printf("  -%c, %-26s %s\n", o->short_name, names, o->help);
                else
                        (void) printf("      %-26s %s\n", names, o->help);
        }
}

static int take_unsigned(const Option *o, const char *value, Error *e) {
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(value, &end, 10);
        if (errno != 0 || end == value || *end != '\0' || *value == '-' || n > UINT_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "invalid value \"%s\" for --%s: expected a number", value,
                                  o->name);
        *(unsigned *) o->target = (unsigned) n;
        return 0;
}

static int take_value(const Option *o, const char *value, Error *e) {
        switch (o->type) {
        case OPTION_FLAG:
                *(bool *) o->target = true;
                return 0;
        case OPTION_STRING:
                *(const char **) o->target = value;
                return 0;
        case OPTION_STRINGS:
                return strv_extend(o->target, value);
        case OPTION_UNSIGNED:
                return take_unsigned(o, value, e);
        case OPTION_IGNORED:
                break;
        }
        return 0;
}

/* Flags may come as "--flag=true", as programs in Go write them. */
static int take_option(const Option *o, const char *value, Error *e) {
        if (o->type == OPTION_FLAG && value) {
                if (!streq(value, "true") && !streq(value, "false"))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "invalid value \"%s\" for --%s: expected true or false",
                                          value, o->name);
                *(bool *) o->target = streq(value, "true");
                return 0;
        }
        return take_value(o, value, e);
}

static void make_tables(const OptionTable *t, struct option *longs, char *shorts) {
        size_t n = 0, k = 0;

        if (t->stop)
                shorts[k++] = '+';
        for (size_t i = 0; i < t->n; i++) {
                const Option *o = &t->options[i];

                longs[n++] = (struct option){
                                .name = o->name,
                                .has_arg = o->type == OPTION_FLAG ? optional_argument
                                                                  : required_argument,
                                .val = (int) i + HELP_VALUE + 1,
                };
                if (!o->short_name)
                        continue;
                shorts[k++] = o->short_name;
                if (o->type != OPTION_FLAG)
                        shorts[k++] = ':';
        }
        longs[n++] = (struct option){.name = "help", .val = HELP_VALUE};
        longs[n] = (struct option){};
        shorts[k++] = 'h';
        shorts[k] = '\0';
}

static const Option *find_option(const OptionTable *t, int c) {
        if (c > HELP_VALUE)
                return &t->options[c - HELP_VALUE - 1];
        for (size_t i = 0; i < t->n; i++)
                if (t->options[i].short_name == c)
                        return &t->options[i];
        return NULL;
}

static int check_arguments(const OptionTable *t, int n, Error *e) {
        if (n < t->min_arguments)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s requires at least %d argument(s), got %d", t->usage,
                                  t->min_arguments, n);
        if (t->max_arguments >= 0 && n > t->max_arguments)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s requires at most %d argument(s), got %d", t->usage,
                                  t->max_arguments, n);
        return 0;
}

int options_parse(const OptionTable *t, int argc, char *argv[], int *ret_first, Error *e) {
        struct option longs[OPTIONS_MAX + 2];
        char shorts[3 * OPTIONS_MAX];
        int c, r;

        assert(t->n <= OPTIONS_MAX);

        make_tables(t, longs, shorts);
        optind = 0; /* from the beginning again, with new tables */
        opterr = 0;
        while ((c = getopt_long(argc, argv, shorts, longs, NULL)) >= 0) {
                const Option *o;

                if (c == HELP_VALUE || (c == 'h' && !find_option(t, c))) {
                        print_help(t);
                        *ret_first = 0;
                        return 0;
                }
                o = find_option(t, c);
                if (!o)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "unknown option, or one without its value: %s",
                                          argv[optind - 1]);
                r = take_option(o, optarg, e);
                if (r != 0)
                        return r;
        }
        r = check_arguments(t, argc - optind, e);
        if (r != 0)
                return r;
        *ret_first = optind;
        return 0;
}
