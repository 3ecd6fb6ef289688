/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/device-filter.h"

#include <sys/syscall.h>

#include "basic/json.h"
#include "runtime/spec.h"

#define ANY (-1)

typedef struct Rule {
        bool allow;
        int type;   /* BPF_DEVCG_DEV_*, or ANY */
        int access; /* BPF_DEVCG_ACC_* */
        int64_t major, minor;
} Rule;

#define ACCESS_ALL (BPF_DEVCG_ACC_MKNOD | BPF_DEVCG_ACC_READ | BPF_DEVCG_ACC_WRITE)
#define CHAR(ma, mi)                                                                               \
        { true, BPF_DEVCG_DEV_CHAR, ACCESS_ALL, ma, mi }

/* Making any node is harmless, as long as it cannot be opened. */
static const Rule defaults[] = {
                {true, BPF_DEVCG_DEV_CHAR, BPF_DEVCG_ACC_MKNOD, ANY, ANY},
                {true, BPF_DEVCG_DEV_BLOCK, BPF_DEVCG_ACC_MKNOD, ANY, ANY},
                CHAR(1, 3),    /* null */
                CHAR(1, 5),    /* zero */
                CHAR(1, 7),    /* full */
                CHAR(1, 8),    /* random */
                CHAR(1, 9),    /* urandom */
                CHAR(5, 0),    /* tty */
                CHAR(5, 1),    /* console */
                CHAR(5, 2),    /* ptmx */
                CHAR(136, ANY) /* pts */
};

static int read_access(const char *text, const char *path, int *ret, Error *e) {
        *ret = 0;
        for (; *text; text++)
                if (*text == 'r')
                        *ret |= BPF_DEVCG_ACC_READ;
                else if (*text == 'w')
                        *ret |= BPF_DEVCG_ACC_WRITE;
                else if (*text == 'm')
                        *ret |= BPF_DEVCG_ACC_MKNOD;
                else
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s.access: expected letters of \"rwm\"", path);
        return 0;
}

static int read_type(const char *text, const char *path, Rule *rule, Error *e) {
        if (isempty(text) || streq(text, "a"))
                rule->type = ANY;
        else if (streq(text, "c") || streq(text, "u"))
                rule->type = BPF_DEVCG_DEV_CHAR;
        else if (streq(text, "b"))
                rule->type = BPF_DEVCG_DEV_BLOCK;
        else
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type: expected a, b or c", path);
        return 0;
}

static int rule_read(json_t *item, const char *path, Rule *ret, Error *e) {
        const char *type = NULL, *access_text = "rwm";
        Rule rule = {.major = ANY, .minor = ANY};
        int r;

        if (!json_is_object(item))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
        r = json_get_bool(item, path, "allow", &rule.allow, e);
        if (r == 0)
                return spec_missing(e, path, "allow");
        if (r >= 0)
                r = json_get_string(item, path, "type", &type, e);
        if (r >= 0)
                r = json_get_string(item, path, "access", &access_text, e);
        if (r >= 0)
                r = json_get_int64(item, path, "major", ANY, 0xfff, &rule.major, e);
        if (r >= 0)
                r = json_get_int64(item, path, "minor", ANY, 0xfffff, &rule.minor, e);
        if (r < 0)
                return r;
        r = read_type(type, path, &rule, e);
        if (r == 0)
                r = read_access(access_text, path, &rule.access, e);
        if (r != 0)
                return r;
        /* "all devices", whatever else is said */
        if (rule.type == ANY && rule.access == 0)
                rule.access = ACCESS_ALL;
        *ret = rule;
        return 0;
}

