/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the service shows is what dbus/org.example.Ctr.xml says, in both directions; its listings
 * are GetAll; its signals tell what changed and nothing else. */

#include <fcntl.h>

#include "basic/fs.h"
#include "bus/interfaces.h"
#include "bus/object.h"
#include "harness.h"
#include "introspection.h"

#define IMAGE "docker.io/library/busybox:latest"

static char *introspect(Harness *h, const char *path) {
        const char *xml;
        char *copy;
        Call call;

        harness_send(h,
                     harness_call_new(h, USER_CALLER, path, "org.freedesktop.DBus.Introspectable",
                                      "Introspect"),
                     &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        assert_true(sd_bus_message_read(call.reply, "s", &xml) > 0);
        copy = strdup(xml);
        harness_call_done(&call);
        return copy;
}

static void populate(Harness *h) {
        harness_image(h, "default", IMAGE);
        harness_exec(h, harness_task(h, harness_container(h, "default", "web-1", IMAGE)), "sh.1");
        harness_container(h, "other", "web-1", IMAGE);
        harness_job(h, 1, "default");
}

static void test_introspection(void **state) {
        static const char *const paths[] = {
                        BUS_PATH,
                        BUS_PATH "/image/default/docker_2eio_2flibrary_2fbusybox_3alatest",
                        BUS_PATH "/container/default/web_2d1",
                        BUS_PATH "/task/default/web_2d1",
                        BUS_PATH "/job/1",
        };
        _cleanup_strv_free_ char **expected = NULL, **shown = NULL;
        _cleanup_free_ char *xml = NULL, *all = strdup("");
        Harness *h = *state;

        populate(h);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                _cleanup_free_ char *one = introspect(h, paths[i]), *before = all;

                assert_true(asprintf(&all, "%s%s", before, one) >= 0);
        }
        shown = introspection_read(all, "org.example.Ctr.");
        assert_int_equal(file_read_at(AT_FDCWD, CTR_SOURCE_DIR "/dbus/org.example.Ctr.xml", 1 << 20,
                                      &xml, NULL),
                         0);
        expected = introspection_read(xml, "org.example.Ctr.");

        assert_true(strv_length(expected) > 60);
        for (size_t i = 0; expected[i] && shown[i]; i++)
                assert_string_equal(shown[i], expected[i]);
        assert_int_equal(strv_length(shown), strv_length(expected));
}

/* A path whose escapes are not the canonical ones, or of an object that is not there. */
static void test_no_object(void **state) {
        static const char *const paths[] = {
                        BUS_PATH "/container/default/web_2d2",
                        BUS_PATH "/container/default/_77eb_2d1", /* "web-1" in another way */
                        BUS_PATH "/container/default",
                        BUS_PATH "/job/2",
                        BUS_PATH "/nothing",
        };
        Harness *h = *state;

        populate(h);
        for (size_t i = 0; i < ELEMENTSOF(paths); i++) {
                sd_bus_message *m;
                Call call;

                m = harness_call_new(h, USER_CALLER, paths[i], "org.freedesktop.DBus.Properties",
                                     "GetAll");
                assert_true(sd_bus_message_append(m, "s", CONTAINER_INTERFACE) >= 0);
                harness_send(h, m, &call);
                harness_wait(h, &call);
                assert_true(sd_bus_message_is_method_error(call.reply, NULL));
                harness_call_done(&call);
        }
}

