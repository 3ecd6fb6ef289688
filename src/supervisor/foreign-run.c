/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/foreign-run.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "runtime/cgroup-tree.h"
#include "supervisor/foreign-log.h"

#define STATE_DIRECTORY "state"
#define PATH_DEFAULT    "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define PID_SIZE        32U
#define ABORT_USEC      USEC_PER_SEC /* in an uninterruptible sleep nobody dies at once */
#define NAME_SIZE       (STRLEN("exec-") + IDENTIFIER_MAX + STRLEN(".console") + 1)

struct ForeignRun {
        const ForeignPlace *place;
        Helper *helper;
        char verb[16];
        bool leaves_process;
        bool taken;           /* that process */
        int console_fd;       /* listens; -1: without a terminal */
        char name[NAME_SIZE]; /* of its files, up to the suffix */
};

/* What the clone needs. */
typedef struct Preparation {
        const ForeignRun *run;
        const ForeignCommand *command;
} Preparation;

static const char *const suffixes[] = {".log", ".pid", ".console", ".json"};

static const char *file_name(const ForeignRun *run, const char *suffix,
                             char buf[static NAME_SIZE]) {
        (void) snprintf(buf, NAME_SIZE, "%.*s%s", (int) (NAME_SIZE - STRLEN(".console") - 1),
                        run->name, suffix);
        return buf;
}

static void remove_files(const ForeignRun *run) {
        char name[NAME_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(suffixes); i++)
                (void) unlinkat(run->place->bundle_fd, file_name(run, suffixes[i], name), 0);
}

static int console_listen(ForeignRun *run, Error *e) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        char name[NAME_SIZE];

        run->console_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
        if (run->console_fd < 0)
                return error_setf(e, -errno, "Failed to make a socket: %m");
        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "/proc/self/fd/%i/%.*s",
                        run->place->bundle_fd,
                        (int) (sizeof(sa.sun_path) - STRLEN("/proc/self/fd//") - 12),
                        file_name(run, ".console", name));
        if (bind(run->console_fd, (struct sockaddr *) &sa, sizeof(sa)) < 0 ||
            listen(run->console_fd, 1) < 0)
                return error_setf(e, -errno, "Failed to listen on %s: %m", name);
        return 0;
}

/* In the clone, from here on up to prepare() */

static int set_oom_score(const char *value, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        if (isempty(value))
                return 0;
        fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_write_all(fd, value, strlen(value));
        return r < 0 ? error_setf(e, r, "Failed to set oom_score_adj: %m") : 0;
}

static int set_stdio(const int *stdio, Error *e) {
        int null_fd;

        null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (null_fd < 0)
                return error_setf(e, -errno, "Failed to open /dev/null: %m");
        for (int i = 0; i < 3; i++)
                if (dup2(stdio && stdio[i] >= 0 ? stdio[i] : null_fd, i) < 0)
                        return error_setf(e, -errno, "Failed to set up standard streams: %m");
        return 0;
}

/* Nothing of the manager's own (NOTIFY_SOCKET above all, which runtimes pass on). */
static int set_environment(Error *e) {
        if (clearenv() != 0 || setenv("PATH", PATH_DEFAULT, 1) < 0)
                return error_setf(e, -ENOMEM, "Failed to set up the environment: %m");
        return 0;
}

static int add_path(char ***l, const ForeignRun *run, const char *option, const char *name) {
        int r = strv_extend(l, option);

        return r < 0 ? r : strv_extendf(l, "%s/%s", run->place->bundle, name);
}

static int add_verb(char ***l, const ForeignRun *run) {
        char name[NAME_SIZE];
        int r;

        r = strv_extend(l, run->verb);
        if (r < 0)
                return r;
        if (streq(run->verb, "create")) {
                r = strv_extend(l, "--bundle");
                return r < 0 ? r : strv_extend(l, run->place->bundle);
        }
        if (streq(run->verb, "exec")) {
                r = strv_extend(l, "--detach");
                return r < 0 ? r : add_path(l, run, "--process", file_name(run, ".json", name));
        }
        return streq(run->verb, "delete") ? strv_extend(l, "--force") : 0;
}

/* The options that crun, runc and all that imitate them have in common. */
static int make_arguments(const ForeignRun *run, char ***ret) {
        _cleanup_strv_free_ char **l = NULL;
        char name[NAME_SIZE];
        int r;

        r = strv_extend(&l, run->place->program);
        if (r >= 0)
                r = add_path(&l, run, "--root", STATE_DIRECTORY);
        if (r >= 0)
                r = add_path(&l, run, "--log", file_name(run, ".log", name));
        if (r >= 0)
                r = strv_extend(&l, "--log-format");
        if (r >= 0)
                r = strv_extend(&l, "json");
        if (r >= 0)
                r = add_verb(&l, run);
        if (r >= 0 && run->leaves_process)
                r = add_path(&l, run, "--pid-file", file_name(run, ".pid", name));
        /* relative: the whole path may be longer than a socket's can be */
        if (r >= 0 && run->console_fd >= 0)
                r = strv_extend(&l, "--console-socket");
        if (r >= 0 && run->console_fd >= 0)
                r = strv_extend(&l, file_name(run, ".console", name));
        if (r >= 0)
                r = strv_extend(&l, run->place->id);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r;
}

