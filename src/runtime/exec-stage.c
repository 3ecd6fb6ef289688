/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/exec-stage.h"

#include <fcntl.h>
#include <linux/sched.h>
#include <poll.h>
#include <sched.h>
#include <sys/syscall.h>

#include "runtime/cgroup-tree.h"
#include "runtime/cgroup.h"
#include "runtime/exec-profile.h"
#include "runtime/hooks.h"
#include "runtime/process.h"
#include "runtime/program.h"
#include "runtime/resctrl.h"
#include "runtime/schedule.h"
#include "runtime/seccomp-notify.h"
#include "runtime/step.h"

/* What the sibling is born with, besides 0, 1, 2 and those that are preserved. */
enum {
        SYNC_FD = 3,
        INIT_FD,
        GO_FD,
        LISTENER_FD,
        _FD_END,
};

typedef struct Stage {
        const ExecParameters *p;
        int init_pidfd;
        Spec *spec;
        ExecProfile profile;
        Program program;
        int root_fd;
} Stage;

/* EBUSY as for who is cloned into it: it has become an inner node. */
static int enter_cgroup(void *userdata, Error *e) {
        _cleanup_close_ int cgroup_fd = -1;
        const Stage *s = userdata;
        int r;

        if (!s->p->moves || s->p->cgroup_fd < 0)
                return 0;
        r = cgroup_attribute_write(s->p->cgroup_fd, "cgroup.procs", "0");
        if (r == -EBUSY) {
                r = cgroup_open_of(s->p->cgroup_fd, s->p->init_pid, &cgroup_fd, e);
                if (r != 0)
                        return r;
                r = cgroup_attribute_write(cgroup_fd, "cgroup.procs", "0");
        }
        return r < 0 ? error_setf(e, r, "Failed to move into the payload cgroup: %m") : 0;
}

static int read_documents(void *userdata, Error *e) {
        Stage *s = userdata;
        int r;

        r = spec_read_process(s->p->config_dir_fd, s->p->document_name, &s->spec, e);
        if (r != 0)
                return r;
        r = exec_profile_read(s->p->config_dir_fd, s->p->config_name, s->p->seccomp_cache,
                              &s->profile, e);
        if (r != 0)
                return r;
        s->program.process = &s->spec->process;
        s->program.seccomp = s->profile.seccomp;
        s->program.personality_set = s->profile.personality_set;
        s->program.personality = s->profile.personality;
        return 0;
}

/* The supervisor's own score protects it, and would protect the program. */
static int set_oom_score(void *userdata, Error *e) {
        Stage *s = userdata;
        SpecProcess *process = &s->spec->process;

        if (!process->oom_score_adj_set) {
                process->oom_score_adj = s->profile.oom_score_adj;
                process->oom_score_adj_set = true;
        }
        return process_set_oom_score(process, e);
}

/* While we still have the host's rights; what is cloned has it, too. */
static int set_schedule(void *userdata, Error *e) {
        Stage *s = userdata;
        const SpecProcess *process = &s->spec->process;
        int r;

        r = affinity_apply(&process->affinity_initial, "initial", e);
        if (r == 0)
                r = schedule_apply(process, e);
        return r == 0 ? memory_policy_apply(&s->profile.memory_policy, e) : r;
}

static int open_host(void *userdata, Error *e) {
        Stage *s = userdata;
        json_t *section = json_object_get(s->profile.document, "linux");
        const char *listener = seccomp_filter_listener(json_object_get(section, "seccomp"));

        if (listener) {
                int r = seccomp_notify_connect(listener, &s->program.listener_fd, e);

                if (r != 0)
                        return r;
        }
        return program_open_host(&s->program, e);
}

/* What is cloned is where we are. */
static int join_resctrl(void *userdata, Error *e) {
        Stage *s = userdata;
        SpecIntelRdt rdt = {};
        int r = 0;

        if (s->profile.document)
                r = spec_parse_intel_rdt(&rdt, json_object_get(s->profile.document, "linux"), e);
        if (r == 0 && rdt.set)
                r = resctrl_add(&rdt, s->p->resctrl_root, strempty(s->p->id), getpid(), e);
        free(rdt.schemata);
        return r;
}

