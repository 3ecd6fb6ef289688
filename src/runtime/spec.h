/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An OCI runtime-spec document (config.json) as checked C structures.
 *
 * Invariant: a Spec that spec_parse() returned is complete and consistent: every value is in range,
 * every list bounded, every property either understood or refused. Whoever works on it later meets
 * no JSON and checks nothing again. Its strings point into the document that it holds.
 *
 * Deliberately not read here: linux.resources and linux.cgroupsPath. The manager turns both into
 * properties of the systemd scope (limits written into the scope's own cgroup files are reset by a
 * daemon-reload, unit properties are not). Unknown properties are ignored, as config.md demands
 * ("Extensibility").
 */

#include <sys/resource.h>

#include "basic/json.h"
#include "runtime/mount-options.h"
#include "runtime/namespace.h"
#include "runtime/number-set.h"

#define SPEC_SIZE_MAX        (8U * 1024 * 1024)
#define SPEC_ARGUMENTS_MAX   16384
#define SPEC_MOUNTS_MAX      1024
#define SPEC_DEVICES_MAX     1024
#define SPEC_PATHS_MAX       1024
#define SPEC_SYSCTLS_MAX     1024
#define SPEC_GIDS_MAX        65536
#define SPEC_HOOKS_MAX       256
#define SPEC_ID_MAPPINGS_MAX 340 /* the kernel's UID_GID_MAP_MAX_EXTENTS */
#define SPEC_NET_DEVICES_MAX 256
#define SPEC_SCHEMATA_MAX    256
#define SPEC_USER_ANNOTATION "org.example.Ctr.user"
/* "1": an overlay as root is never synced, see volatile.h */
#define SPEC_VOLATILE_ANNOTATION "org.example.Ctr.volatile"
/* "1": a directory as root holds the container's own ids, as layers always do */
#define SPEC_MAPPED_ROOT_ANNOTATION "org.example.Ctr.mapped-root"

/* Of a user namespace, or of an idmapped mount. */
typedef struct SpecIdMapping {
        uint32_t container_id;
        uint32_t host_id;
        uint32_t size; /* both ranges end before 2^32 - 1 */
} SpecIdMapping;

typedef struct SpecIdMappings {
        SpecIdMapping *list; /* not overlapping */
        size_t n;
} SpecIdMappings;

typedef struct SpecMount {
        const char *destination; /* absolute, or relative to / (deprecated by config.md) */
        const char *type;        /* NULL for binds */
        const char *source;      /* NULL: none */
        MountOptions options;
        SpecIdMappings uids, gids; /* of an idmapped mount; none: those of the container */
} SpecMount;

/* When programs of the host are called (config.md, "POSIX-platform Hooks"). */
typedef enum HookPoint {
        HOOK_PRESTART,
        HOOK_CREATE_RUNTIME,
        HOOK_CREATE_CONTAINER,
        HOOK_START_CONTAINER,
        HOOK_POSTSTART,
        HOOK_POSTSTOP,
        _HOOK_POINT_MAX,
} HookPoint;

typedef struct SpecHook {
        const char *path;     /* absolute */
        const char **args;    /* NULL-terminated; NULL: none given */
        const char **env;     /* NULL-terminated; NULL: none */
        unsigned timeout_sec; /* 0: none */
} SpecHook;

typedef struct SpecHooks {
        SpecHook *list;
        size_t n;
} SpecHooks;

typedef struct SpecNetDevice {
        const char *host_name;
        const char *name; /* in the container; may be a template with %d */
} SpecNetDevice;

typedef struct SpecDevice {
        const char *path; /* absolute */
        mode_t mode;      /* S_IFCHR, S_IFBLK or S_IFIFO and the permissions */
        dev_t rdev;
        uid_t uid;
        gid_t gid;
} SpecDevice;

typedef struct SpecSysctl {
        const char *name;
        const char *value;
} SpecSysctl;

typedef struct SpecCapabilities {
        uint64_t bounding;
        uint64_t effective;
        uint64_t inheritable;
        uint64_t permitted;
        uint64_t ambient;
} SpecCapabilities;

typedef struct SpecRlimits {
        uint32_t set; /* bit n: limits[n] is given */
        struct rlimit limits[RLIM_NLIMITS];
} SpecRlimits;

typedef struct SpecUser {
        const char *name; /* the annotation "name|uid[:group|gid]", NULL: the numbers below */
        uid_t uid;
        gid_t gid;
        gid_t *gids;
        size_t n_gids;
        mode_t umask; /* (mode_t) -1: not given */
} SpecUser;

/* sched_setattr(2) */
typedef struct SpecScheduler {
        bool set;
        uint32_t policy, flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period; /* nsec */
} SpecScheduler;

/* set_mempolicy(2) */
typedef struct SpecMemoryPolicy {
        bool set;
        int mode; /* with its flags */
        NumberSet nodes;
} SpecMemoryPolicy;

/* resctrl.h */
typedef struct SpecIntelRdt {
        bool set, monitoring;
        const char *clos_id; /* "/": the default one; NULL: the container's id */
        const char *l3_cache, *memory_bandwidth; /* a line of schemata each, or NULL */
        const char **schemata;
        size_t n_schemata;
} SpecIntelRdt;

