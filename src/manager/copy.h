/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Files of containers: jobs that read and write them. While there is a task, its own root is used,
 * so that its mounts are seen; otherwise the layers of the snapshot. Exports and differences are
 * always of the snapshot.
 *
 * Invariant: two mounts never write to the same snapshot. While a job writes to that of a container
 * without a task it holds a lock, which outlives us and without which no task is made.
 */

#include "manager/container.h"
#include "manager/job.h"

typedef struct CopyRequest {
        const char *path;
        int fd;         /* the archive; stays the caller's */
        bool follow;    /* out: a link in the last place */
        bool keep_kind; /* in: directories and others do not replace each other */
        bool own;       /* in: what is made is root's */
} CopyRequest;

int container_copy_out(Container *c, const CopyRequest *request, Job **ret, Error *e);

/* CTR_FAILED_PRECONDITION while a task or a version is being made, and for a read-only root. */
int container_copy_in(Container *c, const CopyRequest *request, Job **ret, Error *e);

/* All of the root file system. */
int container_export(Container *c, int fd, Job **ret, Error *e);

/* The job's outcome, for who started it: {"Name", "Size", "Mode", "UID", "GID", "ModifiedAt",
 * "LinkTarget"}. */
int container_stat_path(Container *c, const char *path, bool follow, Job **ret, Error *e);

/* The job's outcome, for who started it: {"Changes": ["A/path", ...]}; more than max are
 * CTR_RESOURCE_EXHAUSTED. */
int container_diff(Container *c, unsigned max, Job **ret, Error *e);

/* Before its snapshot is mounted or moved: CTR_FAILED_PRECONDITION while a job writes to it. */
int container_check_writers(const Container *c, Error *e);

/* "N,N,...", as the worker's --layers wants it: c's snapshot and those below it, topmost first;
 * with "native/" before those that are whole trees. They are cut in two: the first n_own are
 * *ret_own, the rest *ret_lower, NULL if there is none. n_own 0: all are *ret_own; ret_lower may be
 * NULL. */
int container_layers(const Container *c, size_t n_own, char **ret_own, char **ret_lower, Error *e);
