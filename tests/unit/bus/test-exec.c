/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Execs as objects, and the options of Exec, CreateTask, Attach and Kill: what is wrong is refused
 * before the core is asked, with the key in the message. */

#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>

#include "basic/process.h"
#include "bus/interfaces.h"
#include "bus/path.h"
#include "harness.h"
#include "manager/restart.h"
#include "manager/task-internal.h"

#define IMAGE     "docker.io/library/busybox:latest"
#define TASK_PATH BUS_PATH "/task/default/web"
#define EXEC_PATH TASK_PATH "/exec/sh"
#define INVALID   "org.example.Ctr.Error.InvalidArgument"

static Exec *populate(Harness *h) {
        Task *t = harness_task(h, harness_container(h, "default", "web", IMAGE));

        t->process.status = TASK_RUNNING;
        return harness_exec(h, t, "sh");
}

static char *get_string(Harness *h, const char *path, const char *property) {
        sd_bus_message *m;
        const char *value;
        char *copy;
        Call call;

        m = harness_call_new(h, USER_CALLER, path, "org.freedesktop.DBus.Properties", "Get");
        assert_true(sd_bus_message_append(m, "ss", PROCESS_INTERFACE, property) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_success(&call);
        assert_true(sd_bus_message_read(call.reply, "v", "s", &value) > 0);
        copy = strdup(value);
        harness_call_done(&call);
        return copy;
}

static void assert_property(Harness *h, const char *path, const char *property, const char *value) {
        _cleanup_free_ char *is = get_string(h, path, property);

        assert_string_equal(is, value);
}

/* An exec has the one interface that it shares with init, and none of the task's. */
static void test_object(void **state) {
        Harness *h = *state;
        Exec *x = populate(h);
        sd_bus_message *m;
        Call call;

        assert_property(h, EXEC_PATH, "ExecId", "sh");
        assert_property(h, EXEC_PATH, "Stdout", "attach");
        assert_property(h, EXEC_PATH, "Status", "RUNNING");
        assert_property(h, TASK_PATH, "ExecId", "");
        x->task->process.status = TASK_PAUSED; /* D17 */
        assert_property(h, EXEC_PATH, "Status", "PAUSED");

        m = harness_call_new(h, ROOT_CALLER, EXEC_PATH, TASK_INTERFACE, "Stop");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        assert_true(sd_bus_message_is_method_error(call.reply, NULL) > 0);
        harness_call_done(&call);

        m = harness_call_new(h, ROOT_CALLER, TASK_PATH "/exec/none", PROCESS_INTERFACE, "Wait");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, SD_BUS_ERROR_UNKNOWN_OBJECT);
        harness_call_done(&call);
}

/* It comes and goes with signals of its own. */
static void test_signals(void **state) {
        const char *path, *interface;
        Harness *h = *state;
        Exec *x = populate(h);

        harness_settle(h);
        assert_int_equal(h->n_signals, 3); /* container, task, exec */
        assert_true(sd_bus_message_read(h->signals[2], "o", &path) > 0);
        assert_string_equal(path, EXEC_PATH);
        object_mark_dirty(&x->process.object);
        harness_settle(h);
        assert_int_equal(h->n_signals, 4); /* of one interface */
        assert_string_equal(sd_bus_message_get_path(h->signals[3]), EXEC_PATH);
        object_unlink(&x->process.object);
        harness_settle(h);
        assert_int_equal(h->n_signals, 5);
        assert_true(sd_bus_message_read(h->signals[4], "oas", &path, 1, &interface) > 0);
        assert_string_equal(path, EXEC_PATH);
        assert_string_equal(interface, PROCESS_INTERFACE);
}

/* Sends m and expects INVALID, with text in its sentence. */
static void assert_invalid(Harness *h, sd_bus_message *m, const char *text) {
        Call call;

        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, INVALID);
        if (!strstr(sd_bus_message_get_error(call.reply)->message, text))
                fail_msg("\"%s\" does not say \"%s\"",
                         sd_bus_message_get_error(call.reply)->message, text);
        harness_call_done(&call);
}

