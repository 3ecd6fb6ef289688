/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <sched.h>
#include <sys/mount.h>

#include "runtime/detached.h"
#include "runtime/hooks.h"
#include "runtime/init-internal.h"
#include "runtime/masks.h"
#include "runtime/mount.h"
#include "runtime/process.h"
#include "runtime/seccomp-notify.h"
#include "runtime/step.h"

static int enter_cgroup(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        if (i->cgroup_namespace_fd >= 0) {
                if (setns(i->cgroup_namespace_fd, CLONE_NEWCGROUP) < 0)
                        return error_setf(e, -errno, "Failed to join the cgroup namespace %s: %m",
                                          i->spec->namespaces[NAMESPACE_CGROUP].path);
                i->cgroup_namespace_fd = fd_close(i->cgroup_namespace_fd);
        } else {
                r = namespaces_enter(i->spec->namespaces, 1U << NAMESPACE_CGROUP, e);
                if (r != 0)
                        return r;
        }
        r = filesystems_mount(&i->filesystems, i->root_fd, true, e);
        if (r != 0)
                return r;
        return readonly_paths_apply(i->spec, i->root_fd, true, e);
}

/* In the container's namespaces, with the host's files still as ours. */
static int enter_hooks(void *userdata, Error *e) {
        Init *i = userdata;
        const SpecHooks *hooks = &i->spec->hooks[HOOK_CREATE_CONTAINER];
        _cleanup_free_ char *state = NULL;
        int r;

        if (hooks->n == 0)
                return 0;
        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "creating", getpid(), &state);
        if (r < 0)
                return r;
        return hooks_run(hooks, HOOK_CREATE_CONTAINER, state, UINT64_MAX, NULL, NULL, e);
}

static int enter_root(void *userdata, Error *e) {
        Init *i = userdata;

        return spec_is_held(i->spec) ? init_change_root(i, e) : 0;
}

/* The working directory is made if the image lacks it, so before the root is read-only. */
static int enter_directory(void *userdata, Error *e) {
        Init *i = userdata;
        int r;

        r = process_enter_directory(i->root_fd, i->spec->process.cwd,
                                    !i->spec->namespaces[NAMESPACE_MOUNT].path, e);
        if (r != 0)
                return r;
        if (!i->spec->root_readonly)
                return 0;
        r = mount_change(i->root_fd, MOUNT_ATTR_RDONLY, 0, 0, false);
        if (r < 0)
                return error_setf(e, r, "Failed to make the root file system read-only: %m");
        return 0;
}

static int enter_stdio(void *userdata, Error *e) {
        Init *i = userdata;

        return program_set_stdio(&i->program, e);
}

static int enter_process(void *userdata, Error *e) {
        Init *i = userdata;

        return program_become(&i->program, e);
}

static int enter_executable(void *userdata, Error *e) {
        Init *i = userdata;

        return program_find(&i->program, e);
}

static const Step enter_steps[] = {
                {STAGE_CGROUP, enter_cgroup},   {STAGE_HOOKS, enter_hooks},
                {STAGE_ROOTFS, enter_root},     {STAGE_PROCESS, enter_directory},
                {STAGE_PROCESS, enter_stdio},   {STAGE_PROCESS, enter_process},
                {STAGE_EXEC, enter_executable},
};

/* The supervisor's next word. If it is gone, so is the reason to be here. */
static SyncType hear(const Init *i, InitStage stage, SyncAnswer *ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        r = sync_receive(i->p->sync_fd, UINT64_MAX, ret, NULL);
        if (r > 0)
                return (SyncType) r;
        if (r < 0) {
                (void) error_setf(&e, r, "Failed to hear what to do next: %m");
                step_fail(i->p->sync_fd, stage, r, &e);
        }
        _exit(125);
}

static void wait_for_enter(const Init *i) {
        SyncAnswer answer;

        if (hear(i, STAGE_PROCESS, &answer) != SYNC_ENTER)
                _exit(125);
        fd_close(answer.fd);
}

static void wait_for_start(Init *i) {
        SyncType type;

        type = hear(i, STAGE_EXEC, &i->start);
        if (type == SYNC_DETACH && i->p->independent && i->start.fd >= 0)
                i->program.sync_fd = detached_wait(i->start.fd, 3U + i->p->preserve_fds, &i->start);
        else if (type != SYNC_START)
                _exit(125);
}

static int start_listener(void *userdata, Error *e) {
        _cleanup_free_ char *state = NULL;
        Init *i = userdata;
        int r;

        if (i->start.fd < 0)
                return error_setf(e, -EBADMSG, "No connection for linux.seccomp.listenerPath came");
        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "created", i->start.pid, &state);
        if (r == 0)
                r = seccomp_notify_state(i->spec->document, state, i->start.pid,
                                         &i->program.listener_state);
        i->program.listener_fd = i->start.fd;
        return r;
}

/* What goes to the agent is made before the filter is loaded. */
static void prepare_listener(Init *i) {
        static const Step steps[] = {{STAGE_SECCOMP, start_listener}};

        if (i->program.seccomp.notifies)
                steps_run(i->program.sync_fd, steps, ELEMENTSOF(steps), i);
        else
                i->start.fd = fd_close(i->start.fd);
}

static int prepare_hook(void *userdata) {
        return program_restrict(userdata);
}

static int start_hooks(void *userdata, Error *e) {
        Init *i = userdata;
        _cleanup_free_ char *state = NULL;
        int r;

        r = hooks_state(i->spec->document, i->p->id, i->p->bundle, "created", getpid(), &state);
        if (r < 0)
                return r;
        return hooks_run(&i->spec->hooks[HOOK_START_CONTAINER], HOOK_START_CONTAINER, state,
                         UINT64_MAX, prepare_hook, &i->program, e);
}

/* They come from the image: what they may do is what the program may. */
static void run_start_hooks(Init *i) {
        static const Step steps[] = {{STAGE_HOOKS, start_hooks}};

        if (i->spec->hooks[HOOK_START_CONTAINER].n > 0)
                steps_run(i->program.sync_fd, steps, ELEMENTSOF(steps), i);
}

_noreturn_ void init_run(const InitParameters *p) {
        Init i = {
                        .p = p,
                        .spec = p->spec,
                        .program =
                                        {
                                                        .process = &p->spec->process,
                                                        .sync_fd = p->sync_fd,
                                                        .stdio = {p->stdio[0], p->stdio[1],
                                                                  p->stdio[2]},
                                                        .personality_set = p->spec->personality_set,
                                                        .personality = p->spec->personality,
                                                        .terminal = {-1, -1},
                                                        .listener_fd = -1,
                                                        .null_fd = -1,
                                                        .proc_fd = -1,
                                                        .independent = p->independent,
                                                        .no_keyring = p->no_keyring,
                                                        .preserve_fds = p->preserve_fds,
                                        },
                        .root_fd = -1,
                        .cgroup_namespace_fd = -1,
        };
        Terminal *t = &i.program.terminal;

        program_separate(&i.program);
        init_build(&i);
        if (spec_is_held(p->spec) && sync_send(p->sync_fd, SYNC_BUILT, 0, -1) < 0)
                _exit(125);
        wait_for_enter(&i);
        steps_run(p->sync_fd, enter_steps, ELEMENTSOF(enter_steps), &i);
        if (sync_send(p->sync_fd, SYNC_CREATED, 0, t->master_fd) < 0)
                _exit(125);
        t->master_fd = fd_close(t->master_fd);
        wait_for_start(&i);
        prepare_listener(&i);
        run_start_hooks(&i);
        program_start(&i.program);
}
