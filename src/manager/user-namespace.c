/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/user-namespace.h"

#include "basic/json.h"
#include "manager/container.h"
#include "manager/id-pool.h"
#include "manager/manager.h"

#define MAP_TEXT_MAX 4095U /* the kernel takes less than a page, in one write(2) */

static const char *const mode_names[_USER_NAMESPACE_MODE_MAX] = {
                [USER_NAMESPACE_HOST] = "host",
                [USER_NAMESPACE_AUTO] = "auto",
                [USER_NAMESPACE_MAPPED] = "mapped",
};

const char *user_namespace_mode_to_string(UserNamespaceMode mode) {
        return mode_names[mode];
}

void user_namespace_clear(UserNamespace *u) {
        free(u->uids.list);
        free(u->gids.list);
        *u = (UserNamespace){};
}

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size) {
        return a < b ? b - a < a_size : a - b < b_size;
}

static int check_mapping(const IdMappings *m, const IdMapping *a, Error *e) {
        if (m->n >= ID_MAPPINGS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "more than %u mappings",
                                  ID_MAPPINGS_MAX);
        if (a->size == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%u:%u:0 maps no id", a->container,
                                  a->host);
        /* 2^32 - 1 is no id */
        if (a->size > UINT32_MAX - a->container || a->size > UINT32_MAX - a->host)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%u:%u:%u goes beyond the highest id",
                                  a->container, a->host, a->size);
        for (size_t i = 0; i < m->n; i++) {
                const IdMapping *b = &m->list[i];

                if (overlap(a->container, a->size, b->container, b->size))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%u:%u:%u and %u:%u:%u map an id of the container twice",
                                          b->container, b->host, b->size, a->container, a->host,
                                          a->size);
                if (overlap(a->host, a->size, b->host, b->size))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%u:%u:%u and %u:%u:%u map to an id of the host twice",
                                          b->container, b->host, b->size, a->container, a->host,
                                          a->size);
        }
        return 0;
}

int id_mappings_add(IdMappings *m, const IdMapping *mapping, Error *e) {
        IdMapping *grown;
        int r;

        r = check_mapping(m, mapping, e);
        if (r != 0)
                return r;
        grown = reallocarray(m->list, m->n + 1, sizeof(IdMapping));
        if (!grown)
                return -ENOMEM;
        m->list = grown;
        m->list[m->n++] = *mapping;
        return 0;
}

uint32_t id_mappings_to_host(const IdMappings *m, uint32_t container_id) {
        for (size_t i = 0; i < m->n; i++)
                if (container_id >= m->list[i].container &&
                    container_id - m->list[i].container < m->list[i].size)
                        return m->list[i].host + (container_id - m->list[i].container);
        return UINT32_MAX;
}

bool id_mappings_have(const IdMappings *m, uint32_t container_id) {
        return id_mappings_to_host(m, container_id) != UINT32_MAX;
}

static int mappings_copy(const IdMappings *from, IdMappings *to) {
        if (from->n == 0)
                return 0;
        to->list = calloc(from->n, sizeof(IdMapping));
        if (!to->list)
                return -ENOMEM;
        memcpy(to->list, from->list, from->n * sizeof(IdMapping));
        to->n = from->n;
        return 0;
}

/* As it is written into /proc/PID/uid_map. */
static bool is_too_long(const IdMappings *m) {
        size_t size = 0;

        for (size_t i = 0; i < m->n; i++)
                size += (size_t) snprintf(NULL, 0, "%u %u %u\n", m->list[i].container,
                                          m->list[i].host, m->list[i].size);
        return size > MAP_TEXT_MAX;
}

static int check_map(const char *option, const IdMappings *m, Error *e) {
        if (!id_mappings_have(m, 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option %s: id 0 of the container is not mapped, to which its "
                                  "image belongs",
                                  option);
        if (is_too_long(m))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option %s: %zu mappings with such numbers are more than the "
                                  "kernel takes, %u characters",
                                  option, m->n, MAP_TEXT_MAX);
        return 0;
}

