/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* linux.resources: which file gets which value, what is refused by its name, and what a file that
 * is not there means. The cgroup is a directory with plain files. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "oci/cgroup-limits.h"

static int read_limits(const char *text, Limits *ret, Error *e) {
        json_error_t error;
        json_t *j = json_loads(text, 0, &error);
        int r;

        if (!j)
                fail_msg("%s: %s", text, error.text);
        r = limits_read(j, ret, e);
        json_decref(j);
        return r;
}

/* "file=value" of each limit, with blanks between. */
static void describe(const Limits *l, char *buf, size_t size) {
        size_t used = 0;

        buf[0] = '\0';
        for (size_t i = 0; i < l->n && used < size; i++)
                used += (size_t) snprintf(buf + used, size - used, "%s%s=%s", i > 0 ? "; " : "",
                                          l->items[i].file, l->items[i].value);
}

static void test_files(void **state) {
        static const struct {
                const char *resources, *files;
        } cases[] = {
                        {"{}", ""},
                        {"{\"memory\": {\"limit\": 1048576}}", "memory.max=1048576"},
                        {"{\"memory\": {\"limit\": -1}}", "memory.max=max"},
                        {"{\"memory\": {\"limit\": 0}}", ""},
                        {"{\"memory\": {\"reservation\": 4096}}", "memory.low=4096"},
                        {"{\"memory\": {\"limit\": 10, \"swap\": 30}}",
                         "memory.max=10; memory.swap.max=20"},
                        {"{\"memory\": {\"limit\": 10, \"swap\": 10}}",
                         "memory.max=10; memory.swap.max=0"},
                        {"{\"memory\": {\"swap\": -1}}", "memory.swap.max=max"},
                        {"{\"memory\": {\"kernel\": -1, \"kernelTCP\": 0, \"useHierarchy\": true,"
                         " \"disableOOMKiller\": false}}",
                         ""},
                        {"{\"cpu\": {\"shares\": 2}}", "cpu.weight=1"},
                        {"{\"cpu\": {\"shares\": 262144}}", "cpu.weight=10000"},
                        {"{\"cpu\": {\"shares\": 1024}}", "cpu.weight=39"},
                        {"{\"cpu\": {\"quota\": 50000, \"period\": 200000}}",
                         "cpu.max=50000 200000"},
                        {"{\"cpu\": {\"quota\": 50000}}", "cpu.max=50000 100000"},
                        {"{\"cpu\": {\"quota\": -1}}", "cpu.max=max"},
                        {"{\"cpu\": {\"period\": 200000}}", "cpu.max=max 200000"},
                        {"{\"cpu\": {\"burst\": 7000}}", "cpu.max.burst=7000"},
                        {"{\"cpu\": {\"burst\": 0}}", "cpu.max.burst=0"},
                        {"{\"cpu\": {\"burst\": null}}", ""},
                        {"{\"cpu\": {\"idle\": 1}}", "cpu.idle=1"},
                        {"{\"cpu\": {\"cpus\": \"0-1,3\", \"mems\": \"0\"}}",
                         "cpuset.cpus=0-1,3; cpuset.mems=0"},
                        {"{\"cpu\": {\"realtimeRuntime\": 0, \"realtimePeriod\": 0}}", ""},
                        {"{\"pids\": {\"limit\": 32}}", "pids.max=32"},
                        {"{\"pids\": {\"limit\": 0}}", "pids.max=0"},
                        {"{\"pids\": {\"limit\": -1}}", "pids.max=max"},
                        {"{\"blockIO\": {\"weight\": 10}}", "io.weight=1"},
                        {"{\"blockIO\": {\"weight\": 1000, \"leafWeight\": 0}}", "io.weight=10000"},
                        {"{\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 16,"
                         " \"weight\": 505}]}}",
                         "io.weight=8:16 5000"},
                        {"{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8, \"minor\": 0,"
                         " \"rate\": 600}]}}",
                         "io.max=8:0 rbps=600"},
                        {"{\"blockIO\": {\"throttleWriteBpsDevice\": [{\"major\": 8, \"minor\": 1,"
                         " \"rate\": 601}]}}",
                         "io.max=8:1 wbps=601"},
                        {"{\"blockIO\": {\"throttleReadIOPSDevice\": [{\"major\": 8, \"minor\": 2,"
                         " \"rate\": 602}]}}",
                         "io.max=8:2 riops=602"},
                        {"{\"blockIO\": {\"throttleWriteIOPSDevice\": [{\"major\": 8,"
                         " \"minor\": 3, \"rate\": 603}, {\"major\": 9, \"minor\": 3,"
                         " \"rate\": 1}]}}",
                         "io.max=8:3 wiops=603; io.max=9:3 wiops=1"},
                        {"{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 4194304}]}",
                         "hugetlb.2MB.max=4194304; hugetlb.2MB.rsvd.max=4194304"},
                        {"{\"hugepageLimits\": [{\"pageSize\": \"1GB\", \"limit\": -1}]}",
                         "hugetlb.1GB.max=max; hugetlb.1GB.rsvd.max=max"},
                        {"{\"rdma\": {\"mlx5_1\": {\"hcaHandles\": 3, \"hcaObjects\": 10000}}}",
                         "rdma.max=mlx5_1 hca_handle=3 hca_object=10000"},
                        {"{\"rdma\": {\"rxe3\": {\"hcaObjects\": 7}}}",
                         "rdma.max=rxe3 hca_object=7"},
                        {"{\"unified\": {\"memory.high\": \"4096\"}}", "memory.high=4096"},
                        {"{\"network\": {}}", ""},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(limits_clear) Limits l = {};
                _cleanup_error_ Error e = ERROR_NULL;
                char text[256];

                if (read_limits(cases[i].resources, &l, &e) != 0)
                        fail_msg("%s: %s", cases[i].resources, error_text(&e));
                describe(&l, text, sizeof(text));
                if (!streq(text, cases[i].files))
                        fail_msg("%s: \"%s\"", cases[i].resources, text);
        }
}

