/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/report.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/log.h"

#define PACKET_SIZE_MAX (128 * 1024)
/* what one array of a packet may take, and where a `part` is long enough */
#define ARRAY_SIZE_MAX (32 * 1024)
#define PROGRESS_MSEC  500

typedef struct Report {
        WorkerJob *job;
        int signal_fd;
        bool listening; /* the manager has not closed its end */
        bool asked;     /* the question under way was sent */
        json_t *last;   /* progress as sent */
        uint64_t last_time;
} Report;

/* Takes over j. */
static int send_packet(int fd, json_t *packet, Error *e) {
        _cleanup_json_ json_t *j = packet;
        _cleanup_free_ char *text = NULL;
        int r;

        r = j ? json_to_text(j, &text) : -ENOMEM;
        if (r < 0)
                return r;
        if (strlen(text) > PACKET_SIZE_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The image is too large to be described in %i bytes",
                                  PACKET_SIZE_MAX);
        if (send(fd, text, strlen(text), MSG_NOSIGNAL) < 0)
                return error_setf(e, -errno, "Failed to send to the manager: %m");
        return 0;
}

/* Moves items from the front of an array, as many as belong into one packet. NULL: no memory. */
static json_t *take_items(json_t *array) {
        json_t *items = json_array();
        size_t size = 0;

        while (items && json_array_size(array) > 0 && size < ARRAY_SIZE_MAX) {
                json_t *item = json_array_get(array, 0);

                size += json_dumpb(item, NULL, 0, JSON_COMPACT);
                if (json_array_append(items, item) < 0 || json_array_remove(array, 0) < 0) {
                        json_decref(items);
                        return NULL;
                }
        }
        return items;
}

/* Sends beforehand what would make a packet too long. */
static int send_parts(int fd, json_t *packet, Error *e) {
        json_t *value;
        const char *key;
        int r = 0;

        json_object_foreach(packet, key, value) {
                if (!json_is_array(value) ||
                    json_dumpb(value, NULL, 0, JSON_COMPACT) <= ARRAY_SIZE_MAX)
                        continue;
                while (r == 0 && json_array_size(value) > 0) {
                        json_t *items = take_items(value);

                        r = items ? send_packet(fd,
                                                json_pack("{s:s, s:o}", "type", "part", key, items),
                                                e)
                                  : -ENOMEM;
                }
        }
        return r;
}

/* Takes over packet, which may be NULL for a lack of memory. */
static int send_long(int fd, json_t *packet, Error *e) {
        int r = 0;

        if (packet && json_dumpb(packet, NULL, 0, JSON_COMPACT) > PACKET_SIZE_MAX)
                r = send_parts(fd, packet, e);
        if (r != 0) {
                json_decref(packet);
                return r;
        }
        return send_packet(fd, packet, e);
}

static const char *phase_of(const json_t *progress) {
        return strempty(json_string_value(json_object_get(progress, "phase")));
}

/* One line per change of phase, for people. */
static void print_progress(const json_t *last, const json_t *progress) {
        const json_t *layers = json_object_get(progress, "layers");
        const json_t *last_layers = json_object_get(last, "layers");
        json_t *layer;
        size_t i;

        if (!last || !streq(phase_of(progress), phase_of(last)))
                (void) fprintf(stderr, "%s\n", phase_of(progress));
        json_array_foreach(layers, i, layer) {
                const json_t *before = json_array_get(last_layers, i);

                if (!before || !streq(phase_of(layer), phase_of(before)))
                        (void) fprintf(stderr, "  %s: %s\n",
                                       json_string_value(json_object_get(layer, "ref")),
                                       phase_of(layer));
        }
}

static int send_progress(Report *t, Error *e) {
        _cleanup_json_ json_t *progress = NULL;

        progress = t->job->type->progress(t->job);
        if (!progress)
                return -ENOMEM;
        t->last_time = now_monotonic();
        if (t->last && json_equal(t->last, progress))
                return 0;
        if (t->job->control_fd < 0)
                print_progress(t->last, progress);
        json_decref(t->last);
        t->last = json_incref(progress);
        if (t->job->control_fd < 0)
                return 0;
        return send_packet(t->job->control_fd, json_incref(progress), e);
}

static int take_answer(Report *t, json_t *packet, Error *e) {
        int r;

        r = t->job->type->answer(t->job, packet, e);
        if (r != 0)
                return r;
        t->asked = false;
        job_answered(t->job);
        return 0;
}

static int send_plan(Report *t, Error *e) {
        t->asked = true;
        if (t->job->control_fd < 0)
                return take_answer(t, NULL, e);
        return send_long(t->job->control_fd, t->job->type->plan(t->job), e);
}

static int receive(Report *t, bool *ret_gone, Error *e) {
        _cleanup_free_ char *buf = NULL;
        _cleanup_json_ json_t *j = NULL;
        const char *type = "";
        ssize_t n;
        int r;

        buf = malloc(PACKET_SIZE_MAX + 1);
        if (!buf)
                return -ENOMEM;
        n = recv(t->job->control_fd, buf, PACKET_SIZE_MAX + 1, MSG_DONTWAIT);
        if (n < 0 && (errno == EAGAIN || errno == EINTR))
                return 0;
        *ret_gone = n <= 0;
        if (*ret_gone)
                return 0;
        if (n > PACKET_SIZE_MAX)
                return error_setf(e, -EMSGSIZE, "The manager's packet is too long");
        r = json_parse(buf, (size_t) n, "The manager's packet", &j, e);
        if (r != 0)
                return r > 0 ? -EBADMSG : r;
        (void) json_get_string(j, "", "type", &type, NULL);
        if (!streq(type, "have") || !t->asked)
                return error_setf(e, -EBADMSG, "Unexpected packet of type \"%.40s\"", type);
        return take_answer(t, j, e);
}

