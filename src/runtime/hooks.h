/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The programs that a document wants to be called during a container's life (config.md,
 * "POSIX-platform Hooks"): one after the other, each with the container's state on its standard
 * input, until one fails.
 *
 *   prestart, createRuntime   the caller of container_enter(), while init has built everything
 *   createContainer           init, in the container's namespaces and with the host's files
 *   startContainer            init, in the container, with the program's rights and filter
 *   poststart, poststop       whoever starts and deletes the container
 *
 * Invariant: none of a hook's process group is left when it is over, or has taken too long.
 */

#include "runtime/spec.h"

/* The state of runtime.md as JSON. document: the container's, whose ociVersion and annotations go
 * in. pid 0: left out. *ret is allocated. 0 or -ENOMEM. */
int hooks_state(json_t *document, const char *id, const char *bundle, const char *status, pid_t pid,
                char **ret);

/* Runs hooks, which are those of the point, and waits for them at most until deadline
 * (CLOCK_MONOTONIC usec; UINT64_MAX: only as long as each one's own timeout allows). prepare (may
 * be NULL) is called in each child right before execve(). The text of an error names the hook by
 * its JSON path and has the end of what it printed. CTR_FAILED_PRECONDITION if one fails,
 * CTR_DEADLINE_EXCEEDED if one takes too long, else a negative errno. */
int hooks_run(const SpecHooks *hooks, HookPoint point, const char *state, uint64_t deadline,
              int (*prepare)(void *userdata), void *userdata, Error *e);

/* The same without waiting, for an event loop: a clone of the caller runs them. */
typedef struct HooksRun HooksRun;

int hooks_begin(const SpecHooks *hooks, HookPoint point, const char *state, uint64_t timeout_usec,
                HooksRun **ret, Error *e);
/* Polls readable when hooks_receive() has something to say. */
int hooks_fd(const HooksRun *run) _pure_;
/* 0 and *ret_done false if they are not through yet. */
int hooks_receive(HooksRun *run, bool *ret_done, Error *e);
/* Kills what still runs. */
HooksRun *hooks_free(HooksRun *run);
DEFINE_CLEANUP(HooksRun *, hooks_free);
