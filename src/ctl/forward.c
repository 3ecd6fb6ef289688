/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/forward.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <termios.h>

#define BUFFER_SIZE     (64 * 1024)
#define DRAIN_IDLE_USEC (5 * USEC_PER_SEC) /* the pipe's other end is closed long before */

/* One direction: reads while there is room, writes while there is data. Either side may block. */
typedef struct Stream {
        Forward *forward;
        int from, to; /* -1: closed */
        bool is_input;
        sd_event_source *readable, *writable;
        char *buffer;
        size_t begin, end;
} Stream;

struct Forward {
        sd_event *event;
        ForwardFlags flags;
        int remote[3]; /* the container's ends, until handed over */
        bool own[3];   /* remote[i] is ours to close */
        Stream streams[3];
        sd_event_source *deadline;
        struct termios saved;
        bool is_raw, finishing;
        void (*changed)(void *userdata);
        void *userdata;
};

static void stream_close(Stream *s) {
        s->readable = sd_event_source_disable_unref(s->readable);
        s->writable = sd_event_source_disable_unref(s->writable);
        s->from = fd_close(s->from);
        s->to = fd_close(s->to);
        free(s->buffer);
        s->buffer = NULL;
}

static void restore_terminal(Forward *f) {
        if (f->is_raw)
                (void) tcsetattr(STDIN_FILENO, TCSANOW, &f->saved);
        f->is_raw = false;
}

static void close_remote(Forward *f) {
        for (int i = 0; i < 3; i++) {
                if (f->own[i])
                        fd_close(f->remote[i]);
                f->own[i] = false;
                f->remote[i] = -1;
        }
}

Forward *forward_free(Forward *f) {
        if (!f)
                return NULL;
        restore_terminal(f);
        close_remote(f);
        for (int i = 0; i < 3; i++)
                stream_close(f->streams + i);
        sd_event_source_disable_unref(f->deadline);
        free(f);
        return NULL;
}

/* The descriptor of a terminal is shared with the shell and others: not to block is for us alone,
 * so the terminal is opened once more. Where that is forbidden, the blocking one has to do. */
static int reopen_terminal(int fd, int flags) {
        char path[STRLEN("/proc/self/fd/") + 4];
        int again;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (again < 0)
                again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return again < 0 ? -errno : again;
}

