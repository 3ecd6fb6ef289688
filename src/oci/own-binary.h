/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * This program's file is out of reach of what it lets into a container. Until execve() succeeds an
 * init or an exec is a clone of us, and one that is tricked into executing /proc/self/exe is us
 * once more: through its /proc/PID/exe our file lies open to the container's root (CVE-2019-5736).
 * So the verbs that clone run from a read-only copy of the mount that the file is on, which root of
 * the container cannot make writable; without the right to mounts, from a sealed copy of the file
 * if the caller could write to it. For root entry/ has seen to that before we were linked.
 */

#include "basic/error.h"

/* Executes this program anew from such a copy, unless it runs from one already: then 0. Returns
 * with an error, too. Nobody else may have been told of anything yet. */
int own_binary_protect(char *argv[], Error *e);
