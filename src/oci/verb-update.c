/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* update: other limits for a container that lives. */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "oci/cgroup.h"
#include "oci/options.h"
#include "oci/scope.h"
#include "runtime/spec.h"

/* Options that are a property of linux.resources each. */
static const struct {
        const char *option, *section, *key;
        bool is_string;
        const char *help;
} properties[] = {
                {"blkio-weight", "blockIO", "weight", false, "weight of block IO, 10 to 1000"},
                {"cpu-period", "cpu", "period", false, "period of the CPU quota, usec"},
                {"cpu-quota", "cpu", "quota", false, "CPU time in a period, usec"},
                {"cpu-burst", "cpu", "burst", false, "what may be saved of it, usec"},
                {"cpu-share", "cpu", "shares", false, "weight of CPU time, 2 to 262144"},
                {"cpu-idle", "cpu", "idle", false, "1: only when nobody else wants the CPU"},
                {"cpuset-cpus", "cpu", "cpus", true, "CPUs to run on"},
                {"cpuset-mems", "cpu", "mems", true, "memory nodes to use"},
                {"memory", "memory", "limit", false, "bytes of memory"},
                {"memory-reservation", "memory", "reservation", false, "bytes that are protected"},
                {"memory-swap", "memory", "swap", false, "bytes of memory and swap, -1: unlimited"},
                {"pids-limit", "pids", "limit", false, "number of processes and threads"},
};

static int set_property(json_t *resources, const char *section, const char *key, bool is_string,
                        const char *value, Error *e) {
        json_t *object = json_object_get(resources, section), *j;
        long long number;
        char *end;

        if (!object &&
            (!(object = json_object()) || json_object_set_new(resources, section, object) < 0))
                return -ENOMEM;
        errno = 0;
        number = strtoll(value, &end, 10);
        if (!is_string && (errno != 0 || end == value || *end != '\0'))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: \"%s\" is not a number", section,
                                  key, value);
        j = is_string ? json_string(value) : json_integer(number);
        return json_object_set_new(object, key, j) < 0 ? -ENOMEM : 0;
}

static int read_standard_input(json_t **ret, Error *e) {
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = fd_read_all(STDIN_FILENO, SPEC_SIZE_MAX, &text, &size);
        return r < 0 ? error_setf(e, r, "Failed to read standard input: %m")
                     : json_parse(text, size, "standard input", ret, e);
}

static int read_resources(const char *file, const char *const *values, json_t **ret, Error *e) {
        _cleanup_json_ json_t *resources = NULL;
        int r = 0;

        if (file)
                r = streq(file, "-") ? read_standard_input(&resources, e)
                                     : spec_read_document(AT_FDCWD, file, &resources, e);
        else if (!(resources = json_object()))
                r = -ENOMEM;
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(properties); i++)
                if (values[i])
                        r = set_property(resources, properties[i].section, properties[i].key,
                                         properties[i].is_string, values[i], e);
        if (r == 0 && !json_is_object(resources))
                r = error_setf(e, CTR_INVALID_ARGUMENT, "%s: not an object of limits", file);
        if (r == 0)
                *ret = TAKE_PTR(resources);
        return r;
}

static int apply(const State *s, bool rootless, json_t *resources, Error *e) {
        _cleanup_(limits_clear) Limits limits = {};
        _cleanup_close_ int fd = -1;
        int r;

        if (state_status(s) == STATUS_STOPPED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "container not running");
        r = limits_read(resources, &limits, e);
        if (r == 0)
                r = state_open_cgroup(s, &fd, e);
        if (r == 0)
                r = limits_apply(&limits, fd, rootless, e);
        return r == 0 && s->scope ? scope_update(s->user_bus, s->scope, &limits, e) : r;
}

int verb_update(Context *c, int argc, char *argv[], Error *e) {
        const char *file = NULL, *values[ELEMENTSOF(properties)] = {};
        Option options[ELEMENTSOF(properties) + 1];
        _cleanup_json_ json_t *resources = NULL;
        _cleanup_(state_freep) State *s = NULL;
        const OptionTable table = {
                        "update [OPTIONS] CONTAINER", options, ELEMENTSOF(options), 1, 1, false};
        int first, r;

        for (size_t i = 0; i < ELEMENTSOF(properties); i++)
                options[i] = (Option){properties[i].option, 0, OPTION_STRING, &values[i],
                                      properties[i].help};
        options[ELEMENTSOF(properties)] =
                        (Option){"resources", 'r', OPTION_STRING, &file,
                                 "file with linux.resources, - for standard input"};
        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        r = read_resources(file, values, &resources, e);
        if (r == 0)
                r = state_open(c, argv[first], true, &s, e);
        return r == 0 ? apply(s, c->rootless, resources, e) : r;
}
