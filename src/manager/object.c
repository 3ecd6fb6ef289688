/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/object.h"

#include <search.h>

#include "basic/log.h"
#include "manager/manager.h"

int waiter_add(Waiter **list, Callback callback, void *userdata) {
        Waiter *w;

        w = malloc(sizeof(Waiter));
        if (!w)
                return -ENOMEM;
        *w = (Waiter){.callback = callback, .userdata = userdata};
        while (*list)
                list = &(*list)->next;
        *list = w;
        return 0;
}

bool waiter_remove(Waiter **list, Callback callback, const void *userdata) {
        for (; *list; list = &(*list)->next) {
                Waiter *w = *list;

                if (w->callback != callback || w->userdata != userdata)
                        continue;
                *list = w->next;
                free(w);
                return true;
        }
        return false;
}

void waiters_move(Waiter **to, Waiter **from) {
        while (*to)
                to = &(*to)->next;
        *to = TAKE_PTR(*from);
}

void waiters_complete(Waiter **list, Object *object, int r, const Error *e) {
        Waiter *w = TAKE_PTR(*list);

        while (w) {
                Waiter *next = w->next;

                w->callback(object, r, e, w->userdata);
                free(w);
                w = next;
        }
}

static int object_compare(const void *a, const void *b) {
        const Object *x = a, *y = b;
        int r;

        r = strcmp(x->namespace, y->namespace);
        return r != 0 ? r : strcmp(x->name, y->name);
}

int object_init(Object *o, Manager *m, ObjectType type, const char *namespace, const char *name) {
        *o = (Object){.type = type, .manager = m};
        o->namespace = strdup(namespace);
        o->name = strdup(name);
        return o->namespace && o->name ? 0 : -ENOMEM;
}

void object_done(Object *o) {
        object_unlink(o);
        free(o->namespace);
        free(o->name);
}

int object_link(Object *o) {
        Manager *m = o->manager;
        Object **found;

        assert(!o->linked);

        found = tsearch(o, &m->index[o->type], object_compare);
        if (!found)
                return -ENOMEM;
        if (*found != o)
                return -EEXIST;
        o->linked = true;
        m->n_objects[o->type]++;
        /* what a start finds is not new */
        if (!m->recovering && m->observer && m->observer->object_added)
                m->observer->object_added(o, m->observer_userdata);
        return 0;
}

static void object_clear_dirty(Object *o) {
        Manager *m = o->manager;

        if (!o->dirty)
                return;
        for (Object **p = &m->dirty_first, *previous = NULL; *p;
             previous = *p, p = &(*p)->dirty_next) {
                if (*p != o)
                        continue;
                *p = o->dirty_next;
                if (m->dirty_last == o)
                        m->dirty_last = previous;
                break;
        }
        o->dirty = false;
        o->dirty_next = NULL;
}

void object_tell_change(Object *o) {
        Manager *m = o->manager;

        if (o->dirty && m->observer && m->observer->object_changed)
                m->observer->object_changed(o, m->observer_userdata);
        object_clear_dirty(o);
}

void objects_tell_changes(Manager *m) {
        while (m->dirty_first)
                object_tell_change(m->dirty_first);
}

void object_unlink(Object *o) {
        Manager *m = o->manager;

        if (!o->linked)
                return;
        /* the last change comes before the removal */
        object_tell_change(o);
        if (m->observer && m->observer->object_removed)
                m->observer->object_removed(o, m->observer_userdata);
        tdelete(o, &m->index[o->type], object_compare);
        m->n_objects[o->type]--;
        o->linked = false;
}

void object_mark_dirty(Object *o) {
        Manager *m = o->manager;
        int r;

        if (!o->linked || o->dirty)
                return;
        o->dirty = true;
        if (m->dirty_last)
                m->dirty_last->dirty_next = o;
        else
                m->dirty_first = o;
        m->dirty_last = o;
        r = sd_event_source_set_enabled(m->dirty_source, SD_EVENT_ONESHOT);
        if (r < 0)
                log_error_errno(r, "Failed to schedule change signals: %m");
}

Object *object_find(Manager *m, ObjectType type, const char *namespace, const char *name) {
        Object key = {.namespace = (char *) namespace, .name = (char *) name}, **found;

        found = tfind(&key, &m->index[type], object_compare);
        return found ? *found : NULL;
}

typedef struct Walk {
        const char *namespace;
        int (*f)(Object *o, void *userdata);
        void *userdata;
        int r;
} Walk;

static void walk_one(const void *node, VISIT visit, void *closure) {
        Object *o = *(Object *const *) node;
        Walk *w = closure;

        if ((visit != postorder && visit != leaf) || w->r != 0)
                return;
        if (!w->namespace || streq(o->namespace, w->namespace))
                w->r = w->f(o, w->userdata);
}

int object_foreach(Manager *m, ObjectType type, const char *namespace,
                   int (*f)(Object *o, void *userdata), void *userdata) {
        Walk w = {.namespace = namespace, .f = f, .userdata = userdata};

        twalk_r(m->index[type], walk_one, &w);
        return w.r;
}

size_t object_count(const Manager *m, ObjectType type) {
        return m->n_objects[type];
}
