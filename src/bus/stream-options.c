/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/stream-options.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>

/* A descriptor that nothing can be read from, or written to, or that would lead out of the
 * container's root, is refused here and not found out by the program. */
static int read_fd(OptionReader *o, bool is_input, int *ret, struct stat *ret_st) {
        int fd, flags, r;

        r = sd_bus_message_read_basic(o->message, 'h', &fd);
        if (r < 0)
                return r;
        flags = fcntl(fd, F_GETFL);
        if (flags < 0 || fstat(fd, ret_st) < 0)
                return -errno;
        if (flags & O_PATH)
                return option_invalid(o, "the descriptor was opened with O_PATH");
        if (S_ISDIR(ret_st->st_mode))
                return option_invalid(o, "the descriptor is a directory");
        if ((flags & O_ACCMODE) == (is_input ? O_WRONLY : O_RDONLY))
                return option_invalid(o, "the descriptor is not open for %s",
                                      is_input ? "reading" : "writing");
        *ret = fd;
        return 0;
}

static int stream_fd(OptionReader *o, bool is_input, Stream *stream) {
        struct stat st;
        int fd, r;

        r = read_fd(o, is_input, &fd, &st);
        if (r < 0)
                return r;
        *stream = (Stream){.kind = STDIO_FD, .fd = fd};
        return 0;
}

int option_stream_input_fd(OptionReader *o, void *target) {
        return stream_fd(o, true, target);
}

int option_stream_output_fd(OptionReader *o, void *target) {
        return stream_fd(o, false, target);
}

static int set_path(OptionReader *o, Stream *stream, StdioKind kind, const char *path) {
        if (path[0] != '/' || strlen(path) >= PATH_MAX)
                return option_invalid(o, "an absolute path is needed");
        *stream = (Stream){.kind = kind, .path = path, .fd = -1};
        return 0;
}

/* "binary:///path?key=value": the whole of it is the stream's path. */
static int set_binary(OptionReader *o, Stream *stream, const char *uri, const char *rest) {
        const char *path = startswith(rest, "//");

        if (!path || path[0] != '/' || strlen(uri) >= PATH_MAX)
                return option_invalid(o, "an absolute path is needed, as in binary:///PROGRAM");
        *stream = (Stream){.kind = STDIO_BINARY, .path = uri, .fd = -1};
        return 0;
}

static int parse_word(const char *value, bool is_input, Stream *stream) {
        StdioKind kind;

        if (streq(value, "null"))
                kind = STDIO_NULL;
        else if (streq(value, "attach"))
                kind = STDIO_ATTACH;
        else if (streq(value, "journal") && !is_input)
                kind = STDIO_JOURNAL;
        else
                return 0;
        *stream = (Stream){.kind = kind, .fd = -1};
        return 1;
}

static int parse_stream(OptionReader *o, const char *value, bool is_input, Stream *stream) {
        const char *rest;

        if (parse_word(value, is_input, stream) > 0)
                return 0;
        if (value[0] == '/') /* D30: the default scheme */
                return set_path(o, stream, STDIO_FIFO, value);
        if ((rest = startswith(value, "fifo:")))
                return set_path(o, stream, STDIO_FIFO, rest);
        if ((rest = startswith(value, "file:")))
                return set_path(o, stream, STDIO_FILE, rest);
        if (!is_input &&
            ((rest = startswith(value, "binary:")) || (rest = startswith(value, "binary-v2:"))))
                return set_binary(o, stream, value, rest);
        return option_invalid(o,
                              "unknown STDIO scheme \"%.128s\": it is none of null, attach, "
                              "%sfifo:PATH, file:PATH%s",
                              value, is_input ? "" : "journal, ",
                              is_input ? "" : ", binary:///PROGRAM, binary-v2:///PROGRAM");
}

static int option_stream(OptionReader *o, bool is_input, Stream *stream) {
        const char *value;
        int r;

        r = option_read_string(o, &value);
        return r < 0 ? r : parse_stream(o, value, is_input, stream);
}

int option_stream_input(OptionReader *o, void *target) {
        return option_stream(o, true, target);
}

int option_stream_output(OptionReader *o, void *target) {
        return option_stream(o, false, target);
}

static int option_attach(OptionReader *o, bool is_input, int *target) {
        struct stat st = {};
        int r;

        r = read_fd(o, is_input, target, &st);
        if (r < 0)
                return r;
        return S_ISFIFO(st.st_mode) || S_ISSOCK(st.st_mode)
                               ? 0
                               : option_invalid(o, "the descriptor is neither a pipe nor a socket");
}

int option_attach_input(OptionReader *o, void *target) {
        return option_attach(o, true, target);
}

int option_attach_output(OptionReader *o, void *target) {
        return option_attach(o, false, target);
}

bool stream_options_reach_host(const StreamOptions *options) {
        return options->in.path || options->out.path || options->err.path;
}

StreamsRequest stream_options_request(const StreamOptions *options) {
        return (StreamsRequest){
                        .kind = {options->in.kind, options->out.kind, options->err.kind},
                        .path = {options->in.path, options->out.path, options->err.path},
                        .fd = {options->in.fd, options->out.fd, options->err.fd},
        };
}
