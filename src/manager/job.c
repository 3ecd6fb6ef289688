/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of a job; how it speaks with its worker is in job-worker.c. */

#include "manager/job.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/mman.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "manager/job-internal.h"
#include "manager/lease.h"
#include "manager/leftovers.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

#define CANCEL_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define JOBS_MAX            1024
#define ENDED_MAX           64

static void job_release_userdata(Job *j) {
        if (j->userdata && j->type->destroy)
                j->type->destroy(j->userdata);
        j->userdata = NULL;
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        assert(!j->waiters);
        object_done(&j->object);
        job_release_worker(j);
        sd_event_source_disable_unref(j->timer);
        job_close_files(j);
        job_release_userdata(j);
        free(j->namespace);
        free(j->description);
        free(j->phase);
        free(j->key);
        free(j->lease);
        strv_free(j->arguments);
        json_decref(j->progress);
        json_decref(j->plan);
        json_decref(j->claims);
        json_decref(j->parts);
        json_decref(j->result);
        json_decref(j->outcome);
        error_clear(&j->error);
        free(j);
        return NULL;
}

/* Keeps what may be asked for. */
static void job_retire(Job *j) {
        Manager *m = j->object.manager;
        Job **last = &m->ended_jobs;

        object_unlink(&j->object);
        if (!j->lingers) {
                job_release_worker(j);
                j->timer = sd_event_source_disable_unref(j->timer);
        }
        job_close_files(j);
        job_release_userdata(j);
        json_decref(TAKE_PTR(j->result));
        json_decref(TAKE_PTR(j->progress));
        if (j->type->confidential)
                (void) json_object_clear(j->outcome);
        j->ended = true;
        j->ended_next = m->ended_jobs;
        m->ended_jobs = j;
        for (size_t n = 0; *last; n++) {
                Job *next = (*last)->ended_next;

                if (n < ENDED_MAX || (*last)->lingers) {
                        last = &(*last)->ended_next;
                        continue;
                }
                job_free(*last);
                *last = next;
        }
}

Job *job_find_ended(const Manager *m, const char *name) {
        Job *j = m->ended_jobs;

        while (j && !streq(j->object.name, name))
                j = j->ended_next;
        return j;
}

void jobs_forget_ended(Manager *m) {
        while (m->ended_jobs) {
                Job *j = m->ended_jobs;

                m->ended_jobs = j->ended_next;
                job_free(j);
        }
}

void job_finish(Job *j) {
        Manager *m = j->object.manager;
        const ManagerObserver *observer = m->observer;
        _cleanup_error_ Error e = ERROR_NULL;
        int r = j->error.code;

        if (r == 0)
                job_set_phase(j, "done");
        if (j->type->done)
                j->type->done(j);
        lease_job_done(j, r == 0);
        if (r != 0 && j->pid > 0) {
                leftovers_remove_of(m->leftovers, j->pid);
                if (j->type->brings_blobs || j->needs_more)
                        leftovers_look_for_blobs(m->leftovers);
        }
        error_move(&e, &j->error);
        /* what the job says last comes before its end */
        object_tell_change(&j->object);
        if (observer && observer->job_removed)
                observer->job_removed(j, r, &e, m->observer_userdata);
        waiters_complete(&j->waiters, &j->object, r, &e);
        error_move(&j->error, &e);
        job_retire(j);
        jobs_continue(m);
        sweeper_resume(m->sweeper);
}

void job_set_phase(Job *j, const char *phase) {
        if (streq_ptr(j->phase, phase) || free_and_strdup(&j->phase, phase) < 0)
                return;
        object_mark_dirty(&j->object);
        if (j->type->phase)
                j->type->phase(j);
}

static int uses_blobs(Object *o, void *userdata) {
        const Job *j = JOB(o);

        return j->type->blobs == JOB_BLOBS_ANY ||
               (j->type->blobs == JOB_BLOBS_PLANNED && (!j->planned || j->needs_more));
}

bool jobs_use_blobs(Manager *m) {
        return object_foreach(m, OBJECT_JOB, NULL, uses_blobs, NULL) != 0;
}

int job_commit_bytes(Job *j, json_t *result, Error *e) {
        json_t *bytes = json_object_get(result, "bytes");

        if (!json_is_integer(bytes))
                return error_setf(e, -EBADMSG, "The worker does not tell how much it has copied");
        return job_set_outcome(j, "Bytes", json_incref(bytes));
}

int job_set_outcome(Job *j, const char *key, json_t *value) {
        return json_object_set_new(j->outcome, key, value) < 0 ? -ENOMEM : 0;
}

static int on_nothing_to_do(sd_event_source *source, void *userdata) {
        job_finish(userdata);
        return 0;
}

