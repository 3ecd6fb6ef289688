/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The sections of the document that few containers have: hooks, mappings of ids, schedulers,
 * devices of the network. No rights are needed. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/ioprio.h>
#include <sched.h>

#include "runtime/spec.h"

#define NAMESPACES "\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"network\"}]"
#define USER       "\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"user\"}]"
#define MAP        "[{\"containerID\": 0, \"hostID\": 100000, \"size\": 65536}]"
#define MAPS       "\"uidMappings\": " MAP ", \"gidMappings\": " MAP

/* A document whose process, linux and other members end with what is given. */
static int read_text(const char *process, const char *linux_section, const char *rest, Spec **ret,
                     Error *e) {
        char text[4096];
        int n;

        n = snprintf(text, sizeof(text),
                     "{\"ociVersion\": \"1.2.0\", \"root\": {\"path\": \"r\"},"
                     " \"process\": {\"cwd\": \"/\", \"args\": [\"x\"]%s%s},"
                     " \"linux\": {%s}%s%s}",
                     *process ? ", " : "", process, linux_section, *rest ? ", " : "", rest);
        assert_in_range(n, 0, sizeof(text) - 1);
        return spec_parse_text(text, (size_t) n, "test", ret, e);
}

static Spec *read_good(const char *process, const char *linux_section, const char *rest) {
        _cleanup_error_ Error e = ERROR_NULL;
        Spec *s = NULL;

        if (read_text(process, linux_section, rest, &s, &e) != 0)
                fail_msg("%s", error_text(&e));
        return s;
}

