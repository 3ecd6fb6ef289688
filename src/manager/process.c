/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The state that init and execs have in common: one table says which edge is legal, one function
 * takes it, saves what is to be remembered and says what happened. STOPPED is reached once, by way
 * of a record or of its absence.
 */

#include <ctype.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/checkpoint.h"
#include "manager/event.h"
#include "manager/exec-internal.h"
#include "manager/manager.h"
#include "manager/monitor.h"
#include "manager/process-internal.h"
#include "manager/task-internal.h"

#define B(s) (UINT32_C(1) << (s))

static const uint32_t process_next[_TASK_STATUS_MAX] = {
                /* found by recovery in whatever state it is */
                [TASK_UNKNOWN] = B(TASK_CREATED) | B(TASK_RUNNING) | B(TASK_PAUSED) |
                                 B(TASK_STOPPED),
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

static bool is_exec(const Process *p) {
        return p->object.type == OBJECT_EXEC;
}

Task *process_task(const Process *p) {
        return is_exec(p) ? ((const Exec *) p)->task : (Task *) p;
}

const char *process_exec_id(const Process *p) {
        return is_exec(p) ? ((const Exec *) p)->id : "";
}

TaskStatus process_status(const Process *p) {
        TaskStatus task = process_task(p)->process.status;

        return p->status != TASK_STOPPED && (task == TASK_PAUSED || task == TASK_PAUSING)
                               ? task
                               : p->status;
}

const char *process_stream(const Process *p, unsigned i) {
        return i < ELEMENTSOF(p->streams) ? strempty(p->streams[i]) : "";
}

char *process_stream_public(const Process *p, unsigned i) {
        const char *name = process_stream(p, i);
        bool is_logger = startswith(name, "binary:") || startswith(name, "binary-v2:");

        return strndup(name, is_logger ? strcspn(name, "?") : strlen(name));
}

static int describe_stream(StdioKind kind, const char *path, char **ret) {
        if (kind == STDIO_FIFO || kind == STDIO_FILE)
                return asprintf(ret, "%s:%s", stdio_kind_to_string(kind), strempty(path)) < 0
                                       ? -ENOMEM
                                       : 0;
        *ret = strdup(kind == STDIO_BINARY ? strempty(path) : stdio_kind_to_string(kind));
        return *ret ? 0 : -ENOMEM;
}

int process_set_streams(Process *p, const StdioKind kinds[static 3],
                        const char *const paths[static 3]) {
        for (size_t i = 0; i < ELEMENTSOF(p->streams); i++) {
                char *description;
                int r;

                r = describe_stream(kinds[i], paths[i], &description);
                if (r < 0)
                        return r;
                free(p->streams[i]);
                p->streams[i] = description;
        }
        return 0;
}

static int on_scheduled(sd_event_source *source, void *userdata) {
        Process *p = userdata;

        if (is_exec(p))
                exec_scheduled(EXEC(&p->object));
        else
                task_scheduled(TASK(&p->object));
        return 0;
}

int process_schedule(Process *p) {
        return sd_event_source_set_enabled(p->schedule_source, SD_EVENT_ONESHOT);
}

int process_init(Process *p, Manager *m, ObjectType type, const char *namespace, const char *name) {
        int r;

        r = object_init(&p->object, m, type, namespace, name);
        if (r < 0)
                return r;
        r = sd_event_add_defer(m->event, &p->schedule_source, on_scheduled, p);
        if (r < 0)
                return r;
        return sd_event_source_set_enabled(p->schedule_source, SD_EVENT_OFF);
}

void process_done(Process *p) {
        assert(!p->exit_waiters && !p->delete_waiters && !p->operations);

        object_done(&p->object);
        sd_event_source_disable_unref(p->schedule_source);
        for (size_t i = 0; i < ELEMENTSOF(p->streams); i++)
                free(p->streams[i]);
}

static const char *document_file(const Process *p, char buf[static TASK_EXEC_FILE_SIZE]) {
        return is_exec(p) ? exec_file_name(TASK_FILE_EXEC_PREFIX, process_exec_id(p), buf)
                          : TASK_FILE_LAUNCH;
}

void process_stamp_document(Process *p) {
        char buf[TASK_EXEC_FILE_SIZE];
        const char *name = document_file(p, buf);
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}};

        if (clock_gettime(CLOCK_REALTIME, &times[1]) < 0 ||
            utimensat(process_task(p)->dir_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                log_debug_errno(errno, "Failed to set the time of %s: %m", name);
}

void process_stamp(Process *p) {
        char name[TASK_EXEC_FILE_SIZE];
        struct stat st;

        if (p->run != 0)
                return;
        if (fstatat(process_task(p)->dir_fd, document_file(p, name), &st, AT_SYMLINK_NOFOLLOW) >= 0)
                p->run = (uint64_t) st.st_mtim.tv_sec * USEC_PER_SEC +
                         (uint64_t) st.st_mtim.tv_nsec / NSEC_PER_USEC;
        else
                p->run = now_realtime();
}

static const char *state_file(const Process *p, char buf[static TASK_EXEC_FILE_SIZE]) {
        return is_exec(p) ? exec_file_name(TASK_FILE_STATE_PREFIX, process_exec_id(p), buf)
                          : TASK_FILE_STATE;
}

int process_save(Process *p) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        char name[TASK_EXEC_FILE_SIZE];
        int r;

        j = json_pack("{sIsIsb}", "createdAt", (json_int_t) p->run, "startedAt",
                      (json_int_t) p->started_at, "exitTold", (int) p->exit_told);
        if (j && is_exec(p) && exec_save(EXEC(&p->object), j) < 0)
                return -ENOMEM;
        if (j && !is_exec(p) && TASK(&p->object)->committing &&
            json_object_set_new(j, "committing", json_true()) < 0)
                return -ENOMEM;
        r = j && !is_exec(p) ? checkpoint_save(TASK(&p->object), j) : j ? 0 : -ENOMEM;
        if (r >= 0)
                r = json_to_text(j, &text);
        if (r < 0)
                return r;
        return file_write_atomic_at(process_task(p)->dir_fd, state_file(p, name), text,
                                    strlen(text), 0600, 0);
}

