/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Values of command line options. Every parser has the form that option tables need: text in, the
 * typed target out, 0 or CTR_INVALID_ARGUMENT with a sentence that quotes the text (or -ENOMEM).
 * The target is untouched on failure. Lists grow by one element per call.
 */

#include "basic/error.h"

/* A number that may also be absent. UINT64_MAX is infinity. */
typedef struct OptionalU64 {
        bool set;
        uint64_t value;
} OptionalU64;

/* A mount as CreateContainer takes it. */
typedef struct Mount {
        char *source;
        char *destination;
        const char *type;
        char **options;
} Mount;

typedef struct MountList {
        Mount *items;
        size_t n;
} MountList;

typedef struct Rlimit {
        char name[24]; /* "RLIMIT_NOFILE" */
        uint64_t soft, hard;
} Rlimit;

typedef struct RlimitList {
        Rlimit *items;
        size_t n;
} RlimitList;

/* A secret as CreateContainer takes it. */
typedef struct SecretMount {
        char *name, *target; /* "": in /run/secrets, by its name */
        uint32_t uid, gid, mode;
} SecretMount;

typedef struct SecretList {
        SecretMount *items;
        size_t n;
} SecretList;

/* Which ids a container has, as CreateContainer takes it. */
typedef struct UserNamespace {
        char *mode; /* "host", "auto" */
        OptionalU64 size;
} UserNamespace;

typedef struct IdMapping {
        uint32_t container, host, size;
} IdMapping;

typedef struct IdMappingList {
        IdMapping *items;
        size_t n;
} IdMappingList;

/* A list of which an empty one differs from none. */
typedef struct OptionalStrv {
        bool set;
        char **list;
} OptionalStrv;

void mount_list_clear(MountList *l);
void rlimit_list_clear(RlimitList *l);
void secret_list_clear(SecretList *l);

int parse_flag(const char *s, void *target, Error *e);    /* bool, set to true; s is NULL */
int parse_boolean(const char *s, void *target, Error *e); /* OptionalU64, 0 or 1 */
int parse_string(const char *s, void *target, Error *e);  /* char * */
int parse_strv(const char *s, void *target, Error *e);    /* char **, appended */
int parse_bytes(const char *s, void *target, Error *e);   /* OptionalU64: "64M", "1.5G" */
int parse_count(const char *s, void *target, Error *e);   /* OptionalU64, or "infinity" */
int parse_number(const char *s, void *target, Error *e);  /* OptionalU64; "all" is infinity */
int parse_weight(const char *s, void *target, Error *e);  /* OptionalU64, 1 to 10000 */
int parse_quota(const char *s, void *target, Error *e); /* OptionalU64: "150%" in usec per second */
int parse_duration(const char *s, void *target, Error *e); /* OptionalU64, usec: "10", "1.5min" */
int parse_time(const char *s, void *target, Error *e);     /* OptionalU64, usec since the epoch:
                                                              "2024-05-01 10:00", "10min", "@SEC" */
int parse_signal(const char *s, void *target, Error *e); /* OptionalU64: "TERM", "sigterm", "15" */
int parse_signal_or_probe(const char *s, void *target, Error *e); /* the same, or "0" */
int parse_oom_score(const char *s, void *target, Error *e); /* OptionalU64 holding an int64_t */
int parse_environment(const char *s, void *target,
                      Error *e); /* char **; NAME takes our own value */
int parse_environment_file(const char *s, void *target, Error *e); /* char ** */
int parse_unset(const char *s, void *target, Error *e);            /* char **: a bare name */
int parse_label(const char *s, void *target, Error *e);            /* char **: KEY[=VALUE] */
int parse_volume(const char *s, void *target, Error *e);           /* MountList: SRC:DST[:OPTS] */
int parse_mount(const char *s, void *target, Error *e);        /* MountList: type=...,target=... */
int parse_secret(const char *s, void *target, Error *e);       /* SecretList: NAME[,target=...] */
int parse_label_file(const char *s, void *target, Error *e);   /* char ** */
int parse_cpus(const char *s, void *target, Error *e);         /* OptionalU64: "1.5", as a quota */
int parse_tmpfs(const char *s, void *target, Error *e);        /* MountList: DST[:OPTS] */
int parse_ulimit(const char *s, void *target, Error *e);       /* RlimitList */
int parse_device(const char *s, void *target, Error *e);       /* char **, pairs: path, access */
int parse_capability(const char *s, void *target, Error *e);   /* char **: CAP_NAME or ALL */
int parse_entrypoint(const char *s, void *target, Error *e);   /* OptionalStrv; text or JSON */
int parse_stream(const char *s, void *target, Error *e);       /* char *: "journal", "file:/x" */
int parse_restart(const char *s, void *target, Error *e);      /* char *: "on-failure:3" */
int parse_image_volume(const char *s, void *target, Error *e); /* OptionalU64: whether */
int parse_filter(const char *s, void *target, Error *e);       /* char **: also "label=KEY=VALUE" */
int parse_prune_filter(const char *s, void *target, Error *e); /* Options: also "until=TIME" */
int parse_network(const char *s, void *target, Error *e);      /* char *: "private", "host" */
int parse_user_namespace(const char *s, void *target, Error *e); /* UserNamespace: "auto:size=N" */
int parse_id_mapping(const char *s, void *target, Error *e); /* IdMappingList: CTR:HOST[:SIZE] */
