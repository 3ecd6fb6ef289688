/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/tree.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/xattr.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "snapshot/beneath.h"
#include "snapshot/marks.h"
#include "snapshot/path-list.h"

struct Tree {
        int root_fd; /* the caller's */
        uint64_t inodes;

        /* the directory of the last place, since archives list one directory after the other */
        char *parent_path;
        int parent_fd;
        bool removed; /* a directory, of which it may have been a part */

        PathList implied; /* as made */
        PathList named;   /* those that the archive named when they were there already */
        PathList hiding;  /* with whiteouts in them */
};

int tree_new(int dir_fd, Tree **ret) {
        _cleanup_(tree_freep) Tree *t = NULL;
        int r;

        assert(dir_fd >= 0 && ret);

        t = calloc(1, sizeof(Tree));
        if (!t)
                return -ENOMEM;
        t->root_fd = dir_fd;
        t->parent_fd = -1;
        t->inodes = 1;
        r = path_list_add(&t->implied, "");
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Tree *tree_free(Tree *t) {
        if (!t)
                return NULL;
        strv_free(t->implied.paths);
        strv_free(t->named.paths);
        strv_free(t->hiding.paths);
        free(t->parent_path);
        fd_close(t->parent_fd);
        free(t);
        return NULL;
}

uint64_t tree_inodes(const Tree *t) {
        return t->inodes;
}

void tree_count_inode(Tree *t) {
        t->inodes++;
}

static int set_opaque(int dir_fd, const char *path, Error *e) {
        if (fsetxattr(dir_fd, "trusted.overlay.opaque", "y", 1, 0) < 0)
                return error_setf(e, -errno, "Failed to make the directory \"%s\" opaque: %m",
                                  path);
        return 0;
}

/* Makes the directory name, which is no directory yet, in dir_fd; path is its whole path. What was
 * a whiteout becomes a directory that hides the lower one. */
static int make_directory_at(Tree *t, int dir_fd, const char *name, const char *path, mode_t mode,
                             Error *e) {
        _cleanup_close_ int fd = -1;
        bool whiteout = false;
        struct stat st;

        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0) {
                whiteout = mark_is_whiteout(&st);
                if (!whiteout)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" is used as a directory, but is %s", path,
                                          S_ISLNK(st.st_mode) ? "a symbolic link"
                                                              : "not a directory");
                if (unlinkat(dir_fd, name, 0) < 0)
                        return error_setf(e, -errno, "Failed to remove \"%s\": %m", path);
        } else if (errno != ENOENT)
                return error_setf(e, -errno, "Failed to look up \"%s\": %m", path);

        if (mkdirat(dir_fd, name, mode) < 0)
                return error_setf(e, -errno, "Failed to make the directory \"%s\": %m", path);
        t->inodes++;
        if (!whiteout)
                return 0;
        fd = openat(dir_fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the directory \"%s\": %m", path);
        return set_opaque(fd, path, e);
}

