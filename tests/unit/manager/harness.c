/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "harness.h"

#include <dirent.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/strv.h"
#include "manager/sweeper.h"

#define SYSTEMD_NAME "org.freedesktop.systemd1"
#define SYSTEMD_PATH "/org/freedesktop/systemd1"

static int send_signal(Harness *h, const char *member, const char *types, ...) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;
        va_list ap;
        int r;

        assert_true(sd_bus_message_new_signal(h->server, &m, SYSTEMD_PATH, SYSTEMD_NAME ".Manager",
                                              member) >= 0);
        va_start(ap, types);
        r = sd_bus_message_appendv(m, types, ap);
        va_end(ap);
        assert_true(r >= 0);
        /* the matches of the core ask for systemd as the sender */
        assert_true(sd_bus_message_set_sender(m, SYSTEMD_NAME) >= 0);
        return sd_bus_send(h->server, m, NULL);
}

void harness_signal_reloading(Harness *h, int active) {
        assert_true(send_signal(h, "Reloading", "b", active) >= 0);
}

void harness_signal_unit_removed(Harness *h, const char *unit) {
        assert_true(send_signal(h, "UnitRemoved", "so", unit, "/org/freedesktop/unit/x") >= 0);
}

static int method_start_transient(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;
        const char *unit, *mode;
        char job[64];
        int r;

        assert_true(sd_bus_message_read(m, "ss", &unit, &mode) >= 0);
        assert_string_equal(mode, "fail");
        h->n_starts++;
        (void) snprintf(h->last_unit, sizeof(h->last_unit), "%s", unit);
        sd_bus_message_unref(h->last_start);
        h->last_start = sd_bus_message_ref(m);
        if (h->start_error) {
                r = sd_bus_error_setf(error, h->start_error, "refused by the test");
                if (h->next_start_error)
                        h->start_error = h->next_start_error;
                return r;
        }
        (void) snprintf(job, sizeof(job), "/org/freedesktop/systemd1/job/%u", h->n_starts);
        r = sd_bus_reply_method_return(m, "o", job);
        if (r < 0)
                return r;
        return send_signal(h, "JobRemoved", "uoss", h->n_starts, job, unit, h->job_result);
}

static int method_list_units(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;
        Harness *h = userdata;

        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_open_container(reply, 'a', "(ssssssouso)") >= 0);
        h->n_lists++;
        STRV_FOREACH(unit, h->active_scopes)
                assert_true(sd_bus_message_append(reply, "(ssssssouso)", *unit, "", "loaded",
                                                  h->n_lists > h->n_inactive_lists ? "active"
                                                                                   : "inactive",
                                                  "", "", "/x", 0, "", "/") >= 0);
        assert_true(sd_bus_message_close_container(reply) >= 0);
        return sd_bus_send(NULL, reply, NULL);
}

static int method_kill_unit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ((Harness *) userdata)->n_kills++;
        return sd_bus_reply_method_return(m, NULL);
}

static int method_stop_unit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;
        const char *unit;
        int r;

        assert_true(sd_bus_message_read(m, "s", &unit) >= 0);
        h->n_stops++;
        r = sd_bus_reply_method_return(m, "o", "/org/freedesktop/systemd1/job/0");
        if (h->stop_frees_name) {
                h->start_error = NULL;
                harness_signal_unit_removed(h, unit);
        }
        return r;
}

static int method_reset_failed(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        ((Harness *) userdata)->n_resets++;
        return sd_bus_reply_method_return(m, NULL);
}

