/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Process: the init of a task, or an exec, as a process. */

#include <limits.h>

#include "bus/authorize.h"
#include "bus/container.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/process.h"
#include "bus/service.h"
#include "bus/stream-options.h"

int task_authorize(Task *t, sd_bus_message *m, sd_bus_error *error) {
        return container_authorize(t->container, m, error);
}

int task_authorize_more(Task *t, sd_bus_message *m, sd_bus_error *error) {
        return container_authorize_more(t->container, m, error);
}

int task_begin(Task *t, sd_bus_message *m, bool more, LateReply reply, Late **ret,
               sd_bus_error *error) {
        int r;

        r = (more ? task_authorize_more : task_authorize)(t, m, error);
        if (r <= 0)
                return r;
        r = late_new(service_of(&t->process.object), m, reply, ret, error);
        return r < 0 ? r : 1;
}

int process_authorize(Process *p, sd_bus_message *m, bool more, sd_bus_error *error) {
        const Container *c = process_task(p)->container;
        const AuthorityDetails details = container_authority_details(c);

        if (p->object.type == OBJECT_EXEC)
                return authorize_exec(service_of(&p->object), m, more, &details, error);
        return (more ? authorize_more : authorize)(service_of(&p->object), m, &details, error);
}

int process_begin(Process *p, sd_bus_message *m, LateReply reply, Late **ret, sd_bus_error *error) {
        int r;

        r = process_authorize(p, m, false, error);
        if (r <= 0)
                return r;
        r = late_new(service_of(&p->object), m, reply, ret, error);
        return r < 0 ? r : 1;
}

int process_reply_exit(sd_bus_message *m, Object *o) {
        const Process *p = PROCESS(o);

        return sd_bus_reply_method_return(m, "ut", (uint32_t) p->exit_status, p->exited_at);
}

static int reply_deleted(sd_bus_message *m, Object *o) {
        const Process *p = PROCESS(o);

        return sd_bus_reply_method_return(m, "uut", (uint32_t) p->exit_pid,
                                          (uint32_t) p->exit_status, p->exited_at);
}

static int reply_pid(sd_bus_message *m, Object *o) {
        const Process *p = PROCESS(o);

        /* one that has exited by now was started, too */
        return sd_bus_reply_method_return(m, "u", (uint32_t) (p->pid ?: p->exit_pid));
}

/* What a method says of a process that has ended. */
static int refuse_stopped(const Process *p, const char *member, Error *e) {
        static const char *const wrong_states[][3] = {
                        {"Start", "cannot start a ", " process"},
                        {"ResizePty", "cannot resize a ", " process"},
                        {"Attach", "cannot attach to a ", " process"},
                        {"Pause", "cannot pause a ", " container"},
                        {"Resume", "cannot resume a ", " process"},
        };

        for (size_t i = 0; i < ELEMENTSOF(wrong_states); i++)
                if (streq(member, wrong_states[i][0]))
                        return process_wrong_state(p, wrong_states[i][1], wrong_states[i][2], e);
        return process_already_exited(p, e);
}

void process_request_complete(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error stopped = ERROR_NULL;
        Late *late = userdata;

        if (late_message(late) && r == CTR_UNAVAILABLE && process_ended_meanwhile(PROCESS(o), r)) {
                r = refuse_stopped(PROCESS(o), sd_bus_message_get_member(late_message(late)),
                                   &stopped);
                e = &stopped;
        }
        late_complete(o, r, e, late);
}

int process_request_started(Late *late, Process *p, int r, Error *e, sd_bus_error *error) {
        if (process_ended_meanwhile(p, r)) {
                error_clear(e);
                r = refuse_stopped(p, sd_bus_message_get_member(late_message(late)), e);
        }
        return late_started(late, r, e, error);
}

