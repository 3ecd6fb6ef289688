/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The verbs of ctrctl. Each gets its arguments (NULL-terminated, as many as the table in main.c
 * allows) and returns the exit status; e is set if an error is still to be printed.
 */

#include "ctl/client.h"

/* Exit statuses of run and start -a besides the container's own, as podman and env(1) have them. */
#define EXIT_RUN_FAILED             125
#define EXIT_COMMAND_NOT_EXECUTABLE 126
#define EXIT_COMMAND_NOT_FOUND      127

int verb_pull(Client *c, char **args, Error *e);
int verb_images(Client *c, char **args, Error *e);
int verb_rmi(Client *c, char **args, Error *e);
int verb_run(Client *c, char **args, Error *e);
int verb_create(Client *c, char **args, Error *e);
int verb_start(Client *c, char **args, Error *e);
int verb_stop(Client *c, char **args, Error *e);
int verb_kill(Client *c, char **args, Error *e);
int verb_wait(Client *c, char **args, Error *e);
int verb_ps(Client *c, char **args, Error *e);
int verb_logs(Client *c, char **args, Error *e);
int verb_rm(Client *c, char **args, Error *e);
int verb_inspect(Client *c, char **args, Error *e);
int verb_version(Client *c, char **args, Error *e);
