/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/forward.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#define BUFFER_SIZE     (64 * 1024)
#define DRAIN_IDLE_USEC (5 * USEC_PER_SEC) /* the pipe's other end is closed long before */

/* One direction: reads while there is room, writes while there is data. Either side may block. */
typedef struct Stream {
        Forward *forward;
        int from, to; /* -1: closed */
        bool is_input;
        sd_event_source *readable, *writable; /* a file has none of these: it is always ready */
        unsigned char *buffer;
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
        const DetachKeys *keys; /* NULL: input is not looked at */
        size_t n_keys_seen;
        bool is_raw, finishing, input_ended, detached;
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

/* The description of a terminal or a pipe is shared with the shell and others: not to block is for
 * us alone, so it is opened once more. Where that is forbidden or impossible, the blocking one has
 * to do. */
static int open_again(int fd, int flags) {
        char path[STRLEN("/proc/self/fd/") + 4];
        struct stat st;
        int again = -1;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        if (isatty(fd) || (fstat(fd, &st) >= 0 && S_ISFIFO(st.st_mode)))
                again = open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
        if (again < 0)
                again = fcntl(fd, F_DUPFD_CLOEXEC, 3);
        return again < 0 ? -errno : again;
}

static int stream_interpose(Forward *f, int i) {
        Stream *s = f->streams + i;
        int pipe_fds[2], ours;

        ours = open_again(i, i == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        if (ours < 0)
                return ours;
        s->buffer = malloc(BUFFER_SIZE);
        if (!s->buffer || pipe2(pipe_fds, O_CLOEXEC) < 0) {
                fd_close(ours);
                return s->buffer ? -errno : -ENOMEM;
        }
        s->is_input = i == STDIN_FILENO;
        s->from = s->is_input ? ours : pipe_fds[0];
        s->to = s->is_input ? pipe_fds[1] : ours;
        f->remote[i] = s->is_input ? pipe_fds[0] : pipe_fds[1];
        f->own[i] = true;
        /* only our end: the two ends of a pipe do not share this flag */
        if (fcntl(s->is_input ? s->to : s->from, F_SETFL, O_NONBLOCK) < 0)
                return -errno;
        return 0;
}

static bool is_wanted(ForwardFlags flags, int i) {
        if (i == STDIN_FILENO)
                return flags & FORWARD_STDIN;
        if (i == STDOUT_FILENO)
                return !(flags & FORWARD_NO_STDOUT);
        return !(flags & (FORWARD_NO_STDERR | FORWARD_TERMINAL));
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

                if (!is_wanted(flags, i))
                        continue;
                if (!isatty(i) && !(flags & FORWARD_ALL)) {
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

bool forward_is_copied(const Forward *f, int i) {
        return f->streams[i].buffer;
}

void forward_detach_on(Forward *f, const DetachKeys *keys) {
        if (keys->n > 0 && isatty(STDIN_FILENO) && forward_is_copied(f, STDIN_FILENO))
                f->keys = keys;
}

static void stream_watch(Stream *s) {
        bool room = s->end < BUFFER_SIZE - DETACH_KEYS_MAX, data = s->begin < s->end;

        if (s->readable)
                (void) sd_event_source_set_enabled(s->readable, room ? SD_EVENT_ON : SD_EVENT_OFF);
        if (s->writable)
                (void) sd_event_source_set_enabled(s->writable, data ? SD_EVENT_ON : SD_EVENT_OFF);
}

static void stream_end(Stream *s) {
        Forward *f = s->forward;

        if (s->is_input && s->from < 0 && s->begin == s->end)
                f->input_ended = true;
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

/* What was typed, without the keys that detach. */
static ssize_t read_keys(Stream *s) {
        unsigned char typed[1024];
        size_t room = BUFFER_SIZE - DETACH_KEYS_MAX - s->end, n_kept;
        Forward *f = s->forward;
        ssize_t n;

        n = read(s->from, typed, MIN_OF(room, sizeof(typed)));
        if (n <= 0)
                return n;
        f->detached = detach_keys_scan(f->keys, &f->n_keys_seen, typed, (size_t) n,
                                       s->buffer + s->end, &n_kept);
        s->end += n_kept;
        return n;
}

static ssize_t stream_read(Stream *s) {
        ssize_t n;

        if (s->is_input && s->forward->keys)
                return read_keys(s);
        n = read(s->from, s->buffer + s->end, BUFFER_SIZE - s->end);
        if (n > 0)
                s->end += (size_t) n;
        return n;
}

static void stream_pump(Stream *s) {
        Forward *f = s->forward;
        ssize_t n;

        n = stream_read(s);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return;
        if (n <= 0) {
                /* the end, or a terminal that hung up */
                s->readable = sd_event_source_disable_unref(s->readable);
                s->from = fd_close(s->from);
        }
        deadline_reset(f);
        stream_write(s);
        if (f->detached)
                f->changed(f->userdata);
}

static int on_readable(sd_event_source *source, int fd, uint32_t events, void *userdata) {
        stream_pump(userdata);
        return 0;
}

static int on_file_readable(sd_event_source *source, void *userdata) {
        stream_pump(userdata);
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
        if (r == -EPERM) /* a file, /dev/null */
                r = sd_event_add_defer(event, &s->readable, on_file_readable, s);
        if (r >= 0)
                r = sd_event_add_io(event, &s->writable, s->to, EPOLLOUT, on_writable, s);
        if (r < 0 && r != -EPERM)
                return r;
        stream_watch(s);
        return 0;
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

bool forward_input_ended(const Forward *f) {
        return f->input_ended;
}

bool forward_is_detached(const Forward *f) {
        return f->detached;
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
