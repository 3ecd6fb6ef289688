/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/ingest.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "image/content.h"
#include "image/hash.h"

#define READ_SIZE (256 * 1024)

struct Ingest {
        int content_fd; /* the caller's */
        int fd;
        Digest digest;
        uint64_t size, offset;
        Hash *hash;
        bool unknown;        /* digest and size are what comes */
        bool verified, gone; /* gone: not at its path any more */
        char path[STRLEN("ingest/") + DIGEST_HEX_MAX + 1];
};

/* Locks the file. *ret_current is false if it is not the one at its path any more. */
static int lock(Ingest *i, bool *ret_current, Error *e) {
        struct stat a, b;

        if (flock(i->fd, LOCK_EX | LOCK_NB) < 0)
                return errno == EWOULDBLOCK
                                       ? CTR_CONFLICT
                                       : error_setf(e, -errno, "Failed to lock %s: %m", i->path);
        if (fstat(i->fd, &a) < 0)
                return error_setf(e, -errno, "Failed to stat %s: %m", i->path);
        *ret_current = fstatat(i->content_fd, i->path, &b, AT_SYMLINK_NOFOLLOW) >= 0 &&
                       a.st_ino == b.st_ino && a.st_dev == b.st_dev;
        return 0;
}

static int open_locked(Ingest *i, Error *e) {
        bool current = false;
        int r;

        do {
                _cleanup_close_ int blob = -1;

                i->fd = fd_close(i->fd);
                r = content_open_blob(i->content_fd, &i->digest, &blob, NULL, e);
                if (r != CTR_NOT_FOUND)
                        return r == 0 ? CTR_ALREADY_EXISTS : r;
                i->fd = openat(i->content_fd, i->path,
                               O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK, 0600);
                if (i->fd < 0)
                        return error_setf(e, -errno, "Failed to open %s in the content store: %m",
                                          i->path);
                /* whoever had it may have moved it into the store in between */
                r = lock(i, &current, e);
        } while (r == 0 && !current);
        if (r != 0)
                i->fd = fd_close(i->fd);
        return r;
}

