/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/launch.h"

typedef enum Stage {
        STAGE_IDLE,
        STAGE_STARTING,
        STAGE_STARTED, /* the program runs, or has run */
        STAGE_FAILED,
        STAGE_ENDING, /* what was made is being removed */
} Stage;

struct Launch {
        Client *client;
        LaunchFlags flags;
        CreateRequest create;
        char *container_path, *task_path;
        Session *session; /* LAUNCH_ATTACHED */
        Stage stage;
        bool has_container, has_task, image_is_missing, task_retried, removing, removed, waiting,
                        done;
        Request *task_request;
        int signal;
        Error error;
};

static void launch_update(Launch *l);
static void request_task(Launch *l);

static void launch_fail(Launch *l, Error *e) {
        if (l->stage == STAGE_FAILED)
                return;
        l->stage = STAGE_FAILED;
        (void) error_move(&l->error, e);
        launch_update(l);
}

/* What a phase waits for: launch_start() for the start, launch_wait() for everything. */
static void launch_update(Launch *l) {
        switch (l->stage) {
        case STAGE_STARTED:
                l->done = !l->waiting || (session_is_over(l->session) && !l->removing);
                break;
        case STAGE_FAILED:
                l->done = true;
                break;
        case STAGE_ENDING:
                l->done = !l->removing;
                break;
        default:
                break;
        }
}

/* A signal came while the container was being made: now that it is known what is there, it can be
 * undone. */
static bool launch_is_interrupted(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (l->stage != STAGE_STARTING || !l->session || session_signal(l->session) == 0)
                return false;
        l->signal = session_signal(l->session);
        (void) error_setf(&e, CTR_CANCELED, "Interrupted before the container was started");
        launch_fail(l, &e);
        return true;
}

static void launch_call(Launch *l, Call call, RequestHandler handler, Request **ret) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (client_request(l->client, &call, handler, l, ret, &e) != 0)
                launch_fail(l, &e);
}

/* --- the container ends --- */

static int append_delete(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "a{sv}", 1, "Force", "b", true);
}

static void on_removed(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;

        l->removing = false;
        /* somebody else may have been faster */
        if (e && e->code != CTR_NOT_FOUND)
                (void) error_move(&l->error, e);
        launch_update(l);
}

static int remove_container(Launch *l, Error *e) {
        const Call call = {.path = l->container_path,
                           .interface = INTERFACE_CONTAINER,
                           .member = "Delete",
                           .append = append_delete,
                           .what = "container",
                           .name = l->create.id};
        int r;

        r = client_request(l->client, &call, on_removed, l, NULL, e);
        l->removing = r == 0;
        return r;
}

static void on_session_changed(void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Launch *l = userdata;
        int status;

        if (l->stage == STAGE_STARTING && session_is_over(l->session) &&
            !session_is_detached(l->session)) {
                (void) session_result(l->session, &status, &e);
                launch_fail(l, &e);
                return;
        }
        if (l->stage != STAGE_STARTED)
                return;
        if (session_has_exited(l->session) && (l->flags & LAUNCH_REMOVE) && !l->removed) {
                l->removed = true;
                if (remove_container(l, &e) != 0) /* the status is known all the same */
                        (void) error_move(&l->error, &e);
        }
        launch_update(l);
}

/* --- the container starts --- */

/* A start that was asked for twice is refused the second time; or it was a short run that ended and
 * went away in between. */
static bool was_started(const Launch *l, const Request *q, const Error *e) {
        return request_is_ambiguous(q) &&
               (e->code == CTR_FAILED_PRECONDITION ||
                (e->code == CTR_NOT_FOUND && (l->flags & LAUNCH_REMOVE)));
}

static void on_started(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;

        if (!reply && !was_started(l, q, e)) {
                launch_fail(l, e);
                return;
        }
        l->stage = STAGE_STARTED;
        if (l->session)
                session_started(l->session);
        launch_update(l);
}

static void start_task(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (l->session && session_begin(l->session, &e) != 0) {
                launch_fail(l, &e);
                return;
        }
        launch_call(l,
                    (Call){.path = l->task_path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Start",
                           .append = append_no_options,
                           .what = "task",
                           .name = l->create.id},
                    on_started, NULL);
}

static void on_terminal_known(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;
        int terminal = false;

        if (reply && sd_bus_message_read(reply, "v", "b", &terminal) >= 0 && terminal)
                session_set_terminal(l->session);
        start_task(l);
}

static int append_terminal(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_PROCESS, "Terminal");
}

static void task_created(Launch *l) {
        l->has_task = true;
        if (!(l->flags & LAUNCH_ATTACHED) || (l->flags & LAUNCH_CREATE))
                start_task(l);
        else /* whether it has a terminal was said when the container was made */
                launch_call(l,
                            (Call){.path = l->task_path,
                                   .interface = INTERFACE_PROPERTIES,
                                   .member = "Get",
                                   .append = append_terminal},
                            on_terminal_known, NULL);
}

static void on_task_created(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;

        l->task_request = NULL;
        if (e && e->code == CTR_NOT_FOUND && (l->flags & LAUNCH_OWN_ID) && !l->task_retried) {
                /* sent along with CreateContainer and too early; if that has not been answered
                 * yet, its answer brings us back */
                l->task_retried = true;
                if (l->has_container)
                        request_task(l);
                return;
        }
        if (launch_is_interrupted(l))
                return;
        /* made by a call whose answer was lost: the descriptors were passed with that one */
        if (reply || (e->code == CTR_ALREADY_EXISTS && request_is_ambiguous(q)))
                task_created(l);
        else
                launch_fail(l, e);
}

