/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* How the standard streams of a process are named in the options of CreateTask, Exec and Attach. */

#include "bus/options.h"
#include "manager/process.h"

typedef struct Stream {
        StdioKind kind;
        const char *path; /* the message's */
        int fd;           /* the message's; -1 if it is none */
} Stream;

typedef struct StreamOptions {
        Stream in, out, err;
} StreamOptions;

#define STREAM_OPTIONS_DEFAULT                                                                     \
        ((StreamOptions){.in = {.kind = STDIO_NULL, .fd = -1},                                     \
                         .out = {.kind = STDIO_JOURNAL, .fd = -1},                                 \
                         .err = {.kind = STDIO_JOURNAL, .fd = -1}})

/* OptionParsers of a Stream: h, and s for input and for output. */
int option_stream_input_fd(OptionReader *o, void *target);
int option_stream_output_fd(OptionReader *o, void *target);
int option_stream_input(OptionReader *o, void *target);
int option_stream_output(OptionReader *o, void *target);

/* The rows of a table for the StreamOptions that are member m of struct t. */
#define STREAM_OPTION_ROWS(t, m)                                                                   \
        {"Stdin", "h", option_stream_input_fd, offsetof(t, m.in)},                                 \
                        {"Stdin", "s", option_stream_input, offsetof(t, m.in)},                    \
                        {"Stdout", "h", option_stream_output_fd, offsetof(t, m.out)},              \
                        {"Stdout", "s", option_stream_output, offsetof(t, m.out)},                 \
                        {"Stderr", "h", option_stream_output_fd, offsetof(t, m.err)}, {            \
                "Stderr", "s", option_stream_output, offsetof(t, m.err)                            \
        }

/* An OptionParser, h: int, the message's; only a pipe or a socket, open for the direction. */
int option_attach_input(OptionReader *o, void *target);
int option_attach_output(OptionReader *o, void *target);

/* Whether one of them is a file, fifo or program of the host, which root opens or runs then: that
 * needs authorize_more(). */
bool stream_options_reach_host(const StreamOptions *options) _pure_;

/* What the core wants to be told; everything stays the message's. */
StreamsRequest stream_options_request(const StreamOptions *options);
