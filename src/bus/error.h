/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one place where an Error of the core becomes a D-Bus error, and back. The names are
 * org.example.Ctr.Error. and the names of basic/error.h.
 */

#include <systemd/sd-bus.h>

#include "basic/error.h"

#define BUS_ERROR_PREFIX "org.example.Ctr.Error."

/* Sets error from r (negative errno or ErrorCode) and the sentence of e, which may be NULL or
 * without text. An unexpected errno is also logged: it is ours, not the caller's. Returns what a
 * method handler returns then: a negative errno. */
int bus_error_set(sd_bus_error *error, int r, const Error *e);

/* org.example.Ctr.Error.InvalidArgument with a sentence; returns a negative errno. */
int bus_error_invalid(sd_bus_error *error, const char *format, ...) _printf_(2, 3);

/* What an error of another service (or of our own) is in our terms. CTR_OK if it is not set. */
ErrorCode bus_error_code(const sd_bus_error *error);
