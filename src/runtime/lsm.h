/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * AppArmor profiles and SELinux labels of processes, which the kernel takes on at the next
 * execve().
 *
 * Invariant: they are written to the host's /proc, whatever an image or a mount puts at that place
 * (CVE-2019-16884, CVE-2019-19921, CVE-2025-52881).
 */

#include "basic/error.h"

/* Whether this machine can do what is asked for (NULL: nothing): CTR_NOT_IMPLEMENTED and the JSON
 * path if not. */
int lsm_check(const char *apparmor_profile, const char *selinux_label, const char *mount_label,
              Error *e);

/* Descriptor of the host's /proc, for lsm_apply(); to be called in the host's mount namespace. */
int lsm_open_proc(int *ret_fd, Error *e);

/* What this process and its clones become with execve(). */
int lsm_apply(int proc_fd, const char *apparmor_profile, const char *selinux_label, Error *e);
