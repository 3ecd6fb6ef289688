/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The restart monitor (A4.17 to A4.19, C16) and monitors in general (A4.16, A5.3, A5.9, A5.11). */

#include "harness.h"

#include <fcntl.h>
#include <limits.h>
#include <signal.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "manager/checkpoint.h"
#include "manager/event.h"
#include "manager/monitor.h"
#include "manager/restart.h"

static const RestartTimes times = {
                .first = 5 * USEC_PER_MSEC,
                .max = 40 * USEC_PER_MSEC,
                .settled = 150 * USEC_PER_MSEC,
                .healthy = 3 *
                           USEC_PER_SEC, /* no task of a busy machine takes that long by accident */
};

static int setup(void **state) {
        int r;

        r = harness_setup(state);
        if (r == 0) {
                Harness *h = *state;

                h->restart_times = &times;
                h->boot_id = "first";
                harness_restart(h);
                (void) harness_image(h);
        }
        return r;
}

/* Every task ends with 7 as soon as it was started. */
static void set_exit_now(void) {
        setenv("FAKE_SUPERVISOR", "q", 1);
}

static Container *make(Harness *h, const char *id, const char *policy) {
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) id,
                        .image = (char *) "localhost/test",
                        .restart_policy = (char *) policy,
        };
        char *command[] = {(char *) "/bin/true", NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c;

        request.command = command;
        request.command_set = true;
        if (container_create(h->manager, &request, &c, &e) != 0)
                fail_msg("create: %s", error_text(&e));
        return c;
}

static Container *find(Harness *h, const char *id) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = NULL;

        assert_int_equal(container_find(h->manager, "default", id, &c, &e), 0);
        return c;
}

