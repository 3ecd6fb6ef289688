/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "basic/fs.h"
#include "basic/tar-library.h"
#include "ctl/tar.h"
#include "ctl/text.h"

#define ENTRIES_MAX (16U * 1024 * 1024)
#define MODE_PLAIN  0777U

/* A directory that we made: it gets its mode and time when all is in it. */
typedef struct Made {
        struct Made *next;
        mode_t mode;
        struct timespec time;
        char name[];
} Made;

typedef struct Unpack {
        struct archive *archive;
        int dir_fd;
        const char *as;
        TarFlags flags;
        Error *error;
        unsigned skipped;
        bool has_first, is_plain; /* the first name is "." */
        char first[NAME_MAX + 1]; /* component of all names */
        char name[PATH_MAX];      /* of the present entry, below dir_fd */
        char temporary[32];
        Made *made;
} Unpack;

static int failed(Unpack *u, const char *what) {
        return error_setf(u->error, CTR_DATA_LOSS, "%s: %s", what,
                          strempty(tar_library.archive_error_string(u->archive)));
}

static int invalid(Unpack *u, const char *name, const char *why) {
        return error_setf(u->error, CTR_INVALID_ARGUMENT, "\"%s\" in the archive %s", name, why);
}

/* Takes slashes and "." away and refuses "..". */
static int clean_name(Unpack *u, const char *name, char out[static PATH_MAX]) {
        const char *rest = name;
        char part[NAME_MAX + 1];
        size_t n = 0;
        int r;

        while ((r = path_next(&rest, part)) > 0) {
                size_t length = strlen(part);

                if (streq(part, ".."))
                        return invalid(u, name, "leads out of it");
                if (streq(part, "."))
                        continue;
                if (n + length + 2 > PATH_MAX)
                        return invalid(u, name, "is too long");
                if (n > 0)
                        out[n++] = '/';
                memcpy(out + n, part, length);
                n += length;
        }
        if (r < 0)
                return invalid(u, name, "is too long");
        out[n] = '\0';
        return 0;
}

/* The name below dir_fd: "" for the directory itself. */
static int map_name(Unpack *u, const char *name, char out[static PATH_MAX]) {
        char clean[PATH_MAX];
        const char *rest;
        size_t n;
        int r;

        r = clean_name(u, name, clean);
        if (r != 0)
                return r;
        n = strcspn(clean, "/");
        if (n >= sizeof(u->first))
                return invalid(u, name, "is too long");
        if (!u->has_first) {
                u->has_first = true;
                u->is_plain = n == 0 || (u->flags & TAR_NAMES_AS_THEY_ARE);
                memcpy(u->first, clean, n);
        }
        if (u->is_plain)
                n = 0;
        else if (strlen(u->first) != n || strncmp(u->first, clean, n) != 0)
                return invalid(u, name, "is not below the first one");
        rest = clean + n + strspn(clean + n, "/");
        if ((size_t) snprintf(out, PATH_MAX, "%s%s%s", u->as, *u->as && *rest ? "/" : "", rest) >=
            PATH_MAX)
                return invalid(u, name, "is too long");
        return 0;
}

