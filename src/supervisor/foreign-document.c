/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/foreign-document.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "runtime/rootfs-outside.h"
#include "runtime/spec.h"
#include "runtime/user.h"

/* Our JSON has signed integers: an infinite limit is -1 there, and the specification's numbers are
 * unsigned. No string has such a sequence in it, for want of bare quotation marks; and what else
 * has such a key has no negative value. */
static int write_unsigned(FILE *f, const char *text) {
        static const char *const keys[] = {"\"soft\":", "\"hard\":"};

        while (*text) {
                const char *end = NULL;

                for (size_t i = 0; i < ELEMENTSOF(keys); i++) {
                        const char *value = startswith(text, keys[i]);
                        char *after;

                        if (!value || *value != '-')
                                continue;
                        (void) fprintf(f, "%s%llu", keys[i],
                                       (unsigned long long) strtoll(value, &after, 10));
                        end = after;
                }
                if (!end) {
                        (void) fputc(*text, f);
                        end = text + 1;
                }
                text = end;
        }
        return ferror(f) ? -ENOMEM : 0;
}

static int to_text(json_t *document, char **ret) {
        _cleanup_free_ char *text = NULL, *out = NULL;
        size_t size;
        FILE *f;
        int r;

        r = json_to_text(document, &text);
        if (r < 0)
                return r;
        f = open_memstream(&out, &size);
        if (!f)
                return -ENOMEM;
        r = write_unsigned(f, text);
        if (fclose(f) != 0 || r < 0)
                return -ENOMEM;
        *ret = TAKE_PTR(out);
        return 0;
}

static int write_document(const ForeignDocument *d, const char *name, json_t *document, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = to_text(document, &text);
        if (r >= 0)
                r = file_write_atomic_at(d->bundle_fd, name, text, strlen(text), 0600, 0);
        return r < 0 ? error_setf(e, r, "Failed to write %s for the runtime: %m", name) : 0;
}

/* Steals value, also on failure; NULL is no memory. */
static int set(json_t *o, const char *key, json_t *value) {
        return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

static int set_home(json_t *process, const char *home) {
        json_t *env = json_object_get(process, "env"), *entry;
        _cleanup_free_ char *text = NULL;
        size_t i;

        json_array_foreach(env, i, entry)
                if (startswith(strempty(json_string_value(entry)), "HOME="))
                        return 0;
        if (!home)
                return 0;
        if (asprintf(&text, "HOME=%s", home) < 0)
                return -ENOMEM;
        if (!env && set(process, "env", env = json_array()) < 0)
                return -ENOMEM;
        return json_array_append_new(env, json_string(text)) < 0 ? -ENOMEM : 0;
}

/* By number, as the specification wants it. */
static int set_user(json_t *process, const SpecUser *wanted, int root_fd, Error *e) {
        _cleanup_(user_clear) User user = {};
        json_t *o, *gids;
        int r;

        r = user_resolve(root_fd, wanted, true, &user, e);
        if (r != 0)
                return r;
        gids = json_array();
        for (size_t i = 0; i < user.n_gids; i++)
                if (json_array_append_new(gids, json_integer(user.gids[i])) < 0) {
                        json_decref(gids);
                        return -ENOMEM;
                }
        o = json_pack("{s:I, s:I, s:o}", "uid", (json_int_t) user.uid, "gid", (json_int_t) user.gid,
                      "additionalGids", gids);
        if (o && wanted->umask != (mode_t) -1 &&
            set(o, "umask", json_integer((json_int_t) wanted->umask)) < 0) {
                json_decref(o);
                return -ENOMEM;
        }
        r = set(process, "user", o);
        return r < 0 ? r : set_home(process, user.home);
}

static int mount_root(const ForeignDocument *d, const Spec *spec, json_t *document, int *ret_fd,
                      Error *e) {
        const RootfsParameters rootfs = {
                        .lower = d->launch->rootfs_lower,
                        .upper = d->launch->rootfs_upper,
                        .work = d->launch->rootfs_work,
                        .is_volatile = spec->root_volatile,
        };
        _cleanup_free_ char *path = NULL;
        json_t *root;
        int r;

        root = json_object_get(document, "root");
        if (asprintf(&path, "%s/" FOREIGN_ROOT, d->bundle) < 0)
                return -ENOMEM;
        if (mkdirat(d->bundle_fd, FOREIGN_ROOT, 0700) < 0 && errno != EEXIST)
                return error_setf(e, -errno, "Failed to make %s: %m", path);
        r = rootfs_make_outside(&rootfs, d->task_dir_fd, spec->root_path, ret_fd, e);
        if (r == 0)
                r = rootfs_attach_outside(*ret_fd, path, e);
        return r == 0 ? set(root, "path", json_string(path)) : r;
}

/* What is a property of the scope stays one: it is changed there, and a limit further down would
 * not know. Of devices the runtime allows all, where without a rule it would make up its own. */
static int set_linux(json_t *document, const char *cgroup) {
        json_t *section = json_object_get(document, "linux");

        if (!json_is_object(section))
                return -EBADMSG;
        if (set(section, "resources",
                json_pack("{s:[{s:b, s:s}]}", "devices", "allow", 1, "access", "rwm")) < 0)
                return -ENOMEM;
        return set(section, "cgroupsPath", json_string(cgroup));
}

int foreign_write_config(const ForeignDocument *d, Error *e) {
        _cleanup_json_ json_t *document = NULL;
        _cleanup_(spec_freep) Spec *spec = NULL;
        _cleanup_close_ int root_fd = -1;
        int r;

        r = spec_read_document(d->task_dir_fd, TASK_FILE_CONFIG, &document, e);
        if (r == 0)
                r = spec_parse(json_deep_copy(document), &spec, e);
        if (r == 0)
                r = mount_root(d, spec, document, &root_fd, e);
        if (r == 0)
                r = set_user(json_object_get(document, "process"), &spec->process.user, root_fd, e);
        if (r != 0)
                return r;
        r = set_linux(document, d->cgroup);
        return r < 0 ? r : write_document(d, FOREIGN_CONFIG, document, e);
}

int foreign_write_process(const ForeignDocument *d, const char *exec_id, pid_t init_pid,
                          const char *name, Error *e) {
        char source[TASK_EXEC_FILE_SIZE], path[sizeof("/proc//root") + 3 * sizeof(int)];
        _cleanup_json_ json_t *document = NULL;
        _cleanup_(spec_freep) Spec *spec = NULL;
        _cleanup_close_ int root_fd = -1;
        json_t *process;
        int r;

        exec_file_name(TASK_FILE_EXEC_PREFIX, exec_id, source);
        r = spec_read_document(d->task_dir_fd, source, &document, e);
        if (r == 0)
                r = spec_read_process(d->task_dir_fd, source, &spec, e);
        if (r != 0)
                return r;
        (void) snprintf(path, sizeof(path), "/proc/%i/root", init_pid);
        root_fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (root_fd < 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The container's init is not running: %m");
        process = json_object_get(document, "process");
        r = set_user(process, &spec->process.user, root_fd, e);
        return r != 0 ? r : write_document(d, name, process, e);
}
