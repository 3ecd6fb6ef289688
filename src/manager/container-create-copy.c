/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Containers whose root is a copy, or of whose volumes one begins with a copy: a worker makes that
 * first, and then all is checked again.
 */

#include "manager/container-create.h"

#include "manager/image.h"
#include "manager/manager.h"
#include "manager/snapshot.h"

static bool root_is_copy(Manager *m, const ContainerRequest *request) {
        const char *snapshotter;

        return !request->existing_snapshot &&
               snapshotter_choose(m, request->namespace, request->snapshotter, &snapshotter,
                                  NULL) == 0 &&
               snapshotter_find(snapshotter)->copies;
}

bool container_needs_copy(Manager *m, const ContainerRequest *request) {
        _cleanup_(mount_plan_freep) MountPlan *mounts = NULL;
        Creation creation = {.request = request};

        /* what cannot be made needs nothing: container_create() says why */
        return root_is_copy(m, request) ||
               (creation_check(m, &creation, NULL) == 0 &&
                mount_plan_new(m, request, creation.image, &mounts, NULL) == 0 &&
                mount_plan_needs_copy(mounts));
}

/* First what volumes begin with is copied, then the root, as far as each is needed. */
typedef struct CopyCreation {
        Manager *manager;
        const ContainerRequest *request;
        const char *snapshotter;
        int64_t parent;
        MountPlan *mounts;
        Callback callback;
        void *userdata;
} CopyCreation;

static CopyCreation *copy_creation_free(CopyCreation *copy) {
        if (!copy)
                return NULL;
        mount_plan_free(copy->mounts);
        free(copy);
        return NULL;
}
DEFINE_CLEANUP(CopyCreation *, copy_creation_free);

static void on_copied(int r, const Error *e, const char *tree, void *userdata) {
        _cleanup_(copy_creation_freep) CopyCreation *copy = userdata;
        _cleanup_error_ Error local = ERROR_NULL;
        Container *c = NULL;

        if (r == 0) {
                _cleanup_(creation_clear) Creation creation = {
                                .request = copy->request,
                                .parent = copy->parent,
                                .tree = tree,
                                .mounts = copy->mounts,
                };

                r = creation_run(copy->manager, &creation, &c, &local);
                e = &local;
        }
        copy->callback(r == 0 ? &c->object : NULL, r, e, copy->userdata);
}

static int copy_root(CopyCreation *copy, Error *e) {
        return snapshot_copy(copy->manager, copy->snapshotter, copy->request->namespace,
                             copy->parent, on_copied, copy, e);
}

static void on_mounts_copied(Object *o, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error local = ERROR_NULL;
        CopyCreation *copy = userdata;

        if (r == 0 && root_is_copy(copy->manager, copy->request)) {
                r = copy_root(copy, &local);
                if (r == 0)
                        return;
                e = &local;
        }
        on_copied(r, e, NULL, copy);
}

int container_create_copy(Manager *m, const ContainerRequest *request, Callback callback,
                          void *userdata, Error *e) {
        _cleanup_(copy_creation_freep) CopyCreation *copy = NULL;
        Creation creation = {.request = request};
        int r;

        r = creation_check(m, &creation, e);
        if (r != 0)
                return r;
        copy = calloc(1, sizeof(CopyCreation));
        if (!copy)
                return -ENOMEM;
        *copy = (CopyCreation){
                        .manager = m,
                        .request = request,
                        .snapshotter = creation.snapshotter,
                        .parent = creation.image->snapshot,
                        .callback = callback,
                        .userdata = userdata,
        };
        r = mount_plan_new(m, request, creation.image, &copy->mounts, e);
        if (r != 0)
                return r;
        r = mount_plan_needs_copy(copy->mounts)
                            ? mount_plan_copy_up(copy->mounts, request, creation.image,
                                                 on_mounts_copied, copy, e)
                            : copy_root(copy, e);
        if (r == 0)
                TAKE_PTR(copy);
        return r;
}
