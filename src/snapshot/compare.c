/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/compare.h"

#include <fcntl.h>
#include <limits.h>

#include "snapshot/apply.h"
#include "snapshot/linked.h"
#include "snapshot/same.h"
#include "snapshot/walk.h"

/* A directory that is being walked, and those above it. */
typedef struct Level {
        struct Level *above;
        int upper_fd, lower_fd; /* lower -1: all that is in it is new */
        struct stat st;
        size_t path_length;
        unsigned depth;
        bool told;
} Level;
#define LEVEL_NULL ((Level){.upper_fd = -1, .lower_fd = -1})

typedef struct Compare {
        CompareFlags flags;
        const atomic_bool *canceled;
        CompareFunction f;
        void *userdata;
        LinkedFiles *linked;
        uint64_t entries_left; /* of each walk */
        char path[PATH_MAX];   /* of the present file */
} Compare;

/* A name in both trees. */
typedef struct Entry {
        int upper_fd, lower_fd; /* O_PATH; -1: there is none */
        struct stat upper, lower;
} Entry;

static void entry_clear(Entry *n) {
        n->upper_fd = fd_close(n->upper_fd);
        n->lower_fd = fd_close(n->lower_fd);
}
#define ENTRY_NULL ((Entry){.upper_fd = -1, .lower_fd = -1})

static int push_name(Compare *c, const char *name, size_t *ret_length, Error *e) {
        size_t length = strlen(c->path);
        int n;

        if (c->canceled && atomic_load(c->canceled))
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        if (c->entries_left == 0)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "There are too many files");
        c->entries_left--;
        n = snprintf(c->path + length, sizeof(c->path) - length, "%s%s", length > 0 ? "/" : "",
                     name);
        if ((size_t) n >= sizeof(c->path) - length) {
                c->path[length] = '\0';
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "A path is too long below \"%.256s\"",
                                  c->path);
        }
        *ret_length = length;
        return 0;
}

/* Looks the name up in both. What is gone by now is not there. */
static int entry_open(Compare *c, const Level *l, const char *name, Entry *n, Error *e) {
        int r;

        r = walk_open(l->upper_fd, name, c->path, &n->upper_fd, &n->upper, e);
        if ((r == 0 || r == -ENOENT) && l->lower_fd >= 0)
                r = walk_open(l->lower_fd, name, c->path, &n->lower_fd, &n->lower, e);
        return r == -ENOENT ? 0 : r;
}

/* The directory of an entry, to be walked. */
static int level_open(Compare *c, Level *above, const Entry *n, Level *ret, Error *e) {
        bool both = n->lower_fd >= 0 && S_ISDIR(n->lower.st_mode);

        if (above->depth >= WALK_DEPTH_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "A directory is more than %u levels deep", WALK_DEPTH_MAX);
        *ret = (Level){
                        .above = above,
                        .st = n->upper,
                        .upper_fd = walk_reopen(n->upper_fd, true),
                        .lower_fd = both ? walk_reopen(n->lower_fd, true) : -1,
                        .path_length = strlen(c->path),
                        .depth = above->depth + 1,
        };
        if (ret->upper_fd < 0)
                return error_setf(e, ret->upper_fd, "Failed to open \"%s\": %m", c->path);
        if (both && ret->lower_fd < 0)
                return error_setf(e, ret->lower_fd, "Failed to open \"%s\": %m", c->path);
        return 0;
}

static void level_close(Level *l) {
        l->upper_fd = fd_close(l->upper_fd);
        l->lower_fd = fd_close(l->lower_fd);
}

/* The names of both directories, in their order, each once. */
typedef struct Names {
        WalkNames upper, lower;
        size_t i, k;
} Names;

static void names_clear(Names *n) {
        walk_names_clear(&n->upper);
        walk_names_clear(&n->lower);
}

