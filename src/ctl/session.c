/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/session.h"

#include "basic/clock.h"
#include "ctl/exit-history.h"
#include "ctl/signal-proxy.h"

struct Session {
        Client *client;
        const char *path, *what, *name;
        SessionFlags flags;
        Forward *forward;
        SignalProxy signals;
        DetachKeys keys;
        ExitHistory history;
        void (*changed)(void *userdata);
        void *userdata;
        bool begun, started, has_exited, detached, input_closed;
        int signal, status;
        Error error;
};

static void session_fail(Session *s, Error *e) {
        (void) error_move(&s->error, e);
        s->changed(s->userdata);
}

static void session_call(Session *s, Call call, RequestHandler handler) {
        _cleanup_error_ Error e = ERROR_NULL;

        call.path = s->path;
        call.interface = INTERFACE_PROCESS;
        call.what = s->what;
        call.name = s->name;
        if (client_request(s->client, &call, handler, s, NULL, &e) != 0)
                session_fail(s, &e);
}

static void on_ignored(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
}

/* --- the end --- */

/* Both are known: that it was started, and how it has ended. */
static void end_if_exited(Session *s) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (!session_has_exited(s) || s->detached)
                return;
        if (s->forward && forward_finish(s->forward, &e) != 0) {
                s->forward = forward_free(s->forward); /* the status is known all the same */
                (void) error_move(&s->error, &e);
        }
        s->changed(s->userdata);
}

static void exited(Session *s, unsigned status) {
        s->has_exited = true;
        s->status = (int) (status & 0xff);
        end_if_exited(s);
}

static void on_history(unsigned status, Error *e, void *userdata) {
        Session *s = userdata;

        if (e)
                session_fail(s, e);
        else
                exited(s, status);
}

static void on_waited(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Session *s = userdata;
        uint32_t status;
        int r;

        /* it may have ended and been removed while nobody was there to tell us */
        if (e && e->code == CTR_NOT_FOUND && request_is_ambiguous(q)) {
                (void) error_move(&s->history.missing, e);
                exit_history_ask(&s->history);
        } else if (e && s->started)
                session_fail(s, e);
        /* else the answer to Start says why there is nothing to wait for */
        if (!reply)
                return;
        r = sd_bus_message_read(reply, "ut", &status, NULL);
        if (r < 0) {
                (void) error_setf(&error, r, "Failed to read the exit status: %m");
                session_fail(s, &error);
        } else
                exited(s, status);
}

/* --- signals and sizes --- */

static int append_signal(sd_bus_message *m, void *userdata) {
        const Session *s = userdata;

        return sd_bus_message_append(m, "ia{sv}", (int32_t) s->signal, 0);
}

static void pass_signal(Session *s) {
        session_call(s,
                     (Call){.member = "Kill", .append = append_signal, .userdata = s, .once = true},
                     on_ignored);
}

static int append_size(sd_bus_message *m, void *userdata) {
        unsigned columns = 80, lines = 24;

        (void) forward_terminal_size(&columns, &lines);
        return sd_bus_message_append(m, "uua{sv}", columns, lines, 0);
}

/* Another size than the last one makes a program draw its screen again for one who comes later. */
static int append_other_size(sd_bus_message *m, void *userdata) {
        unsigned columns = 80, lines = 24;

        (void) forward_terminal_size(&columns, &lines);
        return sd_bus_message_append(m, "uua{sv}", columns + 1, lines + 1, 0);
}

static void resize(Session *s) {
        unsigned columns, lines;

        if ((s->flags & SESSION_TERMINAL) && forward_terminal_size(&columns, &lines))
                session_call(s, (Call){.member = "ResizePty", .append = append_size}, on_ignored);
}

static void detach(Session *s, int status) {
        s->detached = true;
        s->status = status;
        s->changed(s->userdata);
}

static bool is_proxy(const Session *s) {
        const OptionalU64 *option = &s->client->options->sig_proxy;

        return !option->set || option->value;
}

static void on_signal(int signo, void *userdata) {
        Session *s = userdata;

        if (signo == SIGWINCH) {
                /* the program may run before the answer to Start says so */
                if (s->begun && !s->has_exited)
                        resize(s);
                return;
        }
        if (signo == SIGCONT) {
                if (s->forward)
                        forward_continue(s->forward);
                return;
        }
        s->signal = signo;
        if (!s->started)
                return;
        if (s->has_exited) { /* there is only output left, and nobody reads it */
                s->forward = forward_free(s->forward);
                s->changed(s->userdata);
        } else if (is_proxy(s))
                pass_signal(s);
        else
                detach(s, 128 + signo);
}

/* --- streams --- */

static int append_close(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "a{sv}", 1, "Stdin", "b", true);
}

static void on_forward_changed(void *userdata) {
        Session *s = userdata;

        if (forward_is_detached(s->forward) && !s->has_exited) {
                detach(s, EXIT_SUCCESS);
                return;
        }
        if (forward_input_ended(s->forward) && (s->flags & SESSION_CLOSE) && !s->input_closed) {
                s->input_closed = true;
                session_call(s, (Call){.member = "CloseIO", .append = append_close}, on_ignored);
        }
        s->changed(s->userdata);
}

static const char *const stream_names[] = {"Stdin", "Stdout", "Stderr"};

