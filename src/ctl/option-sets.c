/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options of ctrctl, one table per set. Names are podman's where podman has the option,
 * systemd's unit property in lower-case-dash for resources, machinectl's for the rest. */

#include "ctl/options.h"

#define FIELD(f) offsetof(Options, f)
#define SET(t, os)                                                                                 \
        { .title = (t), .options = (os), .n = ELEMENTSOF(os) }

static int parse_json_mode(const char *s, void *target, Error *e) {
        static const char *const modes[] = {"off", "short", "pretty"};

        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(s, modes[i])) {
                        *(JsonMode *) target = (JsonMode) i;
                        return 0;
                }
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not short, pretty or off", s);
}

static int parse_pull_policy(const char *s, void *target, Error *e) {
        static const char *const policies[] = {"missing", "always", "never"};

        for (size_t i = 0; i < ELEMENTSOF(policies); i++)
                if (streq(s, policies[i])) {
                        *(PullPolicy *) target = (PullPolicy) i;
                        return 0;
                }
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not always, missing or never", s);
}

static int parse_filter(const char *s, void *target, Error *e) {
        if (!startswith(s, "label=") && !startswith(s, "status="))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not label=KEY[=VALUE] or status=STATUS", s);
        return parse_strv(s, target, e);
}

static const Option global[] = {
                {'h', "help", NULL, parse_flag, FIELD(help), "Show this help"},
                {0, "version", NULL, parse_flag, FIELD(version), "Show the version of ctrctl"},
                {'H', "host", "[USER@]HOST", parse_string, FIELD(host),
                 "Work on another host, over ssh"},
                {0, "json", "MODE", parse_json_mode, FIELD(json),
                 "Print JSON: short, pretty or off"},
                {0, "no-pager", NULL, parse_flag, FIELD(no_pager),
                 "Do not pipe output into a pager"},
                {0, "no-legend", NULL, parse_flag, FIELD(no_legend),
                 "Do not print column headings"},
                {0, "no-ask-password", NULL, parse_flag, FIELD(no_ask_password),
                 "Do not ask for authentication"},
};
const OptionSet options_global = SET("Global options", global);

static const Option namespace[] = {
                {0, "namespace", "NAME", parse_string, FIELD(namespace), "Work in this namespace"},
};
const OptionSet options_namespace = SET("Namespace", namespace);

static const Option quiet[] = {
                {'q', "quiet", NULL, parse_flag, FIELD(quiet), "Print no progress"},
};
const OptionSet options_quiet = SET("Output", quiet);

static const Option list[] = {
                {'q', "quiet", NULL, parse_flag, FIELD(quiet), "Print only the names"},
                {'l', "full", NULL, parse_flag, FIELD(full), "Do not shorten what does not fit"},
};
const OptionSet options_list = SET("Output", list);

static const Option ps[] = {
                {'a', "all", NULL, parse_flag, FIELD(all),
                 "Show all containers, not only running ones"},
                {0, "all-namespaces", NULL, parse_flag, FIELD(all_namespaces), "Of all namespaces"},
                {'f', "filter", "KEY=VALUE", parse_filter, FIELD(filters),
                 "label=KEY[=VALUE] or status=STATUS"},
};
const OptionSet options_ps = SET("Selection", ps);

static const Option pull[] = {
                {0, "pull", "POLICY", parse_pull_policy, FIELD(pull),
                 "Fetch the image always, if missing (default), never"},
};
const OptionSet options_pull = SET("Image", pull);

static const Option run[] = {
                {'d', "detach", NULL, parse_flag, FIELD(detach),
                 "Print the id and leave it running"},
                {'i', "interactive", NULL, parse_flag, FIELD(interactive),
                 "Pass standard input on"},
                {0, "rm", NULL, parse_flag, FIELD(remove),
                 "Remove the container when it has exited"},
                {'q', "quiet", NULL, parse_flag, FIELD(quiet), "Print no progress of a pull"},
};
const OptionSet options_run = SET("Running", run);

