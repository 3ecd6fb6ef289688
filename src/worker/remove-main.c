/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker remove: deletes the trees of doomed snapshots, which may take long. */

#include <fcntl.h>
#include <getopt.h>

#include "basic/fs.h"
#include "config.h"
#include "snapshot/overlayfs.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

static int remove_all(const char *root, char *const *names, Error *e) {
        _cleanup_close_ int root_fd = -1, dir_fd = -1;
        int r;

        root_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return error_setf(e, -errno, "Failed to open the store %s: %m", root);
        for (char *const *name = names; *name; name++)
                if (!startswith(*name, OVERLAYFS_DOOMED_PREFIX))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" is not the name of a doomed snapshot", *name);
        r = sandbox_enter(SANDBOX_REMOVE, &root_fd, e);
        if (r != 0)
                return r;
        dir_fd = overlayfs_open(root_fd);
        if (dir_fd < 0)
                return error_setf(e, dir_fd, "Failed to open the snapshots in %s: %m", root);
        for (char *const *name = names; *name; name++) {
                r = overlayfs_remove(dir_fd, *name, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int verb_remove(int argc, char *argv[]) {
        static const struct option options[] = {{"root", required_argument, NULL, 'r'}, {}};
        _cleanup_error_ Error e = ERROR_NULL;
        const char *root = CTR_STATE_DIR;
        int c, r = 0;

        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0) {
                if (c == 'r')
                        root = optarg;
                else
                        r = error_setf(&e, CTR_INVALID_ARGUMENT,
                                       "Unknown option or missing value, see ctr-worker --help");
        }
        if (r == 0 && optind == argc)
                r = error_setf(&e, CTR_INVALID_ARGUMENT, "A name is needed");
        if (r == 0)
                r = remove_all(root, argv + optind, &e);
        return report_end(-1, r, &e);
}
