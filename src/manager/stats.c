/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the files; their formats are in stats-parse.c. One open, read and close for each, into one
 * buffer: no memory is allocated. */

#include "manager/stats.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "manager/stats-internal.h"
#include "manager/task-cgroup.h"
#include "manager/task-internal.h"

#define FILE_NAME_MAX  64U
#define HUGE_SIZES_MAX 8U
#define HUGE_NAME_SIZE 24U
/* A container may have made any number of interfaces: what does not fit is left out. */
#define NETWORK_TEXT_MAX 16384U

void stats_reset(TaskStats *s) {
        s->timestamp = 0;
        memset(s->known, 0, sizeof(s->known));
        s->n_pairs = s->n_io = s->n_network = s->n_pressure = s->n_text = 0;
        s->memory_stat = s->memory_events = s->hugetlb = (StatGroup){};
}

/* 1 and the file's text, whole lines of at most max bytes; 0 if there is no such file, or the
 * kernel cannot fill it (pressure that is switched off); -ENODEV if the cgroup went away. */
static int read_text(TaskStats *s, int dir_fd, const char *name, size_t max, char **ret) {
        size_t room = STAT_TEXT_MAX - s->n_text, size = 0;
        _cleanup_close_ int fd = -1;
        char *text = s->text + s->n_text, *end;

        if (room < 2)
                return 0;
        max = MIN_OF(max, room - 1);
        fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        while (size < max) {
                ssize_t n = read(fd, text + size, max - size);

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return errno == EOPNOTSUPP ? 0 : -errno;
                if (n == 0)
                        break;
                size += (size_t) n;
        }
        text[size] = '\0';
        end = size == max ? strrchr(text, '\n') : NULL;
        if (end)
                *end = '\0';
        s->n_text += size + 1;
        *ret = text;
        return 1;
}

static int read_value(TaskStats *s, int dir_fd, const char *name, StatValue v) {
        uint64_t value;
        char *text;
        int r;

        r = read_text(s, dir_fd, name, 64, &text);
        if (r <= 0)
                return r;
        text[strcspn(text, "\n")] = '\0';
        if (stats_parse_number(text, &value))
                stats_set(s, v, value);
        return 0;
}

static int read_flat(TaskStats *s, int dir_fd, const char *name, StatGroup *ret) {
        char *text;
        int r;

        r = read_text(s, dir_fd, name, STAT_TEXT_MAX, &text);
        if (r > 0)
                stats_parse_flat(s, text, ret);
        return r < 0 ? r : 0;
}

typedef struct Pick {
        const char *name;
        StatValue value;
} Pick;

static void pick(TaskStats *s, const StatGroup *group, const Pick *picks, size_t n) {
        uint64_t value;

        for (size_t i = 0; i < n; i++)
                if (stats_find(s, group, picks[i].name, &value))
                        stats_set(s, picks[i].value, value);
}

static int read_cpu(TaskStats *s, int payload_fd, int scope_fd) {
        static const Pick used[] = {
                        {"usage_usec", STAT_CPU_USAGE},
                        {"user_usec", STAT_CPU_USER},
                        {"system_usec", STAT_CPU_SYSTEM},
        };
        static const Pick limited[] = {
                        {"nr_periods", STAT_CPU_PERIODS},
                        {"nr_throttled", STAT_CPU_THROTTLED_PERIODS},
                        {"throttled_usec", STAT_CPU_THROTTLED},
        };
        size_t n_pairs = s->n_pairs;
        StatGroup group = {};
        int r;

        r = read_flat(s, payload_fd, "cpu.stat", &group);
        if (r < 0)
                return r;
        pick(s, &group, used, ELEMENTSOF(used));
        group = (StatGroup){};
        r = read_flat(s, scope_fd, "cpu.stat", &group);
        if (r < 0)
                return r;
        pick(s, &group, limited, ELEMENTSOF(limited));
        s->n_pairs = n_pairs; /* nobody needs the rest */
        return 0;
}

