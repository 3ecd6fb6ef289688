/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/userns.h"

#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "runtime/id-map.h"
#include "runtime/mount.h"
#include "runtime/namespace.h"
#include "runtime/process.h"
#include "runtime/rootfs.h"
#include "runtime/schedule.h"
#include "runtime/step.h"

#define STAGE_USEC (30 * USEC_PER_SEC)
#define KILL_USEC  (10 * USEC_PER_SEC)

typedef struct Stage {
        InitParameters p; /* a copy: init gets what was prepared with it */
        Spec *spec;
        InitPrepared prepared;
        int userns_fd; /* with the container's ids, for mounts; -1: none needed */
        int pidns_fd;  /* to be joined, or -1 */
} Stage;

static bool is_privileged(void) {
        return geteuid() == 0;
}

static int stage_tie(void *userdata, Error *e) {
        if (prctl(PR_SET_PDEATHSIG, SIGKILL) < 0)
                return error_setf(e, -errno, "Failed to set the parent death signal: %m");
        return 0;
}

static int open_mapping(Stage *s, Error *e) {
        const SpecNamespace *n = &s->spec->namespaces[NAMESPACE_USER];

        if (!s->p.rootfs_lower && !s->spec->root_mapped && !filesystems_need_mapping(s->spec))
                return 0;
        if (n->path)
                return namespace_open(NAMESPACE_USER, n->path, &s->userns_fd, e);
        return id_map_make_namespace(&s->spec->uids, &s->spec->gids, &s->userns_fd, e);
}

