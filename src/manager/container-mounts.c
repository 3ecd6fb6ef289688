/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container-mounts.h"

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "manager/container-mount-options.h"
#include "manager/container-mount-overlay.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"
#include "manager/volume.h"
#include "snapshot/overlayfs.h"
#include "snapshot/snapshotter.h"

#define IMAGE_VOLUMES_MAX 64U
#define VOLUME_OPTIONS    "rbind,nosuid,nodev" /* podman's; "suid" and "dev" take them back */

static void mount_done(ContainerMount *m) {
        free(m->source);
        free(m->destination);
        free(m->type);
        free(m->options);
}

static int volumes_fd(const MountPlan *p) {
        return snapshotter_directory(p->manager, VOLUME_SNAPSHOTTER);
}

static void discard_tree(MountPlan *p, const char *tree) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (faccessat(volumes_fd(p), tree, F_OK, AT_SYMLINK_NOFOLLOW) < 0)
                return;
        if (overlayfs_discard(volumes_fd(p), tree, &e) != 0)
                log_warning("%s", error_text(&e));
        (void) sweeper_sweep(p->manager->sweeper);
}

static void undo(MountPlan *p, PlannedMount *i) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (i->exchanged &&
            overlayfs_exchange(volumes_fd(p), (uint64_t) i->snapshot, i->tree, &e) != 0)
                log_warning("%s", error_text(&e));
        if (i->made)
                (void) sweeper_doom(p->manager->sweeper, i->snapshot, NULL);
}

MountPlan *mount_plan_free(MountPlan *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n; i++) {
                PlannedMount *item = p->items + i;

                undo(p, item);
                if (item->tree)
                        discard_tree(p, item->tree);
                free(item->tree);
                mount_done(&item->own);
                if (p->mounts)
                        mount_done(p->mounts + i);
        }
        free(p->items);
        free(p->mounts);
        free(p);
        return NULL;
}

/* May its content come from the image? Not where that is there already and used, or has some. */
static int volume_begins(Manager *m, const char *namespace, PlannedMount *item, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        const ContainerMount *mount = item->mount;
        int r;

        item->copy_up = !mount_options_have(mount->options, MOUNT_NO_COPY);
        if (isempty(mount->source))
                return 0;
        r = volume_name_validate(mount->source, e);
        if (r != 0)
                return r;
        r = db_volume_find(m->db, namespace, mount->source, &s, e);
        if (r != 1 || !item->copy_up)
                return r == 1 ? 0 : r;
        return volume_is_fresh(m, s, &item->copy_up, e);
}

static int image_to_mount(Manager *m, const char *namespace, const char *reference, Image **ret,
                          Error *e) {
        Image *image;
        int r;

        r = image_find(m, namespace, reference, &image, e);
        if (r != 0)
                return r;
        if (!image->unpacked || image->snapshot == 0)
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "The image \"%s\" has no layers that are unpacked",
                                  image->object.name);
        *ret = image;
        return 0;
}

static int plan_image(MountPlan *p, const ContainerRequest *request, PlannedMount *item, Error *e) {
        Image *ignored;
        int r;

        item->kind = MOUNT_IMAGE;
        if (request->user_namespace.mode != USER_NAMESPACE_HOST)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "An image cannot be mounted in a container with ids of its own");
        r = mount_options_check_image(item->mount, e);
        if (r != 0)
                return r;
        return image_to_mount(p->manager, request->namespace, item->mount->source, &ignored, e);
}

static int plan_one(MountPlan *p, const ContainerRequest *request, PlannedMount *item, Error *e) {
        if (mount_options_have(item->mount->options, MOUNT_OVERLAY_OPTION)) {
                item->kind = MOUNT_OVERLAY;
                return mount_overlay_check(item->mount, e);
        }
        if (streq(item->mount->type, "image"))
                return plan_image(p, request, item, e);
        if (!streq(item->mount->type, "volume"))
                return 0;
        item->kind = MOUNT_VOLUME;
        p->durable = true;
        return volume_begins(p->manager, request->namespace, item, e);
}

static bool is_same_path(const char *a, const char *b) {
        return path_is_below(a, b) && path_is_below(b, a);
}

/* Where the runtime mounts what no program could do without. */
static int check_image_path(const char *path, Error *e) {
        static const char *const taken[] = {"/proc", "/sys", "/dev"};
        bool bad = path[0] != '/' || path_is_below("/", path);

        for (size_t i = 0; !bad && i < ELEMENTSOF(taken); i++)
                bad = path_is_below(path, taken[i]);
        return bad ? error_setf(e, CTR_FAILED_PRECONDITION,
                                "The image declares a volume at \"%.200s\", where none can be",
                                path)
                   : 0;
}

