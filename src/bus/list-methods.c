/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The methods of the manager that list objects: all of them are one, with another kind. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/object.h"
#include "bus/service.h"
#include "manager/container.h"
#include "manager/job.h"
#include "manager/lookup.h"

typedef struct ListOptions {
        const char *namespace;
        bool all_namespaces;
        json_t *labels;
        Filter *filters;
} ListOptions;

static void list_options_done(ListOptions *o) {
        json_decref(o->labels);
        filter_free(o->filters);
}

static const Option table_jobs[] = {
                {"Namespace", "s", option_namespace, offsetof(ListOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ListOptions, all_namespaces)},
                {},
};

static const Option table_filters[] = {
                {"Namespace", "s", option_namespace, offsetof(ListOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ListOptions, all_namespaces)},
                {"Filters", "as", option_filters, offsetof(ListOptions, filters)},
                {},
};

static const Option table_labels[] = {
                {"Namespace", "s", option_namespace, offsetof(ListOptions, namespace)},
                {"AllNamespaces", "b", option_bool, offsetof(ListOptions, all_namespaces)},
                {"Filters", "as", option_filters, offsetof(ListOptions, filters)},
                {"Labels", "a{ss}", option_labels, offsetof(ListOptions, labels)},
                {},
};

static bool filter_object(Object *o, void *userdata) {
        const ListOptions *options = userdata;

        return filter_matches(options->filters, object_lookup, o) &&
               (!options->labels || container_matches_labels(CONTAINER(o), options->labels));
}

/* A job's namespace is not part of its name. */
static bool filter_job(Object *o, void *userdata) {
        const ListOptions *options = userdata;

        return options->all_namespaces || streq(JOB(o)->namespace, options->namespace);
}

static int list(sd_bus_message *m, Service *s, ObjectType type, const Option *table,
                bool (*filter)(Object *o, void *userdata), sd_bus_error *error) {
        _cleanup_(list_options_done) ListOptions options = {.namespace = NAMESPACE_DEFAULT};
        const char *namespace;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        namespace = options.all_namespaces ? NULL : options.namespace;
        r = authorize(s, m, &(AuthorityDetails){.namespace = namespace}, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        return bus_objects_reply(m, s->manager, type, type == OBJECT_JOB ? NULL : namespace, filter,
                                 &options, error);
}

int method_list_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list(m, userdata, OBJECT_IMAGE, table_filters, filter_object, error);
}

int method_list_containers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list(m, userdata, OBJECT_CONTAINER, table_labels, filter_object, error);
}

int method_list_tasks(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list(m, userdata, OBJECT_TASK, table_filters, filter_object, error);
}

int method_list_jobs(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return list(m, userdata, OBJECT_JOB, table_jobs, filter_job, error);
}
