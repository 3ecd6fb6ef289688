/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/secret.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/manager.h"

#define NAME_SIZE 24 /* of a file: a number */

Secret *secret_free(Secret *s) {
        if (!s)
                return NULL;
        free(s->namespace);
        free(s->name);
        json_decref(s->labels);
        free(s);
        return NULL;
}

static void file_name(int64_t id, char buf[static NAME_SIZE]) {
        (void) snprintf(buf, NAME_SIZE, "%" PRIi64, id);
}

/* What can change or be waited for is not read. */
static int check_sealed(int fd, size_t *ret_size, Error *e) {
        const int wanted = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
        int seals = fcntl(fd, F_GET_SEALS);
        struct stat st;

        if (seals < 0 || (seals & wanted) != wanted || fstat(fd, &st) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "A secret comes in a file in memory that is sealed against "
                                  "writing, growing and shrinking");
        if ((fcntl(fd, F_GETFL) & O_ACCMODE) == O_WRONLY)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The descriptor of a secret is not open for reading");
        if (st.st_size <= 0 || st.st_size > (off_t) SECRET_BYTES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "A secret has 1 to %u bytes, and this one %" PRIi64,
                                  SECRET_BYTES_MAX, (int64_t) st.st_size);
        *ret_size = (size_t) st.st_size;
        return 0;
}

/* A view of the file in memory that the caller has sealed: no copy of the bytes is made here. */
static int store(Manager *m, int64_t id, int fd, size_t size, Error *e) {
        void *data = mmap(NULL, size, PROT_READ, MAP_PRIVATE, fd, 0);
        char name[NAME_SIZE];
        int r;

        if (data == MAP_FAILED)
                return error_setf(e, -errno, "Failed to look at a secret: %m");
        file_name(id, name);
        r = file_write_atomic_at(m->secrets_fd, name, data, size, 0600, FILE_WRITE_SYNC);
        (void) munmap(data, size);
        return r < 0 ? error_setf(e, r, "Failed to write a secret: %m") : 0;
}

static void forget(Manager *m, int64_t id) {
        char name[NAME_SIZE];

        file_name(id, name);
        if (unlinkat(m->secrets_fd, name, 0) < 0 && errno != ENOENT)
                log_warning_errno(-errno,
                                  "Failed to remove a secret's file, which goes at the next start: "
                                  "%m");
}

int secret_create(Manager *m, const char *namespace, const char *name, json_t *labels, int fd,
                  Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int64_t id = 0;
        size_t size = 0;
        int r;

        r = namespace_validate(namespace, e);
        if (r == 0)
                r = identifier_validate(name, "name of the secret", e);
        if (r == 0)
                r = check_sealed(fd, &size, e);
        if (r == 0)
                r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_secret_insert(m->db, namespace, name, labels, &id, e);
        if (r != 0)
                return r;
        r = store(m, id, fd, size, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r != 0) {
                forget(m, id);
                return r;
        }
        transaction = NULL;
        return 0;
}

int secret_find(Manager *m, const char *namespace, const char *name, Secret **ret, Error *e) {
        int r;

        r = identifier_validate(name, "name of the secret", e);
        if (r != 0)
                return r;
        r = db_secret_find(m->db, namespace, name, ret, e);
        if (r != 0)
                return r == 1 ? 0 : r;
        return error_setf(e, CTR_NOT_FOUND, "There is no secret \"%s\" in namespace \"%s\"", name,
                          namespace);
}

int secret_remove(Manager *m, const char *namespace, const char *name, Error *e) {
        _cleanup_(secret_freep) Secret *s = NULL;
        _cleanup_json_ json_t *users = NULL;
        int r;

        r = secret_find(m, namespace, name, &s, e);
        if (r == 0)
                r = db_secret_users(m->db, s->id, &users, e);
        if (r == 0 && json_array_size(users) > 0)
                r = error_setf(e, CTR_FAILED_PRECONDITION,
                               "The secret \"%s\" is used by the container \"%s\"", name,
                               json_string_value(json_array_get(users, 0)));
        if (r == 0)
                r = db_secret_delete(m->db, s->id, e);
        if (r == 0)
                forget(m, s->id);
        return r;
}

static int open_file(Manager *m, const Secret *s, int *ret_fd, size_t *ret_size, Error *e) {
        _cleanup_close_ int fd = -1;
        char name[NAME_SIZE];
        struct stat st;

        file_name(s->id, name);
        fd = openat(m->secrets_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The file of the secret \"%s\" is gone", s->name);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to open the secret \"%s\": %m", s->name);
        if (!S_ISREG(st.st_mode) || st.st_size <= 0 || st.st_size > (off_t) SECRET_BYTES_MAX)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The file of the secret \"%s\" is damaged", s->name);
        *ret_size = (size_t) st.st_size;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int secret_copy(Manager *m, const Secret *s, int to_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        size_t left = 0;
        int r;

        r = open_file(m, s, &fd, &left, e);
        if (r != 0)
                return r;
        while (left > 0) {
                ssize_t n = sendfile(to_fd, fd, NULL, left);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n <= 0)
                        return error_setf(e, n < 0 ? -errno : -EIO,
                                          "Failed to copy the secret \"%s\": %m", s->name);
                left -= (size_t) n;
        }
        return 0;
}

/* 1 if it is the name of a secret's file. */
static int has_row(Manager *m, const char *name, Error *e) {
        int64_t id = strtoll(name, NULL, 10);
        char canonical[NAME_SIZE];

        file_name(id, canonical);
        return streq(canonical, name) ? db_secret_exists(m->db, id, e) : 0;
}

static int report_missing(const Secret *s, void *userdata) {
        Manager *m = userdata;
        char name[NAME_SIZE];

        file_name(s->id, name);
        if (faccessat(m->secrets_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                log_error_errno(-errno, "The file of the secret %s in namespace %s is missing: %m",
                                s->name, s->namespace);
        return 0;
}

int secrets_recover(Manager *m, Error *e) {
        _cleanup_closedir_ DIR *dir = dir_stream_open_at(m->secrets_fd, ".");
        struct dirent *de;

        if (!dir)
                return error_setf(e, -errno, "Failed to read the directory of secrets: %m");
        while ((errno = 0, de = readdir(dir))) {
                int r;

                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                r = has_row(m, de->d_name, e);
                if (r != 0 && r != 1)
                        return r;
                if (r == 1)
                        continue;
                log_info("Removing a secret's file, which has no record");
                if (unlinkat(m->secrets_fd, de->d_name, 0) < 0)
                        log_warning_errno(-errno, "Failed to remove a secret's file: %m");
        }
        if (errno > 0)
                return error_setf(e, -errno, "Failed to read the directory of secrets: %m");
        return db_secrets_foreach(m->db, NULL, report_missing, m, e);
}
