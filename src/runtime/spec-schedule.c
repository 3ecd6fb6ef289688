/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of a process tells the kernel's schedulers: processor, I/O, memory nodes. */

#include <linux/ioprio.h>
#include <linux/mempolicy.h>
#include <linux/sched.h>

#include "runtime/spec.h"

#define SCHED_ISO 4 /* reserved by the kernel, and nothing else */

typedef struct Name {
        const char *name;
        uint32_t value;
} Name;

static int find(const Name *table, size_t n, const char *name, uint32_t *ret) {
        for (size_t i = 0; i < n; i++)
                if (streq(table[i].name, strempty(name))) {
                        *ret = table[i].value;
                        return 0;
                }
        return -EINVAL;
}

/* A string of the table, which is required. */
static int parse_name(json_t *o, const char *path, const char *key, const Name *table, size_t n,
                      uint32_t *ret, Error *e) {
        const char *name = NULL;
        int r;

        r = json_get_string(o, path, key, &name, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, path, key);
        if (find(table, n, name, ret) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: \"%.32s\" is not known", path,
                                  key, name);
        return 0;
}

static int parse_flags(json_t *o, const char *path, const Name *table, size_t n, uint32_t *ret,
                       Error *e) {
        _cleanup_free_ const char **names = NULL;
        size_t n_names = 0;
        uint32_t flag;
        int r;

        r = spec_get_strings(o, path, "flags", 32, &names, &n_names, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < n_names; i++) {
                if (find(table, n, names[i], &flag) < 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s.flags[%zu]: \"%.32s\" is not known", path, i,
                                          names[i]);
                *ret |= flag;
        }
        return 0;
}

static int parse_deadline(SpecScheduler *s, json_t *o, Error *e) {
        const struct {
                const char *key;
                uint64_t *value;
        } numbers[] = {
                        {"runtime", &s->runtime},
                        {"deadline", &s->deadline},
                        {"period", &s->period},
        };
        int r;

        for (size_t i = 0; i < ELEMENTSOF(numbers); i++) {
                r = json_get_uint64(o, "process.scheduler", numbers[i].key, INT64_MAX,
                                    numbers[i].value, e);
                if (r < 0)
                        return r;
                if (s->policy != SCHED_DEADLINE && *numbers[i].value != 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "process.scheduler.%s: only SCHED_DEADLINE has it",
                                          numbers[i].key);
        }
        return 0;
}

/* What the specification names and Linux does not have, or the document has no value for. */
static int check_scheduler(const SpecScheduler *s, Error *e) {
        if (s->policy == SCHED_ISO)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "process.scheduler.policy: Linux has no SCHED_ISO");
        if (s->flags & SCHED_FLAG_UTIL_CLAMP)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "process.scheduler.flags: the specification has no values for "
                                  "utilization clamps");
        return 0;
}

static int parse_scheduler(SpecScheduler *s, json_t *process, Error *e) {
        static const Name policies[] = {
                        {"SCHED_OTHER", SCHED_NORMAL},
                        {"SCHED_FIFO", SCHED_FIFO},
                        {"SCHED_RR", SCHED_RR},
                        {"SCHED_BATCH", SCHED_BATCH},
                        {"SCHED_ISO", SCHED_ISO},
                        {"SCHED_IDLE", SCHED_IDLE},
                        {"SCHED_DEADLINE", SCHED_DEADLINE},
        };
        static const Name flags[] = {
                        {"SCHED_FLAG_RESET_ON_FORK", SCHED_FLAG_RESET_ON_FORK},
                        {"SCHED_FLAG_RECLAIM", SCHED_FLAG_RECLAIM},
                        {"SCHED_FLAG_DL_OVERRUN", SCHED_FLAG_DL_OVERRUN},
                        {"SCHED_FLAG_KEEP_POLICY", SCHED_FLAG_KEEP_POLICY},
                        {"SCHED_FLAG_KEEP_PARAMS", SCHED_FLAG_KEEP_PARAMS},
                        {"SCHED_FLAG_UTIL_CLAMP_MIN", SCHED_FLAG_UTIL_CLAMP_MIN},
                        {"SCHED_FLAG_UTIL_CLAMP_MAX", SCHED_FLAG_UTIL_CLAMP_MAX},
        };
        int64_t nice = 0, priority = 0;
        json_t *o;
        int r;

        r = json_get_object(process, "process", "scheduler", &o, e);
        if (r <= 0)
                return r;
        r = parse_name(o, "process.scheduler", "policy", policies, ELEMENTSOF(policies), &s->policy,
                       e);
        if (r == 0)
                r = parse_flags(o, "process.scheduler", flags, ELEMENTSOF(flags), &s->flags, e);
        if (r != 0)
                return r;
        r = json_get_int64(o, "process.scheduler", "nice", -20, 19, &nice, e);
        if (r >= 0)
                r = json_get_int64(o, "process.scheduler", "priority", 0, 99, &priority, e);
        if (r < 0)
                return r;
        if (priority != 0 && s->policy != SCHED_FIFO && s->policy != SCHED_RR)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have "
                                  "one");
        s->nice = (int32_t) nice;
        s->priority = (uint32_t) priority;
        s->set = true;
        r = check_scheduler(s, e);
        return r == 0 ? parse_deadline(s, o, e) : r;
}

