/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Images by pull jobs, containers and what is left of them. */

#include "harness.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/process.h"
#include "manager/container-secrets.h"
#include "manager/db-internal.h"
#include "manager/secret.h"

static int pull(Harness *h, const char *mode, Answer *a) {
        PullRequest request = {.namespace = "default", .reference = "localhost/test"};
        _cleanup_error_ Error e = ERROR_NULL;
        Job *j;

        *a = (Answer){};
        setenv("FAKE_WORKER", mode, 1);
        assert_int_equal(job_pull(h->manager, &request, &j, &e), 0);
        assert_int_equal(job_wait(j, answer_callback, a, &e), 0);
        harness_wait(h, &a->done);
        return a->r;
}

static void test_pull(void **state) {
        Harness *h = *state;
        Image *i = harness_image(h);

        assert_string_equal(i->object.name, "localhost/test:latest");
        assert_true(i->unpacked);
        assert_int_equal(i->size, 30);
        assert_true(i->snapshot > 0);
        harness_settle(h);
        /* how often the job changed depends on what came in one turn of the loop */
        assert_non_null(startswith(h->seen, "j+"));
        assert_non_null(strstr(h->seen, "i+"));
        assert_non_null(strstr(h->seen, "j~j-"));
        assert_true(manager_is_idle(h->manager));
}

static void test_pull_failures(void **state) {
        static const struct {
                const char *mode;
                int r;
        } cases[] = {
                        {"e", CTR_NOT_FOUND},
                        {"c", CTR_UNKNOWN},
                        {"g", CTR_INVALID_ARGUMENT},
        };
        Harness *h = *state;
        Answer a;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(pull(h, cases[i].mode, &a), cases[i].r);
                assert_non_null(a.error.text);
                error_clear(&a.error);
                assert_int_equal(object_count(h->manager, OBJECT_IMAGE), 0);
                assert_int_equal(object_count(h->manager, OBJECT_JOB), 0);
        }
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 0);
}

static void test_pull_cancel(void **state) {
        PullRequest request = {.namespace = "default", .reference = "localhost/test"};
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Job *j;

        setenv("FAKE_WORKER", "h", 1);
        assert_int_equal(job_pull(h->manager, &request, &j, &e), 0);
        assert_int_equal(job_wait(j, answer_callback, &a, &e), 0);
        assert_false(manager_is_idle(h->manager));
        while (!streq(j->phase, "download"))
                assert_true(sd_event_run(h->event, 60 * USEC_PER_SEC) > 0);
        assert_int_equal(json_array_size(j->progress), 1);
        assert_int_equal(job_cancel(j, &e), 0);
        assert_int_equal(job_cancel(j, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, CTR_CANCELED);
        error_clear(&a.error);
}

/* What the worker says is checked, and a commit that fails leaves nothing that would be in the way
 * of the next one: the numbers of its layers are given again. */
static void test_pull_bad_result(void **state) {
        Harness *h = *state;
        Answer a;

        assert_int_equal(pull(h, "i", &a), -EBADMSG);
        assert_non_null(strstr(a.error.text, "chain_id"));
        error_clear(&a.error);
        assert_int_equal(pull(h, "l", &a), CTR_NOT_FOUND);
        error_clear(&a.error);
        assert_int_equal(object_count(h->manager, OBJECT_IMAGE), 0);
        assert_int_equal(pull(h, "", &a), 0);
        harness_settle(h);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 1);
}

/* An image is removed while a pull runs, whose blobs have no row yet: the collection, and who waits
 * for it, waits until the pull is over. */
