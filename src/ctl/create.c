/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/create.h"

#include <sys/random.h>

#include "basic/clock.h"
#include "basic/strv.h"

typedef enum KeyType {
        KEY_STRING,
        KEY_STRV,
        KEY_FLAG,
        KEY_BOOLEAN, /* these three are an OptionalU64 */
        KEY_INT32,
        KEY_UINT64,
} KeyType;

static const struct {
        const char *name;
        KeyType type;
        size_t offset;
} keys[] = {
#define KEY(n, t, f)                                                                               \
        { (n), (t), offsetof(CreateOptions, f) }
                KEY("Environment", KEY_STRV, environment),
                KEY("WorkingDirectory", KEY_STRING, working_directory),
                KEY("User", KEY_STRING, user),
                KEY("Terminal", KEY_FLAG, terminal),
                KEY("Hostname", KEY_STRING, hostname),
                KEY("Network", KEY_STRING, network),
                KEY("ReadOnly", KEY_FLAG, read_only),
                KEY("CapabilitiesAdd", KEY_STRV, capabilities_add),
                KEY("CapabilitiesDrop", KEY_STRV, capabilities_drop),
                KEY("NoNewPrivileges", KEY_BOOLEAN, no_new_privileges),
                KEY("StopSignal", KEY_INT32, stop_signal),
                KEY("StopTimeoutUSec", KEY_UINT64, stop_timeout),
                KEY("MemoryMax", KEY_UINT64, memory_max),
                KEY("MemoryHigh", KEY_UINT64, memory_high),
                KEY("MemoryLow", KEY_UINT64, memory_low),
                KEY("MemorySwapMax", KEY_UINT64, memory_swap_max),
                KEY("TasksMax", KEY_UINT64, tasks_max),
                KEY("CPUWeight", KEY_UINT64, cpu_weight),
                KEY("CPUQuotaPerSecUSec", KEY_UINT64, cpu_quota),
                KEY("IOWeight", KEY_UINT64, io_weight),
                KEY("AllowedCPUs", KEY_STRING, allowed_cpus),
                KEY("AllowedMemoryNodes", KEY_STRING, allowed_memory_nodes),
                KEY("OOMScoreAdjust", KEY_INT32, oom_score_adjust),
#undef KEY
};

static int append_strv(sd_bus_message *m, const char *name, char *const *list) {
        int r;

        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, (char **) list);
        if (r >= 0)
                r = sd_bus_message_close_container(m);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

static int append_key(sd_bus_message *m, const char *name, KeyType type, const void *field) {
        const OptionalU64 *number = field;

        switch (type) {
        case KEY_STRING:
                return *(char *const *) field ? sd_bus_message_append(m, "{sv}", name, "s",
                                                                      *(char *const *) field)
                                              : 0;
        case KEY_STRV:
                return *(char **const *) field ? append_strv(m, name, *(char **const *) field) : 0;
        case KEY_FLAG:
                return *(const bool *) field ? sd_bus_message_append(m, "{sv}", name, "b", true)
                                             : 0;
        case KEY_BOOLEAN:
                return number->set ? sd_bus_message_append(m, "{sv}", name, "b",
                                                           (int) number->value)
                                   : 0;
        case KEY_INT32:
                return number->set ? sd_bus_message_append(m, "{sv}", name, "i",
                                                           (int32_t) number->value)
                                   : 0;
        case KEY_UINT64:
                return number->set ? sd_bus_message_append(m, "{sv}", name, "t", number->value) : 0;
        }
        return -EINVAL;
}

/* Opens {"name": <array of type>}; close_array() closes it. */
static int open_array(sd_bus_message *m, const char *name, const char *type) {
        char signature[16];
        int r;

        (void) snprintf(signature, sizeof(signature), "a%s", type);
        r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", name);
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', signature);
        return r < 0 ? r : sd_bus_message_open_container(m, 'a', type);
}

static int close_array(sd_bus_message *m) {
        int r = 0;

        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_labels(sd_bus_message *m, char *const *labels) {
        int r;

        if (!labels)
                return 0;
        r = open_array(m, "Labels", "{ss}");
        STRV_FOREACH(label, labels) {
                size_t n = strcspn(*label, "=");
                char *key;

                if (r < 0)
                        return r;
                key = strndup(*label, n);
                if (!key)
                        return -ENOMEM;
                r = sd_bus_message_append(m, "{ss}", key, *label + n + 1);
                free(key);
        }
        return r < 0 ? r : close_array(m);
}

static int append_mounts(sd_bus_message *m, const MountList *mounts) {
        int r;

        if (mounts->n == 0)
                return 0;
        r = open_array(m, "Mounts", "(sssas)");
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
        return r < 0 ? r : close_array(m);
}

static int append_devices(sd_bus_message *m, char *const *devices) {
        int r;

        if (!devices)
                return 0;
        r = open_array(m, "Devices", "(ss)");
        for (char *const *d = devices; r >= 0 && d[0] && d[1]; d += 2)
                r = sd_bus_message_append(m, "(ss)", d[0], d[1]);
        return r < 0 ? r : close_array(m);
}

static int append_rlimits(sd_bus_message *m, const RlimitList *rlimits) {
        int r;

        if (rlimits->n == 0)
                return 0;
        r = open_array(m, "Rlimits", "(stt)");
        for (size_t i = 0; r >= 0 && i < rlimits->n; i++)
                r = sd_bus_message_append(m, "(stt)", rlimits->items[i].name,
                                          rlimits->items[i].soft, rlimits->items[i].hard);
        return r < 0 ? r : close_array(m);
}

/* With an entrypoint of our own the image's command is not its arguments, as podman has it. */
static int append_command(sd_bus_message *m, const CreateOptions *o, char *const *command) {
        int r = 0;

        if (o->entrypoint.set)
                r = append_strv(m, "Entrypoint", o->entrypoint.list);
        if (r >= 0 && (o->entrypoint.set || (command && *command)))
                r = append_strv(m, "Arguments", command);
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
        if (r >= 0 && request->client->options->remove && request->client->options->detach)
                r = sd_bus_message_append(m, "{sv}", "AutoRemove", "b", true);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(keys); i++)
                r = append_key(m, keys[i].name, keys[i].type, (const char *) o + keys[i].offset);
        if (r >= 0)
                r = append_command(m, o, request->command);
        if (r >= 0)
                r = append_labels(m, o->labels);
        if (r >= 0)
                r = append_mounts(m, &o->mounts);
        if (r >= 0)
                r = append_devices(m, o->devices);
        if (r >= 0)
                r = append_rlimits(m, &o->rlimits);
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
