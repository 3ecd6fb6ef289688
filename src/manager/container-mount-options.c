/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/container-mount-options.h"

bool mount_options_have(const char *options, const char *name) {
        size_t length = strlen(name);

        for (const char *o = strempty(options); *o;) {
                size_t n = strcspn(o, ",");

                if (n == length && strncmp(o, name, n) == 0)
                        return true;
                o += n;
                o += *o == ',';
        }
        return false;
}

int mount_options_filter(const char *options, bool (*keep)(const char *option, size_t n),
                         char **ret) {
        char *copy = malloc(strlen(options) + 1), *end = copy;

        if (!copy)
                return -ENOMEM;
        *end = '\0';
        for (const char *o = options; *o;) {
                size_t n = strcspn(o, ",");

                if (n > 0 && keep(o, n))
                        end += sprintf(end, "%s%.*s", end > copy ? "," : "", (int) n, o);
                o += n;
                o += *o == ',';
        }
        *ret = copy;
        return 0;
}

static bool is_of_runtime(const char *option, size_t n) {
        return !(n == STRLEN(MOUNT_NO_COPY) && startswith(option, MOUNT_NO_COPY)) &&
               !(n == STRLEN("copy") && startswith(option, "copy"));
}

int mount_options_for_runtime(const char *options, char **ret) {
        return mount_options_filter(options, is_of_runtime, ret);
}

int mount_options_check_image(const ContainerMount *mount, Error *e) {
        static const char *const writing[] = {"rw", "rrw"};

        for (size_t i = 0; i < ELEMENTSOF(writing); i++)
                if (mount_options_have(mount->options, writing[i]))
                        return error_setf(
                                        e, CTR_INVALID_ARGUMENT,
                                        "The image \"%.200s\" is mounted to be read only, and not "
                                        "with \"%s\"",
                                        mount->source, writing[i]);
        return 0;
}
