/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* checkpoint and restore. */

#include <fcntl.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/wait.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "oci/console.h"
#include "oci/late-hooks.h"
#include "oci/launch.h"
#include "oci/options.h"
#include "runtime/checkpoint.h"

#define IMAGES_DEFAULT "checkpoint"
#define CRIU_TIMEOUT   (10 * 60 * USEC_PER_SEC)

/* What both verbs take, for callers that give all options to both; as criu's own. */
typedef struct CriuOptions {
        const char *images, *work, *parent;
        bool leave_running, tcp, unix_sockets, shell_job, file_locks, pre_dump, lazy;
        char **empty_namespaces;
} CriuOptions;

#define CRIU_OPTIONS(o)                                                                            \
        {"image-path", 0, OPTION_STRING, &(o).images, "directory of the checkpoint"},              \
                        {"work-path", 0, OPTION_STRING, &(o).work, "directory for CRIU's log"},    \
                        {"tcp-established", 0, OPTION_FLAG, &(o).tcp, "TCP connections, too"},     \
                        {"ext-unix-sk", 0, OPTION_FLAG, &(o).unix_sockets,                         \
                         "unix sockets that are connected to the outside, too"},                   \
                        {"shell-job", 0, OPTION_FLAG, &(o).shell_job, "with its terminal"},        \
                        {"file-locks", 0, OPTION_FLAG, &(o).file_locks, "file locks, too"},        \
                        {"empty-ns", 0, OPTION_STRINGS, &(o).empty_namespaces,                     \
                         "namespace whose inside is left out"},                                    \
                        {"lazy-pages", 0, OPTION_FLAG, &(o).lazy, NULL},                           \
                        {"manage-cgroups-mode", 0, OPTION_IGNORED, NULL, NULL}, {                  \
                "lsm-profile", 0, OPTION_IGNORED, NULL, NULL                                       \
        }

static int check_options(const CriuOptions *o, Error *e) {
        if (o->pre_dump || o->lazy)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "--%s is not supported",
                                  o->lazy ? "lazy-pages" : "pre-dump");
        return 0;
}

static int open_directory(const char *path, bool make, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;

        if (make) {
                fd = dir_open_make_at(AT_FDCWD, path, 0700);
                if (fd < 0)
                        return error_setf(e, fd, "Failed to make the directory %s: %m", path);
        }
        *ret_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? error_setf(e, -errno, "Failed to open the directory %s: %m", path) : 0;
}

static int wait_for_criu(Helper *criu, int log_fd, const char *log, Error *e) {
        int r;

        r = pidfd_wait_until(helper_pidfd(criu), now_monotonic() + CRIU_TIMEOUT);
        if (r < 0)
                return error_setf(e, r, "Failed to wait for CRIU: %m");
        if (r == 0)
                return error_setf(e, CTR_DEADLINE_EXCEEDED, "CRIU did not come to an end");
        return criu_finish(criu, log_fd, log, NULL, e);
}

static int dump(const State *s, const CriuOptions *o, Error *e) {
        _cleanup_close_ int images_fd = -1, cgroup_fd = -1;
        _cleanup_(helper_freep) Helper *criu = NULL;
        CheckpointDump p = {
                        .init_pid = s->pid,
                        .config_dir_fd = s->dir_fd,
                        .config_name = CONFIG_NAME,
                        .stdio = s->streams,
                        .parent = o->parent,
                        .leave_running = o->leave_running,
                        .tcp = o->tcp,
                        .unix_sockets = o->unix_sockets,
                        .terminal = true,
                        .file_locks = o->file_locks,
                        .empty_namespaces = o->empty_namespaces,
        };
        int r;

        r = open_directory(o->images, true, &images_fd, e);
        if (r == 0)
                r = state_open_cgroup(s, &cgroup_fd, e);
        if (r != 0)
                return r;
        p.images_fd = images_fd;
        p.cgroup_fd = cgroup_fd;
        r = checkpoint_dump(&p, &criu, e);
        return r == 0 ? wait_for_criu(criu, images_fd, CHECKPOINT_DUMP_LOG, e) : r;
}