/* Before what the request mounts below it, and after everything else. */
static int add_image_volume(MountPlan *p, const char *path, Error *e) {
        PlannedMount *item;
        size_t at = p->n;

        for (size_t i = 0; i < p->n; i++) {
                const char *destination = p->items[i].mount->destination;

                if (is_same_path(destination, path))
                        return 0;
                if (at == p->n && path_is_below(destination, path))
                        at = i;
        }
        memmove(p->items + at + 1, p->items + at, (p->n - at) * sizeof(PlannedMount));
        item = p->items + at;
        *item = (PlannedMount){.kind = MOUNT_VOLUME, .copy_up = true};
        p->n++;
        item->own.source = strdup("");
        item->own.destination = strdup(path);
        item->own.type = strdup("volume");
        item->own.options = strdup("");
        for (size_t i = 0; i < p->n; i++)
                if (p->items[i].own.destination)
                        p->items[i].mount = &p->items[i].own; /* it was moved */
        p->durable = true;
        return item->own.source && item->own.destination && item->own.type && item->own.options
                               ? check_image_path(path, e)
                               : -ENOMEM;
}

int mount_plan_new(Manager *m, const ContainerRequest *request, Image *image, MountPlan **ret,
                   Error *e) {
        _cleanup_(mount_plan_freep) MountPlan *p = NULL;
        char *const *paths = NULL;
        int r = 0;

        if (!request->no_image_volumes)
                r = image_volumes(image, &paths, e);
        if (r != 0)
                return r;
        if (strv_length(paths) > IMAGE_VOLUMES_MAX)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The image declares %zu volumes, more than %u",
                                  strv_length(paths), IMAGE_VOLUMES_MAX);
        p = calloc(1, sizeof(MountPlan));
        if (!p)
                return -ENOMEM;
        p->manager = m;
        p->items = calloc(request->n_mounts + strv_length(paths) + 1, sizeof(PlannedMount));
        if (!p->items)
                return -ENOMEM;
        for (; p->n < request->n_mounts; p->n++)
                p->items[p->n].mount = request->mounts + p->n;
        for (size_t i = 0; r == 0 && i < p->n; i++)
                r = plan_one(p, request, p->items + i, e);
        STRV_FOREACH(path, paths)
                if (r == 0)
                        r = add_image_volume(p, *path, e);
        /* one upon a snapshot that is there may have an image without layers */
        for (size_t i = 0; image->snapshot == 0 && i < p->n; i++)
                p->items[i].copy_up = false;
        if (r == 0)
                *ret = TAKE_PTR(p);
        return r;
}

bool mount_plan_needs_copy(const MountPlan *p) {
        for (size_t i = 0; i < p->n; i++)
                if (p->items[i].copy_up)
                        return true;
        return false;
}

static int fill(ContainerMount *to, const char *destination, const char *type, char *source,
                const char *options, const char *more) {
        to->source = source;
        to->destination = strdup(destination);
        to->type = strdup(type);
        if (asprintf(&to->options, "%s%s%s", options, *options && !isempty(more) ? "," : "",
                     strempty(more)) < 0)
                to->options = NULL;
        return to->source && to->destination && to->type && to->options ? 0 : -ENOMEM;
}

/* The volume of the name, which may have been made since the plan was. */
static int take_volume(MountPlan *p, const char *namespace, PlannedMount *item, Error *e) {
        _cleanup_(snapshot_freep) Snapshot *s = NULL;
        Manager *m = p->manager;
        bool fresh = false;
        int r = 0;

        if (!isempty(item->mount->source))
                r = db_volume_find(m->db, namespace, item->mount->source, &s, e);
        if (r != 0 && r != 1)
                return r;
        if (r == 0) {
                r = volume_insert(m, namespace, item->mount->source, NULL, item->tree,
                                  &item->snapshot, e);
                item->made = item->snapshot > 0;
                return r;
        }
        item->snapshot = s->id;
        if (!item->tree)
                return snapshot_directory_check(m, VOLUME_SNAPSHOTTER, s->id, e);
        r = volume_is_fresh(m, s, &fresh, e);
        if (r == 0 && fresh) {
                r = overlayfs_exchange(volumes_fd(p), (uint64_t) s->id, item->tree, e);
                item->exchanged = r == 0;
        }
        return r;
}

/* On the disk it has the ids that it has inside, as a root has. */
static int fill_volume(MountPlan *p, const Container *c, const PlannedMount *item,
                       ContainerMount *to) {
        bool mapped = c->user_namespace.mode != USER_NAMESPACE_HOST;
        _cleanup_free_ char *options = NULL;
        int r;

        r = mount_options_for_runtime(item->mount->options, &options);
        return r < 0 ? r
                     : fill(to, item->mount->destination, "bind",
                            volume_path(p->manager, item->snapshot),
                            mapped ? VOLUME_OPTIONS ",idmap" : VOLUME_OPTIONS, options);
}

