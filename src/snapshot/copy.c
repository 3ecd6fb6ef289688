/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/copy.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <search.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "snapshot/beneath.h"
#include "snapshot/content.h"
#include "snapshot/inherit.h"
#include "snapshot/marks.h"

/* A file with more than one name, and where its first one was copied to. */
typedef struct LinkedFile {
        dev_t device;
        ino_t inode;
        char *path;
} LinkedFile;

typedef struct Copy {
        int root_fd;      /* of what is made */
        bool layer;       /* the source that is being copied is one */
        bool upon_others; /* something may be there already */
        void *links;      /* tsearch(3) tree of LinkedFile */
        const atomic_bool *canceled;
        char path[PATH_MAX]; /* of what is being copied, relative to the root */
        size_t path_size;
        unsigned depth;
} Copy;

static int compare_links(const void *a, const void *b) {
        const LinkedFile *x = a, *y = b;

        if (x->device != y->device)
                return x->device < y->device ? -1 : 1;
        return x->inode < y->inode ? -1 : x->inode > y->inode;
}

static void linked_file_free(void *p) {
        LinkedFile *f = p;

        free(f->path);
        free(f);
}

/* 1 and the file, or 0 for one that is seen first, which is remembered with path. */
static int links_look_up(void **links, const struct stat *st, const char *path, LinkedFile **ret) {
        LinkedFile key = {.device = st->st_dev, .inode = st->st_ino}, *new, **found;

        found = tfind(&key, links, compare_links);
        if (found) {
                *ret = *found;
                return 1;
        }
        new = malloc(sizeof(LinkedFile));
        if (!new)
                return -ENOMEM;
        *new = key;
        new->path = strdup(path);
        if (!new->path || !tsearch(new, links, compare_links)) {
                linked_file_free(new);
                return -ENOMEM;
        }
        return 0;
}

/* 1 if it became a link to what was copied already, 0 if not. */
static int copy_link(Copy *c, const struct stat *st, int to_fd, const char *name, Error *e) {
        _cleanup_close_ int parent_fd = -1;
        char *slash, *target;
        LinkedFile *known;
        int r;

        r = links_look_up(&c->links, st, c->path, &known);
        if (r != 1)
                return r;
        /* the parent is a directory that was made here, and is entered as nothing else */
        slash = strrchr(known->path, '/');
        target = slash ? slash + 1 : known->path;
        if (slash)
                *slash = '\0';
        parent_fd = beneath_open(c->root_fd, slash ? known->path : "", O_PATH | O_DIRECTORY);
        if (slash)
                *slash = '/';
        if (parent_fd < 0)
                return error_setf(e, parent_fd, "Failed to open the directory of %s: %m",
                                  known->path);
        if (linkat(parent_fd, target, to_fd, name, 0) < 0)
                return error_setf(e, -errno, "Failed to link %s to %s: %m", c->path, known->path);
        return 1;
}

