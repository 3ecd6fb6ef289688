/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * RDT classes (A5.2): a configuration file in the form of goresctrl's, as containerd reads it,
 * divides caches and memory bandwidth into partitions, and these among classes. Each class is a
 * group of the resctrl file system; the processes of a container are put into the one that it was
 * made with.
 *
 *   partitions:
 *     shared:
 *       l3Allocation: "40%"              or "0xff", "0-7"; by cache: {all: "40%", 2-3: "20%"};
 *       mbAllocation: ["50%"]            by kind: {all: {unified: ..., code: ..., data: ...}}
 *       classes:
 *         besteffort: {l3Allocation: "50%"}     of the partition's share
 *
 * The class DEFAULT is the group of all processes that are in no other one.
 */

#include "basic/error.h"

#define RDT_DIR            "/sys/fs/resctrl"
#define RDT_GROUP_NAME_MAX 64U

typedef struct Rdt Rdt;

/* Reads the file and makes the groups below resctrl_dir. A file system that is not there, or cannot
 * do what is asked for, is logged; the classes are known all the same. */
int rdt_load(const char *path, const char *resctrl_dir, Rdt **ret, Error *e);
Rdt *rdt_free(Rdt *rdt);
DEFINE_CLEANUP(Rdt *, rdt_free);

/* CTR_INVALID_ARGUMENT if there is no such class or no configuration (rdt is NULL); CTR_UNAVAILABLE
 * if its group could not be made. */
int rdt_check(const Rdt *rdt, const char *class_name, Error *e);

/* Puts a process (with all its threads to come, and its children) into the group of the class. */
int rdt_assign(const Rdt *rdt, const char *class_name, pid_t pid, Error *e);
