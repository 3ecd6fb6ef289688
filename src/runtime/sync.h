/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the supervisor and its clones say to each other until the user's program runs, over a
 * SOCK_SEQPACKET pair. The clone's end is closed by exec(): end of file after START, or after
 * CLONED, is the success.
 *
 *   supervisor                    init
 *              <- BUILT                  if something is to be done before ENTER: the namespaces
 *                                        and mounts are there, the host's root is not left yet
 *              ENTER ->                  it is in its cgroup, go on
 *              <- CREATED                (with the terminal's master, if there is one)
 *              START ->                  execute (with a connection to the agent, if the filter
 *                                        notifies)
 *              <- end of file            executed
 *              <- FAILED                 instead of any answer, also before ENTER; then it exits
 *
 *              DETACH ->                 instead of START, with a listening socket: START will come
 *              <- end of file            through that, and this end may go (detached.h)
 *
 *   supervisor                    stage of an init with a user namespace (userns.h), its sibling
 *              <- MAP                    it has a new user namespace, without maps
 *              MAPPED ->                 and now with them
 *              <- CLONED                 (with init's pid and pidfd); the stage exits
 *
 *   supervisor                    clone that runs hooks
 *              <- DONE                   all succeeded
 *              <- FAILED
 *
 *   supervisor                    stage of an exec, and its sibling
 *              <- TERMINAL               (with the terminal's master), if it has one
 *              <- CLONED                 (with the sibling's pid)
 *              <- end of file            the stage exited and the sibling executed
 *              <- FAILED                 from either of them; then both exit
 */

#include <sys/types.h>

#include "basic/error.h"

#define SYNC_TEXT_MAX 3000

typedef enum SyncType {
        SYNC_ENTER = 1,
        SYNC_CREATED,
        SYNC_START,
        SYNC_DETACH,
        SYNC_BUILT,
        SYNC_MAP,
        SYNC_MAPPED,
        SYNC_DONE,
        SYNC_TERMINAL,
        SYNC_CLONED,
        SYNC_FAILED,
} SyncType;

/* How far it is: what a failure's text begins with. */
typedef enum InitStage {
        STAGE_DOCUMENT,
        STAGE_HOOKS,
        STAGE_NAMESPACES,
        STAGE_SYSCTL,
        STAGE_SECCOMP,
        STAGE_ROOTFS,
        STAGE_MOUNTS,
        STAGE_DEVICES,
        STAGE_MASKS,
        STAGE_TERMINAL,
        STAGE_USER,
        STAGE_CGROUP,
        STAGE_PROCESS,
        STAGE_EXEC,
        _STAGE_MAX,
} InitStage;

const char *init_stage_to_string(InitStage stage) _const_;

/* What comes with a message. */
typedef struct SyncAnswer {
        int fd;    /* the receiver's, or -1 */
        pid_t pid; /* with CLONED and START: of who was cloned or is started, as the host has it */
        bool failed; /* FAILED was received: what was returned is its code */
} SyncAnswer;

/* Sends a message, and fd if it is one. pid is for CLONED and START, else 0. 0 or -errno; -EPIPE if
 * the other side is gone. */
int sync_send(int socket_fd, SyncType type, pid_t pid, int fd);

/* Sends FAILED. */
int sync_send_error(int socket_fd, InitStage stage, int code, const Error *e);

/* Waits for one message until deadline (CLOCK_MONOTONIC usec, UINT64_MAX: for ever, 0: not at all).
 * Returns its type, 0 at end of file, -ETIMEDOUT, or for FAILED the negative or positive error code
 * with e set and ret->failed true. ret is always set. */
int sync_receive(int socket_fd, uint64_t deadline, SyncAnswer *ret, Error *e);
