/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Exit records and launch documents: round trips, damaged ones, and a fault at every step of the
 * way to a record. */

#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "supervisor/record.h"

/* The call that fails, counted down over all wrapped calls and jansson's allocations. 0: none. */
static int fault_at;
static bool fault_was_injected;

static bool fault_now(void) {
        if (fault_at == 0 || --fault_at > 0)
                return false;
        fault_was_injected = true;
        errno = ENOSPC;
        return true;
}

/* The linker's --wrap gives these names. */
// NOLINTBEGIN(bugprone-reserved-identifier)
ssize_t __real_write(int fd, const void *data, size_t size);
int __real_fsync(int fd);
int __real_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __real_openat64(int fd, const char *path, int flags, mode_t mode);
ssize_t __wrap_write(int fd, const void *data, size_t size);
int __wrap_fsync(int fd);
int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to);
int __wrap_openat64(int fd, const char *path, int flags, mode_t mode);

ssize_t __wrap_write(int fd, const void *data, size_t size) {
        /* in two parts, so that a failure may come in the middle */
        return fault_now() ? -1 : __real_write(fd, data, size > 1 ? size / 2 : size);
}

int __wrap_fsync(int fd) {
        return fault_now() ? -1 : __real_fsync(fd);
}

int __wrap_renameat(int from_fd, const char *from, int to_fd, const char *to) {
        return fault_now() ? -1 : __real_renameat(from_fd, from, to_fd, to);
}

int __wrap_openat64(int fd, const char *path, int flags, mode_t mode) {
        return fault_now() ? -1 : __real_openat64(fd, path, flags, mode);
}
// NOLINTEND(bugprone-reserved-identifier)

static void *failing_malloc(size_t size) {
        return fault_now() ? NULL : malloc(size);
}

typedef struct Directory {
        char path[64];
        int fd;
} Directory;

