/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The way of a container from its bundle to "created", for `create`, `run` and `restore`.
 *
 * Invariant: whatever fails on the way, launch_clear() leaves nothing of the container behind.
 */

#include "oci/cgroup.h"
#include "oci/options.h"
#include "oci/state.h"
#include "runtime/container.h"

typedef struct LaunchOptions {
        const char *bundle; /* NULL: the working directory */
        const char *console_socket;
        const char *pid_file;
        unsigned preserve_fds;
        bool no_pivot, no_keyring;
        bool detach; /* false: this process stays with the container */
} LaunchOptions;

typedef struct Launch {
        Context *context;
        const LaunchOptions *options;
        State *state;
        json_t *config;
        Limits limits;
        char *slice;
        Container *container;
        bool terminal;
        int bundle_fd;
        int cgroup_fd;
        int terminal_fd; /* the master's, for who stays */
} Launch;

#define LAUNCH_NULL ((Launch){.bundle_fd = -1, .cgroup_fd = -1, .terminal_fd = -1})

/* Reads the bundle and makes the container's directory. */
int launch_open(Launch *l, Context *c, const LaunchOptions *options, const char *id, Error *e);

/* Sets the container up. Then it is "created", and its init dies with this process. */
int launch_set_up(Launch *l, Error *e);

/* Says that the process runs that l->container has: writes its pid down, for us and for the caller.
 */
int launch_note_pid(Launch *l, pid_t pid, Error *e);

/* Gives the terminal to whom it belongs. */
int launch_hand_over_terminal(Launch *l, Error *e);

/* Writes pid to the file of --pid-file, at once as a whole. */
int pid_file_write(const char *path, pid_t pid, Error *e);

/* For who stays with the container: before it is set up, and when it runs. The second one returns
 * when the container has ended, with its exit status in the context; without keep it is removed by
 * launch_clear() then. */
int launch_prepare_stay(bool subreaper, int *ret_signal_fd, Error *e);
int launch_stay(Launch *l, bool keep, int signal_fd, Error *e);

/* Lets go of the container: it stays. */
void launch_release(Launch *l);

/* Removes all that was not released. */
void launch_clear(Launch *l);