static int names_read(Compare *c, const Level *l, Names *ret, Error *e) {
        int r;

        r = walk_names(l->upper_fd, c->path, c->entries_left, &ret->upper, e);
        if (r == 0 && l->lower_fd >= 0)
                r = walk_names(l->lower_fd, c->path, c->entries_left, &ret->lower, e);
        return r;
}

static const char *names_next(Names *n) {
        const char *a = n->i < n->upper.n ? n->upper.names[n->i] : NULL;
        const char *b = n->k < n->lower.n ? n->lower.names[n->k] : NULL;
        int order = !a ? 1 : !b ? -1 : strcmp(a, b);

        if (!a && !b)
                return NULL;
        n->i += order <= 0;
        n->k += order >= 0;
        return order <= 0 ? a : b;
}

/* The first walk: links that were made and broken. */

static int link_directory(Compare *c, const Level *l, Error *e);

static int link_file(Compare *c, const Entry *n, Error *e) {
        const SameFile upper = {n->upper_fd, &n->upper}, lower = {n->lower_fd, &n->lower};
        bool there = n->lower_fd >= 0, first, same;
        int r;

        if (!linked_concerns(&n->upper, there ? &n->lower : NULL))
                return 0;
        if (there && S_ISDIR(n->lower.st_mode))
                there = false;
        r = linked_pair(c->linked, &n->upper, there ? &n->lower : NULL, &first);
        if (r < 0 || !first)
                return r;
        r = same_file(&upper, &lower, c->path, c->canceled, &same, e);
        if (r == 0 && !same)
                linked_set_changed(c->linked, &n->upper);
        return r;
}

static int link_name(Compare *c, const Level *l, const char *name, Error *e) {
        _cleanup_(entry_clear) Entry n = ENTRY_NULL;
        Level below = LEVEL_NULL;
        int r;

        r = entry_open(c, l, name, &n, e);
        if (r != 0 || n.upper_fd < 0)
                return r;
        if (!S_ISDIR(n.upper.st_mode))
                return link_file(c, &n, e);
        r = level_open(c, (Level *) l, &n, &below, e);
        entry_clear(&n);
        if (r == 0)
                r = link_directory(c, &below, e);
        level_close(&below);
        return r;
}

static int link_directory(Compare *c, const Level *l, Error *e) {
        _cleanup_(names_clear) Names names = {};
        int r;

        r = walk_names(l->upper_fd, c->path, c->entries_left, &names.upper, e);
        for (size_t i = 0; r == 0 && i < names.upper.n; i++) {
                size_t length = 0;

                r = push_name(c, names.upper.names[i], &length, e);
                if (r != 0)
                        break;
                r = link_name(c, l, names.upper.names[i], e);
                c->path[length] = '\0';
        }
        return r;
}

/* The second walk: all differences. */

/* A directory above what is different, of which that was not known yet; the nearest is the last. */
static int tell_above(Compare *c, Level *l, Error *e) {
        char next;
        int r;

        if (l->told)
                return 0;
        r = tell_above(c, l->above, e);
        if (r != 0)
                return r;
        l->told = true;
        next = c->path[l->path_length];
        c->path[l->path_length] = '\0';
        r = c->f(c->userdata,
                 &(Difference){
                                 .kind = CHANGE_MODIFIED,
                                 .path = c->path,
                                 .fd = l->upper_fd,
                                 .st = &l->st,
                 },
                 e);
        c->path[l->path_length] = next;
        return r;
}

static int tell(Compare *c, Level *l, ChangeKind kind, const Entry *n, Error *e) {
        bool deleted = kind == CHANGE_DELETED;
        int r;

        r = tell_above(c, l, e);
        return r != 0 ? r
                      : c->f(c->userdata,
                             &(Difference){
                                             .kind = kind,
                                             .path = c->path,
                                             .fd = deleted ? -1 : n->upper_fd,
                                             .st = deleted ? &n->lower : &n->upper,
                             },
                             e);
}

static int compare_directory(Compare *c, Level *l, Error *e);

