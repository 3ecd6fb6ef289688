/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A run of CRIU: a dump, from the request to the answer, and what dumps and restores share. */

#include <fcntl.h>
#include <limits.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "runtime/checkpoint-document.h"
#include "supervisor/checkpoint-internal.h"

#define RUN_USEC      (10 * 60 * USEC_PER_SEC)
#define DUMP_LOG_COPY "criu-dump.log"
#define INVENTORY     "inventory.img" /* without it CRIU takes a directory for no checkpoint */

Checkpoint *checkpoint_free(Checkpoint *c) {
        if (!c)
                return NULL;
        source_remove(&c->source);
        timer_remove(&c->timer);
        helper_free(c->criu);
        checkpoint_request_clear(&c->request);
        fd_close(c->images_fd);
        fd_close(c->master_fd);
        fd_close(c->slave_fd);
        c->supervisor->checkpoint = NULL;
        free(c);
        return NULL;
}

void checkpoint_clear(Supervisor *s) {
        checkpoint_free(s->checkpoint);
}

bool checkpoint_is_restoring(const Supervisor *s) {
        return s->checkpoint && s->checkpoint->restoring;
}

bool checkpoint_is_dumping(const Supervisor *s) {
        return s->checkpoint && !s->checkpoint->restoring;
}

bool checkpoint_owns(const Supervisor *s, pid_t pid) {
        return checkpoint_is_restoring(s) ||
               (s->checkpoint && s->checkpoint->criu && helper_pid(s->checkpoint->criu) == pid);
}

int checkpoint_new(Supervisor *s, Checkpoint **ret) {
        Checkpoint *c = calloc(1, sizeof(*c));

        if (!c)
                return -ENOMEM;
        c->supervisor = s;
        c->images_fd = c->master_fd = c->slave_fd = -1;
        s->checkpoint = *ret = c;
        return 0;
}

const char *checkpoint_task_file(const Supervisor *s, const char *name, char buf[static PATH_MAX]) {
        char link[64], dir[PATH_MAX];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", s->task_dir_fd);
        n = readlink(link, dir, sizeof(dir) - 1);
        dir[n > 0 ? n : 0] = '\0';
        return snprintf(buf, PATH_MAX, "%s/%s", dir, name) < PATH_MAX ? buf : name;
}

/* A directory with half of a checkpoint is not to be taken for one. */
static void dump_undo(Checkpoint *c) {
        int r;

        r = criu_log_copy(c->images_fd, CHECKPOINT_DUMP_LOG, c->supervisor->task_dir_fd,
                          DUMP_LOG_COPY);
        if (r < 0 && r != -ENOENT)
                log_warning_errno(r, "Failed to copy CRIU's log: %m");
        (void) unlinkat(c->images_fd, CHECKPOINT_DOCUMENT, 0);
        (void) unlinkat(c->images_fd, INVENTORY, 0);
}

static void dump_finished(Checkpoint *c, Error *e) {
        char path[PATH_MAX];
        int r;

        r = criu_finish(c->criu, c->images_fd, CHECKPOINT_DUMP_LOG,
                        checkpoint_task_file(c->supervisor, DUMP_LOG_COPY, path), e);
        if (r == 0)
                (void) unlinkat(c->images_fd, CHECKPOINT_DUMP_LOG, 0);
        else
                dump_undo(c);
        reply_send(&c->reply, r, e, 0);
        checkpoint_free(c);
}

static void on_criu(void *userdata, short revents) {
        _cleanup_error_ Error e = ERROR_NULL;
        Checkpoint *c = userdata;
        Supervisor *s = c->supervisor;

        if (c->restoring)
                checkpoint_restore_finished(c, &e);
        else
                dump_finished(c, &e);
        /* children that nobody knew while it ran */
        supervisor_check_empty(s);
}

