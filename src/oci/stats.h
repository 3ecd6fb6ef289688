/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Figures of a cgroup (v2) as the document that runc's `events` prints. */

#include <jansson.h>

#include "basic/error.h"

/* What has no controller is missing. */
int stats_read(int cgroup_fd, json_t **ret, Error *e);

/* How often the OOM killer struck; 0 without a memory controller. */
uint64_t stats_oom_kills(int cgroup_fd);