/* D30: the names that a stream may have. */
static void test_stream_names(void **state) {
        static const struct {
                const char *key, *value, *text;
        } cases[] = {
                        {"Stdin", "tcp://x", "unknown STDIO scheme"},
                        {"Stdin", "journal", "unknown STDIO scheme"},
                        {"Stdin", "binary:///bin/log", "unknown STDIO scheme"},
                        {"Stdout", "", "unknown STDIO scheme"},
                        {"Stdout", "fifo:x", "an absolute path"},
                        {"Stdout", "file:", "an absolute path"},
                        {"Stderr", "binary:/bin/log", "an absolute path"},
                        {"Stderr", "binary-v2://bin/log", "an absolute path"},
        };
        Harness *h = *state;
        sd_bus_message *m;

        (void) populate(h);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                m = harness_call_new(h, ROOT_CALLER, BUS_PATH "/container/default/web",
                                     CONTAINER_INTERFACE, "CreateTask");
                assert_true(sd_bus_message_append(m, "a{sv}", 1, cases[i].key, "s",
                                                  cases[i].value) >= 0);
                assert_invalid(h, m, cases[i].text);
                m = harness_call_new(h, ROOT_CALLER, TASK_PATH, TASK_INTERFACE, "Exec");
                assert_true(sd_bus_message_append(m, "sasa{sv}", "x", 1, "sh", 1, cases[i].key, "s",
                                                  cases[i].value) >= 0);
                assert_invalid(h, m, cases[i].key);
        }
}

/* What makes the container of a task is a name, or a path which only root may give: polkit is not
 * even asked. */
static void test_task_runtime(void **state) {
        Harness *h = *state;
        sd_bus_message *m;
        Call call;

        (void) populate(h);
        m = harness_call_new(h, ROOT_CALLER, BUS_PATH "/container/default/web", CONTAINER_INTERFACE,
                             "CreateTask");
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "Runtime", "s", "../bin/runc") >= 0);
        assert_invalid(h, m, "neither a name nor an absolute path");

        m = harness_call_new(h, USER_CALLER, BUS_PATH "/container/default/web", CONTAINER_INTERFACE,
                             "CreateTask");
        assert_true(sd_bus_message_append(m, "a{sv}", 1, "Runtime", "s", "/bin/sh") >= 0);
        h->polkit = POLKIT_GRANTS;
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_assert_error(&call, SD_BUS_ERROR_ACCESS_DENIED);
        assert_non_null(strstr(sd_bus_message_get_error(call.reply)->message,
                               "Only root may choose a runtime"));
        assert_int_equal(h->n_questions, 0);
        harness_call_done(&call);
}

/* A supervisor that has written the task's record and hung up, which nobody has heard of yet. */
static void end_unheard(Harness *h, Task *t) {
        const ExitRecord record = {.exit_status = 3, .exited_at = 7, .pid = 4711, .started = true};
        int pair[2], pidfd;

        t->dir_fd = open(h->directory, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(t->dir_fd >= 0);
        assert_int_equal(exit_record_write(t->dir_fd, &record), 0);
        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0,
                                    pair),
                         0);
        fd_close(pair[1]);
        assert_true(restart_load(t->container, NULL) >= 0);
        pidfd = pidfd_open_pid(getpid());
        assert_true(pidfd >= 0);
        assert_int_equal(supervisor_new(h->manager, pair[0], pidfd, getpid(), false,
                                        &task_supervisor_handlers, t, &t->supervisor),
                         0);
}

static sd_bus_message *late_call_new(Harness *h, const char *path, const char *member) {
        bool of_task = streq(member, "Pause") || streq(member, "Resume");
        sd_bus_message *m = harness_call_new(h, ROOT_CALLER, path,
                                             of_task ? TASK_INTERFACE : PROCESS_INTERFACE, member);
        int r = 0;

        if (streq(member, "Kill"))
                r = sd_bus_message_append(m, "i", SIGTERM);
        else if (streq(member, "ResizePty"))
                r = sd_bus_message_append(m, "uu", 80, 25);
        assert_true(r >= 0);
        r = streq(member, "CloseIO") ? sd_bus_message_append(m, "a{sv}", 1, "Stdin", "b", true)
                                     : sd_bus_message_append(m, "a{sv}", 0);
        assert_true(r >= 0);
        return m;
}

/* What comes in the moment in which the task ends is answered like what comes after it, and not
 * that somebody does not listen. */
