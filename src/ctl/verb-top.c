/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* top: the processes of a container, as ps(1) shows them. Which ones they are says the service,
 * what they are this machine's /proc. One that ends meanwhile is left out. */

#include <fcntl.h>
#include <pwd.h>
#include <sys/stat.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define PROC_FILE_MAX (64U * 1024)

/* Fields of /proc/PID/stat after the name, counted from the state: proc(5)'s number less 3. */
enum {
        STAT_PPID = 1,
        STAT_TTY = 4,
        STAT_UTIME = 11,
        STAT_STIME = 12,
        STAT_STARTTIME = 19,
        STAT_RSS = 21,
        _STAT_MAX = 22,
};

static char *cell_cpu_time(const json_t *row, const char *key) {
        uint64_t seconds = (uint64_t) json_integer_value(json_object_get(row, key)) / USEC_PER_SEC;
        char *s;

        return asprintf(&s, "%llu:%02u:%02u", (unsigned long long) (seconds / 3600),
                        (unsigned) (seconds / 60 % 60), (unsigned) (seconds % 60)) < 0
                               ? NULL
                               : s;
}

static const Column columns[] = {
                {"PID", "Pid", NULL, COLUMN_RIGHT},
                {"PPID", "ParentPid", NULL, COLUMN_RIGHT},
                {"USER", "User", NULL, COLUMN_SHORTEN},
                {"EXEC", "ExecId", NULL, COLUMN_SHORTEN},
                {"STATE", "State", NULL, 0},
                {"CPU", "CPUPercent", cell_percent, COLUMN_RIGHT},
                {"MEMORY", "MemoryResident", cell_bytes, COLUMN_RIGHT},
                {"STARTED", "StartedAt", cell_ago, COLUMN_SHORTEN},
                {"TIME", "CPUUSec", cell_cpu_time, COLUMN_RIGHT},
                {"COMMAND", "Command", NULL, COLUMN_SHORTEN},
};

static int proc_read(int dir_fd, const char *name, char **ret, size_t *ret_size) {
        _cleanup_close_ int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);

        return fd < 0 ? -errno : fd_read_all(fd, PROC_FILE_MAX, ret, ret_size);
}

/* The name, which stands in parentheses and may hold any character, and the numbers behind it. */
static int parse_stat(char *text, char **ret_name, char *ret_state,
                      uint64_t values[static _STAT_MAX]) {
        char *name = strchr(text, '('), *end = strrchr(text, ')'), *word;

        if (!name || !end || end < name || strlen(end) < STRLEN(") S "))
                return -EBADMSG;
        *end = '\0';
        *ret_name = name + 1;
        *ret_state = end[2];
        end += STRLEN(") ");
        for (size_t i = 0; i < _STAT_MAX; i++) {
                word = strsep(&end, " ");
                if (!word)
                        return -EBADMSG;
                values[i] = strtoull(word, NULL, 10);
        }
        return 0;
}

/* The arguments, which end in NUL, with spaces between them; kernel threads and zombies have none.
 */
static char *join_command(char *arguments, size_t size, const char *name) {
        char *s;

        while (size > 0 && arguments[size - 1] == '\0')
                size--;
        if (size == 0)
                return asprintf(&s, "[%s]", name) < 0 ? NULL : s;
        for (size_t i = 0; i < size; i++)
                if (arguments[i] == '\0')
                        arguments[i] = ' ';
        return strndup(arguments, size);
}

static json_t *user_name(uid_t uid) {
        const struct passwd *pw = getpwuid(uid);
        char number[16];

        (void) snprintf(number, sizeof(number), "%u", (unsigned) uid);
        return json_string(pw ? pw->pw_name : number);
}

/* Clock ticks since the boot, which is how /proc counts, as usec. */
static uint64_t usec_from_ticks(uint64_t ticks) {
        return ticks * USEC_PER_SEC / (uint64_t) sysconf(_SC_CLK_TCK);
}

