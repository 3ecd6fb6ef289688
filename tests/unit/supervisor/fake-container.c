/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/container.h"

#include <fcntl.h>
#include <poll.h>
#include <pty.h>
#include <sys/prctl.h>

#include "basic/json.h"
#include "basic/process.h"
#include "fake-container.h"
#include "fake-program.h"

pid_t fake_group;
unsigned fake_oom_kills;
char fake_oom_cgroup[128];
bool fake_unfreezable;

struct Container {
        json_t *config;
        int stdio[3];
        int barrier; /* 's': start, 'f': pretend that it cannot be executed */
        int answer;  /* end of file: executed */
        int master;
        pid_t pid;
        int pidfd;
        bool starting;
        bool reaped;
};

/* A supervisor outlives whoever started it; this one ends with its test, however that ends. */
__attribute__((constructor)) static void die_with_test(void) {
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
}

/* Nothing is restored here. */
int container_adopt(pid_t pid, int pidfd, Container **ret) {
        return -ENOSYS;
}

int container_new(const ContainerParameters *parameters, Container **ret, Error *e) {
        const char *cgroup;
        Container *c;
        int r;

        c = calloc(1, sizeof(*c));
        assert(c);
        c->barrier = c->answer = c->master = c->pidfd = -1;
        memcpy(c->stdio, parameters->stdio, sizeof(c->stdio));
        r = json_read_file_at(parameters->config_dir_fd, parameters->config_name, 64 * 1024,
                              &c->config, e);
        if (r == 0)
                r = fake_fail_at(c->config, "new", e);
        if (r != 0) {
                container_free(c);
                return r;
        }
        fake_oom_kills = (unsigned) fake_number(c->config, "oom");
        cgroup = json_string_value(json_object_get(c->config, "oom_cgroup"));
        (void) snprintf(fake_oom_cgroup, sizeof(fake_oom_cgroup), "%s", strempty(cgroup));
        fake_unfreezable = fake_option(c->config, "unfreezable");
        *ret = c;
        return 0;
}

_noreturn_ static void init(const Container *c, int barrier, int answer, int slave) {
        char step = 0;

        fake_become(c->config, slave, c->stdio, barrier, answer);
        if (read(3, &step, 1) != 1)
                _exit(1);
        (void) close(3);
        if (step == 'f')
                _exit(127);
        fake_execute(c->config);
}

int container_clone(Container *c, int cgroup_fd, Error *e) {
        int barrier[2], answer[2], slave = -1, r;

        r = fake_fail_at(c->config, "clone", e);
        if (r != 0)
                return r;
        assert(pipe2(barrier, O_CLOEXEC) == 0 && pipe2(answer, O_CLOEXEC) == 0);
        if (fake_option(c->config, "terminal"))
                assert(openpty(&c->master, &slave, NULL, NULL, NULL) == 0);
        c->pid = fork();
        assert(c->pid >= 0);
        if (c->pid == 0)
                init(c, barrier[0], answer[1], slave);
        /* both sides: whoever comes first */
        (void) setpgid(c->pid, c->pid);
        fake_group = c->pid;
        fd_close(barrier[0]);
        fd_close(answer[1]);
        fd_close(slave);
        c->barrier = barrier[1];
        c->answer = answer[0];
        c->pidfd = pidfd_open_pid(c->pid);
        assert(c->pidfd >= 0);
        return 0;
}

/* With the real payload, in the test bed; its double is no directory. */
static void join_cgroup(const Container *c, int cgroup_fd) {
        _cleanup_close_ int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

        if (fd < 0 && errno == ENOTDIR)
                return;
        assert(fd >= 0 && dprintf(fd, "%i", (int) c->pid) > 0);
}

int container_enter(Container *c, int cgroup_fd, uint64_t timeout_usec, int *ret_terminal_fd,
                    Error *e) {
        int r;

        r = fake_fail_at(c->config, "enter", e);
        if (r != 0)
                return r;
        if (cgroup_fd >= 0)
                join_cgroup(c, cgroup_fd);
        *ret_terminal_fd = TAKE_FD(c->master);
        return 0;
}

int container_start_begin(Container *c, Error *e) {
        bool fail = fake_fail_at(c->config, "start", NULL) != 0;

        if (write(c->barrier, fail ? "f" : "s", 1) != 1)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Init died before it was started");
        c->starting = true;
        return 0;
}

int container_start_fd(const Container *c) {
        return c->starting ? c->answer : -1;
}

int container_start_receive(Container *c, bool *ret_done, Error *e) {
        struct pollfd pfd = {.fd = c->answer, .events = POLLIN};

        *ret_done = poll(&pfd, 1, 0) == 1;
        if (!*ret_done)
                return 0;
        c->starting = false;
        return fake_fail_at(c->config, "start", e);
}

/* Real hooks, but nothing to tell them. */
int container_hooks_begin(Container *c, HookPoint point, uint64_t timeout_usec, HooksRun **ret,
                          Error *e) {
        SpecHooks hooks[_HOOK_POINT_MAX] = {};
        int r;

        *ret = NULL;
        r = spec_parse_hooks(hooks, c->config, e);
        if (r == 0 && hooks[point].n > 0)
                r = hooks_begin(&hooks[point], point, "{}", timeout_usec, ret, e);
        spec_hooks_clear(hooks);
        return r;
}

void container_kill(Container *c) {
        int status;

        if (c->pidfd >= 0 && !c->reaped) {
                (void) pidfd_signal(c->pidfd, SIGKILL);
                (void) pidfd_wait(c->pidfd, &status);
        }
        c->reaped = true;
}

Container *container_free(Container *c) {
        if (!c)
                return NULL;
        container_kill(c);
        json_decref(c->config);
        fd_close(c->barrier);
        fd_close(c->answer);
        fd_close(c->master);
        fd_close(c->pidfd);
        free(c);
        return NULL;
}

pid_t container_pid(const Container *c) {
        return c->pid;
}

int container_pidfd(const Container *c) {
        return c->pidfd;
}

void container_set_reaped(Container *c) {
        c->reaped = true;
}
