/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Classes of block I/O and RDT (A5.2): their YAML, what it means, and a resctrl file system that is
 * a directory. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/yaml-json.h"
#include "manager/blockio.h"
#include "manager/rdt.h"
#include "manager/spec.h"

typedef struct Fixture {
        char path[64];
        int fd;
} Fixture;

static int setup(void **state) {
        Fixture *f = calloc(1, sizeof(Fixture));

        log_set_max_level(-1);
        strcpy(f->path, "/tmp/test-classes-XXXXXX");
        assert_non_null(mkdtemp(f->path));
        f->fd = open(f->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = f;
        return 0;
}

static int teardown(void **state) {
        Fixture *f = *state;

        fd_close(f->fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, f->path), 0);
        free(f);
        return 0;
}

/* Makes a file, and its directory. Returns its path, until the next call. */
static const char *put(Fixture *f, const char *name, const char *text) {
        const char *slash = strrchr(name, '/');
        _cleanup_close_ int fd = -1;
        static char path[128];

        if (slash) {
                char directory[64];

                (void) snprintf(directory, sizeof(directory), "%.*s", (int) (slash - name), name);
                fd_close(dir_open_make_at(f->fd, directory, 0700));
        }
        (void) snprintf(path, sizeof(path), "%s/%s", f->path, name);
        fd = open(path, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        return path;
}

static void assert_content(Fixture *f, const char *name, const char *expected) {
        _cleanup_free_ char *text = NULL;

        assert_int_equal(file_read_at(f->fd, name, 4096, &text, NULL), 0);
        assert_string_equal(text, expected);
}

static void test_yaml(void **state) {
        static const struct {
                const char *yaml, *json;
        } cases[] = {
                        {"", "{}"},
                        {"a: 1\nb: [x, 'y z']\n", "{\"a\":\"1\",\"b\":[\"x\",\"y z\"]}"},
                        {"- {k: &v [1]}\n- *v\n", "[{\"k\":[\"1\"]},[\"1\"]]"},
                        {"# nothing\n", "{}"},
                        {"z: ~\na:\n", "{\"z\":\"~\",\"a\":\"\"}"},
        };
        static const struct {
                const char *yaml, *error;
        } bad[] = {
                        {"a: [", "t.yaml: line"},
                        {"a: 1\na: 2\n", "line 2: this key is there twice"},
                        {"[x]: 1\n", "a key is no string"},
                        {"a: \"\\0\"\n", "NUL"},
                        {"a: &a [*a]\n", "too deep"},
                        {"a: &a [x,x,x,x,x,x,x,x,x,x]\nb: &b [*a,*a,*a,*a,*a,*a,*a,*a,*a,*a]\n"
                         "c: &c [*b,*b,*b,*b,*b,*b,*b,*b,*b,*b]\nd: &d "
                         "[*c,*c,*c,*c,*c,*c,*c,*c,*c,*c]\n"
                         "e: [*d,*d,*d,*d,*d,*d,*d,*d,*d,*d]\n",
                         "too large"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *j = NULL;
                _cleanup_free_ char *text = NULL;
                _cleanup_error_ Error e = ERROR_NULL;

                if (yaml_parse(cases[i].yaml, strlen(cases[i].yaml), "t.yaml", &j, &e) != 0)
                        fail_msg("%s: %s", cases[i].yaml, error_text(&e));
                assert_int_equal(json_to_text(j, &text), 0);
                assert_string_equal(text, cases[i].json);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                json_t *j = NULL;

                assert_int_equal(yaml_parse(bad[i].yaml, strlen(bad[i].yaml), "t.yaml", &j, &e),
                                 CTR_INVALID_ARGUMENT);
                assert_null(j);
                if (!strstr(e.text, bad[i].error))
                        fail_msg("%s: %s", bad[i].yaml, e.text);
        }
}

static void test_quantity(void **state) {
        static const struct {
                const char *text;
                bool valid;
                uint64_t value;
        } cases[] = {
                        {"0", true, 0},           {"80", true, 80},
                        {"10k", true, 10000},     {"50M", true, 50000000},
                        {"64Mi", true, 64 << 20}, {"1.5G", true, 1500000000},
                        {".5Ki", true, 512},      {"0.0001", true, 1}, /* rounded up */
                        {"", false, 0},           {".", false, 0},
                        {"-1", false, 0},         {"1 M", false, 0},
                        {"1X", false, 0},         {"99999999999999999999", false, 0},
                        {"9000000P", false, 0},   {"1.00000000001", false, 0},
        };
        uint64_t value;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool valid = blockio_parse_quantity(cases[i].text, &value);

                if (valid != cases[i].valid || (valid && value != cases[i].value))
                        fail_msg("%s", cases[i].text);
        }
        assert_int_equal(blockio_weight(10), 1);
        assert_int_equal(blockio_weight(100), 910);
        assert_int_equal(blockio_weight(1000), 10000);
}

static void test_blockio(void **state) {
        static const char config[] = "Classes:\n"
                                     "  slow:\n"
                                     "    - Weight: 80\n"
                                     "    - Devices: [/dev/nothing-*]\n"
                                     "      ThrottleReadBps: 10M\n"
                                     "  too-heavy: [{Weight: 1001}]\n"
                                     "  no-device: [{ThrottleReadBps: 10M}]\n"
                                     "  unknown: [{Wait: 10}]\n"
                                     "  scalar: 5\n"
                                     "  scalar-item: [5]\n";
        static const char *const left_out[] = {"too-heavy", "no-device",   "unknown",
                                               "scalar",    "scalar-item", "x"};
        _cleanup_json_ json_t *properties = json_object(), *chosen = json_object();
        _cleanup_(blockio_freep) BlockIO *b = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Fixture *f = *state;

        assert_int_equal(blockio_load(put(f, "b.yaml", config), &b, &e), 0);
        assert_int_equal(blockio_apply(b, "slow", properties, &e), 0);
        assert_int_equal(json_object_size(properties), 1);
        assert_int_equal(json_integer_value(json_object_get(properties, "IOWeight")), 708);
        /* what was asked for holds */
        assert_int_equal(json_object_set_new(chosen, "IOWeight", json_integer(5)), 0);
        assert_int_equal(blockio_apply(b, "slow", chosen, &e), 0);
        assert_int_equal(json_integer_value(json_object_get(chosen, "IOWeight")), 5);
        for (size_t i = 0; i < ELEMENTSOF(left_out); i++)
                assert_int_equal(blockio_apply(b, left_out[i], properties, NULL),
                                 CTR_INVALID_ARGUMENT);
        assert_int_equal(blockio_apply(NULL, "slow", properties, &e), CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.text, "no configuration"));
}