int session_append_streams(const Session *s, const Client *c, sd_bus_message *m) {
        int r = 0;

        for (int i = 0; i < 3 && r >= 0; i++) {
                int fd = s ? forward_fd(s->forward, i) : -1;

                if (c->options->streams[i])
                        r = sd_bus_message_append(m, "{sv}", stream_names[i], "s",
                                                  c->options->streams[i]);
                else if (fd >= 0 && !forward_is_copied(s->forward, i))
                        r = sd_bus_message_append(m, "{sv}", stream_names[i], "h", fd);
                else if (fd >= 0 || (!s && i == STDIN_FILENO && c->options->interactive))
                        r = sd_bus_message_append(m, "{sv}", stream_names[i], "s", "attach");
        }
        return r;
}

static bool is_attached(const Session *s, int i) {
        bool terminal = s->flags & SESSION_TERMINAL;

        if (forward_fd(s->forward, i) < 0 || !forward_is_copied(s->forward, i))
                return false;
        return terminal ? i != STDERR_FILENO : !s->client->options->streams[i];
}

static int append_attach(sd_bus_message *m, void *userdata) {
        const Session *s = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        for (int i = 0; i < 3 && r >= 0; i++)
                if (is_attached(s, i))
                        r = sd_bus_message_append(m, "{sv}", stream_names[i], "h",
                                                  forward_fd(s->forward, i));
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_attached(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Session *s = userdata;

        /* one that has ended is not there to attach to; how it ended is on its way. Before the
         * start, the answer to that says more */
        if (e && !(e->code == CTR_NOT_FOUND || s->has_exited))
                session_fail(s, e);
}

static void attach(Session *s) {
        if (is_attached(s, 0) || is_attached(s, 1) || is_attached(s, 2))
                session_call(s,
                             (Call){.member = "Attach",
                                    .append = append_attach,
                                    .userdata = s,
                                    .once = true},
                             on_attached);
}

/* --- outside --- */

static ForwardFlags forward_flags(SessionFlags flags) {
        return (flags & SESSION_STDIN ? FORWARD_STDIN : 0) |
               (flags & SESSION_TERMINAL ? FORWARD_TERMINAL : 0) |
               (flags & SESSION_ATTACH ? FORWARD_ALL : 0) |
               (flags & SESSION_NO_STDOUT ? FORWARD_NO_STDOUT : 0) |
               (flags & SESSION_NO_STDERR ? FORWARD_NO_STDERR : 0);
}

int session_new(Client *c, const char *path, const char *what, const char *name, SessionFlags flags,
                void (*changed)(void *userdata), void *userdata, Session **ret, Error *e) {
        _cleanup_(session_freep) Session *s = NULL;
        int r;

        s = malloc(sizeof(Session));
        if (!s)
                return error_setf(e, -ENOMEM, "Out of memory");
        *s = (Session){.client = c,
                       .path = path,
                       .what = what,
                       .name = name,
                       .flags = flags,
                       .changed = changed,
                       .userdata = userdata,
                       .started = flags & SESSION_RUNNING,
                       .history = {.client = c,
                                   .path = path,
                                   .since = now_realtime(),
                                   .handler = on_history,
                                   .userdata = s}};
        if (c->options->detach_keys.set)
                s->keys = c->options->detach_keys;
        else
                (void) parse_detach_keys(DETACH_KEYS_DEFAULT, &s->keys, NULL);
        r = signal_proxy_start(&s->signals, c->event, on_signal, s, e);
        if (r == 0)
                r = forward_new(c->event, forward_flags(flags), on_forward_changed, s, &s->forward,
                                e);
        if (r != 0)
                return r;
        if (flags & SESSION_ATTACH)
                forward_detach_on(s->forward, &s->keys);
        *ret = TAKE_PTR(s);
        return 0;
}

Session *session_free(Session *s) {
        if (!s)
                return NULL;
        signal_proxy_stop(&s->signals);
        forward_free(s->forward);
        exit_history_clear(&s->history);
        error_clear(&s->error);
        free(s);
        return NULL;
}

void session_set_terminal(Session *s) {
        s->flags |= SESSION_TERMINAL;
}

int session_begin(Session *s, Error *e) {
        int r;

        if ((s->flags & SESSION_RUNNING) && (s->flags & SESSION_TERMINAL))
                session_call(s, (Call){.member = "ResizePty", .append = append_other_size},
                             on_ignored);
        attach(s); /* a request has its own copies of the descriptors */
        r = forward_start(s->forward, s->flags & SESSION_TERMINAL, e);
        if (r != 0)
                return r;
        s->begun = true;
        resize(s);
        session_call(s,
                     (Call){.member = "Wait", .append = append_no_options, .timeout = UINT64_MAX},
                     on_waited);
        return 0;
}

void session_started(Session *s) {
        s->started = true;
        if (s->signal != 0 && is_proxy(s))
                pass_signal(s); /* it came while Start was on its way */
        else if (s->signal != 0)
                detach(s, 128 + s->signal);
        end_if_exited(s);
}

bool session_has_exited(const Session *s) {
        return s->started && s->has_exited;
}

bool session_is_detached(const Session *s) {
        return s->detached;
}

bool session_is_over(const Session *s) {
        if (s->detached || (s->error.code != 0 && !session_has_exited(s)))
                return true;
        return session_has_exited(s) && (!s->forward || forward_is_drained(s->forward));
}

int session_signal(const Session *s) {
        return s->signal;
}

int session_result(Session *s, int *ret_status, Error *e) {
        if (!s->detached && !session_has_exited(s))
                return error_move(e, &s->error);
        *ret_status = s->status;
        if (s->error.code != 0)
                (void) error_move(e, &s->error);
        return 0;
}
