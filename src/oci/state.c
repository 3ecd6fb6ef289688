/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/state.h"

#include <fcntl.h>
#include <limits.h>
#include <pwd.h>
#include <sys/file.h>
#include <sys/stat.h>

#include "basic/cgroup.h"
#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/process.h"
#include "runtime/path.h"

#define STATE_NAME "state.json"
#define STATE_SIZE (1U * 1024 * 1024)

/* Once a name of a directory, an id is neither "." nor hidden. */
static int check_id(const char *id, Error *e) {
        static const char set[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789"
                                  "_+-.";

        if (*id == '\0' || *id == '.' || id[strspn(id, set)] != '\0' || strlen(id) > NAME_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "invalid container ID format: %s", id);
        return 0;
}

static int not_found(const char *id, Error *e) {
        return error_setf(e, CTR_NOT_FOUND, "container \"%s\" does not exist", id);
}

/* The directory may have been removed while we waited. */
int state_lock(State *s, Error *e) {
        struct stat st;

        while (flock(s->dir_fd, LOCK_EX) < 0)
                if (errno != EINTR)
                        return error_setf(e, -errno, "Failed to lock container %s: %m", s->id);
        if (fstat(s->dir_fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat container %s: %m", s->id);
        if (st.st_nlink == 0)
                return not_found(s->id, e);
        s->locked = true;
        return 0;
}

/* The lock is the open directory's, of which a clone may have a copy. */
void state_unlock(State *s) {
        (void) flock(s->dir_fd, LOCK_UN);
        s->locked = false;
}

static int state_alloc(const char *id, State **ret) {
        _cleanup_(state_freep) State *s = NULL;

        s = calloc(1, sizeof(*s));
        if (!s)
                return -ENOMEM;
        s->dir_fd = -1;
        s->id = strdup(id);
        if (!s->id)
                return -ENOMEM;
        *ret = TAKE_PTR(s);
        return 0;
}

static int open_dir(Context *c, const char *id, int *ret_fd) {
        int fd = openat(c->root_fd, id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);

        if (fd < 0)
                return -errno;
        *ret_fd = fd;
        return 0;
}

/* Opens and locks the directory that was just made. */
static int open_new(Context *c, State *s, Error *e) {
        int r;

        r = open_dir(c, s->id, &s->dir_fd);
        if (r < 0)
                return error_setf(e, r, "Failed to open %s/%s: %m", c->root, s->id);
        return state_lock(s, e);
}

int state_new(Context *c, const char *id, State **ret, Error *e) {
        _cleanup_(state_freep) State *s = NULL;
        int r;

        r = check_id(id, e);
        if (r == 0)
                r = context_open_root(c, true, e);
        if (r == 0)
                r = state_alloc(id, &s);
        if (r != 0)
                return r;
        if (mkdirat(c->root_fd, id, 0700) < 0)
                return errno == EEXIST ? error_setf(e, CTR_ALREADY_EXISTS,
                                                    "container with given ID already exists: %s",
                                                    id)
                                       : error_setf(e, -errno, "Failed to make %s/%s: %m", c->root,
                                                    id);
        r = open_new(c, s, e);
        if (r != 0) {
                if (r != CTR_NOT_FOUND) /* removed by somebody else: its name may be another's */
                        (void) unlinkat(c->root_fd, id, AT_REMOVEDIR);
                return r;
        }
        s->created = now_realtime();
        s->owner = getuid();
        *ret = TAKE_PTR(s);
        return 0;
}

static const char *const stream_keys[] = {"stdin", "stdout", "stderr"};

static int read_string(json_t *j, const char *key, char **ret, Error *e) {
        const char *value = NULL;
        int r;

        r = json_get_string(j, "", key, &value, e);
        if (r <= 0)
                return r;
        return free_and_strdup(ret, value);
}

static int read_document(State *s, json_t *j, Error *e) {
        uint64_t pid = 0, owner = 0;
        int r;

        r = json_get_uint64(j, "", "pid", INT_MAX, &pid, e);
        if (r >= 0)
                r = json_get_uint64(j, "", "startTime", INT64_MAX, &s->start_time, e);
        if (r >= 0)
                r = json_get_uint64(j, "", "created", INT64_MAX, &s->created, e);
        if (r >= 0)
                r = json_get_uint64(j, "", "owner", UINT32_MAX, &owner, e);
        if (r >= 0)
                r = read_string(j, "bundle", &s->bundle, e);
        if (r >= 0)
                r = read_string(j, "rootfs", &s->rootfs, e);
        if (r >= 0)
                r = read_string(j, "cgroup", &s->cgroup, e);
        if (r >= 0)
                r = read_string(j, "scope", &s->scope, e);
        if (r >= 0)
                r = read_string(j, "seccompListener", &s->listener, e);
        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(s->streams); i++)
                r = read_string(j, stream_keys[i], &s->streams[i], e);
        if (r >= 0)
                r = read_string(j, "resctrlControl", &s->groups.control, e);
        if (r >= 0)
                r = read_string(j, "resctrlMonitoring", &s->groups.monitoring, e);
        if (r >= 0)
                r = json_get_bool(j, "", "userBus", &s->user_bus, e);
        if (r >= 0)
                r = json_get_object(j, "", "annotations", &s->annotations, e);
        if (r < 0)
                return r;
        s->pid = (pid_t) pid;
        s->owner = (uid_t) owner;
        s->annotations = json_incref(s->annotations);
        return s->bundle ? 0 : error_setf(e, -EBADMSG, "bundle is missing");
}

int state_open(Context *c, const char *id, bool want_lock, State **ret, Error *e) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_json_ json_t *j = NULL;
        _cleanup_error_ Error read_error = ERROR_NULL;
        int r;

        r = check_id(id, e);
        if (r != 0)
                return r;
        r = context_open_root(c, false, e);
        if (r == -ENOENT)
                return not_found(id, e);
        if (r == 0)
                r = state_alloc(id, &s);
        if (r != 0)
                return r;
        r = open_dir(c, id, &s->dir_fd);
        if (r == -ENOENT)
                return not_found(id, e);
        if (r < 0)
                return error_setf(e, r, "Failed to open %s/%s: %m", c->root, id);
        r = want_lock ? state_lock(s, e) : 0;
        if (r != 0)
                return r;

        r = json_read_file_at(s->dir_fd, STATE_NAME, STATE_SIZE, &j, &read_error);
        if (r == -ENOENT) /* its maker is at the very beginning, or died there */
                r = free_and_strdup(&s->bundle, "");
        else if (r == 0)
                r = read_document(s, j, &read_error);
        if (r != 0)
                return error_setf(e, r, "The state of container %s is damaged: %s", id,
                                  error_text_of(r, &read_error));
        *ret = TAKE_PTR(s);
        return 0;
}

State *state_free(State *s) {
        if (!s)
                return NULL;
        fd_close(s->dir_fd);
        free(s->id);
        free(s->bundle);
        free(s->rootfs);
        free(s->cgroup);
        free(s->scope);
        free(s->listener);
        resctrl_groups_clear(&s->groups);
        for (size_t i = 0; i < ELEMENTSOF(s->streams); i++)
                free(s->streams[i]);
        json_decref(s->annotations);
        free(s);
        return NULL;
}

int state_save(const State *s, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        j = json_pack("{s:I, s:I, s:I, s:I, s:s, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, s:s*, "
                      "s:s*,"
                      " s:b, s:O*}",
                      "pid", (json_int_t) s->pid, "startTime", (json_int_t) s->start_time,
                      "created", (json_int_t) s->created, "owner", (json_int_t) s->owner, "bundle",
                      strempty(s->bundle), "rootfs", s->rootfs, "cgroup", s->cgroup, "scope",
                      s->scope, "seccompListener", s->listener, "resctrlControl", s->groups.control,
                      "resctrlMonitoring", s->groups.monitoring, stream_keys[0], s->streams[0],
                      stream_keys[1], s->streams[1], stream_keys[2], s->streams[2], "userBus",
                      (int) s->user_bus, "annotations", s->annotations);
        r = j ? json_to_text(j, &text) : -EINVAL;
        if (r == 0)
                r = file_write_atomic_at(s->dir_fd, STATE_NAME, text, strlen(text), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to write the state of container %s: %m", s->id) : 0;
}

int state_open_cgroup(const State *s, int *ret_fd, Error *e) {
        _cleanup_close_ int root_fd = -1;
        int fd, r;

        if (!s->cgroup)
                return error_setf(e, CTR_FAILED_PRECONDITION, "Container %s has no cgroup", s->id);
        r = cgroup_root_open(&root_fd, e);
        if (r != 0)
                return r;
        fd = path_open(root_fd, s->cgroup, O_RDONLY | O_DIRECTORY);
        if (fd < 0)
                return error_setf(e, fd == -ENOENT ? CTR_FAILED_PRECONDITION : fd,
                                  "Failed to open the cgroup %s of container %s: %s", s->cgroup,
                                  s->id, strerror(-fd));
        *ret_fd = fd;
        return 0;
}

int state_remove(Context *c, const State *s, Error *e) {
        int r;

        r = tree_remove_at(c->root_fd, s->id);
        return r < 0 ? error_setf(e, r, "Failed to remove %s/%s: %m", c->root, s->id) : 0;
}

static void format_time(uint64_t usec, char *buf, size_t size) {
        time_t t = (time_t) (usec / USEC_PER_SEC);
        struct tm tm;
        size_t n = 0;

        if (gmtime_r(&t, &tm))
                n = strftime(buf, size, "%Y-%m-%dT%H:%M:%S", &tm);
        (void) snprintf(buf + n, size - n, ".%06uZ", (unsigned) (usec % USEC_PER_SEC));
}

json_t *state_to_json(const State *s) {
        Status status = state_status(s);
        const struct passwd *owner = getpwuid(s->owner);
        char created[48];

        format_time(s->created, created, sizeof(created));
        return json_pack("{s:s, s:s, s:i, s:s, s:s, s:s, s:s, s:O*, s:s}", "ociVersion",
                         OCI_VERSION, "id", s->id, "pid",
                         status == STATUS_STOPPED ? 0 : (int) s->pid, "status",
                         status_to_string(status), "bundle", s->bundle, "rootfs",
                         strempty(s->rootfs), "created", created, "annotations", s->annotations,
                         "owner", owner ? owner->pw_name : "");
}

int state_list(Context *c, int (*each)(const State *s, void *userdata, Error *e), void *userdata,
               Error *e) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        int r;

        r = context_open_root(c, false, e);
        if (r != 0)
                return r == -ENOENT ? 0 : r;
        dir = dir_stream_open_at(c->root_fd, ".");
        if (!dir)
                return error_setf(e, -errno, "Failed to list %s: %m", c->root);
        while ((errno = 0, de = readdir(dir))) {
                _cleanup_error_ Error broken = ERROR_NULL;
                _cleanup_(state_freep) State *s = NULL;

                if (de->d_name[0] == '.')
                        continue;
                r = state_open(c, de->d_name, false, &s, &broken);
                if (r == CTR_NOT_FOUND)
                        continue;
                if (r != 0) { /* one that is damaged hides no other */
                        log_warning("%s", error_text_of(r, &broken));
                        continue;
                }
                r = each(s, userdata, e);
                if (r != 0)
                        return r;
        }
        return errno != 0 ? error_setf(e, -errno, "Failed to list %s: %m", c->root) : 0;
}
