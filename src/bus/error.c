/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/error.h"

#include <stdarg.h>

#include "basic/log.h"
#include "basic/utf8.h"

#define BUS_ERROR_NAME_SIZE 128

static const char *error_name(ErrorCode code, char buf[static BUS_ERROR_NAME_SIZE]) {
        (void) snprintf(buf, BUS_ERROR_NAME_SIZE, BUS_ERROR_PREFIX "%s",
                        error_code_to_string((int) code));
        return buf;
}

int bus_error_set(sd_bus_error *error, int r, const Error *e) {
        char name[BUS_ERROR_NAME_SIZE];
        Error plain = {.code = r};
        const char *text;

        assert(r != 0);

        text = error_text(e && e->code != 0 ? e : &plain);
        if (r < 0)
                log_warning_errno(r, "A request failed: %s", text);
        return sd_bus_error_set(error, error_name(error_code_for_client(r), name), text);
}

int bus_error_invalid(sd_bus_error *error, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char name[BUS_ERROR_NAME_SIZE];
        va_list ap;

        va_start(ap, format);
        if (vasprintf(&text, format, ap) < 0)
                text = NULL;
        va_end(ap);
        if (!text)
                return -ENOMEM;
        return sd_bus_error_set(error, error_name(CTR_INVALID_ARGUMENT, name), utf8_repair(text));
}

/* Errors of the bus and of other services that mean something to us. */
static const struct {
        const char *name;
        ErrorCode code;
} foreign[] = {
                {SD_BUS_ERROR_ACCESS_DENIED, CTR_PERMISSION_DENIED},
                {SD_BUS_ERROR_INTERACTIVE_AUTHORIZATION_REQUIRED, CTR_PERMISSION_DENIED},
                {SD_BUS_ERROR_AUTH_FAILED, CTR_PERMISSION_DENIED},
                {SD_BUS_ERROR_SERVICE_UNKNOWN, CTR_UNAVAILABLE},
                {SD_BUS_ERROR_NAME_HAS_NO_OWNER, CTR_UNAVAILABLE},
                {SD_BUS_ERROR_DISCONNECTED, CTR_UNAVAILABLE},
                {SD_BUS_ERROR_NO_SERVER, CTR_UNAVAILABLE},
                {SD_BUS_ERROR_NO_REPLY, CTR_DEADLINE_EXCEEDED},
                {SD_BUS_ERROR_TIMEOUT, CTR_DEADLINE_EXCEEDED},
                {SD_BUS_ERROR_INVALID_ARGS, CTR_INVALID_ARGUMENT},
                {SD_BUS_ERROR_UNKNOWN_OBJECT, CTR_NOT_FOUND},
                {SD_BUS_ERROR_UNKNOWN_METHOD, CTR_NOT_IMPLEMENTED},
                {SD_BUS_ERROR_NOT_SUPPORTED, CTR_NOT_IMPLEMENTED},
                {SD_BUS_ERROR_LIMITS_EXCEEDED, CTR_RESOURCE_EXHAUSTED},
                {SD_BUS_ERROR_NO_MEMORY, CTR_RESOURCE_EXHAUSTED},
};

ErrorCode bus_error_code(const sd_bus_error *error) {
        const char *own;

        if (!sd_bus_error_is_set(error))
                return CTR_OK;
        own = startswith(error->name, BUS_ERROR_PREFIX);
        if (own)
                return error_code_from_string(own);
        for (size_t i = 0; i < ELEMENTSOF(foreign); i++)
                if (streq(error->name, foreign[i].name))
                        return foreign[i].code;
        /* a service that cannot be activated, by the bus itself or by systemd for it */
        if (startswith(error->name, "org.freedesktop.DBus.Error.Spawn.") ||
            startswith(error->name, "org.freedesktop.systemd1."))
                return CTR_UNAVAILABLE;
        return CTR_UNKNOWN;
}
