/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The progress of a pull on standard error: on a terminal one line per blob with a bar, drawn over
 * again at each change, otherwise one line per change of phase.
 */

#include "basic/macro.h"

typedef struct Progress Progress;

typedef struct ProgressItem {
        const char *ref;   /* "layer-sha256:..." */
        const char *phase; /* "wait", "download", "unpack", "done", "exists" */
        uint64_t done, total;
} ProgressItem;

/* f is usually stderr. NULL: out of memory. */
Progress *progress_new(FILE *f);
Progress *progress_free(Progress *p);
DEFINE_CLEANUP(Progress *, progress_free);

/* Shows the state of all items; those of before may be given in any order. 0 or -ENOMEM. */
int progress_update(Progress *p, const ProgressItem *items, size_t n);