int job_finish_later(Job *j) {
        j->timer = sd_event_source_disable_unref(j->timer);
        return sd_event_add_defer(j->object.manager->event, &j->timer, on_nothing_to_do, j);
}

static int copy_files(Job *j, const JobRequest *request, Error *e) {
        for (size_t i = 0; i < JOB_FILES_MAX && request->files[i].option; i++) {
                j->files[i].fd = fcntl(request->files[i].fd, F_DUPFD_CLOEXEC, 3);
                if (j->files[i].fd < 0)
                        return error_setf(e, -errno, "Failed to duplicate a descriptor: %m");
                j->files[i].option = request->files[i].option;
                j->files[i].until_closed = request->files[i].until_closed;
        }
        return 0;
}

static int job_new(Manager *m, const JobRequest *request, Job **ret, Error *e) {
        _cleanup_(job_freep) Job *j = NULL;
        char name[32];
        int r;

        j = calloc(1, sizeof(Job));
        if (!j)
                return -ENOMEM;
        j->pidfd = j->socket_fd = -1;
        j->type = request->type;
        j->id = ++m->last_job_id;
        (void) snprintf(name, sizeof(name), "%" PRIu64, j->id);
        r = object_init(&j->object, m, OBJECT_JOB, "", name);
        if (r < 0)
                return r;
        j->namespace = strdup(request->namespace);
        j->description = strdup(request->description);
        j->phase = strdup("wait");
        j->progress = json_array();
        j->claims = json_object();
        j->outcome = request->outcome ? json_incref(request->outcome) : json_object();
        j->started_at = now_realtime();
        if (!j->namespace || !j->description || !j->phase || !j->progress || !j->outcome ||
            !j->claims || free_and_strdup(&j->key, request->key) < 0)
                return -ENOMEM;
        STRV_FOREACH(s, request->arguments)
                if (strv_extend(&j->arguments, *s) < 0)
                        return -ENOMEM;
        r = copy_files(j, request, e);
        if (r == 0)
                *ret = TAKE_PTR(j);
        return r;
}

int job_start(Manager *m, const JobRequest *request, Job **ret, Error *e) {
        _cleanup_(job_freep) Job *j = NULL;
        int r;

        assert(m && request && request->type && request->namespace && request->description && ret);

        if (object_count(m, OBJECT_JOB) >= JOBS_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "There are %i jobs already", JOBS_MAX);
        r = job_new(m, request, &j, e);
        if (r != 0)
                return r;
        j->userdata = request->userdata;
        if (request->outcome)
                r = job_finish_later(j);
        else
                r = job_await_input(j, e);
        if (r == 0 && !request->outcome) {
                if (job_must_wait(j))
                        j->waiting = true;
                else
                        r = job_spawn(j, e);
        }
        if (r == 0)
                r = object_link(&j->object);
        if (r != 0) {
                j->userdata = NULL; /* it is still the caller's */
                return r;
        }
        *ret = TAKE_PTR(j);
        return 0;
}

int job_write_request(json_t *request, int *ret_fd, Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        *ret_fd = -1;
        if (!request)
                return 0;
        r = json_to_text(request, &text);
        if (r < 0)
                return r;
        fd = memfd_create("request", MFD_CLOEXEC);
        r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
        if (r >= 0 && lseek(fd, 0, SEEK_SET) < 0)
                r = -errno;
        if (r < 0)
                return error_setf(e, r, "Failed to write the request: %m");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int job_wait(Job *j, Callback callback, void *userdata, Error *e) {
        return waiter_add(&j->waiters, callback, userdata);
}

static int on_cancel_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        Job *j = userdata;

        log_warning("The worker of job %s does not end, killing it", j->object.name);
        (void) pidfd_signal(j->pidfd, SIGKILL);
        return 0;
}

int job_cancel(Job *j, Error *e) {
        int r;

        if (j->canceled)
                return 0;
        if (j->waiting) {
                j->canceled = true;
                j->waiting = false;
                job_forget_input(j);
                error_setf(&j->error, CTR_CANCELED, "The %s of \"%s\" was canceled", j->type->name,
                           j->description);
                return job_finish_later(j);
        }
        if (j->pidfd < 0)
                return 0;
        r = sd_event_add_time_relative(j->object.manager->event, &j->timer, CLOCK_MONOTONIC,
                                       CANCEL_TIMEOUT_USEC, 0, on_cancel_timeout, j);
        if (r < 0)
                return r;
        j->canceled = true;
        r = pidfd_signal(j->pidfd, SIGTERM);
        return r < 0 && r != -ESRCH ? error_setf(e, r, "Failed to signal the worker: %m") : 0;
}
