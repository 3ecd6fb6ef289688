/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The tables of src/bus/: options, errors, authorization, paths, message ids. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/socket.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/strv.h"
#include "basic/utf8.h"
#include "bus/authorize.h"
#include "bus/container-options.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/messages.h"
#include "bus/object.h"
#include "bus/options.h"

/* Nobody is at the other end: the connection is only there to make messages with. */
static int setup_bus(void **state) {
        sd_bus *bus = NULL;
        int fds[2];

        log_set_max_level(-1);
        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds), 0);
        (void) fd_close(fds[1]);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, fds[0], fds[0]) >= 0);
        (void) sd_bus_start(bus);
        *state = bus;
        return 0;
}

static int teardown_bus(void **state) {
        sd_bus_close_unref(*state);
        return 0;
}

typedef struct Target {
        const char *string;
        bool flag, inverted;
        uint64_t number;
        int integer;
        char **list;
        json_t *labels;
} Target;

static int option_one_name(OptionReader *o, void *target) {
        static const char *const names[] = {"one"};
        size_t i;

        return option_read_name(o, names, 1, &i);
}

static int option_descriptor(OptionReader *o, void *target) {
        return sd_bus_message_skip(o->message, "h");
}

static const Option table[] = {
                {"String", "s", option_string, offsetof(Target, string)},
                {"Flag", "b", option_bool, offsetof(Target, flag)},
                {"Inverted", "b", option_bool_inverted, offsetof(Target, inverted)},
                {"Number", "t", option_uint64, offsetof(Target, number)},
                {"Integer", "i", option_int, offsetof(Target, integer)},
                {"List", "as", option_strv, offsetof(Target, list)},
                {"Labels", "a{ss}", option_labels, offsetof(Target, labels)},
                {"Either", "h", option_descriptor, 0},
                {"Name", "s", option_one_name, 0},
                {"Either", "s", option_string, offsetof(Target, string)},
                {},
};

static sd_bus_message *new_message(sd_bus *bus) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new(bus, &m, SD_BUS_MESSAGE_METHOD_CALL) >= 0);
        return m;
}

static int read_options(sd_bus_message *m, const Option *t, void *base, sd_bus_error *error) {
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
        return options_read(m, t, base, error);
}

static void test_options_good(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message(*state);
        Target target = {};

        assert_true(sd_bus_message_append(m, "a{sv}", 7, "String", "s", "text", "Flag", "b", 1,
                                          "Inverted", "b", 0, "Number", "t", UINT64_MAX, "Integer",
                                          "i", -5, "List", "as", 2, "a", "b", "Labels", "a{ss}", 1,
                                          "k", "v") >= 0);
        assert_true(read_options(m, table, &target, &error) >= 0);
        assert_string_equal(target.string, "text");
        assert_true(target.flag);
        assert_true(target.inverted);
        assert_int_equal(target.number, UINT64_MAX);
        assert_int_equal(target.integer, -5);
        assert_int_equal(strv_length(target.list), 2);
        assert_string_equal(target.list[1], "b");
        assert_string_equal(json_string_value(json_object_get(target.labels, "k")), "v");
        assert_true(sd_bus_message_at_end(m, true));
        strv_free(target.list);
        json_decref(target.labels);
}

static void test_options_none(void **state) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = new_message(*state);
        Target target = {.number = 9};

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_true(read_options(m, table, &target, &error) >= 0);
        assert_int_equal(target.number, 9);
}

/* Reads m, which must be refused with a sentence that has all of the words. */
static void check_refused(sd_bus_message *m, const Option *t, const char *word, const char *word2) {
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        Target target = {};

        assert_true(read_options(m, t, &target, &error) < 0);
        assert_string_equal(error.name, "org.example.Ctr.Error.InvalidArgument");
        assert_non_null(strstr(error.message, word));
        assert_non_null(strstr(error.message, word2));
        /* or else nobody hears of it */
        assert_true(utf8_is_valid(error.message) && strlen(error.message) < 256);
        strv_free(target.list);
        json_decref(target.labels);
        sd_bus_message_unref(m);
}

#define REFUSED(t, word, word2, ...)                                                               \
        {                                                                                          \
                sd_bus_message *_m = new_message(*state);                                          \
                assert_true(sd_bus_message_append(_m, __VA_ARGS__) >= 0);                          \
                check_refused(_m, t, word, word2);                                                 \
        }

