/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "harness.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/log.h"

#define TIME_LIMIT_USEC (60 * USEC_PER_SEC)

static unsigned n_replies;

/* The bus driver */

static int driver_get_user(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;
        const char *name;

        h->n_driver_calls++;
        assert_true(sd_bus_message_read(m, "s", &name) > 0);
        if (streq(name, LOST_CALLER))
                return sd_bus_error_set(error, SD_BUS_ERROR_NAME_HAS_NO_OWNER, "It has left");
        return sd_bus_reply_method_return(m, "u", streq(name, ROOT_CALLER) ? 0U : 1000U);
}

/* Those that are there from the beginning and have not left. */
static int driver_list_names(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;

        h->n_lists++;
        return sd_bus_reply_method_return(m, "as", 3, "org.freedesktop.DBus", ROOT_CALLER,
                                          USER_CALLER);
}

static int driver_hello(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, "s", ":1.0");
}

/* Everything that the service matches is sent to it anyway. */
static int driver_match(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        return sd_bus_reply_method_return(m, NULL);
}

static int driver_request_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;

        h->n_requests++;
        return sd_bus_reply_method_return(m, "u", h->name_is_taken ? 3U : 1U);
}

static int driver_release_name(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;

        h->n_releases++;
        if (h->on_release)
                h->on_release(h);
        return sd_bus_reply_method_return(m, "u", 1U);
}

