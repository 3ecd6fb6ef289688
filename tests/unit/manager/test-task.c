/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The life of tasks, and what a restart of the manager finds. */

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/cgroup.h"
#include "basic/fs.h"
#include "basic/strv.h"
#include "manager/db-internal.h"
#include "supervisor/record.h"

static int create(Harness *h, Container *c, Answer *a) {
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        *a = (Answer){};
        r = task_create(c, &request, answer_callback, a, &e);
        if (r != 0)
                return r;
        harness_wait(h, &a->done);
        return a->r;
}

static void start(Harness *h, Task *t) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(process_start(&t->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

static void touch(Harness *h, const char *path) {
        _cleanup_free_ char *full = NULL;

        assert_true(asprintf(&full, "%s/%s", h->dir, path) > 0);
        fd_close(open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600));
}

static void assert_nothing_left(Harness *h, Container *c) {
        assert_null(c->task);
        assert_int_equal(object_count(h->manager, OBJECT_TASK), 0);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);
}

static void test_life(void **state) {
        Answer wait = {}, again = {}, deleted = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        c = t->container;
        assert_int_equal(t->process.status, TASK_CREATED);
        assert_string_equal(h->last_unit, "ctr-web.scope");
        assert_true(t->process.pid > 0);

        /* Wait before Start misses nothing (A3.3) */
        touch(h, "run/tasks/default/exit-now");
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        start(h, t);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 7);
        assert_true(wait.exit_known);
        assert_int_equal(wait.status, TASK_STOPPED);

        /* and a Wait after the exit says the same */
        assert_int_equal(process_wait(&t->process, answer_callback, &again, &e), 0);
        harness_wait(h, &again.done);
        assert_int_equal(again.exit_status, 7);

        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &again, &e),
                         CTR_NOT_FOUND);
        error_clear(&e);
        assert_int_equal(process_start(&t->process, answer_callback, &again, &e),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(e.text, "STOPPED"));
        error_clear(&e);

        h->seen[0] = '\0';
        assert_int_equal(process_delete(&t->process, false, answer_callback, &deleted, &e), 0);
        harness_wait(h, &deleted.done);
        assert_int_equal(deleted.exit_status, 7);
        assert_non_null(strstr(h->seen, "t-"));
        assert_int_equal(unlink("run/tasks/default/exit-now"), -1);
        assert_null(c->task);
}

static void test_launch_failures(void **state) {
        static const struct {
                const char *mode;
                int r;
                unsigned starts;
        } cases[] = {
                        {"f", CTR_NOT_FOUND, 1},
                        {"d", CTR_UNAVAILABLE, 1},
                        {"b", CTR_NOT_FOUND, 1},
                        {"u", CTR_UNAVAILABLE,
                         2}, /* systemd#36781: the scope is made again, once */
        };
        Harness *h = *state;
        Container *c;
        Answer a;

        (void) harness_image(h);
        c = harness_container(h, "web");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                setenv("FAKE_SUPERVISOR", cases[i].mode, 1);
                h->n_starts = 0;
                assert_int_equal(create(h, c, &a), cases[i].r);
                assert_non_null(a.error.text);
                error_clear(&a.error);
                assert_int_equal(h->n_starts, cases[i].starts);
                assert_nothing_left(h, c);
        }
        unsetenv("FAKE_SUPERVISOR");
        assert_int_equal(create(h, c, &a), 0);
}

static void test_scope_failures(void **state) {
        Harness *h = *state;
        Container *c;
        Answer a;

        (void) harness_image(h);
        c = harness_container(h, "web");

        h->start_error = SD_BUS_ERROR_INVALID_ARGS;
        assert_int_equal(create(h, c, &a), CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(a.error.text, "refused by the test"));
        error_clear(&a.error);
        assert_nothing_left(h, c);

        h->start_error = NULL;
        h->job_result = "failed";
        h->n_starts = 0;
        assert_int_equal(create(h, c, &a), CTR_UNAVAILABLE);
        error_clear(&a.error);
        assert_int_equal(h->n_starts, 2);
        assert_int_equal(h->n_resets, 2);
        assert_nothing_left(h, c);
}

