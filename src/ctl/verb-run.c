/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* run, start and restart. */

#include <signal.h>

#include "ctl/launch.h"
#include "ctl/output.h"
#include "ctl/pull.h"
#include "ctl/verbs.h"

int failure_status(const Error *e, int signo) {
        switch (e->code) {
        case CTR_COMMAND_NOT_FOUND:
                return EXIT_COMMAND_NOT_FOUND;
        case CTR_COMMAND_NOT_EXECUTABLE:
                return EXIT_COMMAND_NOT_EXECUTABLE;
        case CTR_CANCELED:
                return 128 + (signo ?: SIGINT);
        default:
                return EXIT_RUN_FAILED;
        }
}

static int check_run_options(const Options *o, Error *e) {
        if (o->host && !o->detach)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input and output cannot be passed to another host; "
                                  "use --detach, then wait and logs");
        return 0;
}

static LaunchFlags run_flags(const Options *o) {
        LaunchFlags flags = LAUNCH_CREATE;

        if (!o->name)
                flags |= LAUNCH_OWN_ID;
        if (!o->detach)
                flags |= LAUNCH_ATTACHED;
        /* in the background nobody is there to wait for it */
        if (o->remove && !o->detach)
                flags |= LAUNCH_REMOVE;
        if (o->interactive)
                flags |= LAUNCH_STDIN;
        if (o->create.terminal)
                flags |= LAUNCH_TERMINAL;
        return flags;
}

static int run_start(Client *c, Launch *l, const char *image, Error *e) {
        _cleanup_error_ Error missing = ERROR_NULL;
        PullPolicy policy = c->options->pull;
        int r;

        if (policy == PULL_ALWAYS) {
                r = pull_image(c, image, "always", NULL, e);
                if (r != 0)
                        return r;
        }
        /* that the image is there is the rule; nobody asks before */
        r = launch_start(l, &missing);
        if (r == 0 || policy != PULL_MISSING || !launch_image_is_missing(l))
                return r == 0 ? 0 : error_propagate(e, r, &missing);
        r = pull_image(c, image, "missing", NULL, e);
        return r != 0 ? r : launch_start(l, e);
}

int verb_run(Client *c, char **args, Error *e) {
        _cleanup_(id_file_close) IdFile id_file = ID_FILE_NULL;
        _cleanup_(launch_freep) Launch *l = NULL;
        const Options *o = c->options;
        char generated[GENERATED_ID_SIZE];
        const char *id = o->name;
        int status = EXIT_SUCCESS;

        if (!id) {
                generate_id(generated);
                id = generated;
        }
        if (check_run_options(o, e) != 0 || id_file_open(o->id_file, &id_file, e) != 0 ||
            client_connect(c, e) != 0 ||
            launch_new(c, id, args[0], args + 1, run_flags(o), &l, e) != 0 ||
            run_start(c, l, args[0], e) != 0)
                return failure_status(e, l ? launch_signal(l) : 0);
        if (id_file_write(&id_file, id, e) != 0) {
                print_error("run", e);
                error_clear(e);
        }
        if (o->detach)
                puts(id);
        else if (launch_wait(l, &status, e) != 0)
                return failure_status(e, 0);
        return status;
}

typedef struct TaskCall {
        const char *path, *id;
} TaskCall;

static int append_status(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_PROCESS, "Status");
}

static int task_status(Client *c, const TaskCall *task, char **ret, Error *e) {
        const Call call = {.path = task->path,
                           .interface = INTERFACE_PROPERTIES,
                           .member = "Get",
                           .append = append_status,
                           .what = "task",
                           .name = task->id};
        sd_bus_message *reply = NULL;
        const char *status;
        int r;

        r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = sd_bus_message_read(reply, "v", "s", &status);
        if (r >= 0)
                r = free_and_strdup(ret, status);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the status of %s: %m", task->id) : 0;
}

/* The container has a task already. 0: it is out of the way, -EALREADY: it runs. */
static int make_way(Client *c, const TaskCall *task, const Error *refused, Error *e) {
        Call call = {.path = task->path,
                     .interface = INTERFACE_PROCESS,
                     .append = append_no_options,
                     .what = "task",
                     .name = task->id};
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_free_ char *status = NULL;
        int r;

        r = task_status(c, task, &status, &local);
        if (r == CTR_NOT_FOUND) /* something else is in the way */
                return error_setf(e, refused->code, "%s", error_text(refused));
        if (r != 0)
                return error_propagate(e, r, &local);
        if (streq(status, "STOPPED")) {
                call.member = "Delete";
                r = client_call(c, &call, NULL, e);
                return r;
        }
        if (c->options->attach || c->options->create.runtime)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "container \"%s\" has a task already, its status is %s", task->id,
                                  status);
        if (streq(status, "CREATED")) {
                call.member = "Start";
                r = client_call(c, &call, NULL, e);
                if (r != 0)
                        return r;
        }
        return -EALREADY;
}

static int start_one(Client *c, const char *id, int *ret_status, Error *e) {
        const Options *o = c->options;
        LaunchFlags flags = (o->attach ? LAUNCH_ATTACHED : 0) | (o->interactive ? LAUNCH_STDIN : 0);
        _cleanup_(launch_freep) Launch *l = NULL;
        _cleanup_error_ Error refused = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        path = client_object_path(c, "task", id);
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = launch_new(c, id, NULL, NULL, flags, &l, e);
        if (r != 0)
                return r;
        r = launch_start(l, &refused);
        if (r == CTR_ALREADY_EXISTS || r == CTR_FAILED_PRECONDITION) {
                r = make_way(c, &(const TaskCall){path, id}, &refused, e);
                if (r == -EALREADY)
                        return 0;
                if (r == 0)
                        r = launch_start(l, e);
        } else if (r != 0)
                (void) error_move(e, &refused);
        if (r == 0 && o->attach)
                r = launch_wait(l, ret_status, e);
        return r;
}

int verb_start(Client *c, char **args, Error *e) {
        int status = EXIT_SUCCESS;

        if (c->options->attach && args[1]) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "only one container can be attached to");
                return EXIT_RUN_FAILED;
        }
        if (c->options->attach && c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input and output cannot be passed to another host");
                return EXIT_RUN_FAILED;
        }
        if (client_connect(c, e) != 0)
                return c->options->attach ? EXIT_RUN_FAILED : EXIT_FAILURE;
        for (; *args; args++) {
                _cleanup_error_ Error one = ERROR_NULL;

                if (start_one(c, *args, &status, &one) == 0)
                        continue;
                print_error("start", &one);
                status = c->options->attach ? failure_status(&one, 0) : EXIT_FAILURE;
        }
        return status;
}

/* What could not be stopped is not started, but does not keep the others from it. */
int verb_restart(Client *c, char **args, Error *e) {
        int stopped, started;

        stopped = verb_stop(c, args, e);
        if (e->code != 0)
                return stopped;
        started = verb_start(c, args, e);
        return stopped != EXIT_SUCCESS ? stopped : started;
}
