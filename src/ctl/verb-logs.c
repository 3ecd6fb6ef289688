/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * logs: what a container has written, from the journal. Only lines that journald itself says came
 * through a stream (_TRANSPORT=stdout) from the container's scope are shown; nobody can forge
 * fields that begin with an underscore.
 */

#include <inttypes.h>
#include <systemd/sd-journal.h>

#include "basic/clock.h"
#include "basic/identifier.h"
#include "ctl/output.h"
#include "ctl/verbs.h"

#define SETTLE_USEC (250 * USEC_PER_MSEC) /* journald is not further behind than that */

typedef struct Logs {
        Client *client;
        const char *id;
        sd_journal *journal;
        sd_event_source *changed, *settle;
        uint64_t since, shown;
        bool exited, done;
        Error error;
} Logs;

static void logs_clear(Logs *l) {
        while (l->client->requests)
                request_free(l->client->requests);
        sd_event_source_disable_unref(l->changed);
        sd_event_source_disable_unref(l->settle);
        sd_journal_close(l->journal);
        error_clear(&l->error);
}

static int add_matches(Logs *l) {
        char unit[UNIT_NAME_SIZE], match[UNIT_NAME_SIZE + 32];
        int r;

        (void) unit_name_from_identifier(client_namespace(l->client), l->id, unit);
        (void) snprintf(match, sizeof(match), "_SYSTEMD_UNIT=%s", unit);
        r = sd_journal_add_match(l->journal, match, 0);
        return r < 0 ? r : sd_journal_add_match(l->journal, "_TRANSPORT=stdout", 0);
}

static int open_journal(Logs *l, Error *e) {
        int r;

        r = sd_journal_open(&l->journal, SD_JOURNAL_SYSTEM | SD_JOURNAL_LOCAL_ONLY);
        if (r >= 0)
                r = sd_journal_set_data_threshold(l->journal, 0);
        if (r >= 0)
                r = add_matches(l);
        if (r < 0)
                return error_setf(e, r, "Failed to open the journal: %m");
        if (sd_journal_has_runtime_files(l->journal) == 0 &&
            sd_journal_has_persistent_files(l->journal) == 0)
                return error_setf(e, -EACCES, "No journal file can be read by this user");
        return 0;
}

/* Moves in front of the first line to show. */
static int seek(Logs *l) {
        const Options *o = l->client->options;
        int r;

        if (o->lines.set && o->lines.value != UINT64_MAX) {
                r = o->until.set ? sd_journal_seek_realtime_usec(l->journal, o->until.value)
                                 : sd_journal_seek_tail(l->journal);
                if (r < 0)
                        return r;
                r = sd_journal_previous_skip(l->journal, o->lines.value + 1);
                if (r < 0 || (uint64_t) r == o->lines.value + 1)
                        return r; /* on the line before the first one */
                return sd_journal_seek_head(l->journal);
        }
        return sd_journal_seek_realtime_usec(l->journal, l->since);
}

static int show_line(sd_journal *journal) {
        static const char field[] = "MESSAGE=";
        const void *data;
        size_t size;
        int r;

        r = sd_journal_get_data(journal, "MESSAGE", &data, &size);
        if (r == -ENOENT)
                size = STRLEN("MESSAGE=");
        else if (r < 0)
                return r;
        size -= sizeof(field) - 1;
        if (size > 0 && fwrite((const char *) data + sizeof(field) - 1, 1, size, stdout) < size)
                return -errno;
        return fputc('\n', stdout) == EOF ? -errno : 0;
}

/* Shows what there is. */
static int show_lines(Logs *l) {
        const Options *o = l->client->options;
        int r;

        while ((r = sd_journal_next(l->journal)) > 0) {
                uint64_t usec;

                r = sd_journal_get_realtime_usec(l->journal, &usec);
                if (r < 0)
                        return r;
                if (usec < l->since)
                        continue;
                if (o->until.set && usec > o->until.value)
                        return 0;
                r = show_line(l->journal);
                if (r == -EBADMSG) /* a damaged entry: journalctl passes over it too */
                        continue;
                if (r < 0)
                        return r;
                l->shown++;
        }
        return r < 0 ? r : fflush(stdout) == EOF ? -errno : 0;
}

static void logs_fail(Logs *l, int r) {
        if (r != -EPIPE)
                (void) error_setf(&l->error, r, "Failed to show the log: %m");
        l->done = true;
}

static void settle(Logs *l);