static void test_too_late(void **state) {
        static const struct {
                const char *id, *member, *error, *text;
                TaskStatus status;
        } cases[] = {
                        {"a", "Start", "FailedPrecondition", "cannot start a stopped process",
                         TASK_CREATED},
                        {"b", "ResizePty", "FailedPrecondition", "cannot resize a stopped process",
                         TASK_RUNNING},
                        {"c", "Kill", "NotFound", "process already finished", TASK_RUNNING},
                        {"d", "CloseIO", "NotFound", "process already finished", TASK_RUNNING},
                        {"e", "Pause", "FailedPrecondition", "cannot pause a stopped container",
                         TASK_RUNNING},
                        {"f", "Resume", "FailedPrecondition", "cannot resume a stopped process",
                         TASK_PAUSED},
        };
        Harness *h = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                Task *t = harness_task(h, harness_container(h, "default", cases[i].id, IMAGE));
                _cleanup_free_ char *path = NULL, *error = NULL;
                Call call;

                t->process.status = cases[i].status;
                end_unheard(h, t);
                assert_true(asprintf(&path, BUS_PATH "/task/default/%s", cases[i].id) > 0 &&
                            asprintf(&error, "org.example.Ctr.Error.%s", cases[i].error) > 0);
                harness_send(h, late_call_new(h, path, cases[i].member), &call);
                harness_wait(h, &call);
                harness_assert_error(&call, error);
                if (!strstr(sd_bus_message_get_error(call.reply)->message, cases[i].text))
                        fail_msg("%s says \"%s\"", cases[i].member,
                                 sd_bus_message_get_error(call.reply)->message);
                assert_int_equal(t->process.status, TASK_STOPPED);
                assert_int_equal(t->process.exit_status, 3);
                harness_call_done(&call);
        }
}

static sd_bus_message *call_with_fd(Harness *h, const char *path, const char *interface,
                                    const char *member, const char *key, int fd) {
        sd_bus_message *m = harness_call_new(h, ROOT_CALLER, path, interface, member);

        assert_true(sd_bus_message_append(m, "a{sv}", 1, key, "h", fd) >= 0);
        fd_close(fd);
        return m;
}

static sd_bus_message *attach_call(Harness *h, const char *key, int fd) {
        assert_true(fd >= 0);
        return call_with_fd(h, EXEC_PATH, PROCESS_INTERFACE, "Attach", key, fd);
}

/* Garbage in descriptors. */
static void test_descriptors(void **state) {
        Harness *h = *state;
        sd_bus_message *m;
        int pair[2];

        (void) populate(h);
        assert_invalid(h, attach_call(h, "Stdout", open("/dev/null", O_WRONLY | O_CLOEXEC)),
                       "neither a pipe nor a socket");
        assert_invalid(h, attach_call(h, "Stdout", open("/", O_PATH | O_CLOEXEC)), "O_PATH");
        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        assert_invalid(h, attach_call(h, "Stdin", pair[1]), "not open for reading");
        assert_invalid(h, attach_call(h, "Stderr", pair[0]), "not open for writing");
        m = call_with_fd(h, BUS_PATH "/container/default/web", CONTAINER_INTERFACE, "CreateTask",
                         "Stdin", open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
        assert_invalid(h, m, "a directory");

        m = harness_call_new(h, ROOT_CALLER, EXEC_PATH, PROCESS_INTERFACE, "Attach");
        assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
        assert_invalid(h, m, "No stream");
}

static void test_exec_options(void **state) {
        static const struct {
                const char *key, *type, *value, *text;
        } cases[] = {
                        {"WorkingDirectory", "s", "tmp", "not an absolute path"},
                        {"Nothing", "s", "x", "Nothing"},
                        {"Terminal", "s", "yes", "Terminal"},
        };
        Harness *h = *state;
        sd_bus_message *m;

        (void) populate(h);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                m = harness_call_new(h, ROOT_CALLER, TASK_PATH, TASK_INTERFACE, "Exec");
                assert_true(sd_bus_message_append(m, "sasa{sv}", "x", 1, "sh", 1, cases[i].key,
                                                  cases[i].type, cases[i].value) >= 0);
                assert_invalid(h, m, cases[i].text);
        }
        m = harness_call_new(h, ROOT_CALLER, TASK_PATH, TASK_INTERFACE, "Exec");
        assert_true(sd_bus_message_append(m, "sasa{sv}", "x", 1, "sh", 1, "Width", "u", 65536) >=
                    0);
        assert_invalid(h, m, "Width");
        m = harness_call_new(h, ROOT_CALLER, TASK_PATH, TASK_INTERFACE, "Exec");
        assert_true(sd_bus_message_append(m, "sasa{sv}", "x", 1, "sh", 1, "Rlimits", "a(stt)", 1,
                                          "RLIMIT_NOFILE", UINT64_C(2), UINT64_C(1)) >= 0);
        assert_invalid(h, m, "Rlimits");
        /* A5.19 */
        m = harness_call_new(h, ROOT_CALLER, TASK_PATH, TASK_INTERFACE, "Exec");
        assert_true(sd_bus_message_append(m, "sasa{sv}", "", 1, "sh", 0) >= 0);
        assert_invalid(h, m, "exec id must not be empty");

        m = harness_call_new(h, ROOT_CALLER, TASK_PATH, PROCESS_INTERFACE, "Kill");
        assert_true(sd_bus_message_append(m, "ia{sv}", 9, 1, "Pid", "u", 0) >= 0);
        assert_invalid(h, m, "Pid");
}

