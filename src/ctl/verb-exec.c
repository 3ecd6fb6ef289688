/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * exec: a further process in a container that runs.
 *
 *   Exec ---> [Attach, ResizePty] Wait, Start ---> (exit)
 *
 * It removes itself with its exit (AutoRemove), so that nothing stays behind of one whose ctrctl
 * was killed.
 */

#include "ctl/container-keys.h"
#include "ctl/create.h"
#include "ctl/session.h"
#include "ctl/verbs.h"

typedef struct Exec {
        Client *client;
        char *const *command;
        char id[GENERATED_ID_SIZE];
        const char *exec_id;
        char *task_path, *path;
        Session *session; /* NULL with --detach */
        bool added, started, done;
        Error error;
} Exec;

static void exec_clear(Exec *x) {
        session_free(x->session);
        free(x->task_path);
        free(x->path);
        error_clear(&x->error);
}

static void exec_fail(Exec *x, Error *e) {
        (void) error_move(&x->error, e);
        x->done = true;
}

static void exec_call(Exec *x, Call call, RequestHandler handler) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (client_request(x->client, &call, handler, x, NULL, &e) != 0)
                exec_fail(x, &e);
}

static void on_session_changed(void *userdata) {
        Exec *x = userdata;

        if (x->session && session_is_over(x->session) &&
            (x->started || !session_is_detached(x->session)))
                x->done = true;
}

/* --- a start that failed leaves nothing --- */

static int append_force(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "a{sv}", 1, "Force", "b", true);
}

static void exec_undo(Exec *x) {
        const Call call = {.path = x->path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Delete",
                           .append = append_force};

        while (x->client->requests)
                request_free(x->client->requests);
        x->session = session_free(x->session);
        /* one that was started and could not be executed is already on its way out */
        (void) client_call(x->client, &call, NULL, NULL);
}

/* --- start --- */

static void on_started(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Exec *x = userdata;

        /* asked for twice, it is refused the second time; or it has ended and is gone by now */
        if (e && !(request_is_ambiguous(q) &&
                   (e->code == CTR_FAILED_PRECONDITION || e->code == CTR_NOT_FOUND))) {
                exec_fail(x, e);
                return;
        }
        x->started = true;
        session_started(x->session);
        on_session_changed(x);
}

static void on_added(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Exec *x = userdata;

        /* made by a call whose answer was lost: the descriptors were passed with that one */
        if (e &&
            !(e->code == CTR_ALREADY_EXISTS && request_is_ambiguous(q) && x->exec_id == x->id)) {
                exec_fail(x, e);
                return;
        }
        x->added = true;
        if (!x->session) {
                x->done = true;
                return;
        }
        if (session_begin(x->session, &error) != 0) {
                exec_fail(x, &error);
                return;
        }
        exec_call(x,
                  (Call){.path = x->path,
                         .interface = INTERFACE_PROCESS,
                         .member = "Start",
                         .append = append_no_options,
                         .what = "exec",
                         .name = x->exec_id},
                  on_started);
}

static int append_exec_options(sd_bus_message *m, const Exec *x) {
        const Options *o = x->client->options;
        unsigned columns, lines;
        int r;

        r = message_append_keys(m, &o->create, KEYS_EXEC);
        if (r >= 0)
                r = session_append_streams(x->session, x->client, m);
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "AutoRemove", "b", true);
        if (r >= 0 && !x->session)
                r = sd_bus_message_append(m, "{sv}", "Start", "b", true);
        if (r >= 0 && x->session && o->create.terminal && forward_terminal_size(&columns, &lines))
                r = sd_bus_message_append(m, "{sv}{sv}", "Width", "u", columns, "Height", "u",
                                          lines);
        return r;
}

static int append_exec(sd_bus_message *m, void *userdata) {
        const Exec *x = userdata;
        int r;

        r = sd_bus_message_append(m, "s", x->exec_id);
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) x->command);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = append_exec_options(m, x);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static SessionFlags session_flags(const Options *o) {
        return SESSION_CLOSE | (o->interactive ? SESSION_STDIN : 0) |
               (o->create.terminal ? SESSION_TERMINAL | SESSION_ATTACH : 0);
}

static int exec_run(Exec *x, const char *id, Error *e) {
        int r = 0;

        x->task_path = client_object_path(x->client, "task", id);
        x->path = client_exec_path(x->client, id, x->exec_id);
        if (!x->task_path || !x->path)
                return error_setf(e, -ENOMEM, "Out of memory");
        if (!x->client->options->detach)
                r = session_new(x->client, x->path, "exec", x->exec_id,
                                session_flags(x->client->options), on_session_changed, x,
                                &x->session, e);
        if (r != 0)
                return r;
        exec_call(x,
                  (Call){.path = x->task_path,
                         .interface = INTERFACE_TASK,
                         .member = "Exec",
                         .append = append_exec,
                         .userdata = x,
                         .what = "task",
                         .name = id},
                  on_added);
        r = client_loop(x->client, &x->done, e);
        if (r == 0 && x->error.code != 0)
                r = error_move(e, &x->error);
        return r;
}

int verb_exec(Client *c, char **args, Error *e) {
        _cleanup_(exec_clear) Exec x = {.client = c, .command = args + 1};
        int r, status = EXIT_SUCCESS;

        if (c->options->host && !c->options->detach) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input and output cannot be passed to another host; "
                                  "use --detach");
                return EXIT_RUN_FAILED;
        }
        generate_id(x.id);
        x.exec_id = c->options->exec_id ?: x.id;
        if (client_connect(c, e) != 0)
                return failure_status(e, 0);
        r = exec_run(&x, args[0], e);
        if (r == 0 && x.session)
                r = session_result(x.session, &status, e);
        else if (r == 0)
                puts(x.exec_id);
        if (r != 0 && x.added && !x.started)
                exec_undo(&x);
        return r != 0 ? failure_status(e, 0) : status;
}
