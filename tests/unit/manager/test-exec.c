/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execs, attaching and pausing, and what a restart of the manager finds of them. */

#include "harness.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "manager/exec.h"

static Task *running_task(Harness *h, const char *id) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, id);
        assert_int_equal(process_start(&t->process, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        return t;
}

static ExecRequest request_of(const char *id) {
        static char *command[] = {(char *) "/bin/sh", NULL};

        return (ExecRequest){.id = id, .command = command, .streams = STREAMS_NULL};
}

static int add_request(Harness *h, Task *t, const ExecRequest *request, Answer *a) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        *a = (Answer){};
        r = task_exec(t, request, answer_callback, a, &e);
        if (r != 0) {
                error_move(&a->error, &e);
                return r;
        }
        harness_wait(h, &a->done);
        return a->r;
}

static Exec *find(Harness *h, const char *exec_id) {
        _cleanup_error_ Error e = ERROR_NULL;
        Exec *x = NULL;

        (void) exec_find(h->manager, "default", "web", exec_id, &x, &e);
        return x;
}

static Exec *add(Harness *h, Task *t, const char *id) {
        ExecRequest request = request_of(id);
        Answer a;

        assert_int_equal(add_request(h, t, &request, &a), 0);
        assert_int_equal(a.status, TASK_CREATED);
        assert_non_null(find(h, id));
        return find(h, id);
}

typedef int (*Asked)(Process *p, Callback callback, void *userdata, Error *e);

static int ask(Harness *h, Process *p, Asked f, Answer *a) {
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        *a = (Answer){};
        r = f(p, answer_callback, a, &e);
        if (r != 0) {
                error_move(&a->error, &e);
                return r;
        }
        harness_wait(h, &a->done);
        return a->r;
}

static int delete (Process *p, Callback callback, void *userdata, Error *e) {
        return process_delete(p, false, callback, userdata, e);
}

static int force_delete(Process *p, Callback callback, void *userdata, Error *e) {
        return process_delete(p, true, callback, userdata, e);
}

static int terminate(Process *p, Callback callback, void *userdata, Error *e) {
        return process_kill(p, SIGTERM, 0, callback, userdata, e);
}

static int pause_task(Process *p, Callback callback, void *userdata, Error *e) {
        return task_pause(process_task(p), callback, userdata, e);
}

static int resume_task(Process *p, Callback callback, void *userdata, Error *e) {
        return task_resume(process_task(p), callback, userdata, e);
}

static void assert_says(Answer *a, const char *text) {
        if (!a->error.text || !strstr(a->error.text, text))
                fail_msg("\"%s\" does not say \"%s\"", error_text(&a->error), text);
        error_clear(&a->error);
}

static void wait_for_execs(Harness *h, const Task *t, size_t n) {
        uint64_t until = now_monotonic() + 60 * USEC_PER_SEC;

        while (t->n_execs != n && now_monotonic() < until)
                assert_true(sd_event_run(h->event, 10 * USEC_PER_MSEC) >= 0);
        assert_int_equal(t->n_execs, n);
}

static bool has_file(Task *t, const char *name) {
        return faccessat(t->dir_fd, name, F_OK, AT_SYMLINK_NOFOLLOW) >= 0;
}

