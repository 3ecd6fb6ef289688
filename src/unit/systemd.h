/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The manager's one line to systemd: transient scopes are started, stopped and listed, and their
 * end is heard, all asynchronously over one bus connection (C12). A scope has no main process, so
 * no exit status is ever asked for here.
 */

#include <jansson.h>
#include <systemd/sd-bus.h>

#include "basic/error.h"

typedef struct Systemd Systemd;
typedef struct ScopeStart ScopeStart;

/* A scope of ours (ctr-*.scope) was unloaded: it is inactive and its name is free again. */
typedef void (*SystemdUnitRemoved)(const char *unit, void *userdata);

/* Matches systemd's signals and subscribes. Takes a reference on bus. */
int systemd_new(sd_bus *bus, Systemd **ret, Error *e);
Systemd *systemd_free(Systemd *s);
DEFINE_CLEANUP(Systemd *, systemd_free);

void systemd_set_unit_removed(Systemd *s, SystemdUnitRemoved callback, void *userdata);

typedef struct ScopeRequest {
        const char *unit, *description;
        pid_t pid;
        int kill_signal;       /* what systemctl stop sends, to every process */
        uint64_t timeout_stop; /* usec */
        json_t *properties;    /* unit properties, see unit/properties.h; may be NULL */
} ScopeRequest;

/* r: 0, CTR_DEADLINE_EXCEEDED, CTR_UNAVAILABLE, CTR_INVALID_ARGUMENT (systemd refused a property)
 * or negative errno. */
typedef void (*ScopeCallback)(int r, const Error *e, void *userdata);

/* StartTransientUnit with Slice=ctr.slice, Delegate=yes, CollectMode=inactive-or-failed and the
 * request's properties; done when the job is. A name that is still taken by a fading scope is
 * waited for; a failed job is reset and tried once more; 30 s in all. Freeing the ScopeStart
 * cancels. */
int scope_start(Systemd *s, const ScopeRequest *request, ScopeCallback callback, void *userdata,
                ScopeStart **ret, Error *e);
ScopeStart *scope_start_free(ScopeStart *start);
DEFINE_CLEANUP(ScopeStart *, scope_start_free);

/* A scope is going to be started, in a moment: the kernel is made to begin what systemd will have
 * to wait for, unless a start in progress has done that. Never waits; only the time of the start
 * depends on it. */
void scope_start_ahead(Systemd *s);

/* SIGKILL to everything in the scope; nobody waits for the answer. */
void scope_kill(Systemd *s, const char *unit);

/* All loaded scopes of ours that are not inactive. units is a strv owned by the caller of the
 * callback. */
typedef void (*ScopeListCallback)(int r, char **units, const Error *e, void *userdata);
int scope_list(Systemd *s, ScopeListCallback callback, void *userdata);

/* Asks whether the machine is going down. stopping: 1 yes, 0 no, negative: it cannot be known.
 * Called once, unless the question is freed before. */
typedef struct SystemQuestion SystemQuestion;
typedef void (*SystemStoppingCallback)(int stopping, void *userdata);
int systemd_is_stopping(Systemd *s, SystemStoppingCallback callback, void *userdata,
                        SystemQuestion **ret);
SystemQuestion *system_question_free(SystemQuestion *q);
