/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A program of the host that is run for a container (criu, another runtime): a child of the caller.
 * A clone of the caller prepares the run (documents are read, mounts made, the command line
 * written) and becomes the program, so that none of it costs the caller memory or time.
 *
 * Invariant: nothing here waits but helper_finish().
 */

#include <sys/types.h>

#include "basic/error.h"

typedef struct Helper Helper;

/* Called in the clone: makes the argument list, from the program's name on. It may leave
 * descriptors below HELPER_FD_MAX open for the program; all else is to be closed by exec(). */
#define HELPER_FD_MAX 32
typedef int (*HelperPrepare)(void *userdata, char ***ret_arguments, Error *e);

/* Starts path, an absolute one. The program dies with the caller, with all signals at their
 * defaults and none blocked. */
int helper_new(const char *path, HelperPrepare prepare, void *userdata, Helper **ret, Error *e);

/* Kills the program if it still runs; it may have to be reaped as a child that nobody knows. */
Helper *helper_free(Helper *h);
DEFINE_CLEANUP(Helper *, helper_free);

/* Readable when the run is over. */
int helper_pidfd(const Helper *h) _pure_;
pid_t helper_pid(const Helper *h) _pure_;

/* Reaps it. 0 and its exit status; or what prepare returned, or CTR_UNAVAILABLE, if the program
 * could not be executed. */
int helper_finish(Helper *h, int *ret_status, Error *e);

/* The process that the program left to us and wrote the number of to name: an unreaped child of the
 * caller, by pid and pidfd. who wrote it is for errors. Removes the file. */
int helper_read_pid(int dir_fd, const char *name, const char *who, pid_t *ret_pid, int *ret_pidfd,
                    Error *e);
