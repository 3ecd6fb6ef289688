/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A restore: CRIU is started with what the new init is to have, and what it has brought back
 * becomes the task's init, in every way as if it had been cloned. */

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "supervisor/checkpoint-internal.h"

#define STATUS_NOT_RUN     125
#define RESTORE_STATISTICS "stats-restore" /* CRIU leaves it in its working directory */
#define JOURNAL_USEC       (5 * USEC_PER_SEC)

static int adopt(Checkpoint *c, Error *e) {
        Supervisor *s = c->supervisor;
        int pidfd = -1, r;
        struct stat st;
        char path[32];
        pid_t pid;

        r = checkpoint_read_pid(s->task_dir_fd, &pid, &pidfd, e);
        if (r != 0)
                return r;
        r = container_adopt(pid, pidfd, &s->container);
        if (r < 0) {
                fd_close(pidfd);
                return error_setf(e, r, "Failed to take over the restored container: %m");
        }
        s->init.record.pid = pid;
        r = checkpoint_name_streams(pid, s->stream_names, e);
        if (r != 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%i", pid);
        if (c->slave_fd >= 0 && stat(path, &st) >= 0)
                (void) fchown(c->slave_fd, st.st_uid, (gid_t) -1);
        r = process_set_up(&s->init, TAKE_FD(c->master_fd), e);
        if (r != 0)
                return r;
        if (!s->launch.terminal)
                process_close_program_ends(&s->init);
        r = supervisor_watch_init(s);
        return r < 0 ? error_setf(e, r, "Failed to watch the container: %m") : 0;
}

/* Nobody is there whose end could be waited for. */
void checkpoint_restore_failed(Supervisor *s, int r, const Error *e) {
        (void) free_and_strdup(&s->init.record.error, error_text(e));
        reply_send(&s->start_reply, r, e, 0);
        source_remove(&s->init_source);
        s->container = container_free(s->container);
        supervisor_init_ended(s, STATUS_NOT_RUN);
}

void checkpoint_cancel_restore(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (!checkpoint_is_restoring(s))
                return;
        checkpoint_clear(s);
        r = error_setf(&e, CTR_FAILED_PRECONDITION, "The task was stopped while it was restored");
        (void) free_and_strdup(&s->init.record.error, error_text(&e));
        reply_send(&s->start_reply, r, &e, 0);
}

void checkpoint_restore_finished(Checkpoint *c, Error *e) {
        Supervisor *s = c->supervisor;
        char path[PATH_MAX];
        int r;

        r = criu_finish(c->criu, s->task_dir_fd, CHECKPOINT_RESTORE_LOG,
                        checkpoint_task_file(s, CHECKPOINT_RESTORE_LOG, path), e);
        if (r == 0)
                r = adopt(c, e);
        checkpoint_free(c);
        (void) unlinkat(s->task_dir_fd, CHECKPOINT_ROOT, AT_REMOVEDIR);
        if (r != 0) {
                checkpoint_restore_failed(s, r, e);
                return;
        }
        (void) unlinkat(s->task_dir_fd, CHECKPOINT_RESTORE_LOG, 0);
        (void) unlinkat(s->task_dir_fd, RESTORE_STATISTICS, 0);
        s->init.record.started = true;
        supervisor_set_state(s, STATE_RUNNING);
        reply_send(&s->start_reply, 0, NULL, s->init.record.pid);
}

/* In the host's devpts: the container's own is not there before CRIU mounts it. */
static int open_terminal(Checkpoint *c, char path[static 64], Error *e) {
        c->master_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (c->master_fd < 0 || unlockpt(c->master_fd) < 0)
                return error_setf(e, -errno, "Failed to allocate a terminal: %m");
        c->slave_fd = ioctl(c->master_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (c->slave_fd < 0)
                return error_setf(e, -errno, "Failed to open the terminal: %m");
        if (ptsname_r(c->master_fd, path, 64) != 0)
                return error_setf(e, -errno, "Failed to name the terminal: %m");
        return 0;
}

static int open_journal(void *userdata, int stdio[3], Error *e) {
        const Supervisor *s = userdata;
        const StreamsParameters streams = {
                        .kinds = s->launch.stdio,
                        .paths = s->launch.stdio_path,
                        .log_identifier = supervisor_log_identifier(s),
                        .unit = s->launch.unit,
                        .journal_usec = JOURNAL_USEC,
        };

        return s->launch.terminal ? 0 : streams_open_journal(&streams, stdio, e);
}

static int restore_start(Checkpoint *c, Error *e) {
        Supervisor *s = c->supervisor;
        char terminal[64];
        int r;

        c->images_fd = open(s->launch.checkpoint, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->images_fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open the checkpoint %s: %m", s->launch.checkpoint);
        c->restore = (CheckpointRestore){
                        .config_dir_fd = s->task_dir_fd,
                        .config_name = TASK_FILE_CONFIG,
                        .rootfs_lower = s->launch.rootfs_lower,
                        .rootfs_upper = s->launch.rootfs_upper,
                        .rootfs_work = s->launch.rootfs_work,
                        .images_fd = c->images_fd,
                        .work_fd = s->task_dir_fd,
                        .cgroup_fd = payload_fd(s->payload),
                        .open_stdio = open_journal,
                        .userdata = s,
        };
        memcpy(c->restore.stdio, s->init.streams.fd, sizeof(c->restore.stdio));
        if (s->launch.terminal) {
                r = open_terminal(c, terminal, e);
                if (r != 0)
                        return r;
                for (size_t i = 0; i < 3; i++)
                        c->restore.stdio[i] = c->slave_fd;
                c->restore.terminal_path = terminal;
        }
        /* the clone has its own copy of all of this */
        r = checkpoint_restore(&c->restore, &c->criu, e);
        c->restore.terminal_path = NULL;
        if (r != 0)
                return r;
        r = checkpoint_watch(c);
        return r < 0 ? error_setf(e, r, "Failed to watch CRIU: %m") : 0;
}

void supervisor_restore(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        Checkpoint *c;
        int r;

        r = checkpoint_new(s, &c);
        if (r == 0) {
                c->restoring = true;
                r = restore_start(c, &e);
        }
        if (r == 0)
                return;
        checkpoint_clear(s);
        if (e.code == 0)
                (void) error_setf(&e, r, "Failed to restore the task");
        checkpoint_restore_failed(s, r, &e);
}
