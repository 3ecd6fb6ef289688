/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The command line as tables: a verb names sets of options, an option says how its value is parsed
 * and which field of struct Options it fills. Parsing and the help text come from the same tables.
 */

#include "ctl/detach-keys.h"
#include "ctl/parse.h"

typedef enum JsonMode {
        JSON_MODE_OFF, /* tables and text */
        JSON_MODE_SHORT,
        JSON_MODE_PRETTY,
} JsonMode;

typedef enum PullPolicy {
        PULL_MISSING,
        PULL_ALWAYS,
        PULL_NEVER,
} PullPolicy;

/* What describes a new container. Only what was given is sent: the service has the defaults. */
typedef struct CreateOptions {
        char **environment;
        char **labels;
        char **capabilities_add, **capabilities_drop;
        char **dns, **dns_search, **dns_options, **extra_hosts;
        char **devices; /* pairs: path, access */
        char *working_directory, *user, *runtime, *systemd, *hostname, *network, *allowed_cpus,
                        *allowed_memory_nodes, *restart_policy, *blockio_class, *rdt_class,
                        *snapshotter;
        OptionalStrv entrypoint;
        UserNamespace user_namespace;
        IdMappingList uid_mappings, gid_mappings;
        MountList mounts;
        SecretList secrets;
        RlimitList rlimits;
        bool terminal, read_only;
        OptionalU64 no_new_privileges, image_volumes, stop_signal, stop_timeout, oom_score_adjust;
        OptionalU64 memory_max, memory_high, memory_low, memory_swap_max, tasks_max, cpu_weight,
                        cpu_quota, io_weight;
} CreateOptions;

typedef struct CheckpointOptions {
        char *path, *image, *parent;
        bool leave_running, tcp, unix_sockets, shell_job, file_locks;
} CheckpointOptions;

/* Who we are to a registry. */
typedef struct RegistryOptions {
        char *credentials; /* "USER[:PASSWORD]" */
        char *authfile, *username;
        bool credentials_stdin, password_stdin;
} RegistryOptions;

/* Of verbs that make, move or show images, content and snapshots. */
typedef struct ImageOptions {
        char *policy, *platform, *snapshotter, *name, *input, *output, *format, *lease, *parent,
                        *author, *message;
        char **changes, **labels;
        bool all_platforms, no_unpack, discard_layers, quarantine, ingests;
        OptionalU64 pause, expires, start;
} ImageOptions;

typedef struct Options {
        /* every verb */
        char *host, *namespace;
        JsonMode json;
        bool help, version, no_pager, no_legend, full, quiet, no_ask_password;
        /* those that have them */
        bool all, all_namespaces, force, follow, attach, interactive, detach, remove, no_stdin,
                        no_stream, timestamps, execs, archive, volumes;
        char *name, *exec_id, *id_file;
        char *streams[3]; /* where standard input, output and error go, if not to us */
        char **filters;   /* "KEY=VALUE", or in the grammar of the D-Bus interface */
        PullPolicy pull;
        DetachKeys detach_keys;
        OptionalU64 signal, timeout, since, until, after, lines, pid, interval, sig_proxy;
        CreateOptions create;
        CheckpointOptions checkpoint;
        RegistryOptions registry;
        ImageOptions image;
} Options;

void options_clear(Options *o);

typedef struct Option {
        char letter;       /* 0: none */
        const char *name;  /* without the dashes */
        const char *value; /* what it takes, for the help; NULL: nothing */
        int (*parse)(const char *s, void *target, Error *e);
        size_t offset; /* of the target in struct Options */
        const char *help;
} Option;

typedef struct OptionSet {
        const char *title;
        const Option *options;
        size_t n;
} OptionSet;

extern const OptionSet options_global, options_namespace, options_quiet, options_list,
                options_filter, options_ps, options_pull, options_run, options_create,
                options_process, options_resources, options_streams, options_start, options_exec,
                options_attach, options_detach, options_stop, options_kill, options_remove,
                options_logs, options_stats, options_events, options_checkpoint, options_restore,
                options_registry, options_pull_image, options_login, options_logout, options_push,
                options_load, options_import, options_output, options_save, options_prune,
                options_commit, options_copy, options_verify, options_lease, options_content_list,
                options_store, options_snapshot_make, options_snapshot, options_version,
                options_prune_containers, options_prune_volumes, options_prune_system,
                options_search, options_volume, options_secret, options_filter_labels;

/* Parses argv[1..] with the options of sets (NULL-terminated). stop_at_first: the first argument
 * that is no option ends the options, else they may stand anywhere. argv is permuted; *ret_first is
 * the index of the first argument. 0, or CTR_INVALID_ARGUMENT. */
int options_parse(const OptionSet *const *sets, bool stop_at_first, int argc, char **argv,
                  Options *o, int *ret_first, Error *e);

/* Prints the options of sets for a help text. */
void options_print_help(const OptionSet *const *sets, FILE *f);