static void run(Harness *h, Container *c) {
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        a = (Answer){};
        assert_int_equal(process_start(&c->task->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        error_clear(&a.error);
}

static const char *label(const Container *c, const char *key) {
        return json_string_value(json_object_get(c->labels, key));
}

static bool is_running(const Container *c) {
        return c->task && c->task->process.status == TASK_RUNNING;
}

/* Turns the loop until the condition holds, at most 60 s. */
#define wait_for(h, condition)                                                                     \
        do {                                                                                       \
                uint64_t until_ = now_monotonic() + 60 * USEC_PER_SEC;                             \
                while (!(condition)) {                                                             \
                        assert_true(sd_event_run((h)->event, 10 * USEC_PER_MSEC) >= 0);            \
                        assert_true(now_monotonic() < until_);                                     \
                }                                                                                  \
        } while (false)

/* Nothing happens for as long as the longest delay and more. */
static void assert_quiet(Harness *h) {
        uint64_t until = now_monotonic() + 4 * times.max;
        unsigned starts = h->n_starts;

        while (now_monotonic() < until)
                assert_true(sd_event_run(h->event, 10 * USEC_PER_MSEC) >= 0);
        assert_int_equal(h->n_starts, starts);
        assert_false(restarts_are_busy(h->manager->restarts));
}

static void crash(Container *c) {
        assert_int_equal(kill(c->task->process.pid, SIGKILL), 0);
}

static bool is_marked(Harness *h) {
        return faccessat(h->manager->state_fd, "restart-at-boot", F_OK, 0) >= 0;
}

static void test_policies(void **state) {
        static const struct {
                const char *text;
                int r;
                RestartKind kind;
                uint64_t max;
        } cases[] = {
                        {"", 0, RESTART_ALWAYS, 0},
                        {"no", 0, RESTART_NO, 0},
                        {"always", 0, RESTART_ALWAYS, 0},
                        {"unless-stopped", 0, RESTART_UNLESS_STOPPED, 0},
                        {"on-failure", 0, RESTART_ON_FAILURE, 0},
                        {"on-failure:0", 0, RESTART_ON_FAILURE, 0},
                        {"on-failure:3", 0, RESTART_ON_FAILURE, 3},
                        {"on-failure:", CTR_INVALID_ARGUMENT, 0, 0},
                        {"on-failure:-1", CTR_INVALID_ARGUMENT, 0, 0},
                        {"on-failure:3x", CTR_INVALID_ARGUMENT, 0, 0},
                        {"on-failure:99999999999999999999", CTR_INVALID_ARGUMENT, 0, 0},
                        {"always:3", CTR_INVALID_ARGUMENT, 0, 0},
                        {"Always", CTR_INVALID_ARGUMENT, 0, 0},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                RestartPolicy policy = {};

                assert_int_equal(restart_policy_parse(cases[i].text, &policy, &e), cases[i].r);
                assert_int_equal(policy.kind, cases[i].kind);
                assert_int_equal(policy.max, cases[i].max);
                if (cases[i].r != 0)
                        assert_non_null(strstr(e.text, "policy"));
        }
        assert_int_equal(restart_delay(&restart_times_default, 0), 100 * USEC_PER_MSEC);
        assert_int_equal(restart_delay(&restart_times_default, 3), 800 * USEC_PER_MSEC);
        assert_int_equal(restart_delay(&restart_times_default, 9), 51200 * USEC_PER_MSEC);
        assert_int_equal(restart_delay(&restart_times_default, 10), 60 * USEC_PER_SEC);
        assert_int_equal(restart_delay(&restart_times_default, UINT_MAX), 60 * USEC_PER_SEC);
}

static void test_wanted(void **state) {
        static const struct {
                const char *policy, *status, *stopped, *count;
                int exit_status;
                bool wanted, at_boot;
        } cases[] = {
                        {"always", "running", NULL, NULL, 0, true, true},
                        {"always", "stopped", "true", NULL, 0, false, true},
                        {"always", "stopped", NULL, NULL, 0, false, false},
                        {NULL, "running", NULL, NULL, 0, true, true},
                        {"always", NULL, NULL, NULL, 0, false, false},
                        {"no", "running", NULL, NULL, 1, false, false},
                        {"unless-stopped", "running", NULL, NULL, 0, true, true},
                        {"unless-stopped", "running", "true", NULL, 0, false, true},
                        {"unless-stopped", "stopped", "true", NULL, 0, false, false},
                        {"on-failure", "running", NULL, NULL, 0, false, true},
                        {"on-failure", "running", NULL, "77", 1, true, true},
                        {"on-failure:2", "running", NULL, "1", 1, true, true},
                        {"on-failure:2", "running", NULL, "2", 1, false, true},
                        {"on-failure:2", "running", NULL, "2", -1, true, true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                json_t *labels = json_pack("{ss* ss* ss* ss*}", RESTART_LABEL_POLICY,
                                           cases[i].policy, RESTART_LABEL_STATUS, cases[i].status,
                                           RESTART_LABEL_STOPPED, cases[i].stopped,
                                           RESTART_LABEL_COUNT, cases[i].count);

                assert_non_null(labels);
                assert_int_equal(restart_wanted(labels, cases[i].exit_status), cases[i].wanted);
                assert_int_equal(restart_wanted_at_boot(labels), cases[i].at_boot);
                json_decref(labels);
        }
}

static void test_refused(void **state) {
        static const char *const bad[][2] = {
                        {RESTART_LABEL_POLICY, "always:3"},
                        {RESTART_LABEL_STATUS, "paused"},
                        {RESTART_LABEL_COUNT, "many"},
        };
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "bad",
                        .image = (char *) "localhost/test",
                        .restart_policy = (char *) "always",
                        .auto_remove = true,
        };
        Harness *h = *state;
        Container *c = make(h, "web", NULL);

        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                json_t *labels = json_pack("{ss}", bad[i][0], bad[i][1]);

                assert_int_equal(container_set_labels(c, labels, &e), CTR_INVALID_ARGUMENT);
                assert_non_null(strstr(e.text, bad[i][0]));
                json_decref(labels);
        }
        for (int i = 0; i < 2; i++) {
                _cleanup_error_ Error e = ERROR_NULL;

                request.auto_remove = i == 0;
                request.volatile_root = i == 1;
                assert_int_equal(container_create(h->manager, &request, &c, &e),
                                 CTR_INVALID_ARGUMENT);
                assert_non_null(strstr(e.text, i == 0 ? "AutoRemove" : "Volatile"));
        }
}

static int count_start(const Event *event, void *userdata) {
        *(unsigned *) userdata += event->topic == EVENT_TASK_START;
        return 0;
}

static unsigned count_starts(Harness *h) {
        _cleanup_error_ Error e = ERROR_NULL;
        unsigned n = 0;

        assert_int_equal(event_foreach(h->manager, &(EventQuery){.until = UINT64_MAX}, count_start,
                                       &n, &e),
                         0);
        return n;
}

static bool is_over(Harness *h, const Container *c) {
        return restart_labels_count(c->labels) == 2 && !restarts_are_busy(h->manager->restarts) &&
               c->task && c->task->process.status == TASK_STOPPED;
}

/* Exactly twice, and the count is kept. */
static void test_on_failure(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "on-failure:2");

        assert_null(label(c, RESTART_LABEL_STATUS));
        assert_false(is_marked(h));
        set_exit_now();
        run(h, c);
        assert_true(is_marked(h));
        wait_for(h, is_over(h, c));
        assert_quiet(h);
        assert_int_equal(count_starts(h), 3);
        harness_restart(h);
        assert_quiet(h);
        assert_int_equal(count_starts(h), 3);
        assert_int_equal(restart_labels_count(find(h, "web")->labels), 2);

        /* a start by the user is a new beginning */
        c = find(h, "web");
        {
                _cleanup_error_ Error e = ERROR_NULL;
                Answer a = {};

                assert_int_equal(process_delete(&c->task->process, false, answer_callback, &a, &e),
                                 0);
                harness_wait(h, &a.done);
        }
        run(h, c);
        wait_for(h, is_over(h, c));
        assert_int_equal(count_starts(h), 6);
}

