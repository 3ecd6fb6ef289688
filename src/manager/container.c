/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container.h"

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/restart.h"
#include "manager/spec.h"
#include "manager/task.h"
#include "manager/version.h"

void container_request_done(ContainerRequest *r) {
        if (!r)
                return;
        free(r->namespace);
        free(r->id);
        free(r->image);
        free(r->runtime);
        free(r->snapshotter);
        free(r->snapshot_id);
        free(r->lease);
        json_decref(r->labels);
        strv_free(r->command);
        strv_free(r->entrypoint);
        strv_free(r->arguments);
        strv_free(r->environment);
        free(r->working_directory);
        free(r->user);
        free(r->hostname);
        strv_free(r->dns);
        strv_free(r->dns_search);
        strv_free(r->dns_options);
        strv_free(r->extra_hosts);
        free(r->restart_policy);
        for (size_t i = 0; i < r->n_mounts; i++) {
                free(r->mounts[i].source);
                free(r->mounts[i].destination);
                free(r->mounts[i].type);
                free(r->mounts[i].options);
        }
        free(r->mounts);
        strv_free(r->capabilities_add);
        strv_free(r->capabilities_drop);
        for (size_t i = 0; i < r->n_devices; i++) {
                free(r->devices[i].path);
                free(r->devices[i].access);
        }
        free(r->devices);
        for (size_t i = 0; i < r->n_rlimits; i++)
                free(r->rlimits[i].name);
        free(r->rlimits);
        for (size_t i = 0; i < r->n_secrets; i++) {
                free(r->secrets[i].name);
                free(r->secrets[i].target);
        }
        free(r->secrets);
        json_decref(r->resources);
        free(r->blockio_class);
        free(r->rdt_class);
        user_namespace_clear(&r->user_namespace);
        *r = (ContainerRequest){};
}

Container *container_free(Container *c) {
        if (!c)
                return NULL;
        assert(!c->task);
        version_operation_free(c->version_operation);
        free(c->operation);
        object_done(&c->object);
        free(c->image);
        free(c->runtime);
        free(c->snapshotter);
        free(c->snapshot_key);
        json_decref(c->labels);
        json_decref(c->resources);
        user_namespace_clear(&c->user_namespace);
        restart_free(c->restart);
        free(c);
        return NULL;
}

int container_find(Manager *m, const char *namespace, const char *id, Container **ret, Error *e) {
        Object *o;
        int r;

        assert(m && namespace && id && ret);

        r = identifier_validate(id, "container id", e);
        if (r != 0)
                return r;
        o = object_find(m, OBJECT_CONTAINER, namespace, id);
        if (!o)
                return error_setf(e, CTR_NOT_FOUND,
                                  "There is no container \"%s\" in namespace \"%s\"", id,
                                  namespace);
        *ret = CONTAINER(o);
        return 0;
}

int container_set_labels(Container *c, json_t *labels, Error *e) {
        uint64_t now = now_realtime();
        _cleanup_json_ json_t *before = NULL;
        Manager *m = c->object.manager;
        int r;

        r = restart_labels_check(labels, e);
        if (r == 0)
                r = restarts_prepare(m, labels, e);
        if (r == 0)
                r = db_container_set_labels(m->db, c, labels, now, e);
        if (r != 0)
                return r;
        before = c->labels;
        c->labels = labels;
        c->updated_at = now;
        object_mark_dirty(&c->object);
        restart_labels_changed(c, before);
        return 0;
}

int container_set_resources(Container *c, json_t *resources, Error *e) {
        _cleanup_free_ char *old = NULL, *new = NULL;
        _cleanup_json_ json_t *document = NULL;
        uint64_t now = now_realtime();
        int r;

        r = container_read_spec(c, &old, e);
        if (r == 0)
                r = json_parse(old, strlen(old), "config.json", &document, e);
        if (r == 0)
                r = spec_set_resources(document, resources);
        if (r == 0)
                r = json_to_text(document, &new);
        if (r == 0)
                r = db_container_set_resources(c->object.manager->db, c, resources, new, now, e);
        if (r != 0)
                return r;
        json_decref(c->resources);
        c->resources = json_incref(resources);
        c->updated_at = now;
        object_mark_dirty(&c->object);
        return 0;
}

int container_read_spec(Container *c, char **ret, Error *e) {
        return db_container_read_spec(c->object.manager->db, c, ret, e);
}

bool container_matches_labels(const Container *c, json_t *labels) {
        const char *key;
        json_t *value;

        json_object_foreach(labels, key, value) {
                const char *have = json_string_value(json_object_get(c->labels, key));
                const char *want = strempty(json_string_value(value));

                if (!have || (*want && !streq(have, want)))
                        return false;
        }
        return true;
}
