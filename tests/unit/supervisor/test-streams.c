/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Standard streams of every kind, opened without waiting for anybody. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include <cmocka.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"
#include "supervisor/logger.h"
#include "supervisor/streams.h"

typedef struct Directory {
        char path[64];
        char file[80]; /* a name in it */
} Directory;

static int set_up(void **state) {
        static Directory d;

        strcpy(d.path, "/tmp/test-streams-XXXXXX");
        if (!mkdtemp(d.path))
                return -1;
        *state = &d;
        return 0;
}

static int tear_down(void **state) {
        Directory *d = *state;

        return tree_remove_at(AT_FDCWD, d->path);
}

static char *in_directory(Directory *d, const char *name) {
        (void) snprintf(d->file, sizeof(d->file), "%s/%s", d->path, name);
        return d->file;
}

static bool is_blocking(int fd) {
        return !(fcntl(fd, F_GETFL) & O_NONBLOCK);
}

static int open_streams(const TaskLaunch *l, int handed[static 3], Streams *ret, Error *e) {
        const StreamsParameters p = {.kinds = l->stdio,
                                     .paths = l->stdio_path,
                                     .terminal = l->terminal,
                                     .log_identifier = l->id,
                                     .unit = "ctr-x.scope",
                                     .journal_usec = USEC_PER_SEC};

        return streams_open(&p, handed, ret, e);
}

static void test_null_and_handed(void **state) {
        TaskLaunch launch = {.id = (char *) "x", .stdio = {STDIO_NULL, STDIO_FD, STDIO_FD}};
        int pair[2], handed[3] = {-1, -1, -1};
        _cleanup_error_ Error e = ERROR_NULL;
        Streams s = STREAMS_INIT;
        struct stat st;

        assert_int_equal(pipe2(pair, O_CLOEXEC), 0);
        fd_close(pair[0]);
        handed[1] = pair[1];
        assert_int_equal(open_streams(&launch, handed, &s, &e), CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(e.text, "handed over"));
        assert_int_equal(handed[1], -1);
        assert_int_equal(fcntl(pair[1], F_GETFD), -1);

        launch.stdio[STDOUT_FILENO] = launch.stdio[STDERR_FILENO] = STDIO_NULL;
        assert_int_equal(open_streams(&launch, handed, &s, NULL), 0);
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(fstat(s.fd[i], &st), 0);
                assert_true(S_ISCHR(st.st_mode));
        }
        streams_close(&s);
}

static void test_file(void **state) {
        Directory *d = *state;
        char *path = in_directory(d, "sub/dir/log");
        TaskLaunch launch = {.id = (char *) "x",
                             .stdio = {STDIO_NULL, STDIO_FILE, STDIO_FILE},
                             .stdio_path = {NULL, path, path}};
        int handed[3] = {-1, -1, -1};
        _cleanup_free_ char *data = NULL;
        Streams s = STREAMS_INIT;
        struct stat st;

        (void) umask(022);
        for (int i = 0; i < 2; i++) {
                assert_int_equal(open_streams(&launch, handed, &s, NULL), 0);
                assert_int_equal(write(s.fd[1], "out", 3), 3);
                assert_int_equal(write(s.fd[2], "err", 3), 3);
                streams_close(&s);
        }
        assert_int_equal(file_read_at(AT_FDCWD, path, 100, &data, NULL), 0);
        assert_string_equal(data, "outerrouterr");
        assert_int_equal(stat(path, &st), 0);
        assert_int_equal(st.st_mode & 07777, 0644);
}

/* /var/run is a link on every system; the file itself must be none. */
static void test_file_behind_link(void **state) {
        Directory *d = *state;
        _cleanup_free_ char *link = strdup(in_directory(d, "link")),
                            *path = strdup(in_directory(d, "link/log"));
        TaskLaunch launch = {.id = (char *) "x",
                             .stdio = {STDIO_NULL, STDIO_FILE, STDIO_NULL},
                             .stdio_path = {NULL, path, NULL}};
        int handed[3] = {-1, -1, -1};
        _cleanup_error_ Error e = ERROR_NULL;
        Streams s = STREAMS_INIT;

        assert_int_equal(mkdir(in_directory(d, "real"), 0755), 0);
        assert_int_equal(symlink("real", link), 0);
        assert_int_equal(open_streams(&launch, handed, &s, NULL), 0);
        streams_close(&s);
        assert_int_equal(access(in_directory(d, "real/log"), F_OK), 0);

        assert_int_equal(unlink(path), 0);
        assert_int_equal(symlink("/dev/null", path), 0);
        assert_int_equal(open_streams(&launch, handed, &s, &e), -ELOOP);
        streams_close(&s);
}

