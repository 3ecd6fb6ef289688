/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/container-setup.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>

#include "basic/process.h"
#include "runtime/hooks.h"
#include "runtime/lsm.h"
#include "runtime/namespace.h"
#include "runtime/net-device.h"
#include "runtime/seccomp-filter.h"
#include "runtime/userns.h"

Setup *setup_free(Setup *s) {
        if (!s)
                return NULL;
        spec_free(s->spec);
        free(s->rootfs_lower);
        free(s->rootfs_upper);
        free(s->rootfs_work);
        free(s->hostname_fallback);
        free(s->seccomp_cache);
        free(s->id);
        free(s->bundle);
        free(s->resctrl_root);
        free(s);
        return NULL;
}

static int copy_strings(Setup *s, const ContainerParameters *p) {
        if (free_and_strdup(&s->rootfs_lower, p->rootfs_lower) < 0 ||
            free_and_strdup(&s->rootfs_upper, p->rootfs_upper) < 0 ||
            free_and_strdup(&s->rootfs_work, p->rootfs_work) < 0 ||
            free_and_strdup(&s->hostname_fallback, p->hostname_fallback) < 0 ||
            free_and_strdup(&s->seccomp_cache, p->seccomp_cache) < 0 ||
            free_and_strdup(&s->id, strempty(p->id)) < 0 ||
            free_and_strdup(&s->resctrl_root, p->resctrl_root) < 0 ||
            free_and_strdup(&s->bundle, strempty(p->bundle)) < 0)
                return -ENOMEM;
        return 0;
}

static InitParameters init_parameters(const Setup *s, const ContainerParameters *p) {
        return (InitParameters){
                        .spec = s->spec,
                        .sync_fd = -1,
                        .bundle_fd = p->config_dir_fd,
                        .rootfs_lower = s->rootfs_lower,
                        .rootfs_upper = s->rootfs_upper,
                        .rootfs_work = s->rootfs_work,
                        .hostname_fallback = s->hostname_fallback,
                        .seccomp_cache = s->seccomp_cache,
                        .id = s->id,
                        .bundle = s->bundle,
                        .stdio = {p->stdio[0], p->stdio[1], p->stdio[2]},
                        .open_stdio = p->open_stdio,
                        .userdata = p->userdata,
                        .independent = p->independent,
                        .no_pivot = p->no_pivot,
                        .no_keyring = p->no_keyring,
                        .preserve_fds = p->preserve_fds,
        };
}

int setup_new(const ContainerParameters *p, Setup **ret, Error *e) {
        _cleanup_(setup_freep) Setup *s = NULL;
        int r;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        r = copy_strings(s, p);
        if (r < 0)
                return r;
        r = p->document ? spec_parse(json_incref(p->document), &s->spec, e)
                        : spec_read(p->config_dir_fd, p->config_name, &s->spec, e);
        if (r != 0)
                return r;
        if (s->spec->seccomp) {
                r = seccomp_filter_check(s->spec->seccomp, e);
                if (r != 0)
                        return r;
                if (s->spec->hooks[HOOK_START_CONTAINER].n > 0 &&
                    seccomp_filter_listener(s->spec->seccomp))
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "hooks.startContainer: not together with "
                                          "SCMP_ACT_NOTIFY in linux.seccomp");
        }
        r = lsm_check(s->spec->process.apparmor_profile, s->spec->process.selinux_label,
                      s->spec->mount_label, e);
        if (r != 0)
                return r;
        if (s->rootfs_lower && s->spec->namespaces[NAMESPACE_MOUNT].path)
                return error_setf(
                                e, CTR_NOT_IMPLEMENTED,
                                "linux.namespaces: layers cannot be the root in a mount namespace "
                                "that is joined");
        if (s->spec->intel_rdt.set && isempty(s->id))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.intelRdt: the container has no id");
        if (!s->rootfs_lower && !s->spec->root_path)
                return error_setf(e, CTR_INVALID_ARGUMENT, "root.path is missing");
        s->init = init_parameters(s, p);
        *ret = TAKE_PTR(s);
        return 0;
}

/* Everything but the pid namespace is entered by init itself. Exits in the child. */
static int clone_init(const Setup *s, int cgroup_fd, int parent_fd, int child_fd, pid_t *ret_pid,
                      int *ret_pidfd, Error *e) {
        uint64_t flags = namespace_is_new(&s->spec->namespaces[NAMESPACE_PID]) ? CLONE_NEWPID : 0;
        pid_t pid;

        pid = process_clone(flags, cgroup_fd, ret_pidfd);
        if (pid < 0)
                return error_setf(e, pid, "Failed to clone init%s: %m",
                                  pid == -EPERM && geteuid() != 0
                                                  ? " (only root can without linux.namespaces "
                                                    "having a user namespace)"
                                                  : "");
        if (pid == 0) {
                InitParameters p = s->init;

                p.sync_fd = child_fd;
                fd_close(parent_fd);
                init_run(&p);
        }
        *ret_pid = pid;
        return 0;
}

/* A joined pid namespace is one for children: the supervisor sets it for this one clone. */
static int clone_init_joining(const Setup *s, const char *path, int cgroup_fd, int parent_fd,
                              int child_fd, pid_t *ret_pid, int *ret_pidfd, Error *e) {
        _cleanup_close_ int own_fd = -1, fd = -1;
        int r;

        r = namespace_open(NAMESPACE_PID, path, &fd, e);
        if (r == 0)
                r = namespace_open(NAMESPACE_PID, "/proc/self/ns/pid", &own_fd, e);
        if (r != 0)
                return r;
        if (setns(fd, CLONE_NEWPID) < 0)
                return error_setf(e, -errno, "Failed to join the pid namespace %s: %m", path);
        r = clone_init(s, cgroup_fd, parent_fd, child_fd, ret_pid, ret_pidfd, e);
        if (setns(own_fd, CLONE_NEWPID) < 0)
                return error_setf(e, -errno, "Failed to go back to the own pid namespace: %m");
        return r;
}

int setup_clone(const Setup *s, int cgroup_fd, int parent_fd, int child_fd, pid_t *ret_pid,
                int *ret_pidfd, Error *e) {
        const SpecNamespace *n = s->spec->namespaces;

        if (n[NAMESPACE_USER].set)
                return userns_clone(&s->init, parent_fd, child_fd, ret_pid, ret_pidfd, e);
        if (n[NAMESPACE_PID].path)
                return clone_init_joining(s, n[NAMESPACE_PID].path, cgroup_fd, parent_fd, child_fd,
                                          ret_pid, ret_pidfd, e);
        return clone_init(s, cgroup_fd, parent_fd, child_fd, ret_pid, ret_pidfd, e);
}

int setup_serve_init(const Setup *s, pid_t pid, uint64_t deadline, ResctrlGroups *groups,
                     Error *e) {
        static const HookPoint points[] = {HOOK_PRESTART, HOOK_CREATE_RUNTIME};
        _cleanup_free_ char *state = NULL;
        int r;

        if (s->spec->intel_rdt.set) {
                r = resctrl_join(&s->spec->intel_rdt, s->resctrl_root, s->id, pid, groups, e);
                if (r != 0)
                        return r;
        }
        if (s->spec->n_net_devices > 0) {
                r = net_devices_move(s->spec, pid, e);
                if (r != 0)
                        return r;
        }
        r = hooks_state(s->spec->document, s->id, s->bundle, "creating", pid, &state);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(points); i++) {
                r = hooks_run(&s->spec->hooks[points[i]], points[i], state, deadline, NULL, NULL,
                              e);
                if (r != 0)
                        return error_prefix(e, r, "hooks");
        }
        return r;
}