static void test_options_refused(void **state) {
        static const Option none[] = {{}};

        REFUSED(table, "Unknown option", "Strin", "a{sv}", 1, "Strin", "s", "x");
        REFUSED(none, "Unknown option", "String", "a{sv}", 1, "String", "s", "x");
        REFUSED(table, "String", "type s is needed, not i", "a{sv}", 1, "String", "i", 1);
        REFUSED(table, "Number", "type t is needed, not u", "a{sv}", 1, "Number", "u", 1);
        REFUSED(table, "Labels", "not a{sv}", "a{sv}", 1, "Labels", "a{sv}", 0);
        REFUSED(table, "Either", "not t", "a{sv}", 1, "Either", "t", (uint64_t) 1);
        REFUSED(table, "Flag", "twice", "a{sv}", 2, "Flag", "b", 1, "Flag", "b", 1);
        /* the same key with its other type is the same key */
        REFUSED(table, "Either", "twice", "a{sv}", 2, "Either", "s", "x", "Either", "h", 0);
        REFUSED(table, "Labels", "empty", "a{sv}", 1, "Labels", "a{ss}", 1, "", "v");
        REFUSED(table, "Labels", "label k is given twice", "a{sv}", 1, "Labels", "a{ss}", 2, "k",
                "v", "k", "w");
}

/* What a caller sends comes back in the sentence, but not all of it. */
static void test_options_refused_cut(void **state) {
        char text[512] = "x";

        for (size_t i = 1; i + 2 < sizeof(text); i += 2)
                memcpy(text + i, "\xc3\xa4", 3);
        REFUSED(table, "Unknown option", "x\xc3\xa4", "a{sv}", 1, text, "s", "x");
        REFUSED(table, "Name", "is none of", "a{sv}", 1, "Name", "s", text);
}

/* What one message may cost is bounded: items of an array, bytes of all strings. */
static void test_options_bounds(void **state) {
        _cleanup_free_ char *big = calloc(1, 5U << 20);
        sd_bus_message *m = new_message(*state);

        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        assert_true(sd_bus_message_open_container(m, 'e', "sv") >= 0);
        assert_true(sd_bus_message_append(m, "s", "List") >= 0);
        assert_true(sd_bus_message_open_container(m, 'v', "as") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "s") >= 0);
        for (size_t i = 0; i <= OPTIONS_ITEMS_MAX; i++)
                assert_true(sd_bus_message_append(m, "s", "x") >= 0);
        for (int i = 0; i < 4; i++)
                assert_true(sd_bus_message_close_container(m) >= 0);
        check_refused(m, table, "List", "more than");

        memset(big, 'x', (5U << 20) - 1);
        REFUSED(table, "String", "longer than", "a{sv}", 1, "String", "s", big);
        big[5000] = '\0';
        REFUSED(table, "Labels", "longer than 4096", "a{sv}", 1, "Labels", "a{ss}", 1, "k", big);
}

/* Reads options of CreateContainer; *ret_error is its message, or NULL. */
static ContainerOptions *read_container(sd_bus_message *m, sd_bus_error *error) {
        ContainerOptions *o = calloc(1, sizeof(ContainerOptions));
        int r;

        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_rewind(m, true) >= 0);
        r = container_options_read(m, o, error);
        assert_int_equal(r < 0, sd_bus_error_is_set(error));
        sd_bus_message_unref(m);
        return o;
}

static void test_container_options(void **state) {
        _cleanup_(container_options_freep) ContainerOptions *o = NULL;
        _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
        sd_bus_message *m = new_message(*state);

        assert_true(sd_bus_message_append(m, "a{sv}", 9, "Namespace", "s", "k8s", "Pull", "s",
                                          "missing", "Command", "as", 0, "NoNewPrivileges", "b", 0,
                                          "MemoryMax", "t", UINT64_MAX, "AllowedCPUs", "s", "0-3,5",
                                          "Mounts", "a(sssas)", 1, "/src", "/dst", "bind", 2, "ro",
                                          "nosuid", "Rlimits", "a(stt)", 1, "RLIMIT_NOFILE",
                                          (uint64_t) 1, (uint64_t) 2, "Devices", "a(ss)", 1,
                                          "/dev/fuse", "rw") >= 0);
        o = read_container(m, &error);
        assert_false(sd_bus_error_is_set(&error));
        assert_string_equal(o->request.namespace, "k8s");
        assert_int_equal(o->pull, PULL_MISSING);
        assert_true(o->request.command_set);
        assert_null(o->request.command);
        assert_false(o->request.entrypoint_set);
        assert_true(o->request.new_privileges);
        assert_int_equal(json_integer_value(json_object_get(o->request.resources, "MemoryMax")),
                         -1);
        assert_string_equal(json_string_value(json_object_get(o->request.resources, "AllowedCPUs")),
                            "0-3,5");
        assert_int_equal(o->request.n_mounts, 1);
        assert_string_equal(o->request.mounts[0].options, "ro,nosuid");
        assert_int_equal(o->request.rlimits[0].hard, 2);
        assert_string_equal(o->request.devices[0].access, "rw");
        /* never the manager's own */
        assert_int_equal(o->request.oom_score_adjust, 0);
}

