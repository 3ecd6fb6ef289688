/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/stats.h"

#include <fcntl.h>
#include <jansson.h>

#include "basic/fs.h"
#include "basic/json.h"

#define FILE_MAX (64U * 1024)

/* -1 for what is not there; "max" is no limit, which runc shows as the largest number. */
static json_int_t number(int cgroup_fd, const char *name) {
        _cleanup_free_ char *text = NULL;

        if (file_read_at(cgroup_fd, name, 64, &text, NULL) < 0)
                return -1;
        return startswith(text, "max") ? INT64_MAX : strtoll(text, NULL, 10);
}

/* A file of "key number" lines as an object. */
static json_t *flat(int cgroup_fd, const char *name) {
        _cleanup_free_ char *text = NULL;
        json_t *j = json_object();
        char *save = NULL;

        if (!j || file_read_at(cgroup_fd, name, FILE_MAX, &text, NULL) < 0)
                return j;
        for (char *line = strtok_r(text, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                char *space = strchr(line, ' ');

                if (!space)
                        continue;
                *space = '\0';
                (void) json_object_set_new(j, line, json_integer(strtoll(space + 1, NULL, 10)));
        }
        return j;
}

static json_int_t member(json_t *j, const char *key) {
        return json_integer_value(json_object_get(j, key));
}

static json_t *cpu(int cgroup_fd) {
        _cleanup_json_ json_t *s = flat(cgroup_fd, "cpu.stat");

        return json_pack("{s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}}", "usage", "total",
                         member(s, "usage_usec") * 1000, "kernel", member(s, "system_usec") * 1000,
                         "user", member(s, "user_usec") * 1000, "throttling", "periods",
                         member(s, "nr_periods"), "throttledPeriods", member(s, "nr_throttled"),
                         "throttledTime", member(s, "throttled_usec") * 1000);
}

static json_t *memory(int cgroup_fd) {
        _cleanup_json_ json_t *s = flat(cgroup_fd, "memory.stat");
        _cleanup_json_ json_t *events = flat(cgroup_fd, "memory.events");
        json_int_t used = number(cgroup_fd, "memory.current");
        json_int_t swap = number(cgroup_fd, "memory.swap.current");

        if (used < 0)
                return json_object();
        return json_pack("{s:I, s:{s:I, s:I, s:I}, s:{s:I, s:I, s:I}, s:O}", "cache",
                         member(s, "file"), "usage", "limit", number(cgroup_fd, "memory.max"),
                         "usage", used, "failcnt", member(events, "max"), "swap", "limit",
                         number(cgroup_fd, "memory.swap.max"), "usage", swap < 0 ? 0 : swap,
                         "failcnt", (json_int_t) 0, "raw", s);
}

static json_t *pids(int cgroup_fd) {
        json_int_t current = number(cgroup_fd, "pids.current");
        json_int_t limit = number(cgroup_fd, "pids.max");

        if (current < 0)
                return json_object();
        return json_pack("{s:I, s:I}", "current", current, "limit",
                         limit == INT64_MAX ? (json_int_t) 0 : limit);
}

static void append_io(json_t *list, long device_major, long device_minor, const char *op,
                      const char *text, const char *key) {
        const char *value = strstr(text, key);

        if (value)
                (void) json_array_append_new(list,
                                             json_pack("{s:I, s:I, s:s, s:I}", "major",
                                                       (json_int_t) device_major, "minor",
                                                       (json_int_t) device_minor, "op", op, "value",
                                                       (json_int_t) strtoll(value + strlen(key),
                                                                            NULL, 10)));
}

/* "8:0 rbytes=1 wbytes=2 rios=3 wios=4 ..." */
static json_t *io(int cgroup_fd) {
        json_t *bytes = json_array(), *operations = json_array();
        _cleanup_free_ char *text = NULL;
        char *save = NULL;

        if (file_read_at(cgroup_fd, "io.stat", FILE_MAX, &text, NULL) < 0)
                text = NULL;
        for (char *line = text ? strtok_r(text, "\n", &save) : NULL; line;
             line = strtok_r(NULL, "\n", &save)) {
                char *end;
                long device_major = strtol(line, &end, 10), device_minor;

                if (*end != ':')
                        continue;
                device_minor = strtol(end + 1, NULL, 10);
                append_io(bytes, device_major, device_minor, "Read", line, "rbytes=");
                append_io(bytes, device_major, device_minor, "Write", line, "wbytes=");
                append_io(operations, device_major, device_minor, "Read", line, "rios=");
                append_io(operations, device_major, device_minor, "Write", line, "wios=");
        }
        return json_pack("{s:o, s:o}", "ioServiceBytesRecursive", bytes, "ioServicedRecursive",
                         operations);
}

/* Every "hugetlb.SIZE.current" has its limit and its failures beside it. */
static json_t *huge_pages(int cgroup_fd) {
        _cleanup_closedir_ DIR *dir = dir_stream_open_at(cgroup_fd, ".");
        json_t *j = json_object();
        struct dirent *de;

        while (dir && (de = readdir(dir))) {
                const char *size = startswith(de->d_name, "hugetlb."), *end;
                _cleanup_json_ json_t *events = NULL;
                char name[80], key[24];

                end = size ? strchr(size, '.') : NULL;
                if (!end || !streq(end, ".current") || end - size >= (ptrdiff_t) sizeof(key))
                        continue;
                (void) snprintf(key, sizeof(key), "%.*s", (int) (end - size), size);
                (void) snprintf(name, sizeof(name), "hugetlb.%s.events", key);
                events = flat(cgroup_fd, name);
                (void) json_object_set_new(j, key,
                                           json_pack("{s:I, s:I}", "usage",
                                                     number(cgroup_fd, de->d_name), "failcnt",
                                                     member(events, "max")));
        }
        return j;
}

int stats_read(int cgroup_fd, json_t **ret, Error *e) {
        json_t *j;

        j = json_pack("{s:o, s:o, s:o, s:o, s:o}", "cpu", cpu(cgroup_fd), "memory",
                      memory(cgroup_fd), "pids", pids(cgroup_fd), "blkio", io(cgroup_fd), "hugetlb",
                      huge_pages(cgroup_fd));
        if (!j)
                return error_setf(e, -ENOMEM, "Failed to read the figures: %m");
        *ret = j;
        return 0;
}

uint64_t stats_oom_kills(int cgroup_fd) {
        _cleanup_json_ json_t *j = flat(cgroup_fd, "memory.events");

        return (uint64_t) member(j, "oom_kill");
}
