/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Checkpoints that a former manager did not live to see the end of. What has to come after the dump
 * is in the task's state.json; whether it goes on is the supervisor's word, and whether it has
 * succeeded is seen by what it has written: CRIU's inventory is the last of a dump, and removed
 * again if something fails.
 */

#include "manager/checkpoint.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/json.h"
#include "basic/log.h"
#include "manager/checkpoint-image.h"
#include "manager/checkpoint-internal.h"
#include "manager/event.h"
#include "manager/manager.h"
#include "manager/task-internal.h"

#define DUMP_TIMEOUT_USEC (11 * 60 * USEC_PER_SEC)

int checkpoint_save(const Task *t, json_t *state) {
        const Dump *d = t->dump;
        json_t *j;

        if (!d)
                return 0;
        j = json_pack("{ss ss* ss* ss* sI sb sb}", "images", d->request.images, "reference",
                      d->reference, "base", d->base, "directory", d->name, "startedAt",
                      (json_int_t) d->started_at, "resume", (int) d->resume, "exit",
                      (int) !d->request.leave_running);
        return json_object_set_new(state, "checkpoint", j) < 0 ? -ENOMEM : 0;
}

static void on_complete(Object *o, int r, const Error *e, void *userdata) {
        if (r != 0 && r != -ESHUTDOWN)
                log_warning("A checkpoint that a former manager has begun: %s",
                            error_text_of(r, e));
}

static int take_string(json_t *j, const char *key, char **ret, Error *e) {
        const char *s = NULL;
        int r;

        r = json_get_string(j, "checkpoint", key, &s, e);
        return r < 0 ? r : free_and_strdup(ret, s);
}

static int dump_read(Dump *d, json_t *j, Error *e) {
        bool exit = false;
        int r;

        r = take_string(j, "images", &d->request.images, e);
        if (r >= 0)
                r = take_string(j, "reference", &d->reference, e);
        if (r >= 0)
                r = take_string(j, "base", &d->base, e);
        if (r >= 0)
                r = take_string(j, "directory", &d->name, e);
        if (r >= 0)
                r = json_get_uint64(j, "checkpoint", "startedAt", INT64_MAX, &d->started_at, e);
        if (r >= 0)
                r = json_get_bool(j, "checkpoint", "resume", &d->resume, e);
        if (r >= 0)
                r = json_get_bool(j, "checkpoint", "exit", &exit, e);
        if (r < 0)
                return r;
        if (!d->request.images || (d->reference && (!d->name || !d->base)))
                return error_setf(e, -EBADMSG, "checkpoint: something is missing");
        d->request.leave_running = !exit;
        return 0;
}

int checkpoint_load(Task *t, json_t *state, Error *e) {
        _cleanup_(dump_freep) Dump *d = NULL;
        json_t *j;
        int r;

        r = json_get_object(state, "", "checkpoint", &j, e);
        if (r <= 0)
                return r;
        r = dump_attach(t, &d);
        if (r == 0)
                r = dump_read(d, j, e);
        if (r == 0)
                r = free_and_strdup(&d->namespace, t->process.object.namespace);
        if (r < 0)
                return r;
        d->callback = on_complete;
        d->recovered = true;
        t->dump_exit = !d->request.leave_running;
        TAKE_PTR(d);
        return 0;
}

/* One that is older was there before. */
static bool has_succeeded(const Dump *d) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = open(d->request.images, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return fd >= 0 && fstatat(fd, CHECKPOINT_INVENTORY, &st, AT_SYMLINK_NOFOLLOW) >= 0 &&
               (uint64_t) st.st_mtim.tv_sec * USEC_PER_SEC +
                                               (uint64_t) st.st_mtim.tv_nsec / NSEC_PER_USEC >=
                               d->started_at;
}

static int is_told(const Event *event, void *userdata) {
        Dump *d = userdata;

        d->told = event->topic == EVENT_TASK_CHECKPOINTED &&
                  streq(event->name, d->task->process.object.name);
        return d->told;
}

/* The dump is over. */
static void dump_judge(Dump *d) {
        _cleanup_error_ Error e = ERROR_NULL;
        EventQuery query = {.namespace = d->namespace, .since = d->started_at, .until = UINT64_MAX};
        int r = 0;

        if (d->reference)
                d->image = IMAGE(object_find(d->manager, OBJECT_IMAGE, d->namespace, d->reference));
        if (!has_succeeded(d))
                r = error_setf(&e, CTR_UNKNOWN, "CRIU has left no checkpoint in %s",
                               d->request.images);
        else if (d->task && event_foreach(d->manager, &query, is_told, d, &e) != 0)
                log_warning("%s", error_text(&e));
        dump_written(NULL, r, &e, d);
}

static void on_dumped(Object *o, int r, const Error *e, void *userdata) {
        /* it came to its end before it was asked for again */
        if (r == CTR_FAILED_PRECONDITION)
                dump_judge(userdata);
        else
                dump_written(o, r, e, userdata);
}

void checkpoint_recovered(Task *t, uint32_t flags) {
        _cleanup_error_ Error e = ERROR_NULL;
        Dump *d = t->dump;
        int r;

        if (!d || !d->recovered)
                return;
        d->recovered = false;
        log_info("A checkpoint of task %s was being made when the manager ended",
                 t->process.object.name);
        if (flags & SUPERVISOR_STATE_PAUSING) {
                /* CRIU was not started yet */
                d->result = error_setf(&d->error, CTR_UNKNOWN, "It had not begun");
                r = task_thaw(t, dump_resumed, d, &e);
                if (r != 0)
                        dump_resumed(NULL, r, &e, d);
        } else if (flags & SUPERVISOR_STATE_DUMPING) {
                r = process_request(&t->process,
                                    &(SupervisorMessage){.type = SUPERVISOR_CHECKPOINT}, NULL, 0,
                                    DUMP_TIMEOUT_USEC,
                                    &(Operation){.callback = on_dumped, .userdata = d}, &e);
                if (r != 0)
                        dump_written(NULL, r, &e, d);
        } else
                dump_judge(d);
}

bool checkpoint_has_directory(const Manager *m, const char *name) {
        for (const Dump *d = m->dumps; d; d = d->next)
                if (streq_ptr(d->name, name))
                        return true;
        return false;
}