int device_rules_check(json_t *rules, Error *e) {
        char path[SPEC_PATH_SIZE];
        json_t *item;
        Rule rule;
        size_t i;
        int r;

        json_array_foreach(rules, i, item) {
                r = rule_read(item, spec_path_index(path, "linux.resources.devices", i), &rule, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

typedef struct Program {
        struct bpf_insn *code;
        size_t n;
} Program;

static void emit(Program *p, uint8_t code, uint8_t to, uint8_t from, int16_t offset,
                 int32_t value) {
        assert(p->n < DEVICE_PROGRAM_SIZE);
        p->code[p->n++] = (struct bpf_insn){
                        .code = code,
                        .dst_reg = to & 0xf,
                        .src_reg = from & 0xf,
                        .off = offset,
                        .imm = value,
        };
}

static void emit_return(Program *p, bool allow) {
        emit(p, BPF_ALU64 | BPF_MOV | BPF_K, BPF_REG_0, 0, 0, allow);
        emit(p, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

/* Jumps to the end of the rule unless the masked field is value (test BPF_JNE: jump if it is not)
 * or is not value (BPF_JEQ). The field is loaded for each comparison: with values that are known
 * from earlier ones the kernel's verifier would follow each way through the program by itself, and
 * give up before the 512th rule. */
static size_t emit_condition(Program *p, size_t field, int32_t mask, uint8_t test, int32_t value) {
        emit(p, BPF_LDX | BPF_W | BPF_MEM, BPF_REG_2, BPF_REG_1, (int16_t) field, 0);
        if (mask != -1)
                emit(p, BPF_ALU | BPF_AND | BPF_K, BPF_REG_2, 0, 0, mask);
        emit(p, BPF_JMP | test | BPF_K, BPF_REG_2, 0, 0, value);
        return p->n - 1;
}

#define FIELD(name) offsetof(struct bpf_cgroup_dev_ctx, name)

/* Each condition that does not hold jumps over the rest. An access that a rule allows is one with
 * no other bits than the rule's; one that a rule forbids has one of its bits. */
static void emit_rule(Program *p, const Rule *rule) {
        size_t jumps[4], n = 0;

        /* access_type: the access in the upper half, the type in the lower */
        if (rule->type != ANY)
                jumps[n++] = emit_condition(p, FIELD(access_type), 0xffff, BPF_JNE, rule->type);
        if (rule->access != ACCESS_ALL)
                jumps[n++] = rule->allow ? emit_condition(p, FIELD(access_type),
                                                          (~rule->access & ACCESS_ALL) << 16,
                                                          BPF_JNE, 0)
                                         : emit_condition(p, FIELD(access_type), rule->access << 16,
                                                          BPF_JEQ, 0);
        if (rule->major != ANY)
                jumps[n++] = emit_condition(p, FIELD(major), -1, BPF_JNE, (int32_t) rule->major);
        if (rule->minor != ANY)
                jumps[n++] = emit_condition(p, FIELD(minor), -1, BPF_JNE, (int32_t) rule->minor);
        emit_return(p, rule->allow);
        for (size_t i = 0; i < n; i++)
                p->code[jumps[i]].off = (int16_t) (p->n - jumps[i] - 1);
}

/* Whether nothing after it is ever reached. */
static bool is_final(const Rule *rule) {
        return rule->type == ANY && rule->access == ACCESS_ALL && rule->major == ANY &&
               rule->minor == ANY;
}

/* From the last rule to the first: the first one in the program that matches decides. */
size_t device_filter_compile(json_t *rules, struct bpf_insn program[static DEVICE_PROGRAM_SIZE]) {
        Program p = {.code = program};
        Rule rule = {};

        for (size_t i = ELEMENTSOF(defaults); i-- > 0;)
                emit_rule(&p, &defaults[i]);
        for (size_t i = json_array_size(rules); i-- > 0;) {
                if (rule_read(json_array_get(rules, i), "", &rule, NULL) != 0)
                        continue; /* was checked */
                emit_rule(&p, &rule);
                if (is_final(&rule))
                        return p.n;
        }
        emit_return(&p, false);
        return p.n;
}

static int bpf(int command, union bpf_attr *attr) {
        int r = (int) syscall(SYS_bpf, command, attr, sizeof(*attr));

        return r < 0 ? -errno : r;
}

/* The one that is there is ours, of the creation: it is exchanged without a moment without any. */
static int attach(int cgroup_fd, int program_fd) {
        union bpf_attr query = {}, attr = {};
        uint32_t old_id = 0;
        int old_fd = -1, r;

        query.query.target_fd = (uint32_t) cgroup_fd;
        query.query.attach_type = BPF_CGROUP_DEVICE;
        query.query.prog_ids = (uint64_t) (uintptr_t) &old_id;
        query.query.prog_cnt = 1;
        r = bpf(BPF_PROG_QUERY, &query);
        if (r < 0 && r != -ENOSPC) /* several: somebody else's, too, and all of them decide */
                return r;
        if (r >= 0 && query.query.prog_cnt == 1) {
                union bpf_attr by_id = {};

                by_id.prog_id = old_id;
                old_fd = bpf(BPF_PROG_GET_FD_BY_ID, &by_id);
                if (old_fd < 0)
                        return old_fd;
        }
        attr.target_fd = (uint32_t) cgroup_fd;
        attr.attach_bpf_fd = (uint32_t) program_fd;
        attr.attach_type = BPF_CGROUP_DEVICE;
        attr.attach_flags = BPF_F_ALLOW_MULTI;
        if (old_fd >= 0) {
                attr.attach_flags |= BPF_F_REPLACE;
                attr.replace_bpf_fd = (uint32_t) old_fd;
        }
        r = bpf(BPF_PROG_ATTACH, &attr);
        fd_close(old_fd);
        return r;
}

int device_filter_attach(json_t *rules, int cgroup_fd, Error *e) {
        _cleanup_free_ struct bpf_insn *code = NULL;
        _cleanup_close_ int fd = -1;
        union bpf_attr attr = {};
        int r;

        code = calloc(DEVICE_PROGRAM_SIZE, sizeof(*code));
        if (!code)
                return -ENOMEM;
        attr.prog_type = BPF_PROG_TYPE_CGROUP_DEVICE;
        attr.insn_cnt = (uint32_t) device_filter_compile(rules, code);
        attr.insns = (uint64_t) (uintptr_t) code;
        attr.license = (uint64_t) (uintptr_t) "GPL";
        fd = bpf(BPF_PROG_LOAD, &attr);
        r = fd < 0 ? fd : attach(cgroup_fd, fd);
        if (r == -EINVAL || r == -ENOSYS)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "linux.resources.devices: this kernel has no device filters for "
                                  "cgroup v2: %s",
                                  strerror(-r));
        return r < 0 ? error_setf(e, r, "linux.resources.devices: Failed to set the filter: %m")
                     : 0;
}