static int set_up(void **state) {
        static Directory d;

        strcpy(d.path, "/tmp/test-record-XXXXXX");
        if (!mkdtemp(d.path))
                return -1;
        d.fd = open(d.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        *state = &d;
        return d.fd < 0 ? -1 : 0;
}

static int tear_down(void **state) {
        Directory *d = *state;

        fd_close(d->fd);
        return tree_remove_at(AT_FDCWD, d->path);
}

static void assert_record_equal(const ExitRecord *a, const ExitRecord *b) {
        assert_int_equal(a->exit_status, b->exit_status);
        assert_int_equal(a->exited_at, b->exited_at);
        assert_int_equal(a->pid, b->pid);
        assert_int_equal(a->started, b->started);
        assert_int_equal(a->oom_killed, b->oom_killed);
        assert_true(streq_ptr(a->error, b->error));
        assert_true(streq_ptr(a->oom_cgroup, b->oom_cgroup));
}

static void test_round_trip(void **state) {
        ExitRecord cases[] = {
                        {.exit_status = 0, .exited_at = 1, .pid = 1},
                        {.exit_status = 255,
                         .exited_at = UINT64_C(1700000000000000),
                         .pid = 4194304,
                         .started = true,
                         .oom_killed = true,
                         .oom_cgroup = (char *) "/ctr.slice/ctr-a.scope/payload",
                         .error = (char *) "exec /bin/\xc3\xa4: \"no\"\n"},
        };
        Directory *d = *state;
        struct stat st;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ExitRecord back = {};

                assert_int_equal(exit_record_write(d->fd, &cases[i]), 0);
                assert_int_equal(exit_record_read(d->fd, &back, NULL), 0);
                assert_record_equal(&cases[i], &back);
                exit_record_clear(&back);
        }
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ExitRecord back = {};

                assert_int_equal(exec_record_write(d->fd, "a.b", &cases[i]), 0);
                assert_int_equal(exec_record_read(d->fd, "a.b", &back, NULL), 0);
                assert_record_equal(&cases[i], &back);
                exit_record_clear(&back);
                assert_int_equal(exec_record_read(d->fd, "b", &back, NULL), -ENOENT);
        }
        assert_int_equal(fstatat(d->fd, "exit-a.b.json", &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
        assert_int_equal(fstatat(d->fd, TASK_FILE_EXIT, &st, 0), 0);
        assert_int_equal(st.st_mode & 07777, 0600);
}

/* Whatever the error text is, the record can be written. */
static void test_odd_error(void **state) {
        ExitRecord record = {.error = (char *) "exec /\xff\xfe: no"}, back = {}, cut = {};
        Directory *d = *state;
        char text[20000];

        assert_int_equal(exit_record_write(d->fd, &record), 0);
        assert_int_equal(exit_record_read(d->fd, &back, NULL), 0);
        assert_string_equal(back.error, "exec /??: no");
        exit_record_clear(&back);

        for (size_t i = 0; i + 3 < sizeof(text); i += 3)
                memcpy(text + i, "\xe2\x82\xac", 4);
        record.error = text;
        assert_int_equal(exit_record_write(d->fd, &record), 0);
        assert_int_equal(exit_record_read(d->fd, &cut, NULL), 0);
        assert_int_equal(strlen(cut.error), 4000);
        exit_record_clear(&cut);
}

static void test_damaged(void **state) {
        static const char *const cases[] = {
                        "",
                        "{",
                        "[]",
                        "7",
                        "{}",
                        "{\"exit_status\":0}",
                        "{\"exit_status\":256,\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":-1,\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":\"0\",\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":0,\"exited_at\":-1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":9999999999,\"started\":true,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":1,\"started\":1,"
                        "\"oom_killed\":false}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":1,\"started\":true}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false,\"error\":3}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":true,\"oom_cgroup\":3}",
                        "{\"exit_status\":0,\"exited_at\":1,\"pid\":1,\"started\":true,"
                        "\"oom_killed\":false}x",
        };
        _cleanup_free_ char *large = NULL;
        ExitRecord record = {.exit_status = 77};
        Directory *d = *state;

        assert_int_equal(exit_record_read(d->fd, &record, NULL), -ENOENT);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;

                assert_int_equal(file_write_atomic_at(d->fd, TASK_FILE_EXIT, cases[i],
                                                      strlen(cases[i]), 0600, 0),
                                 0);
                assert_int_equal(exit_record_read(d->fd, &record, &e), -EBADMSG);
                assert_int_equal(e.code, -EBADMSG);
                assert_non_null(strstr(e.text, TASK_FILE_EXIT));
                assert_int_equal(record.exit_status, 77);
        }

        large = malloc(TASK_RECORD_MAX + 1);
        assert_non_null(large);
        memset(large, ' ', TASK_RECORD_MAX + 1);
        assert_int_equal(file_write_atomic_at(d->fd, TASK_FILE_EXIT, large, TASK_RECORD_MAX + 1,
                                              0600, 0),
                         0);
        assert_int_equal(exit_record_read(d->fd, &record, NULL), -EBADMSG);
        assert_int_equal(unlinkat(d->fd, TASK_FILE_EXIT, 0), 0);
        assert_int_equal(symlinkat("/dev/zero", d->fd, TASK_FILE_EXIT), 0);
        assert_int_equal(exit_record_read(d->fd, &record, NULL), -EBADMSG);
}

/* Fails the 1st, the 2nd, the 3rd ... call until none is left. After each failure there is either
 * no record or a whole one, and a second attempt succeeds. */
static void test_fault_at_every_call(void **state) {
        ExitRecord record = {.exit_status = 3, .exited_at = 9, .pid = 5, .error = (char *) "why"};
        Directory *d = *state;
        int n = 0, r;

        json_set_alloc_funcs(failing_malloc, free);
        do {
                ExitRecord back = {};

                fault_was_injected = false;
                fault_at = ++n;
                r = exit_record_write(d->fd, &record);
                fault_at = 0;
                assert_true(r == 0 || r == -ENOSPC || r == -ENOMEM);
                /* only a fault makes it fail; one that it can do without does not */
                assert_true(r == 0 || fault_was_injected);
                assert_int_equal(faccessat(d->fd, ".#" TASK_FILE_EXIT, F_OK, 0), -1);

                if (faccessat(d->fd, TASK_FILE_EXIT, F_OK, 0) < 0) {
                        assert_true(r != 0);
                        assert_int_equal(exit_record_write(d->fd, &record), 0);
                }
                assert_int_equal(exit_record_read(d->fd, &back, NULL), 0);
                assert_record_equal(&record, &back);
                exit_record_clear(&back);
                assert_int_equal(unlinkat(d->fd, TASK_FILE_EXIT, 0), 0);
        } while (fault_was_injected);
        json_set_alloc_funcs(malloc, free);
        /* open, at least one write, two fsync, rename, and jansson's own */
        assert_true(n > 8);
}

