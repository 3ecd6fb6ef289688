/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/program.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "basic/strv.h"
#include "runtime/capability.h"
#include "runtime/executable.h"
#include "runtime/lsm.h"
#include "runtime/process.h"
#include "runtime/rlimit.h"
#include "runtime/seccomp-notify.h"
#include "runtime/step.h"

/* Not dumpable: until execve() this is the supervisor's memory and binary, and a process of a pid
 * namespace that is not new must not open its /proc/PID/exe or mem. execve() makes it dumpable
 * again. */
static int separate(void *userdata, Error *e) {
        sigset_t none;

        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || prctl(PR_SET_DUMPABLE, 0, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become undumpable: %m");
        if (setsid() < 0)
                return error_setf(e, -errno, "Failed to make a session: %m");
        /* handlers are gone by CLONE_CLEAR_SIGHAND, what was ignored is not; EINVAL: the C
         * library's own */
        for (int signo = 1; signo < NSIG; signo++)
                if (signo != SIGKILL && signo != SIGSTOP && signal(signo, SIG_DFL) == SIG_ERR &&
                    errno != EINVAL)
                        return error_setf(e, -errno, "Failed to reset signal %d: %m", signo);
        (void) sigemptyset(&none);
        if (sigprocmask(SIG_SETMASK, &none, NULL) < 0)
                return error_setf(e, -errno, "Failed to unblock signals: %m");
        return 0;
}

void program_separate(Program *p) {
        static const Step steps[] = {{STAGE_PROCESS, separate}};

        steps_run(p->sync_fd, steps, ELEMENTSOF(steps), p);
        p->umask = umask(0);
}

int program_open_host(Program *p, Error *e) {
        int r;

        if (p->process->apparmor_profile || p->process->selinux_label) {
                r = lsm_check(p->process->apparmor_profile, p->process->selinux_label, NULL, e);
                if (r == 0)
                        r = lsm_open_proc(&p->proc_fd, e);
                if (r != 0)
                        return r;
        }
        if (p->process->terminal || (p->stdio[0] >= 0 && p->stdio[1] >= 0 && p->stdio[2] >= 0))
                return 0;
        p->null_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        if (p->null_fd < 0)
                return error_setf(e, -errno, "Failed to open /dev/null: %m");
        return 0;
}

int program_resolve(Program *p, int root_fd, Error *e) {
        bool want_home = !strv_env_get((char *const *) p->process->env, "HOME");
        int r;

        r = user_resolve(root_fd, &p->process->user, want_home, &p->user, e);
        if (r != 0)
                return r;
        return process_environment(p->process, p->user.home, &p->env, e);
}

int program_set_stdio(Program *p, Error *e) {
        int fds[3], r;

        for (int i = 0; i < 3; i++)
                fds[i] = p->process->terminal ? p->terminal.slave_fd
                         : p->stdio[i] >= 0   ? p->stdio[i]
                                              : p->null_fd;
        r = process_set_stdio(fds, p->preserve_fds, e);
        if (r != 0)
                return r;
        return process_give_stdio(p->user.uid, e);
}

/* Loading a filter needs no_new_privs or CAP_SYS_ADMIN: without the former the capabilities stay
 * until the filter is loaded, right before execve(). */
static bool credentials_are_late(const Program *p) {
        return p->seccomp.filter && !p->process->no_new_privileges;
}

int program_become(Program *p, Error *e) {
        const SpecProcess *process = p->process;
        int r;

        r = p->no_keyring ? 0 : process_new_keyring(e);
        if (r == 0)
                r = rlimits_apply(&process->rlimits, false, e);
        if (r == 0)
                r = capability_bounding_set(process->capabilities.bounding, e);
        if (r == 0)
                r = process_set_user(&p->user, e);
        if (r != 0)
                return r;
        (void) umask(process->user.umask != (mode_t) -1 ? process->user.umask : p->umask);
        if (p->proc_fd >= 0) {
                r = lsm_apply(p->proc_fd, process->apparmor_profile, process->selinux_label, e);
                p->proc_fd = fd_close(p->proc_fd);
                if (r != 0)
                        return r;
        }
        if (p->personality_set && personality(p->personality) < 0)
                return error_setf(e, -errno, "Failed to set the personality: %m");
        if (process->no_new_privileges && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to set no_new_privs: %m");
        return credentials_are_late(p) ? 0 : capabilities_apply(&process->capabilities, e);
}

int program_find(Program *p, Error *e) {
        return executable_find(p->process->args[0], strv_env_get(p->env, "PATH"), &p->path, e);
}

/* A change of credentials or a clone has cleared the signal. If the supervisor died before this,
 * its end of the socket is closed. */
static int start_tie_to_parent(void *userdata, Error *e) {
        const Program *p = userdata;
        struct pollfd poll_fd = {.fd = p->sync_fd};

        if (p->independent)
                return prctl(PR_SET_PDEATHSIG, 0, 0, 0, 0) < 0
                                       ? error_setf(e, -errno,
                                                    "Failed to unset the parent death signal: %m")
                                       : 0;
        if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0) < 0 || poll(&poll_fd, 1, 0) < 0)
                return error_setf(e, -errno, "Failed to set the parent death signal: %m");
        if (poll_fd.revents & (POLLHUP | POLLERR))
                return error_setf(e, -EOWNERDEAD, "The supervisor is gone");
        return 0;
}

static int start_terminal(void *userdata, Error *e) {
        const Program *p = userdata;

        return p->process->terminal ? process_set_controlling_terminal(e) : 0;
}

static int start_limits(void *userdata, Error *e) {
        const Program *p = userdata;

        return rlimits_apply(&p->process->rlimits, true, e);
}

static int load_filter(const Program *p, Error *e) {
        return p->seccomp.notifies ? seccomp_notify_load(&p->seccomp, p->listener_fd,
                                                         p->listener_state, e)
                                   : seccomp_filter_load(&p->seccomp, e);
}

/* The filter comes last: it need not allow anything but execve() and, if that fails, what it takes
 * to say so (and capset() and prctl() without no_new_privs). */
static int start_credentials(void *userdata, Error *e) {
        const Program *p = userdata;
        int r;

        if (!credentials_are_late(p))
                return load_filter(p, e);
        r = capability_raise_permitted(e);
        if (r == 0)
                r = load_filter(p, e);
        if (r == 0)
                r = capabilities_apply(&p->process->capabilities, e);
        return r;
}

int program_restrict(Program *p) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = rlimits_apply(&p->process->rlimits, true, &e);
        if (r == 0)
                r = start_credentials(p, &e);
        return r > 0 ? -EPERM : r;
}

static int start_execute(void *userdata, Error *e) {
        const Program *p = userdata;
        int code;

        (void) execve(p->path, (char *const *) p->process->args, p->env);
        code = errno == ENOENT ? CTR_COMMAND_NOT_FOUND : CTR_COMMAND_NOT_EXECUTABLE;
        return error_setf(e, code, "Failed to execute %s: %m", p->path);
}

void program_start(Program *p) {
        static const Step steps[] = {
                        {STAGE_EXEC, start_tie_to_parent}, {STAGE_TERMINAL, start_terminal},
                        {STAGE_EXEC, start_limits},        {STAGE_EXEC, start_credentials},
                        {STAGE_EXEC, start_execute},
        };

        steps_run(p->sync_fd, steps, ELEMENTSOF(steps), p);
        _exit(125); /* the last one does not succeed */
}
