/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/report.h"

#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "worker/packet.h"

#define PACKET_SIZE_MAX (128 * 1024)
#define PROGRESS_MSEC   500

/* What was reported last, so that only changes are. */
typedef struct Report {
        Pull *pull;
        int signal_fd;
        bool plan_sent;
        JobPhase phase;
        LayerPhase *phases;
        char *last; /* progress as sent */
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

static int send_plan(Report *t, Error *e) {
        Pull *p = t->pull;

        if (p->options->control_fd < 0) {
                pull_set_have(p, NULL, 0);
                return 0;
        }
        return send_packet(p->options->control_fd, pack_plan(p), e);
}

/* True if the job or a layer is in another phase than at the last report. */
static bool phase_changed(Report *t) {
        Pull *p = t->pull;
        JobPhase phase;
        bool changed;

        (void) pthread_mutex_lock(&p->mutex);
        phase = pull_job_phase(p);
        changed = phase != t->phase;
        t->phase = phase;
        if (!t->phases && p->n_layers > 0)
                t->phases = calloc(p->n_layers, sizeof(LayerPhase));
        for (size_t i = 0; t->phases && i < p->n_layers; i++) {
                changed = changed || t->phases[i] != p->layers[i].phase;
                t->phases[i] = p->layers[i].phase;
        }
        (void) pthread_mutex_unlock(&p->mutex);
        return changed;
}

/* One line per change of phase, for people. */
static void print_progress(Report *t, const json_t *progress) {
        const json_t *layers = json_object_get(progress, "layers"), *last_layers = NULL;
        _cleanup_json_ json_t *last = NULL;
        json_t *layer;
        size_t i;

        if (t->last)
                last = json_loads(t->last, 0, NULL);
        last_layers = json_object_get(last, "layers");
        if (!last ||
            !json_equal(json_object_get(progress, "phase"), json_object_get(last, "phase")))
                (void) fprintf(stderr, "%s\n",
                               json_string_value(json_object_get(progress, "phase")));
        json_array_foreach(layers, i, layer) {
                json_t *before = json_array_get(last_layers, i);

                if (!before ||
                    !json_equal(json_object_get(layer, "phase"), json_object_get(before, "phase")))
                        (void) fprintf(stderr, "  %s: %s\n",
                                       json_string_value(json_object_get(layer, "ref")),
                                       json_string_value(json_object_get(layer, "phase")));
        }
}

static int send_progress(Report *t, Error *e) {
        _cleanup_json_ json_t *progress = NULL;
        char *text = NULL;
        int r;

        progress = pack_progress(t->pull);
        r = progress ? json_to_text(progress, &text) : -ENOMEM;
        if (r < 0)
                return r;
        t->last_time = now_monotonic();
        if (t->last && streq(t->last, text)) {
                free(text);
                return 0;
        }
        if (t->pull->options->control_fd < 0)
                print_progress(t, progress);
        free(t->last);
        t->last = text;
        if (t->pull->options->control_fd < 0)
                return 0;
        return send_packet(t->pull->options->control_fd, json_incref(progress), e);
}

static int handle_have(Report *t, json_t *j, Error *e) {
        _cleanup_free_ uint64_t *snapshots = NULL;
        json_t *layers, *item;
        size_t i;
        int r;

        r = json_get_array(j, "have", "layers", t->pull->n_layers, &layers, e);
        if (r < 0)
                return r;
        if (r == 0 || json_array_size(layers) != t->pull->n_layers)
                return error_setf(e, -EBADMSG, "have.layers must have one entry for each layer");
        snapshots = calloc(t->pull->n_layers + 1, sizeof(uint64_t));
        if (!snapshots)
                return -ENOMEM;
        json_array_foreach(layers, i, item) {
                if (json_is_null(item))
                        continue;
                if (!json_is_integer(item) || json_integer_value(item) <= 0)
                        return error_setf(e, -EBADMSG,
                                          "have.layers[%zu] must be the number of a snapshot, or "
                                          "null",
                                          i);
                snapshots[i] = (uint64_t) json_integer_value(item);
        }
        pull_set_have(t->pull, snapshots, t->pull->n_layers);
        return 0;
}

/* Takes one packet. *ret_gone is true if the other side is. */
static int receive(Report *t, bool *ret_gone, Error *e) {
        _cleanup_free_ char *buf = NULL;
        _cleanup_json_ json_t *j = NULL;
        const char *type = "";
        ssize_t n;
        int r;

        buf = malloc(PACKET_SIZE_MAX + 1);
        if (!buf)
                return -ENOMEM;
        n = recv(t->pull->options->control_fd, buf, PACKET_SIZE_MAX + 1, MSG_DONTWAIT);
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
        if (!streq(type, "have") || !t->plan_sent)
                return error_setf(e, -EBADMSG, "Unexpected packet of type \"%.40s\"", type);
        return handle_have(t, j, e);
}

static void cancel(Pull *p, const char *reason) {
        _cleanup_error_ Error e = ERROR_NULL;

        (void) error_setf(&e, CTR_CANCELED, "The pull was canceled: %s", reason);
        pull_fail(p, &e, CTR_CANCELED);
}

/* Waits for something to happen and looks at what came in. */
static int wait_events(Report *t, bool *listening, Error *e) {
        Pull *p = t->pull;
        struct pollfd fds[] = {
                        {.fd = t->signal_fd, .events = POLLIN},
                        {.fd = p->event_fd, .events = POLLIN},
                        {.fd = *listening ? p->options->control_fd : -1, .events = POLLIN},
        };
        eventfd_t value;
        int r;

        if (poll(fds, ELEMENTSOF(fds), PROGRESS_MSEC) < 0)
                return errno == EINTR ? 0 : error_setf(e, -errno, "Failed to poll: %m");
        if (fds[0].revents) {
                struct signalfd_siginfo si;

                if (read(t->signal_fd, &si, sizeof(si)) == sizeof(si))
                        cancel(p, strsignal((int) si.ssi_signo));
        }
        if (fds[1].revents)
                (void) eventfd_read(p->event_fd, &value);
        if (fds[2].revents) {
                bool gone = false;

                r = receive(t, &gone, e);
                if (r != 0)
                        return r;
                if (gone) {
                        *listening = false;
                        cancel(p, "the manager is gone");
                }
        }
        return 0;
}

static int step(Report *t, bool *listening, bool *ret_finished, Error *e) {
        Pull *p = t->pull;
        bool planned;
        int r;

        r = wait_events(t, listening, e);
        if (r != 0)
                return r;
        (void) pthread_mutex_lock(&p->mutex);
        *ret_finished = p->finished;
        planned = p->planned;
        (void) pthread_mutex_unlock(&p->mutex);

        if (planned && !t->plan_sent) {
                t->plan_sent = true;
                r = send_plan(t, e);
                if (r != 0)
                        return r;
        }
        if (*listening &&
            (phase_changed(t) || now_monotonic() - t->last_time >= PROGRESS_MSEC * USEC_PER_MSEC))
                return send_progress(t, e);
        return 0;
}

static int run_job(Report *t, Error *e) {
        bool finished = false, listening = true;
        pthread_t job;
        int r;

        r = send_progress(t, e);
        if (r != 0)
                return r;
        r = -pthread_create(&job, NULL, pull_run, t->pull);
        if (r < 0)
                return error_setf(e, r, "Failed to start a thread: %m");
        while (r == 0 && !finished)
                r = step(t, &listening, &finished, e);
        /* without a way to report, the job makes no sense */
        if (r != 0)
                cancel(t->pull, error_text(e));
        (void) pthread_join(job, NULL);
        return r;
}

int report_run(Pull *p, Error *e) {
        _cleanup_close_ int signal_fd = -1;
        Report t = {.pull = p};
        sigset_t set;
        int r;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        t.signal_fd = signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
        if (signal_fd < 0)
                return error_setf(e, -errno, "Failed to make a signalfd: %m");
        r = run_job(&t, e);
        free(t.phases);
        free(t.last);
        if (r == 0 && p->error.code != 0)
                r = error_move(e, &p->error);
        return r;
}

int report_result(Pull *p, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;

        j = pack_result(p);
        if (!j)
                return -ENOMEM;
        if (p->options->control_fd >= 0)
                return send_packet(p->options->control_fd, json_incref(j), e);
        text = json_dumps(j, JSON_INDENT(2));
        if (!text)
                return -ENOMEM;
        if (puts(text) < 0 || fflush(stdout) != 0)
                return error_setf(e, -EIO, "Failed to write to standard output: %m");
        return 0;
}

void report_error(int control_fd, const Error *e) {
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
