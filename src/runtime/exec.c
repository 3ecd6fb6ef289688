/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/exec.h"

#include <signal.h>
#include <sys/socket.h>

#include "basic/process.h"
#include "runtime/cgroup.h"
#include "runtime/exec-stage.h"
#include "runtime/sync.h"

#define MESSAGES_MAX 8U /* of an honest sender: terminal, clone, failure, end */

/* A child of ours, until it is reaped or handed out. */
typedef struct Child {
        pid_t pid; /* 0: none */
        int pidfd;
} Child;

struct ContainerExec {
        Child stage;
        Child program;
        int sync_fd;
        int terminal_fd; /* not handed out yet */
        bool terminal_came;
        unsigned n_messages;
        bool ended;  /* nothing more will come */
        Error error; /* why it failed, not handed out yet */
};

static void child_end(Child *c) {
        if (c->pid == 0)
                return;
        pidfd_forsake(c->pidfd);
        c->pidfd = fd_close(c->pidfd);
        c->pid = 0;
}

static int clone_failed(int error, Error *e) {
        if (error == EAGAIN)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The container has as many tasks as it may have");
        if (error == ENOENT || error == ENODEV)
                return error_setf(e, CTR_FAILED_PRECONDITION, "The container's cgroup is gone");
        return error_setf(e, -error, "Failed to clone a process for the container: %m");
}

/* EBUSY: the payload has become an inner node (a systemd runs in the container), where no processes
 * may be. */
static int clone_stage(const ExecParameters *p, Child *ret, Error *e) {
        _cleanup_close_ int cgroup_fd = -1;
        pid_t pid;
        int r;

        pid = process_clone(0, p->moves ? -1 : p->cgroup_fd, &ret->pidfd);
        if (pid == -EBUSY) {
                r = cgroup_open_of(p->cgroup_fd, p->init_pid, &cgroup_fd, e);
                if (r != 0)
                        return r;
                pid = process_clone(0, cgroup_fd, &ret->pidfd);
        }
        if (pid < 0)
                return clone_failed(-pid, e);
        ret->pid = pid; /* 0 in the child */
        return 0;
}

int container_exec_clone(const ExecParameters *parameters, ContainerExec **ret, Error *e) {
        _cleanup_(container_exec_freep) ContainerExec *x = NULL;
        _cleanup_close_ int child_fd = -1;
        int fds[2], r;

        assert(parameters && parameters->config_name && parameters->document_name && ret);

        x = calloc(1, sizeof(*x));
        if (!x)
                return -ENOMEM;
        x->stage.pidfd = x->program.pidfd = x->sync_fd = x->terminal_fd = -1;
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        x->sync_fd = fds[0];
        child_fd = fds[1];

        r = clone_stage(parameters, &x->stage, e);
        if (r != 0)
                return r;
        if (x->stage.pid == 0) {
                fd_close(x->sync_fd);
                exec_stage_run(parameters, child_fd);
        }
        *ret = TAKE_PTR(x);
        return 0;
}

int container_exec_fd(const ContainerExec *x) {
        return x->sync_fd;
}

/* Only a child of ours is believed to be one: the message may be forged. Without a descriptor for
 * it there is no way to hand it out; its remains are an orphan's. */
static int child_open(pid_t pid, Child *ret) {
        siginfo_t si;
        int fd;

        if (pid <= 0 || waitid(P_PID, (id_t) pid, &si, WEXITED | WNOHANG | WNOWAIT) < 0)
                return -ECHILD;
        fd = pidfd_open_pid(pid);
        if (fd < 0) {
                (void) kill(pid, SIGKILL);
                return fd;
        }
        ret->pid = pid;
        ret->pidfd = fd;
        return 0;
}

static void on_message(ContainerExec *x, SyncType type, SyncAnswer *answer) {
        int r = -EBADMSG;

        if (type == SYNC_TERMINAL && answer->fd >= 0 && !x->terminal_came && x->program.pid == 0) {
                x->terminal_came = true;
                x->terminal_fd = TAKE_FD(answer->fd);
                return;
        }
        if (type == SYNC_CLONED && x->program.pid == 0)
                r = child_open(answer->pid, &x->program);
        if (r < 0)
                (void) error_setf(&x->error, r, "Failed to hear from the process: %m");
}

/* Takes one message; false if there is none. From the clone into the pid namespace on, processes of
 * the container may have got hold of the sender: what they can do is to make the exec fail. */
static bool receive_one(ContainerExec *x) {
        _cleanup_error_ Error e = ERROR_NULL;
        SyncAnswer answer;
        int r;

        if (x->ended || x->sync_fd < 0)
                return false;
        r = sync_receive(x->sync_fd, 0, &answer, &e);
        if (r == -ETIMEDOUT && !answer.failed)
                return false;
        x->n_messages++;
        if (answer.failed) {
                (void) error_setf(&e, r, "Failed to execute: %m"); /* if it gave no reason */
                (void) error_move(&x->error, &e);
        } else if (r > 0)
                on_message(x, (SyncType) r, &answer);
        else if (r < 0)
                (void) error_setf(&x->error, r, "Failed to hear from the process: %m");
        fd_close(answer.fd);
        x->ended = (r == 0 && !answer.failed) || x->n_messages >= MESSAGES_MAX;
        return !x->ended;
}

static void receive_all(ContainerExec *x) {
        while (receive_one(x))
                ;
}

/* Ends all that is not handed out. The stage may still be on its way out of a system call. Had it
 * told of the program before, that is known now; if not it will not tell it to go on, and the
 * program ends by itself. */
static void end_children(ContainerExec *x) {
        child_end(&x->stage);
        receive_all(x);
        child_end(&x->program);
}

int container_exec_receive(ContainerExec *x, ContainerExecNews *ret, Error *e) {
        assert(x && ret);

        receive_all(x);
        if (x->ended && x->error.code == 0 && x->program.pid == 0)
                (void) error_setf(&x->error, -ECHILD,
                                  "The process died before it could execute the program");
        if (x->error.code != 0) {
                end_children(x);
                return error_move(e, &x->error);
        }
        *ret = (ContainerExecNews){
                        .executed = x->ended,
                        .terminal_fd = TAKE_FD(x->terminal_fd),
                        .pidfd = -1,
        };
        if (x->ended) {
                child_end(&x->stage); /* which has done its work */
                ret->pid = x->program.pid;
                ret->pidfd = TAKE_FD(x->program.pidfd);
                x->program.pid = 0;
        }
        return 0;
}

bool container_exec_owns(ContainerExec *x, pid_t pid) {
        receive_all(x);
        return pid == x->stage.pid || pid == x->program.pid;
}

ContainerExec *container_exec_free(ContainerExec *x) {
        if (!x)
                return NULL;
        end_children(x);
        fd_close(x->sync_fd);
        fd_close(x->terminal_fd);
        error_clear(&x->error);
        free(x);
        return NULL;
}
