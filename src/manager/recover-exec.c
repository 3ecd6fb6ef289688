/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The execs of a task at the start. What they are is in the task's directory: a document for each,
 * and a record if it has ended; the supervisor knows the rest. What belongs to no document is
 * removed, a damaged document is set aside.
 */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/exec-internal.h"
#include "manager/recover-internal.h"

/* The id in "PREFIXid.json": 1 and it; 0 for another name. */
static int id_from_name(const char *name, const char *prefix, char **ret) {
        const char *id = startswith(name, prefix);
        size_t n = id ? strlen(id) : 0;

        if (n <= STRLEN(".json") || !streq(id + n - STRLEN(".json"), ".json"))
                return 0;
        *ret = strndup(id, n - STRLEN(".json"));
        if (!*ret)
                return -ENOMEM;
        if (identifier_is_valid(*ret))
                return 1;
        free(TAKE_PTR(*ret));
        return 0;
}

static int load_document(Exec *x, json_t *j, Error *e) {
        _cleanup_(exec_launch_clear) ExecLaunch launch = {};
        int r;

        r = exec_launch_from_json(j, &launch, e);
        if (r != 0)
                return r;
        x->process.terminal = launch.terminal;
        return process_set_streams(&x->process, launch.stdio,
                                   (const char *const *) launch.stdio_path);
}

static void recover_exec(Task *t, const char *name, const char *id) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        Exec *x = NULL;
        int r;

        r = json_read_file_at(t->dir_fd, name, TASK_CONFIG_MAX, &j, &e);
        if (r == 0)
                r = exec_new(t, id, &x, &e);
        if (r == 0)
                r = load_document(x, j, &e);
        if (r == 0) {
                process_load(&x->process);
                return;
        }
        if (x)
                exec_free(x);
        if (r == -ENOMEM || r == CTR_RESOURCE_EXHAUSTED)
                log_error("Failed to recover exec %s of task %s: %s", id, t->process.object.name,
                          error_text(&e));
        else
                process_set_aside(&t->process, name, &e);
}

/* A record or a state whose document is gone: its deletion was interrupted. */
static void sweep_orphan(Task *t, const char *name, const char *id) {
        char document[TASK_EXEC_FILE_SIZE];

        if (faccessat(t->dir_fd, exec_file_name(TASK_FILE_EXEC_PREFIX, id, document), F_OK,
                      AT_SYMLINK_NOFOLLOW) >= 0 ||
            errno != ENOENT)
                return;
        if (unlinkat(t->dir_fd, name, 0) < 0)
                log_warning_errno(errno, "Failed to remove %s of task %s: %m", name,
                                  t->process.object.name);
}

static void look_at(Task *t, const char *name) {
        static const struct {
                const char *prefix;
                void (*f)(Task *t, const char *name, const char *id);
        } kinds[] = {
                        {TASK_FILE_EXEC_PREFIX, recover_exec},
                        {TASK_FILE_EXEC_EXIT_PREFIX, sweep_orphan},
                        {TASK_FILE_STATE_PREFIX, sweep_orphan},
        };

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                _cleanup_free_ char *id = NULL;
                int r;

                r = id_from_name(name, kinds[i].prefix, &id);
                if (r > 0)
                        kinds[i].f(t, name, id);
                if (r < 0)
                        log_warning_errno(r, "Failed to look at %s of task %s: %m", name,
                                          t->process.object.name);
        }
}

void recover_execs(Task *t) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;

        dir = dir_stream_open_at(t->dir_fd, ".");
        while (dir && (errno = 0, de = readdir(dir)))
                look_at(t, de->d_name);
        if (errno != 0)
                log_warning_errno(errno, "Failed to list the execs of task %s: %m",
                                  t->process.object.name);
}

static void state_apply(Exec *x, const SupervisorMessage *reply) {
        Process *p = &x->process;

        (void) exec_recheck(x, false);
        if (p->status != TASK_UNKNOWN)
                return;
        p->pid = reply->pid;
        p->ran = (reply->flags & SUPERVISOR_STATE_STARTED) &&
                 !(reply->flags & SUPERVISOR_STATE_STARTING);
        process_set_status(p, p->ran ? TASK_RUNNING : TASK_CREATED);
        recover_ask_again(p, reply->flags);
        if (x->client_gone) /* found out before this answer */
                (void) process_schedule(p);
}

static void on_state(Operation *o, int r, const Error *e, const SupervisorMessage *reply) {
        Exec *x = EXEC(&o->process->object);
        Process *p = &x->process;

        if (r == 0)
                state_apply(x, reply);
        else
                (void) exec_recheck(x, false);
        /* it was being added, or being deleted, when the manager died */
        if (r == CTR_NOT_FOUND && p->status == TASK_UNKNOWN)
                x = exec_vanish(x, e);
        else if (r != 0)
                log_warning("The state of exec %s is unknown: %s", p->object.name, error_text(e));
        o->callback(x ? &x->process.object : NULL, r, e, o->userdata);
}

/* An exec that nobody can be asked about, because the supervisor is too old to have any. */
static void ask_failed(Exec *x, int r, const Error *e) {
        log_warning("The state of exec %s is unknown: %s", x->process.object.name, error_text(e));
        if (r == CTR_NOT_IMPLEMENTED)
                (void) exec_recheck(x, true);
}

size_t recover_execs_ask(Task *t, Callback done, void *userdata) {
        size_t n = 0;

        for (Exec *x = t->execs; x; x = x->task_next) {
                _cleanup_error_ Error e = ERROR_NULL;
                int r;

                (void) exec_recheck(x, false);
                if (x->process.status != TASK_UNKNOWN)
                        continue;
                r = process_request(&x->process,
                                    &(SupervisorMessage){.type = SUPERVISOR_EXEC_STATE}, NULL, 0,
                                    PROCESS_REQUEST_USEC,
                                    &(Operation){.reply = on_state,
                                                 .callback = done,
                                                 .userdata = userdata},
                                    &e);
                if (r == 0)
                        n++;
                else
                        ask_failed(x, r, &e);
        }
        return n;
}
