/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/container-options.h"

#include "basic/identifier.h"
#include "basic/strv.h"
#include "bus/authorize.h"
#include "bus/container-lists.h"
#include "bus/container-values.h"
#include "bus/error.h"
#include "bus/limits.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/resolver-options.h"
#include "manager/restart-policy.h"
#include "manager/runtime-name.h"
#include "unit/properties.h"

ContainerOptions *container_options_free(ContainerOptions *o) {
        if (!o)
                return NULL;
        container_request_done(&o->request);
        free(o);
        return NULL;
}

void container_options_destroy(void *o) {
        container_options_free(o);
}

static int option_pull(OptionReader *o, void *target) {
        static const char *const names[] = {
                        [PULL_NEVER] = "never",
                        [PULL_MISSING] = "missing",
                        [PULL_ALWAYS] = "always",
        };
        size_t value;
        int r;

        r = option_read_name(o, names, ELEMENTSOF(names), &value);
        if (r >= 0)
                *(PullPolicy *) target = (PullPolicy) value;
        return r;
}

static int option_restart_policy(OptionReader *o, void *target) {
        _cleanup_error_ Error e = ERROR_NULL;
        RestartPolicy policy;
        const char *text;
        char **p = target;
        int r;

        r = option_read_string(o, &text);
        if (r < 0)
                return r;
        if (restart_policy_parse(text, &policy, &e) != 0)
                return option_invalid(o, "%s", error_text(&e));
        return free_and_strdup(p, text);
}

static int option_systemd(OptionReader *o, void *target) {
        static const char *const names[] = {
                        [SYSTEMD_AUTO] = "auto",
                        [SYSTEMD_ALWAYS] = "always",
                        [SYSTEMD_NEVER] = "never",
        };
        size_t value;
        int r;

        r = option_read_name(o, names, ELEMENTSOF(names), &value);
        if (r >= 0)
                *(SystemdMode *) target = (SystemdMode) value;
        return r;
}

static int option_user_namespace(OptionReader *o, void *target) {
        static const char *const names[] = {
                        [USER_NAMESPACE_HOST] = "host",
                        [USER_NAMESPACE_AUTO] = "auto",
                        [USER_NAMESPACE_MAPPED] = "mapped",
        };
        UserNamespace *u = target;
        size_t value;
        int r;

        r = option_read_name(o, names, ELEMENTSOF(names), &value);
        if (r >= 0)
                u->mode = (UserNamespaceMode) value;
        return r;
}

static int option_user_namespace_size(OptionReader *o, void *target) {
        UserNamespace *u = target;
        int r;

        r = sd_bus_message_read_basic(o->message, 'u', &u->size);
        if (r < 0)
                return r;
        return u->size > 0 ? 0 : option_invalid(o, "a user namespace without ids is none");
}

int option_runtime(OptionReader *o, void *target) {
        _cleanup_error_ Error e = ERROR_NULL;
        char **runtime = target;
        const char *name;
        int r;

        r = option_read_string(o, &name);
        if (r < 0)
                return r;
        if (runtime_name_check(name, &e) != 0)
                return option_invalid(o, "%s", error_text(&e));
        return free_and_strdup(runtime, name);
}

/* It is run as root, outside of every container. */
int authorize_runtime(Service *s, sd_bus_message *m, const char *runtime, sd_bus_error *error) {
        if (!runtime || runtime[0] != '/')
                return 1;
        return authorize_root(s, m, "choose a runtime by its path", error);
}

static int option_namespace_copy(OptionReader *o, void *target) {
        char **p = target;
        const char *namespace;
        int r;

        r = option_namespace(o, &namespace);
        if (r < 0)
                return r;
        return free_and_strdup(p, namespace);
}

static int option_identifier_copy(OptionReader *o, void *target) {
        char **p = target;
        const char *id;
        int r;

        r = option_read_string(o, &id);
        if (r < 0)
                return r;
        if (!identifier_is_valid(id))
                return option_invalid(o, "\"%.128s\" is not a valid id", id);
        return free_and_strdup(p, id);
}

static int option_command(OptionReader *o, void *target) {
        ContainerRequest *request = target;
        int r;

        request->command_set = true;
        r = option_strv(o, &request->command);
        return r < 0 ? r : container_check_command(o, request->command);
}

static int option_entrypoint(OptionReader *o, void *target) {
        ContainerRequest *request = target;

        request->entrypoint_set = true;
        return option_strv(o, &request->entrypoint);
}

static int option_arguments(OptionReader *o, void *target) {
        ContainerRequest *request = target;

        request->arguments_set = true;
        return option_strv(o, &request->arguments);
}

int option_environment(OptionReader *o, void *target) {
        char ***environment = target;
        int r;

        r = option_strv(o, environment);
        return r < 0 ? r : container_check_environment(o, *environment);
}

int option_user(OptionReader *o, void *target) {
        char **user = target;
        int r;

        r = option_string_copy(o, user);
        return r < 0 ? r : container_check_user(o, *user);
}

static int option_hostname(OptionReader *o, void *target) {
        char **name = target;
        int r;

        r = option_string_copy(o, name);
        return r < 0 ? r : container_check_hostname(o, *name);
}

