/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* stop, kill, wait, pause, resume and update: what is done to tasks that are there. */

#include <signal.h>

#include "basic/clock.h"
#include "ctl/batch.h"
#include "ctl/container-keys.h"
#include "ctl/exit-history.h"
#include "ctl/verbs.h"

#define STOP_MARGIN_USEC (60 * USEC_PER_SEC) /* for the kill that follows the graceful stop */

/* A container without a task is not there for these verbs, but it should not be denied either. */
static void on_container_found(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        BatchItem *item = userdata;

        if (!e && streq(item->batch->verb, "stop")) {
                batch_item_finish(item, NULL); /* what does not run is stopped */
                return;
        }
        if (!e) {
                (void) error_setf(&error, CTR_FAILED_PRECONDITION,
                                  "container \"%s\" is not running", item->name);
                e = &error;
        }
        batch_item_finish(item, e);
}

static int append_get(sd_bus_message *m, void *userdata) {
        const BatchItem *item = userdata;
        int r;

        r = sd_bus_message_append(m, "s", item->name);
        return r < 0 ? r : append_namespace(m, item->batch->client);
}

static void find_container(BatchItem *item) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "GetContainer",
                           .append = append_get,
                           .userdata = item};

        batch_item_call(item, &call, on_container_found);
}

static void on_done(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        BatchItem *item = userdata;

        if (e && e->code == CTR_NOT_FOUND && !strchr(item->name, '/'))
                find_container(item);
        else
                batch_item_finish(item, e);
}

static int append_stop(sd_bus_message *m, void *userdata) {
        const Options *o = ((Client *) userdata)->options;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_append(m, "{sv}", "Force", "b", true);
        if (r >= 0 && o->timeout.set)
                r = sd_bus_message_append(m, "{sv}", "TimeoutUSec", "t", o->timeout.value);
        if (r >= 0 && o->signal.set)
                r = sd_bus_message_append(m, "{sv}", "Signal", "i", (int32_t) o->signal.value);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int stop_start(BatchItem *item, Error *e) {
        Client *c = item->batch->client;
        const OptionalU64 *timeout = &c->options->timeout;
        /* the container's own time to stop is not known here, and it may be long */
        const Call call = {.path = item->path,
                           .interface = INTERFACE_TASK,
                           .member = "Stop",
                           .append = append_stop,
                           .userdata = c,
                           .what = "task",
                           .name = item->name,
                           .timeout = timeout->set && timeout->value < UINT64_MAX / 2
                                                      ? timeout->value + STOP_MARGIN_USEC
                                                      : UINT64_MAX};

        return client_request(c, &call, on_done, item, NULL, e);
}

int verb_stop(Client *c, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = "stop",
                                              .kind = "task",
                                              .start = stop_start};

        return batch_run(&batch, args, e);
}

static int append_kill(sd_bus_message *m, void *userdata) {
        const Options *o = ((Client *) userdata)->options;
        int32_t signo = o->signal.set ? (int32_t) o->signal.value : SIGTERM;

        if (o->pid.set)
                return sd_bus_message_append(m, "ia{sv}", signo, 1, "Pid", "u",
                                             (uint32_t) o->pid.value);
        return o->all ? sd_bus_message_append(m, "ia{sv}", signo, 1, "All", "b", true)
                      : sd_bus_message_append(m, "ia{sv}", signo, 0);
}

static int kill_start(BatchItem *item, Error *e) {
        Client *c = item->batch->client;
        const Call call = {.path = item->path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Kill",
                           .append = append_kill,
                           .userdata = c,
                           .what = "task",
                           .name = item->name,
                           .once = true};

        return client_request(c, &call, on_done, item, NULL, e);
}

int verb_kill(Client *c, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = "kill",
                                              .kind = "process",
                                              .start = kill_start};

        return batch_run(&batch, args, e);
}

/* One that went away with its exit while the service was being restarted. */
typedef struct Vanished {
        BatchItem *item;
        ExitHistory history;
} Vanished;

static void on_history(unsigned status, Error *e, void *userdata) {
        Vanished *v = userdata;

        v->item->value = status;
        batch_item_finish(v->item, e);
        exit_history_clear(&v->history);
        free(v);
}

static void ask_history(BatchItem *item, Error *e) {
        Vanished *v = malloc(sizeof(Vanished));

        if (!v) {
                batch_item_finish(item, e);
                return;
        }
        *v = (Vanished){.item = item,
                        .history = {.client = item->batch->client,
                                    .path = item->path,
                                    .since = item->value,
                                    .handler = on_history,
                                    .userdata = v}};
        (void) error_move(&v->history.missing, e);
        exit_history_ask(&v->history);
}

static void on_waited(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        BatchItem *item = userdata;
        uint32_t status;
        int r;

        if (!reply) {
                if (e->code == CTR_NOT_FOUND && request_is_ambiguous(q))
                        ask_history(item, e);
                else
                        on_done(q, NULL, e, item);
                return;
        }
        r = sd_bus_message_read(reply, "ut", &status, NULL);
        if (r < 0) {
                (void) error_setf(&error, r, "Failed to read the exit status: %m");
                batch_item_finish(item, &error);
                return;
        }
        item->value = status;
        batch_item_finish(item, NULL);
}

static int wait_start(BatchItem *item, Error *e) {
        const Call call = {.path = item->path,
                           .interface = INTERFACE_PROCESS,
                           .member = "Wait",
                           .append = append_no_options,
                           .what = "task",
                           .name = item->name,
                           .timeout = UINT64_MAX};

        item->value = now_realtime(); /* until it is the exit status */
        return client_request(item->batch->client, &call, on_waited, item, NULL, e);
}

int verb_wait(Client *c, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = "wait",
                                              .kind = "process",
                                              .start = wait_start};
        int status;

        status = batch_run(&batch, args, e);
        for (size_t i = 0; i < batch.n; i++)
                if (batch.items[i].code == 0)
                        printf("%u\n", (unsigned) batch.items[i].value);
        return status;
}

/* The verb's method without options. */
static int freeze_start(BatchItem *item, Error *e) {
        const Call call = {.path = item->path,
                           .interface = INTERFACE_TASK,
                           .member = streq(item->batch->verb, "pause") ? "Pause" : "Resume",
                           .append = append_no_options,
                           .what = "task",
                           .name = item->name};

        return client_request(item->batch->client, &call, on_done, item, NULL, e);
}

static int freeze(Client *c, const char *verb, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = verb,
                                              .kind = "task",
                                              .start = freeze_start};

        return batch_run(&batch, args, e);
}

int verb_pause(Client *c, char **args, Error *e) {
        return freeze(c, "pause", args, e);
}

int verb_resume(Client *c, char **args, Error *e) {
        return freeze(c, "resume", args, e);
}

static int append_update(sd_bus_message *m, void *userdata) {
        const Client *c = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_keys(m, &c->options->create, KEYS_UPDATE);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : append_no_options(m, NULL);
}

static int update_start(BatchItem *item, Error *e) {
        const Call call = {.path = item->path,
                           .interface = INTERFACE_TASK,
                           .member = "Update",
                           .append = append_update,
                           .userdata = item->batch->client,
                           .what = "task",
                           .name = item->name};

        return client_request(item->batch->client, &call, on_done, item, NULL, e);
}

int verb_update(Client *c, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = "update",
                                              .kind = "task",
                                              .start = update_start};

        if (!has_keys(&c->options->create, KEYS_UPDATE)) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "no limit is given that is to change");
                return EXIT_FAILURE;
        }
        return batch_run(&batch, args, e);
}
