/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/terminal.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <termios.h>

#include "basic/log.h"
#include "basic/process.h"

#define BUFFER_SIZE 16384U

/* One direction: filled at the end, taken from the front, moved back to the start when empty. */
typedef struct Pipe {
        size_t begin, end;
        char data[BUFFER_SIZE];
} Pipe;

struct Terminal {
        int master;
        int slave; /* held open while the task lives: without it the master would hang up whenever
                    * no process happens to have the terminal open */
        int input, output;
        Source master_source, input_source, output_source;
        bool draining, drained, input_ended;
        char last_input;
        void (*on_drained)(void *userdata);
        void *userdata;
        Pipe in, out;
};

static bool pipe_is_empty(const Pipe *p) {
        return p->begin == p->end;
}

static bool pipe_has_room(const Pipe *p) {
        return p->end < sizeof(p->data);
}

/* Reads what is there. 1 if there was something, 0 at the end, -EAGAIN, or another error. */
static int pipe_fill(Pipe *p, int fd) {
        ssize_t n = read(fd, p->data + p->end, sizeof(p->data) - p->end);

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        p->end += (size_t) n;
        return n > 0;
}

/* Writes what goes. 0 or an error; -EAGAIN if nothing went. */
static int pipe_flush(Pipe *p, int fd) {
        ssize_t n = write(fd, p->data + p->begin, p->end - p->begin);

        if (n < 0)
                return errno == EINTR ? -EAGAIN : -errno;
        p->begin += (size_t) n;
        if (pipe_is_empty(p))
                p->begin = p->end = 0;
        return 0;
}

static void input_close(Terminal *t) {
        source_remove(&t->input_source);
        t->input = fd_close(t->input);
}

static void output_close(Terminal *t) {
        source_remove(&t->output_source);
        t->output = fd_close(t->output);
        t->out.begin = t->out.end = 0;
}

static void master_close(Terminal *t) {
        source_remove(&t->master_source);
        t->master = fd_close(t->master);
        t->in.begin = t->in.end = 0;
        input_close(t);
}

static bool ends_line(const struct termios *t, char c) {
        return c == '\n' || (c == '\r' && (t->c_iflag & ICRNL)) || c == (char) t->c_cc[VEOF] ||
               (t->c_cc[VEOL] != _POSIX_VDISABLE && c == (char) t->c_cc[VEOL]);
}

/* A terminal has no end of its own: what a user would type says it, twice if it only ends a line
 * that was begun. A program that reads keys gets nothing, it would take it for one. */
static void input_say_end(Terminal *t) {
        struct termios termios;
        char eof;

        t->input_ended = false;
        if (t->master < 0 || tcgetattr(t->master, &termios) < 0 || !(termios.c_lflag & ICANON) ||
            termios.c_cc[VEOF] == _POSIX_VDISABLE)
                return;
        eof = (char) termios.c_cc[VEOF];
        t->in.data[t->in.end++] = eof;
        if (!ends_line(&termios, t->last_input))
                t->in.data[t->in.end++] = eof;
}

/* What to wait for follows from how full the buffers are. */
static void terminal_update(Terminal *t) {
        if (t->input_ended && pipe_is_empty(&t->in))
                input_say_end(t);
        t->master_source.events = (short) ((pipe_has_room(&t->out) ? POLLIN : 0) |
                                           (pipe_is_empty(&t->in) ? 0 : POLLOUT));
        t->input_source.events = pipe_has_room(&t->in) ? POLLIN : 0;
        t->output_source.events = pipe_is_empty(&t->out) ? 0 : POLLOUT;

        if (t->draining && !t->drained && t->master < 0 && pipe_is_empty(&t->out)) {
                t->drained = true;
                output_close(t);
                t->on_drained(t->userdata);
        }
}

static void dispatch_master(void *userdata, short revents) {
        Terminal *t = userdata;
        int r;

        if ((revents & POLLOUT) && !pipe_is_empty(&t->in)) {
                r = pipe_flush(&t->in, t->master);
                if (r < 0 && r != -EAGAIN)
                        t->in.begin = t->in.end = 0;
        }
        if ((revents & (POLLIN | POLLHUP | POLLERR)) && pipe_has_room(&t->out)) {
                r = pipe_fill(&t->out, t->master);
                if (r != 1 && r != -EAGAIN)
                        /* EIO: the last one has closed the terminal and all was read */
                        master_close(t);
                if (t->output < 0)
                        t->out.begin = t->out.end = 0;
        }
        terminal_update(t);
}

