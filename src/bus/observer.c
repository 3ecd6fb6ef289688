/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/observer.h"

#include "basic/log.h"
#include "bus/event.h"
#include "bus/interfaces.h"
#include "bus/journal.h"
#include "bus/object.h"
#include "bus/service.h"
#include "manager/pull.h"

/* -ENOENT: the object came and went before its signal could be made. -ENOTCONN: the connection is
 * gone, which is handled where it is noticed. */
static void signal_sent(int r, const char *what, const Object *o) {
        if (r < 0 && r != -ENOENT && r != -ENOTCONN)
                log_warning_errno(r, "Failed to signal %s of %s: %m", what, o->name);
}

/* NULL if there is nobody to speak to yet (recovery), or no memory. */
static char *signal_path(const Object *o) {
        char *path = NULL;
        int r;

        if (o->manager->recovering)
                return NULL;
        r = bus_path_of(o, &path);
        if (r < 0) {
                signal_sent(r, "a change", o);
                return NULL;
        }
        return path;
}

static char **interface_names(ObjectType type, char *buf[static BUS_OBJECT_INTERFACES_MAX + 1]) {
        const BusObjectKind *kind = bus_object_kind(type);
        size_t n = 0;

        for (const BusInterface *i = kind->interfaces; i->name; i++)
                buf[n++] = (char *) i->name;
        buf[n] = NULL;
        return buf;
}

static void signal_job_new(Service *s, const Job *j, const char *path) {
        signal_sent(sd_bus_emit_signal(s->bus, BUS_PATH, MANAGER_INTERFACE, "JobNew", "to", j->id,
                                       path),
                    "JobNew", &j->object);
}

static void on_added(Object *o, void *userdata) {
        char *names[BUS_OBJECT_INTERFACES_MAX + 1];
        _cleanup_free_ char *path = signal_path(o);
        Service *s = userdata;

        if (!path)
                return;
        signal_sent(sd_bus_emit_interfaces_added_strv(s->bus, path,
                                                      interface_names(o->type, names)),
                    "the appearance", o);
        if (o->type == OBJECT_JOB)
                signal_job_new(s, JOB(o), path);
        if (o->type == OBJECT_CONTAINER)
                journal_container_created(CONTAINER(o));
}

static void on_changed(Object *o, void *userdata) {
        const BusObjectKind *kind = bus_object_kind(o->type);
        _cleanup_free_ char *path = signal_path(o);
        Service *s = userdata;

        if (!path)
                return;
        /* without names: all properties that are marked as emitting their changes */
        for (const BusInterface *i = kind->interfaces; i->name; i++)
                signal_sent(sd_bus_emit_properties_changed_strv(s->bus, path, i->name, NULL),
                            "changes", o);
}

static void on_removed(Object *o, void *userdata) {
        char *names[BUS_OBJECT_INTERFACES_MAX + 1];
        _cleanup_free_ char *path = signal_path(o);
        Service *s = userdata;

        if (!path)
                return;
        signal_sent(sd_bus_emit_interfaces_removed_strv(s->bus, path,
                                                        interface_names(o->type, names)),
                    "the disappearance", o);
        if (o->type == OBJECT_CONTAINER)
                journal_container_removed(CONTAINER(o));
        if (o->type == OBJECT_IMAGE)
                journal_image_removed(IMAGE(o));
}

static void on_process_started(Process *p, void *userdata) {
        if (p->object.type == OBJECT_TASK)
                journal_task_started(TASK(&p->object));
}

static void on_process_exited(Process *p, void *userdata) {
        _cleanup_free_ char *path = NULL;
        Service *s = userdata;

        if (p->object.type == OBJECT_TASK)
                journal_task_exited(TASK(&p->object)); /* also what recovery finds out */
        path = signal_path(&p->object);
        if (!path)
                return;
        signal_sent(sd_bus_emit_signal(s->bus, path, PROCESS_INTERFACE, "Exited", "ut",
                                       (uint32_t) p->exit_status, p->exited_at),
                    "the exit", &p->object);
}

static void on_job_removed(Job *j, int r, const Error *e, void *userdata) {
        _cleanup_free_ char *path = signal_path(&j->object);
        Service *s = userdata;
        const char *result, *error = "", *message = "";

        if (!path)
                return;
        result = r == 0 ? "done" : r == CTR_CANCELED ? "canceled" : "failed";
        if (r != 0) {
                error = error_code_to_string((int) error_code_for_client(r));
                message = error_text(e && e->code != 0 ? e : &(Error){.code = r});
        }
        signal_sent(sd_bus_emit_signal(s->bus, BUS_PATH, MANAGER_INTERFACE, "JobRemoved", "tosss",
                                       j->id, path, result, error, message),
                    "JobRemoved", &j->object);
        if (r == 0 && j->type == &job_pull_type)
                journal_image_pulled(j);
}

static void on_event(const Event *event, void *userdata) {
        int r;

        r = event_signal(userdata, event);
        if (r < 0 && r != -ENOTCONN)
                log_warning_errno(r, "Failed to signal the event %s of %s: %m",
                                  event_topic_to_string(event->topic), event->name);
}

const ManagerObserver service_observer = {
                .object_added = on_added,
                .object_changed = on_changed,
                .object_removed = on_removed,
                .process_started = on_process_started,
                .process_exited = on_process_exited,
                .job_removed = on_job_removed,
                .event = on_event,
};
