/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A core to test: a real event loop, database and directories in a temporary place, a systemd that
 * is a few lines behind one end of a socketpair, and doubles of the supervisor and the worker
 * (fake-supervisor.c, fake-worker.c) that do what the test's environment says.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <systemd/sd-bus.h>
#include <systemd/sd-event.h>

#include "manager/container.h"
#include "manager/image.h"
#include "manager/manager.h"
#include "manager/pull.h"
#include "manager/task.h"
#include "unit/systemd.h"

typedef struct Harness {
        char dir[64];
        char *state_dir, *runtime_dir;
        sd_event *event;
        sd_bus *client, *server;
        Systemd *systemd;
        Manager *manager;

        /* the fake systemd */
        const char *start_error;      /* answer StartTransientUnit with this error name */
        const char *next_start_error; /* the same from the second time on */
        const char *job_result;       /* "done" by default */
        unsigned n_starts, n_kills, n_stops, n_resets;
        bool stop_frees_name;               /* StopUnit ends start_error */
        char **active_scopes;               /* what ListUnitsByPatterns says */
        unsigned n_lists, n_inactive_lists; /* so often it says that they are inactive */
        char last_unit[128];
        const char *system_state; /* "running" by default */
        const char *boot_id;      /* NULL: the kernel's */
        const struct RestartTimes *restart_times;
        sd_bus_message *last_start;

        const char *transient_dir; /* of the next manager */

        /* what the observer saw: one letter each, i c t e j for kinds; + - ~ x */
        char seen[1024];
} Harness;

/* The answer of an asynchronous operation. */
typedef struct Answer {
        bool done;
        int r;
        Error error;
        int exit_status;
        bool exit_known;
        TaskStatus status;
} Answer;

void answer_callback(Object *o, int r, const Error *e, void *userdata);

int harness_setup(void **state);
int harness_teardown(void **state);

/* A new manager over the same directories, recovered, as after a restart. The old one is dropped
 * first, as kill -9 does it: nothing is told to anybody. */
void harness_restart(Harness *h);
void harness_stop(Harness *h);
void harness_start(Harness *h);

/* Runs the loop until *done, at most 10 s. */
void harness_wait(Harness *h, const bool *done);

/* Runs the loop until nothing is left to do for it at once. */
void harness_settle(Harness *h);

/* An unpacked image "localhost/test:latest" with one layer, made through a pull job. */
Image *harness_image(Harness *h);

/* A container of that image. */
Container *harness_container(Harness *h, const char *id);

/* A created task of it. */
Task *harness_task(Harness *h, const char *id);

/* How many names there are in a directory below the state directory. */
size_t harness_count(Harness *h, const char *path);

/* Changes the rows behind the manager's back. */
void harness_sql(sqlite3 *handle, const char *text);

/* What the last StartTransientUnit said for an integer property. */
uint64_t harness_unit_property(Harness *h, const char *name);

void harness_signal_unit_removed(Harness *h, const char *unit);
void harness_signal_reloading(Harness *h, int active);