static void on_timeout(void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;
        Checkpoint *c = userdata;
        Supervisor *s = c->supervisor;
        int r;

        r = error_setf(&e, CTR_DEADLINE_EXCEEDED, "CRIU did not come to an end within %u s",
                       (unsigned) (RUN_USEC / USEC_PER_SEC));
        if (c->restoring) {
                checkpoint_free(c);
                checkpoint_restore_failed(s, r, &e);
                return;
        }
        /* so that it writes no more */
        source_remove(&c->source);
        c->criu = helper_free(c->criu);
        dump_undo(c);
        reply_send(&c->reply, r, &e, 0);
        checkpoint_free(c);
}

int checkpoint_watch(Checkpoint *c) {
        Supervisor *s = c->supervisor;

        c->source = (Source){.fd = helper_pidfd(c->criu),
                             .events = POLLIN,
                             .dispatch = on_criu,
                             .userdata = c};
        c->timer = (Timer){.elapse = on_timeout, .userdata = c};
        loop_add_timer(&s->loop, &c->timer, now_monotonic() + RUN_USEC);
        return loop_add(&s->loop, &c->source);
}

static int open_images(Checkpoint *c, Error *e) {
        int r;

        c->images_fd = dir_open_make_at(AT_FDCWD, c->request.images, 0700);
        if (c->images_fd < 0)
                return error_setf(e, c->images_fd, "Failed to make the directory %s: %m",
                                  c->request.images);
        /* a descriptor that can be written through */
        r = openat(c->images_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (r < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", c->request.images);
        fd_close(c->images_fd);
        c->images_fd = r;
        if (faccessat(c->images_fd, INVENTORY, F_OK, AT_SYMLINK_NOFOLLOW) >= 0)
                return error_setf(e, CTR_ALREADY_EXISTS, "There is a checkpoint in %s already",
                                  c->request.images);
        return 0;
}

static int dump_start(Checkpoint *c, Error *e) {
        Supervisor *s = c->supervisor;
        int r;

        r = open_images(c, e);
        if (r != 0)
                return r;
        c->dump = (CheckpointDump){
                        .init_pid = s->init.record.pid,
                        .config_dir_fd = s->task_dir_fd,
                        .config_name = TASK_FILE_CONFIG,
                        .images_fd = c->images_fd,
                        .cgroup_fd = payload_fd(s->payload),
                        .parent = c->request.parent,
                        .stdio = s->stream_names,
                        .leave_running = c->request.leave_running,
                        .tcp = c->request.allow_tcp,
                        .unix_sockets = c->request.allow_unix_sockets,
                        .terminal = c->request.allow_terminal,
                        .file_locks = c->request.file_locks,
                        .empty_namespaces = c->request.empty_namespaces,
        };
        r = checkpoint_dump(&c->dump, &c->criu, e);
        if (r != 0)
                return r;
        r = checkpoint_watch(c);
        return r < 0 ? error_setf(e, r, "Failed to watch CRIU: %m") : 0;
}

static int request_outcome(Supervisor *s, Request *q, Error *e) {
        if (!checkpoint_is_dumping(s) || reply_is_awaited(&s->checkpoint->reply))
                return error_setf(e, CTR_FAILED_PRECONDITION, "%s",
                                  checkpoint_is_dumping(s)
                                                  ? "Somebody else waits for the checkpoint"
                                                  : "No checkpoint of the task is being made");
        request_defer(q, &s->checkpoint->reply);
        return 0;
}

int request_checkpoint(Supervisor *s, Request *q, Error *e) {
        Checkpoint *c;
        int r;

        if (q->message->text[0] == '\0')
                return request_outcome(s, q, e);
        if (s->foreign)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "No checkpoint can be made of a task with the runtime %s",
                                  s->launch.runtime);
        if (s->state != STATE_RUNNING || supervisor_is_starting(s))
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task is %s and not running",
                                  supervisor_state_to_string(s->state));
        if (s->checkpoint)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "A checkpoint of the task is being made already");
        if (s->freeze == FREEZE_PENDING)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The task is being paused");
        r = checkpoint_new(s, &c);
        if (r < 0)
                return r;
        r = checkpoint_request_from_text(q->message->text, &c->request, e);
        if (r == 0)
                r = dump_start(c, e);
        if (r != 0) {
                checkpoint_free(c);
                return r;
        }
        request_defer(q, &c->reply);
        return 0;
}
