/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Limits of tasks that run (A3.19, D5, C14): a systemd that takes them over, refuses them, changes
 * them by itself or goes away; and a record that cannot be written. */

#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "manager/db.h"
#include "manager/limits.h"

/* The unit of systemd, in the role of which the test answers. */
static struct {
        uint64_t memory_max, tasks_max, cpu_weight;
        uint8_t cpus;
        const char *error; /* answer SetUnitProperties with it */
        unsigned n_sets, n_gets;
        bool silent; /* GetAll is not answered */
        sd_bus_message *held;
} unit;

static void reset_unit(void) {
        memset(&unit, 0, sizeof(unit));
        unit.memory_max = unit.cpu_weight = UINT64_MAX;
        unit.tasks_max = 1000;
}

static int set_properties(sd_bus_message *m) {
        const char *name, *property;
        int runtime;

        unit.n_sets++;
        if (unit.error)
                return sd_bus_reply_method_errorf(m, unit.error, "refused by the test");
        assert_true(sd_bus_message_read(m, "sb", &name, &runtime) > 0);
        assert_string_equal(name, "ctr-web.scope");
        assert_true(runtime);
        assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") > 0);
        while (sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &property) > 0);
                if (streq(property, "MemoryMax"))
                        assert_true(sd_bus_message_read(m, "v", "t", &unit.memory_max) > 0);
                else if (streq(property, "TasksMax"))
                        assert_true(sd_bus_message_read(m, "v", "t", &unit.tasks_max) > 0);
                else if (streq(property, "CPUWeight"))
                        assert_true(sd_bus_message_read(m, "v", "t", &unit.cpu_weight) > 0);
                else
                        fail_msg("%s is set", property);
                assert_true(sd_bus_message_exit_container(m) > 0);
        }
        return sd_bus_reply_method_return(m, NULL);
}

static int get_properties(sd_bus_message *m) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        unit.n_gets++;
        if (unit.silent) {
                unit.held = sd_bus_message_ref(m);
                return 1;
        }
        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "a{sv}", 6, "MemoryMax", "t", unit.memory_max,
                                          "TasksMax", "t", unit.tasks_max, "CPUWeight", "t",
                                          unit.cpu_weight, "MemoryLow", "t", UINT64_C(0),
                                          "AllowedCPUs", "ay", 1, unit.cpus, "Slice", "s",
                                          "ctr.slice") >= 0);
        assert_true(sd_bus_message_set_sender(reply, "org.freedesktop.systemd1") >= 0);
        return sd_bus_send(NULL, reply, NULL);
}

static int on_message(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        if (sd_bus_message_is_method_call(m, NULL, "SetUnitProperties"))
                return set_properties(m);
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "GetAll")) {
                assert_string_equal(sd_bus_message_get_path(m),
                                    "/org/freedesktop/systemd1/unit/ctr_2dweb_2escope");
                return get_properties(m);
        }
        if (sd_bus_message_is_method_call(m, "org.freedesktop.DBus.Properties", "Get"))
                return sd_bus_reply_method_return(m, "v", "t", UINT64_C(1000));
        return 0;
}

static char transient_dir[96];

static Task *prepare(Harness *h) {
        Task *t;

        reset_unit();
        (void) snprintf(transient_dir, sizeof(transient_dir), "%s/transient", h->dir);
        assert_int_equal(mkdir(transient_dir, 0700), 0);
        h->transient_dir = transient_dir;
        harness_restart(h);
        assert_true(sd_bus_add_filter(h->server, NULL, on_message, h) >= 0);
        (void) harness_image(h);
        t = harness_task(h, "web");
        harness_settle(h);
        h->seen[0] = '\0';
        return t;
}

static int update(Harness *h, Task *t, json_t *resources, Answer *a) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        *a = (Answer){};
        r = task_update(t, resources, answer_callback, a, &e);
        json_decref(resources);
        if (r != 0)
                return r;
        harness_wait(h, &a->done);
        return a->r;
}

