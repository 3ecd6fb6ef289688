/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* exec: a further process in a container. */

#include <poll.h>
#include <sys/prctl.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "oci/console.h"
#include "oci/exec-document.h"
#include "oci/launch.h"
#include "oci/options.h"
#include "runtime/exec.h"

typedef struct Exec {
        ExecOptions process;
        const char *console_socket, *pid_file;
        unsigned preserve_fds;
        bool detach, ignore_paused;
        bool terminal; /* as the document that was written says */
} Exec;

/* *ret_first is 0 after --help. */
static int parse(Exec *x, int argc, char *argv[], int *ret_first, Error *e) {
        ExecOptions *p = &x->process;
        const Option options[] = {
                        {"process", 'p', OPTION_STRING, &p->file,
                         "file with the process as JSON, instead of a command"},
                        {"console-socket", 0, OPTION_STRING, &x->console_socket,
                         "socket that gets the terminal's master"},
                        {"cwd", 0, OPTION_STRING, &p->cwd, "working directory"},
                        {"env", 'e', OPTION_STRINGS, &p->env, "NAME=VALUE; may be repeated"},
                        {"tty", 't', OPTION_FLAG, &p->terminal, "give it a terminal"},
                        {"user", 'u', OPTION_STRING, &p->user, "UID[:GID]"},
                        {"additional-gids", 'g', OPTION_STRINGS, &p->gids, "supplementary group"},
                        {"detach", 'd', OPTION_FLAG, &x->detach, "do not stay with the process"},
                        {"pid-file", 0, OPTION_STRING, &x->pid_file, "file to write its pid to"},
                        {"cap", 'c', OPTION_STRINGS, &p->capabilities,
                         "a capability more; may be repeated"},
                        {"no-new-privs", 0, OPTION_FLAG, &p->no_new_privileges,
                         "execute nothing with more privileges"},
                        {"apparmor", 0, OPTION_STRING, &p->apparmor, "AppArmor profile"},
                        {"process-label", 0, OPTION_STRING, &p->label, "SELinux label"},
                        {"preserve-fds", 0, OPTION_UNSIGNED, &x->preserve_fds,
                         "descriptors from 3 on that the program gets"},
                        {"ignore-paused", 0, OPTION_FLAG, &x->ignore_paused,
                         "also in a container that is paused"},
        };
        const OptionTable table = {"exec [OPTIONS] CONTAINER [COMMAND [ARGUMENTS]]",
                                   options,
                                   ELEMENTSOF(options),
                                   1,
                                   -1,
                                   true};
        int r;

        r = options_parse(&table, argc, argv, ret_first, e);
        if (r != 0 || *ret_first == 0)
                return r;
        p->args = argv + *ret_first + 1;
        if (!p->file == !*p->args)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "exec needs either a command or --process");
        if (x->preserve_fds > PRESERVE_FDS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--preserve-fds: more than %u",
                                  PRESERVE_FDS_MAX);
        return 0;
}

static int check_status(const State *s, bool ignore_paused, Error *e) {
        Status status = state_status(s);

        if (status == STATUS_STOPPED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot exec in a stopped container: container not running");
        if (status == STATUS_CREATING)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot exec in a container that is being created");
        if (status == STATUS_PAUSED && !ignore_paused)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot exec in a paused container (use --ignore-paused to "
                                  "override)");
        return 0;
}

static int check_terminal(const Exec *x, Error *e) {
        if (x->detach && x->terminal && !x->console_socket)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "cannot allocate tty if " RUNTIME_NAME
                                  " will detach without setting console socket");
        if (x->console_socket && (!x->detach || !x->terminal))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "cannot use console socket if " RUNTIME_NAME
                                  " will not detach or allocate tty");
        return 0;
}

/* Waits until the program runs. */
static int wait_executed(ContainerExec *x, ContainerExecNews *ret, Error *e) {
        uint64_t deadline = now_monotonic() + SET_UP_TIMEOUT;
        int terminal_fd = -1, r;

        do {
                struct pollfd p = {.fd = container_exec_fd(x), .events = POLLIN};
                uint64_t now = now_monotonic();

                r = now >= deadline ? error_setf(e, CTR_DEADLINE_EXCEEDED,
                                                 "Timed out waiting for the process to execute")
                                    : 0;
                if (r == 0 && poll(&p, 1, (int) ((deadline - now) / USEC_PER_MSEC) + 1) < 0 &&
                    errno != EINTR)
                        r = error_setf(e, -errno, "Failed to wait for the process: %m");
                if (r == 0)
                        r = container_exec_receive(x, ret, e);
                if (r != 0) {
                        fd_close(terminal_fd);
                        return r;
                }
                if (ret->terminal_fd >= 0) {
                        fd_close(terminal_fd);
                        terminal_fd = ret->terminal_fd;
                }
        } while (!ret->executed);
        ret->terminal_fd = terminal_fd;
        return 0;
}

