/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Threads of a process that handles its signals in its event loop. */

#include <pthread.h>

/* Starts a thread that no signal of the process is for; the caller joins it. Negative errno. */
int thread_start(void *(*run)(void *userdata), void *userdata, pthread_t *ret);
