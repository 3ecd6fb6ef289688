/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/copy-methods.h"

#include "basic/json.h"
#include "bus/container.h"
#include "bus/descriptor.h"
#include "bus/error.h"
#include "bus/late.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/copy.h"

#define CHANGES_DEFAULT 10000U
#define CHANGES_MAX     100000U

typedef struct CopyMethodOptions {
        CopyRequest request;
        uint32_t limit;
} CopyMethodOptions;

static int reply_job(sd_bus_message *m, const Job *j) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_of(&j->object, &path);
        return r < 0 ? r : sd_bus_reply_method_return(m, "o", path);
}

/* The answer is what the job brings. */
static int reply_late(Container *c, sd_bus_message *m, int r, Job *j, LateReply reply,
                      const Error *e, sd_bus_error *error) {
        _cleanup_error_ Error failure = ERROR_NULL;
        Late *late;

        if (r != 0)
                return bus_error_set(error, r, e);
        r = late_new(service_of(&c->object), m, reply, &late, error);
        if (r < 0) {
                (void) job_cancel(j, NULL);
                return r;
        }
        late_set_waiters(late, &j->waiters);
        r = job_wait(j, late_complete, late, &failure);
        return late_started(late, r, &failure, error);
}

/* "A/path" as ("A", "/path"). */
static int append_change(sd_bus_message *reply, const char *change) {
        const char kind[] = {change[0], '\0'};

        return sd_bus_message_append(reply, "(ss)", kind, change[0] ? change + 1 : "");
}

static int reply_changes(sd_bus_message *m, Object *o) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        json_t *changes = json_object_get(JOB(o)->outcome, "Changes"), *change;
        size_t i;
        int r;

        r = sd_bus_message_new_method_return(m, &reply);
        if (r >= 0)
                r = sd_bus_message_open_container(reply, 'a', "(ss)");
        json_array_foreach(changes, i, change)
                if (r >= 0)
                        r = append_change(reply, strempty(json_string_value(change)));
        if (r >= 0)
                r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_send(NULL, reply, NULL);
}

static int option_limit(OptionReader *o, void *target) {
        uint32_t *limit = target;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', limit);
        if (r >= 0 && (*limit == 0 || *limit > CHANGES_MAX))
                r = option_invalid(o, "a number from 1 to %u is needed", CHANGES_MAX);
        return r;
}

int method_diff(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Limit", "u", option_limit, offsetof(CopyMethodOptions, limit)},
                        {},
        };
        CopyMethodOptions options = {.limit = CHANGES_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        Job *j = NULL;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = container_diff(c, options.limit, &j, &e);
        return reply_late(c, m, r, j, reply_changes, &e, error);
}

int method_export(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        Job *j = NULL;
        int fd, r;

        r = bus_read_fd(m, true, &fd, error);
        if (r >= 0)
                r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = container_export(c, fd, &j, &e);
        return r == 0 ? reply_job(m, j) : bus_error_set(error, r, &e);
}

/* A path, an archive and options, then start. */
static int copy(sd_bus_message *m, Container *c, bool out, const Option *table,
                int (*start)(Container *c, const CopyRequest *request, Job **ret, Error *e),
                sd_bus_error *error) {
        CopyMethodOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Job *j = NULL;
        int r;

        r = sd_bus_message_read(m, "s", &options.request.path);
        if (r >= 0)
                r = bus_read_fd(m, out, &options.request.fd, error);
        if (r >= 0)
                r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = start(c, &options.request, &j, &e);
        return r == 0 ? reply_job(m, j) : bus_error_set(error, r, &e);
}

int method_copy_out(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"FollowLink", "b", option_bool,
                         offsetof(CopyMethodOptions, request.follow)},
                        {},
        };

        return copy(m, userdata, true, table, container_copy_out, error);
}

int method_copy_in(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"NoOverwriteDirNonDir", "b", option_bool,
                         offsetof(CopyMethodOptions, request.keep_kind)},
                        {"CopyUIDGID", "b", option_bool_inverted,
                         offsetof(CopyMethodOptions, request.own)},
                        {},
        };

        return copy(m, userdata, false, table, container_copy_in, error);
}

static int reply_stat(sd_bus_message *m, Object *o) {
        json_t *s = JOB(o)->outcome;

        return sd_bus_reply_method_return(
                        m, "a{sv}", 7, "Name", "s",
                        strempty(json_string_value(json_object_get(s, "Name"))), "Size", "t",
                        (uint64_t) json_integer_value(json_object_get(s, "Size")), "Mode", "u",
                        (uint32_t) json_integer_value(json_object_get(s, "Mode")), "UID", "u",
                        (uint32_t) json_integer_value(json_object_get(s, "UID")), "GID", "u",
                        (uint32_t) json_integer_value(json_object_get(s, "GID")), "ModifiedAt", "x",
                        (int64_t) json_integer_value(json_object_get(s, "ModifiedAt")),
                        "LinkTarget", "s",
                        strempty(json_string_value(json_object_get(s, "LinkTarget"))));
}

int method_stat_path(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"FollowLink", "b", option_bool,
                         offsetof(CopyMethodOptions, request.follow)},
                        {},
        };
        CopyMethodOptions options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        Job *j = NULL;
        int r;

        r = sd_bus_message_read_basic(m, 's', &options.request.path);
        if (r >= 0)
                r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = container_stat_path(c, options.request.path, options.request.follow, &j, &e);
        return reply_late(c, m, r, j, reply_stat, &e, error);
}
