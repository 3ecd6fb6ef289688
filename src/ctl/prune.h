/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What verbs that prune have in common: the question, and the names of what went. */

#include "ctl/client.h"

/* Asks on a terminal, unless --force says not to: "Remove all WHAT? [y/N]", with ", as selected" if
 * options select. CTR_CANCELED if the answer is not yes, CTR_INVALID_ARGUMENT if nobody is there.
 */
int prune_confirm(const Options *o, const char *what, Error *e);

/* Makes the call and prints the names (as) that it answers. Returns the exit status. */
int prune_run(Client *c, const Call *call, Error *e);
