/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * An error with its sentence. Functions return 0 for success, a negative errno for an unexpected
 * failure and a positive ErrorCode for a named outcome of our API, which the caller must handle and
 * which becomes a D-Bus error name. Either kind may come with a text: what failed and where.
 *
 * Invariant: text is set only together with a code other than 0, and is UTF-8: it goes into D-Bus
 * messages and JSON, which take nothing else.
 */

#include "basic/macro.h"

typedef enum ErrorCode {
        CTR_OK = 0,
        CTR_INVALID_ARGUMENT,       /* the request is malformed, whatever the state is */
        CTR_NOT_FOUND,              /* no such image, container, task, user, manifest ... */
        CTR_ALREADY_EXISTS,         /* the name or id is taken */
        CTR_FAILED_PRECONDITION,    /* the state does not allow it; the text names the state */
        CTR_UNAVAILABLE,            /* registry, bus or systemd cannot be reached; try again */
        CTR_NOT_IMPLEMENTED,        /* the kernel, systemd or this build cannot do it */
        CTR_CONFLICT,               /* somebody else changed it at the same time */
        CTR_TIMEOUT,                /* a stop ran out of time, the task goes on running */
        CTR_CANCELED,               /* canceled on request */
        CTR_DEADLINE_EXCEEDED,      /* an internal time limit passed */
        CTR_RESOURCE_EXHAUSTED,     /* disk full, a quota or a configured limit reached */
        CTR_DATA_LOSS,              /* digest or size mismatch, truncated or corrupt data */
        CTR_PERMISSION_DENIED,      /* the registry or the kernel refused */
        CTR_COMMAND_NOT_FOUND,      /* the program to run is not there: exit code 127 */
        CTR_COMMAND_NOT_EXECUTABLE, /* it is there and cannot be executed: exit code 126 */
        CTR_UNKNOWN,
        _CTR_ERROR_MAX,
} ErrorCode;

typedef struct Error {
        int code;   /* negative errno or ErrorCode */
        char *text; /* a sentence without a final stop, or NULL */
} Error;

/* Sets the error if e is not NULL and has none yet (the first cause wins) and returns code, so that
 * `return error_setf(e, r, "Failed to open %s: %m", path)` reads well. %m is the text of code if
 * that is negative, and of errno otherwise. */
int error_setf(Error *e, int code, const char *format, ...) _printf_(3, 4);

/* Puts "prefix: " before the text that is there (or before the errno's text). Returns e->code. */
int error_prefix(Error *e, int code, const char *format, ...) _printf_(3, 4);

/* Frees the text and clears the code. NULL-safe. */
void error_clear(Error *e);

/* Moves from into to if to has none, clears it otherwise. Returns the code moved. */
int error_move(Error *to, Error *from);

/* The same after a call that failed with r. That may have said nothing: for -ENOMEM there is no
 * text. Returns the code moved, or r. */
int error_propagate(Error *to, int r, Error *from);

/* The text, or the code's own description. Never NULL. */
const char *error_text(const Error *e);

/* The text of e, or if that is NULL or not set what the code alone says: for callbacks. */
const char *error_text_of(int code, const Error *e);

/* "NotFound" for CTR_NOT_FOUND: the last part of the D-Bus error name, also used by the worker's
 * and the supervisor's protocol. "Unknown" for what is out of range. Never NULL. */
const char *error_code_to_string(int code) _const_;

/* The inverse; CTR_UNKNOWN for what is unknown. */
ErrorCode error_code_from_string(const char *s) _pure_;

/* The ErrorCode that a negative errno shows to a client: what there is not enough of (ENOSPC,
 * EDQUOT, EMFILE, ENFILE, ENOMEM) is ResourceExhausted, EROFS FailedPrecondition, ENAMETOOLONG
 * InvalidArgument, all others Unknown. Positive codes pass through. A stray -EEXIST never becomes
 * AlreadyExists. */
ErrorCode error_code_for_client(int code) _const_;

#define _cleanup_error_ _cleanup_(error_clear)
#define ERROR_NULL      ((Error){})
