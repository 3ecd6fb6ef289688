/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/launch.h"

#include <signal.h>

typedef enum Stage {
        STAGE_IDLE,
        STAGE_STARTING,
        STAGE_STARTED, /* the program runs, or has run */
        STAGE_FAILED,
        STAGE_EXITED, /* the status is known; output or removal may still be under way */
} Stage;

struct Launch {
        Client *client;
        LaunchFlags flags;
        CreateRequest create;
        char *container_path, *task_path;
        Forward *forward;
        Stage stage;
        bool has_container, has_task, has_exited, image_is_missing, task_retried, removing, waiting,
                        done;
        Request *task_request;
        sd_event_source *signals[16];
        size_t n_signals;
        sigset_t old_mask;
        int signal, status;
        Error error;
};

static const int forwarded_signals[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,
                                        SIGUSR1, SIGUSR2, SIGALRM};

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
                l->done = !l->waiting;
                break;
        case STAGE_FAILED:
                l->done = true;
                break;
        case STAGE_EXITED:
                l->done = !l->removing && (!l->forward || forward_is_drained(l->forward));
                break;
        default:
                break;
        }
}

/* A signal came while the container was being made: now that it is known what is there, it can be
 * undone. */
static bool launch_is_interrupted(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (l->signal == 0 || l->stage != STAGE_STARTING)
                return false;
        (void) error_setf(&e, CTR_CANCELED, "Interrupted before the container was started");
        launch_fail(l, &e);
        return true;
}

