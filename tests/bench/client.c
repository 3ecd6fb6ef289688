/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Starts tasks over D-Bus on one connection that stays, and says how long each call took.
 *
 *   bench-client [--count=N] [--window=W] [--prefix=ID] [--keep|--delete] IMAGE COMMAND...
 *
 * Each task goes through CreateContainer, CreateTask, Start and, when all have started, Delete of
 * its container by force, which ends it. At most W tasks are on their way at once: with a window of
 * 1 they come one after another, and nothing but the calls themselves is measured. With --keep they
 * are left; with --delete those that an earlier call left are deleted, and none is made. The result
 * is one JSON object on standard output: the time from the first call to the last Start's answer,
 * the same for the deletions, and the times of the single calls, all in microseconds.
 *
 * Invariant: every time is taken between sending a call and reading its answer; a call that fails
 * ends the program, so that no failure is measured.
 */

#include <getopt.h>
#include <systemd/sd-bus.h>

#include "basic/clock.h"

#define SERVICE   "org.example.Ctr"
#define COUNT_MAX 100000U

typedef enum Step {
        STEP_CREATE_CONTAINER,
        STEP_CREATE_TASK,
        STEP_START,
        STEP_DELETE,
        _STEP_MAX,
} Step;

static const char *const step_names[_STEP_MAX] = {"create_container", "create_task", "start",
                                                  "delete"};

typedef struct Bench Bench;

typedef struct Task {
        Bench *bench;
        char *id, *container_path, *task_path;
        Step step;
        uint64_t sent_at;
        uint64_t usec[_STEP_MAX];
} Task;

struct Bench {
        sd_bus *bus;
        const char *image;
        char **command;
        Task *tasks;
        size_t count, window;
        size_t begun, finished; /* of the phase that runs */
        Step phase_end;         /* the step after which a task is finished */
};

_Noreturn static void fail(const char *what, int r) {
        (void) fprintf(stderr, "bench-client: %s: %s\n", what, strerror(-r));
        exit(EXIT_FAILURE);
}

static int message_new(const Task *t, sd_bus_message **ret) {
        sd_bus *bus = t->bench->bus;

        switch (t->step) {
        case STEP_CREATE_CONTAINER:
                return sd_bus_message_new_method_call(bus, ret, SERVICE, "/org/example/Ctr",
                                                      SERVICE ".Manager", "CreateContainer");
        case STEP_CREATE_TASK:
                return sd_bus_message_new_method_call(bus, ret, SERVICE, t->container_path,
                                                      SERVICE ".Container", "CreateTask");
        case STEP_START:
                return sd_bus_message_new_method_call(bus, ret, SERVICE, t->task_path,
                                                      SERVICE ".Process", "Start");
        default:
                return sd_bus_message_new_method_call(bus, ret, SERVICE, t->container_path,
                                                      SERVICE ".Container", "Delete");
        }
}

static int append_command(sd_bus_message *m, char **command) {
        int r;

        r = sd_bus_message_open_container(m, 'a', "{sv}");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'e', "sv");
        if (r >= 0)
                r = sd_bus_message_append(m, "s", "Command");
        if (r >= 0)
                r = sd_bus_message_open_container(m, 'v', "as");
        if (r >= 0)
                r = sd_bus_message_append_strv(m, command);
        for (int i = 0; r >= 0 && i < 3; i++)
                r = sd_bus_message_close_container(m);
        return r;
}

static int append_arguments(const Task *t, sd_bus_message *m) {
        int r;

        switch (t->step) {
        case STEP_CREATE_CONTAINER:
                r = sd_bus_message_append(m, "ss", t->id, t->bench->image);
                return r < 0 ? r : append_command(m, t->bench->command);
        case STEP_CREATE_TASK:
                return sd_bus_message_append(m, "a{sv}", 2, "Stdout", "s", "null", "Stderr", "s",
                                             "null");
        case STEP_DELETE:
                return sd_bus_message_append(m, "a{sv}", 1, "Force", "b", true);
        default:
                return sd_bus_message_append(m, "a{sv}", 0);
        }
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error);

static void task_step(Task *t, Step step) {
        sd_bus_message *m = NULL;
        int r;

        t->step = step;
        r = message_new(t, &m);
        if (r >= 0)
                r = append_arguments(t, m);
        if (r >= 0) {
                t->sent_at = now_monotonic();
                r = sd_bus_call_async(t->bench->bus, NULL, m, on_reply, t, UINT64_MAX);
        }
        sd_bus_message_unref(m);
        if (r < 0)
                fail(step_names[step], r);
}

/* Keeps the window full. */
static void bench_begin(Bench *b, Step first) {
        while (b->begun < b->count && b->begun - b->finished < b->window)
                task_step(b->tasks + b->begun++, first);
}

