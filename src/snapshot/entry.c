/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/entry.h"

#include <sys/sysmacros.h>
#include <sys/xattr.h>

/* of a number in the kernel: more than that mknod(2) does not take */
#define DEVICE_MAJOR_BITS 12
#define DEVICE_MINOR_BITS 20

struct timespec entry_mtime(struct archive_entry *entry) {
        if (!tar_library.archive_entry_mtime_is_set(entry))
                return (struct timespec){};
        return (struct timespec){.tv_sec = tar_library.archive_entry_mtime(entry),
                                 .tv_nsec = tar_library.archive_entry_mtime_nsec(entry)};
}

mode_t entry_mode(struct archive_entry *entry) {
        return tar_library.archive_entry_perm(entry) & 07777;
}

/* What is kept: file capabilities, ACLs, and what users set. The labels of a security module belong
 * to the machine where the layer was made. The trusted and user names of overlayfs would make it
 * look for the file's data elsewhere. */
static bool xattr_is_wanted(const char *name) {
        if (startswith(name, "user."))
                return !startswith(name, "user.overlay.");
        if (startswith(name, "trusted."))
                return !startswith(name, "trusted.overlay.");
        return streq(name, "security.capability") || streq(name, "system.posix_acl_access") ||
               streq(name, "system.posix_acl_default");
}

/* fd may be an O_PATH one: then it goes by way of /proc, which works for every type of file. */
int entry_set_xattrs(struct archive_entry *entry, const char *path, int fd,
                     const ApplyLimits *limits, Error *e) {
        int n = tar_library.archive_entry_xattr_reset(entry);
        char proc[STRLEN("/proc/self/fd/") + 12];

        if (n > (int) limits->xattr_count)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "\"%s\" has more than %u extended attributes", path,
                                  limits->xattr_count);
        (void) snprintf(proc, sizeof(proc), "/proc/self/fd/%i", fd);
        while (n-- > 0) {
                const char *name;
                const void *value;
                size_t size;

                if (tar_library.archive_entry_xattr_next(entry, &name, &value, &size) != ARCHIVE_OK)
                        break;
                if (!xattr_is_wanted(name))
                        continue;
                if (size > limits->xattr_bytes)
                        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The extended attribute %.64s of \"%s\" is larger than "
                                          "%zu bytes",
                                          name, path, limits->xattr_bytes);
                /* capabilities and access lists that are none, and names that no file can have */
                if (setxattr(proc, name, value, size, 0) < 0)
                        return error_setf(e,
                                          errno == EINVAL || errno == ERANGE ? CTR_INVALID_ARGUMENT
                                                                             : -errno,
                                          "Failed to set the extended attribute %.64s of \"%s\": "
                                          "%m",
                                          name, path);
        }
        return 0;
}

int entry_owner(struct archive_entry *entry, const char *path, uid_t *ret_uid, gid_t *ret_gid,
                Error *e) {
        int64_t uid = tar_library.archive_entry_uid(entry),
                gid = tar_library.archive_entry_gid(entry);

        /* -1 means "leave it" to chown(2) */
        if (uid < 0 || gid < 0 || uid >= UINT32_MAX || gid >= UINT32_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" has an owner out of range: %lli:%lli", path,
                                  (long long) uid, (long long) gid);
        *ret_uid = (uid_t) uid;
        *ret_gid = (gid_t) gid;
        return 0;
}

int entry_device(struct archive_entry *entry, const char *path, dev_t *ret, Error *e) {
        mode_t type = tar_library.archive_entry_filetype(entry);
        dev_t device = 0;

        if (type == AE_IFCHR || type == AE_IFBLK)
                device = tar_library.archive_entry_rdev(entry);
        if (major(device) >= 1U << DEVICE_MAJOR_BITS || minor(device) >= 1U << DEVICE_MINOR_BITS)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is a device with a number out of range: %u:%u", path,
                                  major(device), minor(device));
        *ret = device;
        return 0;
}
