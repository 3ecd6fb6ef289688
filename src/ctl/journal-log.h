/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a container has written, from the journal. Only lines that journald itself says came through
 * a stream (_TRANSPORT=stdout) from the container's scope are shown; nobody can forge fields that
 * begin with an underscore.
 */

#include <systemd/sd-event.h>

#include "basic/error.h"

typedef struct JournalLog JournalLog;

typedef struct JournalLogQuery {
        const char *namespace, *id;
        uint64_t since, until; /* both included; until UINT64_MAX: no end */
        uint64_t lines;        /* only the last ones; UINT64_MAX: all */
        bool timestamps;
} JournalLogQuery;

/* Opens the journal in front of the first line. -EACCES if this user may read none. */
int journal_log_open(const JournalLogQuery *query, JournalLog **ret, Error *e);
JournalLog *journal_log_free(JournalLog *l);
DEFINE_CLEANUP(JournalLog *, journal_log_free);

/* Writes the lines that are there to standard output. 0 or -errno; -EPIPE: nobody reads them. */
int journal_log_show(JournalLog *l);

/* The number of lines written so far. */
uint64_t journal_log_shown(const JournalLog *l) _pure_;

/* Writes what is there, and from the loop what comes, until some time after journal_log_end();
 * changed is called when journal_log_is_done() has become true. */
int journal_log_follow(JournalLog *l, sd_event *event, void (*changed)(void *userdata),
                       void *userdata, Error *e);

/* The container has ended: its last lines are on their way. */
void journal_log_end(JournalLog *l);

bool journal_log_is_done(const JournalLog *l) _pure_;

/* Why it is done, if it failed. 0 or the error, which is moved to e. */
int journal_log_result(JournalLog *l, Error *e);
