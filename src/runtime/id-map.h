/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Mappings of user and group ids: those of a container's user namespace, and those of idmapped
 * mounts, which the kernel takes in the form of a user namespace, too.
 */

#include "runtime/spec.h"

/* Writes the maps of process pid, which has just made its user namespace and has none yet. The
 * caller is outside of it, in its parent. As root this takes no help; else newuidmap and newgidmap
 * are called, unless it is the caller's own id alone that is mapped. */
int id_map_write(pid_t pid, const SpecIdMappings *uids, const SpecIdMappings *gids, Error *e);

/* Descriptor of a user namespace with these maps and without a process in it. */
int id_map_make_namespace(const SpecIdMappings *uids, const SpecIdMappings *gids, int *ret_fd,
                          Error *e);

/* The id outside for one inside, or (uint32_t) -1 if it is not mapped. */
uint32_t id_map_to_host(const SpecIdMappings *l, uint32_t id) _pure_;
