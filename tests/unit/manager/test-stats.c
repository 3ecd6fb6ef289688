/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Figures of a cgroup (A4.13, D24, C28): files as kernels write them, some missing, some damaged.
 */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "manager/stats-internal.h"
#include "manager/stats.h"

typedef struct File {
        const char *name, *text;
} File;

/* As seen with Linux 6.1. */
static const File recorded[] = {
                {"payload/cgroup.procs", "4711\n"},
                {"payload/cpu.stat",
                 "usage_usec 8953\nuser_usec 1279\nsystem_usec 7674\nnr_periods 0\n"
                 "nr_throttled 0\nthrottled_usec 0\nnr_bursts 0\nburst_usec 0\n"},
                {"cpu.stat", "usage_usec 9953\nuser_usec 2279\nsystem_usec 7674\nnr_periods 40\n"
                             "nr_throttled 3\nthrottled_usec 123456\nnr_bursts 0\nburst_usec 0\n"},
                {"payload/memory.stat",
                 "anon 45056\nfile 1048576\nkernel 147456\nkernel_stack 16384\n"
                 "inactive_anon 40960\nactive_anon 4096\n"
                 "inactive_file 1000000\nactive_file 48576\n"},
                {"payload/memory.current", "1241088\n"},
                {"payload/memory.peak", "2097152\n"},
                {"payload/memory.max", "max\n"},
                {"memory.max", "67108864\n"},
                {"payload/memory.swap.current", "0\n"},
                {"memory.swap.max", "max\n"},
                {"memory.events", "low 0\nhigh 0\nmax 17\noom 1\noom_kill 1\noom_group_kill 0\n"},
                {"payload/pids.current", "2\n"},
                {"pids.max", "50\n"},
                {"payload/io.stat", "254:0 rbytes=4096 wbytes=8192 rios=1 wios=2 dbytes=0 dios=0\n"
                                    "7:1 \n8:16 rbytes=1 wbytes=0 rios=1 wios=0 dbytes=0 dios=0\n"},
                {"payload/cpu.pressure", "some avg10=1.50 avg60=0.31 avg300=0.06 total=21350\n"
                                         "full avg10=0.00 avg60=0.00 avg300=0.00 total=0\n"},
                {"payload/memory.pressure", "some avg10=0.00 avg60=0.00 avg300=0.00 total=7\n"
                                            "full avg10=0.00 avg60=0.00 avg300=0.00 total=6\n"},
};

static const char net_dev[] =
                "Inter-|   Receive                                                |  Transmit\n"
                " face |bytes    packets errs drop fifo frame compressed multicast|bytes    "
                "packets "
                "errs drop fifo colls carrier compressed\n"
                "    lo:     840      10    1    2    0     0          0         0      841      "
                "11    "
                "3    4    0     0       0          0\n"
                "veth0:a: 18446744073709551615 1 0 0 0 0 0 0 5 6 7 8 0 0 0 0\n"
                "\xff\xc3: 7 1 0 0 0 0 0 0 5 6 7 8 0 0 0 0\n";

typedef struct Fixture {
        char path[64];
        int scope_fd, payload_fd;
        TaskStats stats;
} Fixture;

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(Fixture));

        strcpy(f->path, "/tmp/test-stats-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->scope_fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(mkdirat(f->scope_fd, "payload", 0700), 0);
        f->payload_fd = openat(f->scope_fd, "payload", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->payload_fd >= 0);
        stats_reset(&f->stats);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        fd_close(f->scope_fd);
        fd_close(f->payload_fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, f->path), 0);
        free(f);
        return 0;
}

static void put(Fixture *f, const char *name, const char *text) {
        _cleanup_close_ int fd =
                        openat(f->scope_fd, name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);

        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
}

static void put_all(Fixture *f) {
        for (size_t i = 0; i < ELEMENTSOF(recorded); i++)
                put(f, recorded[i].name, recorded[i].text);
}

static uint64_t value(const TaskStats *s, StatValue v) {
        assert_true(s->known[v]);
        return s->values[v];
}

static void assert_pair(const TaskStats *s, const StatGroup *g, const char *name,
                        uint64_t expected) {
        uint64_t found;

        assert_true(stats_find(s, g, name, &found));
        assert_int_equal(found, expected);
}

static void test_recorded(void **state) {
        Fixture *f = *state;
        TaskStats *s = &f->stats;

        put_all(f);
        assert_int_equal(stats_read_cgroup(f->payload_fd, s), 0);
        assert_int_equal(value(s, STAT_CPU_USAGE), 8953);
        assert_int_equal(value(s, STAT_CPU_SYSTEM), 7674);
        /* limits are the scope's, and what they did is counted there */
        assert_int_equal(value(s, STAT_CPU_THROTTLED_PERIODS), 3);
        assert_int_equal(value(s, STAT_CPU_THROTTLED), 123456);
        assert_int_equal(value(s, STAT_MEMORY_MAX), 67108864);
        assert_int_equal(value(s, STAT_SWAP_MAX), UINT64_MAX);
        assert_int_equal(value(s, STAT_TASKS_MAX), 50);
        assert_pair(s, &s->memory_events, "oom_kill", 1);
        /* page cache apart (C28) */
        assert_int_equal(value(s, STAT_MEMORY_CURRENT), 1241088);
        assert_int_equal(value(s, STAT_MEMORY_CACHE), 1048576);
        assert_int_equal(value(s, STAT_MEMORY_WITHOUT_CACHE), 241088);
        assert_int_equal(value(s, STAT_MEMORY_ANONYMOUS), 45056);
        assert_pair(s, &s->memory_stat, "kernel_stack", 16384);
        assert_int_equal(s->memory_stat.n, 8);

        assert_int_equal(s->n_io, 2); /* 7:1 was never used */
        assert_string_equal(s->io[1].name, "8:16");
        assert_pair(s, &s->io[0], "wbytes", 8192);
        assert_int_equal(s->n_pressure, 4);
        assert_string_equal(s->pressure[2].resource, "memory");
        assert_string_equal(s->pressure[3].kind, "full");
        assert_true(s->pressure[0].average[0] > 1.49 && s->pressure[0].average[0] < 1.51);
        assert_int_equal(s->pressure[0].total, 21350);
}

