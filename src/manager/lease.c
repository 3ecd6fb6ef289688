/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/lease-internal.h"

#include <inttypes.h>
#include <sys/random.h>

#include "basic/clock.h"
#include "basic/identifier.h"
#include "basic/json.h"
#include "basic/log.h"
#include "image/digest.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

#define KEY_MAX             4096U
#define SNAPSHOTTER_DEFAULT "overlayfs"

struct Leases {
        Manager *manager;
        sd_event_source *source;
        bool forsaken; /* one that should have ended is still there */
};

static int on_expiry(sd_event_source *source, uint64_t usec, void *userdata) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (leases_expire(userdata, &e) != 0)
                log_error("Failed to remove expired leases: %s", error_text(&e));
        return 0;
}

int leases_new(Manager *m, Leases **ret) {
        _cleanup_(leases_freep) Leases *l = NULL;
        int r;

        l = calloc(1, sizeof(Leases));
        if (!l)
                return -ENOMEM;
        l->manager = m;
        r = sd_event_add_time(m->event, &l->source, CLOCK_REALTIME, UINT64_MAX, USEC_PER_SEC,
                              on_expiry, l);
        if (r >= 0)
                r = sd_event_source_set_enabled(l->source, SD_EVENT_OFF);
        if (r < 0)
                return r;
        *ret = TAKE_PTR(l);
        return 0;
}

Leases *leases_free(Leases *l) {
        if (!l)
                return NULL;
        sd_event_source_disable_unref(l->source);
        free(l);
        return NULL;
}

int leases_schedule(Leases *l, Error *e) {
        uint64_t next = 0;
        int r;

        r = db_lease_next_expiry(l->manager->db, &next, e);
        if (r != 0)
                return r;
        r = next > 0 ? sd_event_source_set_time(l->source, next) : 0;
        if (r >= 0)
                r = sd_event_source_set_enabled(l->source,
                                                next > 0 ? SD_EVENT_ONESHOT : SD_EVENT_OFF);
        return r < 0 ? error_setf(e, r, "Failed to wait for a lease to expire: %m") : 0;
}

void leases_forsake(Leases *l) {
        l->forsaken = true;
}

int leases_end_forsaken(Leases *l, Error *e) {
        int r;

        if (!l->forsaken)
                return 0;
        r = leases_recover(l->manager, e);
        l->forsaken = r != 0;
        return r;
}

int lease_end(Manager *m, const char *namespace, const char *id, Error *e) {
        _cleanup_json_ json_t *resources = NULL;
        json_t *resource;
        size_t i;
        int r;

        r = db_lease_resources(m->db, namespace, id, &resources, e);
        if (r == 0)
                r = db_lease_delete(m->db, namespace, id, e);
        if (r != 0)
                return r;
        json_array_foreach(resources, i, resource) {
                const char *type = json_string_value(json_object_get(resource, "type"));
                const char *key = json_string_value(json_object_get(resource, "key"));

                if (streq_ptr(type, "content"))
                        r = sweeper_remove_blob(m->sweeper, key);
                if (r < 0)
                        return r;
        }
        return 0;
}

int leases_expire(Leases *l, Error *e) {
        _cleanup_json_ json_t *expired = NULL;
        Manager *m = l->manager;
        json_t *lease;
        size_t i;
        int r;

        r = db_lease_list(m->db, NULL, now_realtime(), &expired, e);
        if (r != 0)
                return r;
        json_array_foreach(expired, i, lease) {
                const char *namespace = json_string_value(json_object_get(lease, "namespace"));
                const char *id = json_string_value(json_object_get(lease, "id"));

                log_info("The lease %s of namespace %s has expired", id, namespace);
                r = lease_end(m, namespace, id, e);
                if (r != 0)
                        return r;
        }
        r = json_array_size(expired) > 0 ? sweeper_collect(m->sweeper, NULL, NULL, e) : 0;
        return r != 0 ? r : leases_schedule(l, e);
}

int lease_random_id(char **ret) {
        uint64_t bits[2];

        if (getrandom(bits, sizeof(bits), 0) != sizeof(bits))
                return -EIO;
        return asprintf(ret, "lease-%016" PRIx64 "%016" PRIx64, bits[0], bits[1]) < 0 ? -ENOMEM : 0;
}

/* The label, where no time was given. */
static int expiry_of(Manager *m, json_t *labels, uint64_t given, uint64_t *ret, Error *e) {
        const char *label = json_string_value(json_object_get(labels, LEASE_LABEL_EXPIRE));
        int r;

        if (given > INT64_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The lease expires too late");
        *ret = given;
        if (given != 0 || !label)
                return 0;
        r = db_parse_time(m->db, label, ret, e);
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The label " LEASE_LABEL_EXPIRE " is no time: \"%.64s\"", label);
        return r == 1 ? 0 : r;
}

static int insert(Manager *m, const char *namespace, const char *id, json_t *labels,
                  uint64_t expires_at, Error *e) {
        _cleanup_rollback_ Database *transaction = NULL;
        int r;

        r = db_begin(m->db, e);
        if (r != 0)
                return r;
        transaction = m->db;
        r = db_namespace_ensure(m->db, namespace, e);
        if (r == 0)
                r = db_lease_create(m->db, namespace, id, labels, expires_at, e);
        if (r == 0)
                r = db_commit(m->db, e);
        if (r == 0)
                transaction = NULL;
        return r;
}

