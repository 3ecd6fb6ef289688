/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/spec.h"

static int parse_number(json_t *item, const char *path, const char *key, uint32_t *ret, Error *e) {
        uint64_t value;
        int r;

        r = json_get_uint64(item, path, key, UINT32_MAX, &value, e);
        if (r < 0)
                return r;
        if (r == 0)
                return spec_missing(e, path, key);
        *ret = (uint32_t) value;
        return 0;
}

static int parse_mapping(SpecIdMapping *m, json_t *item, const char *path, Error *e) {
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = parse_number(item, path, "containerID", &m->container_id, e);
        if (r == 0)
                r = parse_number(item, path, "hostID", &m->host_id, e);
        if (r == 0)
                r = parse_number(item, path, "size", &m->size, e);
        if (r != 0)
                return r;
        /* 2^32 - 1 is no id */
        if (m->size == 0 || m->size > UINT32_MAX - m->container_id ||
            m->size > UINT32_MAX - m->host_id)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.size: out of range", path);
        return 0;
}

static bool overlap(uint32_t a, uint32_t a_size, uint32_t b, uint32_t b_size) {
        return a < b ? b - a < a_size : a - b < b_size;
}

static int check_overlap(const SpecIdMappings *l, const char *path, Error *e) {
        for (size_t i = 0; i < l->n; i++)
                for (size_t k = 0; k < i; k++) {
                        const SpecIdMapping *a = &l->list[i], *b = &l->list[k];

                        if (overlap(a->container_id, a->size, b->container_id, b->size) ||
                            overlap(a->host_id, a->size, b->host_id, b->size))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s[%zu]: overlaps with entry %zu", path, i, k);
                }
        return 0;
}

int spec_parse_id_mappings(SpecIdMappings *l, json_t *o, const char *path, const char *key,
                           Error *e) {
        char list_path[SPEC_PATH_SIZE], item_path[SPEC_PATH_SIZE];
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(o, path, key, SPEC_ID_MAPPINGS_MAX, &array, e);
        if (r <= 0 || json_array_size(array) == 0)
                return MIN_OF(r, 0);
        l->list = calloc(json_array_size(array), sizeof(SpecIdMapping));
        if (!l->list)
                return -ENOMEM;
        (void) snprintf(list_path, sizeof(list_path), "%s.%s", path, key);
        json_array_foreach(array, i, item) {
                r = parse_mapping(&l->list[i], item, spec_path_index(item_path, list_path, i), e);
                if (r != 0)
                        return r;
                l->n = i + 1;
        }
        return check_overlap(l, list_path, e);
}

void spec_id_mappings_clear(SpecIdMappings *l) {
        free(l->list);
        *l = (SpecIdMappings){};
}
