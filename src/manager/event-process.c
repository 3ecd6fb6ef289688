/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * What happens to processes, as events: each step is noted when it is seen, with those before it,
 * and the database decides whether it is news. It keeps the steps of each run of a process, from
 * its first one until it is forgotten, so that neither a killed manager nor a history that was
 * pruned makes one appear twice. The edges below are the rules of D11; exec-added and exec-started
 * are create and start there.
 */

#include <inttypes.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/event-internal.h"
#include "manager/exec-internal.h"

#define COLLECT_BATCH 256U /* runs, before what was noted of them is written */

#define B(topic) (1U << (topic))
#define OVER     (B(EVENT_TASK_EXIT) | B(EVENT_TASK_DELETE))

static const StepEdge edges[] = {
                [EVENT_TASK_CREATE] = {.set = B(EVENT_TASK_CREATE)},
                [EVENT_TASK_START] = {.set = B(EVENT_TASK_START),
                                      .required = B(EVENT_TASK_CREATE),
                                      .excluded = B(EVENT_TASK_START) | OVER},
                [EVENT_TASK_PAUSED] = {.set = B(EVENT_TASK_PAUSED),
                                       .required = B(EVENT_TASK_CREATE),
                                       .excluded = B(EVENT_TASK_PAUSED) | OVER},
                [EVENT_TASK_RESUMED] = {.clear = B(EVENT_TASK_PAUSED),
                                        .required = B(EVENT_TASK_PAUSED),
                                        .excluded = OVER},
                [EVENT_TASK_OOM] = {.set = B(EVENT_TASK_OOM),
                                    .required = B(EVENT_TASK_CREATE),
                                    .excluded = B(EVENT_TASK_OOM) | OVER},
                [EVENT_TASK_EXIT] = {.set = B(EVENT_TASK_EXIT),
                                     .required = B(EVENT_TASK_START),
                                     .excluded = OVER},
                [EVENT_TASK_DELETE] = {.set = B(EVENT_TASK_DELETE),
                                       .required = B(EVENT_TASK_CREATE),
                                       .excluded = B(EVENT_TASK_DELETE)},
};

static bool is_init(const Process *p) {
        return p->object.type == OBJECT_TASK;
}

/* The id of the container, which an exec's name begins with. */
static char *container_id(const Process *p) {
        return strndup(p->object.name, strcspn(p->object.name, "/"));
}

/* "NAMESPACE/ID/EXEC/RUN", without an exec for init. */
static char *run_name(const Process *p) {
        char *name;

        if (asprintf(&name, "%s/%s%s/%" PRIu64, p->object.namespace, p->object.name,
                     is_init(p) ? "/" : "", p->run) < 0)
                return NULL;
        return name;
}

static json_t *pack_exit(const char *id, const char *container, pid_t pid, int status, bool known,
                         uint64_t exited_at) {
        return json_pack("{ss ss sI sI sb sI}", "Id", id, "ContainerId", container, "Pid",
                         (json_int_t) pid, "ExitStatus", (json_int_t) status, "ExitStatusKnown",
                         (int) known, "ExitedAt", (json_int_t) exited_at);
}

static json_t *pack_create(const Process *p, json_int_t pid) {
        _cleanup_free_ char *bundle = NULL, *in = process_stream_public(p, 0),
                            *out = process_stream_public(p, 1), *err = process_stream_public(p, 2);

        if (!in || !out || !err)
                return NULL;
        if (asprintf(&bundle, "%s/tasks/%s/%s", p->object.manager->runtime_dir, p->object.namespace,
                     p->object.name) < 0)
                return NULL;
        return json_pack("{ss ss sI sb ss ss ss ss}", "Id", p->object.name, "Bundle", bundle, "Pid",
                         pid, "Terminal", (int) p->terminal, "Stdin", in, "Stdout", out, "Stderr",
                         err, "Checkpoint", strempty(((const Task *) p)->checkpoint));
}

static json_t *pack_details(const Process *p, EventTopic topic, const char *id) {
        json_int_t pid = p->pid ?: p->exit_pid;

        switch (topic) {
        case EVENT_TASK_CREATE:
                return pack_create(p, pid);
        case EVENT_TASK_START:
                return json_pack("{ss sI}", "Id", id, "Pid", pid);
        case EVENT_TASK_EXEC_ADDED:
                return json_pack("{ss ss}", "Id", id, "ExecId", process_exec_id(p));
        case EVENT_TASK_EXEC_STARTED:
                return json_pack("{ss ss sI}", "Id", id, "ExecId", process_exec_id(p), "Pid", pid);
        case EVENT_TASK_OOM:
                return json_pack("{ss ss}", "Id", id, "Cgroup",
                                 ((const Task *) p)->oom_cgroup ?: "");
        case EVENT_TASK_EXIT:
        case EVENT_TASK_DELETE:
                return pack_exit(is_init(p) ? id : process_exec_id(p), id, p->exit_pid,
                                 p->exit_status, p->exit_known, p->exited_at);
        default:
                return json_pack("{ss}", "Id", id);
        }
}

