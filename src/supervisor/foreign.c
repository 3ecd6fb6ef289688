/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/foreign.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "supervisor/foreign-document.h"

#define PROCS_MAX   (8U * 1024 * 1024) /* a million pids */
#define PLACE       "runtime"          /* in the task's directory, and in the payload */
#define CONTAINER   "container"
#define EMPTY_USEC  (5 * USEC_PER_SEC)
#define DELETE_USEC (10 * USEC_PER_SEC)

struct Foreign {
        ForeignPlace place;
        ForeignRun *start;
        bool created; /* or half created: there may be something to delete */
};

Foreign *foreign_free(Foreign *f) {
        if (!f)
                return NULL;
        foreign_run_free(f->start);
        free(f->place.program);
        free(f->place.id);
        free(f->place.bundle);
        fd_close(f->place.bundle_fd);
        fd_close(f->place.cgroup_fd);
        free(f);
        return NULL;
}

static int place_fill(ForeignPlace *p, const Supervisor *s, const char *task_dir, Error *e) {
        p->oom_score_adj = s->oom_score_adj;
        p->program = strdup(s->launch.runtime);
        p->id = strdup(s->launch.id);
        if (!p->program || !p->id || asprintf(&p->bundle, "%s/" PLACE, task_dir) < 0)
                return -ENOMEM;
        p->bundle_fd = dir_open_make_at(s->task_dir_fd, PLACE, 0700);
        return p->bundle_fd < 0 ? error_setf(e, p->bundle_fd, "Failed to make %s: %m", p->bundle)
                                : 0;
}

int foreign_new(Supervisor *s, const char *task_dir, Error *e) {
        Foreign *f;

        if (s->launch.checkpoint)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "A task cannot be restored with the runtime %s",
                                  s->launch.runtime);
        if (faccessat(AT_FDCWD, s->launch.runtime, X_OK, AT_EACCESS) < 0)
                return error_setf(e, CTR_UNAVAILABLE, "The runtime %s cannot be executed: %m",
                                  s->launch.runtime);
        f = calloc(1, sizeof(*f));
        if (!f)
                return -ENOMEM;
        f->place.bundle_fd = f->place.cgroup_fd = -1;
        s->foreign = f;
        return place_fill(&f->place, s, task_dir, e);
}

/* The pid that the runtime wrote has to be where the container has to be. */
static int check_process(Supervisor *s, ForeignProcess *p, Error *e) {
        if (payload_signal_pid(s->payload, p->pid, 0) == 0)
                return 0;
        pidfd_forsake(p->pidfd);
        p->pidfd = fd_close(p->pidfd);
        p->terminal_fd = fd_close(p->terminal_fd);
        return error_setf(e, CTR_UNKNOWN, "%s did not put the process into the container's cgroup",
                          s->launch.runtime);
}

/* Creation */

typedef struct Document {
        ForeignDocument document;
        const Exec *exec;
        char name[STRLEN("exec-.json") + IDENTIFIER_MAX + 1];
} Document;

static void document_fill(Document *d, const Supervisor *s, const char *cgroup) {
        d->document = (ForeignDocument){
                        .task_dir_fd = s->task_dir_fd,
                        .launch = &s->launch,
                        .bundle = s->foreign->place.bundle,
                        .bundle_fd = s->foreign->place.bundle_fd,
                        .cgroup = cgroup,
        };
}

static int prepare_create(void *userdata, Error *e) {
        const Document *d = userdata;

        return foreign_write_config(&d->document, e);
}

