/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/reader.h"

#include <sys/eventfd.h>

#include "basic/fs.h"
#include "basic/thread.h"
#include "manager/db-gc.h"
#include "manager/manager.h"

#define NSEC_PER_SEC   1000000000L
#define INTERRUPT_NSEC (NSEC_PER_SEC / 50)

struct Reader {
        Database *db;
        pthread_t thread;
        bool running; /* not joined yet */
        int fd;       /* readable when the thread is about to end */
        sd_event_source *source;
        ReaderQuery query;
        ReaderDone done;
        void *userdata;
        int result;
        Error error;
};

static void *reader_thread(void *userdata) {
        Reader *r = userdata;

        r->result = r->query(r->db, r->userdata, &r->error);
        (void) eventfd_write(r->fd, 1); /* can fail only if it was full */
        return NULL;
}

/* The question may be asked for the first time after it was interrupted: that is repeated. */
static void reader_stop(Reader *r) {
        struct timespec until;

        while (r->running) {
                db_interrupt(r->db);
                (void) clock_gettime(CLOCK_REALTIME, &until);
                until.tv_nsec += INTERRUPT_NSEC;
                if (until.tv_nsec >= NSEC_PER_SEC) {
                        until.tv_nsec -= NSEC_PER_SEC;
                        until.tv_sec++;
                }
                r->running = pthread_timedjoin_np(r->thread, NULL, &until) == ETIMEDOUT;
        }
}

Reader *reader_free(Reader *r) {
        if (!r)
                return NULL;
        reader_stop(r);
        sd_event_source_disable_unref(r->source);
        fd_close(r->fd);
        db_close(r->db);
        error_clear(&r->error);
        free(r);
        return NULL;
}

static int on_ready(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Reader *r = userdata;
        int k;

        k = pthread_join(r->thread, NULL);
        assert(k == 0);
        r->running = false;
        r->source = sd_event_source_disable_unref(r->source);
        k = r->result;
        error_move(&e, &r->error);
        r->done(k, &e, r->userdata);
        return 0;
}

int reader_start(Manager *m, ReaderQuery query, ReaderDone done, void *userdata, Reader **ret,
                 Error *e) {
        _cleanup_(reader_freep) Reader *r = NULL;
        int k;

        assert(m && query && done && ret);

        r = calloc(1, sizeof(Reader));
        if (!r)
                return -ENOMEM;
        r->query = query;
        r->done = done;
        r->userdata = userdata;
        r->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
        if (r->fd < 0)
                return error_setf(e, -errno, "Failed to make an eventfd: %m");
        k = db_open_reader(m->state_dir, &r->db, e);
        if (k != 0)
                return k;
        k = sd_event_add_io(m->event, &r->source, r->fd, EPOLLIN, on_ready, r);
        if (k >= 0)
                k = thread_start(reader_thread, r, &r->thread);
        r->running = k >= 0;
        if (k < 0)
                return error_setf(e, k, "Failed to start a thread: %m");
        *ret = TAKE_PTR(r);
        return 0;
}