static void test_refused(void **state) {
        static const struct {
                const char *resources;
                int code;
                const char *text;
        } cases[] = {
                        {"{\"memory\": 1}", CTR_INVALID_ARGUMENT,
                         "linux.resources.memory: expected an object"},
                        {"{\"memory\": {\"limit\": \"1\"}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.memory.limit: expected an integer"},
                        {"{\"memory\": {\"swap\": 9}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.memory.swap: needs linux.resources.memory.limit"},
                        {"{\"memory\": {\"swap\": 8, \"limit\": 9}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.memory.swap: is less than linux.resources.memory.limit"},
                        {"{\"memory\": {\"kernel\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.memory.kernel is not supported"},
                        {"{\"memory\": {\"kernelTCP\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.memory.kernelTCP is not supported"},
                        {"{\"memory\": {\"swappiness\": 60}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.memory.swappiness is not supported"},
                        {"{\"memory\": {\"disableOOMKiller\": true}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.memory.disableOOMKiller is not supported"},
                        {"{\"memory\": {\"useHierarchy\": false}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.memory.useHierarchy: cgroup v2 is always hierarchical"},
                        {"{\"cpu\": {\"realtimeRuntime\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.cpu.realtimeRuntime: cgroup v2 has no such limit"},
                        {"{\"cpu\": {\"realtimePeriod\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.cpu.realtimePeriod: cgroup v2 has no such limit"},
                        {"{\"cpu\": {\"period\": -1}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.cpu.period: is negative"},
                        {"{\"cpu\": {\"burst\": -1}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.cpu.burst: is negative"},
                        {"{\"cpu\": {\"cpus\": \"x\"}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.cpu.cpus: \"x\" is not a list of numbers"},
                        {"{\"cpu\": {\"mems\": \"0;1\"}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.cpu.mems: \"0;1\" is not a list of numbers"},
                        {"{\"blockIO\": {\"weight\": 1001}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.blockIO.weight: 1001 is not between 0 and 1000"},
                        {"{\"blockIO\": {\"leafWeight\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.blockIO.leafWeight: cgroup v2 has no such limit"},
                        {"{\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0,"
                         " \"weight\": 10, \"leafWeight\": 10}]}}",
                         CTR_NOT_IMPLEMENTED,
                         "linux.resources.blockIO.weightDevice[0].leafWeight: cgroup v2 has no "
                         "such limit"},
                        {"{\"blockIO\": {\"weightDevice\": [{\"major\": 8, \"minor\": 0}]}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.blockIO.weightDevice[0].weight is missing"},
                        {"{\"blockIO\": {\"throttleReadBpsDevice\": [{\"major\": 8,"
                         " \"minor\": 0}]}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.blockIO.throttleReadBpsDevice[0].rate is missing"},
                        {"{\"blockIO\": {\"throttleReadBpsDevice\": [{\"minor\": 0}]}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.blockIO.throttleReadBpsDevice[0]: major and minor are "
                         "required"},
                        {"{\"hugepageLimits\": [{\"pageSize\": \"2M\", \"limit\": 1}]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.hugepageLimits[0].pageSize: expected a size, as \"2MB\""},
                        {"{\"hugepageLimits\": [{\"pageSize\": \"../MB\", \"limit\": 1}]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.hugepageLimits[0].pageSize: expected a size, as \"2MB\""},
                        {"{\"hugepageLimits\": [{\"pageSize\": \"2MB\"}]}", CTR_INVALID_ARGUMENT,
                         "linux.resources.hugepageLimits[0].limit is missing"},
                        {"{\"rdma\": {\"a\": {}}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.rdma.a: needs hcaHandles or hcaObjects"},
                        {"{\"rdma\": {\"a b\": {\"hcaHandles\": 1}}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.rdma.a b: not a limit of a device"},
                        {"{\"unified\": {\"cgroup.procs\": \"1\"}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.unified.cgroup.procs: not a file of a controller"},
                        {"{\"unified\": {\"../memory.max\": \"1\"}}", CTR_INVALID_ARGUMENT,
                         "linux.resources.unified.../memory.max: not a file of a controller"},
                        {"{\"network\": {\"classID\": 1}}", CTR_NOT_IMPLEMENTED,
                         "linux.resources.network is not supported"},
                        {"{\"devices\": [{\"access\": \"r\"}]}", CTR_INVALID_ARGUMENT,
                         "linux.resources.devices[0].allow is missing"},
                        {"{\"devices\": [{\"allow\": true, \"type\": \"x\"}]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.devices[0].type: expected a, b or c"},
                        {"{\"devices\": [{\"allow\": true, \"major\": 4096}]}",
                         CTR_INVALID_ARGUMENT,
                         "linux.resources.devices[0].major: 4096 is not between -1 and "
                         "4095"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Limits l = {};
                int r = read_limits(cases[i].resources, &l, &e);

                if (r != cases[i].code || !streq(error_text(&e), cases[i].text))
                        fail_msg("%s: %d, \"%s\"", cases[i].resources, r, error_text(&e));
                assert_null(l.items);
        }
}

static int make_directory(char path[64]) {
        strcpy(path, "/tmp/test-limits.XXXXXX");
        assert_non_null(mkdtemp(path));
        return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
}

static void put(int dir_fd, const char *name, const char *text) {
        assert_int_equal(file_write_atomic_at(dir_fd, name, text, strlen(text), 0600, 0), 0);
}

static void expect(int dir_fd, const char *name, const char *text) {
        _cleanup_free_ char *have = NULL;

        assert_int_equal(file_read_at(dir_fd, name, 64, &have, NULL), 0);
        assert_string_equal(have, text);
}

static int apply(int dir_fd, const char *resources, Error *e) {
        _cleanup_(limits_clear) Limits l = {};

        assert_int_equal(read_limits(resources, &l, e), 0);
        return limits_apply(&l, dir_fd, true, e);
}

static void test_apply(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int fd = -1;
        char path[64];

        fd = make_directory(path);
        assert_true(fd >= 0);
        put(fd, "memory.max", "");
        put(fd, "hugetlb.2MB.max", "");
        assert_int_equal(apply(fd,
                               "{\"memory\": {\"limit\": 7}, \"hugepageLimits\":"
                               " [{\"pageSize\": \"2MB\", \"limit\": 8}]}",
                               &e),
                         0);
        expect(fd, "memory.max", "7");
        /* a kernel that does not count reservations */
        expect(fd, "hugetlb.2MB.max", "8");
        put(fd, "hugetlb.2MB.rsvd.max", "");
        assert_int_equal(apply(fd, "{\"hugepageLimits\": [{\"pageSize\": \"2MB\", \"limit\": 9}]}",
                               &e),
                         0);
        expect(fd, "hugetlb.2MB.rsvd.max", "9");
        /* what is not limited needs no controller, what is does */
        assert_int_equal(apply(fd, "{\"pids\": {\"limit\": -1}}", &e), 0);
        assert_int_equal(apply(fd, "{\"pids\": {\"limit\": 1}}", &e), CTR_NOT_IMPLEMENTED);
        assert_non_null(strstr(error_text(&e), "linux.resources.pids.limit: the cgroup has no "
                                               "pids.max"));
        error_clear(&e);
        assert_int_equal(apply(fd, "{\"unified\": {\"io.max\": \"x\"}}", &e), CTR_NOT_IMPLEMENTED);
        error_clear(&e);
        put(fd, "io.bfq.weight", "");
        assert_int_equal(apply(fd, "{\"blockIO\": {\"weight\": 10}}", &e), 0);
        expect(fd, "io.bfq.weight", "1");
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
}

static void test_check_before_update(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int fd = -1;
        char path[64];

        fd = make_directory(path);
        assert_true(fd >= 0);
        put(fd, "memory.max", "100");
        put(fd, "memory.current", "50\n");
        assert_int_equal(apply(fd, "{\"memory\": {\"limit\": 49, \"checkBeforeUpdate\": true}}",
                               &e),
                         CTR_FAILED_PRECONDITION);
        assert_string_equal(error_text(&e),
                            "linux.resources.memory.limit: the container uses 50 bytes already");
        error_clear(&e);
        expect(fd, "memory.max", "100");
        assert_int_equal(apply(fd, "{\"memory\": {\"limit\": 50, \"checkBeforeUpdate\": true}}",
                               &e),
                         0);
        expect(fd, "memory.max", "500"); /* "50" over "100": a plain file keeps the rest */
        assert_int_equal(apply(fd, "{\"memory\": {\"limit\": 49}}", &e), 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_files),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_apply),
                        cmocka_unit_test(test_check_before_update),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
