/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * One task at the start: its supervisor is found through the control socket and asked how things
 * are, then about each exec. Nobody waits long for that (A5.1): a task whose supervisor is busy is
 * shown as UNKNOWN until it answers.
 *
 * Invariant: a task whose supervisor lives is never ended because of what we do not understand; it
 * is when the supervisor does not answer at all.
 */

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/checkpoint-restore.h"
#include "manager/checkpoint.h"
#include "manager/commit.h"
#include "manager/exec-internal.h"
#include "manager/monitor.h"
#include "manager/recover-internal.h"
#include "manager/task-cgroup.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

/* A supervisor may be busy with a container's set-up or exec() for 30 s; nobody waits that long for
 * the state (A5.1), and the task is UNKNOWN until it answers. */
#define PATIENCE_USEC      (2 * USEC_PER_SEC)
#define HELLO_TIMEOUT_USEC (40 * USEC_PER_SEC)
/* between GO and its control socket a supervisor cannot be reached; the manager that gave the GO
 * may have died in that moment. It is in its scope by then. */
#define CONNECT_RETRY_USEC (50 * USEC_PER_MSEC)
#define CONNECT_TRIES      30
/* between bind() and listen(), or it was killed */
#define REFUSED_TRIES 2

typedef struct Probe {
        Recovery *recovery; /* NULL when it does not wait any more */
        Task *task;
        sd_event_source *timer;
        unsigned tries;
        size_t n_asked; /* execs whose state was asked for */
} Probe;

static void probe_free(Probe *p) {
        sd_event_source_disable_unref(p->timer);
        free(p);
}

/* Shows the task with what is known of it by now. */
static void probe_release(Probe *p) {
        Recovery *v = p->recovery;
        int r;

        if (!v)
                return;
        p->recovery = NULL;
        r = object_link(&p->task->process.object);
        if (r < 0)
                log_error_errno(r, "Failed to show task %s: %m", p->task->process.object.name);
        for (Exec *x = p->task->execs; x; x = x->task_next) {
                r = object_link(&x->process.object);
                if (r < 0)
                        log_error_errno(r, "Failed to show exec %s: %m", x->process.object.name);
        }
        recovery_unref(v);
}

/* Whatever the supervisor said, or that there is none: record and supervisor decide. */
static void probe_done(Probe *p) {
        if (p->task->process.status == TASK_UNKNOWN)
                task_recheck(p->task);
        if (p->task->process.status == TASK_STOPPED)
                checkpoint_recovered(p->task, 0);
        probe_release(p);
        probe_free(p);
}

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata) {
        probe_release(userdata);
        return 0;
}

static void on_exec_known(Object *o, int r, const Error *e, void *userdata) {
        Probe *p = userdata;

        if (--p->n_asked > 0)
                return;
        if (r == -ESHUTDOWN)
                probe_free(p);
        else
                probe_done(p);
}

static void on_looked(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        const uint32_t started = SUPERVISOR_STATE_STARTED, not_yet = SUPERVISOR_STATE_STARTING;
        Process *p = o->process;

        if (r == 0 && p->status == TASK_CREATED &&
            (reply->flags & (started | not_yet | SUPERVISOR_STATE_EXITED)) == started) {
                p->pid = reply->pid;
                p->ran = true;
                process_set_status(p, TASK_RUNNING);
        }
        if (r == 0 && p->status == TASK_RUNNING && (reply->flags & SUPERVISOR_STATE_PAUSED)) {
                process_set_status(p, TASK_PAUSING);
                process_set_status(p, TASK_PAUSED);
        }
        if (r == 0 && p->status == TASK_CREATED)
                recover_ask_again(p, reply->flags & not_yet);
        o->callback(&p->object, r, e, o->userdata);
}

void process_look_again(Process *p) {
        SupervisorMessage m = {.type = p->object.type == OBJECT_TASK ? SUPERVISOR_HELLO
                                                                     : SUPERVISOR_EXEC_STATE};
        _cleanup_error_ Error e = ERROR_NULL;

        if (process_request(p, &m, NULL, 0, HELLO_TIMEOUT_USEC,
                            &(Operation){.reply = on_looked, .callback = process_ignore}, &e) != 0)
                log_warning("The state of %s is not known: %s", p->object.name, error_text(&e));
}

