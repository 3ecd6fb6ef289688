/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * How a container resolves names, if its request says anything about it: /etc/resolv.conf and
 * /etc/hosts of its own. What was asked for is an annotation of its document; the files are made
 * for each task, from that and from what the host has at the moment, in the task's directory, and
 * are mounted read-only: they are on the host's tmpfs, which nobody in a container may fill.
 *
 * A container of which nothing was asked has the image's files, or with the host's network the
 * host's.
 */

#include "manager/container.h"

#define RESOLVER_ANNOTATION "org.example.Ctr.resolver"
#define RESOLVER_CONF       "resolv.conf"
#define RESOLVER_HOSTS      "hosts"

/* Whether the request asks for that file of its own. */
bool resolver_has_conf(const ContainerRequest *request) _pure_;
bool resolver_has_hosts(const ContainerRequest *request) _pure_;

/* The value of the annotation; *ret is NULL if there is nothing to say. 0 or -ENOMEM. */
int resolver_to_annotation(const ContainerRequest *request, const char *hostname, char **ret);

/* Writes the files that a document asks for into the task's directory. */
int resolver_write_files(const char *document, int dir_fd, Error *e);

/* The text of resolv.conf. host is the host's (may be NULL); what the lists name replaces its lines
 * of that kind, and own_network drops servers on loopback, which are out of reach. NULL without
 * memory. */
char *resolver_make_conf(const char *host, bool own_network, char *const *servers,
                         char *const *search, char *const *options);
