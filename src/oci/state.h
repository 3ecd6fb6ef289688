/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is known of a container, in a directory of its own below --root:
 *
 *   config.json   the bundle's document as it was at the creation
 *   state.json    a State
 *   start         the socket at which init waits for its start (runtime/detached.h)
 *
 * Who changes a container holds the lock of its directory; who only looks needs none, for
 * state.json is replaced as a whole. The status is not stored, but seen: from the process (by pid
 * and start time, because a pid may be another process's by now), the socket and the cgroup.
 *
 * Invariant: from before init is cloned until after it is gone the directory exists and names the
 * cgroup, so that whoever dies in between leaves something that `delete --force` removes.
 */

#include <jansson.h>

#include "oci/context.h"
#include "runtime/resctrl.h"

#define STATE_START "start"

typedef enum Status {
        STATUS_CREATING,
        STATUS_CREATED,
        STATUS_RUNNING,
        STATUS_PAUSED,
        STATUS_STOPPED,
        _STATUS_MAX,
} Status;

typedef struct State {
        char *id;
        int dir_fd;
        bool locked;         /* by us: then nobody else is just making it */
        pid_t pid;           /* 0: not known yet */
        uint64_t start_time; /* of the process, in clock ticks since boot */
        uint64_t created;    /* usec, realtime */
        uid_t owner;
        char *bundle; /* absolute; "" if its maker died early */
        char *rootfs;
        char *cgroup; /* below the unified hierarchy's root, or NULL: the container has none */
        char *scope;  /* the unit that the cgroup belongs to, or NULL */
        ResctrlGroups groups; /* to be removed with the container */
        char *listener; /* where a seccomp filter wants its descriptor, for `start`; or NULL */
        bool user_bus;
        char *streams[3];    /* of init, by the names of checkpoint_name_streams() */
        json_t *annotations; /* or NULL */
} State;

/* Makes the directory, locked. CTR_ALREADY_EXISTS, CTR_INVALID_ARGUMENT for an id that is none. */
int state_new(Context *c, const char *id, State **ret, Error *e);

/* Reads the state. CTR_NOT_FOUND if there is no such container. With lock: waits for it. */
int state_open(Context *c, const char *id, bool lock, State **ret, Error *e);

/* As state_open() does it: CTR_NOT_FOUND if the container was removed meanwhile. */
int state_lock(State *s, Error *e);
void state_unlock(State *s);

State *state_free(State *s);
DEFINE_CLEANUP(State *, state_free);

int state_save(const State *s, Error *e);

/* Sets pid, with the start time that it has now. */
int state_set_pid(State *s, pid_t pid, Error *e);

Status state_status(const State *s);
const char *status_to_string(Status status) _const_;

/* A pidfd of init; CTR_FAILED_PRECONDITION ("container not running") if it is gone. */
int state_open_init(const State *s, int *ret_pidfd, Error *e);

/* The cgroup's directory; CTR_FAILED_PRECONDITION if there is none. */
int state_open_cgroup(const State *s, int *ret_fd, Error *e);

/* Removes the directory and with it the lock. */
int state_remove(Context *c, const State *s, Error *e);

/* As runtime.md has it, with runc's additions. A new object. */
json_t *state_to_json(const State *s);

/* Calls each() for every container that can be read. */
int state_list(Context *c, int (*each)(const State *s, void *userdata, Error *e), void *userdata,
               Error *e);