#define CONTAINER_REFUSED(expected, word, ...)                                                     \
        {                                                                                          \
                _cleanup_(sd_bus_error_free) sd_bus_error _e = SD_BUS_ERROR_NULL;                  \
                sd_bus_message *_m = new_message(*state);                                          \
                assert_true(sd_bus_message_append(_m, "a{sv}", __VA_ARGS__) >= 0);                 \
                container_options_free(read_container(_m, &_e));                                   \
                assert_non_null(_e.name);                                                          \
                assert_string_equal(_e.name, BUS_ERROR_PREFIX expected);                           \
                assert_non_null(strstr(_e.message, word));                                         \
        }

static void test_container_options_refused(void **state) {
        char text[258] = {};

        CONTAINER_REFUSED("FailedPrecondition", "namespace", 1, "Namespace", "s", "");
        CONTAINER_REFUSED("InvalidArgument", "namespace", 1, "Namespace", "s", "a/b");
        CONTAINER_REFUSED("InvalidArgument", "Pull", 1, "Pull", "s", "perhaps");
        CONTAINER_REFUSED("InvalidArgument", "SnapshotID", 1, "SnapshotID", "s", "../x");
        CONTAINER_REFUSED("InvalidArgument", "Network", 1, "Network", "s", "bridge");
        CONTAINER_REFUSED("InvalidArgument", "StopSignal", 1, "StopSignal", "i", 65);
        CONTAINER_REFUSED("InvalidArgument", "OOMScoreAdjust", 1, "OOMScoreAdjust", "i", 1001);
        CONTAINER_REFUSED("InvalidArgument", "MemoryMax", 1, "MemoryMax", "t", UINT64_MAX - 1);
        CONTAINER_REFUSED("InvalidArgument", "CPUWeight", 1, "CPUWeight", "t", (uint64_t) 10001);
        CONTAINER_REFUSED("InvalidArgument", "AllowedCPUs", 1, "AllowedCPUs", "s", "all of them");
        CONTAINER_REFUSED("InvalidArgument", "Mounts", 1, "Mounts", "a(sssas)", 1, "/a", "b",
                          "bind", 0);
        CONTAINER_REFUSED("InvalidArgument", "Mounts", 1, "Mounts", "a(sssas)", 1, "/a", "/b",
                          "bind", 1, "ro,suid");
        CONTAINER_REFUSED("InvalidArgument", "Devices", 1, "Devices", "a(ss)", 1, "/dev/x", "rwx");
        CONTAINER_REFUSED("InvalidArgument", "Mounts", 1, "Mounts", "a(sssas)", 1, "a", "/b",
                          "bind", 0);
        CONTAINER_REFUSED("InvalidArgument", "Mounts", 1, "Mounts", "a(sssas)", 1, "", "/b", "none",
                          2, "ro", "rbind");
        CONTAINER_REFUSED("InvalidArgument", "a secret", 1, "Secrets", "a(ssuuu)", 1, "../a", "",
                          0U, 0U, 0U);
        CONTAINER_REFUSED("InvalidArgument", "two secrets", 1, "Secrets", "a(ssuuu)", 2, "a", "",
                          0U, 0U, 0U, "b", "/run/secrets/a", 0U, 0U, 0U);
        CONTAINER_REFUSED("InvalidArgument", "no place", 1, "Secrets", "a(ssuuu)", 1, "a",
                          "/run/secrets", 0U, 0U, 0U);
        CONTAINER_REFUSED("InvalidArgument", "no place", 1, "Secrets", "a(ssuuu)", 1, "a",
                          "/a/../b", 0U, 0U, 0U);
        CONTAINER_REFUSED("InvalidArgument", "name of a file", 1, "Secrets", "a(ssuuu)", 1, "a",
                          "..", 0U, 0U, 0U);
        CONTAINER_REFUSED("InvalidArgument", "01000", 1, "Secrets", "a(ssuuu)", 1, "a", "", 0U, 0U,
                          01000U);
        CONTAINER_REFUSED("InvalidArgument", "owner", 1, "Secrets", "a(ssuuu)", 1, "a", "", 0U,
                          UINT32_MAX, 0U);
        CONTAINER_REFUSED("InvalidArgument", "Command", 1, "Command", "as", 1, "");
        CONTAINER_REFUSED("InvalidArgument", "Environment", 1, "Environment", "as", 2, "A=1", "");
        CONTAINER_REFUSED("InvalidArgument", "Environment", 1, "Environment", "as", 1, "=x");
        CONTAINER_REFUSED("InvalidArgument", "Hostname", 1, "Hostname", "s", "a b");
        CONTAINER_REFUSED("InvalidArgument", "Hostname", 1, "Hostname", "s", "a..b");
        CONTAINER_REFUSED("InvalidArgument", "DNS", 1, "DNS", "as", 2, "192.0.2.1", "192.0.2");
        CONTAINER_REFUSED("InvalidArgument", "DNSSearch", 1, "DNSSearch", "as", 1, "a\nb");
        CONTAINER_REFUSED("InvalidArgument", "DNSSearch", 1, "DNSSearch", "as", 1, "a-.b");
        CONTAINER_REFUSED("InvalidArgument", "DNSOptions", 1, "DNSOptions", "as", 1, "");
        CONTAINER_REFUSED("InvalidArgument", "ExtraHosts", 1, "ExtraHosts", "as", 1, ":192.0.2.1");
        memset(text, 'x', sizeof(text) - 1);
        CONTAINER_REFUSED("InvalidArgument", "User", 1, "User", "s", text);
        CONTAINER_REFUSED("InvalidArgument", "Hostname", 1, "Hostname", "s",
                          text + sizeof(text) - 1 - 65);
        CONTAINER_REFUSED("InvalidArgument", "Devices", 1, "Devices", "a(ss)", 1, "/dev/../x", "r");
        CONTAINER_REFUSED("InvalidArgument", "Devices", 1, "Devices", "a(ss)", 1, "/dev/x", "rwr");
        CONTAINER_REFUSED("InvalidArgument", "Rlimits", 1, "Rlimits", "a(stt)", 1, "RLIMIT_NONE",
                          (uint64_t) 1, (uint64_t) 1);
        CONTAINER_REFUSED("InvalidArgument", "Rlimits", 1, "Rlimits", "a(stt)", 2, "RLIMIT_CORE",
                          (uint64_t) 1, (uint64_t) 1, "RLIMIT_CORE", (uint64_t) 2, (uint64_t) 2);
        CONTAINER_REFUSED("InvalidArgument", "Rlimits", 1, "Rlimits", "a(stt)", 1, "RLIMIT_CORE",
                          (uint64_t) 2, (uint64_t) 1);
}

