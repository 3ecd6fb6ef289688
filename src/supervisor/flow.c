/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/flow.h"

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/log.h"

#define BUFFER_SIZE   65536U /* what a pipe takes at once */
#define SHORTAGE_USEC (10 * USEC_PER_MSEC)
#define RELEASE_USEC  (500 * USEC_PER_MSEC)

struct FlowEnd {
        Flow *flow;
        int fd;
        bool is_socket;
        size_t position; /* of a sink: how much of the buffer it has got */
        FlowEnd **slot;
        FlowEnd *next;
        Source source;
};

/* Pages straight from the kernel and back: a task whose streams are silent holds none. */
static char *buffer_new(void) {
        void *p = mmap(NULL, BUFFER_SIZE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1,
                       0);

        return p == MAP_FAILED ? NULL : p;
}

static void buffer_release(void *userdata) {
        Flow *f = userdata;

        if (!f->buffer || f->used > 0)
                return;
        (void) munmap(f->buffer, BUFFER_SIZE);
        f->buffer = NULL;
}

/* The pages go a little later: one who writes a lot comes straight back for them. */
static void buffer_empty(Flow *f) {
        f->used = 0;
        for (FlowEnd *e = f->sinks; e; e = e->next)
                e->position = 0;
        f->release_timer.elapse = buffer_release;
        f->release_timer.userdata = f;
        loop_add_timer(f->loop, &f->release_timer, now_monotonic() + RELEASE_USEC);
}

static bool is_again(int r) {
        return r == -EAGAIN || r == -EINTR;
}

/* Reads what is there. 1 if there was something, 0 at the end, -EAGAIN, or another error. */
static int flow_fill(Flow *f, FlowEnd *e) {
        size_t size = (size_t) MIN_OF(f->limit, (uint64_t) BUFFER_SIZE);
        ssize_t n;

        if (size == 0)
                return 0;
        if (!f->buffer && !(f->buffer = buffer_new())) {
                /* the kernel's shortage passes, and poll would come straight back */
                (void) usleep(SHORTAGE_USEC);
                return -EAGAIN;
        }
        n = e->is_socket ? recv(e->fd, f->buffer, size, MSG_DONTWAIT)
                         : read(e->fd, f->buffer, size);
        if (n <= 0) {
                int r = n < 0 ? -errno : 0;

                buffer_empty(f);
                return r;
        }
        f->used = (size_t) n;
        f->last = f->buffer[n - 1];
        if (f->limit != UINT64_MAX)
                f->limit -= (uint64_t) n;
        return 1;
}

