/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A container of fixture.h that runs, and one process after the other in it. */

#include "fixture.h"
#include "runtime/container.h"
#include "runtime/exec.h"

typedef struct ExecFixture {
        Fixture *f;
        Container *container;     /* NULL: not started */
        int cgroup_fd;            /* where the container and its processes go, -1 */
        bool moves;               /* those processes are moved there */
        json_t *process;          /* of the next one: "/bin/true" in "/" as root */
        char user[64];            /* its annotation, "" */
        const char *resctrl_root; /* NULL: none */
} ExecFixture;

typedef struct ExecOutcome {
        int code; /* 0: executed */
        char error[4096];
        int status; /* exit status */
        pid_t pid;
        char output[65536]; /* of both, or the terminal's */
} ExecOutcome;

int exec_fixture_setup(void **state);
int exec_fixture_teardown(void **state);

/* Starts the container, whose program sleeps. Called by exec_run() if it was not. */
void exec_fixture_start(ExecFixture *x);

/* Sets a member of process to a value in JSON. */
void exec_fixture_set(ExecFixture *x, const char *key, const char *json);
/* The program is sh -c script. */
void exec_fixture_script(ExecFixture *x, const char *script);

/* Writes the document name and clones; what it prints goes to output_fd. */
int exec_fixture_clone(ExecFixture *x, const char *name, int output_fd, ContainerExec **ret,
                       Error *e);
/* Waits for the outcome of container_exec_receive(); *news has everything that came. */
int exec_fixture_wait(ContainerExec *exec, ContainerExecNews *news, Error *e);

/* As the caller's reaper of orphans: waits until there is no child but the container's init. */
void exec_fixture_reap(const ExecFixture *x);

/* Runs it; the result is static. */
const ExecOutcome *exec_run(ExecFixture *x);
/* Runs it and wants exit status 0 and exactly this output. */
void exec_expect(ExecFixture *x, const char *output);
/* Runs it and wants that code and a text that contains part, and no child left in the
 * end. */
void exec_expect_failure(ExecFixture *x, int code, const char *part);