static void cancel(WorkerJob *j, const char *reason) {
        _cleanup_error_ Error e = ERROR_NULL;

        (void) error_setf(&e, CTR_CANCELED, "The %s was canceled: %s", j->type->name, reason);
        job_fail(j, &e, CTR_CANCELED);
}

/* Waits for something to happen and looks at what came in. */
static int wait_events(Report *t, bool *ret_woken, Error *e) {
        WorkerJob *j = t->job;
        struct pollfd fds[] = {
                        {.fd = t->signal_fd, .events = POLLIN},
                        {.fd = j->event_fd, .events = POLLIN},
                        {.fd = t->listening ? j->control_fd : -1, .events = POLLIN},
        };
        eventfd_t value;
        int r;

        *ret_woken = false;
        if (poll(fds, ELEMENTSOF(fds), PROGRESS_MSEC) < 0)
                return errno == EINTR ? 0 : error_setf(e, -errno, "Failed to poll: %m");
        if (fds[0].revents) {
                struct signalfd_siginfo si;

                if (read(t->signal_fd, &si, sizeof(si)) == sizeof(si))
                        cancel(j, strsignal((int) si.ssi_signo));
        }
        if (fds[1].revents) {
                (void) eventfd_read(j->event_fd, &value);
                *ret_woken = true;
        }
        if (fds[2].revents) {
                bool gone = false;

                r = receive(t, &gone, e);
                if (r != 0)
                        return r;
                if (gone) {
                        t->listening = false;
                        cancel(j, "the manager is gone");
                }
        }
        return 0;
}

static int step(Report *t, bool *ret_finished, Error *e) {
        WorkerJob *j = t->job;
        bool asking, woken;
        int r;

        r = wait_events(t, &woken, e);
        if (r != 0)
                return r;
        (void) pthread_mutex_lock(&j->mutex);
        *ret_finished = j->finished;
        asking = j->asking;
        (void) pthread_mutex_unlock(&j->mutex);

        if (asking && !t->asked) {
                r = send_plan(t, e);
                if (r != 0)
                        return r;
        }
        if (t->listening && (woken || *ret_finished ||
                             now_monotonic() - t->last_time >= PROGRESS_MSEC * USEC_PER_MSEC))
                return send_progress(t, e);
        return 0;
}

static int run(Report *t, Error *e) {
        bool finished = false;
        pthread_t thread;
        int r;

        r = send_progress(t, e);
        if (r != 0)
                return r;
        r = -pthread_create(&thread, NULL, job_run, t->job);
        if (r < 0)
                return error_setf(e, r, "Failed to start a thread: %m");
        while (r == 0 && !finished)
                r = step(t, &finished, e);
        /* without a way to report, the job makes no sense */
        if (r != 0)
                cancel(t->job, error_text(e));
        (void) pthread_join(thread, NULL);
        return r;
}

static int send_result(WorkerJob *j, Error *e) {
        _cleanup_json_ json_t *result = NULL;
        _cleanup_free_ char *text = NULL;

        result = j->type->result(j);
        if (!result)
                return -ENOMEM;
        if (j->control_fd >= 0)
                return send_long(j->control_fd, json_incref(result), e);
        text = json_dumps(result, JSON_INDENT(2));
        if (!text)
                return -ENOMEM;
        if (puts(text) < 0 || fflush(stdout) != 0)
                return error_setf(e, -EIO, "Failed to write to standard output: %m");
        return 0;
}

int report_run(WorkerJob *j, Error *e) {
        _cleanup_close_ int signal_fd = -1;
        Report t = {.job = j, .listening = true};
        sigset_t set;
        int r;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        t.signal_fd = signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signal_fd < 0)
                return error_setf(e, -errno, "Failed to make a signalfd: %m");
        r = run(&t, e);
        json_decref(t.last);
        if (r == 0 && j->error.code != 0)
                r = error_move(e, &j->error);
        return r == 0 ? send_result(j, e) : r;
}

static void report_error(int control_fd, const Error *e) {
        json_t *j;

        if (control_fd < 0) {
                log_error("%s: %s", error_code_to_string((int) error_code_for_client(e->code)),
                          error_text(e));
                return;
        }
        j = json_pack("{s:s, s:s, s:s}", "type", "error", "code",
                      error_code_to_string((int) error_code_for_client(e->code)), "text",
                      error_text(e));
        /* if the other side is gone, nobody is there to be told */
        (void) send_packet(control_fd, j, NULL);
}

int report_end(int control_fd, int r, Error *e) {
        if (r == 0)
                return 0;
        if (e->code == 0)
                (void) error_setf(e, r, "%s",
                                  r < 0 ? strerrordesc_np(-r) : error_code_to_string(r));
        report_error(control_fd, e);
        return 1;
}