static int method_subscribe(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static int get_system_state(sd_bus *bus, const char *path, const char *interface,
                            const char *property, sd_bus_message *reply, void *userdata,
                            sd_bus_error *error) {
        return sd_bus_message_append(reply, "s", ((Harness *) userdata)->system_state);
}

static const sd_bus_vtable fake_systemd[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_PROPERTY("SystemState", "s", get_system_state, 0, 0),
                SD_BUS_METHOD("Subscribe", "", "", method_subscribe, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("StartTransientUnit", "ssa(sv)a(sa(sv))", "o", method_start_transient,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("ListUnitsByPatterns", "asas", "a(ssssssouso)", method_list_units,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("KillUnit", "ssi", "", method_kill_unit, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("StopUnit", "ss", "o", method_stop_unit, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("ResetFailedUnit", "s", "", method_reset_failed,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};

static void bus_pair(Harness *h) {
        int pair[2];
        sd_id128_t id;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_true(sd_id128_randomize(&id) >= 0);
        assert_true(sd_bus_new(&h->server) >= 0);
        assert_true(sd_bus_set_fd(h->server, pair[0], pair[0]) >= 0);
        assert_true(sd_bus_set_server(h->server, 1, id) >= 0);
        assert_true(sd_bus_set_anonymous(h->server, 1) >= 0);
        assert_true(sd_bus_set_trusted(h->server, 1) >= 0);
        assert_true(sd_bus_start(h->server) >= 0);
        assert_true(sd_bus_add_object_vtable(h->server, NULL, SYSTEMD_PATH, SYSTEMD_NAME ".Manager",
                                             fake_systemd, h) >= 0);
        assert_true(sd_bus_attach_event(h->server, h->event, 0) >= 0);

        assert_true(sd_bus_new(&h->client) >= 0);
        assert_true(sd_bus_set_fd(h->client, pair[1], pair[1]) >= 0);
        assert_true(sd_bus_set_anonymous(h->client, 1) >= 0);
        assert_true(sd_bus_set_trusted(h->client, 1) >= 0);
        assert_true(sd_bus_start(h->client) >= 0);
        assert_true(sd_bus_attach_event(h->client, h->event, 0) >= 0);
}

static void note(Harness *h, Object *o, char what) {
        size_t n = strlen(h->seen);

        if (n + 3 < sizeof(h->seen)) {
                h->seen[n] = "ictej"[o->type];
                h->seen[n + 1] = what;
                h->seen[n + 2] = '\0';
        }
}

static void on_added(Object *o, void *userdata) {
        note(userdata, o, '+');
}

static void on_changed(Object *o, void *userdata) {
        note(userdata, o, '~');
}

static void on_removed(Object *o, void *userdata) {
        note(userdata, o, '-');
}

static void on_exited(Process *p, void *userdata) {
        note(userdata, &p->object, 'x');
}

static const ManagerObserver observer = {
                .object_added = on_added,
                .object_changed = on_changed,
                .object_removed = on_removed,
                .process_exited = on_exited,
};

void answer_callback(Object *o, int r, const Error *e, void *userdata) {
        Answer *a = userdata;

        assert_false(a->done);
        a->done = true;
        a->r = r;
        if (e && r != 0)
                error_setf(&a->error, r, "%s", error_text(e));
        if (o && (o->type == OBJECT_TASK || o->type == OBJECT_EXEC)) {
                a->status = PROCESS(o)->status;
                a->exit_status = PROCESS(o)->exit_status;
                a->exit_known = PROCESS(o)->exit_known;
        }
}

void harness_wait(Harness *h, const bool *done) {
        uint64_t start = 0, now;

        assert_true(sd_event_now(h->event, CLOCK_MONOTONIC, &start) >= 0);
        while (!*done) {
                assert_true(sd_event_run(h->event, USEC_PER_SEC) >= 0);
                assert_true(sd_event_now(h->event, CLOCK_MONOTONIC, &now) >= 0);
                assert_true(now - start < 60 * USEC_PER_SEC);
        }
}

void harness_settle(Harness *h) {
        uint64_t start = 0, now = 0;

        assert_true(sd_event_now(h->event, CLOCK_MONOTONIC, &start) >= 0);
        /* the sweeper takes its time before it begins */
        while (sd_event_run(h->event, 20 * USEC_PER_MSEC) > 0 ||
               (h->manager && sweeper_is_busy(h->manager->sweeper))) {
                assert_true(sd_event_now(h->event, CLOCK_MONOTONIC, &now) >= 0);
                assert_true(now - start < 60 * USEC_PER_SEC);
        }
}

void harness_start(Harness *h) {
        ManagerParameters p = {
                        .state_dir = h->state_dir,
                        .runtime_dir = h->runtime_dir,
                        .libexec_dir = getenv("CTR_TEST_LIBEXEC_DIR"),
                        .boot_id = h->boot_id,
                        .transient_dir = h->transient_dir,
                        .restart_times = h->restart_times,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        char etc_dir[sizeof(h->dir) + 4];
        Answer a = {};

        (void) snprintf(etc_dir, sizeof(etc_dir), "%s/etc", h->dir);
        p.etc_dir = etc_dir;
        assert_non_null(p.libexec_dir);
        bus_pair(h);
        assert_int_equal(systemd_new(h->client, &h->systemd, &e), 0);
        assert_int_equal(manager_new(h->event, h->systemd, &p, &h->manager, &e), 0);
        manager_set_observer(h->manager, &observer, h);
        assert_int_equal(manager_recover(h->manager, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        assert_int_equal(a.r, 0);
}

void harness_stop(Harness *h) {
        h->manager = manager_free(h->manager);
        h->systemd = systemd_free(h->systemd);
        h->last_start = sd_bus_message_unref(h->last_start);
        h->client = sd_bus_close_unref(h->client);
        h->server = sd_bus_close_unref(h->server);
}

void harness_restart(Harness *h) {
        harness_stop(h);
        harness_start(h);
}

int harness_setup(void **state) {
        Harness *h;

        if (geteuid() != 0)
                skip(); /* the supervisor's program is mounted */
        h = calloc(1, sizeof(Harness));
        assert_non_null(h);
        h->job_result = "done";
        h->system_state = "running";
        strcpy(h->dir, "/tmp/test-manager-XXXXXX");
        assert_non_null(mkdtemp(h->dir));
        assert_true(asprintf(&h->state_dir, "%s/state", h->dir) > 0);
        assert_true(asprintf(&h->runtime_dir, "%s/run", h->dir) > 0);
        assert_true(sd_event_new(&h->event) >= 0);
        unsetenv("FAKE_SUPERVISOR");
        unsetenv("FAKE_WORKER");
        harness_start(h);
        *state = h;
        return 0;
}

/* A double is its own init. */
static int kill_task(Object *o, void *userdata) {
        return TASK(o)->process.pid > 0 && kill(TASK(o)->process.pid, SIGKILL) < 0 &&
               errno != ESRCH;
}

int harness_teardown(void **state) {
        Harness *h = *state;

        assert_int_equal(object_foreach(h->manager, OBJECT_TASK, NULL, kill_task, NULL), 0);
        harness_stop(h);
        sd_event_unref(h->event);
        assert_int_equal(tree_remove_at(AT_FDCWD, h->dir), 0);
        strv_free(h->active_scopes);
        free(h->state_dir);
        free(h->runtime_dir);
        free(h);
        return 0;
}

Image *harness_image(Harness *h) {
        PullRequest request = {.namespace = "default", .reference = "localhost/test"};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};
        Image *i;
        Job *j;

        assert_int_equal(job_pull(h->manager, &request, &j, &e), 0);
        assert_int_equal(job_wait(j, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        if (a.r != 0)
                fail_msg("pull: %s", error_text(&a.error));
        assert_int_equal(image_find(h->manager, "default", "localhost/test", &i, &e), 0);
        return i;
}

Container *harness_container(Harness *h, const char *id) {
        char *command[] = {(char *) "/bin/true", NULL};
        ContainerRequest request = {
                        .namespace = (char *) "default",
                        .id = (char *) id,
                        .image = (char *) "localhost/test",
                        .command = command,
                        .command_set = true,
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c;

        if (container_create(h->manager, &request, &c, &e) != 0)
                fail_msg("create: %s", error_text(&e));
        return c;
}

Task *harness_task(Harness *h, const char *id) {
        Container *c = harness_container(h, id);
        TaskRequest request = {.streams = STREAMS_NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Answer a = {};

        assert_int_equal(task_create(c, &request, answer_callback, &a, &e), 0);
        harness_wait(h, &a.done);
        if (a.r != 0)
                fail_msg("task: %s", error_text(&a.error));
        assert_non_null(c->task);
        return c->task;
}

void harness_sql(sqlite3 *handle, const char *text) {
        char *error = NULL;

        if (sqlite3_exec(handle, text, NULL, NULL, &error) != SQLITE_OK)
                fail_msg("%s: %s", text, error);
}

size_t harness_count(Harness *h, const char *path) {
        _cleanup_closedir_ DIR *dir = NULL;
        _cleanup_free_ char *full = NULL;
        struct dirent *de;
        size_t n = 0;

        assert_true(asprintf(&full, "%s/%s", h->dir, path) > 0);
        dir = opendir(full);
        if (!dir)
                return 0;
        while ((de = readdir(dir)))
                if (!streq(de->d_name, ".") && !streq(de->d_name, ".."))
                        n++;
        return n;
}

uint64_t harness_unit_property(Harness *h, const char *name) {
        const char *property;
        uint64_t value = 0;
        sd_bus_message *m = h->last_start;
        bool found = false;

        assert_true(sd_bus_message_rewind(m, true) >= 0);
        assert_true(sd_bus_message_skip(m, "ss") >= 0);
        assert_true(sd_bus_message_enter_container(m, 'a', "(sv)") >= 0);
        while (!found && sd_bus_message_enter_container(m, 'r', "sv") > 0) {
                assert_true(sd_bus_message_read(m, "s", &property) >= 0);
                found = streq(property, name);
                if (found)
                        assert_true(sd_bus_message_read(m, "v", "t", &value) >= 0);
                else {
                        assert_true(sd_bus_message_skip(m, "v") >= 0);
                        assert_true(sd_bus_message_exit_container(m) >= 0);
                }
        }
        assert_true(found);
        return value;
}
