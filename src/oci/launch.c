/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/launch.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <sys/prctl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "oci/console.h"
#include "oci/late-hooks.h"
#include "runtime/checkpoint.h"
#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"

static int open_bundle(Launch *l, Error *e) {
        const char *path = l->options->bundle ? l->options->bundle : ".";

        l->bundle_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (l->bundle_fd < 0)
                return error_setf(e, -errno, "Failed to open the bundle %s: %m", path);
        return spec_read_document(l->bundle_fd, CONFIG_NAME, &l->config, e);
}

static int note_bundle(Launch *l, Error *e) {
        const char *path = l->options->bundle ? l->options->bundle : ".", *root = NULL;
        State *s = l->state;
        json_t *section;
        int r;

        s->bundle = realpath(path, NULL);
        if (!s->bundle)
                return error_setf(e, -errno, "Failed to find the bundle %s: %m", path);
        r = json_get_object(l->config, "", "root", &section, e);
        if (r > 0)
                r = json_get_string(section, "root", "path", &root, e);
        if (r < 0)
                return r;
        if (root && root[0] == '/')
                r = free_and_strdup(&s->rootfs, root);
        else if (root)
                r = asprintf(&s->rootfs, "%s/%s", s->bundle, root) < 0 ? -ENOMEM : 0;
        if (r < 0)
                return r;
        r = json_get_object(l->config, "", "annotations", &section, e);
        if (r > 0)
                s->annotations = json_incref(section);
        return MIN_OF(r, 0);
}

/* For `start`, which does not read the document again. */
static int note_listener(Launch *l, Error *e) {
        json_t *section, *seccomp;
        int r;

        r = json_get_object(l->config, "", "linux", &section, e);
        if (r > 0)
                r = json_get_object(section, "linux", "seccomp", &seccomp, e);
        return r > 0 ? free_and_strdup(&l->state->listener, seccomp_filter_listener(seccomp)) : r;
}

static int check_terminal(Launch *l, Error *e) {
        const LaunchOptions *o = l->options;
        json_t *process;
        int r;

        r = json_get_object(l->config, "", "process", &process, e);
        if (r > 0)
                r = json_get_bool(process, "process", "terminal", &l->terminal, e);
        if (r < 0)
                return r;
        if (o->detach && l->terminal && !o->console_socket)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "cannot allocate tty if " RUNTIME_NAME
                                  " will detach without setting console socket");
        if (o->console_socket && (!l->terminal || !o->detach))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "cannot use console socket if " RUNTIME_NAME
                                  " will not detach or allocate tty");
        return 0;
}

static int read_limits(Launch *l, Error *e) {
        json_t *section, *resources = NULL;
        int r;

        r = json_get_object(l->config, "", "linux", &section, e);
        if (r > 0)
                r = json_get_object(section, "linux", "resources", &resources, e);
        return r < 0 ? r : limits_read(r > 0 ? resources : NULL, &l->limits, e);
}

/* The document as it was, for execs: the bundle is the caller's, who may change or remove it. */
static int keep_config(Launch *l, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(l->config, &text);
        if (r == 0)
                r = file_write_atomic_at(l->state->dir_fd, CONFIG_NAME, text, strlen(text), 0600,
                                         0);
        return r < 0 ? error_setf(e, r, "Failed to keep the document: %m") : 0;
}

int launch_open(Launch *l, Context *c, const LaunchOptions *options, const char *id, Error *e) {
        int r;

        l->context = c;
        l->options = options;
        r = open_bundle(l, e);
        if (r == 0)
                r = check_terminal(l, e);
        if (r == 0)
                r = read_limits(l, e);
        if (r == 0)
                r = state_new(c, id, &l->state, e);
        if (r == 0)
                r = note_bundle(l, e);
        if (r == 0)
                r = note_listener(l, e);
        if (r == 0)
                r = keep_config(l, e);
        if (r == 0)
                r = cgroup_plan(c, l->config, l->state, &l->slice, e);
        if (r == 0)
                r = state_save(l->state, e);
        if (r == -EBADMSG) { /* of the json_get_*() functions, which have set the text */
                e->code = CTR_INVALID_ARGUMENT;
                r = CTR_INVALID_ARGUMENT;
        }
        return r;
}

static int clone_init(Launch *l, Error *e) {
        const LaunchOptions *o = l->options;
        _cleanup_free_ char *cache = NULL;
        ContainerParameters p = {
                        .config_dir_fd = l->bundle_fd,
                        .config_name = CONFIG_NAME,
                        .document = l->config,
                        .stdio = {STDIN_FILENO, STDOUT_FILENO, STDERR_FILENO},
                        .independent = true,
                        .no_pivot = o->no_pivot,
                        .no_keyring = o->no_keyring,
                        .preserve_fds = o->preserve_fds,
                        .id = l->state->id,
                        .bundle = l->state->bundle,
        };
        int r;

        if (asprintf(&cache, "%s/.seccomp", l->context->root) < 0) {
                cache = NULL;
                return -ENOMEM;
        }
        p.seccomp_cache = cache;
        r = container_new(&p, &l->container, e);
        return r == 0 ? container_clone(l->container, l->cgroup_fd, e) : r;
}

