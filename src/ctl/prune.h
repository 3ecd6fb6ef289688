/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* What verbs that prune have in common: the question, the calls, and the names of what went. */

#include <jansson.h>

#include "ctl/client.h"

/* Asks on a terminal, unless --force says not to: "Remove all WHAT? [y/N]", with ", as selected" if
 * options select. CTR_CANCELED if the answer is not yes, CTR_INVALID_ARGUMENT if nobody is there.
 */
int prune_confirm(const Options *o, const char *what, Error *e);

/* Remove one kind of thing each, as the options select, and append the names of what went to the
 * array names, also if it fails in the middle. */

/* Only those that were created before the call, so that it comes to an end. */
int prune_containers(Client *c, json_t *names, Error *e);

/* named: not only the anonymous ones. */
int prune_volumes(Client *c, bool named, json_t *names, Error *e);

/* Without --all only what has no tag. */
int prune_images(Client *c, json_t *names, Error *e);

/* Prints the names, one a line or as JSON. 0 or the error. */
int prune_show(const Options *o, json_t *names, Error *e);
