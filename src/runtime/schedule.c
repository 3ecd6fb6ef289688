/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/schedule.h"

#include <linux/ioprio.h>
#include <sys/syscall.h>

/* The kernel's struct sched_attr (sched_setattr(2)) as of 5.3, which libraries define or do not. */
typedef struct SchedulerAttributes {
        uint32_t size, policy;
        uint64_t flags;
        int32_t nice;
        uint32_t priority;
        uint64_t runtime, deadline, period;
        uint32_t clamp_min, clamp_max;
} SchedulerAttributes;

static int scheduler_apply(const SpecScheduler *s, Error *e) {
        SchedulerAttributes a = {
                        .size = sizeof(a),
                        .policy = s->policy,
                        .flags = s->flags,
                        .nice = s->nice,
                        .priority = s->priority,
                        .runtime = s->runtime,
                        .deadline = s->deadline,
                        .period = s->period,
        };

        if (!s->set)
                return 0;
        if (syscall(SYS_sched_setattr, 0, &a, 0) < 0)
                return error_setf(e, -errno, "Failed to set process.scheduler: %m");
        return 0;
}

int schedule_apply(const SpecProcess *p, Error *e) {
        int r;

        r = scheduler_apply(&p->scheduler, e);
        if (r != 0 || !p->io_priority_set)
                return r;
        if (syscall(SYS_ioprio_set, IOPRIO_WHO_PROCESS, 0, p->io_priority) < 0)
                return error_setf(e, -errno, "Failed to set process.ioPriority: %m");
        return 0;
}

int memory_policy_apply(const SpecMemoryPolicy *p, Error *e) {
        if (!p->set)
                return 0;
        /* the kernel counts one bit less than it is told (set_mempolicy(2)) */
        if (syscall(SYS_set_mempolicy, p->mode, p->nodes.n > 0 ? p->nodes.words : NULL,
                    p->nodes.n > 0 ? NUMBER_SET_MAX + 1UL : 0UL) < 0)
                return error_setf(e, errno == ENOSYS ? CTR_NOT_IMPLEMENTED : -errno,
                                  "Failed to set linux.memoryPolicy: %m");
        return 0;
}

int affinity_apply(const NumberSet *set, const char *which, Error *e) {
        if (set->n == 0)
                return 0;
        if (syscall(SYS_sched_setaffinity, 0, sizeof(set->words), set->words) < 0)
                return error_setf(e, -errno, "Failed to set process.execCPUAffinity.%s: %m", which);
        return 0;
}
