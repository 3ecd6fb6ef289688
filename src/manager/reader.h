/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A question to the database that takes its time: it is answered in a thread with a connection of
 * its own, over the state of one moment, while the event loop goes on.
 *
 * Invariant: the thread touches its connection and the userdata, and nothing else of the manager;
 * until it has ended nobody else touches the userdata.
 */

#include "basic/error.h"

typedef struct Database Database;
typedef struct Manager Manager;
typedef struct Reader Reader;

/* In the thread. */
typedef int (*ReaderQuery)(Database *reader, void *userdata, Error *e);

/* In the event loop, once, unless it was freed before. It may free the reader. */
typedef void (*ReaderDone)(int r, const Error *e, void *userdata);

int reader_start(Manager *m, ReaderQuery query, ReaderDone done, void *userdata, Reader **ret,
                 Error *e);

/* Interrupts the question and waits until its thread has ended. */
Reader *reader_free(Reader *r);
DEFINE_CLEANUP(Reader *, reader_free);
