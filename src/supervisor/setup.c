/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The way to a created task. Invariant: whatever fails here leaves nothing behind: init dies with
 * the container object, and with it its mounts; the cgroups are removed.
 */

#include <fcntl.h>
#include <limits.h>
#include <malloc.h>
#include <sys/prctl.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "config.h"
#include "runtime/checkpoint.h"
#include "supervisor/foreign.h"

#define ENTER_USEC   (30 * USEC_PER_SEC)
#define JOURNAL_USEC (5 * USEC_PER_SEC)

static int launch_read(Supervisor *s, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        int r;

        r = json_read_file_at(s->task_dir_fd, TASK_FILE_LAUNCH, TASK_LAUNCH_MAX, &j, e);
        if (r != 0)
                return r;
        return task_launch_from_json(j, &s->launch, e);
}

static StreamsParameters init_streams(const Supervisor *s) {
        return (StreamsParameters){
                        .kinds = s->launch.stdio,
                        .paths = s->launch.stdio_path,
                        .terminal = s->launch.terminal,
                        .log_identifier = supervisor_log_identifier(s),
                        .unit = s->launch.unit,
                        .journal_usec = JOURNAL_USEC,
                        .journal_later = !s->launch.runtime,
        };
}

static int open_journal(void *userdata, int stdio[3], Error *e) {
        const StreamsParameters streams = init_streams(userdata);

        return streams_open_journal(&streams, stdio, e);
}

int supervisor_prepare(Supervisor *s, const char *task_dir, int handed[static 3], Error *e) {
        ContainerParameters parameters = {.config_name = TASK_FILE_CONFIG};
        StreamsParameters streams;
        int r;

        s->task_dir = task_dir;
        s->task_dir_fd = open(task_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (s->task_dir_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", task_dir);
        r = launch_read(s, e);
        if (r != 0)
                return r;
        streams = init_streams(s);
        r = process_open(&s->init, &streams, handed, e);
        if (r != 0)
                return r;

        /* init comes with GO */
        if (s->launch.runtime)
                return foreign_new(s, task_dir, e);
        /* init comes with START */
        if (s->launch.checkpoint)
                return 0;

        parameters.config_dir_fd = s->task_dir_fd;
        parameters.rootfs_lower = s->launch.rootfs_lower;
        parameters.rootfs_upper = s->launch.rootfs_upper;
        parameters.rootfs_work = s->launch.rootfs_work;
        parameters.seccomp_cache = CTR_RUNTIME_DIR "/seccomp";
        memcpy(parameters.stdio, s->init.streams.fd, sizeof(parameters.stdio));
        parameters.open_stdio = open_journal;
        parameters.userdata = s;
        parameters.id = s->launch.id;
        parameters.bundle = task_dir;
        /* an id may be longer than a host name */
        if (strlen(s->launch.id) <= HOST_NAME_MAX)
                parameters.hostname_fallback = s->launch.id;

        r = container_new(&parameters, &s->container, e);
        if (r != 0)
                return r;
        r = container_clone(s->container, -1, e);
        if (r != 0)
                return r;
        if (!s->launch.terminal)
                process_close_program_ends(&s->init);
        return 0;
}

/* The OOM killer shall take the payload, never the one who has to tell of it. Without
 * CAP_SYS_RESOURCE this is not to be had, and nothing else depends on it. */
static void oom_score_protect(Supervisor *s) {
        _cleanup_close_ int fd = open("/proc/self/oom_score_adj", O_RDWR | O_CLOEXEC);
        ssize_t n;

        n = fd < 0 ? -1 : read(fd, s->oom_score_adj, sizeof(s->oom_score_adj) - 1);
        if (n < 0 || pwrite(fd, "-1000", STRLEN("-1000"), 0) < 0) {
                log_debug_errno(errno, "Failed to protect from the OOM killer: %m");
                n = 0;
        }
        s->oom_score_adj[n] = '\0';
}

static int watch(Supervisor *s, Source *source, int fd, short events,
                 void (*dispatch)(void *userdata, short revents)) {
        if (fd < 0)
                return 0;
        *source = (Source){.fd = fd, .events = events, .dispatch = dispatch, .userdata = s};
        return loop_add(&s->loop, source);
}

int supervisor_watch_init(Supervisor *s) {
        return watch(s, &s->init_source, container_pidfd(s->container), POLLIN, supervisor_on_init);
}

static int watch_all(Supervisor *s) {
        int r;

        r = s->container ? supervisor_watch_init(s) : 0;
        if (r < 0)
                return r;
        r = watch(s, &s->events_source, payload_events_fd(s->payload), POLLPRI,
                  supervisor_on_events);
        if (r < 0)
                return r;
        return watch(s, &s->memory_source, payload_memory_events_fd(s->payload), POLLPRI,
                     supervisor_on_memory_events);
}

static int enter_init(Supervisor *s, Error *e) {
        int master = -1, r;

        r = container_enter(s->container, payload_fd(s->payload), ENTER_USEC, &master, e);
        if (r != 0)
                return r;
        s->init.record.pid = container_pid(s->container);
        r = checkpoint_name_streams(s->init.record.pid, s->stream_names, e);
        if (r != 0) {
                fd_close(master);
                return r;
        }
        return process_set_up(&s->init, master, e);
}

int supervisor_enter(Supervisor *s, Error *e) {
        int r;

        /* what a container without a pid namespace of its own leaves behind becomes our child */
        if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become a subreaper: %m");

        r = payload_new(s->launch.unit, &s->payload, e);
        if (r != 0)
                return r;
        oom_score_protect(s);
        r = connection_listen(&s->connections, s->task_dir_fd, SUPERVISOR_CONTROL_NAME, e);
        if (r != 0)
                return r;
        /* here we are in the cgroup that they shall be in */
        r = process_spawn_loggers(&s->init, &s->launch, s->launch.stdio, s->launch.stdio_path,
                                  s->oom_score_adj, e);
        if (r != 0)
                return r;
        if (s->foreign)
                r = foreign_create(s, ENTER_USEC, e);
        else if (s->container)
                r = enter_init(s, e);
        if (r != 0)
                return r;
        r = process_wait_loggers(&s->init, now_monotonic() + LOGGER_READY_USEC, e);
        if (r != 0)
                return r;
        r = watch_all(s);
        if (r < 0)
                return error_setf(e, r, "Failed to watch the container: %m");

        /* the documents and the set-up are history: give their pages back */
        (void) malloc_trim(0);
        return 0;
}
