/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A job's worker: how it is started, what it says (docs/worker-protocol.md), and its end. */

#include <inttypes.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "manager/job-internal.h"
#include "manager/lease.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

#define PACKET_MAX   (128U * 1024)
#define PROGRESS_MAX 1024
#define PARTS_MAX    100000 /* items of all arrays together */
#define CONTROL_FD   3
/* between a worker's result and its end */
#define LINGER_TIMEOUT_USEC (10 * USEC_PER_SEC)

static const char *job_verb(const Job *j) {
        return j->type->verb ?: j->type->name;
}

void job_close_files(Job *j) {
        job_forget_input(j);
        for (size_t i = 0; i < JOB_FILES_MAX && j->files[i].option; i++)
                j->files[i] = (JobFile){.fd = fd_close(j->files[i].fd)};
}

void job_release_worker(Job *j) {
        if (j->pidfd >= 0)
                /* a worker without a manager works for nobody; one that has told its result has
                 * nothing to undo, and does not read its signals any more */
                (void) pidfd_signal(j->pidfd, j->lingers ? SIGKILL : SIGTERM);
        j->pid_source = sd_event_source_disable_unref(j->pid_source);
        j->socket_source = sd_event_source_disable_unref(j->socket_source);
        j->pidfd = fd_close(j->pidfd);
        j->socket_fd = fd_close(j->socket_fd);
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

static int answer_plan(Job *j, Error *e) {
        _cleanup_json_ json_t *answer = NULL;
        int r;

        r = j->type->plan(j, j->plan, &answer, e);
        if (r == 0 && answer)
                r = lease_protect_plan(j, j->plan, answer, e);
        if (r != 0 || !answer)
                return r;
        json_decref(TAKE_PTR(j->plan));
        r = job_send(j, answer);
        if (r < 0)
                return error_setf(e, r, "Failed to answer the worker: %m");
        j->planned = true;
        sweeper_resume(j->object.manager->sweeper);
        return 0;
}

/* Pieces of what is too long for one packet: its arrays begin with them. */
static int handle_part(Job *j, json_t *packet, Error *e) {
        const char *key;
        json_t *value;
        size_t n = 0;

        if (!j->parts && !(j->parts = json_object()))
                return -ENOMEM;
        json_object_foreach(packet, key, value) {
                json_t *so_far = json_object_get(j->parts, key);

                if (!json_is_array(value))
                        continue;
                if (so_far ? json_array_extend(so_far, value) < 0
                           : json_object_set(j->parts, key, value) < 0)
                        return -ENOMEM;
        }
        json_object_foreach(j->parts, key, value)
                n += json_array_size(value);
        return n > PARTS_MAX ? error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                          "The worker's packet has more than %i items", PARTS_MAX)
                             : 0;
}