static void test_refused(void **state) {
        static const struct {
                const char *process, *linux_section, *rest;
                int code;
                const char *text;
        } cases[] = {
#define LINUX(section, code, text) {"", section, "", code, text}
#define REST(rest, code, text)                                                                     \
        { "", NAMESPACES, rest, code, text }
#define PROCESS(member, code, text)                                                                \
        { member, NAMESPACES, "", code, text }
                        REST("\"hooks\": []", CTR_INVALID_ARGUMENT, "hooks: expected an object"),
                        REST("\"hooks\": {\"prestart\": 1}", CTR_INVALID_ARGUMENT,
                             "hooks.prestart: expected an array"),
                        REST("\"hooks\": {\"poststop\": [{}]}", CTR_INVALID_ARGUMENT,
                             "hooks.poststop[0].path: not an absolute path"),
                        REST("\"hooks\": {\"poststop\": [{\"path\": \"/x\"}, {\"path\": \"x\"}]}",
                             CTR_INVALID_ARGUMENT, "hooks.poststop[1].path: not an absolute path"),
                        REST("\"hooks\": {\"createRuntime\": [{\"path\": \"/x\", \"args\": [1]}]}",
                             CTR_INVALID_ARGUMENT,
                             "hooks.createRuntime[0].args[0]: expected a string"),
                        REST("\"hooks\": {\"createContainer\": [{\"path\": \"/x\", \"env\": 1}]}",
                             CTR_INVALID_ARGUMENT,
                             "hooks.createContainer[0].env: expected an array"),
                        REST("\"hooks\": {\"startContainer\": [{\"path\": \"/x\","
                             " \"timeout\": 0}]}",
                             CTR_INVALID_ARGUMENT,
                             "hooks.startContainer[0].timeout: not greater than 0"),
                        REST("\"hooks\": {\"poststart\": [{\"path\": \"/x\", \"timeout\": -1}]}",
                             CTR_INVALID_ARGUMENT,
                             "hooks.poststart[0].timeout: -1 is not between 0 and 4294967295"),
                        REST("\"annotations\": {\"\": \"x\"}", CTR_INVALID_ARGUMENT,
                             "annotations: a key is the empty string"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                             " \"options\": [\"bind\", \"idmap\"]}]",
                             CTR_INVALID_ARGUMENT,
                             "mounts[0]: an idmapped mount needs uidMappings and gidMappings, or a "
                             "container with a user namespace"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                             " \"options\": [\"bind\"], \"uidMappings\": " MAP "}]",
                             CTR_INVALID_ARGUMENT,
                             "mounts[0]: uidMappings and gidMappings go together"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                             " \"options\": [\"bind\"], \"uidMappings\": [{\"containerID\": 1}]}]",
                             CTR_INVALID_ARGUMENT, "mounts[0].uidMappings[0].hostID is missing"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"options\": [\"remount\"],"
                             " " MAPS "}]",
                             CTR_INVALID_ARGUMENT,
                             "mounts[0]: the ids of a mount can be mapped only when it is made"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"type\": \"proc\","
                             " \"options\": [\"tmpcopyup\"]}]",
                             CTR_INVALID_ARGUMENT,
                             "mounts[0].options: \"tmpcopyup\" is for a new tmpfs"),
                        REST("\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                             " \"options\": [\"bind\", \"iversion\"]}]",
                             CTR_INVALID_ARGUMENT,
                             "mounts[0].options: \"iversion\" has no meaning for a bind mount"),
                        LINUX(NAMESPACES ", " MAPS, CTR_INVALID_ARGUMENT,
                              "linux.uidMappings: the container has no user namespace"),
                        LINUX(USER, CTR_INVALID_ARGUMENT,
                              "linux.uidMappings: a new user namespace needs them"),
                        LINUX(USER ", \"uidMappings\": " MAP, CTR_INVALID_ARGUMENT,
                              "linux.gidMappings: a new user namespace needs them"),
                        LINUX(USER ", \"gidMappings\": " MAP ", \"uidMappings\":"
                                   " [{\"containerID\": 0, \"hostID\": 1, \"size\": 10},"
                                   " {\"containerID\": 9, \"hostID\": 20, \"size\": 1}]",
                              CTR_INVALID_ARGUMENT, "linux.uidMappings[1]: overlaps with entry 0"),
                        LINUX(USER ", \"gidMappings\": " MAP ", \"uidMappings\":"
                                   " [{\"containerID\": 0, \"hostID\": 1, \"size\": 0}]",
                              CTR_INVALID_ARGUMENT, "linux.uidMappings[0].size: out of range"),
                        LINUX(USER ", \"gidMappings\": " MAP ", \"uidMappings\":"
                                   " [{\"containerID\": 4294967295, \"hostID\": 1, \"size\": 1}]",
                              CTR_INVALID_ARGUMENT, "linux.uidMappings[0].size: out of range"),
                        LINUX(NAMESPACES ", \"netDevices\": {\"a/b\": {}}", CTR_INVALID_ARGUMENT,
                              "linux.netDevices.a/b: not the name of a network device"),
                        LINUX(NAMESPACES ", \"netDevices\": {\"eth0\": {\"name\": \"a%s\"}}",
                              CTR_INVALID_ARGUMENT,
                              "linux.netDevices.eth0.name: \"a%s\" is not the name of a network "
                              "device"),
                        LINUX("\"namespaces\": [{\"type\": \"mount\"}], \"netDevices\":"
                              " {\"eth0\": {}}",
                              CTR_INVALID_ARGUMENT,
                              "linux.netDevices: the container has no network namespace of its "
                              "own"),
                        LINUX(NAMESPACES ", \"intelRdt\": {\"closID\": \"a/b\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.intelRdt.closID: not the name of a group"),
                        LINUX(NAMESPACES ", \"intelRdt\": {\"closID\": \"info\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.intelRdt.closID: not the name of a group"),
                        LINUX(NAMESPACES ", \"intelRdt\": {\"l3CacheSchema\": \"L3:0=f\\n\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.intelRdt.l3CacheSchema: expected one line, as \"L3:0=f\""),
                        LINUX(NAMESPACES ", \"intelRdt\": {\"memBwSchema\": \"L3:0=f\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.intelRdt.memBwSchema: expected one line, as \"MB:0=f\""),
                        LINUX(NAMESPACES ", \"intelRdt\": {\"schemata\": [\"L2\"]}",
                              CTR_INVALID_ARGUMENT,
                              "linux.intelRdt.schemata[0]: expected one line, as \"L3:0=f\""),
                        LINUX(NAMESPACES ", \"memoryPolicy\": {}", CTR_INVALID_ARGUMENT,
                              "linux.memoryPolicy.mode is missing"),
                        LINUX(NAMESPACES ", \"memoryPolicy\": {\"mode\": \"MPOL_X\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.memoryPolicy.mode: \"MPOL_X\" is not known"),
                        LINUX(NAMESPACES ", \"memoryPolicy\": {\"mode\": \"MPOL_BIND\","
                                         " \"nodes\": \"0-\"}",
                              CTR_INVALID_ARGUMENT,
                              "linux.memoryPolicy.nodes: \"0-\" is not a list of numbers"),
                        LINUX(NAMESPACES ", \"memoryPolicy\": {\"mode\": \"MPOL_LOCAL\","
                                         " \"nodes\": \"0\"}",
                              CTR_INVALID_ARGUMENT, "linux.memoryPolicy.nodes: this mode has none"),
                        LINUX(NAMESPACES ", \"memoryPolicy\": {\"mode\": \"MPOL_BIND\","
                                         " \"nodes\": \"0\", \"flags\": [\"X\"]}",
                              CTR_INVALID_ARGUMENT,
                              "linux.memoryPolicy.flags[0]: \"X\" is not known"),
                        LINUX(NAMESPACES ", \"personality\": {\"domain\": \"LINUX\","
                                         " \"flags\": [\"ADDR_NO_RANDOMIZE\"]}",
                              CTR_NOT_IMPLEMENTED, "linux.personality.flags is not supported"),
                        LINUX(NAMESPACES ", \"mountLabel\": \"a\\\"b\"", CTR_INVALID_ARGUMENT,
                              "linux.mountLabel: not a label"),
                        PROCESS("\"scheduler\": {}", CTR_INVALID_ARGUMENT,
                                "process.scheduler.policy is missing"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_X\"}", CTR_INVALID_ARGUMENT,
                                "process.scheduler.policy: \"SCHED_X\" is not known"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_ISO\"}", CTR_NOT_IMPLEMENTED,
                                "process.scheduler.policy: Linux has no SCHED_ISO"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"flags\":"
                                " [\"SCHED_FLAG_UTIL_CLAMP_MIN\"]}",
                                CTR_NOT_IMPLEMENTED,
                                "process.scheduler.flags: the specification has no values for "
                                "utilization clamps"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"nice\": 20}",
                                CTR_INVALID_ARGUMENT,
                                "process.scheduler.nice: 20 is not between -20 and 19"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_OTHER\", \"priority\": 1}",
                                CTR_INVALID_ARGUMENT,
                                "process.scheduler.priority: only SCHED_FIFO and SCHED_RR have "
                                "one"),
                        PROCESS("\"scheduler\": {\"policy\": \"SCHED_RR\", \"runtime\": 1}",
                                CTR_INVALID_ARGUMENT,
                                "process.scheduler.runtime: only SCHED_DEADLINE has it"),
                        PROCESS("\"ioPriority\": {\"class\": \"IOPRIO_CLASS_NONE\"}",
                                CTR_INVALID_ARGUMENT,
                                "process.ioPriority.class: \"IOPRIO_CLASS_NONE\" is not known"),
                        PROCESS("\"ioPriority\": {\"class\": \"IOPRIO_CLASS_BE\","
                                " \"priority\": 8}",
                                CTR_INVALID_ARGUMENT,
                                "process.ioPriority.priority: 8 is not between 0 and 7"),
                        PROCESS("\"execCPUAffinity\": {\"initial\": \"5-3\"}", CTR_INVALID_ARGUMENT,
                                "process.execCPUAffinity.initial: \"5-3\" is not a list of "
                                "numbers"),
                        PROCESS("\"execCPUAffinity\": {\"final\": \"1024\"}", CTR_INVALID_ARGUMENT,
                                "process.execCPUAffinity.final: \"1024\" is not a list of numbers"),
                        PROCESS("\"user\": {\"username\": \"x\"}", CTR_NOT_IMPLEMENTED,
                                "process.user.username is not supported"),
                        LINUX(NAMESPACES ", \"timeOffsets\": {\"realtime\": {\"secs\": 1}}",
                              CTR_INVALID_ARGUMENT,
                              "linux.timeOffsets.realtime: time namespaces have no such clock"),
                        LINUX(NAMESPACES ", \"timeOffsets\": {\"boottime\": {\"nanosecs\":"
                                         " 1000000000}}",
                              CTR_INVALID_ARGUMENT,
                              "linux.timeOffsets.boottime.nanosecs: 1000000000 is not between 0 "
                              "and 999999999"),
                        PROCESS("\"commandLine\": \"x\"", CTR_NOT_IMPLEMENTED,
                                "process.commandLine is not supported"),
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Spec *s = NULL;
                int r;

                r = read_text(cases[i].process, cases[i].linux_section, cases[i].rest, &s, &e);
                if (r != cases[i].code || !streq(error_text(&e), cases[i].text))
                        fail_msg("wanted %d \"%s\", got %d \"%s\"", cases[i].code, cases[i].text, r,
                                 error_text(&e));
                assert_null(s);
        }
}

