/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Task.Stats and org.example.Ctr.Manager.Metrics: the figures of one task, and
 * those of all that a filter wants. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/log.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/process.h"
#include "bus/service.h"
#include "manager/lookup.h"
#include "manager/stats.h"

static const char *const value_keys[_STAT_VALUE_MAX] = {
                [STAT_CPU_USAGE] = "CPUUsageUSec",
                [STAT_CPU_USER] = "CPUUserUSec",
                [STAT_CPU_SYSTEM] = "CPUSystemUSec",
                [STAT_CPU_PERIODS] = "CPUPeriods",
                [STAT_CPU_THROTTLED_PERIODS] = "CPUThrottledPeriods",
                [STAT_CPU_THROTTLED] = "CPUThrottledUSec",
                [STAT_MEMORY_CURRENT] = "MemoryCurrent",
                [STAT_MEMORY_WITHOUT_CACHE] = "MemoryWithoutCache",
                [STAT_MEMORY_CACHE] = "MemoryCache",
                [STAT_MEMORY_ANONYMOUS] = "MemoryAnonymous",
                [STAT_MEMORY_KERNEL] = "MemoryKernel",
                [STAT_MEMORY_PEAK] = "MemoryPeak",
                [STAT_MEMORY_MAX] = "MemoryMax",
                [STAT_SWAP_CURRENT] = "MemorySwapCurrent",
                [STAT_SWAP_MAX] = "MemorySwapMax",
                [STAT_TASKS_CURRENT] = "TasksCurrent",
                [STAT_TASKS_MAX] = "TasksMax",
};

static int append_pairs(sd_bus_message *m, const TaskStats *s, const StatGroup *group) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{st}");
        if (r < 0)
                return r;
        for (size_t i = group->first; i < group->first + group->n; i++) {
                r = sd_bus_message_append(m, "{st}", s->pairs[i].name, s->pairs[i].value);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

/* {key: variant of signature}, in two halves around the value. */
static int open_entry(sd_bus_message *m, const char *key, const char *signature) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r < 0)
                return r;
        r = sd_bus_message_append_basic(m, 's', key);
        if (r < 0)
                return r;
        return sd_bus_message_open_container(m, 'v', signature);
}

static int close_entry(sd_bus_message *m) {
        int r;

        r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_group(sd_bus_message *m, const TaskStats *s, const char *key,
                        const StatGroup *group) {
        int r;

        if (group->n == 0)
                return 0;
        r = open_entry(m, key, "a{st}");
        if (r >= 0)
                r = append_pairs(m, s, group);
        return r < 0 ? r : close_entry(m);
}

static int append_groups(sd_bus_message *m, const TaskStats *s, const char *key,
                         const StatGroup *groups, size_t n) {
        int r;

        if (n == 0)
                return 0;
        r = open_entry(m, key, "a(sa{st})");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(sa{st})");
        for (size_t i = 0; r >= 0 && i < n; i++) {
                r = sd_bus_message_open_container(m, 'r', "sa{st}");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', groups[i].name);
                if (r >= 0)
                        r = append_pairs(m, s, groups + i);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_entry(m);
}

static int append_pressure(sd_bus_message *m, const TaskStats *s) {
        int r;

        if (s->n_pressure == 0)
                return 0;
        r = open_entry(m, "Pressure", "a(ssdddt)");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "(ssdddt)");
        for (size_t i = 0; r >= 0 && i < s->n_pressure; i++) {
                const StatPressure *p = s->pressure + i;

                r = sd_bus_message_append(m, "(ssdddt)", p->resource, p->kind, p->average[0],
                                          p->average[1], p->average[2], p->total);
        }
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : close_entry(m);
}

static int append_stats(sd_bus_message *m, const TaskStats *s) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Timestamp", "t", s->timestamp);
        for (size_t i = 0; r >= 0 && i < _STAT_VALUE_MAX; i++)
                if (s->known[i])
                        r = sd_bus_message_append(m, "{sv}", value_keys[i], "t", s->values[i]);
        if (r >= 0)
                r = append_group(m, s, "MemoryEvents", &s->memory_events);
        if (r >= 0)
                r = append_group(m, s, "MemoryStat", &s->memory_stat);
        if (r >= 0)
                r = append_groups(m, s, "IO", s->io, s->n_io);
        if (r >= 0)
                r = append_group(m, s, "Hugetlb", &s->hugetlb);
        if (r >= 0)
                r = append_pressure(m, s);
        if (r >= 0)
                r = append_groups(m, s, "Network", s->network, s->n_network);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

int method_stats(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ TaskStats *stats = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = task_authorize(t, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        stats = malloc(sizeof(TaskStats));
        if (!stats)
                return -ENOMEM;
        r = task_stats_read(t, stats, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = append_stats(reply, stats);
        return r < 0 ? r : sd_bus_message_send(reply);
}

typedef struct MetricsOptions {
        const char *namespace;
        bool all_namespaces;
        Filter *filters;
} MetricsOptions;

static void metrics_options_done(MetricsOptions *o) {
        filter_free(o->filters);
}

typedef struct Metrics {
        sd_bus_message *reply;
        const Filter *filters;
        TaskStats *stats;
} Metrics;

static int append_metrics(Object *o, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        Metrics *metrics = userdata;
        const Task *t = TASK(o);
        int r;

        if (t->process.status == TASK_STOPPED ||
            !filter_matches(metrics->filters, object_lookup, o))
                return 0;
        r = task_stats_read(t, metrics->stats, &e);
        if (r != 0) {
                if (r != CTR_NOT_FOUND) /* it ends just now */
                        log_warning("Leaving a task out of the metrics: %s", error_text(&e));
                return 0;
        }
        r = bus_path_of(o, &path);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(metrics->reply, 'r', "oa{sv}");
        if (r >= 0)
                r = sd_bus_message_append_basic(metrics->reply, 'o', path);
        if (r >= 0)
                r = append_stats(metrics->reply, metrics->stats);
        return r < 0 ? r : sd_bus_message_close_container(metrics->reply);
}

static int metrics_reply(sd_bus_message *m, Manager *manager, const MetricsOptions *options) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ TaskStats *stats = NULL;
        Metrics metrics;
        int r;

        stats = malloc(sizeof(TaskStats));
        if (!stats)
                return -ENOMEM;
        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(oa{sv})");
        if (r < 0)
                return r;
        metrics = (Metrics){.reply = reply, .filters = options->filters, .stats = stats};
        r = object_foreach(manager, OBJECT_TASK,
                           options->all_namespaces ? NULL : options->namespace, append_metrics,
                           &metrics);
        if (r < 0)
                return r;
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int method_metrics(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(MetricsOptions, namespace)},
                        {"AllNamespaces", "b", option_bool,
                         offsetof(MetricsOptions, all_namespaces)},
                        {"Filters", "as", option_filters, offsetof(MetricsOptions, filters)},
                        {},
        };
        _cleanup_(metrics_options_done) MetricsOptions options = {.namespace = NAMESPACE_DEFAULT};
        Service *s = userdata;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = authorize(s, m,
                      &(AuthorityDetails){.namespace = options.all_namespaces ? NULL
                                                                              : options.namespace},
                      error);
        if (r <= 0)
                return r < 0 ? r : 1;
        return metrics_reply(m, s->manager, &options);
}