/* Opens the directory at path component by component, making what is missing. */
static int make_parents(Tree *t, const char *path, int *ret_fd, Error *e) {
        _cleanup_close_ int current = -1;
        char part[PATH_MAX];

        for (const char *p = path; *p;) {
                size_t n = strcspn(p, "/");
                int dir_fd = current >= 0 ? current : t->root_fd, next, r;
                const char *name;

                p += n;
                memcpy(part, path, (size_t) (p - path));
                part[p - path] = '\0';
                name = part + (p - path) - n;
                if (*p)
                        p++;

                next = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                if (next < 0) {
                        if (errno != ENOENT && errno != ENOTDIR && errno != ELOOP)
                                return error_setf(e, -errno, "Failed to open \"%s\": %m", part);
                        r = make_directory_at(t, dir_fd, name, part, 0755, e);
                        if (r != 0)
                                return r;
                        r = path_list_add(&t->implied, part);
                        if (r < 0)
                                return r;
                        next = openat(dir_fd, name, O_PATH | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
                        if (next < 0)
                                return error_setf(e, -errno, "Failed to open \"%s\": %m", part);
                        if (fchownat(next, "", 0, 0, AT_EMPTY_PATH) < 0 ||
                            fchmodat(dir_fd, name, 0755, 0) < 0)
                                return error_setf(e, -errno,
                                                  "Failed to set owner and mode of \"%s\": %m",
                                                  part);
                }
                fd_close(current);
                current = next;
        }
        *ret_fd = TAKE_FD(current);
        return 0;
}

static void forget_parent(Tree *t) {
        t->parent_fd = fd_close(t->parent_fd);
        free(t->parent_path);
        t->parent_path = NULL;
        t->removed = false;
}

/* Makes the directory at path (not ""), which it takes over, the remembered one. */
static int enter_parent(Tree *t, char *path, bool make, Error *e) {
        int fd, r;

        if (t->parent_fd >= 0 && !t->removed && streq(t->parent_path, path)) {
                free(path);
                return 0;
        }
        forget_parent(t);
        t->parent_path = path;
        fd = beneath_open(t->root_fd, path, O_PATH | O_DIRECTORY);
        if (fd < 0) {
                if (!make)
                        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP
                                               ? CTR_NOT_FOUND
                                               : error_setf(e, fd, "Failed to open \"%s\": %m",
                                                            path);
                if (fd != -ENOENT && fd != -ENOTDIR && fd != -ELOOP)
                        return error_setf(e, fd, "Failed to open \"%s\": %m", path);
                r = make_parents(t, path, &fd, e);
                if (r != 0)
                        return r;
        }
        t->parent_fd = fd;
        return 0;
}

int tree_resolve(Tree *t, char **path, Error *e) {
        const char *slash = strrchr(*path, '/');
        _cleanup_free_ char *joined = NULL;
        char resolved[PATH_MAX], *parent, *clean;
        int r;

        assert(t && path);

        if (!slash)
                return 0;
        parent = strndup(*path, (size_t) (slash - *path));
        if (!parent)
                return -ENOMEM;
        /* there without any links: almost always */
        r = enter_parent(t, parent, false, e);
        if (r != CTR_NOT_FOUND)
                return r;
        r = beneath_resolve(t->root_fd, t->parent_path, resolved, e);
        if (r != 0)
                return r;
        if (asprintf(&joined, "%s/%s", resolved, slash + 1) < 0) {
                joined = NULL;
                return -ENOMEM;
        }
        r = tree_clean_path(joined, &clean, e);
        if (r != 0)
                return r;
        free(*path);
        *path = clean;
        return 0;
}

int tree_find(Tree *t, const char *path, bool make, TreePlace *ret, Error *e) {
        const char *slash = strrchr(path, '/');
        char *parent;
        int r;

        assert(t && *path && ret);

        if (!slash) {
                *ret = (TreePlace){.dir_fd = t->root_fd, .name = path};
                return 0;
        }
        parent = strndup(path, (size_t) (slash - path));
        if (!parent)
                return -ENOMEM;
        r = enter_parent(t, parent, make, e);
        if (r != 0)
                return r;
        *ret = (TreePlace){.dir_fd = t->parent_fd, .name = slash + 1};
        return 0;
}

int tree_clear(Tree *t, const TreePlace *place, bool *ret_whiteout, Error *e) {
        struct stat st;
        int r;

        assert(t && place && ret_whiteout);

        *ret_whiteout = false;
        if (fstatat(place->dir_fd, place->name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0
                                       : error_setf(e, -errno, "Failed to look up \"%s\": %m",
                                                    place->name);
        *ret_whiteout = mark_is_whiteout(&st);
        t->removed = t->removed || S_ISDIR(st.st_mode);
        r = tree_remove_at(place->dir_fd, place->name);
        if (r < 0)
                return error_setf(e, r, "Failed to remove \"%s\": %m", place->name);
        return 0;
}

int tree_make_directory(Tree *t, const char *path, int *ret_fd, Error *e) {
        TreePlace place = {.dir_fd = t->root_fd, .name = "."};
        int fd, r;

        if (*path) {
                r = tree_find(t, path, true, &place, e);
                if (r != 0)
                        return r;
        }
        fd = openat(place.dir_fd, place.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd >= 0) {
                r = path_list_add(&t->named, path);
                if (r < 0) {
                        fd_close(fd);
                        return r;
                }
                *ret_fd = fd;
                return 0;
        }
        if (errno == ENOTDIR || errno == ELOOP) {
                struct stat st;

                /* another thing of this layer makes room; a whiteout is taken over below */
                if (fstatat(place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
                    !mark_is_whiteout(&st) && unlinkat(place.dir_fd, place.name, 0) < 0)
                        return error_setf(e, -errno, "Failed to remove \"%s\": %m", path);
        } else if (errno != ENOENT)
                return error_setf(e, -errno, "Failed to open the directory \"%s\": %m", path);

        r = make_directory_at(t, place.dir_fd, place.name, path, 0700, e);
        if (r != 0)
                return r;
        fd = openat(place.dir_fd, place.name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the directory \"%s\": %m", path);
        *ret_fd = fd;
        return 0;
}

int tree_opaque(Tree *t, const char *path, Error *e) {
        _cleanup_close_ int fd = -1;
        int dir_fd = t->root_fd, r;

        if (*path) {
                /* the directory may not have been named yet: it is entered as the parent of what
                 * would be in it */
                char *copy = strdup(path);

                if (!copy)
                        return -ENOMEM;
                r = enter_parent(t, copy, true, e);
                if (r != 0)
                        return r;
                dir_fd = t->parent_fd;
        }
        fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open the directory \"%s\": %m", path);
        return set_opaque(fd, path, e);
}

/* Notes the directory of path, which archives list entry by entry. */
static int note_hiding(Tree *t, const char *path) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *parent = strndup(path, slash ? (size_t) (slash - path) : 0);

        if (!parent)
                return -ENOMEM;
        if (t->hiding.n > 0 && streq(t->hiding.paths[t->hiding.n - 1], parent))
                return 0;
        return path_list_add(&t->hiding, parent);
}

int tree_whiteout(Tree *t, const char *path, Error *e) {
        TreePlace place;
        struct stat st;
        int r;

        assert(t && *path);

        r = tree_find(t, path, true, &place, e);
        if (r != 0)
                return r;
        if (mknodat(place.dir_fd, place.name, S_IFCHR, makedev(0, 0)) >= 0) {
                t->inodes++;
                return note_hiding(t, path);
        }
        if (errno != EEXIST)
                return error_setf(e, -errno, "Failed to make the whiteout of \"%s\": %m", path);
        if (fstatat(place.dir_fd, place.name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to look up \"%s\": %m", path);
        return S_ISDIR(st.st_mode) ? tree_opaque(t, path, e) : 0;
}

int tree_take_implied(Tree *t, char ***ret) {
        assert(t && ret);

        return path_list_take_difference(&t->implied, &t->named, ret);
}

char **tree_take_hiding(Tree *t) {
        char **paths = t->hiding.paths;

        t->hiding = (PathList){};
        return paths;
}
