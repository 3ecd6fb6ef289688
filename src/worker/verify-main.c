/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-worker verify: reads all blobs of the content store and compares them with their names.
 *
 * Reading is all it does, unless damaged ones are to be taken out of the way: then they are moved
 * to content/quarantine/<hex>, where nobody looks for a blob, and the next pull fetches them again.
 */

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "config.h"
#include "image/content.h"
#include "image/hash.h"
#include "worker/job.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/store.h"
#include "worker/worker.h"

#define BUFFER_SIZE  (1024 * 1024)
#define REPORTED_MAX 500 /* as many as fit into a packet */

typedef struct Damage {
        char *name; /* as in the store, "sha256/<hex>" */
        const char *reason;
        bool quarantined;
} Damage;

typedef struct Verify {
        WorkerJob job;
        Store store;
        bool quarantine;
        int quarantine_fd;
        char *buffer;

        /* guarded by the mutex */
        uint64_t total; /* bytes that there were at the start */
        uint64_t blobs, bytes, n_damaged;
        Damage damaged[REPORTED_MAX];
} Verify;

static void count_total(Verify *v, uint64_t bytes) {
        (void) pthread_mutex_lock(&v->job.mutex);
        v->total += bytes;
        (void) pthread_mutex_unlock(&v->job.mutex);
}

static void count(Verify *v, uint64_t blobs, uint64_t bytes) {
        (void) pthread_mutex_lock(&v->job.mutex);
        v->blobs += blobs;
        v->bytes += bytes;
        (void) pthread_mutex_unlock(&v->job.mutex);
}

/* Moves a damaged blob away. An older one of that name is replaced. */
static int move_away(Verify *v, int dir_fd, const char *name, Error *e) {
        if (renameat(dir_fd, name, v->quarantine_fd, name) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to move the damaged blob %s: %m", name);
        return 0;
}

static int report_damage(Verify *v, int dir_fd, DigestAlgorithm algorithm, const char *name,
                         const char *reason, Error *e) {
        Damage d = {.reason = reason, .quarantined = v->quarantine};
        int r = 0;

        if (v->quarantine)
                r = move_away(v, dir_fd, name, e);
        if (r != 0)
                return r;
        if (asprintf(&d.name, "%s/%s", digest_algorithm_to_string(algorithm), name) < 0)
                return -ENOMEM;
        (void) pthread_mutex_lock(&v->job.mutex);
        if (v->n_damaged < REPORTED_MAX)
                v->damaged[v->n_damaged] = d;
        else
                free(d.name);
        v->n_damaged++;
        (void) pthread_mutex_unlock(&v->job.mutex);
        return 0;
}

static int hash_blob(Verify *v, int fd, DigestAlgorithm algorithm, Digest *ret, Error *e) {
        _cleanup_(hash_freep) Hash *hash = NULL;
        int r;

        r = hash_new(algorithm, &hash);
        while (r == 0) {
                ssize_t n = read(fd, v->buffer, BUFFER_SIZE);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return -errno;
                if (n == 0)
                        return hash_final(hash, ret);
                if (job_is_canceled(&v->job))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                r = hash_update(hash, v->buffer, (size_t) n);
                count(v, 0, (uint64_t) n);
        }
        return r;
}

static int verify_blob(Verify *v, int dir_fd, DigestAlgorithm algorithm, const char *name,
                       Error *e) {
        _cleanup_close_ int fd = -1;
        bool is_unreadable;
        Digest digest;
        struct stat st;
        int r;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 && errno == ENOENT)
                return 0; /* removed meanwhile */
        r = fd < 0 ? -errno : 0;
        /* another owner or mode than a blob has */
        is_unreadable = r == -EIO || r == -EACCES || r == -EPERM;
        if (r < 0 && r != -ELOOP && !is_unreadable)
                return error_setf(e, r, "Failed to open the blob %s: %m", name);
        count(v, 1, 0);
        if (is_unreadable)
                return report_damage(v, dir_fd, algorithm, name, "unreadable", e);
        if (fd < 0 || fstat(fd, &st) < 0 || !S_ISREG(st.st_mode))
                return report_damage(v, dir_fd, algorithm, name, "no regular file", e);
        if (strlen(name) != digest_hex_length(algorithm))
                return report_damage(v, dir_fd, algorithm, name, "no name of a blob", e);
        (void) posix_fadvise(fd, 0, 0, POSIX_FADV_SEQUENTIAL);
        r = hash_blob(v, fd, algorithm, &digest, e);
        if (r == -EIO)
                return report_damage(v, dir_fd, algorithm, name, "unreadable", e);
        if (r != 0)
                return r < 0 ? error_setf(e, r, "Failed to read the blob %s: %m", name) : r;
        return streq(digest.hex, name)
                               ? 0
                               : report_damage(v, dir_fd, algorithm, name, "wrong digest", e);
}