void process_set_aside(Process *p, const char *name, const Error *e) {
        int dir_fd = process_task(p)->dir_fd;
        _cleanup_free_ char *aside = NULL;

        if (asprintf(&aside, "%s.damaged", name) < 0 || renameat(dir_fd, name, dir_fd, aside) < 0)
                log_warning_errno(errno, "Failed to set %s of %s aside: %m", name, p->object.name);
        log_warning("%s of task %s is damaged and was set aside: %s", name, p->object.name,
                    error_text(e));
}

static int read_state(Process *p, json_t *j, Error *e) {
        int r;

        r = json_get_uint64(j, "", "createdAt", INT64_MAX, &p->run, e);
        if (r >= 0)
                r = json_get_uint64(j, "", "startedAt", INT64_MAX, &p->started_at, e);
        if (r >= 0)
                r = json_get_bool(j, "", "exitTold", &p->exit_told, e);
        if (r >= 0 && is_exec(p))
                r = exec_load(EXEC(&p->object), j, e);
        if (r >= 0 && !is_exec(p))
                r = json_get_bool(j, "", "committing", &TASK(&p->object)->committing, e);
        if (r >= 0 && !is_exec(p))
                r = checkpoint_load(TASK(&p->object), j, e);
        return MIN_OF(r, 0);
}

void process_load(Process *p) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        char name[TASK_EXEC_FILE_SIZE];
        int r;

        r = json_read_file_at(process_task(p)->dir_fd, state_file(p, name), TASK_STATE_MAX, &j, &e);
        if (r == 0)
                r = read_state(p, j, &e);
        if (r != 0 && r != -ENOENT)
                process_set_aside(p, state_file(p, name), &e);
        process_stamp(p);
}

static void save_or_log(Process *p) {
        int r;

        r = process_save(p);
        if (r < 0)
                log_warning_errno(r, "Failed to save the state of %s: %m", p->object.name);
}

/* It is seen to run, or to have run, for the first time; what is saved tells the next manager that
 * it was. */
static void note_start(Process *p, uint64_t at) {
        const ManagerObserver *observer = p->object.manager->observer;

        if (p->started_at != 0)
                return;
        p->started_at = at;
        save_or_log(p);
        if (observer && observer->process_started)
                observer->process_started(p, p->object.manager->observer_userdata);
}

/* Once: also of a task that ended while there was no manager, and whoever it was that saw it. Of an
 * exec only the signal is of use, and to those who see the exec. */
static void tell_exit(Process *p) {
        const ManagerObserver *observer = p->object.manager->observer;

        if (is_exec(p) ? !p->object.linked : p->exit_told)
                return;
        if (!is_exec(p)) {
                p->exit_told = true;
                save_or_log(p);
        }
        object_tell_change(&p->object); /* who looks then sees that it has exited */
        if (observer && observer->process_exited)
                observer->process_exited(p, p->object.manager->observer_userdata);
}

