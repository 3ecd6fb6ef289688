/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* state, list and ps: what there is. */

#include <fcntl.h>
#include <pwd.h>

#include "basic/json.h"
#include "basic/process.h"
#include "basic/strv.h"
#include "oci/cgroup.h"
#include "oci/options.h"
#include "oci/print.h"
#include "runtime/cgroup-tree.h"

int verb_state(Context *c, int argc, char *argv[], Error *e) {
        const OptionTable table = {"state CONTAINER", NULL, 0, 1, 1, false};
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_json_ json_t *j = NULL;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        r = state_open(c, argv[first], false, &s, e);
        if (r != 0)
                return r;
        j = state_to_json(s);
        return print_json(j, JSON_INDENT(2), e);
}

static int check_format(const char *format, Error *e) {
        return streq(format, "json") || streq(format, "table")
                               ? 0
                               : error_setf(e, CTR_INVALID_ARGUMENT, "invalid format option");
}

static int list_one(const State *s, void *userdata, Error *e) {
        const struct passwd *owner = getpwuid(s->owner);
        _cleanup_json_ json_t *j = state_to_json(s);
        json_t *all = userdata;

        if (!j || json_object_set_new(j, "owner", json_string(owner ? owner->pw_name : "")) < 0 ||
            json_array_append(all, j) < 0)
                return -ENOMEM;
        return 0;
}

static void print_row(const char *id, const char *pid, const char *status, const char *bundle,
                      const char *created, const char *owner) {
        (void) printf("%-20s %-10s %-10s %-30s %-30s %s\n", id, pid, status, bundle, created,
                      owner);
}

static void print_table(json_t *all) {
        json_t *j;
        size_t i;

        print_row("ID", "PID", "STATUS", "BUNDLE", "CREATED", "OWNER");
        json_array_foreach(all, i, j) {
                char pid[24];

                (void) snprintf(pid, sizeof(pid), "%lld",
                                (long long) json_integer_value(json_object_get(j, "pid")));
                print_row(json_string_value(json_object_get(j, "id")), pid,
                          json_string_value(json_object_get(j, "status")),
                          json_string_value(json_object_get(j, "bundle")),
                          json_string_value(json_object_get(j, "created")),
                          json_string_value(json_object_get(j, "owner")));
        }
}

int verb_list(Context *c, int argc, char *argv[], Error *e) {
        const char *format = "table";
        bool quiet = false;
        const Option options[] = {
                        {"format", 'f', OPTION_STRING, &format, "table or json"},
                        {"quiet", 'q', OPTION_FLAG, &quiet, "ids alone"},
        };
        const OptionTable table = {"list [OPTIONS]", options, ELEMENTSOF(options), 0, 0, false};
        _cleanup_json_ json_t *all = NULL;
        json_t *j;
        size_t i;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        all = json_array();
        if (!all)
                return -ENOMEM;
        r = check_format(format, e);
        if (r == 0)
                r = state_list(c, list_one, all, e);
        if (r != 0)
                return r;
        if (quiet) {
                json_array_foreach(all, i, j)
                        (void) puts(json_string_value(json_object_get(j, "id")));
                return 0;
        }
        if (streq(format, "json"))
                return print_json(all, JSON_COMPACT, e);
        print_table(all);
        return 0;
}

static int add_pid(pid_t pid, void *userdata) {
        return json_array_append_new(userdata, json_integer(pid)) < 0 ? -ENOMEM : 0;
}

/* The processes of the container: those in its cgroup, or init alone without one. */
static int read_pids(Context *c, const char *id, json_t **ret, Error *e) {
        _cleanup_(state_freep) State *s = NULL;
        _cleanup_json_ json_t *pids = json_array();
        _cleanup_close_ int fd = -1;
        int r;

        if (!pids)
                return -ENOMEM;
        r = state_open(c, id, false, &s, e);
        if (r != 0)
                return r;
        if (state_status(s) == STATUS_STOPPED)
                return error_setf(e, CTR_FAILED_PRECONDITION, "container not running");
        if (!s->cgroup)
                r = add_pid(s->pid, pids);
        else {
                r = state_open_cgroup(s, &fd, e);
                if (r == 0)
                        r = cgroup_each_process(fd, add_pid, pids);
                if (r < 0)
                        r = error_setf(e, r, "Failed to read the processes of the container: %m");
        }
        if (r == 0)
                *ret = TAKE_PTR(pids);
        return r;
}

