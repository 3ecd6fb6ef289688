/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * linux.seccomp to BPF with libseccomp, which is loaded here and nowhere else: it is of no use to a
 * process once its filter is made, and its tables would cost each supervisor memory.
 */

#include <ctype.h>
#include <dlfcn.h>
#include <fcntl.h>
#include <seccomp.h>
#include <sys/mman.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "runtime/seccomp-filter.h"

#define SYSCALL_RULES_MAX 4096
#define NAMES_MAX         4096
#define ARGUMENTS_MAX     32 /* alternatives count, too */

/* The part of libseccomp that is used. */
typedef struct Library {
        void *handle;
        scmp_filter_ctx (*init)(uint32_t);
        void (*release)(scmp_filter_ctx);
        uint32_t (*arch_resolve_name)(const char *);
        int (*arch_add)(scmp_filter_ctx, uint32_t);
        int (*attr_set)(scmp_filter_ctx, enum scmp_filter_attr, uint32_t);
        int (*syscall_resolve_name)(const char *);
        int (*rule_add_array)(scmp_filter_ctx, uint32_t, int, unsigned,
                              const struct scmp_arg_cmp *);
        int (*export_bpf)(const scmp_filter_ctx, int);
        scmp_filter_ctx filter;
        uint32_t default_action;
} Library;

static void library_close(Library *l) {
        if (l->filter)
                l->release(l->filter);
        if (l->handle)
                (void) dlclose(l->handle);
}

static int library_open(Library *l, Error *e) {
        const struct {
                const char *name;
                void *pointer;
        } symbols[] = {
                        {"seccomp_init", &l->init},
                        {"seccomp_release", &l->release},
                        {"seccomp_arch_resolve_name", &l->arch_resolve_name},
                        {"seccomp_arch_add", &l->arch_add},
                        {"seccomp_attr_set", &l->attr_set},
                        {"seccomp_syscall_resolve_name", &l->syscall_resolve_name},
                        {"seccomp_rule_add_array", &l->rule_add_array},
                        {"seccomp_export_bpf", &l->export_bpf},
        };

        l->handle = dlopen("libseccomp.so.2", RTLD_NOW | RTLD_LOCAL);
        if (!l->handle)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "Failed to load libseccomp: %s",
                                  dlerror());
        for (size_t i = 0; i < ELEMENTSOF(symbols); i++) {
                void *symbol = dlsym(l->handle, symbols[i].name);

                if (!symbol)
                        return error_setf(e, CTR_NOT_IMPLEMENTED, "libseccomp has no %s()",
                                          symbols[i].name);
                memcpy(symbols[i].pointer, &symbol, sizeof(symbol));
        }
        return 0;
}

static bool has_data(uint32_t action) {
        uint32_t kind = action & SECCOMP_RET_ACTION_FULL;

        return kind == SECCOMP_RET_ERRNO || kind == SECCOMP_RET_TRACE;
}

/* errno_key: the member with the number that goes with some actions. */
static int parse_action(json_t *o, const char *path, const char *key, const char *errno_key,
                        uint32_t *ret, Error *e) {
        uint64_t errno_return = EPERM;
        int errno_given = json_get_uint64(o, path, errno_key, 4095, &errno_return, e);
        const struct {
                const char *name;
                uint32_t action;
        } table[] = {
                        {"SCMP_ACT_KILL", SCMP_ACT_KILL},
                        {"SCMP_ACT_KILL_THREAD", SCMP_ACT_KILL_THREAD},
                        {"SCMP_ACT_KILL_PROCESS", SCMP_ACT_KILL_PROCESS},
                        {"SCMP_ACT_TRAP", SCMP_ACT_TRAP},
                        {"SCMP_ACT_ERRNO", SCMP_ACT_ERRNO((uint32_t) errno_return)},
                        {"SCMP_ACT_TRACE", SCMP_ACT_TRACE((uint32_t) errno_return)},
                        {"SCMP_ACT_NOTIFY", SCMP_ACT_NOTIFY},
                        {"SCMP_ACT_LOG", SCMP_ACT_LOG},
                        {"SCMP_ACT_ALLOW", SCMP_ACT_ALLOW},
        };
        const char *name = NULL;
        int r;

        if (errno_given < 0)
                return errno_given;
        r = json_get_string(o, path, key, &name, e);
        if (r < 0)
                return r;
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s is missing", path, key);
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                if (!streq(table[i].name, name))
                        continue;
                if (errno_given > 0 && !has_data(table[i].action))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s.%s: the action %s has no such number", path,
                                          errno_key, name);
                *ret = table[i].action;
                return 0;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s: \"%.64s\" is not an action", path, key,
                          name);
}

