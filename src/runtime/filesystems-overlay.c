/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Overlays among the document's mounts with the option "idmap": as of a root (rootfs-map.c), what
 * their directories have are the container's ids, and each of them is mapped. That takes the host's
 * rights, so it is done before there is a user namespace; init mounts what it is given.
 */

#include <sys/mount.h>

#include "runtime/filesystems.h"
#include "runtime/mount.h"
#include "runtime/rootfs.h"

static bool is_mapped_overlay(const SpecMount *m) {
        return m->options.idmap && m->uids.n == 0 && !m->options.bind && !m->options.remount &&
               streq_ptr(m->type, "overlay");
}

static int read_directories(const SpecMount *m, RootfsParameters *p, Error *e) {
        for (size_t i = 0; i < m->options.n_parameters; i++) {
                const char *parameter = m->options.parameters[i], *value;

                if ((value = startswith(parameter, "lowerdir=")))
                        p->lower = value;
                else if ((value = startswith(parameter, "upperdir=")))
                        p->upper = value;
                else if ((value = startswith(parameter, "workdir=")))
                        p->work = value;
                else
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "\"%s\" is not for an overlay with mapped ids",
                                          parameter);
        }
        return p->lower ? 0 : error_setf(e, CTR_INVALID_ARGUMENT, "An overlay needs \"lowerdir=\"");
}

static int overlay_open(const SpecMount *m, const RootfsParameters *ids, int *ret_fd, Error *e) {
        RootfsParameters p = *ids;
        _cleanup_close_ int fd = -1;
        bool attached;
        int r;

        r = read_directories(m, &p, e);
        if (r == 0)
                r = rootfs_make_overlay(&p, &fd, &attached, e);
        if (r != 0)
                return error_prefix(e, r, "Failed to mount %s", m->destination);
        r = mount_options_apply(fd, &m->options);
        if (r < 0)
                return error_setf(e, r, "Failed to set the options of the overlay on %s: %m",
                                  m->destination);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int filesystems_open_overlays(Filesystems *f, const RootfsParameters *ids, Error *e) {
        int r;

        for (size_t i = 0; i < f->spec->n_mounts; i++) {
                const SpecMount *m = &f->spec->mounts[i];

                if (!is_mapped_overlay(m))
                        continue;
                if (ids->root_uid == UINT32_MAX || ids->root_gid == UINT32_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "linux.uidMappings: the overlay on %s needs id 0",
                                          m->destination);
                r = overlay_open(m, ids, &f->sources[i], e);
                if (r != 0)
                        return r;
        }
        return 0;
}
