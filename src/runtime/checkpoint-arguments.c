/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* CRIU's command lines. Every string that came from a checkpoint was checked when it was read. */

#include <sys/stat.h>

#include "basic/strv.h"
#include "runtime/checkpoint-document.h"
#include "runtime/checkpoint.h"

/* Memory is tracked so that the next dump can be an incremental one; this needs the kernel's
 * soft-dirty bits. */
#if defined(__x86_64__) || defined(__powerpc64__) || defined(__s390x__)
#define HAVE_SOFT_DIRTY true
#else
#define HAVE_SOFT_DIRTY false
#endif

/* Options that both directions must agree about. */
static int extend_common(char ***l, const CheckpointDocument *d) {
        const struct {
                bool set;
                const char *option;
        } flags[] = {
                        {d->tcp, "--tcp-established"},
                        {d->unix_sockets, "--ext-unix-sk"},
                        {d->shell_job, "--shell-job"},
                        {d->file_locks, "--file-locks"},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(flags); i++)
                if (flags[i].set)
                        r = strv_extend(l, flags[i].option);
        if (r >= 0 && d->empty_namespaces && d->empty_namespaces[0]) {
                r = strv_extend(l, "--empty-ns");
                if (r >= 0)
                        r = strv_extend(l, "net");
        }
        return r;
}

static int extend_external(char ***l, const CheckpointDump *p, const CheckpointDocument *d) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(d->stdio); i++) {
                const char *inode;

                if (!d->stdio[i] || startswith(d->stdio[i], "pipe:"))
                        continue; /* CRIU takes half a pipe as it is */
                inode = startswith(d->stdio[i], "socket:");
                r = strv_extend(l, "--external");
                if (r >= 0)
                        r = inode ? strv_extendf(l, "unix%s", inode) : strv_extend(l, d->stdio[i]);
        }
        STRV_FOREACH(m, d->mounts) {
                if (r >= 0)
                        r = strv_extend(l, "--external");
                if (r >= 0)
                        r = strv_extendf(l, "mnt[%s]:%s", *m, *m);
        }
        if (r >= 0 && d->network) {
                char path[64];
                struct stat st;

                (void) snprintf(path, sizeof(path), "/proc/%i/ns/net", p->init_pid);
                r = stat(path, &st) < 0 ? -errno : strv_extend(l, "--external");
                if (r >= 0)
                        r = strv_extendf(l, "net[%lu]:%s", (unsigned long) st.st_ino, d->network);
        }
        return r;
}

/* How many bytes both paths begin with, in whole components: "/a/b", "/a/c" have "/a". */
static size_t common_prefix(const char *a, const char *b) {
        size_t n = 0, i = 0;

        for (; a[i] && a[i] == b[i]; i++)
                if (a[i] == '/')
                        n = i;
        if ((!a[i] || a[i] == '/') && (!b[i] || b[i] == '/'))
                n = i;
        return n;
}

int checkpoint_parent_link(const char *images, const char *parent, char **ret, Error *e) {
        _cleanup_free_ char *link = NULL;
        size_t n, depth = 0;

        assert(images[0] == '/' && parent[0] == '/' && ret);

        if (streq(images, parent))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The checkpoint before this one is in the same directory");
        n = common_prefix(images, parent);
        for (const char *p = images + n; *p; p++)
                depth += *p == '/' && p[1];
        link = calloc(1, depth * STRLEN("../") + strlen(parent + n) + STRLEN("./") + 1);
        if (!link)
                return -ENOMEM;
        for (size_t i = 0; i < depth; i++)
                (void) strcat(link, "../");
        if (depth == 0)
                (void) strcat(link, "./");
        (void) strcat(link, parent + n + (parent[n] == '/'));
        *ret = TAKE_PTR(link);
        return 0;
}

