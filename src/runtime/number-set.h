/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Sets of processors or memory nodes, written "0-3,7" as everywhere in the kernel.
 */

#include "basic/macro.h"

#define NUMBER_SET_MAX   1024U /* CPU_SETSIZE, and the largest CONFIG_NODES_SHIFT */
#define NUMBER_SET_WORDS (NUMBER_SET_MAX / (8 * sizeof(unsigned long)))

/* Bit n of the words, from the lowest on, stands for number n: what the kernel's calls take. */
typedef struct NumberSet {
        unsigned long words[NUMBER_SET_WORDS];
        unsigned n; /* how many are in it; 0: none was given */
} NumberSet;

/* Reads s into *ret. 0, -EINVAL for anything that is no such list, or names a number that is larger
 * than NUMBER_SET_MAX - 1. The empty string is the empty set. */
int number_set_parse(const char *s, NumberSet *ret);
