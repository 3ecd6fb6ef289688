/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the methods of the manager begin with: the arguments that say what they are about, their
 * options, and permission. */

#include "bus/manager-methods.h"

#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/service.h"
#include "image/reference.h"

int option_namespace(OptionReader *o, void *target) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char **namespace = target;
        int r;

        r = option_read_string(o, namespace);
        if (r < 0)
                return r;
        r = namespace_validate(*namespace, &e);
        return r != 0 ? bus_error_set(o->error, r, &e) : 0;
}

const Option namespace_option[] = {{"Namespace", "s", option_namespace, 0}, {}};

int reference_read(sd_bus_message *m, char **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *reference;
        int r;

        r = sd_bus_message_read_basic(m, 's', &reference);
        if (r < 0)
                return r;
        r = reference_normalize(reference, ret, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}

int identifier_read(sd_bus_message *m, const char *what, const char **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sd_bus_message_read_basic(m, 's', ret);
        if (r < 0)
                return r;
        r = identifier_validate(*ret, what, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}

int prepare_nothing(sd_bus_message *m, Service *s, sd_bus_error *error) {
        const char *ignored;
        int r;

        r = options_read(m, namespace_option, &ignored, error);
        return r < 0 ? r : authorize(s, m, &(AuthorityDetails){}, error);
}

int prepare_in_namespaces(sd_bus_message *m, Service *s, const Option *table, void *options,
                          const char **namespace, const bool *all_namespaces, sd_bus_error *error) {
        int r;

        *namespace = NAMESPACE_DEFAULT;
        r = options_read(m, table, options, error);
        if (r < 0)
                return r;
        if (*all_namespaces)
                *namespace = NULL;
        return authorize(s, m, &(AuthorityDetails){.namespace = *namespace}, error);
}

int prepare_container(sd_bus_message *m, Service *s, const char **ret_namespace,
                      const char **ret_id, sd_bus_error *error) {
        int r;

        *ret_namespace = NAMESPACE_DEFAULT;
        r = identifier_read(m, "container id", ret_id, error);
        if (r >= 0)
                r = options_read(m, namespace_option, ret_namespace, error);
        if (r < 0)
                return r;
        return authorize(s, m,
                         &(AuthorityDetails){.namespace = *ret_namespace, .container = *ret_id},
                         error);
}

int prepare_image(sd_bus_message *m, Service *s, const Option *table, void *options,
                  const char *const *namespace, char **ret_reference, sd_bus_error *error) {
        _cleanup_free_ char *reference = NULL;
        int r;

        r = reference_read(m, &reference, error);
        if (r >= 0)
                r = options_read(m, table, options, error);
        if (r >= 0)
                r = authorize(s, m,
                              &(AuthorityDetails){.namespace = *namespace, .image = reference},
                              error);
        if (r > 0)
                *ret_reference = TAKE_PTR(reference);
        return r;
}
