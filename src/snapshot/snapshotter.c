/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/snapshotter.h"

#include <inttypes.h>

#include "basic/strv.h"
#include "snapshot/native.h"
#include "snapshot/overlayfs.h"

static int prepare_overlayfs(int dir_fd, uint64_t n, uint64_t parent, const char *tree, Error *e) {
        assert(!tree);

        return overlayfs_prepare(dir_fd, n, parent, e);
}

static const Snapshotter snapshotters[SNAPSHOTTERS_MAX] = {
                {.name = "overlayfs",
                 .directory = OVERLAYFS_DIRECTORY,
                 .check = overlayfs_check,
                 .prepare = prepare_overlayfs,
                 .mount = overlayfs_mount},
                {.name = "native",
                 .directory = NATIVE_DIRECTORY,
                 .copies = true,
                 .check = native_check,
                 .prepare = native_prepare,
                 .mount = native_mount},
};

const Snapshotter *snapshotter_get(size_t i) {
        return i < SNAPSHOTTERS_MAX ? snapshotters + i : NULL;
}

const Snapshotter *snapshotter_find(const char *name) {
        for (size_t i = 0; i < SNAPSHOTTERS_MAX; i++)
                if (streq(snapshotters[i].name, name))
                        return snapshotters + i;
        return NULL;
}

SnapshotMount *snapshot_mounts_free(SnapshotMount *mounts, size_t n) {
        for (size_t i = 0; mounts && i < n; i++) {
                free(mounts[i].type);
                free(mounts[i].source);
                strv_free(mounts[i].options);
        }
        free(mounts);
        return NULL;
}

int snapshot_mount_fill(SnapshotMount *m, const char *type, char *source, char **options) {
        *m = (SnapshotMount){.type = strdup(type), .source = source, .options = options};
        return m->type && m->source && m->options ? 0 : -ENOMEM;
}

int snapshot_mount_bind(const char *root, const char *directory, uint64_t n, bool read_only,
                        SnapshotMount *ret) {
        char **options = NULL;
        char *source;
        int r;

        if (asprintf(&source, "%s/%s/%" PRIu64 "/fs", root, directory, n) < 0)
                return -ENOMEM;
        r = strv_extend(&options, "rbind");
        if (r >= 0)
                r = strv_extend(&options, read_only ? "ro" : "rw");
        if (r < 0) {
                strv_free(options);
                free(source);
                return r;
        }
        return snapshot_mount_fill(ret, "bind", source, options);
}