/* A3.14, A5.10, A5.12, A5.19: added, started, ended, deleted, and the id used again. */
static void test_two_phases(void **state) {
        Answer a, wait = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "one");

        assert_string_equal(x->process.object.name, "web/one");
        assert_string_equal(process_exec_id(&x->process), "one");
        assert_ptr_equal(process_task(&x->process), t);
        assert_int_equal(process_wait(&x->process, answer_callback, &wait, &e), 0);
        /* D7: nothing to be signalled yet */
        assert_int_equal(ask(h, &x->process, terminate, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "process not created");

        assert_int_equal(ask(h, &x->process, process_start, &a), 0);
        assert_int_equal(x->process.status, TASK_RUNNING);
        assert_int_equal(x->process.pid, 100000);
        assert_int_equal(ask(h, &x->process, process_start, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot start a running process");
        assert_int_equal(ask(h, &x->process, delete, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "process must be stopped before deletion: running");

        assert_int_equal(ask(h, &x->process, terminate, &a), 0);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 128 + SIGTERM);
        assert_true(wait.exit_known);
        assert_int_equal(x->process.exit_pid, 100000);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_int_equal(ask(h, &x->process, terminate, &a), CTR_NOT_FOUND);
        assert_says(&a, "process already finished");
        /* a wait after the exit says the same */
        assert_int_equal(ask(h, &x->process, process_wait, &a), 0);
        assert_int_equal(a.exit_status, 128 + SIGTERM);

        assert_int_equal(ask(h, &x->process, delete, &a), 0);
        assert_int_equal(a.exit_status, 128 + SIGTERM);
        assert_null(find(h, "one"));
        assert_false(has_file(t, "exec-one.json") || has_file(t, "exit-one.json") ||
                     has_file(t, "state-one.json"));
        (void) add(h, t, "one");
}

/* D16, A5.19: ids are checked, and taken from the first moment on. */
static void test_ids(void **state) {
        ExecRequest request = request_of("one");
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a, first = {};
        Harness *h = *state;
        Task *t = running_task(h, "web");

        assert_int_equal(task_exec(t, &request, answer_callback, &first, &e), 0);
        /* while the first is being added, and after */
        assert_int_equal(add_request(h, t, &request, &a), CTR_ALREADY_EXISTS);
        assert_says(&a, "\"one\"");
        assert_null(find(h, "one"));
        harness_wait(h, &first.done);
        assert_int_equal(first.r, 0);
        assert_int_equal(add_request(h, t, &request, &a), CTR_ALREADY_EXISTS);
        error_clear(&a.error);

        request = request_of("");
        assert_int_equal(add_request(h, t, &request, &a), CTR_INVALID_ARGUMENT);
        assert_says(&a, "exec id must not be empty");
        request = request_of("../x");
        assert_int_equal(add_request(h, t, &request, &a), CTR_INVALID_ARGUMENT);
        error_clear(&a.error);
        request = request_of("two");
        request.command = NULL;
        assert_int_equal(add_request(h, t, &request, &a), CTR_INVALID_ARGUMENT);
        error_clear(&a.error);
        assert_int_equal(t->n_execs, 1);
}

static json_t *read_document(Task *t, const char *name) {
        _cleanup_error_ Error e = ERROR_NULL;
        json_t *j;

        if (json_read_file_at(t->dir_fd, name, TASK_CONFIG_MAX, &j, &e) != 0)
                fail_msg("%s", error_text(&e));
        return j;
}

static bool holds(json_t *array, const char *value) {
        json_t *item;
        size_t i;

        json_array_foreach(array, i, item)
                if (streq_ptr(json_string_value(item), value))
                        return true;
        return false;
}

/* A2.2, A2.7: the container's process of the task's own document, with what the request changes. */
static void test_document(void **state) {
        char *environment[] = {(char *) "A=1", (char *) "PATH", NULL};
        char *add_caps[] = {(char *) "net_admin", NULL}, *drop_caps[] = {(char *) "all", NULL};
        ContainerRlimit limit = {.name = (char *) "RLIMIT_NOFILE", .soft = 10, .hard = 20};
        _cleanup_json_ json_t *j = NULL;
        ExecRequest request = request_of("one");
        Harness *h = *state;
        Task *t = running_task(h, "web");
        json_t *process, *item;
        Answer a;

        request.environment = environment;
        request.capabilities_add = add_caps;
        request.capabilities_drop = drop_caps;
        request.rlimits = &limit;
        request.n_rlimits = 1;
        request.working_directory = (char *) "/tmp";
        request.user = (char *) "nobody:games";
        request.no_new_privileges_set = true;
        request.terminal = true;
        request.width = 90;
        request.height = 30;
        request.streams.kind[STDIN_FILENO] = STDIO_ATTACH;
        request.streams.kind[STDOUT_FILENO] = STDIO_FILE;
        request.streams.path[STDOUT_FILENO] = "/var/log/x";
        assert_int_equal(add_request(h, t, &request, &a), 0);
        assert_string_equal(process_stream(&find(h, "one")->process, 0), "attach");
        assert_string_equal(process_stream(&find(h, "one")->process, 1), "file:/var/log/x");
        assert_string_equal(process_stream(&find(h, "one")->process, 2), "null");

        j = read_document(t, "exec-one.json");
        process = json_object_get(j, "process");
        assert_true(holds(json_object_get(process, "args"), "/bin/sh"));
        assert_true(holds(json_object_get(process, "env"), "A=1"));
        assert_true(holds(json_object_get(process, "env"), "TERM=xterm"));
        assert_int_equal(json_array_size(json_object_get(process, "env")), 2);
        assert_string_equal(json_string_value(json_object_get(process, "cwd")), "/tmp");
        assert_true(json_is_true(json_object_get(process, "terminal")));
        assert_true(json_is_false(json_object_get(process, "noNewPrivileges")));
        item = json_object_get(json_object_get(process, "capabilities"), "permitted");
        assert_int_equal(json_array_size(item), 1);
        assert_true(holds(item, "CAP_NET_ADMIN"));
        item = json_object_get(process, "rlimits");
        assert_int_equal(json_array_size(item), 1);
        assert_int_equal(json_integer_value(json_object_get(json_array_get(item, 0), "soft")), 10);
        item = json_object_get(process, "consoleSize");
        assert_int_equal(json_integer_value(json_object_get(item, "width")), 90);
        item = json_object_get(j, "annotations");
        assert_string_equal(json_string_value(json_object_get(item, "org.example.Ctr.user")),
                            "nobody:games");
}

/* One call that adds and starts; what cannot be executed leaves nothing. */
static void test_one_shot(void **state) {
        ExecRequest request = request_of("one");
        Harness *h = *state;
        Task *t;
        Answer a;

        setenv("FAKE_SUPERVISOR", "X", 1);
        t = running_task(h, "web");
        request.start = true;
        assert_int_equal(add_request(h, t, &request, &a), CTR_COMMAND_NOT_FOUND);
        assert_says(&a, "no such program");
        assert_int_equal(t->n_execs, 0);
        assert_false(has_file(t, "exec-one.json") || has_file(t, "exit-one.json"));

        /* also where it is on its way already, by itself */
        request.auto_remove = true;
        assert_int_equal(add_request(h, t, &request, &a), CTR_COMMAND_NOT_FOUND);
        assert_says(&a, "no such program");
        assert_int_equal(t->n_execs, 0);
        assert_false(has_file(t, "exec-one.json") || has_file(t, "exit-one.json"));

        /* in two phases it stays, for its status (D17) */
        assert_int_equal(ask(h, &add(h, t, "two")->process, process_start, &a),
                         CTR_COMMAND_NOT_FOUND);
        error_clear(&a.error);
        assert_int_equal(find(h, "two")->process.status, TASK_STOPPED);
        assert_int_equal(find(h, "two")->process.exit_status, 127);
        assert_false(find(h, "two")->process.ran);
        assert_int_equal(ask(h, &find(h, "two")->process, delete, &a), 0);
}

/* D9: an exit that is seen before the answer to Start; and one that removes itself. */
static void test_fast_exit(void **state) {
        ExecRequest request = request_of("one");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a, wait = {};
        Task *t;

        setenv("FAKE_SUPERVISOR", "e", 1);
        t = running_task(h, "web");
        request.start = true;
        request.auto_remove = true;
        assert_int_equal(add_request(h, t, &request, &a), 0);
        assert_int_equal(a.status, TASK_STOPPED);
        assert_int_equal(a.exit_status, 3);
        harness_settle(h);
        assert_int_equal(t->n_execs, 0);
        assert_non_null(strstr(h->seen, "e+"));
        assert_non_null(strstr(h->seen, "ex"));
        assert_non_null(strstr(h->seen, "e-"));

        assert_int_equal(process_wait(&add(h, t, "two")->process, answer_callback, &wait, &e), 0);
        assert_int_equal(ask(h, &find(h, "two")->process, process_start, &a), 0);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 3);
        assert_true(find(h, "two")->process.started_at > 0);
}

static bool is_gone(const char *client, void *userdata) {
        return streq(client, userdata);
}

static void add_of(Harness *h, Task *t, const char *id, const char *client, bool auto_remove) {
        ExecRequest request = request_of(id);
        Answer a;

        request.auto_remove = auto_remove;
        request.client = client;
        assert_int_equal(add_request(h, t, &request, &a), 0);
}

/* One that removes itself goes with the client that did not come to start it, also if a later
 * manager finds that client gone; what was started, or is nobody's, stays. */
static void test_client(void **state) {
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Answer a;

        add_of(h, t, "left", "one", true);
        add_of(h, t, "started", "one", true);
        add_of(h, t, "others", "two", true);
        add_of(h, t, "kept", "one", false);
        assert_int_equal(ask(h, &find(h, "started")->process, process_start, &a), 0);
        execs_forget_clients(h->manager, is_gone, (char *) "one");
        wait_for_execs(h, t, 3);
        assert_null(find(h, "left"));
        assert_int_equal(find(h, "started")->process.status, TASK_RUNNING);
        assert_int_equal(find(h, "others")->process.status, TASK_CREATED);
        assert_int_equal(find(h, "kept")->process.status, TASK_CREATED);
        assert_false(has_file(t, "exec-left.json") || has_file(t, "state-left.json"));

        harness_restart(h);
        t = find(h, "others")->task;
        assert_int_equal(t->n_execs, 3);
        execs_forget_clients(h->manager, is_gone, (char *) "two");
        wait_for_execs(h, t, 2);
        assert_null(find(h, "others"));
}

/* The client goes while the supervisor has not agreed yet, or its start fails after it has gone. */
static void test_client_between(void **state) {
        ExecRequest request = request_of("adding");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Answer a = {};

        request.auto_remove = true;
        request.client = "one";
        assert_int_equal(task_exec(t, &request, answer_callback, &a, &e), 0);
        execs_forget_clients(h->manager, is_gone, (char *) "one");
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        wait_for_execs(h, t, 0);
}

/* D1, D2, D5: which states an exec can be added and started in. */
static void test_states(void **state) {
        ExecRequest request = request_of("late");
        Harness *h = *state;
        Exec *x;
        Answer a;
        Task *t;

        (void) harness_image(h);
        t = harness_task(h, "web");
        x = add(h, t, "early"); /* D5: in a created container, too */
        assert_int_equal(ask(h, &t->process, pause_task, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot pause task in created state");
        assert_int_equal(ask(h, &t->process, resume_task, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "CREATED");
        assert_int_equal(ask(h, &t->process, process_start, &a), 0);
        assert_int_equal(ask(h, &t->process, resume_task, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot resume a running process");

        assert_int_equal(ask(h, &t->process, pause_task, &a), 0);
        assert_int_equal(add_request(h, t, &request, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot exec in a paused state");
        assert_int_equal(ask(h, &x->process, process_start, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot start a paused process");
        assert_int_equal(ask(h, &t->process, pause_task, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot pause a paused container");
        assert_int_equal(ask(h, &t->process, resume_task, &a), 0);

        assert_int_equal(ask(h, &t->process, terminate, &a), 0);
        assert_int_equal(ask(h, &t->process, process_wait, &a), 0);
        assert_int_equal(add_request(h, t, &request, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot exec in a stopped state");
        assert_int_equal(ask(h, &x->process, process_start, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "init process is not running"); /* D10 */
        assert_int_equal(ask(h, &t->process, pause_task, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot pause a stopped container");
}

/* D10, D15: execs have stopped before init has, and go with their task. */
static void test_init_exits_last(void **state) {
        Answer a, first = {}, second = {}, init = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "started"), *y = add(h, t, "added");
        const char *exec_exit, *init_exit;

        assert_int_equal(ask(h, &x->process, process_start, &a), 0);
        assert_int_equal(process_wait(&x->process, answer_callback, &first, &e), 0);
        assert_int_equal(process_wait(&y->process, answer_callback, &second, &e), 0);
        assert_int_equal(process_wait(&t->process, answer_callback, &init, &e), 0);
        h->seen[0] = '\0';
        assert_int_equal(ask(h, &t->process, terminate, &a), 0);
        harness_wait(h, &init.done);
        assert_true(first.done && second.done);
        assert_int_equal(first.exit_status, 137);
        /* one that was never started has no status of its own (A3.1) */
        assert_int_equal(second.exit_status, 255);
        assert_false(second.exit_known);
        exec_exit = strstr(h->seen, "ex");
        init_exit = strstr(h->seen, "tx");
        assert_true(exec_exit && init_exit && exec_exit < init_exit);
        assert_null(strstr(init_exit, "ex"));

        assert_int_equal(ask(h, &t->process, delete, &a), 0);
        assert_int_equal(object_count(h->manager, OBJECT_EXEC), 0);
}

/* D13, D15: what runs is killed first, if that is wanted. */
static void test_force_delete(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a, wait = {};
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "one");

        assert_int_equal(ask(h, &x->process, process_start, &a), 0);
        assert_int_equal(process_wait(&x->process, answer_callback, &wait, &e), 0);
        assert_int_equal(ask(h, &x->process, force_delete, &a), 0);
        assert_true(wait.done);
        assert_int_equal(a.exit_status, 137);
        assert_int_equal(t->n_execs, 0);
        assert_int_equal(t->process.status, TASK_RUNNING);

        /* one that was never started, with somebody who waits for it */
        x = add(h, t, "two");
        wait = (Answer){};
        assert_int_equal(process_wait(&x->process, answer_callback, &wait, &e), 0);
        assert_int_equal(ask(h, &x->process, delete, &a), 0);
        assert_true(wait.done);
        assert_int_equal(wait.exit_status, 255);
}

static void wait_unheard(const Task *t) {
        siginfo_t info;

        assert_int_equal(waitid(P_PID, (id_t) t->process.pid, &info, WEXITED | WNOWAIT), 0);
}

/* The supervisor, which is the init of a double, ends without the loop having a turn. */
static void kill_unheard(const Task *t) {
        assert_int_equal(kill(t->process.pid, SIGKILL), 0);
        wait_unheard(t);
}

/* The supervisor has ended, and the manager is about to hear of it: there is nobody who could be
 * asked, and nothing that could be left. */
static void test_delete_after_supervisor(void **state) {
        ExecRequest request = request_of("one");
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Answer a;

        /* its client leaves at the same time */
        request.auto_remove = true;
        request.client = "somebody";
        assert_int_equal(add_request(h, t, &request, &a), 0);
        (void) add(h, t, "two");
        assert_int_equal(ask(h, &add(h, t, "three")->process, process_start, &a), 0);
        kill_unheard(t);
        execs_forget_clients(h->manager, is_gone, (char *) "somebody");
        assert_int_equal(ask(h, &find(h, "two")->process, delete, &a), 0);
        assert_int_equal(ask(h, &find(h, "three")->process, force_delete, &a), 0);
        wait_for_execs(h, t, 0);
        assert_false(has_file(t, "exec-one.json"));
}

/* The task has ended, with a record, and the manager is about to hear of it: what cannot be asked
 * any more is refused as it will be a moment later. */
static void test_asked_too_late(void **state) {
        ExecRequest request = request_of("late");
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a, killed = {}, late = {};
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "one");

        assert_int_equal(ask(h, &x->process, process_start, &a), 0);
        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &killed, &e), 0);
        wait_unheard(t);
        assert_int_equal(process_resize(&x->process, 80, 25, answer_callback, &late, &e),
                         CTR_UNAVAILABLE);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_false(process_ended_meanwhile(&x->process, CTR_NOT_FOUND));
        assert_int_equal(add_request(h, t, &request, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "cannot exec in a stopped state");
        assert_false(has_file(t, "exec-late.json"));
        assert_int_equal(t->process.status, TASK_STOPPED);
        assert_int_equal(t->process.exit_status, 128 + SIGTERM);
        assert_true(process_ended_meanwhile(&x->process, CTR_UNAVAILABLE));
        harness_wait(h, &killed.done);
        error_clear(&killed.error);
}

/* The same for what was sent, and was still unread at the end. */
static void test_ended_unread(void **state) {
        ExecRequest request = request_of("late");
        Answer killed = {}, added = {}, resized = {};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");

        assert_int_equal(kill(t->process.pid, SIGSTOP), 0);
        assert_int_equal(process_kill(&t->process, SIGTERM, 0, answer_callback, &killed, &e), 0);
        assert_int_equal(task_exec(t, &request, answer_callback, &added, &e), 0);
        assert_int_equal(process_resize(&t->process, 80, 25, answer_callback, &resized, &e), 0);
        assert_int_equal(kill(t->process.pid, SIGCONT), 0);
        harness_wait(h, &killed.done);
        harness_wait(h, &added.done);
        harness_wait(h, &resized.done);
        assert_int_equal(added.r, CTR_FAILED_PRECONDITION);
        assert_says(&added, "cannot exec in a stopped state");
        assert_int_equal(resized.r, CTR_UNAVAILABLE);
        assert_true(process_ended_meanwhile(&t->process, resized.r));
        error_clear(&killed.error);
        error_clear(&resized.error);
}

/* Without a record nothing is known before it is heard. */
static void test_supervisor_unheard(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Answer late = {}, wait = {};

        assert_int_equal(process_wait(&t->process, answer_callback, &wait, &e), 0);
        kill_unheard(t);
        assert_int_equal(process_resize(&t->process, 80, 25, answer_callback, &late, &e),
                         CTR_UNAVAILABLE);
        assert_false(process_ended_meanwhile(&t->process, CTR_UNAVAILABLE));
        assert_int_equal(t->process.status, TASK_RUNNING);
        harness_wait(h, &wait.done);
        assert_int_equal(t->process.status, TASK_STOPPED);
}

static void test_refused(void **state) {
        ExecRequest request = request_of("one");
        Harness *h = *state;
        Answer a;
        Task *t;

        setenv("FAKE_SUPERVISOR", "a", 1);
        t = running_task(h, "web");
        assert_int_equal(add_request(h, t, &request, &a), CTR_FAILED_PRECONDITION);
        error_clear(&a.error);
        assert_int_equal(t->n_execs, 0);
        assert_false(has_file(t, "exec-one.json") || has_file(t, "state-one.json"));
}

/* D3, D17, A2.5: PAUSING is seen, and execs are what their container is. */
static void test_pause(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "one");
        Answer a = {};

        assert_int_equal(task_pause(t, answer_callback, &a, &e), 0);
        assert_int_equal(t->process.status, TASK_PAUSING);
        assert_int_equal(process_status(&x->process), TASK_PAUSING);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(t->process.status, TASK_PAUSED);
        harness_settle(h);
        h->seen[0] = '\0';
        assert_int_equal(ask(h, &t->process, resume_task, &a), 0);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_int_equal(process_status(&x->process), TASK_CREATED);
        harness_settle(h);
        assert_non_null(strstr(h->seen, "t~"));
        assert_non_null(strstr(h->seen, "e~"));

        /* what is frozen is resumed to be stopped (D4) */
        assert_int_equal(ask(h, &t->process, pause_task, &a), 0);
        a = (Answer){};
        assert_int_equal(task_stop(t, SIGTERM, 5 * USEC_PER_SEC, false, answer_callback, &a, &e),
                         0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(a.exit_status, 128 + SIGTERM);
}

static void test_pause_fails(void **state) {
        Harness *h = *state;
        Answer a;
        Task *t;

        setenv("FAKE_SUPERVISOR", "z", 1);
        t = running_task(h, "web");
        assert_int_equal(ask(h, &t->process, pause_task, &a), CTR_DEADLINE_EXCEEDED);
        error_clear(&a.error);
        assert_int_equal(t->process.status, TASK_RUNNING);
}

/* A2.6, A2.9: one process by its pid; streams that are attached to. */
static void test_kill_pid_and_attach(void **state) {
        int pair[2], fds[] = {-1, -1, -1};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {}, b = {};
        Harness *h = *state;
        Task *t = running_task(h, "web");
        char c = 0;

        assert_int_equal(process_kill_pid(&t->process, SIGKILL, 1, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_NOT_FOUND);
        error_clear(&a.error);
        assert_int_equal(process_kill_pid(&t->process, SIGKILL, 0, answer_callback, &a, &e),
                         CTR_INVALID_ARGUMENT);
        error_clear(&e);

        assert_int_equal(process_attach(&t->process, fds, answer_callback, &b, &e),
                         CTR_INVALID_ARGUMENT);
        error_clear(&e);
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        fds[STDERR_FILENO] = pair[1];
        assert_int_equal(process_attach(&t->process, fds, answer_callback, &b, &e), 0);
        fd_close(pair[1]);
        harness_wait(h, &b.done);
        assert_int_equal(b.r, 0);
        assert_int_equal(read(pair[0], &c, 1), 1);
        assert_int_equal(c, '2');
        assert_int_equal(read(pair[0], &c, 1), 0); /* nobody else keeps it */
        fd_close(pair[0]);
}

/* A4.3, D33, D35: execs in each state, PAUSED, and exits that happened meanwhile. */
static void test_restart(void **state) {
        ExecRequest request = request_of("created");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        uint64_t run;
        Answer a, wait = {};
        Task *t;

        t = running_task(h, "web");
        request.streams.kind[STDOUT_FILENO] = STDIO_ATTACH;
        request.auto_remove = true;
        assert_int_equal(add_request(h, t, &request, &a), 0);
        run = find(h, "created")->process.run;
        assert_int_equal(ask(h, &add(h, t, "running")->process, process_start, &a), 0);
        assert_int_equal(ask(h, &add(h, t, "ended")->process, process_start, &a), 0);
        assert_int_equal(process_kill(&find(h, "ended")->process, SIGTERM, 0, answer_callback,
                                      &wait, &e),
                         0);
        assert_int_equal(ask(h, &t->process, pause_task, &a), 0);
        wait = (Answer){};
        harness_restart(h);

        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_PAUSED);
        assert_int_equal(t->n_execs, 3);
        assert_int_equal(object_count(h->manager, OBJECT_EXEC), 3);
        assert_int_equal(find(h, "created")->process.status, TASK_CREATED);
        assert_true(find(h, "created")->auto_remove);
        assert_true(find(h, "created")->process.run == run);
        assert_string_equal(process_stream(&find(h, "created")->process, 1), "attach");
        assert_int_equal(find(h, "running")->process.status, TASK_RUNNING);
        assert_int_equal(process_status(&find(h, "running")->process), TASK_PAUSED);
        assert_int_equal(find(h, "running")->process.pid, 100001);
        assert_true(find(h, "running")->process.started_at > 0);
        assert_int_equal(find(h, "ended")->process.status, TASK_STOPPED);
        assert_int_equal(find(h, "ended")->process.exit_status, 128 + SIGTERM);
        assert_true(find(h, "ended")->process.exit_known);

        /* they are as good as before */
        assert_int_equal(ask(h, &t->process, resume_task, &a), 0);
        assert_int_equal(process_wait(&find(h, "running")->process, answer_callback, &wait, &e), 0);
        assert_int_equal(ask(h, &find(h, "running")->process, terminate, &a), 0);
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 128 + SIGTERM);
        assert_int_equal(ask(h, &find(h, "created")->process, process_start, &a), 0);
}

static void wait_for_status(Harness *h, const Process *p, TaskStatus status) {
        uint64_t until = now_monotonic() + 60 * USEC_PER_SEC;

        while (p->status != status && now_monotonic() < until)
                assert_true(sd_event_run(h->event, 10 * USEC_PER_MSEC) >= 0);
        assert_int_equal(p->status, status);
}

static Task *find_task(Harness *h) {
        _cleanup_error_ Error e = ERROR_NULL;
        Task *t = NULL;

        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        return t;
}

/* What was under way when the manager was killed comes to its end before its successor: neither is
 * a program that is not executed yet RUNNING, nor one that gets frozen. */
static void restart_meanwhile(Harness *h, const char *supervisor) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer start = {}, exec = {}, pause = {}, a;
        Task *t;

        setenv("FAKE_SUPERVISOR", supervisor, 1);
        (void) harness_image(h);
        t = harness_task(h, "web");
        assert_int_equal(process_start(&t->process, answer_callback, &start, &e), 0);
        harness_restart(h);
        t = find_task(h);
        assert_int_equal(t->process.status, TASK_CREATED);
        assert_int_equal(ask(h, &t->process, process_start, &a), CTR_FAILED_PRECONDITION);
        error_clear(&a.error);
        assert_int_equal(ask(h, &t->process, delete, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "being started");
        wait_for_status(h, &t->process, TASK_RUNNING);

        assert_int_equal(process_start(&add(h, t, "one")->process, answer_callback, &exec, &e), 0);
        harness_restart(h);
        t = find_task(h);
        assert_int_equal(find(h, "one")->process.status, TASK_CREATED);
        wait_for_status(h, &find(h, "one")->process, TASK_RUNNING);
        assert_int_equal(find(h, "one")->process.pid, 100000);

        assert_int_equal(task_pause(t, answer_callback, &pause, &e), 0);
        harness_restart(h);
        t = find_task(h);
        wait_for_status(h, &t->process, TASK_PAUSED);
        assert_int_equal(ask(h, &t->process, resume_task, &a), 0);
}

static void test_restart_meanwhile(void **state) {
        restart_meanwhile(*state, "w");
}

/* It is over between the two questions. */
static void test_restart_too_late(void **state) {
        restart_meanwhile(*state, "W");
}

/* A slow supervisor: what it turns out not to know was shown meanwhile, and somebody waits. */
static void test_vanished(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer wait = {}, stop = {};
        Harness *h = *state;
        int dir_fd;
        Task *t;

        setenv("FAKE_SUPERVISOR", "y", 1);
        t = running_task(h, "web");
        (void) add(h, t, "one");
        dir_fd = fcntl(t->dir_fd, F_DUPFD_CLOEXEC, 3);
        harness_stop(h);
        assert_int_equal(renameat(dir_fd, "exec-one.json", dir_fd, "exec-lost.json"), 0);
        fd_close(dir_fd);
        harness_start(h);
        assert_int_equal(find_task(h)->process.status, TASK_UNKNOWN);
        assert_int_equal(find(h, "lost")->process.status, TASK_UNKNOWN);
        assert_int_equal(process_wait(&find(h, "lost")->process, answer_callback, &wait, &e), 0);
        assert_int_equal(process_kill(&find(h, "lost")->process, SIGTERM, 0, answer_callback, &stop,
                                      &e),
                         0);
        harness_wait(h, &wait.done);
        harness_wait(h, &stop.done);
        assert_int_equal(wait.r, CTR_NOT_FOUND);
        assert_int_equal(stop.r, CTR_NOT_FOUND);
        assert_null(find(h, "lost"));
        assert_false(has_file(find_task(h), "exec-lost.json"));
        assert_int_equal(find_task(h)->process.status, TASK_RUNNING);
        error_clear(&wait.error);
        error_clear(&stop.error);
}

/* The supervisor is killed: nobody knows how its execs ended (A3.1, D33). */
static void test_supervisor_killed(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a, wait = {};
        Harness *h = *state;
        Task *t = running_task(h, "web");

        assert_int_equal(ask(h, &add(h, t, "one")->process, process_start, &a), 0);
        assert_int_equal(process_wait(&find(h, "one")->process, answer_callback, &wait, &e), 0);
        assert_int_equal(kill(t->process.pid, SIGKILL), 0); /* the double has no other process */
        harness_wait(h, &wait.done);
        assert_int_equal(wait.exit_status, 255);
        assert_false(wait.exit_known);

        harness_restart(h);
        assert_int_equal(find(h, "one")->process.status, TASK_STOPPED);
        assert_int_equal(find(h, "one")->process.exit_status, 255);
        /* the supervisor is gone, and the exec can go all the same */
        assert_int_equal(ask(h, &find(h, "one")->process, delete, &a), 0);
}

/* One damaged document stops nothing: it is set aside. What belongs to none is swept. */
static void test_damaged(void **state) {
        static const char *const names[] = {"exec-bad.json", "state.json", "state-good.json"};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        uint64_t task_run, exec_run;
        int dir_fd;

        (void) add(h, t, "bad");
        exec_run = add(h, t, "good")->process.run;
        task_run = t->process.run;
        (void) add(h, t, "ugly");
        dir_fd = fcntl(t->dir_fd, F_DUPFD_CLOEXEC, 3);
        harness_stop(h);
        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                assert_int_equal(file_write_atomic_at(dir_fd, names[i], "{\"", 2, 0600, 0), 0);
        assert_int_equal(file_write_atomic_at(dir_fd, "exit-none.json", "{}", 2, 0600, 0), 0);
        /* its document was written, but the supervisor never heard of it */
        assert_int_equal(renameat(dir_fd, "exec-ugly.json", dir_fd, "exec-lost.json"), 0);
        harness_start(h);

        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_RUNNING);
        /* still the same runs, so that no event is told again */
        assert_true(t->process.run == task_run);
        assert_non_null(find(h, "good"));
        assert_true(find(h, "good")->process.run == exec_run);
        assert_null(find(h, "bad"));
        assert_null(find(h, "lost"));
        for (size_t i = 0; i < ELEMENTSOF(names); i++) {
                _cleanup_free_ char *aside = NULL;

                assert_true(asprintf(&aside, "%s.damaged", names[i]) > 0);
                assert_true(has_file(t, aside));
        }
        assert_false(has_file(t, "exit-none.json") || has_file(t, "state-ugly.json") ||
                     has_file(t, "exec-lost.json"));
        fd_close(dir_fd);
}

/* Then nobody knows how its streams are connected, and all else is as before. */
static void test_damaged_launch(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        int dir_fd = fcntl(t->dir_fd, F_DUPFD_CLOEXEC, 3);

        harness_stop(h);
        assert_int_equal(file_write_atomic_at(dir_fd, "launch.json", "[]", 2, 0600, 0), 0);
        fd_close(dir_fd);
        harness_start(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_string_equal(process_stream(&t->process, 0), "");
        assert_true(has_file(t, "launch.json.damaged"));
}

/* An upgrade of the manager: the supervisor of before does what it can, and no more. */
static void test_old_supervisor(void **state) {
        ExecRequest request = request_of("one");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a;
        Task *t;

        setenv("FAKE_SUPERVISOR", "1", 1);
        (void) running_task(h, "web");
        harness_restart(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_int_equal(add_request(h, t, &request, &a), CTR_NOT_IMPLEMENTED);
        assert_says(&a, "older version");
        assert_int_equal(t->n_execs, 0);
        assert_int_equal(ask(h, &t->process, pause_task, &a), CTR_NOT_IMPLEMENTED);
        error_clear(&a.error);
        assert_int_equal(t->process.status, TASK_RUNNING);
        assert_int_equal(ask(h, &t->process, terminate, &a), 0);
        assert_int_equal(ask(h, &t->process, process_wait, &a), 0);
        assert_int_equal(a.exit_status, 128 + SIGTERM);
}

/* And a downgrade ends nothing. */
static void test_new_supervisor(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a;
        pid_t pid;
        Task *t;

        setenv("FAKE_SUPERVISOR", "9", 1);
        pid = running_task(h, "web")->process.pid;
        harness_restart(h);
        assert_int_equal(task_find(h->manager, "default", "web", &t, &e), 0);
        assert_int_equal(t->process.status, TASK_UNKNOWN);
        assert_int_equal(kill(pid, 0), 0);
        assert_int_equal(ask(h, &t->process, delete, &a), CTR_FAILED_PRECONDITION);
        assert_says(&a, "UNKNOWN");
        assert_int_equal(ask(h, &t->process, force_delete, &a), 0);
}

/* A4.6: everybody who waits is told, however many they are. */
static void test_many_waiters(void **state) {
        static Answer answers[1000];
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Task *t = running_task(h, "web");
        Exec *x = add(h, t, "one");
        Answer a;

        memset(answers, 0, sizeof(answers));
        for (size_t i = 0; i < ELEMENTSOF(answers); i++)
                assert_int_equal(process_wait(i % 2 ? &x->process : &t->process, answer_callback,
                                              &answers[i], &e),
                                 0);
        assert_int_equal(ask(h, &x->process, process_start, &a), 0);
        assert_int_equal(ask(h, &t->process, terminate, &a), 0);
        harness_wait(h, &answers[0].done);
        for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
                assert_true(answers[i].done);
                assert_int_equal(answers[i].exit_status, i % 2 ? 137 : 128 + SIGTERM);
        }
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                        CASE(test_client),
                        CASE(test_client_between),
                        CASE(test_two_phases),
                        CASE(test_ids),
                        CASE(test_document),
                        CASE(test_one_shot),
                        CASE(test_fast_exit),
                        CASE(test_states),
                        CASE(test_init_exits_last),
                        CASE(test_force_delete),
                        CASE(test_delete_after_supervisor),
                        CASE(test_asked_too_late),
                        CASE(test_ended_unread),
                        CASE(test_supervisor_unheard),
                        CASE(test_refused),
                        CASE(test_pause),
                        CASE(test_pause_fails),
                        CASE(test_kill_pid_and_attach),
                        CASE(test_restart),
                        CASE(test_supervisor_killed),
                        CASE(test_damaged),
                        CASE(test_damaged_launch),
                        CASE(test_old_supervisor),
                        CASE(test_new_supervisor),
                        CASE(test_many_waiters),
                        CASE(test_restart_meanwhile),
                        CASE(test_vanished),
                        CASE(test_restart_too_late),
        };
#undef CASE

        return cmocka_run_group_tests(tests, NULL, NULL);
}
