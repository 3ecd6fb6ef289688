/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between a compiled filter (filter.c) and reading its text (filter-parse.c). */

#include <regex.h>

#include "basic/filter.h"

typedef enum FilterOperator {
        FILTER_PRESENT,
        FILTER_EQUAL,
        FILTER_NOT_EQUAL,
        FILTER_MATCHES,
} FilterOperator;

typedef struct Condition {
        FilterField field; /* points into text */
        FilterOperator operator;
        char *text;  /* names and their joined form */
        char *value; /* NULL if there is none */
        regex_t regex;
        bool compiled;
        bool first; /* of an alternative */
} Condition;

void condition_done(Condition *c);

/* Reads one filter that is not empty, from the first condition to the last: append() is called for
 * each and takes over what the condition owns if it returns 0. Errors say "position N: ...". */
typedef int (*ConditionAppend)(Condition *c, void *userdata);
int filter_parse(const char *text, ConditionAppend append, void *userdata, Error *e);

/* 0, -ENOMEM, or CTR_INVALID_ARGUMENT with the library's sentence. */
int condition_compile(Condition *c, Error *e);