static int option_network(OptionReader *o, void *target) {
        bool *host = target;
        const char *network;
        int r;

        r = option_read_string(o, &network);
        if (r < 0)
                return r;
        *host = streq(network, "host");
        return *host || streq(network, "private")
                               ? 0
                               : option_invalid(o, "\"%.64s\" is neither private nor host",
                                                network);
}

static int option_stop_signal(OptionReader *o, void *target) {
        int *signo = target, r;

        r = option_int(o, signo);
        if (r < 0)
                return r;
        return *signo >= 1 && *signo <= 64 ? 0
                                           : option_invalid(o, "%i is no signal (1 to 64)", *signo);
}

static int option_oom_score_adjust(OptionReader *o, void *target) {
        ContainerRequest *request = target;
        int r;

        r = option_int(o, &request->oom_score_adjust);
        if (r < 0)
                return r;
        return request->oom_score_adjust >= -1000 && request->oom_score_adjust <= 1000
                               ? 0
                               : option_invalid(o, "%i is not from -1000 to 1000",
                                                request->oom_score_adjust);
}

static int option_rlimits(OptionReader *o, void *target) {
        ContainerRequest *request = target;

        return option_read_rlimits(o, &request->rlimits, &request->n_rlimits);
}

#define FIELD(f) offsetof(ContainerOptions, request.f)
#define WHOLE    offsetof(ContainerOptions, request)

static const Option table[] = {
                {"Namespace", "s", option_namespace_copy, FIELD(namespace)},
                {"Pull", "s", option_pull, offsetof(ContainerOptions, pull)},
                {"Labels", "a{ss}", option_labels, FIELD(labels)},
                {"Command", "as", option_command, WHOLE},
                {"Entrypoint", "as", option_entrypoint, WHOLE},
                {"Arguments", "as", option_arguments, WHOLE},
                {"Environment", "as", option_environment, FIELD(environment)},
                {"WorkingDirectory", "s", option_string_copy, FIELD(working_directory)},
                {"User", "s", option_user, FIELD(user)},
                {"Terminal", "b", option_bool, FIELD(terminal)},
                {"Hostname", "s", option_hostname, FIELD(hostname)},
                {"Network", "s", option_network, FIELD(host_network)},
                {"DNS", "as", option_dns, FIELD(dns)},
                {"DNSSearch", "as", option_dns_search, FIELD(dns_search)},
                {"DNSOptions", "as", option_dns_options, FIELD(dns_options)},
                {"ExtraHosts", "as", option_extra_hosts, FIELD(extra_hosts)},
                {"Mounts", "a(sssas)", option_mounts, WHOLE},
                {"Secrets", "a(ssuuu)", option_secrets, WHOLE},
                {"ReadOnly", "b", option_bool, FIELD(read_only)},
                {"AutoRemove", "b", option_bool, FIELD(auto_remove)},
                {"Lease", "s", option_string_copy, FIELD(lease)},
                {"Volatile", "b", option_bool, FIELD(volatile_root)},
                {"CapabilitiesAdd", "as", option_strv, FIELD(capabilities_add)},
                {"CapabilitiesDrop", "as", option_strv, FIELD(capabilities_drop)},
                {"NoNewPrivileges", "b", option_bool_inverted, FIELD(new_privileges)},
                {"Devices", "a(ss)", option_devices, WHOLE},
                {"StopSignal", "i", option_stop_signal, FIELD(stop_signal)},
                {"StopTimeoutUSec", "t", option_uint64, FIELD(stop_timeout)},
                {"Rlimits", "a(stt)", option_rlimits, WHOLE},
                {"OOMScoreAdjust", "i", option_oom_score_adjust, WHOLE},
                {"RestartPolicy", "s", option_restart_policy, FIELD(restart_policy)},
                {"BlockIOClass", "s", option_string_copy, FIELD(blockio_class)},
                {"RDTClass", "s", option_string_copy, FIELD(rdt_class)},
                {"Runtime", "s", option_runtime, FIELD(runtime)},
                {"ImageVolumes", "b", option_bool_inverted, FIELD(no_image_volumes)},
                {"Systemd", "s", option_systemd, FIELD(systemd)},
                {"UserNamespace", "s", option_user_namespace, FIELD(user_namespace)},
                {"UserNamespaceSize", "u", option_user_namespace_size, FIELD(user_namespace)},
                {"UIDMappings", "a(uuu)", option_id_mappings, FIELD(user_namespace.uids)},
                {"GIDMappings", "a(uuu)", option_id_mappings, FIELD(user_namespace.gids)},
                {"SnapshotID", "s", option_identifier_copy, FIELD(snapshot_id)},
                {"Snapshotter", "s", option_string_copy, FIELD(snapshotter)},
                LIMIT_OPTIONS(FIELD(resources)),
                {},
};

int container_options_read(sd_bus_message *m, ContainerOptions *o, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = options_read(m, table, o, error);
        if (r < 0)
                return r;
        if (!o->request.namespace && !(o->request.namespace = strdup(NAMESPACE_DEFAULT)))
                return -ENOMEM;
        r = user_namespace_check(&o->request.user_namespace, &e);
        if (r == 0 && o->request.resources)
                r = unit_properties_check(o->request.resources, &e);
        return r != 0 ? bus_error_set(error, r, &e) : 0;
}
