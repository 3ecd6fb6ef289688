/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the compiled filter decides, for every device and access of interest, by an interpreter of
 * the few instructions that it consists of; and that the kernel takes it, where we may ask. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <sys/syscall.h>

#include "oci/device-filter.h"

enum {
        CHR = BPF_DEVCG_DEV_CHAR,
        BLK = BPF_DEVCG_DEV_BLOCK,
        M = BPF_DEVCG_ACC_MKNOD,
        R = BPF_DEVCG_ACC_READ,
        W = BPF_DEVCG_ACC_WRITE,
};

typedef struct Request {
        unsigned type, access;
        unsigned major, minor;
} Request;

static uint32_t load(const struct bpf_cgroup_dev_ctx *context, int16_t offset) {
        uint32_t value;

        assert_true(offset >= 0 && (size_t) offset + sizeof(value) <= sizeof(*context));
        memcpy(&value, (const char *) context + offset, sizeof(value));
        return value;
}

/* Refuses what the verifier would: unknown instructions, registers that were not written, jumps
 * backwards or out of the program. */
static bool interpret(const struct bpf_insn *code, size_t n, const Request *request) {
        const struct bpf_cgroup_dev_ctx context = {
                        .access_type = request->access << 16 | request->type,
                        .major = request->major,
                        .minor = request->minor,
        };
        unsigned written = 1U << BPF_REG_1;
        uint64_t reg[11] = {};

        for (size_t pc = 0; pc < n; pc++) {
                const struct bpf_insn *i = &code[pc];

                assert_true(i->dst_reg <= 10 && i->src_reg <= 10);
                if (i->code != (BPF_LDX | BPF_W | BPF_MEM) &&
                    i->code != (BPF_ALU | BPF_MOV | BPF_X) &&
                    i->code != (BPF_ALU64 | BPF_MOV | BPF_K) && i->code != (BPF_JMP | BPF_EXIT))
                        assert_true(written & 1U << i->dst_reg);
                switch (i->code) {
                case BPF_LDX | BPF_W | BPF_MEM:
                        assert_int_equal(i->src_reg, BPF_REG_1);
                        reg[i->dst_reg] = load(&context, i->off);
                        break;
                case BPF_ALU | BPF_AND | BPF_K:
                        reg[i->dst_reg] = (uint32_t) reg[i->dst_reg] & (uint32_t) i->imm;
                        break;
                case BPF_ALU | BPF_RSH | BPF_K:
                        reg[i->dst_reg] = (uint32_t) reg[i->dst_reg] >> i->imm;
                        break;
                case BPF_ALU | BPF_MOV | BPF_X:
                        assert_true(written & 1U << i->src_reg);
                        reg[i->dst_reg] = (uint32_t) reg[i->src_reg];
                        break;
                case BPF_ALU64 | BPF_MOV | BPF_K:
                        reg[i->dst_reg] = (uint64_t) (int64_t) i->imm;
                        break;
                case BPF_JMP | BPF_JNE | BPF_K:
                case BPF_JMP | BPF_JEQ | BPF_K:
                        assert_true(i->off >= 0 && pc + 1 + (size_t) i->off < n);
                        if ((reg[i->dst_reg] == (uint64_t) (int64_t) i->imm) ==
                            (BPF_OP(i->code) == BPF_JEQ))
                                pc += (size_t) i->off;
                        break;
                case BPF_JMP | BPF_EXIT:
                        assert_true(written & 1U << BPF_REG_0);
                        return reg[0] != 0;
                default:
                        fail_msg("instruction %zu: %#x is none of ours", pc, i->code);
                }
                if (BPF_CLASS(i->code) != BPF_JMP)
                        written |= 1U << i->dst_reg;
        }
        fail_msg("the program has no end");
        return false;
}

static json_t *parse(const char *text) {
        json_error_t error;
        json_t *j = json_loads(text, 0, &error);

        if (!j)
                fail_msg("%s: %s", text, error.text);
        return j;
}

