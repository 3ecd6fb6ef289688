/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/sweeper.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "image/content.h"
#include "manager/collection.h"
#include "manager/db.h"
#include "manager/job.h"
#include "manager/manager.h"
#include "snapshot/overlayfs.h"

#define NAMES_MAX     64 /* trees for one worker; the next one takes the rest */
#define DELAY_USEC    USEC_PER_SEC
#define START_USEC    (100 * USEC_PER_MSEC)
#define MUTATIONS_MAX 100
#define FAILURES_MAX  3 /* of the worker that removes trees, until nobody tries again */
#define PAUSE_THRESHOLD                                                                            \
        50 /* a collection is followed by that many times its own time without one */
#define TURN_USEC (5 * USEC_PER_MSEC)

struct Sweeper {
        Manager *manager;
        sd_event_source *source; /* when it is time to do something */

        Collection *collection; /* the one that is under way */
        Collected collected;
        bool collect; /* another one is wanted */
        unsigned mutations;
        uint64_t not_before; /* monotonic; for what nobody waits for */

        char **blobs; /* digests whose files may go, the next one first */
        size_t n_blobs, next_blob;
        sd_event_source *blobs_source;

        sd_event_source *child; /* the worker that removes trees */
        int pidfd;
        bool doomed, more;   /* more: doomed trees than the worker was given */
        unsigned n_failures; /* of workers in a row */

        Waiter *waiters;            /* for the next collection */
        Waiter *collection_waiters; /* for the one that is under way */
        Waiter *removal_waiters;    /* for the files and trees of the last one */
};

static void sweeper_run(Sweeper *s);
static int on_blobs(sd_event_source *source, void *userdata);

static int on_run(sd_event_source *source, uint64_t usec, void *userdata) {
        sweeper_run(userdata);
        return 0;
}

