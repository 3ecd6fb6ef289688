/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Where results go: standard output, through a pager if that is a terminal and the output is a
 * listing or a document. Errors go to standard error, with a hint if we have one.
 */

#include "basic/json.h"
#include "ctl/options.h"

typedef struct Pager {
        int pidfd; /* -1: there is none */
} Pager;

#define PAGER_NULL                                                                                 \
        { .pidfd = -1 }

/* Puts $SYSTEMD_PAGER, $PAGER or less between standard output and the terminal, unless the options
 * say no, standard output is no terminal, or it cannot be started. */
void pager_open(Pager *p, const Options *o);

/* Lets the user read to the end. 0, or -errno if standard output could not be written. */
int pager_close(Pager *p);

/* Prints j as one line or indented, as the mode says (off is pretty). */
int print_json(json_t *j, JsonMode mode);

/* "ctrctl: TEXT" and perhaps "Hint: ..." for what failed in verb (may be NULL). */
void print_error(const char *verb, const Error *e);
