/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Finding the program as execvp() would, before it is executed, so that what is missing is named at
 * the create stage: the path, the PATH searched, or the interpreter that a script or the dynamic
 * linker that a binary asks for.
 *
 * No magic link is followed on the way. An image whose program or interpreter is /proc/self/exe
 * would else make init execute the supervisor's own binary, whose /proc/PID/exe then lies open to
 * the image's libraries (CVE-2019-5736).
 */

#include "basic/error.h"

/* To be called in the container's root with its working directory and its user. search: the value
 * of PATH, NULL for the default one. *ret_path is what to execve(), allocated.
 * CTR_COMMAND_NOT_FOUND, CTR_COMMAND_NOT_EXECUTABLE. */
int executable_find(const char *command, const char *search, char **ret_path, Error *e);
