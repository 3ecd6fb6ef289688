/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/insert.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>

#include "snapshot/insert-internal.h"
#include "snapshot/tree.h"

static ssize_t on_read(struct archive *archive, void *userdata, const void **ret) {
        Insert *c = userdata;
        size_t n = 0;

        if (c->source_result == 0)
                c->source_result = c->source(c->userdata, ret, &n, c->e);
        if (c->source_result != 0) {
                tar_library.archive_set_error(archive, EIO, "source failed");
                return -1;
        }
        return (ssize_t) n;
}

int insert_archive_failed(Insert *c, const char *where) {
        const char *text = tar_library.archive_error_string(c->archive);

        if (c->source_result != 0)
                return c->source_result;
        if (tar_library.archive_errno(c->archive) == ENOMEM)
                return -ENOMEM;
        return error_setf(c->e, CTR_DATA_LOSS, "%s: %s", where, text ?: "no tar archive");
}

void insert_place_clear(InsertPlace *p) {
        p->dir_fd = fd_close(p->dir_fd);
}

/* The directory path below the one that everything goes to. Descriptor or -errno. */
static int open_directory(Insert *c, const char *path) {
        struct open_how how = {
                        .flags = O_PATH | O_DIRECTORY | O_CLOEXEC,
                        .resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS,
        };
        _cleanup_free_ char *full = NULL;
        int fd;

        /* without any links: almost always */
        fd = (int) syscall(SYS_openat2, c->directory.fd, *path ? path : ".", &how, sizeof(how));
        if (fd >= 0 || errno != ELOOP)
                return fd < 0 ? -errno : fd;
        if (asprintf(&full, "%s/%s", c->options->path, path) < 0) {
                full = NULL;
                return -ENOMEM;
        }
        return inside_open(c->root_fd, full, O_PATH | O_DIRECTORY);
}

/* The directory that path is in, which is made with those on the way to it if it is not there.
 * *ret_parent is its path, also after a failure. Descriptor or -errno. */
static int open_parent(Insert *c, const char *path, char **ret_parent) {
        const char *slash = strrchr(path, '/'), *name;
        _cleanup_free_ char *above = NULL;
        _cleanup_close_ int fd = -1;
        char *parent;
        int r;

        *ret_parent = parent = strndup(path, slash ? (size_t) (slash - path) : 0);
        if (!parent)
                return -ENOMEM;
        r = open_directory(c, parent);
        if (r != -ENOENT || !*parent)
                return r;
        fd = open_parent(c, parent, &above);
        if (fd < 0)
                return fd;
        name = strrchr(parent, '/');
        if (mkdirat(fd, name ? name + 1 : parent, 0755) < 0 && errno != EEXIST)
                return -errno;
        return open_directory(c, parent);
}

int insert_find(Insert *c, const char *path, InsertPlace *ret) {
        _cleanup_free_ char *parent = NULL;
        const char *slash = strrchr(path, '/');
        int fd;

        assert(*path);

        fd = open_parent(c, path, &parent);
        if (fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP)
                return error_setf(c->e, CTR_FAILED_PRECONDITION,
                                  "\"%s\" in the container is no directory", strempty(parent));
        if (fd < 0)
                return error_setf(c->e, fd == -EROFS ? CTR_FAILED_PRECONDITION : fd,
                                  "Failed to open the directory \"%s\" in the container: %s",
                                  strempty(parent), strerrordesc_np(-fd));
        *ret = (InsertPlace){.dir_fd = fd, .name = slash ? slash + 1 : path};
        return 0;
}

static int copy_entry(Insert *c) {
        _cleanup_(insert_place_clear) InsertPlace place = {.dir_fd = -1};
        const char *name = tar_library.archive_entry_pathname(c->entry);
        int r;

        if (++c->entries > c->options->limits->entries)
                return error_setf(c->e, CTR_RESOURCE_EXHAUSTED,
                                  "The archive has more than %llu entries",
                                  (unsigned long long) c->options->limits->entries);
        if (!name)
                return error_setf(c->e, CTR_DATA_LOSS, "An entry has a name that is not UTF-8");
        free(c->path);
        c->path = NULL;
        r = tree_clean_path(name, &c->path, c->e);
        if (r != 0)
                return r;
        /* the directory itself stays as it is */
        if (!*c->path && tar_library.archive_entry_filetype(c->entry) == AE_IFDIR)
                return 0;
        if (!*c->path)
                return error_setf(c->e, CTR_INVALID_ARGUMENT,
                                  "The archive has an entry without a name");
        r = insert_find(c, c->path, &place);
        return r == 0 ? insert_make(c, &place) : r;
}

static int read_archive(Insert *c) {
        const void *data;
        int r;

        while ((r = tar_library.archive_read_next_header(c->archive, &c->entry)) != ARCHIVE_EOF) {
                if (r != ARCHIVE_OK)
                        return insert_archive_failed(c, "The archive");
                r = copy_entry(c);
                if (r != 0)
                        return r;
        }
        /* who writes it has not come to its end yet */
        while ((r = (int) on_read(c->archive, c, &data)) > 0)
                ;
        return r < 0 ? c->source_result : insert_set_times(c);
}

static int open_archive(Insert *c) {
        int r;

        r = tar_library_load(c->e);
        if (r != 0)
                return r;
        c->archive = tar_library.archive_read_new();
        if (!c->archive)
                return -ENOMEM;
        /* the filters are libraries; none of them may start a program */
        if (tar_library.archive_read_support_format_tar(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_format_empty(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_filter_gzip(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_filter_bzip2(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_filter_xz(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_filter_zstd(c->archive) != ARCHIVE_OK ||
            tar_library.archive_read_open(c->archive, c, NULL, on_read, NULL) != ARCHIVE_OK)
                return insert_archive_failed(c, "The archive");
        return 0;
}

static void insert_clear(Insert *c) {
        insert_forget_times(c);
        inside_file_clear(&c->directory);
        if (c->archive)
                (void) tar_library.archive_read_free(c->archive);
        free(c->path);
}

int tree_insert(int root_fd, const InsertOptions *options, ApplySource source, void *userdata,
                Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_(insert_clear) Insert c = {
                        .root_fd = root_fd,
                        .options = options,
                        .source = source,
                        .userdata = userdata,
                        .directory = INSIDE_FILE_NULL,
                        .e = e ?: &local,
        };
        int r;

        assert(root_fd >= 0 && options && options->path && options->limits && source);

        r = inside_find(root_fd, options->path, true, &c.directory, c.e);
        if (r == 0 && !S_ISDIR(c.directory.st.st_mode))
                r = error_setf(c.e, CTR_FAILED_PRECONDITION,
                               "\"%.200s\" in the container is no directory", options->path);
        if (r == 0)
                r = open_archive(&c);
        return r == 0 ? read_archive(&c) : r;
}