int checkpoint_dump_arguments(const CheckpointDump *p, const CheckpointDocument *d,
                              const char *images, const char *parent, const char *cgroup,
                              char ***ret) {
        _cleanup_strv_free_ char **l = NULL;
        int r;

        r = strv_extend(&l, "criu");
        if (r >= 0)
                r = strv_extend(&l, "dump");
        if (r >= 0)
                r = strv_extendf(&l, "--tree=%i", p->init_pid);
        if (r >= 0)
                r = strv_extendf(&l, "--root=/proc/%i/root", p->init_pid);
        if (r >= 0)
                r = strv_extendf(&l, "--images-dir=%s", images);
        if (r >= 0)
                r = strv_extend(&l, "--log-file=" CHECKPOINT_DUMP_LOG);
        if (r >= 0)
                r = strv_extend(&l, "-v4");
        if (r >= 0)
                r = strv_extend(&l, "--manage-cgroups=ignore");
        if (r >= 0 && cgroup)
                r = strv_extendf(&l, "--freeze-cgroup=%s", cgroup);
        if (r >= 0 && p->leave_running)
                r = strv_extend(&l, "--leave-running");
        if (r >= 0 && HAVE_SOFT_DIRTY && (p->leave_running || parent))
                r = strv_extend(&l, "--track-mem");
        if (r >= 0 && parent)
                r = strv_extendf(&l, "--prev-images-dir=%s", parent);
        if (r >= 0)
                r = extend_common(&l, d);
        if (r >= 0)
                r = extend_external(&l, p, d);
        if (r >= 0)
                *ret = TAKE_PTR(l);
        return r < 0 ? r : 0;
}

/* The new standard streams under their old names: descriptors from CHECKPOINT_FD_FIRST on. */
static int extend_inherited(char ***l, const CheckpointDocument *d, int network_fd) {
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(d->stdio); i++) {
                bool known = !d->stdio[i];

                for (size_t k = 0; !known && k < i; k++)
                        known = streq_ptr(d->stdio[k], d->stdio[i]);
                if (known)
                        continue;
                r = strv_extend(l, "--inherit-fd");
                if (r >= 0)
                        r = strv_extendf(l, "fd[%zu]:%s", CHECKPOINT_FD_FIRST + i, d->stdio[i]);
        }
        if (r >= 0 && d->network) {
                r = strv_extend(l, "--inherit-fd");
                if (r >= 0)
                        r = strv_extendf(l, "fd[%i]:%s", network_fd, d->network);
        }
        return r;
}

static int extend_mounts(char ***l, const CheckpointRestore *p, const Spec *spec,
                         const CheckpointDocument *d, const char *bundle, Error *e) {
        int r;

        STRV_FOREACH(m, d->mounts) {
                _cleanup_free_ char *source = NULL;

                r = checkpoint_mount_source(spec, *m, p->terminal_path, bundle, &source, e);
                if (r != 0)
                        return r;
                if (strv_extend(l, "--external") < 0 ||
                    strv_extendf(l, "mnt[%s]:%s", *m, source) < 0)
                        return -ENOMEM;
        }
        return 0;
}

int checkpoint_restore_arguments(const CheckpointRestore *p, const Spec *spec,
                                 const CheckpointDocument *d, const char *images, const char *work,
                                 const char *bundle, const char *root, int network_fd, char ***ret,
                                 Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        int r;

        r = strv_extend(&l, "criu");
        if (r >= 0)
                r = strv_extend(&l, "restore");
        if (r >= 0)
                r = strv_extendf(&l, "--root=%s", root);
        if (r >= 0)
                r = strv_extendf(&l, "--images-dir=%s", images);
        if (r >= 0)
                r = strv_extendf(&l, "--work-dir=%s", work);
        if (r >= 0)
                r = strv_extend(&l, "--log-file=" CHECKPOINT_RESTORE_LOG);
        if (r >= 0)
                r = strv_extend(&l, "-v4");
        if (r >= 0)
                r = strv_extend(&l, "--manage-cgroups=ignore");
        /* init is a child of ours at once: it asked for a signal at its parent's death */
        if (r >= 0)
                r = strv_extend(&l, "--restore-detached");
        if (r >= 0)
                r = strv_extend(&l, "--restore-sibling");
        if (r >= 0)
                r = strv_extendf(&l, "--pidfile=%s/%s", work, CHECKPOINT_PID);
        if (r >= 0)
                r = extend_common(&l, d);
        if (r >= 0)
                r = extend_inherited(&l, d, network_fd);
        if (r < 0)
                return r;
        r = extend_mounts(&l, p, spec, d, bundle, e);
        if (r == 0)
                *ret = TAKE_PTR(l);
        return r;
}