/* Reads [{"major": M, "minor": N, KEY: value}] of the document's linux.resources.blockIO. */
static json_int_t device_value(json_t *document, const char *list, const char *key) {
        json_int_t major = -1, minor = -1, value = -1;

        assert_int_equal(json_unpack(document, "{s{s{s{s[{sI sI sI !}!]}}}}", "linux", "resources",
                                     "blockIO", list, "major", &major, "minor", &minor, key,
                                     &value),
                         0);
        assert_int_equal(major, 8);
        assert_int_equal(minor, 16);
        return value;
}

/* The document has what the unit properties say: for hooks, and other runtimes that it is given. */
static void test_blockio_document(void **state) {
        _cleanup_json_ json_t *document = json_pack("{s{}}", "linux"), *properties = NULL;
        Fixture *f = *state;
        char path[96];

        for (uint64_t weight = 10; weight <= 1000; weight++)
                assert_int_equal(blockio_weight_oci(blockio_weight(weight)), weight);
        assert_int_equal(blockio_weight_oci(1), 10);
        assert_int_equal(blockio_weight_oci(10000), 1000);

        (void) snprintf(path, sizeof(path), "%s/disk", f->path);
        if (mknod(path, S_IFBLK | 0600, makedev(8, 16)) < 0)
                skip(); /* not by this user */
        properties = json_pack("{s[[si]] s[[si][si][si]] s[[si]] si}", "IODeviceWeight", path, 910,
                               "IOReadBandwidthMax", path, 50000000, "/dev/not-there", 1,
                               "/dev/null", 1, "IOWriteIOPSMax", path, 1500, "IOWeight", 100);
        assert_non_null(properties);
        assert_int_equal(spec_set_resources(document, properties), 0);
        assert_int_equal(device_value(document, "weightDevice", "weight"), 100);
        assert_int_equal(device_value(document, "throttleReadBpsDevice", "rate"), 50000000);
        assert_int_equal(device_value(document, "throttleWriteIOPSDevice", "rate"), 1500);

        /* what is not limited any more is not in it either */
        assert_int_equal(json_object_del(properties, "IODeviceWeight"), 0);
        assert_int_equal(json_object_del(properties, "IOReadBandwidthMax"), 0);
        assert_int_equal(json_object_del(properties, "IOWriteIOPSMax"), 0);
        assert_int_equal(spec_set_resources(document, properties), 0);
        assert_null(json_object_get(json_object_get(json_object_get(document, "linux"),
                                                    "resources"),
                                    "blockIO"));
}

