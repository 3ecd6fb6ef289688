/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The store at the start of the manager, which a crash may have left in the middle of anything.
 * Rows are the truth: directories and blobs without one go, and blobs that are gone are marked as
 * damaged. What a pull has fetched so far has no row: complete blobs stay as long as the pull's
 * lease, partial ones for a day, so that a pull that is tried again goes on from there. Checkpoints
 * that are being made, or wait for their task's Start, are compared with the tasks, when those are
 * known (checkpoint-restore.h).
 */

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "image/digest.h"
#include "manager/checkpoint-image.h"
#include "manager/checkpoint-restore.h"
#include "manager/content.h"
#include "manager/db.h"
#include "manager/lease.h"
#include "manager/recover-internal.h"
#include "manager/secret.h"
#include "manager/sweeper.h"
#include "snapshot/overlayfs.h"

static int compare_ids(const void *a, const void *b) {
        int64_t x = *(const int64_t *) a, y = *(const int64_t *) b;

        return x < y ? -1 : x > y;
}

static void report_missing_snapshots(Manager *m, const int64_t *ids, size_t n) {
        for (size_t i = 0; i < n; i++) {
                char name[32];
                bool found = false;

                (void) snprintf(name, sizeof(name), "%" PRIi64, ids[i]);
                for (size_t k = 0; k < SNAPSHOTTERS_MAX && !found; k++)
                        found = faccessat(m->snapshotters[k].dir_fd, name, F_OK,
                                          AT_SYMLINK_NOFOLLOW) >= 0;
                if (!found)
                        log_error("The directory of snapshot %s is missing", name);
        }
}

static void doom(int dir_fd, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;

        log_info("Removing the snapshot directory %s, which has no record", name);
        if (overlayfs_discard(dir_fd, name, &e) != 0)
                log_warning("%s", error_text(&e));
}

/* Dooms the directories of one snapshotter that have no row. */
static int recover_directory(int dir_fd, const int64_t *ids, size_t n, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(dir_fd, ".");
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
                        doom(dir_fd, de->d_name);
        }
        return errno != 0 ? error_setf(e, -errno, "Failed to list the snapshots: %m") : 0;
}

static int recover_snapshots(Manager *m, Error *e) {
        _cleanup_free_ int64_t *ids = NULL;
        size_t n = 0;
        int r;

        r = db_snapshot_list(m->db, &ids, &n, e);
        for (size_t i = 0; r == 0 && i < SNAPSHOTTERS_MAX; i++)
                r = recover_directory(m->snapshotters[i].dir_fd, ids, n, e);
        if (r != 0)
                return r;
        report_missing_snapshots(m, ids, n);
        r = sweeper_sweep(m->sweeper);
        return r < 0 ? error_setf(e, r, "Failed to schedule the removal of snapshots: %m") : 0;
}

static const char *directories[] = {
                [DIGEST_SHA256] = "content/sha256",
                [DIGEST_SHA512] = "content/sha512",
};

typedef struct BlobRows {
        json_t *recorded, *leased; /* {digest: true} */
} BlobRows;

static int add_blob(const char *digest, uint64_t size, void *userdata) {
        const BlobRows *rows = userdata;

        return json_object_set_new(rows->recorded, digest, json_true()) < 0 ? -ENOMEM : 0;
}

static int add_leased(const char *digest, void *userdata) {
        const BlobRows *rows = userdata;

        return json_object_set_new(rows->leased, digest, json_true()) < 0 ? -ENOMEM : 0;
}

/* Removes the files of a directory that are in no row and in no lease; what is recorded and there
 * is taken from the rows. */
static int sweep_blobs(Manager *m, DigestAlgorithm algorithm, const BlobRows *rows) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(m->state_fd, directories[algorithm]);
        if (!dir && errno == ENOENT)
                return 0;
        while (dir && (errno = 0, de = readdir(dir))) {
                char digest[DIGEST_STRING_SIZE];

                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                (void) snprintf(digest, sizeof(digest), "%s:%.*s",
                                digest_algorithm_to_string(algorithm), DIGEST_HEX_MAX, de->d_name);
                if (json_object_del(rows->recorded, digest) == 0 ||
                    json_object_get(rows->leased, digest))
                        continue;
                log_info("Removing the blob %s, which has no record", digest);
                if (unlinkat(dirfd(dir), de->d_name, 0) < 0 && errno != ENOENT)
                        log_warning_errno(errno, "Failed to remove the blob %s: %m", digest);
        }
        return -errno;
}

/* What a damaged one is needed for says so from the start. */
static int mark_missing(Manager *m, json_t *missing, Error *e) {
        const char *digest;
        json_t *value;

        json_object_foreach(missing, digest, value) {
                int r;

                log_error("The blob %s is missing in the content store", digest);
                r = db_blob_set_damaged(m->db, digest, now_realtime(), e);
                if (r != 0)
                        return r;
        }
        return content_update_images(m, e);
}

static int recover_blobs(Manager *m, Error *e) {
        _cleanup_json_ json_t *recorded = json_object(), *leased = json_object();
        BlobRows rows = {.recorded = recorded, .leased = leased};
        uint64_t ignored;
        int r;

        if (!recorded || !leased)
                return -ENOMEM;
        r = db_blobs_foreach(m->db, add_blob, &rows, e);
        if (r == 0)
                r = db_leased_content_foreach(m->db, add_leased, &rows, e);
        if (r != 0)
                return r;
        for (DigestAlgorithm a = 0; a < _DIGEST_ALGORITHM_MAX; a++) {
                r = sweep_blobs(m, a, &rows);
                if (r < 0)
                        return error_setf(e, r, "Failed to list the blobs: %m");
        }
        r = mark_missing(m, recorded, e);
        return r != 0 ? r : ingests_expire(m, &ignored, e);
}

/* What is missing is said; what is too much stays for the next start. */
static int look_at_store(Manager *m, Error *e) {
        _cleanup_free_ int64_t *ids = NULL;
        size_t n = 0;
        int r;

        log_warning("%s is on a read-only file system: nothing can be created, changed or removed, "
                    "until it can be written and the service was started again",
                    m->state_dir);
        r = db_snapshot_list(m->db, &ids, &n, e);
        if (r == 0)
                report_missing_snapshots(m, ids, n);
        return r;
}

/* A full disk keeps nobody from seeing what there is, and from making room: what could not be
 * tidied up is for the next start. */
static int put_off(int r, Error *e) {
        if (r != -ENOSPC && r != -EDQUOT && r != -EROFS)
                return r;
        log_warning("The store is not tidied up at this start: %s", error_text(e));
        error_clear(e);
        return 0;
}

static int tidy_up(Manager *m, Error *e) {
        int r;

        r = secrets_recover(m, e);
        if (r == 0)
                r = leases_recover(m, e);
        if (r == 0)
                r = leases_expire(m->leases, e);
        return r == 0 ? recover_blobs(m, e) : r;
}

int recover_store(Manager *m, Error *e) {
        int r;

        if (db_is_readonly(m->db))
                return look_at_store(m, e);
        r = recover_snapshots(m, e);
        if (r == 0)
                r = put_off(tidy_up(m, e), e);
        if (r != 0)
                return r;
        /* rows that nothing needs: the collection after the last deletion may not have come */
        return sweeper_collect_at_start(m->sweeper, e);
}
