/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <inttypes.h>

#include "basic/json.h"
#include "bus/event.h"
#include "bus/interfaces.h"
#include "bus/path.h"
#include "bus/property.h"

static const char *const signal_names[_EVENT_TOPIC_MAX] = {
                [EVENT_TASK_CREATE] = "TaskCreated",
                [EVENT_TASK_EXEC_ADDED] = "TaskExecAdded",
                [EVENT_TASK_START] = "TaskStarted",
                [EVENT_TASK_EXEC_STARTED] = "TaskExecStarted",
                [EVENT_TASK_PAUSED] = "TaskPaused",
                [EVENT_TASK_RESUMED] = "TaskResumed",
                [EVENT_TASK_OOM] = "TaskOOM",
                [EVENT_TASK_EXIT] = "TaskExited",
                [EVENT_TASK_DELETE] = "TaskDeleted",
                [EVENT_TASK_CHECKPOINTED] = "TaskCheckpointed",
                [EVENT_CONTAINER_CREATE] = "ContainerCreated",
                [EVENT_CONTAINER_UPDATE] = "ContainerUpdated",
                [EVENT_CONTAINER_DELETE] = "ContainerDeleted",
                [EVENT_IMAGE_CREATE] = "ImageCreated",
                [EVENT_IMAGE_UPDATE] = "ImageUpdated",
                [EVENT_IMAGE_DELETE] = "ImageDeleted",
                [EVENT_SNAPSHOT_PREPARE] = "SnapshotPrepared",
                [EVENT_SNAPSHOT_COMMIT] = "SnapshotCommitted",
                [EVENT_SNAPSHOT_REMOVE] = "SnapshotRemoved",
                [EVENT_CONTENT_CREATE] = "ContentCreated",
                [EVENT_CONTENT_DELETE] = "ContentDeleted",
                [EVENT_NAMESPACE_CREATE] = "NamespaceCreated",
                [EVENT_NAMESPACE_UPDATE] = "NamespaceUpdated",
                [EVENT_NAMESPACE_DELETE] = "NamespaceDeleted",
};

/* JSON has one kind of integers. */
static bool is_uint32(const char *key) {
        return streq(key, "Pid") || streq(key, "ExitStatus");
}

static int append_integer(sd_bus_message *m, const char *key, uint64_t value) {
        if (is_uint32(key))
                return sd_bus_message_append(m, "v", "u", (uint32_t) value);
        return sd_bus_message_append(m, "v", "t", value);
}

static int append_labels(sd_bus_message *m, json_t *labels) {
        int r;

        r = sd_bus_message_open_container(m, 'v', "a{ss}");
        if (r >= 0)
                r = labels_append(m, labels);
        return r < 0 ? r : sd_bus_message_close_container(m);
}

/* A json_is_boolean() is an int on the bus. */
static int append_value(sd_bus_message *m, const char *key, json_t *value) {
        if (json_is_string(value))
                return sd_bus_message_append(m, "v", "s", json_string_value(value));
        if (json_is_boolean(value))
                return sd_bus_message_append(m, "v", "b", (int) json_is_true(value));
        if (json_is_integer(value))
                return append_integer(m, key, (uint64_t) json_integer_value(value));
        return append_labels(m, value);
}

int event_append_details(sd_bus_message *m, json_t *details) {
        const char *key;
        json_t *value;
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r < 0)
                return r;
        json_object_foreach(details, key, value) {
                r = sd_bus_message_open_container(m, 'e', "sv");
                if (r >= 0)
                        r = sd_bus_message_append_basic(m, 's', key);
                if (r >= 0)
                        r = append_value(m, key, value);
                if (r >= 0)
                        r = sd_bus_message_close_container(m);
                if (r < 0)
                        return r;
        }
        return sd_bus_message_close_container(m);
}

static int signal_event(Service *s, const Event *event) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(s->bus, &m, BUS_PATH, MANAGER_INTERFACE, "Event");
        if (r >= 0)
                r = sd_bus_message_append(m, "ttss", event->sequence, event->time,
                                          event_topic_to_string(event->topic), event->namespace);
        if (r >= 0)
                r = event_append_details(m, event->details);
        return r < 0 ? r : sd_bus_send(s->bus, m, NULL);
}

static int signal_topic(Service *s, const Event *event) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        int r;

        r = sd_bus_message_new_signal(s->bus, &m, BUS_PATH, MANAGER_INTERFACE,
                                      signal_names[event->topic]);
        if (r >= 0)
                r = sd_bus_message_append(m, "ss", event->namespace, event->name);
        if (r >= 0)
                r = event_append_details(m, event->details);
        return r < 0 ? r : sd_bus_send(s->bus, m, NULL);
}

int event_signal(Service *s, const Event *event) {
        int r;

        r = signal_event(s, event);
        /* a topic of a newer version, which was downgraded since, has no signal here */
        if (r < 0 || event->topic >= _EVENT_TOPIC_MAX)
                return r;
        return signal_topic(s, event);
}

static bool lookup_detail(const EventField *e, const FilterField *field, const char **ret) {
        json_t *value = json_object_get(e->event->details, field->names[1]);

        if (json_is_object(value) && field->n > 2)
                value = json_object_get(value, field->rests[2]);
        else if (field->n != 2)
                return false;
        if (json_is_boolean(value))
                return filter_value(json_is_true(value) ? "true" : "false", ret);
        if (json_is_integer(value)) {
                (void) snprintf(e->number, EVENT_NUMBER_SIZE, "%" PRIi64,
                                (int64_t) json_integer_value(value));
                return filter_value(e->number, ret);
        }
        return filter_value(json_string_value(value), ret);
}

bool event_lookup(const void *object, const FilterField *field, const char **ret) {
        const EventField *e = object;

        if (field->n > 1 && streq(field->names[0], "event"))
                return lookup_detail(e, field, ret);
        if (field->n == 1 && streq(field->names[0], "topic"))
                return filter_value(event_topic_to_string(e->event->topic), ret);
        if (field->n == 1 && streq(field->names[0], "namespace"))
                return filter_value(e->event->namespace, ret);
        *ret = "";
        return false;
}
