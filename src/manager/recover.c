/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The start: memory is filled from the rows, then the rows are compared with what is there. What no
 * row refers to is removed, what a row refers to and is gone is reported; nothing is guessed.
 *
 *   rows                  images, containers
 *   /var/lib/ctr          snapshots and blobs, with and without a row (recover-store.c)
 *   /run/ctr/tasks        one directory per task: record x supervisor x scope decide what it is
 *   systemd               scopes of ours that no task owns are killed
 *
 * Invariant: only what is known to be nobody's is killed. Who cannot look (no memory, no
 * descriptor, no answer of systemd) leaves things as they are.
 */

#include <dirent.h>
#include <fcntl.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/image.h"
#include "manager/limits.h"
#include "manager/manager.h"
#include "manager/recover-internal.h"
#include "manager/task-internal.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

/* A supervisor may be busy with a container's set-up or exec() for 30 s; nobody waits that long for
 * the state (A5.1), and the task is UNKNOWN until it answers. */
#define PATIENCE_USEC      (2 * USEC_PER_SEC)
#define HELLO_TIMEOUT_USEC (40 * USEC_PER_SEC)
/* between GO and its control socket a supervisor cannot be reached; the manager that gave the GO
 * may have died in that moment */
#define CONNECT_RETRY_USEC (50 * USEC_PER_MSEC)
#define CONNECT_TRIES      30
#define AUTO_REMOVE_USEC   (60 * USEC_PER_SEC)
/* between bind() and listen(), or it was killed */
#define REFUSED_TRIES 2

typedef struct Recovery {
        Manager *manager;
        char **scopes;
        bool scopes_known;
        bool incomplete; /* not everything in /run/ctr/tasks could be looked at */
        Callback callback;
        void *userdata;
        size_t n_pending; /* tasks whose supervisor has not answered yet, and one for the scan */
} Recovery;

typedef struct Probe {
        Recovery *recovery;
        Task *task;
        sd_event_source *timer;
        unsigned tries;
} Probe;

/* A container that was to go with its task, which a crash or a reboot has taken: 1 and it. A young
 * one may be waiting for its first task. */
static int find_left_behind(Object *o, void *userdata) {
        Container *c = CONTAINER(o);

        if (!c->auto_remove || c->task || c->created_at + AUTO_REMOVE_USEC > now_realtime())
                return 0;
        c->auto_remove = false; /* found once */
        *(Container **) userdata = c;
        return 1;
}

static void recovery_unref(Recovery *v) {
        Manager *m = v->manager;
        Container *c;

        if (--v->n_pending > 0)
                return;
        while (object_foreach(m, OBJECT_CONTAINER, NULL, find_left_behind, &c) == 1)
                container_auto_remove(c);
        m->recovering = false;
        limits_recovered(m->limits);
        strv_free(v->scopes);
        v->callback(NULL, 0, NULL, v->userdata);
        free(v);
}

/* Or may be. */
static bool scope_is_active(const Recovery *v, const char *unit) {
        STRV_FOREACH(s, v->scopes)
                if (streq(*s, unit))
                        return true;
        return !v->scopes_known;
}

static int add_image(Manager *m, Image *i) {
        int r = object_link(&i->object);

        if (r < 0)
                image_free(i);
        return r;
}

static int add_container(Manager *m, Container *c) {
        int r = object_link(&c->object);

        if (r < 0)
                container_free(c);
        return r;
}

static int recover_rows(Manager *m, Error *e) {
        int r;

        r = db_images_load(m->db, m, add_image, e);
        if (r != 0)
                return r;
        return db_containers_load(m->db, m, add_container, e);
}

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
        recovery_unref(v);
}

/* Whatever the supervisor said, or that there is none: record and supervisor decide. */
static void probe_done(Probe *p) {
        if (p->task->process.status == TASK_UNKNOWN)
                task_recheck(p->task);
        probe_release(p);
        probe_free(p);
}

static int on_patience_over(sd_event_source *source, uint64_t usec, void *userdata) {
        probe_release(userdata);
        return 0;
}

