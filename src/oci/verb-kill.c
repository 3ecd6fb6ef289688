/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* kill and delete. */

#include "basic/clock.h"
#include "basic/process.h"
#include "basic/signals.h"
#include "oci/cgroup.h"
#include "oci/late-hooks.h"
#include "oci/options.h"
#include "runtime/cgroup-tree.h"

static int each_kill(pid_t pid, void *userdata) {
        const int *signo = userdata;

        return kill(pid, *signo) < 0 && errno != ESRCH ? -errno : 0;
}

/* Frozen meanwhile, so that none escapes by forking; a paused container stays paused. */
static int kill_all(const State *s, int signo, Error *e) {
        bool paused = state_status(s) == STATUS_PAUSED;
        _cleanup_close_ int fd = -1;
        int r, k = 0;

        r = state_open_cgroup(s, &fd, e);
        if (r != 0)
                return r;
        if (signo == SIGKILL) {
                r = cgroup_attribute_write(fd, "cgroup.kill", "1");
                return r < 0 ? error_setf(e, r, "Failed to kill the container: %m") : 0;
        }
        if (!paused)
                r = cgroup_freeze(fd, true, e);
        if (r == 0)
                r = cgroup_each_process(fd, each_kill, &signo);
        if (r < 0)
                r = error_setf(e, r, "Failed to signal the container: %m");
        if (!paused)
                k = cgroup_freeze(fd, false, e);
        return r != 0 ? r : k;
}

static int kill_init(const State *s, int signo, Error *e) {
        _cleanup_close_ int pidfd = -1;
        int r;

        r = state_open_init(s, &pidfd, e);
        if (r != 0)
                return r;
        r = pidfd_signal(pidfd, signo);
        if (r == -ESRCH)
                return error_setf(e, CTR_FAILED_PRECONDITION, "container not running");
        return r < 0 ? error_setf(e, r, "Failed to send signal %d to container %s: %m", signo,
                                  s->id)
                     : 0;
}

int verb_kill(Context *c, int argc, char *argv[], Error *e) {
        bool all = false;
        const Option options[] = {
                        {"all", 'a', OPTION_FLAG, &all, "to all processes of the container"},
        };
        const OptionTable table = {"kill [OPTIONS] CONTAINER [SIGNAL]",
                                   options,
                                   ELEMENTSOF(options),
                                   1,
                                   2,
                                   false};
        _cleanup_(state_freep) State *s = NULL;
        int first, signo = SIGTERM, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        if (argv[first + 1]) {
                /* 0 only asks whether there is somebody */
                signo = streq(argv[first + 1], "0") ? 0 : signal_from_string(argv[first + 1]);
                if (signo < 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "unknown signal \"%s\"",
                                          argv[first + 1]);
        }
        r = state_open(c, argv[first], false, &s, e);
        if (r != 0)
                return r;
        /* those that init left behind are "all", too */
        return all && s->cgroup ? kill_all(s, signo, e) : kill_init(s, signo, e);
}

/* Kills init, for containers without a cgroup to kill by. */
static int end_init(const State *s, Error *e) {
        _cleanup_close_ int pidfd = -1;
        int r;

        r = state_open_init(s, &pidfd, NULL);
        if (r != 0)
                return r == CTR_FAILED_PRECONDITION ? 0 : r;
        (void) pidfd_signal(pidfd, SIGKILL);
        r = pidfd_wait_until(pidfd, now_monotonic() + REMOVE_TIMEOUT);
        if (r < 0)
                return error_setf(e, r, "Failed to wait for the end of container %s: %m", s->id);
        return r > 0 ? 0 : error_setf(e, CTR_DEADLINE_EXCEEDED, "Container %s does not die", s->id);
}

/* As runc, and against runtime.md, which containerd relies on: what was created and never started
 * is deleted without force. */
static int delete_container(Context *c, const State *s, bool force, Error *e) {
        Status status = state_status(s);
        int r;

        if (!force && status != STATUS_STOPPED && status != STATUS_CREATED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot delete container %s that is not stopped: %s", s->id,
                                  status_to_string(status));
        r = end_init(s, e);
        if (r == 0)
                r = cgroup_destroy(s, e);
        if (r != 0)
                return r;
        late_hooks_stop(s);
        return state_remove(c, s, e);
}

int verb_delete(Context *c, int argc, char *argv[], Error *e) {
        bool force = false;
        const Option options[] = {
                        {"force", 'f', OPTION_FLAG, &force, "kill it first if it runs"},
        };
        const OptionTable table = {
                        "delete [OPTIONS] CONTAINER", options, ELEMENTSOF(options), 1, 1, false};
        _cleanup_(state_freep) State *s = NULL;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        r = state_open(c, argv[first], true, &s, e);
        if (force && r == CTR_NOT_FOUND) {
                error_clear(e);
                return 0;
        }
        return r == 0 ? delete_container(c, s, force, e) : r;
}