static void dispatch_input(void *userdata, short revents) {
        Terminal *t = userdata;
        int r;

        if (!pipe_has_room(&t->in))
                return;
        r = pipe_fill(&t->in, t->input);
        if (r == 1)
                t->last_input = t->in.data[t->in.end - 1];
        else if (r != -EAGAIN) {
                t->input_ended = true;
                input_close(t);
        }
        terminal_update(t);
}

static void dispatch_output(void *userdata, short revents) {
        Terminal *t = userdata;
        int r;

        if (pipe_is_empty(&t->out))
                return;
        r = pipe_flush(&t->out, t->output);
        if (r < 0 && r != -EAGAIN) {
                log_debug_errno(r, "Output of the terminal goes nowhere from now on: %m");
                output_close(t);
        }
        terminal_update(t);
}

/* Makes *fd one that does not block, without changing the open file that the client and others
 * share with us: a fifo or terminal is opened once more. A regular file never blocks. A socket's
 * flag is changed, nobody else reads or writes our end of it. */
static int stream_set_nonblock(int *fd, int mode) {
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct stat st;
        int again;

        if (fstat(*fd, &st) < 0)
                return -errno;
        if (S_ISREG(st.st_mode) || S_ISDIR(st.st_mode))
                return 0;
        if (S_ISSOCK(st.st_mode))
                return fd_set_nonblock(*fd, true);

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", *fd);
        again = open(path, mode | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (again < 0)
                return -errno;
        fd_close(*fd);
        *fd = again;
        return 0;
}

/* A stream that cannot be opened once more has lost its other end (ENXIO, EIO): as if gone. */
static int terminal_add_stream(Terminal *t, Loop *loop, Source *s, int *fd, int mode,
                               void (*dispatch)(void *userdata, short revents)) {
        int r;

        if (*fd < 0)
                return 0;
        r = stream_set_nonblock(fd, mode);
        if (r < 0) {
                log_debug_errno(r, "Failed to set up a stream of the terminal, doing without: %m");
                *fd = fd_close(*fd);
                return 0;
        }
        *s = (Source){.fd = *fd, .dispatch = dispatch, .userdata = t};
        return loop_add(loop, s);
}

static int terminal_set_up(Terminal *t, Loop *loop) {
        int r;

        t->slave = ioctl(t->master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (t->slave < 0)
                return -errno;
        r = fd_set_nonblock(t->master, true);
        if (r < 0)
                return r;
        t->master_source = (Source){.fd = t->master, .dispatch = dispatch_master, .userdata = t};
        r = loop_add(loop, &t->master_source);
        if (r < 0)
                return r;
        r = terminal_add_stream(t, loop, &t->input_source, &t->input, O_RDONLY, dispatch_input);
        if (r < 0)
                return r;
        r = terminal_add_stream(t, loop, &t->output_source, &t->output, O_WRONLY, dispatch_output);
        if (r < 0)
                return r;
        terminal_update(t);
        return 0;
}

int terminal_new(Loop *loop, int master, int input, int output, void (*drained)(void *userdata),
                 void *userdata, Terminal **ret) {
        _cleanup_close_ int owned_master = master, owned_input = input, owned_output = output;
        _cleanup_(terminal_freep) Terminal *t = NULL;
        int r;

        assert(loop && master >= 0 && drained && ret);

        t = malloc(sizeof(*t)); /* not zeroed: the buffers' pages come when they are used */
        if (!t)
                return -ENOMEM;
        memset(t, 0, offsetof(Terminal, in));
        t->in.begin = t->in.end = t->out.begin = t->out.end = 0;
        t->master = TAKE_FD(owned_master);
        t->slave = -1;
        t->last_input = '\n';
        t->input = TAKE_FD(owned_input);
        t->output = TAKE_FD(owned_output);
        t->on_drained = drained;
        t->userdata = userdata;

        r = terminal_set_up(t, loop);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(t);
        return 0;
}

Terminal *terminal_free(Terminal *t) {
        if (!t)
                return NULL;
        master_close(t);
        output_close(t);
        input_close(t);
        fd_close(t->slave);
        free(t);
        return NULL;
}

int terminal_resize(Terminal *t, int columns, int rows) {
        struct winsize ws = {.ws_col = (unsigned short) columns, .ws_row = (unsigned short) rows};

        if (t->master < 0)
                return 0;
        return ioctl(t->master, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

void terminal_close_input(Terminal *t) {
        input_close(t);
}

void terminal_drain(Terminal *t) {
        t->draining = true;
        t->slave = fd_close(t->slave);
        terminal_update(t);
}

bool terminal_is_drained(const Terminal *t) {
        return t->drained;
}