static void test_decisions(void **state) {
        static const struct {
                const char *rules;
                Request request;
                bool allowed;
        } cases[] = {
                        {"[]", {CHR, R | W, 1, 3}, true},
                        {"[]", {CHR, R | W | M, 1, 3}, true},
                        {"[]", {CHR, R, 136, 77}, true},
                        {"[]", {CHR, M, 77, 77}, true},
                        {"[]", {BLK, M, 8, 0}, true},
                        {"[]", {BLK, R, 8, 0}, false},
                        {"[]", {BLK, R | M, 8, 0}, false},
                        {"[]", {CHR, R, 1, 1}, false},
                        {"[]", {CHR, R, 10, 229}, false},
                        {"[]", {BLK, R, 1, 3}, false}, /* a block device of null's number */
                        /* the devices that every container has are no rule's to refuse */
                        {"[{\"allow\": false}]", {CHR, R, 1, 3}, true},
                        {"[{\"allow\": false}]", {CHR, M, 1, 1}, true},
                        {"[{\"allow\": false}]", {CHR, R | M, 1, 1}, false},
                        {"[{\"allow\": false}]", {BLK, R, 8, 0}, false},
                        {"[{\"allow\": true}]", {BLK, R | W | M, 8, 0}, true},
                        {"[{\"allow\": true, \"type\": \"a\", \"access\": \"\"}]",
                         {BLK, W, 8, 0},
                         true},
                        /* the last one decides */
                        {"[{\"allow\": true}, {\"allow\": false}]", {CHR, R, 1, 1}, false},
                        {"[{\"allow\": false}, {\"allow\": true}]", {BLK, R, 8, 0}, true},
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8, \"minor\": 1},"
                         " {\"allow\": false, \"type\": \"b\", \"major\": 8}]",
                         {BLK, R, 8, 1},
                         false},
                        {"[{\"allow\": false, \"type\": \"b\", \"major\": 8},"
                         " {\"allow\": true, \"type\": \"b\", \"major\": 8, \"minor\": 1}]",
                         {BLK, R, 8, 1},
                         true},
                        {"[{\"allow\": false, \"type\": \"b\", \"major\": 8},"
                         " {\"allow\": true, \"type\": \"b\", \"major\": 8, \"minor\": 1}]",
                         {BLK, R, 8, 2},
                         false},
                        /* what is asked for beyond what is allowed is refused as a whole */
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8, \"access\": \"r\"}]",
                         {BLK, R, 8, 1},
                         true},
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8, \"access\": \"r\"}]",
                         {BLK, R | W, 8, 1},
                         false},
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8, \"access\": \"rw\"}]",
                         {BLK, R | W, 8, 1},
                         true},
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8},"
                         " {\"allow\": false, \"type\": \"b\", \"major\": 8, \"access\": \"w\"}]",
                         {BLK, R | W, 8, 1},
                         false},
                        {"[{\"allow\": true, \"type\": \"b\", \"major\": 8},"
                         " {\"allow\": false, \"type\": \"b\", \"major\": 8, \"access\": \"w\"}]",
                         {BLK, R, 8, 1},
                         true},
                        /* -1 is any, as in runc's documents; "u" is another word for "c" */
                        {"[{\"allow\": true, \"type\": \"u\", \"major\": -1, \"minor\": 229}]",
                         {CHR, R, 10, 229},
                         true},
                        {"[{\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": -1}]",
                         {CHR, R, 10, 1},
                         true},
                        {"[{\"allow\": true, \"type\": \"c\", \"major\": 4095, \"minor\": "
                         "1048575}]",
                         {CHR, R, 4095, 1048575},
                         true},
                        {"[{\"allow\": true, \"type\": \"c\", \"major\": 4095, \"minor\": "
                         "1048575}]",
                         {CHR, R, 4095, 1048574},
                         false},
        };
        static struct bpf_insn program[DEVICE_PROGRAM_SIZE];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                json_t *rules = parse(cases[i].rules);
                size_t n;

                assert_int_equal(device_rules_check(rules, NULL), 0);
                n = device_filter_compile(rules, program);
                if (interpret(program, n, &cases[i].request) != cases[i].allowed)
                        fail_msg("%s: %c %u:%u access %u", cases[i].rules,
                                 cases[i].request.type == CHR ? 'c' : 'b', cases[i].request.major,
                                 cases[i].request.minor, cases[i].request.access);
                json_decref(rules);
        }
}

