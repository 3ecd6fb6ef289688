/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Who may call what: the way of a call through the driver and polkit, with every answer they can
 * give, with callers that leave and objects that change in between. */

#include "basic/json.h"
#include "bus/interfaces.h"
#include "bus/path.h"
#include "bus/query.h"
#include "harness.h"
#include "manager/db.h"

#define IMAGE    "docker.io/library/busybox:latest"
#define WEB_PATH BUS_PATH "/container/default/web"

#define DENIED      SD_BUS_ERROR_ACCESS_DENIED
#define INTERACTIVE SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED

static void send_list(Harness *h, const char *sender, Call *call) {
        sd_bus_message *m = harness_call_new(h, sender, BUS_PATH, MANAGER_INTERFACE, "ListImages");

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, call);
}

static void send_set_labels(Harness *h, const char *sender, bool interactive, Call *call) {
        sd_bus_message *m = harness_call_new(h, sender, WEB_PATH, CONTAINER_INTERFACE, "SetLabels");

        assert_true(sd_bus_message_append(m, "a{ss}", 1, "k", "v") >= 0);
        assert_true(sd_bus_message_set_allow_interactive_authorization(m, interactive) >= 0);
        harness_send(h, m, call);
}

/* An operation without effect on the core's state: GetContainer. */
static void send_get(Harness *h, const char *sender, Call *call) {
        sd_bus_message *m =
                        harness_call_new(h, sender, BUS_PATH, MANAGER_INTERFACE, "GetContainer");

        assert_true(sd_bus_message_append(m, "sa{sv}", "web", 0) >= 0);
        harness_send(h, m, call);
}

static void test_root(void **state) {
        Harness *h = *state;
        Call call;

        h->polkit = POLKIT_DENIES;
        for (int i = 0; i < 3; i++) {
                send_list(h, ROOT_CALLER, &call);
                harness_wait(h, &call);
                harness_assert_success(&call);
                harness_call_done(&call);
        }
        assert_int_equal(h->n_questions, 0);
        assert_int_equal(h->n_driver_calls, 1); /* then it is known */
        assert_false(service_is_busy(h->service));
}

