/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* checkpoint and restore: the processes of a container, to a directory and back. */

#include <limits.h>

#include "ctl/verbs.h"

/* The service gives CRIU 10 minutes each way. */
#define CRIU_TIMEOUT_USEC (12 * 60 * USEC_PER_SEC)

typedef struct Move {
        const CheckpointOptions *options;
        char path[PATH_MAX]; /* absolute; "": there is an image */
} Move;

static int move_init(Move *m, Client *c, Error *e) {
        const char *path = c->options->checkpoint.path;
        char cwd[PATH_MAX] = "";

        m->options = &c->options->checkpoint;
        if (isempty(path) == isempty(m->options->image))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "either --path=DIR or --image=NAME is needed");
        if (isempty(path))
                return 0;
        /* the service is elsewhere, and with --host on another machine */
        if (path[0] != '/' && (c->options->host || !getcwd(cwd, sizeof(cwd))))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not an absolute path", path);
        if ((size_t) snprintf(m->path, sizeof(m->path), "%s%s%s", cwd, *cwd ? "/" : "", path) >=
            sizeof(m->path))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The path \"%s\" is too long", path);
        return 0;
}

static int append_flag(sd_bus_message *m, const char *key, bool value) {
        return value ? sd_bus_message_append(m, "{sv}", key, "b", true) : 0;
}

static int append_checkpoint(sd_bus_message *m, void *userdata) {
        const Move *move = userdata;
        const CheckpointOptions *o = move->options;
        const struct {
                const char *key;
                bool value;
        } flags[] = {
                        {"Exit", !o->leave_running},           {"AllowTCP", o->tcp},
                        {"AllowUnixSockets", o->unix_sockets}, {"AllowTerminal", o->shell_job},
                        {"FileLocks", o->file_locks},
        };
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = *move->path ? sd_bus_message_append(m, "{sv}", "Path", "s", move->path)
                                : sd_bus_message_append(m, "{sv}", "Image", "s", o->image);
        if (r >= 0 && o->parent)
                r = sd_bus_message_append(m, "{sv}", "ParentPath", "s", o->parent);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(flags); i++)
                r = append_flag(m, flags[i].key, flags[i].value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_restore(sd_bus_message *m, void *userdata) {
        const Move *move = userdata;

        if (*move->path)
                return sd_bus_message_append(m, "a{sv}", 1, "CheckpointPath", "s", move->path);
        return sd_bus_message_append(m, "a{sv}", 1, "Checkpoint", "s", move->options->image);
}

int verb_checkpoint(Client *c, char **args, Error *e) {
        _cleanup_free_ char *path = NULL;
        Move move = {};
        int r;

        r = move_init(&move, c, e);
        if (r == 0)
                r = client_connect(c, e);
        if (r != 0)
                return EXIT_FAILURE;
        path = client_object_path(c, "task", args[0]);
        if (!path) {
                (void) error_setf(e, -ENOMEM, "Failed to name the task: %m");
                return EXIT_FAILURE;
        }
        r = client_call(c,
                        &(Call){.path = path,
                                .interface = INTERFACE_TASK,
                                .member = "Checkpoint",
                                .append = append_checkpoint,
                                .userdata = &move,
                                .what = "task",
                                .name = args[0],
                                .timeout = CRIU_TIMEOUT_USEC,
                                .once = true},
                        NULL, e);
        if (r != 0)
                return EXIT_FAILURE;
        (void) puts(*move.path ? move.path : move.options->image);
        return EXIT_SUCCESS;
}

/* The task that ended with the checkpoint is in the way of the next one. */
static int delete_ended(Client *c, const char *path, const char *id, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        int r;

        r = client_call(c,
                        &(Call){.path = path,
                                .interface = INTERFACE_PROCESS,
                                .member = "Delete",
                                .append = append_no_options,
                                .what = "task",
                                .name = id},
                        NULL, &local);
        return r == 0 || r == CTR_NOT_FOUND ? 0 : error_propagate(e, r, &local);
}

int verb_restore(Client *c, char **args, Error *e) {
        _cleanup_free_ char *container = NULL, *task = NULL;
        Move move = {};
        int r;

        r = move_init(&move, c, e);
        if (r == 0)
                r = client_connect(c, e);
        if (r != 0)
                return EXIT_FAILURE;
        container = client_object_path(c, "container", args[0]);
        task = client_object_path(c, "task", args[0]);
        if (!container || !task) {
                (void) error_setf(e, -ENOMEM, "Failed to name the task: %m");
                return EXIT_FAILURE;
        }
        r = delete_ended(c, task, args[0], e);
        if (r == 0)
                r = client_call(c,
                                &(Call){.path = container,
                                        .interface = INTERFACE_CONTAINER,
                                        .member = "CreateTask",
                                        .append = append_restore,
                                        .userdata = &move,
                                        .what = "container",
                                        .name = args[0],
                                        .timeout = CRIU_TIMEOUT_USEC},
                                NULL, e);
        if (r == 0)
                r = client_call(c,
                                &(Call){.path = task,
                                        .interface = INTERFACE_PROCESS,
                                        .member = "Start",
                                        .append = append_no_options,
                                        .what = "task",
                                        .name = args[0],
                                        .timeout = CRIU_TIMEOUT_USEC},
                                NULL, e);
        if (r != 0)
                return EXIT_FAILURE;
        (void) puts(args[0]);
        return EXIT_SUCCESS;
}
