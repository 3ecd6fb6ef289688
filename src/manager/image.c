/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/image.h"

#include "basic/fs.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/reference.h"
#include "manager/db.h"
#include "manager/manager.h"
#include "manager/sweeper.h"

Image *image_free(Image *i) {
        if (!i)
                return NULL;
        object_done(&i->object);
        free(i->digest);
        free(i->media_type);
        free(i->manifest_digest);
        free(i->config_digest);
        json_decref(i->labels);
        free(i);
        return NULL;
}

int image_find(Manager *m, const char *namespace, const char *reference, Image **ret, Error *e) {
        _cleanup_free_ char *name = NULL;
        Object *o;
        int r;

        assert(m && namespace && reference && ret);

        r = reference_normalize(reference, &name, e);
        if (r != 0)
                return r;
        o = object_find(m, OBJECT_IMAGE, namespace, name);
        if (!o)
                return error_setf(e, CTR_NOT_FOUND, "There is no image \"%s\" in namespace \"%s\"",
                                  name, namespace);
        *ret = IMAGE(o);
        return 0;
}

int image_delete(Image *i, Callback callback, void *userdata, Error *e) {
        Manager *m = i->object.manager;
        int r;

        r = db_image_delete(m->db, i->object.namespace, i->object.name, e);
        if (r != 0)
                return r;
        image_free(i);
        return sweeper_collect(m->sweeper, callback, userdata, e);
}

static int read_document(Manager *m, const char *digest, size_t max, char **ret, Error *e) {
        const char *hex = startswith(digest, "sha256:");
        int r;

        if (!hex)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "Unsupported digest %s", digest);
        r = file_read_at(m->content_fd, hex, max, ret, NULL);
        if (r == -ENOENT)
                return error_setf(e, CTR_DATA_LOSS, "The blob %s is missing in the content store",
                                  digest);
        if (r < 0)
                return error_setf(e, r, "Failed to read the blob %s: %m", digest);
        return 0;
}

int image_read_documents(Image *i, char **ret_manifest, char **ret_config, Error *e) {
        _cleanup_free_ char *manifest = NULL;
        int r;

        r = read_document(i->object.manager, i->manifest_digest, MANIFEST_SIZE_MAX, &manifest, e);
        if (r != 0)
                return r;
        r = read_document(i->object.manager, i->config_digest, CONFIG_SIZE_MAX, ret_config, e);
        if (r != 0)
                return r;
        *ret_manifest = TAKE_PTR(manifest);
        return 0;
}
