/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/container-keys.h"

typedef enum KeyType {
        KEY_STRING,
        KEY_STRV,
        KEY_FLAG,
        KEY_BOOLEAN, /* these four are an OptionalU64 */
        KEY_INT32,
        KEY_UINT32,
        KEY_UINT64,
        KEY_RLIMITS,
        KEY_ID_MAPPINGS,
} KeyType;

#define PROCESS (KEYS_CREATE | KEYS_EXEC)
#define LIMIT   (KEYS_CREATE | KEYS_UPDATE)

static const struct {
        const char *name;
        KeyType type;
        unsigned scopes;
        size_t offset;
} keys[] = {
#define KEY(n, t, s, f)                                                                            \
        { (n), (t), (s), offsetof(CreateOptions, f) }
                KEY("Environment", KEY_STRV, PROCESS, environment),
                KEY("WorkingDirectory", KEY_STRING, PROCESS, working_directory),
                KEY("User", KEY_STRING, PROCESS, user),
                KEY("Terminal", KEY_FLAG, PROCESS, terminal),
                KEY("CapabilitiesAdd", KEY_STRV, PROCESS, capabilities_add),
                KEY("CapabilitiesDrop", KEY_STRV, PROCESS, capabilities_drop),
                KEY("NoNewPrivileges", KEY_BOOLEAN, PROCESS, no_new_privileges),
                KEY("Rlimits", KEY_RLIMITS, PROCESS, rlimits),
                KEY("ImageVolumes", KEY_BOOLEAN, KEYS_CREATE, image_volumes),
                KEY("Systemd", KEY_STRING, KEYS_CREATE, systemd),
                KEY("Runtime", KEY_STRING, KEYS_CREATE, runtime),
                KEY("Hostname", KEY_STRING, KEYS_CREATE, hostname),
                KEY("Network", KEY_STRING, KEYS_CREATE, network),
                KEY("DNS", KEY_STRV, KEYS_CREATE, dns),
                KEY("DNSSearch", KEY_STRV, KEYS_CREATE, dns_search),
                KEY("DNSOptions", KEY_STRV, KEYS_CREATE, dns_options),
                KEY("ExtraHosts", KEY_STRV, KEYS_CREATE, extra_hosts),
                KEY("ReadOnly", KEY_FLAG, KEYS_CREATE, read_only),
                KEY("StopSignal", KEY_INT32, KEYS_CREATE, stop_signal),
                KEY("StopTimeoutUSec", KEY_UINT64, KEYS_CREATE, stop_timeout),
                KEY("OOMScoreAdjust", KEY_INT32, KEYS_CREATE, oom_score_adjust),
                KEY("Snapshotter", KEY_STRING, KEYS_CREATE, snapshotter),
                KEY("RestartPolicy", KEY_STRING, KEYS_CREATE, restart_policy),
                KEY("BlockIOClass", KEY_STRING, KEYS_CREATE, blockio_class),
                KEY("RDTClass", KEY_STRING, KEYS_CREATE, rdt_class),
                KEY("UserNamespace", KEY_STRING, KEYS_CREATE, user_namespace.mode),
                KEY("UserNamespaceSize", KEY_UINT32, KEYS_CREATE, user_namespace.size),
                KEY("UIDMappings", KEY_ID_MAPPINGS, KEYS_CREATE, uid_mappings),
                KEY("GIDMappings", KEY_ID_MAPPINGS, KEYS_CREATE, gid_mappings),
                KEY("MemoryMax", KEY_UINT64, LIMIT, memory_max),
                KEY("MemoryHigh", KEY_UINT64, LIMIT, memory_high),
                KEY("MemoryLow", KEY_UINT64, LIMIT, memory_low),
                KEY("MemorySwapMax", KEY_UINT64, LIMIT, memory_swap_max),
                KEY("TasksMax", KEY_UINT64, LIMIT, tasks_max),
                KEY("CPUWeight", KEY_UINT64, LIMIT, cpu_weight),
                KEY("CPUQuotaPerSecUSec", KEY_UINT64, LIMIT, cpu_quota),
                KEY("IOWeight", KEY_UINT64, LIMIT, io_weight),
                KEY("AllowedCPUs", KEY_STRING, LIMIT, allowed_cpus),
                KEY("AllowedMemoryNodes", KEY_STRING, LIMIT, allowed_memory_nodes),
#undef KEY
};