static void test_delete_during_pull(void **state) {
        PullRequest request = {.namespace = "default", .reference = "localhost/other"};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer pulled = {}, deleted = {};
        Harness *h = *state;
        Image *i;
        Job *j;

        i = harness_image(h);
        setenv("FAKE_WORKER", "h", 1);
        assert_int_equal(job_pull(h->manager, &request, &j, &e), 0);
        assert_int_equal(job_wait(j, answer_callback, &pulled, &e), 0);
        assert_int_equal(image_delete(i, answer_callback, &deleted, &e), 0);
        while (!streq(j->phase, "download"))
                assert_true(sd_event_run(h->event, 60 * USEC_PER_SEC) > 0);
        assert_true(sd_event_run(h->event, 0) >= 0);
        assert_false(deleted.done);
        assert_int_equal(harness_count(h, "state/content/sha256"), 2);
        assert_int_equal(job_cancel(j, &e), 0);
        harness_wait(h, &pulled.done);
        error_clear(&pulled.error);
        harness_wait(h, &deleted.done);
        assert_int_equal(deleted.r, 0);
        assert_int_equal(harness_count(h, "state/content/sha256"), 0);
        assert_true(manager_is_idle(h->manager));
}

static void test_pull_again(void **state) {
        Harness *h = *state;
        int64_t first;
        Answer a;
        Image *i;

        i = harness_image(h);
        first = i->snapshot;
        assert_int_equal(pull(h, "", &a), 0);
        assert_int_equal(i->snapshot, first); /* the layer was known */
        assert_int_equal(pull(h, "2", &a), 0);
        assert_true(i->snapshot != first);
        harness_settle(h);
        /* nothing needs the old layer and the old blobs any more */
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 1);
        assert_int_equal(harness_count(h, "state/content/sha256"), 2);
}

/* A pull is over with its worker's result. The worker is reaped later, and killed if it does not
 * end; the job, which may be asked for all the while, is kept at least until then. */
static void test_pull_worker_remains(void **state) {
        Harness *h = *state;
        Answer a;
        Job *j;

        assert_int_equal(pull(h, "r", &a), 0);
        assert_int_equal(object_count(h->manager, OBJECT_JOB), 0);
        assert_int_equal(object_count(h->manager, OBJECT_IMAGE), 1);
        j = h->manager->ended_jobs;
        assert_non_null(j);
        assert_true(j->lingers);
        /* its time is up when we say so, however long the pulls take */
        assert_true(sd_event_source_set_enabled(j->timer, SD_EVENT_OFF) >= 0);
        for (size_t i = 0; i < 70; i++) {
                assert_int_equal(pull(h, "", &a), 0);
                assert_true(j->lingers);
        }
        assert_true(sd_event_source_set_time_relative(j->timer, 0) >= 0);
        assert_true(sd_event_source_set_enabled(j->timer, SD_EVENT_ONESHOT) >= 0);
        while (j->lingers)
                assert_true(sd_event_run(h->event, 60 * USEC_PER_SEC) > 0);
        assert_int_equal(j->pidfd, -1);
}

/* Nor does it outlive the manager, whose unit would not come to an end. */
static void test_pull_worker_remains_at_end(void **state) {
        _cleanup_close_ int pidfd = -1;
        Harness *h = *state;
        int status;
        Answer a;

        assert_int_equal(pull(h, "r", &a), 0);
        assert_true(h->manager->ended_jobs->lingers);
        pidfd = fcntl(h->manager->ended_jobs->pidfd, F_DUPFD_CLOEXEC, 3);
        harness_restart(h);
        assert_true(pidfd_wait_until(pidfd, now_monotonic() + 60 * USEC_PER_SEC) > 0);
        assert_int_equal(pidfd_wait(pidfd, &status), 0);
        assert_int_equal(object_count(h->manager, OBJECT_IMAGE), 1);
}

