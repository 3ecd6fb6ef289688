/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Starting one transient scope around a process that is there already. A start is one small state
 * machine:
 *
 *   CALLING --> JOB --> over          StartTransientUnit answered, its job was removed
 *      |  ^      |
 *      |  +------+                    the job failed: reset and once more
 *      +--> NAME --> CALLING          the name is that of a fading scope: wait for its removal
 *      +--> LOOK --> CALLING          an answer was lost: over when the scope is active
 *
 * Invariant: the callback is called exactly once, unless the start is freed before.
 */

#include "basic/clock.h"
#include "basic/log.h"
#include "unit/properties.h"
#include "unit/systemd-internal.h"

#define START_TIMEOUT_USEC (30 * USEC_PER_SEC)
#define LOST_RETRY_USEC    (100 * USEC_PER_MSEC)
#define ATTEMPTS_MAX       2

struct ScopeStart {
        Systemd *systemd;
        ScopeStart *next;
        char *unit, *description;
        pid_t pid;
        int kill_signal;
        uint64_t timeout_stop;
        json_t *properties;
        ScopeCallback callback;
        void *userdata;

        sd_bus_slot *slot;
        sd_event_source *timer;
        char *job;         /* object path while the job runs */
        bool wait_removal; /* for the name to become free */
        bool lost;         /* a call may have been carried out though it was not answered */
        sd_event_source *retry_timer;
        unsigned attempts;
};

static int start_call(ScopeStart *start);

ScopeStart *scope_start_free(ScopeStart *start) {
        if (!start)
                return NULL;
        for (ScopeStart **p = &start->systemd->starts; *p; p = &(*p)->next)
                if (*p == start) {
                        *p = start->next;
                        break;
                }
        sd_bus_slot_unref(start->slot);
        sd_event_source_disable_unref(start->timer);
        sd_event_source_disable_unref(start->retry_timer);
        json_decref(start->properties);
        free(start->unit);
        free(start->description);
        free(start->job);
        free(start);
        return NULL;
}

/* The callback may free the start. */
static void start_finish(ScopeStart *start, int r, const Error *e) {
        start->slot = sd_bus_slot_unref(start->slot);
        start->timer = sd_event_source_disable_unref(start->timer);
        start->retry_timer = sd_event_source_disable_unref(start->retry_timer);
        free(start->job);
        start->job = NULL;
        start->wait_removal = false;
        start->callback(r, e, start->userdata);
}

static void start_retry(ScopeStart *start) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = start_call(start);
        if (r < 0) {
                error_setf(&e, r, "Failed to ask systemd for %s: %m", start->unit);
                start_finish(start, r, &e);
        }
}

static int on_retry_timer(sd_event_source *source, uint64_t usec, void *userdata) {
        ScopeStart *start = userdata;

        start->retry_timer = sd_event_source_disable_unref(start->retry_timer);
        start_retry(start);
        return 0;
}

static int start_retry_later(ScopeStart *start) {
        return sd_event_add_time_relative(sd_bus_get_event(start->systemd->bus),
                                          &start->retry_timer, CLOCK_MONOTONIC, LOST_RETRY_USEC, 1,
                                          on_retry_timer, start);
}

/* A scope whose start was lost sight of, by a reload or a daemon-reexec, may still be waiting for
 * its job: until it is active nobody is in it. */
static int on_looked(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        ScopeStart *start = userdata;
        const char *active = NULL;
        int r = 0;

        start->slot = sd_bus_slot_unref(start->slot);
        if (!sd_bus_message_is_method_error(m, NULL))
                r = sd_bus_message_enter_container(m, 'a', "(ssssssouso)");
        if (r > 0)
                r = sd_bus_message_read(m, "(ssssssouso)", NULL, NULL, NULL, &active, NULL, NULL,
                                        NULL, NULL, NULL, NULL);
        if (r > 0 && streq(active, "active")) {
                start_finish(start, 0, NULL);
                return 0;
        }
        if (r >= 0)
                r = start_retry_later(start);
        if (r < 0) {
                error_setf(&e, r, "Failed to look for %s: %m", start->unit);
                start_finish(start, r, &e);
        }
        return 0;
}

