/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* create and rm. */

#include "ctl/batch.h"
#include "ctl/create.h"
#include "ctl/pull.h"
#include "ctl/verbs.h"

int verb_create(Client *c, char **args, Error *e) {
        char generated[GENERATED_ID_SIZE];
        _cleanup_(create_request_done) CreateRequest request = {.client = c,
                                                                .id = c->options->name,
                                                                .image = args[0],
                                                                .command = args + 1,
                                                                .own_id = !c->options->name};
        _cleanup_(id_file_close) IdFile id_file = ID_FILE_NULL;
        _cleanup_error_ Error first = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        int r;

        if (!request.id) {
                generate_id(generated);
                request.id = generated;
        }
        request.path = path = client_object_path(c, "container", request.id);
        if (!path) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        if (id_file_open(c->options->id_file, &id_file, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        if (c->options->pull == PULL_ALWAYS && pull_image(c, args[0], "always", NULL, e) != 0)
                return EXIT_FAILURE;
        r = create_container_wait(&request, &first);
        if (r == CTR_NOT_FOUND && c->options->pull == PULL_MISSING) {
                if (pull_image(c, args[0], "missing", NULL, e) != 0)
                        return EXIT_FAILURE;
                r = create_container_wait(&request, e);
        } else if (r != 0)
                (void) error_move(e, &first);
        if (r != 0)
                return EXIT_FAILURE;
        puts(request.id);
        return id_file_write(&id_file, request.id, e) == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

/* rm: the container. If that is refused because a task that has ended is still there, the task goes
 * first; one that runs stays, and the refusal is the answer. */
typedef enum RemoveStep {
        REMOVE_FIRST,
        REMOVE_AFTER_TASK,
} RemoveStep;

static int append_removal(sd_bus_message *m, void *userdata) {
        const Client *c = userdata;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0 && c->options->force)
                r = sd_bus_message_append(m, "{sv}", "Force", "b", true);
        if (r >= 0 && c->options->volumes)
                r = sd_bus_message_append(m, "{sv}", "CleanupVolumes", "b", true);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_removed(Request *q, sd_bus_message *reply, Error *e, void *userdata);

static int remove_container(BatchItem *item, Error *e) {
        Client *c = item->batch->client;
        const Call call = {.path = item->path,
                           .interface = INTERFACE_CONTAINER,
                           .member = "Delete",
                           .append = append_removal,
                           .userdata = c,
                           .what = "container",
                           .name = item->name};

        return client_request(c, &call, on_removed, item, NULL, e);
}

static void on_task_removed(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        BatchItem *item = userdata;

        /* gone in between is as good as removed */
        if (e && e->code != CTR_NOT_FOUND)
                batch_item_finish(item, e);
        else if (remove_container(item, &error) != 0)
                batch_item_finish(item, &error);
}

static int remove_task(BatchItem *item, Error *e) {
        Client *c = item->batch->client;
        _cleanup_free_ char *path = NULL;
        Call call = {.interface = INTERFACE_PROCESS,
                     .member = "Delete",
                     .append = append_no_options,
                     .what = "task",
                     .name = item->name};

        path = client_object_path(c, "task", item->name);
        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        free(item->extra);
        call.path = item->extra = TAKE_PTR(path);
        return client_request(c, &call, on_task_removed, item, NULL, e);
}

static void on_removed(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        _cleanup_error_ Error error = ERROR_NULL;
        BatchItem *item = userdata;

        if (e && e->code == CTR_NOT_FOUND && request_is_ambiguous(q))
                e = NULL;
        if (e && e->code == CTR_FAILED_PRECONDITION && item->step == REMOVE_FIRST) {
                item->step = REMOVE_AFTER_TASK;
                if (remove_task(item, &error) != 0)
                        batch_item_finish(item, &error);
                return;
        }
        batch_item_finish(item, e);
}

int verb_rm(Client *c, char **args, Error *e) {
        _cleanup_(batch_clear) Batch batch = {.client = c,
                                              .verb = "rm",
                                              .kind = "container",
                                              .start = remove_container};

        return batch_run(&batch, args, e);
}
