/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

#include <limits.h>

#include "runtime/filesystems.h"

int spec_not_supported(Error *e, const char *path, const char *key) {
        return error_setf(e, CTR_NOT_IMPLEMENTED, "%s%s%s is not supported", path, *path ? "." : "",
                          key);
}

int spec_missing(Error *e, const char *path, const char *key) {
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s%s%s is missing", path, *path ? "." : "",
                          key);
}

int spec_refuse(json_t *o, const char *path, const char *key, Error *e) {
        json_t *j = json_object_get(o, key);

        if (!j || json_is_null(j) || json_is_false(j))
                return 0;
        if (json_is_string(j) && json_string_length(j) == 0)
                return 0;
        if (json_is_array(j) && json_array_size(j) == 0)
                return 0;
        if (json_is_object(j) && json_object_size(j) == 0)
                return 0;
        return spec_not_supported(e, path, key);
}

const char *spec_path_index(char buf[static SPEC_PATH_SIZE], const char *path, size_t i) {
        (void) snprintf(buf, SPEC_PATH_SIZE, "%s[%zu]", path, i);
        return buf;
}

int spec_get_strings(json_t *o, const char *path, const char *key, size_t max, const char ***ret,
                     size_t *ret_n, Error *e) {
        _cleanup_free_ const char **l = NULL;
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(o, path, key, max, &array, e);
        if (r <= 0)
                return r;
        l = calloc(json_array_size(array) + 1, sizeof(*l));
        if (!l)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                l[i] = json_string_value(item);
                if (!l[i] || strlen(l[i]) != json_string_length(item))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s%s%s[%zu]: expected a string",
                                          path, *path ? "." : "", key, i);
        }
        *ret_n = json_array_size(array);
        *ret = TAKE_PTR(l);
        return 0;
}

/* "1.x.y": the specification promises compatibility within a major version. */
static int parse_version(json_t *j, Error *e) {
        const char *version = NULL;
        int r;

        r = json_get_string(j, "", "ociVersion", &version, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "", "ociVersion");
        if (!startswith(version, "1."))
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "ociVersion: version \"%.32s\" is not supported, only 1.x",
                                  version);
        return 0;
}

static int parse_root(Spec *s, json_t *j, Error *e) {
        json_t *root;
        int r;

        r = json_get_object(j, "", "root", &root, e);
        if (r <= 0)
                return r;
        r = json_get_string(root, "root", "path", &s->root_path, e);
        if (r < 0)
                return r;
        if (r > 0 && (isempty(s->root_path) || strlen(s->root_path) >= PATH_MAX))
                return error_setf(e, CTR_INVALID_ARGUMENT, "root.path: not a path");
        r = json_get_bool(root, "root", "readonly", &s->root_readonly, e);
        return MIN_OF(r, 0);
}

/* hostname and domainname: 64 bytes is the kernel's limit for both (__NEW_UTS_LEN). */
static int parse_uts_name(json_t *j, const char *key, const char **ret, Error *e) {
        int r;

        r = json_get_string(j, "", key, ret, e);
        if (r <= 0)
                return r;
        if (strlen(*ret) > 64)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: longer than 64 bytes", key);
        if (isempty(*ret))
                *ret = NULL;
        return 0;
}

static int parse_annotations(Spec *s, json_t *j, Error *e) {
        json_t *annotations, *value;
        const char *key;
        int r;

        r = json_get_object(j, "", "annotations", &annotations, e);
        if (r <= 0)
                return r;
        json_object_foreach(annotations, key, value) {
                if (!json_is_string(value))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "annotations.%.64s: expected a string", key);
                if (isempty(key))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "annotations: a key is the empty string");
        }
        value = json_object_get(annotations, SPEC_VOLATILE_ANNOTATION);
        s->root_volatile = value && streq(json_string_value(value), "1");
        value = json_object_get(annotations, SPEC_MAPPED_ROOT_ANNOTATION);
        s->root_mapped = value && streq(json_string_value(value), "1");
        r = json_get_string(annotations, "annotations", SPEC_USER_ANNOTATION, &s->process.user.name,
                            e);
        if (r > 0 && strlen(s->process.user.name) > 512)
                return error_setf(e, CTR_INVALID_ARGUMENT, "annotations.%s: longer than 512 bytes",
                                  SPEC_USER_ANNOTATION);
        return MIN_OF(r, 0);
}

static bool mappings_are_complete(const Spec *s) {
        return s->uids.n > 0 && s->gids.n > 0;
}

/* A joined one has its mappings already: those of the document are what some callers give so that
 * there are any. */
static int check_user_namespace(Spec *s, Error *e) {
        const SpecNamespace *n = &s->namespaces[NAMESPACE_USER];

        if (!n->set && (s->uids.n > 0 || s->gids.n > 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.%s: the container has no user namespace",
                                  s->uids.n > 0 ? "uidMappings" : "gidMappings");
        if (namespace_is_new(n) && !mappings_are_complete(s))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.%s: a new user namespace needs them",
                                  s->uids.n > 0 ? "gidMappings" : "uidMappings");
        if (n->path) {
                spec_id_mappings_clear(&s->uids);
                spec_id_mappings_clear(&s->gids);
        }
        for (size_t i = 0; i < s->n_mounts; i++)
                if (s->mounts[i].options.idmap && s->mounts[i].uids.n == 0 && !n->set)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "mounts[%zu]: an idmapped mount needs uidMappings and "
                                          "gidMappings, or a container with a user namespace",
                                          i);
        return 0;
}

/* In another container's mount namespace the files are what they are: whatever would change them
 * there is refused. */
