/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/journal.h"

#define SD_JOURNAL_SUPPRESS_LOCATION
#include <systemd/sd-journal.h>

#include "basic/log.h"
#include "bus/messages.h"

/* An event that cannot be logged is no reason to fail what happened. */
static void journal_sent(int r) {
        if (r < 0)
                log_debug_errno(r, "Failed to send an event to the journal: %m");
}

static void container_event(const Container *c, const char *id, const char *what) {
        const Object *o = &c->object;

        journal_sent(sd_journal_send("MESSAGE_ID=%s", id, "PRIORITY=%i", LOG_INFO,
                                     "MESSAGE=Container %s of namespace %s was %s", o->name,
                                     o->namespace, what, "CTR_NAMESPACE=%s", o->namespace,
                                     "CTR_CONTAINER=%s", o->name, "CTR_IMAGE=%s", c->image, NULL));
}

void journal_container_created(const Container *c) {
        container_event(c, CTR_MESSAGE_CONTAINER_CREATED, "created");
}

void journal_container_removed(const Container *c) {
        container_event(c, CTR_MESSAGE_CONTAINER_REMOVED, "removed");
}

static const char *task_image(const Task *t) {
        return t->container ? strempty(t->container->image) : "";
}

void journal_task_started(const Task *t) {
        const Object *o = &t->process.object;

        journal_sent(sd_journal_send("MESSAGE_ID=%s", CTR_MESSAGE_TASK_STARTED, "PRIORITY=%i",
                                     LOG_INFO, "MESSAGE=Task %s of namespace %s was started",
                                     o->name, o->namespace, "CTR_NAMESPACE=%s", o->namespace,
                                     "CTR_CONTAINER=%s", o->name, "CTR_IMAGE=%s", task_image(t),
                                     "UNIT=%s", t->unit, "OBJECT_SYSTEMD_UNIT=%s", t->unit, NULL));
}

void journal_task_exited(const Task *t) {
        const Object *o = &t->process.object;
        char status[64] = "with a status that is not known";

        if (t->process.exit_known)
                (void) snprintf(status, sizeof(status), "with status %i%s", t->process.exit_status,
                                t->oom_killed ? " after running out of memory" : "");

        journal_sent(sd_journal_send("MESSAGE_ID=%s", CTR_MESSAGE_TASK_EXITED, "PRIORITY=%i",
                                     t->process.exit_known && !t->oom_killed ? LOG_INFO
                                                                             : LOG_WARNING,
                                     "MESSAGE=Task %s of namespace %s exited %s", o->name,
                                     o->namespace, status, "CTR_NAMESPACE=%s", o->namespace,
                                     "CTR_CONTAINER=%s", o->name, "CTR_IMAGE=%s", task_image(t),
                                     "CTR_EXIT_STATUS=%i", t->process.exit_status, "UNIT=%s",
                                     t->unit, "OBJECT_SYSTEMD_UNIT=%s", t->unit, NULL));
}

void journal_image_pulled(const Job *j) {
        journal_sent(sd_journal_send("MESSAGE_ID=%s", CTR_MESSAGE_IMAGE_PULLED, "PRIORITY=%i",
                                     LOG_INFO, "MESSAGE=Image %s was pulled into namespace %s",
                                     j->description, j->namespace, "CTR_NAMESPACE=%s", j->namespace,
                                     "CTR_IMAGE=%s", j->description, NULL));
}

void journal_image_removed(const Image *i) {
        const Object *o = &i->object;

        journal_sent(sd_journal_send("MESSAGE_ID=%s", CTR_MESSAGE_IMAGE_REMOVED, "PRIORITY=%i",
                                     LOG_INFO, "MESSAGE=Image %s was removed from namespace %s",
                                     o->name, o->namespace, "CTR_NAMESPACE=%s", o->namespace,
                                     "CTR_IMAGE=%s", o->name, NULL));
}