static void test_pull_missing_policy(void **state) {
        PullRequest request = {
                        .namespace = "default",
                        .reference = "localhost/test",
                        .policy = IMAGE_POLICY_MISSING,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Job *j;

        (void) harness_image(h);
        setenv("FAKE_WORKER", "e", 1);
        assert_int_equal(job_pull(h->manager, &request, &j, &e), 0);
        assert_int_equal(job_wait(j, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

static void test_create_and_delete(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c, *found;
        Answer a = {};

        (void) harness_image(h);
        c = harness_container(h, "web");
        assert_int_equal(c->stop_signal, SIGINT); /* the image's */
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 2);

        /* they survive a restart */
        harness_restart(h);
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
        assert_string_equal(c->image, "localhost/test:latest");

        assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(container_find(h->manager, "default", "web", &found, &e), CTR_NOT_FOUND);
        harness_settle(h);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 1);
}

static void make_blob(Harness *h, const char *path, time_t age) {
        struct timespec times[2] = {{.tv_nsec = UTIME_OMIT}, {.tv_sec = time(NULL) - age}};
        _cleanup_free_ char *full = NULL;
        int fd;

        assert_true(asprintf(&full, "%s/%s", h->dir, path) > 0);
        fd = open(full, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
        assert_true(fd >= 0);
        assert_int_equal(futimens(fd, times), 0);
        fd_close(fd);
}

/* What a crash left of a pull is kept for the next try, but not for ever; what it left of a
 * deletion goes. */
static void test_recover_store(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Image *i;

        (void) harness_image(h);
        make_blob(h, "state/content/sha256/dead", 0);
        make_blob(h, "state/content/ingest/dead", 25 * 3600);
        make_blob(h, "state/content/ingest/beef", 3600);
        harness_restart(h);
        assert_int_equal(harness_count(h, "state/content/sha256"), 2);
        assert_int_equal(harness_count(h, "state/content/ingest"), 1);

        /* killed before the collection came */
        assert_int_equal(image_find(h->manager, "default", "localhost/test", &i, &e), 0);
        assert_int_equal(image_delete(i, NULL, NULL, &e), 0);
        harness_restart(h);
        harness_settle(h);
        assert_int_equal(harness_count(h, "state/content/sha256"), 0);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 0);
}

static void test_two_deletes(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, b = {};
        Container *c;

        (void) harness_image(h);
        c = harness_container(h, "web");
        assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
        assert_int_equal(container_delete(c, 0, answer_callback, &b, &e), 0);
        harness_wait(h, &a.done);
        harness_wait(h, &b.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(b.r, CTR_NOT_FOUND);
        error_clear(&b.error);
}

/* Whoever waits at the manager's end is told so, and the container is there. */
static void test_delete_at_end(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer answers[3] = {};
        Container *c;

        (void) harness_image(h);
        c = harness_container(h, "web");
        for (size_t i = 0; i < ELEMENTSOF(answers); i++)
                assert_int_equal(container_delete(c, 0, answer_callback, &answers[i], &e), 0);
        assert_false(manager_is_idle(h->manager));
        harness_restart(h);
        for (size_t i = 0; i < ELEMENTSOF(answers); i++) {
                assert_true(answers[i].done);
                assert_int_equal(answers[i].r, -ESHUTDOWN);
        }
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
}

static void test_bad_requests(void **state) {
        char *command[] = {(char *) "/bin/true", NULL};
        static const struct {
                const char *namespace, *id, *image;
                int r;
        } cases[] = {
                        {"default", "", "localhost/test", CTR_INVALID_ARGUMENT},
                        {"default", "a/b", "localhost/test", CTR_INVALID_ARGUMENT},
                        {"", "a", "localhost/test", CTR_FAILED_PRECONDITION},
                        {"default", "a", "localhost/none", CTR_NOT_FOUND},
                        {"default", "a", "UPPER/case", CTR_INVALID_ARGUMENT},
                        {"other", "a", "localhost/test", CTR_NOT_FOUND},
                        {"default", "web", "localhost/test", CTR_ALREADY_EXISTS},
        };
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        (void) harness_container(h, "web");
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ContainerRequest request = {
                                .namespace = (char *) cases[i].namespace,
                                .id = (char *) cases[i].id,
                                .image = (char *) cases[i].image,
                                .command = command,
                                .command_set = true,
                };
                _cleanup_error_ Error e = ERROR_NULL;

                assert_int_equal(container_create(h->manager, &request, &c, &e), cases[i].r);
                assert_non_null(e.text);
        }
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 1);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 2);
}

