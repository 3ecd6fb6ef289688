/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "exec-fixture.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/wait.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"

#define TIMEOUT_USEC (30 * USEC_PER_SEC)
#define BASE_PROCESS                                                                               \
        "{\"cwd\": \"/\", \"args\": [\"/bin/true\"], \"env\": [\"PATH=/bin\"],"                    \
        " \"user\": {\"uid\": 0, \"gid\": 0}}"

int exec_fixture_setup(void **state) {
        ExecFixture *x = calloc(1, sizeof(*x));

        assert_non_null(x);
        assert_int_equal(fixture_setup((void **) &x->f), 0);
        fixture_set(x->f, "process.args", "[\"sleep\", \"1000\"]");
        x->process = json_loads(BASE_PROCESS, 0, NULL);
        assert_non_null(x->process);
        x->cgroup_fd = -1;
        *state = x;
        return 0;
}

/* True if one is left that is not dead yet. */
static bool reap_others(pid_t init) {
        _cleanup_fclose_ FILE *f = NULL;
        bool left = false;
        char path[64];
        pid_t pid;

        (void) snprintf(path, sizeof(path), "/proc/self/task/%i/children", (int) getpid());
        f = fopen(path, "re");
        assert_non_null(f);
        while (fscanf(f, "%d", &pid) == 1) {
                siginfo_t si = {};

                if (pid == init)
                        continue;
                assert_int_equal(waitid(P_PID, (id_t) pid, &si, WEXITED | WNOHANG), 0);
                left = left || si.si_pid == 0;
        }
        return left;
}

void exec_fixture_reap(const ExecFixture *x) {
        pid_t init = x->container ? container_pid(x->container) : 0;
        uint64_t until = now_monotonic() + TIMEOUT_USEC;

        while (reap_others(init)) {
                assert_true(now_monotonic() < until);
                (void) usleep(USEC_PER_MSEC);
        }
}

int exec_fixture_teardown(void **state) {
        ExecFixture *x = *state;
        void *f = x->f;

        x->container = container_free(x->container);
        exec_fixture_reap(x);
        json_decref(x->process);
        fd_close(x->cgroup_fd);
        free(x);
        return fixture_teardown(&f);
}

