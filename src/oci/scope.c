/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/scope.h"

#include <dlfcn.h>
#include <systemd/sd-bus.h>

#include "basic/clock.h"
#include "oci/scope-properties.h"

#define JOB_USEC (30 * USEC_PER_SEC)

#define SERVICE   "org.freedesktop.systemd1"
#define OBJECT    "/org/freedesktop/systemd1"
#define INTERFACE SERVICE ".Manager"

typedef struct Job {
        Bus *bus;
        char *path; /* NULL: its answer is still to come */
        char *result;
} Job;

static int library_open(Bus *b, Error *e) {
        const struct {
                const char *name;
                void *pointer;
        } symbols[] = {
                        {"sd_bus_open_system", &b->open_system},
                        {"sd_bus_open_user", &b->open_user},
                        {"sd_bus_flush_close_unref", &b->close},
                        {"sd_bus_process", &b->process},
                        {"sd_bus_wait", &b->wait},
                        {"sd_bus_call", &b->call},
                        {"sd_bus_match_signal", &b->match_signal},
                        {"sd_bus_message_new_method_call", &b->new_call},
                        {"sd_bus_message_append", &b->append},
                        {"sd_bus_message_append_array", &b->append_array},
                        {"sd_bus_message_open_container", &b->open_container},
                        {"sd_bus_message_close_container", &b->close_container},
                        {"sd_bus_message_read", &b->read},
                        {"sd_bus_message_unref", &b->unref},
                        {"sd_bus_error_free", &b->error_free},
        };

        b->handle = dlopen("libsystemd.so.0", RTLD_NOW | RTLD_LOCAL);
        if (!b->handle)
                return error_setf(e, CTR_UNAVAILABLE, "Failed to load libsystemd: %s", dlerror());
        for (size_t i = 0; i < ELEMENTSOF(symbols); i++) {
                void *symbol = dlsym(b->handle, symbols[i].name);

                if (!symbol)
                        return error_setf(e, CTR_UNAVAILABLE, "libsystemd has no %s()",
                                          symbols[i].name);
                memcpy(symbols[i].pointer, &symbol, sizeof(symbol));
        }
        return 0;
}

static void bus_clear(Bus *b) {
        if (b->bus)
                b->close(b->bus);
        if (b->handle)
                (void) dlclose(b->handle);
}

static int bus_open(Bus *b, bool user, Error *e) {
        int r;

        r = library_open(b, e);
        if (r != 0)
                return r;
        r = user ? b->open_user(&b->bus) : b->open_system(&b->bus);
        return r < 0 ? error_setf(e, CTR_UNAVAILABLE, "Failed to connect to the %s bus: %s",
                                  user ? "user" : "system", strerror(-r))
                     : 0;
}

/* Opens the bus for one call to systemd. */
static int begin_call(Bus *b, bool user, const char *method, sd_bus_message **ret, Error *e) {
        int r;

        r = bus_open(b, user, e);
        if (r != 0)
                return r;
        r = b->new_call(b->bus, ret, SERVICE, OBJECT, INTERFACE, method);
        return r < 0 ? error_setf(e, r, "Failed to make a message to systemd: %m") : 0;
}

static int call_failed(Bus *b, sd_bus_error *error, int r, const char *what, const char *unit,
                       Error *e) {
        r = error_setf(e, r, "Failed to %s the scope %s: %s", what, unit,
                       error->message ? error->message : strerror(-r));
        b->error_free(error);
        return r;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *path, *unit, *result;
        Job *job = userdata;
        uint32_t id;
        int r;

        r = job->bus->read(m, "uoss", &id, &path, &unit, &result);
        if (r < 0 || !job->path || !streq(path, job->path))
                return 0;
        return free_and_strdup(&job->result, result);
}

static void job_clear(Job *job) {
        free(job->path);
        free(job->result);
}

/* Signals come after the reply of the method that made the job, in the connection's queue. */
static int wait_for_job(Job *job, const char *unit, Error *e) {
        uint64_t deadline = now_monotonic() + JOB_USEC, now;
        int r;

        while (!job->result) {
                r = job->bus->process(job->bus->bus, NULL);
                if (r > 0)
                        continue;
                now = now_monotonic();
                if (r == 0 && now >= deadline)
                        return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                          "Timed out waiting for systemd's job for %s", unit);
                if (r == 0)
                        r = job->bus->wait(job->bus->bus, deadline - now);
                if (r < 0 && r != -EINTR)
                        return error_setf(e, r, "Failed to wait for the scope %s: %m", unit);
        }
        return streq(job->result, "done")
                               ? 0
                               : error_setf(e, CTR_UNAVAILABLE, "systemd's job for %s ended as %s",
                                            unit, job->result);
}