static int parse_io_priority(SpecProcess *p, json_t *process, Error *e) {
        static const Name classes[] = {
                        {"IOPRIO_CLASS_RT", IOPRIO_CLASS_RT},
                        {"IOPRIO_CLASS_BE", IOPRIO_CLASS_BE},
                        {"IOPRIO_CLASS_IDLE", IOPRIO_CLASS_IDLE},
        };
        uint64_t priority = 0;
        uint32_t class = 0;
        json_t *o;
        int r;

        r = json_get_object(process, "process", "ioPriority", &o, e);
        if (r <= 0)
                return r;
        r = parse_name(o, "process.ioPriority", "class", classes, ELEMENTSOF(classes), &class, e);
        if (r != 0)
                return r;
        /* required, says config.md; 0 is what the Go bindings leave out */
        r = json_get_uint64(o, "process.ioPriority", "priority", 7, &priority, e);
        if (r < 0)
                return r;
        p->io_priority_set = true;
        p->io_priority = (int) IOPRIO_PRIO_VALUE(class, (uint32_t) priority);
        return 0;
}

static int parse_set(json_t *o, const char *path, const char *key, NumberSet *ret, Error *e) {
        const char *text = NULL;
        int r;

        r = json_get_string(o, path, key, &text, e);
        if (r <= 0)
                return r;
        if (number_set_parse(text, ret) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.%s: \"%.64s\" is not a list of numbers", path, key, text);
        return 0;
}

static int parse_affinity(SpecProcess *p, json_t *process, Error *e) {
        json_t *o;
        int r;

        r = json_get_object(process, "process", "execCPUAffinity", &o, e);
        if (r <= 0)
                return r;
        r = parse_set(o, "process.execCPUAffinity", "initial", &p->affinity_initial, e);
        if (r == 0)
                r = parse_set(o, "process.execCPUAffinity", "final", &p->affinity_final, e);
        return r;
}

int spec_parse_schedule(SpecProcess *p, json_t *process, Error *e) {
        int r;

        r = parse_scheduler(&p->scheduler, process, e);
        if (r == 0)
                r = parse_io_priority(p, process, e);
        return r == 0 ? parse_affinity(p, process, e) : r;
}

int spec_parse_memory_policy(SpecMemoryPolicy *p, json_t *section, Error *e) {
        static const Name modes[] = {
                        {"MPOL_DEFAULT", MPOL_DEFAULT},
                        {"MPOL_BIND", MPOL_BIND},
                        {"MPOL_INTERLEAVE", MPOL_INTERLEAVE},
                        {"MPOL_WEIGHTED_INTERLEAVE", 6},
                        {"MPOL_PREFERRED", MPOL_PREFERRED},
                        {"MPOL_PREFERRED_MANY", MPOL_PREFERRED_MANY},
                        {"MPOL_LOCAL", MPOL_LOCAL},
        };
        static const Name flags[] = {
                        {"MPOL_F_NUMA_BALANCING", MPOL_F_NUMA_BALANCING},
                        {"MPOL_F_RELATIVE_NODES", MPOL_F_RELATIVE_NODES},
                        {"MPOL_F_STATIC_NODES", MPOL_F_STATIC_NODES},
        };
        uint32_t mode = 0, mode_flags = 0;
        json_t *o;
        int r;

        r = json_get_object(section, "linux", "memoryPolicy", &o, e);
        if (r <= 0)
                return r;
        r = parse_name(o, "linux.memoryPolicy", "mode", modes, ELEMENTSOF(modes), &mode, e);
        if (r == 0)
                r = parse_flags(o, "linux.memoryPolicy", flags, ELEMENTSOF(flags), &mode_flags, e);
        if (r == 0)
                r = parse_set(o, "linux.memoryPolicy", "nodes", &p->nodes, e);
        if (r != 0)
                return r;
        if ((mode == MPOL_DEFAULT || mode == MPOL_LOCAL) && p->nodes.n > 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.memoryPolicy.nodes: this mode has none");
        p->mode = (int) (mode | mode_flags);
        p->set = true;
        return 0;
}
