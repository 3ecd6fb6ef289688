/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* logs: what a container has written, and goes on to write, from the journal. */

#include "basic/identifier.h"
#include "ctl/journal-log.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

typedef struct Logs {
        Client *client;
        const char *id;
        JournalLog *log;
        bool done;
        Error error;
} Logs;

static void logs_clear(Logs *l) {
        journal_log_free(l->log);
        error_clear(&l->error);
}

static void on_log_changed(void *userdata) {
        Logs *l = userdata;

        l->done = journal_log_is_done(l->log);
}

static void on_waited(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Logs *l = userdata;

        /* without a task there is nothing to follow */
        if (reply || e->code == CTR_NOT_FOUND) {
                journal_log_end(l->log);
                return;
        }
        (void) error_move(&l->error, e);
        l->done = true;
}

static int follow(Logs *l, Error *e) {
        _cleanup_free_ char *path = client_object_path(l->client, "task", l->id);
        const Call call = {.path = path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Wait",
                           .append = append_no_options,
                           .what = "task",
                           .name = l->id,
                           .timeout = UINT64_MAX};
        int r;

        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = journal_log_follow(l->log, l->client->event, on_log_changed, l, e);
        if (r == 0)
                r = client_request(l->client, &call, on_waited, l, NULL, e);
        if (r == 0)
                r = client_loop(l->client, &l->done, e);
        while (l->client->requests) /* they hold on to path */
                request_free(l->client->requests);
        if (r == 0)
                r = error_move(e, &l->error);
        return r != 0 ? r : journal_log_result(l->log, e);
}

static int append_created_at(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_CONTAINER, "CreatedAt");
}

/* Lines of an older container with the same id are not shown. One that was removed may still have
 * its lines in the journal; then all there are of that id. */
static int find_container(Logs *l, uint64_t *ret_created_at, Error *e) {
        _cleanup_free_ char *path = client_object_path(l->client, "container", l->id);
        const Call call = {.path = path,
                           .interface = INTERFACE_PROPERTIES,
                           .member = "Get",
                           .append = append_created_at,
                           .what = "container",
                           .name = l->id};
        sd_bus_message *reply = NULL;
        int r;

        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = client_connect(l->client, e);
        if (r == 0)
                r = client_call(l->client, &call, &reply, e);
        if (r == 0) {
                r = sd_bus_message_read(reply, "v", "t", ret_created_at);
                r = r < 0 ? error_setf(e, r, "Failed to read when it was created: %m") : 0;
        }
        sd_bus_message_unref(reply);
        return r;
}

static int show(Logs *l, Error *e) {
        Pager pager = PAGER_NULL;
        int r, k;

        pager_open(&pager, l->client->options);
        r = journal_log_show(l->log);
        k = pager_close(&pager);
        if (r >= 0)
                r = k;
        if (r < 0 && r != -EPIPE)
                return error_setf(e, r, "Failed to show the log: %m");
        return 0;
}

static int logs_open(Logs *l, uint64_t created_at, Error *e) {
        const Options *o = l->client->options;
        const JournalLogQuery query = {
                        .namespace = client_namespace(l->client),
                        .id = l->id,
                        .since = MAX_OF(o->since.set ? o->since.value : 0, created_at),
                        .until = o->until.set ? o->until.value : UINT64_MAX,
                        .lines = o->lines.set ? o->lines.value : UINT64_MAX,
                        .timestamps = o->timestamps,
        };

        return journal_log_open(&query, &l->log, e);
}

static int logs_run(Logs *l, Error *e) {
        _cleanup_error_ Error missing = ERROR_NULL;
        uint64_t created_at = 0;
        int r;

        r = identifier_validate(l->id, "container id", e);
        if (r == 0)
                r = namespace_validate(client_namespace(l->client), e);
        if (r != 0)
                return r;
        (void) find_container(l, &created_at, &missing);
        if (missing.code != 0 && (l->client->options->follow || missing.code != CTR_NOT_FOUND))
                return error_move(e, &missing);
        r = logs_open(l, created_at, e);
        if (r != 0)
                return r;
        if (l->client->options->follow)
                return follow(l, e);
        r = show(l, e);
        if (r == 0 && journal_log_shown(l->log) == 0 && missing.code != 0)
                return error_move(e, &missing);
        return r;
}

int verb_logs(Client *c, char **args, Error *e) {
        _cleanup_(logs_clear) Logs l = {.client = c, .id = args[0]};

        if (c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "the journal of another host cannot be read; use "
                                  "'ssh %s ctrctl logs %s'",
                                  c->options->host, l.id);
                return EXIT_FAILURE;
        }
        return logs_run(&l, e) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}
