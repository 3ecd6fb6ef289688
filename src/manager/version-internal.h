/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between what a version's operation is (version.c) and how it goes on (version-operation.c). */

#include <systemd/sd-event.h>

#include "manager/container.h"
#include "manager/manager.h"
#include "manager/task.h"
#include "manager/version.h"

struct VersionOperation {
        Container *container;
        uint32_t version; /* that is made, or gone back to */
        bool rollback;
        bool start;       /* there is to be a running task at the end */
        bool switched;    /* the root was changed, or will not be: only the start is left */
        char *streams[3]; /* of the task, as process_stream() names them */
        uint64_t stop_timeout;
        json_t *labels;

        bool stopped; /* the stop was asked for */
        bool making_task;
        uint64_t bytes, inodes; /* of what is committed */
        Error error;            /* the first one; the task is started all the same */
        char *snapshot;         /* of the version */
        sd_event_source *source;
        VersionCallback callback; /* NULL: nobody waits for it */
        void *userdata;
};

/* Begins, from the event loop. The operation is the container's from here on. */
int version_operation_run(VersionOperation *o, Error *e);

/* It is over, whether or not there is room to say so in the container's row. */
void version_operation_end(Container *c);

/* The text for the container's row. */
int version_operation_to_text(const VersionOperation *o, char **ret);
