/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Snapshots as clients see them: named by (snapshotter, namespace, key), of one of three kinds.
 *
 *   View, Active   being read, being written: has mounts, and no children
 *   Committed      never changes again: has children, and no mounts
 *
 *   Prepare --> Active --Commit--> Committed        View --Remove-->
 *
 * The rows are the truth, the directories (snapshot/snapshotter.h) follow them. Layers of images
 * are committed snapshots that belong to no namespace (""), only to the images; they can be parents
 * in each namespace, with every snapshotter, and are not touched by any of these calls.
 *
 * Invariant: a parent is committed, and stays as long as it has a child or a container.
 */

#include <jansson.h>

#include "basic/filter.h"
#include "manager/object.h"

typedef struct SnapshotMount SnapshotMount;

typedef enum SnapshotKind {
        SNAPSHOT_COMMITTED,
        SNAPSHOT_ACTIVE,
        SNAPSHOT_VIEW,
        _SNAPSHOT_KIND_MAX,
} SnapshotKind;

typedef struct Snapshot {
        int64_t id; /* names the directory */
        SnapshotKind kind;
        char *snapshotter, *namespace, *key;
        int64_t parent_id;      /* 0: none */
        char *parent;           /* its key; NULL: none */
        json_t *labels;         /* {key: value}; NULL: none */
        uint64_t bytes, inodes; /* of a committed one; 0: not known */
        uint64_t created_at, updated_at;
        char *container;  /* whose version it is; NULL: of none */
        uint32_t version; /* 0: none */
        char *volume;     /* its name as a volume (manager/volume.h); NULL: it is none */
        bool anonymous;   /* a volume that goes with its container */
} Snapshot;

Snapshot *snapshot_free(Snapshot *s);
DEFINE_CLEANUP(Snapshot *, snapshot_free);

/* What a user says to garbage collection (containerd's is the first): a snapshot of a namespace
 * stays until it is removed, unless it has the second label. */
#define SNAPSHOT_LABEL_GC_ROOT      "containerd.io/gc.root"
#define SNAPSHOT_LABEL_COLLECT      "org.example.Ctr/gc.collect"
#define SNAPSHOT_LABEL_CONTAINER    "org.example.Ctr/container"
#define SNAPSHOT_LABEL_VERSION      "org.example.Ctr/version"
#define NAMESPACE_LABEL_SNAPSHOTTER "containerd.io/defaults/snapshotter"

/* "Committed", "Active", "View"; never NULL. */
const char *snapshot_kind_to_string(SnapshotKind k) _const_;

/* 1 to 255 printable characters of ASCII without a space. CTR_INVALID_ARGUMENT says what. */
int snapshot_key_validate(const char *key, const char *what, Error *e);

/* A FilterLookup of Snapshots. */
bool snapshot_lookup(const void *snapshot, const FilterField *field, const char **ret);

/* Looks which snapshotters can be used on this file system, and says which cannot. check false: all
 * that are there are taken for usable. */
void snapshotters_check(Manager *m, bool check);

/* Which one is meant where nobody says which; NULL or "": the first. CTR_INVALID_ARGUMENT. */
int snapshotters_set_default(Manager *m, const char *name, Error *e);

/* Why one is not available; NULL: it is. */
const char *snapshotter_reason(const Manager *m, const char *name);

/* The directory of all snapshots of one, which stays the manager's. */
int snapshotter_directory(const Manager *m, const char *name);

/* Which snapshotter is meant: name, or the namespace's label, or the manager's default. *ret is one
 * of the constant names. CTR_INVALID_ARGUMENT for an unknown one, CTR_NOT_IMPLEMENTED, with the
 * sentence of the start, for one that is not available here. */
int snapshotter_choose(Manager *m, const char *namespace, const char *name, const char **ret,
                       Error *e);

/* Where a call is aimed; snapshotter NULL: as snapshotter_choose() finds it. */
typedef struct SnapshotPlace {
        const char *namespace, *snapshotter;
} SnapshotPlace;

/* CTR_NOT_FOUND with a sentence. Layers are found, too. */
int snapshot_stat(Manager *m, const SnapshotPlace *place, const char *key, Snapshot **ret,
                  Error *e);