/* --rm in the background: nobody waits, and nothing stays. */
static void test_auto_remove(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, wait = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        t->container->auto_remove = true;
        start(h, t);
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &a, &e), 0);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 128 + SIGTERM);
        harness_settle(h);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 0);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);
}

/* Those that were to go with a task which is lost: an old one at once, a young one when nobody can
 * be about to start it any more. What was made since is its client's. */
static void test_left_behind(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .image = (char *) "localhost/test",
                        .auto_remove = true,
        };
        Object *young;
        Container *c;

        (void) harness_image(h);
        request.id = (char *) "old";
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        request.id = (char *) "young";
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        harness_sql(h->manager->db->handle,
                    "UPDATE containers SET created_at = 1 WHERE id = 'old'");
        harness_restart(h);
        harness_settle(h);
        assert_null(object_find(h->manager, OBJECT_CONTAINER, "default", "old"));
        young = object_find(h->manager, OBJECT_CONTAINER, "default", "young");
        assert_non_null(young);
        request.id = (char *) "new";
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);

        /* a minute later */
        CONTAINER(young)->created_at = 1;
        assert_int_equal(sd_event_source_set_time_relative(h->manager->left_behind_timer, 0), 0);
        harness_settle(h);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 1);
        assert_non_null(object_find(h->manager, OBJECT_CONTAINER, "default", "new"));
}

/* A scope of that name is there and nobody's, perhaps empty: it is stopped, and its end waited for.
 */
static void test_unit_name_taken(void **state) {
        Harness *h = *state;
        Container *c;
        Answer a;

        (void) harness_image(h);
        c = harness_container(h, "web");
        h->start_error = "org.freedesktop.systemd1.UnitExists";
        h->stop_frees_name = true;
        assert_int_equal(create(h, c, &a), 0);
        assert_int_equal(h->n_starts, 2);
        assert_int_equal(h->n_stops, 1);
}

/* systemd executes itself anew and takes our call with it: the scope that is there afterwards is
 * the one that was asked for, as soon as its job was run. */
static void test_systemd_reexec(void **state) {
        Harness *h = *state;
        Container *c;
        Answer a;

        (void) harness_image(h);
        c = harness_container(h, "web");
        h->start_error = SD_BUS_ERROR_NO_REPLY;
        h->next_start_error = "org.freedesktop.systemd1.UnitExists";
        assert_int_equal(strv_extend(&h->active_scopes, "ctr-web.scope"), 0);
        h->n_lists = 0;
        h->n_inactive_lists = 2;
        assert_int_equal(create(h, c, &a), 0);
        assert_int_equal(h->n_lists, 3);
        assert_int_equal(h->n_starts, 4);
        assert_int_equal(h->n_kills, 0);
}

/* A reload unloads every unit and loads it again. */
static void test_systemd_reload(void **state) {
        Harness *h = *state;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        harness_signal_reloading(h, 1);
        harness_signal_unit_removed(h, "ctr-web.scope");
        harness_signal_reloading(h, 0);
        harness_settle(h);
        assert_int_equal(t->process.status, TASK_RUNNING);
}

