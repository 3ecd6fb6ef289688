/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/linked.h"

#include <search.h>

typedef struct FileId {
        dev_t dev;
        ino_t ino;
} FileId;

/* In both trees of tsearch(3), as which it begins with the id it is found by. */
typedef struct Pair {
        FileId upper;
        FileId lower;
        bool has_lower, changed;
} Pair;

typedef struct LowerEntry {
        FileId id;
        Pair *pair; /* the first upper file that is paired with it */
} LowerEntry;

struct LinkedFiles {
        void *uppers; /* Pair, by upper */
        void *lowers; /* LowerEntry */
};

static int compare_ids(const void *a, const void *b) {
        const FileId *x = a, *y = b;

        if (x->dev != y->dev)
                return x->dev < y->dev ? -1 : 1;
        return x->ino == y->ino ? 0 : x->ino < y->ino ? -1 : 1;
}

static FileId id_of(const struct stat *st) {
        return (FileId){.dev = st->st_dev, .ino = st->st_ino};
}

int linked_files_new(LinkedFiles **ret) {
        *ret = calloc(1, sizeof(LinkedFiles));
        return *ret ? 0 : -ENOMEM;
}

LinkedFiles *linked_files_free(LinkedFiles *l) {
        if (!l)
                return NULL;
        tdestroy(l->lowers, free);
        tdestroy(l->uppers, free);
        free(l);
        return NULL;
}

bool linked_concerns(const struct stat *upper, const struct stat *lower) {
        return !S_ISDIR(upper->st_mode) && (upper->st_nlink > 1 || (lower && lower->st_nlink > 1));
}

/* Finds what begins with id, or adds a new one of that size. */
static int find_or_add(void **tree, FileId id, size_t size, bool *ret_new, void **ret) {
        FileId *new = NULL, **found;

        found = tfind(&id, tree, compare_ids);
        *ret_new = !found;
        if (!found) {
                new = calloc(1, size);
                if (!new)
                        return -ENOMEM;
                *new = id;
                found = tsearch(new, tree, compare_ids);
                if (!found) {
                        free(new);
                        return -ENOMEM;
                }
        }
        *ret = *found;
        return 0;
}

static Pair *find(const LinkedFiles *l, const struct stat *upper) {
        const FileId id = id_of(upper);
        Pair **found = tfind(&id, &l->uppers, compare_ids);

        return found ? *found : NULL;
}

int linked_pair(LinkedFiles *l, const struct stat *upper, const struct stat *lower,
                bool *ret_first) {
        LowerEntry *entry;
        bool is_new;
        Pair *p;
        int r;

        assert(l && upper && ret_first);

        r = find_or_add(&l->uppers, id_of(upper), sizeof(Pair), ret_first, (void **) &p);
        if (r < 0)
                return r;
        if (!lower) {
                p->changed = true;
                *ret_first = false;
                return 0;
        }
        r = find_or_add(&l->lowers, id_of(lower), sizeof(LowerEntry), &is_new, (void **) &entry);
        if (r < 0)
                return r;
        if (is_new)
                entry->pair = p;
        else if (entry->pair != p)
                entry->pair->changed = p->changed = true;
        if (!p->has_lower) {
                p->lower = entry->id;
                p->has_lower = true;
        } else if (compare_ids(&p->lower, &entry->id) != 0)
                p->changed = true;
        *ret_first = *ret_first && !p->changed;
        return 0;
}

void linked_set_changed(LinkedFiles *l, const struct stat *upper) {
        Pair *p = find(l, upper);

        if (p)
                p->changed = true;
}

bool linked_is_changed(const LinkedFiles *l, const struct stat *upper) {
        const Pair *p = find(l, upper);

        return !p || p->changed;
}
