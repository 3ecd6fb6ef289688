/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An OCI image layout as a directory of ours. The service writes an archive of it into a pipe, and
 * would not write into a directory that only we may write to: a descriptor of a directory does not
 * say that. So it is unpacked here, with our rights.
 */

#include "ctl/client.h"

typedef struct Arguments Arguments;

/* Runs the call with arguments->fd as the pipe, and unpacks what comes into the directory path,
 * which has its name when it is complete; an empty one is replaced. CTR_FAILED_PRECONDITION if
 * there is something else. */
int layout_save(Client *c, const Call *call, Arguments *arguments, const char *path, Error *e);
