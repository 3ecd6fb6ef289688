/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/changes.h"

#include <fcntl.h>
#include <limits.h>

#include "snapshot/apply.h"
#include "snapshot/compare.h"
#include "snapshot/marks.h"
#include "snapshot/walk.h"

typedef struct Changes {
        const atomic_bool *canceled;
        ChangeFunction f;
        void *userdata;
        uint64_t entries_left;
        char path[PATH_MAX]; /* of the present file, "" for the root */
} Changes;

/* What a name is in the two trees. A lower directory is open for reading; -1: it is none. */
typedef struct Pair {
        int upper_fd, lower_fd;
        struct stat st; /* of the upper one */
        bool lower;     /* there is something */
} Pair;

static void pair_clear(Pair *p) {
        fd_close(p->upper_fd);
        fd_close(p->lower_fd);
}

static int report(Changes *c, ChangeKind kind, Error *e) {
        if (c->canceled && atomic_load(c->canceled))
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        if (c->entries_left == 0)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "There are too many changes");
        c->entries_left--;
        return c->f(c->userdata, kind, c->path, e);
}

static int push_name(Changes *c, const char *name, size_t *ret_length, Error *e) {
        size_t length = strlen(c->path);
        int n;

        n = snprintf(c->path + length, sizeof(c->path) - length, "/%s", name);
        if ((size_t) n >= sizeof(c->path) - length) {
                c->path[length] = '\0';
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "A path is too long below \"%.256s\"",
                                  c->path);
        }
        *ret_length = length;
        return 0;
}

static int pair_open(Changes *c, int upper_dir, int lower_dir, const char *name, Pair *p,
                     Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        r = walk_open(upper_dir, name, c->path, &p->upper_fd, &p->st, e);
        if (r != 0 || lower_dir < 0)
                return r;
        r = walk_open(lower_dir, name, c->path, &fd, &st, e);
        if (r == -ENOENT)
                return 0;
        if (r != 0)
                return r;
        p->lower = true;
        if (!S_ISDIR(st.st_mode) || !S_ISDIR(p->st.st_mode))
                return 0;
        p->lower_fd = walk_reopen(fd, true);
        return p->lower_fd < 0 ? error_setf(e, p->lower_fd, "Failed to open \"%s\": %m", c->path)
                               : 0;
}

static int walk(Changes *c, int upper_fd, int lower_fd, unsigned depth, Error *e);

static int visit(Changes *c, int upper_dir, int lower_dir, const char *name, unsigned depth,
                 Error *e) {
        _cleanup_(pair_clear) Pair p = {.upper_fd = -1, .lower_fd = -1};
        _cleanup_close_ int fd = -1;
        int r;

        r = pair_open(c, upper_dir, lower_dir, name, &p, e);
        if (r == -ENOENT)
                return 0; /* it went while we were looking */
        if (r != 0)
                return r;
        if (mark_is_whiteout(&p.st))
                return p.lower ? report(c, CHANGE_DELETED, e) : 0;
        r = report(c, p.lower ? CHANGE_MODIFIED : CHANGE_ADDED, e);
        if (r != 0 || !S_ISDIR(p.st.st_mode))
                return r;
        fd = walk_reopen(p.upper_fd, true);
        if (fd < 0)
                return error_setf(e, fd, "Failed to open \"%s\": %m", c->path);
        p.upper_fd = fd_close(p.upper_fd);
        return walk(c, fd, p.lower_fd, depth + 1, e);
}

/* In a directory that hides the one below, names that are not there again were removed: both lists
 * become one. */
static int add_hidden(Changes *c, int lower_fd, WalkNames *names, Error *e) {
        _cleanup_(walk_names_clear) WalkNames lower = {};
        char **merged;
        size_t n, i = 0, k = 0;
        int r;

        r = walk_names(lower_fd, c->path, c->entries_left, &lower, e);
        if (r != 0)
                return r;
        merged = calloc(names->n + lower.n + 1, sizeof(char *));
        if (!merged)
                return -ENOMEM;
        for (n = 0; i < names->n || k < lower.n; n++) {
                int order = i == names->n  ? 1
                            : k == lower.n ? -1
                                           : strcmp(names->names[i], lower.names[k]);

                merged[n] = order <= 0 ? names->names[i++] : lower.names[k];
                if (order > 0)
                        lower.names[k] = NULL;
                k += order >= 0;
        }
        free(names->names);
        *names = (WalkNames){.names = merged, .n = n};
        return 0;
}

static int visit_hidden(Changes *c, int upper_fd, const char *name, Error *e) {
        struct stat st;

        if (fstatat(upper_fd, name, &st, AT_SYMLINK_NOFOLLOW) >= 0)
                return 0;
        if (errno != ENOENT)
                return error_setf(e, -errno, "Failed to look at \"%s\": %m", c->path);
        return report(c, CHANGE_DELETED, e);
}

static int walk(Changes *c, int upper_fd, int lower_fd, unsigned depth, Error *e) {
        _cleanup_(walk_names_clear) WalkNames names = {};
        bool opaque = lower_fd >= 0 && mark_is_opaque(upper_fd);
        int r;

        if (depth > WALK_DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "A directory is more than %u levels deep", WALK_DEPTH_MAX);
        r = walk_names(upper_fd, c->path, c->entries_left, &names, e);
        if (r == 0 && opaque)
                r = add_hidden(c, lower_fd, &names, e);
        for (size_t i = 0; r == 0 && i < names.n; i++) {
                size_t length = 0;

                r = push_name(c, names.names[i], &length, e);
                if (r != 0)
                        break;
                if (opaque)
                        r = visit_hidden(c, upper_fd, names.names[i], e);
                if (r == 0)
                        r = visit(c, upper_fd, lower_fd, names.names[i], depth, e);
                c->path[length] = '\0';
        }
        return r;
}

int layer_changes(int upper_fd, int lower_fd, const atomic_bool *canceled, ChangeFunction f,
                  void *userdata, Error *e) {
        Changes c = {
                        .canceled = canceled,
                        .f = f,
                        .userdata = userdata,
                        .entries_left = apply_limits_default.entries,
        };

        assert(upper_fd >= 0 && f);
        return walk(&c, upper_fd, lower_fd, 0, e);
}

typedef struct Listing {
        ChangeFunction f;
        void *userdata;
} Listing;

static int on_difference(void *userdata, const Difference *d, Error *e) {
        const Listing *l = userdata;
        char path[PATH_MAX + 1];

        (void) snprintf(path, sizeof(path), "/%s", d->path);
        return l->f(l->userdata, d->kind, path, e);
}

int tree_changes(int upper_fd, int lower_fd, const atomic_bool *canceled, ChangeFunction f,
                 void *userdata, Error *e) {
        Listing l = {.f = f, .userdata = userdata};

        return trees_compare(upper_fd, lower_fd, 0, canceled, on_difference, &l, e);
}