static void test_hooks(void **state) {
        Spec *s = read_good("", NAMESPACES,
                            "\"hooks\": {\"createRuntime\": [{\"path\": \"/a\"},"
                            " {\"path\": \"/b\", \"args\": [\"x\", \"y\"], \"env\": [\"K=V\"],"
                            "  \"timeout\": 3}], \"poststop\": [{\"path\": \"/c\"}]}");
        const SpecHooks *h = &s->hooks[HOOK_CREATE_RUNTIME];

        assert_int_equal(h->n, 2);
        assert_string_equal(h->list[0].path, "/a");
        assert_null(h->list[0].args);
        assert_int_equal(h->list[0].timeout_sec, 0);
        assert_string_equal(h->list[1].args[1], "y");
        assert_string_equal(h->list[1].env[0], "K=V");
        assert_int_equal(h->list[1].timeout_sec, 3);
        assert_int_equal(s->hooks[HOOK_POSTSTOP].n, 1);
        assert_true(spec_is_held(s));
        spec_free(s);
        s = read_good("", NAMESPACES, "\"hooks\": {\"poststop\": [{\"path\": \"/c\"}]}");
        assert_false(spec_is_held(s));
        spec_free(s);
}

static void test_mappings(void **state) {
        Spec *s = read_good("", USER ", " MAPS,
                            "\"mounts\": [{\"destination\": \"/x\", \"source\": \"/y\","
                            " \"options\": [\"rbind\", \"ridmap\"]},"
                            " {\"destination\": \"/z\", \"source\": \"/y\","
                            " \"options\": [\"bind\"], " MAPS "}]");

        assert_int_equal(s->uids.n, 1);
        assert_int_equal(s->uids.list[0].host_id, 100000);
        assert_int_equal(s->gids.list[0].size, 65536);
        assert_true(s->mounts[0].options.idmap && s->mounts[0].options.idmap_recursive);
        assert_int_equal(s->mounts[0].uids.n, 0);
        assert_true(s->mounts[1].options.idmap && !s->mounts[1].options.idmap_recursive);
        assert_int_equal(s->mounts[1].gids.n, 1);
        spec_free(s);
        /* a joined one has its own */
        s = read_good("",
                      "\"namespaces\": [{\"type\": \"mount\"}, {\"type\": \"user\","
                      " \"path\": \"/x\"}], " MAPS,
                      "");
        assert_int_equal(s->uids.n, 0);
        spec_free(s);
}

