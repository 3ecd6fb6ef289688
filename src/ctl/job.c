/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/job.h"

#include <signal.h>

#include "ctl/bus-json.h"
#include "ctl/progress.h"

/*
 * A job ends with the signal JobRemoved and with the answer to its Wait. Both are listened to: the
 * signal also tells of a job that ended before Wait could be called, the answer brings the result,
 * and its failure tells that the service went away. Subscribing comes before the call that makes
 * the job, so nothing is missed.
 */

#define RESTARTS_MAX       12
#define EARLY_REMOVALS_MAX 8
#define ITEMS_MAX          512

typedef struct Removal {
        char *job;
        Error error;
} Removal;

typedef struct JobRun {
        Client *client;
        const Call *call;
        const char *noun;
        char *job;                         /* NULL until the call has answered */
        Removal early[EARLY_REMOVALS_MAX]; /* of jobs while we do not know which one is ours */
        size_t n_early;
        Progress *progress; /* NULL: quiet */
        sd_event_source *interrupt;
        sigset_t old_mask;
        unsigned restarts, interrupts;
        json_t *result;
        Error error;
        bool succeeded; /* JobRemoved says so; the answer to Wait is on its way */
        bool done;
} JobRun;

static void run_start(JobRun *j);

/* The first end counts. */
static void run_finish(JobRun *j, Error *e) {
        if (j->done)
                return;
        if (e)
                (void) error_move(&j->error, e);
        j->done = true;
}

static int read_progress(JobRun *j, sd_bus_message *m) {
        ProgressItem items[ITEMS_MAX];
        size_t n = 0;
        int r;

        r = sd_bus_message_enter_container(m, 'a', "(sstt)");
        while (r >= 0 && n < ITEMS_MAX) {
                ProgressItem *i = items + n;

                r = sd_bus_message_read(m, "(sstt)", &i->ref, &i->phase, &i->done, &i->total);
                if (r <= 0)
                        break;
                n++;
        }
        if (r < 0)
                return r;
        if (n == ITEMS_MAX) /* the rest of a very long list is not shown */
                while ((r = sd_bus_message_skip(m, "(sstt)")) > 0)
                        ;
        r = sd_bus_message_exit_container(m);
        return r < 0 ? r : progress_update(j->progress, items, n);
}

/* Reads an a{sv} and shows what it says about Progress. */
static int read_properties(JobRun *j, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && j->progress && streq(name, "Progress")) {
                        r = sd_bus_message_enter_container(m, 'v', "a(sstt)");
                        if (r >= 0)
                                r = read_progress(j, m);
                        if (r >= 0)
                                r = sd_bus_message_exit_container(m);
                } else if (r >= 0)
                        r = sd_bus_message_skip(m, "v");
                if (r >= 0)
                        r = sd_bus_message_exit_container(m);
                if (r < 0)
                        return r;
        }
        return r < 0 ? r : sd_bus_message_exit_container(m);
}

static int on_properties_changed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        JobRun *j = userdata;
        const char *interface;

        if (!j->job || !streq(strempty(sd_bus_message_get_path(m)), j->job))
                return 0;
        /* a display that fails must not fail the job */
        if (sd_bus_message_read(m, "s", &interface) >= 0 && streq(interface, INTERFACE_JOB))
                (void) read_properties(j, m);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *job, *result, *name, *text;
        _cleanup_error_ Error e = ERROR_NULL;
        JobRun *j = userdata;

        if (sd_bus_message_read(m, "tosss", NULL, &job, &result, &name, &text) < 0)
                return 0;
        if (!streq(result, "done"))
                (void) error_setf(&e,
                                  streq(result, "canceled") ? CTR_CANCELED
                                                            : (int) error_code_from_string(name),
                                  "%s", *text ? text : "canceled");
        if (j->job) {
                if (streq(job, j->job) && e.code == 0)
                        j->succeeded = true;
                else if (streq(job, j->job))
                        run_finish(j, &e);
        } else if (j->n_early < EARLY_REMOVALS_MAX) {
                Removal *removal = j->early + j->n_early;

                removal->job = strdup(job);
                if (removal->job) {
                        (void) error_move(&removal->error, &e);
                        j->n_early++;
                }
        }
        return 0;
}

static void early_clear(JobRun *j) {
        while (j->n_early > 0) {
                Removal *removal = j->early + --j->n_early;

                free(removal->job);
                error_clear(&removal->error);
        }
}

static void on_wait(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        JobRun *j = userdata;

        if (j->done)
                return;
        if (reply && j->result == NULL) /* one without a result is a success all the same */
                (void) bus_message_read_json(reply, &j->result);
        /* it was faster than our question, and its result is lost */
        if (e && j->succeeded && e->code == CTR_NOT_FOUND)
                e = NULL;
        /* a service that has been restarted has lost its jobs */
        if (e && (request_object_is_missing(q) || request_is_ambiguous(q)) &&
            e->code == CTR_NOT_FOUND && j->interrupts == 0 && !j->call->once &&
            ++j->restarts < RESTARTS_MAX)
                run_start(j);
        else
                run_finish(j, e);
}

