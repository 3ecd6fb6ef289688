/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* For the readers of linux.resources (cgroup-limits-read.c, cgroup-limits-devices.c). */

#include "oci/cgroup-limits.h"

/* Adds what is to be written to a file. property names it in errors and is not copied. */
_printf_(5, 6) int limits_addf(Limits *l, const char *property, const char *file, Error *e,
                               const char *format, ...);
/* Negative: no limit. */
int limits_add_maximum(Limits *l, const char *property, const char *file, int64_t value, Error *e);

/* json_get_int64() without a range. */
int limits_get_number(json_t *o, const char *path, const char *key, int64_t *ret, Error *e);

/* Refuses members that are not 0. */
int limits_refuse_numbers(json_t *o, const char *path, const char *const keys[], size_t n,
                          Error *e);

/* The sections. */
int limits_read_io(Limits *l, json_t *io, Error *e);
int limits_read_huge_pages(Limits *l, json_t *array, Error *e);
int limits_read_rdma(Limits *l, json_t *rdma, Error *e);
