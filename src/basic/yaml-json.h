/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* YAML as others' configuration files are written in it, read as JSON: every scalar is a string,
 * sequences and mappings keep their order. libyaml is loaded when the first file is read. */

#include <jansson.h>

#include "basic/error.h"

/* The first document of a text. 0; CTR_INVALID_ARGUMENT with what, line and reason, also for keys
 * that are no strings or there twice, and for what is too large when its aliases are followed;
 * CTR_NOT_IMPLEMENTED without libyaml; -ENOMEM. An empty text is an empty object. */
int yaml_parse(const char *data, size_t size, const char *what, json_t **ret, Error *e);