/* Brings the hash up to what the file holds. */
static int resume(Ingest *i, const atomic_bool *canceled, Error *e) {
        _cleanup_free_ char *buf = NULL;
        struct stat st;
        int r;

        if (fstat(i->fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat %s: %m", i->path);
        if (st.st_size == 0)
                return 0;
        if ((uint64_t) st.st_size > i->size)
                return ftruncate(i->fd, 0) < 0
                                       ? error_setf(e, -errno, "Failed to truncate %s: %m", i->path)
                                       : 0;
        buf = malloc(READ_SIZE);
        if (!buf)
                return -ENOMEM;
        while (i->offset < (uint64_t) st.st_size) {
                ssize_t n = pread(i->fd, buf, READ_SIZE, (off_t) i->offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return error_setf(e, n < 0 ? -errno : -EIO, "Failed to read %s: %m",
                                          i->path);
                if (canceled && atomic_load(canceled))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                r = hash_update(i->hash, buf, (size_t) n);
                if (r < 0)
                        return r;
                i->offset += (uint64_t) n;
        }
        return 0;
}

int ingest_open(int content_fd, const Digest *d, uint64_t size, const atomic_bool *canceled,
                Ingest **ret, Error *e) {
        _cleanup_(ingest_freep) Ingest *i = NULL;
        int r;

        assert(d && ret);

        i = calloc(1, sizeof(Ingest));
        if (!i)
                return -ENOMEM;
        *i = (Ingest){.content_fd = content_fd, .fd = -1, .digest = *d, .size = size};
        (void) snprintf(i->path, sizeof(i->path), "ingest/%s", d->hex);

        r = hash_new(d->algorithm, &i->hash);
        if (r < 0)
                return r;
        r = open_locked(i, e);
        if (r != 0)
                return r;
        r = resume(i, canceled, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(i);
        return 0;
}

int ingest_open_unknown(int content_fd, Ingest **ret, Error *e) {
        _cleanup_(ingest_freep) Ingest *i = NULL;
        static atomic_uint counter;
        struct stat st;
        int r;

        assert(ret);

        i = calloc(1, sizeof(Ingest));
        if (!i)
                return -ENOMEM;
        *i = (Ingest){.content_fd = content_fd,
                      .fd = -1,
                      .unknown = true,
                      .size = UINT64_MAX,
                      .digest.algorithm = DIGEST_SHA256};
        (void) snprintf(i->path, sizeof(i->path), "ingest/" INGEST_UNKNOWN_PREFIX "%i-%u",
                        (int) getpid(), atomic_fetch_add(&counter, 1));
        r = hash_new(DIGEST_SHA256, &i->hash);
        if (r < 0)
                return r;
        /* between the two calls it may be swept */
        do {
                i->fd = fd_close(i->fd);
                i->fd = openat(content_fd, i->path,
                               O_RDWR | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (i->fd < 0 || flock(i->fd, LOCK_EX) < 0 || fstat(i->fd, &st) < 0)
                        return error_setf(e, -errno, "Failed to open %s in the content store: %m",
                                          i->path);
        } while (st.st_nlink == 0);
        *ret = TAKE_PTR(i);
        return 0;
}

const Digest *ingest_digest(const Ingest *i) {
        assert(i->verified);
        return &i->digest;
}

void ingest_sweep_unknown(int content_fd) {
        DIR *stream = dir_stream_open_at(content_fd, "ingest");
        struct dirent *entry;

        while (stream && (entry = readdir(stream))) {
                _cleanup_close_ int fd = -1;

                if (!startswith(entry->d_name, INGEST_UNKNOWN_PREFIX))
                        continue;
                fd = openat(dirfd(stream), entry->d_name,
                            O_RDWR | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
                /* whoever writes it has it locked */
                if (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) >= 0)
                        (void) unlinkat(dirfd(stream), entry->d_name, 0);
        }
        if (stream)
                (void) closedir(stream);
}

uint64_t ingest_offset(const Ingest *i) {
        return i->offset;
}

int ingest_fd(const Ingest *i) {
        return i->fd;
}

int ingest_write(Ingest *i, const void *data, size_t size, Error *e) {
        size_t written = 0;
        int r;

        if (size > i->size - i->offset)
                return error_setf(e, CTR_DATA_LOSS,
                                  "The blob %s is larger than the %llu bytes that its descriptor "
                                  "says",
                                  DIGEST_STRING(&i->digest), (unsigned long long) i->size);
        while (written < size) {
                ssize_t n = pwrite(i->fd, (const char *) data + written, size - written,
                                   (off_t) (i->offset + written));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to write %s in the content store: %m",
                                          i->path);
                written += (size_t) n;
        }
        r = hash_update(i->hash, data, size);
        if (r < 0)
                return error_setf(e, r, "Failed to compute the digest of %s: %m", i->path);
        i->offset += size;
        return 0;
}

static int data_loss(Ingest *i) {
        (void) unlinkat(i->content_fd, i->path, 0);
        i->gone = true;
        return CTR_DATA_LOSS;
}

int ingest_verify(Ingest *i, Error *e) {
        Digest d;
        int r;

        assert(i && !i->verified);

        if (i->unknown)
                i->size = i->offset;
        if (i->offset != i->size)
                return error_setf(e, data_loss(i),
                                  "The blob %s is truncated: %llu of %llu bytes came",
                                  DIGEST_STRING(&i->digest), (unsigned long long) i->offset,
                                  (unsigned long long) i->size);
        r = hash_final(i->hash, &d);
        if (r < 0)
                return error_setf(e, r, "Failed to compute the digest of %s: %m", i->path);
        if (i->unknown)
                i->digest = d;
        if (!digest_equal(&d, &i->digest))
                return error_setf(e, data_loss(i), "The blob %s has the wrong digest %s",
                                  DIGEST_STRING(&i->digest), DIGEST_STRING(&d));
        if (fchmod(i->fd, 0400) < 0)
                return error_setf(e, -errno, "Failed to set the mode of %s: %m", i->path);
        i->verified = true;
        return 0;
}

static int sync_directory(int content_fd, DigestAlgorithm algorithm) {
        _cleanup_close_ int fd = -1;

        fd = openat(content_fd, digest_algorithm_to_string(algorithm),
                    O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 || fsync(fd) < 0 ? -errno : 0;
}

int ingest_commit_all(int content_fd, Ingest *const *all, size_t n, bool synced, Error *e) {
        bool used[_DIGEST_ALGORITHM_MAX] = {};
        int r;

        if (n == 0)
                return 0;
        if (!synced && (n == 1 ? fsync(all[0]->fd) : syncfs(content_fd)) < 0)
                return error_setf(e, -errno, "Failed to write the content store to disk: %m");
        for (size_t k = 0; k < n; k++) {
                char path[CONTENT_PATH_SIZE];
                Ingest *i = all[k];

                assert(i->verified);
                if (renameat(i->content_fd, i->path, i->content_fd,
                             content_path(&i->digest, path)) < 0)
                        return error_setf(e, -errno,
                                          "Failed to put the blob %s into the content store: %m",
                                          path);
                i->gone = true;
                used[i->digest.algorithm] = true;
        }
        for (DigestAlgorithm a = 0; a < _DIGEST_ALGORITHM_MAX; a++) {
                r = used[a] ? sync_directory(content_fd, a) : 0;
                if (r < 0)
                        return error_setf(e, r, "Failed to write the content store to disk: %m");
        }
        return 0;
}

void ingest_discard(Ingest *i) {
        if (!i->gone)
                (void) unlinkat(i->content_fd, i->path, 0);
        i->gone = true;
}

Ingest *ingest_free(Ingest *i) {
        struct stat st;

        if (!i)
                return NULL;
        /* by what is in the file: the offset is 0, too, if the hash did not get further */
        if (!i->gone && i->fd >= 0 && (i->unknown || (fstat(i->fd, &st) >= 0 && st.st_size == 0)))
                (void) unlinkat(i->content_fd, i->path, 0);
        hash_free(i->hash);
        fd_close(i->fd);
        free(i);
        return NULL;
}
