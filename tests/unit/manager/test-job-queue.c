/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Whose turn it is among jobs: how many run at a time, in which order, one after the other for one
 * key, and what a cancellation or a worker that cannot be started does to the others. */

#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "basic/json.h"
#include "manager/job.h"

#define JOBS_MAX 8

/* A job whose worker is done when it is let go. */
typedef struct Work {
        Job *job;
        int gate; /* our end */
        bool begun, refused;
        Answer answer;
} Work;

static Work work[JOBS_MAX];
static char begun[JOBS_MAX + 1]; /* in which order, by their descriptions */

static int on_begin(const Job *j, char ***arguments) {
        Work *w = j->userdata;

        strncat(begun, j->description, 1);
        w->begun = true;
        return w->refused ? -ENOMEM : 0;
}

static const JobType two_at_a_time = {.name = "two", .begin = on_begin, .n_running_max = 2};
static const JobType unlimited = {.name = "any", .begin = on_begin};

static int setup(void **state) {
        memset(work, 0, sizeof(work));
        for (size_t i = 0; i < JOBS_MAX; i++)
                work[i].gate = -1;
        begun[0] = '\0';
        if (harness_setup(state) != 0)
                return -1;
        setenv("FAKE_WORKER", "w", 1);
        return 0;
}

static int teardown(void **state) {
        for (size_t i = 0; i < JOBS_MAX; i++) {
                fd_close(work[i].gate);
                error_clear(&work[i].answer.error);
        }
        unsetenv("FAKE_WORKER");
        return harness_teardown(state);
}

/* Starts the job that is called 'a' + i. input: what is to be closed before it begins; -1: nothing.
 */
static void start_with(Harness *h, const JobType *type, size_t i, const char *key, int input) {
        const char description[] = {(char) ('a' + i), '\0'};
        _cleanup_error_ Error e = ERROR_NULL;
        Work *w = work + i;
        int pair[2];

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        w->gate = pair[1];
        assert_int_equal(job_start(h->manager,
                                   &(JobRequest){
                                                   .type = type,
                                                   .namespace = "default",
                                                   .description = description,
                                                   .files = {{"--gate", pair[0]},
                                                             {input >= 0 ? "--input" : NULL, input,
                                                              true}},
                                                   .userdata = w,
                                                   .key = key,
                                   },
                                   &w->job, &e),
                         0);
        fd_close(pair[0]);
        assert_int_equal(job_wait(w->job, answer_callback, &w->answer, &e), 0);
        assert_string_equal(w->job->phase, w->begun ? "start" : "wait");
}

static void start(Harness *h, const JobType *type, size_t i, const char *key) {
        start_with(h, type, i, key, -1);
}

static void finish(Harness *h, size_t i) {
        assert_true(work[i].begun);
        assert_int_equal(write(work[i].gate, "", 1), 1);
        harness_wait(h, &work[i].answer.done);
        if (work[i].answer.r != 0)
                fail_msg("%s", error_text(&work[i].answer.error));
}

static void cancel(Harness *h, size_t i) {
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(job_cancel(work[i].job, &e), 0);
        assert_int_equal(job_cancel(work[i].job, &e), 0);
        harness_wait(h, &work[i].answer.done);
        assert_int_equal(work[i].answer.r, CTR_CANCELED);
}

/* Two run, and the others follow in the order in which they were made, whichever ends first. */
static void test_bound(void **state) {
        Harness *h = *state;

        for (size_t i = 0; i < 5; i++)
                start(h, &two_at_a_time, i, NULL);
        assert_string_equal(begun, "ab");
        /* others are not counted with them */
        start(h, &unlimited, 5, NULL);
        start(h, &unlimited, 6, NULL);
        start(h, &unlimited, 7, NULL);
        assert_string_equal(begun, "abfgh");
        finish(h, 1);
        assert_string_equal(begun, "abfghc");
        finish(h, 2);
        assert_string_equal(begun, "abfghcd");
        finish(h, 5);
        assert_string_equal(begun, "abfghcd");
        finish(h, 0);
        assert_string_equal(begun, "abfghcde");
        finish(h, 4);
        finish(h, 3);
        finish(h, 7);
        finish(h, 6);
        assert_int_equal(object_count(h->manager, OBJECT_JOB), 0);
}

/* Of one key only one runs, also where there is room for more. */
static void test_key(void **state) {
        Harness *h = *state;

        start(h, &unlimited, 0, "x");
        start(h, &unlimited, 1, "x");
        start(h, &unlimited, 2, "y");
        start(h, &unlimited, 3, "x");
        start(h, &unlimited, 4, NULL);
        assert_string_equal(begun, "ace");
        finish(h, 2);
        assert_string_equal(begun, "ace");
        finish(h, 0);
        assert_string_equal(begun, "aceb");
        start(h, &unlimited, 5, "x");
        assert_string_equal(begun, "aceb");
        finish(h, 1);
        assert_string_equal(begun, "acebd");
        finish(h, 3);
        assert_string_equal(begun, "acebdf");
        finish(h, 4);
        finish(h, 5);
}

