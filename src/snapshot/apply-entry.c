/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/apply-entry.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "snapshot/entry.h"
#include "snapshot/marks.h"

static int system_error(Apply *a, const char *action) {
        return error_setf(a->e, -errno, "Failed to %s \"%s\": %m", action, a->path);
}

static int remember_time(Apply *a) {
        DirectoryTime *larger;
        char *path;

        if (a->n_times == a->allocated_times) {
                size_t allocated = MAX_OF(a->allocated_times * 2, (size_t) 64);

                larger = reallocarray(a->times, allocated, sizeof(DirectoryTime));
                if (!larger)
                        return -ENOMEM;
                a->times = larger;
                a->allocated_times = allocated;
        }
        path = strdup(a->path);
        if (!path)
                return -ENOMEM;
        a->times[a->n_times++] = (DirectoryTime){.path = path, .mtime = entry_mtime(a->entry)};
        return 0;
}

int apply_directory(Apply *a) {
        _cleanup_close_ int fd = -1;
        uid_t uid;
        gid_t gid;
        int r;

        r = entry_owner(a->entry, a->path, &uid, &gid, a->e);
        if (r != 0)
                return r;
        r = tree_make_directory(a->tree, a->path, &fd, a->e);
        if (r != 0)
                return r;
        if (fchown(fd, uid, gid) < 0 || fchmod(fd, entry_mode(a->entry)) < 0)
                return system_error(a, "set owner and mode of");
        r = entry_set_xattrs(a->entry, a->path, fd, a->limits, a->e);
        if (r != 0)
                return r;
        return remember_time(a);
}