#define CREATE(f) FIELD(create.f)
static const Option create[] = {
                {0, "name", "ID", parse_string, FIELD(name),
                 "Id of the container (default: a random one)"},
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
                {'v', "volume", "SRC:DST[:OPTS]", parse_volume, CREATE(mounts),
                 "Bind mount, OPTS as ro"},
                {0, "tmpfs", "DST[:OPTS]", parse_tmpfs, CREATE(mounts), "Mount a tmpfs"},
                {'l', "label", "KEY[=VALUE]", parse_label, CREATE(labels), "Set a label"},
                {0, "hostname", "NAME", parse_string, CREATE(hostname), "Host name inside"},
                {0, "network", "MODE", parse_network, CREATE(network),
                 "private (loopback only, default) or host"},
                {0, "entrypoint", "COMMAND", parse_entrypoint, CREATE(entrypoint),
                 "Replace the image's entrypoint"},
                {0, "read-only", NULL, parse_flag, CREATE(read_only), "Read-only root file system"},
                {0, "cap-add", "CAP", parse_capability, CREATE(capabilities_add),
                 "Add a capability"},
                {0, "cap-drop", "CAP", parse_capability, CREATE(capabilities_drop),
                 "Drop a capability"},
                {0, "no-new-privileges", "BOOL", parse_boolean, CREATE(no_new_privileges),
                 "Whether setuid programs gain nothing (default: yes)"},
                {0, "device", "PATH[:rwm]", parse_device, CREATE(devices),
                 "Give access to a device"},
                {0, "ulimit", "NAME=SOFT[:HARD]", parse_ulimit, CREATE(rlimits),
                 "Set a resource limit"},
                {0, "stop-signal", "SIGNAL", parse_signal, CREATE(stop_signal),
                 "Signal of a graceful stop"},
                {0, "stop-timeout", "SEC", parse_duration, CREATE(stop_timeout),
                 "Time until a stop becomes a kill"},
                {0, "memory-max", "BYTES", parse_bytes, CREATE(memory_max),
                 "MemoryMax= of the scope"},
                {0, "memory-high", "BYTES", parse_bytes, CREATE(memory_high), "MemoryHigh="},
                {0, "memory-low", "BYTES", parse_bytes, CREATE(memory_low), "MemoryLow="},
                {0, "memory-swap-max", "BYTES", parse_bytes, CREATE(memory_swap_max),
                 "MemorySwapMax="},
                {0, "tasks-max", "N", parse_count, CREATE(tasks_max), "TasksMax="},
                {0, "cpu-weight", "WEIGHT", parse_weight, CREATE(cpu_weight), "CPUWeight="},
                {0, "cpu-quota", "PERCENT%", parse_quota, CREATE(cpu_quota), "CPUQuota="},
                {0, "io-weight", "WEIGHT", parse_weight, CREATE(io_weight), "IOWeight="},
                {0, "allowed-cpus", "CPUS", parse_string, CREATE(allowed_cpus), "AllowedCPUs="},
                {0, "allowed-memory-nodes", "NODES", parse_string, CREATE(allowed_memory_nodes),
                 "AllowedMemoryNodes="},
                {0, "oom-score-adjust", "N", parse_oom_score, CREATE(oom_score_adjust),
                 "OOMScoreAdjust="},
};
const OptionSet options_create = SET("Container", create);

static const Option attach[] = {
                {'a', "attach", NULL, parse_flag, FIELD(attach),
                 "Show its output and wait for its end"},
                {'i', "interactive", NULL, parse_flag, FIELD(interactive),
                 "Pass standard input on"},
};
const OptionSet options_attach = SET("Standard input and output", attach);

static const Option stop[] = {
                {'t', "time", "SEC", parse_duration, FIELD(timeout),
                 "Kill it when it has not ended after SEC seconds"},
};
const OptionSet options_stop = SET("Stopping", stop);

static const Option kill_options[] = {
                {'s', "signal", "SIGNAL", parse_signal_or_probe, FIELD(signal),
                 "Signal to send (default: TERM)"},
                {0, "all", NULL, parse_flag, FIELD(all), "To every process of the container"},
};
const OptionSet options_kill = SET("Signal", kill_options);

static const Option remove_options[] = {
                {'f', "force", NULL, parse_flag, FIELD(force), "Kill it first if it is running"},
};
const OptionSet options_remove = SET("Removing", remove_options);

static const Option logs[] = {
                {'f', "follow", NULL, parse_flag, FIELD(follow),
                 "Show new lines until the container ends"},
                {'n', "tail", "N", parse_number, FIELD(lines), "Show only the last N lines"},
                {0, "since", "TIME", parse_time, FIELD(since), "Not older than that"},
                {0, "until", "TIME", parse_time, FIELD(until), "Not newer than that"},
};
const OptionSet options_logs = SET("Selection", logs);
