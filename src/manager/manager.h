/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The core of ctr-manager: everything it knows and owns, without any bus. src/bus/ sits on top,
 * calls the functions of manager/{image,container,task,job}.h and observes changes.
 */

#include <jansson.h>
#include <systemd/sd-event.h>

#include "manager/monitor.h"
#include "manager/object.h"
#include "snapshot/snapshotter.h"

typedef struct Database Database;
typedef struct Systemd Systemd;
typedef struct Task Task;
typedef struct Process Process;
typedef struct Job Job;
typedef struct PendingDelete PendingDelete;
typedef struct PendingUsage PendingUsage;
typedef struct Event Event;
typedef struct EventLog EventLog;

/* Told from the event loop, never from inside a call into the core. Any of them may be NULL. */
typedef struct ManagerObserver {
        void (*object_added)(Object *o, void *userdata);
        void (*object_changed)(Object *o, void *userdata);
        void (*object_removed)(Object *o, void *userdata);   /* still valid during the call */
        void (*process_started)(Process *p, void *userdata); /* once, whoever asked for it */
        void (*process_exited)(Process *p, void *userdata);  /* once; before the waiters */
        void (*job_removed)(Job *j, int r, const Error *e, void *userdata);
        void (*event)(const Event *e, void *userdata); /* after it was committed, in order */
} ManagerObserver;

typedef struct ManagerParameters {
        const char *state_dir;     /* "/var/lib/ctr" */
        const char *runtime_dir;   /* "/run/ctr" */
        const char *libexec_dir;   /* where ctr-supervisor and ctr-worker are */
        const char *data_dir;      /* where the seccomp profile is; NULL: none, for tests */
        const char *transient_dir; /* systemd's, where changes of limits are seen; NULL: not seen */
        const char *blockio_config, *rdt_config; /* files with classes; NULL or "": none */
        const char *resctrl_dir;                 /* NULL: RDT_DIR */
        const char *runtime_path; /* directories of other runtimes, ':' between; NULL: the default
                                   */
        const char *subid_user;   /* see manager/id-pool.h, as the next one */
        const char *etc_dir;
        const char *boot_id;                      /* NULL: the kernel's */
        const struct RestartTimes *restart_times; /* NULL: the default */
        const char *snapshotter;                  /* the default; NULL or "": SNAPSHOTTER_DEFAULT */
        bool check_snapshotters; /* find out which the file system can have; else all are tried */
} ManagerParameters;

struct Manager {
        sd_event *event;
        Systemd *systemd;
        Database *db;
        int state_fd;     /* /var/lib/ctr */
        int snapshots_fd; /* /var/lib/ctr/snapshots/overlayfs */
        struct {
                int dir_fd;   /* /var/lib/ctr/snapshots/<name>; the first one is snapshots_fd */
                char *reason; /* why it is not available; NULL: it is */
        } snapshotters[SNAPSHOTTERS_MAX]; /* as snapshot/snapshotter.h counts them */
        const char *default_snapshotter;  /* a constant */
        char *snapshots_link;             /* see there; NULL: none */
        int content_fd;                   /* /var/lib/ctr/content/sha256 */
        int secrets_fd;                   /* /var/lib/ctr/secrets */
        int tasks_fd;                     /* /run/ctr/tasks */
        char *state_dir, *runtime_dir, *libexec_dir;
        char *runtime_path;         /* see manager/runtime-name.h */
        char *subid_user, *etc_dir; /* NULL: the default */

        void *index[_OBJECT_TYPE_MAX]; /* tsearch(3) trees of Object* */
        size_t n_objects[_OBJECT_TYPE_MAX];
        Object *dirty_first, *dirty_last;
        sd_event_source *dirty_source;
        const ManagerObserver *observer;
        void *observer_userdata;

        uint64_t last_job_id;
        Job *ended_jobs; /* newest first */
        struct Sweeper *sweeper;
        struct Leases *leases;
        struct Leftovers *leftovers;
        PendingUsage *usages;
        PendingDelete *pending_deletes;
        struct Limits *limits;
        struct BlockIO *blockio;
        struct Rdt *rdt;
        EventLog *events;
        struct Restarts *restarts;
        struct Dump *dumps; /* checkpoints that are being made */
        const struct TaskMonitor *monitors[MONITORS_MAX];
        size_t n_monitors;
        char boot_id[64]; /* of this run of the machine */
        json_t *seccomp;  /* the default profile, as in the document; NULL: none installed */
        json_t *seccomp_capabilities; /* system calls by the capability that opens them */
        int supervisor_fd;            /* its program, on a read-only mount of its own */
        bool recovering;
        uint64_t recovered_at; /* everything that was created before it is a former manager's */
        sd_event_source *left_behind_timer;
};

/* Opens the store and the database, makes missing directories; systemd stays the caller's. Errors
 * name the path. Nothing runs yet. */
int manager_new(sd_event *event, Systemd *systemd, const ManagerParameters *p, Manager **ret,
                Error *e);
Manager *manager_free(Manager *m);
DEFINE_CLEANUP(Manager *, manager_free);

void manager_set_observer(Manager *m, const ManagerObserver *observer, void *userdata);

/* Reads the rows and what is in /run, compares both with systemd's scopes and the supervisors, and
 * removes what nobody owns (architecture.md, "Recovery"). Asynchronous; callback(NULL, r, e) when
 * the state is the true one and methods may be answered. One damaged record does not fail it. */
int manager_recover(Manager *m, Callback callback, void *userdata, Error *e);

/* Opens /run/ctr/tasks, made if it is missing, in place of one that was removed since the start. */
int manager_open_tasks(Manager *m, Error *e);

/* No task, no job, nobody who waits: exiting now loses nothing. */
bool manager_is_idle(const Manager *m);

/* Namespaces: made by first use. */
int manager_namespace_create(Manager *m, const char *name, json_t *labels, Error *e);
int manager_namespace_set_labels(Manager *m, const char *name, json_t *labels, Error *e);
int manager_namespace_delete(Manager *m, const char *name, Error *e);
/* *ret: a new object {name: {label: value}}. */
int manager_namespace_list(Manager *m, json_t **ret, Error *e);
