/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Files in a container, from the entries of an archive: see snapshot/insert.h. */

#include <fcntl.h>
#include <sys/stat.h>

#include "snapshot/entry.h"
#include "snapshot/insert-internal.h"
#include "snapshot/tree.h"

struct InsertTime {
        char *path;
        struct timespec mtime;
};

static int entry_ids(Insert *c, uid_t *ret_uid, gid_t *ret_gid) {
        if (c->options->own) {
                *ret_uid = 0;
                *ret_gid = 0;
                return 0;
        }
        return entry_owner(c->entry, c->path, ret_uid, ret_gid, c->e);
}

/* Owner before mode and attributes: chown() clears set-user-ID and capabilities. */
static int set_attributes(Insert *c, int fd) {
        uid_t uid;
        gid_t gid;
        int r;

        r = entry_ids(c, &uid, &gid);
        if (r != 0)
                return r;
        if (fchown(fd, uid, gid) < 0 || fchmod(fd, entry_mode(c->entry)) < 0)
                return insert_failed(c, "set owner and mode of");
        return entry_set_xattrs(c->entry, c->path, fd, c->options->limits, c->e);
}

static int remember_time(Insert *c) {
        if (c->n_times == c->allocated_times) {
                size_t allocated = MAX_OF(c->allocated_times * 2, (size_t) 64);
                struct InsertTime *larger;

                larger = reallocarray(c->times, allocated, sizeof(*larger));
                if (!larger)
                        return -ENOMEM;
                c->times = larger;
                c->allocated_times = allocated;
        }
        c->times[c->n_times].path = strdup(c->path);
        c->times[c->n_times].mtime = entry_mtime(c->entry);
        return c->times[c->n_times++].path ? 0 : -ENOMEM;
}

void insert_forget_times(Insert *c) {
        for (size_t i = 0; i < c->n_times; i++)
                free(c->times[i].path);
        free(c->times);
        c->times = NULL;
        c->n_times = 0;
}

/* What the container has changed or removed meanwhile keeps its time. */
int insert_set_times(Insert *c) {
        for (size_t i = c->n_times; i > 0; i--) {
                _cleanup_(insert_place_clear) InsertPlace place = {.dir_fd = -1};
                struct InsertTime *t = c->times + i - 1;
                struct timespec times[2] = {t->mtime, t->mtime};
                int r;

                r = insert_find(c, t->path, &place);
                if (r != 0)
                        return r;
                if (utimensat(place.dir_fd, place.name, times, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno != ENOENT)
                        return error_setf(c->e, -errno, "Failed to set the time of \"%s\": %m",
                                          t->path);
        }
        return 0;
}

/* One that is there stays, and becomes one with the entry. */
static int find_directory(Insert *c, const InsertPlace *place) {
        InsertDraft draft;
        struct stat st;
        int r;

        if (mkdirat(place->dir_fd, place->name, 0700) >= 0)
                return 0;
        if (errno != EEXIST)
                return insert_failed(c, "make the directory");
        if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
            S_ISDIR(st.st_mode))
                return 0;
        r = insert_draft(c, place, &draft);
        if (r != 0)
                return r;
        if (mkdirat(place->dir_fd, draft.name, 0700) < 0)
                return insert_failed(c, "make the directory");
        return insert_replace(c, &draft, place);
}

