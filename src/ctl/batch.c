/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/batch.h"

#include "basic/strv.h"
#include "ctl/arguments.h"
#include "ctl/output.h"

#define IN_FLIGHT_MAX 64 /* the bus limits the replies that one connection may wait for */

void batch_clear(Batch *b) {
        for (size_t i = 0; i < b->n; i++) {
                free(b->items[i].path);
                free(b->items[i].extra);
        }
        free(b->items);
        b->items = NULL;
        b->n = 0;
}

static int item_start(BatchItem *item, Error *e) {
        Batch *b = item->batch;

        if (b->kind) {
                item->path = streq(b->kind, "process")
                                             ? client_process_path(b->client, item->name)
                                             : client_object_path(b->client, b->kind, item->name);
                if (!item->path)
                        return error_setf(e, -ENOMEM, "Out of memory");
        }
        return b->start(item, e);
}

static void start_more(Batch *b) {
        while (b->next < b->n && b->running < IN_FLIGHT_MAX) {
                _cleanup_error_ Error e = ERROR_NULL;
                BatchItem *item = b->items + b->next++;

                b->running++;
                if (item_start(item, &e) != 0)
                        batch_item_finish(item, &e);
        }
        b->done = b->running == 0 && b->next == b->n;
}

void batch_item_finish(BatchItem *item, const Error *e) {
        Batch *b = item->batch;

        if (e) {
                item->code = e->code;
                print_error(b->verb, e);
        }
        b->running--;
        b->done = b->running == 0 && b->next == b->n;
}

void batch_item_call(BatchItem *item, const Call *call, RequestHandler handler) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (client_request(item->batch->client, call, handler, item, NULL, &e) != 0)
                batch_item_finish(item, &e);
}

int batch_run(Batch *b, char *const *names, Error *e) {
        int r;

        b->n = strv_length(names);
        b->items = calloc(b->n + 1, sizeof(BatchItem));
        if (!b->items) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        for (size_t i = 0; i < b->n; i++)
                b->items[i] = (BatchItem){.batch = b, .name = names[i]};

        if (client_connect(b->client, e) != 0)
                return EXIT_FAILURE;
        /* started from here only, so that a handler never runs another item's start inside it */
        for (start_more(b); !b->done; start_more(b)) {
                r = sd_event_run(b->client->event, UINT64_MAX);
                if (r < 0) {
                        (void) error_setf(e, r, "Event loop failed: %m");
                        return EXIT_FAILURE;
                }
        }
        for (size_t i = 0; i < b->n; i++)
                if (b->items[i].code != 0)
                        return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

static void on_method_done(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        BatchItem *item = userdata;

        if (e && e->code == CTR_NOT_FOUND && request_is_ambiguous(q))
                e = NULL;
        batch_item_finish(item, e);
}

static int append_item(sd_bus_message *m, void *userdata) {
        const BatchItem *item = userdata;
        Arguments arguments = {.client = item->batch->client,
                               .texts = {item->name},
                               .keys = item->batch->keys};

        return append_arguments(m, &arguments);
}

static int method_start(BatchItem *item, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = item->batch->member,
                           .append = append_item,
                           .userdata = item};

        return client_request(item->batch->client, &call, on_method_done, item, NULL, e);
}

int batch_methods(Client *c, const char *verb, const char *member, unsigned keys,
                  char *const *names, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = verb,
                                              .member = member,
                                              .keys = keys,
                                              .start = method_start};

        return batch_run(&batch, names, e);
}