/* A Callback: what was under way came to its end before it was asked for again. */
static void look_again(Object *o, int r, const Error *e, void *userdata) {
        if (r == CTR_FAILED_PRECONDITION)
                process_look_again(PROCESS(o));
}

void recover_ask_again(Process *p, uint32_t flags) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r = 0;

        if (flags & SUPERVISOR_STATE_STARTING)
                r = process_start_again(p, look_again, NULL, &e);
        else if (flags & SUPERVISOR_STATE_PAUSING)
                r = task_pause(process_task(p), look_again, NULL, &e);
        if (r != 0)
                log_warning("Failed to ask what becomes of %s: %s", p->object.name, error_text(&e));
}

/* False: the supervisor has ended, or speaks what we do not understand. */
static bool hello_apply(Task *t, const SupervisorMessage *reply) {
        if (reply->number > SUPERVISOR_PROTOCOL_VERSION) {
                log_error("The supervisor of task %s is of a newer version (%i), its state stays "
                          "unknown",
                          t->process.object.name, reply->number);
                return false;
        }
        supervisor_set_version(t->supervisor, (unsigned) reply->number);
        if (reply->flags & SUPERVISOR_STATE_EXITED)
                return false;
        t->process.pid = reply->pid;
        t->process.ran = (reply->flags & SUPERVISOR_STATE_STARTED) &&
                         !(reply->flags & SUPERVISOR_STATE_STARTING);
        process_set_status(&t->process, !t->process.ran                          ? TASK_CREATED
                                        : reply->flags & SUPERVISOR_STATE_PAUSED ? TASK_PAUSED
                                                                                 : TASK_RUNNING);
        if (t->process.ran)
                checkpoint_restored(t);
        if (t->dump)
                checkpoint_recovered(t, reply->flags);
        else if (t->committing)
                commit_recovered(t);
        else
                recover_ask_again(&t->process, reply->flags);
        return true;
}

static void on_hello(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        Probe *p = userdata;
        Task *t = p->task;

        if (r == -ESHUTDOWN) {
                probe_free(p);
                return;
        }
        if (r != 0 || reply->number < 1) {
                log_warning("The supervisor of task %s is of no use (%s), ending it",
                            t->process.object.name, r != 0 ? error_text(e) : "it tells no version");
                if (t->supervisor)
                        supervisor_kill(t->supervisor);
        } else if (hello_apply(t, reply))
                p->n_asked = recover_execs_ask(t, on_exec_known, p);
        if (p->n_asked == 0)
                probe_done(p);
}

/* A task that never came to be: as if its creation had failed. */
static void probe_forget(Probe *p) {
        Manager *m = p->recovery->manager;
        Recovery *v = p->recovery;
        Task *t = p->task;

        log_info("Task %s was not set up completely, undoing it", t->process.object.name);
        scope_kill(m->systemd, t->unit);
        log_fields_remove(t->unit);
        (void) task_dir_remove(m, t->process.object.namespace, t->process.object.name);
        probe_free(p);
        task_free(t);
        recovery_unref(v);
}

static bool was_created(Task *t) {
        return faccessat(t->dir_fd, TASK_FILE_STATE, F_OK, 0) >= 0 ||
               faccessat(t->dir_fd, TASK_FILE_EXIT, F_OK, 0) >= 0 ||
               faccessat(t->dir_fd, SUPERVISOR_CONTROL_NAME, F_OK, 0) >= 0;
}

static void probe_connect(Probe *p);

/* Nobody listens; any other failure to connect is our own. */
static bool is_gone(int r) {
        return r == -ENOENT || r == -ECONNREFUSED;
}