/* Twice, too, if the manager is killed between any two turns of its loop. */
static void test_killed(void **state) {
        Harness *h = *state;

        set_exit_now();
        for (unsigned step = 0; step < 40; step++) {
                Container *c;
                char id[16];
                unsigned before = count_starts(h);

                (void) snprintf(id, sizeof(id), "t%u", step);
                c = make(h, id, "on-failure:2");
                run(h, c);
                for (unsigned n = 0; n < 6; n++) {
                        for (unsigned i = 0; i < step; i++)
                                assert_true(sd_event_run(h->event, USEC_PER_MSEC) >= 0);
                        harness_restart(h);
                }
                c = find(h, id);
                wait_for(h, is_over(h, c));
                assert_int_equal(count_starts(h), before + 3);
        }
}

/* The count goes after a long run, and the delay after a shorter one. */
static void test_healthy(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "always");
        uint64_t start;

        run(h, c);
        for (int i = 1; i < 4; i++) {
                char count[8];

                (void) snprintf(count, sizeof(count), "%i", i);
                crash(c);
                wait_for(h, is_running(c) && streq(strempty(label(c, RESTART_LABEL_COUNT)), count));
        }
        start = now_monotonic();
        wait_for(h, now_monotonic() - start > times.healthy + 50 * USEC_PER_MSEC);
        crash(c);
        wait_for(h, is_running(c) && streq(strempty(label(c, RESTART_LABEL_COUNT)), "1"));
}

/* The delays add up, and the manager has to stay for them. */
static void test_back_off(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "always");
        uint64_t start = now_monotonic();

        set_exit_now();
        run(h, c);
        wait_for(h, restarts_are_busy(h->manager->restarts));
        assert_false(manager_is_idle(h->manager));
        wait_for(h, restart_labels_count(c->labels) == 6);
        /* 5 + 10 + 20 + 40 + 40 + 40 */
        assert_true(now_monotonic() - start >= 155 * USEC_PER_MSEC);
}

