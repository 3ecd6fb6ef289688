/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/authorize.h"

#include "bus/interfaces.h"
#include "bus/service.h"

#define READ             ACTION_PREFIX "read"
#define INSPECT          ACTION_PREFIX "inspect"
#define IMAGE_PULL       ACTION_PREFIX "image-pull"
#define IMAGE_PUSH       ACTION_PREFIX "image-push"
#define IMAGE_IMPORT     ACTION_PREFIX "image-import"
#define IMAGE_EXPORT     ACTION_PREFIX "image-export"
#define IMAGE_REMOVE     ACTION_PREFIX "image-remove"
#define CONTENT_MANAGE   ACTION_PREFIX "content-manage"
#define CONTAINER_CREATE ACTION_PREFIX "container-create"
#define CONTAINER_COPY   ACTION_PREFIX "container-copy"
#define CONTAINER_EXPORT ACTION_PREFIX "container-export"
#define CONTAINER_REMOVE ACTION_PREFIX "container-remove"
#define TASK_START       ACTION_PREFIX "task-start"
#define TASK_SIGNAL      ACTION_PREFIX "task-signal"
#define TASK_PAUSE       ACTION_PREFIX "task-pause"
#define TASK_EXEC        ACTION_PREFIX "task-exec"
#define TASK_ATTACH      ACTION_PREFIX "task-attach"
#define TASK_UPDATE      ACTION_PREFIX "task-update"
#define TASK_CHECKPOINT  ACTION_PREFIX "task-checkpoint"
#define NAMESPACE_MANAGE ACTION_PREFIX "namespace-manage"
#define SNAPSHOT_MANAGE  ACTION_PREFIX "snapshot-manage"
#define SECRET_MANAGE    ACTION_PREFIX "secret-manage"
#define SECRET_LIST      ACTION_PREFIX "secret-list"