static json_int_t limit(const Task *t, const char *name) {
        return json_integer_value(json_object_get(task_limits(t), name));
}

static void assert_recorded(Container *c, json_int_t memory_max) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *document = NULL;
        _cleanup_free_ char *text = NULL;
        json_int_t recorded = 0;

        assert_int_equal(container_read_spec(c, &text, &e), 0);
        assert_int_equal(json_parse(text, strlen(text), "config.json", &document, &e), 0);
        (void) json_unpack(document, "{s:{s:{s:{s:I}}}}", "linux", "resources", "memory", "limit",
                           &recorded);
        assert_int_equal(recorded, memory_max);
        assert_int_equal(json_integer_value(json_object_get(c->resources, "MemoryMax")),
                         memory_max);
}

static void test_update(void **state) {
        Harness *h = *state;
        Task *t = prepare(h);
        Container *c;
        Answer a;

        assert_int_equal(update(h, t, json_pack("{sisi}", "MemoryMax", 65536, "TasksMax", 5), &a),
                         0);
        assert_int_equal(unit.memory_max, 65536);
        assert_int_equal(unit.tasks_max, 5);
        assert_int_equal(limit(t, "TasksMax"), 5);
        assert_recorded(t->container, 65536);
        harness_settle(h);
        assert_non_null(strstr(h->seen, "t~"));

        /* and it was written down */
        harness_restart(h);
        c = CONTAINER(object_find(h->manager, OBJECT_CONTAINER, "default", "web"));
        assert_recorded(c, 65536);
}

static void test_refused(void **state) {
        static const struct {
                const char *error;
                int code;
        } cases[] = {
                        {SD_BUS_ERROR_INVALID_ARGS, CTR_INVALID_ARGUMENT},
                        {"org.freedesktop.systemd1.NoSuchUnit", CTR_FAILED_PRECONDITION},
                        {SD_BUS_ERROR_NO_REPLY, CTR_UNAVAILABLE},
        };
        Harness *h = *state;
        Task *t = prepare(h);
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                unit.error = cases[i].error;
                assert_int_equal(update(h, t, json_pack("{si}", "MemoryMax", 65536), &a),
                                 cases[i].code);
                error_clear(&a.error);
                assert_int_equal(limit(t, "MemoryMax"), 0);
                assert_recorded(t->container, 0);
        }
        /* nothing reaches systemd if one of them is wrong */
        unit.n_sets = 0;
        assert_int_equal(update(h, t, json_pack("{sisi}", "TasksMax", 5, "CPUWeight", 0), &a),
                         CTR_INVALID_ARGUMENT);
        assert_int_equal(update(h, t, json_pack("{si}", "Nonsense", 5), &a), CTR_INVALID_ARGUMENT);
        assert_int_equal(unit.n_sets, 0);
}

static void test_states(void **state) {
        static const struct {
                TaskStatus status;
                int code;
        } cases[] = {
                        {TASK_CREATED, 0},
                        {TASK_RUNNING, 0},
                        {TASK_PAUSING, 0},
                        {TASK_PAUSED, 0},
                        {TASK_STOPPED, CTR_FAILED_PRECONDITION},
                        {TASK_UNKNOWN, CTR_FAILED_PRECONDITION},
        };
        Harness *h = *state;
        Task *t = prepare(h);
        TaskStatus status = t->process.status;
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                t->process.status = cases[i].status;
                assert_int_equal(update(h, t, json_pack("{si}", "TasksMax", 5 + (int) i), &a),
                                 cases[i].code);
        }
        t->process.status = status;
}