static void test_fifo(void **state) {
        Directory *d = *state;
        TaskLaunch launch = {.id = (char *) "x", .stdio = {STDIO_FIFO, STDIO_FIFO, STDIO_NULL}};
        _cleanup_free_ char *in = strdup(in_directory(d, "in")),
                            *out = strdup(in_directory(d, "out"));
        int handed[3] = {-1, -1, -1}, client;
        Streams s = STREAMS_INIT;
        char buffer[8];

        launch.stdio_path[0] = in;
        launch.stdio_path[1] = out;
        assert_int_equal(mkfifo(in, 0600), 0);
        assert_int_equal(mkfifo(out, 0600), 0);
        assert_int_equal(open_streams(&launch, handed, &s, NULL), 0);
        assert_true(is_blocking(s.fd[0]) && is_blocking(s.fd[1]));

        /* no reader yet, and one that went: neither is an error for the program */
        assert_int_equal(write(s.fd[1], "abc", 3), 3);
        client = open(out, O_RDONLY | O_CLOEXEC);
        assert_int_equal(read(client, buffer, sizeof(buffer)), 3);
        fd_close(client);
        assert_int_equal(write(s.fd[1], "d", 1), 1);

        /* a writer that went is no end of file, until the keeper goes too */
        client = open(in, O_WRONLY | O_CLOEXEC);
        assert_int_equal(write(client, "x", 1), 1);
        fd_close(client);
        assert_int_equal(read(s.fd[0], buffer, sizeof(buffer)), 1);
        assert_int_equal(fcntl(s.fd[0], F_SETFL, O_NONBLOCK), 0);
        assert_int_equal(read(s.fd[0], buffer, sizeof(buffer)), -1);
        assert_int_equal(errno, EAGAIN);
        s.keeper[0] = fd_close(s.keeper[0]);
        assert_int_equal(read(s.fd[0], buffer, sizeof(buffer)), 0);
        streams_close(&s);
}

/* A path that is of another kind, a link, or missing is refused and not waited for. */
static void test_refused(void **state) {
        Directory *d = *state;
        _cleanup_free_ char *fifo = strdup(in_directory(d, "fifo")),
                            *file = strdup(in_directory(d, "file")),
                            *link_path = strdup(in_directory(d, "link")),
                            *none = strdup(in_directory(d, "none"));
        const struct {
                char *path;
                StdioKind kind;
                int result;
        } cases[] = {
                        {file, STDIO_FIFO, CTR_INVALID_ARGUMENT},
                        {none, STDIO_FIFO, CTR_NOT_FOUND},
                        {link_path, STDIO_FIFO, -ELOOP},
                        {fifo, STDIO_FILE, -ENXIO},
                        {link_path, STDIO_FILE, -ELOOP},
                        {d->path, STDIO_FILE, CTR_INVALID_ARGUMENT},
        };
        int fd;

        assert_int_equal(mkfifo(fifo, 0600), 0);
        fd = open(file, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        fd_close(fd);
        assert_int_equal(symlink("file", link_path), 0);

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TaskLaunch launch = {.id = (char *) "x",
                                     .stdio = {STDIO_NULL, cases[i].kind, STDIO_NULL},
                                     .stdio_path = {NULL, cases[i].path, NULL}};
                int handed[3] = {-1, -1, -1};
                _cleanup_error_ Error e = ERROR_NULL;
                Streams s = STREAMS_INIT;

                assert_int_equal(open_streams(&launch, handed, &s, &e), cases[i].result);
                assert_non_null(e.text);
                assert_int_equal(s.fd[0], -1);
        }
}