/* "SCMP_ARCH_X86_64" is "x86_64" for libseccomp. */
static int add_architectures(Library *l, json_t *section, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(section, "linux.seccomp", "architectures", 32, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                const char *name = startswith(strempty(json_string_value(item)), "SCMP_ARCH_");
                char lower[16] = "";
                uint32_t architecture;

                for (size_t k = 0; name && name[k] && k < sizeof(lower) - 1; k++)
                        lower[k] = (char) tolower((unsigned char) name[k]);
                architecture = l->arch_resolve_name(lower);
                if (architecture == 0)
                        return error_setf(e, name ? CTR_NOT_IMPLEMENTED : CTR_INVALID_ARGUMENT,
                                          "linux.seccomp.architectures[%zu]: libseccomp knows no "
                                          "\"%.32s\"",
                                          i, strempty(json_string_value(item)));
                r = l->arch_add(l->filter, architecture);
                if (r == -EDOM)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "linux.seccomp.architectures[%zu]: %s has another byte "
                                          "order than this machine",
                                          i, json_string_value(item));
                if (r < 0 && r != -EEXIST)
                        return error_setf(e, r, "linux.seccomp.architectures[%zu]: %m", i);
        }
        return 0;
}

static int parse_comparison(json_t *item, const char *path, struct scmp_arg_cmp *ret, Error *e) {
        static const struct {
                const char *name;
                enum scmp_compare op;
        } table[] = {
                        {"SCMP_CMP_NE", SCMP_CMP_NE},
                        {"SCMP_CMP_LT", SCMP_CMP_LT},
                        {"SCMP_CMP_LE", SCMP_CMP_LE},
                        {"SCMP_CMP_EQ", SCMP_CMP_EQ},
                        {"SCMP_CMP_GE", SCMP_CMP_GE},
                        {"SCMP_CMP_GT", SCMP_CMP_GT},
                        {"SCMP_CMP_MASKED_EQ", SCMP_CMP_MASKED_EQ},
        };
        uint64_t index = 0;
        /* the bits of unsigned ones, see spec.c */
        int64_t value = 0, value_two = 0;
        const char *op = NULL;
        int r;

        r = json_get_uint64(item, path, "index", 5, &index, e);
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.index is missing", path);
        if (r > 0)
                r = json_get_int64(item, path, "value", INT64_MIN, INT64_MAX, &value, e);
        if (r == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.value is missing", path);
        if (r > 0)
                r = json_get_int64(item, path, "valueTwo", INT64_MIN, INT64_MAX, &value_two, e);
        if (r >= 0)
                r = json_get_string(item, path, "op", &op, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(table); i++) {
                if (!streq(table[i].name, strempty(op)))
                        continue;
                /* masked: datum_a is the mask, datum_b what is left of it */
                *ret = (struct scmp_arg_cmp){
                                .arg = (unsigned) index,
                                .op = table[i].op,
                                .datum_a = (uint64_t) value,
                                .datum_b = (uint64_t) value_two,
                };
                return 0;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s.op: \"%.32s\" is not an operator", path,
                          strempty(op));
}

static int parse_arguments(json_t *rule, const char *path, struct scmp_arg_cmp *comparisons,
                           unsigned *ret_n, Error *e) {
        char item_path[96];
        json_t *array, *item;
        size_t i;
        int r;

        *ret_n = 0;
        r = json_get_array(rule, path, "args", ARGUMENTS_MAX, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                (void) snprintf(item_path, sizeof(item_path), "%s.args[%zu]", path, i);
                if (!json_is_object(item))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object",
                                          item_path);
                r = parse_comparison(item, item_path, &comparisons[i], e);
                if (r != 0)
                        return r;
        }
        *ret_n = (unsigned) i;
        return 0;
}

static bool is_permissive(uint32_t action) {
        return action == SCMP_ACT_ALLOW || action == SCMP_ACT_LOG;
}

