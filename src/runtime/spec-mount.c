/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

#include <limits.h>
#include <sys/mount.h>

static int parse_options(SpecMount *m, json_t *mount, const char *path, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(mount, path, "options", MOUNT_OPTIONS_MAX, &array, e);
        if (r <= 0)
                return r;
        m->options.parameters = calloc(json_array_size(array) + 1, sizeof(char *));
        if (!m->options.parameters)
                return -ENOMEM;
        json_array_foreach(array, i, item) {
                const char *option = json_string_value(item);

                if (isempty(option) || strlen(option) != json_string_length(item))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s.options[%zu]: expected a string", path, i);
                mount_options_add(&m->options, option);
        }
        return 0;
}

static int check_bind(const SpecMount *m, const char *path, Error *e) {
        if (m->options.remount)
                return 0;
        if (isempty(m->source) || strlen(m->source) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.source: a bind mount needs a path",
                                  path);
        /* mount(2) would ignore them; nothing is ignored here */
        if (m->options.n_parameters > 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.options: \"%s\" has no meaning for a bind mount", path,
                                  m->options.parameters[0]);
        return 0;
}

/* Whether the container has a mapping for those that have none of their own is checked when all
 * sections are read. */
static int parse_mappings(SpecMount *m, json_t *mount, const char *path, Error *e) {
        int r;

        r = spec_parse_id_mappings(&m->uids, mount, path, "uidMappings", e);
        if (r == 0)
                r = spec_parse_id_mappings(&m->gids, mount, path, "gidMappings", e);
        if (r != 0)
                return r;
        if ((m->uids.n > 0) != (m->gids.n > 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s: uidMappings and gidMappings go together", path);
        if (m->uids.n > 0)
                m->options.idmap = true;
        if (m->options.idmap && m->options.remount)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s: the ids of a mount can be mapped only when it is made",
                                  path);
        return 0;
}

static int check_copy_up(const SpecMount *m, const char *path, Error *e) {
        if (m->options.copy_up &&
            (m->options.bind || m->options.remount || !streq_ptr(m->type, "tmpfs")))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.options: \"tmpcopyup\" is for a new tmpfs", path);
        if (m->options.version && m->options.bind && !m->options.remount)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.options: \"iversion\" has no meaning for a bind mount", path);
        return 0;
}

static int parse_mount(SpecMount *m, json_t *mount, const char *path, Error *e) {
        int r;

        if (!json_is_object(mount))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);

        r = json_get_string(mount, path, "destination", &m->destination, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, path, "destination");
        if (isempty(m->destination) || strlen(m->destination) >= PATH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.destination: not a path", path);
        /* / is root's place */
        if (m->destination[strspn(m->destination, "/.")] == '\0')
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.destination: \"%s\" is the root file system itself", path,
                                  m->destination);
        r = json_get_string(mount, path, "type", &m->type, e);
        if (r < 0)
                return r;
        r = json_get_string(mount, path, "source", &m->source, e);
        if (r < 0)
                return r;
        r = parse_options(m, mount, path, e);
        if (r == 0)
                r = parse_mappings(m, mount, path, e);
        if (r != 0)
                return r;

        /* "bind" as a type is no file system, but what everybody writes */
        if (streq_ptr(m->type, "bind"))
                m->options.bind = true;
        r = check_copy_up(m, path, e);
        if (r != 0)
                return r;
        if (m->options.bind) {
                m->type = NULL;
                return check_bind(m, path, e);
        }
        if (m->options.remount)
                return 0;
        if (isempty(m->type) || streq(m->type, "none") || strlen(m->type) > 64)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.type: a mount that is no bind mount needs a file system type",
                                  path);
        return 0;
}

int spec_parse_mounts(Spec *s, json_t *mounts, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *mount;
        size_t i;
        int r;

        s->mounts = calloc(json_array_size(mounts) + 1, sizeof(*s->mounts));
        if (!s->mounts)
                return -ENOMEM;
        json_array_foreach(mounts, i, mount) {
                s->n_mounts = i + 1;
                r = parse_mount(&s->mounts[i], mount, spec_path_index(path, "mounts", i), e);
                if (r != 0)
                        return r;
        }
        return 0;
}
