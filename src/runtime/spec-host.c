/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What of the host the container gets for itself: network devices. */

#include <net/if.h>

#include "runtime/spec.h"

/* What the kernel takes as the name of a network device, besides "%d" as a template. */
static bool name_is_valid(const char *name, bool template) {
        const char *percent = strchr(name, '%');

        if (isempty(name) || strlen(name) >= IFNAMSIZ || streq(name, ".") || streq(name, ".."))
                return false;
        if (strpbrk(name, "/: \t\n\v\f\r"))
                return false;
        return !percent || (template && percent[1] == 'd' && !strchr(percent + 1, '%'));
}

static int parse_net_device(SpecNetDevice *d, const char *host_name, json_t *item, Error *e) {
        char path[SPEC_PATH_SIZE];
        int r;

        (void) snprintf(path, sizeof(path), "linux.netDevices.%.32s", host_name);
        if (!name_is_valid(host_name, false))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: not the name of a network device",
                                  path);
        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        *d = (SpecNetDevice){.host_name = host_name, .name = host_name};
        r = json_get_string(item, path, "name", &d->name, e);
        if (r < 0)
                return r;
        if (isempty(d->name))
                d->name = host_name;
        if (!name_is_valid(d->name, true))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s.name: \"%.32s\" is not the name of a network device", path,
                                  d->name);
        return 0;
}

int spec_parse_net_devices(Spec *s, json_t *section, Error *e) {
        const char *host_name;
        json_t *object, *item;
        int r;

        r = json_get_object(section, "linux", "netDevices", &object, e);
        if (r <= 0 || json_object_size(object) == 0)
                return MIN_OF(r, 0);
        if (json_object_size(object) > SPEC_NET_DEVICES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "linux.netDevices: more than %d entries",
                                  SPEC_NET_DEVICES_MAX);
        s->net_devices = calloc(json_object_size(object), sizeof(SpecNetDevice));
        if (!s->net_devices)
                return -ENOMEM;
        json_object_foreach(object, host_name, item) {
                r = parse_net_device(&s->net_devices[s->n_net_devices++], host_name, item, e);
                if (r != 0)
                        return r;
        }
        return 0;
}
