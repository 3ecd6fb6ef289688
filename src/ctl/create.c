/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/create.h"

#include <fcntl.h>
#include <sys/random.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/strv.h"
#include "ctl/arguments.h"
#include "ctl/container-keys.h"

static int append_mounts(sd_bus_message *m, const MountList *mounts) {
        int r;

        if (mounts->n == 0)
                return 0;
        r = message_open_array(m, "Mounts", "(sssas)");
        for (size_t i = 0; r >= 0 && i < mounts->n; i++) {
                const Mount *mount = mounts->items + i;

                r = sd_bus_message_open_container(m, 'r', "sssas");
                if (r >= 0)
                        r = sd_bus_message_append(m, "sss", mount->source, mount->destination,
                                                  mount->type);
                if (r >= 0)
                        r = sd_bus_message_append_strv(m, mount->options);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
        }
        return r < 0 ? r : message_close_array(m);
}

static int append_secrets(sd_bus_message *m, const SecretList *secrets) {
        int r;

        if (secrets->n == 0)
                return 0;
        r = message_open_array(m, "Secrets", "(ssuuu)");
        for (size_t i = 0; r >= 0 && i < secrets->n; i++) {
                const SecretMount *s = secrets->items + i;

                r = sd_bus_message_append(m, "(ssuuu)", s->name, s->target, s->uid, s->gid,
                                          s->mode);
        }
        return r < 0 ? r : message_close_array(m);
}

static int append_devices(sd_bus_message *m, char *const *devices) {
        int r;

        if (!devices)
                return 0;
        r = message_open_array(m, "Devices", "(ss)");
        for (char *const *d = devices; r >= 0 && d[0] && d[1]; d += 2)
                r = sd_bus_message_append(m, "(ss)", d[0], d[1]);
        return r < 0 ? r : message_close_array(m);
}

/* With an entrypoint of our own the image's command is not its arguments, as podman has it. */
static int append_command(sd_bus_message *m, const CreateOptions *o, char *const *command) {
        int r = 0;

        if (o->entrypoint.set)
                r = message_append_list(m, "Entrypoint", o->entrypoint.list);
        if (r >= 0 && (o->entrypoint.set || (command && *command)))
                r = message_append_list(m, "Arguments", command);
        return r;
}

static int append_create_container(sd_bus_message *m, void *userdata) {
        const CreateRequest *request = userdata;
        const CreateOptions *o = &request->client->options->create;
        int r;

        r = sd_bus_message_append(m, "ss", request->id, request->image);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = message_append_namespace(m, request->client);
        /* who throws the files away needs none of them on a disk */
        if (r >= 0 && request->client->options->remove)
                r = sd_bus_message_append(m, "{sv}", "Volatile", "b", true);
        if (r >= 0 && request->client->options->remove)
                r = sd_bus_message_append(m, "{sv}", "AutoRemove", "b", true);
        if (r >= 0)
                r = message_append_keys(m, o, KEYS_CREATE);
        if (r >= 0 && !o->user_namespace.mode && o->uid_mappings.n + o->gid_mappings.n > 0)
                r = sd_bus_message_append(m, "{sv}", "UserNamespace", "s", "mapped");
        if (r >= 0)
                r = append_command(m, o, request->command);
        if (r >= 0)
                r = message_append_labels_key(m, "Labels", o->labels);
        if (r >= 0)
                r = append_mounts(m, &o->mounts);
        if (r >= 0)
                r = append_secrets(m, &o->secrets);
        if (r >= 0)
                r = append_devices(m, o->devices);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static void on_age_known(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        CreateRequest *r = userdata;
        uint64_t created_at;

        if (reply && sd_bus_message_read(reply, "v", "t", &created_at) >= 0 &&
            created_at >= r->sent_at)
                r->handler(NULL, r->userdata);
        else
                r->handler(&r->refused, r->userdata);
}

static int append_created_at(sd_bus_message *m, void *userdata) {
        return sd_bus_message_append(m, "ss", INTERFACE_CONTAINER, "CreatedAt");
}

static void on_answered(Request *q, sd_bus_message *reply, Error *e, void *userdata) {
        CreateRequest *r = userdata;
        const Call ask = {.path = r->path,
                          .interface = INTERFACE_PROPERTIES,
                          .member = "Get",
                          .append = append_created_at};

        if (!e || e->code != CTR_ALREADY_EXISTS || !request_is_ambiguous(q))
                r->handler(e, r->userdata);
        else if (r->own_id)
                r->handler(NULL, r->userdata);
        else if (r->client->options->host) /* another machine's clock cannot be compared to ours */
                r->handler(e, r->userdata);
        else {
                (void) error_move(&r->refused, e);
                if (client_request(r->client, &ask, on_age_known, r, NULL, NULL) != 0)
                        r->handler(&r->refused, r->userdata);
        }
}

int create_container(CreateRequest *r, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "CreateContainer",
                           .append = append_create_container,
                           .userdata = r};

        assert(r->client && r->id && r->path && r->handler);

        error_clear(&r->refused);
        r->sent_at = now_realtime();
        return client_request(r->client, &call, on_answered, r, NULL, e);
}

typedef struct Answer {
        bool done;
        Error error;
} Answer;

static void on_created(Error *e, void *userdata) {
        Answer *a = userdata;

        a->done = true;
        if (e)
                (void) error_move(&a->error, e);
}

int create_container_wait(CreateRequest *r, Error *e) {
        Answer answer = {};
        int k;

        r->handler = on_created;
        r->userdata = &answer;
        k = create_container(r, e);
        if (k == 0)
                k = client_loop(r->client, &answer.done, e);
        if (k != 0)
                return k;
        return answer.error.code != 0 ? error_move(e, &answer.error) : 0;
}

void create_request_done(CreateRequest *r) {
        error_clear(&r->refused);
}

void generate_id(char buf[static GENERATED_ID_SIZE]) {
        uint64_t random = 0;

        /* so few bytes are never interrupted, and the pool is ready long before there is a bus */
        (void) !getrandom(&random, sizeof(random), 0);
        (void) snprintf(buf, GENERATED_ID_SIZE, "%016llx", (unsigned long long) random);
}

int id_file_open(const char *path, IdFile *ret, Error *e) {
        int fd;

        if (!path)
                return 0;
        fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOCTTY, 0644);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make %s: %m", path);
        *ret = (IdFile){.fd = fd, .path = path};
        return 0;
}

int id_file_write(IdFile *f, const char *id, Error *e) {
        int r;

        if (!f->path)
                return 0;
        r = fd_write_all(f->fd, id, strlen(id));
        if (r < 0)
                return error_setf(e, r, "Failed to write the id of the container to %s: %m",
                                  f->path);
        f->path = NULL;
        return 0;
}

void id_file_close(IdFile *f) {
        if (f->path)
                (void) unlink(f->path);
        f->fd = fd_close(f->fd);
}
