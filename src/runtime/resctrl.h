/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * linux.intelRdt: the container's place in the resctrl file system, which shares out caches and
 * memory bandwidth (Intel RDT, AMD QoS, Arm MPAM). A group of control is a directory with the files
 * "tasks" and "schemata", a group of monitoring one below its "mon_groups".
 *
 *   no closID            a new group with the container's id, removed with the container
 *   closID and schemas   that group; made if it is not there, and then left there; if it is there
 *                        it has to have those schemas already
 *   closID alone         that group, which has to be there; "/" is the file system's root
 *
 * Invariant: only what was made for the container alone is removed, and a join that fails leaves
 * nothing.
 */

#include "runtime/spec.h"

/* What goes with the container: directories below the file system's root, or NULL. */
typedef struct ResctrlGroups {
        char *control, *monitoring;
} ResctrlGroups;

void resctrl_groups_clear(ResctrlGroups *g);

/* Puts pid into the groups of the container id, making them. root: the file system, NULL: where one
 * is mounted. CTR_NOT_IMPLEMENTED if none is, CTR_ALREADY_EXISTS if the group has another owner or
 * other schemas, CTR_NOT_FOUND if it has to be there; else a negative errno. */
int resctrl_join(const SpecIntelRdt *rdt, const char *root, const char *id, pid_t pid,
                 ResctrlGroups *ret, Error *e);

/* Puts a further process of that container into them. */
int resctrl_add(const SpecIntelRdt *rdt, const char *root, const char *id, pid_t pid, Error *e);

/* Removes what resctrl_join() has made; what is gone already is no error. */
int resctrl_remove(const ResctrlGroups *g, const char *root, Error *e);