static uint64_t step_time(const Process *p, EventTopic topic) {
        uint64_t time = 0;

        if (topic == EVENT_TASK_CREATE || topic == EVENT_TASK_EXEC_ADDED)
                time = p->run;
        if (topic == EVENT_TASK_START || topic == EVENT_TASK_EXEC_STARTED)
                time = p->started_at;
        if (topic == EVENT_TASK_EXIT)
                time = p->exited_at;
        return time ?: now_realtime();
}

static int note_new(const Process *p, EventTopic topic, const StepEdge *edge) {
        _cleanup_(note_freep) Note *n = NULL;

        n = calloc(1, sizeof(Note));
        if (!n)
                return -ENOMEM;
        n->topic = topic;
        n->edge = *edge;
        n->time = step_time(p, topic);
        n->run = run_name(p);
        n->namespace = strdup(p->object.namespace);
        n->name = container_id(p);
        if (!n->run || !n->namespace || !n->name)
                return -ENOMEM;
        n->details = pack_details(p, topic, n->name);
        if (!n->details)
                return -ENOMEM;
        event_log_append(p->object.manager->events, TAKE_PTR(n));
        return 0;
}

/* Which step a topic is: those of execs are the same. */
static EventTopic step_of(EventTopic topic) {
        if (topic == EVENT_TASK_EXEC_ADDED)
                return EVENT_TASK_CREATE;
        if (topic == EVENT_TASK_EXEC_STARTED)
                return EVENT_TASK_START;
        return topic;
}

static void note_step(Process *p, EventTopic topic) {
        StepEdge edge = edges[step_of(topic)];
        int r;

        /* every kill that is seen happening is news; what the record says may be known */
        if (topic == EVENT_TASK_OOM && p->status != TASK_STOPPED)
                edge.excluded &= ~edge.set;
        /* noted by this manager: no need to ask the database */
        else if (edge.set != 0 && (p->events & edge.set) == edge.set)
                return;
        r = note_new(p, topic, &edge);
        if (r < 0) {
                log_error_errno(r, "The event %s of %s is lost: %m", event_topic_to_string(topic),
                                p->object.name);
                return;
        }
        p->events = (p->events | edge.set) & ~edge.clear;
}

void event_reached(Process *p, EventTopic step) {
        bool init = is_init(p);

        assert((size_t) step_of(step) < ELEMENTSOF(edges) && step != EVENT_TASK_DELETE);

        note_step(p, init ? EVENT_TASK_CREATE : EVENT_TASK_EXEC_ADDED);
        /* an exit that is seen before the answer to Start (D9), or by the next manager */
        if (step == EVENT_TASK_EXIT && p->ran)
                note_step(p, init ? EVENT_TASK_START : EVENT_TASK_EXEC_STARTED);
        if (step == EVENT_TASK_EXIT && init && ((const Task *) p)->oom_killed)
                note_step(p, EVENT_TASK_OOM);
        note_step(p, step);
}

void event_settle(const Process *p) {
        event_log_settle(p->object.manager->events);
}

void event_task_deleted(Task *t) {
        event_reached(&t->process, EVENT_TASK_EXIT);
        note_step(&t->process, EVENT_TASK_DELETE);
        event_settle(&t->process);
}

void event_vanished(Process *p) {
        note_step(p, EVENT_TASK_EXIT);
        event_forget(p);
}

void event_checkpointed(Task *t, const char *checkpoint) {
        Process *p = &t->process;
        _cleanup_(note_freep) Note *n = NULL;

        n = calloc(1, sizeof(Note));
        if (n) {
                n->topic = EVENT_TASK_CHECKPOINTED;
                n->time = now_realtime();
                n->namespace = strdup(p->object.namespace);
                n->name = strdup(p->object.name);
                n->details = json_pack("{ss ss}", "Id", p->object.name, "Checkpoint", checkpoint);
        }
        if (!n || !n->namespace || !n->name || !n->details) {
                log_error_errno(-ENOMEM, "The checkpoint of %s is not in the history: %m",
                                p->object.name);
                return;
        }
        event_log_append(p->object.manager->events, TAKE_PTR(n));
        event_settle(p);
}

/* "NAMESPACE/ID/": what the names of a task's run and of its execs' runs begin with. */
static char *runs_prefix(const char *namespace, const char *id) {
        char *prefix;

        if (asprintf(&prefix, "%s/%s/", namespace, id) < 0)
                return NULL;
        return prefix;
}

