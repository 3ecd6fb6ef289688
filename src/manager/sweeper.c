/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/sweeper.h"

#include <dirent.h>
#include <fcntl.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "snapshot/overlayfs.h"

#define NAMES_MAX  64 /* trees for one worker; the next one takes the rest */
#define DELAY_USEC USEC_PER_SEC

struct Sweeper {
        Manager *manager;
        sd_event_source *source; /* when it is time to do something */
        sd_event_source *child;  /* the worker that removes trees */
        int pidfd;
        bool collect, doomed, more; /* more: doomed trees than the worker was given */
        Waiter *waiters;            /* for the next collection */
        Waiter *removal_waiters;    /* for the trees of the last one */
};

static void sweeper_run(Sweeper *s);

static int on_run(sd_event_source *source, uint64_t usec, void *userdata) {
        sweeper_run(userdata);
        return 0;
}

int sweeper_new(Manager *m, Sweeper **ret) {
        _cleanup_(sweeper_freep) Sweeper *s = NULL;
        int r;

        s = calloc(1, sizeof(Sweeper));
        if (!s)
                return -ENOMEM;
        s->manager = m;
        s->pidfd = -1;
        r = sd_event_add_time_relative(m->event, &s->source, CLOCK_MONOTONIC, 0, 1, on_run, s);
        if (r < 0)
                return r;
        r = sd_event_source_set_enabled(s->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        /* after whoever waits for an answer */
        r = sd_event_source_set_priority(s->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(s);
        return 0;
}

Sweeper *sweeper_free(Sweeper *s) {
        if (!s)
                return NULL;
        waiters_complete(&s->waiters, NULL, -ESHUTDOWN, NULL);
        waiters_complete(&s->removal_waiters, NULL, -ESHUTDOWN, NULL);
        sd_event_source_disable_unref(s->source);
        sd_event_source_disable_unref(s->child);
        fd_close(s->pidfd);
        free(s);
        return NULL;
}

bool sweeper_is_busy(const Sweeper *s) {
        return s->pidfd >= 0 || s->collect || s->doomed || s->waiters || s->removal_waiters;
}

/* What nobody waits for is put off a little: a worker takes longer to start than to remove what one
 * task leaves behind, and one query is as good for many tasks as for one. */
static int sweeper_schedule(Sweeper *s, uint64_t delay_usec) {
        int enabled, r;

        r = sd_event_source_get_enabled(s->source, &enabled);
        if (r < 0)
                return r;
        if (enabled != SD_EVENT_OFF && delay_usec > 0)
                return 0;
        r = sd_event_source_set_time_relative(s->source, delay_usec);
        return r < 0 ? r : sd_event_source_set_enabled(s->source, SD_EVENT_ONESHOT);
}

int sweeper_sweep(Sweeper *s) {
        s->doomed = true;
        return sweeper_schedule(s, DELAY_USEC);
}

int sweeper_doom(Sweeper *s, int64_t snapshot, Error *e) {
        int r;

        r = overlayfs_doom(s->manager->snapshots_fd, (uint64_t) snapshot, e);
        if (r != 0)
                return r;
        return sweeper_sweep(s);
}

int sweeper_collect(Sweeper *s, Callback callback, void *userdata, Error *e) {
        int r;

        if (callback) {
                r = waiter_add(&s->waiters, callback, userdata);
                if (r < 0)
                        return r;
        }
        s->collect = true;
        return sweeper_schedule(s, callback ? 0 : DELAY_USEC);
}

void sweeper_resume(Sweeper *s) {
        int r;

        if (!s->collect)
                return;
        r = sweeper_schedule(s, s->waiters ? 0 : DELAY_USEC);
        if (r < 0)
                log_error_errno(r, "Failed to schedule a collection: %m");
}

static void remove_blobs(Manager *m, json_t *blobs) {
        json_t *blob;
        size_t i;

        json_array_foreach(blobs, i, blob) {
                const char *hex = startswith(strempty(json_string_value(blob)), "sha256:");

                if (hex && !strchr(hex, '/') && unlinkat(m->content_fd, hex, 0) < 0 &&
                    errno != ENOENT)
                        log_warning_errno(errno, "Failed to remove blob sha256:%s: %m", hex);
        }
}

static int collect(Sweeper *s, Error *e) {
        json_t *blobs = NULL, *snapshots = NULL, *snapshot;
        Manager *m = s->manager;
        size_t i;
        int r;

        r = db_collect(m->db, &blobs, &snapshots, e);
        if (r != 0)
                return r;
        remove_blobs(m, blobs);
        json_array_foreach(snapshots, i, snapshot) {
                _cleanup_error_ Error local = ERROR_NULL;

                if (sweeper_doom(s, json_integer_value(snapshot), &local) != 0)
                        log_warning("%s", error_text(&local));
        }
        json_decref(blobs);
        json_decref(snapshots);
        return 0;
}

/* The doomed trees that are there, at most NAMES_MAX. */
static int list_doomed(Manager *m, char ***names) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r = 0;

        dir = dir_stream_open_at(m->snapshots_fd, ".");
        if (!dir)
                return -errno;
        for (size_t n = 0; r >= 0 && n < NAMES_MAX && (errno = 0, de = readdir(dir));)
                if (startswith(de->d_name, ".doomed-")) {
                        r = strv_extend(names, de->d_name);
                        n++;
                }
        return r;
}

static int on_removed(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Sweeper *s = userdata;
        int status = -1, r;

        r = pidfd_wait(s->pidfd, &status);
        if (r < 0 || status != 0)
                /* it stays doomed: the next one, or the next start, tries again */
                log_warning("The worker that removes snapshots ended with status %i", status);
        s->child = sd_event_source_disable_unref(s->child);
        s->pidfd = fd_close(s->pidfd);
        if (s->more && r >= 0 && status == 0)
                s->doomed = true;
        waiters_complete(&s->removal_waiters, NULL, 0, NULL);
        if (sweeper_is_busy(s))
                (void) sweeper_schedule(s, s->waiters || s->more ? 0 : DELAY_USEC);
        return 0;
}

static int start_worker(Sweeper *s, char **names) {
        _cleanup_free_ char *path = NULL, *root = NULL;
        _cleanup_strv_free_ char **argv = NULL;
        const int fds[] = {-1, STDERR_FILENO, STDERR_FILENO};
        Manager *m = s->manager;
        pid_t pid;
        int r;

        if (asprintf(&path, "%s/ctr-worker", m->libexec_dir) < 0 ||
            asprintf(&root, "--root=%s", m->state_dir) < 0)
                return -ENOMEM;
        if (strv_extend(&argv, path) < 0 || strv_extend(&argv, "remove") < 0 ||
            strv_extend(&argv, root) < 0)
                return -ENOMEM;
        STRV_FOREACH(name, names)
                if (strv_extend(&argv, *name) < 0)
                        return -ENOMEM;
        r = process_spawn(path, argv, NULL, fds, ELEMENTSOF(fds), &pid, &s->pidfd);
        if (r < 0)
                return r;
        return sd_event_add_io(m->event, &s->child, s->pidfd, EPOLLIN, on_removed, s);
}

static void sweeper_run(Sweeper *s) {
        _cleanup_strv_free_ char **names = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (s->pidfd >= 0)
                return; /* on_removed() comes back here */
        /* a pull's blobs and layers have no row yet; its end calls sweeper_resume() */
        if (s->collect && object_count(s->manager, OBJECT_JOB) == 0) {
                s->collect = false;
                r = collect(s, &e);
                if (r != 0) {
                        log_error("%s", error_text(&e));
                        waiters_complete(&s->waiters, NULL, r, &e);
                }
                s->removal_waiters = TAKE_PTR(s->waiters);
        }
        if (s->doomed) {
                s->doomed = false;
                r = list_doomed(s->manager, &names);
                s->more = strv_length(names) == NAMES_MAX;
                if (r >= 0 && names)
                        r = start_worker(s, names);
                if (r < 0)
                        log_error_errno(r, "Failed to remove old snapshots: %m");
        }
        if (s->pidfd < 0)
                waiters_complete(&s->removal_waiters, NULL, 0, NULL);
}
