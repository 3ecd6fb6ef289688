/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The restart monitor (A4.17 to A4.19): containers are started again as their labels say
 * (manager/restart-policy.h). It acts on the exit, after a delay that doubles with every exit that
 * comes too soon, and at its own start, so that it needs no polling.
 *
 *   IDLE --> JUDGING      the task exited: does the machine go down? then nothing is done or kept
 *   JUDGING --> WAITING   the policy wants it to run: after the delay
 *   WAITING --> DELETING --> CREATING --> STARTING --> IDLE
 *
 * What the user does is stronger: Stop, Kill with a signal that ends, and Delete of the task mean
 * stopped, as does systemctl stop of its scope; Start means running. A stopped container with the
 * policy always runs again after a reboot, others do not.
 *
 * Invariant: what is wanted, how often it was restarted, and how the last run ended are in the
 * database before they are acted upon, so that a killed manager goes on where it was; a restart is
 * counted once.
 */

#include "manager/container.h"
#include "manager/restart-policy.h"

typedef struct Restart Restart;   /* of one container */
typedef struct Restarts Restarts; /* of a manager */

/* Registers itself as a monitor of tasks. */
int restarts_new(Manager *m, const RestartTimes *times, Restarts **ret, Error *e);
Restarts *restarts_free(Restarts *r);
DEFINE_CLEANUP(Restarts *, restarts_free);

/* Something is going to be started: exiting now would leave it undone. */
bool restarts_are_busy(const Restarts *r) _pure_;

/* Everything was found that is there: starts what should run and does not. */
int restarts_recovered(Manager *m, Error *e);

/* state: the column of its row, a reference is taken; NULL: it is new. 0 or -ENOMEM. */
int restart_load(Container *c, json_t *state);
Restart *restart_free(Restart *r);

/* Whether a new container's policy and labels are right. CTR_INVALID_ARGUMENT names what is not. */
int restart_request_check(const ContainerRequest *request, Error *e);

/* A container is about to have these labels: if a boot has to look after it, that is noted first.
 */
int restarts_prepare(Manager *m, json_t *labels, Error *e);

/* A container is gone. */
void restarts_forget(Manager *m);

/* The container's labels were replaced; before: those it had, NULL for a new container. */
void restart_labels_changed(Container *c, json_t *before);

/* Whether it is going to be started again, or is just being. */
bool restart_is_due(const Container *c) _pure_;

/* The user is about to start or to end the task, also if that fails. No-ops for containers that are
 * not restarted, and while the monitor itself does it. */
void restart_user_starts(Container *c);
void restart_user_stops(Container *c);
