/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The start of the user's program, without waiting for it. Invariant: whoever asked is answered
 * once, and before the end of the task is told.
 */

#include "basic/clock.h"
#include "basic/log.h"
#include "supervisor/checkpoint.h"
#include "supervisor/foreign.h"

#define START_USEC (30 * USEC_PER_SEC)

bool supervisor_is_starting(const Supervisor *s) {
        return s->start_source.loop || checkpoint_is_restoring(s);
}

static void start_finished(Supervisor *s, int r, Error *e) {
        source_remove(&s->start_source);
        timer_remove(&s->start_timer);
        s->hooks = hooks_free(s->hooks);
        foreign_start_end(s->foreign);
        s->init_source.events = POLLIN; /* see supervisor_on_init() */
        if (r == 0) {
                reply_send(&s->start_reply, 0, NULL, s->init.record.pid);
                return;
        }
        if (e->code == 0)
                (void) error_setf(e, r, "Failed to start the program");
        /* without memory for the text the code still tells */
        (void) free_and_strdup(&s->init.record.error, error_text(e));
        reply_send(&s->start_reply, r, e, 0);
        if (r != CTR_COMMAND_NOT_FOUND && r != CTR_COMMAND_NOT_EXECUTABLE)
                /* no word from init in time, or half a start: it must not go on by itself */
                supervisor_kill_payload(s);
}

static void on_hooks(void *userdata, short revents) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        bool done = true;
        int r;

        r = hooks_receive(s->hooks, &done, &e);
        if (r != 0 || done)
                start_finished(s, r, &e);
}

/* The start is not through before its hooks are. */
static void program_runs(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = container_hooks_begin(s->container, HOOK_POSTSTART, START_USEC, &s->hooks, &e);
        if (r == 0 && s->hooks) {
                source_remove(&s->start_source);
                s->start_source = (Source){.fd = hooks_fd(s->hooks),
                                           .events = POLLIN,
                                           .dispatch = on_hooks,
                                           .userdata = s};
                r = loop_add(&s->loop, &s->start_source);
        }
        if (r != 0 || !s->hooks)
                start_finished(s, r, &e);
}

static void on_start(void *userdata, short revents) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        bool done = true;
        int r;

        r = s->foreign ? foreign_start_receive(s->foreign, &done, &e)
                       : container_start_receive(s->container, &done, &e);
        if (r != 0)
                start_finished(s, r, &e);
        else if (done)
                program_runs(s);
}

void supervisor_on_start_timer(void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = error_setf(&e, CTR_DEADLINE_EXCEEDED, "Init did not execute the program in time");
        start_finished(userdata, r, &e);
}

void supervisor_start(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (s->launch.checkpoint) {
                supervisor_restore(s);
                return;
        }
        s->init.record.started = true;
        supervisor_set_state(s, STATE_RUNNING);
        r = s->foreign ? foreign_start_begin(s->foreign, &e)
                       : container_start_begin(s->container, &e);
        if (r == 0) {
                s->start_source = (Source){.fd = s->foreign ? foreign_start_fd(s->foreign)
                                                            : container_start_fd(s->container),
                                           .events = POLLIN,
                                           .dispatch = on_start,
                                           .userdata = s};
                r = loop_add(&s->loop, &s->start_source);
        }
        if (r == 0)
                loop_add_timer(&s->loop, &s->start_timer, now_monotonic() + START_USEC);
        else
                start_finished(s, r, &e);
}

void supervisor_finish_start(Supervisor *s) {
        if (supervisor_is_starting(s) && !s->hooks)
                on_start(s, POLLIN);
        /* the program did run: hooks of its start that still do have nothing to add */
        if (s->hooks)
                start_finished(s, 0, NULL);
        if (supervisor_is_starting(s)) {
                _cleanup_error_ Error e = ERROR_NULL;

                start_finished(s, error_setf(&e, -ECHILD, "Init died while it was started"), &e);
        }
}