static int start_look(ScopeStart *start) {
        return sd_bus_call_method_async(start->systemd->bus, &start->slot, SYSTEMD_DESTINATION,
                                        SYSTEMD_PATH, SYSTEMD_INTERFACE, "ListUnitsByPatterns",
                                        on_looked, start, "asas", 0, 1, start->unit);
}

static bool is_lost(const sd_bus_error *failure) {
        return sd_bus_error_has_name(failure, SD_BUS_ERROR_NO_REPLY) ||
               sd_bus_error_has_name(failure, SD_BUS_ERROR_DISCONNECTED) ||
               sd_bus_error_has_name(failure, SD_BUS_ERROR_NAME_HAS_NO_OWNER) ||
               sd_bus_error_has_name(failure, SD_BUS_ERROR_SERVICE_UNKNOWN);
}

/* 1 if the failure is none yet: something will happen that leads on. */
static int start_recover(ScopeStart *start, const sd_bus_error *failure) {
        if (sd_bus_error_has_name(failure, "org.freedesktop.systemd1.UnitExists")) {
                if (start->lost)
                        return start_look(start) >= 0;
                /* nobody but us makes such names, and no task of ours has this one now */
                log_debug("%s is still there, stopping it and waiting for its name", start->unit);
                start->wait_removal = true;
                scope_kill(start->systemd, start->unit);
                return 1;
        }
        if (is_lost(failure)) {
                start->lost = true;
                return start_retry_later(start) >= 0;
        }
        return 0;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const sd_bus_error *failure;
        ScopeStart *start = userdata;
        const char *job;
        int r;

        start->slot = sd_bus_slot_unref(start->slot);
        failure = sd_bus_message_get_error(m);
        if (!failure) {
                r = sd_bus_message_read(m, "o", &job);
                if (r >= 0)
                        r = free_and_strdup(&start->job, job);
                if (r < 0) {
                        error_setf(&e, r, "Cannot read systemd's answer for %s: %m", start->unit);
                        start_finish(start, r, &e);
                }
                return 0;
        }

        if (start_recover(start, failure) > 0)
                return 0;
        if (sd_bus_error_has_name(failure, SD_BUS_ERROR_INVALID_ARGS) ||
            sd_bus_error_has_name(failure, SD_BUS_ERROR_PROPERTY_READ_ONLY))
                r = CTR_INVALID_ARGUMENT;
        else
                r = CTR_UNAVAILABLE;
        error_setf(&e, r, "systemd refused the scope %s: %s", start->unit,
                   failure->message ?: failure->name);
        start_finish(start, r, &e);
        return 0;
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        ScopeStart *start = userdata;

        if (start->wait_removal)
                error_setf(&e, CTR_CONFLICT, "The unit name %s is taken", start->unit);
        else
                error_setf(&e, CTR_DEADLINE_EXCEEDED, "systemd did not start the scope %s in %u s",
                           start->unit, (unsigned) (START_TIMEOUT_USEC / USEC_PER_SEC));
        start_finish(start, e.code, &e);
        return 0;
}

/* The filter for devices: the standard ones are open, making device nodes is allowed as in
 * the OCI's defaults, everything else needs a DeviceAllow of the container. */
static int append_device_policy(sd_bus_message *m) {
        return sd_bus_message_append(m, "(sv)(sv)", "DevicePolicy", "s", "closed", "DeviceAllow",
                                     "a(ss)", 2, "char-*", "m", "block-*", "m");
}

static int append_properties(ScopeStart *start, sd_bus_message *m) {
        int r;

        r = sd_bus_message_append(m, "(sv)(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s",
                                  start->description, "Slice", "s", "ctr.slice", "PIDs", "au", 1,
                                  (uint32_t) start->pid, "Delegate", "b", 1, "CollectMode", "s",
                                  "inactive-or-failed", "KillSignal", "i",
                                  (int32_t) start->kill_signal, "TimeoutStopUSec", "t",
                                  start->timeout_stop);
        if (r < 0)
                return r;
        r = append_device_policy(m);
        if (r < 0)
                return r;
        return unit_properties_append(m, start->properties);
}

