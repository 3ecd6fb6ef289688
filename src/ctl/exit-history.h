/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The exit status of a process that is not there any more, from the history of events. Needed when
 * it went away with its exit (AutoRemove) while the service was being restarted, so that our Wait
 * came too late.
 */

#include "ctl/client.h"

typedef struct ExitHistory {
        Client *client;
        const char *path; /* of the process's object */
        uint64_t since;   /* it ended after that time */
        /* e is NULL, or what missing was; it may be taken with error_move() */
        void (*handler)(unsigned status, Error *e, void *userdata);
        void *userdata;
        Error missing; /* what is answered if the history does not know it either */
        /* private */
        char *filter;
} ExitHistory;

/* Asks, and calls the handler, perhaps at once. h must live until then. */
void exit_history_ask(ExitHistory *h);

void exit_history_clear(ExitHistory *h);