static int read_memory(TaskStats *s, int payload_fd, int scope_fd) {
        static const Pick picks[] = {
                        {"file", STAT_MEMORY_CACHE},
                        {"anon", STAT_MEMORY_ANONYMOUS},
                        {"kernel", STAT_MEMORY_KERNEL},
        };
        uint64_t inactive;
        int r;

        r = read_flat(s, payload_fd, "memory.stat", &s->memory_stat);
        if (r < 0)
                return r;
        pick(s, &s->memory_stat, picks, ELEMENTSOF(picks));
        r = read_value(s, payload_fd, "memory.current", STAT_MEMORY_CURRENT);
        if (r < 0)
                return r;
        /* what the kernel takes back first is not what the container needs */
        if (s->known[STAT_MEMORY_CURRENT] &&
            stats_find(s, &s->memory_stat, "inactive_file", &inactive)) {
                uint64_t current = s->values[STAT_MEMORY_CURRENT];

                stats_set(s, STAT_MEMORY_WITHOUT_CACHE, current - MIN_OF(current, inactive));
        }
        r = read_value(s, payload_fd, "memory.peak", STAT_MEMORY_PEAK);
        if (r >= 0)
                r = read_value(s, payload_fd, "memory.swap.current", STAT_SWAP_CURRENT);
        if (r >= 0)
                r = read_value(s, scope_fd, "memory.max", STAT_MEMORY_MAX);
        if (r >= 0)
                r = read_value(s, scope_fd, "memory.swap.max", STAT_SWAP_MAX);
        if (r >= 0)
                r = read_flat(s, scope_fd, "memory.events", &s->memory_events);
        return r;
}

/* The sizes of huge pages do not change while the kernel runs: "2MB", "1GB" as in file names. */
static size_t huge_sizes(char sizes[static HUGE_SIZES_MAX][HUGE_NAME_SIZE]) {
        static char cache[HUGE_SIZES_MAX][HUGE_NAME_SIZE];
        static size_t n = SIZE_MAX;
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        if (n == SIZE_MAX) {
                n = 0;
                dir = opendir("/sys/kernel/mm/hugepages");
                while (dir && n < HUGE_SIZES_MAX && (de = readdir(dir))) {
                        const char *kib = startswith(de->d_name, "hugepages-");
                        unsigned long size = kib ? strtoul(kib, NULL, 10) : 0;

                        if (size == 0)
                                continue;
                        (void) snprintf(cache[n++], sizeof(cache[0]), "%lu%s",
                                        size >= 1048576 ? size / 1048576
                                        : size >= 1024  ? size / 1024
                                                        : size,
                                        size >= 1048576 ? "GB"
                                        : size >= 1024  ? "MB"
                                                        : "KB");
                }
        }
        memcpy(sizes, cache, sizeof(cache));
        return n;
}

static int read_hugetlb(TaskStats *s, int payload_fd) {
        char sizes[HUGE_SIZES_MAX][HUGE_NAME_SIZE];
        size_t n = huge_sizes(sizes);

        for (size_t i = 0; i < n; i++) {
                char name[FILE_NAME_MAX], *text, *size;
                uint64_t value;
                int r;

                (void) snprintf(name, sizeof(name), "hugetlb.%.20s.current", sizes[i]);
                r = read_text(s, payload_fd, name, 64, &text);
                if (r < 0)
                        return r;
                if (r == 0)
                        continue;
                text[strcspn(text, "\n")] = '\0';
                if (!stats_parse_number(text, &value) ||
                    STAT_TEXT_MAX - s->n_text < sizeof(sizes[i]))
                        continue;
                size = strcpy(s->text + s->n_text, sizes[i]);
                s->n_text += strlen(size) + 1;
                stats_add_pair(s, &s->hugetlb, size, value);
        }
        return 0;
}