/* CRIU has killed it. */
static int remove_dumped(Context *c, const State *s, Error *e) {
        int r;

        r = cgroup_destroy(s, e);
        return r == 0 ? state_remove(c, s, e) : r;
}

static int checkpoint(Context *c, const char *id, const CriuOptions *o, Error *e) {
        _cleanup_(state_freep) State *s = NULL;
        Status status;
        int r;

        r = check_options(o, e);
        if (r == 0)
                r = state_open(c, id, true, &s, e);
        if (r != 0)
                return r;
        status = state_status(s);
        if (status != STATUS_RUNNING && status != STATUS_PAUSED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot checkpoint a container that is %s",
                                  status_to_string(status));
        r = dump(s, o, e);
        /* as runc: what is gone from the kernel is gone from here, too; the caller has its images
         */
        return r == 0 && !o->leave_running ? remove_dumped(c, s, e) : r;
}

int verb_checkpoint(Context *c, int argc, char *argv[], Error *e) {
        CriuOptions o = {.images = IMAGES_DEFAULT};
        const Option options[] = {
                        CRIU_OPTIONS(o),
                        {"parent-path", 0, OPTION_STRING, &o.parent, "checkpoint before this one"},
                        {"leave-running", 0, OPTION_FLAG, &o.leave_running, "let it go on"},
                        {"pre-dump", 0, OPTION_FLAG, &o.pre_dump, NULL},
        };
        const OptionTable table = {"checkpoint [OPTIONS] CONTAINER",
                                   options,
                                   ELEMENTSOF(options),
                                   1,
                                   1,
                                   false};
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r == 0 && first > 0)
                r = checkpoint(c, argv[first], &o, e);
        strv_free(o.empty_namespaces);
        return r;
}

typedef struct RestoreTerminal {
        int slave_fd;
        char path[64];
} RestoreTerminal;

/* One of the host's devpts: the container's own is not there before CRIU mounts it. */
static int open_terminal(Launch *l, RestoreTerminal *t, Error *e) {
        l->terminal_fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (l->terminal_fd < 0 || unlockpt(l->terminal_fd) < 0)
                return error_setf(e, -errno, "Failed to allocate a terminal: %m");
        t->slave_fd = ioctl(l->terminal_fd, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
        if (t->slave_fd < 0 || ptsname_r(l->terminal_fd, t->path, sizeof(t->path)) != 0)
                return error_setf(e, -errno, "Failed to open the terminal: %m");
        return 0;
}

/* CRIU makes the container in the cgroup that we run in for that while. */
static int run_criu(Launch *l, const CriuOptions *o, pid_t *ret_pid, int *ret_pidfd, Error *e) {
        _cleanup_close_ int images_fd = -1, work_fd = -1;
        _cleanup_(helper_freep) Helper *criu = NULL;
        RestoreTerminal t = {.slave_fd = -1};
        CheckpointRestore p = {
                        .config_dir_fd = l->bundle_fd,
                        .config_name = CONFIG_NAME,
                        .cgroup_fd = l->cgroup_fd,
                        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
        };
        int r;

        r = open_directory(o->images, false, &images_fd, e);
        if (r == 0)
                r = open_directory(o->work ? o->work : o->images, o->work != NULL, &work_fd, e);
        if (r == 0 && l->terminal)
                r = open_terminal(l, &t, e);
        if (r != 0)
                return r;
        p.images_fd = images_fd;
        p.work_fd = work_fd;
        if (l->terminal) {
                p.stdio[0] = p.stdio[1] = p.stdio[2] = t.slave_fd;
                p.terminal_path = t.path;
        }
        r = checkpoint_restore(&p, &criu, e);
        if (r == 0)
                r = wait_for_criu(criu, work_fd, CHECKPOINT_RESTORE_LOG, e);
        if (r == 0)
                r = checkpoint_read_pid(work_fd, ret_pid, ret_pidfd, e);
        fd_close(t.slave_fd);
        return r;
}

/* A scope lives as long as a process is in it: one that does nothing, until CRIU has put the others
 * there. 0 in *ret_pid without a scope. */
static int make_placeholder(const Launch *l, pid_t *ret_pid, Error *e) {
        pid_t parent = getpid(), pid;

        *ret_pid = 0;
        if (!l->state->scope)
                return 0;
        pid = fork();
        if (pid < 0)
                return error_setf(e, -errno, "Failed to fork: %m");
        if (pid == 0) {
                if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || getppid() != parent)
                        _exit(EXIT_FAILURE);
                for (;;)
                        (void) pause();
        }
        *ret_pid = pid;
        return 0;
}

