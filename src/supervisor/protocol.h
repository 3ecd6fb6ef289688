/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the manager and a task's supervisor say to each other over SOCK_SEQPACKET: one message is
 * one packet, a fixed head and a text. The first connection is a socketpair that the supervisor is
 * born with (descriptor 3); later ones are accepted from <task dir>/control, so that a new manager
 * finds its tasks again. Both speak the same messages.
 *
 * Launch, on the first connection: the supervisor sets up what needs no cgroup and waits; EOF
 * before GO means exit silently, nothing happened. GO, once the scope exists, is answered by
 * CREATED (pid) or by FAILED (code, text; then the supervisor undoes everything and exits without a
 * record). FAILED may come before GO too. From CREATED on the supervisor depends on nobody; closing
 * a connection changes nothing.
 *
 * Requests carry an id that their REPLY repeats; pushed messages have id 0. The pushes EXITED and
 * OOM go to every connection. CREATED, and FAILED after GO, repeat GO's id. Every message is only a
 * hint that makes things faster: the truth is the record (supervisor/record.h) and the scope.
 */

#include <sys/types.h>

#include "basic/error.h"

#define SUPERVISOR_PROTOCOL_VERSION 1
#define SUPERVISOR_MESSAGE_TEXT_MAX 4000
#define SUPERVISOR_MESSAGE_FDS_MAX  4
#define SUPERVISOR_LAUNCH_FD        3
#define SUPERVISOR_CONTROL_NAME     "control"

typedef enum SupervisorMessageType {
        /* manager -> supervisor; each is answered by SUPERVISOR_REPLY with the same id unless noted
         */
        SUPERVISOR_GO = 1, /* the scope exists; answered by CREATED or FAILED */
        SUPERVISOR_HELLO,  /* REPLY: number = protocol version, pid = init's pid,
                            * flags = SUPERVISOR_STATE_* */
        SUPERVISOR_START,  /* run the user's program; REPLY: code 0, or why it cannot be executed
                            * (CTR_COMMAND_NOT_FOUND, ...; the task exits with 127 or 126) */
        SUPERVISOR_SIGNAL, /* number = signal, 0 only asks; flags = SUPERVISOR_SIGNAL_ALL: every
                            * process. Before START nobody can handle a signal: one that would end
                            * a program is SIGKILL then. REPLY: CTR_NOT_FOUND if it already exited
                            */
        SUPERVISOR_STOP,   /* number = signal, usec = time limit; signal to init, SIGKILL to the
                            * whole payload when the time is up (usec UINT64_MAX: never; of several
                            * limits the earliest holds), before START at once. REPLY at once;
                            * CTR_NOT_FOUND if it already exited */
        SUPERVISOR_RESIZE, /* number = columns, number2 = rows; success without a terminal (D25) */
        SUPERVISOR_CLOSE_STDIN, /* close the supervisor's write end of standard input (D26) */

        /* supervisor -> manager */
        SUPERVISOR_REPLY = 64, /* code, text */
        SUPERVISOR_CREATED,    /* pid = init's pid, in the manager's pid namespace */
        SUPERVISOR_FAILED,     /* code, text: nothing was created */
        SUPERVISOR_EXITED,     /* the record is written; number = exit status, usec = exit time,
                                * pid = init's pid */
        SUPERVISOR_OOM,        /* a process of the payload was killed by the OOM killer */
} SupervisorMessageType;

#define SUPERVISOR_SIGNAL_ALL (1U << 0)

#define SUPERVISOR_STATE_STARTED  (1U << 0)
#define SUPERVISOR_STATE_EXITED   (1U << 1) /* init has; the record may still be on its way */
#define SUPERVISOR_STATE_TERMINAL (1U << 2)

typedef struct SupervisorMessage {
        uint32_t type;
        uint32_t id;
        int32_t code; /* 0, negative errno or ErrorCode */
        uint32_t flags;
        int32_t number;
        int32_t number2;
        int32_t pid;
        uint32_t reserved; /* 0 */
        uint64_t usec;
        char text[SUPERVISOR_MESSAGE_TEXT_MAX]; /* NUL-terminated; only the used part is sent */
} SupervisorMessage;

/* Sends one message and up to SUPERVISOR_MESSAGE_FDS_MAX descriptors, without blocking and without
 * SIGPIPE. 0 or negative errno: -EAGAIN if the queue is full, -EPIPE if the peer is gone. */
int supervisor_message_send(int fd, const SupervisorMessage *m, const int *fds, size_t n_fds);

/* Receives one message without blocking. fds gets up to SUPERVISOR_MESSAGE_FDS_MAX descriptors
 * (CLOEXEC), the rest are -1; the caller owns them. fds may be NULL: any are closed. 1 for a
 * message, 0 for end of file, -EAGAIN, -EBADMSG for a malformed one. */
int supervisor_message_receive(int fd, SupervisorMessage *ret, int fds[SUPERVISOR_MESSAGE_FDS_MAX]);

/* Puts code and the error's text (cut to size) into m. */
void supervisor_message_set_error(SupervisorMessage *m, int code, const Error *e);
