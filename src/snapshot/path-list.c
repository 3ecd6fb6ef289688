/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/path-list.h"

#include <limits.h>

#include "snapshot/tree.h"

int tree_clean_path(const char *path, char **ret, Error *e) {
        _cleanup_free_ char *clean = NULL;
        size_t n = 0, depth = 0;

        assert(path && ret);

        clean = malloc(strlen(path) + 1);
        if (!clean)
                return -ENOMEM;
        for (const char *p = path; *(p += strspn(p, "/"));) {
                size_t k = strcspn(p, "/");

                if (k == 2 && p[0] == '.' && p[1] == '.')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "the name \"%.200s\" leads upwards", path);
                if (k > NAME_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "the name \"%.200s...\" has a component of more than %i "
                                          "bytes",
                                          path, NAME_MAX);
                if (k != 1 || p[0] != '.') {
                        if (++depth > TREE_DEPTH_MAX)
                                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                                  "the name \"%.200s...\" is deeper than %i "
                                                  "directories",
                                                  path, TREE_DEPTH_MAX);
                        if (n > 0)
                                clean[n++] = '/';
                        memcpy(clean + n, p, k);
                        n += k;
                }
                p += k;
        }
        clean[n] = '\0';
        if (n >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "the name \"%.200s...\" is longer than %i bytes", path,
                                  PATH_MAX - 1);
        *ret = TAKE_PTR(clean);
        return 0;
}

int path_list_add(PathList *l, const char *path) {
        if (l->n + 1 >= l->allocated) {
                size_t allocated = MAX_OF(l->allocated * 2, (size_t) 16);
                char **larger;

                larger = reallocarray(l->paths, allocated, sizeof(char *));
                if (!larger)
                        return -ENOMEM;
                l->paths = larger;
                l->allocated = allocated;
        }
        l->paths[l->n] = strdup(path);
        if (!l->paths[l->n])
                return -ENOMEM;
        l->paths[++l->n] = NULL;
        return 0;
}

static int compare_paths(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

int path_list_take_difference(PathList *all, PathList *some, char ***ret) {
        size_t n = 0, k = 0;
        char **left;

        left = calloc(all->n + 1, sizeof(char *));
        if (!left)
                return -ENOMEM;
        qsort(all->paths, all->n, sizeof(char *), compare_paths);
        if (some->n > 0)
                qsort(some->paths, some->n, sizeof(char *), compare_paths);
        for (size_t i = 0; i < all->n; i++) {
                char *path = all->paths[i];

                while (k < some->n && strcmp(some->paths[k], path) < 0)
                        k++;
                if ((k < some->n && streq(some->paths[k], path)) ||
                    (n > 0 && streq(left[n - 1], path)))
                        free(path);
                else
                        left[n++] = path;
                all->paths[i] = NULL;
        }
        all->n = 0;
        *ret = left;
        return 0;
}
