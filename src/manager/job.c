/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/job.h"

#include <inttypes.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "image/reference.h"
#include "manager/image.h"
#include "manager/manager.h"
#include "manager/pull.h"
#include "manager/sweeper.h"

#define PACKET_MAX          (128U * 1024)
#define PROGRESS_MAX        1024
#define CANCEL_TIMEOUT_USEC (10 * USEC_PER_SEC)
#define CONTROL_FD          3

const char *job_type_to_string(JobType t) {
        static const char *const names[_JOB_TYPE_MAX] = {[JOB_PULL] = "pull",
                                                         [JOB_CHECKPOINT] = "checkpoint",
                                                         [JOB_RESTORE] = "restore"};

        return t < _JOB_TYPE_MAX ? names[t] : "unknown";
}

Job *job_free(Job *j) {
        if (!j)
                return NULL;
        assert(!j->waiters);
        object_done(&j->object);
        if (j->pidfd >= 0)
                /* a worker without a manager works for nobody */
                (void) pidfd_signal(j->pidfd, SIGTERM);
        sd_event_source_disable_unref(j->pid_source);
        sd_event_source_disable_unref(j->socket_source);
        sd_event_source_disable_unref(j->timer);
        fd_close(j->pidfd);
        fd_close(j->socket_fd);
        free(j->namespace);
        free(j->description);
        free(j->phase);
        json_decref(j->progress);
        json_decref(j->result);
        error_clear(&j->error);
        free(j);
        return NULL;
}

static void job_finish(Job *j) {
        Manager *m = j->object.manager;
        const ManagerObserver *observer = m->observer;
        _cleanup_error_ Error e = ERROR_NULL;
        int r = j->error.code;

        error_move(&e, &j->error);
        if (observer && observer->job_removed)
                observer->job_removed(j, r, &e, m->observer_userdata);
        waiters_complete(&j->waiters, &j->object, r, &e);
        job_free(j);
        if (object_count(m, OBJECT_JOB) == 0)
                sweeper_resume(m->sweeper);
}

static void job_set_phase(Job *j, const char *phase) {
        if (!streq_ptr(j->phase, phase) && free_and_strdup(&j->phase, phase) >= 0)
                object_mark_dirty(&j->object);
}

static int job_send(Job *j, json_t *packet) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(packet, &text);
        if (r < 0)
                return r;
        if (send(j->socket_fd, text, strlen(text), MSG_NOSIGNAL | MSG_DONTWAIT) < 0)
                return -errno;
        return 0;
}

static int handle_progress(Job *j, json_t *packet, Error *e) {
        const char *phase = NULL;
        json_t *layers;
        int r;

        r = json_get_string(packet, "progress", "phase", &phase, e);
        if (r < 0)
                return r;
        if (phase)
                job_set_phase(j, phase);
        r = json_get_array(packet, "progress", "layers", PROGRESS_MAX, &layers, e);
        if (r <= 0)
                return r;
        json_decref(j->progress);
        j->progress = json_incref(layers);
        object_mark_dirty(&j->object);
        return 0;
}

static int handle_plan(Job *j, json_t *packet, Error *e) {
        _cleanup_json_ json_t *have = NULL;
        int r;

        r = pull_answer_plan(j->object.manager, packet, &have, e);
        if (r != 0)
                return r;
        r = job_send(j, have);
        return r < 0 ? error_setf(e, r, "Failed to answer the worker: %m") : 0;
}

static int handle_error(Job *j, json_t *packet, Error *e) {
        const char *code, *text;

        if (json_get_string(packet, "error", "code", &code, e) <= 0 ||
            json_get_string(packet, "error", "text", &text, e) <= 0)
                return error_setf(e, -EBADMSG, "The worker's error has no text");
        error_setf(&j->error, error_code_from_string(code), "%s", text);
        return 0;
}

