/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker remove: deletes the trees of doomed snapshots, which may take long. */

#include <fcntl.h>

#include "basic/fs.h"
#include "config.h"
#include "snapshot/overlayfs.h"
#include "snapshot/snapshotter.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

/* NAME, or SNAPSHOTTER/NAME; what *ret_name is the name of is in *ret_kind. */
static int parse_name(const char *argument, const Snapshotter **ret_kind, const char **ret_name,
                      Error *e) {
        const char *slash = strchr(argument, '/'), *name = slash ? slash + 1 : argument;
        const Snapshotter *kind = snapshotter_get(0);
        _cleanup_free_ char *prefix = NULL;

        if (slash) {
                prefix = strndup(argument, (size_t) (slash - argument));
                if (!prefix)
                        return -ENOMEM;
                kind = snapshotter_find(prefix);
        }
        if (!kind || !startswith(name, OVERLAYFS_DOOMED_PREFIX) || strchr(name, '/'))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not the name of a doomed snapshot", argument);
        *ret_kind = kind;
        *ret_name = name;
        return 0;
}

static int remove_one(const char *root, int root_fd, const char *argument, Error *e) {
        _cleanup_close_ int dir_fd = -1;
        const Snapshotter *kind;
        const char *name;
        int r;

        r = parse_name(argument, &kind, &name, e);
        if (r != 0)
                return r;
        dir_fd = dir_open_make_at(root_fd, kind->directory, 0700);
        if (dir_fd < 0)
                return error_setf(e, dir_fd, "Failed to open the snapshots in %s: %m", root);
        return overlayfs_remove(dir_fd, name, e);
}

static int remove_all(const char *root, char *const *names, Error *e) {
        _cleanup_close_ int root_fd = -1;
        const Snapshotter *kind;
        const char *ignored;
        int r = 0;

        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return error_setf(e, -errno, "Failed to open the store %s: %m", root);
        for (char *const *name = names; r == 0 && *name; name++)
                r = parse_name(*name, &kind, &ignored, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_REMOVE, &root_fd, e);
        for (char *const *name = names; r == 0 && *name; name++)
                r = remove_one(root, root_fd, *name, e);
        return r;
}

int verb_remove(int argc, char *argv[]) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *root = CTR_STATE_DIR;
        const WorkerOption options[] = {{"root", option_string, &root}, {}};
        char **names;
        int r;

        r = options_parse(options, argc, argv, &names, &e);
        if (r == 0 && !*names)
                r = error_setf(&e, CTR_INVALID_ARGUMENT, "A name is needed");
        if (r == 0)
                r = remove_all(root, names, &e);
        return report_end(-1, r, &e);
}