static int add_name(Library *l, const char *name, uint32_t action,
                    const struct scmp_arg_cmp *comparisons, unsigned n, const char *path,
                    Error *e) {
        bool repeated = false;
        int number, r = 0;

        number = l->syscall_resolve_name(name);
        if (number == __NR_SCMP_ERROR) {
                /* A name newer than this libseccomp gets the default action. That is a hole only
                 * if the default is to let it pass and the rule is not. */
                if (!is_permissive(l->default_action) || is_permissive(action))
                        return 0;
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s: the system call \"%.64s\" is unknown", path, name);
        }
        /* libseccomp joins the comparisons of one rule by "and", and refuses two of one argument;
         * such are alternatives, as all runtimes have it */
        for (unsigned i = 0; i < n; i++)
                for (unsigned k = 0; k < i; k++)
                        repeated |= comparisons[i].arg == comparisons[k].arg;
        if (!repeated)
                r = l->rule_add_array(l->filter, action, number, n, comparisons);
        else
                for (unsigned i = 0; i < n && r >= 0; i++)
                        r = l->rule_add_array(l->filter, action, number, 1, &comparisons[i]);
        if (r < 0)
                return error_setf(e, r, "%s: Failed to add a rule for %.64s: %m", path, name);
        return 0;
}

static int add_rule(Library *l, json_t *rule, const char *path, Error *e) {
        struct scmp_arg_cmp comparisons[ARGUMENTS_MAX];
        json_t *names, *item;
        uint32_t action;
        unsigned n;
        size_t i;
        int r;

        r = parse_action(rule, path, "action", "errnoRet", &action, e);
        if (r != 0)
                return r;
        /* libseccomp refuses rules that say what the default says */
        if (action == l->default_action)
                return 0;
        r = parse_arguments(rule, path, comparisons, &n, e);
        if (r != 0)
                return r;
        r = json_get_array(rule, path, "names", NAMES_MAX, &names, e);
        if (r < 0)
                return r;
        if (r == 0 || json_array_size(names) == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.names is missing", path);
        json_array_foreach(names, i, item) {
                const char *name = json_string_value(item);

                if (isempty(name))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "%s.names[%zu]: expected a string", path, i);
                r = add_name(l, name, action, comparisons, n, path, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int add_rules(Library *l, json_t *section, Error *e) {
        json_t *array, *item;
        char path[64];
        size_t i;
        int r;

        r = json_get_array(section, "linux.seccomp", "syscalls", SYSCALL_RULES_MAX, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                (void) snprintf(path, sizeof(path), "linux.seccomp.syscalls[%zu]", i);
                if (!json_is_object(item))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s: expected an object", path);
                r = add_rule(l, item, path, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int export_filter(Library *l, SeccompFilter *ret, Error *e) {
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        fd = memfd_create("seccomp", MFD_CLOEXEC);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make a memory file: %m");
        r = l->export_bpf(l->filter, fd);
        if (r < 0)
                return error_setf(e, r, "Failed to compile the seccomp filter: %m");
        if (lseek(fd, 0, SEEK_SET) < 0)
                return error_setf(e, -errno, "Failed to read the seccomp filter: %m");
        r = fd_read_all(fd, SECCOMP_FILTER_MAX * sizeof(struct sock_filter), &data, &size);
        if (r == -EFBIG || (r >= 0 && size == 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.seccomp: the filter has more than %d instructions",
                                  SECCOMP_FILTER_MAX);
        if (r < 0)
                return error_setf(e, r, "Failed to read the seccomp filter: %m");
        ret->filter = (void *) TAKE_PTR(data);
        ret->n = size / sizeof(struct sock_filter);
        return 0;
}

int seccomp_filter_compile(json_t *section, SeccompFilter *ret, Error *e) {
        _cleanup_(library_close) Library l = {};
        int r;

        r = library_open(&l, e);
        if (r != 0)
                return r;
        r = parse_action(section, "linux.seccomp", "defaultAction", "defaultErrnoRet",
                         &l.default_action, e);
        if (r != 0)
                return r;
        l.filter = l.init(l.default_action);
        if (!l.filter)
                return error_setf(e, -ENOMEM, "Failed to begin a seccomp filter: %m");
        /* a binary tree over the numbers: a dozen instructions a call instead of hundreds */
        (void) l.attr_set(l.filter, SCMP_FLTATR_CTL_OPTIMIZE, 2);
        r = add_architectures(&l, section, e);
        if (r == 0)
                r = add_rules(&l, section, e);
        if (r != 0)
                return r;
        return export_filter(&l, ret, e);
}