static void on_hello(int r, const Error *e, const SupervisorMessage *reply, void *userdata) {
        Probe *p = userdata;
        Task *t = p->task;

        if (r == -ESHUTDOWN) {
                probe_free(p);
                return;
        }
        if (r != 0 || reply->number != SUPERVISOR_PROTOCOL_VERSION) {
                log_warning("The supervisor of task %s is of no use (%s), ending it",
                            t->process.object.name,
                            r != 0 ? error_text(e) : "it is of another version");
                if (t->supervisor)
                        supervisor_kill(t->supervisor);
        } else if (!(reply->flags & SUPERVISOR_STATE_EXITED)) {
                t->process.pid = reply->pid;
                task_set_status(t, reply->flags & SUPERVISOR_STATE_STARTED ? TASK_RUNNING
                                                                           : TASK_CREATED);
        }
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

        return p->tries++ < max && (!is_gone(r) || scope_is_active(p->recovery, p->task->unit)) &&
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

        r = supervisor_request(t->supervisor, &(SupervisorMessage){.type = SUPERVISOR_HELLO},
                               HELLO_TIMEOUT_USEC, on_hello, p);
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

static int recover_task(Recovery *v, Container *c, int dir_fd) {
        _cleanup_free_ Probe *p = NULL;
        Task *t;
        int r;

        p = malloc(sizeof(Probe));
        if (!p)
                return -ENOMEM;
        r = task_new(c, dir_fd, &t);
        if (r < 0)
                return r;
        task_load_times(t);
        *p = (Probe){.recovery = v, .task = t};
        v->n_pending++;
        probe_connect(TAKE_PTR(p));
        return 0;
}

/* One directory of /run/ctr/tasks/<namespace>. Whatever is wrong with it stops nothing else. */
static void recover_task_dir(Recovery *v, const char *namespace, const char *id) {
        Manager *m = v->manager;
        _cleanup_close_ int fd = -1;
        char unit[UNIT_NAME_SIZE];
        Object *o;
        int r;

        if (!identifier_is_valid(namespace) || !identifier_is_valid(id))
                return;
        o = object_find(m, OBJECT_CONTAINER, namespace, id);
        if (!o) {
                log_warning("The task %s of namespace %s has no container, removing it", id,
                            namespace);
                unit_name_from_identifier(namespace, id, unit);
                scope_kill(m->systemd, unit);
                log_fields_remove(unit);
                (void) task_dir_remove(m, namespace, id);
                return;
        }
        fd = task_dir_open(m, namespace, id, false);
        r = fd < 0 ? fd : recover_task(v, CONTAINER(o), fd);
        if (r < 0) {
                log_error_errno(r, "Failed to recover the task %s of namespace %s: %m", id,
                                namespace);
                v->incomplete = true;
        } else
                TAKE_FD(fd);
}

typedef void (*Visit)(Recovery *v, const char *parent, const char *name);

static void foreach_name(Recovery *v, const char *parent, Visit visit) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(v->manager->tasks_fd, parent);
        while (dir && (errno = 0, de = readdir(dir)))
                if (de->d_name[0] != '.')
                        visit(v, parent, de->d_name);
        if (errno == 0)
                return;
        log_warning_errno(errno, "Failed to list the tasks in %s: %m", parent);
        v->incomplete = true;
}

static void visit_task(Recovery *v, const char *parent, const char *name) {
        recover_task_dir(v, parent, name);
}

static void visit_namespace(Recovery *v, const char *parent, const char *name) {
        foreach_name(v, name, visit_task);
}

static void kill_orphans(Recovery *v) {
        STRV_FOREACH(unit, v->scopes) {
                _cleanup_free_ char *namespace = NULL, *id = NULL;
                Object *o = NULL;

                if (unit_name_to_identifier(*unit, &namespace, &id) == 0)
                        o = object_find(v->manager, OBJECT_CONTAINER, namespace, id);
                if (o && CONTAINER(o)->task)
                        continue;
                log_warning("The scope %s belongs to no task, killing it", *unit);
                scope_kill(v->manager->systemd, *unit);
        }
}

static void on_scopes(int r, char **units, const Error *e, void *userdata) {
        Recovery *v = userdata;

        if (r != 0)
                log_warning("%s", error_text(e));
        v->scopes = strv_copy(units);
        v->scopes_known = r == 0 && v->scopes;
        foreach_name(v, ".", visit_namespace);
        if (v->scopes_known && !v->incomplete)
                kill_orphans(v);
        recovery_unref(v);
}

int manager_recover(Manager *m, Callback callback, void *userdata, Error *e) {
        _cleanup_free_ Recovery *v = NULL;
        int r;

        m->recovering = true;
        r = recover_rows(m, e);
        if (r != 0)
                return r;
        r = recover_store(m, e);
        if (r != 0)
                return r;
        v = malloc(sizeof(Recovery));
        if (!v)
                return -ENOMEM;
        *v = (Recovery){
                        .manager = m,
                        .callback = callback,
                        .userdata = userdata,
                        .n_pending = 1,
        };
        r = scope_list(m->systemd, on_scopes, v);
        if (r < 0)
                return error_setf(e, r, "Failed to list systemd's scopes: %m");
        TAKE_PTR(v);
        return 0;
}