/* The snapshot's directory cannot be made: neither row nor directory may stay. */
static void test_create_fails_late(void **state) {
        _cleanup_free_ char *blocker = NULL;
        char *command[] = {(char *) "/bin/true", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .command = command,
                        .command_set = true,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c;
        Image *i;

        i = harness_image(h);
        assert_true(asprintf(&blocker, "%s/snapshots/overlayfs/%i", h->state_dir,
                             (int) i->snapshot + 1) > 0);
        assert_int_equal(mkdir(blocker, 0700), 0);
        assert_int_not_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(object_count(h->manager, OBJECT_CONTAINER), 0);
        assert_int_equal(rmdir(blocker), 0);
        error_clear(&e);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
}

static void test_image_removed_below_container(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {}, b = {};
        Container *c;
        Image *i;

        i = harness_image(h);
        c = harness_container(h, "web");
        assert_int_equal(image_delete(i, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        /* the container holds the layer, nobody the blobs */
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 2);
        assert_int_equal(harness_count(h, "state/content/sha256"), 0);

        assert_int_equal(container_delete(c, 0, answer_callback, &b, &e), 0);
        harness_wait(h, &b.done);
        harness_settle(h);
        assert_int_equal(harness_count(h, "state/snapshots/overlayfs"), 0);
}

static void test_spec(void **state) {
        char *environment[] = {(char *) "B=2", (char *) "A", NULL};
        char *arguments[] = {(char *) "-c", (char *) "exit", NULL};
        char *add[] = {(char *) "net_admin", NULL}, *drop[] = {(char *) "ALL", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .arguments = arguments,
                        .arguments_set = true,
                        .environment = environment,
                        .capabilities_add = add,
                        .capabilities_drop = drop,
                        .user = (char *) "nobody:users",
                        .host_network = true,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *j = NULL;
        json_t *process, *capabilities;
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &text, &e), 0);
        assert_int_equal(json_parse(text, strlen(text), "spec", &j, &e), 0);
        process = json_object_get(j, "process");
        assert_string_equal(json_string_value(json_array_get(json_object_get(process, "args"), 1)),
                            "exit");
        assert_null(strstr(text, "\"A=1\""));
        assert_non_null(strstr(text, "\"B=2\""));
        assert_non_null(strstr(text, "\"org.example.Ctr.user\":\"nobody:users\""));
        assert_null(strstr(text, "\"type\":\"network\""));
        assert_string_equal(json_string_value(json_object_get(process, "cwd")), "/work");
        capabilities = json_object_get(json_object_get(process, "capabilities"), "bounding");
        assert_int_equal(json_array_size(capabilities), 1);
        assert_string_equal(json_string_value(json_array_get(capabilities, 0)), "CAP_NET_ADMIN");
}

/* A1.12: what a document has that nobody asked for. */
static void test_spec_defaults(void **state) {
        static const char *const sets[] = {"bounding", "effective", "permitted"};
        static const char *const namespaces[] = {"pid", "ipc", "uts", "mount", "cgroup", "network"};
        char *command[] = {(char *) "/bin/true", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .command = command,
                        .command_set = true,
        };
        json_t *process, *linux_part, *capabilities, *limit;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *j = NULL;
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &text, &e), 0);
        assert_int_equal(json_parse(text, strlen(text), "spec", &j, &e), 0);
        process = json_object_get(j, "process");
        capabilities = json_object_get(process, "capabilities");
        for (size_t i = 0; i < ELEMENTSOF(sets); i++)
                assert_int_equal(json_array_size(json_object_get(capabilities, sets[i])), 14);
        assert_int_equal(json_array_size(json_object_get(capabilities, "ambient")), 0);
        assert_true(json_is_true(json_object_get(process, "noNewPrivileges")));
        assert_true(json_is_false(json_object_get(process, "terminal")));
        limit = json_array_get(json_object_get(process, "rlimits"), 0);
        assert_string_equal(json_string_value(json_object_get(limit, "type")), "RLIMIT_NOFILE");
        assert_int_equal(json_integer_value(json_object_get(limit, "soft")), 1024);
        assert_int_equal(json_integer_value(json_object_get(limit, "hard")), 1024);
        assert_non_null(strstr(text, "\"PATH=/usr/local/sbin:"));

        linux_part = json_object_get(j, "linux");
        for (size_t i = 0; i < ELEMENTSOF(namespaces); i++) {
                json_t *item = json_array_get(json_object_get(linux_part, "namespaces"), i);

                assert_string_equal(json_string_value(json_object_get(item, "type")),
                                    namespaces[i]);
        }
        assert_non_null(strstr(text, "\"/proc/kcore\""));
        assert_non_null(strstr(text, "\"/proc/sysrq-trigger\""));
        assert_true(json_array_size(json_object_get(linux_part, "maskedPaths")) >= 8);
        assert_true(json_array_size(json_object_get(linux_part, "readonlyPaths")) >= 5);
}

