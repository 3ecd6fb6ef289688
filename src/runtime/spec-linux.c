/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

#include <limits.h>
#include <sys/mount.h>
#include <sys/personality.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

static int parse_namespace(Spec *s, json_t *item, const char *path, Error *e) {
        const char *type_name = NULL;
        NamespaceType type;
        SpecNamespace *n;
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_string(item, path, "type", &type_name, e);
        if (r < 0)
                return r;
        type = r > 0 ? namespace_type_from_string(type_name) : _NAMESPACE_MAX;
        if (type == _NAMESPACE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.type: \"%.32s\" is not a type of namespace", path,
                                  strempty(type_name));
        n = &s->namespaces[type];
        if (n->set)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type: \"%s\" is given twice", path,
                                  type_name);
        r = json_get_string(item, path, "path", &n->path, e);
        if (r < 0)
                return r;
        if (isempty(n->path))
                n->path = NULL;
        else if (n->path[0] != '/' || strlen(n->path) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.path: not an absolute path", path);
        n->set = true;
        return 0;
}

static int parse_namespaces(Spec *s, json_t *section, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(section, "linux", "namespaces", 64, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                r = parse_namespace(s, item, spec_path_index(path, "linux.namespaces", i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int parse_device_type(SpecDevice *d, json_t *item, const char *path, Error *e) {
        uint64_t major_number = 0, minor_number = 0;
        const char *type = NULL;
        int r;

        r = json_get_string(item, path, "type", &type, e);
        if (r < 0)
                return r;
        if (r > 0 && (streq(type, "c") || streq(type, "u")))
                d->mode = S_IFCHR;
        else if (r > 0 && streq(type, "b"))
                d->mode = S_IFBLK;
        else if (r > 0 && streq(type, "p"))
                d->mode = S_IFIFO;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type: expected c, b, u or p", path);
        if (d->mode == S_IFIFO)
                return 0;

        /* 12 and 20 bits: what the kernel's device numbers hold */
        r = json_get_uint64(item, path, "major", 0xfff, &major_number, e);
        if (r > 0)
                r = json_get_uint64(item, path, "minor", 0xfffff, &minor_number, e);
        if (r < 0)
                return r;
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: major and minor are required",
                                  path);
        d->rdev = makedev((unsigned) major_number, (unsigned) minor_number);
        return 0;
}

static int parse_device(SpecDevice *d, json_t *item, const char *path, Error *e) {
        uint64_t mode = 0666, uid = 0, gid = 0;
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_string(item, path, "path", &d->path, e);
        if (r < 0)
                return r;
        if (r == 0 || d->path[0] != '/' || strlen(d->path) >= PATH_MAX ||
            d->path[strlen(d->path) - 1] == '/')
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.path: not an absolute path", path);
        r = parse_device_type(d, item, path, e);
        if (r != 0)
                return r;
        /* some producers write the file type into fileMode too */
        r = json_get_uint64(item, path, "fileMode", 0177777, &mode, e);
        if (r < 0)
                return r;
        r = json_get_uint64(item, path, "uid", UINT32_MAX - 1, &uid, e);
        if (r < 0)
                return r;
        r = json_get_uint64(item, path, "gid", UINT32_MAX - 1, &gid, e);
        if (r < 0)
                return r;
        d->mode |= (mode_t) mode & 07777;
        d->uid = (uid_t) uid;
        d->gid = (gid_t) gid;
        return 0;
}

static int parse_devices(Spec *s, json_t *section, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(section, "linux", "devices", SPEC_DEVICES_MAX, &array, e);
        if (r <= 0)
                return r;
        s->devices = calloc(json_array_size(array) + 1, sizeof(*s->devices));
        if (!s->devices)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                r = parse_device(&s->devices[i], item, spec_path_index(path, "linux.devices", i),
                                 e);
                if (r != 0)
                        return r;
                s->n_devices++;
        }
        return 0;
}

/* Only what belongs to a namespace of the container's own: anything else would change the host. */
static bool sysctl_is_allowed(const Spec *s, const char *name) {
        static const char *const ipc[] = {"kernel.msg", "kernel.sem", "kernel.shm", "fs.mqueue."};

        if (startswith(name, "net.") || startswith(name, "net/"))
                return s->namespaces[NAMESPACE_NETWORK].set;
        for (size_t i = 0; i < ELEMENTSOF(ipc); i++)
                if (startswith(name, ipc[i]))
                        return s->namespaces[NAMESPACE_IPC].set;
        if (streq(name, "kernel.domainname") || streq(name, "kernel.hostname"))
                return s->namespaces[NAMESPACE_UTS].set;
        return false;
}

static int parse_sysctls(Spec *s, json_t *section, Error *e) {
        json_t *object, *value;
        const char *name;
        int r;

        r = json_get_object(section, "linux", "sysctl", &object, e);
        if (r <= 0)
                return r;
        if (json_object_size(object) > SPEC_SYSCTLS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "linux.sysctl: more than %d entries",
                                  SPEC_SYSCTLS_MAX);
        s->sysctls = calloc(json_object_size(object) + 1, sizeof(*s->sysctls));
        if (!s->sysctls)
                return -ENOMEM;
        json_object_foreach(object, name, value) {
                if (!json_is_string(value))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "linux.sysctl.%.128s: expected a string", name);
                if (strlen(name) > 256 || !sysctl_is_allowed(s, name))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "linux.sysctl.%.128s: belongs to no namespace of the "
                                          "container",
                                          name);
                s->sysctls[s->n_sysctls++] = (SpecSysctl){
                                .name = name,
                                .value = json_string_value(value),
                };
        }
        return 0;
}

