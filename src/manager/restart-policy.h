/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* When a container is to be started again: what its labels say (A4.17, A4.19), without any state.
 */

#include <jansson.h>

#include "basic/error.h"

#define RESTART_LABEL_STATUS  "containerd.io/restart.status" /* what is wanted: running, stopped */
#define RESTART_LABEL_POLICY  "containerd.io/restart.policy"
#define RESTART_LABEL_COUNT   "containerd.io/restart.count"
#define RESTART_LABEL_STOPPED "containerd.io/restart.explicitly-stopped"
#define RESTART_LABEL_LOGURI  "containerd.io/restart.loguri"
#define RESTART_LABEL_LOGPATH "containerd.io/restart.logpath" /* deprecated */

typedef enum RestartKind {
        RESTART_NO,
        RESTART_ALWAYS,
        RESTART_ON_FAILURE,
        RESTART_UNLESS_STOPPED,
} RestartKind;

typedef struct RestartPolicy {
        RestartKind kind;
        uint64_t max; /* of ON_FAILURE; 0: no limit */
} RestartPolicy;

/* "no", "always", "on-failure[:N]", "unless-stopped"; "" is always. CTR_INVALID_ARGUMENT with the
 * text in the sentence. */
int restart_policy_parse(const char *text, RestartPolicy *ret, Error *e);

/* Whether the labels of a container say what we understand. CTR_INVALID_ARGUMENT names the label.
 */
int restart_labels_check(json_t *labels, Error *e);

/* Puts the policy of a new container into its labels; "no" takes it out. 0 or -ENOMEM. */
int restart_labels_set_policy(json_t *labels, const char *policy);

/* What labels ask for; NULL and "no" if they do not speak of restarts. */
bool restart_labels_wanted(json_t *labels);  /* there is a policy, or a status */
bool restart_labels_running(json_t *labels); /* the status is running */
bool restart_labels_explicitly_stopped(json_t *labels);
uint64_t restart_labels_count(json_t *labels);
RestartPolicy restart_labels_policy(json_t *labels);

/* Whether the policy starts it again. exit_status is that of its last run; -1: it is not known, as
 * after a reboot, which ends a run without judging it. */
bool restart_wanted(json_t *labels, int exit_status);

/* How a start of the manager, or of the machine, finds it: whether it may have to be started. */
bool restart_wanted_at_boot(json_t *labels);

/* How long to wait and what a run counts. All usec. */
typedef struct RestartTimes {
        uint64_t first, max; /* delay after the first of several quick exits; doubled up to max */
        uint64_t settled;    /* a run as long as this starts the delays anew */
        uint64_t healthy;    /* and one as long as this the count */
} RestartTimes;

extern const RestartTimes restart_times_default;

/* failures: how many quick exits were before this one. */
uint64_t restart_delay(const RestartTimes *times, unsigned failures) _pure_;