void exec_fixture_start(ExecFixture *x) {
        const ContainerParameters p = {
                        .config_dir_fd = x->f->dir_fd,
                        .config_name = "config.json",
                        .stdio = {-1, -1, -1},
                        .seccomp_cache = x->f->seccomp_cache,
                        .id = "box",
                        .resctrl_root = x->resctrl_root,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        int terminal_fd = -1;

        fixture_write(x->f);
        if (container_new(&p, &x->container, &e) != 0 ||
            container_clone(x->container, x->cgroup_fd, &e) != 0 ||
            container_enter(x->container, x->cgroup_fd, TIMEOUT_USEC, &terminal_fd, &e) != 0 ||
            container_start(x->container, TIMEOUT_USEC, &e) != 0)
                fail_msg("%s", error_text(&e));
        fd_close(terminal_fd);
}

void exec_fixture_set(ExecFixture *x, const char *key, const char *json) {
        json_t *value = json_loads(json, JSON_DECODE_ANY, NULL);

        if (!value)
                fail_msg("no JSON: %s", json);
        assert_int_equal(json_object_set_new(x->process, key, value), 0);
}

void exec_fixture_script(ExecFixture *x, const char *script) {
        json_t *args = json_pack("[s,s,s]", "/bin/sh", "-c", script);

        assert_int_equal(json_object_set_new(x->process, "args", args), 0);
}

static void write_document(ExecFixture *x, const char *name) {
        _cleanup_free_ char *text = NULL;
        json_t *j = json_pack("{s:O}", "process", x->process);

        assert_non_null(j);
        if (x->user[0])
                assert_int_equal(json_object_set_new(j, "annotations",
                                                     json_pack("{s:s}", "org.example.Ctr.user",
                                                               x->user)),
                                 0);
        text = json_dumps(j, JSON_COMPACT);
        json_decref(j);
        assert_non_null(text);
        assert_int_equal(file_write_atomic_at(x->f->dir_fd, name, text, strlen(text), 0600, 0), 0);
}

int exec_fixture_clone(ExecFixture *x, const char *name, int output_fd, ContainerExec **ret,
                       Error *e) {
        const ExecParameters p = {
                        .init_pidfd = container_pidfd(x->container),
                        .init_pid = container_pid(x->container),
                        .cgroup_fd = x->cgroup_fd,
                        .config_dir_fd = x->f->dir_fd,
                        .config_name = "config.json",
                        .document_name = name,
                        .stdio = {-1, output_fd, output_fd},
                        .seccomp_cache = x->f->seccomp_cache,
                        .id = "box",
                        .resctrl_root = x->resctrl_root,
                        .moves = x->moves,
        };

        write_document(x, name);
        return container_exec_clone(&p, ret, e);
}

int exec_fixture_wait(ContainerExec *exec, ContainerExecNews *news, Error *e) {
        uint64_t deadline = now_monotonic() + TIMEOUT_USEC;
        int r, terminal_fd = -1;

        do {
                struct pollfd p = {.fd = container_exec_fd(exec), .events = POLLIN};

                assert_true(now_monotonic() < deadline);
                if (poll(&p, 1, 1000) <= 0)
                        continue;
                r = container_exec_receive(exec, news, e);
                if (r != 0) {
                        fd_close(terminal_fd);
                        return r;
                }
                if (news->terminal_fd >= 0) {
                        assert_int_equal(terminal_fd, -1);
                        terminal_fd = news->terminal_fd;
                }
        } while (!news->executed);
        news->terminal_fd = terminal_fd;
        return 0;
}

static void read_output(int fd, ExecOutcome *o) {
        size_t used = 0;
        ssize_t n;

        while (used < sizeof(o->output) - 1) {
                struct pollfd p = {.fd = fd, .events = POLLIN};

                assert_int_equal(poll(&p, 1, (int) (TIMEOUT_USEC / USEC_PER_MSEC)), 1);
                n = read(fd, o->output + used, sizeof(o->output) - 1 - used);
                if (n <= 0) /* EIO is how a terminal says end of file */
                        break;
                used += (size_t) n;
        }
        o->output[used] = '\0';
}

const ExecOutcome *exec_run(ExecFixture *x) {
        static ExecOutcome o;
        ContainerExecNews news = {.terminal_fd = -1, .pidfd = -1};
        _cleanup_(container_exec_freep) ContainerExec *exec = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int fds[2];

        if (!x->container)
                exec_fixture_start(x);
        o = (ExecOutcome){.status = -1};
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        o.code = exec_fixture_clone(x, "exec-test.json", fds[1], &exec, &e);
        fd_close(fds[1]);
        if (o.code == 0)
                o.code = exec_fixture_wait(exec, &news, &e);
        if (o.code != 0)
                (void) snprintf(o.error, sizeof(o.error), "%s", error_text(&e));
        else {
                o.pid = news.pid;
                read_output(news.terminal_fd >= 0 ? news.terminal_fd : fds[0], &o);
                assert_int_equal(pidfd_wait(news.pidfd, &o.status), 0);
        }
        fd_close(news.terminal_fd);
        fd_close(news.pidfd);
        fd_close(fds[0]);
        return &o;
}

void exec_expect(ExecFixture *x, const char *output) {
        const ExecOutcome *o = exec_run(x);

        if (o->code != 0)
                fail_msg("failed with %d: %s", o->code, o->error);
        assert_string_equal(o->output, output);
        assert_int_equal(o->status, 0);
}

void exec_expect_failure(ExecFixture *x, int code, const char *part) {
        const ExecOutcome *o = exec_run(x);

        if (o->code != code || !strstr(o->error, part))
                fail_msg("wanted %d and \"%s\", not %d: %s", code, part, o->code, o->error);
        /* what is left of it is dead, or dying */
        exec_fixture_reap(x);
}