int message_append_list(sd_bus_message *m, const char *name, char *const *list) {
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

int message_open_array(sd_bus_message *m, const char *name, const char *type) {
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

int message_close_array(sd_bus_message *m) {
        int r = 0;

        for (int i = 0; i < 3 && r >= 0; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_rlimits(sd_bus_message *m, const char *name, const RlimitList *rlimits) {
        int r;

        r = message_open_array(m, name, "(stt)");
        for (size_t i = 0; r >= 0 && i < rlimits->n; i++)
                r = sd_bus_message_append(m, "(stt)", rlimits->items[i].name,
                                          rlimits->items[i].soft, rlimits->items[i].hard);
        return r < 0 ? r : message_close_array(m);
}

static int append_id_mappings(sd_bus_message *m, const char *name, const IdMappingList *mappings) {
        int r;

        r = message_open_array(m, name, "(uuu)");
        for (size_t i = 0; r >= 0 && i < mappings->n; i++)
                r = sd_bus_message_append(m, "(uuu)", mappings->items[i].container,
                                          mappings->items[i].host, mappings->items[i].size);
        return r < 0 ? r : message_close_array(m);
}

static bool is_given(KeyType type, const void *field) {
        switch (type) {
        case KEY_STRING:
        case KEY_STRV:
                return *(const void *const *) field;
        case KEY_FLAG:
                return *(const bool *) field;
        case KEY_RLIMITS:
                return ((const RlimitList *) field)->n > 0;
        case KEY_ID_MAPPINGS:
                return ((const IdMappingList *) field)->n > 0;
        default:
                return ((const OptionalU64 *) field)->set;
        }
}

static int append_key(sd_bus_message *m, const char *name, KeyType type, const void *field) {
        const OptionalU64 *number = field;

        switch (type) {
        case KEY_STRING:
                return sd_bus_message_append(m, "{sv}", name, "s", *(char *const *) field);
        case KEY_STRV:
                return message_append_list(m, name, *(char **const *) field);
        case KEY_FLAG:
                return sd_bus_message_append(m, "{sv}", name, "b", true);
        case KEY_BOOLEAN:
                return sd_bus_message_append(m, "{sv}", name, "b", (int) number->value);
        case KEY_INT32:
                return sd_bus_message_append(m, "{sv}", name, "i", (int32_t) number->value);
        case KEY_UINT32:
                return sd_bus_message_append(m, "{sv}", name, "u", (uint32_t) number->value);
        case KEY_UINT64:
                return sd_bus_message_append(m, "{sv}", name, "t", number->value);
        case KEY_RLIMITS:
                return append_rlimits(m, name, field);
        case KEY_ID_MAPPINGS:
                return append_id_mappings(m, name, field);
        }
        return -EINVAL;
}

int message_append_keys(sd_bus_message *m, const CreateOptions *o, KeyScope scope) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                const void *field = (const char *) o + keys[i].offset;
                int r;

                if (!(keys[i].scopes & scope) || !is_given(keys[i].type, field))
                        continue;
                r = append_key(m, keys[i].name, keys[i].type, field);
                if (r < 0)
                        return r;
        }
        return 0;
}

bool has_keys(const CreateOptions *o, KeyScope scope) {
        for (size_t i = 0; i < ELEMENTSOF(keys); i++)
                if ((keys[i].scopes & scope) &&
                    is_given(keys[i].type, (const char *) o + keys[i].offset))
                        return true;
        return false;
}
