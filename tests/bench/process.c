/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * Times what happens to tasks that run already, over D-Bus on one connection that stays.
 *
 *   bench-process exec COUNT TASK COMMAND...   one exec after another: Exec, Wait, Start, Delete
 *   bench-process end COUNT PREFIX             the tasks PREFIX0, PREFIX1 ... are killed, one by
 * one bench-process pause COUNT TASK             Pause and Resume bench-process call COUNT METHOD
 * a method of the manager that lists something
 *
 * The result is one JSON object of arrays on standard output, all in microseconds: for each call
 * the time to its answer; "whole", from the first call of an exec to the answer of Wait; "latency",
 * from the moment at which the supervisor saw the exit (exited_at) to that answer.
 *
 * Invariant: as in client.c, an answer that is an error ends the program.
 */

#include <stdarg.h>
#include <systemd/sd-bus.h>

#include "basic/clock.h"

#define SERVICE   "org.example.Ctr"
#define MANAGER   "/org/example/Ctr"
#define COUNT_MAX 100000U

typedef struct Series {
        const char *name;
        uint64_t *usec;
        size_t n;
} Series;

typedef struct Waiter {
        bool done;
        uint64_t at, latency;
} Waiter;

static sd_bus *bus;

_Noreturn static void fail(const char *what, const char *why) {
        (void) fprintf(stderr, "bench-process: %s: %s\n", what, why);
        exit(EXIT_FAILURE);
}

static void check(int r, const char *what) {
        if (r < 0)
                fail(what, strerror(-r));
}

static Series series_new(const char *name, size_t count) {
        Series s = {.name = name, .usec = calloc(count, sizeof(uint64_t))};

        if (!s.usec)
                fail(name, strerror(ENOMEM));
        return s;
}

static void series_add(Series *s, uint64_t usec) {
        s->usec[s->n++] = usec;
}

static void series_print(const Series *s, size_t n) {
        for (size_t i = 0; i < n; i++) {
                (void) printf("%s\"%s\": [", i > 0 ? ", " : "{", s[i].name);
                for (size_t k = 0; k < s[i].n; k++)
                        (void) printf("%s%llu", k > 0 ? ", " : "",
                                      (unsigned long long) s[i].usec[k]);
                (void) printf("]");
        }
        (void) printf("}\n");
        for (size_t i = 0; i < n; i++)
                free(s[i].usec);
}

static sd_bus_message *call_new(const char *path, const char *interface, const char *member) {
        sd_bus_message *m;

        check(sd_bus_message_new_method_call(bus, &m, SERVICE, path, interface, member), member);
        return m;
}

/* Sends the call, which it frees, and returns the time to its answer. */
static uint64_t call_time(sd_bus_message *m, sd_bus_message **ret) {
        sd_bus_error error = SD_BUS_ERROR_NULL;
        uint64_t before = now_monotonic();

        if (sd_bus_call(bus, m, UINT64_MAX, &error, ret) < 0)
                fail(sd_bus_message_get_member(m), error.message);
        sd_bus_message_unref(m);
        return now_monotonic() - before;
}

static uint64_t call_plain(const char *path, const char *interface, const char *member) {
        sd_bus_message *m = call_new(path, interface, member);

        check(sd_bus_message_append(m, "a{sv}", 0), member);
        return call_time(m, NULL);
}

static int on_exit_reply(sd_bus_message *reply, void *userdata, sd_bus_error *error) {
        Waiter *w = userdata;
        uint64_t exited_at;

        if (sd_bus_message_is_method_error(reply, NULL))
                fail("Wait", sd_bus_message_get_error(reply)->message);
        w->at = now_monotonic();
        check(sd_bus_message_read(reply, "ut", NULL, &exited_at), "Wait");
        w->latency = now_realtime() - exited_at;
        w->done = true;
        return 0;
}

static void wait_send(const char *path, Waiter *w) {
        sd_bus_message *m = call_new(path, SERVICE ".Process", "Wait");

        *w = (Waiter){};
        check(sd_bus_message_append(m, "a{sv}", 0), "Wait");
        check(sd_bus_call_async(bus, NULL, m, on_exit_reply, w, UINT64_MAX), "Wait");
        sd_bus_message_unref(m);
}

static void wait_finish(const Waiter *w) {
        while (!w->done) {
                int r = sd_bus_process(bus, NULL);

                check(r, "sd_bus_process");
                if (r == 0)
                        check(sd_bus_wait(bus, UINT64_MAX), "sd_bus_wait");
        }
}

