/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a program can run on: operating system, CPU architecture and its variant, in the names of
 * the Go language as the OCI image specification wants them (image-index.md, "Platform Variants").
 */

#include "basic/error.h"

#define PLATFORM_PART_MAX    31
#define PLATFORM_STRING_SIZE (3 * (PLATFORM_PART_MAX + 1))

typedef struct Platform {
        char os[PLATFORM_PART_MAX + 1];
        char architecture[PLATFORM_PART_MAX + 1];
        char variant[PLATFORM_PART_MAX + 1]; /* empty if there is none or it does not matter */
} Platform;

/* OS/ARCHITECTURE[/VARIANT] */
int platform_parse(const char *s, Platform *ret, Error *e);

/* Fills in the parts; empty or NULL ones are empty. CTR_INVALID_ARGUMENT for a part that is too
 * long or not made of letters, digits, '.', '_', '-'. */
int platform_set(Platform *p, const char *os, const char *architecture, const char *variant,
                 Error *e);

/* That of this machine. */
void platform_host(Platform *ret);

/* How well an image made for `image` runs on `host`: negative if it does not, otherwise the higher
 * the better. A variant runs on its own and on later ones; without a variant it runs everywhere. */
int platform_match(const Platform *host, const Platform *image) _pure_;

/* "linux/arm/v7". Returns buf. */
const char *platform_to_string(const Platform *p, char buf[static PLATFORM_STRING_SIZE]);
