/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/pull.h"

#include <signal.h>

#include "ctl/progress.h"

/*
 * A job ends with the signal JobRemoved and with the answers to its Wait. Both are listened to: the
 * signal also tells of a job that ended before Wait could be called, the call also notices that the
 * service went away. Subscribing comes before PullImage, so nothing is missed.
 */

#define RESTARTS_MAX       12
#define EARLY_REMOVALS_MAX 8
#define ITEMS_MAX          512

typedef struct Removal {
        char *job;
        Error error;
} Removal;

typedef struct Pull {
        Client *client;
        const char *reference;
        PullPolicy policy;
        char *job;                         /* NULL until PullImage has answered */
        Removal early[EARLY_REMOVALS_MAX]; /* of jobs while we do not know which one is ours */
        size_t n_early;
        Progress *progress; /* NULL: quiet */
        sd_event_source *interrupt;
        sigset_t old_mask;
        unsigned restarts, interrupts;
        Error error;
        bool done;
} Pull;

static void pull_start(Pull *p);

/* The first end counts. */
static void pull_finish(Pull *p, Error *e) {
        if (p->done)
                return;
        if (e)
                (void) error_move(&p->error, e);
        p->done = true;
}

static int read_progress(Pull *p, sd_bus_message *m) {
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
        return r < 0 ? r : progress_update(p->progress, items, n);
}

/* Reads an a{sv} and shows what it says about Progress. */
static int read_properties(Pull *p, sd_bus_message *m) {
        int r;

        r = sd_bus_message_enter_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        while ((r = sd_bus_message_enter_container(m, 'e', "sv")) > 0) {
                const char *name;

                r = sd_bus_message_read(m, "s", &name);
                if (r >= 0 && p->progress && streq(name, "Progress")) {
                        r = sd_bus_message_enter_container(m, 'v', "a(sstt)");
                        if (r >= 0)
                                r = read_progress(p, m);
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
        Pull *p = userdata;
        const char *interface;

        if (!p->job || !streq(strempty(sd_bus_message_get_path(m)), p->job))
                return 0;
        /* a display that fails must not fail the pull */
        if (sd_bus_message_read(m, "s", &interface) >= 0 && streq(interface, INTERFACE_JOB))
                (void) read_properties(p, m);
        return 0;
}

static int on_job_removed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *job, *result, *name, *text;
        _cleanup_error_ Error e = ERROR_NULL;
        Pull *p = userdata;

        if (sd_bus_message_read(m, "tosss", NULL, &job, &result, &name, &text) < 0)
                return 0;
        if (!streq(result, "done"))
                (void) error_setf(&e,
                                  streq(result, "canceled") ? CTR_CANCELED
                                                            : (int) error_code_from_string(name),
                                  "%s", *text ? text : "canceled");
        if (p->job) {
                if (streq(job, p->job))
                        pull_finish(p, &e);
        } else if (p->n_early < EARLY_REMOVALS_MAX) {
                Removal *removal = p->early + p->n_early;

                removal->job = strdup(job);
                if (removal->job) {
                        (void) error_move(&removal->error, &e);
                        p->n_early++;
                }
        }
        return 0;
}

static void early_clear(Pull *p) {
        while (p->n_early > 0) {
                Removal *removal = p->early + --p->n_early;

                free(removal->job);
                error_clear(&removal->error);
        }
}

static void on_wait(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Pull *p = userdata;

        if (p->done)
                return;
        /* a service that has been restarted has lost its jobs */
        if (e && (request_object_is_missing(q) || request_is_ambiguous(q)) &&
            e->code == CTR_NOT_FOUND && p->interrupts == 0 && ++p->restarts < RESTARTS_MAX)
                pull_start(p);
        else
                pull_finish(p, e);
}

static void on_properties(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        Pull *p = userdata;

        if (reply)
                (void) read_properties(p, reply);
}

static int append_job_interface(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "s", INTERFACE_JOB);
}