static bool probe_may_retry(Probe *p, int r) {
        unsigned max = r == -ECONNREFUSED ? REFUSED_TRIES : CONNECT_TRIES;

        return p->tries++ < max &&
               (!is_gone(r) || (recovery_scope_is_active(p->recovery, p->task->unit) &&
                                !scope_is_deserted(p->task->unit))) &&
               faccessat(p->task->dir_fd, TASK_FILE_EXIT, F_OK, 0) < 0;
}

static int on_retry(sd_event_source *source, uint64_t usec, void *userdata) {
        Probe *p = userdata;

        p->timer = sd_event_source_disable_unref(p->timer);
        probe_connect(p);
        return 0;
}

/* Without an answer the task stays UNKNOWN until its supervisor, which is watched now, ends. */
static void probe_ask(Probe *p) {
        Task *t = p->task;
        int r;

        r = supervisor_request(t->supervisor, &(SupervisorMessage){.type = SUPERVISOR_HELLO}, NULL,
                               0, HELLO_TIMEOUT_USEC, on_hello, p);
        if (r < 0) {
                log_warning_errno(r, "Failed to ask the supervisor of task %s: %m",
                                  t->process.object.name);
                probe_done(p);
                return;
        }
        r = sd_event_add_time_relative(t->process.object.manager->event, &p->timer, CLOCK_MONOTONIC,
                                       PATIENCE_USEC, 0, on_patience_over, p);
        if (r < 0)
                log_warning_errno(r, "Failed to bound the wait for task %s: %m",
                                  t->process.object.name);
}

static void probe_connect(Probe *p) {
        Manager *m = p->recovery->manager;
        Task *t = p->task;
        int r;

        r = supervisor_connect(m, t->dir_fd, &task_supervisor_handlers, t, &t->supervisor);
        if (r >= 0) {
                probe_ask(p);
                return;
        }
        if (probe_may_retry(p, r) &&
            sd_event_add_time_relative(m->event, &p->timer, CLOCK_MONOTONIC, CONNECT_RETRY_USEC,
                                       USEC_PER_MSEC, on_retry, p) >= 0)
                return;
        if (!is_gone(r)) {
                log_error_errno(r,
                                "Failed to reach the supervisor of task %s, whose state stays "
                                "unknown: %m",
                                t->process.object.name);
                probe_release(p);
                probe_free(p);
        } else if (was_created(t))
                probe_done(p);
        else
                probe_forget(p);
}

/* What the launch was given, for those who ask how the streams are connected. */
static void load_launch(Task *t) {
        _cleanup_(task_launch_clear) TaskLaunch launch = {};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = json_read_file_at(t->dir_fd, TASK_FILE_LAUNCH, TASK_LAUNCH_MAX, &j, &e);
        if (r == -ENOENT)
                return;
        if (r == 0)
                r = task_launch_from_json(j, &launch, &e);
        if (r == 0)
                r = process_set_streams(&t->process, launch.stdio,
                                        (const char *const *) launch.stdio_path);
        if (r == 0)
                r = free_and_strdup(&t->checkpoint, launch.checkpoint_name ?: launch.checkpoint);
        if (r == 0 && launch.runtime_name)
                r = free_and_strdup(&t->runtime, launch.runtime_name);
        if (r == 0)
                r = checkpoint_recover_directory(t, launch.checkpoint);
        if (r == -ENOMEM)
                log_warning_errno(r, "Failed to read %s of task %s: %m", TASK_FILE_LAUNCH,
                                  t->process.object.name);
        else if (r != 0)
                process_set_aside(&t->process, TASK_FILE_LAUNCH, &e);
}

int recover_task(Recovery *v, Container *c, int dir_fd) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ Probe *p = NULL;
        Task *t;
        int r;

        p = malloc(sizeof(Probe));
        if (!p)
                return -ENOMEM;
        r = task_new(c, dir_fd, &t);
        if (r < 0)
                return r;
        process_load(&t->process);
        load_launch(t);
        recover_execs(t);
        /* it is there, whatever a monitor says */
        if (monitor_attach(t, &e) != 0)
                log_error("%s", error_text(&e));
        *p = (Probe){.recovery = v, .task = t};
        v->n_pending++;
        probe_connect(TAKE_PTR(p));
        return 0;
}