/* systemd gets back what it had, and nobody believes the rest. */
static void test_record_fails(void **state) {
        Harness *h = *state;
        Task *t = prepare(h);
        Answer a;

        assert_int_equal(update(h, t, json_pack("{si}", "MemoryMax", 65536), &a), 0);
        assert_int_equal(db_container_delete(h->manager->db, t->container, NULL), 0);
        assert_int_equal(update(h, t,
                                json_pack("{sisisi}", "MemoryMax", 131072, "TasksMax", 5,
                                          "CPUWeight", 50),
                                &a),
                         CTR_UNKNOWN);
        assert_non_null(strstr(a.error.text, "could not be recorded"));
        error_clear(&a.error);
        assert_int_equal(unit.memory_max, 65536);
        assert_int_equal(unit.tasks_max, UINT64_MAX);
        assert_int_equal(unit.cpu_weight, UINT64_MAX);
        assert_int_equal(limit(t, "MemoryMax"), 65536);
        assert_int_equal(limit(t, "TasksMax"), 0);
}

/* What systemctl set-property does: systemd has the value, then there is a drop-in. */
static void touch(const char *name) {
        char path[160];

        (void) snprintf(path, sizeof(path), "%s/%s", transient_dir, name);
        fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void make_directory(const char *name) {
        char path[160];

        (void) snprintf(path, sizeof(path), "%s/%s", transient_dir, name);
        assert_int_equal(mkdir(path, 0700), 0);
}

static void test_changed_by_others(void **state) {
        Harness *h = *state;
        Task *t = prepare(h);

        unit.memory_max = 77777;
        unit.cpus = 0x0d;
        make_directory("ctr-other.scope.d");
        make_directory("somebody.service.d");
        harness_settle(h);
        assert_int_equal(unit.n_gets, 0);
        make_directory("ctr-web.scope.d");
        touch("ctr-web.scope.d/50-MemoryMax.conf");
        harness_settle(h);
        assert_int_equal(limit(t, "MemoryMax"), 77777);
        assert_string_equal(json_string_value(json_object_get(task_limits(t), "AllowedCPUs")),
                            "0,2-3");
        /* what nobody set is not there: systemd's own default */
        assert_null(json_object_get(task_limits(t), "TasksMax"));
        assert_null(json_object_get(task_limits(t), "MemoryLow"));
        assert_null(json_object_get(task_limits(t), "CPUWeight"));
        assert_non_null(strstr(h->seen, "t~"));
        assert_recorded(t->container, 0); /* it is of this scope only */

        unit.memory_max = 88888;
        touch("ctr-web.scope.d/50-MemoryMax.conf");
        harness_settle(h);
        assert_int_equal(limit(t, "MemoryMax"), 88888);
}

/* However often it changes: one question is under way (D44), and the last value is seen. */
static void test_many_changes(void **state) {
        Harness *h = *state;
        Task *t = prepare(h);

        unit.silent = true;
        make_directory("ctr-web.scope.d");
        for (unsigned i = 0; i < 100; i++) {
                char name[64];

                (void) snprintf(name, sizeof(name), "ctr-web.scope.d/%u.conf", i);
                touch(name);
                if (i % 10 == 0)
                        harness_settle(h);
        }
        harness_settle(h);
        assert_int_equal(unit.n_gets, 1);
        unit.silent = false;
        unit.memory_max = 99999;
        assert_true(get_properties(unit.held) >= 0);
        sd_bus_message_unref(unit.held);
        harness_settle(h);
        assert_int_equal(limit(t, "MemoryMax"), 99999);
        assert_int_equal(unit.n_gets, 3); /* ours, the held one, and once more */
}

/* Callers are told once, whatever ends. */
static void test_shutdown(void **state) {
        _cleanup_json_ json_t *resources = json_pack("{si}", "TasksMax", 5);
        Harness *h = *state;
        Task *t = prepare(h);
        Answer a = {};

        assert_int_equal(task_update(t, resources, answer_callback, &a, NULL), 0);
        assert_false(a.done);
        harness_stop(h);
        assert_true(a.done);
        assert_int_equal(a.r, -ESHUTDOWN);
        harness_start(h);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_update),
                        TEST(test_refused),
                        TEST(test_states),
                        TEST(test_record_fails),
                        TEST(test_changed_by_others),
                        TEST(test_many_changes),
                        TEST(test_shutdown),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