static void test_errors(void **state) {
        for (int code = 1; code < _CTR_ERROR_MAX; code++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;
                _cleanup_error_ Error e = ERROR_NULL;

                (void) error_setf(&e, code, "a sentence with 100%%");
                assert_true(bus_error_set(&error, code, &e) < 0);
                assert_string_equal(startswith(error.name, BUS_ERROR_PREFIX),
                                    error_code_to_string(code));
                assert_string_equal(error.message, "a sentence with 100%");
                assert_int_equal(bus_error_code(&error), code);
        }
}

static void test_errors_errno(void **state) {
        static const struct {
                int r;
                const char *name;
        } cases[] = {
                        {-EEXIST, BUS_ERROR_PREFIX "Unknown"},
                        {-ENOENT, BUS_ERROR_PREFIX "Unknown"},
                        {-ENOSPC, BUS_ERROR_PREFIX "ResourceExhausted"},
                        {-EDQUOT, BUS_ERROR_PREFIX "ResourceExhausted"},
                        {-EMFILE, BUS_ERROR_PREFIX "ResourceExhausted"},
                        {-ENFILE, BUS_ERROR_PREFIX "ResourceExhausted"},
                        {-ENOMEM, BUS_ERROR_PREFIX "ResourceExhausted"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                assert_true(bus_error_set(&error, cases[i].r, NULL) < 0);
                assert_string_equal(error.name, cases[i].name);
                assert_string_equal(error.message, strerror(-cases[i].r));
        }
}

static void test_errors_foreign(void **state) {
        static const struct {
                const char *name;
                ErrorCode code;
        } cases[] = {
                        {SD_BUS_ERROR_SERVICE_UNKNOWN, CTR_UNAVAILABLE},
                        {"org.freedesktop.DBus.Error.Spawn.ChildExited", CTR_UNAVAILABLE},
                        {"org.freedesktop.systemd1.UnitMasked", CTR_UNAVAILABLE},
                        {SD_BUS_ERROR_NO_REPLY, CTR_DEADLINE_EXCEEDED},
                        {SD_BUS_ERROR_ACCESS_DENIED, CTR_PERMISSION_DENIED},
                        {BUS_ERROR_PREFIX "NotFound", CTR_NOT_FOUND},
                        {BUS_ERROR_PREFIX "NotAName", CTR_UNKNOWN},
                        {"com.example.Other", CTR_UNKNOWN},
        };
        sd_bus_error none = SD_BUS_ERROR_NULL;

        assert_int_equal(bus_error_code(&none), CTR_OK);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(sd_bus_error_free) sd_bus_error error = SD_BUS_ERROR_NULL;

                (void) sd_bus_error_set(&error, cases[i].name, "text");
                assert_int_equal(bus_error_code(&error), cases[i].code);
        }
}

