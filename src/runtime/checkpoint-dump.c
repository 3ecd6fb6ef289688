/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <limits.h>
#include <linux/capability.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "runtime/checkpoint-document.h"
#include "runtime/checkpoint.h"

#define MOUNTINFO_MAX (16U * 1024 * 1024)
#define NETWORK_NAME  "ctr-network"

typedef struct Dump {
        const CheckpointDump *p;
        pid_t caller;
} Dump;

/* "\040" is a blank, as in all tables of /proc. */
static void unescape(char *s) {
        char *to = s;

        for (; *s; s++)
                if (s[0] == '\\' && s[1] >= '0' && s[1] <= '3' && s[2] >= '0' && s[2] <= '7' &&
                    s[3] >= '0' && s[3] <= '7') {
                        *to++ = (char) ((s[1] - '0') << 6 | (s[2] - '0') << 3 | (s[3] - '0'));
                        s += 3;
                } else
                        *to++ = *s;
        *to = '\0';
}

static bool is_masked(const Spec *spec, const char *mount) {
        for (size_t i = 0; i < spec->n_masked_paths; i++)
                if (streq(spec->masked_paths[i], mount))
                        return true;
        return false;
}

/* A masked directory is a file system of the container's own, a masked file a bind mount. */
static bool is_external(const Spec *spec, const char *root, const char *mount) {
        if (streq(mount, "/"))
                return false;
        for (size_t i = 0; i < spec->n_mounts; i++)
                if (spec->mounts[i].options.bind && !spec->mounts[i].options.remount &&
                    path_is_below(mount, spec->mounts[i].destination))
                        return true;
        if (streq(root, "/"))
                return false;
        return is_masked(spec, mount) || (spec->process.terminal && streq(mount, "/dev/console"));
}

int checkpoint_external_mounts(const char *mountinfo, const Spec *spec, char ***mounts, Error *e) {
        _cleanup_free_ char *text = strdup(mountinfo);
        char *save = NULL;
        size_t n = 0;

        if (!text)
                return -ENOMEM;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char root[4096], mount[4096];

                if (sscanf(line, "%*u %*u %*s %4095s %4095s", root, mount) != 2)
                        return error_setf(e, -EBADMSG, "Failed to read the mount table");
                unescape(mount);
                if (!is_external(spec, root, mount))
                        continue;
                if (!checkpoint_name_is_valid(mount))
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "CRIU cannot be told of the mount point \"%s\"", mount);
                if (n++ >= CHECKPOINT_MOUNTS_MAX)
                        return error_setf(e, CTR_NOT_IMPLEMENTED, "More than %u external mounts",
                                          CHECKPOINT_MOUNTS_MAX);
                if (strv_extend(mounts, mount) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int read_mounts(const Dump *d, const Spec *spec, char ***mounts, Error *e) {
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        char path[64];
        int r;

        (void) snprintf(path, sizeof(path), "/proc/%i/mountinfo", d->p->init_pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        r = fd < 0 ? -errno : fd_read_all(fd, MOUNTINFO_MAX, &text, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        return checkpoint_external_mounts(text, spec, mounts, e);
}

/* A network namespace that was joined is somebody else's. One of the container's own where it may
 * not change anything is as good as new, and made anew: then the streams that are opened in it can
 * be written down the next time, too. */
static bool network_is_external(const Dump *d, const Spec *spec) {
        const SpecNamespace *n = &spec->namespaces[NAMESPACE_NETWORK];
        bool left_out = d->p->empty_namespaces && d->p->empty_namespaces[0];

        return n->set && !left_out &&
               (n->path || !(spec->process.capabilities.bounding & 1ULL << CAP_NET_ADMIN));
}

static int describe(const Dump *d, const Spec *spec, CheckpointDocument *doc, Error *e) {
        const CheckpointDump *p = d->p;
        int r;

        if (spec->namespaces[NAMESPACE_PID].path)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "A container in somebody else's pid namespace cannot be "
                                  "written down");
        doc->terminal = spec->process.terminal;
        doc->tcp = p->tcp;
        doc->unix_sockets = p->unix_sockets;
        doc->shell_job = p->terminal;
        doc->file_locks = p->file_locks;
        if (network_is_external(d, spec) && free_and_strdup(&doc->network, NETWORK_NAME) < 0)
                return -ENOMEM;
        STRV_FOREACH(s, p->empty_namespaces) {
                if (!streq(*s, "network"))
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "CRIU can leave out network namespaces, not \"%s\"", *s);
                if (strv_extend(&doc->empty_namespaces, *s) < 0)
                        return -ENOMEM;
        }
        for (int i = 0; i < 3; i++) {
                r = free_and_strdup(&doc->stdio[i], p->stdio[i]);
                if (r < 0)
                        return r;
        }
        return read_mounts(d, spec, &doc->mounts, e);
}

/* What an open directory is called, without symbolic links. */
static int name_directory(int fd, char buf[static PATH_MAX], Error *e) {
        char link[64];
        ssize_t n;

        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", fd);
        n = readlink(link, buf, PATH_MAX - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read %s: %m", link);
        buf[n] = '\0';
        return buf[0] == '/' ? 0 : error_setf(e, -ENOENT, "%s has no path", link);
}

static int find_parent(const CheckpointDump *p, char **ret, Error *e) {
        char images[PATH_MAX], parent[PATH_MAX];
        _cleanup_close_ int fd = -1;
        int r;

        if (!p->parent)
                return 0;
        fd = open(p->parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open the checkpoint before this one, %s: %m",
                                  p->parent);
        r = name_directory(p->images_fd, images, e);
        if (r == 0)
                r = name_directory(fd, parent, e);
        return r != 0 ? r : checkpoint_parent_link(images, parent, ret, e);
}

static int prepare(void *userdata, char ***ret, Error *e) {
        _cleanup_(checkpoint_document_clear) CheckpointDocument doc = {};
        _cleanup_(spec_freep) Spec *spec = NULL;
        _cleanup_free_ char *parent = NULL;
        const Dump *d = userdata;
        char images[64], cgroup[64];
        int r;

        r = spec_read(d->p->config_dir_fd, d->p->config_name, &spec, e);
        if (r == 0)
                r = criu_check_spec(spec, e);
        if (r == 0)
                r = describe(d, spec, &doc, e);
        if (r == 0)
                r = find_parent(d->p, &parent, e);
        if (r != 0)
                return r;
        r = checkpoint_document_write(d->p->images_fd, &doc);
        if (r < 0)
                return error_setf(e, r, "Failed to write %s: %m", CHECKPOINT_DOCUMENT);
        (void) snprintf(images, sizeof(images), "/proc/%i/fd/%i", d->caller, d->p->images_fd);
        (void) snprintf(cgroup, sizeof(cgroup), "/proc/%i/fd/%i", d->caller, d->p->cgroup_fd);
        return checkpoint_dump_arguments(d->p, &doc, images, parent,
                                         d->p->cgroup_fd >= 0 ? cgroup : NULL, ret);
}

int checkpoint_dump(const CheckpointDump *p, Helper **ret, Error *e) {
        Dump d = {.p = p, .caller = getpid()};

        assert(p && p->init_pid > 0 && p->images_fd >= 0 && ret);
        return criu_new(prepare, &d, ret, e);
}