/* What of the host an overlay cannot be laid upon; nothing is left of the container then. */
static void test_overlay_source(void **state) {
        static const struct {
                const char *source;
                int code;
        } cases[] = {{"/proc/self/none", CTR_NOT_FOUND},
                     {"/proc/self/status", CTR_INVALID_ARGUMENT},
                     {"/proc/self/status/none", CTR_INVALID_ARGUMENT}};
        Harness *h = *state;

        (void) harness_image(h);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                ContainerMount mount = {.source = (char *) cases[i].source,
                                        .destination = (char *) "/data",
                                        .type = (char *) "bind",
                                        .options = (char *) "O"};
                ContainerRequest request = {
                                .namespace = (char *) "default",
                                .id = (char *) "over",
                                .image = (char *) "localhost/test",
                                .mounts = &mount,
                                .n_mounts = 1,
                };
                _cleanup_error_ Error e = ERROR_NULL;
                Container *c;

                assert_int_equal(container_create(h->manager, &request, &c, &e), cases[i].code);
                assert_non_null(strstr(error_text(&e), cases[i].source));
                assert_int_equal(container_find(h->manager, "default", "over", &c, NULL),
                                 CTR_NOT_FOUND);
        }
}

static void test_spec_mounts(void **state) {
        ContainerMount mounts[] = {
                        {.source = (char *) "/a",
                         .destination = (char *) "//dev/",
                         .type = (char *) "bind",
                         .options = (char *) "rbind"},
                        {.source = (char *) "/b",
                         .destination = (char *) "/sys/fs",
                         .type = (char *) "bind",
                         .options = (char *) "rbind"},
        };
        static const char *const expected[] = {"/proc", "/sys", "/run", "//dev/", "/sys/fs"};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .mounts = mounts,
                        .n_mounts = ELEMENTSOF(mounts),
        };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *j = NULL;
        Harness *h = *state;
        json_t *found;
        Container *c;

        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &text, &e), 0);
        assert_int_equal(json_parse(text, strlen(text), "spec", &j, &e), 0);
        found = json_object_get(j, "mounts");
        assert_int_equal(json_array_size(found), ELEMENTSOF(expected));
        for (size_t i = 0; i < ELEMENTSOF(expected); i++)
                assert_string_equal(json_string_value(json_object_get(json_array_get(found, i),
                                                                      "destination")),
                                    expected[i]);
}

static bool rule_names(json_t *rule, const char *call) {
        json_t *name;
        size_t i;

        json_array_foreach(json_object_get(rule, "names"), i, name) {
                if (streq(json_string_value(name), call))
                        return true;
        }
        return false;
}

/* A capability beyond the default ones opens its system calls, and only those. */
static void test_spec_seccomp(void **state) {
        char *add[] = {(char *) "CAP_SYS_TIME", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .capabilities_add = add,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        _cleanup_json_ json_t *j = NULL;
        Harness *h = *state;
        json_t *rules, *rule;
        Container *c;
        size_t i;

        json_decref(h->manager->seccomp);
        json_decref(h->manager->seccomp_capabilities);
        h->manager->seccomp = json_pack("{ss, s[{s[ss]ss}, {s[s]ss}]}", "defaultAction", "x",
                                        "syscalls", "names", "read", "settimeofday", "action",
                                        "refuse", "names", "stime", "action", "refuse");
        h->manager->seccomp_capabilities =
                        json_pack("{s[ss], s[s]}", "CAP_SYS_TIME", "settimeofday", "stime",
                                  "CAP_SYS_BOOT", "reboot");
        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &text, &e), 0);
        assert_int_equal(json_parse(text, strlen(text), "spec", &j, &e), 0);
        rules = json_object_get(json_object_get(json_object_get(j, "linux"), "seccomp"),
                                "syscalls");
        assert_int_equal(json_array_size(rules), 2);
        json_array_foreach(rules, i, rule) {
                bool allowed = streq(json_string_value(json_object_get(rule, "action")),
                                     "SCMP_ACT_ALLOW");

                assert_int_equal(rule_names(rule, "settimeofday"), allowed);
                assert_int_equal(rule_names(rule, "stime"), allowed);
                assert_int_equal(rule_names(rule, "read"), !allowed);
                assert_false(rule_names(rule, "reboot"));
        }
        /* the profile that all share is as it was */
        assert_int_equal(json_array_size(json_object_get(h->manager->seccomp, "syscalls")), 2);
}