typedef struct SpecProcess {
        bool terminal;
        uint16_t columns, rows; /* 0: not given */
        const char *cwd;        /* absolute */
        const char **args;      /* NULL-terminated, at least one */
        size_t n_args;
        const char **env; /* NULL-terminated; NULL: none */
        size_t n_env;
        SpecUser user;
        SpecCapabilities capabilities;
        SpecRlimits rlimits;
        bool no_new_privileges;
        bool oom_score_adj_set;
        int oom_score_adj;
        SpecScheduler scheduler;
        bool io_priority_set;
        int io_priority;                              /* as ioprio_set() takes it */
        NumberSet affinity_initial, affinity_final;   /* of execs only; empty: not given */
        const char *apparmor_profile, *selinux_label; /* NULL: none */
} SpecProcess;

typedef struct SpecTimeOffset {
        bool set;
        int64_t secs;
        uint32_t nanosecs;
} SpecTimeOffset;

typedef struct Spec {
        json_t *document; /* owns all strings */

        const char *root_path; /* absolute or relative to the bundle; NULL: none given */
        bool root_readonly, root_volatile, root_mapped;
        uint64_t root_propagation; /* MS_PRIVATE, ... and MS_REC never; 0: not given */
        const char *hostname;
        const char *domainname;

        SpecProcess process;

        SpecMount *mounts;
        size_t n_mounts;
        SpecDevice *devices;
        size_t n_devices;
        SpecSysctl *sysctls;
        size_t n_sysctls;
        const char **masked_paths;
        size_t n_masked_paths;
        const char **readonly_paths;
        size_t n_readonly_paths;

        SpecHooks hooks[_HOOK_POINT_MAX];

        SpecNamespace namespaces[_NAMESPACE_MAX];
        SpecIdMappings uids, gids; /* of a new user namespace, else none */
        SpecNetDevice *net_devices;
        size_t n_net_devices;
        SpecMemoryPolicy memory_policy;
        SpecIntelRdt intel_rdt;
        const char *mount_label; /* NULL: none */
        SpecTimeOffset monotonic, boottime;
        bool personality_set;
        unsigned long personality;
        json_t *seccomp; /* linux.seccomp, NULL: none; checked when it is compiled */
} Spec;

/* Takes over the document (also on failure). 0, CTR_INVALID_ARGUMENT with the JSON path of what is
 * wrong, CTR_NOT_IMPLEMENTED with the JSON path of what is not supported, -ENOMEM. */
int spec_parse(json_t *document, Spec **ret, Error *e);

/* Parses JSON text; what names it in errors. As spec_parse(). */
int spec_parse_text(const char *text, size_t size, const char *what, Spec **ret, Error *e);

/* The JSON of the file name in dir_fd, at most SPEC_SIZE_MAX bytes: for who needs more of it than a
 * Spec has. CTR_INVALID_ARGUMENT for what is no JSON. */
int spec_read_document(int dir_fd, const char *name, json_t **ret, Error *e);

/* Reads and parses the file name in dir_fd; at most SPEC_SIZE_MAX bytes. */
int spec_read(int dir_fd, const char *name, Spec **ret, Error *e);

/* As spec_read(), for a further process: of the document only "process" and "annotations" are read,
 * and all else of the Spec is as if it were not given. */
int spec_read_process(int dir_fd, const char *name, Spec **ret, Error *e);

/* Whether the host has something to do for the container when it is built and still within reach:
 * init waits for that before it changes its root. */
bool spec_is_held(const Spec *s) _pure_;

/* The hooks alone, of a document that spec_parse() has accepted. They point into it. */
int spec_parse_hooks(SpecHooks hooks[static _HOOK_POINT_MAX], json_t *document, Error *e);
void spec_hooks_clear(SpecHooks hooks[static _HOOK_POINT_MAX]);
const char *hook_point_to_string(HookPoint point) _const_;

Spec *spec_free(Spec *s);
DEFINE_CLEANUP(Spec *, spec_free);

/* The sections, for spec_parse() only: all of a document, and a document with a process alone. */
int spec_parse_sections(Spec *s, Error *e);
int spec_parse_process_sections(Spec *s, Error *e);
int spec_parse_process(Spec *s, json_t *process, Error *e);
int spec_parse_mounts(Spec *s, json_t *mounts, Error *e);
int spec_parse_linux(Spec *s, json_t *linux_section, Error *e);
int spec_parse_schedule(SpecProcess *p, json_t *process, Error *e);
int spec_parse_intel_rdt(SpecIntelRdt *rdt, json_t *linux_section, Error *e);
int spec_parse_memory_policy(SpecMemoryPolicy *p, json_t *linux_section, Error *e);
int spec_parse_id_mappings(SpecIdMappings *l, json_t *o, const char *path, const char *key,
                           Error *e);
void spec_id_mappings_clear(SpecIdMappings *l);
int spec_parse_net_devices(Spec *s, json_t *linux_section, Error *e);

/* Shared by the sections. */
#define SPEC_PATH_SIZE 96
int spec_not_supported(Error *e, const char *path, const char *key);
/* Refuses member key of o unless it is missing, null, false, an empty string, list or object. */
int spec_refuse(json_t *o, const char *path, const char *key, Error *e);
int spec_missing(Error *e, const char *path, const char *key);
/* "path[i]" */
const char *spec_path_index(char buf[static SPEC_PATH_SIZE], const char *path, size_t i);
/* A NULL-terminated list of strings that point into the document; *ret is allocated, and untouched
 * if there is no such member. */
int spec_get_strings(json_t *o, const char *path, const char *key, size_t max, const char ***ret,
                     size_t *ret_n, Error *e);