static const AuthorizeRule rules[] = {
                {MANAGER_INTERFACE, "PullImage", IMAGE_PULL, NULL},
                {MANAGER_INTERFACE, "PushImage", IMAGE_PUSH, NULL},
                {MANAGER_INTERFACE, "ImportImages", IMAGE_IMPORT, NULL},
                {MANAGER_INTERFACE, "ExportImages", IMAGE_EXPORT, NULL},
                {MANAGER_INTERFACE, "ResolveRemoteDigest", IMAGE_PULL, NULL},
                {MANAGER_INTERFACE, "SearchImages", IMAGE_PULL, NULL},
                {MANAGER_INTERFACE, "TagImage", IMAGE_PULL, NULL},
                {MANAGER_INTERFACE, "GetImage", READ, NULL},
                {MANAGER_INTERFACE, "ListImages", READ, NULL},
                {MANAGER_INTERFACE, "DeleteImage", IMAGE_REMOVE, NULL},
                {MANAGER_INTERFACE, "PruneImages", IMAGE_REMOVE, NULL},
                {MANAGER_INTERFACE, "CreateContainer", CONTAINER_CREATE, IMAGE_PULL},
                {MANAGER_INTERFACE, "CreateContainerFromSnapshot", CONTAINER_CREATE, IMAGE_PULL},
                {MANAGER_INTERFACE, "GetContainer", READ, NULL},
                {MANAGER_INTERFACE, "ListContainers", READ, NULL},
                {MANAGER_INTERFACE, "PruneContainers", CONTAINER_REMOVE, NULL},
                {MANAGER_INTERFACE, "GetTask", READ, NULL},
                {MANAGER_INTERFACE, "ListTasks", READ, NULL},
                {MANAGER_INTERFACE, "Metrics", READ, NULL},
                {MANAGER_INTERFACE, "PrepareSnapshot", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ViewSnapshot", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "CommitSnapshot", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "RemoveSnapshot", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "SetSnapshotLabels", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "SnapshotMounts", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "StatSnapshot", READ, NULL},
                {MANAGER_INTERFACE, "ListSnapshots", READ, NULL},
                {MANAGER_INTERFACE, "SnapshotUsage", READ, NULL},
                {MANAGER_INTERFACE, "ListSnapshotters", READ, NULL},
                {MANAGER_INTERFACE, "CreateVolume", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "RemoveVolume", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "StatVolume", READ, NULL},
                {MANAGER_INTERFACE, "ListVolumes", READ, NULL},
                {MANAGER_INTERFACE, "VolumeUsage", READ, NULL},
                {MANAGER_INTERFACE, "PruneVolumes", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ExportVolume", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ImportVolume", SNAPSHOT_MANAGE, NULL},
                {MANAGER_INTERFACE, "CreateSecret", SECRET_MANAGE, NULL},
                {MANAGER_INTERFACE, "RemoveSecret", SECRET_MANAGE, NULL},
                {MANAGER_INTERFACE, "StatSecret", SECRET_LIST, NULL},
                {MANAGER_INTERFACE, "ListSecrets", SECRET_LIST, NULL},
                {MANAGER_INTERFACE, "ListEvents", READ, NULL},
                {MANAGER_INTERFACE, "ListJobs", READ, NULL},
                {MANAGER_INTERFACE, "ListNamespaces", READ, NULL},
                {MANAGER_INTERFACE, "CreateNamespace", NAMESPACE_MANAGE, NULL},
                {MANAGER_INTERFACE, "SetNamespaceLabels", NAMESPACE_MANAGE, NULL},
                {MANAGER_INTERFACE, "DeleteNamespace", NAMESPACE_MANAGE, NULL},
                {MANAGER_INTERFACE, "ListContent", READ, NULL},
                {MANAGER_INTERFACE, "ListIngests", READ, NULL},
                {MANAGER_INTERFACE, "GetContent", IMAGE_EXPORT, NULL},
                {MANAGER_INTERFACE, "DeleteContent", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "SetContentLabels", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "VerifyContent", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ListQuarantine", READ, NULL},
                {MANAGER_INTERFACE, "CollectGarbage", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "DiskUsage", READ, NULL},
                {MANAGER_INTERFACE, "CreateLease", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "DeleteLease", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ListLeases", READ, NULL},
                {MANAGER_INTERFACE, "AddLeaseResource", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "RemoveLeaseResource", CONTENT_MANAGE, NULL},
                {MANAGER_INTERFACE, "ListLeaseResources", READ, NULL},

                {IMAGE_INTERFACE, "Inspect", INSPECT, NULL},
                {IMAGE_INTERFACE, "SetLabels", IMAGE_PULL, NULL},
                {IMAGE_INTERFACE, "Usage", READ, NULL},

                {CONTAINER_INTERFACE, "CreateTask", TASK_START, CONTAINER_CREATE},
                {CONTAINER_INTERFACE, "Delete", CONTAINER_REMOVE, NULL},
                {CONTAINER_INTERFACE, "SetLabels", CONTAINER_CREATE, NULL},
                {CONTAINER_INTERFACE, "CreateVersion", CONTAINER_CREATE, NULL},
                {CONTAINER_INTERFACE, "ListVersions", READ, NULL},
                {CONTAINER_INTERFACE, "Rollback", CONTAINER_CREATE, NULL},
                {CONTAINER_INTERFACE, "DeleteVersion", CONTAINER_CREATE, NULL},
                {CONTAINER_INTERFACE, "GetSpec", INSPECT, NULL},
                {CONTAINER_INTERFACE, "Diff", CONTAINER_EXPORT, NULL},
                {CONTAINER_INTERFACE, "Commit", IMAGE_IMPORT, NULL},
                {CONTAINER_INTERFACE, "Export", CONTAINER_EXPORT, NULL},
                {CONTAINER_INTERFACE, "CopyOut", CONTAINER_EXPORT, NULL},
                {CONTAINER_INTERFACE, "CopyIn", CONTAINER_COPY, NULL},
                {CONTAINER_INTERFACE, "StatPath", CONTAINER_EXPORT, NULL},

                {TASK_INTERFACE, "Stop", TASK_SIGNAL, NULL},
                {TASK_INTERFACE, "Pause", TASK_PAUSE, NULL},
                {TASK_INTERFACE, "Resume", TASK_PAUSE, NULL},
                {TASK_INTERFACE, "Exec", TASK_EXEC, CONTAINER_CREATE},
                {TASK_INTERFACE, "Update", TASK_UPDATE, NULL},
                {TASK_INTERFACE, "Pids", READ, NULL},
                {TASK_INTERFACE, "Stats", READ, NULL},
                {TASK_INTERFACE, "Checkpoint", TASK_CHECKPOINT, CONTAINER_CREATE},
                {TASK_INTERFACE, "GetSpec", INSPECT, NULL},

                {PROCESS_INTERFACE, "Start", TASK_START, NULL},
                {PROCESS_INTERFACE, "Wait", READ, NULL},
                {PROCESS_INTERFACE, "Kill", TASK_SIGNAL, NULL},
                {PROCESS_INTERFACE, "ResizePty", TASK_START, NULL},
                {PROCESS_INTERFACE, "Attach", TASK_ATTACH, NULL},
                {PROCESS_INTERFACE, "CloseIO", TASK_START, NULL},
                {PROCESS_INTERFACE, "Delete", TASK_SIGNAL, NULL},

                {JOB_INTERFACE, "Wait", READ, NULL},
                {JOB_INTERFACE, "Cancel", IMAGE_PULL, NULL},
};

/* On the object of an exec: who may only exec has it from its beginning to its end. */
static const AuthorizeRule exec_rules[] = {
                {PROCESS_INTERFACE, "Start", TASK_EXEC, NULL},
                {PROCESS_INTERFACE, "Wait", READ, NULL},
                {PROCESS_INTERFACE, "Kill", TASK_EXEC, TASK_SIGNAL},
                {PROCESS_INTERFACE, "ResizePty", TASK_EXEC, NULL},
                {PROCESS_INTERFACE, "Attach", TASK_EXEC, NULL},
                {PROCESS_INTERFACE, "CloseIO", TASK_EXEC, NULL},
                {PROCESS_INTERFACE, "Delete", TASK_EXEC, NULL},
};

const AuthorizeRule *authorize_rules(size_t *ret_n) {
        *ret_n = ELEMENTSOF(rules);
        return rules;
}

const AuthorizeRule *authorize_exec_rules(size_t *ret_n) {
        *ret_n = ELEMENTSOF(exec_rules);
        return exec_rules;
}

static const AuthorizeRule *find_rule(const AuthorizeRule *table, size_t n, const char *interface,
                                      const char *member) {
        for (size_t i = 0; i < n; i++)
                if (streq_ptr(table[i].interface, interface) && streq_ptr(table[i].member, member))
                        return &table[i];
        return NULL;
}

const AuthorizeRule *authorize_find_rule(const char *interface, const char *member) {
        return find_rule(rules, ELEMENTSOF(rules), interface, member);
}

static int refuse(const char *member, sd_bus_error *error) {
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED,
                                 "There is no rule who may call %s", member);
}

/* more_action may be NULL; it is about the first of the n details. */
static int check_actions(Service *s, sd_bus_message *m, const char *action, const char *more_action,
                         const AuthorityDetails *d, size_t n, sd_bus_error *error) {
        uid_t uid;
        int r;

        r = authority_sender(s->authority, m, &uid, error);
        if (r <= 0)
                return r;
        if (uid != 0) {
                for (size_t i = 0; r > 0 && i < n; i++)
                        r = authority_check(s->authority, m, uid, action, &d[i], error);
                if (r > 0 && more_action)
                        r = authority_check(s->authority, m, uid, more_action, d, error);
        }
        if (r != 0)
                authority_decided(s->authority, m);
        return r;
}

static int authorize_by(Service *s, sd_bus_message *m, const AuthorizeRule *rule, bool more,
                        const AuthorityDetails *d, sd_bus_error *error) {
        if (!rule || (more && !rule->more_action))
                return refuse(sd_bus_message_get_member(m), error);
        return check_actions(s, m, rule->action, more ? rule->more_action : NULL, d, 1, error);
}

static const AuthorizeRule *rule_of(sd_bus_message *m) {
        return authorize_find_rule(sd_bus_message_get_interface(m), sd_bus_message_get_member(m));
}

int authorize(Service *s, sd_bus_message *m, const AuthorityDetails *d, sd_bus_error *error) {
        return authorize_by(s, m, rule_of(m), false, d, error);
}

int authorize_more(Service *s, sd_bus_message *m, const AuthorityDetails *d, sd_bus_error *error) {
        return authorize_by(s, m, rule_of(m), true, d, error);
}

int authorize_each(Service *s, sd_bus_message *m, const AuthorityDetails *d, size_t n,
                   sd_bus_error *error) {
        const AuthorizeRule *rule = rule_of(m);

        assert(n > 0 && n <= AUTHORITY_DETAILS_MAX);

        if (!rule)
                return refuse(sd_bus_message_get_member(m), error);
        return check_actions(s, m, rule->action, NULL, d, n, error);
}

int authorize_exec(Service *s, sd_bus_message *m, bool more, const AuthorityDetails *d,
                   sd_bus_error *error) {
        return authorize_by(s, m,
                            find_rule(exec_rules, ELEMENTSOF(exec_rules),
                                      sd_bus_message_get_interface(m),
                                      sd_bus_message_get_member(m)),
                            more, d, error);
}

int authorize_action(Service *s, sd_bus_message *m, const char *name, const AuthorityDetails *d,
                     sd_bus_error *error) {
        const char *member = sd_bus_message_get_member(m), *action = NULL;

        for (size_t i = 0; !action && i < ELEMENTSOF(rules); i++)
                if (streq_ptr(startswith(rules[i].action, ACTION_PREFIX), name))
                        action = rules[i].action;
        if (!action || !authorize_find_rule(sd_bus_message_get_interface(m), member))
                return refuse(member, error);
        return check_actions(s, m, action, NULL, d, 1, error);
}

int authorize_root(Service *s, sd_bus_message *m, const char *what, sd_bus_error *error) {
        uid_t uid;
        int r;

        r = authority_sender(s->authority, m, &uid, error);
        if (r <= 0 || uid == 0)
                return r;
        authority_decided(s->authority, m);
        return sd_bus_error_setf(error, SD_BUS_ERROR_ACCESS_DENIED, "Only root may %s", what);
}
