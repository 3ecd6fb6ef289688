/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The store at the start of the manager, which a crash may have left in the middle of anything.
 * Rows are the truth: directories and blobs without one go. What a pull has fetched so far has no
 * row and is in the ingest directory until its end; it stays for a day, so that a pull that is
 * tried again goes on from it. Checkpoints that are being made, or wait for their task's Start,
 * are compared with the tasks, when those are known (checkpoint-restore.h).
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/checkpoint-image.h"
#include "manager/checkpoint-restore.h"
#include "manager/db.h"
#include "manager/recover-internal.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

#define INGEST_KEEP_USEC (24 * 3600 * USEC_PER_SEC)

static int compare_ids(const void *a, const void *b) {
        int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

        return x < y ? -1 : x > y;
}

static void report_missing_snapshots(Manager *m, const int64_t *ids, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char name[32];

                (void) snprintf(name, sizeof(name), "%" PRIi64, ids[i]);
                if (faccessat(m->snapshots_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                        log_error_errno(errno, "The directory of snapshot %s: %m", name);
        }
}

static void doom(Manager *m, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;

        log_info("Removing the snapshot directory %s, which has no record", name);
        if (overlayfs_discard(m->snapshots_fd, name, &e) != 0)
                log_warning("%s", error_text(&e));
}

static int recover_snapshots(Manager *m, Error *e) {
        _cleanup_free_ int64_t *ids = NULL;
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        size_t n = 0;
        int r;

        r = db_snapshot_list(m->db, &ids, &n, e);
        if (r != 0)
                return r;
        dir = dir_stream_open_at(m->snapshots_fd, ".");
        while (dir && (errno = 0, de = readdir(dir))) {
                char *end;
                int64_t id;

                if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
                    startswith(de->d_name, ".doomed-") ||
                    startswith(de->d_name, CHECKPOINT_RESTORE_PREFIX) ||
                    startswith(de->d_name, CHECKPOINT_DUMP_PREFIX))
                        continue;
                id = strtoll(de->d_name, &end, 10);
                if (*end || id <= 0 || !bsearch(&id, ids, n, sizeof(int64_t), compare_ids))
                        doom(m, de->d_name);
        }
        if (errno != 0)
                return error_setf(e, -errno, "Failed to list the snapshots: %m");
        report_missing_snapshots(m, ids, n);
        r = sweeper_sweep(m->sweeper);
        return r < 0 ? error_setf(e, r, "Failed to schedule the removal of snapshots: %m") : 0;
}

static int add_blob(const char *digest, uint64_t size, void *userdata) {
        const char *hex = startswith(digest, "sha256:");

        return hex && json_object_set_new(userdata, hex, json_true()) < 0 ? -ENOMEM : 0;
}

/* Removes the files of a directory that are not in rows and not younger than keep_usec; what is in
 * rows and there is taken from them. */
static int sweep_files(Manager *m, const char *path, uint64_t keep_usec, json_t *rows) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(m->state_fd, path);
        while (dir && (errno = 0, de = readdir(dir))) {
                struct stat st;

                if (de->d_name[0] == '.' || json_object_del(rows, de->d_name) == 0)
                        continue;
                if (fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
                    (uint64_t) st.st_mtime * USEC_PER_SEC + keep_usec > now_realtime())
                        continue;
                log_info("Removing %s/%s, which has no record", path, de->d_name);
                if (unlinkat(dirfd(dir), de->d_name, 0) < 0 && errno != ENOENT)
                        log_warning_errno(errno, "Failed to remove %s/%s: %m", path, de->d_name);
        }
        return -errno;
}

static int recover_blobs(Manager *m, Error *e) {
        _cleanup_json_ json_t *rows = json_object();
        const char *hex;
        json_t *value;
        int r;

        if (!rows)
                return -ENOMEM;
        r = db_blobs_foreach(m->db, add_blob, rows, e);
        if (r != 0)
                return r;
        r = sweep_files(m, "content/sha256", 0, rows);
        if (r < 0)
                return error_setf(e, r, "Failed to list the blobs: %m");
        json_object_foreach(rows, hex, value)
                log_error("The blob sha256:%s is missing in the content store", hex);
        json_object_clear(rows);
        r = sweep_files(m, "content/ingest", INGEST_KEEP_USEC, rows);
        return r < 0 ? error_setf(e, r, "Failed to list the partial blobs: %m") : 0;
}

int recover_store(Manager *m, Error *e) {
        int r;

        r = recover_snapshots(m, e);
        if (r != 0)
                return r;
        r = recover_blobs(m, e);
        if (r != 0)
                return r;
        /* rows that nothing needs: the collection after the last deletion may not have come */
        r = sweeper_collect(m->sweeper, NULL, NULL, e);
        return r < 0 ? error_setf(e, r, "Failed to schedule a collection: %m") : 0;
}
