/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bundle in a temporary directory (a root file system of one busybox, a document with everything
 * a usual container has), and one run of it from container_new() to the exit status. Needs root.
 *
 * The directory is below /var/tmp: an overlay cannot have its upper directory on an overlay, and
 * that is where a machine's disk is.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <jansson.h>

#include "basic/macro.h"

typedef struct Fixture {
        char dir[64];
        int dir_fd;
        int root_fd;
        json_t *document;
        char *lower, *upper, *work; /* NULL: root.path */
        char *seccomp_cache;
} Fixture;

typedef enum Step {
        STEP_NEW,
        STEP_CLONE,
        STEP_ENTER,
        STEP_START,
        STEP_DONE,
} Step;

typedef struct Outcome {
        Step failed; /* STEP_DONE: nothing did */
        int code;    /* of the failed step */
        char error[4096];
        int status;         /* exit status of init, -1 if there was none */
        char output[65536]; /* standard output and error, or what came from the terminal */
} Outcome;

/* cmocka setup and teardown. */
int fixture_setup(void **state);
int fixture_teardown(void **state);

/* Sets the member at a path of keys ("process.user.uid") to a value in JSON. */
void fixture_set(Fixture *f, const char *path, const char *json);
/* Appends a value in JSON to the array at path. */
void fixture_append(Fixture *f, const char *path, const char *json);
/* The program is sh -c script. */
void fixture_script(Fixture *f, const char *script);

/* In the root file system: a file with that text, a directory, a link. */
void fixture_file(Fixture *f, const char *path, const char *text, mode_t mode);
void fixture_directory(Fixture *f, const char *path, mode_t mode);
void fixture_link(Fixture *f, const char *target, const char *path);
/* A program of the host. */
void fixture_copy(Fixture *f, const char *from, const char *path);
void fixture_remove(Fixture *f, const char *path);

/* Descriptor of a new cgroup, its path in path; -1 if there is no cgroup v2 here. The caller
 * removes it. */
int fixture_make_cgroup(char path[256]);

/* Writes the document into the bundle. */
void fixture_write(Fixture *f);

/* Writes and runs it; the result is static. */
const Outcome *fixture_run(Fixture *f);

/* Runs it and wants exit status 0 and exactly this output. */
void fixture_expect(Fixture *f, const char *output);
/* Runs it and wants that step to fail with that code and a text that contains part; init, if there
 * was one, is gone. */
void fixture_expect_failure(Fixture *f, Step failed, int code, const char *part);

/* 0, or 77 if these tests cannot run here. */
int fixture_can_run(void);