static int open_cgroup(Supervisor *s, Error *e) {
        int payload = payload_fd(s->payload), *fd = &s->foreign->place.cgroup_fd;

        if (mkdirat(payload, PLACE, 0755) < 0 && errno != EEXIST)
                return error_setf(e, -errno, "Failed to make the runtime's cgroup: %m");
        *fd = openat(payload, PLACE, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return *fd < 0 ? error_setf(e, -errno, "Failed to open the runtime's cgroup: %m") : 0;
}

static int run_create(Supervisor *s, uint64_t usec, ForeignProcess *ret, Error *e) {
        _cleanup_(foreign_run_freep) ForeignRun *run = NULL;
        _cleanup_free_ char *cgroup = NULL;
        Document document = {};
        int r;

        if (asprintf(&cgroup, "/%s/" CONTAINER, payload_path(s->payload)) < 0)
                return -ENOMEM;
        document_fill(&document, s, cgroup);
        r = foreign_run_new(&s->foreign->place,
                            &(ForeignCommand){
                                            .verb = "create",
                                            .terminal = s->launch.terminal,
                                            .stdio = s->launch.terminal ? NULL : s->init.streams.fd,
                                            .prepare = prepare_create,
                                            .userdata = &document,
                            },
                            &run, e);
        if (r != 0)
                return r;
        s->foreign->created = true;
        if (!foreign_run_wait(run, now_monotonic() + usec))
                return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                  "%s did not make the container within %u s", s->launch.runtime,
                                  (unsigned) (usec / USEC_PER_SEC));
        r = foreign_run_finish(run, ret, e);
        return r == 0 ? check_process(s, ret, e) : r;
}

int foreign_create(Supervisor *s, uint64_t usec, Error *e) {
        ForeignProcess p;
        int r;

        r = open_cgroup(s, e);
        if (r == 0)
                r = run_create(s, usec, &p, e);
        if (r != 0)
                return r;
        r = container_adopt(p.pid, p.pidfd, &s->container);
        if (r < 0) {
                pidfd_forsake(p.pidfd);
                fd_close(p.pidfd);
                fd_close(p.terminal_fd);
                return r;
        }
        s->init.record.pid = p.pid;
        r = process_set_up(&s->init, p.terminal_fd, e);
        if (r == 0 && !s->launch.terminal)
                process_close_program_ends(&s->init);
        return r;
}

/* Start */

int foreign_start_begin(Foreign *f, Error *e) {
        return foreign_run_new(&f->place, &(ForeignCommand){.verb = "start"}, &f->start, e);
}

int foreign_start_fd(const Foreign *f) {
        return foreign_run_fd(f->start);
}

bool foreign_is_starting(const Foreign *f) {
        return f && f->start;
}

void foreign_start_end(Foreign *f) {
        if (f)
                f->start = foreign_run_free(f->start);
}

int foreign_start_receive(Foreign *f, bool *ret_done, Error *e) {
        int r;

        *ret_done = foreign_run_wait(f->start, 0) == 1;
        if (!*ret_done)
                return 0;
        r = foreign_run_finish(f->start, NULL, e);
        foreign_start_end(f);
        return r;
}

/* Execs */

static int prepare_exec(void *userdata, Error *e) {
        const Document *d = userdata;
        const Exec *x = d->exec;

        return foreign_write_process(&d->document, x->id, x->supervisor->init.record.pid, d->name,
                                     e);
}

int foreign_exec_begin(Exec *x, Error *e) {
        Document document = {.exec = x};

        document_fill(&document, x->supervisor, NULL);
        (void) snprintf(document.name, sizeof(document.name), "exec-%s.json", x->id);
        return foreign_run_new(&x->supervisor->foreign->place,
                               &(ForeignCommand){
                                               .verb = "exec",
                                               .exec_id = x->id,
                                               .terminal = x->process.terminal,
                                               .stdio = x->process.terminal ? NULL
                                                                            : x->process.streams.fd,
                                               .prepare = prepare_exec,
                                               .userdata = &document,
                               },
                               &x->run, e);
}

int foreign_exec_receive(Exec *x, ContainerExecNews *ret, Error *e) {
        ForeignProcess p;
        int r;

        r = foreign_run_finish(x->run, &p, e);
        if (r == 0)
                r = check_process(x->supervisor, &p, e);
        if (r != 0)
                return r;
        *ret = (ContainerExecNews){
                        .executed = true,
                        .pid = p.pid,
                        .pidfd = p.pidfd,
                        .terminal_fd = p.terminal_fd,
        };
        return 0;
}

