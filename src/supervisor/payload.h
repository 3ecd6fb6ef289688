/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The delegated part of a task's scope, cut in two: <scope>/supervisor with this process in it and
 * <scope>/payload for everything that the container runs. systemd owns the scope's own attributes;
 * only what is below is ours.
 *
 * Invariant: nothing but the two sub-cgroups has processes in it ("no processes in inner nodes"),
 * so that controllers can be enabled for them.
 */

#include "basic/error.h"

typedef struct Payload Payload;

/* Finds this process's cgroup, makes both sub-cgroups and moves into one of them. CTR_UNAVAILABLE
 * if this process is not in the scope called unit: then systemd has taken the scope for empty
 * (systemd#36781) and it has to be made again. */
int payload_new(const char *unit, Payload **ret, Error *e);

/* Forgets it; the cgroups stay. */
Payload *payload_free(Payload *p);
DEFINE_CLEANUP(Payload *, payload_free);

/* The payload cgroup's directory. */
int payload_fd(const Payload *p) _pure_;

/* Its path in the hierarchy, without a leading slash. */
const char *payload_path(const Payload *p) _pure_;

/* SIGKILL to everything in it, also to what is just being forked. */
int payload_kill(Payload *p);

/* signo to every process of the whole subtree: frozen meanwhile, so that none escapes by forking.
 * Frozen before, frozen after. */
int payload_signal(Payload *p, int signo);

/* signo to one process, if it is in the subtree: -ESRCH if not, or if it is gone. */
int payload_signal_pid(Payload *p, pid_t pid, int signo);

/* Begins to freeze everything in it, or to let it go on. payload_events_fd() becomes ready when all
 * is frozen. Signals are queued meanwhile; SIGKILL works. */
int payload_freeze(Payload *p, bool freeze);

/* 1 if all is frozen, 0 if not. */
int payload_is_frozen(Payload *p);

/* 1 if a process lives in it, 0 if not. */
int payload_is_populated(Payload *p);

/* How often the OOM killer struck since the beginning; 0 without a memory controller. */
uint64_t payload_oom_kills(Payload *p);

/* Whose limit was hit since this was asked last, the nearest first: "/ctr.slice/ctr-x.scope". ""
 * if no cgroup's was, which leaves the whole system. Somebody else's kill in a common parent may be
 * taken for the cause if the system's memory ran out afterwards. *ret is allocated. */
int payload_oom_cgroup(Payload *p, char **ret);

/* Become ready for POLLPRI when payload_is_populated() or payload_is_frozen(), and
 * payload_oom_kills() may have changed, until these are called again. The second is -1 without a
 * memory controller. */
int payload_events_fd(const Payload *p) _pure_;
int payload_memory_events_fd(const Payload *p) _pure_;

/* Removes the payload cgroup and what the container made below it. */
int payload_remove(Payload *p);