/* The times that belong to the status, saved when they are new. */
static void note_times(Process *p, TaskStatus status) {
        uint64_t run = p->run;

        process_stamp(p);
        if (run != p->run)
                save_or_log(p);
        if (status == TASK_RUNNING || status == TASK_PAUSED)
                note_start(p, now_realtime());
}

/* What the new status means to those who follow events; what was said before is not said again. */
static void note_events(Process *p, TaskStatus before) {
        bool exec = is_exec(p);

        if (p->status == TASK_CREATED)
                event_reached(p, exec ? EVENT_TASK_EXEC_ADDED : EVENT_TASK_CREATE);
        if ((p->status == TASK_RUNNING || p->status == TASK_PAUSED) && before != TASK_PAUSING)
                event_reached(p, exec ? EVENT_TASK_EXEC_STARTED : EVENT_TASK_START);
        if (p->status == TASK_PAUSED)
                event_reached(p, EVENT_TASK_PAUSED);
        /* also of a former manager that was killed before it could say so */
        if (p->status == TASK_RUNNING && !exec && before != TASK_PAUSING && before != TASK_CREATED)
                event_reached(p, EVENT_TASK_RESUMED);
        if (p->status == TASK_STOPPED)
                event_reached(p, EVENT_TASK_EXIT);
}

static void mark_dirty(Process *p) {
        object_mark_dirty(&p->object);
        if (is_exec(p))
                return;
        /* they are PAUSED with it (D17) */
        for (Exec *x = TASK(&p->object)->execs; x; x = x->task_next)
                object_mark_dirty(&x->process.object);
}

void process_set_status(Process *p, TaskStatus status) {
        TaskStatus before = p->status;
        int r;

        if (before == status)
                return;
        if (!(process_next[before] & B(status))) {
                log_error("%s cannot become %s from %s", p->object.name,
                          task_status_to_string(status), task_status_to_string(before));
                return;
        }
        p->status = status;
        if (status == TASK_STOPPED)
                p->pid = 0;
        else
                note_times(p, status);
        note_events(p, before);
        mark_dirty(p);
        if (status != TASK_STOPPED)
                return;

        tell_exit(p);
        if (!is_exec(p))
                monitor_exited(TASK(&p->object));
        r = process_schedule(p);
        if (r < 0)
                log_error_errno(r, "Failed to schedule the end of %s: %m", p->object.name);
}

void process_stopped_by_record(Process *p, const ExitRecord *record) {
        p->exit_status = record->exit_status;
        p->exit_known = true;
        p->exited_at = record->exited_at;
        p->exit_pid = record->pid;
        p->ran = record->started && !record->error;
        p->terminated = record->terminated;
        /* the exit was seen before the answer to Start, or that answer by a former manager only */
        if (p->ran)
                note_start(p, MIN_OF(now_realtime(), record->exited_at));
        process_set_status(p, TASK_STOPPED);
}

void process_stopped_unknown(Process *p) {
        p->exit_status = EXIT_STATUS_UNKNOWN;
        p->exit_known = false;
        p->exited_at = now_realtime();
        p->exit_pid = p->pid;
        process_set_status(p, TASK_STOPPED);
}

/* "Process "sh" of task "web"" */
static char *process_title(const Process *p) {
        const char *task = process_task(p)->process.object.name;
        char *title;
        int r;

        r = is_exec(p) ? asprintf(&title, "Process \"%s\" of task \"%s\"", process_exec_id(p), task)
                       : asprintf(&title, "Task \"%s\"", task);
        return r < 0 ? NULL : title;
}

int process_wrong_state(const Process *p, const char *before, const char *after, Error *e) {
        const char *status = task_status_to_string(process_status(p));
        _cleanup_free_ char *title = process_title(p);
        char lower[16] = "";

        for (size_t i = 0; status[i] && i + 1 < sizeof(lower); i++)
                lower[i] = (char) tolower((unsigned char) status[i]);
        return error_setf(e, CTR_FAILED_PRECONDITION, "%s is %s: %s%s%s", strempty(title), status,
                          before, lower, after);
}

int process_already_exited(const Process *p, Error *e) {
        _cleanup_free_ char *title = process_title(p);

        return error_setf(e, CTR_NOT_FOUND, "%s is STOPPED: process already finished",
                          strempty(title));
}
