/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/manager.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "config.h"
#include "manager/blockio.h"
#include "manager/db.h"
#include "manager/event.h"
#include "manager/image.h"
#include "manager/job.h"
#include "manager/lease.h"
#include "manager/leftovers.h"
#include "manager/limits.h"
#include "manager/rdt.h"
#include "manager/restart.h"
#include "manager/runtime-name.h"
#include "manager/secret.h"
#include "manager/sweeper.h"
#include "manager/task-internal.h"
#include "manager/usage.h"
#include "unit/systemd.h"

#define SECCOMP_MAX  (1024U * 1024)
#define BOOT_ID_PATH "/proc/sys/kernel/random/boot_id"

/* Tells the observer about each object that changed since the last turn of the loop. */
static int on_dirty(sd_event_source *source, void *userdata) {
        objects_tell_changes(userdata);
        return 0;
}

static void on_unit_removed(const char *unit, void *userdata) {
        _cleanup_free_ char *namespace = NULL, *id = NULL;
        Manager *m = userdata;
        Object *o;

        if (unit_name_to_identifier(unit, &namespace, &id) < 0)
                return;
        /* by way of the container: a task that is being made is not in the index yet */
        o = object_find(m, OBJECT_CONTAINER, namespace, id);
        if (o && CONTAINER(o)->task)
                task_unit_removed(CONTAINER(o)->task);
}

