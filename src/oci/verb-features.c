/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * features: the document of features.md. Invariant: it lists what the parser of documents takes,
 * because that is what is asked: for each name a document with it.
 */

#include "basic/json.h"
#include "config.h"
#include "oci/context.h"
#include "oci/options.h"
#include "oci/print.h"
#include "runtime/capability.h"
#include "runtime/mount-options.h"
#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"

static bool takes(const char *process, const char *more) {
        _cleanup_(spec_freep) Spec *s = NULL;
        _cleanup_free_ char *text = NULL;
        int n;

        n = asprintf(&text,
                     "{\"ociVersion\": \"" OCI_VERSION "\", \"root\": {\"path\": \"r\"},"
                     " \"process\": {\"cwd\": \"/\", \"args\": [\"a\"]%s}, %s}",
                     process, more);
        return n >= 0 && spec_parse_text(text, (size_t) n, "features", &s, NULL) == 0;
}

static bool takes_linux(const char *more) {
        char text[256];

        (void) snprintf(text, sizeof(text),
                        "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}], %s}", more);
        return takes("", text);
}

static bool has_hook(const char *name) {
        char text[128];

        (void) snprintf(text, sizeof(text),
                        "\"hooks\": {\"%s\": [{\"path\": \"/a\"}]}, \"linux\": {\"namespaces\": "
                        "[{\"type\": \"mount\"}]}",
                        name);
        return takes("", text);
}

static bool has_mount_option(const char *name) {
        return mount_option_is_known(name);
}

/* A user namespace is nothing without mappings. */
static bool has_namespace(const char *name) {
        char text[256];
        bool is_mount = streq(name, "mount"), is_user = streq(name, "user");

        (void) snprintf(text, sizeof(text), "\"linux\": {\"namespaces\": [%s{\"type\": \"%s\"}]%s}",
                        is_mount ? "" : "{\"type\": \"mount\"}, ", name,
                        is_user ? ", \"uidMappings\": [{\"containerID\": 0, \"hostID\": 1, "
                                  "\"size\": 1}], \"gidMappings\": [{\"containerID\": 0, "
                                  "\"hostID\": 1, \"size\": 1}]"
                                : "");
        return takes("", text);
}

static bool has_capability(const char *name) {
        return capability_from_string(name) >= 0;
}

static bool compiles(const char *before, const char *name, const char *after) {
        _cleanup_json_ json_t *section = NULL;
        SeccompFilter filter = {};
        char text[256];
        int r;

        (void) snprintf(text, sizeof(text), "{\"defaultAction\": \"SCMP_ACT_ALLOW\", %s%s%s}",
                        before, name, after);
        section = json_loads(text, 0, NULL);
        r = section ? seccomp_filter_check(section, NULL) : -EINVAL;
        if (r == 0)
                r = seccomp_filter_compile(section, &filter, NULL);
        seccomp_filter_clear(&filter);
        return r == 0;
}

static bool has_action(const char *name) {
        return compiles("\"listenerPath\": \"/a\", \"syscalls\": [{\"names\": "
                        "[\"personality\"], \"action\": \"",
                        name, "\"}]");
}

static bool has_operator(const char *name) {
        return compiles("\"syscalls\": [{\"names\": [\"personality\"], \"action\": "
                        "\"SCMP_ACT_ERRNO\", \"args\": [{\"index\": 0, \"value\": 1, "
                        "\"valueTwo\": 1, \"op\": \"",
                        name, "\"}]}]");
}

static bool has_architecture(const char *name) {
        return compiles("\"architectures\": [\"", name, "\"]");
}

static bool has_flag(const char *name) {
        return compiles("\"flags\": [\"", name, "\"]");
}

static bool has_memory_policy(const char *mode, const char *flag) {
        char text[128];

        (void) snprintf(text, sizeof(text), "\"memoryPolicy\": {\"mode\": \"%s\", \"flags\": [%s]}",
                        mode, flag);
        return takes_linux(text);
}

static bool has_memory_mode(const char *name) {
        return has_memory_policy(name, "");
}

static bool has_memory_flag(const char *name) {
        char text[64];

        (void) snprintf(text, sizeof(text), "\"%s\"", name);
        return has_memory_policy("MPOL_BIND", text);
}