static int read_pressure(TaskStats *s, int payload_fd) {
        static const char *const resources[] = {"cpu", "io", "memory"};

        for (size_t i = 0; i < ELEMENTSOF(resources); i++) {
                char name[FILE_NAME_MAX], *text;
                int r;

                (void) snprintf(name, sizeof(name), "%s.pressure", resources[i]);
                r = read_text(s, payload_fd, name, 1024, &text);
                if (r < 0)
                        return r;
                if (r > 0)
                        stats_parse_pressure(s, resources[i], text);
        }
        return 0;
}

static int read_io(TaskStats *s, int payload_fd) {
        char *text;
        int r;

        r = read_text(s, payload_fd, "io.stat", NETWORK_TEXT_MAX, &text);
        if (r > 0)
                stats_parse_io(s, text);
        return r < 0 ? r : 0;
}

int stats_read_cgroup(int payload_fd, TaskStats *s) {
        _cleanup_close_ int scope_fd = -1;
        int r;

        scope_fd = openat(payload_fd, "..", O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (scope_fd < 0)
                return -errno;
        r = read_cpu(s, payload_fd, scope_fd);
        if (r >= 0)
                r = read_memory(s, payload_fd, scope_fd);
        if (r >= 0)
                r = read_value(s, payload_fd, "pids.current", STAT_TASKS_CURRENT);
        if (r >= 0)
                r = read_value(s, scope_fd, "pids.max", STAT_TASKS_MAX);
        if (r >= 0)
                r = read_io(s, payload_fd);
        if (r >= 0)
                r = read_hugetlb(s, payload_fd);
        if (r >= 0)
                r = read_pressure(s, payload_fd);
        if (r < 0)
                return r;
        /* the files of a cgroup that was removed are just not there */
        return faccessat(payload_fd, "cgroup.procs", F_OK, 0) < 0 ? -ENODEV : 0;
}

static bool same_network(int proc_fd) {
        struct stat theirs, ours;

        return fstatat(proc_fd, "ns/net", &theirs, 0) >= 0 &&
               stat("/proc/self/ns/net", &ours) >= 0 && theirs.st_ino == ours.st_ino &&
               theirs.st_dev == ours.st_dev;
}

int stats_read_network(int proc_fd, TaskStats *s) {
        char *text;
        int r;

        r = read_text(s, proc_fd, "net/dev", NETWORK_TEXT_MAX, &text);
        if (r > 0)
                stats_parse_network(s, text);
        return r < 0 ? r : 0;
}

/* The descriptor stays with one process, and that is the task's init if the supervisor is its
 * parent: a pid may be somebody else's by now. */
static bool is_child_of(int proc_fd, pid_t parent) {
        _cleanup_free_ char *text = NULL;
        char *after;

        if (file_read_at(proc_fd, "stat", 4096, &text, NULL) < 0)
                return false;
        after = strrchr(text, ')'); /* the name before may have anything in it */
        return after && strlen(after) > 4 && strtol(after + 4, NULL, 10) == parent;
}

/* The host's own figures say nothing about the container. */
static void read_network_of(const Task *t, TaskStats *s) {
        char path[STRLEN("/proc/") + 11 + 1];
        _cleanup_close_ int fd = -1;

        if (t->process.pid <= 0)
                return;
        (void) snprintf(path, sizeof(path), "/proc/%i", t->process.pid);
        fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0 || same_network(fd) || !is_child_of(fd, supervisor_pid(t->supervisor)))
                return;
        if (stats_read_network(fd, s) < 0)
                s->n_network = 0; /* it ends just now */
}

int task_stats_read(const Task *t, TaskStats *ret, Error *e) {
        _cleanup_close_ int fd = -1;
        int r;

        assert(t && ret);

        stats_reset(ret);
        ret->timestamp = now_realtime();
        r = task_cgroup_open(t, &fd, e);
        if (r != 0)
                return r;
        r = stats_read_cgroup(fd, ret);
        if (r == -ENODEV)
                return error_setf(e, CTR_NOT_FOUND, "Task \"%s\": cgroup does not exist",
                                  t->process.object.name);
        if (r < 0)
                return error_setf(e, r, "Failed to read the figures of task %s: %m",
                                  t->process.object.name);
        read_network_of(t, ret);
        return 0;
}
