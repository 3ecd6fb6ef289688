/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* events: figures of a container as runc shows them, one JSON object a line. */

#include <poll.h>
#include <sys/inotify.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "oci/cgroup.h"
#include "oci/options.h"
#include "oci/print.h"
#include "oci/stats.h"

static int print_event(const char *type, const char *id, json_t *data, Error *e) {
        _cleanup_json_ json_t *j = NULL;

        j = json_pack("{s:s, s:s, s:o*}", "type", type, "id", id, "data", data);
        return print_json(j, JSON_COMPACT, e);
}

static int print_stats(const State *s, int cgroup_fd, Error *e) {
        json_t *data = NULL;
        int r;

        r = stats_read(cgroup_fd, &data, e);
        return r == 0 ? print_event("stats", s->id, data, e) : r;
}

/* memory.events changes with every kill; -1 without a memory controller. */
static int watch_memory(int cgroup_fd) {
        char path[64];
        int fd;

        fd = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
        if (fd < 0)
                return -1;
        (void) snprintf(path, sizeof(path), "/proc/self/fd/%d/memory.events", cgroup_fd);
        if (inotify_add_watch(fd, path, IN_MODIFY) < 0)
                return fd_close(fd);
        return fd;
}

/* Until the container has ended. */
static int follow(const State *s, int cgroup_fd, unsigned interval_sec, Error *e) {
        _cleanup_close_ int pidfd = -1, memory_fd = -1;
        uint64_t kills = stats_oom_kills(cgroup_fd), next = now_monotonic();
        int r;

        r = state_open_init(s, &pidfd, e);
        if (r != 0)
                return r;
        memory_fd = watch_memory(cgroup_fd);
        for (;;) {
                struct pollfd p[] = {{.fd = pidfd, .events = POLLIN},
                                     {.fd = memory_fd, .events = POLLIN}};
                uint64_t now = now_monotonic(), k;
                char buffer[4096];

                if (now >= next) {
                        r = print_stats(s, cgroup_fd, e);
                        if (r != 0)
                                return r;
                        next = now + interval_sec * USEC_PER_SEC;
                }
                if (poll(p, 2, (int) ((next - now) / USEC_PER_MSEC) + 1) < 0 && errno != EINTR)
                        return error_setf(e, -errno, "Failed to wait: %m");
                if (p[1].revents)
                        (void) !read(memory_fd, buffer, sizeof(buffer));
                k = stats_oom_kills(cgroup_fd);
                if (k > kills) {
                        r = print_event("oom", s->id, NULL, e);
                        if (r != 0)
                                return r;
                        kills = k;
                }
                if (p[0].revents)
                        return 0;
        }
}

int verb_events(Context *c, int argc, char *argv[], Error *e) {
        unsigned interval = 5;
        const char *interval_text = NULL;
        bool stats = false;
        const Option options[] = {
                        {"stats", 0, OPTION_FLAG, &stats, "show the figures once"},
                        {"interval", 0, OPTION_STRING, &interval_text, "seconds between them"},
        };
        const OptionTable table = {
                        "events [OPTIONS] CONTAINER", options, ELEMENTSOF(options), 1, 1, false};
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_close_ int fd = -1;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        if (interval_text) { /* "5s", as programs in Go write it */
                char *end;
                unsigned long value = strtoul(interval_text, &end, 10);

                if (value < 1 || value > 86400 || (*end != '\0' && !streq(end, "s")))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "--interval: \"%s\" is not 1s to 86400s", interval_text);
                interval = (unsigned) value;
        }
        r = state_open(c, argv[first], false, &s, e);
        if (r == 0 && state_status(s) == STATUS_STOPPED)
                r = error_setf(e, CTR_FAILED_PRECONDITION, "container not running");
        if (r == 0)
                r = state_open_cgroup(s, &fd, e);
        if (r != 0)
                return r;
        return stats ? print_stats(s, fd, e) : follow(s, fd, interval, e);
}