int lease_create(Manager *m, const char *namespace, const char *id, json_t *labels,
                 uint64_t expires_at, char **ret_id, Error *e) {
        _cleanup_json_ json_t *none = json_object();
        _cleanup_free_ char *name = NULL;
        int r;

        if (!none)
                return -ENOMEM;
        r = namespace_validate(namespace, e);
        if (r != 0)
                return r;
        if (isempty(id))
                r = lease_random_id(&name);
        else {
                r = identifier_validate(id, "lease id", e);
                if (r == 0)
                        name = strdup(id);
        }
        if (r != 0)
                return r;
        if (!name)
                return -ENOMEM;
        labels = labels ?: none;
        r = expiry_of(m, labels, expires_at, &expires_at, e);
        if (r == 0)
                r = insert(m, namespace, name, labels, expires_at, e);
        if (r == 0)
                r = leases_schedule(m->leases, e);
        if (r != 0)
                return r;
        *ret_id = TAKE_PTR(name);
        return 0;
}

int lease_check(Manager *m, const char *namespace, const char *id, Error *e) {
        int r;

        r = db_lease_exists(m->db, namespace, id, e);
        if (r == 0)
                return error_setf(e, CTR_NOT_FOUND,
                                  "There is no lease \"%.256s\" in namespace \"%s\"", id,
                                  namespace);
        return r == 1 ? 0 : r;
}

int lease_delete(Manager *m, const char *namespace, const char *id, Callback callback,
                 void *userdata, Error *e) {
        int r;

        r = lease_check(m, namespace, id, e);
        if (r == 0)
                r = lease_end(m, namespace, id, e);
        if (r == 0)
                r = leases_schedule(m->leases, e);
        return r != 0 ? r : sweeper_collect(m->sweeper, callback, userdata, e);
}

/* *ret_type is constant or owned by *buffer, *ret_key by *buffer or the caller. */
static int resource_check(const char **type, const char **key, char **buffer, Error *e) {
        Digest d;

        if (strlen(*key) > KEY_MAX || isempty(*key))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The key of a resource has 1 to %u bytes", KEY_MAX);
        if (streq(*type, "content") || streq(*type, "ingests"))
                return digest_parse(*key, &d, e);
        if (streq(*type, "images")) {
                int r = reference_normalize(*key, buffer, e);

                *key = *buffer;
                return r;
        }
        if (streq(*type, "snapshots"))
                *type = "snapshots/" SNAPSHOTTER_DEFAULT;
        if (startswith(*type, "snapshots/") && identifier_is_valid(*type + STRLEN("snapshots/")))
                return 0;
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "\"%.64s\" is no type of resource: content, images, ingests, snapshots "
                          "or snapshots/SNAPSHOTTER",
                          *type);
}

int lease_add(Manager *m, const char *namespace, const char *id, const char *type, const char *key,
              Error *e) {
        _cleanup_free_ char *buffer = NULL;
        int r;

        r = resource_check(&type, &key, &buffer, e);
        if (r == 0)
                r = lease_check(m, namespace, id, e);
        return r != 0 ? r : db_lease_add(m->db, namespace, id, type, key, e);
}

int lease_add_snapshot(Manager *m, const char *namespace, const char *id, const char *snapshotter,
                       const char *key, Error *e) {
        _cleanup_free_ char *type = NULL;

        if (asprintf(&type, "snapshots/%s", snapshotter) < 0)
                return -ENOMEM;
        return lease_add(m, namespace, id, type, key, e);
}

int lease_rename_snapshot(Manager *m, const char *namespace, const char *id,
                          const char *snapshotter, const char *from, const char *to, Error *e) {
        _cleanup_free_ char *type = NULL;
        int r;

        r = lease_add_snapshot(m, namespace, id, snapshotter, to, e);
        if (r != 0)
                return r;
        if (asprintf(&type, "snapshots/%s", snapshotter) < 0)
                return -ENOMEM;
        r = db_lease_remove(m->db, namespace, id, type, from, NULL);
        /* it may be held by another lease, or by none */
        return r == CTR_NOT_FOUND ? 0 : r;
}

int lease_remove(Manager *m, const char *namespace, const char *id, const char *type,
                 const char *key, Error *e) {
        _cleanup_free_ char *buffer = NULL;
        int r;

        r = resource_check(&type, &key, &buffer, e);
        if (r == 0)
                r = lease_check(m, namespace, id, e);
        if (r == 0)
                r = db_lease_remove(m->db, namespace, id, type, key, e);
        if (r == 0 && streq(type, "content"))
                r = sweeper_remove_blob(m->sweeper, key);
        return r != 0 ? r : sweeper_collect(m->sweeper, NULL, NULL, e);
}

int lease_add_image(Manager *m, const char *namespace, const char *id, const char *image,
                    Error *e) {
        int r;

        r = lease_check(m, namespace, id, e);
        return r != 0 ? r : db_lease_add_image(m->db, namespace, id, image, e);
}

int lease_list(Manager *m, const char *namespace, json_t **ret, Error *e) {
        return db_lease_list(m->db, namespace, 0, ret, e);
}

int lease_resources(Manager *m, const char *namespace, const char *id, json_t **ret, Error *e) {
        int r;

        r = lease_check(m, namespace, id, e);
        return r != 0 ? r : db_lease_resources(m->db, namespace, id, ret, e);
}
