/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The options of a container's mounts, as one text with commas: what they mean to us, and not to
 * the runtime. */

#include "manager/container.h"

#define MOUNT_NO_COPY "nocopy" /* of a volume: it begins empty */

/* options may be NULL. */
bool mount_options_have(const char *options, const char *name) _pure_;

/* A new string of those that keep() wants; it gets each with its length. 0 or -ENOMEM. */
int mount_options_filter(const char *options, bool (*keep)(const char *option, size_t n),
                         char **ret);

/* A new string without what means something to us alone ("nocopy", "copy"). 0 or -ENOMEM. */
int mount_options_for_runtime(const char *options, char **ret);

/* Of an image: what is mounted may be a layer itself, which all images and containers share that
 * have it, so nothing may make it writable. CTR_INVALID_ARGUMENT. */
int mount_options_check_image(const ContainerMount *mount, Error *e);