static int clone_process(const Exec *x, const State *s, const char *root, const char *document,
                         bool moves, ContainerExec **ret, Error *e) {
        _cleanup_close_ int init_pidfd = -1, cgroup_fd = -1;
        _cleanup_free_ char *cache = NULL;
        ExecParameters p = {
                        .init_pid = s->pid,
                        .cgroup_fd = -1,
                        .config_dir_fd = s->dir_fd,
                        .config_name = CONFIG_NAME,
                        .document_name = document,
                        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
                        .id = s->id,
                        .bundle = s->bundle,
                        .independent = true,
                        .moves = moves,
                        .preserve_fds = x->preserve_fds,
        };
        int r;

        if (asprintf(&cache, "%s/.seccomp", root) < 0) {
                cache = NULL;
                return -ENOMEM;
        }
        p.seccomp_cache = cache;
        r = state_open_init(s, &init_pidfd, e);
        if (r == 0 && s->cgroup)
                r = state_open_cgroup(s, &cgroup_fd, e);
        if (r != 0)
                return r;
        p.init_pidfd = init_pidfd;
        p.cgroup_fd = cgroup_fd;
        return container_exec_clone(&p, ret, e);
}

static int clone_and_wait(const Exec *x, const State *s, const char *root, const char *document,
                          bool moves, ContainerExecNews *ret, Error *e) {
        _cleanup_(container_exec_freep) ContainerExec *exec = NULL;
        int r;

        r = clone_process(x, s, root, document, moves, &exec, e);
        return r == 0 ? wait_executed(exec, ret, e) : r;
}

/* The document has a name of this process's own, and goes again when the process has read it. */
static int execute(Exec *x, const State *s, const char *root, ContainerExecNews *ret, Error *e) {
        char name[32];
        int r;

        (void) snprintf(name, sizeof(name), "exec-%d.json", getpid());
        r = exec_document_write(&x->process, s->dir_fd, CONFIG_NAME, name, &x->terminal, e);
        if (r == 0)
                r = check_terminal(x, e);
        if (r == 0)
                r = clone_and_wait(x, s, root, name, false, ret, e);
        if (r == -ECHILD) {
                error_clear(e);
                r = clone_and_wait(x, s, root, name, true, ret, e);
        }
        (void) unlinkat(s->dir_fd, name, 0);
        return r;
}

static int finish(Context *c, const Exec *x, ContainerExecNews *news, int signal_fd, Error *e) {
        int r = 0;

        if (x->console_socket)
                r = console_send(x->console_socket, news->terminal_fd, e);
        if (r == 0 && x->pid_file)
                r = pid_file_write(x->pid_file, news->pid, e);
        if (r != 0) {
                (void) pidfd_signal(news->pidfd, SIGKILL);
                return r;
        }
        c->exit_status = 0;
        return x->detach ? 0
                         : console_stay(news->pidfd, news->terminal_fd, signal_fd, &c->exit_status,
                                        e);
}

int verb_exec(Context *c, int argc, char *argv[], Error *e) {
        ContainerExecNews news = {.terminal_fd = -1, .pidfd = -1};
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_close_ int signal_fd = -1;
        Exec x = {};
        int first = 0, r;

        r = parse(&x, argc, argv, &first, e);
        if (r == 0 && first == 0)
                c->exit_status = 0;
        if (r == 0 && first > 0)
                r = state_open(c, argv[first], false, &s, e);
        if (r == 0 && s)
                r = check_status(s, x.ignore_paused, e);
        if (r == 0 && s && !x.detach)
                r = console_block_signals(&signal_fd, e);
        if (r == 0 && s)
                r = execute(&x, s, c->root, &news, e);
        if (r == 0 && s)
                r = finish(c, &x, &news, signal_fd, e);
        fd_close(news.terminal_fd);
        fd_close(news.pidfd);
        exec_options_clear(&x.process);
        return r;
}
