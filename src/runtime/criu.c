/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/criu.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/process.h"

#define LOG_LINE_MAX 1000U
#define LOG_SIZE_MAX (256U * 1024 * 1024)

int criu_new(HelperPrepare prepare, void *userdata, Helper **ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        int r;

        assert(prepare && ret);

        r = process_find_program("criu", &path);
        if (r == -ENOENT)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "CRIU is not installed: there is no program \"criu\" in $PATH");
        if (r < 0)
                return r;
        return helper_new(path, prepare, userdata, ret, e);
}

int criu_log_first_error(int dir_fd, const char *name, char **ret) {
        _cleanup_fclose_ FILE *f = NULL;
        _cleanup_close_ int fd = -1;
        char line[LOG_LINE_MAX];
        size_t size = 0;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0)
                return -errno;
        f = fdopen(fd, "r");
        if (!f)
                return -errno;
        TAKE_FD(fd);
        *ret = NULL;
        while (size < LOG_SIZE_MAX && fgets(line, sizeof(line), f)) {
                const char *error = strstr(line, "Error (");

                size += strlen(line);
                if (!error || (error != line && error[-1] != ' '))
                        continue;
                line[strcspn(line, "\n")] = '\0';
                *ret = strdup(error);
                return *ret ? 0 : -ENOMEM;
        }
        return ferror(f) ? -EIO : 0;
}

int criu_log_copy(int dir_fd, const char *name, int to_dir_fd, const char *to_name) {
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -1;
        struct stat st;
        size_t size;
        int r;

        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (fd < 0 || fstat(fd, &st) < 0)
                return -errno;
        if (st.st_size > CRIU_LOG_COPY_MAX && lseek(fd, -(off_t) CRIU_LOG_COPY_MAX, SEEK_END) < 0)
                return -errno;
        r = fd_read_all(fd, CRIU_LOG_COPY_MAX, &data, &size);
        return r < 0 ? r : file_write_atomic_at(to_dir_fd, to_name, data, size, 0600, 0);
}

/* Mapped layers are file systems of their own to CRIU, devices of the host that are bound into it
 * have no mount that it knows, and it asks the container's network for rights that it has not. */
int criu_check_spec(const Spec *spec, Error *e) {
        if (!spec->namespaces[NAMESPACE_USER].set)
                return 0;
        return error_setf(e, CTR_NOT_IMPLEMENTED,
                          "CRIU cannot save and restore a container with a user namespace");
}

int criu_finish(Helper *h, int log_fd, const char *log_name, const char *log_path, Error *e) {
        _cleanup_free_ char *line = NULL;
        int r, status = 0;

        r = helper_finish(h, &status, e);
        if (r != 0)
                return r;
        if (status == 0)
                return 0;
        r = criu_log_first_error(log_fd, log_name, &line);
        if (r < 0 || !line)
                return error_setf(e, CTR_UNKNOWN, "CRIU failed with status %i%s%s", status,
                                  log_path ? ", see " : "", strempty(log_path));
        return error_setf(e, CTR_UNKNOWN, "CRIU failed: %s%s%s", line, log_path ? "; see " : "",
                          strempty(log_path));
}
