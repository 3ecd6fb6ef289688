/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A container's init process, from an OCI runtime-spec document to exec(). The life cycle follows
 * runtime.md of the OCI runtime specification, cut where systemd needs it:
 *
 * - container_new() parses and checks the document; nothing is done yet.
 * - container_clone() clones init, which enters its namespaces and builds the root file system up
 *   to pivot_root(): that needs no cgroup and overlaps with systemd making the scope.
 * - container_enter() moves init into its cgroup if it is not there, and lets it finish (cgroup
 *   namespace, user, capabilities, executable resolved). It returns when init is set up and
 *   blocked: OCI state "created".
 * - container_start() lets it execute the user's program, and returns when exec() succeeded or
 *   failed.
 * - container_free() kills init if it still lives, and with it (pid namespace) everything.
 *
 * Init dies with its parent (PR_SET_PDEATHSIG, SIGKILL) as long as the user's program neither
 * resets that itself nor is set-user-ID, set-group-ID or has file capabilities, which make the
 * kernel forget it. It inherits oom_score_adj if the document sets none: a supervisor that protects
 * itself does so after container_clone().
 *
 * Invariant: nothing of a container is visible outside its own namespaces; a failure at any step
 * leaves nothing behind, and its text names the stage and the path.
 */

#include <jansson.h>
#include <sys/types.h>

#include "basic/error.h"
#include "runtime/hooks.h"
#include "runtime/resctrl.h"

typedef struct Container Container;

typedef struct ContainerParameters {
        int config_dir_fd;        /* where config.json is, and what its relative paths start from */
        const char *config_name;  /* "config.json" */
        const char *rootfs_lower; /* as in TaskLaunch: absolute host paths, top first, separated by
                                   * ':'; NULL: root.path of the document is the root */
        const char *rootfs_upper; /* NULL: read-only view */
        const char *rootfs_work;
        int stdio[3]; /* become 0, 1, 2 of the program; -1: /dev/null; ignored with a terminal */
        /* Called in init, in its network namespace and the host's mount namespace, without a
         * terminal: may open those of stdio that are -1. A socket belongs to the network namespace
         * that it was made in, and CRIU finds those of the container's own alone. May be NULL. */
        int (*open_stdio)(void *userdata, int stdio[3], Error *e);
        void *userdata;
        const char *hostname_fallback; /* when the document names none; may be NULL */
        const char *seccomp_cache;     /* directory for compiled filters, made 0700; NULL: none */
        const char *id, *bundle;       /* what hooks are told; NULL: "" */
        json_t *document; /* what config_name says, read already by spec_read_document(); NULL: not
                           * read yet. A reference is taken */
        const char *resctrl_root; /* the resctrl file system; NULL: where one is mounted */
        bool independent;      /* init may outlive the caller from container_detach() or START on */
        bool no_pivot;         /* chroot() where pivot_root() cannot work: on an initramfs */
        bool no_keyring;       /* keep the caller's session keyring */
        unsigned preserve_fds; /* the program gets this many of the caller's descriptors from 3 on,
                                * besides standard streams */
} ContainerParameters;

/* 0, CTR_INVALID_ARGUMENT with the JSON path of what is wrong, CTR_NOT_IMPLEMENTED for a property
 * that is not supported (never silently ignored). The parameters' strings are copied; the
 * descriptors stay the caller's and must live until container_clone() returned. The caller has
 * descriptors 0, 1 and 2 open and has one thread. */
int container_new(const ContainerParameters *parameters, Container **ret, Error *e);
Container *container_free(Container *c);
DEFINE_CLEANUP(Container *, container_free);

/* A container whose init was restored from a checkpoint: a child of the caller that runs already.
 * Takes pidfd on success. 0 or -ENOMEM. */
int container_adopt(pid_t pid, int pidfd, Container **ret);

/* Clones init and frees what only it needs (the parsed document). From here on container_pidfd()
 * polls readable when init is gone; why it failed is told by container_enter().
 * cgroup_fd: the payload cgroup (v2) if it is there already: init is cloned into it where that can
 * be, else container_enter() moves it; -1: it is not. */
int container_clone(Container *c, int cgroup_fd, Error *e);

/* Runs the hooks of prestart and createRuntime, which count for timeout_usec.
 * cgroup_fd: O_PATH or O_RDONLY descriptor of the payload cgroup (v2), -1 to stay where it is.
 * Blocks for at most timeout_usec (CTR_DEADLINE_EXCEEDED). On success *ret_terminal_fd is the pty's
 * master if the document asks for a terminal, else -1. Failures of init's: CTR_NOT_FOUND for an
 * unknown user or group, CTR_COMMAND_NOT_FOUND and CTR_COMMAND_NOT_EXECUTABLE for the program, a
 * negative errno for a system call; the text begins with the stage ("mounts: Failed to ..."). */
int container_enter(Container *c, int cgroup_fd, uint64_t timeout_usec, int *ret_terminal_fd,
                    Error *e);

/* Tells init to execute and returns. CTR_FAILED_PRECONDITION if it is not set up, started already
 * or dead. */
int container_start_begin(Container *c, Error *e);

/* Between container_start_begin() and its outcome: polls readable when container_start_receive()
 * has something to say. Else -1. */
int container_start_fd(const Container *c) _pure_;

/* How the start went, without waiting: 0 and *ret_done false if that is not known yet. Success
 * means that the program runs, or that init was killed on the last way to it: its exit status
 * tells. CTR_COMMAND_NOT_FOUND or CTR_COMMAND_NOT_EXECUTABLE if exec() fails; init then exits with
 * 127 or 126. */
int container_start_receive(Container *c, bool *ret_done, Error *e);

/* The two in one, for callers who have nothing else to do: waits for at most timeout_usec. */
int container_start(Container *c, uint64_t timeout_usec, Error *e);

/* Begins to run the hooks of HOOK_POSTSTART or HOOK_POSTSTOP, for at most timeout_usec in all;
 * those of earlier points are run on the way. *ret is NULL if there are none, or if the container
 * never came as far as its hooks. */
int container_hooks_begin(Container *c, HookPoint point, uint64_t timeout_usec, HooksRun **ret,
                          Error *e);

/* The resctrl groups that the container has for itself: whoever takes them removes them at its end,
 * else container_free() does. */
void container_take_resctrl_groups(Container *c, ResctrlGroups *ret);

/* Kills and reaps init, and with it (pid namespace) everything; for whom container_free() is too
 * late. */
void container_kill(Container *c);

/* After container_enter(), of an independent container: lets go of init, which then waits for its
 * START on listen_fd (detached.h) and lives without the caller. Waits until that is so, at most
 * timeout_usec. */
int container_detach(Container *c, int listen_fd, uint64_t timeout_usec, Error *e);

pid_t container_pid(const Container *c) _pure_;
int container_pidfd(const Container *c) _pure_;

/* Tells the container that its pidfd was reaped by the caller (pidfd_wait()), or that init is to
 * live on after container_free(). */
void container_set_reaped(Container *c);
