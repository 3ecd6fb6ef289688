/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/late.h"

#include "basic/log.h"
#include "bus/error.h"
#include "bus/path.h"
#include "bus/property.h"
#include "bus/service.h"

#define UID_INVALID      ((uid_t) -1)
#define LATE_PER_UID_MAX 1024U /* root may have any number */

struct Late {
        LateList *list;
        Manager *manager;
        Late *previous, *next;
        sd_bus_message *message;
        uid_t uid;
        LateReply reply;
        Waiter **waiters;
        void *payload;
        void (*destroy)(void *payload);
};

static size_t count_uid(const LateList *list, uid_t uid) {
        size_t n = 0;

        for (const Late *l = list->first; l; l = l->next)
                n += l->uid == uid;
        return n;
}

int late_new(Service *s, sd_bus_message *m, LateReply reply, Late **ret, sd_bus_error *error) {
        const char *sender = sd_bus_message_get_sender(m);
        LateList *list = &s->late;
        uid_t uid = UID_INVALID;
        Late *late;

        if (sender)
                (void) authority_known_sender(s->authority, sender, &uid);
        if (uid != 0 && count_uid(list, uid) >= LATE_PER_UID_MAX)
                return sd_bus_error_setf(error, BUS_ERROR_PREFIX "ResourceExhausted",
                                         "More than %u calls of one user wait for an answer",
                                         LATE_PER_UID_MAX);

        late = malloc(sizeof(Late));
        if (!late)
                return -ENOMEM;
        *late = (Late){
                        .list = list,
                        .manager = s->manager,
                        .next = list->first,
                        .message = sd_bus_message_ref(m),
                        .uid = uid,
                        .reply = reply,
        };
        if (late->next)
                late->next->previous = late;
        list->first = late;
        list->n++;
        *ret = late;
        return 0;
}

Late *late_free(Late *late) {
        if (!late)
                return NULL;
        if (late->previous)
                late->previous->next = late->next;
        else
                late->list->first = late->next;
        if (late->next)
                late->next->previous = late->previous;
        late->list->n--;
        if (late->destroy)
                late->destroy(late->payload);
        sd_bus_message_unref(late->message);
        free(late);
        return NULL;
}

void late_set_waiters(Late *late, Waiter **waiters) {
        late->waiters = waiters;
}

void late_set_payload(Late *late, void *payload, void (*destroy)(void *payload)) {
        late->payload = payload;
        late->destroy = destroy;
}

void *late_payload(const Late *late) {
        return late->payload;
}

static void names_destroy(void *names) {
        json_decref(names);
}

void late_set_names(Late *late, json_t *names) {
        late_set_payload(late, names, names_destroy);
}

size_t late_count_alike(const Late *late) {
        size_t n = 0;

        if (late->uid == 0)
                return 0;
        for (const Late *l = late->list->first; l; l = l->next)
                n += l->uid == late->uid && l->destroy == late->destroy;
        return n;
}

sd_bus_message *late_message(const Late *late) {
        return late->message;
}

void late_tell_changes(const Late *late) {
        objects_tell_changes(late->manager);
}

void late_answered(Late *late, int r) {
        if (r < 0)
                late_complete(NULL, r, NULL, late);
        else
                late_free(late);
}

void late_complete(Object *object, int r, const Error *e, void *userdata) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(late_freep) Late *late = userdata;

        if (!late->message || r == -ESHUTDOWN)
                return;
        late_tell_changes(late);
        if (r == 0) {
                r = late->reply(late->message, object);
                if (r >= 0)
                        return;
                e = NULL;
        }
        (void) bus_error_set(&error, r, e);
        r = sd_bus_reply_method_error(late->message, &error);
        if (r < 0)
                log_warning_errno(r, "Failed to answer %s: %m",
                                  sd_bus_message_get_member(late->message));
}

void late_complete_names(Object *object, int r, const Error *e, void *userdata) {
        Late *late = userdata;

        if (r == 0 && late->message) {
                r = strings_reply(late->message, late->payload);
                if (r >= 0) {
                        late_free(late);
                        return;
                }
                e = NULL;
        }
        late_complete(object, r, e, userdata);
}

int late_started(Late *late, int r, const Error *e, sd_bus_error *error) {
        if (r == 0)
                return 1;
        late_free(late);
        return bus_error_set(error, r, e);
}

static void drop_caller(Late *late) {
        late->message = sd_bus_message_unref(late->message);
        if (late->waiters && waiter_remove(late->waiters, late_complete, late))
                late_free(late);
}

void late_drop_sender(LateList *list, const char *sender) {
        Late *next;

        for (Late *l = list->first; l; l = next) {
                next = l->next;
                if (l->message && streq_ptr(sd_bus_message_get_sender(l->message), sender))
                        drop_caller(l);
        }
}

void late_free_all(LateList *list) {
        while (list->first)
                late_free(list->first);
}

int late_reply_empty(sd_bus_message *m, Object *object) {
        return sd_bus_reply_method_return(m, NULL);
}
