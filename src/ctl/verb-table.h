/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What ctrctl can be asked to do: the names, arguments and options that parsing, help, man page and
 * completions follow. */

#include <limits.h>

#include "ctl/verbs.h"

#define SETS_MAX  10
#define ANY_COUNT UINT_MAX

typedef struct Verb {
        const char *name;  /* one word, or two: of a group of verbs and of one in it */
        const char *alias; /* a second name, or NULL */
        const char *synopsis, *help;
        unsigned min_args, max_args;
        int (*run)(Client *c, char **args, Error *e);
        bool stop_at_first; /* what follows the first argument belongs to the container's command */
        int usage_status;   /* exit status when it is called wrongly; 0: EXIT_FAILURE */
        const OptionSet *sets[SETS_MAX + 1];
} Verb;

/* Each ends with one that has no name. */
extern const Verb image_verbs[], container_verbs[], storage_verbs[];

/* All of them, in the order in which help shows them; ends with NULL. */
extern const Verb *const verb_tables[];

/* Two loops: it can be left with return, and not with break. */
#define FOREACH_VERB(v)                                                                            \
        for (const Verb *const *table_ = verb_tables; *table_; table_++)                           \
                for (const Verb *v = *table_; v->name; v++)

/* The verb that words (NULL-terminated) begin with, and how many of them are its name; NULL if
 * there is none. */
const Verb *verb_find(char *const *words, int *ret_n);

/* Whether there are verbs of two words with this first one. */
bool verb_is_group(const char *word) _pure_;

/* The second word of a verb if its first one is group, else NULL. */
const char *verb_in_group(const Verb *v, const char *group) _pure_;
