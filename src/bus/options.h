/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reads the options (a{sv}) of a method into a struct, by a table of keys, signatures and parsers.
 * An unknown key, a value of the wrong type and a key given twice are InvalidArgument and name the
 * key. What one message may make us allocate is bounded.
 *
 * A key with several types has a row for each of them.
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "basic/error.h"

#define OPTIONS_ITEMS_MAX 16384U     /* of one array */
#define OPTIONS_BYTES_MAX (4U << 20) /* of all strings together */
#define OPTIONS_KEYS_MAX  64U        /* rows of a table */

typedef struct OptionReader {
        sd_bus_message *message; /* at the value, its variant is entered */
        const char *key;
        size_t budget; /* bytes of strings that may still come */
        sd_bus_error *error;
} OptionReader;

/* Reads the value into target. Negative errno, with the error set if it is the caller's fault. */
typedef int (*OptionParser)(OptionReader *o, void *target);

typedef struct Option {
        const char *key; /* NULL ends a table */
        const char *signature;
        OptionParser parse;
        size_t offset; /* of the target in the struct */
} Option;

int options_read(sd_bus_message *m, const Option *table, void *base, sd_bus_error *error);

/* For methods that have no option yet. */
int options_read_none(sd_bus_message *m, sd_bus_error *error);

/* "Option KEY: sentence" as InvalidArgument; returns a negative errno. */
int option_invalid(OptionReader *o, const char *format, ...) _printf_(2, 3);

/* The next string of the message, charged to the budget. */
int option_read_string(OptionReader *o, const char **ret);

/* The next string, which is one of at most 8 names: *ret is its index, an enumeration's value. */
int option_read_name(OptionReader *o, const char *const *names, size_t n, size_t *ret);

/* Charges one more item of an array that has *n so far. */
int option_count(OptionReader *o, size_t *n);

int option_string(OptionReader *o, void *target);      /* s: const char *, as long as the message */
int option_string_copy(OptionReader *o, void *target); /* s: char *, owned */
int option_bool(OptionReader *o, void *target);        /* b: bool */
int option_bool_inverted(OptionReader *o, void *target); /* b: bool, true for false */
int option_uint64(OptionReader *o, void *target);        /* t: uint64_t */
int option_int(OptionReader *o, void *target);           /* i: int */
int option_strv(OptionReader *o, void *target);          /* as: char **, owned */
int option_labels(OptionReader *o, void *target);        /* a{ss}: json_t *, owned */
int option_filters(OptionReader *o, void *target);       /* as: Filter *, owned */

/* Labels as an argument of their own (a{ss}); *ret is a new object. */
int labels_read(sd_bus_message *m, json_t **ret, sd_bus_error *error);

/* Strings as an argument of their own (as), bounded as options are; what names them. */
int strings_read(sd_bus_message *m, const char *what, char ***ret, sd_bus_error *error);
