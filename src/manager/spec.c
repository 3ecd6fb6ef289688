/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/spec.h"

#include <limits.h>
#include <signal.h>

#include "basic/json.h"
#include "basic/signals.h"
#include "basic/strv.h"
#include "image/config.h"
#include "manager/blockio.h"
#include "manager/container-secrets.h"
#include "manager/manager.h"
#include "manager/resolver.h"
#include "manager/spec-internal.h"

#define OCI_VERSION  "1.0.2"
#define PATH_DEFAULT "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"

void spec_result_clear(SpecResult *r) {
        free(r->document);
        json_decref(r->resources);
        *r = (SpecResult){};
}

/* Command replaces all; an entrypoint of the request drops the image's command with the image's
 * entrypoint, as every other tool does. */
static json_t *spec_args(const ContainerRequest *request, const ImageConfig *config, Error *e) {
        char *const *entrypoint = config->entrypoint, *const *arguments = config->cmd;
        _cleanup_json_ json_t *args = NULL, *tail = NULL;

        if (request->command_set) {
                entrypoint = NULL;
                arguments = request->command;
        } else if (request->entrypoint_set) {
                entrypoint = request->entrypoint;
                arguments = NULL;
        }
        if (request->arguments_set && !request->command_set)
                arguments = request->arguments;

        args = json_from_strv(entrypoint);
        tail = json_from_strv(arguments);
        if (!args || !tail || json_array_extend(args, tail) < 0)
                return NULL;
        if (json_array_size(args) == 0) {
                error_setf(e, CTR_INVALID_ARGUMENT,
                           "No command given, and the image \"%s\" has none", request->image);
                return NULL;
        }
        return json_incref(args);
}

static json_t *spec_env(const ContainerRequest *request, const ImageConfig *config) {
        _cleanup_strv_free_ char **env = NULL;

        if (!strv_env_get(config->env, "PATH") && strv_env_assign(&env, PATH_DEFAULT) < 0)
                return NULL;
        STRV_FOREACH(s, config->env)
                if (strv_env_assign(&env, *s) < 0)
                        return NULL;
        if (request->terminal && !strv_env_get(env, "TERM") &&
            strv_env_assign(&env, "TERM=xterm") < 0)
                return NULL;
        STRV_FOREACH(s, request->environment)
                if (strv_env_assign(&env, *s) < 0)
                        return NULL;
        return json_from_strv(env);
}