/* What came before the packet itself. */
static int add_parts(Job *j, json_t *packet) {
        _cleanup_json_ json_t *parts = TAKE_PTR(j->parts);
        const char *key;
        json_t *value;

        json_object_foreach(parts, key, value) {
                json_t *rest = json_object_get(packet, key);

                if ((rest && json_array_extend(value, rest) < 0) ||
                    json_object_set(packet, key, value) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int handle_plan(Job *j, json_t *packet, Error *e) {
        if (!j->type->plan || j->plan)
                return error_setf(e, -EBADMSG, "The worker has a plan that nobody asked for");
        if (add_parts(j, packet) < 0)
                return -ENOMEM;
        j->plan = json_incref(packet);
        return answer_plan(j, e);
}

static int handle_result(Job *j, json_t *packet) {
        json_decref(j->result);
        j->result = json_incref(packet);
        return add_parts(j, packet);
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
        if (streq(type, "part"))
                return handle_part(j, packet, e);
        if (streq(type, "result"))
                return handle_result(j, packet);
        return error_setf(e, -EBADMSG, "The worker's packet has the unknown type \"%s\"", type);
}

/* A worker that talks nonsense is ended. */
static void job_fail(Job *j, int r, Error *e) {
        error_setf(e, r, "Failed to handle what the worker said: %m");
        error_move(&j->error, e);
        json_decref(TAKE_PTR(j->plan));
        if (j->pidfd >= 0)
                (void) pidfd_signal(j->pidfd, SIGTERM);
}

void job_answer_plan_again(Job *j) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = answer_plan(j, &e);
        if (r != 0)
                job_fail(j, r, &e);
}

static void job_commit(Job *j, Error *e) {
        int r;

        if (!j->type->commit)
                return;
        /* a cancel that came too late has no effect */
        r = j->type->commit(j, j->result, e);
        if (r != 0)
                error_setf(e, r, "Failed to record the %s of \"%s\"", j->type->name,
                           j->description);
}

/* What the worker's end means. */
static void job_conclude(Job *j, int status) {
        if (j->error.code == 0 && status == 0 && j->result) {
                job_commit(j, &j->error);
                return;
        }
        if (j->canceled) {
                error_clear(&j->error);
                error_setf(&j->error, CTR_CANCELED, "The %s of \"%s\" was canceled", j->type->name,
                           j->description);
        }
        error_setf(&j->error, CTR_UNKNOWN,
                   "The worker for the %s of \"%s\" ended unexpectedly (status %i)", j->type->name,
                   j->description, status);
}

/* From now on nobody asks about the worker any more, but it is reaped, and must end. */
static int on_linger_timeout(sd_event_source *source, uint64_t usec, void *userdata) {
        const Job *j = userdata;

        log_warning("The worker of job %s has told its result and does not end, killing it",
                    j->object.name);
        (void) pidfd_signal(j->pidfd, SIGKILL);
        return 0;
}

static int job_end_with_result(Job *j) {
        int r;

        /* a cancel that came too late has set a timer of its own */
        r = j->timer ? 0
                     : sd_event_add_time_relative(j->object.manager->event, &j->timer,
                                                  CLOCK_MONOTONIC, LINGER_TIMEOUT_USEC, 0,
                                                  on_linger_timeout, j);
        if (r < 0)
                return r;
        j->socket_source = sd_event_source_disable_unref(j->socket_source);
        j->socket_fd = fd_close(j->socket_fd);
        j->lingers = true;
        job_conclude(j, 0);
        job_finish(j);
        return 0;
}

/* One packet per turn of the loop. */
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
        if (r != 0)
                job_fail(j, r, &e);
        else if (j->result && j->type->ends_with_result)
                return job_end_with_result(j);
        return 0;
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
        if (j->lingers) {
                j->timer = sd_event_source_disable_unref(j->timer);
                j->lingers = false;
                if (status != 0)
                        log_warning("The worker of job %s ended with status %i after its result",
                                    j->object.name, status);
                return 0;
        }
        job_conclude(j, status);
        job_finish(j);
        return 0;
}

static int job_command(const Job *j, const char *path, char ***ret) {
        _cleanup_strv_free_ char **argv = NULL;

        if (strv_extend(&argv, path) < 0 || strv_extend(&argv, job_verb(j)) < 0 ||
            (!j->type->without_store &&
             strv_extendf(&argv, "--root=%s", j->object.manager->state_dir) < 0) ||
            strv_extendf(&argv, "--control-fd=%i", CONTROL_FD) < 0)
                return -ENOMEM;
        for (size_t i = 0; i < JOB_FILES_MAX && j->files[i].option; i++)
                if (strv_extendf(&argv, "%s=%zu", j->files[i].option, CONTROL_FD + 1 + i) < 0)
                        return -ENOMEM;
        STRV_FOREACH(s, j->arguments)
                if (strv_extend(&argv, *s) < 0)
                        return -ENOMEM;
        if (j->type->begin && j->type->begin(j, &argv) < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(argv);
        return 0;
}

static int job_watch(Job *j, Error *e) {
        sd_event *event = j->object.manager->event;
        int r;

        r = sd_event_add_io(event, &j->socket_source, j->socket_fd, EPOLLIN, on_packet, j);
        if (r >= 0)
                r = sd_event_add_io(event, &j->pid_source, j->pidfd, EPOLLIN, on_worker_gone, j);
        /* after all that it had to say */
        if (r >= 0)
                r = sd_event_source_set_priority(j->pid_source, SD_EVENT_PRIORITY_NORMAL + 1);
        return r < 0 ? error_setf(e, r, "Failed to watch the worker: %m") : 0;
}

int job_spawn(Job *j, Error *e) {
        int pair[2], fds[CONTROL_FD + 1 + JOB_FILES_MAX], r;
        _cleanup_strv_free_ char **argv = NULL;
        _cleanup_free_ char *path = NULL;
        size_t n_fds = CONTROL_FD + 1;

        if (asprintf(&path, "%s/ctr-worker", j->object.manager->libexec_dir) < 0)
                return -ENOMEM;
        r = job_command(j, path, &argv);
        if (r < 0)
                return r;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
                return error_setf(e, -errno, "Failed to make a socketpair: %m");
        j->socket_fd = pair[0];
        fds[0] = -1;
        fds[1] = fds[2] = STDERR_FILENO;
        fds[CONTROL_FD] = pair[1];
        for (size_t i = 0; i < JOB_FILES_MAX && j->files[i].option; i++)
                fds[n_fds++] = j->files[i].fd;
        r = process_spawn(path, argv, environ, fds, n_fds, &j->pid, &j->pidfd);
        fd_close(pair[1]);
        if (r < 0)
                return error_setf(e, r, "Failed to start %s: %m", path);
        job_close_files(j);
        job_set_phase(j, j->type->first_phase ?: "start");
        return job_watch(j, e);
}
