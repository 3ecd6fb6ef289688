/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Task: what only a whole task has. What it has as a process, as every exec has, is
 * in process-interface.c. */

#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/limits.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/process.h"
#include "bus/service.h"

typedef struct StopOptions {
        int signo; /* 0: the container's */
        uint64_t timeout_usec;
        bool force;
} StopOptions;

static int option_signal(OptionReader *o, void *target) {
        int *signo = target, r;

        r = option_int(o, signo);
        if (r < 0)
                return r;
        return *signo >= 1 && *signo <= SIGNAL_MAX
                               ? 0
                               : option_invalid(o, "%i is no signal (1 to %i)", *signo, SIGNAL_MAX);
}

static int method_stop(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Signal", "i", option_signal, offsetof(StopOptions, signo)},
                        {"TimeoutUSec", "t", option_uint64, offsetof(StopOptions, timeout_usec)},
                        {"Force", "b", option_bool, offsetof(StopOptions, force)},
                        {},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;
        StopOptions options = {.timeout_usec = t->container->stop_timeout};
        Late *late;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = process_begin(&t->process, m, process_reply_exit, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_stop(t, options.signo, options.timeout_usec, options.force, late_complete, late,
                      &e);
        return late_started(late, r, &e, error);
}

static int freeze_or_thaw(sd_bus_message *m, Task *t,
                          int (*f)(Task *t, Callback callback, void *userdata, Error *e),
                          sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = process_begin(&t->process, m, late_reply_empty, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = f(t, process_request_complete, late, &e);
        return process_request_started(late, &t->process, r, &e, error);
}

static int method_pause(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return freeze_or_thaw(m, userdata, task_pause, error);
}

static int method_resume(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return freeze_or_thaw(m, userdata, task_resume, error);
}

static int method_get_spec(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *spec = NULL;
        Task *t = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = task_authorize(t, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_read_spec(t, &spec, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "s", spec);
}

static BUS_GETTER(property_get_container) {
        _cleanup_free_ char *container = NULL;
        const Task *t = userdata;
        int r;

        r = bus_path_new(OBJECT_CONTAINER, t->process.object.namespace, t->process.object.name,
                         &container);
        if (r < 0)
                return r;
        return sd_bus_message_append_basic(reply, 'o', container);
}

const sd_bus_vtable task_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("Namespace", "s", property_get_string,
                                offsetof(Task, process.object.namespace),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Id", "s", property_get_string, offsetof(Task, process.object.name),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Container", "o", property_get_container, 0,
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Unit", "s", property_get_string, offsetof(Task, unit),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Runtime", "s", property_get_string, offsetof(Task, runtime),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("CreatedAt", "t", property_get_uint64, offsetof(Task, process.run),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("OOMKilled", "b", property_get_bool, offsetof(Task, oom_killed),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("OOMCgroup", "s", property_get_string, offsetof(Task, oom_cgroup),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Resources", "a{sv}", property_get_resources, 0,
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_METHOD_WITH_ARGS("Stop", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("u", exit_status, "t", exited_at),
                                        method_stop, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Pause", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_pause, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Resume", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_resume, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Exec",
                                        SD_BUS_ARGS("s", exec_id, "as", command, "a{sv}", options),
                                        SD_BUS_RESULT("o", process), method_exec,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Pids", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(us)", pids), method_pids,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetSpec", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("s", spec), method_get_spec,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Update", SD_BUS_ARGS("a{sv}", resources, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_update,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Stats", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", stats), method_stats,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Checkpoint", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("s", reference, "s", digest),
                                        method_checkpoint, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};
