/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Bytes on their way from any number of sources to any number of sinks, each of which gets all of
 * them: what a program writes to everybody who is attached, and what they all type to the program.
 *
 * Invariant: nothing here ever blocks, and there is one bounded buffer, which exists only while
 * bytes pass. The slowest sink sets the pace; a sink that is gone is dropped; without
 * any sink the bytes run into nothing, so that no source ever waits for nobody.
 */

#include "supervisor/loop.h"

typedef struct Flow Flow;
typedef struct FlowEnd FlowEnd;

struct Flow {
        Loop *loop;
        FlowEnd *sources, *sinks;
        size_t n_sources, n_sinks;
        char *buffer;
        size_t used;
        Timer release_timer;
        bool held;      /* nothing is read: there is no sink yet */
        uint64_t limit; /* bytes that may still be read; UINT64_MAX: as many as come */
        char last;      /* byte that passed; '\n' in the beginning */
        /* Called last of all when an end is gone or the buffer became empty: may free the flow. */
        void (*changed)(void *userdata);
        void *userdata;
};

#define FLOW_INIT(l, c, u)                                                                         \
        ((Flow){                                                                                   \
                        .loop = (l),                                                               \
                        .limit = UINT64_MAX,                                                       \
                        .last = '\n',                                                              \
                        .changed = (c),                                                            \
                        .userdata = (u),                                                           \
        })

/* Takes fd, also on failure; it must not block, see stream_own(). *slot (may be NULL) is the end
 * until it is gone, then NULL. A sink begins with what is read after this. 0 or -ENOMEM. */
int flow_add_source(Flow *f, int fd, FlowEnd **slot);
int flow_add_sink(Flow *f, int fd, FlowEnd **slot);

/* Its owner's slot goes: the end does not tell any more when it is gone. NULL-safe. */
void flow_forget_slot(FlowEnd *end);

/* Removes an end and closes its descriptor. */
void flow_remove(Flow *f, FlowEnd *end);
void flow_remove_sources(Flow *f);
void flow_remove_sinks(Flow *f);

/* What the sources have got right now, and nothing that comes later: then they are at their end.
 * For pipes (FIONREAD). */
void flow_limit_to_present(Flow *f);

/* Puts a few bytes into an empty buffer. */
void flow_inject(Flow *f, const char *data, size_t n);

bool flow_is_empty(const Flow *f);

/* Closes everything. */
void flow_clear(Flow *f);

/* Makes *fd one that does not block, whatever others do who share the open file: a fifo or a
 * terminal is opened once more; a socket is only ever asked not to block; a regular file never
 * blocks. writing tells which way it is used; *fd must allow that, with what it was opened for. 0,
 * -EBADF if it does not, or the error of open(2): the other end is gone (ENXIO, EIO). */
int stream_own(int *fd, bool writing);