/* The children of a node as the enumerator has them, through ObjectManager. */
static void test_managed_objects(void **state) {
        const char *path;
        Harness *h = *state;
        size_t n = 0;
        Call call;

        populate(h);
        harness_send(h,
                     harness_call_new(h, USER_CALLER, BUS_PATH,
                                      "org.freedesktop.DBus.ObjectManager", "GetManagedObjects"),
                     &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        assert_true(sd_bus_message_enter_container(call.reply, 'a', "{oa{sa{sv}}}") > 0);
        while (sd_bus_message_enter_container(call.reply, 'e', "oa{sa{sv}}") > 0) {
                assert_true(sd_bus_message_read(call.reply, "o", &path) > 0);
                assert_true(sd_bus_message_skip(call.reply, "a{sa{sv}}") > 0);
                assert_true(sd_bus_message_exit_container(call.reply) > 0);
                n++;
        }
        assert_int_equal(n, 6); /* image, 2 containers, task, exec, job */
        harness_call_done(&call);
}

/* Copies one a{sv} out of m into to, entry by entry. */
static void copy_properties(sd_bus_message *m, sd_bus_message *to) {
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (!sd_bus_message_at_end(m, false))
                assert_true(sd_bus_message_copy(to, m, false) >= 0);
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static void get_all(Harness *h, const char *path, const char *interface, sd_bus_message *to) {
        sd_bus_message *m;
        Call call;

        m = harness_call_new(h, USER_CALLER, path, "org.freedesktop.DBus.Properties", "GetAll");
        assert_true(sd_bus_message_append(m, "s", interface) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        copy_properties(call.reply, to);
        harness_call_done(&call);
}

/* A message with all properties in it, sealed, as text. */
static char *dump(sd_bus_message *m) {
        char *text = NULL;
        size_t size = 0;
        FILE *f = open_memstream(&text, &size);

        assert_true(sd_bus_message_close_container(m) >= 0);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_true(sd_bus_message_dump(m, f, SD_BUS_MESSAGE_DUMP_SUBTREE_ONLY) >= 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static sd_bus_message *new_properties(Harness *h) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(h->driver, &m, "/", "a.b", "C") >= 0);
        assert_true(sd_bus_message_open_container(m, 'a', "{sv}") >= 0);
        return m;
}

static void check_listing(Harness *h, const char *member, ObjectType type) {
        const BusObjectKind *kind = bus_object_kind(type);
        sd_bus_message *m = harness_call_new(h, ROOT_CALLER, BUS_PATH, MANAGER_INTERFACE, member);
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *listed = new_properties(h),
                                                        *got = new_properties(h);
        _cleanup_free_ char *a = NULL, *b = NULL;
        const char *path;
        Call call;

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        assert_true(sd_bus_message_enter_container(call.reply, 'a', "(oa{sv})") > 0);
        assert_true(sd_bus_message_enter_container(call.reply, 'r', "oa{sv}") > 0);
        assert_true(sd_bus_message_read(call.reply, "o", &path) > 0);
        copy_properties(call.reply, listed);
        assert_true(sd_bus_message_exit_container(call.reply) >= 0);
        assert_true(sd_bus_message_at_end(call.reply, false)); /* one in this namespace */

        for (const BusInterface *i = kind->interfaces; i->name; i++)
                get_all(h, path, i->name, got);
        a = dump(listed);
        b = dump(got);
        assert_true(strlen(a) > 300);
        assert_string_equal(a, b);
        harness_call_done(&call);
}

static void test_listings(void **state) {
        Harness *h = *state;

        populate(h);
        check_listing(h, "ListImages", OBJECT_IMAGE);
        check_listing(h, "ListContainers", OBJECT_CONTAINER);
        check_listing(h, "ListTasks", OBJECT_TASK);
        check_listing(h, "ListJobs", OBJECT_JOB);
}

static size_t count_listed(Harness *h, const char *types, ...) {
        sd_bus_message *m = harness_call_new(h, ROOT_CALLER, BUS_PATH, MANAGER_INTERFACE,
                                             "ListContainers");
        size_t n = 0;
        va_list ap;
        Call call;

        va_start(ap, types);
        assert_true(sd_bus_message_appendv(m, types, ap) >= 0);
        va_end(ap);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        assert_true(sd_bus_message_enter_container(call.reply, 'a', "(oa{sv})") > 0);
        while (sd_bus_message_skip(call.reply, "(oa{sv})") > 0)
                n++;
        harness_call_done(&call);
        return n;
}

static void test_list_filters(void **state) {
        Harness *h = *state;
        Container *c;

        populate(h);
        c = harness_container(h, "default", "db", IMAGE);
        json_decref(c->labels);
        c->labels = json_pack("{ss}", "tier", "db");

        assert_int_equal(count_listed(h, "a{sv}", 0), 2);
        assert_int_equal(count_listed(h, "a{sv}", 1, "AllNamespaces", "b", 1), 3);
        assert_int_equal(count_listed(h, "a{sv}", 1, "Namespace", "s", "other"), 1);
        assert_int_equal(count_listed(h, "a{sv}", 1, "Labels", "a{ss}", 1, "tier", "db"), 1);
        assert_int_equal(count_listed(h, "a{sv}", 1, "Labels", "a{ss}", 1, "tier", ""), 2);
        assert_int_equal(count_listed(h, "a{sv}", 1, "Labels", "a{ss}", 1, "tier", "nope"), 0);
        assert_int_equal(count_listed(h, "a{sv}", 1, "Labels", "a{ss}", 1, "empty", ""), 1);
}

static bool signal_is(Harness *h, size_t i, const char *interface, const char *member,
                      const char *path) {
        return i < h->n_signals && sd_bus_message_is_signal(h->signals[i], interface, member) > 0 &&
               (!path || streq(sd_bus_message_get_path(h->signals[i]), path));
}

static void test_added_removed(void **state) {
        const char *path, *interface;
        Harness *h = *state;
        Container *c;

        c = harness_container(h, "default", "web-1", IMAGE);
        harness_settle(h);
        assert_int_equal(h->n_signals, 1);
        assert_true(signal_is(h, 0, "org.freedesktop.DBus.ObjectManager", "InterfacesAdded",
                              BUS_PATH));
        assert_true(sd_bus_message_read(h->signals[0], "o", &path) > 0);
        assert_string_equal(path, BUS_PATH "/container/default/web_2d1");
        assert_true(sd_bus_message_enter_container(h->signals[0], 'a', "{sa{sv}}") > 0);
        assert_true(sd_bus_message_enter_container(h->signals[0], 'e', "sa{sv}") > 0);
        assert_true(sd_bus_message_read(h->signals[0], "s", &interface) > 0);
        assert_string_equal(interface, CONTAINER_INTERFACE);

        container_free(c);
        harness_settle(h);
        assert_int_equal(h->n_signals, 2);
        assert_true(signal_is(h, 1, "org.freedesktop.DBus.ObjectManager", "InterfacesRemoved",
                              BUS_PATH));
        assert_true(sd_bus_message_read(h->signals[1], "oas", &path, 1, &interface) > 0);
        assert_string_equal(path, BUS_PATH "/container/default/web_2d1");
        assert_string_equal(interface, CONTAINER_INTERFACE);
}

/* The names of the changed properties of one signal, joined. */
static char *changed_names(sd_bus_message *m) {
        const char *interface, *name;
        char *names = strdup(""), *more;

        assert_true(sd_bus_message_read(m, "s", &interface) > 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        while (sd_bus_message_enter_container(m, 'e', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &name) > 0);
                assert_true(sd_bus_message_skip(m, "v") > 0);
                assert_true(sd_bus_message_exit_container(m) >= 0);
                assert_true(asprintf(&more, "%s%s ", names, name) >= 0);
                free(names);
                names = more;
        }
        return names;
}

/* Many changes in one turn of the loop are one signal for each interface, without the constant
 * properties. */
static void test_changed(void **state) {
        _cleanup_free_ char *task = NULL, *process = NULL;
        Harness *h = *state;
        Task *t;

        t = harness_task(h, harness_container(h, "default", "web", IMAGE));
        harness_settle(h);
        assert_int_equal(h->n_signals, 2);

        for (int i = 0; i < 5; i++) {
                t->process.pid = 100 + i;
                object_mark_dirty(&t->process.object);
        }
        harness_settle(h);
        assert_int_equal(h->n_signals, 4);
        assert_true(signal_is(h, 2, "org.freedesktop.DBus.Properties", "PropertiesChanged",
                              BUS_PATH "/task/default/web"));
        task = changed_names(h->signals[2]);
        assert_string_equal(task, "OOMKilled OOMCgroup Resources ");
        process = changed_names(h->signals[3]);
        assert_string_equal(process, "Status Pid ExitStatus ExitStatusKnown ExitedAt StartedAt ");
}

static void test_job_signals(void **state) {
        const char *path, *result, *error, *message;
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        uint64_t id;
        Job *j;

        j = harness_job(h, 7, "default");
        (void) error_setf(&e, CTR_DATA_LOSS, "the blob is short");
        h->manager->observer->job_removed(j, CTR_DATA_LOSS, &e, h->manager->observer_userdata);
        harness_settle(h);
        assert_int_equal(h->n_signals, 3);
        assert_true(signal_is(h, 1, MANAGER_INTERFACE, "JobNew", BUS_PATH));
        assert_true(signal_is(h, 2, MANAGER_INTERFACE, "JobRemoved", BUS_PATH));
        assert_true(sd_bus_message_read(h->signals[2], "tosss", &id, &path, &result, &error,
                                        &message) > 0);
        assert_int_equal(id, 7);
        assert_string_equal(path, BUS_PATH "/job/7");
        assert_string_equal(result, "failed");
        assert_string_equal(error, "DataLoss");
        assert_string_equal(message, "the blob is short");
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_introspection),   TEST(test_no_object),
                        TEST(test_managed_objects), TEST(test_listings),
                        TEST(test_list_filters),    TEST(test_added_removed),
                        TEST(test_changed),         TEST(test_job_signals),
        };

        return cmocka_run_group_tests_name("contract", tests, NULL, NULL);
}
