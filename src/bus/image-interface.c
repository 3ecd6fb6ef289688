/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Image */

#include "basic/json.h"
#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/service.h"
#include "manager/image.h"

static int image_authorize(Image *i, sd_bus_message *m, sd_bus_error *error) {
        return authorize(service_of(&i->object), m,
                         &(AuthorityDetails){
                                         .namespace = i->object.namespace,
                                         .image = i->object.name,
                         },
                         error);
}

static int method_inspect(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *manifest = NULL, *config = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Image *i = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;

        r = image_authorize(i, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_read_documents(i, &manifest, &config, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "ss", manifest, config);
}

static int method_set_labels(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *labels = NULL;
        Image *i = userdata;
        int r;

        r = labels_read(m, &labels, error);
        if (r >= 0)
                r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = image_authorize(i, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_set_labels(i, labels, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        objects_tell_changes(i->object.manager);
        return sd_bus_reply_method_return(m, NULL);
}

static int method_usage(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Image *i = userdata;
        ImageUsage usage;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;
        r = image_authorize(i, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_usage(i, &usage, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "a{sv}", 4, "ContentBytes", "t", usage.content_bytes,
                                          "SnapshotBytes", "t", usage.snapshot_bytes, "SharedBytes",
                                          "t", usage.shared_bytes, "Containers", "u",
                                          (uint32_t) usage.containers);
}

static BUS_GETTER(property_get_platforms) {
        json_t *const *platforms = userdata, *item;
        size_t i;
        int r;

        r = sd_bus_message_open_container(reply, 'a', "s");
        json_array_foreach(*platforms, i, item)
                if (r >= 0)
                        r = sd_bus_message_append_basic(reply, 's',
                                                        strempty(json_string_value(item)));
        return r < 0 ? r : sd_bus_message_close_container(reply);
}

const sd_bus_vtable image_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("Namespace", "s", property_get_string,
                                offsetof(Image, object.namespace), SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Name", "s", property_get_string, offsetof(Image, object.name),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("Digest", "s", property_get_string, offsetof(Image, digest),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("MediaType", "s", property_get_string, offsetof(Image, media_type),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Size", "t", property_get_uint64, offsetof(Image, size),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Unpacked", "b", property_get_bool, offsetof(Image, unpacked),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Damaged", "b", property_get_bool, offsetof(Image, damaged),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Labels", "a{ss}", property_get_labels, offsetof(Image, labels),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("Platforms", "as", property_get_platforms,
                                offsetof(Image, platforms), SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("CreatedAt", "t", property_get_uint64, offsetof(Image, created_at),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("UpdatedAt", "t", property_get_uint64, offsetof(Image, updated_at),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_METHOD_WITH_ARGS("Inspect", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("s", manifest, "s", config), method_inspect,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("SetLabels", SD_BUS_ARGS("a{ss}", labels, "a{sv}", options),
                                        SD_BUS_NO_RESULT, method_set_labels,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD_WITH_ARGS("Usage", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("a{sv}", usage), method_usage,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};
