/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/journal-log.h"

#include <systemd/sd-journal.h>

#include "basic/identifier.h"
#include "ctl/text.h"

#define SETTLE_USEC (250 * USEC_PER_MSEC) /* journald is not further behind than that */

struct JournalLog {
        JournalLogQuery query; /* namespace and id are not kept */
        sd_journal *journal;
        sd_event *event;
        sd_event_source *changed_source, *settle_source;
        void (*changed)(void *userdata);
        void *userdata;
        uint64_t shown;
        bool ended, done;
        Error error;
};

JournalLog *journal_log_free(JournalLog *l) {
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->changed_source);
        sd_event_source_disable_unref(l->settle_source);
        sd_journal_close(l->journal);
        error_clear(&l->error);
        free(l);
        return NULL;
}

static int add_matches(JournalLog *l) {
        char unit[UNIT_NAME_SIZE], match[UNIT_NAME_SIZE + 32];
        int r;

        (void) unit_name_from_identifier(l->query.namespace, l->query.id, unit);
        (void) snprintf(match, sizeof(match), "_SYSTEMD_UNIT=%s", unit);
        r = sd_journal_add_match(l->journal, match, 0);
        return r < 0 ? r : sd_journal_add_match(l->journal, "_TRANSPORT=stdout", 0);
}

/* Moves in front of the first line to show. */
static int seek(JournalLog *l) {
        const JournalLogQuery *q = &l->query;
        int r;

        if (q->lines == UINT64_MAX)
                return sd_journal_seek_realtime_usec(l->journal, q->since);
        r = q->until != UINT64_MAX ? sd_journal_seek_realtime_usec(l->journal, q->until)
                                   : sd_journal_seek_tail(l->journal);
        if (r < 0)
                return r;
        r = sd_journal_previous_skip(l->journal, q->lines + 1);
        if (r < 0 || (uint64_t) r == q->lines + 1)
                return r; /* on the line before the first one */
        return sd_journal_seek_head(l->journal);
}

int journal_log_open(const JournalLogQuery *query, JournalLog **ret, Error *e) {
        _cleanup_(journal_log_freep) JournalLog *l = NULL;
        int r;

        l = calloc(1, sizeof(JournalLog));
        if (!l)
                return error_setf(e, -ENOMEM, "Out of memory");
        l->query = *query;
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
        r = seek(l);
        if (r < 0)
                return error_setf(e, r, "Failed to search the journal: %m");
        *ret = TAKE_PTR(l);
        return 0;
}

static int show_line(const JournalLog *l, uint64_t usec) {
        char when[TEXT_TIME_MAX];
        const void *data;
        size_t size;
        int r;

        r = sd_journal_get_data(l->journal, "MESSAGE", &data, &size);
        if (r == -ENOENT)
                size = STRLEN("MESSAGE=");
        else if (r < 0)
                return r;
        if (l->query.timestamps && printf("%s ", text_time(usec, when)) < 0)
                return -errno;
        size -= STRLEN("MESSAGE=");
        if (size > 0 && fwrite((const char *) data + STRLEN("MESSAGE="), 1, size, stdout) < size)
                return -errno;
        return fputc('\n', stdout) == EOF ? -errno : 0;
}

int journal_log_show(JournalLog *l) {
        int r;

        while ((r = sd_journal_next(l->journal)) > 0) {
                uint64_t usec;

                r = sd_journal_get_realtime_usec(l->journal, &usec);
                if (r < 0)
                        return r;
                if (usec < l->query.since)
                        continue;
                if (usec > l->query.until)
                        return 0;
                r = show_line(l, usec);
                if (r == -EBADMSG) /* a damaged entry: journalctl passes over it too */
                        continue;
                if (r < 0)
                        return r;
                l->shown++;
        }
        return r < 0 ? r : fflush(stdout) == EOF ? -errno : 0;
}

uint64_t journal_log_shown(const JournalLog *l) {
        return l->shown;
}

static void finish(JournalLog *l, int r) {
        if (r < 0 && r != -EPIPE)
                (void) error_setf(&l->error, r, "Failed to show the log: %m");
        l->done = true;
        l->changed(l->userdata);
}

static void settle(JournalLog *l);

/* journald tells of changes with a delay, but what it has written can be read at once. */
static int on_settled(sd_event_source *s, uint64_t usec, void *userdata) {
        JournalLog *l = userdata;
        uint64_t before = l->shown;
        int r;

        r = journal_log_show(l);
        if (r >= 0 && l->shown > before)
                settle(l);
        else
                finish(l, r);
        return 0;
}

/* After the exit: the end is where nothing new has come for a while. */
static void settle(JournalLog *l) {
        int r;

        l->settle_source = sd_event_source_disable_unref(l->settle_source);
        r = sd_event_add_time_relative(l->event, &l->settle_source, CLOCK_MONOTONIC, SETTLE_USEC, 0,
                                       on_settled, l);
        if (r < 0)
                finish(l, r);
}

static int on_journal_changed(sd_event_source *s, int fd, uint32_t events, void *userdata) {
        JournalLog *l = userdata;
        uint64_t before = l->shown;
        int r;

        r = sd_journal_process(l->journal);
        if (r == SD_JOURNAL_NOP)
                return 0;
        if (r >= 0)
                r = journal_log_show(l);
        if (r < 0)
                finish(l, r);
        else if (l->ended && l->shown > before)
                settle(l);
        return 0;
}

int journal_log_follow(JournalLog *l, sd_event *event, void (*changed)(void *userdata),
                       void *userdata, Error *e) {
        int fd, r;

        l->event = event;
        l->changed = changed;
        l->userdata = userdata;
        fd = sd_journal_get_fd(l->journal);
        if (fd < 0)
                return error_setf(e, fd, "Failed to watch the journal: %m");
        r = sd_event_add_io(event, &l->changed_source, fd, EPOLLIN, on_journal_changed, l);
        if (r < 0)
                return error_setf(e, r, "Failed to watch the journal: %m");
        r = journal_log_show(l);
        if (r < 0)
                finish(l, r);
        return 0;
}

void journal_log_end(JournalLog *l) {
        if (l->ended || l->done)
                return;
        l->ended = true;
        settle(l);
}

bool journal_log_is_done(const JournalLog *l) {
        return l->done;
}

int journal_log_result(JournalLog *l, Error *e) {
        return error_move(e, &l->error);
}
