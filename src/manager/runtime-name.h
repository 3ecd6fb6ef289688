/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Which OCI runtime makes a container: our own (RUNTIME_DEFAULT), or another program, by its name
 * in a list of directories or by its absolute path.
 *
 * A name is looked up in the directories of the configuration and never in $PATH: what stands there
 * is what the administrator wants to be run as root in this way. So a name is every caller's to
 * choose, and a path root's alone (see bus/authorize.h).
 */

#include "basic/error.h"
#include "config.h"
#include "manager/user-namespace.h"

typedef struct Manager Manager;

#define RUNTIME_DEFAULT "org.example.Ctr.v1"
#define RUNTIME_PATH_DEFAULT                                                                       \
        "/etc/ctr/runtimes:/usr/local/lib/ctr/runtimes:" CTR_LIBEXECDIR "/runtimes"

/* 0 if it is a name or an absolute path by its form; CTR_INVALID_ARGUMENT. */
int runtime_name_check(const char *name, Error *e);

/* The program to be run: *ret is an absolute path, or NULL for our own runtime. containerd's names
 * are taken for the latter, the deprecated ones of its first version with a warning. CTR_NOT_FOUND;
 * CTR_FAILED_PRECONDITION for what is no executable file or not root's alone to write. */
int runtime_resolve(Manager *m, const char *name, char **ret, Error *e);

/* Whether that program, which runtime_resolve() found by name (NULL: our own runtime), can map a
 * container's ids: CTR_NOT_IMPLEMENTED. */
int runtime_check_user_namespace(const char *name, const char *program, UserNamespaceMode mode,
                                 Error *e);