static int copy_regular(Copy *c, const struct stat *st, int from_fd, int to_fd, const char *name,
                        Error *e) {
        _cleanup_close_ int in = -1, out = -1;
        int r;

        in = openat(from_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
        if (in < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", c->path);
        out = openat(to_fd, name, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
        if (out < 0)
                return error_setf(e, -errno, "Failed to make %s: %m", c->path);
        r = content_copy(in, out, st->st_size, e);
        if (r == 0)
                r = attributes_copy(in, out, e);
        return r != 0 ? error_prefix(e, r, "%s", c->path) : 0;
}

static int copy_symlink(Copy *c, int from_fd, int to_fd, const char *name, Error *e) {
        char target[PATH_MAX];
        ssize_t n;

        n = readlinkat(from_fd, name, target, sizeof(target) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read the link %s: %m", c->path);
        target[n] = '\0';
        if (symlinkat(target, to_fd, name) < 0)
                return error_setf(e, -errno, "Failed to make the link %s: %m", c->path);
        return 0;
}

/* A link, a device, a pipe or a socket, which have no content. */
static int copy_special(Copy *c, const struct stat *st, int from_fd, int to_fd, const char *name,
                        Error *e) {
        struct timespec times[2] = {st->st_mtim, st->st_mtim};
        int r = 0;

        if (S_ISLNK(st->st_mode))
                r = copy_symlink(c, from_fd, to_fd, name, e);
        else if (mknodat(to_fd, name, st->st_mode & (S_IFMT | 0777), st->st_rdev) < 0)
                r = error_setf(e, -errno, "Failed to make the node %s: %m", c->path);
        if (r != 0)
                return r;
        if (fchownat(to_fd, name, st->st_uid, st->st_gid, AT_SYMLINK_NOFOLLOW) < 0 ||
            (!S_ISLNK(st->st_mode) && fchmodat(to_fd, name, st->st_mode & 07777, 0) < 0) ||
            utimensat(to_fd, name, times, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to set the attributes of %s: %m", c->path);
        return 0;
}

static int copy_tree(Copy *c, int from_fd, int to_fd, Error *e);

/* The directory to copy into: new, or that of a layer below. */
static int make_directory(Copy *c, int to_fd, const char *name, Error *e) {
        int fd;

        if (mkdirat(to_fd, name, 0700) < 0 && errno != EEXIST)
                return error_setf(e, -errno, "Failed to make the directory %s: %m", c->path);
        fd = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 && (errno == ENOTDIR || errno == ELOOP)) {
                /* a file of a layer below, whose place it takes */
                if (unlinkat(to_fd, name, 0) < 0 || mkdirat(to_fd, name, 0700) < 0)
                        return error_setf(e, -errno, "Failed to replace %s: %m", c->path);
                fd = openat(to_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        }
        return fd >= 0 ? fd : error_setf(e, -errno, "Failed to open the directory %s: %m", c->path);
}

static int copy_directory(Copy *c, int from_fd, int to_fd, const char *name, Error *e) {
        _cleanup_close_ int in = -1, out = -1;
        int r;

        in = openat(from_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (in < 0)
                return error_setf(e, -errno, "Failed to open the directory %s: %m", c->path);
        if (c->layer && c->upon_others && mark_is_opaque(in)) {
                r = tree_remove_at(to_fd, name);
                if (r < 0)
                        return error_setf(e, r, "Failed to remove %s: %m", c->path);
        }
        out = make_directory(c, to_fd, name, e);
        if (out < 0)
                return out;
        return copy_tree(c, in, out, e);
}

static int copy_entry(Copy *c, int from_fd, int to_fd, const char *name, Error *e) {
        struct stat st;
        int r;

        if (fstatat(from_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to look at %s: %m", c->path);
        if (S_ISDIR(st.st_mode))
                return copy_directory(c, from_fd, to_fd, name, e);
        if (c->upon_others) {
                r = tree_remove_at(to_fd, name);
                if (r < 0)
                        return error_setf(e, r, "Failed to remove %s: %m", c->path);
        }
        if (c->layer && mark_is_whiteout(&st))
                return 0;
        if (st.st_nlink > 1) {
                r = copy_link(c, &st, to_fd, name, e);
                if (r != 0)
                        return r == 1 ? 0 : r;
        }
        return S_ISREG(st.st_mode) ? copy_regular(c, &st, from_fd, to_fd, name, e)
                                   : copy_special(c, &st, from_fd, to_fd, name, e);
}

/* Adds a name to the path. What it was before is given back by its size. */
static int path_enter(Copy *c, const char *name, Error *e) {
        size_t n = strlen(name);

        if (c->path_size + n + 2 > sizeof(c->path) || c->depth >= COPY_DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The tree is deeper than %i directories, or has a path of more "
                                  "than %i bytes",
                                  COPY_DEPTH_MAX, PATH_MAX);
        if (c->path_size > 0)
                c->path[c->path_size++] = '/';
        memcpy(c->path + c->path_size, name, n + 1);
        c->path_size += n;
        c->depth++;
        return 0;
}

/* What is in from_fd, and then its own attributes: writing into it would change the time. */
static int copy_tree(Copy *c, int from_fd, int to_fd, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        size_t size = c->path_size;
        struct dirent *de;
        int r = 0;

        dir = dir_stream_open_at(from_fd, ".");
        if (!dir)
                return error_setf(e, -errno, "Failed to read the directory %s: %m", c->path);
        while (r == 0 && (errno = 0, de = readdir(dir))) {
                if (streq(de->d_name, ".") || streq(de->d_name, ".."))
                        continue;
                if (atomic_load(c->canceled))
                        return error_setf(e, CTR_CANCELED, "The copy was canceled");
                r = path_enter(c, de->d_name, e);
                if (r != 0)
                        return r;
                r = copy_entry(c, from_fd, to_fd, de->d_name, e);
                c->path[c->path_size = size] = '\0';
                c->depth--;
        }
        if (r == 0 && errno != 0)
                r = error_setf(e, -errno, "Failed to read the directory %s: %m", c->path);
        if (r == 0)
                r = attributes_copy(from_fd, to_fd, e);
        return r;
}

int tree_copy(const CopySource *sources, size_t n, int to_fd, const atomic_bool *canceled,
              Error *e) {
        int r = 0;

        assert(sources && canceled);

        for (size_t i = 0; r == 0 && i < n; i++) {
                /* on the heap, as a path is in it */
                _cleanup_free_ Copy *c = calloc(1, sizeof(Copy));

                if (!c)
                        return -ENOMEM;
                c->root_fd = to_fd;
                c->layer = sources[i].layer;
                c->upon_others = i > 0;
                c->canceled = canceled;
                r = copy_tree(c, sources[i].fd, to_fd, e);
                tdestroy(c->links, linked_file_free);
        }
        return r;
}

typedef struct Usage {
        TreeUsage usage;
        void *links;
        const atomic_bool *canceled;
        unsigned depth;
} Usage;

static int usage_count(Usage *u, const struct stat *st) {
        LinkedFile *known;
        int r;

        if (st->st_nlink > 1 && !S_ISDIR(st->st_mode)) {
                r = links_look_up(&u->links, st, "", &known);
                if (r != 0)
                        return r == 1 ? 0 : r;
        }
        u->usage.inodes++;
        u->usage.bytes += (uint64_t) st->st_blocks * 512;
        return 0;
}

static int usage_of(Usage *u, int fd, Error *e);

static int usage_of_entry(Usage *u, int dir_fd, const char *name, Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        if (atomic_load(u->canceled))
                return error_setf(e, CTR_CANCELED, "The count was canceled");
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                /* a container may be at work in it */
                return errno == ENOENT ? 0
                                       : error_setf(e, -errno, "Failed to look at %s: %m", name);
        if (!S_ISDIR(st.st_mode))
                return usage_count(u, &st);
        if (u->depth >= COPY_DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The tree is deeper than %i directories", COPY_DEPTH_MAX);
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT || errno == ENOTDIR || errno == ELOOP
                                       ? 0
                                       : error_setf(e, -errno, "Failed to open %s: %m", name);
        u->depth++;
        r = usage_of(u, fd, e);
        u->depth--;
        return r;
}

static int usage_of(Usage *u, int fd, Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        struct stat st;
        int r;

        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to look at a directory: %m");
        r = usage_count(u, &st);
        if (r < 0)
                return r;
        dir = dir_stream_open_at(fd, ".");
        if (!dir)
                return error_setf(e, -errno, "Failed to read a directory: %m");
        while (r == 0 && (errno = 0, de = readdir(dir)))
                if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        r = usage_of_entry(u, fd, de->d_name, e);
        return r == 0 && errno != 0 ? error_setf(e, -errno, "Failed to read a directory: %m") : r;
}

int tree_usage(int fd, const atomic_bool *canceled, TreeUsage *ret, Error *e) {
        Usage u = {.canceled = canceled};
        int r;

        r = usage_of(&u, fd, e);
        tdestroy(u.links, linked_file_free);
        if (r == 0)
                *ret = u.usage;
        return r;
}