static void stop(Harness *h, Container *c) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(task_stop(c->task, SIGTERM, USEC_PER_SEC, true, answer_callback, &a, &e),
                         0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

/* A user's stop holds: over restarts of the manager, and with unless-stopped over a boot, too. */
static void test_stopped(void **state) {
        static const struct {
                const char *policy;
                bool at_boot;
        } cases[] = {{"always", true}, {"unless-stopped", false}, {"on-failure", false}};
        Harness *h = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Container *c = make(h, cases[i].policy, cases[i].policy);
                Answer a = {};

                h->boot_id = "first";
                run(h, c);
                assert_string_equal(label(c, RESTART_LABEL_STATUS), "running");
                stop(h, c);
                assert_string_equal(label(c, RESTART_LABEL_STATUS), "stopped");
                assert_string_equal(label(c, RESTART_LABEL_STOPPED), "true");
                assert_quiet(h);
                harness_restart(h);
                assert_quiet(h);
                c = find(h, cases[i].policy);
                assert_int_equal(process_delete(&c->task->process, false, answer_callback, &a, &e),
                                 0);
                harness_wait(h, &a.done);

                h->boot_id = "second";
                harness_restart(h);
                c = find(h, cases[i].policy);
                if (cases[i].at_boot) {
                        wait_for(h, is_running(c));
                        assert_null(label(c, RESTART_LABEL_STOPPED));
                        assert_null(label(c, RESTART_LABEL_COUNT));
                        stop(h, c);
                } else
                        assert_quiet(h);
                a = (Answer){};
                assert_int_equal(container_delete(c, CONTAINER_DELETE_FORCE, answer_callback, &a,
                                                  &e),
                                 0);
                harness_wait(h, &a.done);
                assert_false(is_marked(h));
        }
}

/* A stop, and a deletion, between two runs. */
static void test_stopped_while_waiting(void **state) {
        Harness *h = *state;

        for (int deleted = 0; deleted < 2; deleted++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Container *c = make(h, deleted ? "deleted" : "stopped", "always");
                Answer a = {};

                set_exit_now();
                run(h, c);
                wait_for(h, restart_labels_count(c->labels) == 3 && c->task &&
                                            c->task->process.status == TASK_STOPPED);
                if (deleted) {
                        assert_int_equal(process_delete(&c->task->process, false, answer_callback,
                                                        &a, &e),
                                         0);
                        harness_wait(h, &a.done);
                        assert_null(c->task);
                } else
                        assert_int_equal(task_stop(c->task, 0, 0, true, answer_callback, &a, &e),
                                         CTR_NOT_FOUND);
                assert_quiet(h);
                assert_string_equal(label(c, RESTART_LABEL_STATUS), "stopped");
        }
}

/* CRIU as far as the manager asks for it: it is there. */
static void provide_criu(Harness *h) {
        _cleanup_free_ char *path = NULL;

        assert_true(asprintf(&path, "%s/criu", h->dir) > 0);
        fd_close(open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0700));
        setenv("PATH", h->dir, 1);
}

/* A task that ends because its checkpoint was made is not to come back as if it had crashed; one
 * that goes on after its checkpoint is. */