/* A2.7: a member of the group that may run programs is asked about exactly that. */
static void test_actions(void **state) {
        static const struct {
                const char *path, *interface, *member, *action;
        } cases[] = {
                        {TASK_PATH, TASK_INTERFACE, "Pause", "org.example.Ctr.task-pause"},
                        {TASK_PATH, TASK_INTERFACE, "Pids", "org.example.Ctr.read"},
                        {TASK_PATH, TASK_INTERFACE, "GetSpec", "org.example.Ctr.inspect"},
                        {TASK_PATH, PROCESS_INTERFACE, "Start", "org.example.Ctr.task-start"},
                        {TASK_PATH, PROCESS_INTERFACE, "Attach", "org.example.Ctr.task-attach"},
                        {TASK_PATH, PROCESS_INTERFACE, "CloseIO", "org.example.Ctr.task-start"},
                        {TASK_PATH, PROCESS_INTERFACE, "Delete", "org.example.Ctr.task-signal"},
                        {EXEC_PATH, PROCESS_INTERFACE, "Start", "org.example.Ctr.task-exec"},
                        {EXEC_PATH, PROCESS_INTERFACE, "Wait", "org.example.Ctr.read"},
                        {EXEC_PATH, PROCESS_INTERFACE, "Attach", "org.example.Ctr.task-exec"},
                        {EXEC_PATH, PROCESS_INTERFACE, "CloseIO", "org.example.Ctr.task-exec"},
                        {EXEC_PATH, PROCESS_INTERFACE, "Delete", "org.example.Ctr.task-exec"},
        };
        Harness *h = *state;

        (void) populate(h);
        h->polkit = POLKIT_DENIES;
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                sd_bus_message *m = harness_call_new(h, USER_CALLER, cases[i].path,
                                                     cases[i].interface, cases[i].member);
                Call call;

                assert_true(sd_bus_message_append(m, "a{sv}", 0) >= 0);
                harness_send(h, m, &call);
                harness_wait(h, &call);
                harness_assert_error(&call, SD_BUS_ERROR_ACCESS_DENIED);
                assert_int_equal(h->n_questions, i + 1);
                assert_string_equal(h->questions[i].action, cases[i].action);
                assert_string_equal(h->questions[i].container, "web");
                harness_call_done(&call);
        }
}

