/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * We and a process of a container, the init of a task or an exec, from before its start to its end:
 * our standard streams, our signals and its exit status.
 *
 * A stream of ours that is no terminal is handed to the process, and nobody copies. A terminal is
 * never given away: such a stream is created as "attach" and reached through Process.Attach, so the
 * process loses nothing but its spectators when we are killed. With SESSION_ATTACH all streams go
 * that way, and the user may leave by keys and come back.
 *
 * session_begin() asks for the exit before the process is started, so that it cannot be missed. If
 * the service was killed meanwhile and the process went away with its exit, the history of events
 * says what the status was.
 *
 * Invariant: the terminal and the signals are as before when session_free() has run.
 */

#include "ctl/client.h"
#include "ctl/forward.h"

typedef enum SessionFlags {
        SESSION_STDIN = 1 << 0,     /* our standard input goes to it */
        SESSION_TERMINAL = 1 << 1,  /* it has a terminal */
        SESSION_ATTACH = 1 << 2,    /* hand nothing over, copy all */
        SESSION_CLOSE = 1 << 3,     /* the end of our input is the end of its input */
        SESSION_NO_STDOUT = 1 << 4, /* that goes elsewhere */
        SESSION_NO_STDERR = 1 << 5,
        SESSION_RUNNING = 1 << 6, /* it was started by somebody else */
} SessionFlags;

typedef struct Session Session;

/* The process at path, "task" or "exec" name, for errors. All must live as long as the session.
 * Prepares the streams and takes over the signals. changed is called after each step; see below. */
int session_new(Client *c, const char *path, const char *what, const char *name, SessionFlags flags,
                void (*changed)(void *userdata), void *userdata, Session **ret, Error *e);
Session *session_free(Session *s);
DEFINE_CLEANUP(Session *, session_free);

/* Appends Stdin, Stdout and Stderr to the open a{sv} of CreateTask or Exec. What the user has
 * chosen
 * (--stdout=file:...) comes before what we have. s may be NULL: nobody stays to watch. */
int session_append_streams(const Session *s, const Client *c, sd_bus_message *m);

/* That it has a terminal was only found out now. */
void session_set_terminal(Session *s);

/* The process is there: starts to copy, attaches, passes the terminal's size, and waits. Sends Wait
 * after the rest; what is sent next, Start, is carried out after it. */
int session_begin(Session *s, Error *e);

/* The process runs: from now on signals are passed on, also one that came before. */
void session_started(Session *s);

/* What has happened. */
bool session_has_exited(const Session *s) _pure_;  /* and session_started() was called */
bool session_is_over(const Session *s) _pure_;     /* the same, and all output was written; or
                                                      detached, or failed */
bool session_is_detached(const Session *s) _pure_; /* by keys, or by a signal without a proxy */
int session_signal(const Session *s) _pure_;       /* the last one that came, or 0 */

/* The end of a session that is over: 0 and the exit status for ctrctl (0 when detached by keys), or
 * the error. */
int session_result(Session *s, int *ret_status, Error *e);