/* *ret_same is true for a directory, too, with the same attributes. */
static int compare_entry(Compare *c, const Entry *n, bool *ret_same, Error *e) {
        const SameFile upper = {n->upper_fd, &n->upper}, lower = {n->lower_fd, &n->lower};

        if (S_ISDIR(n->upper.st_mode))
                return same_attributes(&upper, &lower, c->path, ret_same, e);
        if (!linked_concerns(&n->upper, &n->lower))
                return same_file(&upper, &lower, c->path, c->canceled, ret_same, e);
        *ret_same = !linked_is_changed(c->linked, &n->upper);
        return 0;
}

static int compare_name(Compare *c, Level *l, const char *name, Error *e) {
        _cleanup_(entry_clear) Entry n = ENTRY_NULL;
        bool same = false;
        Level below = LEVEL_NULL;
        int r;

        r = entry_open(c, l, name, &n, e);
        if (r != 0)
                return r;
        if (n.upper_fd < 0)
                return n.lower_fd < 0 || (c->flags & COMPARE_DELETED_FIRST)
                                       ? 0
                                       : tell(c, l, CHANGE_DELETED, &n, e);
        if (n.lower_fd >= 0)
                r = compare_entry(c, &n, &same, e);
        if (r == 0 && !same)
                r = tell(c, l, n.lower_fd < 0 ? CHANGE_ADDED : CHANGE_MODIFIED, &n, e);
        if (r != 0 || !S_ISDIR(n.upper.st_mode))
                return r;
        r = level_open(c, l, &n, &below, e);
        below.told = !same;
        entry_clear(&n);
        if (r == 0)
                r = compare_directory(c, &below, e);
        level_close(&below);
        return r;
}

static int tell_deleted(Compare *c, Level *l, const Names *names, Error *e) {
        for (size_t i = 0; i < names->lower.n; i++) {
                _cleanup_(entry_clear) Entry n = ENTRY_NULL;
                const char *name = names->lower.names[i];
                size_t length = 0;
                int r;

                if (walk_names_has(&names->upper, name))
                        continue;
                r = push_name(c, name, &length, e);
                if (r != 0)
                        return r;
                r = walk_open(l->lower_fd, name, c->path, &n.lower_fd, &n.lower, e);
                if (r == 0)
                        r = tell(c, l, CHANGE_DELETED, &n, e);
                c->path[length] = '\0';
                if (r != 0 && r != -ENOENT)
                        return r;
        }
        return 0;
}

static int compare_directory(Compare *c, Level *l, Error *e) {
        _cleanup_(names_clear) Names names = {};
        const char *name;
        int r;

        r = names_read(c, l, &names, e);
        if (r == 0 && (c->flags & COMPARE_DELETED_FIRST))
                r = tell_deleted(c, l, &names, e);
        while (r == 0 && (name = names_next(&names))) {
                size_t length = 0;

                r = push_name(c, name, &length, e);
                if (r != 0)
                        break;
                r = compare_name(c, l, name, e);
                c->path[length] = '\0';
        }
        return r;
}

int trees_compare(int upper_fd, int lower_fd, CompareFlags flags, const atomic_bool *canceled,
                  CompareFunction f, void *userdata, Error *e) {
        _cleanup_(linked_files_freep) LinkedFiles *linked = NULL;
        Level root = {.upper_fd = upper_fd, .lower_fd = lower_fd, .told = true};
        Compare c = {.flags = flags, .canceled = canceled, .f = f, .userdata = userdata};
        int r;

        assert(upper_fd >= 0 && f);

        r = linked_files_new(&linked);
        if (r < 0)
                return r;
        c.linked = linked;
        c.entries_left = apply_limits_default.entries;
        /* where all is new no link can have been broken */
        if (lower_fd >= 0)
                r = link_directory(&c, &root, e);
        c.entries_left = apply_limits_default.entries;
        return r == 0 ? compare_directory(&c, &root, e) : r;
}