static int parse_paths(json_t *section, const char *key, const char ***ret, size_t *ret_n,
                       Error *e) {
        int r;

        r = spec_get_strings(section, "linux", key, SPEC_PATHS_MAX, ret, ret_n, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < *ret_n; i++)
                if ((*ret)[i][0] != '/' || strlen((*ret)[i]) >= PATH_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "linux.%s[%zu]: \"%.128s\" is not an absolute path", key,
                                          i, (*ret)[i]);
        return 0;
}

static int parse_time_offset(SpecTimeOffset *offset, json_t *clock, const char *path, Error *e) {
        uint64_t nanosecs = 0;
        int r;

        if (json_is_null(clock))
                return 0;
        if (!json_is_object(clock))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_int64(clock, path, "secs", INT64_MIN, INT64_MAX, &offset->secs, e);
        if (r >= 0)
                r = json_get_uint64(clock, path, "nanosecs", 999999999, &nanosecs, e);
        if (r < 0)
                return r;
        offset->nanosecs = (uint32_t) nanosecs;
        offset->set = true;
        return 0;
}

/* The clocks are those of time_namespaces(7). */
static int parse_time_offsets(Spec *s, json_t *section, Error *e) {
        json_t *offsets, *clock;
        const char *name;
        int r;

        r = json_get_object(section, "linux", "timeOffsets", &offsets, e);
        if (r <= 0)
                return r;
        json_object_foreach(offsets, name, clock) {
                char path[SPEC_PATH_SIZE];

                (void) snprintf(path, sizeof(path), "linux.timeOffsets.%.32s", name);
                if (streq(name, "monotonic"))
                        r = parse_time_offset(&s->monotonic, clock, path, e);
                else if (streq(name, "boottime"))
                        r = parse_time_offset(&s->boottime, clock, path, e);
                else
                        r = error_setf(e, CTR_INVALID_ARGUMENT,
                                       "%s: time namespaces have no such clock", path);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int parse_personality(Spec *s, json_t *section, Error *e) {
        const char *domain = NULL;
        json_t *personality;
        int r;

        r = json_get_object(section, "linux", "personality", &personality, e);
        if (r <= 0)
                return r;
        r = spec_refuse(personality, "linux.personality", "flags", e);
        if (r != 0)
                return r;
        r = json_get_string(personality, "linux.personality", "domain", &domain, e);
        if (r < 0)
                return r;
        if (r > 0 && streq(domain, "LINUX"))
                s->personality = PER_LINUX;
        else if (r > 0 && streq(domain, "LINUX32"))
                s->personality = PER_LINUX32;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.personality.domain: expected LINUX or LINUX32");
        s->personality_set = true;
        return 0;
}

static int parse_propagation(Spec *s, json_t *section, Error *e) {
        static const struct {
                const char *name;
                unsigned long flag;
        } table[] = {
                        {"private", MS_PRIVATE},       {"rprivate", MS_PRIVATE},
                        {"slave", MS_SLAVE},           {"rslave", MS_SLAVE},
                        {"shared", MS_SHARED},         {"rshared", MS_SHARED},
                        {"unbindable", MS_UNBINDABLE},
        };
        const char *name = NULL;
        int r;

        r = json_get_string(section, "linux", "rootfsPropagation", &name, e);
        if (r <= 0 || isempty(name))
                return MIN_OF(r, 0);
        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].name, name)) {
                        s->root_propagation = table[i].flag;
                        return 0;
                }
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "linux.rootfsPropagation: expected shared, slave, private or unbindable");
}

static int parse_mount_label(Spec *s, json_t *section, Error *e) {
        int r;

        r = json_get_string(section, "linux", "mountLabel", &s->mount_label, e);
        if (r < 0)
                return r;
        if (isempty(s->mount_label))
                s->mount_label = NULL;
        /* it becomes a mount option between quotation marks */
        if (s->mount_label && strpbrk(s->mount_label, "\"\\\n"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "linux.mountLabel: not a label");
        return 0;
}

int spec_parse_linux(Spec *s, json_t *section, Error *e) {
        int r;

        r = parse_namespaces(s, section, e);
        if (r == 0)
                r = spec_parse_id_mappings(&s->uids, section, "linux", "uidMappings", e);
        if (r == 0)
                r = spec_parse_id_mappings(&s->gids, section, "linux", "gidMappings", e);
        if (r == 0)
                r = spec_parse_net_devices(s, section, e);
        if (r == 0)
                r = spec_parse_intel_rdt(&s->intel_rdt, section, e);
        if (r == 0)
                r = spec_parse_memory_policy(&s->memory_policy, section, e);
        if (r == 0)
                r = parse_mount_label(s, section, e);
        if (r == 0)
                r = parse_devices(s, section, e);
        if (r == 0)
                r = parse_sysctls(s, section, e);
        if (r == 0)
                r = parse_paths(section, "maskedPaths", &s->masked_paths, &s->n_masked_paths, e);
        if (r == 0)
                r = parse_paths(section, "readonlyPaths", &s->readonly_paths, &s->n_readonly_paths,
                                e);
        if (r == 0)
                r = parse_time_offsets(s, section, e);
        if (r == 0)
                r = parse_personality(s, section, e);
        if (r == 0)
                r = parse_propagation(s, section, e);
        if (r != 0)
                return r;
        r = json_get_object(section, "linux", "seccomp", &s->seccomp, e);
        return MIN_OF(r, 0);
}
