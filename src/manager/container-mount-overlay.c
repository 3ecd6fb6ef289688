/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container-mount-overlay.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/strv.h"
#include "manager/container-mount-options.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/snapshot.h"
#include "snapshot/overlayfs.h"

#define SOURCE_MAX 255U /* what fsconfig(2) takes */

static bool is_one_of(const char *option, size_t n, const char *const *list) {
        for (; *list; list++)
                if (strlen(*list) == n && strncmp(option, *list, n) == 0)
                        return true;
        return false;
}

/* Of the mount, and not of what is mounted. */
static bool is_kept(const char *option, size_t n) {
        static const char *const list[] = {"rw",      "suid",       "nosuid", "dev",
                                           "nodev",   "exec",       "noexec", "atime",
                                           "noatime", "nodiratime", NULL};

        return is_one_of(option, n, list);
}

/* Said by the overlay itself. */
static bool is_implied(const char *option, size_t n) {
        static const char *const list[] = {MOUNT_OVERLAY_OPTION, "bind", "rbind", NULL};

        return is_one_of(option, n, list);
}

int mount_overlay_check(const ContainerMount *mount, Error *e) {
        if (!streq(mount->type, "bind"))
                return error_setf(
                                e, CTR_INVALID_ARGUMENT,
                                "The mount on %.200s is of type %.32s: \"O\" lays an overlay upon "
                                "a directory of the host",
                                mount->destination, mount->type);
        for (const char *o = strempty(mount->options); *o;) {
                size_t n = strcspn(o, ",");

                if (n > 0 && !is_kept(o, n) && !is_implied(o, n))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The overlay on %.200s (\"O\") does not go together with "
                                          "\"%.*s\"",
                                          mount->destination, (int) MIN_OF(n, (size_t) 64), o);
                o += n;
                o += *o == ',';
        }
        if (strpbrk(mount->source, ",:\\") || strlen(mount->source) > SOURCE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The kernel can make no overlay of %.200s: a comma, a colon, a "
                                  "backslash, or more than %u characters",
                                  mount->source, SOURCE_MAX);
        return 0;
}

/* An overlay shows owner and mode of its topmost directory. */
static int copy_owner(const char *source, int upper_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = open(source, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || fstat(fd, &st) < 0)
                return error_setf(e,
                                  errno == ENOENT    ? CTR_NOT_FOUND
                                  : errno == ENOTDIR ? CTR_INVALID_ARGUMENT
                                                     : -errno,
                                  "Failed to open the directory %.200s for an overlay: %m", source);
        if (fchown(upper_fd, st.st_uid, st.st_gid) < 0 || fchmod(upper_fd, st.st_mode & 07777) < 0)
                return error_setf(e, -errno, "Failed to set the owner of an overlay's root: %m");
        return 0;
}

int mount_overlay_take(const Container *c, const ContainerMount *mount, const char *key,
                       int64_t *ret_id, Error *e) {
        Manager *m = c->object.manager;
        _cleanup_close_ int fd = -1;
        const char *snapshotter;
        int r;

        r = snapshotter_choose(m, c->object.namespace, SNAPSHOTTER_LAYERS, &snapshotter, e);
        if (r == 0)
                r = db_snapshot_insert(m->db,
                                       &(Snapshot){
                                                       .kind = SNAPSHOT_ACTIVE,
                                                       .snapshotter = (char *) snapshotter,
                                                       .namespace = c->object.namespace,
                                                       .key = (char *) key,
                                       },
                                       ret_id, e);
        if (r == 0)
                r = snapshot_directory_make(m, snapshotter, *ret_id, 0, NULL, e);
        if (r == 0)
                r = overlayfs_open_tree(snapshotter_directory(m, snapshotter), (uint64_t) *ret_id,
                                        &fd, e);
        return r != 0 ? r : copy_owner(mount->source, fd, e);
}

int mount_overlay_fill(const Container *c, const ContainerMount *mount, int64_t id,
                       ContainerMount *ret) {
        const char *state_dir = c->object.manager->state_dir;
        _cleanup_free_ char *upper = overlayfs_path(state_dir, (uint64_t) id, "fs");
        _cleanup_free_ char *work = overlayfs_path(state_dir, (uint64_t) id, "work");
        _cleanup_free_ char *kept = NULL;

        if (mount_options_filter(strempty(mount->options), is_kept, &kept) < 0)
                return -ENOMEM;
        ret->source = strdup("overlay");
        ret->type = strdup("overlay");
        ret->destination = strdup(mount->destination);
        if (!upper || !work ||
            asprintf(&ret->options, "lowerdir=%s,upperdir=%s,workdir=%s%s%s%s", mount->source,
                     upper, work, c->user_namespace.mode != USER_NAMESPACE_HOST ? ",idmap" : "",
                     *kept ? "," : "", kept) < 0)
                ret->options = NULL;
        return ret->source && ret->type && ret->destination && ret->options ? 0 : -ENOMEM;
}
