/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fixture.h"

#include <fcntl.h>
#include <mntent.h>
#include <poll.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"
#include "runtime/container.h"

#define RUN_TIMEOUT_USEC (30 * USEC_PER_SEC)

static const char base_document[] =
                "{\"ociVersion\": \"1.0.2\", \"root\": {\"path\": \"rootfs\"},"
                " \"hostname\": \"testbox\","
                " \"process\": {\"cwd\": \"/\", \"args\": [\"/bin/true\"],"
                "  \"env\": [\"PATH=/bin\", \"HOME=/\"], \"user\": {\"uid\": 0, \"gid\": 0},"
                "  \"noNewPrivileges\": true,"
                "  \"capabilities\": {"
                "   \"bounding\": [\"CAP_CHOWN\", \"CAP_KILL\", \"CAP_SETUID\"],"
                "   \"effective\": [\"CAP_CHOWN\", \"CAP_KILL\"],"
                "   \"permitted\": [\"CAP_CHOWN\", \"CAP_KILL\"]}},"
                " \"mounts\": ["
                "  {\"destination\": \"/proc\", \"type\": \"proc\", \"source\": \"proc\"},"
                "  {\"destination\": \"/dev\", \"type\": \"tmpfs\", \"source\": \"tmpfs\","
                "   \"options\": [\"nosuid\", \"strictatime\", \"mode=755\", \"size=65536k\"]},"
                "  {\"destination\": \"/dev/pts\", \"type\": \"devpts\", \"source\": \"devpts\","
                "   \"options\": [\"nosuid\", \"noexec\", \"newinstance\", \"ptmxmode=0666\","
                "                 \"mode=0620\", \"gid=5\"]},"
                "  {\"destination\": \"/dev/shm\", \"type\": \"tmpfs\", \"source\": \"shm\","
                "   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"mode=1777\"]},"
                "  {\"destination\": \"/dev/mqueue\", \"type\": \"mqueue\", \"source\": "
                "\"mqueue\"},"
                "  {\"destination\": \"/sys\", \"type\": \"sysfs\", \"source\": \"sysfs\","
                "   \"options\": [\"nosuid\", \"noexec\", \"nodev\", \"ro\"]},"
                "  {\"destination\": \"/sys/fs/cgroup\", \"type\": \"cgroup\","
                "   \"source\": \"cgroup\", \"options\": [\"nosuid\", \"ro\"]}],"
                " \"linux\": {\"namespaces\": [{\"type\": \"pid\"}, {\"type\": \"network\"},"
                "   {\"type\": \"ipc\"}, {\"type\": \"uts\"}, {\"type\": \"mount\"},"
                "   {\"type\": \"cgroup\"}],"
                "  \"maskedPaths\": [\"/proc/keys\", \"/proc/kcore\", \"/sys/firmware\"],"
                "  \"readonlyPaths\": [\"/proc/sys\", \"/proc/bus\"]}}";

static const char *const applets[] = {"sh",   "true",    "cat",   "id",   "ls",       "echo",
                                      "env",  "sleep",   "mount", "grep", "hostname", "pwd",
                                      "stat", "unshare", "tty",   "stty", "touch",    "readlink"};

int fixture_can_run(void) {
        if (geteuid() == 0 && access("/bin/busybox", X_OK) == 0)
                return 0;
        fprintf(stderr, "needs root and /bin/busybox\n");
        return 77;
}

void fixture_copy(Fixture *f, const char *from, const char *path) {
        _cleanup_close_ int from_fd = -1, to_fd = -1;
        _cleanup_free_ char *data = NULL;
        size_t size;

        from_fd = open(from, O_RDONLY | O_CLOEXEC);
        assert_true(from_fd >= 0);
        assert_int_equal(fd_read_all(from_fd, 64U * 1024 * 1024, &data, &size), 0);
        to_fd = openat(f->root_fd, path, O_WRONLY | O_CREAT | O_CLOEXEC, 0755);
        assert_true(to_fd >= 0);
        assert_int_equal(fd_write_all(to_fd, data, size), 0);
}

