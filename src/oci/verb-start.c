/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* start, pause and resume: one container goes from one state into another. */

#include "basic/log.h"
#include "basic/process.h"
#include "oci/cgroup.h"
#include "oci/late-hooks.h"
#include "oci/options.h"
#include "runtime/detached.h"
#include "runtime/seccomp-notify.h"

/* For verbs with one argument and no options. *ret is NULL after --help. */
static int open_only(Context *c, const char *usage, int argc, char *argv[], State **ret, Error *e) {
        const OptionTable table = {usage, NULL, 0, 1, 1, false};
        int first, r;

        *ret = NULL;
        r = options_parse(&table, argc, argv, &first, e);
        return r != 0 || first == 0 ? r : state_open(c, argv[first], true, ret, e);
}

int verb_start(Context *c, int argc, char *argv[], Error *e) {
        _cleanup_close_ int pidfd = -1, listener_fd = -1;
        _cleanup_(state_freep) State *s = NULL;
        int r;

        r = open_only(c, "start CONTAINER", argc, argv, &s, e);
        if (r != 0 || !s)
                return r;
        switch (state_status(s)) {
        case STATUS_CREATED:
                break;
        case STATUS_STOPPED:
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot start a container that has stopped");
        default:
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot start an already running container");
        }
        if (s->listener) {
                r = seccomp_notify_connect(s->listener, &listener_fd, e);
                if (r != 0)
                        return r;
        }
        r = detached_start(s->dir_fd, STATE_START, s->pid, listener_fd, SET_UP_TIMEOUT, e);
        /* from here on it is a running one, or a stopped one */
        if (unlinkat(s->dir_fd, STATE_START, 0) < 0)
                log_warning_errno(errno, "Failed to remove the start socket of %s: %m", s->id);
        if (r != 0)
                return r;
        r = late_hooks_run(s, HOOK_POSTSTART, e);
        if (r != 0 && state_open_init(s, &pidfd, NULL) == 0)
                (void) pidfd_signal(pidfd, SIGKILL); /* as runtime.md has it, step 9 */
        return r;
}

static int set_frozen(Context *c, const char *usage, bool freeze, int argc, char *argv[],
                      Error *e) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_close_ int fd = -1;
        Status status;
        int r;

        r = open_only(c, usage, argc, argv, &s, e);
        if (r != 0 || !s)
                return r;
        status = state_status(s);
        if (freeze && status != STATUS_RUNNING && status != STATUS_CREATED)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "cannot pause a container that is %s: container not running",
                                  status_to_string(status));
        if (!freeze && status != STATUS_PAUSED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "container not paused");
        r = state_open_cgroup(s, &fd, e);
        return r == 0 ? cgroup_freeze(fd, freeze, e) : r;
}

int verb_pause(Context *c, int argc, char *argv[], Error *e) {
        return set_frozen(c, "pause CONTAINER", true, argc, argv, e);
}

int verb_resume(Context *c, int argc, char *argv[], Error *e) {
        return set_frozen(c, "resume CONTAINER", false, argc, argv, e);
}