void event_forget(Process *p) {
        _cleanup_(note_freep) Note *n = NULL;

        n = calloc(1, sizeof(Note));
        if (n) {
                n->below = is_init(p);
                n->run = n->below ? runs_prefix(p->object.namespace, p->object.name) : run_name(p);
        }
        /* what is left goes at the next start */
        if (!n || !n->run)
                return;
        event_log_append(p->object.manager->events, TAKE_PTR(n));
}

int note_write(Database *db, const Note *n, Error *e) {
        int r;

        if (!n->details)
                return n->below ? db_steps_delete_below(db, n->run, e)
                                : db_steps_delete(db, n->run, e);
        r = n->run ? db_steps_take(db, n->run, &n->edge, e) : 1;
        if (r != 1)
                return r;
        return db_event_insert(db,
                               &(Event){.time = n->time,
                                        .topic = n->topic,
                                        .namespace = n->namespace,
                                        .name = n->name,
                                        .details = n->details},
                               e);
}

/* A process that was there and is not any more: a reboot, or somebody who empties /run. */
typedef struct Lost {
        char *namespace, *id, *exec;
        uint64_t run;
} Lost;

static void lost_clear(Lost *l) {
        free(l->namespace);
        free(l->id);
        free(l->exec);
}

static int lost_parse(const char *run, Lost *ret) {
        char *namespace = NULL, *id = NULL, *exec = NULL;
        uint64_t number;

        /* an exec's name may be empty, which no conversion takes */
        if (sscanf(run, "%m[^/]/%m[^/]//%" SCNu64, &namespace, &id, &number) == 3)
                exec = strdup("");
        else {
                free(namespace);
                free(id);
                namespace = id = NULL;
                if (sscanf(run, "%m[^/]/%m[^/]/%m[^/]/%" SCNu64, &namespace, &id, &exec, &number) !=
                    4)
                        number = 0;
        }
        *ret = (Lost){.namespace = namespace, .id = id, .exec = exec, .run = number};
        return namespace && id && exec && number > 0 ? 0 : -EBADMSG;
}

static bool is_there(Manager *m, const Lost *l) {
        Object *o = object_find(m, OBJECT_CONTAINER, l->namespace, l->id);
        const Task *t = o ? CONTAINER(o)->task : NULL;
        const Exec *x;

        if (!t || !*l->exec)
                return t && t->process.run == l->run;
        x = task_find_exec(t, l->exec);
        return x && x->process.run == l->run;
}

/* In the queue, as all that happens to processes: what a store that is read-only is told of it has
 * the same numbers later. */
static int note_lost(Manager *m, const char *run, const Lost *l, EventTopic topic) {
        _cleanup_(note_freep) Note *n = NULL;

        n = calloc(1, sizeof(Note));
        if (!n)
                return -ENOMEM;
        n->topic = topic;
        n->edge = edges[topic];
        n->time = now_realtime();
        n->run = strdup(run);
        n->namespace = strdup(l->namespace);
        n->name = strdup(l->id);
        n->details = pack_exit(*l->exec ? l->exec : l->id, l->id, 0, EXIT_STATUS_UNKNOWN, false,
                               n->time);
        if (!n->run || !n->namespace || !n->name || !n->details)
                return -ENOMEM;
        event_log_append(m->events, TAKE_PTR(n));
        return 0;
}

static int note_forget(Manager *m, const char *run) {
        _cleanup_(note_freep) Note *n = NULL;

        n = calloc(1, sizeof(Note));
        if (!n)
                return -ENOMEM;
        n->run = strdup(run);
        if (!n->run)
                return -ENOMEM;
        event_log_append(m->events, TAKE_PTR(n));
        return 0;
}

/* Which of these steps are news the database decides. */
static int collect_one(Manager *m, const char *run) {
        _cleanup_(lost_clear) Lost l = {};
        int r;

        if (lost_parse(run, &l) < 0)
                return note_forget(m, run);
        if (is_there(m, &l))
                return 0;
        r = note_lost(m, run, &l, EVENT_TASK_EXIT);
        if (r == 0 && !*l.exec)
                r = note_lost(m, run, &l, EVENT_TASK_DELETE);
        return r == 0 ? note_forget(m, run) : r;
}

static int collect_all(Manager *m, Error *e) {
        _cleanup_json_ json_t *runs = NULL;
        const char *run;
        unsigned n = 0;
        json_t *steps;
        int r;

        r = event_flush(m, e);
        if (r == 0)
                r = db_steps_list(m->db, &runs, e);
        if (r != 0)
                return r;
        /* execs before their init */
        json_object_foreach(runs, run, steps) {
                r = collect_one(m, run);
                if (r == 0 && ++n % COLLECT_BATCH == 0)
                        r = event_flush(m, e);
                if (r != 0)
                        return r;
        }
        return event_flush(m, e);
}

int event_log_collect(Manager *m, Error *e) {
        int r = collect_all(m, e);

        event_log_collect_later(m->events, r != 0);
        return r;
}
