/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * An update: systemd takes the values over -> record and document in one transaction -> the caller.
 * If the record cannot be written, systemd gets the old values back.
 *
 * Updates and questions belong to the Limits rather than to their task, which may be gone when
 * systemd answers: it is looked up again then, and its `run` tells it from another of that name.
 *
 * Invariant: of a unit there is one question under way at most, however often it changes.
 */

#include "manager/limits.h"

#include "basic/clock.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/spec.h"
#include "unit/properties.h"
#include "unit/update.h"

#define UPDATES_MAX 256U

typedef struct Update Update;
struct Update {
        Limits *limits;
        Update *next;
        char *namespace, *id;
        uint64_t run;
        json_t *resources;
        UnitCall *call;
        Callback callback;
        void *userdata;
};

typedef struct Question Question;
struct Question {
        Limits *limits;
        Question *next;
        char *unit;
        bool again; /* it changed while systemd was being asked */
        UnitCall *call;
};

struct Limits {
        Manager *manager;
        UnitWatch *watch;
        Update *updates;
        size_t n_updates;
        Question *questions;
};

static Update *update_free(Update *u) {
        if (!u)
                return NULL;
        for (Update **p = &u->limits->updates; *p; p = &(*p)->next)
                if (*p == u) {
                        *p = u->next;
                        u->limits->n_updates--;
                        break;
                }
        unit_call_free(u->call);
        json_decref(u->resources);
        free(u->namespace);
        free(u->id);
        free(u);
        return NULL;
}
DEFINE_CLEANUP(Update *, update_free);

static Question *question_free(Question *q) {
        if (!q)
                return NULL;
        for (Question **p = &q->limits->questions; *p; p = &(*p)->next)
                if (*p == q) {
                        *p = q->next;
                        break;
                }
        unit_call_free(q->call);
        free(q->unit);
        free(q);
        return NULL;
}
DEFINE_CLEANUP(Question *, question_free);

json_t *task_limits(const Task *t) {
        return t->limits ?: t->container->resources;
}

/* Takes limits over. */
static void set_limits(Task *t, json_t *limits) {
        bool same = json_equal(limits, task_limits(t));

        json_decref(t->limits);
        t->limits = limits;
        if (!same)
                object_mark_dirty(&t->process.object);
}

static Task *find_by_unit(Manager *m, const char *unit) {
        _cleanup_free_ char *namespace = NULL, *id = NULL;

        if (unit_name_to_identifier(unit, &namespace, &id) < 0)
                return NULL;
        return TASK(object_find(m, OBJECT_TASK, namespace, id));
}

static int ask(Question *q);

static void on_answer(int r, json_t *properties, const Error *e, void *userdata) {
        _cleanup_(question_freep) Question *q = userdata;
        Task *t = find_by_unit(q->limits->manager, q->unit);

        if (!t || t->process.status == TASK_STOPPED)
                return;
        if (q->again) {
                q->again = false;
                if (ask(q) == 0)
                        TAKE_PTR(q);
                return;
        }
        /* CTR_FAILED_PRECONDITION: it ends just now */
        if (r != 0 && r != CTR_FAILED_PRECONDITION)
                log_warning("The limits of %s are not known: %s", q->unit, error_text(e));
        if (r == 0)
                set_limits(t, json_incref(properties));
}

static int ask(Question *q) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        q->call = unit_call_free(q->call);
        r = unit_get_properties(q->limits->manager->systemd, q->unit, on_answer, q, &q->call, &e);
        if (r != 0)
                log_warning("%s", error_text(&e));
        return r;
}

/* Somebody changed something, perhaps we. */
static void on_changed(const char *unit, void *userdata) {
        _cleanup_(question_freep) Question *q = NULL;
        Limits *l = userdata;

        if (!find_by_unit(l->manager, unit))
                return;
        for (Question *known = l->questions; known; known = known->next)
                if (streq(known->unit, unit)) {
                        known->again = true;
                        return;
                }
        q = calloc(1, sizeof(Question));
        if (!q)
                return;
        *q = (Question){.limits = l, .next = l->questions, .unit = strdup(unit)};
        l->questions = q;
        if (q->unit && ask(q) == 0)
                TAKE_PTR(q);
}

static int ask_if_changed(Object *o, void *userdata) {
        Limits *l = userdata;

        if (unit_is_changed(l->watch, TASK(o)->unit))
                on_changed(TASK(o)->unit, l);
        return 0;
}

void limits_recovered(Limits *l) {
        (void) object_foreach(l->manager, OBJECT_TASK, NULL, ask_if_changed, l);
}

int limits_new(Manager *m, const char *directory, Limits **ret, Error *e) {
        Limits *l;
        int r;

        l = calloc(1, sizeof(Limits));
        if (!l)
                return -ENOMEM;
        l->manager = m;
        r = directory ? unit_watch_new(m->event, directory, on_changed, l, &l->watch) : 0;
        if (r < 0)
                log_warning_errno(r,
                                  "Changes of limits by others will not be seen, cannot watch %s: "
                                  "%m",
                                  directory);
        *ret = l;
        return 0;
}