/* Writes what goes. 0, or an error for which the sink is dropped. */
static int flow_flush(Flow *f, FlowEnd *e) {
        const char *data = f->buffer + e->position;
        size_t size = f->used - e->position;
        ssize_t n;

        if (size == 0)
                return 0;
        n = e->is_socket ? send(e->fd, data, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                         : write(e->fd, data, size);
        if (n < 0)
                return is_again(-errno) ? 0 : -errno;
        e->position += (size_t) n;
        return 0;
}

static void sink_flush(Flow *f, FlowEnd *e) {
        int r;

        r = flow_flush(f, e);
        if (r < 0) {
                log_debug_errno(r, "A reader of the output is gone: %m");
                flow_remove(f, e);
        }
}

/* What to wait for follows from what is in the buffer. True if it has just become empty. */
static bool flow_update(Flow *f) {
        bool pending = false, emptied = false;

        for (FlowEnd *e = f->sinks; e; e = e->next)
                pending = pending || e->position < f->used;
        if (!pending && f->used > 0) {
                buffer_empty(f);
                emptied = true;
        }
        if (f->limit == 0)
                flow_remove_sources(f);
        for (FlowEnd *e = f->sources; e; e = e->next)
                e->source.events = pending || f->held ? 0 : POLLIN;
        for (FlowEnd *e = f->sinks; e; e = e->next)
                e->source.events = e->position < f->used ? POLLOUT : LOOP_HANGUP;
        return emptied;
}

static void dispatch_source(void *userdata, short revents) {
        FlowEnd *end = userdata;
        Flow *f = end->flow;
        size_t n = f->n_sources;
        int r;

        if (f->used > 0)
                return; /* somebody else was faster; this one is asked again */
        r = flow_fill(f, end);
        if (r == 1) {
                for (FlowEnd *e = f->sinks, *next; e; e = next) {
                        next = e->next;
                        sink_flush(f, e);
                }
        } else if (!is_again(r))
                /* also EIO: the last one has closed the terminal and all was read */
                flow_remove(f, end);
        if (flow_update(f) || f->n_sources != n)
                f->changed(f->userdata);
}

static void dispatch_sink(void *userdata, short revents) {
        FlowEnd *end = userdata;
        Flow *f = end->flow;
        size_t n = f->n_sinks;

        if (revents & (POLLERR | POLLHUP | POLLNVAL))
                flow_remove(f, end);
        else
                sink_flush(f, end);
        if (flow_update(f) || f->n_sinks != n)
                f->changed(f->userdata);
}

static int flow_add(Flow *f, FlowEnd **list, size_t *n, int fd, FlowEnd **slot,
                    void (*dispatch)(void *userdata, short revents)) {
        _cleanup_close_ int owned = fd;
        _cleanup_free_ FlowEnd *e = NULL;
        struct stat st;
        int r;

        assert(f->loop && fd >= 0);

        if (fstat(fd, &st) < 0)
                return -errno;
        e = calloc(1, sizeof(*e));
        if (!e)
                return -ENOMEM;
        e->flow = f;
        e->is_socket = S_ISSOCK(st.st_mode);
        e->position = f->used;
        e->source = (Source){.fd = fd, .dispatch = dispatch, .userdata = e};
        r = loop_add(f->loop, &e->source);
        if (r < 0)
                return r;
        e->fd = TAKE_FD(owned);
        e->slot = slot;
        e->next = *list;
        if (slot)
                *slot = e;
        *list = TAKE_PTR(e);
        (*n)++;
        (void) flow_update(f);
        return 0;
}

int flow_add_source(Flow *f, int fd, FlowEnd **slot) {
        return flow_add(f, &f->sources, &f->n_sources, fd, slot, dispatch_source);
}

int flow_add_sink(Flow *f, int fd, FlowEnd **slot) {
        return flow_add(f, &f->sinks, &f->n_sinks, fd, slot, dispatch_sink);
}

static bool list_remove(FlowEnd **list, size_t *n, FlowEnd *end) {
        for (FlowEnd **p = list; *p; p = &(*p)->next)
                if (*p == end) {
                        *p = end->next;
                        (*n)--;
                        return true;
                }
        return false;
}

void flow_forget_slot(FlowEnd *end) {
        if (end)
                end->slot = NULL;
}

void flow_remove(Flow *f, FlowEnd *end) {
        if (!end)
                return;
        if (!list_remove(&f->sources, &f->n_sources, end))
                (void) list_remove(&f->sinks, &f->n_sinks, end);
        if (end->slot)
                *end->slot = NULL;
        source_remove(&end->source);
        fd_close(end->fd);
        free(end);
}

void flow_remove_sources(Flow *f) {
        while (f->sources)
                flow_remove(f, f->sources);
}

void flow_remove_sinks(Flow *f) {
        while (f->sinks)
                flow_remove(f, f->sinks);
        (void) flow_update(f);
}

void flow_limit_to_present(Flow *f) {
        f->limit = 0;
        for (FlowEnd *e = f->sources; e; e = e->next) {
                int n = 0;

                if (ioctl(e->fd, FIONREAD, &n) >= 0 && n > 0)
                        f->limit += (uint64_t) n;
        }
        (void) flow_update(f);
}

void flow_inject(Flow *f, const char *data, size_t n) {
        assert(f->used == 0 && n <= BUFFER_SIZE);

        if (n == 0 || (!f->buffer && !(f->buffer = buffer_new())))
                return;
        memcpy(f->buffer, data, n);
        f->used = n;
        (void) flow_update(f);
}

bool flow_is_empty(const Flow *f) {
        return f->used == 0;
}

void flow_clear(Flow *f) {
        flow_remove_sources(f);
        while (f->sinks)
                flow_remove(f, f->sinks);
        timer_remove(&f->release_timer);
        f->used = 0;
        buffer_release(f);
}

static int stream_check_mode(int fd, bool writing) {
        int flags = fcntl(fd, F_GETFL);

        if (flags < 0)
                return -errno;
        /* root may open anything once more: what its giver could not do with it is not done */
        if (flags & O_PATH)
                return -EBADF;
        if ((flags & O_ACCMODE) == O_RDWR || (flags & O_ACCMODE) == (writing ? O_WRONLY : O_RDONLY))
                return 0;
        return -EBADF;
}

int stream_own(int *fd, bool writing) {
        char path[sizeof("/proc/self/fd/") + 3 * sizeof(int)];
        struct stat st;
        int again, r;

        r = stream_check_mode(*fd, writing);
        if (r < 0)
                return r;
        if (fstat(*fd, &st) < 0)
                return -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        if (S_ISREG(st.st_mode) || S_ISSOCK(st.st_mode))
                return 0;

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", *fd);
        again = open(path, (writing ? O_WRONLY : O_RDONLY) | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
        if (again < 0)
                return -errno;
        fd_close(*fd);
        *fd = again;
        return 0;
}