static const BusInterface interfaces[] = {
                {MANAGER_INTERFACE, manager_vtable},     {IMAGE_INTERFACE, image_vtable},
                {CONTAINER_INTERFACE, container_vtable}, {TASK_INTERFACE, task_vtable},
                {PROCESS_INTERFACE, process_vtable},     {JOB_INTERFACE, job_vtable},
};

static size_t count_methods(void) {
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++)
                for (const sd_bus_vtable *v = interfaces[i].vtable; v->type != _SD_BUS_VTABLE_END;
                     v++)
                        n += v->type == _SD_BUS_VTABLE_METHOD;
        return n;
}

static void test_rules_for_methods(void **state) {
        size_t n_rules;

        (void) authorize_rules(&n_rules);
        assert_int_equal(count_methods(),
                         n_rules); /* with the loop below: no dead row, none twice */
        for (size_t i = 0; i < ELEMENTSOF(interfaces); i++)
                for (const sd_bus_vtable *v = interfaces[i].vtable; v->type != _SD_BUS_VTABLE_END;
                     v++) {
                        if (v->type != _SD_BUS_VTABLE_METHOD)
                                continue;
                        if (!authorize_find_rule(interfaces[i].name, v->x.method.member))
                                fail_msg("%s.%s has no rule", interfaces[i].name,
                                         v->x.method.member);
                        assert_true(v->flags & SD_BUS_VTABLE_UNPRIVILEGED);
                        /* every method can grow, but for the one that replaces a whole */
                        if (!streq(v->x.method.member, "SetLabels"))
                                assert_non_null(strstr(v->x.method.signature, "a{sv}"));
                }
        assert_null(authorize_find_rule(MANAGER_INTERFACE, "Nothing"));
        assert_null(authorize_find_rule(NULL, "PullImage"));
}

static char *read_source(const char *name) {
        _cleanup_free_ char *path = NULL;
        char *text = NULL;

        assert_true(asprintf(&path, "%s/%s", CTR_SOURCE_DIR, name) >= 0);
        assert_int_equal(file_read_at(AT_FDCWD, path, 1 << 20, &text, NULL), 0);
        return text;
}

/* Each action of a rule is in the policy file, and each one there is of a rule. */
static void test_rules_for_actions(void **state) {
        _cleanup_free_ char *policy = read_source("polkit/org.example.Ctr.policy");
        const AuthorizeRule *rules;
        size_t n_rules, n_actions = 0;

        rules = authorize_rules(&n_rules);
        for (size_t i = 0; i < n_rules; i++) {
                char id[128];

                (void) snprintf(id, sizeof(id), "<action id=\"%s\">", rules[i].action);
                if (!strstr(policy, id))
                        fail_msg("%s is not in the policy", id);
                if (rules[i].more_action) {
                        (void) snprintf(id, sizeof(id), "<action id=\"%s\">", rules[i].more_action);
                        assert_non_null(strstr(policy, id));
                }
        }
        for (const char *p = policy; (p = strstr(p, "<action id=\"")); n_actions++) {
                bool used = false;

                p += strlen("<action id=\"");
                for (size_t i = 0; i < n_rules; i++) {
                        const char *rest = startswith(p, rules[i].action);

                        used |= rest && *rest == '"';
                }
                if (!used)
                        fail_msg("no rule needs %.40s", p);
        }
        assert_true(n_actions >= 9);
}

