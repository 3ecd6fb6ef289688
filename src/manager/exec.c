/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state and the end of an exec. Its record decides; where none can come any more (the task has
 * ended, the supervisor was killed) its exit status is not known.
 */

#include "manager/exec.h"

#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/event.h"
#include "manager/exec-internal.h"
#include "manager/manager.h"
#include "manager/task-internal.h"

Exec *task_find_exec(const Task *t, const char *id) {
        for (Exec *x = t->execs; x; x = x->task_next)
                if (streq(x->id, id))
                        return x;
        return NULL;
}

int exec_new(Task *t, const char *id, Exec **ret, Error *e) {
        _cleanup_free_ char *name = NULL;
        Exec *x;
        int r;

        if (task_find_exec(t, id))
                return error_setf(e, CTR_ALREADY_EXISTS, "Task \"%s\" has an exec with id \"%s\"",
                                  t->process.object.name, id);
        if (t->n_execs >= SUPERVISOR_EXECS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "Task \"%s\" has %u execs already",
                                  t->process.object.name, SUPERVISOR_EXECS_MAX);
        if (asprintf(&name, "%s/%s", t->process.object.name, id) < 0)
                return -ENOMEM;
        x = calloc(1, sizeof(Exec));
        if (!x)
                return -ENOMEM;
        r = process_init(&x->process, t->process.object.manager, OBJECT_EXEC,
                         t->process.object.namespace, name);
        x->id = strdup(id);
        if (r < 0 || !x->id) {
                exec_free(x);
                return r < 0 ? r : -ENOMEM;
        }
        x->task = t;
        x->task_next = t->execs;
        t->execs = x;
        t->n_execs++;
        *ret = x;
        return 0;
}

Exec *exec_free(Exec *x) {
        if (!x)
                return NULL;
        for (Exec **p = x->task ? &x->task->execs : NULL; p && *p; p = &(*p)->task_next)
                if (*p == x) {
                        *p = x->task_next;
                        x->task->n_execs--;
                        break;
                }
        process_done(&x->process);
        sd_event_source_disable_unref(x->delete_source);
        free(x->id);
        free(x->client);
        free(x);
        return NULL;
}

int exec_find(Manager *m, const char *namespace, const char *id, const char *exec_id, Exec **ret,
              Error *e) {
        Exec *x;
        Task *t;
        int r;

        r = task_find(m, namespace, id, &t, e);
        if (r != 0)
                return r;
        r = identifier_validate(exec_id, "exec id", e);
        if (r != 0)
                return r;
        x = task_find_exec(t, exec_id);
        if (!x || !x->process.object.linked)
                return error_setf(e, CTR_NOT_FOUND,
                                  "process does not exist %s: task \"%s\" has "
                                  "no such exec",
                                  exec_id, id);
        *ret = x;
        return 0;
}

bool exec_recheck(Exec *x, bool final) {
        _cleanup_(exit_record_clear) ExitRecord record = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = &x->process;
        int r;

        if (p->status == TASK_STOPPED || x->adding)
                return true;
        r = exec_record_read(x->task->dir_fd, x->id, &record, &e);
        if (r == 0) {
                process_stopped_by_record(p, &record);
                return true;
        }
        if (task_read_again(x->task, r))
                return false;
        if (r != -ENOENT) {
                char name[TASK_EXEC_FILE_SIZE];

                process_set_aside(p, exec_file_name(TASK_FILE_EXEC_EXIT_PREFIX, x->id, name), &e);
                final = true;
        }
        if (final)
                process_stopped_unknown(p);
        return true;
}

int exec_save(const Exec *x, json_t *state) {
        if (json_object_set_new(state, "autoRemove", json_boolean(x->auto_remove)) < 0)
                return -ENOMEM;
        return x->client && json_object_set_new(state, "client", json_string(x->client)) < 0
                               ? -ENOMEM
                               : 0;
}

int exec_load(Exec *x, json_t *state, Error *e) {
        const char *client = NULL;
        int r;

        r = json_get_bool(state, "", "autoRemove", &x->auto_remove, e);
        if (r >= 0)
                r = json_get_string(state, "", "client", &client, e);
        return r < 0 ? r : free_and_strdup(&x->client, client);
}

void exec_remove_files(Exec *x) {
        static const char *const prefixes[] = {TASK_FILE_EXEC_PREFIX, TASK_FILE_EXEC_EXIT_PREFIX,
                                               TASK_FILE_STATE_PREFIX};
        char name[TASK_EXEC_FILE_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(prefixes); i++)
                if (unlinkat(x->task->dir_fd, exec_file_name(prefixes[i], x->id, name), 0) < 0 &&
                    errno != ENOENT)
                        log_warning_errno(errno, "Failed to remove %s of task %s: %m", name,
                                          x->task->process.object.name);
}

void exec_remove(Exec *x) {
        Process *p = &x->process;

        /* one that was never started has an end, too, for those who wait for it */
        if (p->status != TASK_STOPPED && !x->adding)
                process_stopped_unknown(p);
        waiters_complete(&p->exit_waiters, &p->object, 0, NULL);
        process_drop_operations(p);
        event_settle(p);
        exec_remove_files(x);
        event_forget(p);
        waiters_complete(&p->delete_waiters, &p->object, 0, NULL);
        exec_free(x);
}