static bool init_is_dead(const Stage *s) {
        struct pollfd p = {.fd = s->init_pidfd, .events = POLLIN};

        return poll(&p, 1, 0) != 0;
}

static int refuse_dead(Error *e) {
        return error_setf(e, CTR_FAILED_PRECONDITION, "The container's init is not running");
}

/* All in one call, so that what init does meanwhile cannot mix them; the pid namespace is the one
 * for children. */
static int join_namespaces(void *userdata, Error *e) {
        Stage *s = userdata;

        if (setns(s->init_pidfd, s->profile.namespaces) < 0)
                return errno == ESRCH ? refuse_dead(e)
                                      : error_setf(e, -errno,
                                                   "Failed to join the container's namespaces: %m");
        if (s->profile.namespaces & CLONE_NEWUSER) {
                int r = process_become_root(e);

                if (r != 0)
                        return r;
        }
        s->root_fd = open("/", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (s->root_fd < 0)
                return error_setf(e, -errno, "Failed to open the container's root: %m");
        return 0;
}

/* As root of the user namespace, who may give them on; from inside they are nobody's. */
static int give_streams(void *userdata, Error *e) {
        Stage *s = userdata;
        const ExecProfile *p = &s->profile;

        if (!(p->namespaces & CLONE_NEWUSER) || s->spec->process.terminal ||
            p->root_uid == (uid_t) -1)
                return 0;
        return process_give_streams(s->program.stdio, p->root_uid, p->root_gid, e);
}

static int open_terminal(void *userdata, Error *e) {
        Stage *s = userdata;
        const SpecProcess *process = &s->spec->process;
        Terminal *t = &s->program.terminal;
        int r;

        if (!process->terminal)
                return 0;
        r = terminal_open(s->root_fd, process->columns, process->rows, t, e);
        if (r != 0)
                return r;
        r = sync_send(s->program.sync_fd, SYNC_TERMINAL, 0, t->master_fd);
        t->master_fd = fd_close(t->master_fd);
        return r < 0 ? error_setf(e, r, "Failed to hand over the terminal: %m") : 0;
}

static int resolve_user(void *userdata, Error *e) {
        Stage *s = userdata;

        return program_resolve(&s->program, s->root_fd, e);
}

/* It is the container's to have: nothing is made in a root that is in use. */
static int enter_directory(void *userdata, Error *e) {
        Stage *s = userdata;

        return process_enter_directory(s->root_fd, s->spec->process.cwd, false, e);
}

static int set_stdio(void *userdata, Error *e) {
        Stage *s = userdata;

        return program_set_stdio(&s->program, e);
}

static int become(void *userdata, Error *e) {
        Stage *s = userdata;
        int r;

        r = program_become(&s->program, e);
        return r == 0 ? affinity_apply(&s->spec->process.affinity_final, "final", e) : r;
}

static int find_executable(void *userdata, Error *e) {
        Stage *s = userdata;

        return program_find(&s->program, e);
}

/* Moves the descriptors that are still needed to where all others can be closed at once. */
static int close_others(Stage *s) {
        const int kept = (int) s->p->preserve_fds;
        const struct {
                int *fd, place;
        } needed[] = {
                        {&s->program.sync_fd, SYNC_FD},
                        {&s->init_pidfd, INIT_FD},
                        {&s->program.listener_fd, LISTENER_FD},
        };

        /* first out of the way of each other */
        for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
                if (*needed[i].fd < 0)
                        continue;
                *needed[i].fd = fcntl(*needed[i].fd, F_DUPFD_CLOEXEC, _FD_END + kept);
                if (*needed[i].fd < 0)
                        return -errno;
        }
        for (size_t i = 0; i < ELEMENTSOF(needed); i++) {
                if (*needed[i].fd < 0)
                        fd_close(needed[i].place + kept);
                else if (dup3(*needed[i].fd, needed[i].place + kept, O_CLOEXEC) < 0)
                        return -errno;
                else
                        *needed[i].fd = needed[i].place + kept;
        }
        if (syscall(SYS_close_range, (unsigned) (_FD_END + kept), ~0U, 0) < 0)
                return -errno;
        fd_close(GO_FD + kept);
        s->root_fd = -1;
        return 0;
}