static void on_forward_changed(void *userdata) {
        launch_update(userdata);
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

static void launch_exited(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r = 0;

        l->stage = STAGE_EXITED;
        if (l->flags & LAUNCH_REMOVE)
                r = remove_container(l, &e);
        if (r == 0)
                r = forward_finish(l->forward, &e);
        if (r != 0) { /* the status is known all the same */
                l->forward = forward_free(l->forward);
                (void) error_move(&l->error, &e);
        }
        launch_update(l);
}

static void on_waited(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Launch *l = userdata;
        uint32_t status;
        int r;

        if (!reply) {
                /* before the start is answered, that answer says why there is nothing to wait for
                 */
                if (l->stage == STAGE_STARTED)
                        launch_fail(l, e);
                return;
        }
        r = sd_bus_message_read(reply, "ut", &status, NULL);
        if (r < 0) {
                (void) error_setf(&error, r, "Failed to read the exit status: %m");
                launch_fail(l, &error);
                return;
        }
        l->has_exited = true;
        l->status = (int) (status & 0xff);
        if (l->stage == STAGE_STARTED)
                launch_exited(l);
}

/* --- the container starts --- */

static void on_ignored(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
}

static int append_signal(sd_bus_message *m, void *userdata) {
        const Launch *l = userdata;

        return sd_bus_message_append(m, "ia{sv}", (int32_t) l->signal, 0);
}

static void pass_signal(Launch *l) {
        launch_call(l,
                    (Call){.path = l->task_path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Kill",
                           .append = append_signal,
                           .userdata = l,
                           .once = true},
                    on_ignored, NULL);
}

static void on_started(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;

        /* a start that was asked for twice is refused the second time */
        if (!reply && !(e->code == CTR_FAILED_PRECONDITION && request_is_ambiguous(q))) {
                launch_fail(l, e);
                return;
        }
        l->stage = STAGE_STARTED;
        if (l->signal != 0) /* it came while Start was on its way */
                pass_signal(l);
        if (l->has_exited)
                launch_exited(l);
        else
                launch_update(l);
}

static int append_size(sd_bus_message *m, void *userdata) {
        unsigned columns = 80, lines = 24;

        (void) forward_terminal_size(&columns, &lines);
        return sd_bus_message_append(m, "uua{sv}", columns, lines, 0);
}

static void resize(Launch *l) {
        unsigned columns, lines;

        if (!(l->flags & LAUNCH_TERMINAL) || !forward_terminal_size(&columns, &lines))
                return;
        launch_call(l,
                    (Call){.path = l->task_path,
                           .interface = INTERFACE_PROCESS,
                           .member = "ResizePty",
                           .append = append_size},
                    on_ignored, NULL);
}

static void start_task(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;
        Call call = {.path = l->task_path,
                     .interface = INTERFACE_PROCESS,
                     .member = "Wait",
                     .append = append_no_options,
                     .what = "task",
                     .name = l->create.id,
                     .timeout = UINT64_MAX};

        if (l->flags & LAUNCH_ATTACHED) {
                if (forward_start(l->forward, l->flags & LAUNCH_TERMINAL, &e) != 0) {
                        launch_fail(l, &e);
                        return;
                }
                resize(l);
                launch_call(l, call, on_waited, NULL);
        }
        call.member = "Start";
        call.timeout = 0;
        launch_call(l, call, on_started, NULL);
}

static void on_terminal_known(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Launch *l = userdata;
        int terminal = false;

        if (reply && sd_bus_message_read(reply, "v", "b", &terminal) >= 0 && terminal)
                l->flags |= LAUNCH_TERMINAL;
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
        static const char *const names[] = {"Stdin", "Stdout", "Stderr"};
        const Launch *l = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (int i = 0; r >= 0 && l->forward && i < 3; i++) {
                int fd = forward_fd(l->forward, i);

                if (fd >= 0)
                        r = sd_bus_message_append(m, "{sv}", names[i], "h", fd);
        }
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

/* --- signals --- */

static int on_signal(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        Launch *l = userdata;

        if (si->ssi_signo == SIGWINCH) {
                /* the program may run before the answer to Start says so */
                if (l->has_task && (l->stage == STAGE_STARTING || l->stage == STAGE_STARTED))
                        resize(l);
                return 0;
        }
        if (si->ssi_signo == SIGCONT) {
                if (l->forward)
                        forward_continue(l->forward);
                return 0;
        }
        l->signal = (int) si->ssi_signo;
        if (l->stage == STAGE_STARTED)
                pass_signal(l);
        else if (l->stage == STAGE_EXITED) { /* there is only output left, and nobody reads it */
                l->forward = forward_free(l->forward);
                launch_update(l);
        }
        return 0;
}

static int handle_signal(Launch *l, int signo) {
        assert(l->n_signals < ELEMENTSOF(l->signals));
        return sd_event_add_signal(l->client->event, l->signals + l->n_signals++, signo, on_signal,
                                   l);
}

static int handle_signals(Launch *l, Error *e) {
        sigset_t mask;
        int r = 0;

        (void) sigemptyset(&mask);
        for (size_t i = 0; i < ELEMENTSOF(forwarded_signals); i++)
                (void) sigaddset(&mask, forwarded_signals[i]);
        (void) sigaddset(&mask, SIGWINCH);
        (void) sigaddset(&mask, SIGCONT);
        (void) sigprocmask(SIG_BLOCK, &mask, NULL);
        for (int signo = 1; r >= 0 && signo < SIGRTMIN; signo++)
                if (sigismember(&mask, signo) == 1)
                        r = handle_signal(l, signo);
        return r < 0 ? error_setf(e, r, "Failed to handle signals: %m") : 0;
}

static void release_signals(Launch *l) {
        while (l->n_signals > 0) {
                sd_event_source_disable_unref(l->signals[--l->n_signals]);
                l->signals[l->n_signals] = NULL;
        }
        (void) sigprocmask(SIG_SETMASK, &l->old_mask, NULL);
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
        (void) sigprocmask(SIG_BLOCK, NULL, &l->old_mask);
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
        release_signals(l);
        forward_free(l->forward);
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
        l->forward = forward_free(l->forward);
        if (l->has_container && (l->flags & LAUNCH_CREATE)) {
                l->done = false;
                l->stage = STAGE_EXITED;
                if (remove_container(l, &e) == 0)
                        (void) client_loop(l->client, &l->done, NULL);
        }
        release_signals(l);
        l->stage = STAGE_IDLE;
        l->has_container = l->has_task = l->has_exited = l->task_retried = false;
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

int launch_start(Launch *l, Error *e) {
        ForwardFlags flags = (l->flags & LAUNCH_STDIN ? FORWARD_STDIN : 0) |
                             (l->flags & LAUNCH_TERMINAL ? FORWARD_TERMINAL : 0);
        int r = 0;

        l->stage = STAGE_STARTING;
        l->done = l->image_is_missing = false;
        if (l->flags & LAUNCH_ATTACHED) {
                r = handle_signals(l, &l->error);
                if (r == 0)
                        r = forward_new(l->client->event, flags, on_forward_changed, l, &l->forward,
                                        &l->error);
        }
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
        launch_update(l);
        r = client_loop(l->client, &l->done, e);
        if (r != 0)
                return r;
        l->forward = forward_free(l->forward);
        if (l->error.code != 0)
                r = error_move(e, &l->error);
        if (!l->has_exited)
                return r;
        *ret_status = l->status;
        return 0;
}

bool launch_image_is_missing(const Launch *l) {
        return l->image_is_missing;
}

int launch_signal(const Launch *l) {
        return l->signal;
}
