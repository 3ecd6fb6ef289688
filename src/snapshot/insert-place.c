/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The names that files get in a container, from one moment to the next: see snapshot/insert.h. */

#include <fcntl.h>
#include <inttypes.h>
#include <sys/random.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "snapshot/insert-internal.h"

/* somebody in the container makes and removes the same name again and again */
#define ATTEMPTS_MAX 16U

int insert_failed(Insert *c, const char *action) {
        /* a read-only mount, and what is mounted itself, is the container's state */
        int code = errno == EROFS || errno == EBUSY || errno == EXDEV ? CTR_FAILED_PRECONDITION
                                                                      : -errno;

        return error_setf(c->e, code, "Failed to %s \"%s\": %s", action, c->path,
                          strerrordesc_np(errno));
}

int insert_draft(Insert *c, const InsertPlace *place, InsertDraft *ret) {
        uint64_t bits[2];

        if (getrandom(bits, sizeof(bits), 0) != sizeof(bits)) {
                errno = EIO;
                return insert_failed(c, "find a name for");
        }
        (void) snprintf(ret->name, sizeof(ret->name), ".#%016" PRIx64 "%016" PRIx64, bits[0],
                        bits[1]);
        ret->place = (InsertPlace){.dir_fd = place->dir_fd, .name = ret->name};
        return 0;
}

void insert_draft_remove(const InsertDraft *draft) {
        (void) tree_remove_at(draft->place.dir_fd, draft->name);
}

static int swap_names(const InsertPlace *a, const InsertPlace *b) {
        return renameat2(a->dir_fd, a->name, b->dir_fd, b->name, RENAME_EXCHANGE);
}

/* One of the two is a directory. -EAGAIN (without a text): the name may be free now. */
static int replace_kind(Insert *c, const InsertPlace *from, const InsertPlace *place) {
        int r;

        if (swap_names(from, place) < 0) {
                if (errno == ENOENT)
                        return -EAGAIN;
                /* not every file system can, and an overlay not with a directory of a layer */
                if (errno != EINVAL && errno != EXDEV)
                        return insert_failed(c, "replace");
                r = tree_remove_at(place->dir_fd, place->name);
                errno = -r;
                return r < 0 ? insert_failed(c, "replace") : -EAGAIN;
        }
        r = tree_remove_at(from->dir_fd, from->name);
        if (r >= 0)
                return 0;
        (void) swap_names(from, place);
        errno = -r;
        return insert_failed(c, "replace");
}

/* -EAGAIN (without a text) if the place has changed meanwhile. */
static int replace(Insert *c, const InsertPlace *from, const InsertPlace *place) {
        struct stat made, there;
        bool directory, free;

        if (fstatat(from->dir_fd, from->name, &made, AT_SYMLINK_NOFOLLOW) < 0)
                return insert_failed(c, "look at");
        directory = S_ISDIR(made.st_mode);
        free = fstatat(place->dir_fd, place->name, &there, AT_SYMLINK_NOFOLLOW) < 0;
        if (free && errno != ENOENT)
                return insert_failed(c, "look at");
        if (!free && S_ISDIR(there.st_mode) != directory) {
                if (!c->options->keep_kind)
                        return replace_kind(c, from, place);
                return error_setf(c->e, CTR_FAILED_PRECONDITION,
                                  directory ? "\"%s\" in the container is no directory, and is not "
                                              "replaced by one"
                                            : "\"%s\" in the container is a directory, and is not "
                                              "replaced by a file",
                                  c->path);
        }
        if (renameat(from->dir_fd, from->name, place->dir_fd, place->name) >= 0)
                return 0;
        if (errno == EISDIR || errno == ENOTDIR || errno == EEXIST || errno == ENOTEMPTY)
                return -EAGAIN;
        return insert_failed(c, "replace");
}

int insert_replace(Insert *c, const InsertDraft *draft, const InsertPlace *place) {
        int r = -EAGAIN;

        for (unsigned i = 0; r == -EAGAIN && i < ATTEMPTS_MAX; i++)
                r = replace(c, &draft->place, place);
        if (r == -EAGAIN)
                r = error_setf(c->e, CTR_CONFLICT, "\"%s\" was replaced while it was made",
                               c->path);
        /* also after a success: two names of one file are not renamed to one */
        insert_draft_remove(draft);
        return r;
}