static int make_state(Stage *s, pid_t pid, Error *e) {
        _cleanup_free_ char *state = NULL;
        json_t *document = s->profile.document;
        int r;

        r = hooks_state(document, strempty(s->p->id), strempty(s->p->bundle), "running",
                        s->p->init_pid, &state);
        if (r == 0)
                r = seccomp_notify_state(document, state, pid, &s->program.listener_state);
        return r < 0 ? error_setf(e, r, "Failed to make the container process state: %m") : 0;
}

/* Waits until the supervisor has been told of us: what it does not know it could not reap. */
_noreturn_ static void run_sibling(Stage *s, int go_fd) {
        Error e = ERROR_NULL;
        pid_t pid;
        int r = 0;

        if (read(go_fd, &pid, sizeof(pid)) != sizeof(pid))
                _exit(125);
        if (setsid() < 0)
                step_fail(s->program.sync_fd, STAGE_EXEC, -errno, NULL);
        if (s->program.listener_fd >= 0)
                r = make_state(s, pid, &e);
        if (r != 0)
                step_fail(s->program.sync_fd, STAGE_SECCOMP, r, &e);
        program_start(&s->program);
}

static int clone_failed(const Stage *s, Error *e) {
        int code = -errno;

        if (init_is_dead(s))
                return refuse_dead(e);
        if (code == -EAGAIN)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The container has as many tasks as it may have");
        return error_setf(e, code, "Failed to clone: %m");
}

/* Ends this process if it succeeds. */
static int clone_sibling(Stage *s, Error *e) {
        struct clone_args args = {.flags = CLONE_PARENT};
        int go[2], r;
        long pid;

        r = close_others(s);
        if (r < 0)
                return error_setf(e, r, "Failed to close descriptors: %m");
        if (pipe2(go, O_CLOEXEC) < 0)
                return error_setf(e, -errno, "Failed to make a pipe: %m");
        pid = syscall(SYS_clone3, &args, sizeof(args));
        if (pid < 0)
                return clone_failed(s, e);
        if (pid == 0) {
                fd_close(go[1]);
                run_sibling(s, go[0]);
        }
        r = sync_send(s->program.sync_fd, SYNC_CLONED, (pid_t) pid, -1);
        if (r >= 0) { /* SIGPIPE: it was killed, and all that is to be said about it was said */
                const pid_t told = (pid_t) pid;

                r = write(go[1], &told, sizeof(told)) == sizeof(told) ? 0 : -errno;
        }
        if (r < 0)
                return error_setf(e, r, "Failed to tell of the process: %m");
        _exit(EXIT_SUCCESS);
}

void exec_stage_run(const ExecParameters *p, int sync_fd) {
        static const Step steps[] = {
                        {STAGE_CGROUP, enter_cgroup},     {STAGE_DOCUMENT, read_documents},
                        {STAGE_PROCESS, set_oom_score},   {STAGE_PROCESS, set_schedule},
                        {STAGE_PROCESS, join_resctrl},    {STAGE_PROCESS, open_host},
                        {STAGE_PROCESS, give_streams},    {STAGE_NAMESPACES, join_namespaces},
                        {STAGE_TERMINAL, open_terminal},  {STAGE_USER, resolve_user},
                        {STAGE_PROCESS, enter_directory}, {STAGE_PROCESS, set_stdio},
                        {STAGE_PROCESS, become},          {STAGE_EXEC, find_executable},
        };
        Stage s = {
                        .p = p,
                        .init_pidfd = p->init_pidfd,
                        .program =
                                        {
                                                        .sync_fd = sync_fd,
                                                        .stdio = {p->stdio[0], p->stdio[1],
                                                                  p->stdio[2]},
                                                        .terminal = {-1, -1},
                                                        .listener_fd = -1,
                                                        .null_fd = -1,
                                                        .proc_fd = -1,
                                                        .independent = p->independent,
                                                        .no_keyring = p->no_keyring,
                                                        .preserve_fds = p->preserve_fds,
                                        },
                        .root_fd = -1,
        };
        Error e = ERROR_NULL;
        int r;

        program_separate(&s.program);
        steps_run(sync_fd, steps, ELEMENTSOF(steps), &s);
        r = clone_sibling(&s, &e);
        step_fail(s.program.sync_fd, STAGE_EXEC, r, &e);
}
