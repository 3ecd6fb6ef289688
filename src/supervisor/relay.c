/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/relay.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <termios.h>

#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/flow.h"
#include "supervisor/protocol.h"

struct Relay {
        Loop *loop;
        bool terminal;
        int master; /* to be asked about; the flows have descriptors of their own */
        int slave;  /* held open while the task lives: without it the master would hang up whenever
                     * no process happens to have the terminal open */
        Flow input, output[2];
        FlowEnd *primary; /* the input stream of a terminal */
        bool had_primary;
        bool input_open;    /* clients may attach to it */
        bool input_closing; /* ... no more; the end comes when the last one is gone */
        bool draining, drained;
        void (*on_drained)(void *userdata);
        void *userdata;
};

static bool ends_line(const struct termios *t, char c) {
        return c == '\n' || (c == '\r' && (t->c_iflag & ICRNL)) || c == (char) t->c_cc[VEOF] ||
               (t->c_cc[VEOL] != _POSIX_VDISABLE && c == (char) t->c_cc[VEOL]);
}

/* A terminal has no end of its own: what a user would type says it, twice if it only ends a line
 * that was begun. A program that reads keys gets nothing, it would take it for one. */
static void input_say_end(Relay *relay) {
        struct termios termios;
        char eof[2];

        if (relay->master < 0 || tcgetattr(relay->master, &termios) < 0 ||
            !(termios.c_lflag & ICANON) || termios.c_cc[VEOF] == _POSIX_VDISABLE)
                return;
        eof[0] = eof[1] = (char) termios.c_cc[VEOF];
        flow_inject(&relay->input, eof, ends_line(&termios, relay->input.last) ? 1 : 2);
}

static void input_update(Relay *relay) {
        if (relay->draining || (relay->terminal && relay->master < 0))
                return;
        if (!relay->terminal && relay->input.n_sinks == 0)
                /* the program reads no more: those who write shall know */
                flow_remove_sources(&relay->input);
        if (!flow_is_empty(&relay->input))
                return;

        if (relay->had_primary && !relay->primary) {
                relay->had_primary = false;
                input_say_end(relay);
        } else if (relay->input_closing && relay->input.n_sources == 0) {
                relay->input_closing = false;
                if (relay->terminal)
                        input_say_end(relay);
                else
                        flow_remove_sinks(&relay->input);
        }
}

static bool output_is_delivered(const Flow *f) {
        return f->n_sources == 0 && flow_is_empty(f);
}

/* Called by the flows, last of all. */
static void relay_update(void *userdata) {
        Relay *relay = userdata;

        input_update(relay);
        for (size_t i = 0; !relay->terminal && i < ELEMENTSOF(relay->output); i++)
                if (output_is_delivered(&relay->output[i]))
                        /* the end of the output, which may come long before the program's */
                        flow_remove_sinks(&relay->output[i]);
        if (!relay->draining || relay->drained || !output_is_delivered(&relay->output[0]) ||
            !output_is_delivered(&relay->output[1]))
                return;
        relay->drained = true;
        for (size_t i = 0; i < ELEMENTSOF(relay->output); i++)
                flow_remove_sinks(&relay->output[i]);
        relay->on_drained(relay->userdata);
}

int relay_new(Loop *loop, bool terminal, void (*drained)(void *userdata), void *userdata,
              Relay **ret) {
        Relay *relay;

        assert(loop && drained && ret);

        relay = malloc(sizeof(*relay));
        if (!relay)
                return -ENOMEM;
        *relay = (Relay){
                        .loop = loop,
                        .terminal = terminal,
                        .master = -1,
                        .slave = -1,
                        .input = FLOW_INIT(loop, relay_update, relay),
                        .output = {FLOW_INIT(loop, relay_update, relay),
                                   FLOW_INIT(loop, relay_update, relay)},
                        .input_open = terminal,
                        .on_drained = drained,
                        .userdata = userdata,
        };
        relay->input.held = terminal;
        *ret = relay;
        return 0;
}

Relay *relay_free(Relay *relay) {
        if (!relay)
                return NULL;
        flow_clear(&relay->input);
        for (size_t i = 0; i < ELEMENTSOF(relay->output); i++)
                flow_clear(&relay->output[i]);
        fd_close(relay->master);
        fd_close(relay->slave);
        free(relay);
        return NULL;
}

/* 1 if fd can be used, 0 if its other end is gone. */
static int primary_own(int *fd, bool writing) {
        int r;

        if (*fd < 0)
                return 0;
        r = stream_own(fd, writing);
        if (r >= 0)
                return 1;
        log_debug_errno(r, "Failed to set up a stream of the terminal, doing without: %m");
        return 0;
}

int relay_set_streams(Relay *relay, int input, int output) {
        _cleanup_close_ int owned_input = input, owned_output = output;
        int r;

        assert(relay->terminal && !relay->had_primary);

        if (primary_own(&owned_input, false) > 0) {
                relay->had_primary = true;
                r = flow_add_source(&relay->input, TAKE_FD(owned_input), &relay->primary);
                if (r < 0)
                        return r;
        }
        if (primary_own(&owned_output, true) > 0)
                return flow_add_sink(&relay->output[0], TAKE_FD(owned_output), NULL);
        return 0;
}