static int write_block(Apply *a, int fd, const char *data, size_t size, off_t offset) {
        a->written += size;
        while (size > 0) {
                ssize_t n = pwrite(fd, data, size, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return system_error(a, "write");
                data += n;
                offset += n;
                size -= (size_t) n;
        }
        return 0;
}

/* Blocks come with their offset: what lies between them is a hole. */
static int write_data(Apply *a, int fd, int64_t size) {
        int64_t end = 0;

        for (;;) {
                const void *data;
                size_t n;
                la_int64_t offset;
                int r;

                r = tar_library.archive_read_data_block(a->archive, &data, &n, &offset);
                if (r == ARCHIVE_EOF)
                        break;
                if (r != ARCHIVE_OK)
                        return apply_archive_failed(a, a->path);
                if (offset < 0 || offset > size || (int64_t) n > size - offset)
                        return error_setf(a->e, CTR_DATA_LOSS, "\"%s\" has data beyond its size",
                                          a->path);
                r = write_block(a, fd, data, n, offset);
                if (r != 0)
                        return r;
                end = MAX_OF(end, offset + (int64_t) n);
        }
        /* a hole at the end */
        if (end < size && ftruncate(fd, size) < 0)
                return system_error(a, "set the size of");
        return 0;
}

int apply_file(Apply *a, const TreePlace *place) {
        int64_t size = tar_library.archive_entry_size(a->entry);
        struct timespec times[2] = {entry_mtime(a->entry), entry_mtime(a->entry)};
        _cleanup_close_ int fd = -1;
        uid_t uid;
        gid_t gid;
        int r;

        if (size < 0 || (uint64_t) size > a->limits->bytes - a->file_bytes)
                return error_setf(a->e, CTR_RESOURCE_EXHAUSTED,
                                  "With \"%s\" the layer's files are larger than %llu bytes",
                                  a->path, (unsigned long long) a->limits->bytes);
        a->file_bytes += (uint64_t) size;
        r = entry_owner(a->entry, a->path, &uid, &gid, a->e);
        if (r != 0)
                return r;

        fd = openat(place->dir_fd, place->name,
                    O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (fd < 0 && errno == EEXIST) {
                bool whiteout;

                r = tree_clear(a->tree, place, &whiteout, a->e);
                if (r != 0)
                        return r;
                fd = openat(place->dir_fd, place->name,
                            O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        }
        if (fd < 0)
                return system_error(a, "create");
        tree_count_inode(a->tree);
        if (size > 0) {
                r = write_data(a, fd, size);
                if (r != 0)
                        return r;
        }
        /* chown() clears set-user-ID and capabilities, so it comes first; the time comes last */
        if (fchown(fd, uid, gid) < 0 || fchmod(fd, entry_mode(a->entry)) < 0)
                return system_error(a, "set owner and mode of");
        r = entry_set_xattrs(a->entry, a->path, fd, a->limits, a->e);
        if (r != 0)
                return r;
        if (futimens(fd, times) < 0)
                return system_error(a, "set the time of");
        return 0;
}

static int remember_link(Apply *a, const char *target) {
        if (a->n_links + 1 >= a->allocated_links) {
                size_t allocated = MAX_OF(a->allocated_links * 2, (size_t) 16);
                char **larger;

                larger = reallocarray(a->links, allocated, sizeof(char *));
                if (!larger)
                        return -ENOMEM;
                a->links = larger;
                a->allocated_links = allocated;
        }
        a->links[a->n_links] = strdup(target);
        if (!a->links[a->n_links])
                return -ENOMEM;
        a->links[++a->n_links] = NULL;
        return 0;
}

/* The file of a lower layer at target, which this layer does not have: an empty one is made there,
 * and kept under a name by which it is found again whatever the archive does to it. */
static int begin_lower_link(Apply *a, const char *target, TreePlace *ret) {
        _cleanup_close_ int fd = -1;
        char name[24];
        int r;

        if (a->links_fd < 0 || !*target)
                return CTR_NOT_FOUND;
        r = tree_find(a->tree, target, true, ret, a->e);
        if (r != 0)
                return r;
        fd = openat(ret->dir_fd, ret->name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW,
                    0600);
        if (fd < 0)
                return system_error(a, "create the target of");
        tree_count_inode(a->tree);
        (void) snprintf(name, sizeof(name), "%zu", a->n_links);
        if (linkat(ret->dir_fd, ret->name, a->links_fd, name, 0) < 0)
                return system_error(a, "remember the target of");
        return remember_link(a, target);
}

/* Finds what a hard link leads to. */
static int find_link_target(Apply *a, const char *target, const char *clean, TreePlace *ret,
                            struct stat *ret_st) {
        bool whiteout = false;
        int r;

        r = *clean ? tree_find(a->tree, clean, false, ret, a->e) : CTR_NOT_FOUND;
        if (r == 0 && fstatat(ret->dir_fd, ret->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
                r = errno == ENOENT ? CTR_NOT_FOUND : system_error(a, "look up the target of");
        /* removed by this very layer */
        if (r == 0)
                whiteout = mark_is_whiteout(ret_st);
        if (r == CTR_NOT_FOUND) {
                r = begin_lower_link(a, clean, ret);
                if (r == 0 && fstatat(ret->dir_fd, ret->name, ret_st, AT_SYMLINK_NOFOLLOW) < 0)
                        r = system_error(a, "look up the target of");
        }
        if (r == CTR_NOT_FOUND || whiteout)
                return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                  "The hard link \"%s\" leads to \"%.200s\", which is not in its "
                                  "layer",
                                  a->path, target);
        if (r == 0 && S_ISDIR(ret_st->st_mode))
                return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                  "The hard link \"%s\" leads to the directory \"%.200s\"", a->path,
                                  target);
        return r;
}

int apply_hardlink(Apply *a, const char *target) {
        _cleanup_free_ char *clean = NULL;
        _cleanup_close_ int dir_fd = -1;
        struct stat from = {}, to;
        TreePlace place;
        bool whiteout;
        int r;

        r = tree_clean_path(target, &clean, a->e);
        if (r == 0)
                r = tree_resolve(a->tree, &clean, a->e);
        if (r != 0)
                return error_prefix(a->e, r, "Hard link \"%s\"", a->path);
        r = find_link_target(a, target, clean, &place, &from);
        if (r != 0)
                return r;

        /* looking up the second place may close the descriptor of the first */
        dir_fd = fcntl(place.dir_fd, F_DUPFD_CLOEXEC, 3);
        if (dir_fd < 0)
                return system_error(a, "duplicate the directory of");
        r = tree_find(a->tree, a->path, true, &place, a->e);
        if (r != 0)
                return r;
        if (fstatat(place.dir_fd, place.name, &to, AT_SYMLINK_NOFOLLOW) >= 0 &&
            from.st_ino == to.st_ino)
                return 0;
        r = tree_clear(a->tree, &place, &whiteout, a->e);
        if (r != 0)
                return r;
        if (linkat(dir_fd, strrchr(clean, '/') ? strrchr(clean, '/') + 1 : clean, place.dir_fd,
                   place.name, 0) < 0)
                return system_error(a, "make the hard link");
        return 0;
}

/* Symbolic links, devices and fifos: no data, and no descriptor from making them. */
int apply_special(Apply *a, const TreePlace *place) {
        struct timespec times[2] = {entry_mtime(a->entry), entry_mtime(a->entry)};
        mode_t type = tar_library.archive_entry_filetype(a->entry), mode = entry_mode(a->entry);
        _cleanup_close_ int fd = -1;
        dev_t device = 0;
        bool whiteout;
        uid_t uid;
        gid_t gid;
        int r;

        r = entry_owner(a->entry, a->path, &uid, &gid, a->e);
        if (r == 0)
                r = entry_device(a->entry, a->path, &device, a->e);
        if (r != 0)
                return r;
        r = tree_clear(a->tree, place, &whiteout, a->e);
        if (r != 0)
                return r;
        if (type == AE_IFLNK) {
                const char *target = tar_library.archive_entry_symlink(a->entry);

                if (isempty(target))
                        return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                          "The symbolic link \"%s\" has no target", a->path);
                if (symlinkat(target, place->dir_fd, place->name) < 0)
                        return system_error(a, "make the symbolic link");
        } else if (mknodat(place->dir_fd, place->name, type | mode, device) < 0)
                return system_error(a, "make the device node or fifo");
        tree_count_inode(a->tree);

        fd = openat(place->dir_fd, place->name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return system_error(a, "open");
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
                return system_error(a, "set the owner of");
        if (type != AE_IFLNK && fchmodat(place->dir_fd, place->name, mode, 0) < 0)
                return system_error(a, "set the mode of");
        r = entry_set_xattrs(a->entry, a->path, fd, a->limits, a->e);
        if (r != 0)
                return r;
        if (utimensat(place->dir_fd, place->name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return system_error(a, "set the time of");
        return 0;
}