static void test_blockio_bad_file(void **state) {
        Fixture *f = *state;
        BlockIO *b = NULL;

        assert_int_equal(blockio_load("/nonexistent/b.yaml", &b, NULL), -ENOENT);
        assert_int_equal(blockio_load(put(f, "b.yaml", "Classes: [\n"), &b, NULL),
                         CTR_INVALID_ARGUMENT);
        assert_true(blockio_load(put(f, "b.yaml", "Classes: 5\n"), &b, NULL) != 0);
        assert_null(b);
}

/* What the kernel shows of two caches of 20 ways. */
static void make_resctrl(Fixture *f) {
        static const char *const groups[] = {"guaranteed", "burstable", "besteffort", "other"};

        put(f, "r/schemata", "    MB:0=100;1=100\n    L3:0=fffff;1=fffff\n");
        put(f, "r/tasks", "");
        put(f, "r/info/L3/cbm_mask", "fffff\n");
        put(f, "r/info/L3/min_cbm_bits", "2\n");
        put(f, "r/info/MB/min_bandwidth", "10\n");
        for (size_t i = 0; i < ELEMENTSOF(groups); i++) {
                char name[64];

                (void) snprintf(name, sizeof(name), "r/%s/schemata", groups[i]);
                put(f, name, "");
                (void) snprintf(name, sizeof(name), "r/%s/tasks", groups[i]);
                put(f, name, "");
        }
}

static Rdt *load_rdt(Fixture *f, const char *config) {
        _cleanup_error_ Error e = ERROR_NULL;
        char dir[80];
        Rdt *rdt = NULL;

        (void) snprintf(dir, sizeof(dir), "%s/r", f->path);
        if (rdt_load(put(f, "rdt.yaml", config), dir, &rdt, &e) != 0)
                fail_msg("%s", error_text(&e));
        return rdt;
}

static void test_rdt(void **state) {
        static const char config[] = "options: {l3: {optional: false}}\n"
                                     "partitions:\n"
                                     "  exclusive:\n"
                                     "    l3Allocation: \"60%\"\n"
                                     "    mbAllocation: [\"100%\"]\n"
                                     "    classes: {guaranteed: {l3Allocation: \"100%\"}}\n"
                                     "  shared:\n"
                                     "    l3Allocation: {all: \"40%\", 1: \"20%\"}\n"
                                     "    mbAllocation: [\"50%\", \"1000MBps\"]\n"
                                     "    classes:\n"
                                     "      burstable:\n"
                                     "      besteffort:\n"
                                     "        l3Allocation: {all: {unified: \"50%\"}}\n"
                                     "        mbAllocation: {all: [\"60%\"], \"1,3-4\": [\"1%\"]}\n"
                                     "      DEFAULT: {l3Allocation: \"0-3\"}\n";
        _cleanup_(rdt_freep) Rdt *rdt = NULL;
        Fixture *f = *state;
        _cleanup_error_ Error e = ERROR_NULL;

        make_resctrl(f);
        rdt = load_rdt(f, config);
        assert_content(f, "r/guaranteed/schemata", "MB:0=100;1=100\nL3:0=fff;1=fff\n");
        assert_content(f, "r/burstable/schemata", "MB:0=50;1=50\nL3:0=ff000;1=f000\n");
        assert_content(f, "r/besteffort/schemata", "MB:0=30;1=10\nL3:0=f000;1=3000\n");
        assert_content(f, "r/schemata", "MB:0=50;1=50\nL3:0=f000;1=f000\n");

        assert_int_equal(rdt_check(rdt, "besteffort", &e), 0);
        assert_int_equal(rdt_assign(rdt, "besteffort", 4711, &e), 0);
        assert_content(f, "r/besteffort/tasks", "4711\n");
        assert_int_equal(rdt_assign(rdt, "DEFAULT", 4712, &e), 0);
        assert_content(f, "r/tasks", "4712\n");
        /* a directory that is nobody's class */
        assert_int_equal(rdt_check(rdt, "other", &e), CTR_INVALID_ARGUMENT);
        assert_int_equal(rdt_check(NULL, "other", NULL), CTR_INVALID_ARGUMENT);
}

