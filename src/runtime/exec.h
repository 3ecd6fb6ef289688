/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A further process in a container that runs, from its document to exec(). Nothing here waits: the
 * caller polls container_exec_fd() and asks.
 *
 * Two processes do the work, both children of the caller and born in the payload's cgroup. The
 * first one, the stage, is outside the container's pid namespace: it reads the documents, joins all
 * namespaces, and becomes as weak as the program shall be. Then it clones the second one into the
 * pid namespace, as its sibling, and ends; that one executes the program. So the container's
 * processes, which may well have CAP_SYS_PTRACE, never see one that has more rights or more
 * descriptors than the program that they may trace anyway (CVE-2016-9962, CVE-2024-21626), and the
 * caller's memory does not grow by what reading documents takes.
 *
 * Invariant: the program is executed only after its pid was told to the caller.
 */

#include <sys/types.h>

#include "basic/error.h"

typedef struct ContainerExec ContainerExec;

typedef struct ExecParameters {
        int init_pidfd; /* of the container's init, which the caller has not reaped */
        pid_t init_pid;
        int cgroup_fd; /* of the payload (v2); -1: stay where the caller is. If the container made
                        * sub-cgroups with controllers, the cgroup of init below it is used */
        int config_dir_fd; /* where both documents are; root's own, because exec-profile.h leaves
                            * its file there */
        const char *config_name;   /* "config.json": namespaces, seccomp and personality of the
                                    * container, and its oomScoreAdj if the exec names none */
        const char *document_name; /* {"process": OCI process, "annotations": {}}: only these two
                                    * are read; of the annotations SPEC_USER_ANNOTATION */
        int stdio[3]; /* become 0, 1, 2 of the program; -1: /dev/null; ignored with a terminal */
        const char *id, *bundle;   /* as in ContainerParameters, for who listens to a filter and for
                                    * resctrl groups */
        const char *resctrl_root;  /* as in ContainerParameters */
        const char *seccomp_cache; /* as in ContainerParameters, and so are the next three */
        bool independent, no_keyring;
        bool moves; /* into the cgroup, when one that was cloned into it died without a word:
                     * process_clone() */
        unsigned preserve_fds;
} ExecParameters;

/* What container_exec_receive() brings. The descriptors are the receiver's from then on. */
typedef struct ContainerExecNews {
        bool executed;   /* the program runs, or ran: pid and pidfd are set */
        int terminal_fd; /* the pty's master, once, with executed at the latest; else -1 */
        pid_t pid;       /* as the caller sees it */
        int pidfd;       /* else -1 */
} ContainerExecNews;

/* Clones the stage and returns; the parameters may go then. The caller has one thread, descriptors
 * 0, 1 and 2 open, and is not in the container. 0 or a negative errno; CTR_RESOURCE_EXHAUSTED if
 * the payload has as many tasks as it may have, CTR_FAILED_PRECONDITION if it was removed. */
int container_exec_clone(const ExecParameters *parameters, ContainerExec **ret, Error *e);

/* Polls readable when there is something to receive. */
int container_exec_fd(const ContainerExec *x) _pure_;

/* Takes what has come, without waiting; to be called again as long as neither executed is set nor
 * an error returned. Errors are those of container_enter() and container_start(), with the stage
 * ahead of the text, besides CTR_INVALID_ARGUMENT and CTR_NOT_IMPLEMENTED for the document and
 * CTR_FAILED_PRECONDITION for an init that is gone. After an error nothing of it lives any more,
 * and what came before stays the receiver's. A program that is killed on the last way to execve()
 * counts as executed: its exit status tells. */
int container_exec_receive(ContainerExec *x, ContainerExecNews *ret, Error *e);

/* Whether pid is a child that this object reaps, or whose pidfd container_exec_receive() is yet to
 * hand out. Whoever reaps children that he does not know asks here, after peeking at the child with
 * WNOWAIT: what is dead by then has been told before, and this function has a look. False once the
 * program was handed out. */
bool container_exec_owns(ContainerExec *x, pid_t pid);

/* Kills what was not handed out; with that it also ends an exec that takes too long. What is not
 * dead at once, and a process that was cloned in the very moment of this, which ends by itself, are
 * orphans to whoever reaps those (pidfd_forsake()). */
ContainerExec *container_exec_free(ContainerExec *x);
DEFINE_CLEANUP(ContainerExec *, container_exec_free);
