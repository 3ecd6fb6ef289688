/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/task.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/manager.h"
#include "manager/task-internal.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

#define B(s) (UINT32_C(1) << (s))

static const uint32_t task_next[_TASK_STATUS_MAX] = {
                [TASK_UNKNOWN] = B(TASK_CREATED) | B(TASK_RUNNING) | B(TASK_STOPPED),
                [TASK_CREATED] = B(TASK_RUNNING) | B(TASK_STOPPED),
                [TASK_RUNNING] = B(TASK_PAUSING) | B(TASK_STOPPED),
                [TASK_PAUSING] = B(TASK_PAUSED) | B(TASK_RUNNING) | B(TASK_STOPPED),
                [TASK_PAUSED] = B(TASK_RUNNING) | B(TASK_STOPPED),
                [TASK_STOPPED] = 0,
};

const char *task_status_to_string(TaskStatus s) {
        static const char *const names[_TASK_STATUS_MAX] = {
                        [TASK_UNKNOWN] = "UNKNOWN", [TASK_CREATED] = "CREATED",
                        [TASK_RUNNING] = "RUNNING", [TASK_PAUSING] = "PAUSING",
                        [TASK_PAUSED] = "PAUSED",   [TASK_STOPPED] = "STOPPED",
        };

        return s < _TASK_STATUS_MAX ? names[s] : "UNKNOWN";
}

int task_dir_open(Manager *m, const char *namespace, const char *id, bool make) {
        _cleanup_close_ int namespace_fd = -1;
        int fd;

        if (make) {
                namespace_fd = dir_open_make_at(m->tasks_fd, namespace, 0700);
                return namespace_fd < 0 ? namespace_fd : dir_open_make_at(namespace_fd, id, 0700);
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

static int on_scheduled(sd_event_source *source, void *userdata) {
        Task *t = userdata;

        task_recheck(t);
        if (t->process.status == TASK_STOPPED)
                waiters_complete(&t->process.exit_waiters, &t->process.object, 0, NULL);
        if (t->process.status == TASK_STOPPED && t->container->auto_remove && !t->deleting)
                container_auto_remove(t->container);
        if (t->deleting)
                task_continue_delete(t);
        return 0;
}

int task_schedule(Task *t) {
        return sd_event_source_set_enabled(t->schedule_source, SD_EVENT_ONESHOT);
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
        r = object_init(&t->process.object, m, OBJECT_TASK, c->object.namespace, c->object.name);
        if (r < 0)
                return r;
        t->unit = strdup(unit_name_from_identifier(c->object.namespace, c->object.name, unit));
        if (!t->unit)
                return -ENOMEM;
        r = sd_event_add_defer(m->event, &t->schedule_source, on_scheduled, t);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(t->schedule_source, SD_EVENT_OFF);
        if (r < 0)
                return r;
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
        assert(!t->process.exit_waiters && !t->process.delete_waiters);
        launch_free(t->launch);
        supervisor_free(t->supervisor);
        object_done(&t->process.object);
        sd_event_source_disable_unref(t->delete_source);
        sd_event_source_disable_unref(t->schedule_source);
        if (t->container)
                t->container->task = NULL;
        fd_close(t->dir_fd);
        free(t->unit);
        json_decref(t->limits);
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

static int task_save(Task *t) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        j = json_pack("{sIsI}", "createdAt", (json_int_t) t->created_at, "startedAt",
                      (json_int_t) t->process.started_at);
        r = j ? json_to_text(j, &text) : -ENOMEM;
        if (r < 0)
                return r;
        return file_write_atomic_at(t->dir_fd, TASK_FILE_STATE, text, strlen(text), 0600, 0);
}

void task_load_times(Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        struct stat st;

        if (json_read_file_at(t->dir_fd, TASK_FILE_STATE, TASK_STATE_MAX, &j, &e) == 0) {
                (void) json_get_uint64(j, "", "createdAt", INT64_MAX, &t->created_at, NULL);
                (void) json_get_uint64(j, "", "startedAt", INT64_MAX, &t->process.started_at, NULL);
        }
        /* the manager died before it could save them: the document's own time is close */
        if (t->created_at == 0 && fstatat(t->dir_fd, TASK_FILE_LAUNCH, &st, 0) >= 0)
                t->created_at = (uint64_t) st.st_mtime * USEC_PER_SEC;
}

void task_set_status(Task *t, TaskStatus status) {
        const ManagerObserver *observer = t->process.object.manager->observer;
        int r;

        if (t->process.status == status)
                return;
        if (!(task_next[t->process.status] & B(status))) {
                log_error("Task %s cannot become %s from %s", t->process.object.name,
                          task_status_to_string(status), task_status_to_string(t->process.status));
                return;
        }
        t->process.status = status;
        if (status == TASK_CREATED)
                t->created_at = t->created_at ?: now_realtime();
        if (status == TASK_RUNNING)
                t->process.started_at = t->process.started_at ?: now_realtime();
        if (status == TASK_STOPPED)
                t->process.pid = 0;
        else {
                r = task_save(t);
                if (r < 0)
                        log_warning_errno(r, "Failed to save the times of task %s: %m",
                                          t->process.object.name);
        }
        object_mark_dirty(&t->process.object);
        if (status != TASK_STOPPED)
                return;

        if (t->process.object.linked && observer && observer->task_exited)
                observer->task_exited(t, t->process.object.manager->observer_userdata);
        r = task_schedule(t);
        if (r < 0)
                log_error_errno(r, "Failed to schedule the end of task %s: %m",
                                t->process.object.name);
}

/* There is a record: it is the truth. */
static void task_stopped_by_record(Task *t, const ExitRecord *record) {
        t->process.exit_status = record->exit_status;
        t->process.exit_known = true;
        t->process.exited_at = record->exited_at;
        t->process.exit_pid = record->pid;
        t->oom_killed = record->oom_killed;
        task_set_status(t, TASK_STOPPED);
}

/* The supervisor is gone without a record: it was killed, and with it what it watched. Never an
 * invented 0. */
static void task_stopped_unknown(Task *t) {
        log_warning("The supervisor of task %s was killed, its exit status is unknown",
                    t->process.object.name);
        scope_kill(t->process.object.manager->systemd, t->unit);
        t->process.exit_status = EXIT_STATUS_UNKNOWN;
        t->process.exit_known = false;
        t->process.exited_at = now_realtime();
        t->process.exit_pid = t->process.pid;
        task_set_status(t, TASK_STOPPED);
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
        if (r != -ENOENT)
                log_warning("The exit record of task %s is damaged: %s", t->process.object.name,
                            error_text(&e));
        if (gone)
                task_stopped_unknown(t);
}

static void on_message(const SupervisorMessage *m, void *userdata) {
        Task *t = userdata;

        switch (m->type) {
        case SUPERVISOR_CREATED:
        case SUPERVISOR_FAILED:
                launch_message(t, m);
                break;
        case SUPERVISOR_EXITED:
                task_recheck(t);
                break;
        case SUPERVISOR_OOM:
                t->oom_killed = true;
                object_mark_dirty(&t->process.object);
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
        if (t->deleting)
                (void) task_schedule(t);
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
