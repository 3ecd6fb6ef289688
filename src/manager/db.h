/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The metadata database: SQLite in WAL mode, one writer. Every operation of the manager is one
 * transaction, durable (synchronous=FULL) when db_commit() returned. Foreign keys say what is in
 * use; one recursive query says what is reachable.
 *
 * Times are realtime microseconds, labels and other small maps JSON text.
 */

#include <jansson.h>

#include "manager/container.h"
#include "manager/content.h"
#include "manager/event.h"
#include "manager/image.h"
#include "manager/secret.h"
#include "manager/snapshot.h"

typedef struct Database Database;

/* Opens (or makes) ctr.db in dir. CTR_FAILED_PRECONDITION for one of a newer schema.
 *
 * On a read-only file system what is there can be read, and every change is -EROFS; but for events,
 * steps and boots, which go to tables in memory then. */
int db_open(const char *dir, Database **ret, Error *e);
bool db_is_readonly(const Database *db) _pure_;
Database *db_close(Database *db);
DEFINE_CLEANUP(Database *, db_close);

/* f is told about each synced transaction that changed something, before it is committed. */
void db_set_on_mutation(Database *db, void (*f)(void *userdata), void *userdata);

int db_begin(Database *db, Error *e);

/* For what nobody wants back after a power loss: the commit is atomic and in order as any, and
 * durable with the next one that is synced. */
int db_begin_unsynced(Database *db, Error *e);
int db_commit(Database *db, Error *e);

/* Undoes an open transaction; harmless without one, so that it can be a cleanup. */
void db_rollback(Database *db);

static inline void db_rollbackp(Database **db) {
        if (*db)
                db_rollback(*db);
}
/* Rolls back unless the variable was cleared after db_commit(). */
#define _cleanup_rollback_ _cleanup_(db_rollbackp)

/* Namespaces */
int db_namespace_ensure(Database *db, const char *name, Error *e);
int db_namespace_create(Database *db, const char *name, const char *labels, Error *e);
int db_namespace_set_labels(Database *db, const char *name, const char *labels, Error *e);
/* CTR_NOT_FOUND, or CTR_FAILED_PRECONDITION that names the kinds of objects left. */
int db_namespace_delete(Database *db, const char *name, Error *e);
int db_namespace_list(Database *db, json_t **ret, Error *e);
/* 1 and the value of a label (a new string), 0 if it has none. */
int db_namespace_label(Database *db, const char *name, const char *label, char **ret, Error *e);

/* Content: what blobs are there, for all namespaces and (manager/content.h) for each. */
int db_blob_put(Database *db, const char *digest, const char *media_type, uint64_t size, Error *e);
/* They are content of the namespace. blobs: array of {digest, media_type, size}. */
int db_blobs_put(Database *db, const char *namespace, json_t *blobs, Error *e);
/* 1 if there is a row, 0 if not, or an error. */
int db_blob_find(Database *db, const char *digest, Error *e);

/* Snapshots, see manager/snapshot.h. Those of namespace "" are layers of images: their key is the
 * chain id, their snapshotter "overlayfs". Numbers are given once. */

/* CTR_ALREADY_EXISTS if there is a layer of this chain id. parent 0: none. */
int db_layer_insert(Database *db, const char *chain_id, int64_t parent, uint64_t bytes,
                    uint64_t inodes, int64_t *ret_id, Error *e);
/* 1 and the number, 0 if there is none. */
int db_layer_find(Database *db, const char *chain_id, int64_t *ret_id, Error *e);

/* Records s (its id, times and parent's key are not read), also its namespace. CTR_ALREADY_EXISTS
 * if the key is taken. */
int db_snapshot_insert(Database *db, const Snapshot *s, int64_t *ret_id, Error *e);
/* Makes an active one committed, under a new key; labels, container, version and usage are set. */
int db_snapshot_commit(Database *db, int64_t id, const Snapshot *s, Error *e);
int db_snapshot_set_labels(Database *db, int64_t id, json_t *labels, uint64_t updated_at, Error *e);
/* It is no version any more, and goes with the next collection that finds it unused. */
int db_snapshot_forget_version(Database *db, int64_t id, Error *e);
/* The same for all versions of a container. */
int db_versions_forget(Database *db, const char *namespace, const char *container, Error *e);
int db_snapshot_delete(Database *db, int64_t id, Error *e);

/* 1 and a new one, 0 if there is none. */
int db_snapshot_find(Database *db, const char *snapshotter, const char *namespace, const char *key,
                     Snapshot **ret, Error *e);
int db_snapshot_get(Database *db, int64_t id, Snapshot **ret, Error *e);
/* Calls f for each in the order of (namespace, key) until it returns other than 0, and returns
 * that. namespace NULL: all, else that one and the layers; snapshotter NULL: all. */
int db_snapshots_foreach(Database *db, const char *snapshotter, const char *namespace,
                         int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e);
/* Versions of a container, oldest first. */
int db_versions_foreach(Database *db, const char *namespace, const char *container,
                        int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e);
