/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/error.h"

#include <stdarg.h>

#include "basic/utf8.h"

static const char *const error_names[_CTR_ERROR_MAX] = {
                [CTR_OK] = "Ok",
                [CTR_INVALID_ARGUMENT] = "InvalidArgument",
                [CTR_NOT_FOUND] = "NotFound",
                [CTR_ALREADY_EXISTS] = "AlreadyExists",
                [CTR_FAILED_PRECONDITION] = "FailedPrecondition",
                [CTR_UNAVAILABLE] = "Unavailable",
                [CTR_NOT_IMPLEMENTED] = "NotImplemented",
                [CTR_CONFLICT] = "Conflict",
                [CTR_TIMEOUT] = "Timeout",
                [CTR_CANCELED] = "Canceled",
                [CTR_DEADLINE_EXCEEDED] = "DeadlineExceeded",
                [CTR_RESOURCE_EXHAUSTED] = "ResourceExhausted",
                [CTR_DATA_LOSS] = "DataLoss",
                [CTR_PERMISSION_DENIED] = "PermissionDenied",
                [CTR_COMMAND_NOT_FOUND] = "CommandNotFound",
                [CTR_COMMAND_NOT_EXECUTABLE] = "CommandNotExecutable",
                [CTR_UNKNOWN] = "Unknown",
};

_printf_(2, 0) static char *format_text(int code, const char *format, va_list ap) {
        char *text = NULL;

        if (code < 0)
                errno = -code;
        if (vasprintf(&text, format, ap) < 0)
                return NULL;
        return utf8_repair(text); /* "%.64s" cuts characters, paths need not be made of them */
}

int error_setf(Error *e, int code, const char *format, ...) {
        va_list ap;

        assert(code != 0);

        if (!e || e->code != 0)
                return code;

        va_start(ap, format);
        e->text = format_text(code, format, ap);
        va_end(ap);
        e->code = code;
        return code;
}

int error_prefix(Error *e, int code, const char *format, ...) {
        _cleanup_free_ char *prefix = NULL;
        char *text;
        va_list ap;

        assert(code != 0);

        if (!e)
                return code;
        if (e->code == 0)
                e->code = code;

        va_start(ap, format);
        prefix = format_text(e->code, format, ap);
        va_end(ap);
        if (prefix && asprintf(&text, "%s: %s", prefix, error_text(e)) >= 0) {
                free(e->text);
                e->text = text;
        }
        return e->code;
}

void error_clear(Error *e) {
        if (!e)
                return;
        free(e->text);
        *e = ERROR_NULL;
}

int error_move(Error *to, Error *from) {
        int code = from->code;

        if (to && to->code == 0) {
                *to = *from;
                *from = ERROR_NULL;
        } else
                error_clear(from);
        return code;
}

int error_propagate(Error *to, int r, Error *from) {
        int code = error_move(to, from);

        return code != 0 ? code : r;
}

static const char *code_text(int code) {
        if (code < 0)
                return strerror(-code); /* every program here is single-threaded but the worker,
                                         * which sets texts */
        return error_code_to_string(code);
}

const char *error_text(const Error *e) {
        assert(e);

        return e->text ?: code_text(e->code);
}

const char *error_text_of(int code, const Error *e) {
        return e && e->code != 0 ? error_text(e) : code_text(code);
}

const char *error_code_to_string(int code) {
        if (code < 0 || code >= _CTR_ERROR_MAX)
                return "Unknown";
        return error_names[code];
}

ErrorCode error_code_from_string(const char *s) {
        for (int i = 1; i < _CTR_ERROR_MAX; i++)
                if (s && streq(error_names[i], s))
                        return i;
        return CTR_UNKNOWN;
}

ErrorCode error_code_for_client(int code) {
        if (code == -ENOSPC || code == -EDQUOT || code == -EMFILE || code == -ENFILE ||
            code == -ENOMEM)
                return CTR_RESOURCE_EXHAUSTED;
        if (code == -EROFS)
                return CTR_FAILED_PRECONDITION;
        /* a component of a path that somebody asked for; we make none that long */
        if (code == -ENAMETOOLONG)
                return CTR_INVALID_ARGUMENT;
        if (code <= 0 || code >= _CTR_ERROR_MAX)
                return CTR_UNKNOWN;
        return code;
}
