/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a further process takes over from the container's document. To read the document and the
 * filter's text is a third of what an exec costs, so the first exec leaves the result beside the
 * document, in EXEC_PROFILE_NAME.
 *
 * A filter that notifies and resctrl groups take more of the document than is worth storing: then
 * nothing is.
 *
 * Invariant: a stored profile is used only for the very file (inode, change time and size) that it
 * was made from; whatever else is wrong with it, the document is read again.
 */

#include "runtime/seccomp-filter.h"
#include "runtime/spec.h"

#define EXEC_PROFILE_NAME "exec.profile"

typedef struct ExecProfile {
        int namespaces; /* CLONE_NEW* of those that are not the host's */
        int oom_score_adj;
        bool personality_set;
        unsigned long personality;
        uid_t root_uid; /* of the host, for root of a new user namespace; else -1 */
        gid_t root_gid;
        SpecMemoryPolicy memory_policy;
        SeccompFilter seccomp;
        json_t *document; /* of a profile that is not stored; else NULL */
} ExecProfile;

/* dir_fd is the directory of config_name, root's own. 0 or what spec_read() and
 * seccomp_filter_prepare() return. Call it in a process that executes another program later. */
int exec_profile_read(int dir_fd, const char *config_name, const char *seccomp_cache,
                      ExecProfile *ret, Error *e);

void exec_profile_clear(ExecProfile *p);