static int on_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Task *t = userdata;
        Bench *b = t->bench;

        t->usec[t->step] = now_monotonic() - t->sent_at;
        if (sd_bus_message_is_method_error(reply, NULL)) {
                (void) fprintf(stderr, "bench-client: %s of %s: %s\n", step_names[t->step], t->id,
                               sd_bus_message_get_error(reply)->message);
                exit(EXIT_FAILURE);
        }
        if (t->step < b->phase_end) {
                task_step(t, t->step + 1);
                return 0;
        }
        b->finished++;
        bench_begin(b, b->phase_end == STEP_DELETE ? STEP_DELETE : STEP_CREATE_CONTAINER);
        return 0;
}

/* Takes all tasks from one step to another, and returns the time that took. */
static uint64_t bench_run(Bench *b, Step first, Step last) {
        uint64_t started = now_monotonic();
        int r;

        b->begun = b->finished = 0;
        b->phase_end = last;
        bench_begin(b, first);
        while (b->finished < b->count) {
                r = sd_bus_process(b->bus, NULL);
                if (r < 0)
                        fail("sd_bus_process", r);
                if (r > 0)
                        continue;
                r = sd_bus_wait(b->bus, UINT64_MAX);
                if (r < 0)
                        fail("sd_bus_wait", r);
        }
        return now_monotonic() - started;
}

static void tasks_make(Bench *b, const char *prefix) {
        b->tasks = calloc(b->count, sizeof(Task));
        if (!b->tasks)
                fail("tasks", -ENOMEM);
        for (size_t i = 0; i < b->count; i++) {
                Task *t = b->tasks + i;

                t->bench = b;
                if (asprintf(&t->id, "%s%zu", prefix, i) < 0 ||
                    sd_bus_path_encode_many(&t->container_path,
                                            "/org/example/Ctr/container/default/%", t->id) < 0 ||
                    sd_bus_path_encode_many(&t->task_path, "/org/example/Ctr/task/default/%",
                                            t->id) < 0)
                        fail("tasks", -ENOMEM);
        }
}

static void tasks_free(Bench *b) {
        for (size_t i = 0; i < b->count; i++) {
                free(b->tasks[i].id);
                free(b->tasks[i].container_path);
                free(b->tasks[i].task_path);
        }
        free(b->tasks);
}

static void print_steps(const Bench *b, Step last) {
        for (Step step = 0; step <= last; step++) {
                (void) printf(", \"%s\": [", step_names[step]);
                for (size_t i = 0; i < b->count; i++)
                        (void) printf("%s%llu", i > 0 ? ", " : "",
                                      (unsigned long long) b->tasks[i].usec[step]);
                (void) printf("]");
        }
        (void) printf("}\n");
}

static size_t parse_count(const char *s) {
        char *end;
        unsigned long n = strtoul(s, &end, 10);

        if (*end || n == 0 || n > COUNT_MAX)
                fail(s, -EINVAL);
        return n;
}

int main(int argc, char *argv[]) {
        static const struct option options[] = {
                        {"count", required_argument, NULL, 'c'},
                        {"window", required_argument, NULL, 'w'},
                        {"prefix", required_argument, NULL, 'p'},
                        {"keep", no_argument, NULL, 'k'},
                        {"delete", no_argument, NULL, 'd'},
                        {},
        };
        Bench b = {.count = 1, .window = 1};
        const char *prefix = "bench";
        uint64_t usec = 0, delete_usec = 0;
        bool keep = false, only_delete = false;
        int c, r;

        while ((c = getopt_long(argc, argv, "+", options, NULL)) >= 0)
                switch (c) {
                case 'c':
                        b.count = parse_count(optarg);
                        break;
                case 'w':
                        b.window = parse_count(optarg);
                        break;
                case 'p':
                        prefix = optarg;
                        break;
                case 'k':
                        keep = true;
                        break;
                case 'd':
                        only_delete = true;
                        break;
                default:
                        return EXIT_FAILURE;
                }
        if (argc - optind < 2)
                fail("expected IMAGE COMMAND...", -EINVAL);
        b.image = argv[optind];
        b.command = argv + optind + 1;

        r = sd_bus_open_system(&b.bus);
        if (r < 0)
                fail("system bus", r);
        tasks_make(&b, prefix);
        if (!only_delete)
                usec = bench_run(&b, STEP_CREATE_CONTAINER, STEP_START);
        if (!keep)
                delete_usec = bench_run(&b, STEP_DELETE, STEP_DELETE);

        (void) printf("{\"usec\": %llu, \"delete_usec\": %llu", (unsigned long long) usec,
                      (unsigned long long) delete_usec);
        print_steps(&b, keep ? STEP_START : STEP_DELETE);
        tasks_free(&b);
        sd_bus_flush_close_unref(b.bus);
        return EXIT_SUCCESS;
}
