/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Methods of the manager about images that are here; those that take long are in image-jobs.c. */

#include "basic/filter.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/property.h"
#include "bus/service.h"
#include "manager/image.h"
#include "manager/lookup.h"

typedef struct NameOptions {
        const char *namespace;
        bool synchronous;
} NameOptions;

int method_get_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *namespace = NAMESPACE_DEFAULT;
        _cleanup_free_ char *reference = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Image *image;
        int r;

        r = prepare_image(m, s, namespace_option, &namespace, &namespace, &reference, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_find(s->manager, namespace, reference, &image, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &image->object);
}

int method_delete_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(NameOptions, namespace)},
                        {"Synchronous", "b", option_bool, offsetof(NameOptions, synchronous)},
                        {},
        };
        NameOptions options = {.namespace = NAMESPACE_DEFAULT};
        _cleanup_free_ char *reference = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Late *late = NULL;
        Image *image;
        int r;

        r = prepare_image(m, s, table, &options, &options.namespace, &reference, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_find(s->manager, options.namespace, reference, &image, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        if (!options.synchronous) {
                r = image_delete(image, NULL, NULL, &e);
                return r != 0 ? bus_error_set(error, r, &e) : sd_bus_reply_method_return(m, NULL);
        }
        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = image_delete(image, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

int method_tag_image(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *reference = NULL, *name = NULL;
        const char *namespace = NAMESPACE_DEFAULT;
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        Image *image, *tagged;
        int r;

        r = reference_read(m, &reference, error);
        if (r >= 0)
                r = reference_read(m, &name, error);
        if (r < 0)
                return r;
        r = options_read(m, namespace_option, &namespace, error);
        if (r < 0)
                return r;
        r = authorize_each(s, m,
                           (AuthorityDetails[]){{.namespace = namespace, .image = name},
                                                {.namespace = namespace, .image = reference}},
                           2, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_find(s->manager, namespace, reference, &image, &e);
        if (r == 0)
                r = image_tag(image, name, &tagged, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        objects_tell_changes(s->manager);
        return bus_reply_path(m, &tagged->object);
}

typedef struct PruneOptions {
        const char *namespace;
        Filter *filters;
        uint64_t before;
        bool synchronous;
} PruneOptions;

static void prune_options_done(PruneOptions *o) {
        filter_free(o->filters);
}

static bool matches(const Image *i, void *userdata) {
        const PruneOptions *o = userdata;

        return filter_matches(o->filters, object_lookup, &i->object);
}

/* What was pruned is known from the start; the answer waits for what is removed with it. */
static int prune_synchronously(Service *s, sd_bus_message *m, const PruneRequest *request,
                               sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *names = NULL;
        Late *late;
        int r;

        r = late_new(s, m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = images_prune(s->manager, request, late_complete_names, late, &names, &e);
        if (r == 0)
                late_set_names(late, names);
        return late_started(late, r, &e, error);
}

int method_prune_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(PruneOptions, namespace)},
                        {"Filters", "as", option_filters, offsetof(PruneOptions, filters)},
                        {"Before", "t", option_uint64, offsetof(PruneOptions, before)},
                        {"Synchronous", "b", option_bool, offsetof(PruneOptions, synchronous)},
                        {},
        };
        _cleanup_(prune_options_done) PruneOptions options = {.namespace = NAMESPACE_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *names = NULL;
        Service *s = userdata;
        PruneRequest request;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = authorize(s, m, &(AuthorityDetails){.namespace = options.namespace}, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        request = (PruneRequest){
                        .namespace = options.namespace,
                        .matches = matches,
                        .userdata = &options,
                        .before = options.before,
        };
        if (options.synchronous)
                return prune_synchronously(s, m, &request, error);
        r = images_prune(s->manager, &request, NULL, NULL, &names, &e);
        return r != 0 ? bus_error_set(error, r, &e) : strings_reply(m, names);
}