static const sd_bus_vtable driver_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_METHOD("Hello", NULL, "s", driver_hello, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("AddMatch", "s", NULL, driver_match, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("RemoveMatch", "s", NULL, driver_match, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("RequestName", "su", "u", driver_request_name,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("ReleaseName", "s", "u", driver_release_name,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("ListNames", NULL, "as", driver_list_names,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("GetConnectionUnixUser", "s", "u", driver_get_user,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};

/* polkit */

static void reply_decision(sd_bus_message *m, bool authorized, bool challenge) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *reply = NULL;

        assert_true(sd_bus_message_new_method_return(m, &reply) >= 0);
        assert_true(sd_bus_message_append(reply, "(bba{ss})", authorized, challenge, 0) >= 0);
        assert_true(sd_bus_message_send(reply) >= 0);
}

static void read_details(sd_bus_message *m, Question *q) {
        const char *key, *value;

        assert_true(sd_bus_message_enter_container(m, 'a', "{ss}") > 0);
        while (sd_bus_message_read(m, "{ss}", &key, &value) > 0) {
                char **field = streq(key, "namespace")   ? &q->namespace
                               : streq(key, "container") ? &q->container
                               : streq(key, "image")     ? &q->image
                                                         : NULL;

                assert_non_null(field);
                assert_null(*field);
                *field = strdup(value);
        }
        assert_true(sd_bus_message_exit_container(m) >= 0);
}

static int polkit_check_authorization(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *kind, *key, *subject, *action, *cancellation;
        Harness *h = userdata;
        Question *q;

        if (h->polkit == POLKIT_MISSING)
                return sd_bus_error_set(error, SD_BUS_ERROR_SERVICE_UNKNOWN, "There is no polkit");

        assert_true(h->n_questions < QUESTIONS_MAX);
        q = &h->questions[h->n_questions++];
        assert_true(sd_bus_message_read(m, "(sa{sv})s", &kind, 1, &key, "s", &subject, &action) >
                    0);
        assert_string_equal(kind, "system-bus-name");
        assert_string_equal(key, "name");
        read_details(m, q);
        assert_true(sd_bus_message_read(m, "us", &q->flags, &cancellation) > 0);
        q->subject = strdup(subject);
        q->action = strdup(action);
        q->cancellation = strdup(cancellation);

        if (h->polkit == POLKIT_HOLDS)
                q->message = sd_bus_message_ref(m);
        else
                reply_decision(m, h->polkit == POLKIT_GRANTS, h->polkit == POLKIT_CHALLENGES);
        return 1;
}

static int polkit_cancel_check(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        const char *cancellation;
        Harness *h = userdata;

        assert_true(sd_bus_message_read(m, "s", &cancellation) > 0);
        for (size_t i = 0; i < h->n_questions; i++)
                if (streq(h->questions[i].cancellation, cancellation)) {
                        h->n_canceled++;
                        return sd_bus_reply_method_return(m, NULL);
                }
        fail_msg("canceled what was never asked: %s", cancellation);
        return -EINVAL;
}

static const sd_bus_vtable polkit_vtable[] = {
                SD_BUS_VTABLE_START(0),
                SD_BUS_METHOD("CheckAuthorization", "(sa{sv})sa{ss}us", "(bba{ss})",
                              polkit_check_authorization, SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_METHOD("CancelCheckAuthorization", "s", NULL, polkit_cancel_check,
                              SD_BUS_VTABLE_UNPRIVILEGED),
                SD_BUS_VTABLE_END,
};

void harness_polkit_answer(Harness *h, size_t i, bool authorized, bool challenge) {
        assert_true(i < h->n_questions);
        assert_non_null(h->questions[i].message);
        reply_decision(h->questions[i].message, authorized, challenge);
        h->questions[i].message = sd_bus_message_unref(h->questions[i].message);
}

static int on_signal(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Harness *h = userdata;

        if (!sd_bus_message_is_signal(m, NULL, NULL))
                return 0;
        assert_true(h->n_signals < SIGNALS_MAX);
        h->signals[h->n_signals++] = sd_bus_message_ref(m);
        return 0;
}

static void connect_ends(Harness *h) {
        sd_id128_t id;
        int fds[2];

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, fds),
                         0);
        assert_int_equal(sd_id128_randomize(&id), 0);

        /* a bus client, so that the service behaves as on a bus; the test is the bus */
        assert_true(sd_bus_new(&h->bus) >= 0);
        assert_true(sd_bus_set_fd(h->bus, fds[0], fds[0]) >= 0);
        assert_true(sd_bus_set_bus_client(h->bus, true) >= 0);
        assert_true(sd_bus_start(h->bus) >= 0);
        assert_true(sd_bus_attach_event(h->bus, h->event, SD_EVENT_PRIORITY_NORMAL) >= 0);

        assert_true(sd_bus_new(&h->driver) >= 0);
        assert_true(sd_bus_set_fd(h->driver, fds[1], fds[1]) >= 0);
        assert_true(sd_bus_set_server(h->driver, true, id) >= 0);
        assert_true(sd_bus_set_anonymous(h->driver, true) >= 0);
        assert_true(sd_bus_start(h->driver) >= 0);
        assert_true(sd_bus_attach_event(h->driver, h->event, SD_EVENT_PRIORITY_NORMAL) >= 0);

        assert_true(sd_bus_add_filter(h->driver, NULL, on_signal, h) >= 0);
        assert_true(sd_bus_add_object_vtable(h->driver, NULL, "/org/freedesktop/DBus",
                                             "org.freedesktop.DBus", driver_vtable, h) >= 0);
        assert_true(sd_bus_add_object_vtable(h->driver, NULL,
                                             "/org/freedesktop/PolicyKit1/Authority",
                                             "org.freedesktop.PolicyKit1.Authority", polkit_vtable,
                                             h) >= 0);
}

static bool is_ready(Harness *h, void *userdata) {
        return sd_bus_is_ready(h->bus) > 0;
}

int harness_setup(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        char program[80];
        Harness *h;

        if (geteuid() != 0)
                skip();        /* the supervisor's program is mounted */
        log_set_max_level(-1); /* what fails on purpose is not to be read */
        n_replies = 0;
        h = calloc(1, sizeof(Harness));
        assert_non_null(h);
        strcpy(h->directory, "/tmp/test-bus-XXXXXX");
        assert_non_null(mkdtemp(h->directory));
        assert_true(sd_event_new(&h->event) >= 0);
        connect_ends(h);

        /* no task is made here, but the core wants its program */
        (void) snprintf(program, sizeof(program), "%s/ctr-supervisor", h->directory);
        assert_int_equal(fd_close(open(program, O_CREAT | O_WRONLY | O_CLOEXEC, 0700)), -1);

        harness_run_until(h, is_ready, NULL);
        assert_int_equal(systemd_new(h->bus, &h->systemd, &e), 0);
        assert_int_equal(manager_new(h->event, h->systemd,
                                     &(ManagerParameters){
                                                     .state_dir = h->directory,
                                                     .runtime_dir = h->directory,
                                                     .libexec_dir = h->directory,
                                     },
                                     &h->manager, &e),
                         0);
        assert_int_equal(service_new(h->bus, h->manager, &h->service, &e), 0);
        assert_int_equal(service_publish(h->service, &e), 0);
        *state = h;
        return 0;
}

int harness_teardown(void **state) {
        Harness *h = *state;

        service_detach(h->service);
        manager_free(h->manager);
        service_free(h->service);
        systemd_free(h->systemd);
        sd_bus_close_unref(h->bus);
        for (size_t i = 0; i < h->n_questions; i++) {
                Question *q = &h->questions[i];

                free(q->subject);
                free(q->action);
                free(q->namespace);
                free(q->container);
                free(q->image);
                free(q->cancellation);
                sd_bus_message_unref(q->message);
        }
        for (size_t i = 0; i < h->n_signals; i++)
                sd_bus_message_unref(h->signals[i]);
        sd_bus_close_unref(h->driver);
        sd_event_unref(h->event);
        assert_int_equal(tree_remove_at(AT_FDCWD, h->directory), 0);
        free(h);
        return 0;
}

sd_bus_message *harness_call_new(Harness *h, const char *sender, const char *path,
                                 const char *interface, const char *member) {
        sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_method_call(h->driver, &m, "org.example.Ctr", path,
                                                   interface, member) >= 0);
        assert_true(sd_bus_message_set_sender(m, sender) >= 0);
        return m;
}

static int on_reply(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        Call *call = userdata;

        call->reply = sd_bus_message_ref(m);
        call->order = ++n_replies;
        return 0;
}

void harness_send(Harness *h, sd_bus_message *m, Call *call) {
        *call = (Call){};
        assert_true(sd_bus_call_async(h->driver, &call->slot, m, on_reply, call, TIME_LIMIT_USEC) >=
                    0);
        sd_bus_message_unref(m);
}

void harness_call_done(Call *call) {
        sd_bus_slot_unref(call->slot);
        sd_bus_message_unref(call->reply);
        *call = (Call){};
}

void harness_run_until(Harness *h, bool (*done)(Harness *h, void *userdata), void *userdata) {
        uint64_t until = now_monotonic() + TIME_LIMIT_USEC;

        while (!done(h, userdata)) {
                assert_true(now_monotonic() < until);
                assert_true(sd_event_run(h->event, USEC_PER_SEC) >= 0);
        }
}

static bool has_reply(Harness *h, void *userdata) {
        const Call *call = userdata;

        return call->reply;
}

void harness_wait(Harness *h, Call *call) {
        harness_run_until(h, has_reply, call);
}

/* A call through both ends and back is the proof that everything before it is done. */
void harness_settle(Harness *h) {
        for (int i = 0; i < 3; i++) {
                sd_bus_message *m = NULL;
                Call call;

                assert_true(sd_bus_message_new_method_call(h->driver, &m, "org.example.Ctr", "/",
                                                           "org.freedesktop.DBus.Peer",
                                                           "Ping") >= 0);
                harness_send(h, m, &call);
                harness_wait(h, &call);
                harness_call_done(&call);
                while (sd_event_run(h->event, 0) > 0)
                        ;
        }
}

void harness_leave(Harness *h, const char *sender) {
        _cleanup_(sd_bus_message_unrefp) sd_bus_message *m = NULL;

        assert_true(sd_bus_message_new_signal(h->driver, &m, "/org/freedesktop/DBus",
                                              "org.freedesktop.DBus", "NameOwnerChanged") >= 0);
        assert_true(sd_bus_message_append(m, "sss", sender, sender, "") >= 0);
        assert_true(sd_bus_message_set_sender(m, "org.freedesktop.DBus") >= 0);
        assert_true(sd_bus_send(h->driver, m, NULL) >= 0);
        harness_settle(h);
}

void harness_assert_error(const Call *call, const char *name) {
        const sd_bus_error *error;

        assert_non_null(call->reply);
        error = sd_bus_message_get_error(call->reply);
        assert_non_null(error);
        assert_string_equal(error->name, name);
        assert_true(strlen(error->message) > 10); /* a sentence */
}

void harness_assert_success(const Call *call) {
        const sd_bus_error *error;

        assert_non_null(call->reply);
        error = sd_bus_message_get_error(call->reply);
        if (error)
                fail_msg("%s: %s", error->name, error->message);
}

/* Objects */

static void link_object(Harness *h, Object *o, ObjectType type, const char *namespace,
                        const char *name) {
        assert_int_equal(object_init(o, h->manager, type, namespace, name), 0);
}

Image *harness_image(Harness *h, const char *namespace, const char *name) {
        Image *i = calloc(1, sizeof(Image));

        link_object(h, &i->object, OBJECT_IMAGE, namespace, name);
        i->digest = strdup("sha256:1234");
        i->media_type = strdup("application/vnd.oci.image.index.v1+json");
        i->size = 42;
        i->unpacked = true;
        i->labels = json_pack("{ss}", "maintainer", "somebody");
        i->created_at = 1;
        i->updated_at = 2;
        assert_int_equal(object_link(&i->object), 0);
        return i;
}

Container *harness_container(Harness *h, const char *namespace, const char *id, const char *image) {
        Container *c = calloc(1, sizeof(Container));

        link_object(h, &c->object, OBJECT_CONTAINER, namespace, id);
        c->image = strdup(image);
        c->runtime = strdup("io.containerd.runc.v2");
        c->snapshotter = strdup("overlayfs");
        c->snapshot_key = strdup(id);
        c->labels = json_pack("{ss,ss}", "tier", "web", "empty", "");
        c->created_at = 3;
        c->updated_at = 4;
        assert_int_equal(object_link(&c->object), 0);
        return c;
}

Task *harness_task(Harness *h, Container *c) {
        Task *t = calloc(1, sizeof(Task));

        link_object(h, &t->process.object, OBJECT_TASK, c->object.namespace, c->object.name);
        t->container = c;
        t->dir_fd = -1;
        t->process.status = TASK_CREATED;
        t->unit = strdup("ctr-test.scope");
        t->runtime = strdup(c->runtime);
        t->process.pid = 4711;
        t->process.run = 5;
        c->task = t;
        assert_int_equal(object_link(&t->process.object), 0);
        return t;
}

Exec *harness_exec(Harness *h, Task *t, const char *id) {
        _cleanup_free_ char *name = NULL;
        Exec *x = calloc(1, sizeof(Exec));

        assert_true(asprintf(&name, "%s/%s", t->process.object.name, id) > 0);
        link_object(h, &x->process.object, OBJECT_EXEC, t->process.object.namespace, name);
        x->id = strdup(id);
        x->task = t;
        x->task_next = t->execs;
        t->execs = x;
        t->n_execs++;
        x->process.status = TASK_RUNNING;
        x->process.pid = 4712;
        x->process.streams[STDOUT_FILENO] = strdup("attach");
        assert_int_equal(object_link(&x->process.object), 0);
        return x;
}

Job *harness_job(Harness *h, uint64_t id, const char *namespace) {
        Job *j = calloc(1, sizeof(Job));
        char name[24];

        (void) snprintf(name, sizeof(name), "%" PRIu64, id);
        link_object(h, &j->object, OBJECT_JOB, "", name);
        j->id = id;
        j->type = &job_pull_type;
        j->namespace = strdup(namespace);
        j->description = strdup("docker.io/library/busybox:latest");
        j->phase = strdup("download");
        j->progress = json_pack("[{ss,ss,si,si}]", "ref", "layer-sha256:1", "phase", "download",
                                "offset", 10, "total", 100);
        j->outcome = json_object();
        j->started_at = 6;
        j->pidfd = j->socket_fd = -1;
        assert_int_equal(object_link(&j->object), 0);
        return j;
}