static json_t *spec_rlimits(const ContainerRequest *request) {
        json_t *array;

        if (request->n_rlimits == 0)
                return json_pack("[{sssisi}]", "type", "RLIMIT_NOFILE", "soft", 1024, "hard", 1024);
        array = json_array();
        for (size_t i = 0; array && i < request->n_rlimits; i++) {
                const ContainerRlimit *l = request->rlimits + i;

                if (json_array_append_new(array, json_pack("{sssIsI}", "type", l->name, "soft",
                                                           (json_int_t) l->soft, "hard",
                                                           (json_int_t) l->hard)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

static json_t *spec_process(const ContainerRequest *request, const ImageConfig *config, Error *e) {
        const char *cwd = request->working_directory ?: config->working_dir;
        json_t *args;

        if (!isempty(cwd) && cwd[0] != '/') {
                error_setf(e, CTR_INVALID_ARGUMENT,
                           "The working directory \"%s\" is not an absolute path", cwd);
                return NULL;
        }
        args = spec_args(request, config, e);
        if (!args)
                return NULL;
        /* the adjustment is always said: the manager protects itself, which init would inherit */
        return json_pack("{sbs{sisi}sososssososbsi}", "terminal", (int) request->terminal, "user",
                         "uid", 0, "gid", 0, "args", args, "env", spec_env(request, config), "cwd",
                         isempty(cwd) ? "/" : cwd, "capabilities", spec_capabilities(request, e),
                         "rlimits", spec_rlimits(request), "noNewPrivileges",
                         (int) !request->new_privileges, "oomScoreAdj", request->oom_score_adjust);
}

/* As podman tells: "init" where it usually is, and systemd anywhere. */
static bool is_for_systemd(const ContainerRequest *request, json_t *process) {
        static const char *const inits[] = {"/sbin/init", "/usr/sbin/init", "/usr/local/sbin/init"};
        const char *program, *slash;

        if (request->systemd != SYSTEMD_AUTO)
                return request->systemd == SYSTEMD_ALWAYS;
        program = strempty(json_string_value(json_array_get(json_object_get(process, "args"), 0)));
        for (size_t i = 0; i < ELEMENTSOF(inits); i++)
                if (streq(program, inits[i]))
                        return true;
        slash = strrchr(program, '/');
        return streq(slash ? slash + 1 : program, "systemd");
}

/* systemd's container interface: who is there is said by this variable. */
static int add_container_variable(json_t *env) {
        json_t *entry;
        size_t i;

        json_array_foreach(env, i, entry)
                if (startswith(strempty(json_string_value(entry)), "container="))
                        return 0;
        return json_array_append_new(env, json_string("container=ctr")) < 0 ? -ENOMEM : 0;
}

static json_t *spec_document(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                             const ImageConfig *config, json_t *resources, Error *e) {
        const char *user = request->user ?: strempty(config->user);
        _cleanup_json_ json_t *process = NULL;
        _cleanup_free_ char *resolver = NULL, *secrets = NULL;
        char hostname[HOST_NAME_MAX + 1];
        json_t *capabilities;
        bool for_systemd;

        process = spec_process(request, config, e);
        if (!process)
                return NULL;
        for_systemd = is_for_systemd(request, process);
        if (for_systemd && add_container_variable(json_object_get(process, "env")) < 0)
                return NULL;
        capabilities = json_object_get(json_object_get(process, "capabilities"), "bounding");
        (void) snprintf(hostname, sizeof(hostname), "%s", request->hostname ?: request->id);
        if (resolver_to_annotation(request, hostname, &resolver) < 0 ||
            container_secrets_to_annotation(request, &secrets) < 0)
                return NULL;
        return json_pack("{sssOsss{sssb}sosos{ssss*ss*ss*ss*ss*}}", "ociVersion", OCI_VERSION,
                         "process", process, "hostname", hostname, "root", "path", "rootfs",
                         "readonly", (int) request->read_only, "mounts",
                         spec_mounts(m, request, ids, for_systemd), "linux",
                         spec_linux(m, request, ids, capabilities, resources, e), "annotations",
                         SPEC_ANNOTATION_USER, isempty(user) ? "0" : user, SPEC_ANNOTATION_VOLATILE,
                         request->volatile_root ? "1" : NULL, SPEC_ANNOTATION_RDT_CLASS,
                         isempty(request->rdt_class) ? NULL : request->rdt_class,
                         SPEC_ANNOTATION_MAPPED_ROOT, ids->mode != USER_NAMESPACE_HOST ? "1" : NULL,
                         RESOLVER_ANNOTATION, resolver, SECRETS_ANNOTATION, secrets);
}

int spec_generate(Manager *m, const ContainerRequest *request, const UserNamespace *ids,
                  Image *image, SpecResult *ret, Error *e) {
        _cleanup_(image_config_freep) ImageConfig *config = NULL;
        _cleanup_json_ json_t *document = NULL, *resources = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        int r, stop_signal;

        r = image_read_config(image, &config, e);
        if (r != 0)
                return r;
        resources = request->resources ? json_deep_copy(request->resources) : json_object();
        if (!resources)
                return -ENOMEM;
        if (!isempty(request->blockio_class)) {
                r = blockio_apply(m->blockio, request->blockio_class, resources, e);
                if (r != 0)
                        return r;
        }
        document = spec_document(m, request, ids, config, resources, &local);
        if (!document)
                return error_propagate(e, -ENOMEM, &local);

        r = spec_set_resources(document, resources);
        if (r < 0)
                return r;

        stop_signal = request->stop_signal;
        if (stop_signal == 0 && config->stop_signal)
                stop_signal = signal_from_string(config->stop_signal);
        if (stop_signal <= 0) /* an image with nonsense there must still stop */
                stop_signal = is_for_systemd(request, json_object_get(document, "process"))
                                              ? SIGRTMIN + 3 /* systemd(1): halt */
                                              : SIGTERM;

        r = json_to_text(document, &ret->document);
        if (r < 0)
                return r;
        ret->resources = TAKE_PTR(resources);
        ret->stop_signal = stop_signal;
        return 0;
}

int spec_set_root(char **document, const char *path, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        json_t *root = NULL;
        char *text;
        int r;

        r = json_parse(*document, strlen(*document), "config.json", &j, e);
        if (r != 0)
                return r;
        r = json_get_object(j, "", "root", &root, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "The document has no root");
        if (json_object_set_new(root, "path", json_string(path)) < 0)
                return -ENOMEM;
        r = json_to_text(j, &text);
        if (r < 0)
                return r;
        free(*document);
        *document = text;
        return 0;
}

int spec_read_annotation(const char *document, const char *name, char **ret, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        json_t *annotations = NULL;
        const char *value = NULL;
        int r;

        if (!strstr(document, name))
                return 0; /* nearly always: not worth parsing */
        r = json_parse(document, strlen(document), "config.json", &j, e);
        if (r != 0)
                return r;
        r = json_get_object(j, "", "annotations", &annotations, e);
        if (r > 0)
                r = json_get_string(annotations, "annotations", name, &value, e);
        if (r <= 0)
                return r;
        *ret = strdup(value);
        return *ret ? 0 : -ENOMEM;
}