static uint64_t exec_add(const char *task, const char *id, char **command, char **ret_path) {
        sd_bus_message *m = call_new(task, SERVICE ".Task", "Exec"), *reply;
        const char *path;
        uint64_t usec;

        check(sd_bus_message_append(m, "s", id), "Exec");
        check(sd_bus_message_append_strv(m, command), "Exec");
        check(sd_bus_message_append(m, "a{sv}", 2, "Stdout", "s", "null", "Stderr", "s", "null"),
              "Exec");
        usec = call_time(m, &reply);
        check(sd_bus_message_read(reply, "o", &path), "Exec");
        *ret_path = strdup(path);
        if (!*ret_path)
                fail("Exec", strerror(ENOMEM));
        sd_bus_message_unref(reply);
        return usec;
}

static char *task_path(const char *id) {
        char *path;

        check(sd_bus_path_encode_many(&path, MANAGER "/task/default/%", id), id);
        return path;
}

static void run_exec(size_t count, char **argv) {
        enum {
                ADD,
                START,
                WHOLE,
                LATENCY,
                DELETE,
                _MAX
        };
        Series s[_MAX] = {
                        [ADD] = series_new("exec", count),
                        [START] = series_new("start", count),
                        [WHOLE] = series_new("whole", count),
                        [LATENCY] = series_new("latency", count),
                        [DELETE] = series_new("delete", count),
        };
        char *task = task_path(argv[0]);

        for (size_t i = 0; i < count; i++) {
                uint64_t before = now_monotonic();
                char id[32], *path;
                Waiter w;

                (void) snprintf(id, sizeof(id), "bench%zu", i);
                series_add(s + ADD, exec_add(task, id, argv + 1, &path));
                wait_send(path, &w);
                series_add(s + START, call_plain(path, SERVICE ".Process", "Start"));
                wait_finish(&w);
                series_add(s + WHOLE, w.at - before);
                series_add(s + LATENCY, w.latency);
                series_add(s + DELETE, call_plain(path, SERVICE ".Process", "Delete"));
                free(path);
        }
        free(task);
        series_print(s, _MAX);
}

static void run_end(size_t count, char **argv) {
        Series s[] = {series_new("kill", count), series_new("whole", count),
                      series_new("latency", count)};

        for (size_t i = 0; i < count; i++) {
                sd_bus_message *m;
                char id[64], *path;
                uint64_t before;
                Waiter w;

                (void) snprintf(id, sizeof(id), "%s%zu", argv[0], i);
                path = task_path(id);
                wait_send(path, &w);
                m = call_new(path, SERVICE ".Process", "Kill");
                check(sd_bus_message_append(m, "ia{sv}", 9, 0), "Kill");
                before = now_monotonic();
                series_add(s + 0, call_time(m, NULL));
                wait_finish(&w);
                series_add(s + 1, w.at - before);
                series_add(s + 2, w.latency);
                free(path);
        }
        series_print(s, ELEMENTSOF(s));
}

static void run_pause(size_t count, char **argv) {
        Series s[] = {series_new("pause", count), series_new("resume", count)};
        char *task = task_path(argv[0]);

        for (size_t i = 0; i < count; i++) {
                series_add(s + 0, call_plain(task, SERVICE ".Task", "Pause"));
                series_add(s + 1, call_plain(task, SERVICE ".Task", "Resume"));
        }
        free(task);
        series_print(s, ELEMENTSOF(s));
}

static void run_call(size_t count, char **argv) {
        Series s = series_new("call", count);

        for (size_t i = 0; i < count; i++)
                series_add(&s, call_plain(MANAGER, SERVICE ".Manager", argv[0]));
        series_print(&s, 1);
}

int main(int argc, char *argv[]) {
        static const struct {
                const char *name;
                void (*run)(size_t count, char **argv);
                int arguments; /* at least */
        } modes[] = {
                        {"exec", run_exec, 2},
                        {"end", run_end, 1},
                        {"pause", run_pause, 1},
                        {"call", run_call, 1},
        };
        unsigned long count = argc > 2 ? strtoul(argv[2], NULL, 10) : 0;

        if (count == 0 || count > COUNT_MAX)
                fail("usage", "bench-process MODE COUNT ARGUMENT...");
        check(sd_bus_open_system(&bus), "system bus");
        for (size_t i = 0; i < ELEMENTSOF(modes); i++)
                if (streq(argv[1], modes[i].name) && argc - 3 >= modes[i].arguments) {
                        modes[i].run(count, argv + 3);
                        sd_bus_flush_close_unref(bus);
                        return EXIT_SUCCESS;
                }
        fail(argv[1], "no such mode, or too few arguments");
}
