/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Introspection data as a sorted list of lines, so that two documents can be compared whatever
 * their order, comments and white space:
 *
 *   org.example.Ctr.Image property Digest s read EmitsChangedSignal=true
 *   org.example.Ctr.Image method Inspect in:options:a{sv} out:manifest:s out:config:s
 *   org.example.Ctr.Process signal Exited exit_status:u exited_at:t
 */

#include "basic/strv.h"

/* A new strv of the interfaces whose name starts with prefix; fails the test on what it cannot
 * read. */
char **introspection_read(const char *xml, const char *prefix);
