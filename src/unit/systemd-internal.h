/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Shared by systemd.c (the connection and its signals), scope.c (starting scopes) and
 * scope-ahead.c. */

#include <pthread.h>

#include "unit/systemd.h"

#define SYSTEMD_DESTINATION "org.freedesktop.systemd1"
#define SYSTEMD_PATH        "/org/freedesktop/systemd1"
#define SYSTEMD_INTERFACE   "org.freedesktop.systemd1.Manager"

struct Systemd {
        sd_bus *bus;
        sd_bus_slot *job_removed_slot, *unit_removed_slot, *subscribe_slot;
        sd_bus_slot *reloading_slot, *owner_slot;
        bool reloading;
        SystemdUnitRemoved unit_removed;
        void *userdata;
        ScopeStart *starts; /* in progress */
        int ahead_fd;       /* of cgroup.procs; not negative: there is the thread */
        pthread_t ahead_thread;
};

/* A method call to systemd's manager object, ready for its arguments. */
int systemd_call_new(Systemd *s, const char *member, sd_bus_message **ret);

/* From the signals, to whichever start is concerned. */
void scope_starts_job_removed(Systemd *s, const char *job, const char *result);
void scope_starts_unit_removed(Systemd *s, const char *unit);

/* Answers and signals may have been lost: all starts ask again. */
void scope_starts_again(Systemd *s);

/* Waits for the thread of scope_start_ahead(), if there is one. */
void scope_ahead_stop(Systemd *s);