/* What is missing is not known, rather than 0 (D24). */
static void test_missing(void **state) {
        Fixture *f = *state;
        TaskStats *s = &f->stats;

        put(f, "payload/cgroup.procs", "");
        put(f, "payload/cpu.stat", "usage_usec 5\n");
        assert_int_equal(stats_read_cgroup(f->payload_fd, s), 0);
        for (size_t i = 0; i < _STAT_VALUE_MAX; i++)
                assert_int_equal(s->known[i], i == STAT_CPU_USAGE);
        assert_int_equal(s->n_io + s->n_network + s->n_pressure, 0);
        assert_int_equal(s->memory_stat.n + s->memory_events.n + s->hugetlb.n, 0);
}

static void test_gone(void **state) {
        Fixture *f = *state;

        assert_int_equal(stats_read_cgroup(f->payload_fd, &f->stats), -ENODEV);
}

/* Nothing of a file that is not as expected is believed; the others are. */
static void test_damaged(void **state) {
        static const char *const texts[] = {
                        "",
                        "\n\n",
                        "x",
                        " ",
                        "usage_usec",
                        "usage_usec \n",
                        "-1\n",
                        "1.5\n",
                        "1 2 3\n",
                        "99999999999999999999999999\n",
                        "some\n",
                        "some avg10=\n",
                        "some avg10=nan avg60=inf avg300=1 total=1\n",
                        "full avg10=1 avg60=1 avg300=1 total=\n",
                        "8:0\n",
                        "8:0 =1 rbytes= x\n",
                        "a b c d e f g h i j k l m n o p q r s t\n",
                        ":\n",
                        "lo:\n\n:1 2 3\n",
        };
        Fixture *f = *state;
        TaskStats *s = &f->stats;

        for (size_t i = 0; i < ELEMENTSOF(texts); i++) {
                put_all(f);
                for (size_t k = 0; k < ELEMENTSOF(recorded); k++)
                        if (!strstr(recorded[k].name, "pids"))
                                put(f, recorded[k].name, texts[i]);
                stats_reset(s);
                assert_int_equal(stats_read_cgroup(f->payload_fd, s), 0);
                assert_int_equal(value(s, STAT_TASKS_CURRENT), 2);
                assert_false(s->known[STAT_CPU_USAGE]);
                assert_false(s->known[STAT_MEMORY_CURRENT]);
                assert_int_equal(s->n_io + s->n_pressure, 0);
        }
}

static void test_network(void **state) {
        Fixture *f = *state;
        TaskStats *s = &f->stats;

        assert_int_equal(mkdirat(f->scope_fd, "net", 0700), 0);
        put(f, "net/dev", net_dev);
        assert_int_equal(stats_read_network(f->scope_fd, s), 0);
        assert_int_equal(s->n_network, 3);
        assert_string_equal(s->network[0].name, "lo");
        assert_pair(s, &s->network[0], "rx_bytes", 840);
        assert_pair(s, &s->network[0], "rx_dropped", 2);
        assert_pair(s, &s->network[0], "tx_packets", 11);
        assert_pair(s, &s->network[0], "tx_errors", 3);
        assert_string_equal(s->network[1].name, "veth0:a");
        assert_pair(s, &s->network[1], "rx_bytes", UINT64_MAX);
        assert_pair(s, &s->network[1], "tx_dropped", 8);
        assert_string_equal(s->network[2].name, "??");
        assert_pair(s, &s->network[2], "rx_bytes", 7);
}

/* A container may make any number of interfaces, and a machine have any number of disks. */
static void test_bounds(void **state) {
        _cleanup_free_ char *text = calloc(1, 1 << 20);
        Fixture *f = *state;
        TaskStats *s = &f->stats;
        char *p = text;

        put_all(f);
        for (unsigned i = 0; i < 5000; i++)
                p += sprintf(p, "%u:%u rbytes=1 wbytes=1 rios=1 wios=1 dbytes=0 dios=0\n", i, i);
        put(f, "payload/io.stat", text);
        p = text;
        for (unsigned i = 0; i < 5000; i++)
                p += sprintf(p, "name_%u %u\n", i, i);
        put(f, "payload/memory.stat", text);
        p = text;
        for (unsigned i = 0; i < 5000; i++)
                p += sprintf(p, "if%u: 1 1 1 1 0 0 0 0 1 1 1 1 0 0 0 0\n", i);
        assert_int_equal(mkdirat(f->scope_fd, "net", 0700), 0);
        put(f, "net/dev", text);

        assert_int_equal(stats_read_cgroup(f->payload_fd, s), 0);
        assert_int_equal(stats_read_network(f->scope_fd, s), 0);
        assert_true(s->n_pairs <= STAT_PAIRS_MAX);
        assert_true(s->n_text <= STAT_TEXT_MAX);
        assert_true(s->n_io <= STAT_GROUPS_MAX && s->n_network <= STAT_GROUPS_MAX);
        /* and again: nothing is left of the first time */
        stats_reset(s);
        put_all(f);
        assert_int_equal(stats_read_cgroup(f->payload_fd, s), 0);
        assert_int_equal(s->n_io, 2);
        assert_int_equal(s->n_network, 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_recorded, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_missing, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_gone, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_damaged, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_network, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_bounds, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