typedef struct SnapshotRequest {
        SnapshotPlace place;
        const char *key, *parent; /* parent NULL or "": none */
        bool view;
        json_t *labels;    /* NULL: none */
        const char *lease; /* holds it, too; NULL: none does */
} SnapshotRequest;

/* Makes an active one, or a view. If it is made at once *ret_done is true and the callback is not
 * called; some snapshotters copy, which takes time. CTR_ALREADY_EXISTS, CTR_NOT_FOUND for the
 * parent, CTR_FAILED_PRECONDITION if that is not committed. */
int snapshot_prepare(Manager *m, const SnapshotRequest *request, bool *ret_done, Callback callback,
                     void *userdata, Error *e);

typedef struct SnapshotCommitRequest {
        SnapshotPlace place;
        const char *name, *key;
        json_t *labels;    /* NULL: those it has */
        const char *lease; /* holds it by its new name; NULL: none does */
} SnapshotCommitRequest;

/* Makes the active snapshot key the committed one name. What it uses is counted and brought to the
 * disk first. A container whose root it was has none until another one of that key is prepared.
 * CTR_FAILED_PRECONDITION if it is not active, or a task runs in it. */
int snapshot_commit(Manager *m, const SnapshotCommitRequest *request, Callback callback,
                    void *userdata, Error *e);

/* CTR_FAILED_PRECONDITION for a volume, and for what a container mounts beside its root. */
int snapshot_check_mounts(Manager *m, const Snapshot *s, Error *e);

/* CTR_FAILED_PRECONDITION if it has children or is the root of a container. */
int snapshot_remove(Manager *m, const SnapshotPlace *place, const char *key, Error *e);

/* Replaces all labels. */
int snapshot_set_labels(Manager *m, const SnapshotPlace *place, const char *key, json_t *labels,
                        Error *e);

/* How an active one or a view is mounted (A1.30). *ret is to be freed with
 * snapshot_mounts_free(). */
int snapshot_mounts(Manager *m, const SnapshotPlace *place, const char *key, SnapshotMount **ret,
                    size_t *ret_n, Error *e);

/* Bytes on disk and inodes of its own, without its parents. */
typedef void (*SnapshotUsageCallback)(int r, const Error *e, uint64_t bytes, uint64_t inodes,
                                      void *userdata);

/* A worker counts. CTR_RESOURCE_EXHAUSTED if too many do already. */
int snapshot_usage(Manager *m, const Snapshot *s, SnapshotUsageCallback callback, void *userdata,
                   Error *e);

/*
 * For whoever makes snapshots as a part of something else, in a transaction of his own
 * (manager/container.c, manager/version.c).
 */

/* Who may be a parent, in this namespace or as a layer. CTR_FAILED_PRECONDITION if it is not
 * committed, or the chain is too long. */
int snapshot_check_parent(Manager *m, const char *snapshotter, int64_t parent, Error *e);

/* A snapshot upon parent (0: none) is a copy, which snapshot_copy() is to make first. */
bool snapshot_needs_copy(const char *snapshotter, int64_t parent);

typedef void (*SnapshotCopyCallback)(int r, const Error *e, const char *tree, void *userdata);

/* Copies what the snapshot source (of any kind, not being written) shows. The tree that the
 * callback gets is a name for snapshot_directory_make(); if that is not called, it goes. */
int snapshot_copy(Manager *m, const char *snapshotter, const char *namespace, int64_t source,
                  SnapshotCopyCallback callback, void *userdata, Error *e);

/* Syncs the snapshot and counts it. */
int snapshot_settle(Manager *m, const Snapshot *s, SnapshotUsageCallback callback, void *userdata,
                    Error *e);

/* Makes the directory of an active snapshot or view whose row has just been inserted. If the
 * transaction fails after this, sweeper_doom() takes it back. tree NULL: none is needed. */
int snapshot_directory_make(Manager *m, const char *snapshotter, int64_t id, int64_t parent,
                            const char *tree, Error *e);

/* CTR_NOT_FOUND if its directory is not there. */
int snapshot_directory_check(Manager *m, const char *snapshotter, int64_t id, Error *e);
