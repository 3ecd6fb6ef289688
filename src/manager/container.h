/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A container: pure metadata (A0.1). It names its image, its snapshot and its OCI document, and has
 * at most one task. Creating, listing and deleting it never waits for a runtime. */

#include <jansson.h>

#include "manager/object.h"
#include "manager/user-namespace.h"

typedef struct Task Task;

typedef struct Container {
        Object object; /* name: the id */
        char *image;   /* normalised reference, as of creation */
        char *runtime;
        char *snapshotter;
        char *snapshot_key;
        int64_t snapshot; /* row; its directory has the same number. 0: it was committed, or is gone
                           */
        json_t *labels;   /* {key: value} */
        json_t *resources; /* unit properties, see unit/properties.h */
        int stop_signal;
        uint64_t stop_timeout; /* usec */
        UserNamespace user_namespace;
        bool terminal;
        bool auto_remove;   /* deleted when its task ends */
        bool volatile_root; /* nobody wants it back after a power loss, its record neither */
        uint64_t created_at, updated_at;
        uint32_t last_version; /* the highest number that was given, see manager/version.h */
        char *operation;       /* as in its row: what a version's operation still has to do */
        struct VersionOperation *version_operation; /* that is under way; NULL: none */
        Task *task;
        struct Restart *restart; /* see manager/restart.h */
} Container;

static inline Container *CONTAINER(Object *o) {
        assert(!o || o->type == OBJECT_CONTAINER);
        return (Container *) o;
}

typedef struct ContainerMount {
        char *source, *destination, *type, *options; /* options separated by ',' */
} ContainerMount;

typedef struct ContainerRlimit {
        char *name; /* "RLIMIT_NOFILE" */
        uint64_t soft, hard;
} ContainerRlimit;

typedef struct ContainerDevice {
        char *path, *access;
} ContainerDevice;

typedef struct ContainerSecret {
        char *name;
        char *target; /* a name in /run/secrets, or an absolute path elsewhere */
        uint32_t uid, gid, mode;
} ContainerSecret;

/* Whether init is a systemd, which gets what it needs: see spec_is_for_systemd(). */
typedef enum SystemdMode {
        SYSTEMD_AUTO, /* by the name of the program */
        SYSTEMD_ALWAYS,
        SYSTEMD_NEVER,
} SystemdMode;

/* What CreateContainer was asked for. Everything is owned; zero or NULL means "as the image says",
 * then the default. See dbus/org.example.Ctr.xml for the meaning of each. */
typedef struct ContainerRequest {
        char *namespace, *id, *image;
        char *runtime;          /* see manager/runtime-name.h; NULL: our own */
        char *snapshotter;      /* NULL: the namespace's, then the default */
        char *snapshot_id;      /* NULL: the id */
        bool existing_snapshot; /* it is there, and active: A1.35 */
        char *lease;            /* holds the snapshot, too; NULL: none does */
        json_t *labels;
        char **command, **entrypoint, **arguments;
        bool command_set, entrypoint_set, arguments_set;
        char **environment;
        char *working_directory, *user, *hostname;
        char **dns, **dns_search, **dns_options; /* of resolv.conf; NULL: as the host's */
        char **extra_hosts;                      /* "NAME:ADDRESS" */
        char *restart_policy;                    /* NULL: as the labels say */
        bool terminal, read_only, host_network, volatile_root, auto_remove;
        bool new_privileges;   /* NoNewPrivileges=false */
        bool no_image_volumes; /* the paths that the image declares stay its own */
        SystemdMode systemd;
        ContainerMount *mounts;
        size_t n_mounts;
        char **capabilities_add, **capabilities_drop;
        ContainerDevice *devices;
        size_t n_devices;
        ContainerRlimit *rlimits;
        size_t n_rlimits;
        ContainerSecret *secrets;
        size_t n_secrets;
        int stop_signal;       /* 0: the image's, else SIGTERM */
        uint64_t stop_timeout; /* 0: 10 s */
        int oom_score_adjust;
        UserNamespace user_namespace;
        char *blockio_class, *rdt_class; /* of the configuration; NULL: none */
        json_t *resources; /* unit properties by name, already checked by unit_properties_check() */
} ContainerRequest;

void container_request_done(ContainerRequest *r);

Container *container_free(Container *c);
DEFINE_CLEANUP(Container *, container_free);

/* CTR_NOT_FOUND with a sentence. */
int container_find(Manager *m, const char *namespace, const char *id, Container **ret, Error *e);

/* Checks everything, makes snapshot and record in one transaction; durable when it returns. On
 * failure nothing is left. CTR_ALREADY_EXISTS is found out first (A1.18). An explicit snapshotter
 * replaces a snapshot of that name that nobody uses (A1.32). */
int container_create(Manager *m, const ContainerRequest *request, Container **ret, Error *e);

/* Whether its snapshot is a copy, or a volume begins with one: then container_create_copy(), which
 * takes its time, is to be called instead. */
bool container_needs_copy(Manager *m, const ContainerRequest *request);

/* callback(container); the request must stay until then. */
int container_create_copy(Manager *m, const ContainerRequest *request, Callback callback,
                          void *userdata, Error *e);

typedef enum ContainerDeleteFlags {
        CONTAINER_DELETE_KEEP_SNAPSHOT = 1 << 0,
        CONTAINER_DELETE_FORCE = 1 << 1,    /* kill and delete a task first */
        CONTAINER_DELETE_VERSIONS = 1 << 2, /* its versions go with it; else they stay (A6.9) */
        CONTAINER_DELETE_VOLUMES = 1 << 3,  /* its anonymous volumes go with it */
} ContainerDeleteFlags;

/* The callback gets NULL as object: it is gone. */
int container_delete(Container *c, ContainerDeleteFlags flags, Callback callback, void *userdata,
                     Error *e);

/* Nobody waits for it: the deletion of a container whose task has ended and that asked for it. */
void container_auto_remove(Container *c);

/* At the manager's end, after its tasks have gone: whoever still waits is told -ESHUTDOWN. */
void container_deletes_cancel(Manager *m);

/* Replaces all labels (the reference is taken over on success). */
int container_set_labels(Container *c, json_t *labels, Error *e);

/* Changes the limits of later tasks, in the record and in the document, in one transaction. */
int container_set_resources(Container *c, json_t *resources, Error *e);

/* A new string with the OCI document. */
int container_read_spec(Container *c, char **ret, Error *e);

/* Labels that all match; an empty value asks for presence only (A1.21). */
bool container_matches_labels(const Container *c, json_t *labels);
