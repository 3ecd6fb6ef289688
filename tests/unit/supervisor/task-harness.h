/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Plays the manager against a supervisor process: makes a task directory, starts the program that
 * the environment names, talks to it. Every wait has a limit; a missed one fails the test.
 */

#include "supervisor/protocol.h"
#include "supervisor/record.h"

typedef struct TaskUnderTest {
        char dir[64];
        int dir_fd;
        int fd; /* launch connection */
        pid_t pid;
        int pidfd;
} TaskUnderTest;

/* Starts a supervisor on a new task directory. launch: members of launch.json that differ from
 * the usual ones, as JSON; config: config.json; streams: for STDIO_FD, may be NULL. */
void harness_spawn(TaskUnderTest *t, const char *launch, const char *config, const int *streams);

/* The same up to CREATED, and up to the successful answer to START. */
void harness_create(TaskUnderTest *t, const char *launch, const char *config, const int *streams);
void harness_start(TaskUnderTest *t, const char *launch, const char *config, const int *streams);

/* One more connection, through the control socket. */
int harness_connect(TaskUnderTest *t);

void harness_send(int fd, uint32_t type, int number, uint64_t usec);

/* Waits for the next message. False at end of file. */
bool harness_receive(int fd, SupervisorMessage *ret);

/* The next message has this type; answers its code. */
int harness_expect(int fd, uint32_t type, SupervisorMessage *ret);

/* Sends a request and answers the reply's code; pushes in between are skipped. */
int harness_call(int fd, uint32_t type, int number, uint64_t usec, SupervisorMessage *ret);

/* Waits for the supervisor's end and answers its exit status. */
int harness_wait(TaskUnderTest *t);

/* Waits for the supervisor's end, reads the record, compares its exit status. */
void harness_expect_record(TaskUnderTest *t, int status, ExitRecord *ret);

/* Removes the directory; kills the supervisor if it still lives. */
void harness_clear(TaskUnderTest *t);
