/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of an exec: its state and its end (exec.c), how it is added (exec-add.c), its
 * document (exec-document.c) and finding it again after a restart (recover-exec.c). */

#include "manager/exec.h"
#include "manager/process-internal.h"

/* An unlinked exec of t in status UNKNOWN, whose id is taken from here on. CTR_ALREADY_EXISTS,
 * CTR_RESOURCE_EXHAUSTED for more than SUPERVISOR_EXECS_MAX. */
int exec_new(Task *t, const char *id, Exec **ret, Error *e);
Exec *exec_free(Exec *x);

/* By its id, also one that is being added; or NULL. */
Exec *task_find_exec(const Task *t, const char *id);

/* Looks at the record and decides what the exec is now. final: no record will come. False if the
 * record cannot be read now; then this is done again later. */
bool exec_recheck(Exec *x, bool final);

void exec_scheduled(Exec *x);

/* What the manager alone knows of it, in its state (process_save(), process_load()). 0, -ENOMEM,
 * -EBADMSG. */
int exec_save(const Exec *x, json_t *state);
int exec_load(Exec *x, json_t *state, Error *e);

int exec_delete(Exec *x, bool force, Callback callback, void *userdata, Error *e);

/* Takes away the exec and its files, after everybody who waits was told. */
void exec_remove(Exec *x);

/* The same for one that the supervisor does not know, found after a restart: whoever was shown it
 * meanwhile is told CTR_NOT_FOUND. Returns NULL. */
Exec *exec_vanish(Exec *x, const Error *e);

/* Removes what is in the task's directory about it. */
void exec_remove_files(Exec *x);

/* Makes the document of an exec and writes it into the task's directory. */
int exec_document_write(Exec *x, const ExecRequest *request, Error *e);