static void test_checkpoint(void **state) {
        _cleanup_free_ char *saved = strdup(getenv("PATH"));
        CheckpointOptions options = {.path = "/tmp/none"};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c = make(h, "web", "always");
        Answer a = {};

        run(h, c);
        provide_criu(h);
        assert_int_equal(task_checkpoint(c->task, &options, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        wait_for(h, is_running(c));
        crash(c);
        wait_for(h, restart_labels_count(c->labels) == 1 && is_running(c));

        a = (Answer){};
        options.exit = true;
        assert_int_equal(task_checkpoint(c->task, &options, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        wait_for(h, c->task->process.status == TASK_STOPPED);
        assert_quiet(h);
        assert_string_equal(label(c, RESTART_LABEL_STATUS), "stopped");
        assert_string_equal(label(c, RESTART_LABEL_STOPPED), "true");
        setenv("PATH", saved, 1);
}

/* What is being written down relies on the freeze, whoever froze it. */
static void assert_not_resumed(Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(task_resume(t, answer_callback, NULL, &e), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(e.text, task_status_to_string(t->process.status)));
        if (t->process.status == TASK_PAUSED)
                assert_non_null(strstr(e.text, "while a checkpoint of it is being made"));
}

/* The manager ends in the middle of one: nothing is answered, and its successor does what has to
 * come after: a task is not left as it is during that, but for one that was paused before. */
static void test_checkpoint_abandoned(void **state) {
        static const struct {
                const char *supervisor;
                bool paused;
                TaskStatus during, after;
        } cases[] = {
                        {"C", false, TASK_PAUSED, TASK_RUNNING},  /* the dump goes on */
                        {"E", false, TASK_PAUSED, TASK_RUNNING},  /* it is over */
                        {"p", false, TASK_PAUSING, TASK_RUNNING}, /* it has not begun */
                        {"C", true, TASK_PAUSED, TASK_PAUSED},
        };
        const CheckpointOptions options = {.path = "/tmp/none"};
        _cleanup_free_ char *saved = strdup(getenv("PATH"));
        Harness *h = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *id = (const char *const[]){"a", "b", "c", "d"}[i];
                _cleanup_error_ Error e = ERROR_NULL;
                Answer a = {}, p = {};
                Container *c;

                setenv("FAKE_SUPERVISOR", cases[i].supervisor, 1);
                c = make(h, id, "no");
                run(h, c);
                provide_criu(h);
                if (cases[i].paused) {
                        assert_int_equal(task_pause(c->task, answer_callback, &p, &e), 0);
                        harness_wait(h, &p.done);
                }
                assert_int_equal(task_checkpoint(c->task, &options, answer_callback, &a, &e), 0);
                wait_for(h, c->task->process.status == cases[i].during && c->task->dump);
                assert_not_resumed(c->task);
                harness_restart(h);
                assert_int_equal(a.r, -ESHUTDOWN);
                error_clear(&a.error);
                c = find(h, id);
                wait_for(h, !c->task->dump && c->task->process.status == cases[i].after);
                setenv("PATH", saved, 1);
        }
}

/* The machine goes down: that is nobody's stop, and nothing is started in the last moment; what
 * ran runs again after the boot, which counts as no restart. */
static void test_shutdown(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "on-failure");

        run(h, c);
        h->system_state = "stopping";
        crash(c);
        wait_for(h, c->task->process.status == TASK_STOPPED);
        assert_quiet(h);
        assert_string_equal(label(c, RESTART_LABEL_STATUS), "running");
        assert_true(is_marked(h));

        harness_stop(h);
        {
                _cleanup_free_ char *path = NULL;

                assert_true(asprintf(&path, "%s/run", h->dir) > 0);
                assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
        }
        h->system_state = "running";
        h->boot_id = "second";
        harness_start(h);
        c = find(h, "web");
        wait_for(h, is_running(c));
        assert_null(label(c, RESTART_LABEL_COUNT));
}

/* Labels are wishes, too (A4.18). */
static void test_labels(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c = make(h, "web", NULL);

        assert_int_equal(container_set_labels(c, json_pack("{ss}", RESTART_LABEL_STATUS, "running"),
                                              &e),
                         0);
        wait_for(h, is_running(c));
        crash(c);
        wait_for(h, is_running(c) && restart_labels_count(c->labels) == 1);
        assert_int_equal(container_set_labels(c, json_pack("{ss}", RESTART_LABEL_STATUS, "stopped"),
                                              &e),
                         0);
        wait_for(h, !c->task);
        assert_quiet(h);
        assert_int_equal(container_set_labels(c, json_pack("{ss}", RESTART_LABEL_STATUS, "running"),
                                              &e),
                         0);
        wait_for(h, is_running(c));
        /* without them it is nobody's concern */
        assert_int_equal(container_set_labels(c, json_object(), &e), 0);
        crash(c);
        wait_for(h, c->task->process.status == TASK_STOPPED);
        assert_quiet(h);
}

/* A4.17: where the output goes is a wish, too; the input is that of before. */
static void test_log(void **state) {
        static const struct {
                const char *label, *value, *stream;
        } cases[] = {
                        {RESTART_LABEL_LOGURI, "file:///var/log/x", "file:/var/log/x"},
                        {RESTART_LABEL_LOGURI, "fifo:///run/x", "fifo:/run/x"},
                        {RESTART_LABEL_LOGURI, "binary:///bin/log?a=b", "binary:///bin/log?a=b"},
                        {RESTART_LABEL_LOGPATH, "/var/log/y", "file:/var/log/y"},
        };
        Harness *h = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                const char *id = (const char *const[]){"a", "b", "c", "d"}[i];
                _cleanup_error_ Error e = ERROR_NULL;
                Container *c = make(h, id, NULL);

                assert_int_equal(container_set_labels(c,
                                                      json_pack("{ss ss}", RESTART_LABEL_STATUS,
                                                                "running", cases[i].label,
                                                                cases[i].value),
                                                      &e),
                                 0);
                wait_for(h, is_running(c));
                assert_string_equal(process_stream(&c->task->process, 0), "null");
                assert_string_equal(process_stream(&c->task->process, 1), cases[i].stream);
                assert_string_equal(process_stream(&c->task->process, 2), cases[i].stream);
        }
}

/* A program that is not there: the user who starts it is told, and that is all. */
static void test_not_executable(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "always");

        setenv("FAKE_SUPERVISOR", "x", 1);
        run(h, c);
        wait_for(h, c->task->process.status == TASK_STOPPED);
        assert_quiet(h);
        assert_string_equal(label(c, RESTART_LABEL_STATUS), "stopped");
        unsetenv("FAKE_SUPERVISOR");
}

