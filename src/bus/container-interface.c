/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Container. CreateTask is in create-task.c. */

#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/container.h"
#include "bus/copy-methods.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/service.h"

AuthorityDetails container_authority_details(const Container *c) {
        return (AuthorityDetails){
                        .namespace = c->object.namespace,
                        .container = c->object.name,
                        .image = c->image,
        };
}

int container_authorize(Container *c, sd_bus_message *m, sd_bus_error *error) {
        const AuthorityDetails details = container_authority_details(c);

        return authorize(service_of(&c->object), m, &details, error);
}

int container_authorize_more(Container *c, sd_bus_message *m, sd_bus_error *error) {
        const AuthorityDetails details = container_authority_details(c);

        return authorize_more(service_of(&c->object), m, &details, error);
}

typedef struct DeleteOptions {
        bool force, keep_snapshot, versions, volumes;
} DeleteOptions;

static int method_delete(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Force", "b", option_bool, offsetof(DeleteOptions, force)},
                        {"CleanupSnapshot", "b", option_bool_inverted,
                         offsetof(DeleteOptions, keep_snapshot)},
                        {"CleanupVersions", "b", option_bool, offsetof(DeleteOptions, versions)},
                        {"CleanupVolumes", "b", option_bool, offsetof(DeleteOptions, volumes)},
                        {},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        DeleteOptions options = {};
        Container *c = userdata;
        Late *late;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = late_new(service_of(&c->object), m, late_reply_empty, &late, error);
        if (r < 0)
                return r;
        r = container_delete(c,
                             (options.force ? CONTAINER_DELETE_FORCE : 0) |
                                             (options.versions ? CONTAINER_DELETE_VERSIONS : 0) |
                                             (options.volumes ? CONTAINER_DELETE_VOLUMES : 0) |
                                             (options.keep_snapshot ? CONTAINER_DELETE_KEEP_SNAPSHOT
                                                                    : 0),
                             late_complete, late, &e);
        return late_started(late, r, &e, error);
}

static int method_set_labels(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *labels = NULL;
        Container *c = userdata;
        int r;

        r = labels_read(m, &labels, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = container_set_labels(c, labels, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        labels = NULL; /* the container's now */
        objects_tell_changes(c->object.manager);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_get_spec(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *spec = NULL;
        Container *c = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = container_read_spec(c, &spec, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "s", spec);
}

static BUS_GETTER(property_get_user_namespace) {
        const UserNamespaceMode *mode = userdata;

        return sd_bus_message_append(reply, "s", user_namespace_mode_to_string(*mode));
}

static BUS_GETTER(property_get_id_mappings) {
        const IdMappings *mappings = userdata;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "(uuu)");
        for (size_t i = 0; r >= 0 && i < mappings->n; i++)
                r = sd_bus_message_append(reply, "(uuu)", mappings->list[i].container,
                                          mappings->list[i].host, mappings->list[i].size);
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable container_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("Namespace", "s", property_get_string,
                                offsetof(Container, object.namespace),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Id", "s", property_get_string, offsetof(Container, object.name),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Image", "s", property_get_string, offsetof(Container, image),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Labels", "a{ss}", property_get_labels, offsetof(Container, labels),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Runtime", "s", property_get_string, offsetof(Container, runtime),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Snapshotter", "s", property_get_string,
                                offsetof(Container, snapshotter), SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("SnapshotID", "s", property_get_string,
                                offsetof(Container, snapshot_key),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("UserNamespace", "s", property_get_user_namespace,
                                offsetof(Container, user_namespace.mode),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("UIDMappings", "a(uuu)", property_get_id_mappings,
                                offsetof(Container, user_namespace.uids),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("GIDMappings", "a(uuu)", property_get_id_mappings,
                                offsetof(Container, user_namespace.gids),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("CreatedAt", "t", property_get_uint64,
                                offsetof(Container, created_at), SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("UpdatedAt", "t", property_get_uint64,
                                offsetof(Container, updated_at),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_METHOD_WITH_ARGS("CreateTask", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("o", task), method_create_task,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Delete", SD_BUS_ARGS("a{sv}", options), SD_BUS_NO_RESULT,
                                        method_delete, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SetLabels", SD_BUS_ARGS("a{ss}", labels), SD_BUS_NO_RESULT,
                                        method_set_labels, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateVersion", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("u", version, "s", snapshot),
                                        method_create_version, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListVersions", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(ussta{ss})", versions),
                                        method_list_versions, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Rollback", SD_BUS_ARGS("u", version, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_rollback,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DeleteVersion",
                                        SD_BUS_ARGS("u", version, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_delete_version,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetSpec", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("s", spec), method_get_spec,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Diff", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(ss)", changes), method_diff,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Commit", SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_commit,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Export", SD_BUS_ARGS("h", target, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_export,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CopyOut",
                                        SD_BUS_ARGS("s", path, "h", target, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_copy_out,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CopyIn",
                                        SD_BUS_ARGS("s", path, "h", source, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_copy_in,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("StatPath", SD_BUS_ARGS("s", path, "a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", file), method_stat_path,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};
