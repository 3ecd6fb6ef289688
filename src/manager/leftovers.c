/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/leftovers.h"

#include <dirent.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "image/digest.h"
#include "manager/content.h"
#include "manager/db.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define TURN_USEC (5 * USEC_PER_MSEC)

struct Leftovers {
        Manager *manager;
        sd_event_source *source; /* the next turn of a look at the blobs */
        bool wanted;             /* another look, from the beginning */
        unsigned next;           /* the algorithm whose directory comes next */
        DIR *dir;                /* of the one before; NULL: nobody is looking */
};

static int on_turn(sd_event_source *source, void *userdata);

int leftovers_new(Manager *m, Leftovers **ret) {
        _cleanup_(leftovers_freep) Leftovers *l = NULL;
        int r;

        l = calloc(1, sizeof(Leftovers));
        if (!l)
                return -ENOMEM;
        l->manager = m;
        r = sd_event_add_defer(m->event, &l->source, on_turn, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        /* after whoever waits for an answer */
        if (r >= 0)
                r = sd_event_source_set_priority(l->source, SD_EVENT_PRIORITY_IDLE);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

Leftovers *leftovers_free(Leftovers *l) {
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->source);
        if (l->dir)
                (void) closedir(l->dir);
        free(l);
        return NULL;
}

bool leftovers_is_busy(const Leftovers *l) {
        return l->wanted || l->dir;
}

/* Whether a name is PREFIX, the pid, a dash, and more. */
static bool is_of(const char *name, const char *prefix, pid_t pid) {
        char start[64];

        (void) snprintf(start, sizeof(start), "%s%i-", prefix, (int) pid);
        return startswith(name, start);
}

static void remove_trees(Manager *m, int dir_fd, pid_t pid) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(dir_fd, ".");
        while (dir && (de = readdir(dir))) {
                _cleanup_error_ Error e = ERROR_NULL;

                if (!is_of(de->d_name, OVERLAYFS_TEMPORARY_PREFIX, pid) &&
                    !is_of(de->d_name, OVERLAYFS_PUBLISHED_PREFIX, pid))
                        continue;
                log_debug("Removing %s, which a worker has left", de->d_name);
                if (overlayfs_discard(dir_fd, de->d_name, &e) != 0)
                        log_warning("%s", error_text(&e));
                else if (sweeper_sweep(m->sweeper) < 0)
                        log_warning("Failed to schedule the removal of %s", de->d_name);
        }
}

void leftovers_remove_of(Leftovers *l, pid_t pid) {
        Manager *m = l->manager;

        _cleanup_error_ Error e = ERROR_NULL;
        uint64_t ignored;
        int r;

        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++)
                remove_trees(m, m->snapshotters[i].dir_fd, pid);
        r = ingests_expire(m, &ignored, &e);
        if (r != 0)
                log_warning("Failed to look for what a worker has left: %s", error_text_of(r, &e));
}

void leftovers_look_for_blobs(Leftovers *l) {
        l->wanted = true;
        if (sd_event_source_set_enabled(l->source, SD_EVENT_ON) < 0)
                log_warning("Failed to schedule a look at the blobs");
}

/* The sweeper asks for records and leases again before it removes the file, and waits for the jobs
 * that may rely on it. 0 or a failure that is not worth going on after. */
static int look_at(Manager *m, DigestAlgorithm algorithm, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;
        char digest[DIGEST_STRING_SIZE];
        Digest d;
        int r;

        (void) snprintf(digest, sizeof(digest), "%s:%.*s", digest_algorithm_to_string(algorithm),
                        DIGEST_HEX_MAX, name);
        if (digest_parse(digest, &d, NULL) != 0)
                return 0; /* nobody's: the next start removes it */
        r = db_blob_find(m->db, digest, &e);
        if (r == 1)
                return 0;
        if (r == 0)
                r = sweeper_remove_blob(m->sweeper, digest);
        if (r != 0)
                log_warning("Failed to look for the record of %s: %s", digest,
                            error_text_of(r, &e));
        return r;
}

/* The next directory. False at the end of the last one. */
static bool open_next(Leftovers *l) {
        char path[STRLEN("content/sha512") + 1];

        if (l->dir)
                (void) closedir(TAKE_PTR(l->dir));
        while (!l->dir && l->next < _DIGEST_ALGORITHM_MAX) {
                (void) snprintf(path, sizeof(path), "content/%s",
                                digest_algorithm_to_string(l->next++));
                l->dir = dir_stream_open_at(l->manager->state_fd, path);
        }
        return l->dir;
}

static bool look_further(Leftovers *l) {
        struct dirent *de = readdir(l->dir);

        if (de && (*de->d_name == '.' || look_at(l->manager, l->next - 1, de->d_name) == 0))
                return true;
        return open_next(l);
}

static int on_turn(sd_event_source *source, void *userdata) {
        uint64_t until = now_monotonic() + TURN_USEC;
        Leftovers *l = userdata;
        bool more = true;

        if (l->wanted) {
                l->wanted = false;
                l->next = 0;
                more = open_next(l);
        }
        while (more && now_monotonic() < until)
                more = look_further(l);
        return more ? 0 : sd_event_source_set_enabled(source, SD_EVENT_OFF);
}
