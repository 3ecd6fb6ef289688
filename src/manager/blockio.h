/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Classes of block I/O (A5.2): a configuration file in the form of goresctrl's, as containerd reads
 * it, gives each class weights and limits for devices. A class becomes unit properties of a
 * container when the container is made.
 *
 *   Classes:
 *     LowPrio:
 *       - Weight: 80                       of all devices (10 to 1000)
 *       - Devices: [/dev/sd[a-z]]          patterns; of several that match, the last one holds
 *         ThrottleReadBps: 50M             also ThrottleWriteBps, ThrottleReadIOPS, ...WriteIOPS
 *         Weight: 50
 */

#include <jansson.h>

#include "basic/error.h"

typedef struct BlockIO BlockIO;

/* Reads the file. A class with a mistake is logged and left out. */
int blockio_load(const char *path, BlockIO **ret, Error *e);
BlockIO *blockio_free(BlockIO *b);
DEFINE_CLEANUP(BlockIO *, blockio_free);

/* Adds what the class means for the devices that are there now to unit properties; those that are
 * in there already stay. CTR_INVALID_ARGUMENT if there is no such class, or no configuration (b is
 * NULL). */
int blockio_apply(const BlockIO *b, const char *class_name, json_t *properties, Error *e);

/* "10k", "1.5G", "64Mi" as Kubernetes writes quantities, rounded up. False if it is none. */
bool blockio_parse_quantity(const char *s, uint64_t *ret);

/* The OCI's weight (10 to 1000) as systemd's (1 to 10000), in the way of all OCI runtimes. */
uint64_t blockio_weight(uint64_t weight) _const_;

/* The inverse, for a weight of systemd's: the smallest of the OCI that becomes it, or more. */
uint64_t blockio_weight_oci(uint64_t weight) _const_;
