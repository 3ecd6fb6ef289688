/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/capability.h"

#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "runtime/spec.h"

static const char capability_names[][20] = {
                [CAP_CHOWN] = "CHOWN",
                [CAP_DAC_OVERRIDE] = "DAC_OVERRIDE",
                [CAP_DAC_READ_SEARCH] = "DAC_READ_SEARCH",
                [CAP_FOWNER] = "FOWNER",
                [CAP_FSETID] = "FSETID",
                [CAP_KILL] = "KILL",
                [CAP_SETGID] = "SETGID",
                [CAP_SETUID] = "SETUID",
                [CAP_SETPCAP] = "SETPCAP",
                [CAP_LINUX_IMMUTABLE] = "LINUX_IMMUTABLE",
                [CAP_NET_BIND_SERVICE] = "NET_BIND_SERVICE",
                [CAP_NET_BROADCAST] = "NET_BROADCAST",
                [CAP_NET_ADMIN] = "NET_ADMIN",
                [CAP_NET_RAW] = "NET_RAW",
                [CAP_IPC_LOCK] = "IPC_LOCK",
                [CAP_IPC_OWNER] = "IPC_OWNER",
                [CAP_SYS_MODULE] = "SYS_MODULE",
                [CAP_SYS_RAWIO] = "SYS_RAWIO",
                [CAP_SYS_CHROOT] = "SYS_CHROOT",
                [CAP_SYS_PTRACE] = "SYS_PTRACE",
                [CAP_SYS_PACCT] = "SYS_PACCT",
                [CAP_SYS_ADMIN] = "SYS_ADMIN",
                [CAP_SYS_BOOT] = "SYS_BOOT",
                [CAP_SYS_NICE] = "SYS_NICE",
                [CAP_SYS_RESOURCE] = "SYS_RESOURCE",
                [CAP_SYS_TIME] = "SYS_TIME",
                [CAP_SYS_TTY_CONFIG] = "SYS_TTY_CONFIG",
                [CAP_MKNOD] = "MKNOD",
                [CAP_LEASE] = "LEASE",
                [CAP_AUDIT_WRITE] = "AUDIT_WRITE",
                [CAP_AUDIT_CONTROL] = "AUDIT_CONTROL",
                [CAP_SETFCAP] = "SETFCAP",
                [CAP_MAC_OVERRIDE] = "MAC_OVERRIDE",
                [CAP_MAC_ADMIN] = "MAC_ADMIN",
                [CAP_SYSLOG] = "SYSLOG",
                [CAP_WAKE_ALARM] = "WAKE_ALARM",
                [CAP_BLOCK_SUSPEND] = "BLOCK_SUSPEND",
                [CAP_AUDIT_READ] = "AUDIT_READ",
                [CAP_PERFMON] = "PERFMON",
                [CAP_BPF] = "BPF",
                [CAP_CHECKPOINT_RESTORE] = "CHECKPOINT_RESTORE",
};

int capability_from_string(const char *name) {
        const char *rest = startswith(name, "CAP_");

        for (size_t i = 0; rest && i < ELEMENTSOF(capability_names); i++)
                if (streq(capability_names[i], rest))
                        return (int) i;
        return -1;
}

int capability_bounding_set(uint64_t keep, Error *e) {
        /* up to the kernel's last one, which may be newer than this list */
        for (unsigned long i = 0; i < 64; i++) {
                if (keep & (UINT64_C(1) << i))
                        continue;
                if (prctl(PR_CAPBSET_DROP, i, 0, 0, 0) >= 0)
                        continue;
                if (errno == EINVAL && i > 0)
                        return 0;
                return error_setf(e, -errno,
                                  "Failed to drop capability %lu from the bounding set: %m", i);
        }
        return 0;
}

static int capabilities_get(struct __user_cap_data_struct data[2]) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

        return syscall(SYS_capget, &header, data) < 0 ? -errno : 0;
}

static int capabilities_set(const struct __user_cap_data_struct data[2]) {
        struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};

        return syscall(SYS_capset, &header, data) < 0 ? -errno : 0;
}

int capability_raise_permitted(Error *e) {
        struct __user_cap_data_struct data[2] = {};
        int r;

        r = capabilities_get(data);
        if (r >= 0) {
                data[0].effective = data[0].permitted;
                data[1].effective = data[1].permitted;
                r = capabilities_set(data);
        }
        if (r < 0)
                return error_setf(e, r, "Failed to raise capabilities: %m");
        return 0;
}

static int ambient_set(uint64_t ambient, Error *e) {
        if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to clear ambient capabilities: %m");
        for (unsigned long i = 0; i < 64; i++) {
                if (!(ambient & (UINT64_C(1) << i)))
                        continue;
                if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, i, 0, 0) < 0)
                        return error_setf(e, -errno, "Failed to raise ambient capability %lu: %m",
                                          i);
        }
        return 0;
}

int capabilities_apply(const SpecCapabilities *c, Error *e) {
        struct __user_cap_data_struct data[2] = {}, own[2] = {};
        uint64_t available, effective, inheritable, permitted;
        int r;

        r = capabilities_get(own);
        if (r < 0)
                return error_setf(e, r, "Failed to read capabilities: %m");
        /* config.md: what cannot be granted is no error */
        available = own[0].permitted | (uint64_t) own[1].permitted << 32;
        effective = c->effective & available;
        inheritable = c->inheritable & available;
        permitted = c->permitted & available;
        for (size_t i = 0; i < 2; i++)
                data[i] = (struct __user_cap_data_struct){
                                .effective = (uint32_t) (effective >> 32 * i),
                                .inheritable = (uint32_t) (inheritable >> 32 * i),
                                .permitted = (uint32_t) (permitted >> 32 * i),
                };
        r = capabilities_set(data);
        if (r < 0)
                return error_setf(e, r, "Failed to set capabilities: %m");
        return ambient_set(c->ambient & permitted & inheritable, e);
}
