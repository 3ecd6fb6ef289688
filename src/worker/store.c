/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/store.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "image/content.h"
#include "snapshot/overlayfs.h"

static int store_error(const Store *s, int r, Error *e) {
        if (r == -EROFS || r == -EACCES || r == -EPERM) {
                errno = -r;
                return error_setf(e, r == -EROFS ? CTR_FAILED_PRECONDITION : CTR_PERMISSION_DENIED,
                                  "The store %s is not writable: %m", s->root);
        }
        return error_setf(e, r, "Failed to open the store %s: %m", s->root);
}

int store_open_root(Store *s, const char *root, Error *e) {
        assert(s && root);

        *s = STORE_NULL;
        s->root = root;
        s->root_fd = dir_open_make_at(AT_FDCWD, root, 0700);
        return s->root_fd < 0 ? store_error(s, s->root_fd, e) : 0;
}

int store_open(Store *s, Error *e) {
        s->content_fd = content_open(s->root_fd);
        if (s->content_fd < 0)
                return store_error(s, s->content_fd, e);
        s->snapshots_fd = overlayfs_open(s->root_fd);
        if (s->snapshots_fd < 0)
                return store_error(s, s->snapshots_fd, e);
        /* what is there may be on a file system that is mounted read-only */
        if (faccessat(s->content_fd, "ingest", W_OK, AT_EACCESS) < 0)
                return store_error(s, -errno, e);
        return 0;
}

void store_close(Store *s) {
        s->snapshots_fd = fd_close(s->snapshots_fd);
        s->content_fd = fd_close(s->content_fd);
        s->root_fd = fd_close(s->root_fd);
}
