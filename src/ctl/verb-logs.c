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

#define SETTLE_USEC (250 * USEC_PER_MSEC) /* journald is that far behind, at most, on a bad day */

typedef struct Logs {
        Client *client;
        const char *id;
        char *task_path;
        sd_journal *journal;
        sd_event_source *changed, *settle;
        uint64_t shown;
        bool exited, done;
        Error error;
} Logs;

static void logs_clear(Logs *l) {
        while (l->client->requests)
                request_free(l->client->requests);
        sd_event_source_disable_unref(l->changed);
        sd_event_source_disable_unref(l->settle);
        sd_journal_close(l->journal);
        free(l->task_path);
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
        return o->since.set ? sd_journal_seek_realtime_usec(l->journal, o->since.value)
                            : sd_journal_seek_head(l->journal);
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
                if (o->since.set && usec < o->since.value)
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

static int on_settled(sd_event_source *s, uint64_t usec, void *userdata) {
        Logs *l = userdata;

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
        const Call call = {.path = l->task_path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Wait",
                           .append = append_no_options,
                           .what = "task",
                           .name = l->id,
                           .timeout = UINT64_MAX};
        int fd, r;

        fd = sd_journal_get_fd(l->journal);
        if (fd < 0)
                return error_setf(e, fd, "Failed to watch the journal: %m");
        r = sd_event_add_io(l->client->event, &l->changed, fd, EPOLLIN, on_journal_changed, l);
        if (r < 0)
                return error_setf(e, r, "Failed to watch the journal: %m");
        r = client_request(l->client, &call, on_waited, l, NULL, e);
        if (r == 0 && show_lines(l) >= 0)
                r = client_loop(l->client, &l->done, e);
        if (r == 0 && l->error.code != 0)
                return error_move(e, &l->error);
        return r;
}

static int append_get(sd_bus_message *m, void *userdata) {
        const Logs *l = userdata;
        int r;

        r = sd_bus_message_append(m, "s", l->id);
        return r < 0 ? r : append_namespace(m, l->client);
}

/* A container that was removed may still have its lines in the journal; one that has neither is a
 * mistake of the user's. */
static int check_container(Logs *l, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "GetContainer",
                           .append = append_get,
                           .userdata = l};
        int r;

        r = client_connect(l->client, e);
        return r != 0 ? r : client_call(l->client, &call, NULL, e);
}

int verb_logs(Client *c, char **args, Error *e) {
        _cleanup_(logs_clear) Logs l = {.client = c, .id = args[0]};
        Pager pager = PAGER_NULL;
        int r;

        if (c->options->host)
                return (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                         "the journal of another host cannot be read; use "
                                         "'ssh %s ctrctl logs %s'",
                                         c->options->host, l.id),
                       EXIT_FAILURE;
        if (identifier_validate(l.id, "container id", e) != 0 ||
            namespace_validate(client_namespace(c), e) != 0 || open_journal(&l, e) != 0)
                return EXIT_FAILURE;
        r = seek(&l);
        if (r < 0) {
                (void) error_setf(e, r, "Failed to search the journal: %m");
                return EXIT_FAILURE;
        }
        if (c->options->follow) {
                l.task_path = client_object_path(c, "task", l.id);
                if (!l.task_path || check_container(&l, e) != 0 || follow(&l, e) != 0)
                        return EXIT_FAILURE;
                return EXIT_SUCCESS;
        }
        pager_open(&pager, c->options);
        r = show_lines(&l);
        if (pager_close(&pager) < 0 && r >= 0)
                r = -EIO;
        if (r < 0 && r != -EPIPE) {
                (void) error_setf(e, r, "Failed to show the log: %m");
                return EXIT_FAILURE;
        }
        return l.shown == 0 && check_container(&l, e) != 0 ? EXIT_FAILURE : EXIT_SUCCESS;
}