/* Who may only exec may signal and resize his process, and no other one by its pid. */
static void test_exec_signals(void **state) {
        static const struct {
                const char *path;
                uint32_t pid;
                const char *actions[2];
        } cases[] = {
                        {TASK_PATH, 0, {"org.example.Ctr.task-signal"}},
                        {TASK_PATH, 1, {"org.example.Ctr.task-signal"}},
                        {EXEC_PATH, 0, {"org.example.Ctr.task-exec"}},
                        {EXEC_PATH,
                         1,
                         {"org.example.Ctr.task-exec", "org.example.Ctr.task-signal"}},
        };
        Harness *h = *state;
        sd_bus_message *m;
        Call call;

        (void) populate(h);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                size_t n = h->n_questions;

                m = harness_call_new(h, USER_CALLER, cases[i].path, PROCESS_INTERFACE, "Kill");
                if (cases[i].pid > 0)
                        assert_true(sd_bus_message_append(m, "ia{sv}", 1, 1, "Pid", "u",
                                                          cases[i].pid) >= 0);
                else
                        assert_true(sd_bus_message_append(m, "ia{sv}", 1, 0) >= 0);
                harness_send(h, m, &call);
                harness_wait(h, &call);
                harness_call_done(&call);
                for (size_t k = 0; k < 2 && cases[i].actions[k]; k++)
                        assert_string_equal(h->questions[n++].action, cases[i].actions[k]);
                assert_int_equal(h->n_questions, n);
        }
        m = harness_call_new(h, USER_CALLER, EXEC_PATH, PROCESS_INTERFACE, "ResizePty");
        assert_true(sd_bus_message_append(m, "uua{sv}", 80, 25, 0) >= 0);
        harness_send(h, m, &call);
        harness_wait(h, &call);
        harness_call_done(&call);
        assert_string_equal(h->questions[h->n_questions - 1].action, "org.example.Ctr.task-exec");
}

/* What everybody can read of a log program says which one it is, and not with what. */
static void test_logger_arguments(void **state) {
        Harness *h = *state;
        Exec *x = populate(h);

        (void) free_and_strdup(&x->process.streams[1], "binary:///bin/log?--token=secret");
        (void) free_and_strdup(&x->process.streams[2], "binary-v2:///bin/log?secret#1");
        assert_property(h, EXEC_PATH, "Stdout", "binary:///bin/log");
        assert_property(h, EXEC_PATH, "Stderr", "binary-v2:///bin/log");
        (void) free_and_strdup(&x->process.streams[1], "file:/var/log/what?");
        assert_property(h, EXEC_PATH, "Stdout", "file:/var/log/what?");
}

static bool has_listed(Harness *h, void *userdata) {
        return h->n_lists > 0;
}

/* Execs know their clients by a name that no other connection has, one of another bus neither. */
static void test_clients(void **state) {
        char *const id = (char[2 * sizeof(sd_id128_t) + 1]){};
        Exec *x[4];
        Harness *h = *state;
        sd_id128_t bus;

        assert_true(sd_bus_get_bus_id(h->bus, &bus) >= 0);
        (void) sd_id128_to_string(bus, id);
        x[0] = populate(h);
        for (size_t i = 1; i < ELEMENTSOF(x); i++)
                x[i] = harness_exec(h, x[0]->task, (const char *[]){"a", "b", "c"}[i - 1]);
        /* there, left already, of another bus */
        assert_true(asprintf(&x[1]->client, "%s%s", id, USER_CALLER) > 0);
        assert_true(asprintf(&x[2]->client, "%s%s", id, ":1.7") > 0);
        assert_true(asprintf(&x[3]->client, "%032u%s", 1U, USER_CALLER) > 0);
        harness_run_until(h, has_listed, NULL);
        harness_settle(h);
        assert_false(x[0]->client_gone || x[1]->client_gone);
        assert_true(x[2]->client_gone && x[3]->client_gone);
        harness_leave(h, ROOT_CALLER);
        harness_settle(h);
        assert_false(x[1]->client_gone);
        harness_leave(h, USER_CALLER);
        harness_settle(h);
        assert_true(x[1]->client_gone && !x[0]->client_gone);
        for (size_t i = 1; i < ELEMENTSOF(x); i++)
                free(TAKE_PTR(x[i]->client));
}

typedef struct HostCase {
        const char *member, *key, *type, *value; /* and its option, if there is one */
        bool more;
} HostCase;

