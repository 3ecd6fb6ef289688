/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Fields that the journal adds to every line of a unit. For services systemd does this by
 * LogExtraFields=; scopes have no such setting, so the file that journald looks for, one for each
 * unit below /run/systemd/units/, is written here. Without it the lines still come, only barer.
 */

#include "basic/error.h"

/* fields is a NULL-terminated array of "NAME=VALUE". */
int log_fields_write(const char *unit, const char *const *fields);
void log_fields_remove(const char *unit);