/* A class that cannot be made is unavailable, the others are not. */
static void test_rdt_wrong_shares(void **state) {
        static const char *const wrong[] = {
                        /* of a partition */
                        "a: {l3Allocation: \"60%\", classes: {burstable: }}\n"
                        "  b: {l3Allocation: \"50%\", classes: {besteffort: }}",
                        "a: {l3Allocation: \"0xff\", classes: {burstable: }}\n"
                        "  b: {l3Allocation: \"4-9\", classes: {besteffort: }}",
                        "a: {l3Allocation: \"0xf0f\", classes: {burstable: , besteffort: }}",
                        "a: {l3Allocation: \"0x1\", classes: {burstable: , besteffort: }}",
                        "a: {l3Allocation: \"0xfffff0\", classes: {burstable: , besteffort: }}",
                        "a: {l3Allocation: \"50%\", classes: {burstable: }}\n"
                        "  b: {classes: {besteffort: }}",
                        "a: {l3Allocation: \"101%\", classes: {burstable: , besteffort: }}",
                        /* of a class */
                        "a: {l3Allocation: \"20%\", classes: {burstable: {l3Allocation: \"0-4\"}, "
                        "besteffort: {l3Allocation: x}}}",
                        "a: {mbAllocation: [\"5\"], classes: {burstable: , besteffort: }}",
        };
        Fixture *f = *state;

        make_resctrl(f);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++) {
                _cleanup_(rdt_freep) Rdt *rdt = NULL;
                _cleanup_error_ Error e = ERROR_NULL;
                char config[512];

                (void) snprintf(config, sizeof(config), "partitions:\n  %s\n", wrong[i]);
                rdt = load_rdt(f, config);
                if (rdt_check(rdt, "besteffort", &e) != CTR_UNAVAILABLE)
                        fail_msg("%s is taken", wrong[i]);
                assert_int_equal(rdt_assign(rdt, "besteffort", 1, NULL), CTR_UNAVAILABLE);
        }
}

static void test_rdt_no_resctrl(void **state) {
        static const char config[] = "partitions: {p: {classes: {gold: }}}\n";
        _cleanup_(rdt_freep) Rdt *rdt = NULL, *empty = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Fixture *f = *state;

        rdt = load_rdt(f, config);
        assert_int_equal(rdt_check(rdt, "gold", &e), CTR_UNAVAILABLE);
        assert_non_null(strstr(e.text, "/r")); /* it is named */
        assert_int_equal(rdt_check(rdt, "silver", NULL), CTR_INVALID_ARGUMENT);
        /* a mount point with nothing mounted */
        assert_int_equal(mkdirat(f->fd, "r", 0700), 0);
        empty = load_rdt(f, config);
        assert_int_equal(rdt_check(empty, "gold", NULL), CTR_UNAVAILABLE);
}

static void test_rdt_bad_names(void **state) {
        static const char *const names[] = {"info", "mon_data", "..", "a/b", "\"\"", ".x"};
        Fixture *f = *state;

        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                char config[128];
                Rdt *rdt = NULL;

                (void) snprintf(config, sizeof(config), "partitions: {p: {classes: {%s: }}}\n",
                                names[i]);
                assert_int_equal(rdt_load(put(f, "rdt.yaml", config), f->path, &rdt, NULL),
                                 CTR_INVALID_ARGUMENT);
                assert_null(rdt);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_yaml),
                        cmocka_unit_test(test_quantity),
                        cmocka_unit_test_setup_teardown(test_blockio, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_blockio_document, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_blockio_bad_file, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_rdt, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_rdt_wrong_shares, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_rdt_no_resctrl, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_rdt_bad_names, setup, teardown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
