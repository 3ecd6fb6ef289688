/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The keys that leave a container alone: a sequence that is looked for in what the user types and
 * not passed on. What only looked like its beginning is passed on once that is clear.
 */

#include "basic/error.h"

#define DETACH_KEYS_MAX     16
#define DETACH_KEYS_DEFAULT "ctrl-p,ctrl-q"

typedef struct DetachKeys {
        bool set;
        size_t n; /* 0: there are none */
        unsigned char keys[DETACH_KEYS_MAX];
} DetachKeys;

/* Parses "ctrl-p,ctrl-q": characters, and ctrl- with a letter or one of @[\]^_, joined by commas;
 * an empty string is none. In the form of ctl/parse.h. */
int parse_detach_keys(const char *s, void *target, Error *e);

/* Looks through n typed bytes. Copies what is for the container to out, which has room for n +
 * DETACH_KEYS_MAX; *matched, 0 at first, is how far the sequence has been seen. Returns whether it
 * is complete; what follows it is dropped. */
bool detach_keys_scan(const DetachKeys *k, size_t *matched, const unsigned char *in, size_t n,
                      unsigned char *out, size_t *ret_n);