static int open_beneath(const Unpack *u, const char *path, int flags) {
        struct open_how how = {.flags = (uint64_t) flags | O_CLOEXEC,
                               .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS};
        int fd = (int) syscall(SYS_openat2, u->dir_fd, *path ? path : ".", &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* Opens a directory, making what is missing on the way to it. */
static int make_beneath(const Unpack *u, const char *path) {
        _cleanup_close_ int fd = open_beneath(u, "", O_PATH | O_DIRECTORY);
        char name[NAME_MAX + 1];
        int r = 1;

        while (fd >= 0 && (r = path_next(&path, name)) > 0) {
                int next;

                if (mkdirat(fd, name, MODE_PLAIN) < 0 && errno != EEXIST)
                        return -errno;
                next = openat(fd, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
                if (next < 0)
                        return -errno;
                fd_close(fd);
                fd = next;
        }
        return r < 0 ? r : TAKE_FD(fd);
}

/* The directory of a name, and its last component. */
static int open_parent(Unpack *u, const char *path, const char **ret_last, int *ret_fd) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, slash ? (size_t) (slash - path) : 0);
        int fd;

        if (!parent)
                return -ENOMEM;
        fd = open_beneath(u, parent, O_PATH | O_DIRECTORY);
        if (fd == -ENOENT && (u->flags & TAR_NAMES_AS_THEY_ARE))
                fd = make_beneath(u, parent);
        if (fd == -ELOOP)
                return error_setf(u->error, CTR_FAILED_PRECONDITION,
                                  "\"%s\" would be written through a symbolic link", path);
        if (fd < 0)
                return error_setf(u->error, fd, "Failed to open the directory of %s: %m", path);
        *ret_last = slash ? slash + 1 : path;
        *ret_fd = fd;
        return 0;
}

static mode_t entry_mode(const Unpack *u, struct archive_entry *entry) {
        mode_t mode = tar_library.archive_entry_perm(entry);

        return u->flags & TAR_OWNERS ? mode : mode & MODE_PLAIN;
}

static struct timespec entry_time(const Unpack *u, struct archive_entry *entry) {
        return (struct timespec){.tv_sec = tar_library.archive_entry_mtime(entry),
                                 .tv_nsec = tar_library.archive_entry_mtime_nsec(entry)};
}

/* Owner before mode, since a change of the owner takes bits away. */
static int set_attributes(Unpack *u, int dir_fd, const char *last, struct archive_entry *entry) {
        const struct timespec times[2] = {entry_time(u, entry), entry_time(u, entry)};
        bool is_link = tar_library.archive_entry_filetype(entry) == AE_IFLNK;

        if ((u->flags & TAR_OWNERS) &&
            fchownat(dir_fd, last, (uid_t) tar_library.archive_entry_uid(entry),
                     (gid_t) tar_library.archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(u->error, -errno, "Failed to change the owner of %s: %m",
                                  u->name);
        /* in a directory that others write to, somebody may have put a link in its place */
        if (!is_link && fchmodat(dir_fd, last, entry_mode(u, entry), AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(u->error, -errno, "Failed to change the mode of %s: %m", u->name);
        if (utimensat(dir_fd, last, times, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(u->error, -errno, "Failed to change the time of %s: %m", u->name);
        return 0;
}

static int make_directory(Unpack *u, int dir_fd, const char *last, struct archive_entry *entry) {
        size_t n = strlen(u->name) + 1;
        struct stat st;
        Made *made;

        if (mkdirat(dir_fd, last, 0700) < 0) {
                if (errno != EEXIST || fstatat(dir_fd, last, &st, AT_SYMLINK_NOFOLLOW) < 0)
                        return error_setf(u->error, -errno, "Failed to make %s: %m", u->name);
                if (!S_ISDIR(st.st_mode))
                        return error_setf(u->error, CTR_FAILED_PRECONDITION,
                                          "\"%s\" is there and no directory", u->name);
                return 0;
        }
        if ((u->flags & TAR_OWNERS) &&
            fchownat(dir_fd, last, (uid_t) tar_library.archive_entry_uid(entry),
                     (gid_t) tar_library.archive_entry_gid(entry), AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(u->error, -errno, "Failed to change the owner of %s: %m",
                                  u->name);
        made = malloc(sizeof(Made) + n);
        if (!made)
                return -ENOMEM;
        *made = (Made){.next = u->made, .mode = entry_mode(u, entry), .time = entry_time(u, entry)};
        memcpy(made->name, u->name, n);
        u->made = made;
        return 0;
}

static int write_data(Unpack *u, int fd, uint64_t size) {
        const void *data;
        size_t n;
        la_int64_t offset;
        int r;

        while ((r = tar_library.archive_read_data_block(u->archive, &data, &n, &offset)) !=
               ARCHIVE_EOF) {
                if (r < ARCHIVE_WARN)
                        return failed(u, "The archive cannot be read");
                if (lseek(fd, offset, SEEK_SET) < 0)
                        return error_setf(u->error, -errno, "Failed to write %s: %m", u->name);
                r = fd_write_all(fd, data, n);
                if (r < 0)
                        return error_setf(u->error, r, "Failed to write %s: %m", u->name);
        }
        /* a hole at the end has no data */
        if (ftruncate(fd, (off_t) size) < 0)
                return error_setf(u->error, -errno, "Failed to write %s: %m", u->name);
        return 0;
}

/* Makes u->temporary, which becomes the entry when it is complete. */
static int make_temporary(Unpack *u, int dir_fd, struct archive_entry *entry) {
        _cleanup_close_ int fd = -1;

        switch (tar_library.archive_entry_filetype(entry)) {
        case AE_IFREG:
                fd = openat(dir_fd, u->temporary,
                            O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
                if (fd < 0)
                        break;
                return write_data(u, fd, (uint64_t) tar_library.archive_entry_size(entry));
        case AE_IFLNK:
                if (symlinkat(strempty(tar_library.archive_entry_symlink(entry)), dir_fd,
                              u->temporary) == 0)
                        return 0;
                break;
        case AE_IFIFO:
                if (mkfifoat(dir_fd, u->temporary, 0600) == 0)
                        return 0;
                break;
        default:
                return invalid(u, u->name, "is of a kind that is not known");
        }
        return error_setf(u->error, -errno, "Failed to make %s: %m", u->name);
}

/* A second name of what was extracted before. */
static int make_hard_link(Unpack *u, int dir_fd, const char *target) {
        _cleanup_close_ int target_fd = -1;
        char mapped[PATH_MAX];
        const char *last;
        int r;

        r = map_name(u, target, mapped);
        if (r == 0)
                r = open_parent(u, mapped, &last, &target_fd);
        if (r != 0)
                return r;
        if (linkat(target_fd, last, dir_fd, u->temporary, 0) < 0)
                return error_setf(u->error, -errno, "Failed to link %s to %s: %m", u->name, mapped);
        return 0;
}

static int replace(Unpack *u, int dir_fd, const char *last) {
        struct stat st;

        if (fstatat(dir_fd, last, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISDIR(st.st_mode))
                return error_setf(u->error, CTR_FAILED_PRECONDITION,
                                  "\"%s\" is there and a directory", u->name);
        if (renameat(dir_fd, u->temporary, dir_fd, last) < 0)
                return error_setf(u->error, -errno, "Failed to make %s: %m", u->name);
        /* two names of one file: nothing was renamed */
        (void) unlinkat(dir_fd, u->temporary, 0);
        return 0;
}

static int make_entry(Unpack *u, int dir_fd, const char *last, struct archive_entry *entry) {
        const char *target = tar_library.archive_entry_hardlink(entry);
        int r;

        if (target)
                r = make_hard_link(u, dir_fd, target);
        else {
                r = make_temporary(u, dir_fd, entry);
                if (r == 0)
                        r = set_attributes(u, dir_fd, u->temporary, entry);
        }
        if (r == 0)
                r = replace(u, dir_fd, last);
        if (r != 0)
                (void) unlinkat(dir_fd, u->temporary, 0);
        return r;
}

static int unpack_entry(Unpack *u, struct archive_entry *entry) {
        const char *name = tar_library.archive_entry_pathname(entry), *last;
        mode_t type = tar_library.archive_entry_filetype(entry);
        _cleanup_close_ int dir_fd = -1;
        int r;

        if (!name)
                return error_setf(u->error, CTR_INVALID_ARGUMENT, "An entry has no name");
        r = map_name(u, name, u->name);
        if (r != 0)
                return r;
        if (!*u->name) /* the directory that is there already */
                return type == AE_IFDIR ? 0 : invalid(u, name, "is no directory");
        if (type == AE_IFCHR || type == AE_IFBLK) {
                _cleanup_free_ char *text = text_escape(u->name);

                fprintf(stderr, "ctrctl: %s is a device and was left out\n", strempty(text));
                u->skipped++;
                return 0;
        }
        r = open_parent(u, u->name, &last, &dir_fd);
        if (r != 0)
                return r;
        return type == AE_IFDIR ? make_directory(u, dir_fd, last, entry)
                                : make_entry(u, dir_fd, last, entry);
}

/* The ones made last, which are the inner ones, first. One that is gone is no matter of ours. */
static int finish_directories(Unpack *u) {
        int r = 0;

        while (u->made) {
                Made *made = u->made;
                const struct timespec times[2] = {made->time, made->time};
                _cleanup_close_ int fd = -1;

                u->made = made->next;
                if (r == 0) {
                        fd = open_beneath(u, made->name, O_RDONLY | O_DIRECTORY);
                        if (fd < 0 || fchmod(fd, made->mode) < 0 || futimens(fd, times) < 0)
                                r = error_setf(u->error, fd < 0 ? fd : -errno,
                                               "Failed to change %s: %m", made->name);
                }
                free(made);
        }
        return r;
}

static int unpack_all(Unpack *u) {
        for (size_t n = 0; n < ENTRIES_MAX; n++) {
                struct archive_entry *entry;
                int r = tar_library.archive_read_next_header(u->archive, &entry);

                if (r == ARCHIVE_EOF)
                        return n > 0 ? 0
                                     : error_setf(u->error, CTR_DATA_LOSS, "The archive is empty");
                if (r < ARCHIVE_WARN)
                        return failed(u, "The archive cannot be read");
                r = unpack_entry(u, entry);
                if (r != 0)
                        return r;
        }
        return error_setf(u->error, CTR_RESOURCE_EXHAUSTED, "The archive has too many entries");
}

int tar_unpack(int fd, int dir_fd, const char *as, TarFlags flags, unsigned *ret_skipped,
               Error *e) {
        Unpack u = {.dir_fd = dir_fd, .as = as, .flags = flags, .error = e};
        int r, k;

        assert(fd >= 0 && dir_fd >= 0 && as && ret_skipped);

        (void) snprintf(u.temporary, sizeof(u.temporary), ".#ctrctl-%u", (unsigned) getpid());
        r = tar_library_load(e);
        if (r != 0)
                return r;
        u.archive = tar_library.archive_read_new();
        if (!u.archive)
                return error_setf(e, -ENOMEM, "Out of memory");
        if (tar_library.archive_read_support_format_tar(u.archive) != ARCHIVE_OK ||
            tar_library.archive_read_open_fd(u.archive, fd, 64 * 1024) != ARCHIVE_OK)
                r = failed(&u, "The archive cannot be read");
        else
                r = unpack_all(&u);
        k = finish_directories(&u);
        (void) tar_library.archive_read_free(u.archive);
        *ret_skipped = u.skipped;
        if (r == 0)
                r = k;
        return r == -ENOMEM ? error_setf(e, r, "Out of memory") : r;
}