static int stream_interpose(Forward *f, int i) {
        Stream *s = f->streams + i;
        int pipe_fds[2], terminal;

        terminal = reopen_terminal(i, i == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        if (terminal < 0)
                return terminal;
        s->buffer = malloc(BUFFER_SIZE);
        if (!s->buffer || pipe2(pipe_fds, O_CLOEXEC) < 0) {
                fd_close(terminal);
                return s->buffer ? -errno : -ENOMEM;
        }
        s->is_input = i == STDIN_FILENO;
        s->from = s->is_input ? terminal : pipe_fds[0];
        s->to = s->is_input ? pipe_fds[1] : terminal;
        f->remote[i] = s->is_input ? pipe_fds[0] : pipe_fds[1];
        f->own[i] = true;
        /* only our end: the two ends of a pipe do not share this flag */
        if (fcntl(s->is_input ? s->to : s->from, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

int forward_new(sd_event *event, ForwardFlags flags, void (*changed)(void *userdata),
                void *userdata, Forward **ret, Error *e) {
        _cleanup_(forward_freep) Forward *f = NULL;

        f = malloc(sizeof(Forward));
        if (!f)
                return error_setf(e, -ENOMEM, "Out of memory");
        *f = (Forward){.event = event,
                       .flags = flags,
                       .remote = {-1, -1, -1},
                       .changed = changed,
                       .userdata = userdata};
        for (int i = 0; i < 3; i++)
                f->streams[i] = (Stream){.forward = f, .from = -1, .to = -1};

        for (int i = 0; i < 3; i++) {
                int r;

                if ((i == STDIN_FILENO && !(flags & FORWARD_STDIN)) ||
                    (i == STDERR_FILENO && (flags & FORWARD_TERMINAL)))
                        continue;
                if (!isatty(i)) {
                        f->remote[i] = i;
                        continue;
                }
                r = stream_interpose(f, i);
                if (r < 0)
                        return error_setf(e, r, "Failed to set up descriptor %i: %m", i);
        }
        *ret = TAKE_PTR(f);
        return 0;
}

int forward_fd(const Forward *f, int i) {
        return f->remote[i];
}

static void stream_watch(Stream *s) {
        bool room = s->end < BUFFER_SIZE, data = s->begin < s->end;

        if (s->readable)
                (void) sd_event_source_set_enabled(s->readable, room ? SD_EVENT_ON : SD_EVENT_OFF);
        if (s->writable)
                (void) sd_event_source_set_enabled(s->writable, data ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void stream_end(Stream *s) {
        Forward *f = s->forward;

        stream_close(s);
        f->changed(f->userdata);
}

/* Writes what there is. What cannot be written anywhere ends the stream: the container's next write
 * fails with EPIPE as it would have without us. */
static void stream_write(Stream *s) {
        while (s->begin < s->end) {
                ssize_t n = write(s->to, s->buffer + s->begin, s->end - s->begin);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0 && errno == EAGAIN)
                        break;
                if (n < 0) {
                        stream_end(s);
                        return;
                }
                s->begin += (size_t) n;
        }
        if (s->begin == s->end)
                s->begin = s->end = 0;
        if (s->begin == s->end && s->from < 0)
                stream_end(s);
        else
                stream_watch(s);
}

static void deadline_reset(Forward *f) {
        if (!f->deadline)
                return;
        (void) sd_event_source_set_enabled(f->deadline, SD_EVENT_ONESHOT);
        (void) sd_event_source_set_time_relative(f->deadline, DRAIN_IDLE_USEC);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Stream *s = userdata;
        ssize_t n;

        n = read(fd, s->buffer + s->end, BUFFER_SIZE - s->end);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n > 0)
                s->end += (size_t) n;
        else {
                /* the end, or a terminal that hung up */
                s->readable = sd_event_source_disable_unref(s->readable);
                s->from = fd_close(s->from);
        }
        deadline_reset(s->forward);
        stream_write(s);
        return 0;
}

static int on_writable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        Stream *s = userdata;

        deadline_reset(s->forward);
        stream_write(s);
        return 0;
}

static int stream_start(Stream *s) {
        sd_event *event = s->forward->event;
        int r;

        if (s->from < 0)
                return 0;
        r = sd_event_add_io(event, &s->readable, s->from, EPOLLIN, on_readable, s);
        if (r >= 0)
                r = sd_event_add_io(event, &s->writable, s->to, EPOLLOUT, on_writable, s);
        if (r >= 0)
                stream_watch(s);
        return r;
}

static int make_raw(Forward *f) {
        struct termios raw;

        if (tcgetattr(STDIN_FILENO, &f->saved) < 0)
                return -errno;
        raw = f->saved;
        cfmakeraw(&raw);
        if (tcsetattr(STDIN_FILENO, TCSANOW, &raw) < 0)
                return -errno;
        f->is_raw = true;
        return 0;
}

int forward_start(Forward *f, bool raw, Error *e) {
        int r;

        close_remote(f);
        for (int i = 0; i < 3; i++) {
                r = stream_start(f->streams + i);
                if (r < 0)
                        return error_setf(e, r, "Failed to watch descriptor %i: %m", i);
        }
        if (raw && (f->flags & FORWARD_STDIN) && isatty(STDIN_FILENO)) {
                r = make_raw(f);
                if (r < 0)
                        return error_setf(e, r, "Failed to put the terminal into raw mode: %m");
        }
        return 0;
}

void forward_continue(Forward *f) {
        struct termios raw;

        if (!f->is_raw)
                return;
        raw = f->saved;
        cfmakeraw(&raw);
        (void) tcsetattr(STDIN_FILENO, TCSANOW, &raw);
}

static int on_deadline(sd_event_source *source, uint64_t usec, void *userdata) {
        Forward *f = userdata;

        for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++)
                /* what waits for a terminal that was stopped (Ctrl-S) is not thrown away */
                if (f->streams[i].begin < f->streams[i].end)
                        deadline_reset(f);
                else
                        stream_close(f->streams + i);
        f->changed(f->userdata);
        return 0;
}

int forward_finish(Forward *f, Error *e) {
        int r;

        if (f->finishing)
                return 0;
        f->finishing = true;
        restore_terminal(f);
        stream_close(f->streams + STDIN_FILENO);
        if (forward_is_drained(f))
                return 0;
        r = sd_event_add_time_relative(f->event, &f->deadline, CLOCK_MONOTONIC, DRAIN_IDLE_USEC, 0,
                                       on_deadline, f);
        return r < 0 ? error_setf(e, r, "Failed to set a timer: %m") : 0;
}

bool forward_is_drained(const Forward *f) {
        return !f->streams[STDOUT_FILENO].buffer && !f->streams[STDERR_FILENO].buffer;
}

bool forward_terminal_size(unsigned *ret_columns, unsigned *ret_lines) {
        struct winsize size;

        for (int fd = 0; fd <= 2; fd++)
                if (isatty(fd) && ioctl(fd, TIOCGWINSZ, &size) >= 0 && size.ws_col > 0) {
                        *ret_columns = size.ws_col;
                        *ret_lines = size.ws_row;
                        return true;
                }
        return false;
}