static const char hooks[] = "prestart createRuntime createContainer startContainer poststart "
                            "poststop";
static const char mount_options[] =
                "async atime bind defaults dev diratime dirsync exec iversion lazytime loud mand "
                "noatime nodev nodiratime noexec noiversion nolazytime nomand norelatime "
                "nostrictatime nosuid nosymfollow private ratime rbind rdev rdiratime relatime "
                "remount rexec rnoatime rnodev rnodiratime rnoexec rnorelatime rnostrictatime "
                "rnosuid rnosymfollow ro rprivate rrelatime rro rrw rshared rslave rstrictatime "
                "rsuid rsymfollow runbindable rw shared silent slave strictatime suid symfollow "
                "sync tmpcopyup unbindable idmap ridmap";
static const char namespaces[] = "cgroup ipc mount network pid time user uts";
static const char capabilities[] =
                "CAP_CHOWN CAP_DAC_OVERRIDE CAP_DAC_READ_SEARCH CAP_FOWNER CAP_FSETID CAP_KILL "
                "CAP_SETGID CAP_SETUID CAP_SETPCAP CAP_LINUX_IMMUTABLE CAP_NET_BIND_SERVICE "
                "CAP_NET_BROADCAST CAP_NET_ADMIN CAP_NET_RAW CAP_IPC_LOCK CAP_IPC_OWNER "
                "CAP_SYS_MODULE CAP_SYS_RAWIO CAP_SYS_CHROOT CAP_SYS_PTRACE CAP_SYS_PACCT "
                "CAP_SYS_ADMIN CAP_SYS_BOOT CAP_SYS_NICE CAP_SYS_RESOURCE CAP_SYS_TIME "
                "CAP_SYS_TTY_CONFIG CAP_MKNOD CAP_LEASE CAP_AUDIT_WRITE CAP_AUDIT_CONTROL "
                "CAP_SETFCAP CAP_MAC_OVERRIDE CAP_MAC_ADMIN CAP_SYSLOG CAP_WAKE_ALARM "
                "CAP_BLOCK_SUSPEND CAP_AUDIT_READ CAP_PERFMON CAP_BPF CAP_CHECKPOINT_RESTORE";
static const char actions[] = "SCMP_ACT_ALLOW SCMP_ACT_ERRNO SCMP_ACT_KILL SCMP_ACT_KILL_PROCESS "
                              "SCMP_ACT_KILL_THREAD SCMP_ACT_LOG SCMP_ACT_NOTIFY SCMP_ACT_TRACE "
                              "SCMP_ACT_TRAP";
static const char operators[] = "SCMP_CMP_EQ SCMP_CMP_GE SCMP_CMP_GT SCMP_CMP_LE SCMP_CMP_LT "
                                "SCMP_CMP_MASKED_EQ SCMP_CMP_NE";
static const char architectures[] =
                "SCMP_ARCH_AARCH64 SCMP_ARCH_ARM SCMP_ARCH_LOONGARCH64 SCMP_ARCH_M68K "
                "SCMP_ARCH_MIPS SCMP_ARCH_MIPS64 SCMP_ARCH_MIPS64N32 SCMP_ARCH_MIPSEL "
                "SCMP_ARCH_MIPSEL64 SCMP_ARCH_MIPSEL64N32 SCMP_ARCH_PARISC SCMP_ARCH_PARISC64 "
                "SCMP_ARCH_PPC SCMP_ARCH_PPC64 SCMP_ARCH_PPC64LE SCMP_ARCH_RISCV64 "
                "SCMP_ARCH_S390 SCMP_ARCH_S390X SCMP_ARCH_SH SCMP_ARCH_SHEB SCMP_ARCH_X32 "
                "SCMP_ARCH_X86 SCMP_ARCH_X86_64";
static const char flags[] = "SECCOMP_FILTER_FLAG_TSYNC SECCOMP_FILTER_FLAG_LOG "
                            "SECCOMP_FILTER_FLAG_SPEC_ALLOW "
                            "SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV";
static const char memory_modes[] = "MPOL_DEFAULT MPOL_BIND MPOL_INTERLEAVE "
                                   "MPOL_WEIGHTED_INTERLEAVE MPOL_PREFERRED MPOL_PREFERRED_MANY "
                                   "MPOL_LOCAL";
