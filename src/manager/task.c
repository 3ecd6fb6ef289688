/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/task.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/log.h"
#include "manager/checkpoint.h"
#include "manager/container-secrets.h"
#include "manager/event.h"
#include "manager/exec-internal.h"
#include "manager/manager.h"
#include "manager/task-internal.h"
#include "unit/systemd.h"

#define READ_AGAIN_USEC USEC_PER_SEC

static int task_dir_make(Manager *m, const char *namespace, const char *id) {
        _cleanup_close_ int namespace_fd = -1;

        namespace_fd = dir_open_make_at(m->tasks_fd, namespace, 0700);
        return namespace_fd < 0 ? namespace_fd : dir_open_make_at(namespace_fd, id, 0700);
}

int task_dir_open(Manager *m, const char *namespace, const char *id, bool make) {
        _cleanup_close_ int namespace_fd = -1;
        int fd, r;

        if (make) {
                fd = task_dir_make(m, namespace, id);
                if (fd != -ENOENT)
                        return fd;
                /* somebody has removed the directory of all tasks: nothing can be made in it */
                log_warning("%s/tasks was removed, making it anew", m->runtime_dir);
                r = manager_open_tasks(m, NULL);
                return r != 0 ? r : task_dir_make(m, namespace, id);
        }
        namespace_fd = openat(m->tasks_fd, namespace, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (namespace_fd < 0)
                return -errno;
        fd = openat(namespace_fd, id, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

int task_dir_remove(Manager *m, const char *namespace, const char *id) {
        _cleanup_close_ int fd = -1;

        fd = openat(m->tasks_fd, namespace, O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        return tree_remove_at(fd, id);
}

void task_scheduled(Task *t) {
        Process *p = &t->process;

        task_recheck(t);
        if (p->status == TASK_STOPPED) {
                /* those of its execs first (D10) */
                for (Exec *x = t->execs; x; x = x->task_next)
                        waiters_complete(&x->process.exit_waiters, &x->process.object, 0, NULL);
                waiters_complete(&p->exit_waiters, &p->object, 0, NULL);
        }
        if (p->status == TASK_STOPPED && t->container->auto_remove && !p->deleting)
                container_auto_remove(t->container);
        if (p->deleting)
                task_continue_delete(t);
}

int task_new(Container *c, int dir_fd, Task **ret) {
        _cleanup_(task_freep) Task *t = NULL;
        Manager *m = c->object.manager;
        char unit[UNIT_NAME_SIZE];
        int r;

        assert(!c->task && dir_fd >= 0);

        t = calloc(1, sizeof(Task));
        if (!t)
                return -ENOMEM;
        t->dir_fd = -1;
        r = process_init(&t->process, m, OBJECT_TASK, c->object.namespace, c->object.name);
        if (r < 0)
                return r;
        t->unit = strdup(unit_name_from_identifier(c->object.namespace, c->object.name, unit));
        t->runtime = strdup(c->runtime);
        if (!t->unit || !t->runtime)
                return -ENOMEM;
        t->process.terminal = c->terminal;
        t->dir_fd = dir_fd;
        t->container = c;
        c->task = t;
        *ret = TAKE_PTR(t);
        return 0;
}

Task *task_free(Task *t) {
        if (!t)
                return NULL;
        launch_free(t->launch);
        supervisor_free(t->supervisor);
        while (t->execs)
                exec_free(t->execs);
        process_done(&t->process);
        sd_event_source_disable_unref(t->delete_source);
        sd_event_source_disable_unref(t->read_source);
        if (t->container)
                t->container->task = NULL;
        fd_close(t->dir_fd);
        free(t->unit);
        free(t->runtime);
        json_decref(t->limits);
        free(t->oom_cgroup);
        checkpoint_task_gone(t);
        free(t->checkpoint);
        free(t->checkpoint_directory);
        free(t);
        return NULL;
}

int task_find(Manager *m, const char *namespace, const char *id, Task **ret, Error *e) {
        Object *o;
        int r;

        r = identifier_validate(id, "container id", e);
        if (r != 0)
                return r;
        o = object_find(m, OBJECT_TASK, namespace, id);
        if (!o)
                return error_setf(e, CTR_NOT_FOUND,
                                  "The container \"%s\" in namespace \"%s\" has no task", id,
                                  namespace);
        *ret = TASK(o);
        return 0;
}

static void task_note_oom(Task *t, const char *cgroup) {
        t->oom_killed = true;
        if (!isempty(cgroup) && free_and_strdup(&t->oom_cgroup, cgroup) < 0)
                log_warning("No memory for the cgroup in which %s ran out of it",
                            t->process.object.name);
        object_mark_dirty(&t->process.object);
}

/* Its execs have stopped before (D10): their records were written before that of init. */
static bool execs_stopped(Task *t) {
        for (Exec *x = t->execs; x; x = x->task_next)
                if (!exec_recheck(x, true))
                        return false;
        return true;
}

/* There is a record: it is the truth. */
static void task_stopped_by_record(Task *t, const ExitRecord *record) {
        if (!execs_stopped(t))
                return;
        if (record->oom_killed && !t->oom_killed)
                task_note_oom(t, record->oom_cgroup);
        container_secrets_forget(t->dir_fd);
        process_stopped_by_record(&t->process, record);
}

/* The supervisor is gone without a record: it was killed, and with it what it watched. Never an
 * invented 0. */
static void task_stopped_unknown(Task *t) {
        if (!execs_stopped(t))
                return;
        log_warning("The supervisor of task %s was killed, its exit status is unknown",
                    t->process.object.name);
        scope_kill(t->process.object.manager->systemd, t->unit);
        container_secrets_forget(t->dir_fd);
        process_stopped_unknown(&t->process);
}

static int on_read_again(sd_event_source *source, uint64_t usec, void *userdata) {
        Task *t = userdata;

        for (Exec *x = t->execs; x; x = x->task_next)
                (void) exec_recheck(x, t->process.status == TASK_STOPPED);
        task_recheck(t);
        return 0;
}

bool task_read_again(Task *t, int r) {
        int k;

        if (r != -ENOMEM && r != -EMFILE && r != -ENFILE)
                return false;
        if (t->read_source) {
                k = sd_event_source_set_time_relative(t->read_source, READ_AGAIN_USEC);
                if (k >= 0)
                        k = sd_event_source_set_enabled(t->read_source, SD_EVENT_ONESHOT);
        } else {
                log_warning_errno(r, "Failed to read a record of task %s, trying again: %m",
                                  t->process.object.name);
                k = sd_event_add_time_relative(t->process.object.manager->event, &t->read_source,
                                               CLOCK_MONOTONIC, READ_AGAIN_USEC, 0, on_read_again,
                                               t);
        }
        if (k < 0)
                log_error_errno(k, "Failed to set a timer for the record of task %s: %m",
                                t->process.object.name);
        return true;
}

void task_recheck(Task *t) {
        _cleanup_(exit_record_clear) ExitRecord record = {};
        _cleanup_error_ Error e = ERROR_NULL;
        bool gone = !t->supervisor; /* before the record is read: it is written first */
        int r;

        if (t->process.status == TASK_STOPPED || t->launch)
                return;
        r = exit_record_read(t->dir_fd, &record, &e);
        if (r == 0) {
                task_stopped_by_record(t, &record);
                return;
        }
        if (task_read_again(t, r))
                return;
        if (r != -ENOENT)
                process_set_aside(&t->process, TASK_FILE_EXIT, &e);
        if (gone)
                task_stopped_unknown(t);
}

void process_recheck(Process *p) {
        if (p->object.type == OBJECT_EXEC)
                (void) exec_recheck(EXEC(&p->object), false);
        else
                task_recheck(TASK(&p->object));
}

static void on_message(const SupervisorMessage *m, void *userdata) {
        Task *t = userdata;
        Exec *x;

        switch (m->type) {
        case SUPERVISOR_CREATED:
        case SUPERVISOR_FAILED:
                launch_message(t, m);
                break;
        case SUPERVISOR_EXITED:
                task_recheck(t);
                break;
        case SUPERVISOR_EXEC_EXITED:
                x = task_find_exec(t, m->text);
                if (x)
                        (void) exec_recheck(x, false);
                break;
        case SUPERVISOR_OOM:
                task_note_oom(t, m->text);
                event_reached(&t->process, EVENT_TASK_OOM);
                break;
        default:
                log_debug("Supervisor of %s sent an unknown message %u", t->process.object.name,
                          m->type);
        }
}

static void on_gone(void *userdata) {
        Task *t = userdata;

        t->supervisor = supervisor_free(t->supervisor);
        if (t->launch) {
                launch_supervisor_gone(t);
                return;
        }
        task_recheck(t);
        if (t->process.deleting)
                (void) process_schedule(&t->process);
}

const SupervisorHandlers task_supervisor_handlers = {.message = on_message, .gone = on_gone};

void task_unit_removed(Task *t) {
        if (t->launch) {
                launch_unit_removed(t);
                return;
        }
        /* one that could not be reached at the start: now it is gone for certain. The end of any
         * other is told by its supervisor, which may still have to be heard. */
        if (t->process.status != TASK_STOPPED && !t->supervisor)
                task_recheck(t);
}
