/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Whose turn it is. A job waits while as many of its type run as may, and while another one with
 * its key has begun before: that one's work is found done then, which is how two pulls of one image
 * download it once. The order is that in which the jobs were made, but for those that something is
 * still coming for (job-input.c): others pass them.
 */

#include "manager/job-internal.h"

#include "manager/manager.h"

typedef struct Look {
        const Job *job;
        unsigned n_running; /* of its type */
        bool blocked;       /* an older one has its key */
} Look;

static int look_at(Object *o, void *userdata) {
        const Job *other = JOB(o);
        Look *l = userdata;

        if ((other->id >= l->job->id && other->waiting) || other->input_source)
                return 0;
        if (other->type == l->job->type && !other->waiting)
                l->n_running++;
        if (other != l->job && l->job->key && streq_ptr(other->key, l->job->key))
                l->blocked = true;
        return 0;
}

bool job_must_wait(const Job *j) {
        Look l = {.job = j};

        (void) object_foreach(j->object.manager, OBJECT_JOB, NULL, look_at, &l);
        return j->input_source || l.blocked ||
               (j->type->n_running_max > 0 && l.n_running >= j->type->n_running_max);
}

/* The oldest one that may begin. */
static int find_next(Object *o, void *userdata) {
        Job **next = userdata, *j = JOB(o);

        if (j->waiting && (!*next || j->id < (*next)->id) && !job_must_wait(j))
                *next = j;
        return 0;
}

static int answer_again(Object *o, void *userdata) {
        if (JOB(o)->plan)
                job_answer_plan_again(JOB(o));
        return 0;
}

static void begin(Job *j) {
        int r;

        j->waiting = false;
        r = job_spawn(j, &j->error);
        if (r == 0)
                return;
        error_setf(&j->error, r, "Failed to start the %s of \"%s\"", j->type->name, j->description);
        job_release_worker(j);
        if (job_finish_later(j) < 0)
                job_finish(j);
}

void jobs_continue(Manager *m) {
        for (;;) {
                Job *next = NULL;

                (void) object_foreach(m, OBJECT_JOB, NULL, find_next, &next);
                if (!next)
                        break;
                begin(next);
        }
        (void) object_foreach(m, OBJECT_JOB, NULL, answer_again, NULL);
}
