/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The document's linux.seccomp as a filter of the kernel. Compiling takes libseccomp and some
 * milliseconds, so the result is kept in a directory of root's own and the library is loaded
 * (dlopen) only by an init that misses there: never by the supervisor, which stays.
 *
 * The default profile is data: $datadir/ctr/seccomp.json is a linux.seccomp object for a container
 * with the default capabilities. What further capabilities are good for is in
 * seccomp-capabilities.json, an object of lists: whoever writes a document takes the names listed
 * for each capability that the container has in its bounding set out of the object's rules and adds
 * a rule that allows them.
 *
 * Invariant: a stored filter is used only for the very text that it was compiled from; the text is
 * stored beside it and compared whole.
 */

#include <jansson.h>
#include <linux/filter.h>

#include "basic/error.h"

#define SECCOMP_FILTER_MAX 4096 /* instructions: the kernel's BPF_MAXINSNS */

typedef struct SeccompFilter {
        struct sock_filter *filter; /* NULL: none */
        size_t n;
        unsigned flags; /* SECCOMP_FILTER_FLAG_* */
        bool notifies;  /* to be loaded by seccomp_notify_load() */
} SeccompFilter;

/* Checks the section without compiling: 0, CTR_INVALID_ARGUMENT or CTR_NOT_IMPLEMENTED with the
 * JSON path. What only libseccomp knows (names) is found by seccomp_filter_prepare(). */
int seccomp_filter_check(json_t *section, Error *e);

/* listenerPath of a section that was checked if it has SCMP_ACT_NOTIFY, else NULL. */
const char *seccomp_filter_listener(json_t *section);

/* Gets the filter from cache_directory (NULL: none) or compiles and stores it. Call it in a process
 * that executes another program later. */
int seccomp_filter_prepare(json_t *section, const char *cache_directory, SeccompFilter *ret,
                           Error *e);

/* Compiles with libseccomp; for seccomp_filter_prepare(). */
int seccomp_filter_compile(json_t *section, SeccompFilter *ret, Error *e);

/* Loads the filter into this process. Needs no_new_privs or CAP_SYS_ADMIN. */
int seccomp_filter_load(const SeccompFilter *program, Error *e);

void seccomp_filter_clear(SeccompFilter *program);