static int start_call(ScopeStart *start) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = systemd_call_new(start->systemd, "StartTransientUnit", &m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "ss", start->unit, "fail");
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(m, 'a', "(sv)");
        if (r < 0)
                return r;
        r = append_properties(start, m);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(m);
        if (r < 0)
                return r;
        r = sd_bus_message_append(m, "a(sa(sv))", 0);
        if (r < 0)
                return r;
        start->attempts++;
        return sd_bus_call_async(start->systemd->bus, &start->slot, m, on_reply, start,
                                 START_TIMEOUT_USEC);
}

int scope_start(Systemd *s, const ScopeRequest *request, ScopeCallback callback, void *userdata,
                ScopeStart **ret, Error *e) {
        _cleanup_(scope_start_freep) ScopeStart *start = NULL;
        int r;

        assert(s && request && request->unit && request->pid > 0 && callback && ret);

        start = calloc(1, sizeof(ScopeStart));
        if (!start)
                return -ENOMEM;
        *start = (ScopeStart){
                        .systemd = s,
                        .next = s->starts,
                        .pid = request->pid,
                        .kill_signal = request->kill_signal,
                        .timeout_stop = request->timeout_stop,
                        .properties = json_incref(request->properties),
                        .callback = callback,
                        .userdata = userdata,
        };
        s->starts = start;

        start->unit = strdup(request->unit);
        start->description = strdup(strempty(request->description));
        if (!start->unit || !start->description)
                return -ENOMEM;
        r = sd_event_add_time_relative(sd_bus_get_event(s->bus), &start->timer, CLOCK_MONOTONIC,
                                       START_TIMEOUT_USEC, 0, on_timeout, start);
        if (r < 0)
                return error_setf(e, r, "Failed to set a timer for %s: %m", start->unit);
        r = start_call(start);
        if (r < 0)
                return error_setf(e, r, "Failed to ask systemd for %s: %m", start->unit);

        *ret = TAKE_PTR(start);
        return 0;
}

static void start_job_failed(ScopeStart *start, const char *result) {
        _cleanup_error_ Error e = ERROR_NULL;

        (void) sd_bus_call_method_async(start->systemd->bus, NULL, SYSTEMD_DESTINATION,
                                        SYSTEMD_PATH, SYSTEMD_INTERFACE, "ResetFailedUnit", NULL,
                                        NULL, "s", start->unit);
        if (start->attempts < ATTEMPTS_MAX) {
                log_debug("The start of %s was %s, trying once more", start->unit, result);
                start_retry(start);
                return;
        }
        error_setf(&e, CTR_UNAVAILABLE, "The start of the scope %s ended as \"%s\"", start->unit,
                   result);
        start_finish(start, e.code, &e);
}

void scope_starts_job_removed(Systemd *s, const char *job, const char *result) {
        for (ScopeStart *start = s->starts; start; start = start->next) {
                if (!streq_ptr(start->job, job))
                        continue;
                free(start->job);
                start->job = NULL;
                if (streq(result, "done"))
                        start_finish(start, 0, NULL);
                else
                        start_job_failed(start, result);
                return; /* the list may have changed */
        }
}

void scope_starts_unit_removed(Systemd *s, const char *unit) {
        for (ScopeStart *start = s->starts; start; start = start->next) {
                if (!start->wait_removal || !streq(start->unit, unit))
                        continue;
                start->wait_removal = false;
                start_retry(start);
                return;
        }
}

void scope_starts_again(Systemd *s) {
        ScopeStart *next;

        for (ScopeStart *start = s->starts; start; start = next) {
                next = start->next;
                if (start->wait_removal)
                        start->wait_removal = false;
                else if (start->job) {
                        free(start->job);
                        start->job = NULL;
                        start->lost = true;
                } else
                        continue; /* its call is under way, or will be repeated */
                start_retry(start);
        }
}