/* Calls verify_blob() for each blob, or (!hash) only adds up their sizes. */
static int walk(Verify *v, DigestAlgorithm algorithm, bool hash, Error *e) {
        DIR *stream = dir_stream_open_at(v->store.content_fd,
                                         digest_algorithm_to_string(algorithm));
        struct dirent *entry;
        struct stat st;
        int r = 0;

        if (!stream)
                return error_setf(e, -errno, "Failed to read the content store: %m");
        while (r == 0 && (errno = 0, entry = readdir(stream))) {
                if (streq(entry->d_name, ".") || streq(entry->d_name, ".."))
                        continue;
                if (hash)
                        r = verify_blob(v, dirfd(stream), algorithm, entry->d_name, e);
                else if (fstatat(dirfd(stream), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                        count_total(v, (uint64_t) st.st_size);
        }
        if (r == 0 && errno != 0)
                r = error_setf(e, -errno, "Failed to read the content store: %m");
        (void) closedir(stream);
        return r;
}

static int run(WorkerJob *j, Error *e) {
        Verify *v = (Verify *) j;
        int r = 0;

        v->buffer = malloc(BUFFER_SIZE);
        if (!v->buffer)
                return -ENOMEM;
        if (v->quarantine) {
                v->quarantine_fd = dir_open_make_at(v->store.content_fd, "quarantine", 0700);
                if (v->quarantine_fd < 0)
                        return error_setf(e, v->quarantine_fd, "Failed to make the quarantine: %m");
        }
        for (DigestAlgorithm a = 0; r == 0 && a < _DIGEST_ALGORITHM_MAX; a++)
                r = walk(v, a, false, e);
        for (DigestAlgorithm a = 0; r == 0 && a < _DIGEST_ALGORITHM_MAX; a++)
                r = walk(v, a, true, e);
        if (r == 0 && v->quarantine && v->n_damaged > 0 && syncfs(v->store.content_fd) < 0)
                r = error_setf(e, -errno, "Failed to write the content store to disk: %m");
        return r;
}

static json_t *progress(WorkerJob *j) {
        Verify *v = (Verify *) j;
        uint64_t bytes, total;

        (void) pthread_mutex_lock(&v->job.mutex);
        bytes = v->bytes;
        total = v->total;
        (void) pthread_mutex_unlock(&v->job.mutex);
        return json_pack("{s:s, s:s, s:[{s:s, s:s, s:I, s:I}]}", "type", "progress", "phase",
                         "verify", "layers", "ref", "content", "phase", "verify", "offset",
                         (json_int_t) bytes, "total", (json_int_t) total);
}

static json_t *result(WorkerJob *j) {
        const Verify *v = (Verify *) j;
        json_t *damaged = json_array();

        for (size_t i = 0; i < MIN_OF(v->n_damaged, (uint64_t) REPORTED_MAX); i++) {
                const Damage *d = v->damaged + i;

                (void) json_array_append_new(damaged,
                                             json_pack("{s:s, s:s, s:b}", "blob", d->name, "reason",
                                                       d->reason, "quarantined", d->quarantined));
        }
        return json_pack("{s:s, s:I, s:I, s:I, s:o}", "type", "result", "blobs",
                         (json_int_t) v->blobs, "bytes", (json_int_t) v->bytes, "n_damaged",
                         (json_int_t) v->n_damaged, "damaged", damaged);
}

static const JobType type = {.name = "verification",
                             .run = run,
                             .progress = progress,
                             .result = result};

static void verify_clear(Verify *v) {
        for (size_t i = 0; i < MIN_OF(v->n_damaged, (uint64_t) REPORTED_MAX); i++)
                free(v->damaged[i].name);
        free(v->buffer);
        fd_close(v->quarantine_fd);
        store_close(&v->store);
        job_clear(&v->job);
}

static int parse_options(int argc, char *argv[], const char **root, int *control_fd,
                         bool *quarantine, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, root},
                        {"control-fd", option_control_fd, control_fd},
                        {"quarantine", option_set, quarantine},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r == 0 && *arguments)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "verify takes no argument");
        return r;
}

int verb_verify(int argc, char *argv[]) {
        _cleanup_(verify_clear) Verify v = {.store = STORE_NULL, .quarantine_fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        const char *root = CTR_STATE_DIR;
        int control_fd = -1, r;

        block_signals();
        r = parse_options(argc, argv, &root, &control_fd, &v.quarantine, &e);
        if (r == 0)
                r = job_init(&v.job, &type, control_fd, &e);
        if (r == 0)
                r = store_open_root(&v.store, root, &e);
        if (r == 0)
                r = sandbox_enter(0, &v.store.root_fd, &e);
        if (r == 0)
                r = store_open(&v.store, &e);
        if (r == 0)
                r = report_run(&v.job, &e);
        return report_end(control_fd, r, &e);
}