static void test_paths(void **state) {
        static const struct {
                ObjectType type;
                const char *namespace, *name, *path;
        } cases[] = {
                        {OBJECT_CONTAINER, "default", "web-1",
                         BUS_PATH "/container/default/web_2d1"},
                        {OBJECT_TASK, "a.b", "1", BUS_PATH "/task/a_2eb/_31"},
                        {OBJECT_EXEC, "a.b", "1/sh.2", BUS_PATH "/task/a_2eb/_31/exec/sh_2e2"},
                        {OBJECT_IMAGE, "default", "localhost:5000/a/b:t",
                         BUS_PATH "/image/default/localhost_3a5000_2fa_2fb_3at"},
                        {OBJECT_JOB, "", "12", BUS_PATH "/job/12"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *path = NULL, *namespace = NULL, *name = NULL;

                assert_true(bus_path_new(cases[i].type, cases[i].namespace, cases[i].name, &path) >=
                            0);
                assert_string_equal(path, cases[i].path);
                assert_int_equal(bus_path_parse(cases[i].type, path, &namespace, &name), 1);
                assert_string_equal(namespace, cases[i].namespace);
                assert_string_equal(name, cases[i].name);
        }
}

static void test_paths_refused(void **state) {
        static const char *const paths[] = {
                        BUS_PATH "/container/default",    BUS_PATH "/container/default/a/b",
                        BUS_PATH "/containers/default/a", BUS_PATH "/container/default/_61",
                        BUS_PATH "/task/default/a",       "/",
        };
        static const char *const execs[] = {
                        BUS_PATH "/task/default/a",
                        BUS_PATH "/task/default/a/exec",
                        BUS_PATH "/task/default/a/exec/b/c",
                        BUS_PATH "/task/default/a_2fb/exec/c", /* a slash is in no id */
                        BUS_PATH "/task/default/a/exec/_62",
        };
        char *namespace = NULL, *name = NULL;

        for (size_t i = 0; i < ELEMENTSOF(paths); i++)
                assert_int_equal(bus_path_parse(OBJECT_CONTAINER, paths[i], &namespace, &name), 0);
        for (size_t i = 0; i < ELEMENTSOF(execs); i++)
                assert_int_equal(bus_path_parse(OBJECT_EXEC, execs[i], &namespace, &name), 0);
        assert_null(namespace);
        assert_null(name);
}

/* Each message id has its entry in the catalog and is none's but its own. */
static void test_catalog(void **state) {
        static const char *const ids[] = {
                        CTR_MESSAGE_CONTAINER_CREATED, CTR_MESSAGE_CONTAINER_REMOVED,
                        CTR_MESSAGE_TASK_STARTED,      CTR_MESSAGE_TASK_EXITED,
                        CTR_MESSAGE_IMAGE_PULLED,      CTR_MESSAGE_IMAGE_REMOVED,
        };
        _cleanup_free_ char *catalog = read_source("units/ctr.catalog");
        size_t n = 0;

        for (size_t i = 0; i < ELEMENTSOF(ids); i++) {
                char entry[64];
                const char *found;

                assert_int_equal(strlen(ids[i]), 32);
                (void) snprintf(entry, sizeof(entry), "\n-- %s\nSubject: ", ids[i]);
                found = strstr(catalog, entry);
                assert_non_null(found);
                assert_null(strstr(found + 1, entry));
        }
        for (const char *p = catalog; (p = strstr(p, "\n-- ")); p++)
                n++;
        assert_int_equal(n, ELEMENTSOF(ids));
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_options_good),
                        cmocka_unit_test(test_options_none),
                        cmocka_unit_test(test_options_refused),
                        cmocka_unit_test(test_options_refused_cut),
                        cmocka_unit_test(test_options_bounds),
                        cmocka_unit_test(test_container_options),
                        cmocka_unit_test(test_container_options_refused),
                        cmocka_unit_test(test_errors),
                        cmocka_unit_test(test_errors_errno),
                        cmocka_unit_test(test_errors_foreign),
                        cmocka_unit_test(test_rules_for_methods),
                        cmocka_unit_test(test_rules_for_actions),
                        cmocka_unit_test(test_paths),
                        cmocka_unit_test(test_paths_refused),
                        cmocka_unit_test(test_catalog),
        };

        return cmocka_run_group_tests_name("tables", tests, setup_bus, teardown_bus);
}
