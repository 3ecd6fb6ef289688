/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/signal-proxy.h"

static const int signals[] = {SIGHUP,  SIGINT,  SIGQUIT,  SIGTERM, SIGUSR1,
                              SIGUSR2, SIGALRM, SIGWINCH, SIGCONT};

static int on_signal(sd_event_source *source, const struct signalfd_siginfo *si, void *userdata) {
        SignalProxy *p = userdata;

        p->handler((int) si->ssi_signo, p->userdata);
        return 0;
}

int signal_proxy_start(SignalProxy *p, sd_event *event, void (*handler)(int signo, void *userdata),
                       void *userdata, Error *e) {
        sigset_t mask;
        int r = 0;

        static_assert(ELEMENTSOF(signals) <= ELEMENTSOF(p->sources), "room for every signal");

        *p = (SignalProxy){.handler = handler, .userdata = userdata};
        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(signals); i++)
                (void) sigaddset(&mask, signals[i]);
        (void) sigprocmask(SIG_BLOCK, &mask, &p->old_mask);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(signals); i++)
                r = sd_event_add_signal(event, p->sources + p->n++, signals[i], on_signal, p);
        return r < 0 ? error_setf(e, r, "Failed to handle signals: %m") : 0;
}

void signal_proxy_stop(SignalProxy *p) {
        if (p->n == 0)
                return;
        while (p->n > 0) {
                sd_event_source_disable_unref(p->sources[--p->n]);
                p->sources[p->n] = NULL;
        }
        (void) sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
}
