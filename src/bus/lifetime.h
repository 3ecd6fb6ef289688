/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * From taking the bus name to giving it back: the service is ready when it has the name, and after
 * a while without work it gives the name back and exits, so that it costs nothing when nobody needs
 * it. Bus activation starts it again.
 *
 * No call is lost on the way. systemd is told first (STOPPING=1), so that a call that comes from
 * now on makes it start us once more after our exit. Then the name is released, and what the bus
 * had already given to us is still answered before its reply. If that began something that takes
 * time, the name is taken back until it is done; systemd is kept patient meanwhile.
 */

#include "bus/service.h"

typedef struct Lifetime Lifetime;

/* Requests the name. It cannot be had: the loop exits with status 1. idle_usec UINT64_MAX: stays
 * for ever. */
int lifetime_new(Service *s, uint64_t idle_usec, Lifetime **ret, Error *e);
Lifetime *lifetime_free(Lifetime *l);
DEFINE_CLEANUP(Lifetime *, lifetime_free);
