/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Reading JSON documents that somebody else wrote: parsed with a bound on size and depth, and read
 * by getters whose error names the JSON path. A missing member and a JSON null are the same.
 */

#include <jansson.h>

#include "basic/error.h"

#define _cleanup_json_ _cleanup_(json_decrefp)

/* Parses size bytes; what names the document in the error ("config.json"). 0, CTR_INVALID_ARGUMENT
 * for malformed text (with line and column; duplicate keys are refused), -ENOMEM. */
int json_parse(const char *data, size_t size, const char *what, json_t **ret, Error *e);

/* Reads and parses dir_fd/path; larger than max is CTR_INVALID_ARGUMENT. */
int json_read_file_at(int dir_fd, const char *path, size_t max, json_t **ret, Error *e);

/* Each getter reads member key of object o (path names o in errors, "process.user"). Returns 1 if
 * it was there, 0 if not (*ret untouched), -EBADMSG with a text like "process.user.uid: expected an
 * integer" for a wrong type or range. Returned pointers live as long as o. */
int json_get_string(json_t *o, const char *path, const char *key, const char **ret, Error *e);
int json_get_bool(json_t *o, const char *path, const char *key, bool *ret, Error *e);
int json_get_int64(json_t *o, const char *path, const char *key, int64_t min, int64_t max,
                   int64_t *ret, Error *e);
int json_get_uint64(json_t *o, const char *path, const char *key, uint64_t max, uint64_t *ret,
                    Error *e);
int json_get_object(json_t *o, const char *path, const char *key, json_t **ret, Error *e);
int json_get_array(json_t *o, const char *path, const char *key, size_t max, json_t **ret,
                   Error *e);
/* A new strv with the strings of an array; *ret is untouched if it is not there. */
int json_get_strv(json_t *o, const char *path, const char *key, size_t max, char ***ret, Error *e);

/* A new array of the strings; NULL without memory, or if one of them is not UTF-8, which JSON is.
 */
json_t *json_from_strv(char *const *l);

/* The compact text of j, NUL-terminated. 0 or -ENOMEM; never a part of it, which json_dumps() gives
 * when memory ends in the middle of a key. */
int json_to_text(json_t *j, char **ret);
