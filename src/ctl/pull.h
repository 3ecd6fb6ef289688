/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Fetching an image as a job of the service, with its progress on standard error. */

#include "ctl/client.h"

/* Pulls and waits for the end; policy is PULL_ALWAYS or PULL_MISSING. The first SIGINT cancels the
 * job, a second one no longer waits for that; either is CTR_CANCELED. A service that is restarted
 * in between is asked again. */
int pull_image(Client *c, const char *reference, PullPolicy policy, Error *e);