/* A creation that fails is tried again, and counted. */
static void test_creation_fails(void **state) {
        Harness *h = *state;
        Container *c = make(h, "web", "on-failure:3");

        run(h, c);
        setenv("FAKE_SUPERVISOR", "f", 1);
        h->n_starts = 0;
        crash(c);
        wait_for(h,
                 restart_labels_count(c->labels) == 3 && !restarts_are_busy(h->manager->restarts));
        assert_int_equal(h->n_starts, 3);
        assert_quiet(h);
        unsetenv("FAKE_SUPERVISOR");
}

static char monitor_log[64];

static void note(char what) {
        size_t n = strlen(monitor_log);

        assert_true(n + 1 < sizeof(monitor_log));
        monitor_log[n] = what;
        monitor_log[n + 1] = '\0';
}

static int first_attach(Task *t, Error *e) {
        note('a');
        return 0;
}

static void first_detach(Task *t) {
        note('d');
}

static void first_exited(Task *t) {
        note('x');
}

static int failing_attach(Task *t, Error *e) {
        return error_setf(e, CTR_RESOURCE_EXHAUSTED, "the test wants it so");
}

static void test_monitors(void **state) {
        static const TaskMonitor first = {"first", first_attach, first_detach, first_exited};
        static const TaskMonitor failing = {.name = "failing", .attach = failing_attach};
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Container *c;

        monitor_log[0] = '\0';
        monitor_register(h->manager, &first);
        c = make(h, "web", NULL);
        run(h, c);
        assert_string_equal(monitor_log, "a");
        stop(h, c);
        assert_int_equal(process_delete(&c->task->process, false, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_string_equal(monitor_log, "axd");

        /* A5.9: nothing is left of a task that cannot be monitored */
        monitor_register(h->manager, &failing);
        a = (Answer){};
        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_RESOURCE_EXHAUSTED);
        assert_string_equal(a.error.text,
                            "Failed to monitor the task \"web\": the test wants it so");
        error_clear(&a.error);
        assert_string_equal(monitor_log, "axdad");
        assert_null(c->task);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, harness_teardown)

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_policies),
                        cmocka_unit_test(test_wanted),
                        TEST(test_refused),
                        TEST(test_on_failure),
                        TEST(test_killed),
                        TEST(test_healthy),
                        TEST(test_back_off),
                        TEST(test_stopped),
                        TEST(test_stopped_while_waiting),
                        TEST(test_checkpoint),
                        TEST(test_checkpoint_abandoned),
                        TEST(test_shutdown),
                        TEST(test_labels),
                        TEST(test_log),
                        TEST(test_not_executable),
                        TEST(test_creation_fails),
                        TEST(test_monitors),
        };

        return cmocka_run_group_tests_name("manager/restart", tests, NULL, NULL);
}
