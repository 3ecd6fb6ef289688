/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where errors go: to standard error for people, and to the file of --log for the program that
 * called us, which looks for its last line of level "error". Both formats are those of runc, which
 * containerd and conmon read.
 */

#include "basic/error.h"

typedef struct Report {
        const char *path; /* NULL: standard error alone */
        bool json;
} Report;

/* format: NULL, "text" or "json". 0 or CTR_INVALID_ARGUMENT. */
int report_init(Report *r, const char *path, const char *format, Error *e);

void report_error(const Report *r, const char *text);

/* The sentence of e, printable and with the words that callers look for in it: to be freed; NULL
 * without memory. */
char *report_sentence(const Error *e);