static int append_task(sd_bus_message *m, void *userdata) {
        const Launch *l = userdata;
        const char *runtime = l->client->options->create.runtime;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = session_append_streams(l->session, l->client, m);
        /* one that is made here has it already */
        if (r >= 0 && runtime && !(l->flags & LAUNCH_CREATE))
                r = sd_bus_message_append(m, "{sv}", "Runtime", "s", runtime);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void request_task(Launch *l) {
        launch_call(l,
                    (Call){.path = l->container_path,
                           .interface = INTERFACE_CONTAINER,
                           .member = "CreateTask",
                           .append = append_task,
                           .userdata = l,
                           .what = "container",
                           .name = l->create.id},
                    on_task_created, &l->task_request);
}

static void on_container_created(Error *e, void *userdata) {
        Launch *l = userdata;

        if (e) {
                /* its answer must not be taken for that of a later attempt */
                l->task_request = request_free(l->task_request);
                l->image_is_missing = e->code == CTR_NOT_FOUND;
                launch_fail(l, e);
                return;
        }
        l->has_container = true;
        if (launch_is_interrupted(l))
                return;
        if (!l->task_request && !l->has_task && l->stage == STAGE_STARTING)
                request_task(l);
}

/* --- outside --- */

int launch_new(Client *c, const char *id, const char *image, char *const *command,
               LaunchFlags flags, Launch **ret, Error *e) {
        _cleanup_(launch_freep) Launch *l = NULL;

        l = malloc(sizeof(Launch));
        if (!l)
                return error_setf(e, -ENOMEM, "Out of memory");
        *l = (Launch){.client = c,
                      .flags = flags,
                      .create = {.client = c,
                                 .id = id,
                                 .image = image,
                                 .command = command,
                                 .own_id = flags & LAUNCH_OWN_ID,
                                 .handler = on_container_created,
                                 .userdata = l}};
        l->container_path = client_object_path(c, "container", id);
        l->task_path = client_object_path(c, "task", id);
        if (!l->container_path || !l->task_path)
                return error_setf(e, -ENOMEM, "Out of memory");
        l->create.path = l->container_path;
        *ret = TAKE_PTR(l);
        return 0;
}

Launch *launch_free(Launch *l) {
        if (!l)
                return NULL;
        session_free(l->session);
        create_request_done(&l->create);
        free(l->container_path);
        free(l->task_path);
        error_clear(&l->error);
        free(l);
        return NULL;
}

/* Nothing of a start that failed stays behind, and no answer comes any more. */
static void launch_undo(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        while (l->client->requests)
                request_free(l->client->requests);
        l->task_request = NULL;
        if (l->session) /* also one that comes from now on */
                l->signal = session_signal(l->session);
        l->session = session_free(l->session);
        if (l->has_container && (l->flags & LAUNCH_CREATE)) {
                l->done = false;
                l->stage = STAGE_ENDING;
                if (remove_container(l, &e) == 0)
                        (void) client_loop(l->client, &l->done, NULL);
        }
        l->stage = STAGE_IDLE;
        l->has_container = l->has_task = l->task_retried = false;
}

static void send_first(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (!(l->flags & LAUNCH_CREATE)) {
                l->has_container = true;
                request_task(l);
                return;
        }
        if (create_container(&l->create, &e) != 0)
                launch_fail(l, &e);
        if ((l->flags & LAUNCH_OWN_ID) && l->stage == STAGE_STARTING)
                request_task(l);
}

static SessionFlags session_flags(LaunchFlags flags) {
        SessionFlags s = SESSION_CLOSE;

        if (flags & LAUNCH_STDIN)
                s |= SESSION_STDIN;
        if (flags & LAUNCH_TERMINAL)
                s |= SESSION_TERMINAL;
        /* somebody who works with it wants to be able to leave it */
        if ((flags & LAUNCH_TERMINAL) || ((flags & LAUNCH_STDIN) && isatty(STDIN_FILENO)))
                s |= SESSION_ATTACH;
        return s;
}

int launch_start(Launch *l, Error *e) {
        int r = 0;

        l->stage = STAGE_STARTING;
        l->done = l->image_is_missing = false;
        if (l->flags & LAUNCH_ATTACHED)
                r = session_new(l->client, l->task_path, "task", l->create.id,
                                session_flags(l->flags), on_session_changed, l, &l->session,
                                &l->error);
        if (r == 0) {
                send_first(l);
                r = client_loop(l->client, &l->done, &l->error);
        }
        if (r == 0 && l->stage != STAGE_FAILED)
                return 0;
        launch_undo(l);
        return error_move(e, &l->error);
}

int launch_wait(Launch *l, int *ret_status, Error *e) {
        int r;

        l->waiting = true;
        l->done = false;
        on_session_changed(l); /* it may be over already */
        r = client_loop(l->client, &l->done, e);
        if (r == 0)
                r = session_result(l->session, ret_status, e);
        if (l->error.code != 0)
                (void) error_move(e, &l->error);
        return r;
}

bool launch_image_is_missing(const Launch *l) {
        return l->image_is_missing;
}

int launch_signal(const Launch *l) {
        return l->signal;
}
