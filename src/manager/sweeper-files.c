/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What is removed after its rows have gone: blobs are unlinked here, a few in each turn of the
 * loop; trees are renamed here, and removed by a worker, one at a time.
 *
 * Invariant: a file is looked up in the database once more before it is unlinked, since a job may
 * have brought its blob again.
 */

#include <dirent.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "image/content.h"
#include "manager/db.h"
#include "manager/job.h"
#include "manager/manager.h"
#include "manager/sweeper-internal.h"
#include "snapshot/overlayfs.h"

#define NAMES_MAX    64 /* trees for one worker; the next one takes the rest */
#define FAILURES_MAX 3  /* of the worker that removes trees, until nobody tries again */
#define TURN_USEC    (5 * USEC_PER_MSEC)

static bool blobs_left(const Sweeper *s) {
        return s->next_blob < s->n_blobs;
}

bool sweeper_has_files(const Sweeper *s) {
        return s->pidfd >= 0 || s->doomed || blobs_left(s);
}

void sweeper_settle(Sweeper *s) {
        if (!sweeper_has_files(s))
                waiters_complete(&s->removal_waiters, NULL, 0, NULL);
}

int sweeper_sweep(Sweeper *s) {
        s->doomed = true;
        return sweeper_schedule(s, SWEEPER_DELAY_USEC);
}

int sweeper_doom(Sweeper *s, int64_t snapshot, Error *e) {
        /* a number is given once, so it is in one of them; a missing one is no error */
        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++) {
                int r;

                r = overlayfs_doom(s->manager->snapshotters[i].dir_fd, (uint64_t) snapshot, e);
                if (r != 0)
                        return r;
        }
        return sweeper_sweep(s);
}

int sweeper_remove_blob(Sweeper *s, const char *digest) {
        char *copy, **larger;

        /* at each power of two */
        if ((s->n_blobs & (s->n_blobs - 1)) == 0) {
                larger = reallocarray(s->blobs, s->n_blobs == 0 ? 1 : s->n_blobs * 2,
                                      sizeof(char *));
                if (!larger)
                        return -ENOMEM;
                s->blobs = larger;
        }
        copy = strdup(digest);
        if (!copy)
                return -ENOMEM;
        s->blobs[s->n_blobs++] = copy;
        return sd_event_source_set_enabled(s->blobs_source, SD_EVENT_ON);
}

void sweeper_resume(Sweeper *s) {
        int r;

        if (!blobs_left(s))
                return;
        r = sd_event_source_set_enabled(s->blobs_source, SD_EVENT_ON);
        if (r < 0)
                log_error_errno(r, "Failed to go on with the removal of blobs: %m");
}

/* 1 if it has a record again, or a lease. */
static int blob_is_needed(Manager *m, const char *digest, Error *e) {
        int r;

        r = db_blob_find(m->db, digest, e);
        return r != 0 ? r : db_lease_holds(m->db, "content", digest, e);
}

static void remove_blob(Manager *m, int content_fd, const char *digest) {
        _cleanup_error_ Error e = ERROR_NULL;
        Digest d;
        int r;

        r = digest_parse(digest, &d, NULL);
        if (r != 0)
                return; /* no file has that name */
        r = blob_is_needed(m, digest, &e);
        if (r == 1)
                return;
        if (r == 0)
                r = content_remove_blob(content_fd, &d);
        /* the next start takes what stays */
        if (r != 0)
                log_warning("Failed to remove the blob %s: %s", digest, error_text_of(r, &e));
}

void sweeper_remove_blobs(Sweeper *s) {
        uint64_t until = now_monotonic() + TURN_USEC;
        _cleanup_close_ int content_fd = -1;

        if (!blobs_left(s))
                return;
        if (jobs_use_blobs(s->manager)) {
                /* sweeper_resume() comes back here */
                (void) sd_event_source_set_enabled(s->blobs_source, SD_EVENT_OFF);
                return;
        }
        content_fd = content_open(s->manager->state_fd);
        if (content_fd < 0)
                log_warning_errno(content_fd, "Failed to open the content store: %m");
        while (blobs_left(s) && now_monotonic() < until) {
                if (content_fd >= 0)
                        remove_blob(s->manager, content_fd, s->blobs[s->next_blob]);
                free(s->blobs[s->next_blob++]);
        }
        if (blobs_left(s))
                return;
        (void) sd_event_source_set_enabled(s->blobs_source, SD_EVENT_OFF);
        s->n_blobs = s->next_blob = 0;
        free(TAKE_PTR(s->blobs));
        sweeper_settle(s);
}

/* The doomed trees of one snapshotter, as far as there is room. */
static int list_doomed_of(Manager *m, size_t i, char ***names) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r = 0;

        dir = dir_stream_open_at(m->snapshotters[i].dir_fd, ".");
        if (!dir)
                return -errno;
        while (r >= 0 && strv_length(*names) < NAMES_MAX && (de = readdir(dir)))
                if (startswith(de->d_name, OVERLAYFS_DOOMED_PREFIX))
                        r = i == 0 ? strv_extend(names, de->d_name)
                                   : strv_extendf(names, "%s/%s", snapshotter_get(i)->name,
                                                  de->d_name);
        return r;
}

/* The doomed trees that are there, at most NAMES_MAX. */
static int list_doomed(Manager *m, char ***names) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < SNAPSHOTTERS_MAX; i++)
                r = list_doomed_of(m, i, names);
        return r;
}

static int on_removed(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Sweeper *s = userdata;
        int status = -1, r;

        r = pidfd_wait(s->pidfd, &status);
        if (r < 0 || status != 0)
                log_warning("The worker that removes snapshots ended with status %i", status);
        s->n_failures = r < 0 || status != 0 ? s->n_failures + 1 : 0;
        s->child = sd_event_source_disable_unref(s->child);
        s->pidfd = fd_close(s->pidfd);
        /* what stays doomed is for whoever sweeps next, or for the next start */
        if (s->n_failures > 0 ? s->n_failures < FAILURES_MAX : s->more)
                s->doomed = true;
        (void) sweeper_schedule(s, s->doomed || s->collect ? 0 : SWEEPER_DELAY_USEC);
        sweeper_settle(s);
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
        r = sd_event_add_io(m->event, &s->child, s->pidfd, EPOLLIN, on_removed, s);
        if (r < 0) {
                /* nobody would hear of its end */
                pidfd_forsake(s->pidfd);
                s->pidfd = fd_close(s->pidfd);
        }
        return r;
}

void sweeper_remove_trees(Sweeper *s) {
        _cleanup_strv_free_ char **names = NULL;
        int r;

        if (!s->doomed || s->pidfd >= 0)
                return;
        s->doomed = false;
        r = list_doomed(s->manager, &names);
        s->more = strv_length(names) == NAMES_MAX;
        if (r >= 0 && names)
                r = start_worker(s, names);
        if (r < 0)
                log_error_errno(r, "Failed to remove old snapshots: %m");
}
