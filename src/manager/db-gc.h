/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What is garbage, by the rules of containerd (D48).
 *
 *   nodes   content of a namespace (a blob that it has), snapshots
 *   roots   images, containers, leases that have not expired, snapshots that a user has made and
 *           not given up (org.example.Ctr/gc.collect), the label containerd.io/gc.root
 *   edges   image -> its blobs and topmost layer; container -> snapshot; snapshot -> parent;
 *           lease -> what it names; labels of images, containers, content and snapshots:
 *           containerd.io/gc.ref.content[.*], gc.ref.snapshot.SNAPSHOTTER[/...] to what the value
 *           names, and gc.bref.{content,image,container}[.*], gc.bref.snapshot.SNAPSHOTTER[/...]
 *           from it; a lease with the label containerd.io/gc.flat holds what it names, and parents
 *           of that, but not what labels name
 *
 * One recursive query marks what the roots reach; the rest is garbage. It runs on a reader's
 * connection, in a thread, over the state of one moment, while the world goes on. What got a new
 * edge to it since then is noted by triggers ("touched"); before a row is removed, the same query
 * over what was touched tells what must stay.
 *
 * Invariant: a row that something reaches at the moment of the transaction is not removed by it.
 */

#include "manager/db.h"

typedef struct DbGarbage {
        int64_t *snapshots, *content; /* ids; a snapshot before its parent */
        size_t n_snapshots, n_content;
} DbGarbage;

void db_garbage_done(DbGarbage *g);

/* Another connection to the same database, for one thread at a time, which only reads. */
int db_open_reader(const char *dir, Database **ret, Error *e);

/* Makes whatever runs on it fail soon. From any thread. */
void db_interrupt(Database *reader);

/* Makes the table and the triggers for what is touched; part of db_open(). */
int db_gc_prepare(Database *db, Error *e);

/* A mark is about to begin: what was touched before is of no interest. */
int db_gc_begin(Database *db, Error *e);

/* The mark. On a reader. */
int db_gc_find(Database *reader, uint64_t now, DbGarbage *ret, Error *e);

/* In a transaction: finds out what of the garbage must stay since it was touched. */
int db_gc_rescue(Database *db, uint64_t now, Error *e);

/* What went with a row. */
typedef struct DbRemoved {
        char *blob;        /* digest of the blob that no namespace has any more; NULL: others do */
        char *snapshotter; /* of a snapshot */
        uint64_t bytes;
} DbRemoved;

void db_removed_done(DbRemoved *r);

/* In the same one: removes a row unless it must stay. 1 if it is gone, 0 if it stays (or was gone
 * already). */
int db_gc_remove_content(Database *db, int64_t id, DbRemoved *ret, Error *e);
int db_gc_remove_snapshot(Database *db, int64_t id, DbRemoved *ret, Error *e);

/* Removes a row of content that was found not to be needed in this transaction. As above. */
int db_content_remove(Database *db, int64_t id, DbRemoved *ret, Error *e);

/* Images that their label containerd.io/gc.expire (RFC 3339) says are not wanted any more and that
 * no lease names. */
int db_gc_expired_images(Database *db, uint64_t now,
                         int (*f)(const char *namespace, const char *name, void *userdata),
                         void *userdata, Error *e);

typedef struct DbUsage {
        uint64_t images, containers, leases;
        uint64_t blobs, content_bytes;
        uint64_t snapshots, snapshot_bytes;
        uint64_t reclaimable_bytes; /* of blobs and snapshots that no container and no lease needs
                                     */
} DbUsage;

/* What there is, in a namespace with the layers that it uses, or (NULL) in all. On a reader. */
int db_usage(Database *reader, const char *namespace, uint64_t now, DbUsage *ret, Error *e);
