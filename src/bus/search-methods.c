/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* SearchImages: a job of its own, whose end is the answer. */

#include "basic/identifier.h"
#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/service.h"
#include "manager/image-remote.h"

#define LIMIT_DEFAULT 25U
#define TERM_MAX      256

typedef struct SearchOptions {
        const char *namespace;
        uint32_t limit;
        int credentials_fd;
} SearchOptions;

static int option_search_limit(OptionReader *o, void *target) {
        uint32_t *limit = target;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', limit);
        if (r >= 0 && (*limit == 0 || *limit > SEARCH_MAX))
                r = option_invalid(o, "a number from 1 to %u is needed", SEARCH_MAX);
        return r;
}

static int term_read(sd_bus_message *m, const char **ret, sd_bus_error *error) {
        int r;

        r = sd_bus_message_read_basic(m, 's', ret);
        if (r < 0)
                return r;
        for (const char *p = *ret; *p; p++)
                if ((unsigned char) *p <= ' ' || *p == 0x7f || p - *ret >= TERM_MAX)
                        return sd_bus_error_setf(error, BUS_ERROR_PREFIX "InvalidArgument",
                                                 "A term to search for has at most %i characters, "
                                                 "and no blanks among them",
                                                 TERM_MAX);
        return 0;
}

static int append_found(sd_bus_message *reply, const json_t *image) {
        const json_t *stars = json_object_get(image, "stars");

        return sd_bus_message_append(
                        reply, "(sa{sv})",
                        strempty(json_string_value(json_object_get(image, "name"))), 3,
                        "Description", "s",
                        strempty(json_string_value(json_object_get(image, "description"))), "Stars",
                        "t", (uint64_t) MAX_OF(json_integer_value(stars), (json_int_t) 0),
                        "Official", "b", (int) json_is_true(json_object_get(image, "official")));
}

static int reply_found(sd_bus_message *m, Object *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *images = json_object_get(JOB(o)->outcome, "Images"), *image;
        size_t i;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(sa{sv})");
        json_array_foreach(images, i, image)
                if (r >= 0)
                        r = append_found(reply, image);
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}

int method_search_images(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Namespace", "s", option_namespace, offsetof(SearchOptions, namespace)},
                        {"Limit", "u", option_search_limit, offsetof(SearchOptions, limit)},
                        {"Credentials", "h", option_credentials,
                         offsetof(SearchOptions, credentials_fd)},
                        {},
        };
        SearchOptions options = {.namespace = NAMESPACE_DEFAULT, .limit = LIMIT_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Service *s = userdata;
        const char *term;
        Late *late;
        Job *job;
        int r;

        r = term_read(m, &term, error);
        if (r >= 0)
                r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = authorize(s, m, &(AuthorityDetails){.namespace = options.namespace}, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = job_search(s->manager, options.namespace, term, options.limit, options.credentials_fd,
                       &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = late_new(s, m, reply_found, &late, error);
        if (r < 0) {
                (void) job_cancel(job, NULL);
                return r;
        }
        late_set_waiters(late, &job->waiters);
        r = job_wait(job, late_complete, late, &e);
        return late_started(late, r, &e, error);
}