static int check_joined_mounts(const Spec *s, Error *e) {
        const struct {
                bool given;
                const char *path;
        } refused[] = {
                        {s->n_mounts > 0, "mounts"},
                        {s->n_devices > 0, "linux.devices"},
                        {s->n_masked_paths > 0, "linux.maskedPaths"},
                        {s->n_readonly_paths > 0, "linux.readonlyPaths"},
                        {s->root_readonly, "root.readonly"},
                        {s->root_propagation != 0, "linux.rootfsPropagation"},
                        {s->mount_label != NULL, "linux.mountLabel"},
                        {s->hooks[HOOK_CREATE_CONTAINER].n > 0, "hooks.createContainer"},
                        {s->namespaces[NAMESPACE_USER].set, "linux.namespaces of type user"},
        };

        for (size_t i = 0; i < ELEMENTSOF(refused); i++)
                if (refused[i].given)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "%s: not together with a mount namespace that is joined",
                                          refused[i].path);
        if (!streq_ptr(s->root_path, "/"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "root.path: expected \"/\", the root of the mount namespace that "
                                  "is joined");
        return 0;
}

static int check_mount_namespace(const Spec *s, Error *e) {
        const SpecNamespace *n = &s->namespaces[NAMESPACE_MOUNT];

        if (!n->set)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "linux.namespaces: a container without a mount namespace of its "
                                  "own is not supported");
        return n->path ? check_joined_mounts(s, e) : 0;
}

/* What belongs together is checked once all sections are read. */
static int check_consistency(Spec *s, Error *e) {
        const SpecNamespace *n = s->namespaces;
        int r;

        r = check_user_namespace(s, e);
        if (r != 0)
                return r;
        if (s->n_net_devices > 0 && !n[NAMESPACE_NETWORK].set)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.netDevices: the container has no network namespace of its "
                                  "own");

        r = check_mount_namespace(s, e);
        if (r != 0)
                return r;
        if ((s->hostname || s->domainname) && !n[NAMESPACE_UTS].set)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s: the container has no uts namespace of its own",
                                  s->hostname ? "hostname" : "domainname");
        if ((s->monotonic.set || s->boottime.set) && !namespace_is_new(&n[NAMESPACE_TIME]))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.timeOffsets: the container has no new time namespace");
        for (size_t i = 0; i < s->n_mounts; i++)
                if (filesystems_is_late(s, s->mounts[i].destination) && !n[NAMESPACE_CGROUP].set)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "mounts[%zu]: a cgroup mount without a cgroup namespace "
                                          "is not supported",
                                          i);
        for (size_t i = 0; i < s->n_masked_paths; i++)
                if (filesystems_is_late(s, s->masked_paths[i]))
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "linux.maskedPaths[%zu]: masking below a cgroup mount is "
                                          "not supported",
                                          i);
        return 0;
}

int spec_parse_sections(Spec *s, Error *e) {
        static const char *const foreign[] = {"solaris", "windows", "vm", "zos", "freebsd"};
        json_t *j = s->document, *section;
        int r;

        if (!json_is_object(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The document is not a JSON object");

        r = parse_version(j, e);
        if (r != 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(foreign); i++) {
                r = spec_refuse(j, "", foreign[i], e);
                if (r != 0)
                        return r;
        }
        r = parse_root(s, j, e);
        if (r != 0)
                return r;
        r = parse_uts_name(j, "hostname", &s->hostname, e);
        if (r != 0)
                return r;
        r = parse_uts_name(j, "domainname", &s->domainname, e);
        if (r != 0)
                return r;
        r = spec_parse_hooks(s->hooks, j, e);
        if (r != 0)
                return r;

        r = json_get_object(j, "", "process", &section, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "", "process");
        r = spec_parse_process(s, section, e);
        if (r != 0)
                return r;

        r = json_get_array(j, "", "mounts", SPEC_MOUNTS_MAX, &section, e);
        if (r > 0)
                r = spec_parse_mounts(s, section, e);
        if (r != 0)
                return r;

        r = json_get_object(j, "", "linux", &section, e);
        if (r > 0)
                r = spec_parse_linux(s, section, e);
        if (r != 0)
                return r;

        r = parse_annotations(s, j, e);
        if (r != 0)
                return r;
        return check_consistency(s, e);
}

int spec_parse_process_sections(Spec *s, Error *e) {
        json_t *process;
        int r;

        if (!json_is_object(s->document))
                return error_setf(e, CTR_INVALID_ARGUMENT, "The document is not a JSON object");
        r = json_get_object(s->document, "", "process", &process, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "", "process");
        r = spec_parse_process(s, process, e);
        if (r != 0)
                return r;
        return parse_annotations(s, s->document, e);
}

bool spec_is_held(const Spec *s) {
        return s->n_net_devices > 0 || s->intel_rdt.set || s->hooks[HOOK_PRESTART].n > 0 ||
               s->hooks[HOOK_CREATE_RUNTIME].n > 0 || s->hooks[HOOK_CREATE_CONTAINER].n > 0;
}

Spec *spec_free(Spec *s) {
        if (!s)
                return NULL;
        for (size_t i = 0; i < s->n_mounts; i++) {
                mount_options_clear(&s->mounts[i].options);
                spec_id_mappings_clear(&s->mounts[i].uids);
                spec_id_mappings_clear(&s->mounts[i].gids);
        }
        spec_hooks_clear(s->hooks);
        spec_id_mappings_clear(&s->uids);
        spec_id_mappings_clear(&s->gids);
        free(s->net_devices);
        free(s->intel_rdt.schemata);
        free(s->mounts);
        free(s->devices);
        free(s->sysctls);
        free(s->masked_paths);
        free(s->readonly_paths);
        free(s->process.args);
        free(s->process.env);
        free(s->process.user.gids);
        json_decref(s->document);
        free(s);
        return NULL;
}
