/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options of ctrctl, one table per set. Names are podman's where podman has the option,
 * systemd's unit property in lower-case-dash for resources, machinectl's for the rest. */

#include "ctl/option-set.h"

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

static const Option filter[] = {
                {0, "all-namespaces", NULL, parse_flag, FIELD(all_namespaces), "Of all namespaces"},
                {'f', "filter", "FILTER", parse_strv, FIELD(filters),
                 "Only those that match, as id~=^web or labels.tier==db"},
};
const OptionSet options_filter = SET("Selection", filter);

static const Option ps[] = {
                {'a', "all", NULL, parse_flag, FIELD(all),
                 "Show all containers, not only running ones"},
                {0, "execs", NULL, parse_flag, FIELD(execs),
                 "Show what exec has started in containers, not the containers"},
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

#define STREAM(i) FIELD(streams[i])
static const Option streams[] = {
                {0, "stdin", "STREAM", parse_stream, STREAM(0),
                 "null, attach, or where input comes from: fifo:PATH, file:PATH"},
                {0, "stdout", "STREAM", parse_stream, STREAM(1),
                 "null, journal, attach, fifo:PATH, file:PATH or binary:///PROGRAM"},
                {0, "stderr", "STREAM", parse_stream, STREAM(2), "The same for standard error"},
};
const OptionSet options_streams = SET("Streams that are not ours", streams);

static const Option detach[] = {
                {0, "detach-keys", "KEYS", parse_detach_keys, FIELD(detach_keys),
                 "Leave it running with these keys (default: ctrl-p,ctrl-q)"},
                {0, "sig-proxy", "BOOL", parse_boolean, FIELD(sig_proxy),
                 "Whether signals are passed on (default: yes)"},
};
const OptionSet options_detach = SET("Leaving", detach);

static const Option attach[] = {
                {0, "no-stdin", NULL, parse_flag, FIELD(no_stdin), "Only show its output"},
};
const OptionSet options_attach = SET("Standard input and output", attach);

static const Option exec[] = {
                {'d', "detach", NULL, parse_flag, FIELD(detach),
                 "Print the exec's id and leave it running"},
                {'i', "interactive", NULL, parse_flag, FIELD(interactive),
                 "Pass standard input on"},
                {0, "exec-id", "ID", parse_string, FIELD(exec_id),
                 "Id of the exec (default: a random one)"},
};
const OptionSet options_exec = SET("Running", exec);

static const Option start[] = {
                {'a', "attach", NULL, parse_flag, FIELD(attach),
                 "Show its output and wait for its end"},
                {'i', "interactive", NULL, parse_flag, FIELD(interactive),
                 "Pass standard input on"},
                {0, "runtime", "NAME|PATH", parse_string, FIELD(create.runtime),
                 "Another OCI runtime than the container's, this time"},
};
const OptionSet options_start = SET("Starting", start);

static const Option stop[] = {
                {'s', "signal", "SIGNAL", parse_signal, FIELD(signal),
                 "Signal to send instead of the container's own"},
                {'t', "time", "SEC", parse_duration, FIELD(timeout),
                 "Kill it when it has not ended after SEC seconds"},
};
const OptionSet options_stop = SET("Stopping", stop);

static const Option kill_options[] = {
                {'s', "signal", "SIGNAL", parse_signal_or_probe, FIELD(signal),
                 "Signal to send (default: TERM)"},
                {0, "all", NULL, parse_flag, FIELD(all), "To every process of the container"},
                {0, "pid", "PID", parse_count, FIELD(pid),
                 "To the process of the container with this pid on the host"},
};
const OptionSet options_kill = SET("Signal", kill_options);

static const Option remove_options[] = {
                {'f', "force", NULL, parse_flag, FIELD(force), "Kill it first if it is running"},
                {'v', "volumes", NULL, parse_flag, FIELD(volumes), "With its anonymous volumes"},
};
const OptionSet options_remove = SET("Removing", remove_options);

static const Option logs[] = {
                {'f', "follow", NULL, parse_flag, FIELD(follow),
                 "Show new lines until the container ends"},
                {'n', "tail", "N", parse_number, FIELD(lines), "Show only the last N lines"},
                {'t', "timestamps", NULL, parse_flag, FIELD(timestamps), "Show when, too"},
                {0, "since", "TIME", parse_time, FIELD(since), "Not older than that"},
                {0, "until", "TIME", parse_time, FIELD(until), "Not newer than that"},
};
const OptionSet options_logs = SET("Selection", logs);

static const Option stats[] = {
                {0, "no-stream", NULL, parse_flag, FIELD(no_stream), "Show them once"},
                {0, "interval", "SEC", parse_duration, FIELD(interval),
                 "Time between two looks (default: 1)"},
};
const OptionSet options_stats = SET("Output", stats);

static const Option events[] = {
                {'f', "follow", NULL, parse_flag, FIELD(follow),
                 "Go on with what happens from now on"},
                {0, "since", "TIME", parse_time, FIELD(since), "Not older than that"},
                {0, "until", "TIME", parse_time, FIELD(until),
                 "Not newer than that; with --follow the end"},
                {0, "after", "N", parse_count, FIELD(after),
                 "Only those with a larger sequence number"},
                {0, "all-namespaces", NULL, parse_flag, FIELD(all_namespaces), "Of all namespaces"},
                {0, "filter", "FILTER", parse_strv, FIELD(filters),
                 "Only those that match, as topic~=exit,event.Id==web"},
};
const OptionSet options_events = SET("Selection", events);

static const Option checkpoint[] = {
                {0, "path", "DIR", parse_string, FIELD(checkpoint.path),
                 "Directory to write to, made if missing"},
                {0, "image", "NAME", parse_string, FIELD(checkpoint.image),
                 "Store it as an image instead"},
                {0, "parent-path", "DIR", parse_string, FIELD(checkpoint.parent),
                 "Write only what changed since the checkpoint in DIR"},
                {'R', "leave-running", NULL, parse_flag, FIELD(checkpoint.leave_running),
                 "Let the container go on"},
                {0, "tcp-established", NULL, parse_flag, FIELD(checkpoint.tcp),
                 "With its open TCP connections"},
                {0, "ext-unix-sk", NULL, parse_flag, FIELD(checkpoint.unix_sockets),
                 "With sockets that lead out of it"},
                {0, "shell-job", NULL, parse_flag, FIELD(checkpoint.shell_job),
                 "With a terminal that is not its own"},
                {0, "file-locks", NULL, parse_flag, FIELD(checkpoint.file_locks),
                 "With locks on files"},
};
const OptionSet options_checkpoint = SET("Checkpoint", checkpoint);

static const Option restore[] = {
                {0, "path", "DIR", parse_string, FIELD(checkpoint.path),
                 "Directory with the checkpoint"},
                {0, "image", "NAME", parse_string, FIELD(checkpoint.image),
                 "Image that is a checkpoint"},
};
const OptionSet options_restore = SET("Checkpoint", restore);
