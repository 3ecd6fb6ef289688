/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/config.h"

#include "basic/json.h"
#include "basic/strv.h"
#include "image/manifest.h"

#define STRINGS_MAX 4096

static int get_string(json_t *j, const char *path, const char *key, char **ret, Error *e) {
        const char *s;
        int r;

        r = json_get_string(j, path, key, &s, e);
        if (r <= 0)
                return r;
        /* Docker writes empty strings for what is not set */
        if (!*s)
                return 0;
        *ret = strdup(s);
        return *ret ? 0 : -ENOMEM;
}

/* The keys of an object, sorted, so that equal configurations read equal; with values for a map of
 * strings. */
static int get_map(json_t *j, const char *key, bool with_values, char ***ret, Error *e) {
        _cleanup_strv_free_ char **l = NULL;
        _cleanup_free_ const char **keys = NULL;
        json_t *map, *value;
        const char *name;
        size_t n = 0, k = 0;
        int r;

        r = json_get_object(j, "config", key, &map, e);
        if (r <= 0)
                return r;
        if (json_object_size(map) > STRINGS_MAX)
                return error_setf(e, -EBADMSG, "config.%s: more than %i entries", key, STRINGS_MAX);
        keys = calloc(json_object_size(map) + 1, sizeof(char *));
        l = calloc(2 * json_object_size(map) + 1, sizeof(char *));
        if (!keys || !l)
                return -ENOMEM;
        json_object_foreach(map, name, value) {
                size_t i = n++;

                for (; i > 0 && strcmp(keys[i - 1], name) > 0; i--)
                        keys[i] = keys[i - 1];
                keys[i] = name;
        }
        for (size_t i = 0; i < n; i++) {
                const char *s = "";

                l[k] = strdup(keys[i]);
                if (!l[k++])
                        return -ENOMEM;
                if (!with_values)
                        continue;
                r = json_get_string(map, "config.Labels", keys[i], &s, e);
                if (r < 0)
                        return r;
                l[k] = strdup(s);
                if (!l[k++])
                        return -ENOMEM;
        }
        if (k > 0)
                *ret = TAKE_PTR(l);
        return 0;
}

static int check_env(char *const *env, Error *e) {
        STRV_FOREACH(s, env)
                if (**s == '=' || !strchr(*s, '='))
                        return error_setf(e, -EBADMSG, "config.Env: \"%.80s\" is not NAME=VALUE",
                                          *s);
        return 0;
}

static int parse_execution(ImageConfig *c, json_t *j, Error *e) {
        json_t *config;
        int r;

        r = json_get_object(j, "", "config", &config, e);
        if (r <= 0)
                return r;
        if ((r = get_string(config, "config", "User", &c->user, e)) < 0 ||
            (r = get_string(config, "config", "WorkingDir", &c->working_dir, e)) < 0 ||
            (r = get_string(config, "config", "StopSignal", &c->stop_signal, e)) < 0 ||
            (r = json_get_strv(config, "config", "Env", STRINGS_MAX, &c->env, e)) < 0 ||
            (r = json_get_strv(config, "config", "Entrypoint", STRINGS_MAX, &c->entrypoint, e)) <
                            0 ||
            (r = json_get_strv(config, "config", "Cmd", STRINGS_MAX, &c->cmd, e)) < 0 ||
            (r = get_map(config, "Labels", true, &c->labels, e)) < 0 ||
            (r = get_map(config, "ExposedPorts", false, &c->exposed_ports, e)) < 0 ||
            (r = get_map(config, "Volumes", false, &c->volumes, e)) < 0)
                return r;
        return check_env(c->env, e);
}

static int parse_rootfs(ImageConfig *c, json_t *j, Error *e) {
        _cleanup_strv_free_ char **ids = NULL;
        const char *type = NULL;
        json_t *rootfs;
        int r;

        r = json_get_object(j, "", "rootfs", &rootfs, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, -EBADMSG, "rootfs is missing");
        r = json_get_string(rootfs, "rootfs", "type", &type, e);
        if (r < 0)
                return r;
        if (!type || !streq(type, "layers"))
                return error_setf(e, -EBADMSG, "rootfs.type is not \"layers\"");
        r = json_get_strv(rootfs, "rootfs", "diff_ids", MANIFEST_LAYERS_MAX, &ids, e);
        if (r < 0)
                return r;
        c->n_diff_ids = strv_length(ids);
        c->diff_ids = calloc(c->n_diff_ids + 1, sizeof(Digest));
        if (!c->diff_ids)
                return -ENOMEM;
        for (size_t i = 0; i < c->n_diff_ids; i++) {
                r = digest_parse(ids[i], c->diff_ids + i, e);
                if (r != 0)
                        return error_prefix(e, r, "rootfs.diff_ids[%zu]", i);
        }
        return 0;
}

static int config_fill(ImageConfig *c, json_t *j, Error *e) {
        const char *os = NULL, *architecture = NULL, *variant = NULL;
        int r;

        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "not a JSON object");
        if ((r = json_get_string(j, "", "os", &os, e)) < 0 ||
            (r = json_get_string(j, "", "architecture", &architecture, e)) < 0 ||
            (r = json_get_string(j, "", "variant", &variant, e)) < 0 ||
            (r = get_string(j, "", "created", &c->created, e)) < 0 ||
            (r = get_string(j, "", "author", &c->author, e)) < 0)
                return r;
        r = platform_set(&c->platform, os, architecture, variant, e);
        if (r != 0)
                return r;
        r = parse_execution(c, j, e);
        if (r != 0)
                return r;
        return parse_rootfs(c, j, e);
}

int image_config_parse(const char *data, size_t size, const char *what, ImageConfig **ret,
                       Error *e) {
        _cleanup_(image_config_freep) ImageConfig *c = NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(data && what && ret);

        r = json_parse(data, size, what, &j, e);
        if (r != 0)
                return r;
        c = calloc(1, sizeof(ImageConfig));
        if (!c)
                return -ENOMEM;
        r = config_fill(c, j, e);
        if (r == -ENOMEM)
                return r;
        if (r != 0) {
                if (e && e->code == -EBADMSG)
                        e->code = CTR_INVALID_ARGUMENT;
                return error_prefix(e, r == -EBADMSG ? CTR_INVALID_ARGUMENT : r, "%s", what);
        }
        *ret = TAKE_PTR(c);
        return 0;
}

ImageConfig *image_config_free(ImageConfig *c) {
        if (!c)
                return NULL;
        free(c->created);
        free(c->author);
        free(c->user);
        free(c->working_dir);
        free(c->stop_signal);
        strv_free(c->env);
        strv_free(c->entrypoint);
        strv_free(c->cmd);
        strv_free(c->labels);
        strv_free(c->exposed_ports);
        strv_free(c->volumes);
        free(c->diff_ids);
        free(c);
        return NULL;
}