static void end_placeholder(pid_t pid) {
        if (pid <= 0)
                return;
        (void) kill(pid, SIGKILL);
        (void) waitpid(pid, NULL, 0);
}

static int restore(Launch *l, const CriuOptions *o, Error *e) {
        pid_t pid = 0, placeholder;
        int pidfd = -1, r;

        r = make_placeholder(l, &placeholder, e);
        if (r == 0)
                r = cgroup_make(l->context, l->state, &l->limits, &l->cgroup_fd, e);
        if (r == 0)
                r = cgroup_limit(l->context, l->state, l->slice, placeholder, &l->limits,
                                 &l->cgroup_fd, e);
        if (r == 0 && l->cgroup_fd < 0)
                r = error_setf(e, CTR_FAILED_PRECONDITION, "A restored container needs a cgroup");
        if (r == 0)
                r = run_criu(l, o, &pid, &pidfd, e);
        end_placeholder(placeholder);
        if (r == 0)
                r = container_adopt(pid, pidfd, &l->container);
        if (r == 0)
                r = launch_hand_over_terminal(l, e);
        return r == 0 ? launch_note_pid(l, pid, e) : r;
}

int verb_restore(Context *c, int argc, char *argv[], Error *e) {
        _cleanup_(launch_clear) Launch l = LAUNCH_NULL;
        CriuOptions o = {.images = IMAGES_DEFAULT};
        _cleanup_close_ int signal_fd = -1;
        LaunchOptions launch = {};
        bool no_subreaper = false;
        const Option options[] = {
                        CRIU_OPTIONS(o),
                        {"bundle", 'b', OPTION_STRING, &launch.bundle, "directory of config.json"},
                        {"console-socket", 0, OPTION_STRING, &launch.console_socket,
                         "socket that gets the terminal's master"},
                        {"pid-file", 0, OPTION_STRING, &launch.pid_file,
                         "file to write init's pid to"},
                        {"detach", 'd', OPTION_FLAG, &launch.detach,
                         "do not stay with the container"},
                        {"no-subreaper", 0, OPTION_FLAG, &no_subreaper,
                         "do not take orphans of the container"},
                        {"no-pivot", 0, OPTION_FLAG, &launch.no_pivot, NULL},
        };
        const OptionTable table = {
                        "restore [OPTIONS] CONTAINER", options, ELEMENTSOF(options), 1, 1, false};
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r == 0 && first > 0)
                r = check_options(&o, e);
        if (r == 0 && first > 0)
                r = launch_open(&l, c, &launch, argv[first], e);
        if (r == 0 && first > 0 && !launch.detach)
                r = launch_prepare_stay(!no_subreaper, &signal_fd, e);
        if (r == 0 && first > 0)
                r = restore(&l, &o, e);
        strv_free(o.empty_namespaces);
        if (r != 0 || first == 0)
                return r;
        if (!launch.detach)
                return launch_stay(&l, false, signal_fd, e);
        launch_release(&l);
        return 0;
}
