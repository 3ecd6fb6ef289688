/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Directories of the content store besides the blobs: what is not complete, and what is damaged.
 * Both have few entries; the files are the truth. */

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "image/digest.h"
#include "image/ingest.h"
#include "manager/content.h"
#include "manager/db.h"
#include "manager/manager.h"

#define INGEST_DIRECTORY     "content/ingest"
#define QUARANTINE_DIRECTORY "content/quarantine"
#define KEEP_USEC            (24 * 3600 * USEC_PER_SEC)

static uint64_t usec_of(struct timespec t) {
        return (uint64_t) t.tv_sec * USEC_PER_SEC + (uint64_t) t.tv_nsec / NSEC_PER_USEC;
}

typedef struct IngestVisit {
        int dir_fd;
        int (*f)(const IngestEntry *i, void *userdata);
        void *userdata;
} IngestVisit;

static int visit_ingest(const IngestEntry *entry, void *userdata) {
        const IngestVisit *v = userdata;
        IngestEntry i = *entry;
        struct stat st;
        Digest d;

        if (digest_parse(i.digest, &d, NULL) != 0 ||
            fstatat(v->dir_fd, d.hex, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return 0; /* complete, or never begun */
        i.offset = (uint64_t) st.st_size;
        i.updated_at = usec_of(st.st_mtim);
        return v->f(&i, v->userdata);
}

int ingests_foreach(Manager *m, const char *namespace,
                    int (*f)(const IngestEntry *i, void *userdata), void *userdata, Error *e) {
        _cleanup_close_ int fd = -1;

        fd = dir_open_make_at(m->state_fd, INGEST_DIRECTORY, 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to list the partial blobs: %m");
        return db_ingest_foreach(m->db, namespace, visit_ingest,
                                 &(IngestVisit){.dir_fd = fd, .f = f, .userdata = userdata}, e);
}

/* Whoever writes to it has it locked. */
static bool is_idle(int dir_fd, const char *name) {
        _cleanup_close_ int fd = -1;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        return fd < 0 || flock(fd, LOCK_EX | LOCK_NB) >= 0;
}

/* 1 if a lease holds it. The file's name has no algorithm: its length tells. */
static int is_leased(Manager *m, const char *hex, char digest[static DIGEST_STRING_SIZE],
                     Error *e) {
        for (DigestAlgorithm a = 0; a < _DIGEST_ALGORITHM_MAX; a++) {
                if (strlen(hex) != digest_hex_length(a))
                        continue;
                (void) snprintf(digest, DIGEST_STRING_SIZE, "%s:%s", digest_algorithm_to_string(a),
                                hex);
                return db_lease_holds(m->db, "ingests", digest, e);
        }
        *digest = '\0';
        return 0;
}

/* 1 if it went. What has no digest yet is of no use to anybody else than who writes it. */
static int expire_ingest(Manager *m, int dir_fd, const char *name, Error *e) {
        bool unknown = startswith(name, INGEST_UNKNOWN_PREFIX);
        char digest[DIGEST_STRING_SIZE];
        struct stat st;
        int r;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 ||
            (!unknown && usec_of(st.st_mtim) + KEEP_USEC > now_realtime()) ||
            !is_idle(dir_fd, name))
                return 0;
        r = is_leased(m, name, digest, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        log_info("Removing the partial blob %s, which nobody goes on with", name);
        if (unlinkat(dir_fd, name, 0) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to remove the partial blob %s: %m", name);
        r = *digest ? db_ingest_forget(m->db, digest, e) : 0;
        return r != 0 ? r : 1;
}

typedef struct LostIngests {
        int dir_fd;
        char **digests;
} LostIngests;

static int add_lost(const IngestEntry *i, void *userdata) {
        LostIngests *l = userdata;
        Digest d;

        if (digest_parse(i->digest, &d, NULL) == 0 &&
            faccessat(l->dir_fd, d.hex, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        return strv_extend(&l->digests, i->digest) < 0 ? -ENOMEM : 0;
}

/* Rows whose file is complete, or was never begun; those of jobs that run are in their leases. */
static int forget_lost(Manager *m, Error *e) {
        _cleanup_close_ int fd = -1;
        LostIngests lost;
        int r;

        fd = dir_open_make_at(m->state_fd, INGEST_DIRECTORY, 0700);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open the partial blobs: %m");
        lost = (LostIngests){.dir_fd = fd};
        r = db_ingest_foreach(m->db, NULL, add_lost, &lost, e);
        STRV_FOREACH(digest, r == 0 ? lost.digests : NULL) {
                r = db_lease_holds(m->db, "ingests", *digest, e);
                if (r == 0)
                        r = db_ingest_forget(m->db, *digest, e);
                if (r != 0 && r != 1)
                        break;
        }
        strv_free(lost.digests);
        return r == 1 ? 0 : r;
}

int ingests_expire(Manager *m, uint64_t *ret_n, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        uint64_t n = 0;

        dir = dir_stream_open_at(m->state_fd, INGEST_DIRECTORY);
        while (dir && (errno = 0, de = readdir(dir))) {
                _cleanup_error_ Error local = ERROR_NULL;
                int r;

                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                r = expire_ingest(m, dirfd(dir), de->d_name, &local);
                if (r == 1)
                        n++;
                else if (r != 0)
                        return error_propagate(e, r, &local);
        }
        if (errno != 0)
                return error_setf(e, -errno, "Failed to list the partial blobs: %m");
        *ret_n = n;
        return forget_lost(m, e);
}

int quarantine_foreach(Manager *m, int (*f)(const QuarantineEntry *q, void *userdata),
                       void *userdata, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r = 0;

        dir = dir_stream_open_at(m->state_fd, QUARANTINE_DIRECTORY);
        if (!dir && errno == ENOENT)
                return 0;
        while (r == 0 && dir && (errno = 0, de = readdir(dir))) {
                char name[DIGEST_STRING_SIZE];
                struct stat st;

                if (streq(de->d_name, ".") || streq(de->d_name, "..") ||
                    fstatat(dirfd(dir), de->d_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        continue;
                (void) snprintf(name, sizeof(name), "%s%.*s",
                                strlen(de->d_name) == digest_hex_length(DIGEST_SHA512)   ? "sha512:"
                                : strlen(de->d_name) == digest_hex_length(DIGEST_SHA256) ? "sha256:"
                                                                                         : "",
                                DIGEST_HEX_MAX, de->d_name);
                r = f(&(QuarantineEntry){.name = name,
                                         .size = (uint64_t) st.st_size,
                                         .quarantined_at = usec_of(st.st_ctim)},
                      userdata);
                if (r != 0)
                        return r;
        }
        return errno != 0 ? error_setf(e, -errno, "Failed to list the quarantine: %m") : 0;
}

int quarantine_clear(Manager *m, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(m->state_fd, QUARANTINE_DIRECTORY);
        if (!dir && errno == ENOENT)
                return 0;
        while (dir && (errno = 0, de = readdir(dir))) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                /* what is a directory was nobody's blob */
                if (unlinkat(dirfd(dir), de->d_name, 0) < 0 && errno != ENOENT && errno != EISDIR)
                        return error_setf(e, -errno, "Failed to remove %s from quarantine: %m",
                                          de->d_name);
        }
        return errno != 0 ? error_setf(e, -errno, "Failed to list the quarantine: %m") : 0;
}