int launch_set_up(Launch *l, Error *e) {
        pid_t pid;
        int r;

        r = cgroup_make(l->context, l->state, &l->limits, &l->cgroup_fd, e);
        if (r == 0)
                r = clone_init(l, e);
        if (r == 0)
                r = late_hooks_keep(l->state, l->config, e);
        if (r != 0)
                return r;
        pid = container_pid(l->container);
        r = cgroup_limit(l->context, l->state, l->slice, pid, &l->limits, &l->cgroup_fd, e);
        if (r == 0)
                r = container_enter(l->container, l->cgroup_fd, SET_UP_TIMEOUT, &l->terminal_fd, e);
        if (r == 0)
                container_take_resctrl_groups(l->container, &l->state->groups);
        if (r == 0)
                r = launch_hand_over_terminal(l, e);
        return r == 0 ? launch_note_pid(l, container_pid(l->container), e) : r;
}

int launch_hand_over_terminal(Launch *l, Error *e) {
        int r;

        if (!l->options->console_socket)
                return 0;
        r = console_send(l->options->console_socket, l->terminal_fd, e);
        l->terminal_fd = fd_close(l->terminal_fd);
        return r;
}

int launch_note_pid(Launch *l, pid_t pid, Error *e) {
        int r;

        r = state_set_pid(l->state, pid, e);
        /* for CRIU, which only root can run; nobody else may look */
        if (r == 0 && !l->context->rootless)
                r = checkpoint_name_streams(pid, l->state->streams, e);
        if (r == 0)
                r = state_save(l->state, e);
        return r == 0 && l->options->pid_file ? pid_file_write(l->options->pid_file, pid, e) : r;
}

/* It is replaced when all is written, which a device or a socket must not be. */
static int check_pid_file(int dir_fd, const char *name) {
        struct stat st;

        if (strchr(name, '/') || streq(name, ".") || streq(name, ".."))
                return -EISDIR;
        if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return errno == ENOENT ? 0 : -errno;
        if (S_ISDIR(st.st_mode))
                return -EISDIR;
        return S_ISREG(st.st_mode) || S_ISLNK(st.st_mode) ? 0 : -EEXIST;
}

int pid_file_write(const char *path, pid_t pid, Error *e) {
        _cleanup_free_ char *directory = strdup(path), *copy = strdup(path);
        _cleanup_close_ int fd = -1;
        const char *name;
        char text[16];
        int r;

        if (!directory || !copy)
                return -ENOMEM;
        name = basename(copy);
        fd = open(dirname(directory), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        (void) snprintf(text, sizeof(text), "%d", pid);
        r = fd < 0 ? -errno : check_pid_file(fd, name);
        if (r == 0)
                r = file_write_atomic_at(fd, name, text, strlen(text), 0644, 0);
        return r < 0 ? error_setf(e, r, "Failed to write the pid file %s: %m", path) : 0;
}

int launch_prepare_stay(bool subreaper, int *ret_signal_fd, Error *e) {
        if (subreaper && prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) < 0)
                return error_setf(e, -errno, "Failed to become a subreaper: %m");
        return console_block_signals(ret_signal_fd, e);
}

int launch_stay(Launch *l, bool keep, int signal_fd, Error *e) {
        int r;

        /* others may want to look at it meanwhile, or delete it */
        state_unlock(l->state);
        r = console_stay(container_pidfd(l->container), l->terminal_fd, signal_fd,
                         &l->context->exit_status, e);
        container_set_reaped(l->container);
        if (r != 0 || keep || state_lock(l->state, NULL) != 0)
                launch_release(l);
        return r;
}

void launch_release(Launch *l) {
        container_set_reaped(l->container);
        l->container = container_free(l->container);
        state_unlock(l->state);
        l->state = state_free(l->state);
}

void launch_clear(Launch *l) {
        _cleanup_error_ Error e = ERROR_NULL;

        container_free(l->container);
        if (l->state) {
                int r = cgroup_destroy(l->state, &e);

                late_hooks_stop(l->state);
                if (r != 0 || state_remove(l->context, l->state, &e) != 0)
                        log_warning("%s", error_text(&e));
        }
        state_free(l->state);
        json_decref(l->config);
        limits_clear(&l->limits);
        free(l->slice);
        fd_close(l->bundle_fd);
        fd_close(l->cgroup_fd);
        fd_close(l->terminal_fd);
}
