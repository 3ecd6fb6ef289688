/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The limits of a scope that is there: changed, read, and watched for what somebody else changes.
 *
 * systemd sends no signal when the limits of a unit are changed (seen with 252). What it does is to
 * write a drop-in below the directory of transient units, after it has taken the value over; that
 * directory is watched. A change there is only a hint to ask systemd.
 */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "unit/systemd.h"

/* A call on its way; freeing it cancels the callback. */
typedef struct UnitCall UnitCall;
UnitCall *unit_call_free(UnitCall *c);
DEFINE_CLEANUP(UnitCall *, unit_call_free);

/* r: 0, CTR_INVALID_ARGUMENT (systemd refused a value), CTR_FAILED_PRECONDITION (there is no such
 * unit any more), CTR_UNAVAILABLE or negative errno. properties: what was read, the callback's to
 * look at; NULL after a change. The callback may free the call. */
typedef void (*UnitCallback)(int r, json_t *properties, const Error *e, void *userdata);

/* Changes properties (unit/properties.h) until the unit ends. All or nothing: systemd checks each
 * before it takes over the first. */
int unit_set_properties(Systemd *s, const char *unit, json_t *properties, UnitCallback callback,
                        void *userdata, UnitCall **ret, Error *e);

/* Reads those limits that are set: infinity, the weight that nobody chose, an empty set of CPUs and
 * systemd's own default for TasksMax are left out. */
int unit_get_properties(Systemd *s, const char *unit, UnitCallback callback, void *userdata,
                        UnitCall **ret, Error *e);

typedef struct UnitWatch UnitWatch;

/* The limits of this scope of ours (ctr-*.scope) may have changed. */
typedef void (*UnitChanged)(const char *unit, void *userdata);

#define UNIT_TRANSIENT_DIR "/run/systemd/transient"

/* Watches directory. -ENOENT if there is none. Units that were changed before are not told about:
 * see unit_is_changed(). */
int unit_watch_new(sd_event *event, const char *directory, UnitChanged callback, void *userdata,
                   UnitWatch **ret);
UnitWatch *unit_watch_free(UnitWatch *w);
DEFINE_CLEANUP(UnitWatch *, unit_watch_free);

/* Somebody changed properties of that unit since it was started. */
bool unit_is_changed(const UnitWatch *w, const char *unit);