int user_namespace_check(UserNamespace *u, Error *e) {
        int r;

        if (u->size > 0 && u->mode != USER_NAMESPACE_AUTO)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option UserNamespaceSize: only an automatic user namespace "
                                  "has a size");
        if (u->size > ID_RANGE_SIZE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option UserNamespaceSize: %u is more than %u", u->size,
                                  ID_RANGE_SIZE_MAX);
        if (u->mode != USER_NAMESPACE_MAPPED) {
                if (u->uids.n == 0 && u->gids.n == 0)
                        return 0;
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option %s: the user namespace is \"%s\" and not \"mapped\"",
                                  u->uids.n > 0 ? "UIDMappings" : "GIDMappings",
                                  mode_names[u->mode]);
        }
        if (u->uids.n == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Option UIDMappings: a mapped user namespace needs them");
        if (u->gids.n == 0 && mappings_copy(&u->uids, &u->gids) < 0)
                return -ENOMEM;
        r = check_map("UIDMappings", &u->uids, e);
        return r == 0 ? check_map("GIDMappings", &u->gids, e) : r;
}

static int add_used(IdRanges *used, const IdMappings *m) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < m->n; i++)
                r = id_ranges_add(used, m->list[i].host, m->list[i].size);
        return r;
}

typedef struct Used {
        IdRanges *ranges;
        Error *e;
} Used;

static int add_container(Object *o, void *userdata) {
        const UserNamespace *u = &CONTAINER(o)->user_namespace;
        const Used *used = userdata;
        int r;

        if (u->mode != USER_NAMESPACE_HOST && u->uids.n == 0)
                return error_setf(used->e, CTR_FAILED_PRECONDITION,
                                  "Which ids the container \"%s\" of namespace \"%s\" has is not "
                                  "known, as its record is damaged: delete it first",
                                  o->name, o->namespace);
        r = add_used(used->ranges, &u->uids);
        return r < 0 ? r : add_used(used->ranges, &u->gids);
}

static int choose(Manager *m, uint32_t size, const char *namespace, const char *id, uint32_t *ret,
                  Error *e) {
        _cleanup_(id_pool_clear) IdPool pool = {};
        int r;

        r = id_pool_load(&(IdPoolSource){.user = m->subid_user, .etc_dir = m->etc_dir}, &pool, e);
        if (r == 0)
                r = object_foreach(m, OBJECT_CONTAINER, NULL, add_container,
                                   &(Used){&pool.used, e});
        if (r != 0)
                return r;
        if (id_pool_choose(&pool, size, namespace, id, ret))
                return 0;
        return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                          "No %u ids in a row are free for a user namespace, of %s", size,
                          pool.description);
}

int user_namespace_make(Manager *m, const UserNamespace *wanted, const char *namespace,
                        const char *id, UserNamespace *ret, Error *e) {
        _cleanup_(user_namespace_clear) UserNamespace u = {.mode = wanted->mode};
        IdMapping range = {.size = wanted->size > 0 ? wanted->size : USER_NAMESPACE_SIZE};
        int r;

        if (wanted->mode == USER_NAMESPACE_AUTO) {
                r = choose(m, range.size, namespace, id, &range.host, e);
                if (r == 0)
                        r = id_mappings_add(&u.uids, &range, e);
                if (r == 0)
                        r = id_mappings_add(&u.gids, &range, e);
        } else {
                r = mappings_copy(&wanted->uids, &u.uids);
                if (r == 0)
                        r = mappings_copy(&wanted->gids, &u.gids);
        }
        if (r != 0)
                return r;
        *ret = u;
        u = (UserNamespace){};
        return 0;
}

