/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/job.h"

#include <sys/eventfd.h>

int job_init(WorkerJob *j, const JobType *type, int control_fd, Error *e) {
        assert(j && type && type->run && type->progress && type->result);

        *j = (WorkerJob){
                        .type = type,
                        .control_fd = control_fd,
                        .event_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK),
                        .mutex = PTHREAD_MUTEX_INITIALIZER,
                        .changed = PTHREAD_COND_INITIALIZER,
        };
        if (j->event_fd < 0)
                return error_setf(e, -errno, "Failed to make an eventfd: %m");
        return 0;
}

void job_clear(WorkerJob *j) {
        error_clear(&j->error);
        if (j->type)
                j->event_fd = fd_close(j->event_fd);
}

void job_notify(WorkerJob *j) {
        (void) !eventfd_write(j->event_fd, 1);
}

void job_fail(WorkerJob *j, Error *e, int code) {
        (void) pthread_mutex_lock(&j->mutex);
        if (e->code == 0)
                (void) error_setf(e, code, "%s",
                                  code < 0 ? strerrordesc_np(-code) : error_code_to_string(code));
        (void) error_move(&j->error, e);
        atomic_store(&j->canceled, true);
        (void) pthread_cond_broadcast(&j->changed);
        (void) pthread_mutex_unlock(&j->mutex);
}

int job_ask(WorkerJob *j) {
        assert(j->type->plan && j->type->answer);

        (void) pthread_mutex_lock(&j->mutex);
        j->asking = true;
        job_notify(j);
        while (j->asking && !job_is_canceled(j))
                (void) pthread_cond_wait(&j->changed, &j->mutex);
        (void) pthread_mutex_unlock(&j->mutex);
        return job_is_canceled(j) ? CTR_CANCELED : 0;
}

void job_answered(WorkerJob *j) {
        (void) pthread_mutex_lock(&j->mutex);
        j->asking = false;
        (void) pthread_cond_broadcast(&j->changed);
        (void) pthread_mutex_unlock(&j->mutex);
}

void *job_run(void *job) {
        _cleanup_error_ Error e = ERROR_NULL;
        WorkerJob *j = job;
        int r;

        r = j->type->run(j, &e);
        /* somebody else's error, or a cancellation that came at the very end: nobody would take
         * what we have made */
        if (r == 0 && job_is_canceled(j))
                r = CTR_CANCELED;
        if (r != 0) {
                job_fail(j, &e, r);
                if (j->type->undo)
                        j->type->undo(j);
        }
        (void) pthread_mutex_lock(&j->mutex);
        j->finished = true;
        (void) pthread_mutex_unlock(&j->mutex);
        job_notify(j);
        return NULL;
}
