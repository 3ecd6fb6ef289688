/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/cgroup-owner.h"

#include <fcntl.h>
#include <sys/mount.h>

#include "basic/fs.h"
#include "runtime/id-map.h"

#define DELEGATE          "/sys/kernel/cgroup/delegate"
#define DELEGATE_SIZE_MAX 65536U

static bool is_writable(const SpecMount *m) {
        return m->type && (streq(m->type, "cgroup") || streq(m->type, "cgroup2")) &&
               !((m->options.attr_set | m->options.recursive_set) & MOUNT_ATTR_RDONLY);
}

uid_t cgroup_owner_of(const Spec *spec) {
        if (spec->uids.n == 0 || !namespace_is_new(&spec->namespaces[NAMESPACE_CGROUP]) ||
            geteuid() != 0)
                return CGROUP_OWNER_UNCHANGED;
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (is_writable(&spec->mounts[i]))
                        return id_map_to_host(&spec->uids, spec->process.user.uid);
        return CGROUP_OWNER_UNCHANGED;
}

/* A controller that is not enabled has no files. */
static int give_file(int cgroup_fd, const char *name, uid_t uid, Error *e) {
        if (fchownat(cgroup_fd, name, uid, (gid_t) -1, AT_SYMLINK_NOFOLLOW) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to change the owner of %s: %m", name);
        return 0;
}

int cgroup_owner_set(int cgroup_fd, uid_t uid, Error *e) {
        static const char fallback[] = "cgroup.procs\ncgroup.subtree_control\ncgroup.threads\n";
        _cleanup_free_ char *names = NULL;
        char *save = NULL;
        int r;

        if (uid == CGROUP_OWNER_UNCHANGED)
                return 0;
        r = file_read_at(AT_FDCWD, DELEGATE, DELEGATE_SIZE_MAX, &names, NULL);
        if (r == -ENOENT) /* before 4.15, or without a sysfs */
                r = (names = strdup(fallback)) ? 0 : -ENOMEM;
        if (r < 0)
                return error_setf(e, r, "Failed to read " DELEGATE ": %m");
        if (fchownat(cgroup_fd, "", uid, (gid_t) -1, AT_EMPTY_PATH) < 0)
                return error_setf(e, -errno, "Failed to change the owner of the cgroup: %m");
        for (char *name = strtok_r(names, "\n", &save); name; name = strtok_r(NULL, "\n", &save)) {
                if (strchr(name, '/'))
                        continue;
                r = give_file(cgroup_fd, name, uid, e);
                if (r != 0)
                        return r;
        }
        return 0;
}