Limits *limits_free(Limits *l) {
        if (!l)
                return NULL;
        while (l->updates) {
                Callback callback = l->updates->callback;
                void *userdata = l->updates->userdata;

                update_free(l->updates);
                callback(NULL, -ESHUTDOWN, NULL, userdata);
        }
        while (l->questions)
                question_free(l->questions);
        unit_watch_free(l->watch);
        free(l);
        return NULL;
}

/* The caller is told once; u is gone then. */
static void update_finish(Update *u, Task *t, int r, const Error *e) {
        Callback callback = u->callback;
        void *userdata = u->userdata;

        update_free(u);
        callback(t ? &t->process.object : NULL, r, e, userdata);
}

/* What was in force for the properties of u. New; NULL without memory. */
static json_t *previous_values(const Update *u, const Task *t) {
        json_t *previous = json_object(), *value;
        const char *name;

        json_object_foreach(u->resources, name, value) {
                json_t *before = json_object_get(task_limits(t), name);

                before = before ? json_incref(before)
                                : unit_property_unset(unit_property_find(name));
                if (json_object_set_new(previous, name, before) < 0) {
                        json_decref(previous);
                        return NULL;
                }
        }
        return previous;
}

static void on_reverted(int r, json_t *properties, const Error *e, void *userdata) {
        Update *u = userdata;
        _cleanup_error_ Error failure = ERROR_NULL;

        error_setf(&failure, CTR_UNKNOWN, "The new limits of \"%s\" could not be recorded%s", u->id,
                   r == 0 ? "" : ", and the old ones not be restored");
        update_finish(u, NULL, failure.code, &failure);
}

/* Record and document have what systemd has, or nobody has it. */
static void update_revert(Update *u, Task *t, int code, Error *cause) {
        _cleanup_json_ json_t *previous = previous_values(u, t);
        int r = -ENOMEM;

        log_error("The new limits of %s cannot be recorded: %s", t->unit, error_text(cause));
        u->call = unit_call_free(u->call);
        if (previous)
                r = unit_set_properties(u->limits->manager->systemd, t->unit, previous, on_reverted,
                                        u, &u->call, NULL);
        if (r != 0)
                update_finish(u, t, code, cause);
}

/* New: base with changes over it. */
static json_t *merged(json_t *base, json_t *changes) {
        json_t *copy = json_deep_copy(base);

        if (copy && json_object_update(copy, changes) < 0) {
                json_decref(copy);
                return NULL;
        }
        return copy;
}

static int update_record(Update *u, Task *t, Error *e) {
        _cleanup_json_ json_t *resources = merged(t->container->resources, u->resources);
        _cleanup_json_ json_t *limits = merged(task_limits(t), u->resources);
        int r;

        if (!resources || !limits)
                return -ENOMEM;
        if (!t->limits) /* those of the container are about to change */
                t->limits = json_incref(t->container->resources);
        r = container_set_resources(t->container, resources, e);
        if (r != 0)
                return r;
        set_limits(t, TAKE_PTR(limits));
        return 0;
}

static void on_updated(int r, json_t *properties, const Error *e, void *userdata) {
        _cleanup_error_ Error failure = ERROR_NULL;
        Update *u = userdata;
        Task *t = TASK(object_find(u->limits->manager, OBJECT_TASK, u->namespace, u->id));

        if (!t || t->process.run != u->run || t->process.status == TASK_STOPPED) {
                error_setf(&failure, CTR_FAILED_PRECONDITION, "The task \"%s\" ended meanwhile",
                           u->id);
                update_finish(u, NULL, failure.code, &failure);
                return;
        }
        if (r != 0) {
                update_finish(u, t, r, e);
                return;
        }
        r = update_record(u, t, &failure);
        if (r != 0)
                update_revert(u, t, r, &failure);
        else
                update_finish(u, t, 0, NULL);
}

static int update_check(const Task *t, json_t *resources, Error *e) {
        const Limits *l = t->process.object.manager->limits;

        if (t->process.status == TASK_STOPPED || t->process.status == TASK_UNKNOWN)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Task \"%s\" is %s: cannot update a stopped container",
                                  t->process.object.name, task_status_to_string(t->process.status));
        if (l->n_updates >= UPDATES_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "More than %u updates are under way",
                                  UPDATES_MAX);
        return unit_properties_check(resources, e);
}

int task_update(Task *t, json_t *resources, Callback callback, void *userdata, Error *e) {
        _cleanup_(update_freep) Update *u = NULL;
        Manager *m = t->process.object.manager;
        int r;

        assert(t && resources && callback);

        r = update_check(t, resources, e);
        if (r != 0)
                return r;
        u = calloc(1, sizeof(Update));
        if (!u)
                return -ENOMEM;
        *u = (Update){
                        .limits = m->limits,
                        .next = m->limits->updates,
                        .namespace = strdup(t->process.object.namespace),
                        .id = strdup(t->process.object.name),
                        .run = t->process.run,
                        .resources = json_incref(resources),
                        .callback = callback,
                        .userdata = userdata,
        };
        m->limits->updates = u;
        m->limits->n_updates++;
        if (!u->namespace || !u->id)
                return -ENOMEM;
        r = unit_set_properties(m->systemd, t->unit, resources, on_updated, u, &u->call, e);
        if (r != 0)
                return r;
        TAKE_PTR(u);
        return 0;
}
