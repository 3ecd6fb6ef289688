/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What the kernel's schedulers are told about a process; it and what it clones have it then.
 */

#include "runtime/spec.h"

/* process.scheduler and process.ioPriority. Needs the host's rights for what is more than usual. */
int schedule_apply(const SpecProcess *p, Error *e);

/* linux.memoryPolicy */
int memory_policy_apply(const SpecMemoryPolicy *p, Error *e);

/* process.execCPUAffinity.<which>; nothing if the set is empty. */
int affinity_apply(const NumberSet *set, const char *which, Error *e);
