/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container-secrets.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/secret.h"
#include "manager/spec.h"

/* In the task's directory: what is bound as a whole, by target, and other files, by index. */
#define DIRECTORY_BOUND "secrets"
#define DIRECTORY_FILES "secret-files"

/* As the host has it; UINT32_MAX: the container does not have it. */
static uint32_t host_id(const Container *c, bool group, uint32_t id) {
        const UserNamespace *u = &c->user_namespace;

        if (u->mode == USER_NAMESPACE_HOST)
                return id;
        return id_mappings_to_host(group ? &u->gids : &u->uids, id);
}

static int check_owner(const Container *c, const char *name, uint32_t uid, uint32_t gid, Error *e) {
        if (host_id(c, false, uid) != UINT32_MAX && host_id(c, true, gid) != UINT32_MAX)
                return 0;
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "The container does not have the owner %u:%u of the secret \"%s\"", uid,
                          gid, name);
}

int container_secrets_check(const Container *c, const ContainerRequest *request, Error *e) {
        for (size_t i = 0; i < request->n_secrets; i++) {
                const ContainerSecret *s = request->secrets + i;
                _cleanup_(secret_freep) Secret *found = NULL;
                int r;

                r = secret_find(c->object.manager, c->object.namespace, s->name, &found, e);
                if (r == 0)
                        r = check_owner(c, s->name, s->uid, s->gid, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int container_secrets_hold(const Container *c, const ContainerRequest *request, Error *e) {
        Manager *m = c->object.manager;

        for (size_t i = 0; i < request->n_secrets; i++) {
                _cleanup_(secret_freep) Secret *found = NULL;
                int r;

                r = secret_find(m, c->object.namespace, request->secrets[i].name, &found, e);
                if (r == 0)
                        r = db_container_secret_insert(m->db, c, found->id, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int container_secrets_to_annotation(const ContainerRequest *request, char **ret) {
        _cleanup_json_ json_t *list = json_array();

        *ret = NULL;
        if (request->n_secrets == 0)
                return 0;
        for (size_t i = 0; list && i < request->n_secrets; i++) {
                const ContainerSecret *s = request->secrets + i;

                if (json_array_append_new(list,
                                          json_pack("{ss ss sI sI sI}", "name", s->name, "target",
                                                    s->target, "uid", (json_int_t) s->uid, "gid",
                                                    (json_int_t) s->gid, "mode",
                                                    (json_int_t) s->mode)) < 0)
                        return -ENOMEM;
        }
        return list ? json_to_text(list, ret) : -ENOMEM;
}

int container_secret_mount(const Manager *m, const ContainerRequest *request, size_t i,
                           char **ret_source, char **ret_destination) {
        const char *target = request->secrets[i].target;
        bool bound = target[0] != '/';
        char index[24] = "";

        if (!bound)
                (void) snprintf(index, sizeof(index), "/%zu", i);
        if (asprintf(ret_source, "%s/tasks/%s/%s/%s%s", m->runtime_dir, request->namespace,
                     request->id, bound ? DIRECTORY_BOUND : DIRECTORY_FILES, index) < 0) {
                *ret_source = NULL;
                return -ENOMEM;
        }
        *ret_destination = strdup(bound ? SECRETS_TARGET : target);
        return *ret_destination ? 0 : -ENOMEM;
}

/* A secret as the annotation has it; strings are the annotation's. */
static int read_item(json_t *item, ContainerSecret *s, Error *e) {
        const char *path = SECRETS_ANNOTATION, *name = NULL, *target = NULL;
        int64_t uid = 0, gid = 0, mode = 0;
        int r;

        r = json_get_string(item, path, "name", &name, e);
        if (r >= 0)
                r = json_get_string(item, path, "target", &target, e);
        if (r >= 0)
                r = json_get_int64(item, path, "uid", 0, UINT32_MAX - 1, &uid, e);
        if (r >= 0)
                r = json_get_int64(item, path, "gid", 0, UINT32_MAX - 1, &gid, e);
        if (r >= 0)
                r = json_get_int64(item, path, "mode", 0, 0777, &mode, e);
        if (r < 0)
                return r;
        if (!name || !target)
                return error_setf(e, -EBADMSG, "%s: a secret without a name", path);
        if (target[0] != '/' && (strchr(target, '/') || streq(target, ".") || streq(target, "..")))
                return error_setf(e, -EBADMSG, "%s: no name of a file", path);
        *s = (ContainerSecret){.name = (char *) name,
                               .target = (char *) target,
                               .uid = (uint32_t) uid,
                               .gid = (uint32_t) gid,
                               .mode = (uint32_t) mode};
        return 0;
}

static int write_secret(const Container *c, const ContainerSecret *s, int dir_fd, const char *name,
                        Error *e) {
        Manager *m = c->object.manager;
        _cleanup_(secret_freep) Secret *found = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        r = secret_find(m, c->object.namespace, s->name, &found, e);
        if (r == CTR_NOT_FOUND)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The secret \"%s\" of the container \"%s\" is gone", s->name,
                                  c->object.name);
        if (r == 0)
                r = check_owner(c, s->name, s->uid, s->gid, e);
        if (r != 0)
                return r;
        /* nobody can read it before it has its owner */
        fd = openat(dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make the file of the secret \"%s\": %m",
                                  s->name);
        r = secret_copy(m, found, fd, e);
        if (r != 0)
                return r;
        if (fchown(fd, host_id(c, false, s->uid), host_id(c, true, s->gid)) < 0 ||
            fchmod(fd, s->mode) < 0)
                return error_setf(e, -errno,
                                  "Failed to give the secret \"%s\" its owner and mode: %m",
                                  s->name);
        return 0;
}

/* Its owner is the container's root, which sees it as a directory of its own. */
static int make_directory(const Container *c, int dir_fd, const char *name, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        r = tree_remove_at(dir_fd, name);
        fd = r < 0 ? r : dir_open_make_at(dir_fd, name, 0755);
        if (fd >= 0 &&
            (fchown(fd, host_id(c, false, 0), host_id(c, true, 0)) < 0 || fchmod(fd, 0755) < 0))
                r = -errno;
        else if (fd < 0)
                r = fd;
        if (r < 0)
                return error_setf(e, r, "Failed to make the directory of a task's secrets: %m");
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int write_all(const Container *c, json_t *list, int dir_fd, Error *e) {
        _cleanup_close_ int bound_fd = -1, files_fd = -1;
        json_t *item;
        size_t i;
        int r;

        r = make_directory(c, dir_fd, DIRECTORY_BOUND, &bound_fd, e);
        if (r == 0)
                r = make_directory(c, dir_fd, DIRECTORY_FILES, &files_fd, e);
        if (r != 0)
                return r;
        json_array_foreach(list, i, item) {
                ContainerSecret s = {};
                char index[24];

                r = read_item(item, &s, e);
                if (r != 0)
                        return r;
                (void) snprintf(index, sizeof(index), "%zu", i);
                r = s.target[0] == '/' ? write_secret(c, &s, files_fd, index, e)
                                       : write_secret(c, &s, bound_fd, s.target, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

int container_secrets_write(const Container *c, const char *document, int dir_fd, Error *e) {
        _cleanup_json_ json_t *list = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        r = spec_read_annotation(document, SECRETS_ANNOTATION, &text, e);
        if (r != 0 || !text)
                return r;
        list = json_loads(text, JSON_REJECT_DUPLICATES, NULL);
        if (!json_is_array(list) || json_array_size(list) > SECRETS_MAX)
                return error_setf(e, -EBADMSG, "%s: not a list of secrets", SECRETS_ANNOTATION);
        return write_all(c, list, dir_fd, e);
}

void container_secrets_forget(int dir_fd) {
        static const char *const names[] = {DIRECTORY_BOUND, DIRECTORY_FILES};

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                int r = tree_remove_at(dir_fd, names[i]);

                if (r < 0)
                        log_warning_errno(r,
                                          "Failed to remove the secrets of a task that has ended: "
                                          "%m");
        }
}
