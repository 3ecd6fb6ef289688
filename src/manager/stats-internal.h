/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The formats of the kernel's files, for stats.c. Each function takes the text of a file that ends
 * with NUL, cuts it into pieces, and adds what it understands; what it does not (a newer kernel's)
 * is left out. The text must live as long as the figures. */

#include "manager/stats.h"

void stats_set(TaskStats *s, StatValue v, uint64_t value);
void stats_add_pair(TaskStats *s, StatGroup *group, const char *name, uint64_t value);

/* Digits only, at most 64 bits; "max" is UINT64_MAX. */
bool stats_parse_number(const char *s, uint64_t *ret);

/* "name number" lines: cpu.stat, memory.stat, memory.events. */
void stats_parse_flat(TaskStats *s, char *text, StatGroup *ret);

/* The value of a pair, if it is there. */
bool stats_find(const TaskStats *s, const StatGroup *group, const char *name, uint64_t *ret);

/* "8:0 rbytes=1 wbytes=2" lines. */
void stats_parse_io(TaskStats *s, char *text);

/* "some avg10=0.00 avg60=0.00 avg300=0.00 total=0" lines. */
void stats_parse_pressure(TaskStats *s, const char *resource, char *text);

/* /proc/PID/net/dev, after its two lines of headings. */
void stats_parse_network(TaskStats *s, char *text);
