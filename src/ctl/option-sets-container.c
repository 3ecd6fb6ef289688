/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options that describe a container. */

#include "ctl/option-set.h"

#define CREATE(f) FIELD(create.f)

static const Option process[] = {
                {'t', "tty", NULL, parse_flag, CREATE(terminal), "Give it a terminal"},
                {'e', "env", "NAME[=VALUE]", parse_environment, CREATE(environment),
                 "Set a variable, or pass it on"},
                {0, "env-file", "FILE", parse_environment_file, CREATE(environment),
                 "Read variables from a file"},
                {0, "unsetenv", "NAME", parse_unset, CREATE(environment),
                 "Remove a variable of the image"},
                {'w', "workdir", "DIR", parse_string, CREATE(working_directory),
                 "Working directory"},
                {'u', "user", "USER[:GROUP]", parse_string, CREATE(user), "Run as this user"},
                {0, "cap-add", "CAP", parse_capability, CREATE(capabilities_add),
                 "Add a capability"},
                {0, "cap-drop", "CAP", parse_capability, CREATE(capabilities_drop),
                 "Drop a capability"},
                {0, "no-new-privileges", "BOOL", parse_boolean, CREATE(no_new_privileges),
                 "Whether setuid programs gain nothing (default: yes)"},
                {0, "ulimit", "NAME=SOFT[:HARD]", parse_ulimit, CREATE(rlimits),
                 "Set a resource limit"},
};
const OptionSet options_process = SET("Process", process);

static const Option create[] = {
                {0, "name", "ID", parse_string, FIELD(name),
                 "Id of the container (default: a random one)"},
                {'v', "volume", "SRC:DST[:OPTS]", parse_volume, CREATE(mounts),
                 "Bind mount, OPTS as ro"},
                {0, "mount", "type=TYPE,...", parse_mount, CREATE(mounts),
                 "A mount in parts: type=bind,source=DIR,target=DST[,readonly]"},
                {0, "tmpfs", "DST[:OPTS]", parse_tmpfs, CREATE(mounts), "Mount a tmpfs"},
                {'l', "label", "KEY[=VALUE]", parse_label, CREATE(labels), "Set a label"},
                {0, "label-file", "FILE", parse_label_file, CREATE(labels),
                 "Read labels from a file"},
                {0, "cidfile", "FILE", parse_string, FIELD(id_file),
                 "Write the id to a file, which must not be there"},
                {0, "systemd", "MODE", parse_string, CREATE(systemd),
                 "Whether init is a systemd: auto (default), always or never"},
                {0, "runtime", "NAME|PATH", parse_string, CREATE(runtime),
                 "Another OCI runtime, such as crun or runc"},
                {0, "hostname", "NAME", parse_string, CREATE(hostname), "Host name inside"},
                {0, "network", "MODE", parse_network, CREATE(network),
                 "private (loopback only, default) or host"},
                {0, "entrypoint", "COMMAND", parse_entrypoint, CREATE(entrypoint),
                 "Replace the image's entrypoint"},
                {0, "read-only", NULL, parse_flag, CREATE(read_only), "Read-only root file system"},
                {0, "device", "PATH[:rwm]", parse_device, CREATE(devices),
                 "Give access to a device"},
                {0, "stop-signal", "SIGNAL", parse_signal, CREATE(stop_signal),
                 "Signal of a graceful stop"},
                {0, "stop-timeout", "SEC", parse_duration, CREATE(stop_timeout),
                 "Time until a stop becomes a kill"},
                {0, "oom-score-adjust", "N", parse_oom_score, CREATE(oom_score_adjust),
                 "OOMScoreAdjust="},
                {0, "oom-score-adj", "N", parse_oom_score, CREATE(oom_score_adjust), "The same"},
                {0, "restart", "POLICY", parse_restart, CREATE(restart_policy),
                 "no, always, on-failure[:N] or unless-stopped"},
                {0, "snapshotter", "NAME", parse_string, CREATE(snapshotter),
                 "Root file system of this snapshotter: overlayfs or native"},
                {0, "blockio-class", "CLASS", parse_string, CREATE(blockio_class),
                 "Class of its block I/O"},
                {0, "rdt-class", "CLASS", parse_string, CREATE(rdt_class),
                 "Class of its cache and memory bandwidth"},
};
const OptionSet options_create = SET("Container", create);

static const Option resources[] = {
                {0, "memory-max", "BYTES", parse_bytes, CREATE(memory_max),
                 "MemoryMax= of the scope"},
                {'m', "memory", "BYTES", parse_bytes, CREATE(memory_max), "The same"},
                {0, "memory-high", "BYTES", parse_bytes, CREATE(memory_high), "MemoryHigh="},
                {0, "memory-low", "BYTES", parse_bytes, CREATE(memory_low), "MemoryLow="},
                {0, "memory-swap-max", "BYTES", parse_bytes, CREATE(memory_swap_max),
                 "MemorySwapMax="},
                {0, "tasks-max", "N", parse_count, CREATE(tasks_max), "TasksMax="},
                {0, "pids-limit", "N", parse_number, CREATE(tasks_max), "The same"},
                {0, "cpu-weight", "WEIGHT", parse_weight, CREATE(cpu_weight), "CPUWeight="},
                {0, "cpu-quota", "PERCENT%", parse_quota, CREATE(cpu_quota), "CPUQuota="},
                {0, "cpus", "N", parse_cpus, CREATE(cpu_quota), "CPUQuota=, as a number of CPUs"},
                {0, "io-weight", "WEIGHT", parse_weight, CREATE(io_weight), "IOWeight="},
                {0, "allowed-cpus", "CPUS", parse_string, CREATE(allowed_cpus), "AllowedCPUs="},
                {0, "cpuset-cpus", "CPUS", parse_string, CREATE(allowed_cpus), "The same"},
                {0, "allowed-memory-nodes", "NODES", parse_string, CREATE(allowed_memory_nodes),
                 "AllowedMemoryNodes="},
                {0, "cpuset-mems", "NODES", parse_string, CREATE(allowed_memory_nodes), "The same"},
};
const OptionSet options_resources = SET("Limits", resources);