static int watch_job(Pull *p, Error *e) {
        const Call wait = {.path = p->job,
                           .interface = INTERFACE_JOB,
                           .member = "Wait",
                           .append = append_no_options,
                           .what = "job",
                           .name = p->job,
                           .timeout = UINT64_MAX};
        const Call properties = {.path = p->job,
                                 .interface = INTERFACE_PROPERTIES,
                                 .member = "GetAll",
                                 .append = append_job_interface};
        int r;

        r = client_request(p->client, &wait, on_wait, p, NULL, e);
        if (r == 0 && p->progress)
                r = client_request(p->client, &properties, on_properties, p, NULL, e);
        return r;
}

static void on_pull_started(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        Pull *p = userdata;
        const char *job;
        int r;

        if (!reply) {
                pull_finish(p, e);
                return;
        }
        r = sd_bus_message_read(reply, "o", &job);
        if (r >= 0)
                r = free_and_strdup(&p->job, job);
        if (r < 0) {
                (void) error_setf(&error, r, "Failed to read the job: %m");
                pull_finish(p, &error);
                return;
        }
        for (size_t i = 0; i < p->n_early; i++)
                if (streq(p->early[i].job, p->job)) {
                        pull_finish(p, &p->early[i].error);
                        return;
                }
        if (watch_job(p, &error) != 0)
                pull_finish(p, &error);
}

static int append_pull(sd_bus_message *m, void *userdata) {
        const Pull *p = userdata;
        int r;

        r = sd_bus_message_append(m, "s", p->reference);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_namespace(m, p->client);
        if (r >= 0 && p->policy == PULL_MISSING)
                r = sd_bus_message_append(m, "{sv}", "Policy", "s", "missing");
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void pull_start(Pull *p) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "PullImage",
                           .append = append_pull,
                           .userdata = p};
        _cleanup_error_ Error e = ERROR_NULL;

        free(TAKE_PTR(p->job));
        early_clear(p);
        if (client_request(p->client, &call, on_pull_started, p, NULL, &e) != 0)
                pull_finish(p, &e);
}

static void on_canceled(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
}

static int on_interrupt(sd_event_source *s, const struct signalfd_siginfo *si, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Pull *p = userdata;
        const Call call = {.path = p->job,
                           .interface = INTERFACE_JOB,
                           .member = "Cancel",
                           .append = append_no_options};

        if (p->interrupts++ == 0 && p->job &&
            client_request(p->client, &call, on_canceled, p, NULL, &e) == 0) {
                fprintf(stderr, "Canceling the pull; once more to not wait for that.\n");
                return 0;
        }
        error_clear(&e);
        (void) error_setf(&e, CTR_CANCELED, "Interrupted");
        pull_finish(p, &e);
        return 0;
}

static int pull_set_up(Pull *p, Error *e) {
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
        (void) sigprocmask(SIG_BLOCK, &interrupt, &p->old_mask);
        r = sd_event_add_signal(p->client->event, &p->interrupt, SIGINT, on_interrupt, p);
        if (r < 0)
                return error_setf(e, r, "Failed to handle SIGINT: %m");
        if (!p->client->options->quiet) {
                p->progress = progress_new(stderr);
                if (!p->progress)
                        return error_setf(e, -ENOMEM, "Out of memory");
                r = client_subscribe(p->client, properties_match, on_properties_changed, p, e);
                if (r != 0)
                        return r;
        }
        return client_subscribe(p->client, removed_match, on_job_removed, p, e);
}

static void pull_clear(Pull *p) {
        /* everything that still could call back into p goes with it */
        while (p->client->requests)
                request_free(p->client->requests);
        client_unsubscribe(p->client);
        sd_event_source_disable_unref(p->interrupt);
        (void) sigprocmask(SIG_SETMASK, &p->old_mask, NULL);
        progress_free(p->progress);
        early_clear(p);
        error_clear(&p->error);
        free(p->job);
}

int pull_image(Client *c, const char *reference, PullPolicy policy, Error *e) {
        _cleanup_(pull_clear) Pull p = {.client = c, .reference = reference, .policy = policy};
        int r;

        (void) sigprocmask(SIG_BLOCK, NULL, &p.old_mask);
        if (!c->options->quiet)
                fprintf(stderr, "Pulling %s\n", reference);
        r = pull_set_up(&p, e);
        if (r != 0)
                return r;
        pull_start(&p);
        r = client_loop(c, &p.done, e);
        if (r != 0)
                return r;
        return p.error.code != 0 ? error_move(e, &p.error) : 0;
}
