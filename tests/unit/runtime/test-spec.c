/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The document's parser and the small tables under it. No rights are needed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "basic/fs.h"
#include "runtime/capability.h"
#include "runtime/spec.h"

#define MINIMAL                                                                                    \
        "\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"r\"},"                                  \
        "\"process\": {\"cwd\": \"/\", \"args\": [\"x\"]},"                                        \
        "\"linux\": {\"namespaces\": [{\"type\": \"mount\"}]}"

static json_t *parse(const char *text) {
        json_error_t error;
        json_t *j = json_loads(text, JSON_DECODE_ANY, &error);

        if (!j)
                fail_msg("%s: %s", text, error.text);
        return j;
}

/* The minimal document with members replaced: objects are merged, everything else is set. */
static json_t *document_with(const char *members) {
        json_t *document = parse("{" MINIMAL "}"), *changes = parse(members), *value;
        const char *key;

        json_object_foreach(changes, key, value) {
                json_t *old = json_object_get(document, key);

                if (json_is_object(old) && json_is_object(value))
                        assert_int_equal(json_object_update(old, value), 0);
                else
                        assert_int_equal(json_object_set(document, key, value), 0);
        }
        json_decref(changes);
        return document;
}

static Spec *spec_with(const char *members) {
        _cleanup_error_ Error e = ERROR_NULL;
        Spec *s = NULL;

        if (spec_parse(document_with(members), &s, &e) != 0)
                fail_msg("%s: %s", members, error_text(&e));
        return s;
}