/* Who waits for a key takes no place from who does not: but a place is a place. */
static void test_key_and_bound(void **state) {
        Harness *h = *state;

        start(h, &two_at_a_time, 0, "x");
        start(h, &two_at_a_time, 1, "x");
        start(h, &two_at_a_time, 2, "y");
        assert_string_equal(begun, "ac");
        start(h, &two_at_a_time, 3, "z");
        assert_string_equal(begun, "ac");
        finish(h, 2);
        assert_string_equal(begun, "acd");
        finish(h, 0);
        assert_string_equal(begun, "acdb");
        finish(h, 1);
        finish(h, 3);
}

/* What waits ends without a worker, what runs makes room. */
static void test_cancel(void **state) {
        Harness *h = *state;

        for (size_t i = 0; i < 6; i++)
                start(h, &two_at_a_time, i, i == 1 || i == 3 ? "x" : NULL);
        assert_string_equal(begun, "ab");
        cancel(h, 2);
        assert_false(work[2].begun);
        assert_string_equal(begun, "ab");
        cancel(h, 0);
        /* the next one by age waits for its key */
        assert_string_equal(begun, "abe");
        cancel(h, 3);
        assert_false(work[3].begun);
        cancel(h, 1);
        assert_string_equal(begun, "abef");
        finish(h, 4);
        finish(h, 5);
        assert_int_equal(object_count(h->manager, OBJECT_JOB), 0);
}

/* Who waits for the canceled one's key goes on, and is not canceled with it. */
static void test_cancel_key(void **state) {
        Harness *h = *state;

        start(h, &unlimited, 0, "x");
        start(h, &unlimited, 1, "x");
        start(h, &unlimited, 2, "x");
        cancel(h, 1);
        assert_string_equal(begun, "a");
        cancel(h, 0);
        assert_string_equal(begun, "ac");
        finish(h, 2);
}

/* A worker that cannot be started, or that fails, is the failure of its own job alone. */
static void test_failures(void **state) {
        Harness *h = *state;

        work[2].refused = true;
        for (size_t i = 0; i < 5; i++)
                start(h, &two_at_a_time, i, "x");
        finish(h, 0);
        assert_string_equal(begun, "ab");
        work[1].gate = fd_close(work[1].gate); /* it ends with an error */
        harness_wait(h, &work[1].answer.done);
        assert_int_equal(work[1].answer.r, CTR_UNKNOWN);
        harness_wait(h, &work[2].answer.done);
        assert_int_equal(work[2].answer.r, -ENOMEM);
        assert_non_null(strstr(work[2].answer.error.text, "Failed to start the two of \"c\""));
        assert_string_equal(begun, "abcd");
        finish(h, 3);
        finish(h, 4);
        assert_string_equal(begun, "abcde");
}

/* Where there is nothing to do nobody waits, and the caller is told from the event loop. */
static void test_nothing_to_do(void **state) {
        _cleanup_json_ json_t *outcome = json_pack("{ss}", "Digest", "x");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Job *j;

        start(h, &two_at_a_time, 0, "x");
        start(h, &two_at_a_time, 1, NULL);
        assert_int_equal(job_start(h->manager,
                                   &(JobRequest){
                                                   .type = &two_at_a_time,
                                                   .namespace = "default",
                                                   .description = "none",
                                                   .key = "x",
                                                   .outcome = outcome,
                                   },
                                   &j, &e),
                         0);
        assert_int_equal(job_wait(j, answer_callback, &a, &e), 0);
        assert_false(a.done);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_string_equal(begun, "ab");
        finish(h, 0);
        finish(h, 1);
}

/* Whose input does not come to its end holds up nobody; it waits for its turn when it has come. */
static void test_input(void **state) {
        Harness *h = *state;
        int pair[2];

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        start_with(h, &two_at_a_time, 0, "x", pair[0]);
        start(h, &two_at_a_time, 1, "x");
        start(h, &two_at_a_time, 2, NULL);
        assert_string_equal(begun, "bc");
        assert_int_equal(write(pair[1], "secret", 6), 6);
        finish(h, 2);
        finish(h, 1);
        assert_string_equal(begun, "bc");
        fd_close(pair[1]);
        harness_wait(h, &work[0].begun);
        finish(h, 0);
        fd_close(pair[0]);
        /* one that is canceled meanwhile, one that is complete already, and a file */
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        start_with(h, &two_at_a_time, 3, "x", pair[0]);
        cancel(h, 3);
        fd_close(pair[1]);
        start_with(h, &two_at_a_time, 4, "x", pair[0]);
        harness_wait(h, &work[4].begun);
        finish(h, 4);
        fd_close(pair[0]);
        pair[0] = memfd_create("input", MFD_CLOEXEC);
        assert_true(pair[0] >= 0);
        start_with(h, &two_at_a_time, 5, "x", pair[0]);
        assert_true(work[5].begun);
        finish(h, 5);
        fd_close(pair[0]);
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        CASE(test_bound),         CASE(test_key),        CASE(test_key_and_bound),
                        CASE(test_cancel),        CASE(test_cancel_key), CASE(test_failures),
                        CASE(test_nothing_to_do), CASE(test_input),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
