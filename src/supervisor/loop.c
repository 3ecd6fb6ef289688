/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/loop.h"

#include "basic/clock.h"

#define SHORTAGE_USEC (10 * USEC_PER_MSEC)

void loop_clear(Loop *l) {
        assert(!l->sources && !l->timers);

        free(l->polled);
        *l = (Loop){};
}

int loop_add(Loop *l, Source *s) {
        assert(!s->loop && s->fd >= 0 && s->dispatch);

        /* here, where it can be refused, and not in the middle of the loop */
        if (l->n_sources == l->n_allocated) {
                size_t n = l->n_allocated ? l->n_allocated * 2 : 8;
                struct pollfd *larger = reallocarray(l->polled, n, sizeof(*larger));

                if (!larger)
                        return -ENOMEM;
                l->polled = larger;
                l->n_allocated = n;
        }

        s->revents = 0;
        s->loop = l;
        s->previous = NULL;
        s->next = l->sources;
        if (s->next)
                s->next->previous = s;
        l->sources = s;
        l->n_sources++;
        return 0;
}

void source_remove(Source *s) {
        if (!s->loop)
                return;
        if (s->next)
                s->next->previous = s->previous;
        if (s->previous)
                s->previous->next = s->next;
        else
                s->loop->sources = s->next;
        s->loop->n_sources--;
        s->loop = NULL;
}

void loop_add_timer(Loop *l, Timer *t, uint64_t at) {
        assert(t->elapse);

        t->at = at;
        if (t->loop)
                return;
        t->loop = l;
        t->previous = NULL;
        t->next = l->timers;
        if (t->next)
                t->next->previous = t;
        l->timers = t;
}

void timer_remove(Timer *t) {
        if (!t->loop)
                return;
        if (t->next)
                t->next->previous = t->previous;
        if (t->previous)
                t->previous->next = t->next;
        else
                t->loop->timers = t->next;
        t->loop = NULL;
}

static Timer *loop_first_timer(Loop *l) {
        Timer *first = NULL;

        for (Timer *t = l->timers; t; t = t->next)
                if (t->at != UINT64_MAX && (!first || t->at < first->at))
                        first = t;
        return first;
}

/* For ppoll(2): *ret, or NULL if there is no timer. */
static const struct timespec *loop_timeout(Loop *l, struct timespec *ret) {
        Timer *t = loop_first_timer(l);
        uint64_t now, usec;

        if (!t)
                return NULL;
        now = now_monotonic();
        usec = t->at > now ? t->at - now : 0;
        *ret = (struct timespec){
                        .tv_sec = (time_t) (usec / USEC_PER_SEC),
                        .tv_nsec = (long) (usec % USEC_PER_SEC * NSEC_PER_USEC),
        };
        return ret;
}

static int loop_wait(Loop *l) {
        struct timespec timeout;
        size_t i = 0;

        for (Source *s = l->sources; s; s = s->next, i++)
                /* poll ignores a negative descriptor */
                l->polled[i] = (struct pollfd){.fd = s->events ? s->fd : -1, .events = s->events};

        if (ppoll(l->polled, (nfds_t) i, loop_timeout(l, &timeout), NULL) < 0) {
                if (errno == ENOMEM || errno == EAGAIN)
                        /* the kernel's shortage passes; to end now would lose an exit status */
                        (void) usleep(SHORTAGE_USEC);
                else if (errno != EINTR)
                        return -errno;
                return 0;
        }

        i = 0;
        for (Source *s = l->sources; s; s = s->next, i++)
                s->revents = l->polled[i].revents;
        return 0;
}

/* Looks for the next one from the start each time: any of them may be gone by now. */
static void loop_dispatch(Loop *l) {
        Source *s;

        do {
                for (s = l->sources; s && !s->revents; s = s->next)
                        ;
                if (s) {
                        short revents = s->revents;

                        s->revents = 0;
                        s->dispatch(s->userdata, revents);
                }
        } while (s && !l->finished);
}

static void loop_elapse(Loop *l) {
        uint64_t now = now_monotonic();
        Timer *t;

        while (!l->finished && (t = loop_first_timer(l)) && t->at <= now) {
                timer_remove(t);
                t->elapse(t->userdata);
        }
}

int loop_run(Loop *l) {
        while (!l->finished) {
                int r;

                r = loop_wait(l);
                if (r < 0)
                        return r;
                loop_dispatch(l);
                loop_elapse(l);
        }
        return 0;
}
