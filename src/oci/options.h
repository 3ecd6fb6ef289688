/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Options of the command line: a table for each verb, which is its help as well. Invariant: a
 * target is written only by an option of its own; what is not on the command line stays as it was.
 */

#include "basic/error.h"

typedef enum OptionType {
        OPTION_FLAG,     /* bool */
        OPTION_STRING,   /* const char * */
        OPTION_STRINGS,  /* char **, a strv */
        OPTION_UNSIGNED, /* unsigned */
        OPTION_IGNORED,  /* takes a value that means nothing here */
} OptionType;

typedef struct Option {
        const char *name;
        char short_name; /* 0: none */
        OptionType type;
        void *target;
        const char *help;
} Option;

typedef struct OptionTable {
        const char *usage; /* "create [OPTIONS] CONTAINER" */
        const Option *options;
        size_t n;
        int min_arguments, max_arguments; /* -1: any number */
        bool stop;                        /* at the first argument: what follows is somebody's */
} OptionTable;

/* Reads argv, whose first element is the verb. *ret_first is the first argument's index, or 0 if
 * help was asked for and printed. 0 or CTR_INVALID_ARGUMENT. */
int options_parse(const OptionTable *table, int argc, char *argv[], int *ret_first, Error *e);