static int open_dir(const char *base, const char *name, int *ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        int fd;

        if (asprintf(&path, "%s%s", base, name) < 0)
                return -ENOMEM;
        fd = dir_open_make_at(AT_FDCWD, path, 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to make or open %s: %m", path);
        *ret = fd;
        return 0;
}

int manager_open_tasks(Manager *m, Error *e) {
        int fd, r;

        r = open_dir(m->runtime_dir, "/tasks", &fd, e);
        if (r != 0)
                return r;
        fd_close(m->tasks_fd);
        m->tasks_fd = fd;
        return 0;
}

static int open_dirs(Manager *m, Error *e) {
        _cleanup_close_ int ingest_fd = -1;
        const struct {
                const char *name;
                int *fd;
        } dirs[] = {
                        {"", &m->state_fd},
                        {"/content/sha256", &m->content_fd},
                        {"/content/ingest", &ingest_fd},
                        {"/snapshots/overlayfs", &m->snapshots_fd},
                        {"/" SECRETS_DIRECTORY, &m->secrets_fd},
        };

        for (size_t i = 0; i < ELEMENTSOF(dirs); i++) {
                int r = open_dir(m->state_dir, dirs[i].name, dirs[i].fd, e);

                if (r != 0)
                        return r;
        }
        m->snapshotters[0].dir_fd = m->snapshots_fd;
        for (size_t i = 1; i < SNAPSHOTTERS_MAX; i++) {
                const char *name = snapshotter_get(i)->directory;

                m->snapshotters[i].dir_fd = dir_open_make_at(m->state_fd, name, 0700);
                if (m->snapshotters[i].dir_fd < 0)
                        return error_setf(e, m->snapshotters[i].dir_fd,
                                          "Failed to make or open %s/%s: %m", m->state_dir, name);
        }
        return manager_open_tasks(m, e);
}

/* A program that a container tricks into running as /proc/self/exe must not be able to write to it
 * (CVE-2019-5736). */
static int open_supervisor(Manager *m, Error *e) {
        _cleanup_free_ char *path = NULL;

        if (asprintf(&path, "%s/ctr-supervisor", m->libexec_dir) < 0)
                return -ENOMEM;
        m->supervisor_fd = executable_open_readonly(path);
        if (m->supervisor_fd < 0)
                return error_setf(e, m->supervisor_fd, "Failed to open %s: %m", path);
        return 0;
}

static int read_boot_id(Manager *m, const char *given, Error *e) {
        _cleanup_fclose_ FILE *f = NULL;

        if (given) {
                (void) snprintf(m->boot_id, sizeof(m->boot_id), "%s", given);
                return 0;
        }
        f = fopen(BOOT_ID_PATH, "re");
        if (!f || !fgets(m->boot_id, sizeof(m->boot_id), f))
                return error_setf(e, errno > 0 ? -errno : -EIO, "Failed to read %s: %m",
                                  BOOT_ID_PATH);
        m->boot_id[strcspn(m->boot_id, "\n")] = '\0';
        return 0;
}

static int load_seccomp(Manager *m, const char *data_dir, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        fd = open(data_dir, O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", data_dir);
        r = json_read_file_at(fd, "seccomp.json", SECCOMP_MAX, &m->seccomp, e);
        if (r == 0)
                r = json_read_file_at(fd, "seccomp-capabilities.json", SECCOMP_MAX,
                                      &m->seccomp_capabilities, e);
        return r != 0 ? error_prefix(e, r, "The default seccomp profile in %s", data_dir) : 0;
}

/* A5.2: without them the service starts all the same; who asks for a class is told. */
static void load_classes(Manager *m, const ManagerParameters *p) {
        _cleanup_error_ Error blockio = ERROR_NULL, rdt = ERROR_NULL;

        if (!isempty(p->blockio_config) &&
            blockio_load(p->blockio_config, &m->blockio, &blockio) != 0)
                log_error("No block I/O classes: %s", error_text(&blockio));
        if (!isempty(p->rdt_config) &&
            rdt_load(p->rdt_config, p->resctrl_dir ?: RDT_DIR, &m->rdt, &rdt) != 0)
                log_error("No RDT classes: %s", error_text(&rdt));
}

int manager_new(sd_event *event, Systemd *systemd, const ManagerParameters *p, Manager **ret,
                Error *e) {
        _cleanup_(manager_freep) Manager *m = NULL;
        int r;

        assert(event && systemd && p && ret);

        m = calloc(1, sizeof(Manager));
        if (!m)
                return -ENOMEM;
        m->state_fd = m->snapshots_fd = m->content_fd = m->tasks_fd = m->supervisor_fd = -1;
        m->secrets_fd = -1;
        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++)
                m->snapshotters[i].dir_fd = -1;
        m->event = sd_event_ref(event);
        m->systemd = systemd;
        m->state_dir = strdup(p->state_dir);
        m->runtime_dir = strdup(p->runtime_dir);
        m->libexec_dir = strdup(p->libexec_dir);
        m->runtime_path = strdup(isempty(p->runtime_path) ? RUNTIME_PATH_DEFAULT : p->runtime_path);
        if (!m->state_dir || !m->runtime_dir || !m->libexec_dir || !m->runtime_path ||
            free_and_strdup(&m->subid_user, p->subid_user) < 0 ||
            free_and_strdup(&m->etc_dir, p->etc_dir) < 0)
                return -ENOMEM;
        r = snapshotters_set_default(m, p->snapshotter, e);
        if (r == 0)
                r = open_dirs(m, e);
        if (r != 0)
                return r;
        r = p->data_dir ? load_seccomp(m, p->data_dir, e) : 0;
        if (r != 0)
                return r;
        r = open_supervisor(m, e);
        if (r != 0)
                return r;
        r = db_open(m->state_dir, &m->db, e);
        if (r != 0)
                return r;
        r = read_boot_id(m, p->boot_id, e);
        if (r == 0)
                r = event_log_new(m, &m->events, e);
        if (r != 0)
                return r;
        /* on a read-only file system none is available, and everybody is told why by the database
         */
        snapshotters_check(m, p->check_snapshotters && !db_is_readonly(m->db));
        load_classes(m, p);
        r = limits_new(m, p->transient_dir, &m->limits, e);
        if (r < 0)
                return r;
        r = restarts_new(m, p->restart_times, &m->restarts, e);
        if (r != 0)
                return r;
        r = sweeper_new(m, &m->sweeper);
        if (r >= 0)
                r = leases_new(m, &m->leases);
        if (r >= 0)
                r = leftovers_new(m, &m->leftovers);
        if (r < 0)
                return r;
        r = sd_event_add_defer(event, &m->dirty_source, on_dirty, m);
        if (r >= 0)
                r = sd_event_source_set_enabled(m->dirty_source, SD_EVENT_OFF);
        /* after everything else of this turn, before the loop sleeps */
        if (r >= 0)
                r = sd_event_source_set_priority(m->dirty_source, SD_EVENT_PRIORITY_IDLE - 1);
        if (r < 0)
                return error_setf(e, r, "Failed to set up the event loop: %m");
        systemd_set_unit_removed(systemd, on_unit_removed, m);
        *ret = TAKE_PTR(m);
        return 0;
}

static int take_first(Object *o, void *userdata) {
        *(Object **) userdata = o;
        return 1;
}

/* Callers that still wait are told -ESHUTDOWN, which src/bus/ passes over in silence: the bus
 * itself tells them that we are gone, and they may ask our successor. */
static void free_objects(Manager *m, ObjectType type) {
        Object *o;

        while (object_foreach(m, type, NULL, take_first, &o) == 1) {
                if (type == OBJECT_TASK)
                        task_abandon(TASK(o));
                else if (type == OBJECT_CONTAINER) {
                        if (CONTAINER(o)->task) /* being made, so not in the index */
                                task_abandon(CONTAINER(o)->task);
                        container_free(CONTAINER(o));
                } else if (type == OBJECT_IMAGE)
                        image_free(IMAGE(o));
                else {
                        waiters_complete(&JOB(o)->waiters, o, -ESHUTDOWN, NULL);
                        job_free(JOB(o));
                }
        }
}

Manager *manager_free(Manager *m) {
        if (!m)
                return NULL;
        m->observer = NULL;
        systemd_set_unit_removed(m->systemd, NULL, NULL);
        limits_free(m->limits);
        blockio_free(m->blockio);
        rdt_free(m->rdt);
        free_objects(m, OBJECT_JOB);
        jobs_forget_ended(m);
        free_objects(m, OBJECT_TASK);
        free_objects(m, OBJECT_CONTAINER);
        free_objects(m, OBJECT_IMAGE);
        container_deletes_cancel(m);
        usages_cancel(m);
        leftovers_free(m->leftovers);
        sweeper_free(m->sweeper);
        leases_free(m->leases);
        restarts_free(m->restarts);
        event_log_free(m->events);
        sd_event_source_disable_unref(m->dirty_source);
        sd_event_source_disable_unref(m->left_behind_timer);
        db_close(m->db);
        fd_close(m->state_fd);
        fd_close(m->snapshots_fd);
        fd_close(m->secrets_fd);
        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++) {
                if (i > 0)
                        fd_close(m->snapshotters[i].dir_fd);
                free(m->snapshotters[i].reason);
        }
        free(m->snapshots_link);
        fd_close(m->content_fd);
        fd_close(m->tasks_fd);
        json_decref(m->seccomp);
        json_decref(m->seccomp_capabilities);
        fd_close(m->supervisor_fd);
        free(m->state_dir);
        free(m->runtime_dir);
        free(m->runtime_path);
        free(m->subid_user);
        free(m->etc_dir);
        free(m->libexec_dir);
        sd_event_unref(m->event);
        free(m);
        return NULL;
}

