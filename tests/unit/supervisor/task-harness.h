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

/* The same with everything: text (may be NULL), flags, a pid and descriptors. The id is 42. */
typedef struct HarnessRequest {
        uint32_t type, flags;
        int number, number2;
        pid_t pid;
        const char *text;
        int fds[4];
        size_t n_fds;
} HarnessRequest;

void harness_send_request(int fd, const HarnessRequest *q);

/* Waits for the reply (pushes in between are skipped) and answers its code. */
int harness_reply(int fd, SupervisorMessage *ret);

int harness_request(int fd, const HarnessRequest *q, SupervisorMessage *ret);

/* About a process: its id is the text. */
int harness_about(int fd, uint32_t type, const char *text, SupervisorMessage *ret);

/* Writes the document of an exec: process and stdio as JSON. */
void harness_exec_document(TaskUnderTest *t, const char *id, const char *process,
                           const char *stdio);

/* Writes it, adds it and, if start is set, starts it, with success. */
void harness_exec(TaskUnderTest *t, const char *id, const char *process, const char *stdio,
                  bool start);

/* Waits for the push and compares; other pushes before it are an error. */
void harness_expect_exec_exited(int fd, const char *id, int status);

/* How many descriptors the supervisor has open. */
size_t harness_count_fds(const TaskUnderTest *t);

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