json_t *id_mappings_to_spec(const IdMappings *m) {
        json_t *array = json_array();

        for (size_t i = 0; array && i < m->n; i++) {
                const IdMapping *a = &m->list[i];

                if (json_array_append_new(array, json_pack("{sI sI sI}", "containerID",
                                                           (json_int_t) a->container, "hostID",
                                                           (json_int_t) a->host, "size",
                                                           (json_int_t) a->size)) < 0) {
                        json_decref(array);
                        return NULL;
                }
        }
        return array;
}

json_t *user_namespace_to_json(const UserNamespace *u) {
        if (u->mode == USER_NAMESPACE_HOST)
                return json_object();
        return json_pack("{ss so so}", "mode", mode_names[u->mode], "uids",
                         id_mappings_to_spec(&u->uids), "gids", id_mappings_to_spec(&u->gids));
}

static int read_mappings(json_t *o, const char *key, IdMappings *ret, Error *e) {
        static const char *const names[] = {"containerID", "hostID", "size"};
        json_t *array = NULL, *item;
        size_t i;
        int r;

        r = json_get_array(o, "", key, ID_MAPPINGS_MAX, &array, e);
        if (r < 0)
                return r;
        json_array_foreach(array, i, item) {
                uint64_t n[ELEMENTSOF(names)] = {};

                for (size_t k = 0; k < ELEMENTSOF(names); k++) {
                        r = json_get_uint64(item, key, names[k], UINT32_MAX, &n[k], e);
                        if (r < 0)
                                return r;
                }
                r = id_mappings_add(ret,
                                    &(IdMapping){.container = (uint32_t) n[0],
                                                 .host = (uint32_t) n[1],
                                                 .size = (uint32_t) n[2]},
                                    e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int check_maps(const UserNamespace *u, Error *e) {
        if ((u->uids.n > 0) != (u->mode != USER_NAMESPACE_HOST) ||
            (u->gids.n > 0) != (u->mode != USER_NAMESPACE_HOST))
                return error_setf(e, -EBADMSG, "mode: \"%s\" with maps of %zu and %zu entries",
                                  mode_names[u->mode], u->uids.n, u->gids.n);
        return 0;
}

int user_namespace_from_json(json_t *o, UserNamespace *ret, Error *e) {
        _cleanup_(user_namespace_clear) UserNamespace u = {};
        const char *name = mode_names[USER_NAMESPACE_HOST];
        int r;

        if (!json_is_object(o))
                return error_setf(e, -EBADMSG, "expected an object");
        r = json_get_string(o, "", "mode", &name, e);
        if (r < 0)
                return r;
        while (u.mode < _USER_NAMESPACE_MODE_MAX && !streq(mode_names[u.mode], name))
                u.mode++;
        if (u.mode == _USER_NAMESPACE_MODE_MAX)
                return error_setf(e, -EBADMSG, "mode: \"%.64s\" is none", name);
        r = read_mappings(o, "uids", &u.uids, e);
        if (r == 0)
                r = read_mappings(o, "gids", &u.gids, e);
        if (r == 0)
                r = check_maps(&u, e);
        if (r != 0)
                return r;
        *ret = u;
        u = (UserNamespace){};
        return 0;
}

int user_namespace_from_spec(json_t *spec, UserNamespace *ret, Error *e) {
        _cleanup_(user_namespace_clear) UserNamespace u = {};
        json_t *o = NULL;
        int r;

        r = json_get_object(spec, "", "linux", &o, e);
        if (r < 0)
                return r;
        if (r == 1) {
                r = read_mappings(o, "uidMappings", &u.uids, e);
                if (r == 0)
                        r = read_mappings(o, "gidMappings", &u.gids, e);
                if (r != 0)
                        return r;
        }
        u.mode = u.uids.n > 0 || u.gids.n > 0 ? USER_NAMESPACE_MAPPED : USER_NAMESPACE_HOST;
        r = check_maps(&u, e);
        if (r != 0)
                return r;
        *ret = u;
        u = (UserNamespace){};
        return 0;
}
