/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "task-harness.h"

#include <fcntl.h>
#include <poll.h>
#include <setjmp.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/process.h"

#define WAIT_MSEC 60000

static void wait_readable(int fd) {
        struct pollfd pfd = {.fd = fd, .events = POLLIN};

        assert_int_equal(poll(&pfd, 1, WAIT_MSEC), 1);
}

static void write_launch(int dir_fd, const char *changes) {
        _cleanup_json_ json_t *j = NULL, *extra = NULL;
        _cleanup_free_ char *text = NULL;

        j = json_pack("{s:s, s:s, s:s, s:i, s:i}", "namespace", "default", "id", "web", "unit",
                      "ctr-web.scope", "stop_signal", SIGTERM, "stop_timeout", 10000000);
        extra = json_loads(changes, 0, NULL);
        assert_non_null(extra);
        assert_int_equal(json_object_update(j, extra), 0);
        text = json_dumps(j, 0);
        assert_int_equal(file_write_atomic_at(dir_fd, TASK_FILE_LAUNCH, text, strlen(text), 0600,
                                              0),
                         0);
}

void harness_spawn(TaskUnderTest *t, const char *launch, const char *config, const int *streams) {
        const char *program = getenv("CTR_TEST_SUPERVISOR");
        char *argv[] = {(char *) program, t->dir, NULL};
        int pair[2], fds[7] = {-1, -1, STDERR_FILENO, -1, -1, -1, -1};

        assert_non_null(program);
        strcpy(t->dir, "/tmp/test-supervisor-XXXXXX");
        assert_non_null(mkdtemp(t->dir));
        t->dir_fd = open(t->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(t->dir_fd >= 0);
        write_launch(t->dir_fd, launch);
        assert_int_equal(file_write_atomic_at(t->dir_fd, TASK_FILE_CONFIG, config, strlen(config),
                                              0600, 0),
                         0);

        assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
        fds[SUPERVISOR_LAUNCH_FD] = pair[1];
        for (int i = 0; streams && i < 3; i++)
                fds[SUPERVISOR_LAUNCH_FD + 1 + i] = streams[i];
        assert_int_equal(process_spawn(program, argv, environ, fds, ELEMENTSOF(fds), &t->pid,
                                       &t->pidfd),
                         0);
        fd_close(pair[1]);
        t->fd = pair[0];
}

void harness_create(TaskUnderTest *t, const char *launch, const char *config, const int *streams) {
        SupervisorMessage m;

        harness_spawn(t, launch, config, streams);
        harness_send(t->fd, SUPERVISOR_GO, 0, 0);
        assert_int_equal(harness_expect(t->fd, SUPERVISOR_CREATED, &m), 0);
        assert_true(m.pid > 0);
}

void harness_start(TaskUnderTest *t, const char *launch, const char *config, const int *streams) {
        harness_create(t, launch, config, streams);
        assert_int_equal(harness_call(t->fd, SUPERVISOR_START, 0, 0, NULL), 0);
}

int harness_connect(TaskUnderTest *t) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int fd;

        fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);
        assert_true(fd >= 0);
        (void) snprintf(sa.sun_path, sizeof(sa.sun_path), "%s/%s", t->dir, SUPERVISOR_CONTROL_NAME);
        assert_int_equal(connect(fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        return fd;
}

void harness_send(int fd, uint32_t type, int number, uint64_t usec) {
        SupervisorMessage m = {.type = type, .id = 42, .number = number, .usec = usec};

        assert_int_equal(supervisor_message_send(fd, &m, NULL, 0), 0);
}

bool harness_receive(int fd, SupervisorMessage *ret) {
        int r;

        wait_readable(fd);
        r = supervisor_message_receive(fd, ret, NULL);
        assert_true(r >= 0);
        return r > 0;
}

int harness_expect(int fd, uint32_t type, SupervisorMessage *ret) {
        SupervisorMessage m;

        assert_true(harness_receive(fd, &m));
        if (m.type != type)
                print_message("got message %u, code %i: %s\n", m.type, m.code, m.text);
        assert_int_equal(m.type, type);
        if (ret)
                *ret = m;
        return m.code;
}

void harness_send_request(int fd, const HarnessRequest *q) {
        SupervisorMessage m = {.type = q->type,
                               .id = 42,
                               .flags = q->flags,
                               .number = q->number,
                               .number2 = q->number2,
                               .pid = q->pid};

        (void) snprintf(m.text, sizeof(m.text), "%s", strempty(q->text));
        assert_int_equal(supervisor_message_send(fd, &m, q->fds, q->n_fds), 0);
}

int harness_reply(int fd, SupervisorMessage *ret) {
        SupervisorMessage m;

        do
                assert_true(harness_receive(fd, &m));
        while (m.id == 0);
        assert_int_equal(m.type, SUPERVISOR_REPLY);
        assert_int_equal(m.id, 42);
        if (ret)
                *ret = m;
        return m.code;
}

int harness_request(int fd, const HarnessRequest *q, SupervisorMessage *ret) {
        harness_send_request(fd, q);
        return harness_reply(fd, ret);
}

int harness_about(int fd, uint32_t type, const char *text, SupervisorMessage *ret) {
        const HarnessRequest q = {.type = type, .text = text};

        return harness_request(fd, &q, ret);
}

int harness_call(int fd, uint32_t type, int number, uint64_t usec, SupervisorMessage *ret) {
        harness_send(fd, type, number, usec);
        return harness_reply(fd, ret);
}

void harness_exec_document(TaskUnderTest *t, const char *id, const char *process,
                           const char *stdio) {
        _cleanup_free_ char *text = NULL;
        char name[TASK_EXEC_FILE_SIZE];

        assert_true(asprintf(&text, "{\"process\":%s,\"stdio\":%s,\"terminal\":%s}", process, stdio,
                             strstr(process, "\"terminal\":true") ? "true" : "false") > 0);
        assert_int_equal(file_write_atomic_at(t->dir_fd,
                                              exec_file_name(TASK_FILE_EXEC_PREFIX, id, name), text,
                                              strlen(text), 0600, 0),
                         0);
}

void harness_exec(TaskUnderTest *t, const char *id, const char *process, const char *stdio,
                  bool start) {
        SupervisorMessage m;

        harness_exec_document(t, id, process, stdio);
        assert_int_equal(harness_about(t->fd, SUPERVISOR_EXEC_ADD, id, &m), 0);
        if (!start)
                return;
        assert_int_equal(harness_about(t->fd, SUPERVISOR_EXEC_START, id, &m), 0);
        assert_true(m.pid > 0);
}

void harness_expect_exec_exited(int fd, const char *id, int status) {
        SupervisorMessage m;

        assert_int_equal(harness_expect(fd, SUPERVISOR_EXEC_EXITED, &m), 0);
        assert_string_equal(m.text, id);
        assert_int_equal(m.number, status);
}

size_t harness_count_fds(const TaskUnderTest *t) {
        _cleanup_closedir_ DIR *dir = NULL;
        char path[64];
        size_t n = 0;

        (void) snprintf(path, sizeof(path), "/proc/%i/fd", (int) t->pid);
        dir = opendir(path);
        assert_non_null(dir);
        while (readdir(dir))
                n++;
        return n;
}

int harness_wait(TaskUnderTest *t) {
        int status;

        wait_readable(t->pidfd);
        assert_int_equal(pidfd_wait(t->pidfd, &status), 0);
        t->pidfd = fd_close(t->pidfd);
        return status;
}

void harness_expect_record(TaskUnderTest *t, int status, ExitRecord *ret) {
        _cleanup_error_ Error e = ERROR_NULL;
        ExitRecord record = {};

        assert_int_equal(harness_wait(t), 0);
        assert_int_equal(exit_record_read(t->dir_fd, &record, &e), 0);
        assert_int_equal(record.exit_status, status);
        if (ret)
                *ret = record;
        else
                exit_record_clear(&record);
}

void harness_clear(TaskUnderTest *t) {
        if (t->pidfd >= 0) {
                int status;

                (void) pidfd_signal(t->pidfd, SIGKILL);
                (void) pidfd_wait(t->pidfd, &status);
                t->pidfd = fd_close(t->pidfd);
        }
        t->fd = fd_close(t->fd);
        t->dir_fd = fd_close(t->dir_fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, t->dir), 0);
}
