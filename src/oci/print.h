/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "basic/error.h"

/* Prints a document and a line's end to standard output. NULL is one that could not be made. */
int print_json(json_t *j, size_t flags, Error *e);