Exec *exec_vanish(Exec *x, const Error *e) {
        Process *p = &x->process;

        waiters_complete(&p->exit_waiters, &p->object, CTR_NOT_FOUND, e);
        waiters_complete(&p->delete_waiters, &p->object, CTR_NOT_FOUND, e);
        process_drop_operations(p);
        exec_remove_files(x);
        event_vanished(p);
        return exec_free(x);
}

static void delete_failed(Exec *x, int r, const Error *e) {
        Process *p = &x->process;

        p->deleting = x->delete_sent = x->kill_sent = false;
        x->delete_source = sd_event_source_disable_unref(x->delete_source);
        if (!p->delete_waiters)
                log_warning("The exec %s cannot be deleted: %s", p->object.name, error_text(e));
        waiters_complete(&p->delete_waiters, &p->object, r, e);
}

static void on_deleted(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        Exec *x = EXEC(&o->process->object);

        /* a supervisor that is gone, or never knew it, has nothing to forget */
        if (r == 0 || r == CTR_NOT_FOUND || r == CTR_UNAVAILABLE)
                exec_remove(x);
        else
                delete_failed(x, r, e);
}

/* It could not be asked because it has ended, which the task is about to hear. */
static bool supervisor_has_ended(const Exec *x, int r) {
        const Supervisor *s = x->task->supervisor;

        return r == CTR_UNAVAILABLE && (!s || supervisor_is_hung_up(s));
}

/* The supervisor forgets it first: only then is the id free. */
static void delete_send(Exec *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = &x->process;
        int r;

        if (!x->task->supervisor || x->task->process.status == TASK_STOPPED) {
                exec_remove(x);
                return;
        }
        /* the supervisor removes the record */
        event_settle(p);
        r = process_request(p, &(SupervisorMessage){.type = SUPERVISOR_EXEC_DELETE}, NULL, 0,
                            PROCESS_REQUEST_USEC,
                            &(Operation){.reply = on_deleted, .callback = process_ignore}, &e);
        if (supervisor_has_ended(x, r))
                exec_remove(x);
        else if (r != 0)
                delete_failed(x, r, &e);
        else
                x->delete_sent = true;
}

static void continue_delete(Exec *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = &x->process;
        int r;

        if (p->starting || x->delete_sent)
                return;
        if (p->status == TASK_STOPPED || p->status == TASK_CREATED) {
                delete_send(x);
                return;
        }
        if (x->kill_sent)
                return;
        x->kill_sent = true;
        r = process_kill(p, SIGKILL, 0, process_ignore, NULL, &e);
        if (r != 0 && !supervisor_has_ended(x, r))
                delete_failed(x, r, &e);
}

/* Nobody is left to whom it is of use. */
static bool is_to_go(const Exec *x) {
        const Process *p = &x->process;

        return x->auto_remove && (p->status == TASK_STOPPED ||
                                  (p->status == TASK_CREATED && !p->starting && x->client_gone));
}

void exec_scheduled(Exec *x) {
        Process *p = &x->process;

        (void) exec_recheck(x, x->task->process.status == TASK_STOPPED);
        if (p->status == TASK_STOPPED)
                waiters_complete(&p->exit_waiters, &p->object, 0, NULL);
        if (is_to_go(x))
                p->deleting = true;
        if (p->deleting)
                continue_delete(x);
}

static int on_delete_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Exec *x = userdata;

        error_setf(&e, CTR_DEADLINE_EXCEEDED,
                   "The process \"%s\" of \"%s\" does not end, not even by SIGKILL", x->id,
                   x->task->process.object.name);
        delete_failed(x, e.code, &e);
        return 0;
}

int exec_delete(Exec *x, bool force, Callback callback, void *userdata, Error *e) {
        Process *p = &x->process;
        int r;

        if (((p->status != TASK_STOPPED && p->status != TASK_CREATED) || p->starting) && !force)
                return process_wrong_state(p, "process must be stopped before deletion: ", "", e);
        if (p->deleting)
                return error_setf(e, CTR_NOT_FOUND, "The process \"%s\" is being deleted already",
                                  x->id);
        r = sd_event_add_time_relative(p->object.manager->event, &x->delete_source, CLOCK_MONOTONIC,
                                       PROCESS_KILL_USEC, 0, on_delete_timeout, x);
        if (r >= 0)
                r = waiter_add(&p->delete_waiters, callback, userdata);
        if (r >= 0)
                r = process_schedule(p);
        if (r < 0) {
                (void) waiter_remove(&p->delete_waiters, callback, userdata);
                x->delete_source = sd_event_source_disable_unref(x->delete_source);
                return error_setf(e, r, "Failed to delete the process \"%s\": %m", x->id);
        }
        p->deleting = true;
        return 0;
}

typedef struct Forget {
        bool (*is_gone)(const char *client, void *userdata);
        void *userdata;
} Forget;

static int forget_clients_of(Object *o, void *userdata) {
        const Forget *f = userdata;

        for (Exec *x = TASK(o)->execs; x; x = x->task_next) {
                int r;

                if (!x->client || x->client_gone || !f->is_gone(x->client, f->userdata))
                        continue;
                x->client_gone = true;
                r = process_schedule(&x->process);
                if (r < 0)
                        log_warning_errno(r, "Failed to look at exec %s, whose client is gone: %m",
                                          x->process.object.name);
        }
        return 0;
}

void execs_forget_clients(Manager *m, bool (*is_gone)(const char *client, void *userdata),
                          void *userdata) {
        (void) object_foreach(m, OBJECT_TASK, NULL, forget_clients_of,
                              &(Forget){.is_gone = is_gone, .userdata = userdata});
}
