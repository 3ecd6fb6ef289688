/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The birth of a task, from the request to CREATED:
 *
 *   documents written, supervisor spawned, scope asked for     (in parallel: the supervisor clones
 *                                                               init, which builds its mounts)
 *   scope is there          -> GO
 *   supervisor says CREATED -> the task is linked, the caller answered
 *
 * Everything that goes wrong ends in launch_fail(): the supervisor is killed, and when it is gone
 * the task is taken back and the caller gets the first cause.
 *
 * Invariant: the caller is answered exactly once, and on failure nothing is left: no scope (it is
 * empty), no directory, no task.
 */

#include <fcntl.h>
#include <sys/socket.h>

#include "basic/log.h"
#include "basic/process.h"
#include "manager/copy.h"
#include "manager/manager.h"
#include "manager/monitor.h"
#include "manager/rdt.h"
#include "manager/task-internal.h"
#include "manager/version.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

#define LAUNCH_TIMEOUT_USEC (45 * USEC_PER_SEC)
#define ATTEMPTS_MAX        2
/* systemd's SIGKILL comes only after the supervisor had its chance to write the record */
#define STOP_GRACE_USEC (5 * USEC_PER_SEC)
#define SUPERVISOR_FDS  7

struct Launch {
        Task *task;
        int stdio[3];
        ScopeStart *scope;
        sd_event_source *timer;
        char *rdt_class; /* NULL: none */
        unsigned attempts;
        bool retry;
        Error error;
        Callback callback;
        void *userdata;
};

static int launch_attempt(Launch *l, Error *e);
static void launch_fail(Launch *l, int code, const Error *e);

Launch *launch_free(Launch *l) {
        if (!l)
                return NULL;
        scope_start_free(l->scope);
        sd_event_source_disable_unref(l->timer);
        for (size_t i = 0; i < 3; i++)
                fd_close(l->stdio[i]);
        error_clear(&l->error);
        free(l->rdt_class);
        l->task->launch = NULL;
        free(l);
        return NULL;
}

/* The supervisor is gone, or was never there: the end of a failed launch. */
static void launch_undo(Task *t) {
        Manager *m = t->process.object.manager;
        Launch *l = t->launch;
        Callback callback = l->callback;
        void *userdata = l->userdata;
        _cleanup_error_ Error e = ERROR_NULL;
        int code, r;

        code = error_move(&e, &l->error);
        /* systemd may have made the scope around a process that was dead already */
        if (l->attempts > 0)
                scope_kill(m->systemd, t->unit);
        log_fields_remove(t->unit);
        r = task_dir_remove(m, t->process.object.namespace, t->process.object.name);
        if (r < 0)
                log_warning_errno(r, "Failed to remove the directory of task %s: %m",
                                  t->process.object.name);
        t->process.exit_status = EXIT_STATUS_UNKNOWN;
        waiters_complete(&t->process.delete_waiters, &t->process.object, 0, NULL);
        task_free(t);
        callback(NULL, code, &e, userdata);
}

void launch_cancel(Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;

        error_setf(&e, CTR_CANCELED, "The task \"%s\" was deleted while it was being created",
                   t->process.object.name);
        launch_fail(t->launch, e.code, &e);
}

void launch_abandon(Task *t) {
        Callback callback = t->launch->callback;
        void *userdata = t->launch->userdata;

        launch_free(t->launch);
        callback(NULL, -ESHUTDOWN, NULL, userdata);
}

void launch_supervisor_gone(Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Launch *l = t->launch;
        int r;

        l->scope = scope_start_free(l->scope);
        if (l->retry && l->attempts < ATTEMPTS_MAX) {
                error_clear(&l->error);
                l->retry = false;
                r = launch_attempt(l, &e);
                if (r != 0)
                        launch_fail(l, r, &e);
                return;
        }
        if (l->error.code == 0)
                error_setf(&l->error, CTR_UNAVAILABLE,
                           "The supervisor of \"%s\" ended before the container was set up",
                           t->process.object.name);
        launch_undo(t);
}

/* For good: there is no other attempt. The caller is told when the supervisor is gone. */
static void launch_fail(Launch *l, int code, const Error *e) {
        error_setf(&l->error, code, "%s", error_text_of(code, e));
        l->retry = false;
        l->scope = scope_start_free(l->scope);
        if (l->task->supervisor)
                supervisor_kill(l->task->supervisor);
        else
                launch_undo(l->task);
}