/* --- any rules, against a second way to decide */

typedef struct Drawn {
        bool allow;
        unsigned type; /* 0: any */
        unsigned access;
        int major, minor; /* -1: any */
} Drawn;

static unsigned draw(uint64_t *seed, unsigned n) {
        *seed = *seed * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        return (unsigned) (*seed >> 33) % n;
}

static Drawn draw_rule(uint64_t *seed) {
        static const int majors[] = {-1, 1, 8, 136}, minors[] = {-1, 0, 3};

        return (Drawn){
                        .allow = draw(seed, 2),
                        .type = draw(seed, 3),
                        .access = 1 + draw(seed, 7),
                        .major = majors[draw(seed, ELEMENTSOF(majors))],
                        .minor = minors[draw(seed, ELEMENTSOF(minors))],
        };
}

static json_t *rule_to_json(const Drawn *d) {
        char access[4];

        (void) snprintf(access, sizeof(access), "%s%s%s", d->access & R ? "r" : "",
                        d->access & W ? "w" : "", d->access & M ? "m" : "");
        return json_pack("{s:b, s:s, s:s, s:i, s:i}", "allow", d->allow, "type",
                         d->type == CHR   ? "c"
                         : d->type == BLK ? "b"
                                          : "a",
                         "access", access, "major", d->major, "minor", d->minor);
}

static bool is_default(const Request *q) {
        if (q->access == M)
                return true;
        return q->type == CHR &&
               ((q->major == 1 && (q->minor == 3 || q->minor == 5 || q->minor >= 7)) ||
                q->major == 136);
}

static bool decide(const Drawn *rules, size_t n, const Request *q) {
        bool allowed = false;

        for (size_t i = 0; i < n; i++) {
                const Drawn *d = &rules[i];

                if ((d->type != 0 && d->type != q->type) ||
                    (d->major >= 0 && (unsigned) d->major != q->major) ||
                    (d->minor >= 0 && (unsigned) d->minor != q->minor))
                        continue;
                if (d->allow ? (q->access & ~d->access) == 0 : (q->access & d->access) != 0)
                        allowed = d->allow;
        }
        return allowed || is_default(q);
}

static void compare(const Drawn *rules, size_t n, const struct bpf_insn *program, size_t size) {
        static const unsigned majors[] = {1, 8, 136, 200}, minors[] = {0, 3, 6};

        for (unsigned type = BLK; type <= CHR; type++)
                for (unsigned access = 1; access < 8; access++)
                        for (size_t i = 0; i < ELEMENTSOF(majors) * ELEMENTSOF(minors); i++) {
                                const Request q = {type, access, majors[i / ELEMENTSOF(minors)],
                                                   minors[i % ELEMENTSOF(minors)]};

                                assert_int_equal(interpret(program, size, &q),
                                                 decide(rules, n, &q));
                        }
}

static void test_any_rules(void **state) {
        static struct bpf_insn program[DEVICE_PROGRAM_SIZE];
        uint64_t seed = 4711;

        for (unsigned round = 0; round < 500; round++) {
                json_t *list = json_array();
                size_t n = draw(&seed, 9);
                Drawn rules[9];

                for (size_t i = 0; i < n; i++) {
                        rules[i] = draw_rule(&seed);
                        assert_int_equal(json_array_append_new(list, rule_to_json(&rules[i])), 0);
                }
                assert_int_equal(device_rules_check(list, NULL), 0);
                compare(rules, n, program, device_filter_compile(list, program));
                json_decref(list);
        }
}

