/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/exec.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>

#include "basic/json.h"
#include "basic/process.h"
#include "fake-container.h"
#include "fake-program.h"

pid_t fake_execs[FAKE_EXECS_MAX];
size_t fake_n_execs;

struct ContainerExec {
        json_t *document;
        int answer; /* end of file: executed */
        int master;
        pid_t pid;
        int pidfd;
};

static json_t *options_of(const ContainerExec *x) {
        return json_object_get(x->document, "process");
}

static void exec_fork(ContainerExec *x, const int stdio[3]) {
        int answer[2], slave = -1;

        assert(pipe2(answer, O_CLOEXEC) == 0);
        if (fake_option(options_of(x), "terminal"))
                assert(openpty(&x->master, &slave, NULL, NULL, NULL) == 0);
        x->pid = fork();
        assert(x->pid >= 0);
        if (x->pid == 0) {
                fake_become(options_of(x), slave, stdio, -1, answer[1]);
                fake_execute(options_of(x));
        }
        fd_close(answer[1]);
        fd_close(slave);
        x->answer = answer[0];
        x->pidfd = pidfd_open_pid(x->pid);
        assert(x->pidfd >= 0 && fake_n_execs < FAKE_EXECS_MAX);
        fake_execs[fake_n_execs++] = x->pid;
}

int container_exec_clone(const ExecParameters *parameters, ContainerExec **ret, Error *e) {
        ContainerExec *x;
        int r;

        x = calloc(1, sizeof(*x));
        assert(x && parameters->init_pid == fake_group && parameters->init_pidfd >= 0);
        x->answer = x->master = x->pidfd = -1;
        r = json_read_file_at(parameters->config_dir_fd, parameters->document_name, 64 * 1024,
                              &x->document, e);
        if (r == 0)
                r = fake_fail_at(options_of(x), "clone", e);
        if (r != 0) {
                container_exec_free(x);
                return r;
        }
        exec_fork(x, parameters->stdio);
        *ret = x;
        return 0;
}

int container_exec_fd(const ContainerExec *x) {
        return x->answer;
}

static void reap(ContainerExec *x) {
        int status;

        if (x->pidfd < 0)
                return;
        (void) pidfd_signal(x->pidfd, SIGKILL);
        (void) pidfd_wait(x->pidfd, &status);
        x->pidfd = fd_close(x->pidfd);
        x->pid = 0;
}

int container_exec_receive(ContainerExec *x, ContainerExecNews *ret, Error *e) {
        struct pollfd pfd = {.fd = x->answer, .events = POLLIN};
        int r;

        *ret = (ContainerExecNews){.terminal_fd = TAKE_FD(x->master), .pidfd = -1};
        if (poll(&pfd, 1, 0) == 0)
                return 0;
        r = fake_fail_at(options_of(x), "start", e);
        if (r != 0) {
                reap(x);
                return r;
        }
        ret->executed = true;
        ret->pid = x->pid;
        ret->pidfd = TAKE_FD(x->pidfd);
        x->pid = 0;
        return 0;
}

bool container_exec_owns(ContainerExec *x, pid_t pid) {
        return pid == x->pid;
}

ContainerExec *container_exec_free(ContainerExec *x) {
        if (!x)
                return NULL;
        reap(x);
        json_decref(x->document);
        fd_close(x->answer);
        fd_close(x->master);
        free(x);
        return NULL;
}