static int on_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Launch *l = userdata;

        error_setf(&e, CTR_DEADLINE_EXCEEDED, "The container \"%s\" was not set up within %u s",
                   l->task->process.object.name, (unsigned) (LAUNCH_TIMEOUT_USEC / USEC_PER_SEC));
        launch_fail(l, e.code, &e);
        return 0;
}

static void on_scope(int r, const Error *e, void *userdata) {
        Launch *l = userdata;

        l->scope = scope_start_free(l->scope);
        if (r != 0) {
                launch_fail(l, r, e);
                return;
        }
        r = supervisor_send(l->task->supervisor, SUPERVISOR_GO);
        /* -EPIPE: it failed already, its message and its end are on the way */
        if (r < 0 && r != -EPIPE)
                launch_fail(l, r, NULL);
}

/* Processes inherit the class of their parent: execs that of the supervisor. */
static int launch_join_class(const Launch *l, pid_t pid, Error *e) {
        return l->rdt_class ? rdt_assign(l->task->process.object.manager->rdt, l->rdt_class, pid, e)
                            : 0;
}

static void launch_done(Task *t, pid_t pid) {
        Launch *l = t->launch;
        Callback callback = l->callback;
        void *userdata = l->userdata;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = monitor_attach(t, &e);
        if (r == 0 && pid > 0) /* it was born at once, perhaps before its parent was in the class */
                r = launch_join_class(l, pid, &e);
        if (r != 0) {
                launch_fail(l, r, &e);
                return;
        }
        launch_free(l);
        t->process.pid = pid;
        process_set_status(&t->process, TASK_CREATED);
        r = object_link(&t->process.object);
        assert(r >= 0 || r == -ENOMEM); /* the container had no other task */
        callback(&t->process.object, 0, NULL, userdata);
}

void launch_message(Task *t, const SupervisorMessage *m) {
        Launch *l = t->launch;

        if (!l)
                return;
        if (m->type == SUPERVISOR_CREATED) {
                /* one that is being killed does not become a task, even if it just was ready */
                if (l->error.code == 0)
                        launch_done(t, m->pid);
                return;
        }
        /* it was not in its scope: systemd saw an empty one and took it away (systemd#36781) */
        l->retry = m->code == CTR_UNAVAILABLE;
        error_setf(&l->error, m->code ?: CTR_UNKNOWN, "%s", m->text);
}

void launch_unit_removed(Task *t) {
        Launch *l = t->launch;

        if (l->scope || l->error.code != 0)
                return;
        /* systemd#36781: the scope went away under a supervisor that lives */
        error_setf(&l->error, CTR_UNAVAILABLE, "systemd took the scope %s away", t->unit);
        l->retry = true;
        supervisor_kill(t->supervisor);
}

static int launch_spawn(Launch *l, Error *e) {
        Task *t = l->task;
        Manager *m = t->process.object.manager;
        char path[STRLEN("/proc//fd/") + 2 * 11 + 1];
        _cleanup_free_ char *dir = NULL;
        int pair[2], pidfd, r, fds[SUPERVISOR_FDS];
        pid_t pid;

        (void) snprintf(path, sizeof(path), "/proc/%i/fd/%i", getpid(), m->supervisor_fd);
        if (asprintf(&dir, "%s/tasks/%s/%s", m->runtime_dir, t->process.object.namespace,
                     t->process.object.name) < 0)
                return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair) < 0)
                return error_setf(e, -errno, "Failed to make a socketpair: %m");

        fds[0] = -1;
        fds[1] = fds[2] = STDERR_FILENO;
        fds[SUPERVISOR_LAUNCH_FD] = pair[1];
        for (size_t i = 0; i < 3; i++)
                fds[SUPERVISOR_LAUNCH_FD + 1 + i] = l->stdio[i];
        r = process_spawn(path, (char *[]){(char *) "ctr-supervisor", dir, NULL}, environ, fds,
                          SUPERVISOR_FDS, &pid, &pidfd);
        fd_close(pair[1]);
        if (r < 0) {
                fd_close(pair[0]);
                return error_setf(e, r, "Failed to start the supervisor: %m");
        }
        r = supervisor_new(m, pair[0], pidfd, pid, true, &task_supervisor_handlers, t,
                           &t->supervisor);
        if (r < 0) {
                (void) kill(pid, SIGKILL);
                (void) waitpid(pid, NULL, 0);
                return error_setf(e, r, "Failed to watch the supervisor: %m");
        }
        return 0;
}

