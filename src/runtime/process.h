/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What init makes of itself before it executes the user's program: working directory, standard
 * streams, limits, ids, capabilities. Each function is one step, in the order of this file.
 */

#include "runtime/spec.h"
#include "runtime/user.h"

/* oom_score_adj and the sysctls, through the host's /proc: an image cannot redirect that one. The
 * sysctls show the namespaces of whoever opens them. */
int process_set_oom_score(const SpecProcess *p, Error *e);
int sysctls_apply(const SpecSysctl *sysctls, size_t n, Error *e);

/* A new session keyring: the supervisor's is not the container's to read. */
int process_new_keyring(Error *e);

/* Right after a user namespace was entered: root in it, if it has one, without the groups of
 * outside. */
int process_become_root(Error *e);

/* Makes path below root_fd the working directory; with make, what is missing of it is made. */
int process_enter_directory(int root_fd, const char *path, bool make, Error *e);

/* Makes fds the descriptors 0, 1 and 2 and marks all others to be closed by execve(), but for the
 * preserve_fds that follow. */
int process_set_stdio(const int fds[3], unsigned preserve_fds, Error *e);

/* Gives those of three descriptors that are anonymous pipes (-1: none) to a user of the host. */
int process_give_streams(const int fds[3], uid_t uid, gid_t gid, Error *e);

/* Gives what was made for the container (the terminal, anonymous pipes) to its user, so that
 * /dev/stdout can be opened. Files of somebody else stay as they are. */
int process_give_stdio(uid_t uid, Error *e);

/* Changes all ids, keeping the permitted capabilities until capabilities_apply(). */
int process_set_user(const User *u, Error *e);

/* Makes standard input the controlling terminal of this session leader. */
int process_set_controlling_terminal(Error *e);

/* The environment for execve(): the document's, and HOME if it has none. *ret is allocated, its
 * strings are not, but for HOME. */
int process_environment(const SpecProcess *p, const char *home, char ***ret, Error *e);
