/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/thread.h"

#include <signal.h>

int thread_start(void *(*run)(void *userdata), void *userdata, pthread_t *ret) {
        sigset_t all, old;
        int r;

        (void) sigfillset(&all);
        r = pthread_sigmask(SIG_SETMASK, &all, &old);
        if (r != 0)
                return -r;
        r = pthread_create(ret, NULL, run, userdata);
        (void) pthread_sigmask(SIG_SETMASK, &old, NULL);
        return -r;
}