/* 1 and a container (a new string) that mounts it besides its root, 0 if none does. */
int db_snapshot_mounter(Database *db, int64_t id, char **ret_container, Error *e);
/* 1 and the container (a new string) that has this snapshot as its root, 0 if there is none. */
int db_snapshot_user(Database *db, int64_t id, char **ret_container, Error *e);
/* 1 and the key of a child, 0 if there is none. */
int db_snapshot_child(Database *db, int64_t id, char **ret_key, Error *e);
/* The snapshot and its ancestors, topmost first. *ret is to be freed. */
int db_snapshot_chain(Database *db, int64_t id, int64_t **ret, size_t *ret_n, Error *e);
/* All ids, ascending. */
int db_snapshot_list(Database *db, int64_t **ret, size_t *ret_n, Error *e);

/* Images */
int db_image_put(Database *db, const Image *i, const json_t *blobs, Error *e);
/* i needs what the image called base has, too. */
int db_image_share_blobs(Database *db, const Image *i, const char *base, Error *e);
int db_image_set_labels(Database *db, const Image *i, json_t *labels, uint64_t updated_at,
                        Error *e);
int db_image_delete(Database *db, const char *namespace, const char *name, Error *e);
int db_image_usage(Database *db, const Image *i, ImageUsage *ret, Error *e);
/* The names of images, in all namespaces, that need blobs of i, each once; those that share the
 * most bytes first, at most max. *ret: array of strings. */
int db_image_relatives(Database *db, const Image *i, unsigned max, json_t **ret, Error *e);
int db_images_load(Database *db, Manager *m, int (*add)(Manager *m, Image *i), Error *e);

/* Containers; spec is the OCI document. */
int db_container_insert(Database *db, const Container *c, const char *spec, Error *e);
int db_container_set_labels(Database *db, const Container *c, json_t *labels, uint64_t updated_at,
                            Error *e);
int db_container_set_resources(Database *db, const Container *c, json_t *resources,
                               const char *spec, uint64_t updated_at, Error *e);
/* state: JSON text, what the restart monitor keeps besides the labels. */
int db_container_set_restart(Database *db, const Container *c, const char *state, Error *e);
/* Another root: its snapshot's number (0: none), key and the container's last version. */
int db_container_set_snapshot(Database *db, const Container *c, int64_t snapshot, const char *key,
                              uint64_t updated_at, Error *e);
/* operation: JSON text, or NULL: nothing is under way (manager/version.h). */
int db_container_set_operation(Database *db, const Container *c, const char *operation, Error *e);
int db_container_delete(Database *db, const Container *c, Error *e);
int db_container_read_spec(Database *db, const Container *c, char **ret, Error *e);
int db_containers_load(Database *db, Manager *m, int (*add)(Manager *m, Container *c), Error *e);

/* Events. What happens to rows is recorded by the database itself, in the transaction that changes
 * them (db-schema.c); db_event_insert() is for all else, and does not read event->sequence. f is
 * told about each, before it is committed. */
void db_set_on_event(Database *db, void (*f)(void *userdata), void *userdata);
int db_event_insert(Database *db, const Event *event, Error *e);
int db_event_foreach(Database *db, const EventQuery *query,
                     int (*f)(const Event *event, void *userdata), void *userdata, Error *e);
/* See event_nth(). */
int db_event_nth(Database *db, uint64_t after, unsigned n, uint64_t *ret, Error *e);
/* The last sequence number that was given, 0 if there was none. */
int db_event_last(Database *db, uint64_t *ret, Error *e);
/* Skips n sequence numbers. */
int db_event_skip(Database *db, uint64_t n, Error *e);
int db_event_count(Database *db, uint64_t *ret, Error *e);
/* Removes the n oldest. */
int db_event_prune(Database *db, uint64_t n, Error *e);

/* A step of a process: recorded with set, without clear, if it was recorded with all of required
 * and nothing of excluded, and is its first one if required is 0. 1 if so, 0 if not, or an error.
 */
typedef struct StepEdge {
        unsigned set, clear, required, excluded;
} StepEdge;
int db_steps_take(Database *db, const char *run, const StepEdge *edge, Error *e);
/* Removes one, or all whose names begin with run (which ends in '/') and a name. */
int db_steps_delete(Database *db, const char *run, Error *e);
int db_steps_delete_below(Database *db, const char *run, Error *e);
/* {run: steps} */
int db_steps_list(Database *db, json_t **ret, Error *e);

/* How many notes of the spool (manager/event-internal.h) with this id are in the database, 0 for an
 * unknown one; and that it is so many now. One spool is remembered. */
int db_spool_taken(Database *db, const char *id, uint64_t *ret, Error *e);
int db_spool_take(Database *db, const char *id, uint64_t taken, Error *e);

/* 1 if reader has seen this boot of the machine already, 0 if not. */
int db_boot_seen(Database *db, const char *reader, const char *boot_id, Error *e);

