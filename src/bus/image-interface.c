/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Image */

#include "bus/authorize.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/service.h"
#include "manager/image.h"

static int method_inspect(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_free_ char *manifest = NULL, *config = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Image *i = userdata;
        int r;

        r = options_read_none(m, error);
        if (r < 0)
                return r;

        r = authorize(service_of(&i->object), m,
                      &(AuthorityDetails){
                                      .namespace = i->object.namespace,
                                      .image = i->object.name,
                      },
                      error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = image_read_documents(i, &manifest, &config, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return sd_bus_reply_method_return(m, "ss", manifest, config);
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
                SD_BUS_PROPERTY("Labels", "a{ss}", property_get_labels, offsetof(Image, labels),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_PROPERTY("CreatedAt", "t", property_get_uint64, offsetof(Image, created_at),
                                SD_BUS_VTABLE_PROPERTY_CONST),
                SD_BUS_PROPERTY("UpdatedAt", "t", property_get_uint64, offsetof(Image, updated_at),
                                SD_BUS_VTABLE_PROPERTY_EMITS_CHANGE),
                SD_BUS_METHOD_WITH_ARGS("Inspect", SD_BUS_ARGS("a{sv}", options),
                                        SD_BUS_RESULT("s", manifest, "s", config), method_inspect,
                                        SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};
