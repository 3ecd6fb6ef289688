/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Pausing: the payload is frozen, this process is not. Invariant: whoever asked for it is answered
 * once; a payload that cannot be frozen in time is not left half frozen, and none is left frozen
 * when it shall stop (D4).
 */

#include "basic/clock.h"
#include "basic/log.h"
#include "supervisor/supervisor.h"

#define PAUSE_USEC (10 * USEC_PER_SEC)
#define LOOK_USEC  50U /* until the first look, and then twice as long each time */

/* The kernel announces a change of cgroup.events at most every 10 ms: a pause soon after a
 * resumption would wait for that, while the payload is frozen at once. So it is looked at, too. */
static void look_later(Supervisor *s) {
        loop_add_timer(&s->loop, &s->pause_timer,
                       MIN_OF(now_monotonic() + s->pause_interval, s->pause_deadline));
        s->pause_interval *= 2;
}

static void look_until(Supervisor *s, uint64_t deadline) {
        s->pause_deadline = deadline;
        s->pause_interval = LOOK_USEC;
        look_later(s);
}

/* Back to running, with the answer to whoever waits for the freezer. */
static int unfreeze(Supervisor *s, int code, Error *e) {
        int r;

        r = payload_freeze(s->payload, false);
        if (r < 0)
                return r;
        s->freeze = FREEZE_NONE;
        timer_remove(&s->pause_timer);
        reply_send(&s->pause_reply, code, e, 0);
        return 0;
}

void supervisor_check_frozen(Supervisor *s) {
        if (s->freeze != FREEZE_PENDING || payload_is_frozen(s->payload) <= 0)
                return;
        s->freeze = FREEZE_DONE;
        timer_remove(&s->pause_timer);
        reply_send(&s->pause_reply, 0, NULL, 0);
}

void supervisor_on_pause_timer(void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Supervisor *s = userdata;
        int r;

        supervisor_on_events(s, 0);
        if (s->freeze != FREEZE_PENDING)
                return;
        if (now_monotonic() < s->pause_deadline) {
                look_later(s);
                return;
        }
        r = error_setf(&e, CTR_DEADLINE_EXCEEDED, "The task cannot be paused within %u s",
                       (unsigned) (PAUSE_USEC / USEC_PER_SEC));
        r = unfreeze(s, r, &e);
        if (r < 0) {
                log_error_errno(r, "Failed to thaw the payload, trying again: %m");
                look_until(s, now_monotonic() + PAUSE_USEC);
        }
}

int supervisor_pause(Supervisor *s, Error *e) {
        int r;

        if (s->state != STATE_RUNNING)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Cannot pause a task that is %s",
                                  supervisor_state_to_string(s->state));
        if (supervisor_is_starting(s))
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Cannot pause a task that is being started");
        if (s->freeze != FREEZE_NONE)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Cannot pause a task that is %s",
                                  s->freeze == FREEZE_DONE ? "paused" : "pausing");

        r = payload_freeze(s->payload, true);
        if (r < 0)
                return error_setf(e, r, "Failed to freeze the payload: %m");
        s->freeze = FREEZE_PENDING;
        look_until(s, now_monotonic() + PAUSE_USEC);
        return 0;
}

int supervisor_resume(Supervisor *s, Error *e) {
        _cleanup_error_ Error paused = ERROR_NULL;
        int r;

        if (s->freeze == FREEZE_NONE || supervisor_has_exited(s))
                return error_setf(e, CTR_FAILED_PRECONDITION, "Cannot resume a task that is %s",
                                  supervisor_state_to_string(s->state));
        /* for whoever still waits for the freezer, if anybody does */
        r = error_setf(&paused, CTR_FAILED_PRECONDITION,
                       "The task was resumed while it was pausing");
        r = unfreeze(s, r, &paused);
        return r < 0 ? error_setf(e, r, "Failed to thaw the payload: %m") : 0;
}

void supervisor_thaw(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (s->freeze == FREEZE_NONE)
                return;
        r = error_setf(&e, CTR_FAILED_PRECONDITION, "The task was stopped while it was pausing");
        r = unfreeze(s, r, &e);
        if (r < 0)
                log_error_errno(r, "Failed to thaw the payload: %m");
}
