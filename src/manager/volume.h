/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Volumes: directories that outlive the containers that mount them. A volume is an active snapshot
 * of the native snapshotter that lies upon nothing and has a name of its own: so it has a row, a
 * directory that is made and removed as those of all snapshots, labels and figures, and there is no
 * second kind of storage. There are no drivers.
 *
 * An anonymous one was made for one container, because its image or its maker named a path and no
 * volume, and has a random name.
 *
 * Invariant: while a container names a volume it stays, whatever the container's state; and the
 * methods for snapshots do not touch it.
 */

#include "manager/container.h"
#include "manager/job.h"
#include "manager/snapshot.h"

#define VOLUME_SNAPSHOTTER "native"

int volume_name_validate(const char *name, Error *e);

/* Makes an empty one; durable when it returns. name NULL or "": a random one, and it is anonymous.
 * *ret_name is a new string. CTR_ALREADY_EXISTS. */
int volume_create(Manager *m, const char *namespace, const char *name, json_t *labels,
                  char **ret_name, Error *e);

/* Row and directory, inside a transaction; the directory is that tree of a worker's (".new-..."),
 * or empty (NULL). name as above. After a rollback *ret_id is to be given to sweeper_doom(). */
int volume_insert(Manager *m, const char *namespace, const char *name, json_t *labels,
                  const char *tree, int64_t *ret_id, Error *e);

/* CTR_NOT_FOUND with a sentence. */
int volume_find(Manager *m, const char *namespace, const char *name, Snapshot **ret, Error *e);

/* Whether no container names it, and nothing is in it and nothing about to be (an import). */
int volume_is_fresh(Manager *m, const Snapshot *s, bool *ret, Error *e);

/* Whether a job reads or writes an archive of that snapshot, which may be no volume. */
int volume_is_busy(Manager *m, int64_t id, bool *ret, Error *e);

/* Where it is in the host's file system; NULL if out of memory. */
char *volume_path(const Manager *m, int64_t id);

/* CTR_FAILED_PRECONDITION with the container that names it, or the job that reads or writes it. */
int volume_remove(Manager *m, const char *namespace, const char *name, Error *e);

/* Which volumes volumes_prune() removes: of those that no container names, and
 * that no job reads or writes. */
typedef struct VolumePrune {
        const char *namespace;
        bool (*matches)(const Snapshot *s, void *userdata);
        void *userdata;
        uint64_t before; /* only those that were made before; 0: all */
        bool named;      /* not only the anonymous ones */
} VolumePrune;

/* In one transaction. *ret: array of their names. */
int volumes_prune(Manager *m, const VolumePrune *request, json_t **ret, Error *e);

/* Jobs that write everything in it to an archive, and add what is in an archive; fd stays the
 * caller's. An import that fails leaves what came before. */
int volume_export(Manager *m, const Snapshot *s, int fd, Job **ret, Error *e);
int volume_import(Manager *m, const Snapshot *s, int fd, Job **ret, Error *e);
