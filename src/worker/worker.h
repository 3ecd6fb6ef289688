/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The verbs of ctr-worker. Each gets its arguments from its own name on, and returns what main()
 * returns: 0, or 1 after it has reported the error. */

int verb_commit(int argc, char *argv[]);
int verb_copy_in(int argc, char *argv[]);
int verb_copy_out(int argc, char *argv[]);
int verb_diff(int argc, char *argv[]);
int verb_export(int argc, char *argv[]);
int verb_export_root(int argc, char *argv[]);
int verb_import(int argc, char *argv[]);
int verb_pull(int argc, char *argv[]);
int verb_push(int argc, char *argv[]);
int verb_search(int argc, char *argv[]);
int verb_resolve(int argc, char *argv[]);
int verb_stat_path(int argc, char *argv[]);
int verb_verify(int argc, char *argv[]);
int verb_remove(int argc, char *argv[]);
int verb_checkpoint(int argc, char *argv[]);
int verb_restore(int argc, char *argv[]);
int verb_copy(int argc, char *argv[]);
int verb_copy_up(int argc, char *argv[]);
int verb_usage(int argc, char *argv[]);