static int method_start(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = userdata;
        Late *late;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = process_begin(p, m, reply_pid, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = process_start(p, process_request_complete, late, &e);
        return process_request_started(late, p, r, &e, error);
}

static int method_wait(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = userdata;
        Late *late;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = process_begin(p, m, process_reply_exit, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        late_set_waiters(late, &p->exit_waiters);
        r = process_wait(p, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

typedef struct KillOptions {
        bool all;
        uint32_t pid; /* 0: not given */
} KillOptions;

static int option_pid(OptionReader *o, void *target) {
        uint32_t *pid = target;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', pid);
        if (r < 0)
                return r;
        return *pid >= 1 && *pid <= INT_MAX ? 0 : option_invalid(o, "%u is no pid", *pid);
}

static int method_kill(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {{"All", "b", option_bool, offsetof(KillOptions, all)},
                                       {"Pid", "u", option_pid, offsetof(KillOptions, pid)},
                                       {}};
        _cleanup_error_ Error e = ERROR_NULL;
        KillOptions options = {};
        Process *p = userdata;
        int32_t signo;
        Late *late;
        int r;

        r = sd_bus_message_read(m, "i", &signo);
        if (r < 0)
                return r;
        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        if (signo < 0 || signo > SIGNAL_MAX)
                return bus_error_invalid(error, "%i is no signal (0 to %i)", signo, SIGNAL_MAX);
        /* with a pid it is the signal that was asked for, whichever object was called */
        r = process_authorize(p, m, p->object.type == OBJECT_EXEC && options.pid > 0, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = late_new(service_of(&p->object), m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = options.pid > 0 ? process_kill_pid(p, signo, (pid_t) options.pid,
                                               process_request_complete, late, &e)
                            : process_kill(p, signo, options.all ? PROCESS_KILL_ALL : 0,
                                           process_request_complete, late, &e);
        return process_request_started(late, p, r, &e, error);
}

static int method_resize_pty(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        uint32_t width, height;
        Process *p = userdata;
        Late *late;
        int r;

        r = sd_bus_message_read(m, "uu", &width, &height);
        if (r < 0)
                return r;
        r = options_read_none(m, error);
        if (r < 0)
                return r;
        if (width > PTY_SIZE_MAX || height > PTY_SIZE_MAX)
                return bus_error_invalid(error, "A terminal of %ux%u is too large (at most %u)",
                                         width, height, PTY_SIZE_MAX);
        r = process_begin(p, m, late_reply_empty, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = process_resize(p, width, height, process_request_complete, late, &e);
        return process_request_started(late, p, r, &e, error);
}

static int method_attach(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Stdin", "h", option_attach_input, 0 * sizeof(int)},
                        {"Stdout", "h", option_attach_output, 1 * sizeof(int)},
                        {"Stderr", "h", option_attach_output, 2 * sizeof(int)},
                        {},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        int fds[] = {-1, -1, -1}; /* the message's */
        Process *p = userdata;
        Late *late;
        int r;

        r = options_read(m, table, fds, error);
        if (r < 0)
                return r;
        r = process_begin(p, m, late_reply_empty, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = process_attach(p, fds, process_request_complete, late, &e);
        return process_request_started(late, p, r, &e, error);
}

static int method_close_io(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {{"Stdin", "b", option_bool, 0}, {}};
        _cleanup_error_ Error e = ERROR_NULL;
        bool close_stdin = false;
        Process *p = userdata;
        Late *late;
        int r;

        r = options_read(m, table, &close_stdin, error);
        if (r < 0)
                return r;
        r = process_authorize(p, m, false, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (!close_stdin)
                return sd_bus_reply_method_return(m, NULL);
        r = late_new(service_of(&p->object), m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = process_close_stdin(p, process_request_complete, late, &e);
        return process_request_started(late, p, r, &e, error);
}

static int method_delete(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {{"Force", "b", option_bool, 0}, {}};
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = userdata;
        bool force = false;
        Late *late;
        int r;

        r = options_read(m, table, &force, error);
        if (r < 0)
                return r;
        r = process_begin(p, m, reply_deleted, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = process_delete(p, force, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

static BUS_GETTER(property_get_exec_id) {
        return sd_bus_message_append_basic(reply, 's', process_exec_id(userdata));
}

static int append_stream(sd_bus_message *reply, const Process *p, unsigned i) {
        _cleanup_free_ char *name = process_stream_public(p, i);

        return name ? sd_bus_message_append_basic(reply, 's', name) : -ENOMEM;
}

static BUS_GETTER(property_get_stdin) {
        return append_stream(reply, userdata, 0);
}

static BUS_GETTER(property_get_stdout) {
        return append_stream(reply, userdata, 1);
}

static BUS_GETTER(property_get_stderr) {
        return append_stream(reply, userdata, 2);
}

static BUS_GETTER(property_get_status) {
        const Process *p = userdata;

        return sd_bus_message_append_basic(reply, 's', task_status_to_string(process_status(p)));
}

static BUS_GETTER(property_get_pid) {
        const Process *p = userdata;
        const uint32_t pid = (uint32_t) MAX_OF(p->pid, 0);

        return sd_bus_message_append_basic(reply, 'u', &pid);
}

/* An exit is told only when there is one, so that nobody reads a 0 as success. */
static BUS_GETTER(property_get_exit_status) {
        const Process *p = userdata;
        const uint32_t status =
                        p->status == TASK_STOPPED ? (uint32_t) p->exit_status : EXIT_STATUS_UNKNOWN;

        return sd_bus_message_append_basic(reply, 'u', &status);
}

static BUS_GETTER(property_get_exit_status_known) {
        const Process *p = userdata;
        const int known = p->status == TASK_STOPPED && p->exit_known;

        return sd_bus_message_append_basic(reply, 'b', &known);
}

const sd_bus_vtable process_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("ExecId", "s", property_get_exec_id, 0,
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Stdin", "s", property_get_stdin, 0, SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Stdout", "s", property_get_stdout, 0,
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Stderr", "s", property_get_stderr, 0,
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Status", "s", property_get_status, 0,
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Pid", "u", property_get_pid, 0,
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Terminal", "b", property_get_bool, offsetof(Process, terminal),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("ExitStatus", "u", property_get_exit_status, 0,
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("ExitStatusKnown", "b", property_get_exit_status_known, 0,
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("ExitedAt", "t", property_get_uint64, offsetof(Process, exited_at),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("StartedAt", "t", property_get_uint64,
                                offsetof(Process, started_at), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_METHOD_WITH_ARGS("Start", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("u", pid), method_start,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Wait", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("u", exit_status, "t", exited_at),
                                        method_wait, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Kill", SD_BUS_ARGS("i", signal, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_kill, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ResizePty",
                                        SD_BUS_ARGS("u", width, "u", height, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_resize_pty,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Attach", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_attach, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CloseIO", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_close_io, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Delete", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("u", pid, "u", exit_status, "t", exited_at),
                                        method_delete, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_SIGNAL_WITH_ARGS("Exited", SD_BUS_ARGS("u", exit_status, "t", exited_at), 0),
                SD_BUS_VTABLE_END,
};
