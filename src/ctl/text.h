/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Text for people: widths on a terminal, shortening, escaping, sizes and times. What comes from
 * images, registries and containers may hold terminal sequences: text_escape() is on the way of
 * everything that is printed and not JSON.
 */

#include "basic/macro.h"

#define TEXT_NUMBER_MAX 32
#define TEXT_AGO_MAX    48
#define TEXT_TIME_MAX   48

/* Makes width and shortening know the locale's characters. Cheap when called again. */
void text_init_locale(void);

/* A copy of s without control characters and invalid UTF-8: each byte of those becomes "\xNN". NULL
 * if out of memory. */
char *text_escape(const char *s);

/* Columns of s on a terminal. */
size_t text_width(const char *s) _pure_;

/* Shortens s in place to at most width columns; the last one becomes "…" ("." without UTF-8) if
 * something is cut off. The string never gets longer in bytes than capacity. */
void text_shorten(char *s, size_t capacity, size_t width);

/* "0B", "12.3M". */
const char *text_bytes(uint64_t bytes, char buf[static TEXT_NUMBER_MAX]);

/* "2024-05-01T10:00:00.123456+02:00": microseconds since the epoch, in the local time. */
const char *text_time(uint64_t usec, char buf[static TEXT_TIME_MAX]);

/* "5 minutes" between two times; less than a second is "less than a second". */
const char *text_span(uint64_t usec, char buf[static TEXT_AGO_MAX]);

/* Size of the terminal behind fd; $COLUMNS and $LINES if it does not know; 0 if it is none. */
unsigned terminal_columns(int fd);
unsigned terminal_lines(int fd);
