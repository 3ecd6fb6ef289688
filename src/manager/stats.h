/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a task uses now, read from its cgroups when it is asked for (C28): nothing is sampled, a
 * client that wants rates keeps the figures before.
 *
 * Use is that of "payload", which has the container's processes and not the supervisor. Limits, and
 * how often they were hit, are those of the scope, where systemd sets them: the kernel counts an
 * OOM or a throttled period at the cgroup whose limit it was.
 *
 * Invariant: a figure that the kernel does not have (a controller or file is missing) is not known;
 * it is never 0 instead.
 */

#include "manager/task.h"

typedef enum StatValue {
        STAT_CPU_USAGE,
        STAT_CPU_USER,
        STAT_CPU_SYSTEM,
        STAT_CPU_PERIODS,
        STAT_CPU_THROTTLED_PERIODS,
        STAT_CPU_THROTTLED,
        STAT_MEMORY_CURRENT,
        STAT_MEMORY_WITHOUT_CACHE,
        STAT_MEMORY_CACHE,
        STAT_MEMORY_ANONYMOUS,
        STAT_MEMORY_KERNEL,
        STAT_MEMORY_PEAK,
        STAT_MEMORY_MAX, /* UINT64_MAX: infinity, as for the other two */
        STAT_SWAP_CURRENT,
        STAT_SWAP_MAX,
        STAT_TASKS_CURRENT,
        STAT_TASKS_MAX,
        _STAT_VALUE_MAX,
} StatValue;

typedef struct StatPair {
        const char *name;
        uint64_t value;
} StatPair;

/* Some of the pairs, under a name (a device, an interface; NULL where there is only one). */
typedef struct StatGroup {
        const char *name;
        size_t first, n;
} StatGroup;

typedef struct StatPressure {
        const char *resource, *kind; /* "cpu", "some" */
        double average[3];           /* percent over 10, 60, 300 seconds */
        uint64_t total;              /* usec */
} StatPressure;

#define STAT_PAIRS_MAX  2048U
#define STAT_GROUPS_MAX 64U /* devices, interfaces: those beyond are left out */
#define STAT_TEXT_MAX   65536U

/* Large: to be allocated, and used again for the next task. Names point into text. */
typedef struct TaskStats {
        uint64_t timestamp; /* realtime, before anything was read */
        uint64_t values[_STAT_VALUE_MAX];
        bool known[_STAT_VALUE_MAX];
        StatPair pairs[STAT_PAIRS_MAX];
        size_t n_pairs;
        StatGroup memory_stat, memory_events, hugetlb;
        StatGroup io[STAT_GROUPS_MAX], network[STAT_GROUPS_MAX];
        size_t n_io, n_network;
        StatPressure pressure[6];
        size_t n_pressure;
        char text[STAT_TEXT_MAX];
        size_t n_text;
} TaskStats;

/* CTR_NOT_FOUND "cgroup does not exist" (D24) for a task that has ended. */
int task_stats_read(const Task *t, TaskStats *ret, Error *e);

/* The two halves, for anything that looks like a payload in its scope, and like /proc/PID. 0, or
 * -ENODEV when the cgroup went away; other negative errnos. */
int stats_read_cgroup(int payload_fd, TaskStats *s);
int stats_read_network(int proc_fd, TaskStats *s);

/* Forgets everything. */
void stats_reset(TaskStats *s);
