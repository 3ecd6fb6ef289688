/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * attach: our terminal and a container, or an exec, that somebody else has started. Streams that
 * pass through the service are joined; output that goes to the journal is followed there.
 */

#include "basic/clock.h"
#include "basic/json.h"
#include "ctl/bus-json.h"
#include "ctl/journal-log.h"
#include "ctl/session.h"
#include "ctl/verbs.h"

typedef struct Attach {
        Client *client;
        const char *name;
        char *path;
        Session *session;
        JournalLog *log; /* NULL: its output does not go there */
        bool done;
} Attach;

static void attach_clear(Attach *a) {
        session_free(a->session);
        journal_log_free(a->log);
        free(a->path);
}

static void on_changed(void *userdata) {
        Attach *a = userdata;

        if (!a->session)
                return;
        if (a->log && session_has_exited(a->session) && !session_is_detached(a->session)) {
                journal_log_end(a->log);
                a->done = session_is_over(a->session) && journal_log_is_done(a->log);
        } else /* or nobody reads the log any more */
                a->done = session_is_over(a->session) || (a->log && journal_log_is_done(a->log));
}

static int append_interface(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "s", INTERFACE_PROCESS);
}

static int get_properties(Attach *a, json_t **ret, Error *e) {
        const Call call = {.path = a->path,
                           .interface = INTERFACE_PROPERTIES,
                           .member = "GetAll",
                           .append = append_interface,
                           .what = strchr(a->name, '/') ? "exec" : "task",
                           .name = a->name};
        sd_bus_message *reply = NULL;
        int r;

        r = client_call(a->client, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the properties of %s: %m", a->name) : 0;
}

static const char *property(const json_t *properties, const char *key) {
        return strempty(json_string_value(json_object_get(properties, key)));
}

/* What there is to attach to; 0: nothing. */
static SessionFlags find_streams(const json_t *p, const Options *o, bool *ret_journal) {
        bool terminal = json_is_true(json_object_get(p, "Terminal"));
        bool in = terminal || streq(property(p, "Stdin"), "attach");
        bool out = terminal || streq(property(p, "Stdout"), "attach");
        bool err = !terminal && streq(property(p, "Stderr"), "attach");

        *ret_journal = !terminal && (streq(property(p, "Stdout"), "journal") ||
                                     streq(property(p, "Stderr"), "journal"));
        if (o->no_stdin)
                in = false;
        if (!in && !out && !err && !*ret_journal)
                return 0;
        return SESSION_ATTACH | SESSION_RUNNING | (in ? SESSION_STDIN : 0) |
               (terminal ? SESSION_TERMINAL : 0) | (out ? 0 : SESSION_NO_STDOUT) |
               (err ? 0 : SESSION_NO_STDERR);
}

static int open_log(Attach *a, Error *e) {
        _cleanup_free_ char *id = strndup(a->name, strcspn(a->name, "/"));
        const JournalLogQuery query = {.namespace = client_namespace(a->client),
                                       .id = id,
                                       .since = now_realtime(),
                                       .until = UINT64_MAX,
                                       .lines = UINT64_MAX};
        int r;

        if (!id)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = journal_log_open(&query, &a->log, e);
        return r != 0 ? r : journal_log_follow(a->log, a->client->event, on_changed, a, e);
}

static int attach_run(Attach *a, int *ret_status, Error *e) {
        _cleanup_json_ json_t *p = NULL;
        SessionFlags flags;
        bool journal;
        int r;

        r = get_properties(a, &p, e);
        if (r != 0)
                return r;
        if (streq(property(p, "Status"), "STOPPED"))
                return error_setf(e, CTR_FAILED_PRECONDITION, "%s is not running", a->name);
        flags = find_streams(p, a->client->options, &journal);
        if (flags == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "the streams of %s cannot be attached to: its standard input is "
                                  "\"%s\", its output \"%s\"",
                                  a->name, property(p, "Stdin"), property(p, "Stdout"));
        if (journal)
                r = open_log(a, e);
        if (r == 0)
                r = session_new(a->client, a->path, strchr(a->name, '/') ? "exec" : "task", a->name,
                                flags, on_changed, a, &a->session, e);
        if (r == 0)
                r = session_begin(a->session, e);
        on_changed(a);
        if (r == 0)
                r = client_loop(a->client, &a->done, e);
        if (r == 0)
                r = session_result(a->session, ret_status, e);
        if (r == 0 && a->log)
                r = journal_log_result(a->log, e);
        return r;
}

int verb_attach(Client *c, char **args, Error *e) {
        _cleanup_(attach_clear) Attach a = {.client = c, .name = args[0]};
        int r, status = EXIT_SUCCESS;

        if (c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input and output cannot be passed to another host");
                return EXIT_RUN_FAILED;
        }
        a.path = client_process_path(c, a.name);
        if (!a.path) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_RUN_FAILED;
        }
        r = client_connect(c, e);
        if (r == 0)
                r = attach_run(&a, &status, e);
        return r != 0 ? failure_status(e, 0) : status;
}