static void test_schedule(void **state) {
        Spec *s = read_good("\"scheduler\": {\"policy\": \"SCHED_DEADLINE\", \"nice\": -3,"
                            " \"flags\": [\"SCHED_FLAG_RESET_ON_FORK\", \"SCHED_FLAG_RECLAIM\"],"
                            " \"runtime\": 1, \"deadline\": 2, \"period\": 3},"
                            " \"ioPriority\": {\"class\": \"IOPRIO_CLASS_IDLE\", \"priority\": 4},"
                            " \"execCPUAffinity\": {\"initial\": \"0,2-3,64\", \"final\": \"\"}",
                            NAMESPACES ", \"memoryPolicy\": {\"mode\": \"MPOL_INTERLEAVE\","
                                       " \"nodes\": \"0\", \"flags\": [\"MPOL_F_STATIC_NODES\"]}",
                            "");
        const SpecScheduler *p = &s->process.scheduler;

        assert_true(p->set);
        assert_int_equal(p->policy, SCHED_DEADLINE);
        assert_int_equal(p->flags, 3);
        assert_int_equal(p->nice, -3);
        assert_int_equal(p->period, 3);
        assert_true(s->process.io_priority_set);
        assert_int_equal(s->process.io_priority, IOPRIO_PRIO_VALUE(IOPRIO_CLASS_IDLE, 4));
        assert_int_equal(s->process.affinity_initial.n, 4);
        assert_int_equal(s->process.affinity_initial.words[0], 13);
        assert_int_equal(s->process.affinity_initial.words[1], 1);
        assert_int_equal(s->process.affinity_final.n, 0);
        assert_int_equal(s->memory_policy.mode, 3 | 1 << 15);
        assert_int_equal(s->memory_policy.nodes.words[0], 1);
        spec_free(s);
}

static void test_host(void **state) {
        Spec *s = read_good("",
                            NAMESPACES
                            ", \"netDevices\": {\"eth0\": {\"name\": \"in%d\"}, \"eth1\": {}},"
                            " \"mountLabel\": \"a:b\"",
                            "");

        assert_int_equal(s->n_net_devices, 2);
        assert_string_equal(s->net_devices[0].name, "in%d");
        assert_string_equal(s->net_devices[1].name, "eth1");
        assert_string_equal(s->mount_label, "a:b");
        assert_true(spec_is_held(s));
        spec_free(s);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_refused),  cmocka_unit_test(test_hooks),
                        cmocka_unit_test(test_mappings), cmocka_unit_test(test_schedule),
                        cmocka_unit_test(test_host),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
