/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The options of verbs about images, registries, content and snapshots. */

#include "basic/clock.h"
#include "ctl/option-set.h"

#define IMAGE(f)    FIELD(image.f)
#define REGISTRY(f) FIELD(registry.f)

static int parse_policy(const char *s, void *target, Error *e) {
        if (!streq(s, "always") && !streq(s, "missing") && !streq(s, "never"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not always, missing or never",
                                  s);
        return free_and_strdup(target, s);
}

/* A span from now on. */
static int parse_expiry(const char *s, void *target, Error *e) {
        OptionalU64 span = {};
        int r;

        r = parse_duration(s, &span, e);
        if (r != 0)
                return r;
        span.value = now_realtime() + MIN_OF(span.value, UINT64_MAX / 4);
        *(OptionalU64 *) target = span;
        return 0;
}

static int parse_format(const char *s, void *target, Error *e) {
        if (!streq(s, "oci-archive") && !streq(s, "oci-dir") && !streq(s, "docker-archive"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not oci-archive, oci-dir or docker-archive", s);
        return free_and_strdup(target, s);
}

static const Option registry[] = {
                {0, "creds", "USER[:PASSWORD]", parse_string, REGISTRY(credentials),
                 "Who we are to the registry; others see it in ps, the next two are better"},
                {0, "creds-stdin", NULL, parse_flag, REGISTRY(credentials_stdin),
                 "Read USER:PASSWORD from standard input"},
                {0, "authfile", "FILE", parse_string, REGISTRY(authfile),
                 "Take credentials from this file"},
};
const OptionSet options_registry = SET("Registry", registry);

/* What several sets have. */
#define OPTION_SNAPSHOTTER                                                                         \
        {                                                                                          \
                0, "snapshotter", "NAME", parse_string, IMAGE(snapshotter),                        \
                                "Of this snapshotter: overlayfs or native"                         \
        }
#define OPTION_LEASE                                                                               \
        { 0, "lease", "ID", parse_string, IMAGE(lease), "A lease that holds it" }
#define OPTION_MESSAGE                                                                             \
        { 'm', "message", "TEXT", parse_string, IMAGE(message), "Comment of the layer" }
#define OPTION_CHANGE                                                                              \
        {                                                                                          \
                'c', "change", "INSTRUCTION", parse_strv, IMAGE(changes),                          \
                                "Change the configuration, as 'CMD sh' or 'ENV A=b'"               \
        }

static const Option pull_image[] = {
                {0, "policy", "POLICY", parse_policy, IMAGE(policy),
                 "Fetch it always (default), if missing, never"},
                {0, "platform", "OS/ARCH[/VARIANT]", parse_string, IMAGE(platform),
                 "Of another platform than ours"},
                {0, "all-platforms", NULL, parse_flag, IMAGE(all_platforms),
                 "Fetch the content for all platforms"},
                {0, "no-unpack", NULL, parse_flag, IMAGE(no_unpack), "Do not extract the layers"},
                {0, "discard-layers", NULL, parse_flag, IMAGE(discard_layers),
                 "Keep no compressed layers once they are extracted"},
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
                OPTION_SNAPSHOTTER,
                OPTION_LEASE,
};
const OptionSet options_pull_image = SET("Image", pull_image);

static const Option push[] = {
                {0, "platform", "OS/ARCH[/VARIANT]", parse_string, IMAGE(platform),
                 "Only this platform's"},
                {0, "all-platforms", NULL, parse_flag, IMAGE(all_platforms), "All platforms"},
};
const OptionSet options_push = SET("Image", push);

static const Option load[] = {
                {'i', "input", "FILE", parse_string, IMAGE(input),
                 "Read this file (default: standard input)"},
                {0, "name", "NAME", parse_string, IMAGE(name),
                 "Name of the image, if the archive has none"},
                {0, "platform", "OS/ARCH[/VARIANT]", parse_string, IMAGE(platform),
                 "Extract for another platform than ours"},
                {0, "no-unpack", NULL, parse_flag, IMAGE(no_unpack), "Do not extract the layers"},
                {0, "discard-layers", NULL, parse_flag, IMAGE(discard_layers),
                 "Keep no compressed layers once they are extracted"},
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
                OPTION_SNAPSHOTTER,
                OPTION_LEASE,
};
const OptionSet options_load = SET("Image", load);

static const Option import[] = {
                OPTION_MESSAGE,
                OPTION_CHANGE,
                {0, "platform", "OS/ARCH[/VARIANT]", parse_string, IMAGE(platform),
                 "The platform that it is for"},
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
                OPTION_SNAPSHOTTER,
                OPTION_LEASE,
};
const OptionSet options_import = SET("Image", import);

static const Option output[] = {
                {'o', "output", "FILE", parse_string, IMAGE(output),
                 "Write this file (default: standard output)"},
};
const OptionSet options_output = SET("Archive", output);

static const Option save[] = {
                {0, "format", "FORMAT", parse_format, IMAGE(format),
                 "oci-archive (default), docker-archive, or oci-dir: a directory"},
                {0, "platform", "OS/ARCH[/VARIANT]", parse_string, IMAGE(platform),
                 "Of another platform than ours"},
                {0, "all-platforms", NULL, parse_flag, IMAGE(all_platforms), "All platforms"},
};
const OptionSet options_save = SET("Image", save);

static const Option login[] = {
                {'u', "username", "USER", parse_string, REGISTRY(username),
                 "Name of the user; asked for if missing"},
                {0, "password-stdin", NULL, parse_flag, REGISTRY(password_stdin),
                 "Read the password from standard input"},
                {0, "authfile", "FILE", parse_string, REGISTRY(authfile), "Write this file"},
};
const OptionSet options_login = SET("Login", login);

static const Option logout[] = {
                {0, "authfile", "FILE", parse_string, REGISTRY(authfile), "Change this file"},
};
const OptionSet options_logout = SET("Login", logout);

#define OPTION_UNTIL                                                                               \
        { 0, "until", "TIME", parse_time, FIELD(until), "Only those made before that" }
#define OPTION_PRUNE_FILTER                                                                        \
        {                                                                                          \
                0, "filter", "FILTER", parse_prune_filter, 0,                                      \
                                "Only those that match; label=, label!= and until= as docker has " \
                                "them"                                                             \
        }
#define OPTION_PRUNE_FORCE                                                                         \
        { 'f', "force", NULL, parse_flag, FIELD(force), "Do not ask" }

static const Option prune[] = {
                {'a', "all", NULL, parse_flag, FIELD(all), "Also those that have a tag"},
                OPTION_UNTIL,
                OPTION_PRUNE_FILTER,
                OPTION_PRUNE_FORCE,
};
const OptionSet options_prune = SET("Selection", prune);

static const Option prune_volumes[] = {
                {'a', "all", NULL, parse_flag, FIELD(all), "Also those that somebody has named"},
                OPTION_UNTIL,
                OPTION_PRUNE_FILTER,
                OPTION_PRUNE_FORCE,
};
const OptionSet options_prune_volumes = SET("Selection", prune_volumes);

static const Option search[] = {
                {0, "limit", "N", parse_count, FIELD(lines),
                 "At most N of each registry (default: 25)"},
};
const OptionSet options_search = SET("Selection", search);

static const Option prune_containers[] = {OPTION_UNTIL, OPTION_PRUNE_FILTER, OPTION_PRUNE_FORCE};
const OptionSet options_prune_containers = SET("Selection", prune_containers);

static const Option prune_system[] = {
                {'a', "all", NULL, parse_flag, FIELD(all), "Also images that have a tag"},
                {0, "volumes", NULL, parse_flag, FIELD(volumes),
                 "Also anonymous volumes that no container names"},
                OPTION_UNTIL,
                OPTION_PRUNE_FILTER,
                OPTION_PRUNE_FORCE,
};
const OptionSet options_prune_system = SET("Selection", prune_system);

static const Option filter_labels[] = {
                {0, "all-namespaces", NULL, parse_flag, FIELD(all_namespaces), "Of all namespaces"},
                {'f', "filter", "FILTER", parse_filter, FIELD(filters),
                 "Show those that match, also label= and label!= as docker has them"},
};
const OptionSet options_filter_labels = SET("Selection", filter_labels);

static const Option volume[] = {
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
};
const OptionSet options_volume = SET("Volume", volume);
const OptionSet options_secret = SET("Secret", volume);

static const Option commit[] = {
                OPTION_MESSAGE,
                {'a', "author", "TEXT", parse_string, IMAGE(author), "Author of the image"},
                OPTION_CHANGE,
                {'p', "pause", "BOOL", parse_boolean, IMAGE(pause),
                 "Whether the container is frozen meanwhile (default: yes)"},
                {0, "no-unpack", NULL, parse_flag, IMAGE(no_unpack), "Do not extract the layer"},
                OPTION_LEASE,
};
const OptionSet options_commit = SET("Image", commit);

static const Option copy[] = {
                {'a', "archive", NULL, parse_flag, FIELD(archive), "Keep owners"},
                {'L', "follow-link", NULL, parse_flag, FIELD(follow),
                 "Copy what a symbolic link leads to"},
};
const OptionSet options_copy = SET("Files", copy);

static const Option verify[] = {
                {0, "quarantine", NULL, parse_flag, IMAGE(quarantine),
                 "Put damaged blobs aside, so that the next pull fetches them again"},
};
const OptionSet options_verify = SET("Verification", verify);

static const Option lease[] = {
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
                {0, "expires", "SPAN", parse_expiry, IMAGE(expires),
                 "Remove it by itself after that time"},
};
const OptionSet options_lease = SET("Lease", lease);

static const Option content_list[] = {
                {0, "ingests", NULL, parse_flag, IMAGE(ingests),
                 "Show what is being fetched, or was in part, instead"},
};
const OptionSet options_content_list = SET("Selection", content_list);

static const Option store[] = {
                {0, "all-namespaces", NULL, parse_flag, FIELD(all_namespaces), "Of all namespaces"},
};
const OptionSet options_store = SET("Selection", store);

static const Option snapshot_make[] = {
                OPTION_SNAPSHOTTER,
                {'l', "label", "KEY[=VALUE]", parse_label, IMAGE(labels), "Set a label"},
                OPTION_LEASE,
};
const OptionSet options_snapshot_make = SET("Snapshot", snapshot_make);

static const Option snapshot[] = {
                OPTION_SNAPSHOTTER,
};
const OptionSet options_snapshot = SET("Snapshot", snapshot);

static const Option version[] = {
                {'t', "time", "SEC", parse_duration, FIELD(timeout),
                 "Kill it when it has not ended after SEC seconds"},
                {0, "start", "BOOL", parse_boolean, IMAGE(start),
                 "Whether it is started again (default: if it ran)"},
};
const OptionSet options_version = SET("Container", version);