static const char memory_flags[] = "MPOL_F_NUMA_BALANCING MPOL_F_RELATIVE_NODES "
                                   "MPOL_F_STATIC_NODES";

/* Those of the names that has() says yes to. */
static json_t *list(const char *names, bool (*has)(const char *name)) {
        _cleanup_free_ char *copy = strdup(names);
        json_t *array = json_array();
        char *save = NULL;

        for (char *s = copy ? strtok_r(copy, " ", &save) : NULL; s; s = strtok_r(NULL, " ", &save))
                if (has(s))
                        (void) json_array_append_new(array, json_string(s));
        return array;
}

static json_t *seccomp(void) {
        return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "enabled", 1, "actions",
                         list(actions, has_action), "operators", list(operators, has_operator),
                         "archs", list(architectures, has_architecture), "knownFlags",
                         list(flags, has_flag), "supportedFlags", list(flags, has_flag));
}

static json_t *memory_policy(void) {
        return json_pack("{s:o, s:o}", "modes", list(memory_modes, has_memory_mode), "flags",
                         list(memory_flags, has_memory_flag));
}

static json_t *intel_rdt(void) {
        bool schemata = takes_linux("\"intelRdt\": {\"schemata\": [\"L3:0=f\"]}");
        bool monitoring = takes_linux("\"intelRdt\": {\"enableMonitoring\": true}");
        bool enabled = takes_linux("\"intelRdt\": {\"closID\": \"a\", \"l3CacheSchema\": "
                                   "\"L3:0=f\"}");

        return json_pack("{s:b, s:b, s:b}", "enabled", (int) enabled, "schemata", (int) schemata,
                         "monitoring", (int) monitoring);
}

static json_t *linux_features(void) {
        return json_pack("{s:o, s:o, s:{s:b, s:b, s:b, s:b, s:b}, s:o, s:{s:b}, s:{s:b}, s:o, s:o, "
                         "s:{s:{s:b}}, s:{s:b}}",
                         "namespaces", list(namespaces, has_namespace), "capabilities",
                         list(capabilities, has_capability), "cgroup", "v1", 0, "v2", 1, "systemd",
                         1, "systemdUser", 1, "rdma", 1, "seccomp", seccomp(), "apparmor",
                         "enabled",
                         takes(", \"apparmorProfile\": \"a\"",
                               "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}"),
                         "selinux", "enabled",
                         takes(", \"selinuxLabel\": \"a:b:c:s0\"",
                               "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}"),
                         "memoryPolicy", memory_policy(), "intelRdt", intel_rdt(),
                         "mountExtensions", "idmap", "enabled",
                         takes("",
                               "\"mounts\": [{\"destination\": \"/a\", \"source\": \"/b\", "
                               "\"type\": \"bind\", \"options\": [\"bind\", \"idmap\"], "
                               "\"uidMappings\": [{\"containerID\": 0, \"hostID\": 1, \"size\": "
                               "1}], \"gidMappings\": [{\"containerID\": 0, \"hostID\": 1, "
                               "\"size\": 1}]}], \"linux\": {\"namespaces\": [{\"type\": "
                               "\"mount\"}]}"),
                         "netDevices", "enabled",
                         takes("", "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}, {\"type\": "
                                   "\"network\"}], \"netDevices\": {\"a\": {\"name\": \"b\"}}}"));
}

int verb_features(Context *c, int argc, char *argv[], Error *e) {
        const OptionTable table = {"features", NULL, 0, 0, 0, false};
        _cleanup_json_ json_t *j = NULL;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        j = json_pack("{s:s, s:s, s:o, s:o, s:o, s:{s:s, s:s}, s:[s, s]}", "ociVersionMin", "1.0.0",
                      "ociVersionMax", OCI_VERSION, "hooks", list(hooks, has_hook), "mountOptions",
                      list(mount_options, has_mount_option), "linux", linux_features(),
                      "annotations", "org.example.Ctr.version", CTR_VERSION,
                      "org.opencontainers.runc.checkpoint.enabled", "true",
                      "potentiallyUnsafeConfigAnnotations", SPEC_USER_ANNOTATION,
                      SPEC_VOLATILE_ANNOTATION);
        return print_json(j, JSON_INDENT(2), e);
}