int fixture_setup(void **state) {
        Fixture *f = calloc(1, sizeof(*f));

        assert_non_null(f);
        (void) umask(022);
        strcpy(f->dir, "/var/tmp/ctr-test-XXXXXX");
        assert_non_null(mkdtemp(f->dir));
        assert_int_equal(chmod(f->dir, 0755), 0);
        f->dir_fd = open(f->dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        assert_true(f->dir_fd >= 0);
        f->root_fd = dir_open_make_at(f->dir_fd, "rootfs", 0755);
        assert_true(f->root_fd >= 0);
        fixture_directory(f, "bin", 0755);
        fixture_directory(f, "etc", 0755);
        fixture_directory(f, "tmp", 01777);
        fixture_copy(f, "/bin/busybox", "bin/busybox");
        for (size_t i = 0; i < ELEMENTSOF(applets); i++) {
                char path[32];

                (void) snprintf(path, sizeof(path), "bin/%s", applets[i]);
                fixture_link(f, "busybox", path);
        }
        fixture_file(f, "etc/passwd",
                     "root:x:0:0:root:/root:/bin/sh\n"
                     "broken line\n"
                     "huge:x:4294967296:0::/:/bin/sh\n"
                     "app:x:1000:1001:An app:/home/app:/bin/sh\n",
                     0644);
        fixture_file(f, "etc/group",
                     "root:x:0:root\nwheel:x:10:root,admin\napp:x:1001:\n"
                     "video:x:44:other,app\naudio:x:63:app\nstaff:x:50:\n",
                     0644);
        f->document = json_loads(base_document, 0, NULL);
        assert_non_null(f->document);
        *state = f;
        return 0;
}

int fixture_teardown(void **state) {
        Fixture *f = *state;

        fd_close(f->root_fd);
        fd_close(f->dir_fd);
        assert_int_equal(tree_remove_at(AT_FDCWD, f->dir), 0);
        json_decref(f->document);
        free(f->lower);
        free(f->upper);
        free(f->work);
        free(f->seccomp_cache);
        free(f);
        return 0;
}

static json_t *parse(const char *text) {
        json_error_t error;
        json_t *j = json_loads(text, JSON_DECODE_ANY, &error);

        if (!j)
                fail_msg("%s: %s", text, error.text);
        return j;
}

/* The object that has the last key of path, and that key. */
static json_t *find_parent(Fixture *f, const char *path, const char **ret_key) {
        json_t *o = f->document;

        for (const char *dot; (dot = strchr(path, '.')); path = dot + 1) {
                char key[64] = "";

                assert_true((size_t) (dot - path) < sizeof(key));
                memcpy(key, path, (size_t) (dot - path));
                if (!json_object_get(o, key))
                        assert_int_equal(json_object_set_new(o, key, json_object()), 0);
                o = json_object_get(o, key);
        }
        *ret_key = path;
        return o;
}

void fixture_set(Fixture *f, const char *path, const char *json) {
        const char *key;
        json_t *o = find_parent(f, path, &key);

        assert_int_equal(json_object_set_new(o, key, parse(json)), 0);
}

void fixture_append(Fixture *f, const char *path, const char *json) {
        const char *key;
        json_t *o = find_parent(f, path, &key);

        if (!json_object_get(o, key))
                assert_int_equal(json_object_set_new(o, key, json_array()), 0);
        assert_int_equal(json_array_append_new(json_object_get(o, key), parse(json)), 0);
}

void fixture_script(Fixture *f, const char *script) {
        assert_int_equal(json_object_set_new(json_object_get(f->document, "process"), "args",
                                             json_pack("[s,s,s]", "/bin/sh", "-c", script)),
                         0);
}

void fixture_file(Fixture *f, const char *path, const char *text, mode_t mode) {
        _cleanup_close_ int fd = -1;

        fd = openat(f->root_fd, path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
        assert_true(fd >= 0);
        assert_int_equal(fd_write_all(fd, text, strlen(text)), 0);
        assert_int_equal(fchmod(fd, mode), 0);
}

void fixture_directory(Fixture *f, const char *path, mode_t mode) {
        assert_int_equal(mkdirat(f->root_fd, path, mode), 0);
        assert_int_equal(fchmodat(f->root_fd, path, mode, 0), 0);
}

void fixture_link(Fixture *f, const char *target, const char *path) {
        assert_int_equal(symlinkat(target, f->root_fd, path), 0);
}

void fixture_remove(Fixture *f, const char *path) {
        assert_int_equal(tree_remove_at(f->root_fd, path), 0);
}

/* Until end of file, or EIO, which is how a terminal says so. */
static void read_output(int fd, Outcome *o) {
        uint64_t deadline = now_monotonic() + RUN_TIMEOUT_USEC;
        size_t used = 0;

        while (used < sizeof(o->output) - 1) {
                struct pollfd p = {.fd = fd, .events = POLLIN};
                ssize_t n;

                assert_true(now_monotonic() < deadline);
                if (poll(&p, 1, 1000) <= 0)
                        continue;
                n = read(fd, o->output + used, sizeof(o->output) - 1 - used);
                if (n <= 0)
                        break;
                used += (size_t) n;
        }
        o->output[used] = '\0';
}

static void finish(Container *c, int output_fd, int *terminal_fd, Outcome *o) {
        if (o->failed == STEP_DONE)
                read_output(*terminal_fd >= 0 ? *terminal_fd : output_fd, o);
        *terminal_fd = fd_close(*terminal_fd);
        if (container_pid(c) <= 0)
                return;
        assert_int_equal(pidfd_wait(container_pidfd(c), &o->status), 0);
        container_set_reaped(c);
}

static void launch(Fixture *f, int output_fd, int write_fd, Outcome *o) {
        const ContainerParameters p = {
                        .config_dir_fd = f->dir_fd,
                        .config_name = "config.json",
                        .rootfs_lower = f->lower,
                        .rootfs_upper = f->upper,
                        .rootfs_work = f->work,
                        .stdio = {-1, write_fd, write_fd},
                        .hostname_fallback = "fallback",
                        .seccomp_cache = f->seccomp_cache,
        };
        _cleanup_(container_freep) Container *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int terminal_fd = -1;
        int r;

        o->failed = STEP_NEW;
        r = container_new(&p, &c, &e);
        if (r == 0) {
                o->failed = STEP_CLONE;
                r = container_clone(c, -1, &e);
                fd_close(write_fd);
        } else
                fd_close(write_fd);
        if (r == 0) {
                o->failed = STEP_ENTER;
                r = container_enter(c, -1, RUN_TIMEOUT_USEC, &terminal_fd, &e);
        }
        if (r == 0) {
                o->failed = STEP_START;
                r = container_start(c, RUN_TIMEOUT_USEC, &e);
        }
        if (r == 0)
                o->failed = STEP_DONE;
        o->code = r;
        if (r != 0)
                (void) snprintf(o->error, sizeof(o->error), "%s", error_text(&e));
        if (c)
                finish(c, output_fd, &terminal_fd, o);
}

int fixture_make_cgroup(char path[256]) {
        FILE *mounts = setmntent("/proc/self/mounts", "r");
        struct mntent *m;

        assert_non_null(mounts);
        while ((m = getmntent(mounts)))
                if (streq(m->mnt_type, "cgroup2"))
                        break;
        if (m)
                (void) snprintf(path, 256, "%s/ctr-test-%d", m->mnt_dir, getpid());
        (void) endmntent(mounts);
        if (!m || mkdir(path, 0755) < 0)
                return -1;
        return open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
}

void fixture_write(Fixture *f) {
        _cleanup_free_ char *text = json_dumps(f->document, JSON_COMPACT);
        int r;

        assert_non_null(text);
        r = file_write_atomic_at(f->dir_fd, "config.json", text, strlen(text), 0600, 0);
        assert_int_equal(r, 0);
}

const Outcome *fixture_run(Fixture *f) {
        static Outcome outcome;
        int fds[2];

        outcome = (Outcome){.status = -1};
        fixture_write(f);
        assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
        launch(f, fds[0], fds[1], &outcome);
        fd_close(fds[0]);
        return &outcome;
}

void fixture_expect(Fixture *f, const char *output) {
        const Outcome *o = fixture_run(f);

        if (o->failed != STEP_DONE)
                fail_msg("step %d failed with %d: %s", o->failed, o->code, o->error);
        assert_string_equal(o->output, output);
        assert_int_equal(o->status, 0);
}

void fixture_expect_failure(Fixture *f, Step failed, int code, const char *part) {
        const Outcome *o = fixture_run(f);

        if (o->failed != failed || o->code != code || !strstr(o->error, part))
                fail_msg("wanted step %d to fail with %d and \"%s\", but step %d gave %d: %s",
                         failed, code, part, o->failed, o->code, o->error);
        /* of our own making, not killed: it had told its reason */
        if (failed >= STEP_ENTER)
                assert_true(o->status >= 125 && o->status <= 127);
}