void manager_set_observer(Manager *m, const ManagerObserver *observer, void *userdata) {
        m->observer = observer;
        m->observer_userdata = userdata;
}

/* Or is about to have one. */
static int has_task(Object *o, void *userdata) {
        return CONTAINER(o)->task || CONTAINER(o)->version_operation ? 1 : 0;
}

bool manager_is_idle(const Manager *m) {
        return !m->recovering && !m->usages && !m->pending_deletes &&
               object_count(m, OBJECT_JOB) == 0 && !sweeper_is_busy(m->sweeper) &&
               !leftovers_is_busy(m->leftovers) && !event_log_is_busy(m->events) &&
               !restarts_are_busy(m->restarts) && object_count(m, OBJECT_TASK) == 0 &&
               object_foreach((Manager *) m, OBJECT_CONTAINER, NULL, has_task, NULL) == 0;
}

static int namespace_write(Manager *m, const char *name, json_t *labels,
                           int (*write)(Database *db, const char *name, const char *labels,
                                        Error *e),
                           Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = namespace_validate(name, e);
        if (r != 0)
                return r;
        r = json_to_text(labels, &text);
        return r < 0 ? r : write(m->db, name, text, e);
}

int manager_namespace_create(Manager *m, const char *name, json_t *labels, Error *e) {
        return namespace_write(m, name, labels, db_namespace_create, e);
}

int manager_namespace_set_labels(Manager *m, const char *name, json_t *labels, Error *e) {
        return namespace_write(m, name, labels, db_namespace_set_labels, e);
}

int manager_namespace_delete(Manager *m, const char *name, Error *e) {
        int r;

        r = namespace_validate(name, e);
        return r != 0 ? r : db_namespace_delete(m->db, name, e);
}

int manager_namespace_list(Manager *m, json_t **ret, Error *e) {
        return db_namespace_list(m->db, ret, e);
}
