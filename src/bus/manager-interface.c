/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Manager: its table, and the methods and properties that have no file of their
 * own. The others are declared, and what they share is, in manager-methods.h. */

#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/service.h"
#include "config.h"
#include "manager/task.h"

static int method_get_container(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace, *id;
        Service *s = userdata;
        Container *c;
        int r;

        r = prepare_container(m, s, &namespace, &id, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = container_find(s->manager, namespace, id, &c, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &c->object);
}

static int method_get_task(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *namespace, *id;
        Service *s = userdata;
        Task *t;
        int r;

        r = prepare_container(m, s, &namespace, &id, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_find(s->manager, namespace, id, &t, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &t->process.object);
}

static BUS_GETTER(property_get_version) {
        return sd_bus_message_append_basic(reply, 's', CTR_VERSION);
}

static BUS_GETTER(property_get_n_tasks) {
        const Service *s = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) object_count(s->manager, OBJECT_TASK));
}

static BUS_GETTER(property_get_n_jobs) {
        const Service *s = userdata;

        return sd_bus_message_append(reply, "u", (uint32_t) object_count(s->manager, OBJECT_JOB));
}

/* One for each topic of events, all of one form. */
#define EVENT_SIGNAL(member)                                                                       \
        SD_BUS_SIGNAL_WITH_ARGS(member, SD_BUS_ARGS("s", namespace, "s", name, "a{sv}", details), 0)

