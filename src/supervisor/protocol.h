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
 * Requests carry an id that their REPLY repeats; pushed messages have id 0. The pushes EXITED,
 * EXEC_EXITED and OOM go to every connection. CREATED, and FAILED after GO, repeat GO's id. Every
 * message is only a hint that makes things faster: the truth is the record (supervisor/record.h)
 * and the scope.
 *
 * A request names the process it is about by its text: "" is init, anything else an exec's id. No
 * request holds up another one: those that take their time (START, EXEC_START, PAUSE, CHECKPOINT)
 * are answered when they are done. If the connection of one that is under way has gone, a new
 * manager sees STARTING, PAUSING or DUMPING and makes the same request again, which then waits for
 * the same outcome.
 */

#include <sys/types.h>

#include "basic/error.h"

#define SUPERVISOR_PROTOCOL_VERSION 2
#define SUPERVISOR_MESSAGE_TEXT_MAX 4000
#define SUPERVISOR_MESSAGE_FDS_MAX  4
#define SUPERVISOR_EXECS_MAX        1024U /* of a task, with those that ended and were not deleted */
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
                            * a program is SIGKILL then. pid other than 0: that process, which must
                            * be one of the payload. REPLY: CTR_NOT_FOUND if it already exited;
                            * CTR_FAILED_PRECONDITION for an exec that was not started */
        SUPERVISOR_STOP,   /* number = signal, usec = time limit; signal to init, SIGKILL to the
                            * whole payload when the time is up (usec UINT64_MAX: never; of several
                            * limits the earliest holds), before START at once. REPLY at once;
                            * CTR_NOT_FOUND if it already exited */
        SUPERVISOR_RESIZE, /* number = columns, number2 = rows; success without a terminal (D25) */
        SUPERVISOR_CLOSE_STDIN, /* close the supervisor's write end of standard input (D26) */

        SUPERVISOR_EXEC_ADD,    /* reserve text as the id of an exec that TASK_FILE_EXEC describes;
                                 * descriptors for its streams of STDIO_FD, in ascending order.
                                 * Its streams are open then, and can be attached to.
                                 * CTR_ALREADY_EXISTS; CTR_FAILED_PRECONDITION after init's exit or
                                 * while paused; CTR_RESOURCE_EXHAUSTED, and what streams need */
        SUPERVISOR_EXEC_START,  /* run it; REPLY: pid, or why it cannot be executed. Then it has
                                 * ended all the same, with 127, 126 or 125 in its record */
        SUPERVISOR_EXEC_DELETE, /* forget one that does not run, and its record and document.
                                 * CTR_FAILED_PRECONDITION before EXEC_EXITED of one that ran */
        SUPERVISOR_EXEC_STATE, /* REPLY: flags = SUPERVISOR_STATE_*, pid. CTR_NOT_FOUND. One that is
                                * never started has no record and vanishes with the task */
        SUPERVISOR_ATTACH,     /* copies of the process's streams: flags = SUPERVISOR_ATTACH_*, one
                                * descriptor for each in ascending order. Until the other end is
                                * closed, or the process has ended and all was delivered.
                                * CTR_FAILED_PRECONDITION: a stream does not pass through here */
        SUPERVISOR_PAUSE,      /* freeze the payload; REPLY when it is frozen.
                                * CTR_DEADLINE_EXCEEDED: it would not; nothing is frozen then */
        SUPERVISOR_RESUME,     /* also while it is pausing: whoever waits for that gets
                                * CTR_FAILED_PRECONDITION */
        SUPERVISOR_CHECKPOINT, /* text = JSON (CheckpointRequest in supervisor/record.h); REPLY when
                                * the images are written, or why not. Without text: of the one that
                                * is being made; CTR_FAILED_PRECONDITION if none is */

        /* supervisor -> manager */
        SUPERVISOR_REPLY = 64,  /* code, text */
        SUPERVISOR_CREATED,     /* pid = init's pid, in the manager's pid namespace */
        SUPERVISOR_FAILED,      /* code, text: nothing was created */
        SUPERVISOR_EXITED,      /* the record is written; number = exit status, usec = exit time,
                                 * pid = init's pid */
        SUPERVISOR_OOM,         /* a process of the payload was killed by the OOM killer; text = the
                                 * cgroup whose limit was hit ("/ctr.slice/ctr-x.scope/payload"), ""
                                 * if it was the whole system's memory */
        SUPERVISOR_EXEC_EXITED, /* text = its id; number, usec, pid as in EXITED; its record is
                                 * written. Before EXITED of init (D10) */
} SupervisorMessageType;

#define SUPERVISOR_SIGNAL_ALL (1U << 0)

#define SUPERVISOR_ATTACH_STDIN  (1U << 0)
#define SUPERVISOR_ATTACH_STDOUT (1U << 1)
#define SUPERVISOR_ATTACH_STDERR (1U << 2)

#define SUPERVISOR_STATE_STARTED  (1U << 0)
#define SUPERVISOR_STATE_EXITED   (1U << 1) /* init has; the record may still be on its way */
#define SUPERVISOR_STATE_TERMINAL (1U << 2)
#define SUPERVISOR_STATE_PAUSED   (1U << 3)
#define SUPERVISOR_STATE_STARTING (1U << 4) /* besides STARTED: START is not answered yet */
#define SUPERVISOR_STATE_PAUSING  (1U << 5)
#define SUPERVISOR_STATE_DUMPING  (1U << 6) /* a checkpoint is being made */

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

/* Makes the queue for what fd's peer has not read yet large enough for some thousands of messages,
 * where the system's default takes a few hundreds: that many execs may be asked for, or end, at
 * once. Both ends do it. 0 or negative errno. */
int supervisor_socket_set_up(int fd);

/* Sends one message and up to SUPERVISOR_MESSAGE_FDS_MAX descriptors, without blocking and without
 * SIGPIPE. 0 or negative errno: -EAGAIN if the queue is full, -EPIPE if the peer is gone. */
int supervisor_message_send(int fd, const SupervisorMessage *m, const int *fds, size_t n_fds);

/* Receives one message without blocking. fds gets up to SUPERVISOR_MESSAGE_FDS_MAX descriptors
 * (CLOEXEC), the rest are -1; the caller owns them. fds may be NULL: any are closed. 1 for a
 * message, 0 for end of file, -EAGAIN, -EBADMSG for a malformed one. */
int supervisor_message_receive(int fd, SupervisorMessage *ret, int fds[SUPERVISOR_MESSAGE_FDS_MAX]);

/* Puts code and the error's text (cut to size) into m. */
void supervisor_message_set_error(SupervisorMessage *m, int code, const Error *e);
