/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The one table that says which polkit action a method needs. A method without a row is denied to
 * everybody, root as well; a test finds it.
 *
 * Properties and signals are readable by everybody on the bus: they hold no secret.
 */

#include <systemd/sd-bus.h>

#include "bus/authority.h"

typedef struct Service Service;

#define ACTION_PREFIX "org.example.Ctr."

typedef struct AuthorizeRule {
        const char *interface, *member;
        const char *action;
        const char *more_action; /* needed besides by a call that does more, see authorize_more();
                                  * or NULL */
} AuthorizeRule;

const AuthorizeRule *authorize_rules(size_t *ret_n);

/* Those of the interface Process on the object of an exec, which needs another action there. */
const AuthorizeRule *authorize_exec_rules(size_t *ret_n);

/* The rule of a method or NULL. */
const AuthorizeRule *authorize_find_rule(const char *interface, const char *member);

/* The second step of every method, after its arguments were read and validated. 1: go on; 0: the
 * answer is not there yet, return 1, the method is run again from its beginning; negative: error is
 * set. Root is allowed at once. */
int authorize(Service *s, sd_bus_message *m, const AuthorityDetails *d, sd_bus_error *error);

/* The same for a call that needs more_action as well: CreateContainer that is going to pull an
 * image; CreateTask, Exec and Checkpoint that make root open, write or run what their caller names
 * on the host, give a process more than its container has, or have another runtime make it. */
int authorize_more(Service *s, sd_bus_message *m, const AuthorityDetails *d, sd_bus_error *error);

/* The same for a call about several things, for each of which the action must be granted: the
 * images of ExportImages, the image and what becomes of it of TagImage, PushImage and Commit, the
 * containers of PruneContainers. n is at most AUTHORITY_DETAILS_MAX. */
int authorize_each(Service *s, sd_bus_message *m, const AuthorityDetails *d, size_t n,
                   sd_bus_error *error);

/* The same for the object of an exec. more: Kill of a process that need not be of the exec. */
int authorize_exec(Service *s, sd_bus_message *m, bool more, const AuthorityDetails *d,
                   sd_bus_error *error);

/* The same for an object whose method needs another action than the table says: name is one of the
 * table's without ACTION_PREFIX, anything else is denied. Job.Cancel asks for the action of the
 * method that made the job, PruneContainers that found none to read. */
int authorize_action(Service *s, sd_bus_message *m, const char *name, const AuthorityDetails *d,
                     sd_bus_error *error);

/* For what no action of polkit's stands for, before one of the others: 1 for root, 0 as
 * authorize(); else the error says that only root may do what. */
int authorize_root(Service *s, sd_bus_message *m, const char *what, sd_bus_error *error);
