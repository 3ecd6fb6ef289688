/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The verbs of ctrctl. Each gets its arguments (NULL-terminated, as many as the tables
 * of verb-table.h allow) and returns the exit status; e is set if an error is still to be printed.
 */

#include "ctl/client.h"

/* Exit statuses of run, start -a, exec and attach besides the container's own, as podman and env(1)
 * have them. */
#define EXIT_RUN_FAILED             125
#define EXIT_COMMAND_NOT_EXECUTABLE 126
#define EXIT_COMMAND_NOT_FOUND      127

/* The exit status of run, start -a, exec and attach for an error of ours. signo: the signal that
 * ended it, or 0. */
int failure_status(const Error *e, int signo);

int verb_pull(Client *c, char **args, Error *e);
int verb_push(Client *c, char **args, Error *e);
int verb_search(Client *c, char **args, Error *e);
int verb_resolve(Client *c, char **args, Error *e);
int verb_login(Client *c, char **args, Error *e);
int verb_logout(Client *c, char **args, Error *e);
int verb_images(Client *c, char **args, Error *e);
int verb_rmi(Client *c, char **args, Error *e);
int verb_run(Client *c, char **args, Error *e);
int verb_create(Client *c, char **args, Error *e);
int verb_start(Client *c, char **args, Error *e);
int verb_restart(Client *c, char **args, Error *e);
int verb_exec(Client *c, char **args, Error *e);
int verb_attach(Client *c, char **args, Error *e);
int verb_pause(Client *c, char **args, Error *e);
int verb_resume(Client *c, char **args, Error *e);
int verb_update(Client *c, char **args, Error *e);
int verb_top(Client *c, char **args, Error *e);
int verb_stats(Client *c, char **args, Error *e);
int verb_events(Client *c, char **args, Error *e);
int verb_checkpoint(Client *c, char **args, Error *e);
int verb_restore(Client *c, char **args, Error *e);
int verb_stop(Client *c, char **args, Error *e);
int verb_kill(Client *c, char **args, Error *e);
int verb_wait(Client *c, char **args, Error *e);
int verb_ps(Client *c, char **args, Error *e);
int verb_logs(Client *c, char **args, Error *e);
int verb_rm(Client *c, char **args, Error *e);
int verb_inspect(Client *c, char **args, Error *e);
int verb_load(Client *c, char **args, Error *e);
int verb_import(Client *c, char **args, Error *e);
int verb_save(Client *c, char **args, Error *e);
int verb_tag(Client *c, char **args, Error *e);
int verb_history(Client *c, char **args, Error *e);
int verb_prune(Client *c, char **args, Error *e);
int verb_container_prune(Client *c, char **args, Error *e);
int verb_system_prune(Client *c, char **args, Error *e);
int verb_commit(Client *c, char **args, Error *e);
int verb_diff(Client *c, char **args, Error *e);
int verb_export(Client *c, char **args, Error *e);
int verb_cp(Client *c, char **args, Error *e);
int verb_system_df(Client *c, char **args, Error *e);
int verb_gc(Client *c, char **args, Error *e);
int verb_verify(Client *c, char **args, Error *e);
int verb_content_ls(Client *c, char **args, Error *e);
int verb_content_get(Client *c, char **args, Error *e);
int verb_content_rm(Client *c, char **args, Error *e);
int verb_content_label(Client *c, char **args, Error *e);
int verb_lease_ls(Client *c, char **args, Error *e);
int verb_lease_create(Client *c, char **args, Error *e);
int verb_lease_show(Client *c, char **args, Error *e);
int verb_lease_add(Client *c, char **args, Error *e);
int verb_lease_drop(Client *c, char **args, Error *e);
int verb_lease_rm(Client *c, char **args, Error *e);
int verb_version_create(Client *c, char **args, Error *e);
int verb_version_ls(Client *c, char **args, Error *e);
int verb_version_rollback(Client *c, char **args, Error *e);
int verb_version_rm(Client *c, char **args, Error *e);
int verb_volume_ls(Client *c, char **args, Error *e);
int verb_volume_create(Client *c, char **args, Error *e);
int verb_volume_inspect(Client *c, char **args, Error *e);
int verb_volume_usage(Client *c, char **args, Error *e);
int verb_volume_rm(Client *c, char **args, Error *e);
int verb_volume_prune(Client *c, char **args, Error *e);
int verb_volume_export(Client *c, char **args, Error *e);
int verb_volume_import(Client *c, char **args, Error *e);
int verb_secret_ls(Client *c, char **args, Error *e);
int verb_secret_create(Client *c, char **args, Error *e);
int verb_secret_inspect(Client *c, char **args, Error *e);
int verb_secret_rm(Client *c, char **args, Error *e);
int verb_snapshot_ls(Client *c, char **args, Error *e);
int verb_snapshot_info(Client *c, char **args, Error *e);
int verb_snapshot_usage(Client *c, char **args, Error *e);
int verb_snapshot_prepare(Client *c, char **args, Error *e);
int verb_snapshot_view(Client *c, char **args, Error *e);
int verb_snapshot_mounts(Client *c, char **args, Error *e);
int verb_snapshot_commit(Client *c, char **args, Error *e);
int verb_snapshot_label(Client *c, char **args, Error *e);
int verb_snapshot_rm(Client *c, char **args, Error *e);
int verb_version(Client *c, char **args, Error *e);