/* After whoever waits for an answer, and only when there is something to do. */
static int set_up_source(sd_event_source *source) {
        int r;

        r = sd_event_source_set_enabled(source, SD_EVENT_OFF);
        return r < 0 ? r : sd_event_source_set_priority(source, SD_EVENT_PRIORITY_IDLE);
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

/* When the next collection may come. */
static uint64_t collection_delay(const Sweeper *s) {
        uint64_t now = now_monotonic();

        if (s->waiters)
                return 0;
        return MAX_OF(DELAY_USEC, s->not_before > now ? s->not_before - now : 0);
}

static void on_mutation(void *userdata) {
        Sweeper *s = userdata;

        if (s->collection && collection_is_writing(s->collection))
                return;
        if (++s->mutations < MUTATIONS_MAX || s->collect)
                return;
        s->collect = true;
        if (sweeper_schedule(s, collection_delay(s)) < 0)
                log_warning("Failed to schedule a collection");
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
        if (r >= 0)
                r = set_up_source(s->source);
        if (r >= 0)
                r = sd_event_add_defer(m->event, &s->blobs_source, on_blobs, s);
        if (r >= 0)
                r = set_up_source(s->blobs_source);
        if (r < 0)
                return r;
        db_set_on_mutation(m->db, on_mutation, s);
        *ret = TAKE_PTR(s);
        return 0;
}

Sweeper *sweeper_free(Sweeper *s) {
        if (!s)
                return NULL;
        db_set_on_mutation(s->manager->db, NULL, NULL);
        waiters_complete(&s->waiters, NULL, -ESHUTDOWN, NULL);
        waiters_complete(&s->collection_waiters, NULL, -ESHUTDOWN, NULL);
        waiters_complete(&s->removal_waiters, NULL, -ESHUTDOWN, NULL);
        collection_free(s->collection);
        sd_event_source_disable_unref(s->source);
        sd_event_source_disable_unref(s->blobs_source);
        sd_event_source_disable_unref(s->child);
        fd_close(s->pidfd);
        for (size_t i = s->next_blob; i < s->n_blobs; i++)
                free(s->blobs[i]);
        free(s->blobs);
        free(s);
        return NULL;
}

static bool blobs_left(const Sweeper *s) {
        return s->next_blob < s->n_blobs;
}

bool sweeper_is_busy(const Sweeper *s) {
        return s->pidfd >= 0 || s->collection || s->collect || s->doomed || blobs_left(s) ||
               s->waiters || s->removal_waiters;
}

const Collected *sweeper_collected(const Sweeper *s) {
        return &s->collected;
}

/* Whoever waited for the files and trees is told, when all of them have gone. */
static void sweeper_settle(Sweeper *s) {
        if (s->pidfd < 0 && !s->doomed && !blobs_left(s))
                waiters_complete(&s->removal_waiters, NULL, 0, NULL);
}

int sweeper_sweep(Sweeper *s) {
        s->doomed = true;
        return sweeper_schedule(s, DELAY_USEC);
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

int sweeper_collect(Sweeper *s, Callback callback, void *userdata, Error *e) {
        int r;

        if (callback) {
                r = waiter_add(&s->waiters, callback, userdata);
                if (r < 0)
                        return r;
        }
        s->collect = true;
        return sweeper_schedule(s, collection_delay(s));
}

int sweeper_collect_at_start(Sweeper *s, Error *e) {
        int r;

        s->collect = true;
        r = sweeper_schedule(s, START_USEC);
        return r < 0 ? error_setf(e, r, "Failed to schedule a collection: %m") : 0;
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

static int on_blobs(sd_event_source *source, void *userdata) {
        sweeper_remove_blobs(userdata);
        return 0;
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
        (void) sweeper_schedule(s, s->doomed || s->collect ? 0 : DELAY_USEC);
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

static void on_collected(int r, const Error *e, void *userdata) {
        Sweeper *s = userdata;

        s->collection = collection_free(s->collection);
        s->not_before = now_monotonic() + PAUSE_THRESHOLD * s->collected.busy_usec;
        if (r != 0) {
                log_error("Failed to collect garbage: %s", error_text_of(r, e));
                waiters_complete(&s->collection_waiters, NULL, r, e);
        } else
                log_debug("Collected %" PRIu64 " blobs and %" PRIu64 " snapshots in %" PRIu64
                          " turns, the longest of %" PRIu64 " us",
                          s->collected.blobs, s->collected.snapshots, s->collected.n_turns,
                          s->collected.longest_usec);
        waiters_move(&s->removal_waiters, &s->collection_waiters);
        if (s->doomed)
                (void) sweeper_schedule(s, 0);
        else if (s->collect)
                (void) sweeper_schedule(s, collection_delay(s));
        sweeper_settle(s);
}

static void start_collection(Sweeper *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        s->collect = false;
        s->mutations = 0;
        s->collected = (Collected){};
        s->collection_waiters = TAKE_PTR(s->waiters);
        r = collection_start(s->manager, &s->collected, on_collected, s, &s->collection, &e);
        if (r == 0)
                return;
        log_error("Failed to begin a collection: %s", error_text_of(r, &e));
        waiters_complete(&s->collection_waiters, NULL, r, &e);
}

static void remove_doomed(Sweeper *s) {
        _cleanup_strv_free_ char **names = NULL;
        int r;

        s->doomed = false;
        r = list_doomed(s->manager, &names);
        s->more = strv_length(names) == NAMES_MAX;
        if (r >= 0 && names)
                r = start_worker(s, names);
        if (r < 0)
                log_error_errno(r, "Failed to remove old snapshots: %m");
}

static void sweeper_run(Sweeper *s) {
        if (s->collect && !s->collection) {
                if (!s->waiters && s->not_before > now_monotonic())
                        (void) sweeper_schedule(s, collection_delay(s));
                else
                        start_collection(s);
        }
        /* on_removed() comes back here */
        if (s->doomed && s->pidfd < 0)
                remove_doomed(s);
        sweeper_settle(s);
}