static int make_directory(Insert *c, const InsertPlace *place) {
        _cleanup_close_ int fd = -1;
        int r;

        r = find_directory(c, place);
        if (r != 0)
                return r;
        fd = openat(place->dir_fd, place->name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
        if (fd < 0)
                return insert_failed(c, "open the directory");
        r = set_attributes(c, fd);
        return r == 0 ? remember_time(c) : r;
}

static int write_block(Insert *c, int fd, const char *data, size_t size, off_t offset) {
        while (size > 0) {
                ssize_t n = pwrite(fd, data, size, offset);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return insert_failed(c, "write");
                data += n;
                offset += n;
                size -= (size_t) n;
        }
        return 0;
}

/* Blocks come with their offset: what lies between them is a hole. */
static int write_data(Insert *c, int fd, int64_t size) {
        const void *data;
        la_int64_t offset;
        size_t n;
        int r;

        while ((r = tar_library.archive_read_data_block(c->archive, &data, &n, &offset)) !=
               ARCHIVE_EOF) {
                if (r != ARCHIVE_OK)
                        return insert_archive_failed(c, c->path);
                if (offset < 0 || offset > size || (int64_t) n > size - offset)
                        return error_setf(c->e, CTR_DATA_LOSS, "\"%s\" has data beyond its size",
                                          c->path);
                r = write_block(c, fd, data, n, offset);
                if (r != 0)
                        return r;
        }
        return ftruncate(fd, size) < 0 ? insert_failed(c, "set the size of") : 0;
}

static int fill_file(Insert *c, int fd) {
        struct timespec times[2] = {entry_mtime(c->entry), entry_mtime(c->entry)};
        int r;

        r = write_data(c, fd, tar_library.archive_entry_size(c->entry));
        if (r == 0)
                r = set_attributes(c, fd);
        if (r == 0 && futimens(fd, times) < 0)
                r = insert_failed(c, "set the time of");
        return r;
}

/* Gives a file, which may have none yet, this name, too. */
static int link_file(Insert *c, int dir_fd, const char *name, int flags, const InsertPlace *place) {
        InsertDraft draft;
        int r;

        if (linkat(dir_fd, name, place->dir_fd, place->name, flags) >= 0)
                return 0;
        if (errno != EEXIST)
                return insert_failed(c, "make");
        r = insert_draft(c, place, &draft);
        if (r != 0)
                return r;
        if (linkat(dir_fd, name, place->dir_fd, draft.name, flags) < 0)
                return insert_failed(c, "make");
        return insert_replace(c, &draft, place);
}

/* Where there are no files without a name. */
static int make_named_file(Insert *c, const InsertPlace *place) {
        _cleanup_close_ int fd = -1;
        InsertDraft draft;
        int r;

        r = insert_draft(c, place, &draft);
        if (r != 0)
                return r;
        fd = openat(place->dir_fd, draft.name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
                    0600);
        if (fd < 0)
                return insert_failed(c, "make");
        r = fill_file(c, fd);
        if (r == 0)
                return insert_replace(c, &draft, place);
        insert_draft_remove(&draft);
        return r;
}

/* Nothing but complete files gets a name, so that nothing is left of a copy that was killed. Where
 * the file system cannot do that, an incomplete one is removed at least after an error. */
static int make_file(Insert *c, const InsertPlace *place) {
        int64_t size = tar_library.archive_entry_size(c->entry);
        char proc[STRLEN("/proc/self/fd/") + 12];
        _cleanup_close_ int fd = -1;
        int r;

        if (size < 0 || (uint64_t) size > c->options->limits->bytes - c->bytes)
                return error_setf(c->e, CTR_RESOURCE_EXHAUSTED,
                                  "With \"%s\" the archive's files are larger than %llu bytes",
                                  c->path, (unsigned long long) c->options->limits->bytes);
        c->bytes += (uint64_t) size;
        fd = openat(place->dir_fd, ".", O_TMPFILE | O_WRONLY | O_CLOEXEC, 0600);
        if (fd < 0)
                return errno == EOPNOTSUPP || errno == EISDIR ? make_named_file(c, place)
                                                              : insert_failed(c, "make");
        r = fill_file(c, fd);
        if (r != 0)
                return r;
        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", fd);
        return link_file(c, AT_FDCWD, proc, AT_SYMLINK_FOLLOW, place);
}

static int make_hard_link(Insert *c, const InsertPlace *place, const char *target) {
        _cleanup_(insert_place_clear) InsertPlace from = {.dir_fd = -1};
        _cleanup_free_ char *clean = NULL;
        struct stat a, b;
        int r;

        r = tree_clean_path(target, &clean, c->e);
        if (r == 0 && !*clean)
                r = error_setf(c->e, CTR_INVALID_ARGUMENT, "It leads to a directory");
        if (r > 0)
                return error_prefix(c->e, r, "Hard link \"%s\"", c->path);
        if (r == 0)
                r = insert_find(c, clean, &from);
        if (r != 0)
                return r;
        if (fstatat(from.dir_fd, from.name, &a, AT_SYMLINK_NOFOLLOW) < 0)
                return insert_failed(c, "find the target of the hard link");
        if (fstatat(place->dir_fd, place->name, &b, AT_SYMLINK_NOFOLLOW) >= 0 &&
            a.st_dev == b.st_dev && a.st_ino == b.st_ino)
                return 0;
        return link_file(c, from.dir_fd, from.name, 0, place);
}

/* Attributes of what has no descriptor from its making: it must be what was made, and have no other
 * name, where somebody in the container put another file in its place. */
static int set_special_attributes(Insert *c, const InsertPlace *place) {
        struct timespec times[2] = {entry_mtime(c->entry), entry_mtime(c->entry)};
        char proc[STRLEN("/proc/self/fd/") + 12];
        _cleanup_close_ int fd = -1;
        struct stat st;
        uid_t uid;
        gid_t gid;
        int r;

        r = entry_ids(c, &uid, &gid);
        if (r != 0)
                return r;
        fd = openat(place->dir_fd, place->name, O_PATH | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || fstat(fd, &st) < 0)
                return insert_failed(c, "open");
        if ((st.st_mode & S_IFMT) != tar_library.archive_entry_filetype(c->entry) ||
            st.st_nlink != 1)
                return error_setf(c->e, CTR_CONFLICT, "\"%s\" was replaced while it was made",
                                  c->path);
        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", fd);
        if (fchownat(fd, "", uid, gid, AT_EMPTY_PATH) < 0)
                return insert_failed(c, "set the owner of");
        if (!S_ISLNK(st.st_mode) && fchmodat(AT_FDCWD, proc, entry_mode(c->entry), 0) < 0)
                return insert_failed(c, "set the mode of");
        r = entry_set_xattrs(c->entry, c->path, fd, c->options->limits, c->e);
        if (r == 0 && utimensat(fd, "", times, AT_EMPTY_PATH) < 0)
                r = insert_failed(c, "set the time of");
        return r;
}

/* -1 and errno. */
static int make_node(Insert *c, dev_t device, const InsertPlace *place) {
        mode_t type = tar_library.archive_entry_filetype(c->entry);

        if (type == AE_IFLNK)
                return symlinkat(tar_library.archive_entry_symlink(c->entry), place->dir_fd,
                                 place->name);
        return mknodat(place->dir_fd, place->name, type | 0600, device);
}

static int make_special(Insert *c, const InsertPlace *place) {
        InsertDraft draft;
        dev_t device;
        int r;

        if (tar_library.archive_entry_filetype(c->entry) == AE_IFLNK &&
            isempty(tar_library.archive_entry_symlink(c->entry)))
                return error_setf(c->e, CTR_INVALID_ARGUMENT,
                                  "The symbolic link \"%s\" has no target", c->path);
        r = entry_device(c->entry, c->path, &device, c->e);
        if (r != 0)
                return r;
        if (make_node(c, device, place) >= 0)
                return set_special_attributes(c, place);
        if (errno != EEXIST)
                return insert_failed(c, "make");
        r = insert_draft(c, place, &draft);
        if (r != 0)
                return r;
        if (make_node(c, device, &draft.place) < 0)
                return insert_failed(c, "make");
        r = set_special_attributes(c, &draft.place);
        if (r == 0)
                return insert_replace(c, &draft, place);
        insert_draft_remove(&draft);
        return r;
}

int insert_make(Insert *c, const InsertPlace *place) {
        const char *target = tar_library.archive_entry_hardlink(c->entry);

        if (target)
                return make_hard_link(c, place, target);
        switch (tar_library.archive_entry_filetype(c->entry)) {
        case AE_IFDIR:
                return make_directory(c, place);
        case AE_IFREG:
                return make_file(c, place);
        case AE_IFLNK:
        case AE_IFCHR:
        case AE_IFBLK:
        case AE_IFIFO:
                return make_special(c, place);
        default:
                return error_setf(c->e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" has the type %o, which is not copied", c->path,
                                  tar_library.archive_entry_filetype(c->entry));
        }
}
