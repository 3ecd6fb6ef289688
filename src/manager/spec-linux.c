/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The "linux" and "mounts" parts of the document: namespaces, devices, paths, capabilities. The
 * defaults are those of the ecosystem (containerd's pkg/oci/spec.go, A1.12). */

#include <strings.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/container-secrets.h"
#include "manager/manager.h"
#include "manager/resolver.h"
#include "manager/spec-internal.h"

static const char *const capabilities_default[] = {
                "CAP_CHOWN",   "CAP_DAC_OVERRIDE", "CAP_FSETID",           "CAP_FOWNER",
                "CAP_MKNOD",   "CAP_NET_RAW",      "CAP_SETGID",           "CAP_SETUID",
                "CAP_SETFCAP", "CAP_SETPCAP",      "CAP_NET_BIND_SERVICE", "CAP_SYS_CHROOT",
                "CAP_KILL",    "CAP_AUDIT_WRITE",
};

static const char *const capabilities_all[] = {
                "CAP_CHOWN",
                "CAP_DAC_OVERRIDE",
                "CAP_DAC_READ_SEARCH",
                "CAP_FOWNER",
                "CAP_FSETID",
                "CAP_KILL",
                "CAP_SETGID",
                "CAP_SETUID",
                "CAP_SETPCAP",
                "CAP_LINUX_IMMUTABLE",
                "CAP_NET_BIND_SERVICE",
                "CAP_NET_BROADCAST",
                "CAP_NET_ADMIN",
                "CAP_NET_RAW",
                "CAP_IPC_LOCK",
                "CAP_IPC_OWNER",
                "CAP_SYS_MODULE",
                "CAP_SYS_RAWIO",
                "CAP_SYS_CHROOT",
                "CAP_SYS_PTRACE",
                "CAP_SYS_PACCT",
                "CAP_SYS_ADMIN",
                "CAP_SYS_BOOT",
                "CAP_SYS_NICE",
                "CAP_SYS_RESOURCE",
                "CAP_SYS_TIME",
                "CAP_SYS_TTY_CONFIG",
                "CAP_MKNOD",
                "CAP_LEASE",
                "CAP_AUDIT_WRITE",
                "CAP_AUDIT_CONTROL",
                "CAP_SETFCAP",
                "CAP_MAC_OVERRIDE",
                "CAP_MAC_ADMIN",
                "CAP_SYSLOG",
                "CAP_WAKE_ALARM",
                "CAP_BLOCK_SUSPEND",
                "CAP_AUDIT_READ",
                "CAP_PERFMON",
                "CAP_BPF",
                "CAP_CHECKPOINT_RESTORE",
};

static const char *const masked_paths[] = {
                "/proc/acpi",        "/proc/asound",  "/proc/interrupts",
                "/proc/kcore",       "/proc/keys",    "/proc/latency_stats",
                "/proc/sched_debug", "/proc/scsi",    "/proc/timer_list",
                "/proc/timer_stats", "/sys/firmware", "/sys/devices/virtual/powercap",
};

static const char *const readonly_paths[] = {
                "/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger",
};

static json_t *string_array(const char *const *strings, size_t n) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < n; i++)
                if (json_array_append_new(array, json_string(strings[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

/* "net_admin" and "CAP_NET_ADMIN" to bits of capabilities_all. */
static int capability_bits(const char *name, uint64_t *ret, Error *e) {
        if (strcasecmp(name, "all") == 0) {
                *ret = (UINT64_C(1) << ELEMENTSOF(capabilities_all)) - 1;
                return 0;
        }
        for (size_t i = 0; i < ELEMENTSOF(capabilities_all); i++)
                if (strcasecmp(name, capabilities_all[i]) == 0 ||
                    strcasecmp(name, capabilities_all[i] + STRLEN("CAP_")) == 0) {
                        *ret = UINT64_C(1) << i;
                        return 0;
                }
        return error_setf(e, CTR_INVALID_ARGUMENT, "Unknown capability \"%s\"", name);
}

bool spec_capability_is_default(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(capabilities_default); i++)
                if (streq_ptr(capabilities_default[i], name))
                        return true;
        return false;
}

/* set without drop, then with add: "drop all, add one" means what it says. */
static int capability_change(uint64_t *set, char *const *add, char *const *drop, Error *e) {
        uint64_t bits;
        int r;

        STRV_FOREACH(name, drop) {
                r = capability_bits(*name, &bits, e);
                if (r != 0)
                        return r;
                *set &= ~bits;
        }
        STRV_FOREACH(name, add) {
                r = capability_bits(*name, &bits, e);
                if (r != 0)
                        return r;
                *set |= bits;
        }
        return 0;
}

static json_t *capability_object(uint64_t set) {
        _cleanup_json_ json_t *names = json_array();

        if (!names)
                return NULL;
        for (size_t i = 0; i < ELEMENTSOF(capabilities_all); i++)
                if ((set & (UINT64_C(1) << i)) &&
                    json_array_append_new(names, json_string(capabilities_all[i])) < 0)
                        return NULL;
        /* no inheritable and no ambient ones: a program started by another user gets none */
        return json_pack("{sOsOsO}", "bounding", names, "effective", names, "permitted", names);
}

json_t *spec_capabilities(const ContainerRequest *request, Error *e) {
        uint64_t set = 0, bits;

        for (size_t i = 0; i < ELEMENTSOF(capabilities_default); i++) {
                if (capability_bits(capabilities_default[i], &bits, e) != 0)
                        return NULL;
                set |= bits;
        }
        if (capability_change(&set, request->capabilities_add, request->capabilities_drop, e) != 0)
                return NULL;
        return capability_object(set);
}

json_t *spec_capabilities_change(json_t *names, char *const *add, char *const *drop, Error *e) {
        uint64_t set = 0, bits;
        json_t *name;
        size_t i;

        json_array_foreach(names, i, name)
                if (json_string_value(name) &&
                    capability_bits(json_string_value(name), &bits, NULL) == 0)
                        set |= bits;
        if (capability_change(&set, add, drop, e) != 0)
                return NULL;
        return capability_object(set);
}

static int append_device(json_t *devices, json_t *allow, const ContainerDevice *d, Error *e) {
        struct stat st;
        int r;

        if (stat(d->path, &st) < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno, "Device %s: %m",
                                  d->path);
        if (!S_ISCHR(st.st_mode) && !S_ISBLK(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not a device", d->path);
        r = json_array_append_new(devices, json_pack("{sssssisisisisi}", "path", d->path, "type",
                                                     S_ISCHR(st.st_mode) ? "c" : "b", "major",
                                                     (int) major(st.st_rdev), "minor",
                                                     (int) minor(st.st_rdev), "fileMode",
                                                     (int) (st.st_mode & 0777), "uid",
                                                     (int) st.st_uid, "gid", (int) st.st_gid));
        if (r < 0)
                return -ENOMEM;
        if (json_array_append_new(allow, json_pack("[ss]", d->path, d->access)) < 0)
                return -ENOMEM;
        return 0;
}

static json_t *spec_devices(const ContainerRequest *request, json_t *resources, Error *e) {
        _cleanup_json_ json_t *devices = json_array(), *allow = json_array();

        if (!devices || !allow)
                return NULL;
        for (size_t i = 0; i < request->n_devices; i++)
                if (append_device(devices, allow, request->devices + i, e) != 0)
                        return NULL;
        if (request->n_devices > 0 && json_object_set(resources, "DeviceAllow", allow) < 0)
                return NULL;
        return json_incref(devices);
}

static json_t *spec_namespaces(const ContainerRequest *request, bool has_user_namespace) {
        const char *const types[] = {"pid",
                                     "ipc",
                                     "uts",
                                     "mount",
                                     "cgroup",
                                     request->host_network ? NULL : "network",
                                     has_user_namespace ? "user" : NULL};
        json_t *array = json_array();

        for (size_t i = 0; array && i < ELEMENTSOF(types); i++)
                if (types[i] &&
                    json_array_append_new(array, json_pack("{ss}", "type", types[i])) < 0) {
                        json_decref(array);
                        return NULL;
                }
        return array;
}

json_t *spec_linux(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                   json_t *capabilities, json_t *resources, Error *e) {
        bool mapped = ids->mode != USER_NAMESPACE_HOST;
        json_t *j;

        j = json_pack("{sosososo}", "namespaces", spec_namespaces(request, mapped), "devices",
                      spec_devices(request, resources, e), "maskedPaths",
                      string_array(masked_paths, ELEMENTSOF(masked_paths)), "readonlyPaths",
                      string_array(readonly_paths, ELEMENTSOF(readonly_paths)));
        if (!j)
                return NULL;
        if (mapped &&
            (json_object_set_new(j, "uidMappings", id_mappings_to_spec(&ids->uids)) < 0 ||
             json_object_set_new(j, "gidMappings", id_mappings_to_spec(&ids->gids)) < 0)) {
                json_decref(j);
                return NULL;
        }
        if (m->seccomp && json_object_set_new(j, "seccomp", spec_seccomp(m, capabilities)) < 0) {
                json_decref(j);
                return NULL;
        }
        return j;
}

static int append_mount(json_t *mounts, const char *destination, const char *type,
                        const char *source, const char *options) {
        _cleanup_free_ char *copy = strdup(strempty(options));
        _cleanup_json_ json_t *array = json_array();
        char *saved = NULL;

        if (!copy || !array)
                return -ENOMEM;
        for (char *o = strtok_r(copy, ",", &saved); o; o = strtok_r(NULL, ",", &saved))
                if (json_array_append_new(array, json_string(o)) < 0)
                        return -ENOMEM;
        if (json_array_append_new(mounts,
                                  json_pack("{sssssssO}", "destination", destination, "type", type,
                                            "source", source, "options", array)) < 0)
                return -ENOMEM;
        return 0;
}

/* A default mount at or below what the request mounts itself is left out: it would be hidden, or
 * its mount point be made in a directory of the host. */
static bool is_replaced(const ContainerRequest *request, const char *destination) {
        for (size_t i = 0; i < request->n_mounts; i++)
                if (path_is_below(destination, request->mounts[i].destination))
                        return true;
        return false;
}

typedef struct DefaultMount {
        const char *destination, *type, *source, *options;
} DefaultMount;

#define TMPFS_OPTIONS "nosuid,nodev,tmpcopyup"

/* What the container interface of systemd asks for, in the way of podman. */
static const DefaultMount systemd_mounts[] = {
                {"/run", "tmpfs", "tmpfs", TMPFS_OPTIONS ",mode=755"},
                {"/run/lock", "tmpfs", "tmpfs", TMPFS_OPTIONS ",mode=1777,size=5120k"},
                {"/tmp", "tmpfs", "tmpfs", TMPFS_OPTIONS ",mode=1777"},
                {"/var/log/journal", "tmpfs", "tmpfs", TMPFS_OPTIONS ",mode=755"},
                {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,rw"},
};

static const DefaultMount *systemd_mount(const char *destination) {
        for (size_t i = 0; i < ELEMENTSOF(systemd_mounts); i++)
                if (streq(systemd_mounts[i].destination, destination))
                        return &systemd_mounts[i];
        return NULL;
}

static int append_defaults(json_t *mounts, const ContainerRequest *request,
                           const DefaultMount *defaults, size_t n, bool but_for_systemds) {
        for (size_t i = 0; i < n; i++) {
                const DefaultMount *d = &defaults[i];
                int r;

                if (is_replaced(request, d->destination) ||
                    (but_for_systemds && systemd_mount(d->destination)))
                        continue;
                r = append_mount(mounts, d->destination, d->type, d->source, d->options);
                if (r < 0)
                        return r;
        }
        return 0;
}

/* A file of the container's own, which is made with each task, or the host's: who shares its
 * network resolves names as it does. */
static int append_network_file(Manager *m, json_t *mounts, const ContainerRequest *request,
                               const char *path, const char *own) {
        _cleanup_free_ char *source = NULL;

        if (is_replaced(request, path))
                return 0;
        if (!own)
                return request->host_network && access(path, R_OK) >= 0
                                       ? append_mount(mounts, path, "bind", path,
                                                      "bind,ro,nosuid,nodev,noexec")
                                       : 0;
        if (asprintf(&source, "%s/tasks/%s/%s/%s", m->runtime_dir, request->namespace, request->id,
                     own) < 0) {
                source = NULL;
                return -ENOMEM;
        }
        return append_mount(mounts, path, "bind", source, "bind,ro,nosuid,nodev,noexec");
}

static int append_network_files(Manager *m, json_t *mounts, const ContainerRequest *request) {
        int r;

        r = append_network_file(m, mounts, request, "/etc/resolv.conf",
                                resolver_has_conf(request) ? RESOLVER_CONF : NULL);
        return r < 0 ? r
                     : append_network_file(m, mounts, request, "/etc/hosts",
                                           resolver_has_hosts(request) ? RESOLVER_HOSTS : NULL);
}

/* Those in /run/secrets as one directory, the others each by itself. */
static int append_secrets(Manager *m, json_t *mounts, const ContainerRequest *request) {
        bool directory = false;

        for (size_t i = 0; i < request->n_secrets; i++) {
                _cleanup_free_ char *source = NULL, *destination = NULL;
                int r;

                r = container_secret_mount(m, request, i, &source, &destination);
                if (r == 0 && (!streq(destination, SECRETS_TARGET) || !directory))
                        r = append_mount(mounts, destination, "bind", source,
                                         "bind,ro,nosuid,nodev,noexec");
                if (r < 0)
                        return r;
                directory = directory || streq(destination, SECRETS_TARGET);
        }
        return 0;
}

#define DEVPTS_OPTIONS "nosuid,noexec,newinstance,ptmxmode=0666,mode=0620"

json_t *spec_mounts(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                    bool for_systemd) {
        /* the network of a sysfs must be the user namespace's own: the host's is bound */
        bool mapped = ids->mode != USER_NAMESPACE_HOST, bind_sys = mapped && request->host_network;
        const DefaultMount defaults[] = {
                        {"/proc", "proc", "proc", "nosuid,noexec,nodev"},
                        {"/dev", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
                        {"/dev/pts", "devpts", "devpts",
                         mapped && !id_mappings_have(&ids->gids, 5) ? DEVPTS_OPTIONS
                                                                    : DEVPTS_OPTIONS ",gid=5"},
                        {"/dev/shm", "tmpfs", "shm", "nosuid,noexec,nodev,mode=1777,size=65536k"},
                        {"/dev/mqueue", "mqueue", "mqueue", "nosuid,noexec,nodev"},
                        {"/sys", bind_sys ? "bind" : "sysfs", bind_sys ? "/sys" : "sysfs",
                         bind_sys ? "rbind,rro,nosuid,noexec,nodev" : "nosuid,noexec,nodev,ro"},
                        {"/sys/fs/cgroup", "cgroup", "cgroup", "nosuid,noexec,nodev,relatime,ro"},
                        {"/run", "tmpfs", "tmpfs", "nosuid,strictatime,mode=755,size=65536k"},
        };
        _cleanup_json_ json_t *mounts = json_array();

        if (append_defaults(mounts, request, defaults, ELEMENTSOF(defaults), for_systemd) < 0)
                return NULL;
        if (for_systemd &&
            append_defaults(mounts, request, systemd_mounts, ELEMENTSOF(systemd_mounts), false) < 0)
                return NULL;
        if (append_network_files(m, mounts, request) < 0)
                return NULL;
        for (size_t i = 0; i < request->n_mounts; i++) {
                const ContainerMount *p = request->mounts + i;

                if (append_mount(mounts, p->destination, p->type, p->source, p->options) < 0)
                        return NULL;
        }
        return append_secrets(m, mounts, request) < 0 ? NULL : json_incref(mounts);
}
