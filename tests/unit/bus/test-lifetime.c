/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Taking the name, giving it back when idle, and the calls that come in between. */

#include "basic/clock.h"
#include "bus/interfaces.h"
#include "bus/lifetime.h"
#include "bus/path.h"
#include "harness.h"

#define IMAGE "docker.io/library/busybox:latest"

static Call late_call;

static bool is_exiting(Harness *h, void *userdata) {
        return sd_event_get_state(h->event) == SD_EVENT_FINISHED;
}

static int run_until_exit(Harness *h) {
        int code;

        harness_run_until(h, is_exiting, NULL);
        assert_true(sd_event_get_exit_code(h->event, &code) >= 0);
        return code;
}

static bool has_requested(Harness *h, void *userdata) {
        const size_t *n = userdata;

        return h->n_requests >= *n;
}

static void run_until_requested(Harness *h, size_t n) {
        harness_run_until(h, has_requested, &n);
}

static Lifetime *start(Harness *h, uint64_t idle_usec) {
        _cleanup_error_ Error e = ERROR_NULL;
        Lifetime *l = NULL;

        assert_int_equal(lifetime_new(h->service, idle_usec, &l, &e), 0);
        return l;
}

static void test_idle(void **state) {
        _cleanup_(lifetime_freep) Lifetime *l = NULL;
        Harness *h = *state;

        l = start(h, 1);
        assert_int_equal(run_until_exit(h), 0);
        assert_int_equal(h->n_requests, 1);
        assert_int_equal(h->n_releases, 1);
}

static void test_name_is_taken(void **state) {
        _cleanup_(lifetime_freep) Lifetime *l = NULL;
        Harness *h = *state;

        h->name_is_taken = true;
        l = start(h, UINT64_MAX);
        assert_int_equal(run_until_exit(h), 1);
        assert_int_equal(h->n_releases, 0);
}

static bool time_is_over(Harness *h, void *userdata) {
        const uint64_t *until = userdata;

        return now_monotonic() >= *until;
}

/* Neither with a task, nor while somebody is being asked about; a container alone is no reason. */
static void test_busy(void **state) {
        uint64_t until = now_monotonic() + USEC_PER_SEC;
        _cleanup_(lifetime_freep) Lifetime *l = NULL;
        Harness *h = *state;
        Container *c;
        Task *t;

        c = harness_container(h, "default", "web", IMAGE);
        t = harness_task(h, c);
        t->process.status = TASK_RUNNING;
        l = start(h, 1);
        harness_run_until(h, time_is_over, &until);
        assert_int_equal(h->n_releases, 0);

        c->task = task_free(t);
        assert_int_equal(run_until_exit(h), 0);
}

/* A call that the bus had already passed on when the name was released is answered before the
 * exit. */
static void send_in_window(Harness *h) {
        sd_bus_message *m;

        h->on_release = NULL;
        m = harness_call_new(h, USER_CALLER, BUS_PATH, MANAGER_INTERFACE, "ListImages");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, &late_call);
}

static void test_call_in_window(void **state) {
        _cleanup_(lifetime_freep) Lifetime *l = NULL;
        Harness *h = *state;

        /* polkit takes its time: the name is taken back, the call answered, and then we go */
        h->polkit = POLKIT_HOLDS;
        h->on_release = send_in_window;
        l = start(h, 1);
        run_until_requested(h, 2);
        assert_int_equal(h->n_releases, 1);
        assert_null(late_call.reply);

        while (h->n_questions == 0)
                harness_settle(h);
        harness_polkit_answer(h, 0, true, false);
        harness_wait(h, &late_call);
        harness_assert_success(&late_call);
        harness_call_done(&late_call);
        assert_int_equal(run_until_exit(h), 0);
        assert_int_equal(h->n_releases, 2);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_idle),
                        TEST(test_name_is_taken),
                        TEST(test_busy),
                        TEST(test_call_in_window),
        };

        return cmocka_run_group_tests_name("lifetime", tests, NULL, NULL);
}
