/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-container.h"

#include <fcntl.h>
#include <pty.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/process.h"
#include "runtime/container.h"

pid_t fake_group;
unsigned fake_oom_kills;

struct Container {
        json_t *config;
        int stdio[3];
        int barrier; /* 's': start, 'f': pretend that it cannot be executed */
        int master;
        pid_t pid;
        int pidfd;
        bool reaped;
};

static bool option(const Container *c, const char *key) {
        return json_is_true(json_object_get(c->config, key));
}

static int number(const Container *c, const char *key) {
        return (int) json_integer_value(json_object_get(c->config, key));
}

static int fail_at(const Container *c, const char *step, Error *e) {
        const char *code = json_string_value(json_object_get(c->config, "code"));

        if (!streq_ptr(json_string_value(json_object_get(c->config, "fail")), step))
                return 0;
        return error_setf(e, (int) error_code_from_string(code), "Asked to fail at %s", step);
}

int container_new(const ContainerParameters *parameters, Container **ret, Error *e) {
        Container *c;
        int r;

        c = calloc(1, sizeof(*c));
        assert(c);
        c->barrier = c->master = c->pidfd = -1;
        memcpy(c->stdio, parameters->stdio, sizeof(c->stdio));
        r = json_read_file_at(parameters->config_dir_fd, parameters->config_name, 64 * 1024,
                              &c->config, e);
        if (r == 0)
                r = fail_at(c, "new", e);
        if (r != 0) {
                container_free(c);
                return r;
        }
        fake_oom_kills = (unsigned) number(c, "oom");
        *ret = c;
        return 0;
}

static void on_term(int signo) {
        _exit(7);
}

static void write_output(int size) {
        char line[64];

        memset(line, 'x', sizeof(line) - 1);
        line[sizeof(line) - 1] = '\n';
        for (int done = 0; done < size; done += (int) sizeof(line))
                if (fd_write_all(STDOUT_FILENO, line, sizeof(line)) < 0)
                        _exit(9);
}

static void copy_input(void) {
        char line[256];

        while (fgets(line, sizeof(line), stdin) && line[0] != '.')
                if (fd_write_all(STDOUT_FILENO, line, strlen(line)) < 0)
                        _exit(9);
}

_noreturn_ static void program(const Container *c) {
        if (option(c, "leave") && fork() == 0)
                for (;;)
                        (void) pause();
        write_output(number(c, "output"));
        if (option(c, "cat"))
                copy_input();
        while (option(c, "wait"))
                (void) pause();
        if (number(c, "kill") > 0)
                (void) raise(number(c, "kill"));
        _exit(number(c, "exit"));
}

_noreturn_ static void init(const Container *c, int barrier, int slave) {
        sigset_t none;
        char step = 0;

        (void) sigemptyset(&none);
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) setsid();
        for (int i = 0; i < 3; i++)
                if (slave >= 0 || c->stdio[i] >= 0)
                        (void) dup2(slave >= 0 ? slave : c->stdio[i], i);
        if (slave >= 0)
                (void) ioctl(slave, TIOCSCTTY, 0);
        (void) signal(SIGTERM, option(c, "ignore") ? SIG_IGN : on_term);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) dup2(barrier, 3);
        (void) fd_close_from(4);
        if (read(3, &step, 1) != 1)
                _exit(1);
        (void) close(3);
        if (step == 'f')
                _exit(127);
        program(c);
}

int container_clone(Container *c, Error *e) {
        int barrier[2], slave = -1, r;

        r = fail_at(c, "clone", e);
        if (r != 0)
                return r;
        assert(pipe2(barrier, O_CLOEXEC) == 0);
        if (option(c, "terminal"))
                assert(openpty(&c->master, &slave, NULL, NULL, NULL) == 0);
        c->pid = fork();
        assert(c->pid >= 0);
        if (c->pid == 0)
                init(c, barrier[0], slave);
        /* both sides: whoever comes first */
        (void) setpgid(c->pid, c->pid);
        fake_group = c->pid;
        fd_close(barrier[0]);
        fd_close(slave);
        c->barrier = barrier[1];
        c->pidfd = pidfd_open_pid(c->pid);
        assert(c->pidfd >= 0);
        return 0;
}

/* With the real payload: in the test bed. */
static void join_cgroup(const Container *c, int cgroup_fd) {
        _cleanup_close_ int fd = openat(cgroup_fd, "cgroup.procs", O_WRONLY | O_CLOEXEC);

        assert(fd >= 0 && dprintf(fd, "%i", (int) c->pid) > 0);
}

int container_enter(Container *c, int cgroup_fd, uint64_t timeout_usec, int *ret_terminal_fd,
                    Error *e) {
        int r;

        r = fail_at(c, "enter", e);
        if (r != 0)
                return r;
        if (cgroup_fd >= 0)
                join_cgroup(c, cgroup_fd);
        *ret_terminal_fd = TAKE_FD(c->master);
        return 0;
}

int container_start(Container *c, uint64_t timeout_usec, Error *e) {
        int r;

        r = fail_at(c, "start", e);
        assert(write(c->barrier, r == 0 ? "s" : "f", 1) == 1);
        return r;
}

Container *container_free(Container *c) {
        int status;

        if (!c)
                return NULL;
        if (c->pidfd >= 0 && !c->reaped) {
                (void) pidfd_signal(c->pidfd, SIGKILL);
                (void) pidfd_wait(c->pidfd, &status);
        }
        json_decref(c->config);
        fd_close(c->barrier);
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
