/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Container.CreateTask: see stream-options.h for its streams. */

#include "bus/container-options.h"
#include "bus/container.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/service.h"
#include "bus/stream-options.h"
#include "manager/checkpoint-restore.h"
#include "manager/checkpoint.h"

typedef struct CreateTaskOptions {
        StreamOptions streams;
        const char *checkpoint, *checkpoint_path;
        char *runtime;
} CreateTaskOptions;

static void create_task_options_done(CreateTaskOptions *o) {
        free(o->runtime);
}

/* Root opens, makes or runs what the caller names, or restores processes of his making; and who may
 * make containers has said what makes this one. */
static bool needs_more(const CreateTaskOptions *o) {
        return stream_options_reach_host(&o->streams) || o->checkpoint || o->checkpoint_path ||
               o->runtime;
}

static int create_task_authorize(Container *c, const CreateTaskOptions *o, sd_bus_message *m,
                                 sd_bus_error *error) {
        int r;

        r = authorize_runtime(service_of(&c->object), m, o->runtime, error);
        if (r <= 0)
                return r;
        return (needs_more(o) ? container_authorize_more : container_authorize)(c, m, error);
}

int method_create_task(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        STREAM_OPTION_ROWS(CreateTaskOptions, streams),
                        {"Checkpoint", "s", option_string, offsetof(CreateTaskOptions, checkpoint)},
                        {"CheckpointPath", "s", option_string,
                         offsetof(CreateTaskOptions, checkpoint_path)},
                        {"Runtime", "s", option_runtime, offsetof(CreateTaskOptions, runtime)},
                        {},
        };
        _cleanup_(create_task_options_done)
                        CreateTaskOptions options = {.streams = STREAM_OPTIONS_DEFAULT};
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        TaskRequest request;
        Late *late;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = create_task_authorize(c, &options, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        if (options.checkpoint && options.checkpoint_path) {
                r = error_setf(&e, CTR_INVALID_ARGUMENT,
                               "Only one of the options Checkpoint and CheckpointPath can be "
                               "given");
                return bus_error_set(error, r, &e);
        }
        r = options.checkpoint || options.checkpoint_path ? checkpoint_check_container(c, &e) : 0;
        if (r == 0 && options.checkpoint_path)
                r = checkpoint_check(options.checkpoint_path, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = late_new(service_of(&c->object), m, bus_reply_path, &late, error);
        if (r < 0)
                return r;
        request = (TaskRequest){.streams = stream_options_request(&options.streams),
                                .checkpoint = options.checkpoint_path,
                                .checkpoint_path = options.checkpoint_path,
                                .runtime = options.runtime};
        if (options.checkpoint)
                r = task_create_from_image(c, &request, options.checkpoint, late_complete, late,
                                           &e);
        else
                r = task_create(c, &request, late_complete, late, &e);
        return late_started(late, r, &e, error);
}
