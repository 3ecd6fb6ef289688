/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between what is kept of restarts (restart-state.c) and what is done (restart.c). */

#include <systemd/sd-event.h>

#include "manager/manager.h"
#include "manager/restart.h"
#include "manager/task.h"
#include "unit/systemd.h"

/* in the state directory; units/ctr-boot.service has it, too */
#define RESTART_MARKER "restart-at-boot"

typedef enum RestartPhase {
        RESTART_IDLE,
        RESTART_JUDGING,
        RESTART_WAITING,
        RESTART_DELETING,
        RESTART_CREATING,
        RESTART_STARTING,
} RestartPhase;

struct Restart {
        Container *container;
        RestartPhase phase;
        bool own; /* the monitor is calling the core: this is not the user */
        sd_event_source *timer;
        SystemQuestion *question;

        /* what is kept, besides the labels */
        bool exited; /* how the last run ended is known, and is to be acted upon */
        int exit_status;
        uint64_t exited_at;
        bool attempt;      /* the task was made by the monitor, and counted */
        unsigned failures; /* quick exits in a row */
        char *streams[3];  /* of the last task, as process_stream() names them */
};

struct Restarts {
        Manager *manager;
        RestartTimes times;
        size_t n_busy; /* not IDLE */
        bool marked;   /* the file that asks for us at boot is there */
};

/* restart.c */

/* IDLE stops what was going to happen. */
void restart_set_phase(Restart *r, RestartPhase phase);
void restart_schedule(Restart *r, RestartPhase phase, uint64_t usec);

/* Its task has STOPPED: unless the machine goes down, the policy decides. */
void restart_ask_and_judge(Restart *r);

/* What a start finds, or a change of what is wanted. */
void restart_reconcile(Restart *r);

/* The user does not want it to run. */
void restart_note_stopped(Restart *r, bool explicitly);

/* There is a new task, made by the monitor itself if own. A restart is counted here, where it is
 * known that there is one, and where a killed manager finds it. */
int restart_note_run(Restart *r, bool own, Error *e);

/* restart-state.c */

/* New labels like those of c, with changes; NULL without memory. status NULL: as it is. */
typedef struct RestartChange {
        const char *status;
        int explicitly_stopped; /* -1: as it is */
        int64_t count;          /* -1: as it is */
} RestartChange;
json_t *restart_change_labels(const Container *c, const RestartChange *change);

/* Keeps r, and labels unless they are NULL or the same (taken over in any case). wait: until the
 * disk has it. */
int restart_save(Restart *r, json_t *labels, bool wait, Error *e);

/* The same with changed labels; a failure is logged, and the change holds as long as the manager
 * lives. */
void restart_save_or_log(Restart *r, const RestartChange *change, bool wait);

/* The streams of the last task for its successor; what came by descriptor cannot be had again and
 * becomes the journal. Strings stay r's and the labels'. */
void restart_streams(const Restart *r, StreamsRequest *ret);

/* A name as process_stream() gives it; *path stays name's. */
void restart_parse_stream(const char *name, StdioKind *kind, const char **path);

/* Makes or removes the file that a boot looks for: as the containers are, or at once. */
int restarts_mark(Manager *m, Error *e);
int restarts_mark_now(Manager *m, bool wanted, Error *e);