/* As input, too: the program would be given a way to the host's file system. */
static void test_input_refused(void **state) {
        Directory *d = *state;
        _cleanup_free_ char *fifo = strdup(in_directory(d, "input-fifo"));
        const struct {
                char *path;
                int result;
        } cases[] = {
                        {(char *) "/", CTR_INVALID_ARGUMENT},
                        {(char *) "/dev/zero", CTR_INVALID_ARGUMENT},
                        {fifo, CTR_INVALID_ARGUMENT},
                        {in_directory(d, "none"), CTR_NOT_FOUND},
        };

        assert_int_equal(mkfifo(fifo, 0600), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                TaskLaunch launch = {.id = (char *) "x",
                                     .stdio = {STDIO_FILE, STDIO_NULL, STDIO_NULL},
                                     .stdio_path = {cases[i].path, NULL, NULL}};
                int handed[3] = {-1, -1, -1};
                _cleanup_error_ Error e = ERROR_NULL;
                Streams s = STREAMS_INIT;

                assert_int_equal(open_streams(&launch, handed, &s, &e), cases[i].result);
                assert_int_equal(s.fd[0], -1);
        }
}

static void test_journal(void **state) {
        static const char expected[] = "web\nctr-web.scope\n6\n0\n0\n0\n0\nhello\n";
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        _cleanup_close_ int listen_fd = -1, peer = -1;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *data = NULL;
        Directory *d = *state;
        struct timeval tv;
        socklen_t size = sizeof(tv);
        int fd = -1;

        strcpy(sa.sun_path, in_directory(d, "stdout"));
        assert_int_equal(journal_stream_open(sa.sun_path, "web", "ctr-web.scope", LOG_INFO,
                                             USEC_PER_SEC, &fd, &e),
                         CTR_UNAVAILABLE);
        assert_non_null(strstr(e.text, sa.sun_path));

        listen_fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        assert_int_equal(bind(listen_fd, (struct sockaddr *) &sa, sizeof(sa)), 0);
        assert_int_equal(listen(listen_fd, 1), 0);
        assert_int_equal(journal_stream_open(sa.sun_path, "web", "ctr-web.scope", LOG_INFO,
                                             USEC_PER_SEC, &fd, NULL),
                         0);
        assert_true(is_blocking(fd));
        assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, &size), 0);
        assert_int_equal(tv.tv_sec, 0);
        assert_int_equal(write(fd, "hello\n", 6), 6);
        fd_close(fd);

        peer = accept(listen_fd, NULL, NULL);
        assert_true(peer >= 0);
        assert_int_equal(fd_read_all(peer, 1000, &data, NULL), 0);
        assert_string_equal(data, expected);
}

static void ignore(void *userdata) {
}

/* D32: one that never says that it is ready is waited for as long as that, and goes. */
static void test_logger_never_ready(void **state) {
        const char script[] = "#!/bin/sh\nexec sleep 1000\n";
        const uint64_t begin = now_monotonic(), patience = 300 * USEC_PER_MSEC;
        _cleanup_free_ char *uri = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        int pipes[2] = {-1, -1};
        Directory *d = *state;
        Logger *l = NULL;
        Loop loop = {};
        pid_t pid;
        int fd;

        fd = open(in_directory(d, "log"), O_WRONLY | O_CREAT | O_CLOEXEC, 0700);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, script, sizeof(script) - 1), 0);
        fd_close(fd);
        assert_true(asprintf(&uri, "binary://%s", d->file) > 0);
        assert_int_equal(logger_spawn(&loop,
                                      &(LoggerParameters){
                                                      .uri = uri,
                                                      .id = "x",
                                                      .namespace = "default",
                                                      .oom_score_adj = "",
                                                      .changed = ignore,
                                      },
                                      pipes, &l, &e),
                         0);
        pid = logger_pid(l);
        assert_int_equal(logger_is_ready(l, &e), 0);
        assert_int_equal(logger_wait_ready(l, begin + patience, &e), CTR_DEADLINE_EXCEEDED);
        assert_true(now_monotonic() - begin >= patience);
        logger_free(l);
        assert_int_equal(kill(pid, 0), -1);
        loop_clear(&loop);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_null_and_handed),
                        cmocka_unit_test_setup_teardown(test_file, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_file_behind_link, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fifo, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_refused, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_input_refused, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_journal, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_logger_never_ready, set_up, tear_down),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
