/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Task.Exec, a further process of a container, and Pids, all that there are. */

#include "basic/strv.h"
#include "bus/container-lists.h"
#include "bus/container-options.h"
#include "bus/container-values.h"
#include "bus/error.h"
#include "bus/exec-client.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/process.h"
#include "bus/service.h"
#include "bus/stream-options.h"
#include "manager/exec.h"

typedef struct ExecOptions {
        ExecRequest request;
        char *client;
        StreamOptions streams;
} ExecOptions;

static void exec_options_clear(ExecOptions *o) {
        ExecRequest *request = &o->request;

        strv_free(request->command);
        strv_free(request->environment);
        free(request->working_directory);
        free(request->user);
        strv_free(request->capabilities_add);
        strv_free(request->capabilities_drop);
        for (size_t i = 0; i < request->n_rlimits; i++)
                free(request->rlimits[i].name);
        free(request->rlimits);
        free(o->client);
}

static int option_working_directory(OptionReader *o, void *target) {
        char **directory = target;
        int r;

        r = option_string_copy(o, directory);
        if (r < 0)
                return r;
        return isempty(*directory) || **directory == '/'
                               ? 0
                               : option_invalid(o, "\"%.128s\" is not an absolute path",
                                                *directory);
}

static int option_no_new_privileges(OptionReader *o, void *target) {
        ExecRequest *request = target;

        request->no_new_privileges_set = true;
        return option_bool(o, &request->no_new_privileges);
}

static int option_rlimits(OptionReader *o, void *target) {
        ExecRequest *request = target;

        return option_read_rlimits(o, &request->rlimits, &request->n_rlimits);
}

static int option_terminal_size(OptionReader *o, void *target) {
        uint32_t *size = target;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', size);
        if (r < 0)
                return r;
        return *size <= PTY_SIZE_MAX ? 0
                                     : option_invalid(o, "%u is too large (at most %u)", *size,
                                                      PTY_SIZE_MAX);
}

#define FIELD(f) offsetof(ExecOptions, request.f)
#define WHOLE    offsetof(ExecOptions, request)

static const Option exec_table[] = {
                {"Terminal", "b", option_bool, FIELD(terminal)},
                {"Environment", "as", option_environment, FIELD(environment)},
                {"WorkingDirectory", "s", option_working_directory, FIELD(working_directory)},
                {"User", "s", option_user, FIELD(user)},
                {"CapabilitiesAdd", "as", option_strv, FIELD(capabilities_add)},
                {"CapabilitiesDrop", "as", option_strv, FIELD(capabilities_drop)},
                {"NoNewPrivileges", "b", option_no_new_privileges, WHOLE},
                {"Rlimits", "a(stt)", option_rlimits, WHOLE},
                {"Width", "u", option_terminal_size, FIELD(width)},
                {"Height", "u", option_terminal_size, FIELD(height)},
                STREAM_OPTION_ROWS(ExecOptions, streams),
                {"Start", "b", option_bool, FIELD(start)},
                {"AutoRemove", "b", option_bool, FIELD(auto_remove)},
                {},
};

static int exec_arguments_read(sd_bus_message *m, ExecOptions *options, sd_bus_error *error) {
        OptionReader reader = {
                        .message = m,
                        .key = "command",
                        .budget = OPTIONS_BYTES_MAX,
                        .error = error,
        };
        int r;

        r = sd_bus_message_read(m, "s", &options->request.id);
        if (r < 0)
                return r;
        r = option_strv(&reader, &options->request.command);
        if (r < 0)
                return r;
        r = options_read(m, exec_table, options, error);
        if (r < 0)
                return r;
        options->request.streams = stream_options_request(&options->streams);
        return 0;
}

/* Root opens or runs what the caller names, or the process gets what its container has not: an exec
 * alone must not be a way around what was decided when the container was made. */
static bool exceeds_container(const ExecOptions *o) {
        const ExecRequest *request = &o->request;

        return stream_options_reach_host(&o->streams) ||
               strv_length(request->capabilities_add) > 0 ||
               (request->no_new_privileges_set && !request->no_new_privileges);
}

int method_exec(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(exec_options_clear) ExecOptions options = {.streams = STREAM_OPTIONS_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;
        Late *late;
        int r;

        r = exec_arguments_read(m, &options, error);
        if (r < 0)
                return r;
        r = task_begin(t, m, exceeds_container(&options), bus_reply_path, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = exec_client_name(service_of(&t->process.object), m, &options.client);
        options.request.client = options.client;
        if (r >= 0)
                r = task_exec(t, &options.request, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

int method_pids(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        _cleanup_free_ TaskPid *pids = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = userdata;
        size_t n;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = task_authorize(t, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_pids(t, &pids, &n, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);

        r = sd_bus_message_new_method_return(m, &reply);
        if (r < 0)
                return r;
        r = sd_bus_message_open_container(reply, 'a', "(us)");
        if (r < 0)
                return r;
        for (size_t i = 0; i < n; i++) {
                r = sd_bus_message_append(reply, "(us)", (uint32_t) pids[i].pid, pids[i].exec_id);
                if (r < 0)
                        return r;
        }
        r = sd_bus_message_close_container(reply);
        return r < 0 ? r : sd_bus_message_send(reply);
}
