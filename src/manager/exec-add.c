/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * How an exec comes to be, in two steps: its documents are written and the supervisor agrees, then
 * it is shown; and with ExecRequest.start a third one, its start.
 *
 * Invariant: the caller is answered exactly once, and on failure nothing is left: neither document
 * nor id.
 */

#include "basic/identifier.h"
#include "basic/log.h"
#include "manager/exec-internal.h"
#include "manager/task-internal.h"

static int refuse_stopped(const Process *task, Error *e) {
        error_clear(e);
        return process_wrong_state(task, "cannot exec in a ", " state", e);
}

typedef struct Adding {
        Exec *exec;
        bool start;
        Error error; /* why it is taken back */
        Callback callback;
        void *userdata;
} Adding;

static void adding_done(Adding *a, Object *o, int r, const Error *e) {
        a->callback(o, r, e, a->userdata);
        error_clear(&a->error);
        free(a);
}

static void on_taken_back(Object *o, int r, const Error *e, void *userdata) {
        Adding *a = userdata;

        adding_done(a, NULL, r == -ESHUTDOWN ? r : a->error.code, &a->error);
}

static void on_started_at_once(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        Adding *a = userdata;
        Process *p;

        if (r == 0 || r == -ESHUTDOWN) {
                adding_done(a, r == 0 ? o : NULL, r, e);
                return;
        }
        p = &a->exec->process;
        if (process_ended_meanwhile(p, r))
                (void) refuse_stopped(&a->exec->task->process, &a->error);
        else
                error_setf(&a->error, r, "%s", error_text(e));
        /* one that removes itself, or whose client has left, is on its way already */
        r = p->deleting ? waiter_add(&p->delete_waiters, on_taken_back, a)
                        : exec_delete(a->exec, true, on_taken_back, a, &local);
        if (r == 0)
                return;
        log_warning("%s", error_text_of(r, &local));
        adding_done(a, NULL, a->error.code, &a->error);
}

static void added(Adding *a) {
        _cleanup_error_ Error e = ERROR_NULL;
        Process *p = &a->exec->process;
        int r;

        a->exec->adding = false;
        process_set_status(p, TASK_CREATED);
        r = object_link(&p->object);
        assert(r >= 0 || r == -ENOMEM); /* the id was reserved */
        if (a->exec->client_gone)       /* meanwhile */
                (void) process_schedule(p);
        if (!a->start) {
                adding_done(a, &p->object, 0, NULL);
                return;
        }
        r = process_start(p, on_started_at_once, a, &e);
        if (r != 0)
                on_started_at_once(&p->object, r, &e, a);
}

static void on_added(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        _cleanup_error_ Error ended = ERROR_NULL;
        Adding *a = o->userdata;
        Process *task = &a->exec->task->process;

        /* its record was read before this: nothing comes after that (D11) */
        if ((r == 0 && task->status == TASK_STOPPED) || process_ended_meanwhile(task, r)) {
                r = refuse_stopped(task, &ended);
                e = &ended;
        }
        if (r == 0) {
                added(a);
                return;
        }
        exec_remove_files(a->exec);
        exec_free(a->exec);
        adding_done(a, NULL, r, e);
}

/* -ESHUTDOWN, or the task went: the exec goes with it. */
static void on_add_dropped(Object *o, int r, const Error *e, void *userdata) {
        adding_done(userdata, NULL, r, e);
}

static int add_send(Exec *x, const ExecRequest *request, Callback callback, void *userdata,
                    Error *e) {
        SupervisorMessage m = {.type = SUPERVISOR_EXEC_ADD};
        int fds[3], r;
        size_t n = 0;
        Adding *a;

        for (size_t i = 0; i < ELEMENTSOF(fds); i++)
                if (request->streams.kind[i] == STDIO_FD)
                        fds[n++] = request->streams.fd[i];
        a = malloc(sizeof(Adding));
        if (!a)
                return -ENOMEM;
        *a = (Adding){
                        .exec = x,
                        .start = request->start,
                        .callback = callback,
                        .userdata = userdata,
        };
        r = process_request(&x->process, &m, fds, n, PROCESS_REQUEST_USEC,
                            &(Operation){.reply = on_added,
                                         .callback = on_add_dropped,
                                         .userdata = a},
                            e);
        if (r != 0)
                free(a);
        return r;
}

static int exec_fill(Exec *x, const ExecRequest *request, Error *e) {
        Process *p = &x->process;
        int r;

        p->terminal = request->terminal;
        x->auto_remove = request->auto_remove;
        r = process_set_streams(p, request->streams.kind, request->streams.path);
        if (r >= 0 && request->auto_remove)
                r = free_and_strdup(&x->client, request->client);
        if (r < 0)
                return r;
        r = exec_document_write(x, request, e);
        if (r != 0)
                return r;
        process_stamp_document(p);
        process_stamp(p);
        r = process_save(p);
        return r < 0 ? error_setf(e, r, "Failed to write the state of exec %s: %m", x->id) : 0;
}

int task_exec(Task *t, const ExecRequest *request, Callback callback, void *userdata, Error *e) {
        Exec *x;
        int r;

        if (isempty(request->id))
                return error_setf(e, CTR_INVALID_ARGUMENT, "exec id must not be empty");
        r = identifier_validate(request->id, "exec id", e);
        if (r != 0)
                return r;
        if (t->process.status != TASK_CREATED && t->process.status != TASK_RUNNING)
                return process_wrong_state(&t->process, "cannot exec in a ", " state", e);
        if (t->process.deleting)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Task \"%s\": cannot exec in a deleted state",
                                  t->process.object.name);
        r = exec_new(t, request->id, &x, e);
        if (r != 0)
                return r;
        x->adding = true;
        r = exec_fill(x, request, e);
        if (r == 0)
                r = add_send(x, request, callback, userdata, e);
        if (r == 0)
                return 0;
        if (process_ended_meanwhile(&t->process, r))
                r = refuse_stopped(&t->process, e);
        exec_remove_files(x);
        exec_free(x);
        return r;
}
