/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

#include <limits.h>

#include "basic/log.h"
#include "runtime/capability.h"
#include "runtime/rlimit.h"

static int parse_console(SpecProcess *p, json_t *process, Error *e) {
        uint64_t width, height;
        json_t *size;
        int r;

        r = json_get_bool(process, "process", "terminal", &p->terminal, e);
        if (r < 0 || !p->terminal)
                return MIN_OF(r, 0); /* consoleSize is to be ignored without a terminal */
        r = json_get_object(process, "process", "consoleSize", &size, e);
        if (r <= 0)
                return r;
        r = json_get_uint64(size, "process.consoleSize", "height", UINT16_MAX, &height, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "process.consoleSize", "height");
        r = json_get_uint64(size, "process.consoleSize", "width", UINT16_MAX, &width, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "process.consoleSize", "width");
        p->columns = (uint16_t) width;
        p->rows = (uint16_t) height;
        return 0;
}

static int parse_command(SpecProcess *p, json_t *process, Error *e) {
        int r;

        r = json_get_string(process, "process", "cwd", &p->cwd, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, "process", "cwd");
        if (p->cwd[0] != '/' || strlen(p->cwd) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "process.cwd: \"%.128s\" is not an absolute path", p->cwd);

        r = spec_get_strings(process, "process", "args", SPEC_ARGUMENTS_MAX, &p->args, &p->n_args,
                             e);
        if (r != 0)
                return r;
        if (p->n_args == 0)
                return spec_missing(e, "process", "args");
        if (isempty(p->args[0]))
                return error_setf(e, CTR_INVALID_ARGUMENT, "process.args[0]: the command is empty");
        return spec_get_strings(process, "process", "env", SPEC_ARGUMENTS_MAX, &p->env, &p->n_env,
                                e);
}

static int parse_ids(SpecUser *u, json_t *user, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(user, "process.user", "additionalGids", SPEC_GIDS_MAX, &array, e);
        if (r <= 0)
                return r;
        u->gids = calloc(json_array_size(array) + 1, sizeof(gid_t));
        if (!u->gids)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                json_int_t gid = json_integer_value(item);

                if (!json_is_integer(item) || gid < 0 || gid >= UINT32_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "process.user.additionalGids[%zu]: not a group id", i);
                u->gids[u->n_gids++] = (gid_t) gid;
        }
        return 0;
}

static int parse_user(SpecUser *u, json_t *process, Error *e) {
        uint64_t value;
        json_t *user = NULL;
        int r;

        r = json_get_object(process, "process", "user", &user, e);
        if (r > 0)
                r = spec_refuse(user, "process.user", "username", e);
        if (r != 0 || !user)
                return r;
        r = json_get_uint64(user, "process.user", "uid", UINT32_MAX - 1, &value, e);
        if (r < 0)
                return r;
        if (r > 0)
                u->uid = (uid_t) value;
        r = json_get_uint64(user, "process.user", "gid", UINT32_MAX - 1, &value, e);
        if (r < 0)
                return r;
        if (r > 0)
                u->gid = (gid_t) value;
        r = json_get_uint64(user, "process.user", "umask", 0777, &value, e);
        if (r < 0)
                return r;
        if (r > 0)
                u->umask = (mode_t) value;
        return parse_ids(u, user, e);
}

static int parse_rlimit(SpecRlimits *limits, json_t *item, const char *path, Error *e) {
        const char *type = NULL;
        json_t *soft, *hard;
        int resource, r;

        r = json_get_string(item, path, "type", &type, e);
        if (r < 0)
                return r;
        resource = r > 0 ? rlimit_from_string(type) : -1;
        if (resource < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type: \"%.32s\" is not a limit",
                                  path, strempty(type));
        if (limits->set & (1U << resource))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type: \"%s\" is given twice", path,
                                  type);
        soft = json_object_get(item, "soft");
        hard = json_object_get(item, "hard");
        if (!rlimit_value_from_json(soft, &limits->limits[resource].rlim_cur))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.soft: not a limit", path);
        if (!rlimit_value_from_json(hard, &limits->limits[resource].rlim_max))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.hard: not a limit", path);
        if (limits->limits[resource].rlim_cur > limits->limits[resource].rlim_max)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.soft: larger than the hard limit",
                                  path);
        limits->set |= 1U << resource;
        return 0;
}

