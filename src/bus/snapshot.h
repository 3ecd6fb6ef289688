/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What the methods about snapshots share: their arguments and their answers. */

#include "bus/late.h"
#include "bus/options.h"
#include "manager/snapshot.h"

typedef struct Service Service;

typedef struct SnapshotOptions {
        SnapshotPlace place;
        json_t *labels;
        const char *lease;
} SnapshotOptions;

#define SNAPSHOT_OPTIONS_DEFAULT                                                                   \
        {                                                                                          \
                .place = {.namespace = NAMESPACE_DEFAULT }                                         \
        }

void snapshot_options_done(SnapshotOptions *o);

/* Namespace and Snapshotter, of a SnapshotOptions. */
extern const Option snapshot_place_options[];

/* Reads an argument s: the name of a snapshot, validated. */
int snapshot_read_key(sd_bus_message *m, const char *what, const char **ret, sd_bus_error *error);

int snapshot_authorize(Service *s, sd_bus_message *m, const SnapshotOptions *o,
                       sd_bus_error *error);

/* The first two steps of a method about a snapshot: its name, snapshot_place_options and
 * permission. 1: go on; 0: polkit was asked, return 1; negative: error is set. */
int snapshot_prepare_method(sd_bus_message *m, Service *s, SnapshotOptions *options,
                            const char **ret_key, sd_bus_error *error);

/* Replies with a(ssas). */
int snapshot_reply_mounts(sd_bus_message *m, Service *s, const SnapshotPlace *place,
                          const char *key, sd_bus_error *error);

/* Replies with (tt): bytes and inodes, as soon as they are counted. */
int snapshot_reply_usage(sd_bus_message *m, Service *s, const Snapshot *snapshot,
                         sd_bus_error *error);
