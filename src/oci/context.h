/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One run of ctr-runtime: what the options before the verb say, and the table of verbs. A verb
 * reads its options, does one thing and ends: there is no daemon, and all that lasts is in the
 * containers' directories (state.h).
 */

#include "basic/error.h"

#define RUNTIME_NAME     "ctr-runtime"
#define OCI_VERSION      "1.3.0" /* of the specification that documents are written for */
#define SET_UP_TIMEOUT   (120 * USEC_PER_SEC)
#define REMOVE_TIMEOUT   (10 * USEC_PER_SEC)
#define CONFIG_NAME      "config.json"
#define PRESERVE_FDS_MAX 65536U

typedef struct Context {
        char *root; /* the directory of all containers' directories; NULL: not said */
        int root_fd;
        bool systemd_cgroup;
        bool rootless;   /* not the user that owns the machine's cgroups */
        int exit_status; /* set by verbs that have one of their own */
} Context;

/* Opens (and with make: makes) the directory of all containers. 0, -ENOENT without text if it is
 * not there, other errors with text. */
int context_open_root(Context *c, bool make, Error *e);

typedef int (*Verb)(Context *c, int argc, char *argv[], Error *e);

int verb_checkpoint(Context *c, int argc, char *argv[], Error *e);
int verb_create(Context *c, int argc, char *argv[], Error *e);
int verb_delete(Context *c, int argc, char *argv[], Error *e);
int verb_events(Context *c, int argc, char *argv[], Error *e);
int verb_exec(Context *c, int argc, char *argv[], Error *e);
int verb_features(Context *c, int argc, char *argv[], Error *e);
int verb_kill(Context *c, int argc, char *argv[], Error *e);
int verb_list(Context *c, int argc, char *argv[], Error *e);
int verb_pause(Context *c, int argc, char *argv[], Error *e);
int verb_ps(Context *c, int argc, char *argv[], Error *e);
int verb_restore(Context *c, int argc, char *argv[], Error *e);
int verb_resume(Context *c, int argc, char *argv[], Error *e);
int verb_run(Context *c, int argc, char *argv[], Error *e);
int verb_spec(Context *c, int argc, char *argv[], Error *e);
int verb_start(Context *c, int argc, char *argv[], Error *e);
int verb_state(Context *c, int argc, char *argv[], Error *e);
int verb_update(Context *c, int argc, char *argv[], Error *e);
