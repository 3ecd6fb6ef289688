/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The document of a further process: what the caller wrote, or the container's own process with
 * what the command line changes.
 */

#include "basic/error.h"

typedef struct ExecOptions {
        const char *file; /* with the process; NULL: the rest */
        char **args;      /* NULL-terminated */
        const char *cwd, *user, *apparmor, *label;
        char **env, **gids, **capabilities; /* own */
        bool terminal, no_new_privileges;
} ExecOptions;

void exec_options_clear(ExecOptions *o);

/* Writes the document to dir_fd/name; config_name is the container's, there. *ret_terminal: whether
 * the process has a terminal. */
int exec_document_write(const ExecOptions *o, int dir_fd, const char *config_name, const char *name,
                        bool *ret_terminal, Error *e);