/* Calls m, which makes a job, and waits for that. CTR_NOT_FOUND: there is no such unit. */
static int run_job(Bus *b, sd_bus_message *m, const char *what, const char *unit, Error *e) {
        _cleanup_(job_clear) Job job = {.bus = b};
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *reply = NULL;
        const char *path;
        int r;

        r = b->match_signal(b->bus, NULL, SERVICE, OBJECT, INTERFACE, "JobRemoved", on_job_removed,
                            &job);
        if (r < 0)
                return error_setf(e, r, "Failed to watch systemd's jobs: %m");
        r = b->call(b->bus, m, JOB_USEC, &error, &reply);
        if (r < 0 && error.name && streq(error.name, SERVICE ".NoSuchUnit")) {
                b->error_free(&error);
                return CTR_NOT_FOUND;
        }
        if (r < 0)
                return call_failed(b, &error, r, what, unit, e);
        r = b->read(reply, "o", &path);
        if (r >= 0)
                r = free_and_strdup(&job.path, path);
        b->unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read systemd's answer: %m")
                     : wait_for_job(&job, unit, e);
}

static int append_start(Bus *b, sd_bus_message *m, const char *unit, const char *slice,
                        const char *id, pid_t pid, const Limits *limits) {
        char description[320];
        int r;

        (void) snprintf(description, sizeof(description), "Container %s", id);
        r = b->append(m, "ss", unit, "fail");
        if (r >= 0)
                r = b->open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = b->append(m, "(sv)(sv)(sv)(sv)(sv)(sv)", "Description", "s", description,
                              "Slice", "s", slice, "PIDs", "au", 1, (uint32_t) pid, "Delegate", "b",
                              1, "CollectMode", "s", "inactive-or-failed", "DefaultDependencies",
                              "b", 0);
        /* all figures there are for `events` and others to read */
        if (r >= 0)
                r = b->append(m, "(sv)(sv)(sv)(sv)", "CPUAccounting", "b", 1, "MemoryAccounting",
                              "b", 1, "IOAccounting", "b", 1, "TasksAccounting", "b", 1);
        if (r >= 0)
                r = scope_properties_append(b, m, limits);
        if (r >= 0)
                r = b->close_container(m);
        if (r >= 0)
                r = b->append(m, "a(sa(sv))", 0);
        return r;
}

int scope_start(bool user_bus, const char *unit, const char *slice, const char *id, pid_t pid,
                const Limits *limits, Error *e) {
        _cleanup_(bus_clear) Bus b = {};
        sd_bus_message *m = NULL;
        int r;

        r = begin_call(&b, user_bus, "StartTransientUnit", &m, e);
        if (r != 0)
                return r;
        r = append_start(&b, m, unit, slice, id, pid, limits);
        r = r < 0 ? error_setf(e, r, "Failed to ask for the scope %s: %m", unit)
                  : run_job(&b, m, "start", unit, e);
        b.unref(m);
        return r;
}

int scope_update(bool user_bus, const char *unit, const Limits *limits, Error *e) {
        _cleanup_(bus_clear) Bus b = {};
        sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = NULL;
        int r;

        r = begin_call(&b, user_bus, "SetUnitProperties", &m, e);
        if (r != 0)
                return r;
        r = b.append(m, "sb", unit, 1);
        if (r >= 0)
                r = b.open_container(m, 'a', "(sv)");
        if (r >= 0)
                r = scope_properties_append(&b, m, limits);
        if (r >= 0)
                r = b.close_container(m);
        if (r >= 0)
                r = b.call(b.bus, m, JOB_USEC, &error, NULL);
        b.unref(m);
        return r < 0 ? call_failed(&b, &error, r, "update", unit, e) : 0;
}

int scope_stop(bool user_bus, const char *unit, Error *e) {
        _cleanup_(bus_clear) Bus b = {};
        sd_bus_message *m = NULL;
        int r;

        r = begin_call(&b, user_bus, "StopUnit", &m, e);
        if (r != 0)
                return r;
        r = b.append(m, "ss", unit, "replace");
        r = r < 0 ? error_setf(e, r, "Failed to ask for the scope %s: %m", unit)
                  : run_job(&b, m, "stop", unit, e);
        b.unref(m);
        return r == CTR_NOT_FOUND ? 0 : r;
}