static bool db_is_synced(Database *db) {
        sqlite3_stmt *s = NULL;
        int level;

        assert_int_equal(sqlite3_prepare_v2(db->handle, "PRAGMA synchronous", -1, &s, NULL),
                         SQLITE_OK);
        assert_int_equal(sqlite3_step(s), SQLITE_ROW);
        level = sqlite3_column_int(s, 0);
        sqlite3_finalize(s);
        return level == 2; /* FULL */
}

/* What nobody wants back after a power loss is not synced; everything after it is again. */
static void test_volatile(void **state) {
        char *command[] = {(char *) "/bin/true", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .command = command,
                        .command_set = true,
                        .volatile_root = true,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Answer a = {};
        Container *c;

        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(db_is_synced(h->manager->db), true);
        assert_int_equal(container_create(h->manager, &request, &c, &e), CTR_ALREADY_EXISTS);
        error_clear(&e);
        assert_int_equal(db_is_synced(h->manager->db), true);
        harness_restart(h);
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
        assert_true(c->volatile_root);
        assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(db_is_synced(h->manager->db), true);
}

/* A sealed file in memory. */
static int memory_file(const char *text, int seals) {
        int fd = memfd_create("secret", MFD_CLOEXEC | MFD_ALLOW_SEALING);

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, strlen(text)), strlen(text));
        assert_int_equal(fcntl(fd, F_ADD_SEALS, seals), 0);
        return fd;
}

/* Another descriptor of the same file, which nothing can be read from. */
static int write_only(int fd) {
        char path[STRLEN("/proc/self/fd/") + 12];

        (void) snprintf(path, sizeof(path), "/proc/self/fd/%i", fd);
        fd = open(path, O_WRONLY | O_CLOEXEC);
        assert_true(fd >= 0);
        return fd;
}

