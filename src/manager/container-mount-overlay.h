/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A bind mount with the option "O": an overlay of the host's directory, which is only read, and a
 * directory of the container's own, which gets what is written. That is an active snapshot that
 * lies upon nothing, of which the manager uses the directories alone: so it is made with the
 * container, stays from task to task, and goes with the container. It is no part of the
 * container's root, hence in no version, commit or archive of it.
 */

#include "manager/container.h"

#define MOUNT_OVERLAY_OPTION "O"

/* Whether what the mount says goes together with "O": a directory of the host, and nothing that
 * makes it read-only or maps it in another way. CTR_INVALID_ARGUMENT names what does not. */
int mount_overlay_check(const ContainerMount *mount, Error *e);

/* Row and directories, in the transaction that makes the container. key: of the snapshot. *ret_id
 * is set as soon as there may be something to undo (sweeper_doom()). CTR_NOT_FOUND if the source is
 * not there, CTR_INVALID_ARGUMENT if it is no directory. */
int mount_overlay_take(const Container *c, const ContainerMount *mount, const char *key,
                       int64_t *ret_id, Error *e);

/* What the document has for it: ret's strings are new. 0 or -ENOMEM. */
int mount_overlay_fill(const Container *c, const ContainerMount *mount, int64_t id,
                       ContainerMount *ret);