/* Whether the word in column of line is one of pids. */
static bool has_pid(const char *line, unsigned column, json_t *pids) {
        json_t *j;
        size_t i;
        long pid;

        line += strspn(line, " ");
        for (; column > 0; column--) {
                line += strcspn(line, " \n");
                line += strspn(line, " ");
        }
        pid = strtol(line, NULL, 10);
        json_array_foreach(pids, i, j)
                if (json_integer_value(j) == pid)
                        return true;
        return false;
}

/* Which column of a head line "UID PID PPID ..." is PID; -1 if none is. */
static int pid_column(const char *line) {
        for (int column = 0; *line && *line != '\n'; column++) {
                size_t n;

                line += strspn(line, " ");
                n = strcspn(line, " \n");
                if (n == 3 && strncmp(line, "PID", n) == 0)
                        return column;
                line += n;
        }
        return -1;
}

static int filter_ps(FILE *f, json_t *pids, Error *e) {
        _cleanup_free_ char *line = NULL;
        size_t size = 0;
        int column;

        if (getline(&line, &size, f) < 0)
                return error_setf(e, -EIO, "ps printed nothing");
        column = pid_column(line);
        if (column < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "ps prints no column PID");
        /* a long list may have its head line again */
        do
                if (pid_column(line) == column || has_pid(line, (unsigned) column, pids))
                        (void) fputs(line, stdout);
        while (getline(&line, &size, f) >= 0);
        return 0;
}

/* Starts ps(1) with its output in a pipe. */
static int spawn_ps(char *const argv[], FILE **ret_output, int *ret_pidfd, Error *e) {
        _cleanup_close_ int read_fd = -1, write_fd = -1;
        _cleanup_fclose_ FILE *output = NULL;
        _cleanup_free_ char *path = NULL;
        int fds[2], r;
        pid_t pid;

        r = process_find_program("ps", &path);
        if (r < 0)
                return error_setf(e, r, "Failed to find ps: %m");
        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_setf(e, -errno, "Failed to make a pipe: %m");
        read_fd = fds[0];
        write_fd = fds[1];
        output = fdopen(read_fd, "re");
        if (!output)
                return -ENOMEM;
        read_fd = -1; /* the stream's */
        r = process_spawn(path, argv, NULL, (const int[]){-1, write_fd, STDERR_FILENO}, 3, &pid,
                          ret_pidfd);
        if (r < 0)
                return error_setf(e, r, "Failed to run ps: %m");
        *ret_output = TAKE_PTR(output);
        return 0;
}

/* As runc: ps(1) with the caller's options, of which the container's processes are shown. */
static int run_ps(char *const arguments[], json_t *pids, Error *e) {
        static char *const usual[] = {(char *) "-ef", NULL};
        _cleanup_strv_free_ char **argv = NULL;
        _cleanup_fclose_ FILE *output = NULL;
        _cleanup_close_ int pidfd = -1;
        int status, r;

        r = strv_extend(&argv, "ps");
        STRV_FOREACH(s, *arguments ? arguments : usual)
                if (r == 0)
                        r = strv_extend(&argv, *s);
        if (r == 0)
                r = spawn_ps(argv, &output, &pidfd, e);
        if (r < 0)
                return r;
        r = filter_ps(output, pids, e);
        /* what filter_ps() did not read must not keep ps from its end */
        (void) fclose(TAKE_PTR(output));
        if (pidfd_wait(pidfd, &status) < 0 || status != 0)
                return error_setf(e, -EIO, "ps failed");
        return r;
}

int verb_ps(Context *c, int argc, char *argv[], Error *e) {
        const char *format = "table";
        const Option options[] = {
                        {"format", 'f', OPTION_STRING, &format, "table or json"},
        };
        const OptionTable table = {"ps [OPTIONS] CONTAINER [PS OPTIONS]",
                                   options,
                                   ELEMENTSOF(options),
                                   1,
                                   -1,
                                   true};
        _cleanup_json_ json_t *pids = NULL;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        r = check_format(format, e);
        if (r == 0)
                r = read_pids(c, argv[first], &pids, e);
        if (r != 0)
                return r;
        return streq(format, "json") ? print_json(pids, JSON_COMPACT, e)
                                     : run_ps(argv + first + 1, pids, e);
}