static void test_refused(void **state) {
        static const struct {
                const char *members;
                int code;
                const char *text;
        } cases[] = {
                        {"{\"ociVersion\": null}", CTR_INVALID_ARGUMENT, "ociVersion is missing"},
                        {"{\"ociVersion\": 1}", CTR_INVALID_ARGUMENT,
                         "ociVersion: expected a string"},
                        {"{\"ociVersion\": \"2.0.0\"}", CTR_NOT_IMPLEMENTED,
                         "ociVersion: version \"2.0.0\" is not supported, only 1.x"},
                        {"{\"root\": []}", CTR_INVALID_ARGUMENT, "root: expected an object"},
                        {"{\"root\": {\"path\": \"\"}}", CTR_INVALID_ARGUMENT,
                         "root.path: not a path"},
                        {"{\"root\": {\"readonly\": 1}}", CTR_INVALID_ARGUMENT,
                         "root.readonly: expected true or false"},
                        {"{\"process\": null}", CTR_INVALID_ARGUMENT, "process is missing"},
                        {"{\"process\": {\"cwd\": null}}", CTR_INVALID_ARGUMENT,
                         "process.cwd is missing"},
                        {"{\"process\": {\"cwd\": \"a\"}}", CTR_INVALID_ARGUMENT,
                         "process.cwd: \"a\" is not an absolute path"},
                        {"{\"process\": {\"args\": []}}", CTR_INVALID_ARGUMENT,
                         "process.args is missing"},
                        {"{\"process\": {\"args\": [\"\"]}}", CTR_INVALID_ARGUMENT,
                         "process.args[0]: the command is empty"},
                        {"{\"process\": {\"args\": [\"a\", 1]}}", CTR_INVALID_ARGUMENT,
                         "process.args[1]: expected a string"},
                        {"{\"process\": {\"env\": [null]}}", CTR_INVALID_ARGUMENT,
                         "process.env[0]: expected a string"},
                        {"{\"process\": {\"terminal\": true, \"consoleSize\": {\"height\": 1}}}",
                         CTR_INVALID_ARGUMENT, "process.consoleSize.width is missing"},
                        {"{\"process\": {\"user\": {\"uid\": -1}}}", CTR_INVALID_ARGUMENT,
                         "process.user.uid: -1 is not between 0 and 4294967294"},
                        {"{\"process\": {\"user\": {\"additionalGids\": [4294967295]}}}",
                         CTR_INVALID_ARGUMENT, "process.user.additionalGids[0]: not a group id"},
                        {"{\"process\": {\"user\": {\"umask\": 512}}}", CTR_INVALID_ARGUMENT,
                         "process.user.umask: 512 is not between 0 and 511"},
                        {"{\"process\": {\"rlimits\": [{\"type\": \"RLIMIT_X\"}]}}",
                         CTR_INVALID_ARGUMENT,
                         "process.rlimits[0].type: \"RLIMIT_X\" is not a limit"},
                        {"{\"process\": {\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 2,"
                         " \"hard\": 1}]}}",
                         CTR_INVALID_ARGUMENT,
                         "process.rlimits[0].soft: larger than the hard limit"},
                        {"{\"process\": {\"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1,"
                         " \"hard\": 1}, {\"type\": \"RLIMIT_CPU\", \"soft\": 1, \"hard\": 1}]}}",
                         CTR_INVALID_ARGUMENT,
                         "process.rlimits[1].type: \"RLIMIT_CPU\" is given twice"},
                        {"{\"process\": {\"capabilities\": {\"bounding\": [1]}}}",
                         CTR_INVALID_ARGUMENT,
                         "process.capabilities.bounding[0]: expected a string"},
                        {"{\"process\": {\"oomScoreAdj\": 1001}}", CTR_INVALID_ARGUMENT,
                         "process.oomScoreAdj: 1001 is not between -1000 and 1000"},
                        {"{\"windows\": {\"x\": 1}}", CTR_NOT_IMPLEMENTED,
                         "windows is not supported"},
                        {"{\"solaris\": {\"x\": 1}}", CTR_NOT_IMPLEMENTED,
                         "solaris is not supported"},
                        {"{\"vm\": {\"x\": 1}}", CTR_NOT_IMPLEMENTED, "vm is not supported"},
                        {"{\"zos\": {\"x\": 1}}", CTR_NOT_IMPLEMENTED, "zos is not supported"},
                        {"{\"freebsd\": {\"x\": 1}}", CTR_NOT_IMPLEMENTED,
                         "freebsd is not supported"},
                        {"{\"hostname\": \"x\"}", CTR_INVALID_ARGUMENT,
                         "hostname: the container has no uts namespace of its own"},
                        {"{\"annotations\": {\"a\": 1}}", CTR_INVALID_ARGUMENT,
                         "annotations.a: expected a string"},
                        {"{\"mounts\": [1]}", CTR_INVALID_ARGUMENT,
                         "mounts[0]: expected an object"},
                        {"{\"mounts\": [{}]}", CTR_INVALID_ARGUMENT,
                         "mounts[0].destination is missing"},
                        {"{\"mounts\": [{\"destination\": \"/../.\"}]}", CTR_INVALID_ARGUMENT,
                         "mounts[0].destination: \"/../.\" is the root file system itself"},
                        {"{\"mounts\": [{\"destination\": \"/x\"}]}", CTR_INVALID_ARGUMENT,
                         "mounts[0].type: a mount that is no bind mount needs a file system type"},
                        {"{\"mounts\": [{\"destination\": \"/x\", \"type\": \"bind\"}]}",
                         CTR_INVALID_ARGUMENT, "mounts[0].source: a bind mount needs a path"},
                        {"{\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                         " \"options\": [\"bind\", \"size=1\"]}]}",
                         CTR_INVALID_ARGUMENT,
                         "mounts[0].options: \"size=1\" has no meaning for a bind mount"},
                        {"{\"mounts\": [{\"destination\": \"/x\", \"type\": \"cgroup\"}]}",
                         CTR_NOT_IMPLEMENTED,
                         "mounts[0]: a cgroup mount without a cgroup namespace is not supported"},
                        {"{\"linux\": {\"namespaces\": []}}", CTR_NOT_IMPLEMENTED,
                         "linux.namespaces: a container without a mount namespace of its own is "
                         "not "
                         "supported"},
                        {"{\"linux\": {\"namespaces\": [{\"type\": \"x\"}]}}", CTR_INVALID_ARGUMENT,
                         "linux.namespaces[0].type: \"x\" is not a type of namespace"},
                        {"{\"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": "
                         "\"pid\"}]}}",
                         CTR_INVALID_ARGUMENT, "linux.namespaces[1].type: \"pid\" is given twice"},
                        {"{\"linux\": {\"namespaces\": [{\"type\": \"pid\", \"path\": \"x\"}]}}",
                         CTR_INVALID_ARGUMENT, "linux.namespaces[0].path: not an absolute path"},
                        {"{\"linux\": {\"devices\": [{\"path\": \"/d\", \"type\": \"x\"}]}}",
                         CTR_INVALID_ARGUMENT, "linux.devices[0].type: expected c, b, u or p"},
                        {"{\"linux\": {\"devices\": [{\"path\": \"/d\", \"type\": \"c\"}]}}",
                         CTR_INVALID_ARGUMENT, "linux.devices[0]: major and minor are required"},
                        {"{\"linux\": {\"devices\": [{\"path\": \"d\", \"type\": \"p\"}]}}",
                         CTR_INVALID_ARGUMENT, "linux.devices[0].path: not an absolute path"},
                        {"{\"linux\": {\"sysctl\": {\"kernel.panic\": \"1\"}}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.sysctl.kernel.panic: belongs to no namespace of the container"},
                        {"{\"linux\": {\"sysctl\": {\"net.x\": \"1\"}}}", CTR_INVALID_ARGUMENT,
                         "linux.sysctl.net.x: belongs to no namespace of the container"},
                        {"{\"linux\": {\"maskedPaths\": [\"proc\"]}}", CTR_INVALID_ARGUMENT,
                         "linux.maskedPaths[0]: \"proc\" is not an absolute path"},
                        {"{\"linux\": {\"rootfsPropagation\": \"x\"}}", CTR_INVALID_ARGUMENT,
                         "linux.rootfsPropagation: expected shared, slave, private or unbindable"},
                        {"{\"linux\": {\"timeOffsets\": {\"boottime\": {\"secs\": 1}}}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.timeOffsets: the container has no new time namespace"},
                        {"{\"linux\": {\"personality\": {\"domain\": \"BSD\"}}}",
                         CTR_INVALID_ARGUMENT,
                         "linux.personality.domain: expected LINUX or LINUX32"},
                        {"{\"linux\": {\"seccomp\": []}}", CTR_INVALID_ARGUMENT,
                         "linux.seccomp: expected an object"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Spec *s = NULL;

                if (spec_parse(document_with(cases[i].members), &s, &e) != cases[i].code)
                        fail_msg("%s: wrong code, \"%s\"", cases[i].members, error_text(&e));
                assert_int_equal(e.code, cases[i].code);
                assert_string_equal(error_text(&e), cases[i].text);
                assert_null(s);
        }
}

/* What means nothing asks for nothing; what is unknown is ignored (config.md, "Extensibility"). */
static void test_accepted(void **state) {
        static const char *const cases[] = {
                        "{\"hooks\": {\"prestart\": []}, \"windows\": {}}",
                        "{\"hooks\": {\"poststop\": [{\"path\": \"/x\", \"timeout\": 1}]}}",
                        "{\"process\": {\"apparmorProfile\": \"\", \"consoleSize\": 7}}",
                        "{\"org.example.future\": {\"x\": 1}}",
                        "{\"linux\": {\"resources\": {\"memory\": {}}, \"cgroupsPath\": \"/x\"}}",
                        "{\"linux\": {\"uidMappings\": [], \"timeOffsets\": {}}}",
                        "{\"process\": {\"capabilities\": {\"bounding\": [\"CAP_FUTURE\"]}}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                spec_free(spec_with(cases[i]));
}

static void test_values(void **state) {
        Spec *s = spec_with(
                        "{\"process\": {\"cwd\": \"/w\", \"args\": [\"a\", \"b\"], \"env\": "
                        "[\"E=1\"],"
                        " \"rlimits\": [{\"type\": \"RLIMIT_CORE\", \"soft\": 1, \"hard\": -1}],"
                        " \"capabilities\": {\"permitted\": [\"CAP_CHOWN\"],"
                        "  \"effective\": [\"CAP_CHOWN\", \"CAP_KILL\"], \"ambient\": "
                        "[\"CAP_KILL\"]}},"
                        " \"annotations\": {\"org.example.Ctr.user\": \"app\"},"
                        " \"linux\": {\"devices\": [{\"path\": \"/dev/x\", \"type\": \"b\","
                        "  \"major\": 8, \"minor\": 17, \"fileMode\": 25008}]}}");

        assert_string_equal(s->process.cwd, "/w");
        assert_int_equal(s->process.n_args, 2);
        assert_string_equal(s->process.args[1], "b");
        assert_null(s->process.args[2]);
        assert_int_equal(s->process.n_env, 1);
        assert_int_equal(s->process.rlimits.set, 1U << RLIMIT_CORE);
        assert_true(s->process.rlimits.limits[RLIMIT_CORE].rlim_max == RLIM_INFINITY);
        /* not granted, because not permitted */
        assert_int_equal(s->process.capabilities.effective, 1);
        assert_int_equal(s->process.capabilities.ambient, 0);
        assert_string_equal(s->process.user.name, "app");
        assert_true(s->process.user.umask == (mode_t) -1);
        assert_int_equal(s->devices[0].mode, S_IFBLK | 0660);
        assert_int_equal(s->devices[0].rdev, makedev(8, 17));
        spec_free(s);
}

static void test_mount_options(void **state) {
        Spec *s = spec_with(
                        "{\"mounts\": [{\"destination\": \"/a\", \"type\": \"tmpfs\","
                        " \"options\": [\"nosuid\", \"ro\", \"suid\", \"noatime\", \"strictatime\","
                        "  \"size=1k\", \"sync\", \"rslave\", \"rro\", \"rnoatime\"]},"
                        " {\"destination\": \"/b\", \"source\": \"/\","
                        " \"options\": [\"rbind\", \"rw\", \"shared\", \"private\"]}]}");
        const MountOptions *o = &s->mounts[0].options;

        assert_int_equal(o->attr_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_STRICTATIME);
        assert_int_equal(o->attr_clear, MOUNT_ATTR_NOSUID | MOUNT_ATTR__ATIME);
        assert_int_equal(o->recursive_set, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOATIME);
        assert_int_equal(o->recursive_clear, MOUNT_ATTR__ATIME);
        assert_int_equal(o->propagation, MS_SLAVE);
        assert_true(o->propagation_recursive);
        assert_false(o->bind);
        assert_int_equal(o->n_parameters, 2);
        assert_string_equal(o->parameters[0], "size=1k");
        o = &s->mounts[1].options;
        assert_true(o->bind && o->bind_recursive && !o->propagation_recursive);
        assert_int_equal(o->propagation, MS_PRIVATE);
        assert_int_equal(o->attr_clear, MOUNT_ATTR_RDONLY);
        spec_free(s);
}

/* As seccomp has them for arguments: the bits, whatever the sign. */
static void test_unsigned_bits(void **state) {
        static const char text[] =
                        "{\"ociVersion\": \"1.0.0\", \"process\": {\"cwd\": \"/\", \"args\":"
                        " [\"x\"]}, \"linux\": {\"namespaces\": [{\"type\": \"mount\"}],"
                        " \"seccomp\": {\"values\": [9223372036854775807,9223372036854775808,"
                        "9999999999999999999,10000000000000000000,18446744073709551615]}}}";
        static const uint64_t values[] = {INT64_MAX, UINT64_C(1) << 63,
                                          UINT64_C(9999999999999999999),
                                          UINT64_C(10000000000000000000), UINT64_MAX};
        _cleanup_error_ Error e = ERROR_NULL;
        Spec *s = NULL;
        json_t *list;

        if (spec_parse_text(text, sizeof(text) - 1, "x", &s, &e) != 0)
                fail_msg("%s", error_text(&e));
        list = json_object_get(s->seccomp, "values");
        assert_int_equal(json_array_size(list), ELEMENTSOF(values));
        for (size_t i = 0; i < ELEMENTSOF(values); i++)
                assert_true((uint64_t) json_integer_value(json_array_get(list, i)) == values[i]);
        spec_free(s);
}

static void test_unsigned(void **state) {
        static const struct {
                const char *hard;
                int code;
        } cases[] = {
                        {"18446744073709551615", 0},
                        {"9223372036854775807", 0},
                        {"-1", 0},
                        {"-2", CTR_INVALID_ARGUMENT},
                        {"18446744073709551614", CTR_INVALID_ARGUMENT},
                        {"18446744073709551616", CTR_INVALID_ARGUMENT},
                        {"18446744073709551615.0", CTR_INVALID_ARGUMENT},
                        {"-18446744073709551615", CTR_INVALID_ARGUMENT},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Spec *s = NULL;
                char text[512];
                int n, r;

                n = snprintf(text, sizeof(text),
                             "{" MINIMAL ", \"annotations\": {\"\\\"18446744073709551615\":"
                             " \"18446744073709551615\"}}");
                r = spec_parse_text(text, (size_t) n, "x", &s, &e);
                assert_int_equal(r, 0);
                assert_string_equal(json_string_value(json_object_get(
                                                    json_object_get(s->document, "annotations"),
                                                    "\"18446744073709551615")),
                                    "18446744073709551615");
                s = spec_free(s);
                n = snprintf(text, sizeof(text),
                             "{\"ociVersion\": \"1.0.0\", \"process\": {\"cwd\": \"/\", \"args\":"
                             " [\"x\"], \"rlimits\": [{\"type\": \"RLIMIT_CPU\", \"soft\": 1,"
                             " \"hard\":%s}]}, \"linux\": {\"namespaces\": [{\"type\": "
                             "\"mount\"}]}}",
                             cases[i].hard);
                r = spec_parse_text(text, (size_t) n, "x", &s, &e);
                if (r != cases[i].code)
                        fail_msg("%s: %d %s", cases[i].hard, r, error_text(&e));
                if (r == 0 && i != 1)
                        assert_true(s->process.rlimits.limits[RLIMIT_CPU].rlim_max ==
                                    RLIM_INFINITY);
                spec_free(s);
        }
}

/* Every option that config.md lists is known: none of them reaches a file system as "unknown". */
static void test_mount_option_table(void **state) {
        static const char *const flags[] = {
                        "async",        "atime",       "bind",           "defaults",
                        "dev",          "diratime",    "dirsync",        "exec",
                        "idmap",        "iversion",    "ridmap",         "tmpcopyup",
                        "lazytime",     "loud",        "mand",           "noatime",
                        "nodev",        "nodiratime",  "noexec",         "noiversion",
                        "nolazytime",   "nomand",      "norelatime",     "nostrictatime",
                        "nosuid",       "nosymfollow", "private",        "ratime",
                        "rbind",        "rdev",        "rdiratime",      "relatime",
                        "remount",      "rexec",       "rnoatime",       "rnodiratime",
                        "rnoexec",      "rnorelatime", "rnostrictatime", "rnosuid",
                        "rnosymfollow", "ro",          "rprivate",       "rrelatime",
                        "rro",          "rrw",         "rshared",        "rslave",
                        "rstrictatime", "rsuid",       "rsymfollow",     "runbindable",
                        "rw",           "shared",      "silent",         "slave",
                        "strictatime",  "suid",        "symfollow",      "sync",
                        "unbindable",
        };
        static const char *const passed_on[] = {"async",      "dirsync", "lazytime", "mand",
                                                "nolazytime", "nomand",  "sync"};

        for (size_t i = 0; i < ELEMENTSOF(flags); i++) {
                const char *parameters[1] = {NULL};
                MountOptions o = {.parameters = parameters};
                bool expected = false;

                mount_options_add(&o, flags[i]);
                for (size_t k = 0; k < ELEMENTSOF(passed_on); k++)
                        expected |= streq(flags[i], passed_on[k]);
                if (o.n_parameters != (size_t) expected)
                        fail_msg("%s", flags[i]);
        }
}

static void test_capability_names(void **state) {
        assert_int_equal(capability_from_string("CAP_CHOWN"), 0);
        assert_int_equal(capability_from_string("CAP_SETFCAP"), 31);
        assert_int_equal(capability_from_string("CAP_CHECKPOINT_RESTORE"), 40);
        assert_int_equal(capability_from_string("CHOWN"), -1);
        assert_int_equal(capability_from_string("CAP_"), -1);
}

static void test_path_is_below(void **state) {
        assert_true(path_is_below("/sys/fs/cgroup", "/sys/fs/cgroup"));
        assert_true(path_is_below("//sys//fs/cgroup/x", "/sys/fs/cgroup/"));
        assert_true(path_is_below("/x", "/"));
        assert_false(path_is_below("/sys/fs/cgroups", "/sys/fs/cgroup"));
        assert_false(path_is_below("/sys/fs", "/sys/fs/cgroup"));
        assert_false(path_is_below("/", "/x"));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_accepted),
                        cmocka_unit_test(test_values),
                        cmocka_unit_test(test_mount_options),
                        cmocka_unit_test(test_unsigned),
                        cmocka_unit_test(test_unsigned_bits),
                        cmocka_unit_test(test_mount_option_table),
                        cmocka_unit_test(test_capability_names),
                        cmocka_unit_test(test_path_is_below),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