/* More than systemd, or a timer, can take is no limit at all. */
static uint64_t timeout_stop(const Container *c) {
        return c->stop_timeout <= INT64_MAX ? c->stop_timeout + STOP_GRACE_USEC : UINT64_MAX;
}

static int launch_attempt(Launch *l, Error *e) {
        Task *t = l->task;
        _cleanup_free_ char *description = NULL;
        int r;

        l->attempts++;
        r = launch_spawn(l, e);
        if (r == 0)
                r = launch_join_class(l, supervisor_pid(t->supervisor), e);
        if (r != 0)
                return r;
        if (asprintf(&description, "Container %s (%s)", t->process.object.name,
                     t->container->image) < 0)
                return -ENOMEM;
        return scope_start(t->process.object.manager->systemd,
                           &(ScopeRequest){
                                           .unit = t->unit,
                                           .description = description,
                                           .pid = supervisor_pid(t->supervisor),
                                           .kill_signal = t->container->stop_signal,
                                           .timeout_stop = timeout_stop(t->container),
                                           .properties = t->container->resources,
                           },
                           on_scope, l, &l->scope, e);
}

static int launch_new(Task *t, const TaskRequest *request, Callback callback, void *userdata) {
        Launch *l;

        l = calloc(1, sizeof(Launch));
        if (!l)
                return -ENOMEM;
        *l = (Launch){
                        .task = t,
                        .stdio = {-1, -1, -1},
                        .callback = callback,
                        .userdata = userdata,
        };
        t->launch = l;
        for (size_t i = 0; i < 3; i++) {
                if (request->streams.kind[i] != STDIO_FD)
                        continue;
                l->stdio[i] = fcntl(request->streams.fd[i], F_DUPFD_CLOEXEC, 3);
                if (l->stdio[i] < 0)
                        return -errno;
        }
        return sd_event_add_time_relative(t->process.object.manager->event, &l->timer,
                                          CLOCK_MONOTONIC, LAUNCH_TIMEOUT_USEC, 0, on_timeout, l);
}

static int launch_begin(Task *t, const TaskRequest *request, Callback callback, void *userdata,
                        Error *e) {
        int r;

        r = launch_new(t, request, callback, userdata);
        if (r >= 0)
                r = process_set_streams(&t->process, request->streams.kind, request->streams.path);
        if (r < 0)
                return error_setf(e, r, "Failed to prepare the task: %m");
        r = launch_write_documents(t, request, &t->launch->rdt_class, e);
        if (r != 0)
                return r;
        launch_write_log_fields(t);
        return launch_attempt(t->launch, e);
}

int task_create(Container *c, const TaskRequest *request, Callback callback, void *userdata,
                Error *e) {
        Manager *m = c->object.manager;
        const char *namespace = c->object.namespace, *id = c->object.name;
        _cleanup_close_ int dir_fd = -1;
        Task *t;
        int r;

        if (c->task)
                return error_setf(e, CTR_ALREADY_EXISTS,
                                  "The container \"%s\" has a task already (%s)", id,
                                  task_status_to_string(c->task->process.status));
        r = version_operation_check(c, e);
        if (r == 0)
                r = container_check_writers(c, e);
        if (r != 0)
                return r;
        scope_start_ahead(m->systemd);
        /* what a crash may have left there belongs to nobody */
        r = task_dir_remove(m, namespace, id);
        if (r < 0)
                return error_setf(e, r, "Failed to remove the old directory of task %s: %m", id);
        dir_fd = task_dir_open(m, namespace, id, true);
        if (dir_fd < 0)
                return error_setf(e, dir_fd, "Failed to make the directory of task %s: %m", id);
        r = task_new(c, dir_fd, &t);
        if (r < 0)
                return error_setf(e, r, "Failed to make a task: %m");
        TAKE_FD(dir_fd);

        r = launch_begin(t, request, callback, userdata, e);
        if (r == 0)
                return 0;
        if (t->supervisor) {
                /* it must be reaped before the task can go: the callback answers, later */
                launch_fail(t->launch, r, e);
                error_clear(e);
                return 0;
        }
        log_fields_remove(t->unit);
        (void) task_dir_remove(m, namespace, id);
        task_free(t);
        return r;
}