static sd_bus_message *host_call_new(Harness *h, const HostCase *c) {
        bool create = streq(c->member, "CreateTask");
        sd_bus_message *m;
        int r;

        m = harness_call_new(h, USER_CALLER, create ? BUS_PATH "/container/default/web" : TASK_PATH,
                             create ? CONTAINER_INTERFACE : TASK_INTERFACE, c->member);
        if (streq(c->member, "Exec"))
                assert_true(sd_bus_message_append(m, "sas", "x", 1, "sh") >= 0);
        if (!c->key)
                r = sd_bus_message_append(m, "a{sv}", 0);
        else if (streq(c->type, "as"))
                r = sd_bus_message_append(m, "a{sv}", 1, c->key, c->type, 1, c->value);
        else if (streq(c->type, "b"))
                r = sd_bus_message_append(m, "a{sv}", 1, c->key, c->type, streq(c->value, "true"));
        else
                r = sd_bus_message_append(m, "a{sv}", 1, c->key, c->type, c->value);
        assert_true(r >= 0);
        return m;
}

/* The method's own action is granted, whatever is asked besides is not. */
static void host_call(Harness *h, const HostCase *c) {
        size_t first = h->n_questions;
        Call call;

        h->polkit = POLKIT_HOLDS;
        harness_send(h, host_call_new(h, c), &call);
        harness_settle(h);
        assert_int_equal(h->n_questions, first + 1);
        assert_string_not_equal(h->questions[first].action, "org.example.Ctr.container-create");
        h->polkit = POLKIT_DENIES;
        harness_polkit_answer(h, first, true, false);
        harness_wait(h, &call);
        if (h->n_questions != first + (c->more ? 2 : 1))
                fail_msg("%s with %s=%s: %zu questions", c->member, strempty(c->key),
                         strempty(c->value), h->n_questions - first);
        if (c->more) {
                assert_string_equal(h->questions[first + 1].action,
                                    "org.example.Ctr.container-create");
                assert_string_equal(h->questions[first + 1].container, "web");
                harness_assert_error(&call, SD_BUS_ERROR_ACCESS_DENIED);
        } else /* what the core says to it is another matter */
                assert_false(sd_bus_message_is_method_error(call.reply,
                                                            SD_BUS_ERROR_ACCESS_DENIED));
        harness_call_done(&call);
}

/* What makes root open, write or run things of the host, or gives a process more than its container
 * has, needs the action that is equivalent to being root; the same call without it does not. */
static void test_host_needs_more(void **state) {
        static const HostCase cases[] = {
                        {"CreateTask", NULL, NULL, NULL, false},
                        {"CreateTask", "Stdin", "s", "null", false},
                        {"CreateTask", "Stdout", "s", "journal", false},
                        {"CreateTask", "Stderr", "s", "attach", false},
                        {"CreateTask", "Stdin", "s", "/run/initctl", true},
                        {"CreateTask", "Stdin", "s", "file:/etc/shadow", true},
                        {"CreateTask", "Stdout", "s", "fifo:/run/x", true},
                        {"CreateTask", "Stderr", "s", "binary:///bin/sh?-c=id", true},
                        {"CreateTask", "Checkpoint", "s", "busybox:checkpoint", true},
                        {"CreateTask", "CheckpointPath", "s", "/root", true},
                        {"CreateTask", "Runtime", "s", "nosuch", true},
                        {"Exec", NULL, NULL, NULL, false},
                        {"Exec", "Stdout", "s", "attach", false},
                        {"Exec", "User", "s", "root", false},
                        {"Exec", "CapabilitiesDrop", "as", "CAP_CHOWN", false},
                        {"Exec", "NoNewPrivileges", "b", "true", false},
                        {"Exec", "Stdout", "s", "file:/etc/cron.d/x", true},
                        {"Exec", "Stderr", "s", "binary-v2:///bin/sh", true},
                        {"Exec", "CapabilitiesAdd", "as", "CAP_SYS_MODULE", true},
                        {"Exec", "NoNewPrivileges", "b", "false", true},
                        {"Checkpoint", "Image", "s", "busybox:checkpoint", false},
                        {"Checkpoint", "Path", "s", "/etc/cron.d", true},
        };
        Harness *h = *state;

        (void) populate(h);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                host_call(h, &cases[i]);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                        CASE(test_object),           CASE(test_signals),
                        CASE(test_stream_names),     CASE(test_descriptors),
                        CASE(test_exec_options),     CASE(test_actions),
                        CASE(test_host_needs_more),  CASE(test_exec_signals),
                        CASE(test_logger_arguments), CASE(test_clients),
                        CASE(test_task_runtime),     CASE(test_too_late),
        };
#undef CASE

        return cmocka_run_group_tests(tests, NULL, NULL);
}