static int prepare(void *userdata, char ***ret, Error *e) {
        const Preparation *p = userdata;
        const ForeignPlace *place = p->run->place;
        int r;

        if (place->cgroup_fd >= 0) {
                r = cgroup_attribute_write(place->cgroup_fd, "cgroup.procs", "0");
                if (r < 0)
                        return error_setf(e, r, "Failed to move into the runtime's cgroup: %m");
        }
        r = set_oom_score(place->oom_score_adj, e);
        if (r == 0 && p->command->prepare)
                r = p->command->prepare(p->command->userdata, e);
        if (r == 0)
                r = set_environment(e);
        if (r != 0)
                return r;
        if (chdir(place->bundle) < 0)
                return error_setf(e, -errno, "Failed to change to %s: %m", place->bundle);
        r = make_arguments(p->run, ret);
        if (r < 0)
                return r;
        return set_stdio(p->command->stdio, e);
}

/* In the supervisor again */

int foreign_run_new(const ForeignPlace *place, const ForeignCommand *command, ForeignRun **ret,
                    Error *e) {
        _cleanup_(foreign_run_freep) ForeignRun *run = NULL;
        Preparation preparation;
        int r;

        assert(place && command && command->verb && ret);

        run = malloc(sizeof(*run));
        if (!run)
                return -ENOMEM;
        *run = (ForeignRun){
                        .place = place,
                        .console_fd = -1,
                        .leaves_process = streq(command->verb, "create") || command->exec_id,
        };
        (void) snprintf(run->verb, sizeof(run->verb), "%s", command->verb);
        (void) snprintf(run->name, sizeof(run->name), "%s%s%s", command->verb,
                        command->exec_id ? "-" : "", strempty(command->exec_id));
        remove_files(run);
        if (command->terminal) {
                r = console_listen(run, e);
                if (r != 0)
                        return r;
        }
        preparation = (Preparation){.run = run, .command = command};
        r = helper_new(place->program, prepare, &preparation, &run->helper, e);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(run);
        return 0;
}

ForeignRun *foreign_run_free(ForeignRun *run) {
        if (!run)
                return NULL;
        helper_free(run->helper);
        fd_close(run->console_fd);
        remove_files(run);
        free(run);
        return NULL;
}

int foreign_run_fd(const ForeignRun *run) {
        return helper_pidfd(run->helper);
}

pid_t foreign_run_pid(const ForeignRun *run) {
        return helper_pid(run->helper);
}

int foreign_run_wait(const ForeignRun *run, uint64_t deadline) {
        return pidfd_wait_until(foreign_run_fd(run), deadline) > 0;
}

pid_t foreign_run_abort(ForeignRun *run) {
        _cleanup_free_ char *text = NULL;
        char name[NAME_SIZE];

        if (pidfd_signal(foreign_run_fd(run), SIGKILL) == 0)
                (void) foreign_run_wait(run, now_monotonic() + ABORT_USEC);
        /* who has taken the process has removed the file */
        if (file_read_at(run->place->bundle_fd, file_name(run, ".pid", name), PID_SIZE, &text,
                         NULL) < 0)
                return 0;
        return (pid_t) strtol(text, NULL, 10);
}

/* The terminal's master, which came with one byte or more before the run was over. */
static int console_receive(ForeignRun *run, int *ret_fd, Error *e) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        char data[256];
        struct iovec iov = {.iov_base = data, .iov_len = sizeof(data)};
        struct msghdr m = {.msg_iov = &iov,
                           .msg_iovlen = 1,
                           .msg_control = &control,
                           .msg_controllen = sizeof(control)};
        _cleanup_close_ int fd = -1, received = -1;

        fd = accept4(run->console_fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
        if (fd < 0 || recvmsg(fd, &m, MSG_CMSG_CLOEXEC) < 0)
                return error_setf(e, CTR_UNKNOWN, "%s did not hand over the terminal: %m",
                                  run->place->program);
        if (m.msg_controllen >= CMSG_LEN(sizeof(int)) && control.header.cmsg_level == SOL_SOCKET &&
            control.header.cmsg_type == SCM_RIGHTS)
                memcpy(&received, CMSG_DATA(&control.header), sizeof(received));
        if (received < 0 || !isatty(received))
                return error_setf(e, CTR_UNKNOWN, "%s handed over what is no terminal",
                                  run->place->program);
        *ret_fd = TAKE_FD(received);
        return 0;
}

static int take_process(ForeignRun *run, ForeignProcess *ret, Error *e) {
        char name[NAME_SIZE];
        int r;

        assert(ret);

        *ret = (ForeignProcess){.pidfd = -1, .terminal_fd = -1};
        r = helper_read_pid(run->place->bundle_fd, file_name(run, ".pid", name),
                            run->place->program, &ret->pid, &ret->pidfd, e);
        if (r != 0 || run->console_fd < 0)
                return r;
        r = console_receive(run, &ret->terminal_fd, e);
        if (r != 0) {
                pidfd_forsake(ret->pidfd);
                ret->pidfd = fd_close(ret->pidfd);
        }
        return r;
}

bool foreign_run_is_taken(const ForeignRun *run) {
        return run->taken;
}

int foreign_run_finish(ForeignRun *run, ForeignProcess *ret, Error *e) {
        char name[NAME_SIZE];
        int r, status;

        r = helper_finish(run->helper, &status, e);
        if (r != 0)
                return r;
        if (status != 0)
                return foreign_log_error(run->place->bundle_fd, file_name(run, ".log", name),
                                         run->place->program, run->verb, status, e);
        r = run->leaves_process ? take_process(run, ret, e) : 0;
        run->taken = r == 0;
        return r;
}