static json_t *most_rules(void) {
        json_t *list = json_array();

        /* none of them final, each with every condition */
        for (unsigned i = 0; i < DEVICE_RULES_MAX; i++)
                assert_int_equal(json_array_append_new(list, json_pack("{s:b, s:s, s:s, s:i, s:i}",
                                                                       "allow", i % 2, "type", "c",
                                                                       "access", "rw", "major",
                                                                       20 + (int) i, "minor", 7)),
                                 0);
        return list;
}

static void test_most_rules(void **state) {
        static struct bpf_insn program[DEVICE_PROGRAM_SIZE];
        json_t *list = most_rules();
        size_t n = device_filter_compile(list, program);

        assert_true(n < DEVICE_PROGRAM_SIZE);
        assert_true(interpret(program, n, &(Request){CHR, R, 21, 7}));
        assert_false(interpret(program, n, &(Request){CHR, R, 20, 7}));
        assert_true(interpret(program, n, &(Request){CHR, R, 20 + DEVICE_RULES_MAX - 1, 7}));
        json_decref(list);
}

/* Returns false if this is not ours to ask. */
static bool kernel_takes(json_t *rules) {
        static const char license[] = "GPL";
        static struct bpf_insn program[DEVICE_PROGRAM_SIZE];
        union bpf_attr attr = {.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE};
        long fd;

        attr.insn_cnt = (uint32_t) device_filter_compile(rules, program);
        attr.insns = (uint64_t) (uintptr_t) program;
        attr.license = (uint64_t) (uintptr_t) license;
        fd = syscall(SYS_bpf, BPF_PROG_LOAD, &attr, sizeof(attr));
        if (fd < 0 && (errno == EPERM || errno == ENOSYS))
                return false;
        if (fd < 0)
                fail_msg("the kernel refuses the program: %s", strerror(errno));
        fd_close((int) fd);
        return true;
}

static void test_kernel(void **state) {
        static const char *const rules[] = {
                        "[]",
                        "[{\"allow\": false}]",
                        ("[{\"allow\": false, \"access\": \"rwm\"},"
                         " {\"allow\": true, \"type\": \"c\", \"major\": 10, \"minor\": 229}]"),
        };
        json_t *most = most_rules();

        for (size_t i = 0; i < ELEMENTSOF(rules); i++) {
                json_t *list = parse(rules[i]);
                bool taken = kernel_takes(list);

                json_decref(list);
                if (!taken) {
                        json_decref(most);
                        skip();
                }
        }
        assert_true(kernel_takes(most));
        json_decref(most);
}

static void test_refused(void **state) {
        static const struct {
                const char *rules, *part;
        } cases[] = {
                        {"[1]", "linux.resources.devices[0]: expected an object"},
                        {"[{}, {\"allow\": 1}]", "linux.resources.devices[0].allow is missing"},
                        {"[{\"allow\": 1}]", "linux.resources.devices[0].allow: expected true"},
                        {"[{\"allow\": true, \"type\": \"x\"}]",
                         "linux.resources.devices[0].type: expected a, b or c"},
                        {"[{\"allow\": true, \"type\": 1}]",
                         "linux.resources.devices[0].type: expected a string"},
                        {"[{\"allow\": true, \"access\": \"rx\"}]",
                         "linux.resources.devices[0].access: expected letters"},
                        {"[{\"allow\": true, \"major\": 4096}]",
                         "linux.resources.devices[0].major: 4096 is not"},
                        {"[{\"allow\": true, \"minor\": 1048576}]",
                         "linux.resources.devices[0].minor: 1048576 is not"},
                        {"[{\"allow\": true, \"minor\": -2}]",
                         "linux.resources.devices[0].minor: -2 is not"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                json_t *rules = parse(cases[i].rules);

                assert_int_not_equal(device_rules_check(rules, &e), 0);
                if (!strstr(error_text(&e), cases[i].part))
                        fail_msg("%s: %s", cases[i].rules, error_text(&e));
                json_decref(rules);
        }
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_decisions),  cmocka_unit_test(test_any_rules),
                        cmocka_unit_test(test_most_rules), cmocka_unit_test(test_kernel),
                        cmocka_unit_test(test_refused),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