/* A supervisor that is stopped does not answer; SIGKILL goes to the scope then. */
static void test_kill_wedged(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        assert_int_equal(kill(t->process.pid, SIGSTOP), 0);
        assert_int_equal(process_kill(&t->process, SIGKILL, PROCESS_KILL_ALL, answer_callback, &a,
                                      &e),
                         0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        harness_settle(h);
        assert_int_equal(h->n_kills, 1);
}

static void test_one_task_each(void **state) {
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, b = {};
        Container *c;
        Task *t;

        (void) harness_image(h);
        c = harness_container(h, "web");
        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        /* while the first is being made, and after */
        assert_int_equal(task_create(c, &request, answer_callback, &b, &e), CTR_ALREADY_EXISTS);
        error_clear(&e);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), CTR_NOT_FOUND);
        error_clear(&e);
        assert_false(manager_is_idle(h->manager));
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(task_create(c, &request, answer_callback, &b, &e), CTR_ALREADY_EXISTS);
        error_clear(&e);
        assert_int_equal(container_delete(c, 0, answer_callback, &b, &e), 0);
        harness_wait(h, &b.done);
        assert_int_equal(b.r, CTR_FAILED_PRECONDITION);
        error_clear(&b.error);
}

/* Somebody tidies up in /run: the next task has a directory again. */
static void test_directory_of_tasks_removed(void **state) {
        _cleanup_close_ int dir_fd = -1;
        Harness *h = *state;
        Task *t;

        dir_fd = open(h->runtime_dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(dir_fd >= 0);
        assert_int_equal(tree_remove_at(dir_fd, "tasks"), 0);
        (void) harness_image(h);
        t = harness_task(h, "web");
        assert_int_equal(faccessat(dir_fd, "tasks/default/web/config.json", F_OK, 0), 0);
        start(h, t);
        assert_int_equal(t->process.status, TASK_RUNNING);
}

static void test_command_not_found(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, wait = {};
        Task *t;

        (void) harness_image(h);
        setenv("FAKE_SUPERVISOR", "x", 1);
        t = harness_task(h, "web");
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        assert_int_equal(process_start(&t->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_COMMAND_NOT_FOUND);
        error_clear(&a.error);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 127);
}

static void test_stop(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, b = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        /* a signal that does not end it: without force the time runs out (A1.2) */
        assert_int_equal(task_stop(t, SIGUSR1, 50 * USEC_PER_MSEC, false, answer_callback, &a, &e),
                         0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_TIMEOUT);
        error_clear(&a.error);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_null(t->process.exit_waiters); /* nothing piles up in a task that ignores its signal
                                               */
        /* with force it is killed */
        assert_int_equal(task_stop(t, SIGUSR1, 50 * USEC_PER_MSEC, true, answer_callback, &b, &e),
                         0);
        harness_wait(h, &b.done);
        assert_int_equal(b.r, 0);
        assert_int_equal(b.exit_status, 137);
}

/* The task ended by itself when it was about to be stopped, which nobody has heard yet: the stop
 * answers as for any other end. */
static void test_stop_of_ended(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        siginfo_t info = {};
        Answer a = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        assert_int_equal(kill(t->process.pid, SIGKILL), 0); /* the double has no other process */
        assert_int_equal(waitid(P_PID, (id_t) t->process.pid, &info, WEXITED | WNOWAIT), 0);
        assert_int_equal(task_stop(t, 0, 60 * USEC_PER_SEC, true, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(a.exit_status, 255);
        assert_false(a.exit_known);
}

/* "Never" is a time limit too: for the unit, and for a stop. */
static void test_stop_never(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c;
        Answer a;
        Task *t;

        (void) harness_image(h);
        c = harness_container(h, "web");
        c->stop_timeout = UINT64_MAX;
        assert_int_equal(create(h, c, &a), 0);
        assert_true(harness_unit_property(h, "TimeoutStopUSec") == UINT64_MAX);
        t = c->task;
        start(h, t);
        a = (Answer){};
        assert_int_equal(task_stop(t, 0, UINT64_MAX, false, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

static void test_stop_signal(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        assert_int_equal(task_stop(t, 0, USEC_PER_SEC, false, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.exit_status, 128 + SIGINT); /* the image's STOPSIGNAL */
}

static void test_force_delete(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer wait = {}, a = {}, b = {};
        Container *c;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        c = t->container;
        start(h, t);
        assert_int_equal(process_delete(&t->process, false, answer_callback, &a, &e),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(e.text, "RUNNING"));
        error_clear(&e);
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        assert_int_equal(container_delete(c, CONTAINER_DELETE_FORCE, answer_callback, &b, &e), 0);
        harness_wait(h, &b.done);
        assert_int_equal(b.r, 0);
        assert_true(wait.done);
        assert_int_equal(wait.exit_status, 137);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 0);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);
}

/* Two clients remove it at once, one of them the task only. */
static void test_force_delete_twice(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer task = {}, container = {};
        Harness *h = *state;
        Container *c;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        c = t->container;
        start(h, t);
        assert_int_equal(process_delete(&t->process, true, answer_callback, &task, &e), 0);
        assert_int_equal(container_delete(c, CONTAINER_DELETE_FORCE, answer_callback, &container,
                                          &e),
                         0);
        harness_wait(h, &container.done);
        assert_true(task.done);
        assert_int_equal(task.r, 0);
        assert_int_equal(container.r, 0);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 0);
}

/* What is still being made can be taken away too (C21), and the end of the manager is told. */
static void test_force_delete_launch(void **state) {
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer created = {}, deleted = {};
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        c = harness_container(h, "web");
        assert_int_equal(task_create(c, &request, answer_callback, &created, &e), 0);
        assert_int_equal(container_delete(c, CONTAINER_DELETE_FORCE, answer_callback, &deleted, &e),
                         0);
        harness_wait(h, &deleted.done);
        assert_int_equal(deleted.r, 0);
        assert_true(created.done);
        assert_int_equal(created.r, CTR_CANCELED);
        error_clear(&created.error);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 0);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);

        c = harness_container(h, "web");
        created = (Answer){};
        assert_int_equal(task_create(c, &request, answer_callback, &created, &e), 0);
        harness_restart(h);
        assert_true(created.done);
        assert_int_equal(created.r, -ESHUTDOWN);
        error_clear(&created.error);
}

static void test_supervisor_killed(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer wait = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        assert_int_equal(kill(t->process.pid, SIGKILL), 0); /* the double has no other process */
        harness_wait(h, &wait.done);
        assert_int_equal(wait.status, TASK_STOPPED);
        assert_int_equal(wait.exit_status, 255);
        assert_false(wait.exit_known);
        harness_settle(h);
        assert_int_equal(h->n_kills, 1);
}

/* The manager dies and comes back: with the task CREATED, RUNNING, exited meanwhile. */
static void test_restart(void **state) {
        Answer started = {}, wait = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        uint64_t created_at;
        pid_t pid;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        created_at = t->process.run;
        pid = t->process.pid;
        harness_restart(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_CREATED);
        assert_int_equal(t->process.pid, pid);
        assert_int_equal(t->process.run, created_at);

        assert_int_equal(process_start(&t->process, answer_callback, &started, &e), 0);
        harness_wait(h, &started.done);
        assert_int_equal(started.r, 0);
        harness_restart(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_true(t->process.started_at >= created_at);

        /* it ends while nobody looks */
        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &wait, &e), 0);
        harness_stop(h);
        h->seen[0] = '\0';
        harness_start(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        wait = (Answer){};
        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 128 + SIGTERM);
        assert_true(wait.exit_known);
        assert_non_null(strstr(h->seen, "tx"));

        /* which is no news for the next manager */
        h->seen[0] = '\0';
        harness_restart(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_STOPPED);
        harness_settle(h);
        assert_null(strstr(h->seen, "tx"));
}

static void test_restart_debris(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *path = NULL;
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        (void) harness_container(h, "web");
        harness_stop(h);

        /* a launch that got no further than its documents, one of a container that is gone, a
         * scope that nobody knows, trees without a record */
        assert_true(asprintf(&path, "%s/tasks/default/web", h->runtime_dir) > 0);
        fd_close(dir_open_make_at(AT_FDCWD, path, 0700));
        strcpy(path + strlen(path) - 3, "old");
        fd_close(dir_open_make_at(AT_FDCWD, path, 0700));
        touch(h, "run/tasks/default/web/launch.json");
        free(path);
        assert_true(asprintf(&path, "%s/snapshots/overlayfs/4711/fs", h->state_dir) > 0);
        fd_close(dir_open_make_at(AT_FDCWD, path, 0700));
        free(path);
        /* of the same number as one that is still being removed: a row that was rolled back */
        assert_true(asprintf(&path, "%s/snapshots/overlayfs/.doomed-4711/fs", h->state_dir) > 0);
        fd_close(dir_open_make_at(AT_FDCWD, path, 0700));
        assert_int_equal(strv_extend(&h->active_scopes, "ctr-lost.scope"), 0);

        harness_start(h);
        harness_settle(h);
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
        assert_null(c->task);
        assert_int_equal(harness_count(h, "run/tasks/default"), 0);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 2);
        assert_int_equal(h->n_kills, 3);
}