static void assert_launch_equal(const TaskLaunch *a, const TaskLaunch *b) {
        assert_string_equal(a->namespace, b->namespace);
        assert_string_equal(a->id, b->id);
        assert_string_equal(a->unit, b->unit);
        assert_true(streq_ptr(a->log_identifier, b->log_identifier));
        for (size_t i = 0; i < 3; i++) {
                assert_int_equal(a->stdio[i], b->stdio[i]);
                assert_true(streq_ptr(a->stdio_path[i], b->stdio_path[i]));
        }
        assert_int_equal(a->terminal, b->terminal);
        assert_int_equal(a->stop_signal, b->stop_signal);
        assert_int_equal(a->stop_timeout, b->stop_timeout);
        assert_true(streq_ptr(a->rootfs_lower, b->rootfs_lower));
        assert_true(streq_ptr(a->rootfs_upper, b->rootfs_upper));
        assert_true(streq_ptr(a->rootfs_work, b->rootfs_work));
        assert_true(streq_ptr(a->checkpoint, b->checkpoint));
        assert_true(streq_ptr(a->checkpoint_name, b->checkpoint_name));
        assert_true(streq_ptr(a->runtime, b->runtime));
        assert_true(streq_ptr(a->runtime_name, b->runtime_name));
}

static void test_launch_round_trip(void **state) {
        const TaskLaunch cases[] = {
                        {.namespace = (char *) "default",
                         .id = (char *) "web",
                         .unit = (char *) "ctr-web.scope",
                         .stop_signal = SIGTERM,
                         .stop_timeout = UINT64_MAX},
                        {.namespace = (char *) "k8s.io",
                         .id = (char *) "a",
                         .unit = (char *) "ctr-k8s.io:a.scope",
                         .log_identifier = (char *) "a",
                         .stdio = {STDIO_FIFO, STDIO_JOURNAL, STDIO_BINARY},
                         .stdio_path = {(char *) "/run/in", NULL, (char *) "binary:///bin/log?a=b"},
                         .terminal = true,
                         .stop_signal = 64,
                         .stop_timeout = 0,
                         .rootfs_lower = (char *) "/a:/b",
                         .rootfs_upper = (char *) "/u",
                         .rootfs_work = (char *) "/w",
                         .checkpoint = (char *) "/c",
                         .checkpoint_name = (char *) "localhost/c:1",
                         .runtime = (char *) "/usr/bin/crun",
                         .runtime_name = (char *) "crun"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *j = NULL;
                TaskLaunch back = {};

                assert_int_equal(task_launch_to_json(&cases[i], &j), 0);
                assert_int_equal(task_launch_from_json(j, &back, NULL), 0);
                assert_launch_equal(&cases[i], &back);
                task_launch_clear(&back);
        }
}

static void test_launch_refused(void **state) {
        static const struct {
                const char *change, *text;
        } cases[] = {
                        {"{\"id\":null}", "id is missing"},
                        {"{\"id\":\"../x\"}", "not valid"},
                        {"{\"namespace\":\"a/b\"}", "not valid"},
                        {"{\"unit\":\"a/b.scope\"}", "unit"},
                        {"{\"log_identifier\":\"a\\nb\"}", "log_identifier"},
                        {"{\"stop_signal\":0}", "stop_signal"},
                        {"{\"stop_signal\":65}", "stop_signal"},
                        {"{\"stop_timeout\":-1}", "stop_timeout"},
                        {"{\"terminal\":1}", "terminal"},
                        {"{\"stdio\":[]}", "stdio"},
                        {"{\"stdio\":{\"stdin\":{\"kind\":\"journal\"}}}", "output"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"what\"}}}", "unknown kind \"what\""},
                        {"{\"stdio\":{\"stdout\":{}}}", "unknown kind"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"file\"}}}", "absolute path"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"file\",\"path\":\"x\"}}}",
                         "absolute path"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"null\",\"path\":\"/x\"}}}", "none"},
                        {"{\"stdio\":{\"stdout\":{\"kind\":\"binary\",\"path\":\"/x\"}}}",
                         "binary:///PATH"},
                        {"{\"stdio\":{\"stdin\":{\"kind\":\"binary\",\"path\":\"binary:///x\"}}}",
                         "output"},
                        {"{\"checkpoint\":\"c\"}", "absolute path"},
                        {"{\"runtime\":\"crun\"}", "absolute path"},
                        {"{\"runtime_name\":1}", "runtime_name"},
                        {"{\"rootfs_upper\":\"/u\"}", "rootfs_work"},
                        {"{\"rootfs_upper\":\"/u\",\"rootfs_work\":\"/w\"}", "rootfs_lower"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *j = NULL, *change = NULL;
                _cleanup_error_ Error e = ERROR_NULL;
                TaskLaunch launch = {};

                j = json_pack("{s:s, s:s, s:s}", "namespace", "default", "id", "web", "unit",
                              "ctr-web.scope");
                change = json_loads(cases[i].change, 0, NULL);
                assert_non_null(change);
                assert_int_equal(json_object_update(j, change), 0);
                assert_int_equal(task_launch_from_json(j, &launch, &e), -EBADMSG);
                assert_non_null(strstr(e.text, cases[i].text));
                assert_null(launch.id);
        }
}

static void test_exec_round_trip(void **state) {
        const ExecLaunch cases[] = {
                        {},
                        {.stdio = {STDIO_ATTACH, STDIO_FILE, STDIO_BINARY},
                         .stdio_path = {NULL, (char *) "/log", (char *) "binary-v2:///bin/log"},
                         .terminal = true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *process = json_pack("{s:s}", "cwd", "/"), *j = NULL;
                ExecLaunch back = {};

                assert_int_equal(exec_launch_to_json(&cases[i], process, &j), 0);
                assert_true(json_equal(json_object_get(j, "process"), process));
                assert_int_equal(exec_launch_from_json(j, &back, NULL), 0);
                for (size_t k = 0; k < 3; k++) {
                        assert_int_equal(cases[i].stdio[k], back.stdio[k]);
                        assert_true(streq_ptr(cases[i].stdio_path[k], back.stdio_path[k]));
                }
                assert_int_equal(cases[i].terminal, back.terminal);
                exec_launch_clear(&back);
        }
}

static void test_exec_refused(void **state) {
        static const char *const cases[] = {
                        "[]",
                        "{}",
                        "{\"process\":1}",
                        "{\"process\":{},\"terminal\":1}",
                        "{\"process\":{},\"stdio\":{\"stdin\":{\"kind\":\"journal\"}}}",
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_json_ json_t *j = json_loads(cases[i], 0, NULL);
                _cleanup_error_ Error e = ERROR_NULL;
                ExecLaunch back = {};

                assert_non_null(j);
                assert_int_equal(exec_launch_from_json(j, &back, &e), -EBADMSG);
                assert_non_null(e.text);
        }
}

static void test_checkpoint_request(void **state) {
        char *empty[] = {(char *) "network", NULL};
        const CheckpointRequest request = {.images = (char *) "/images",
                                           .parent = (char *) "/before",
                                           .leave_running = true,
                                           .file_locks = true,
                                           .empty_namespaces = empty};
        CheckpointRequest back = {};
        _cleanup_free_ char *text = NULL;

        assert_int_equal(checkpoint_request_to_text(&request, &text), 0);
        assert_int_equal(checkpoint_request_from_text(text, &back, NULL), 0);
        assert_string_equal(back.images, "/images");
        assert_string_equal(back.parent, "/before");
        assert_true(back.leave_running && back.file_locks);
        assert_false(back.allow_tcp || back.allow_unix_sockets || back.allow_terminal);
        assert_string_equal(back.empty_namespaces[0], "network");
        assert_null(back.empty_namespaces[1]);
        checkpoint_request_clear(&back);

        assert_int_equal(checkpoint_request_from_text("{}", &back, NULL), -EBADMSG);
        assert_int_equal(checkpoint_request_from_text("{\"images\":\"x\"}", &back, NULL), -EBADMSG);
        assert_int_equal(checkpoint_request_from_text("{", &back, NULL), CTR_INVALID_ARGUMENT);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_round_trip, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_odd_error, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_damaged, set_up, tear_down),
                        cmocka_unit_test_setup_teardown(test_fault_at_every_call, set_up,
                                                        tear_down),
                        cmocka_unit_test(test_launch_round_trip),
                        cmocka_unit_test(test_launch_refused),
                        cmocka_unit_test(test_exec_round_trip),
                        cmocka_unit_test(test_exec_refused),
                        cmocka_unit_test(test_checkpoint_request),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
