/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From nothing, or from a container that is there, to a running program, and on to its exit status.
 *
 *   CreateContainer, CreateTask ---> [Attach, ResizePty] Wait, Start ---> (exit) ---> Delete
 *
 * Calls that follow each other on one line are sent together and answered in that order. With an id
 * that nobody else can have chosen, CreateTask does not wait for the answer to CreateContainer
 * either: if it comes too early it fails without effect and is sent again. Wait goes out before
 * Start, so no exit is missed, however short the program is. A container that is to be removed goes
 * with its task even if we are killed (AutoRemove); Delete is there to wait for that.
 */

#include "ctl/client.h"
#include "ctl/create.h"
#include "ctl/session.h"

typedef enum LaunchFlags {
        LAUNCH_CREATE = 1 << 0,   /* make the container first, and unmake it if the start fails */
        LAUNCH_OWN_ID = 1 << 1,   /* its id was made up by us */
        LAUNCH_ATTACHED = 1 << 2, /* wait for the exit, with our standard input and output */
        LAUNCH_REMOVE = 1 << 3,   /* remove the container after the exit */
        LAUNCH_STDIN = 1 << 4,    /* ... with our standard input */
        LAUNCH_TERMINAL = 1 << 5, /* the container has a terminal; found out if not LAUNCH_CREATE */
} LaunchFlags;

typedef struct Launch Launch;

/* command and the other strings must live as long as the launch. */
int launch_new(Client *c, const char *id, const char *image, char *const *command,
               LaunchFlags flags, Launch **ret, Error *e);
Launch *launch_free(Launch *l);
DEFINE_CLEANUP(Launch *, launch_free);

/* Creates and starts. 0: the program runs (or has already ended). On failure nothing is left of
 * what was made here. CTR_CANCELED: a signal came first. */
int launch_start(Launch *l, Error *e);

/* Waits for the exit, passing signals on, and removes what is to be removed; or until the user
 * detaches. 0 and *ret_status; e is set in that case too if the removal failed. */
int launch_wait(Launch *l, int *ret_status, Error *e);

/* Whether launch_start() failed because the service does not have the image. */
bool launch_image_is_missing(const Launch *l) _pure_;

/* The signal that ended launch_start(), 0 if none did. */
int launch_signal(const Launch *l) _pure_;
