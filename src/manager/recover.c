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
#include "manager/checkpoint-restore.h"
#include "manager/db.h"
#include "manager/event.h"
#include "manager/image.h"
#include "manager/limits.h"
#include "manager/manager.h"
#include "manager/recover-internal.h"
#include "manager/restart.h"
#include "manager/task-internal.h"
#include "manager/version.h"
#include "unit/log-fields.h"
#include "unit/systemd.h"

#define AUTO_REMOVE_USEC (60 * USEC_PER_SEC)

/* A container of a former manager that is to go with its task, and has none: it waits for its first
 * one, or a crash or a reboot has taken its last. */
static bool goes_without_task(const Container *c) {
        return c->auto_remove && !c->task && c->created_at < c->object.manager->recovered_at;
}

static int find_waiting(Object *o, void *userdata) {
        return goes_without_task(CONTAINER(o));
}

/* Nobody will give it a task: no client lives longer than its machine is up, and none takes that
 * long. */
static int find_left_behind(Object *o, void *userdata) {
        uint64_t now = now_realtime(), booted = now - clock_usec(CLOCK_BOOTTIME);
        Container *c = CONTAINER(o);

        if (!goes_without_task(c) ||
            (c->created_at > booted && c->created_at + AUTO_REMOVE_USEC > now))
                return 0;
        c->auto_remove = false; /* found once */
        *(Container **) userdata = c;
        return 1;
}

static void remove_left_behind(Manager *m) {
        Container *c;

        while (object_foreach(m, OBJECT_CONTAINER, NULL, find_left_behind, &c) == 1)
                container_auto_remove(c);
}

static int on_left_behind(sd_event_source *s, uint64_t usec, void *userdata) {
        remove_left_behind(userdata);
        return 0;
}

/* Those that are too young for that now are looked at again when they are not. */
static void watch_left_behind(Manager *m) {
        int r;

        m->recovered_at = now_realtime();
        remove_left_behind(m);
        if (object_foreach(m, OBJECT_CONTAINER, NULL, find_waiting, NULL) != 1)
                return;
        r = sd_event_add_time_relative(m->event, &m->left_behind_timer, CLOCK_MONOTONIC,
                                       AUTO_REMOVE_USEC, USEC_PER_SEC, on_left_behind, m);
        if (r < 0)
                log_warning_errno(r, "Containers that were to go with their tasks may stay: %m");
}

void recovery_unref(Recovery *v) {
        _cleanup_error_ Error e = ERROR_NULL, restart_error = ERROR_NULL;
        Manager *m = v->manager;

        if (--v->n_pending > 0)
                return;
        watch_left_behind(m);
        if (!v->incomplete)
                checkpoint_directories_recovered(m);
        if (!v->incomplete && event_log_collect(m, &e) != 0)
                log_error("%s", error_text(&e));
        if (restarts_recovered(m, &restart_error) != 0)
                log_error("%s", error_text(&restart_error));
        m->recovering = false;
        versions_recovered(m);
        limits_recovered(m->limits);
        strv_free(v->scopes);
        v->callback(NULL, 0, NULL, v->userdata);
        free(v);
}

bool recovery_scope_is_active(const Recovery *v, const char *unit) {
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
