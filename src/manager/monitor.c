/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/monitor.h"

#include "manager/manager.h"
#include "manager/task.h"

void monitor_register(Manager *m, const TaskMonitor *monitor) {
        assert(m->n_monitors < MONITORS_MAX);
        m->monitors[m->n_monitors++] = monitor;
}

/* The first n, the last of them first. */
static void detach_last(Task *t, size_t n) {
        const Manager *m = t->process.object.manager;

        while (n-- > 0)
                if (m->monitors[n]->detach)
                        m->monitors[n]->detach(t);
}

int monitor_attach(Task *t, Error *e) {
        const Manager *m = t->process.object.manager;

        assert(!t->monitored);

        for (size_t i = 0; i < m->n_monitors; i++) {
                int r = m->monitors[i]->attach(t, e);

                if (r == 0)
                        continue;
                detach_last(t, i);
                return error_prefix(e, r, "Failed to monitor the task \"%s\"",
                                    t->process.object.name);
        }
        t->monitored = true;
        return 0;
}

void monitor_detach(Task *t) {
        const Manager *m = t->process.object.manager;

        if (!t->monitored)
                return;
        t->monitored = false;
        detach_last(t, m->n_monitors);
}

void monitor_exited(Task *t) {
        const Manager *m = t->process.object.manager;

        for (size_t i = 0; t->monitored && i < m->n_monitors; i++)
                if (m->monitors[i]->exited)
                        m->monitors[i]->exited(t);
}
