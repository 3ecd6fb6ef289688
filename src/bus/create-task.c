/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Container.CreateTask: how the standard streams are named, and the call itself. */

#include <limits.h>

#include "bus/container.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/task.h"

typedef struct Stream {
        StdioKind kind;
        const char *path;
        int fd;
} Stream;

typedef struct CreateTaskOptions {
        Stream in, out, err;
} CreateTaskOptions;

static int option_stream_fd(OptionReader *o, void *target) {
        Stream *stream = target;
        int fd, r;

        r = sd_bus_message_read_basic(o->message, 'h', &fd);
        if (r < 0)
                return r;
        *stream = (Stream){.kind = STDIO_FD, .fd = fd}; /* stays the message's */
        return 0;
}

static int set_path(OptionReader *o, Stream *stream, StdioKind kind, const char *path) {
        if (path[0] != '/' || strlen(path) >= PATH_MAX)
                return option_invalid(o, "an absolute path is needed after the colon");
        *stream = (Stream){.kind = kind, .path = path, .fd = -1};
        return 0;
}

static int parse_stream(OptionReader *o, const char *value, bool is_input, Stream *stream) {
        const char *path;

        if (streq(value, "null")) {
                *stream = (Stream){.kind = STDIO_NULL, .fd = -1};
                return 0;
        }
        if (streq(value, "journal") && !is_input) {
                *stream = (Stream){.kind = STDIO_JOURNAL, .fd = -1};
                return 0;
        }
        path = startswith(value, "fifo:");
        if (path)
                return set_path(o, stream, STDIO_FIFO, path);
        path = startswith(value, "file:");
        if (path)
                return set_path(o, stream, STDIO_FILE, path);
        return option_invalid(o, "\"%.128s\" is none of null, %sfifo:PATH, file:PATH", value,
                              is_input ? "" : "journal, ");
}

static int option_input(OptionReader *o, void *target) {
        const char *value;
        int r;

        r = option_read_string(o, &value);
        if (r < 0)
                return r;
        return parse_stream(o, value, true, target);
}

static int option_output(OptionReader *o, void *target) {
        const char *value;
        int r;

        r = option_read_string(o, &value);
        if (r < 0)
                return r;
        return parse_stream(o, value, false, target);
}

static int reply_path(sd_bus_message *m, Object *o) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_of(o, &path);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "o", path);
}

int method_create_task(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Stdin", "h", option_stream_fd, offsetof(CreateTaskOptions, in)},
                        {"Stdin", "s", option_input, offsetof(CreateTaskOptions, in)},
                        {"Stdout", "h", option_stream_fd, offsetof(CreateTaskOptions, out)},
                        {"Stdout", "s", option_output, offsetof(CreateTaskOptions, out)},
                        {"Stderr", "h", option_stream_fd, offsetof(CreateTaskOptions, err)},
                        {"Stderr", "s", option_output, offsetof(CreateTaskOptions, err)},
                        {},
        };
        CreateTaskOptions options = {
                        .in = {.kind = STDIO_NULL, .fd = -1},
                        .out = {.kind = STDIO_JOURNAL, .fd = -1},
                        .err = {.kind = STDIO_JOURNAL, .fd = -1},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = userdata;
        Late *late;
        int r;

        r = options_read(m, table, &options, error);
        if (r < 0)
                return r;
        r = container_authorize(c, m, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        r = late_new(service_of(&c->object), m, reply_path, &late, error);
        if (r < 0)
                return r;
        r = task_create(c,
                        &(TaskRequest){
                                        .stdio = {options.in.kind, options.out.kind,
                                                  options.err.kind},
                                        .path = {options.in.path, options.out.path,
                                                 options.err.path},
                                        .fd = {options.in.fd, options.out.fd, options.err.fd},
                        },
                        late_complete, late, &e);
        return late_started(late, r, &e, error);
}