static void on_properties(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        JobRun *j = userdata;

        if (reply)
                (void) read_properties(j, reply);
}

static int append_job_interface(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "s", INTERFACE_JOB);
}

static int watch_job(JobRun *j, Error *e) {
        const Call wait = {.path = j->job,
                           .interface = INTERFACE_JOB,
                           .member = "Wait",
                           .append = append_no_options,
                           .what = "job",
                           .name = j->job,
                           .timeout = UINT64_MAX};
        const Call properties = {.path = j->job,
                                 .interface = INTERFACE_PROPERTIES,
                                 .member = "GetAll",
                                 .append = append_job_interface};
        int r;

        r = client_request(j->client, &wait, on_wait, j, NULL, e);
        if (r == 0 && j->progress)
                r = client_request(j->client, &properties, on_properties, j, NULL, e);
        return r;
}

static void on_job_started(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        JobRun *j = userdata;
        const char *job;
        int r;

        if (!reply) {
                run_finish(j, e);
                return;
        }
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = free_and_strdup(&j->job, job);
        if (r < 0) {
                (void) error_setf(&error, r, "Failed to read the job: %m");
                run_finish(j, &error);
                return;
        }
        for (size_t i = 0; i < j->n_early; i++)
                if (streq(j->early[i].job, j->job) && j->early[i].error.code != 0) {
                        run_finish(j, &j->early[i].error);
                        return;
                } else if (streq(j->early[i].job, j->job))
                        j->succeeded = true;
        if (watch_job(j, &error) != 0)
                run_finish(j, &error);
}

static void run_start(JobRun *j) {
        _cleanup_error_ Error e = ERROR_NULL;

        free(TAKE_PTR(j->job));
        early_clear(j);
        if (client_request(j->client, j->call, on_job_started, j, NULL, &e) != 0)
                run_finish(j, &e);
}

static void on_canceled(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
}

static int on_interrupt(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        JobRun *j = userdata;
        const Call call = {.path = j->job,
                           .interface = INTERFACE_JOB,
                           .member = "Cancel",
                           .append = append_no_options};

        if (j->interrupts++ == 0 && j->job &&
            client_request(j->client, &call, on_canceled, j, NULL, &e) == 0) {
                fprintf(stderr, "Canceling the %s; once more to not wait for that.\n", j->noun);
                return 0;
        }
        error_clear(&e);
        (void) error_setf(&e, CTR_CANCELED, "Interrupted");
        run_finish(j, &e);
        return 0;
}

static int run_set_up(JobRun *j, Error *e) {
        static const char properties_match[] =
                        "type='signal',sender='" SERVICE "',interface='" INTERFACE_PROPERTIES
                        "',member='PropertiesChanged',path_namespace='" PATH_MANAGER "/job'";
        static const char removed_match[] =
                        "type='signal',sender='" SERVICE "',interface='" INTERFACE_MANAGER
                        "',member='JobRemoved',path='" PATH_MANAGER "'";
        sigset_t interrupt;
        int r;

        (void) sigemptyset(&interrupt);
        (void) sigaddset(&interrupt, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &interrupt, &j->old_mask);
        r = sd_event_add_signal(j->client->event, &j->interrupt, SIGINT, on_interrupt, j);
        if (r < 0)
                return error_setf(e, r, "Failed to handle SIGINT: %m");
        if (!j->client->options->quiet) {
                j->progress = progress_new(stderr);
                if (!j->progress)
                        return error_setf(e, -ENOMEM, "Out of memory");
                r = client_subscribe(j->client, properties_match, on_properties_changed, j, e);
                if (r != 0)
                        return r;
        }
        return client_subscribe(j->client, removed_match, on_job_removed, j, e);
}

static void run_clear(JobRun *j) {
        /* everything that still could call back into j goes with it */
        while (j->client->requests)
                request_free(j->client->requests);
        client_unsubscribe(j->client);
        sd_event_source_disable_unref(j->interrupt);
        (void) sigprocmask(SIG_SETMASK, &j->old_mask, NULL);
        progress_free(j->progress);
        early_clear(j);
        json_decref(j->result);
        error_clear(&j->error);
        free(j->job);
}

int job_run(Client *c, const Call *call, const char *noun, json_t **ret, Error *e) {
        _cleanup_(run_clear) JobRun j = {.client = c, .call = call, .noun = noun};
        int r;

        (void) sigprocmask(SIG_BLOCK, NULL, &j.old_mask);
        r = run_set_up(&j, e);
        if (r != 0)
                return r;
        run_start(&j);
        r = client_loop(c, &j.done, e);
        if (r != 0)
                return r;
        if (j.error.code != 0)
                return error_move(e, &j.error);
        if (!ret)
                return 0;
        *ret = json_is_object(j.result) ? TAKE_PTR(j.result) : json_object();
        return *ret ? 0 : error_setf(e, -ENOMEM, "Out of memory");
}

int job_failure_status(const Error *e) {
        return e->code == CTR_CANCELED ? 128 + SIGINT : EXIT_FAILURE;
}
