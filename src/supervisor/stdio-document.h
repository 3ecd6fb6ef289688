/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The part that the launch documents of a task and of an exec have in common: how the three
 * standard streams are connected, {"stdin": {"kind": "fifo", "path": "/x"}, ...}.
 */

#include "supervisor/record.h"

/* -EINVAL if a stream has a path and needs none, or the other way round. */
int stdio_to_json(const StdioKind kinds[static 3], char *const paths[static 3], json_t **ret);

/* Reads member "stdio" of j; streams that are not there stay STDIO_NULL. kinds and paths are the
 * caller's to clear, also after a failure. 0, -EBADMSG or -ENOMEM. */
int stdio_from_json(json_t *j, StdioKind kinds[static 3], char *paths[static 3], Error *e);

/* Frees the paths. */
void stdio_paths_clear(char *paths[static 3]);

/* Copies an optional string member of j into *p. 1 if it was there, 0 if not, -EBADMSG, -ENOMEM. */
int document_read_string(json_t *j, const char *key, char **p, Error *e);
