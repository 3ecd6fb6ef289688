/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* PruneContainers: a few containers at a time, because each of them is a question to polkit. */

#include "manager/container-prune.h"

#include "basic/filter.h"
#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/container.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/lookup.h"

typedef struct PruneOptions {
        const char *namespace;
        Filter *filters;
        uint64_t before;
} PruneOptions;

static void prune_options_done(PruneOptions *o) {
        filter_free(o->filters);
}

static bool matches(const Container *c, void *userdata) {
        const PruneOptions *o = userdata;

        return filter_matches(o->filters, object_lookup, &c->object);
}

/* The user's right is for each of them. That there are none is no more than a list says. */
static int prune_authorize(sd_bus_message *m, Service *s, const char *namespace,
                           Container *const *list, size_t n, sd_bus_error *error) {
        AuthorityDetails details[AUTHORITY_DETAILS_MAX];

        if (n == 0)
                return authorize_action(s, m, "read", &(AuthorityDetails){.namespace = namespace},
                                        error);
        for (size_t i = 0; i < n; i++)
                details[i] = container_authority_details(list[i]);
        return authorize_each(s, m, details, n, error);
}

int method_prune_containers(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(PruneOptions, namespace)},
                        {"Filters", "as", option_filters, offsetof(PruneOptions, filters)},
                        {"Before", "t", option_uint64, offsetof(PruneOptions, before)},
                        {},
        };
        _cleanup_(prune_options_done) PruneOptions options = {.namespace = NAMESPACE_DEFAULT};
        Container *list[AUTHORITY_DETAILS_MAX];
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *ids = NULL;
        Service *s = userdata;
        Late *late;
        size_t n;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        n = containers_choose(s->manager,
                              &(ContainerPrune){
                                              .namespace = options.namespace,
                                              .matches = matches,
                                              .userdata = &options,
                                              .before = options.before,
                              },
                              list, ELEMENTSOF(list));
        r = prune_authorize(m, s, options.namespace, list, n, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        if (n == 0)
                return sd_bus_reply_method_return(m, "as", 0);

        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = containers_delete(list, n, late_complete_names, late, &ids, &e);
        if (r == 0)
                late_set_names(late, ids);
        return late_started(late, r, &e, error);
}
