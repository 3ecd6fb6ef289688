/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The five capability sets of a process (capabilities(7)). A set is a mask, bit n for capability n.
 */

#include "basic/error.h"

struct SpecCapabilities;

/* "CAP_CHOWN" to its number, -1 for what this build does not know. */
int capability_from_string(const char *name) _pure_;

/* Drops from the bounding set what is not in keep. Needs CAP_SETPCAP. */
int capability_bounding_set(uint64_t keep, Error *e);

/* Makes effective all that is permitted. For the time between a change of user (which empties the
 * effective set) and capabilities_apply(). */
int capability_raise_permitted(Error *e);

/* Sets the permitted, effective, inheritable and ambient sets, without what this process does not
 * have itself and cannot grant. */
int capabilities_apply(const struct SpecCapabilities *capabilities, Error *e);