static int parse_rlimits(SpecProcess *p, json_t *process, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(process, "process", "rlimits", RLIM_NLIMITS, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                r = parse_rlimit(&p->rlimits, item, spec_path_index(path, "process.rlimits", i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int parse_capability_set(json_t *capabilities, const char *key, uint64_t *ret, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(capabilities, "process.capabilities", key, 256, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                const char *name = json_string_value(item);
                int capability;

                if (!name)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "process.capabilities.%s[%zu]: expected a string", key,
                                          i);
                capability = capability_from_string(name);
                if (capability >= 0)
                        *ret |= UINT64_C(1) << capability;
                else /* config.md: to be logged, no error */
                        log_warning("process.capabilities.%s[%zu]: the capability \"%.64s\" is "
                                    "unknown and not granted",
                                    key, i, name);
        }
        return 0;
}

static int parse_capabilities(SpecCapabilities *c, json_t *process, Error *e) {
        const struct {
                const char *key;
                uint64_t *set;
        } sets[] = {
                        {"bounding", &c->bounding},       {"effective", &c->effective},
                        {"inheritable", &c->inheritable}, {"permitted", &c->permitted},
                        {"ambient", &c->ambient},
        };
        json_t *capabilities;
        int r;

        r = json_get_object(process, "process", "capabilities", &capabilities, e);
        if (r <= 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(sets); i++) {
                r = parse_capability_set(capabilities, sets[i].key, sets[i].set, e);
                if (r != 0)
                        return r;
        }
        /* the kernel grants neither; config.md wants that logged and no error */
        if (c->effective & ~c->permitted)
                log_warning("process.capabilities.effective: what is not permitted is not granted");
        if (c->ambient & ~(c->permitted & c->inheritable))
                log_warning("process.capabilities.ambient: what is not both permitted and "
                            "inheritable is not granted");
        c->effective &= c->permitted;
        c->ambient &= c->permitted & c->inheritable;
        return 0;
}

static int parse_oom_score(SpecProcess *p, json_t *process, Error *e) {
        int64_t value;
        int r;

        r = json_get_int64(process, "process", "oomScoreAdj", -1000, 1000, &value, e);
        if (r <= 0)
                return r;
        p->oom_score_adj_set = true;
        p->oom_score_adj = (int) value;
        return 0;
}

static int parse_labels(SpecProcess *p, json_t *process, Error *e) {
        int r;

        r = json_get_string(process, "process", "apparmorProfile", &p->apparmor_profile, e);
        if (r >= 0)
                r = json_get_string(process, "process", "selinuxLabel", &p->selinux_label, e);
        if (r < 0)
                return r;
        if (isempty(p->apparmor_profile))
                p->apparmor_profile = NULL;
        if (isempty(p->selinux_label))
                p->selinux_label = NULL;
        return 0;
}

int spec_parse_process(Spec *s, json_t *process, Error *e) {
        SpecProcess *p = &s->process;
        int r;

        r = spec_refuse(process, "process", "commandLine", e);
        if (r == 0)
                r = parse_labels(p, process, e);
        if (r == 0)
                r = spec_parse_schedule(p, process, e);
        if (r != 0)
                return r;
        r = parse_console(p, process, e);
        if (r != 0)
                return r;
        r = parse_command(p, process, e);
        if (r != 0)
                return r;
        r = parse_user(&p->user, process, e);
        if (r != 0)
                return r;
        r = parse_rlimits(p, process, e);
        if (r != 0)
                return r;
        r = parse_capabilities(&p->capabilities, process, e);
        if (r != 0)
                return r;
        r = json_get_bool(process, "process", "noNewPrivileges", &p->no_new_privileges, e);
        if (r < 0)
                return r;
        return parse_oom_score(p, process, e);
}
