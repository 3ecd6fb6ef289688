/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * UTF-8 as RFC 3629 has it: no surrogates, nothing longer than it must be, nothing above U+10FFFF.
 * D-Bus and JSON take nothing else, and text that was cut after so many bytes, names of files and
 * what programs say are something else now and then.
 */

#include "basic/macro.h"

/* Bytes of the character at s, which is not at its end; 0 if it is none. */
size_t utf8_character(const char *s) _pure_;

bool utf8_is_valid(const char *s) _pure_;

/* Puts a '?' in the place of each byte of s that is no part of a character. Returns s, which may be
 * NULL. */
char *utf8_repair(char *s);

/* The same, and for each control character: what terminals and logs show as one line. */
void utf8_make_printable(char *s);
