/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The signals that somebody sends to ctrctl and means the program in the container: HUP, INT, QUIT,
 * TERM, USR1, USR2, ALRM, and WINCH and CONT, which are about the terminal.
 *
 * Invariant: they are blocked between signal_proxy_start() and signal_proxy_stop().
 */

#include <signal.h>
#include <systemd/sd-event.h>

#include "basic/error.h"

typedef struct SignalProxy {
        sd_event_source *sources[12];
        size_t n;
        sigset_t old_mask;
        void (*handler)(int signo, void *userdata);
        void *userdata;
} SignalProxy;

/* Fills p; handler is called from the loop. signal_proxy_stop() is needed after a failure, too. */
int signal_proxy_start(SignalProxy *p, sd_event *event, void (*handler)(int signo, void *userdata),
                       void *userdata, Error *e);

/* As it was before. Does nothing on a p that is all zero, or the second time. */
void signal_proxy_stop(SignalProxy *p);