const sd_bus_vtable manager_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("Version", "s", property_get_version, 0,
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("NTasks", "u", property_get_n_tasks, 0, 0),
                SD_BUS_PROPERTY("NJobs", "u", property_get_n_jobs, 0, 0),
                SD_BUS_METHOD_WITH_ARGS("PullImage", SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_pull_image,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("PushImage", SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_push_image,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ImportImages", SD_BUS_ARGS("h", source, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_import_images,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ExportImages",
                                        SD_BUS_ARGS("as", references, "h", target, "a{sv}",
                                                    options),
                                        SD_BUS_RESULT("o", job), method_export_images,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ResolveRemoteDigest",
                                        SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_RESULT("s", digest), method_resolve_remote_digest,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("TagImage",
                                        SD_BUS_ARGS("s", reference, "s", name, "a{sv}", options),
                                        SD_BUS_RESULT("o", image), method_tag_image,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SearchImages", SD_BUS_ARGS("s", term, "a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", images), method_search_images,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetImage", SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_RESULT("o", image), method_get_image,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListImages", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(oa{sv})", images), method_list_images,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DeleteImage",
                                        SD_BUS_ARGS("s", reference, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_delete_image,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("PruneImages", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("as", names), method_prune_images,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateContainer",
                                        SD_BUS_ARGS("s", id, "s", image, "a{sv}", options),
                                        SD_BUS_RESULT("o", container), method_create_container,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetContainer", SD_BUS_ARGS("s", id, "a{sv}", options),
                                        SD_BUS_RESULT("o", container), method_get_container,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListContainers", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(oa{sv})", containers),
                                        method_list_containers, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("PruneContainers", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("as", ids), method_prune_containers,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetTask", SD_BUS_ARGS("s", id, "a{sv}", options),
                                        SD_BUS_RESULT("o", task), method_get_task,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListTasks", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(oa{sv})", tasks), method_list_tasks,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Metrics", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(oa{sv})", metrics), method_metrics,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateContainerFromSnapshot",
                                        SD_BUS_ARGS("s", id, "s", image, "s", snapshot, "a{sv}",
                                                    options),
                                        SD_BUS_RESULT("o", container),
                                        method_create_container_from_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("PrepareSnapshot",
                                        SD_BUS_ARGS("s", key, "s", parent, "a{sv}", options),
                                        SD_BUS_RESULT("a(ssas)", mounts), method_prepare_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ViewSnapshot",
                                        SD_BUS_ARGS("s", key, "s", parent, "a{sv}", options),
                                        SD_BUS_RESULT("a(ssas)", mounts), method_view_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CommitSnapshot",
                                        SD_BUS_ARGS("s", name, "s", key, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_commit_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("RemoveSnapshot", SD_BUS_ARGS("s", key, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_remove_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SetSnapshotLabels",
                                        SD_BUS_ARGS("s", key, "a{ss}", labels, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_set_snapshot_labels,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SnapshotMounts", SD_BUS_ARGS("s", key, "a{sv}", options),
                                        SD_BUS_RESULT("a(ssas)", mounts), method_snapshot_mounts,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("StatSnapshot", SD_BUS_ARGS("s", key, "a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", snapshot), method_stat_snapshot,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListSnapshots", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", snapshots),
                                        method_list_snapshots, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SnapshotUsage", SD_BUS_ARGS("s", key, "a{sv}", options),
                                        SD_BUS_RESULT("t", bytes, "t", inodes),
                                        method_snapshot_usage, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListSnapshotters", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sbs)", snapshotters),
                                        method_list_snapshotters, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateVolume", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_RESULT("s", volume), method_create_volume,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("RemoveVolume", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_remove_volume,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("StatVolume", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", volume), method_stat_volume,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListVolumes", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", volumes), method_list_volumes,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("VolumeUsage", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_RESULT("t", bytes, "t", inodes), method_volume_usage,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("PruneVolumes", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("as", volumes), method_prune_volumes,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ExportVolume",
                                        SD_BUS_ARGS("s", name, "h", archive, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_export_volume,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ImportVolume",
                                        SD_BUS_ARGS("s", name, "h", archive, "a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_import_volume,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateSecret",
                                        SD_BUS_ARGS("s", name, "h", secret, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_create_secret,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("RemoveSecret", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_remove_secret,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("StatSecret", SD_BUS_ARGS("s", name, "a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", secret), method_stat_secret,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListSecrets", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", secrets), method_list_secrets,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListEvents", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(ttssa{sv})", events), method_list_events,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListJobs", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(oa{sv})", jobs), method_list_jobs,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListNamespaces", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{ss})", namespaces),
                                        method_list_namespaces, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateNamespace",
                                        SD_BUS_ARGS("s", namespace, "a{ss}", labels, "a{sv}",
                                                    options),
                                        SD_BUS_NO_RESULT, method_create_namespace,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SetNamespaceLabels",
                                        SD_BUS_ARGS("s", namespace, "a{ss}", labels, "a{sv}",
                                                    options),
                                        SD_BUS_NO_RESULT, method_set_namespace_labels,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DeleteNamespace",
                                        SD_BUS_ARGS("s", namespace, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_delete_namespace,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListContent", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", content), method_list_content,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListIngests", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", ingests), method_list_ingests,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("GetContent", SD_BUS_ARGS("s", digest, "a{sv}", options),
                                        SD_BUS_RESULT("h", blob), method_get_content,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DeleteContent", SD_BUS_ARGS("s", digest, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_delete_content,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SetContentLabels",
                                        SD_BUS_ARGS("s", digest, "a{ss}", labels, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_set_content_labels,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("VerifyContent", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("o", job), method_verify_content,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListQuarantine", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", blobs), method_list_quarantine,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CollectGarbage", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", collected), method_collect_garbage,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DiskUsage", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", usage), method_disk_usage,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("CreateLease", SD_BUS_ARGS("s", id, "a{sv}", options),
                                        SD_BUS_RESULT("s", lease), method_create_lease,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("DeleteLease", SD_BUS_ARGS("s", id, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_delete_lease,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListLeases", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a(sa{sv})", leases), method_list_leases,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("AddLeaseResource",
                                        SD_BUS_ARGS("s", lease, "s", type, "s", key, "a{sv}",
                                                    options),
                                        SD_BUS_NO_RESULT, method_add_lease_resource,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("RemoveLeaseResource",
                                        SD_BUS_ARGS("s", lease, "s", type, "s", key, "a{sv}",
                                                    options),
                                        SD_BUS_NO_RESULT, method_remove_lease_resource,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("ListLeaseResources",
                                        SD_BUS_ARGS("s", lease, "a{sv}", options),
                                        SD_BUS_RESULT("a(ss)", resources),
                                        method_list_lease_resources, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_SIGNAL_WITH_ARGS("JobNew", SD_BUS_ARGS("t", id, "o", job), 0),
                SD_BUS_SIGNAL_WITH_ARGS("JobRemoved",
                                        SD_BUS_ARGS("t", id, "o", job, "s", result, "s", error, "s",
                                                    message),
                                        0),
                SD_BUS_SIGNAL_WITH_ARGS("Event",
                                        SD_BUS_ARGS("t", sequence, "t", time, "s", topic, "s",
                                                    namespace, "a{sv}", details),
                                        0),
                EVENT_SIGNAL("TaskCreated"),
                EVENT_SIGNAL("TaskStarted"),
                EVENT_SIGNAL("TaskOOM"),
                EVENT_SIGNAL("TaskExited"),
                EVENT_SIGNAL("TaskDeleted"),
                EVENT_SIGNAL("TaskExecAdded"),
                EVENT_SIGNAL("TaskExecStarted"),
                EVENT_SIGNAL("TaskPaused"),
                EVENT_SIGNAL("TaskResumed"),
                EVENT_SIGNAL("TaskCheckpointed"),
                EVENT_SIGNAL("ContainerCreated"),
                EVENT_SIGNAL("ContainerUpdated"),
                EVENT_SIGNAL("ContainerDeleted"),
                EVENT_SIGNAL("ImageCreated"),
                EVENT_SIGNAL("ImageUpdated"),
                EVENT_SIGNAL("ImageDeleted"),
                EVENT_SIGNAL("SnapshotPrepared"),
                EVENT_SIGNAL("SnapshotCommitted"),
                EVENT_SIGNAL("SnapshotRemoved"),
                EVENT_SIGNAL("ContentCreated"),
                EVENT_SIGNAL("ContentDeleted"),
                EVENT_SIGNAL("NamespaceCreated"),
                EVENT_SIGNAL("NamespaceUpdated"),
                EVENT_SIGNAL("NamespaceDeleted"),
                SD_BUS_VTABLE_END,
};
