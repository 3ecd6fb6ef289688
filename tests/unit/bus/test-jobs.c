/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Jobs of any type: what their end answers, and who may end them. */

#include "bus/interfaces.h"
#include "bus/path.h"
#include "harness.h"

static void send_to_job(Harness *h, const char *sender, const char *member, Call *call) {
        sd_bus_message *m = harness_call_new(h, sender, BUS_PATH "/job/1", JOB_INTERFACE, member);

        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, call);
}

/* The variant of a key; the message is in front of its value then. */
static void enter(sd_bus_message *m, const char *key, const char *type) {
        const char *found;

        assert_true(sd_bus_message_enter_container(m, 'e', "sv") > 0);
        assert_true(sd_bus_message_read(m, "s", &found) > 0);
        assert_string_equal(found, key);
        assert_true(sd_bus_message_enter_container(m, 'v', type) > 0);
}

static void leave(sd_bus_message *m) {
        assert_true(sd_bus_message_exit_container(m) >= 0);
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static bool has_waiter(Harness *h, void *userdata) {
        const Job *j = userdata;

        return j->waiters;
}

static void test_outcome(void **state) {
        const char *s;
        Harness *h = *state;
        sd_bus_message *m;
        uint64_t n;
        Call call;
        int b;
        Job *j;

        j = harness_job(h, 1, "other");
        json_decref(j->outcome);
        j->outcome = json_pack("{ss ss sI sb s[ss]}", "Image", "localhost/a:b", "Digest",
                               "sha256:1", "Blobs", (json_int_t) 1 << 40, "Again", true, "Images",
                               "x", "y");
        send_to_job(h, ROOT_CALLER, "Wait", &call);
        harness_run_until(h, has_waiter, j);
        waiters_complete(&j->waiters, &j->object, 0, NULL);
        harness_wait(h, &call);
        harness_assert_success(&call);

        m = call.reply;
        assert_string_equal(sd_bus_message_get_signature(m, true), "a{sv}");
        assert_true(sd_bus_message_enter_container(m, 'a', "{sv}") > 0);
        enter(m, "Image", "o");
        assert_true(sd_bus_message_read(m, "o", &s) > 0);
        assert_string_equal(s, BUS_PATH "/image/other/localhost_2fa_3ab");
        leave(m);
        enter(m, "Digest", "s");
        assert_true(sd_bus_message_read(m, "s", &s) > 0);
        assert_string_equal(s, "sha256:1");
        leave(m);
        enter(m, "Blobs", "t");
        assert_true(sd_bus_message_read(m, "t", &n) > 0);
        assert_int_equal(n, UINT64_C(1) << 40);
        leave(m);
        enter(m, "Again", "b");
        assert_true(sd_bus_message_read(m, "b", &b) > 0);
        assert_true(b);
        leave(m);
        enter(m, "Images", "as");
        assert_true(sd_bus_message_read(m, "as", 2, &s, NULL) > 0);
        assert_string_equal(s, "x");
        leave(m);
        assert_int_equal(sd_bus_message_at_end(m, false), 1);
        harness_call_done(&call);
}

/* Who may make a job of a type may end it, and nobody may end one of a type that names no action of
 * ours. */
static void test_cancel(void **state) {
        static const struct {
                const char *action, *asked; /* asked NULL: nothing, it is denied */
        } cases[] = {
                        {"image-pull", "org.example.Ctr.image-pull"},
                        {"task-checkpoint", "org.example.Ctr.task-checkpoint"},
                        {"pull", NULL},
                        {NULL, NULL},
        };
        Harness *h = *state;
        Job *j;

        j = harness_job(h, 1, "default");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const JobType type = {.name = "test", .action = cases[i].action};
                size_t before = h->n_questions;
                Call call;

                j->type = &type;
                send_to_job(h, USER_CALLER, "Cancel", &call);
                harness_wait(h, &call);
                if (cases[i].asked) {
                        harness_assert_success(&call);
                        assert_int_equal(h->n_questions, before + 1);
                        assert_string_equal(h->questions[before].action, cases[i].asked);
                } else {
                        harness_assert_error(&call, SD_BUS_ERROR_ACCESS_DENIED);
                        assert_int_equal(h->n_questions, before);
                }
                harness_call_done(&call);
        }
        j->type = &job_pull_type;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        TEST(test_outcome),
                        TEST(test_cancel),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