/* The row and the file are one: a file without a row goes, and what a container names stays. */
static void test_secrets(void **state) {
        const int seals = F_SEAL_WRITE | F_SEAL_GROW | F_SEAL_SHRINK;
        char *command[] = {(char *) "/bin/true", NULL};
        ContainerSecret secret = {.name = (char *) "key", .target = (char *) "key", .mode = 0400};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) "web",
                        .image = (char *) "localhost/test",
                        .command = command,
                        .command_set = true,
                        .secrets = &secret,
                        .n_secrets = 1,
        };
        _cleanup_close_ int fd = memory_file("abc", seals), open_fd = memory_file("abc", 0),
                            write_fd = -1;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *document = NULL, *path = NULL;
        Harness *h = *state;
        Answer a = {};
        Container *c;

        (void) harness_image(h);
        assert_int_equal(container_create(h->manager, &request, &c, &e), CTR_NOT_FOUND);
        error_clear(&e);
        assert_int_equal(secret_create(h->manager, "default", "key", NULL, open_fd, &e),
                         CTR_INVALID_ARGUMENT);
        error_clear(&e);
        write_fd = write_only(open_fd);
        assert_int_equal(fcntl(write_fd, F_ADD_SEALS, seals), 0);
        assert_int_equal(secret_create(h->manager, "default", "key", NULL, write_fd, &e),
                         CTR_INVALID_ARGUMENT);
        assert_non_null(strstr(error_text(&e), "not open for reading"));
        error_clear(&e);
        assert_int_equal(harness_count(h, "state/secrets"), 0);
        assert_int_equal(secret_create(h->manager, "default", "key", NULL, fd, &e), 0);
        assert_int_equal(secret_create(h->manager, "default", "key", NULL, fd, &e),
                         CTR_ALREADY_EXISTS);
        error_clear(&e);
        assert_int_equal(harness_count(h, "state/secrets"), 1);
        assert_int_equal(container_create(h->manager, &request, &c, &e), 0);
        assert_int_equal(container_read_spec(c, &document, &e), 0);
        assert_non_null(strstr(document, SECRETS_TARGET));
        assert_null(strstr(document, "abc"));
        assert_int_equal(secret_remove(h->manager, "default", "key", &e), CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(error_text(&e), "web"));
        error_clear(&e);
        assert_true(asprintf(&path, "%s/secrets/4711", h->state_dir) > 0);
        assert_int_equal(symlink("/etc/passwd", path), 0);
        harness_restart(h);
        assert_int_equal(harness_count(h, "state/secrets"), 1);
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
        assert_int_equal(container_delete(c, 0, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
        assert_int_equal(secret_remove(h->manager, "default", "key", &e), 0);
        assert_int_equal(secret_remove(h->manager, "default", "key", &e), CTR_NOT_FOUND);
        error_clear(&e);
        assert_int_equal(harness_count(h, "state/secrets"), 0);
}

static void test_labels(void **state) {
        _cleanup_json_ json_t *any = json_pack("{ss}", "a", ""),
                              *other = json_pack("{ss}", "a", "2");
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;
        Container *c;

        (void) harness_image(h);
        c = harness_container(h, "web");
        assert_false(container_matches_labels(c, any));
        assert_int_equal(container_set_labels(c, json_pack("{ss}", "a", "1"), &e), 0);
        assert_true(container_matches_labels(c, any));
        assert_false(container_matches_labels(c, other));
        harness_restart(h);
        assert_int_equal(container_find(h->manager, "default", "web", &c, &e), 0);
        assert_true(container_matches_labels(c, any));
}

static void test_namespaces(void **state) {
        _cleanup_json_ json_t *labels = json_pack("{ss}", "k", "v"), *list = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Harness *h = *state;

        assert_int_equal(manager_namespace_create(h->manager, "other", labels, &e), 0);
        assert_int_equal(manager_namespace_create(h->manager, "other", labels, &e),
                         CTR_ALREADY_EXISTS);
        error_clear(&e);
        (void) harness_image(h);
        assert_int_equal(manager_namespace_delete(h->manager, "default", &e),
                         CTR_FAILED_PRECONDITION);
        assert_non_null(strstr(e.text, "images"));
        error_clear(&e);
        assert_int_equal(manager_namespace_list(h->manager, &list, &e), 0);
        assert_int_equal(json_object_size(list), 2);
        assert_int_equal(manager_namespace_delete(h->manager, "other", &e), 0);
        assert_int_equal(manager_namespace_delete(h->manager, "other", &e), CTR_NOT_FOUND);
}

int main(void) {
#define CASE(f) cmocka_unit_test_setup_teardown(f, harness_setup, harness_teardown)
        const struct CMUnitTest tests[] = {
                        CASE(test_pull),
                        CASE(test_pull_failures),
                        CASE(test_pull_cancel),
                        CASE(test_pull_bad_result),
                        CASE(test_delete_during_pull),
                        CASE(test_pull_again),
                        CASE(test_pull_worker_remains),
                        CASE(test_pull_worker_remains_at_end),
                        CASE(test_pull_missing_policy),
                        CASE(test_create_and_delete),
                        CASE(test_recover_store),
                        CASE(test_two_deletes),
                        CASE(test_delete_at_end),
                        CASE(test_bad_requests),
                        CASE(test_create_fails_late),
                        CASE(test_image_removed_below_container),
                        CASE(test_spec),
                        CASE(test_spec_defaults),
                        CASE(test_overlay_source),
                        CASE(test_spec_mounts),
                        CASE(test_spec_seccomp),
                        CASE(test_secrets),
                        CASE(test_labels),
                        CASE(test_volatile),
                        CASE(test_namespaces),
        };
#undef CASE

        return cmocka_run_group_tests(tests, NULL, NULL);
}
