/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Who the user is to a registry, from the options, the terminal or the user's files, as the
 * descriptor that calls take it in: a secret is in no argument and in no message. */

#include <systemd/sd-bus.h>

#include "ctl/auth-file.h"
#include "ctl/options.h"

/* A descriptor with the credentials for an image (the JSON of the option Credentials), or -1 if
 * there is nothing to tell: root's files are read by the service itself. */
int credentials_open(const Options *o, const char *image, int *ret_fd, Error *e);

/* Appends {Credentials: fd} to an open a{sv}, for a first or a further time; nothing if fd is -1.
 */
int message_append_credentials(sd_bus_message *m, int fd);

/* A file in memory with these bytes, which nobody can change any more. */
int memory_file_new(const char *name, const void *data, size_t size, int *ret_fd);

/* One line of standard input without its end. *ret is to be cleared (_cleanup_secret_). */
int secret_read_stdin(char **ret, Error *e);

/* Asks on the terminal, without showing what is typed if secret. */
int ask_on_terminal(const char *prompt, bool secret, char **ret, Error *e);