/* journald tells of changes with a delay, but what it has written can be read at once. */
static int on_settled(sd_event_source *s, uint64_t usec, void *userdata) {
        Logs *l = userdata;
        uint64_t before = l->shown;
        int r;

        r = show_lines(l);
        if (r < 0)
                logs_fail(l, r);
        else if (l->shown > before)
                settle(l);
        else
                l->done = true;
        return 0;
}

/* After the exit: the end is where nothing new has come for a while. */
static void settle(Logs *l) {
        int r;

        l->settle = sd_event_source_disable_unref(l->settle);
        r = sd_event_add_time_relative(l->client->event, &l->settle, CLOCK_MONOTONIC, SETTLE_USEC,
                                       0, on_settled, l);
        if (r < 0)
                logs_fail(l, r);
}

static int on_journal_changed(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        Logs *l = userdata;
        uint64_t before = l->shown;
        int r;

        r = sd_journal_process(l->journal);
        if (r == SD_JOURNAL_NOP)
                return 0;
        if (r >= 0)
                r = show_lines(l);
        if (r < 0)
                logs_fail(l, r);
        else if (l->exited && l->shown > before)
                settle(l);
        return 0;
}

static void on_waited(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Logs *l = userdata;

        /* without a task there is nothing to follow */
        if (!reply && e->code != CTR_NOT_FOUND) {
                (void) error_move(&l->error, e);
                l->done = true;
                return;
        }
        l->exited = true;
        settle(l);
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
        int fd, r;

        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        fd = sd_journal_get_fd(l->journal);
        if (fd < 0)
                return error_setf(e, fd, "Failed to watch the journal: %m");
        r = sd_event_add_io(l->client->event, &l->changed, fd, EPOLLIN, on_journal_changed, l);
        if (r < 0)
                return error_setf(e, r, "Failed to watch the journal: %m");
        r = client_request(l->client, &call, on_waited, l, NULL, e);
        if (r != 0)
                return r;
        r = show_lines(l);
        if (r < 0)
                logs_fail(l, r);
        r = client_loop(l->client, &l->done, e);
        while (l->client->requests) /* they hold on to path */
                request_free(l->client->requests);
        if (r == 0 && l->error.code != 0)
                return error_move(e, &l->error);
        return r;
}

static int append_created_at(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_CONTAINER, "CreatedAt");
}

/* Lines of an older container with the same id are not shown. One that was removed may still have
 * its lines in the journal; then all there are of that id. */
static int find_container(Logs *l, Error *e) {
        _cleanup_free_ char *path = client_object_path(l->client, "container", l->id);
        const OptionalU64 *since = &l->client->options->since;
        const Call call = {.path = path,
                           .interface = INTERFACE_PROPERTIES,
                           .member = "Get",
                           .append = append_created_at,
                           .what = "container",
                           .name = l->id};
        sd_bus_message *reply = NULL;
        int r;

        l->since = since->set ? since->value : 0;
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = client_connect(l->client, e);
        if (r == 0)
                r = client_call(l->client, &call, &reply, e);
        if (r == 0) {
                uint64_t created_at;

                r = sd_bus_message_read(reply, "v", "t", &created_at);
                if (r >= 0)
                        l->since = MAX_OF(l->since, created_at);
                r = r < 0 ? error_setf(e, r, "Failed to read when it was created: %m") : 0;
        }
        sd_bus_message_unref(reply);
        return r;
}

static int show(Logs *l, Error *e) {
        Pager pager = PAGER_NULL;
        int r, k;

        pager_open(&pager, l->client->options);
        r = show_lines(l);
        k = pager_close(&pager);
        if (r >= 0)
                r = k;
        if (r < 0 && r != -EPIPE)
                return error_setf(e, r, "Failed to show the log: %m");
        return 0;
}

static int logs_run(Logs *l, Error *e) {
        _cleanup_error_ Error missing = ERROR_NULL;
        int r;

        r = identifier_validate(l->id, "container id", e);
        if (r == 0)
                r = namespace_validate(client_namespace(l->client), e);
        if (r == 0)
                r = open_journal(l, e);
        if (r != 0)
                return r;
        (void) find_container(l, &missing);
        if (missing.code != 0 && (l->client->options->follow || missing.code != CTR_NOT_FOUND))
                return error_move(e, &missing);
        r = seek(l);
        if (r < 0)
                return error_setf(e, r, "Failed to search the journal: %m");
        if (l->client->options->follow)
                return follow(l, e);
        r = show(l, e);
        if (r == 0 && l->shown == 0 && missing.code != 0)
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