static int handle_packet(Job *j, const char *data, size_t size, Error *e) {
        _cleanup_json_ json_t *packet = NULL;
        const char *type;
        int r;

        r = json_parse(data, size, "the worker's packet", &packet, e);
        if (r != 0)
                return r;
        r = json_get_string(packet, "packet", "type", &type, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The worker's packet has no type");
        if (streq(type, "progress"))
                return handle_progress(j, packet, e);
        if (streq(type, "plan"))
                return handle_plan(j, packet, e);
        if (streq(type, "error"))
                return handle_error(j, packet, e);
        if (streq(type, "result")) {
                json_decref(j->result);
                j->result = TAKE_PTR(packet);
                return 0;
        }
        return error_setf(e, -EBADMSG, "The worker's packet has the unknown type \"%s\"", type);
}

/* One packet per turn of the loop. A worker that talks nonsense is ended. */
static int on_packet(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *data = NULL;
        Job *j = userdata;
        ssize_t n;
        int r;

        data = malloc(PACKET_MAX);
        if (!data)
                return -ENOMEM;
        n = recv(fd, data, PACKET_MAX, MSG_DONTWAIT | MSG_TRUNC);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        if (n <= 0) {
                j->socket_source = sd_event_source_disable_unref(j->socket_source);
                return 0;
        }
        if ((size_t) n > PACKET_MAX)
                r = error_setf(&e, -EMSGSIZE, "The worker's packet has %zi bytes", n);
        else
                r = handle_packet(j, data, (size_t) n, &e);
        if (r != 0) {
                error_move(&j->error, &e);
                (void) pidfd_signal(j->pidfd, SIGTERM);
        }
        return 0;
}

static void job_conclude(Job *j, int status) {
        int r;

        if (j->error.code == 0 && status == 0 && j->type != JOB_PULL) {
                job_set_phase(j, "done");
                return;
        }
        if (j->error.code == 0 && status == 0 && j->result) {
                /* a cancel that came too late has no effect */
                r = pull_commit(j->object.manager, j->namespace, j->description, j->unpack,
                                j->result, &j->error);
                if (r != 0)
                        error_setf(&j->error, r, "Failed to record the image \"%s\"",
                                   j->description);
                else
                        job_set_phase(j, "done");
                return;
        }
        if (j->canceled) {
                error_clear(&j->error);
                error_setf(&j->error, CTR_CANCELED, "The %s of \"%s\" was canceled",
                           job_type_to_string(j->type), j->description);
        }
        error_setf(&j->error, CTR_UNKNOWN,
                   "The worker that should %s \"%s\" ended unexpectedly (status %i)",
                   job_type_to_string(j->type), j->description, status);
}

static int on_worker_gone(sd_event_source *source, int fd, uint32_t revents, void *userdata) {
        Job *j = userdata;
        int status = -1, r;

        r = pidfd_wait(j->pidfd, &status);
        if (r < 0)
                log_warning_errno(r, "Failed to reap a worker: %m");
        /* first the source: whoever waits for the job may open something, and get this number */
        j->pid_source = sd_event_source_disable_unref(j->pid_source);
        j->pidfd = fd_close(j->pidfd);
        job_conclude(j, status);
        job_finish(j);
        return 0;
}

static int pull_arguments(const Job *j, char ***l) {
        if (!j->unpack && strv_extend(l, "--no-unpack") < 0)
                return -ENOMEM;
        return strv_extend(l, "--") < 0 || strv_extend(l, j->description) < 0 ? -ENOMEM : 0;
}

static int job_spawn(Job *j, char *const *arguments, Error *e) {
        Manager *m = j->object.manager;
        _cleanup_free_ char *path = NULL;
        _cleanup_strv_free_ char **argv = NULL;
        int pair[2], fds[CONTROL_FD + 1], r;
        pid_t pid;

        if (asprintf(&path, "%s/ctr-worker", m->libexec_dir) < 0)
                return -ENOMEM;
        if (strv_extend(&argv, path) < 0 || strv_extend(&argv, job_type_to_string(j->type)) < 0 ||
            strv_extendf(&argv, "--root=%s", m->state_dir) < 0 ||
            strv_extendf(&argv, "--control-fd=%i", CONTROL_FD) < 0 ||
            (j->type == JOB_PULL && pull_arguments(j, &argv) < 0))
                return -ENOMEM;
        STRV_FOREACH(s, arguments)
                if (strv_extend(&argv, *s) < 0)
                        return -ENOMEM;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_setf(e, -errno, "Failed to make a socketpair: %m");
        j->socket_fd = pair[0];
        fds[0] = -1;
        fds[1] = fds[2] = STDERR_FILENO;
        fds[CONTROL_FD] = pair[1];
        r = process_spawn(path, argv, environ, fds, ELEMENTSOF(fds), &pid, &j->pidfd);
        fd_close(pair[1]);
        if (r < 0)
                return error_setf(e, r, "Failed to start %s: %m", path);

        r = sd_event_add_io(m->event, &j->socket_source, j->socket_fd, EPOLLIN, on_packet, j);
        if (r >= 0)
                r = sd_event_add_io(m->event, &j->pid_source, j->pidfd, EPOLLIN, on_worker_gone, j);
        /* after all that it had to say */
        if (r >= 0)
                r = sd_event_source_set_priority(j->pid_source, SD_EVENT_PRIORITY_NORMAL + 1);
        return r < 0 ? error_setf(e, r, "Failed to watch the worker: %m") : 0;
}

static int on_nothing_to_do(sd_event_source *source, void *userdata) {
        Job *j = userdata;

        job_set_phase(j, "done");
        job_finish(j);
        return 0;
}

static int job_new(Manager *m, JobType type, const char *namespace, const char *description,
                   Job **ret) {
        _cleanup_(job_freep) Job *j = NULL;
        char name[32];
        int r;

        j = calloc(1, sizeof(Job));
        if (!j)
                return -ENOMEM;
        j->pidfd = j->socket_fd = -1;
        j->type = type;
        j->id = ++m->last_job_id;
        (void) snprintf(name, sizeof(name), "%" PRIu64, j->id);
        r = object_init(&j->object, m, OBJECT_JOB, "", name);
        if (r < 0)
                return r;
        j->namespace = strdup(namespace);
        j->description = strdup(description);
        j->phase = strdup("resolve");
        j->progress = json_array();
        j->started_at = now_realtime();
        if (!j->namespace || !j->description || !j->phase || !j->progress)
                return -ENOMEM;
        *ret = TAKE_PTR(j);
        return 0;
}

int job_pull(Manager *m, const PullRequest *request, Job **ret, Error *e) {
        _cleanup_(job_freep) Job *j = NULL;
        _cleanup_free_ char *name = NULL;
        Object *known;
        int r;

        r = reference_normalize(request->reference, &name, e);
        if (r != 0)
                return r;
        r = job_new(m, JOB_PULL, request->namespace, name, &j);
        if (r < 0)
                return r;
        j->unpack = !request->no_unpack;

        known = object_find(m, OBJECT_IMAGE, request->namespace, name);
        if (request->if_missing && known && (IMAGE(known)->unpacked || !j->unpack))
                r = sd_event_add_defer(m->event, &j->timer, on_nothing_to_do, j);
        else
                r = job_spawn(j, NULL, e);
        if (r != 0)
                return r;
        r = object_link(&j->object);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
        return 0;
}

int job_start(Manager *m, JobType type, const char *namespace, const char *description,
              char *const *arguments, Job **ret, Error *e) {
        _cleanup_(job_freep) Job *j = NULL;
        int r;

        r = job_new(m, type, namespace, description, &j);
        if (r < 0)
                return r;
        r = job_spawn(j, arguments, e);
        if (r != 0)
                return r;
        r = object_link(&j->object);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(j);
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

        if (j->canceled || j->pidfd < 0)
                return 0;
        r = sd_event_add_time_relative(j->object.manager->event, &j->timer, CLOCK_MONOTONIC,
                                       CANCEL_TIMEOUT_USEC, 0, on_cancel_timeout, j);
        if (r < 0)
                return r;
        j->canceled = true;
        r = pidfd_signal(j->pidfd, SIGTERM);
        return r < 0 && r != -ESRCH ? error_setf(e, r, "Failed to signal the worker: %m") : 0;
}