static void test_granted(void **state) {
        Harness *h = *state;
        Call call;

        harness_container(h, "default", "web", IMAGE);
        send_get(h, USER_CALLER, &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        harness_call_done(&call);
        assert_int_equal(h->n_questions, 1);
        assert_string_equal(h->questions[0].subject, USER_CALLER);
        assert_string_equal(h->questions[0].action, "org.example.Ctr.read");
        assert_string_equal(h->questions[0].namespace, "default");
        assert_string_equal(h->questions[0].container, "web");
        assert_null(h->questions[0].image);
        assert_int_equal(h->questions[0].flags, 0);
        assert_false(service_is_busy(h->service));
}

static void test_denied(void **state) {
        Harness *h = *state;
        Container *c;
        Call call;

        c = harness_container(h, "default", "web", IMAGE);
        h->polkit = POLKIT_DENIES;
        send_set_labels(h, USER_CALLER, true, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        assert_non_null(strstr(sd_bus_message_get_error(call.reply)->message,
                               "org.example.Ctr.container-create"));
        harness_call_done(&call);
        assert_int_equal(h->questions[0].flags, 1); /* the caller allowed interaction */
        assert_string_equal(h->questions[0].image, IMAGE);
        assert_null(json_object_get(c->labels, "k"));
}

static void test_challenge(void **state) {
        Harness *h = *state;
        Call call;

        harness_container(h, "default", "web", IMAGE);
        h->polkit = POLKIT_CHALLENGES;
        send_set_labels(h, USER_CALLER, false, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, INTERACTIVE);
        harness_call_done(&call);

        /* interaction was allowed, and nobody could be asked */
        send_set_labels(h, USER_CALLER, true, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
}

static void test_no_polkit(void **state) {
        Harness *h = *state;
        Call call;

        h->polkit = POLKIT_MISSING;
        send_list(h, USER_CALLER, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        assert_non_null(strstr(sd_bus_message_get_error(call.reply)->message,
                               "polkit cannot be reached"));
        harness_call_done(&call);
}

/* The driver does not know the caller: it left before it was asked about. */
static void test_lost_caller(void **state) {
        Harness *h = *state;
        Call call;

        send_list(h, LOST_CALLER, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
        assert_int_equal(h->n_questions, 0);
        assert_false(service_is_busy(h->service));
}

static void test_no_sender(void **state) {
        sd_bus_message *m = NULL;
        Harness *h = *state;
        Call call;

        assert_true(sd_bus_message_new_method_call(h->driver, &m, "org.example.Ctr", BUS_PATH,
                                                   MANAGER_INTERFACE, "ListImages") >= 0);
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
}

static bool is_asked(Harness *h, void *userdata) {
        size_t *n = userdata;

        return h->n_questions >= *n;
}

static void run_until_asked(Harness *h, size_t n) {
        harness_run_until(h, is_asked, &n);
}

/* The caller leaves while polkit thinks about it: nothing is done, and polkit is told. */
static void test_caller_leaves(void **state) {
        Harness *h = *state;
        Container *c;
        Call call;

        c = harness_container(h, "default", "web", IMAGE);
        h->polkit = POLKIT_HOLDS;
        send_set_labels(h, USER_CALLER, true, &call);
        run_until_asked(h, 1);
        assert_true(service_is_busy(h->service));

        harness_leave(h, USER_CALLER);
        assert_int_equal(h->n_canceled, 1);
        assert_false(service_is_busy(h->service));

        harness_polkit_answer(h, 0, true, false); /* too late */
        harness_settle(h);
        assert_null(call.reply);
        assert_null(json_object_get(c->labels, "k"));
        harness_call_done(&call);

        /* somebody else's name is not its name: what was known is forgotten */
        send_list(h, USER_CALLER, &call);
        run_until_asked(h, 2);
        assert_int_equal(h->n_driver_calls, 2);
        harness_polkit_answer(h, 1, true, false);
        harness_wait(h, &call);
        harness_assert_success(&call);
        harness_call_done(&call);
}

/* The object is gone when the answer is there: it is looked up again, not remembered. */
static void test_object_leaves(void **state) {
        Harness *h = *state;
        Container *c;
        Call call;

        c = harness_container(h, "default", "web", IMAGE);
        h->polkit = POLKIT_HOLDS;
        send_set_labels(h, USER_CALLER, false, &call);
        run_until_asked(h, 1);
        container_free(c);
        harness_polkit_answer(h, 0, true, false);
        harness_wait(h, &call);
        assert_true(sd_bus_message_is_method_error(call.reply, NULL));
        harness_call_done(&call);
        harness_settle(h);
        assert_false(service_is_busy(h->service));
}

/* Another object has taken its place: what was granted was about the other image. */
static void test_object_changes(void **state) {
        Harness *h = *state;
        Container *c;
        Call call;

        c = harness_container(h, "default", "web", IMAGE);
        h->polkit = POLKIT_HOLDS;
        send_set_labels(h, USER_CALLER, false, &call);
        run_until_asked(h, 1);
        container_free(c);
        c = harness_container(h, "default", "web", "docker.io/library/evil:latest");
        harness_polkit_answer(h, 0, true, false);

        run_until_asked(h, 2);
        assert_string_equal(h->questions[1].image, "docker.io/library/evil:latest");
        harness_polkit_answer(h, 1, false, false);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
        assert_null(json_object_get(c->labels, "k"));
}

/* An object that keeps changing is not asked about for ever. */
static void test_object_keeps_changing(void **state) {
        Harness *h = *state;
        Container *c;
        char image[32];
        Call call;

        c = harness_container(h, "default", "web", "image-0");
        h->polkit = POLKIT_HOLDS;
        send_set_labels(h, USER_CALLER, false, &call);
        for (size_t i = 0; i < QUERY_ANSWERS_MAX; i++) {
                run_until_asked(h, i + 1);
                container_free(c);
                (void) snprintf(image, sizeof(image), "image-%zu", i + 1);
                c = harness_container(h, "default", "web", image);
                harness_polkit_answer(h, i, true, false);
        }
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
        assert_int_equal(h->n_questions, QUERY_ANSWERS_MAX);
}

/* Calls of one caller keep their order although the first ones wait for the driver. */
static void test_order(void **state) {
        Harness *h = *state;
        Call calls[8];

        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                send_list(h, ROOT_CALLER, &calls[i]);
        harness_settle(h);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                harness_assert_success(&calls[i]);
                if (i > 0)
                        assert_true(calls[i].order > calls[i - 1].order);
        }
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                harness_call_done(&calls[i]);
        assert_int_equal(h->n_driver_calls, 1);
}

/* A new caller's call waits whatever it is about: what came before it may make the object. */
static void test_order_of_objects(void **state) {
        Harness *h = *state;
        Call calls[2];

        send_list(h, ROOT_CALLER, &calls[0]);
        send_set_labels(h, ROOT_CALLER, false, &calls[1]); /* there is no such container */
        harness_settle(h);
        harness_assert_success(&calls[0]);
        assert_true(sd_bus_message_is_method_error(calls[1].reply, SD_BUS_ERROR_UNKNOWN_OBJECT));
        assert_true(calls[1].order > calls[0].order);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                harness_call_done(&calls[i]);
}

/* Root is served while polkit thinks about a user; the users' calls are bounded. */
static void test_bounds(void **state) {
        static Call calls[65];
        Call root;
        Harness *h = *state;

        h->polkit = POLKIT_HOLDS;
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                send_list(h, USER_CALLER, &calls[i]);
        harness_wait(h, &calls[64]);
        harness_assert_error(&calls[64], "org.example.Ctr.Error.ResourceExhausted");
        assert_int_equal(h->n_questions, 64);

        send_list(h, ROOT_CALLER, &root);
        harness_wait(h, &root);
        harness_assert_success(&root);
        harness_call_done(&root);

        harness_leave(h, USER_CALLER);
        assert_int_equal(h->n_canceled, 64);
        assert_false(service_is_busy(h->service));
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                harness_call_done(&calls[i]);
}

static void send_create(Harness *h, const char *pull, Call *call) {
        sd_bus_message *m = harness_call_new(h, USER_CALLER, BUS_PATH, MANAGER_INTERFACE,
                                             "CreateContainer");

        assert_true(sd_bus_message_append(m, "ssa{sv}", "web", "busybox", 1, "Pull", "s", pull) >=
                    0);
        harness_send(h, m, call);
}

/* Pulling on the way needs the action for that, too; and only if there is something to pull. */
static void test_create_with_pull(void **state) {
        Harness *h = *state;
        Call call;

        h->polkit = POLKIT_HOLDS;
        send_create(h, "missing", &call);
        run_until_asked(h, 1);
        assert_string_equal(h->questions[0].action, "org.example.Ctr.container-create");
        assert_string_equal(h->questions[0].image, IMAGE); /* normalised */
        harness_polkit_answer(h, 0, true, false);
        run_until_asked(h, 2);
        assert_string_equal(h->questions[1].action, "org.example.Ctr.image-pull");
        harness_polkit_answer(h, 1, false, false);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
        assert_int_equal(object_count(h->manager, OBJECT_JOB), 0);

        harness_image(h, "default", IMAGE);
        send_create(h, "missing", &call);
        run_until_asked(h, 3);
        harness_polkit_answer(h, 2, false, false);
        harness_wait(h, &call);
        harness_assert_error(&call, DENIED);
        harness_call_done(&call);
        assert_int_equal(h->n_questions, 3);

        send_create(h, "never", &call);
        run_until_asked(h, 4);
        harness_polkit_answer(h, 3, false, false);
        harness_wait(h, &call);
        harness_call_done(&call);
        assert_int_equal(h->n_questions, 4);
}

/* A mistake in the request is told before anybody is asked. */
static void test_invalid_first(void **state) {
        sd_bus_message *m;
        Harness *h = *state;
        Call call;

        h->polkit = POLKIT_DENIES;
        m = harness_call_new(h, USER_CALLER, BUS_PATH, MANAGER_INTERFACE, "GetContainer");
        assert_true(sd_bus_message_append(m, "sa{sv}", "../x", 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, "org.example.Ctr.Error.InvalidArgument");
        harness_call_done(&call);

        m = harness_call_new(h, USER_CALLER, BUS_PATH, MANAGER_INTERFACE, "PullImage");
        assert_true(sd_bus_message_append(m, "sa{sv}", "busybox", 1, "Polcy", "s", "x") >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, "org.example.Ctr.Error.InvalidArgument");
        assert_non_null(strstr(sd_bus_message_get_error(call.reply)->message, "Polcy"));
        harness_call_done(&call);
        assert_int_equal(h->n_questions, 0);
}

/* Waiting callers: all get the same answer, one that left gets none, and nothing is lost. */
static void test_late_replies(void **state) {
        uint32_t status;
        uint64_t exited_at;
        Harness *h = *state;
        Call calls[3];
        Task *t;

        t = harness_task(h, harness_container(h, "default", "web", IMAGE));
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                sd_bus_message *m = harness_call_new(h, i == 1 ? USER_CALLER : ROOT_CALLER,
                                                     BUS_PATH "/task/default/web",
                                                     PROCESS_INTERFACE, "Wait");

                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                harness_send(h, m, &calls[i]);
        }
        harness_settle(h);
        assert_int_equal(h->service->late.n, 3);
        harness_leave(h, USER_CALLER);
        assert_int_equal(h->service->late.n, 2);

        t->process.status = TASK_STOPPED;
        t->process.exit_status = 7;
        t->process.exited_at = 1234;
        waiters_complete(&t->process.exit_waiters, &t->process.object, 0, NULL);
        harness_settle(h);
        assert_int_equal(h->service->late.n, 0);
        assert_null(calls[1].reply);
        for (size_t i = 0; i < ELEMENTSOF(calls); i += 2) {
                harness_assert_success(&calls[i]);
                assert_true(sd_bus_message_read(calls[i].reply, "ut", &status, &exited_at) > 0);
                assert_int_equal(status, 7);
                assert_int_equal(exited_at, 1234);
        }
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                harness_call_done(&calls[i]);
}

/* Coming, waiting and leaving again and again uses nothing up; waiting too often at once is
 * refused, to a user. */
static void test_waiters_bounded(void **state) {
        static Call calls[1025];
        Harness *h = *state;
        Job *j;

        j = harness_job(h, 1, "default");
        for (int turn = 0; turn < 2; turn++) {
                for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                        sd_bus_message *m = harness_call_new(h, USER_CALLER, BUS_PATH "/job/1",
                                                             JOB_INTERFACE, "Wait");

                        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                        harness_send(h, m, &calls[i]);
                        if (i % 32 == 31)
                                harness_settle(h); /* not more at once than polkit is asked */
                }
                harness_wait(h, &calls[1024]);
                harness_assert_error(&calls[1024], "org.example.Ctr.Error.ResourceExhausted");
                assert_int_equal(h->service->late.n, 1024);
                harness_leave(h, USER_CALLER);
                assert_int_equal(h->service->late.n, 0);
                assert_null(j->waiters);
                for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                        harness_call_done(&calls[i]);
        }
}

/* More events than are looked at in one turn. */
static void make_history(Harness *h) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *details = json_pack("{ss}", "Id", "x");
        const Event event = {.time = 1,
                             .topic = EVENT_CONTAINER_UPDATE,
                             .namespace = "default",
                             .name = "x",
                             .details = details};

        assert_int_equal(db_begin_unsynced(h->manager->db, &e), 0);
        for (unsigned i = 0; i < 20000; i++)
                assert_int_equal(db_event_insert(h->manager->db, &event, &e), 0);
        assert_int_equal(db_commit(h->manager->db, &e), 0);
}

/* What a user's unfinished listings of the history may keep in memory has a bound. */
static void test_listings_bounded(void **state) {
        Call calls[9];
        Harness *h = *state;

        make_history(h);
        for (size_t i = 0; i < ELEMENTSOF(calls); i++) {
                sd_bus_message *m = harness_call_new(h, USER_CALLER, BUS_PATH, MANAGER_INTERFACE,
                                                     "ListEvents");

                assert_true(sd_bus_message_append(m, "a{sv}", 1, "Filters", "as", 1,
                                                  "event.Id==y") >= 0);
                harness_send(h, m, &calls[i]);
        }
        harness_wait(h, &calls[8]);
        harness_assert_error(&calls[8], "org.example.Ctr.Error.ResourceExhausted");
        for (size_t i = 0; i < 8; i++) {
                harness_wait(h, &calls[i]);
                harness_assert_success(&calls[i]);
        }
        for (size_t i = 0; i < ELEMENTSOF(calls); i++)
                harness_call_done(&calls[i]);
        assert_int_equal(h->service->late.n, 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_root),
                        TEST(test_granted),
                        TEST(test_denied),
                        TEST(test_challenge),
                        TEST(test_no_polkit),
                        TEST(test_lost_caller),
                        TEST(test_no_sender),
                        TEST(test_caller_leaves),
                        TEST(test_object_leaves),
                        TEST(test_object_changes),
                        TEST(test_object_keeps_changing),
                        TEST(test_order),
                        TEST(test_order_of_objects),
                        TEST(test_bounds),
                        TEST(test_create_with_pull),
                        TEST(test_invalid_first),
                        TEST(test_late_replies),
                        TEST(test_waiters_bounded),
                        TEST(test_listings_bounded),
        };

        return cmocka_run_group_tests_name("authority", tests, NULL, NULL);
}