static bool is_running(const Supervisor *s) {
        for (const Exec *x = s->execs; x; x = x->next)
                if (x->run)
                        return true;
        return s->foreign->start;
}

/* The next one of a list of cgroup.procs; 0: none. */
static pid_t next_pid(const char **list) {
        char *end;
        long pid = strtol(*list, &end, 10);

        *list = end;
        return (pid_t) pid;
}

/* What runs of the runtime have left beside the container, when none is under way. One by one, and
 * without cgroup.kill, after which the next run could not clone into the container's cgroup
 * (process_clone()). A runtime that has made no cgroup for the container has left that here, too,
 * and nobody can tell what belongs to it. */
static void kill_rest(Supervisor *s) {
        _cleanup_free_ char *pids = NULL;
        const char *next;
        pid_t pid;
        int r;

        r = file_read_at(s->foreign->place.cgroup_fd, "cgroup.procs", PROCS_MAX, &pids, NULL);
        if (r < 0) {
                log_warning_errno(r, "Failed to read what runs of %s have left: %m",
                                  s->foreign->place.program);
                return;
        }
        next = pids;
        while ((pid = next_pid(&next)) > 0)
                if (pid == s->init.record.pid)
                        return;
        next = pids;
        while ((pid = next_pid(&next)) > 0)
                (void) payload_signal_pid(s->payload, pid, SIGKILL);
}

/* A run that failed, or took too long, may have made the process all the same, and have children of
 * its own. */
void foreign_exec_end(Exec *x) {
        Supervisor *s = x->supervisor;
        bool taken;
        pid_t pid;

        if (!x->run)
                return;
        taken = foreign_run_is_taken(x->run);
        pid = taken ? 0 : foreign_run_abort(x->run);
        x->run = foreign_run_free(x->run);
        if (taken)
                return;
        if (pid > 1 && pid != s->init.record.pid)
                (void) payload_signal_pid(s->payload, pid, SIGKILL);
        if (!is_running(s))
                kill_rest(s);
}

bool foreign_owns(const Supervisor *s, pid_t pid) {
        const Foreign *f = s->foreign;

        if (!f)
                return false;
        for (const Exec *x = s->execs; x; x = x->next)
                if (x->run)
                        return true;
        return f->start && foreign_run_pid(f->start) == pid;
}

/* The end */

static void wait_empty(Supervisor *s) {
        uint64_t deadline = now_monotonic() + EMPTY_USEC, now;

        (void) payload_kill(s->payload);
        while (payload_is_populated(s->payload) > 0 && (now = now_monotonic()) < deadline) {
                struct pollfd p = {.fd = payload_events_fd(s->payload), .events = POLLPRI};

                (void) poll(&p, 1, (int) ((deadline - now) / USEC_PER_MSEC) + 1);
        }
}

static int run_delete(Foreign *f, Error *e) {
        _cleanup_(foreign_run_freep) ForeignRun *run = NULL;
        int r;

        r = foreign_run_new(&f->place, &(ForeignCommand){.verb = "delete"}, &run, e);
        if (r != 0)
                return r;
        if (!foreign_run_wait(run, now_monotonic() + DELETE_USEC))
                return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                  "%s did not delete the container within %u s", f->place.program,
                                  (unsigned) (DELETE_USEC / USEC_PER_SEC));
        return foreign_run_finish(run, NULL, e);
}

void foreign_end(Supervisor *s) {
        _cleanup_error_ Error e = ERROR_NULL;
        Foreign *f = s->foreign;
        int r;

        if (!f || !f->created || !s->payload)
                return;
        foreign_start_end(f);
        wait_empty(s);
        r = run_delete(f, &e);
        if (r != 0)
                /* the processes are gone, and the runtime's files go with the task's directory */
                log_info("%s", error_text_of(r, &e));
        wait_empty(s);
}
