/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a container's init and a further process in it do alike to become the user's program: the
 * last part of their way, once the root file system and the namespaces are the container's. The
 * functions are called in this order, by a clone of the supervisor that all of it goes with.
 *
 * Invariant: until execve() this process runs no code and opens no library of the image, and its
 * memory and binary, which are the supervisor's, are out of reach for processes of the container.
 */

#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"
#include "runtime/terminal.h"
#include "runtime/user.h"

typedef struct Program {
        const SpecProcess *process;
        int sync_fd;
        int stdio[3];          /* -1: /dev/null */
        SeccompFilter seccomp; /* filled in by the caller before program_become() */
        int listener_fd;       /* for a filter that notifies, before program_start(); else -1 */
        char *listener_state;
        bool personality_set;
        unsigned long personality;

        Terminal terminal; /* made by the caller before program_set_stdio() */
        User user;
        char **env;
        char *path;
        int null_fd;  /* the host's /dev/null for streams that are -1, or -1 */
        int proc_fd;  /* the host's /proc for a label, or -1 */
        mode_t umask; /* as the supervisor has it */
        bool independent, no_keyring;
        unsigned preserve_fds;
} Program;

/* Out of the supervisor's session, signal dispositions and reach of ptrace, with a umask of 0.
 * Exits if that fails. */
void program_separate(Program *p);

/* While still in the host's mount namespace. */
int program_open_host(Program *p, Error *e);

/* Finds out the user and with it the environment. */
int program_resolve(Program *p, int root_fd, Error *e);

/* Connects 0, 1 and 2, and closes all others at execve(). */
int program_set_stdio(Program *p, Error *e);

/* Takes on limits, keyring, user, umask, personality, and capabilities unless the filter needs them
 * later. */
int program_become(Program *p, Error *e);

/* Looks for the executable with the program's rights. */
int program_find(Program *p, Error *e);

/* In a process beside the program: takes on its rights and its filter. 0 or a negative errno. */
int program_restrict(Program *p);

/* Everything that is left, up to and including execve(). Exits if that fails. */
_noreturn_ void program_start(Program *p);
