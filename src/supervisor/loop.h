/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An event loop over ppoll(2) for a process with a handful of descriptors, where every page counts
 * (sd-event would bring libsystemd along). poll rather than epoll: a regular file is simply always
 * ready, interest is one assignment, and nothing has to be taken back when a descriptor is closed.
 *
 * Invariant: a callback may remove and free any source or timer, its own too; what was removed is
 * not called any more, not even for events that were already there.
 */

#include <poll.h>

#include "basic/macro.h"

typedef struct Loop Loop;
typedef struct Source Source;
typedef struct Timer Timer;

/* An event that never comes: with it alone POLLHUP and POLLERR are still heard of. */
#define LOOP_HANGUP POLLMSG

/* Embedded in its owner; descriptors stay the owner's. */
struct Source {
        int fd;
        short events; /* what to wait for; 0 sleeps and does not hear of hang-ups either */
        void (*dispatch)(void *userdata, short revents);
        void *userdata;

        short revents;
        Loop *loop;
        Source *previous, *next;
};

/* One-shot. */
struct Timer {
        uint64_t at; /* CLOCK_MONOTONIC usec; UINT64_MAX: never */
        void (*elapse)(void *userdata);
        void *userdata;

        Loop *loop;
        Timer *previous, *next;
};

struct Loop {
        Source *sources;
        Timer *timers;
        struct pollfd *polled;
        size_t n_sources, n_allocated;
        bool finished;
};

/* Frees what the loop itself allocated. Sources and timers must have been removed. */
void loop_clear(Loop *l);

/* Adds a source with fd, events, dispatch and userdata filled in. 0 or -ENOMEM. */
int loop_add(Loop *l, Source *s);

/* Adds a timer, or moves one that is there, to a point in time. */
void loop_add_timer(Loop *l, Timer *t, uint64_t at);

/* Both do nothing if it was not added. */
void source_remove(Source *s);
void timer_remove(Timer *t);

/* Waits for and dispatches events until l->finished. 0 or the error of ppoll(2). */
int loop_run(Loop *l);