/* Where the tasks cannot all be looked at, no scope is known to be nobody's. */
static void test_restart_unreadable(void **state) {
        Harness *h = *state;

        harness_stop(h);
        touch(h, "run/tasks/other");
        assert_int_equal(strv_extend(&h->active_scopes, "ctr-other:web.scope"), 0);
        harness_start(h);
        harness_settle(h);
        assert_int_equal(h->n_kills, 0);
}

static void test_damaged_record(void **state) {
        _cleanup_free_ char *path = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int fd = -1;
        Harness *h = *state;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        start(h, t);
        assert_int_equal(kill(t->process.pid, SIGKILL), 0);
        harness_stop(h);
        assert_true(asprintf(&path, "%s/tasks/default/web", h->runtime_dir) > 0);
        fd = open(path, O_DIRECTORY | O_CLOEXEC);
        assert_int_equal(file_write_atomic_at(fd, TASK_FILE_EXIT, "{\"exit", 6, 0600, 0), 0);

        harness_start(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_STOPPED);
        assert_int_equal(t->process.exit_status, 255);
        assert_false(t->process.exit_known);
}

static unsigned count_fds(void) {
        DIR *dir = opendir("/proc/self/fd");
        unsigned n = 0;

        assert_non_null(dir);
        while (readdir(dir))
                n++;
        closedir(dir);
        return n;
}

