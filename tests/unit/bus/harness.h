/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The service without a bus: it has one end of a socket pair, the test has the other and plays the
 * bus driver, polkit and every caller. Senders of messages are what the test says they are. The
 * core is a real one with a store of its own in a temporary directory.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "bus/service.h"
#include "manager/container.h"
#include "manager/exec.h"
#include "manager/image.h"
#include "manager/pull.h"
#include "manager/task.h"
#include "unit/systemd.h"

#define ROOT_CALLER ":1.1" /* uid 0 */
#define USER_CALLER ":1.2" /* uid 1000 */
#define LOST_CALLER ":1.3" /* the driver does not know it */

typedef enum PolkitMode {
        POLKIT_GRANTS,
        POLKIT_DENIES,
        POLKIT_CHALLENGES,
        POLKIT_HOLDS, /* keeps the question until harness_polkit_answer() */
        POLKIT_MISSING,
} PolkitMode;

#define QUESTIONS_MAX 4096
#define SIGNALS_MAX   512

typedef struct Question {
        char *subject, *action, *namespace, *container, *image, *cancellation;
        uint32_t flags;
        sd_bus_message *message; /* while it is held */
} Question;

typedef struct Harness Harness;
struct Harness {
        char directory[64];
        sd_event *event;
        sd_bus *bus;    /* the service's end */
        sd_bus *driver; /* the test's */
        Systemd *systemd;
        Manager *manager;
        Service *service;

        PolkitMode polkit;
        Question questions[QUESTIONS_MAX];
        size_t n_questions;
        size_t n_canceled;
        size_t n_driver_calls; /* GetConnectionUnixUser */
        size_t n_lists;        /* ListNames */
        bool name_is_taken;
        size_t n_requests, n_releases;        /* of the service's name */
        void (*on_release)(Harness *h);       /* before ReleaseName is answered */
        sd_bus_message *signals[SIGNALS_MAX]; /* what the service sent, in order */
        size_t n_signals;
};

/* One call: its reply is NULL until it is there. */
typedef struct Call {
        sd_bus_slot *slot;
        sd_bus_message *reply;
        unsigned order; /* 1 for the first of all replies of this test */
} Call;

int harness_setup(void **state);
int harness_teardown(void **state);

/* A call to the service from sender, to be filled and given to harness_send(). */
sd_bus_message *harness_call_new(Harness *h, const char *sender, const char *path,
                                 const char *interface, const char *member);

/* Sends m (and drops it); the reply comes into call. */
void harness_send(Harness *h, sd_bus_message *m, Call *call);
void harness_call_done(Call *call);

/* Turns the loop until *what is not NULL or 0; fails the test after some seconds. */
void harness_run_until(Harness *h, bool (*done)(Harness *h, void *userdata), void *userdata);
void harness_wait(Harness *h, Call *call);

/* Turns the loop until there is nothing left to do. */
void harness_settle(Harness *h);

/* Answers a question that polkit holds. */
void harness_polkit_answer(Harness *h, size_t i, bool authorized, bool challenge);

/* The caller leaves the bus. */
void harness_leave(Harness *h, const char *sender);

/* Fails unless the reply is (not) an error with that name. */
void harness_assert_error(const Call *call, const char *name);
void harness_assert_success(const Call *call);

/* Objects of the core, linked; they are freed with the manager. */
Image *harness_image(Harness *h, const char *namespace, const char *name);
Container *harness_container(Harness *h, const char *namespace, const char *id, const char *image);
Task *harness_task(Harness *h, Container *c);
Exec *harness_exec(Harness *h, Task *t, const char *id);
Job *harness_job(Harness *h, uint64_t id, const char *namespace);
