/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A strict reader of the part of TOML (toml.io, version 1.0) that the configuration files of the
 * containers world use, because Debian has no C library for it: comments, [tables], [[arrays of
 * tables]], and pairs with bare or quoted keys whose value is a basic or literal string of one line
 * or a boolean. Numbers, dates, arrays and inline tables are checked for balance and reported as
 * TOML_OTHER, so that a file with settings for other programs still reads. What is not understood
 * is an error with its line, never a guess. Multi-line strings are not understood.
 */

#include "basic/error.h"

typedef enum TomlEvent {
        TOML_END,
        TOML_TABLE,       /* [name] */
        TOML_ARRAY_TABLE, /* [[name]] */
        TOML_STRING,      /* name = "text" */
        TOML_BOOLEAN,     /* name = true */
        TOML_OTHER,       /* name = anything else */
} TomlEvent;

typedef struct Toml {
        const char *p;    /* the rest of the text, which must be NUL-terminated */
        const char *file; /* for errors */
        unsigned line;    /* of the current event */
        char name[256];   /* of the table or key, dots inside quotes not told apart */
        char text[1024];
        bool boolean;
        const char *value; /* of TOML_OTHER: where it begins in the text */
        unsigned value_line;
} Toml;

/* Reads the next event. 0 and the event, or CTR_INVALID_ARGUMENT with file and line. */
int toml_next(Toml *t, TomlEvent *ret, Error *e);

/* After TOML_OTHER: the items of an array of strings, at most max, as a new strv, NULL if it is
 * empty. CTR_INVALID_ARGUMENT if the value is something else. */
int toml_read_strings(const Toml *t, size_t max, char ***ret, Error *e);
