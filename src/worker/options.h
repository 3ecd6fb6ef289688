/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The command line of a verb: a table of its options, each with a function that takes the value.
 *
 * Invariant: a target is written only by an option of its own; what is not on the command line
 * stays as it was.
 */

#include "basic/json.h"
#include "snapshot/apply.h"

typedef struct WorkerOption WorkerOption;

/* Takes a value. 0 or an error that says what is wrong with it. */
typedef int (*OptionTake)(const WorkerOption *o, const char *value, Error *e);

struct WorkerOption {
        const char *name; /* without "--"; "" takes arguments in their place among the options */
        OptionTake take;
        void *target;
};

/* Reads argv, whose first element is the verb; the table ends with {}. *ret_arguments is the rest
 * of argv, up to its NULL. CTR_INVALID_ARGUMENT. */
int options_parse(const WorkerOption *options, int argc, char *argv[], char ***ret_arguments,
                  Error *e);

/* The only argument, which what names. CTR_INVALID_ARGUMENT if there is none, or another. */
int options_only_argument(char *const *arguments, const char *what, const char **ret, Error *e);

/* The two that have no value, for a bool. */
int option_set(const WorkerOption *o, const char *value, Error *e);
int option_unset(const WorkerOption *o, const char *value, Error *e);

/* For a const char *. */
int option_string(const WorkerOption *o, const char *value, Error *e);

/* A number from 1 to max, for who takes one. */
int option_number(const WorkerOption *o, const char *value, uint64_t max, uint64_t *ret, Error *e);

/* A descriptor that we were given, 3 or more, which is made close-on-exec; for an int. */
int option_fd(const WorkerOption *o, const char *value, Error *e);

/* The same for --control-fd: it must be a SOCK_SEQPACKET socket. */
int option_control_fd(const WorkerOption *o, const char *value, Error *e);

/* --request-fd: reads a JSON object, what people write and arguments may be too short for; for a
 * json_t *, which becomes a new reference. */
int option_request(const WorkerOption *o, const char *value, Error *e);

/* --limit=NAME=VALUE: entries, bytes, xattr-bytes or xattr-count of one layer; for ApplyLimits. */
int option_limit(const WorkerOption *o, const char *value, Error *e);

/* For a Platform. */
int option_platform(const WorkerOption *o, const char *value, Error *e);

/* For a Digest. */
int option_digest(const WorkerOption *o, const char *value, Error *e);

/* --layers and the like, for a ContainerRoot. */
int option_layers(const WorkerOption *o, const char *value, Error *e);

/* SIGTERM and SIGINT are read from a descriptor (worker/report.h); threads inherit the mask. */
void block_signals(void);
