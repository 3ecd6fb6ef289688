/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/number-set.h"

#include <ctype.h>

#define WORD_BITS (8 * sizeof(unsigned long))

static int parse_number(const char **s, unsigned *ret) {
        unsigned value = 0;

        if (!isdigit((unsigned char) **s))
                return -EINVAL;
        for (; isdigit((unsigned char) **s); (*s)++) {
                value = value * 10 + (unsigned) (**s - '0');
                if (value >= NUMBER_SET_MAX)
                        return -EINVAL;
        }
        *ret = value;
        return 0;
}

static void add(NumberSet *set, unsigned number) {
        unsigned long bit = 1UL << (number % WORD_BITS);

        set->n += !(set->words[number / WORD_BITS] & bit);
        set->words[number / WORD_BITS] |= bit;
}

int number_set_parse(const char *s, NumberSet *ret) {
        NumberSet set = {};

        while (*s) {
                unsigned first, last;

                if (parse_number(&s, &first) < 0)
                        return -EINVAL;
                last = first;
                if (*s == '-') {
                        s++;
                        if (parse_number(&s, &last) < 0 || last < first)
                                return -EINVAL;
                }
                for (unsigned i = first; i <= last; i++)
                        add(&set, i);
                if (*s == ',' && s[1] != '\0')
                        s++;
                else if (*s != '\0')
                        return -EINVAL;
        }
        *ret = set;
        return 0;
}