/* 1 if reader has not seen this boot of the machine before, 0 if it has: recorded as seen now. */
int db_boot_changed(Database *db, const char *reader, const char *boot_id, Error *e);

/* Calls f for each blob until it returns other than 0, and returns that. */
int db_blobs_foreach(Database *db, int (*f)(const char *digest, uint64_t size, void *userdata),
                     void *userdata, Error *e);

int db_content_foreach(Database *db, const char *namespace,
                       int (*f)(const Content *c, void *userdata), void *userdata, Error *e);
/* 1 and the id, 0 if there is none. */
int db_content_find(Database *db, const char *namespace, const char *digest, int64_t *ret_id,
                    Error *e);
int db_content_set_labels(Database *db, int64_t id, json_t *labels, Error *e);
/* 1 and who needs it ("the image \"...\"", a new string), 0 if nobody does. */
int db_content_user(Database *db, const char *namespace, const char *digest, char **ret, Error *e);
/* damaged_at 0: it is as it should be. */
int db_blob_set_damaged(Database *db, const char *digest, uint64_t damaged_at, Error *e);
int db_damaged_images_foreach(Database *db,
                              int (*f)(const char *namespace, const char *name, void *userdata),
                              void *userdata, Error *e);
int db_ingest_put(Database *db, const char *namespace, const char *digest, uint64_t size, Error *e);
int db_ingest_forget(Database *db, const char *digest, Error *e);
int db_ingest_foreach(Database *db, const char *namespace,
                      int (*f)(const IngestEntry *i, void *userdata), void *userdata, Error *e);

/* Volumes (manager/volume.h), which are snapshots with a name of their own, and what containers
 * mount of them. 1 or 0. */
int db_volume_find(Database *db, const char *namespace, const char *name, Snapshot **ret, Error *e);
/* namespace NULL: all. */
int db_volumes_foreach(Database *db, const char *namespace,
                       int (*f)(const Snapshot *s, void *userdata), void *userdata, Error *e);
/* *ret: array of the ids of containers. */
int db_volume_users(Database *db, int64_t id, json_t **ret, Error *e);
int db_container_mount_insert(Database *db, const Container *c, int64_t snapshot, Error *e);
/* What a container mounts and nobody has but it: its views of images, and with volumes its
 * anonymous ones, too. */
int db_container_mounts_own(Database *db, const Container *c, bool volumes, int64_t **ret,
                            size_t *ret_n, Error *e);

/* Secrets (manager/secret.h), without their bytes. */
/* CTR_ALREADY_EXISTS */
int db_secret_insert(Database *db, const char *namespace, const char *name, json_t *labels,
                     int64_t *ret_id, Error *e);
/* 1 or 0. */
int db_secret_find(Database *db, const char *namespace, const char *name, Secret **ret, Error *e);
int db_secret_exists(Database *db, int64_t id, Error *e);
/* namespace NULL: all. */
int db_secrets_foreach(Database *db, const char *namespace,
                       int (*f)(const Secret *s, void *userdata), void *userdata, Error *e);
/* *ret: array of the ids of containers. */
int db_secret_users(Database *db, int64_t id, json_t **ret, Error *e);
int db_secret_delete(Database *db, int64_t id, Error *e);
int db_container_secret_insert(Database *db, const Container *c, int64_t secret, Error *e);

/* Leases (manager/lease.h) */
int db_lease_create(Database *db, const char *namespace, const char *id, json_t *labels,
                    uint64_t expires_at, Error *e);
/* 1 or 0. */
int db_lease_exists(Database *db, const char *namespace, const char *id, Error *e);
int db_lease_delete(Database *db, const char *namespace, const char *id, Error *e);
/* *ret: array of {namespace, id, labels, created_at, expires_at}. namespace NULL: all;
 * expired_by 0: also those that have not expired. */
int db_lease_list(Database *db, const char *namespace, uint64_t expired_by, json_t **ret, Error *e);
/* 0 if none expires. */
int db_lease_next_expiry(Database *db, uint64_t *ret, Error *e);
int db_lease_add(Database *db, const char *namespace, const char *id, const char *type,
                 const char *key, Error *e);
int db_lease_add_image(Database *db, const char *namespace, const char *id, const char *image,
                       Error *e);
int db_lease_add_layer(Database *db, const char *namespace, const char *id, int64_t snapshot,
                       Error *e);
/* CTR_NOT_FOUND */
int db_lease_remove(Database *db, const char *namespace, const char *id, const char *type,
                    const char *key, Error *e);
/* *ret: array of {type, key}. */
int db_lease_resources(Database *db, const char *namespace, const char *id, json_t **ret, Error *e);
/* 1 if a lease of any namespace that has not expired holds it, 0 if none does. */
int db_lease_holds(Database *db, const char *type, const char *key, Error *e);
int db_leased_content_foreach(Database *db, int (*f)(const char *digest, void *userdata),
                              void *userdata, Error *e);
/* 1 and the microseconds since the epoch, 0 if text is no time of RFC 3339. */
int db_parse_time(Database *db, const char *text, uint64_t *ret, Error *e);