/* The move that is made ahead of a scope's start leaves no trace, also where it cannot be made. */
static void test_scope_ahead(void **state) {
        _cleanup_free_ char *before = NULL, *after = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        int where = cgroup_path_of(0, &before, &e);
        unsigned n;

        harness_stop(h);
        n = count_fds();
        harness_start(h);
        for (int i = 0; i < 3; i++)
                scope_start_ahead(h->systemd);
        harness_stop(h);
        assert_int_equal(count_fds(), n);
        assert_int_equal(cgroup_path_of(0, &after, &e), where);
        if (where == 0)
                assert_string_equal(after, before);
        harness_start(h);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                        CASE(test_life),
                        CASE(test_launch_failures),
                        CASE(test_scope_failures),
                        CASE(test_scope_ahead),
                        CASE(test_auto_remove),
                        CASE(test_left_behind),
                        CASE(test_unit_name_taken),
                        CASE(test_systemd_reexec),
                        CASE(test_systemd_reload),
                        CASE(test_kill_wedged),
                        CASE(test_one_task_each),
                        CASE(test_directory_of_tasks_removed),
                        CASE(test_command_not_found),
                        CASE(test_stop),
                        CASE(test_stop_signal),
                        CASE(test_force_delete),
                        CASE(test_supervisor_killed),
                        CASE(test_stop_of_ended),
                        CASE(test_stop_never),
                        CASE(test_force_delete_twice),
                        CASE(test_force_delete_launch),
                        CASE(test_restart),
                        CASE(test_restart_debris),
                        CASE(test_damaged_record),
                        CASE(test_restart_unreadable),
        };
#undef CASE

        return cmocka_run_group_tests(tests, NULL, NULL);
}