/* A view of the image's top layer, so that it stays as long as the container does. */
static int take_image(MountPlan *p, const Container *c, PlannedMount *item, char **ret_key,
                      Error *e) {
        Manager *m = p->manager;
        const char *snapshotter;
        Image *image;
        int r;

        r = image_to_mount(m, c->object.namespace, item->mount->source, &image, e);
        if (r == 0)
                r = snapshotter_choose(m, c->object.namespace, SNAPSHOTTER_LAYERS, &snapshotter, e);
        if (r == 0)
                r = snapshot_check_parent(m, snapshotter, image->snapshot, e);
        if (r != 0)
                return r;
        if (asprintf(ret_key, "image/%s/%zu", c->object.name, (size_t) (item - p->items)) < 0)
                return -ENOMEM;
        r = db_snapshot_insert(m->db,
                               &(Snapshot){
                                               .kind = SNAPSHOT_VIEW,
                                               .snapshotter = (char *) snapshotter,
                                               .namespace = c->object.namespace,
                                               .key = *ret_key,
                                               .parent_id = image->snapshot,
                               },
                               &item->snapshot, e);
        if (r != 0)
                return r;
        item->made = true;
        return snapshot_directory_make(m, snapshotter, item->snapshot, image->snapshot, NULL, e);
}

static int fill_image(MountPlan *p, const Container *c, PlannedMount *item, ContainerMount *to,
                      Error *e) {
        const SnapshotPlace place = {c->object.namespace, SNAPSHOTTER_LAYERS};
        _cleanup_free_ char *key = NULL, *options = NULL;
        SnapshotMount *mounts = NULL;
        size_t n = 0;
        int r;

        r = take_image(p, c, item, &key, e);
        if (r == 0)
                r = snapshot_mounts(p->manager, &place, key, &mounts, &n, e);
        if (r != 0)
                return r;
        STRV_FOREACH(o, mounts->options) {
                _cleanup_free_ char *before = TAKE_PTR(options);

                if (r == 0 &&
                    asprintf(&options, "%s%s%s", strempty(before), before ? "," : "", *o) < 0) {
                        options = NULL;
                        r = -ENOMEM;
                }
        }
        if (r == 0)
                r = fill(to, item->mount->destination, mounts->type, TAKE_PTR(mounts->source),
                         strempty(options), item->mount->options);
        snapshot_mounts_free(mounts, n);
        return r;
}

static int fill_overlay(MountPlan *p, const Container *c, PlannedMount *item, ContainerMount *to,
                        Error *e) {
        _cleanup_free_ char *key = NULL;
        int r;

        if (asprintf(&key, "overlay/%s/%zu", c->object.name, (size_t) (item - p->items)) < 0) {
                key = NULL;
                return -ENOMEM;
        }
        r = mount_overlay_take(c, item->mount, key, &item->snapshot, e);
        item->made = item->snapshot > 0;
        return r != 0 ? r : mount_overlay_fill(c, item->mount, item->snapshot, to);
}

int mount_plan_take(MountPlan *p, const Container *c, Error *e) {
        int r = 0;

        p->mounts = calloc(p->n + 1, sizeof(ContainerMount));
        if (!p->mounts)
                return -ENOMEM;
        for (size_t i = 0; r == 0 && i < p->n; i++) {
                PlannedMount *item = p->items + i;
                const ContainerMount *mount = item->mount;

                switch (item->kind) {
                case MOUNT_VOLUME:
                        r = take_volume(p, c->object.namespace, item, e);
                        if (r == 0)
                                r = fill_volume(p, c, item, p->mounts + i);
                        break;
                case MOUNT_IMAGE:
                        r = fill_image(p, c, item, p->mounts + i, e);
                        break;
                case MOUNT_OVERLAY:
                        r = fill_overlay(p, c, item, p->mounts + i, e);
                        break;
                case MOUNT_PLAIN:
                        r = fill(p->mounts + i, mount->destination, mount->type,
                                 strdup(strempty(mount->source)), strempty(mount->options), NULL);
                        break;
                }
        }
        return r;
}

int mount_plan_hold(MountPlan *p, const Container *c, Error *e) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < p->n; i++)
                if (p->items[i].snapshot > 0)
                        r = db_container_mount_insert(p->manager->db, c, p->items[i].snapshot, e);
        return r;
}

void mount_plan_committed(MountPlan *p) {
        for (size_t i = 0; i < p->n; i++)
                p->items[i].made = p->items[i].exchanged = false;
}
