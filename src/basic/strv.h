/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* NULL-terminated arrays of strings that own their strings. NULL is an empty one. */

#include "basic/macro.h"

char **strv_free(char **l);
size_t strv_length(char *const *l) _pure_;

/* Appends a copy of s. 0 or -ENOMEM. */
int strv_extend(char ***l, const char *s);

/* Appends a string made from format. 0 or -ENOMEM. */
int strv_extendf(char ***l, const char *format, ...) _printf_(2, 3);

char **strv_copy(char *const *l);

/* In a list of NAME=VALUE: the value of name, or NULL. */
const char *strv_env_get(char *const *l, const char *name) _pure_;

/* Sets NAME=VALUE in a list of such, in place of an older one of that name or at the end; an
 * assignment without '=' removes the name. 0 or -ENOMEM. */
int strv_env_assign(char ***l, const char *assignment);

#define STRV_FOREACH(s, l) for (char *const *s = (l); s && *s; s++)

DEFINE_CLEANUP(char **, strv_free);
#define _cleanup_strv_free_ _cleanup_(strv_freep)
