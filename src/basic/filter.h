/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Filters as containerd's (A0.5): which objects of a listing are wanted.
 *
 *   filter    := condition (',' condition)*        all must hold; "" always holds
 *   condition := path | path operator value        a path alone: it is there
 *   path      := name ('.' name)*
 *   name      := [A-Za-z0-9_-]+ | quoted
 *   operator  := "==" | "!=" | "~="                the last one: POSIX extended regular expression
 *   value     := quoted | [^ ,]+
 *   quoted    := '"' string as in Go '"', and as a regular expression also /.../ or |...|
 *
 * Several filters are alternatives. A field that is not there is unequal to every value, and the
 * empty string to a regular expression.
 *
 * Whoever filters may be hostile: lengths, counts and what a regular expression may grow to are
 * bounded, and back-references are refused, so that matching takes time linear in the value.
 */

#include "basic/error.h"

#define FILTER_LENGTH_MAX 4096U /* of one filter, bytes */
#define FILTERS_MAX       64U   /* alternatives */
#define FILTER_NAMES_MAX  16U   /* of a path */

typedef struct Filter Filter;

/* The path of a condition, split into its names. */
typedef struct FilterField {
        const char *names[FILTER_NAMES_MAX];
        size_t n;
        const char *rests[FILTER_NAMES_MAX]; /* rests[i]: the names from i on, joined by dots: what
                                              * a label with dots in its key is looked up by */
} FilterField;

/* Answers whether the object has that field; *ret is its value, to stay until the next question. */
typedef bool (*FilterLookup)(const void *object, const FilterField *field, const char **ret);

/* Compiles alternatives (a strv, NULL or empty: everything matches). CTR_INVALID_ARGUMENT names the
 * filter, counted from 1, and the position in it, counted from 0 in bytes. */
int filter_new(char *const *alternatives, Filter **ret, Error *e);

Filter *filter_free(Filter *f);
DEFINE_CLEANUP(Filter *, filter_free);

/* NULL matches everything. */
bool filter_matches(const Filter *f, FilterLookup lookup, const void *object);

/* For lookups of the usual shape: the value of a string that is "there" unless empty. */
static inline bool filter_value(const char *s, const char **ret) {
        *ret = strempty(s);
        return !isempty(s);
}