static int open_root(const Stage *s, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = rootfs_open_directory(s->p.bundle_fd, s->spec->root_path, &fd, e);
        if (r != 0)
                return r;
        if (s->spec->root_mapped) {
                r = mount_idmap(fd, s->userns_fd, false);
                if (r < 0)
                        return mount_idmap_failed(r, "the root directory", s->spec->root_path, e);
        }
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int stage_sources(void *userdata, Error *e) {
        InitPrepared *prepared;
        Stage *s = userdata;
        int r;

        if (!is_privileged())
                return 0;
        prepared = &s->prepared;
        r = open_mapping(s, e);
        if (r != 0)
                return r;
        r = s->p.rootfs_lower ? 0 : open_root(s, &prepared->root_fd, e);
        if (r != 0)
                return r;
        r = filesystems_open(&prepared->filesystems, s->spec, s->p.bundle_fd, s->userns_fd, e);
        if (r != 0)
                return r;
        prepared->opened = true;
        return 0;
}

/* As root of the container, who may then give them to the user that the program runs as. */
static int stage_streams(void *userdata, Error *e) {
        Stage *s = userdata;
        uint32_t uid = id_map_to_host(&s->spec->uids, 0), gid = id_map_to_host(&s->spec->gids, 0);

        if (!is_privileged() || s->spec->process.terminal || uid == UINT32_MAX || gid == UINT32_MAX)
                return 0;
        return process_give_streams(s->p.stdio, uid, gid, e);
}

/* What takes rights that a user namespace does not give. */
static int stage_schedule(void *userdata, Error *e) {
        Stage *s = userdata;
        int r;

        r = process_set_oom_score(&s->spec->process, e);
        return r == 0 ? schedule_apply(&s->spec->process, e) : r;
}

static int stage_seccomp(void *userdata, Error *e) {
        Stage *s = userdata;

        if (!s->spec->seccomp)
                return 0;
        return seccomp_filter_prepare(s->spec->seccomp, s->p.seccomp_cache, &s->prepared.seccomp,
                                      e);
}

/* The layers hold the container's own ids; see rootfs.h. */
static int stage_root(void *userdata, Error *e) {
        Stage *s = userdata;
        const RootfsParameters p = {
                        .lower = s->p.rootfs_lower,
                        .upper = s->p.rootfs_upper,
                        .work = s->p.rootfs_work,
                        .is_volatile = s->spec->root_volatile,
                        .is_mapped = true,
                        .userns_fd = s->userns_fd,
                        .root_uid = id_map_to_host(&s->spec->uids, 0),
                        .root_gid = id_map_to_host(&s->spec->gids, 0),
        };
        _cleanup_close_ int fd = -1;
        bool attached = false;
        int r;

        if (!s->p.rootfs_lower)
                return 0;
        if (!is_privileged())
                return error_setf(e, CTR_NOT_IMPLEMENTED, "Only root can map the ids of layers");
        if (s->spec->namespaces[NAMESPACE_USER].path)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "linux.namespaces: the layers of an image cannot be mapped to a "
                                  "joined user namespace");
        if (p.root_uid == UINT32_MAX || p.root_gid == UINT32_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.uidMappings: the layers of an image need id 0");
        r = rootfs_make_overlay(&p, &fd, &attached, e);
        if (r != 0)
                return r;
        s->prepared.root_fd = TAKE_FD(fd);
        return 0;
}

/* As the layers of a root; what is bound was opened before, in the mount namespace it is of. */
static int stage_overlays(void *userdata, Error *e) {
        Stage *s = userdata;
        const RootfsParameters ids = {
                        .is_mapped = true,
                        .userns_fd = s->userns_fd,
                        .root_uid = id_map_to_host(&s->spec->uids, 0),
                        .root_gid = id_map_to_host(&s->spec->gids, 0),
        };

        return s->prepared.opened ? filesystems_open_overlays(&s->prepared.filesystems, &ids, e)
                                  : 0;
}

/* Those of the host are joined with the host's rights; those of a joined user namespace need the
 * rights of that, and init joins them. */
static int stage_join(void *userdata, Error *e) {
        SpecNamespace *n;
        Stage *s = userdata;
        int r;

        n = s->spec->namespaces;
        if (n[NAMESPACE_PID].path) {
                r = namespace_open(NAMESPACE_PID, n[NAMESPACE_PID].path, &s->pidns_fd, e);
                if (r != 0)
                        return r;
        }
        if (n[NAMESPACE_USER].path || !is_privileged())
                return 0;
        for (NamespaceType i = 0; i < _NAMESPACE_MAX; i++) {
                if (!n[i].path || i == NAMESPACE_PID || i == NAMESPACE_CGROUP)
                        continue;
                r = namespaces_enter(n, 1U << i, e);
                if (r != 0)
                        return r;
                n[i].set = false;
        }
        return 0;
}

static int ask_for_maps(const Stage *s, Error *e) {
        SyncAnswer answer;
        int r;

        r = sync_send(s->p.sync_fd, SYNC_MAP, 0, -1);
        if (r == 0) {
                r = sync_receive(s->p.sync_fd, now_monotonic() + STAGE_USEC, &answer, NULL);
                fd_close(answer.fd);
        }
        if (r == SYNC_MAPPED)
                return 0;
        return error_setf(e, r < 0 ? r : -EPIPE, "Failed to get the maps of ids: %m");
}

static int stage_user_namespace(void *userdata, Error *e) {
        Stage *s = userdata;
        int r;

        if (namespace_is_new(&s->spec->namespaces[NAMESPACE_USER])) {
                if (unshare(CLONE_NEWUSER) < 0)
                        return error_setf(e, -errno, "Failed to make a user namespace: %m");
                r = ask_for_maps(s, e);
        } else
                r = namespaces_enter(s->spec->namespaces, 1U << NAMESPACE_USER, e);
        if (r != 0)
                return r;
        if (s->pidns_fd >= 0 && setns(s->pidns_fd, CLONE_NEWPID) < 0)
                return error_setf(e, -errno, "Failed to join the pid namespace %s: %m",
                                  s->spec->namespaces[NAMESPACE_PID].path);
        return process_become_root(e);
}

/* Ends this process if it succeeds. */
static int stage_clone(void *userdata, Error *e) {
        Stage *s = userdata;
        _cleanup_close_ int pidfd = -1;
        uint64_t flags = CLONE_PARENT;
        pid_t pid;
        int r;

        if (namespace_is_new(&s->spec->namespaces[NAMESPACE_PID]))
                flags |= CLONE_NEWPID;
        pid = process_clone(flags, -1, &pidfd);
        if (pid < 0)
                return error_setf(e, pid, "Failed to clone init: %m");
        if (pid == 0) {
                s->p.prepared = &s->prepared;
                init_run(&s->p);
        }
        r = sync_send(s->p.sync_fd, SYNC_CLONED, pid, pidfd);
        if (r < 0)
                return error_setf(e, r, "Failed to tell of init: %m");
        _exit(EXIT_SUCCESS);
}

static const Step stage_steps[] = {
                {STAGE_PROCESS, stage_tie},
                {STAGE_MOUNTS, stage_sources},
                {STAGE_PROCESS, stage_streams},
                {STAGE_PROCESS, stage_schedule},
                {STAGE_SECCOMP, stage_seccomp},
                {STAGE_ROOTFS, stage_root},
                {STAGE_MOUNTS, stage_overlays},
                {STAGE_NAMESPACES, stage_join},
                {STAGE_NAMESPACES, stage_user_namespace},
                {STAGE_NAMESPACES, stage_clone},
};

_noreturn_ static void stage_run(const InitParameters *p, int sync_fd) {
        Stage s = {
                        .p = *p,
                        .spec = (Spec *) p->spec, /* this process's own copy */
                        .prepared = {.root_fd = -1},
                        .userns_fd = -1,
                        .pidns_fd = -1,
        };

        s.p.sync_fd = sync_fd;
        steps_run(sync_fd, stage_steps, ELEMENTSOF(stage_steps), &s);
        _exit(125); /* the last one does not return */
}

/* What the stage says, until it has cloned init. */
static int serve(const InitParameters *p, int parent_fd, pid_t stage, pid_t *ret_pid,
                 int *ret_pidfd, Error *e) {
        uint64_t deadline = now_monotonic() + STAGE_USEC;

        for (;;) {
                SyncAnswer answer;
                int r;

                r = sync_receive(parent_fd, deadline, &answer, e);
                if (answer.failed)
                        return r;
                if (r == SYNC_CLONED && answer.fd >= 0) {
                        *ret_pid = answer.pid;
                        *ret_pidfd = answer.fd;
                        return 0;
                }
                fd_close(answer.fd);
                if (r != SYNC_MAP)
                        return error_setf(e, r < 0 ? r : -ECHILD,
                                          "namespaces: Failed to hear from the process that makes "
                                          "the user namespace: %m");
                r = id_map_write(stage, &p->spec->uids, &p->spec->gids, e);
                if (r != 0)
                        return error_prefix(e, r, "namespaces");
                r = sync_send(parent_fd, SYNC_MAPPED, 0, -1);
                if (r < 0)
                        return error_setf(e, r, "namespaces: Failed to tell of the maps: %m");
        }
}

int userns_clone(const InitParameters *p, int parent_fd, int child_fd, pid_t *ret_pid,
                 int *ret_pidfd, Error *e) {
        _cleanup_close_ int pidfd = -1;
        int r, status;
        pid_t pid;

        pid = process_clone(0, -1, &pidfd);
        if (pid < 0)
                return error_setf(e, pid,
                                  "Failed to clone the process for the user namespace: "
                                  "%m");
        if (pid == 0) {
                fd_close(parent_fd);
                stage_run(p, child_fd);
        }
        r = serve(p, parent_fd, pid, ret_pid, ret_pidfd, e);
        if (r != 0) /* it may hang where something is mounted from */
                pidfd_end(pidfd, KILL_USEC);
        else /* it has said its last word */
                (void) pidfd_wait(pidfd, &status);
        return r;
}