/* Text of a process, which may be any bytes, for a table or for JSON. */
static json_t *safe_text(const char *s) {
        _cleanup_free_ char *escaped = text_escape(s);

        return escaped ? json_string(escaped) ?: json_string("?") : NULL;
}

static json_t *describe(uint64_t pid, const char *exec_id, uid_t uid, const char *command,
                        char state, const uint64_t *values) {
        uint64_t now = clock_usec(CLOCK_BOOTTIME),
                 started = usec_from_ticks(values[STAT_STARTTIME]);
        uint64_t used = usec_from_ticks(values[STAT_UTIME] + values[STAT_STIME]);
        uint64_t age = now > started ? now - started : 1;
        uint64_t resident = values[STAT_RSS] * (uint64_t) sysconf(_SC_PAGESIZE);

        return json_pack("{s:I, s:I, s:o, s:s, s:s#, s:f, s:I, s:I, s:I, s:o}", "Pid",
                         (json_int_t) pid, "ParentPid", (json_int_t) values[STAT_PPID], "User",
                         user_name(uid), "ExecId", exec_id, "State", &state, 1, "CPUPercent",
                         100.0 * (double) used / (double) age, "MemoryResident",
                         (json_int_t) resident, "StartedAt", (json_int_t) (now_realtime() - age),
                         "CPUUSec", (json_int_t) used, "Command", safe_text(command));
}

/* 0 with NULL: it has ended. */
static int look_at(uint64_t pid, const char *exec_id, json_t **ret) {
        _cleanup_free_ char *text = NULL, *arguments = NULL, *command = NULL;
        _cleanup_close_ int dir_fd = -1;
        char path[STRLEN("/proc/") + 24], *name, state;
        uint64_t values[_STAT_MAX];
        struct stat st;
        size_t size;

        (void) snprintf(path, sizeof(path), "/proc/%llu", (unsigned long long) pid);
        dir_fd = open(path, O_DIRECTORY | O_RDONLY | O_CLOEXEC);
        if (dir_fd < 0 || fstat(dir_fd, &st) < 0 || proc_read(dir_fd, "stat", &text, NULL) < 0 ||
            proc_read(dir_fd, "cmdline", &arguments, &size) < 0 ||
            parse_stat(text, &name, &state, values) < 0)
                return 0;
        command = join_command(arguments, size, name);
        if (!command)
                return -ENOMEM;
        *ret = describe(pid, exec_id, st.st_uid, command, state, values);
        return *ret ? 0 : -ENOMEM;
}

static int collect(json_t *pids, json_t *rows) {
        json_t *pair;
        size_t i;

        json_array_foreach(pids, i, pair) {
                uint64_t pid = (uint64_t) json_integer_value(json_array_get(pair, 0));
                const char *exec_id = json_string_value(json_array_get(pair, 1));
                json_t *row = NULL;
                int r;

                r = look_at(pid, strempty(exec_id), &row);
                if (r < 0)
                        return r;
                if (row && json_array_append_new(rows, row) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int get_pids(Client *c, const char *id, json_t **ret, Error *e) {
        _cleanup_free_ char *path = client_object_path(c, "task", id);
        const Call call = {.path = path,
                           .interface = INTERFACE_TASK,
                           .member = "Pids",
                           .append = append_no_options,
                           .what = "task",
                           .name = id};
        sd_bus_message *reply = NULL;
        int r;

        if (!path)
                return error_setf(e, -ENOMEM, "Out of memory");
        r = client_connect(c, e);
        if (r == 0)
                r = client_call(c, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the processes of %s: %m", id) : 0;
}

int verb_top(Client *c, char **args, Error *e) {
        _cleanup_json_ json_t *pids = NULL, *rows = json_array();
        int r;

        if (c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "the processes of another host cannot be looked at");
                return EXIT_FAILURE;
        }
        if (get_pids(c, args[0], &pids, e) != 0)
                return EXIT_FAILURE;
        text_init_locale();
        r = rows ? collect(pids, rows) : -ENOMEM;
        if (r < 0) {
                (void) error_setf(e, r, "Failed to make the list: %m");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Command", e);
}
