/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What a client gives to a job by a descriptor, and has not written to its end yet (credentials). A
 * job that needs it has no turn before it is complete: a client that keeps its end open holds up
 * nobody but itself. Nothing is read here, as it is a secret, and the manager not the one to know
 * it: all of it fits into a pipe, whose last writer leaving is told to whoever polls.
 */

#include "manager/job-internal.h"

#include <sys/epoll.h>

#include "basic/clock.h"
#include "manager/manager.h"

#define INPUT_TIMEOUT_USEC (20 * USEC_PER_SEC)

void job_forget_input(Job *j) {
        j->input_source = sd_event_source_disable_unref(j->input_source);
}

static int on_closed(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Job *j = userdata;

        job_forget_input(j);
        j->timer = sd_event_source_disable_unref(j->timer);
        jobs_continue(j->object.manager);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Job *j = userdata;

        job_forget_input(j);
        j->waiting = false;
        error_setf(&j->error, CTR_DEADLINE_EXCEEDED,
                   "The credentials do not come to their end: whoever sends them has to close the "
                   "pipe");
        job_finish(j);
        return 0;
}

int job_await_input(Job *j, Error *e) {
        sd_event *event = j->object.manager->event;
        int r;

        for (size_t i = 0; i < JOB_FILES_MAX && j->files[i].option; i++) {
                if (!j->files[i].until_closed)
                        continue;
                assert(!j->input_source);
                /* that the other end is gone is told in any case, and that of a socket by this */
                r = sd_event_add_io(event, &j->input_source, j->files[i].fd, EPOLLRDHUP, on_closed,
                                    j);
                if (r == -EPERM)
                        continue; /* a regular file: what is in it is in it */
                if (r >= 0)
                        r = sd_event_add_time_relative(event, &j->timer, CLOCK_MONOTONIC,
                                                       INPUT_TIMEOUT_USEC, 0, on_timeout, j);
                if (r < 0)
                        return error_setf(e, r, "Failed to wait for the credentials: %m");
        }
        return 0;
}