int relay_set_master(Relay *relay, int master) {
        int reader, writer, r;

        assert(relay->terminal && relay->master < 0 && master >= 0);

        relay->master = master;
        relay->slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (relay->slave < 0)
                return -errno;
        r = fd_set_nonblock(master, true);
        if (r < 0)
                return r;
        reader = fcntl(master, F_DUPFD_CLOEXEC, 3);
        if (reader < 0)
                return -errno;
        r = flow_add_source(&relay->output[0], reader, NULL);
        if (r < 0)
                return r;
        relay->input.held = false;
        writer = fcntl(master, F_DUPFD_CLOEXEC, 3);
        if (writer < 0)
                return -errno;
        r = flow_add_sink(&relay->input, writer, NULL);
        if (r < 0)
                return r;
        input_update(relay);
        return 0;
}

int relay_set_pipes(Relay *relay, int pipes[static 3]) {
        int r = 0;

        assert(!relay->terminal);

        if (pipes[STDIN_FILENO] >= 0) {
                relay->input_open = true;
                r = flow_add_sink(&relay->input, TAKE_FD(pipes[STDIN_FILENO]), NULL);
        }
        for (int i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
                if (pipes[i] < 0)
                        continue;
                if (r >= 0)
                        r = flow_add_source(&relay->output[i - 1], TAKE_FD(pipes[i]), NULL);
                pipes[i] = fd_close(pipes[i]);
        }
        return r;
}

/* Whether stream i passes through here and its end has not come. */
static int attach_check(const Relay *relay, int i, Error *e) {
        static const char *const names[] = {"input", "output", "error"};
        const Flow *f;
        size_t n;
        bool open;

        if (i == STDIN_FILENO) {
                open = relay->input_open && (relay->terminal || relay->input.n_sinks > 0);
                n = relay->input.n_sources;
        } else {
                f = &relay->output[i - 1];
                /* a terminal mixes both, and an exec gets its own when it is started */
                open = relay->terminal ? i == STDOUT_FILENO : f->n_sources > 0;
                n = f->n_sinks;
        }
        if (!open || relay->draining)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Standard %s is not connected to whoever attaches, or was closed",
                                  names[i]);
        if (n >= RELAY_ATTACHED_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "%u clients are attached to standard %s already",
                                  RELAY_ATTACHED_MAX, names[i]);
        return 0;
}

static int attached_own(int *fd, bool writing, Error *e) {
        struct stat st;
        int r;

        if (fstat(*fd, &st) < 0)
                return error_setf(e, -errno, "Failed to look at a descriptor: %m");
        /* nothing that could make us wait */
        if (!S_ISFIFO(st.st_mode) && !S_ISSOCK(st.st_mode) && !(S_ISCHR(st.st_mode) && isatty(*fd)))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Only pipes, sockets and terminals can be attached");
        r = stream_own(fd, writing);
        return r < 0 ? error_setf(e, CTR_INVALID_ARGUMENT, "A descriptor cannot be %s: %s",
                                  writing ? "written" : "read", strerror(-r))
                     : 0;
}

int relay_attach(Relay *relay, unsigned streams, int *fds, size_t n_fds, Error *e) {
        FlowEnd *added[3] = {};
        size_t n = 0;
        int r = 0;

        if (streams == 0 || streams > 7 || (size_t) __builtin_popcount(streams) != n_fds)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Expected one descriptor for each stream");
        for (int i = 0; r == 0 && i < 3; i++)
                if (streams & (1U << i)) {
                        r = attach_check(relay, i, e);
                        if (r == 0)
                                r = attached_own(&fds[n++], i != STDIN_FILENO, e);
                }
        n = 0;
        for (int i = 0; r == 0 && i < 3; i++)
                if (streams & (1U << i)) {
                        Flow *f = i == STDIN_FILENO ? &relay->input : &relay->output[i - 1];
                        int fd = TAKE_FD(fds[n]);

                        r = i == STDIN_FILENO ? flow_add_source(f, fd, &added[i])
                                              : flow_add_sink(f, fd, &added[i]);
                        n++;
                }
        for (int i = 0; i < 3; i++)
                if (r != 0)
                        flow_remove(i == STDIN_FILENO ? &relay->input : &relay->output[i - 1],
                                    added[i]);
                else
                        flow_forget_slot(added[i]);
        return r < 0 ? error_setf(e, r, "Failed to attach: %m") : r;
}

int relay_resize(Relay *relay, int columns, int rows) {
        struct winsize ws = {.ws_col = (unsigned short) columns, .ws_row = (unsigned short) rows};

        if (relay->master < 0)
                return 0;
        return ioctl(relay->master, TIOCSWINSZ, &ws) < 0 ? -errno : 0;
}

void relay_close_input(Relay *relay) {
        if (!relay->input_open)
                return;
        relay->input_open = false;
        if (relay->had_primary) {
                relay->had_primary = false;
                flow_remove(&relay->input, relay->primary);
                return;
        }
        relay->input_closing = true;
        input_update(relay);
}

void relay_drain(Relay *relay) {
        assert(!relay->draining);

        relay->draining = true;
        /* what is left of the terminal is read up to the hang-up that this may be */
        relay->slave = fd_close(relay->slave);
        flow_clear(&relay->input);
        if (!relay->terminal)
                for (size_t i = 0; i < ELEMENTSOF(relay->output); i++)
                        flow_limit_to_present(&relay->output[i]);
        relay_update(relay);
}
