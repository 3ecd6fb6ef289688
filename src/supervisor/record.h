/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The files of a task in /run/ctr/tasks/<namespace>/<id>/ (0700, tmpfs) and how they read. Each has
 * exactly one writer. The exit record is the only truth about how a task ended: written once, after
 * the payload is empty and its output is drained, before the supervisor leaves its scope.
 *
 *   config.json  manager      the OCI runtime-spec document, as given to the runtime
 *   launch.json  manager      what the supervisor needs besides (TaskLaunch)
 *   state.json   manager      times, for its successor
 *   control      supervisor   socket for later connections
 *   exit.json    supervisor   the exit record (ExitRecord)
 *
 * and for each exec
 *
 *   exec-ID.json manager      its process and its streams (ExecLaunch)
 *   state-ID.json manager     times, for its successor
 *   exit-ID.json supervisor   its exit record
 */

#include <jansson.h>

#include "basic/error.h"
#include "basic/identifier.h"

#define TASK_FILE_CONFIG           "config.json"
#define TASK_FILE_LAUNCH           "launch.json"
#define TASK_FILE_EXIT             "exit.json"
#define TASK_FILE_EXEC_PREFIX      "exec-" /* + exec id + ".json" */
#define TASK_FILE_EXEC_EXIT_PREFIX "exit-" /* + exec id + ".json" */
#define TASK_EXEC_FILE_SIZE        (STRLEN("exec-.json") + IDENTIFIER_MAX + 1)
#define TASK_CONFIG_MAX            (8U * 1024 * 1024)
#define TASK_LAUNCH_MAX            (1U * 1024 * 1024)
#define TASK_RECORD_MAX            (64U * 1024)

#define EXIT_STATUS_UNKNOWN 255

typedef struct ExitRecord {
        int exit_status;    /* 0..255: the code, or 128 + signal */
        uint64_t exited_at; /* realtime usec */
        pid_t pid;          /* of init */
        bool started;       /* false: it ended before START */
        bool terminated;    /* the supervisor had got a SIGTERM: somebody stops the unit, or the
                             * machine goes down */
        bool oom_killed;
        char *oom_cgroup; /* whose limit was hit, as in SUPERVISOR_OOM; NULL if none was */
        char *error;      /* why the program could not be executed (126, 127), or NULL */
} ExitRecord;

void exit_record_clear(ExitRecord *r);

/* Writes exit.json into the task directory, atomically and synced. */
int exit_record_write(int task_dir_fd, const ExitRecord *record);

/* 0; -ENOENT if there is none; -EBADMSG (with text) if it is damaged; -ENOMEM, -EMFILE or -ENFILE
 * if nothing can be said about it now. */
int exit_record_read(int task_dir_fd, ExitRecord *ret, Error *e);

/* How a standard stream is connected. */
typedef enum StdioKind {
        STDIO_NULL,    /* /dev/null */
        STDIO_FD,      /* a descriptor that the caller handed over (4, 5, 6 of the supervisor) */
        STDIO_JOURNAL, /* output only: a stream to the journal, under the scope's unit */
        STDIO_FIFO,    /* "fifo:/path" */
        STDIO_FILE,    /* "file:/path": appended to, made 0644 */
        STDIO_BINARY,  /* output only: a program that logs it; stdio_path is the whole URI,
                        * "binary:///path?key=value" or "binary-v2:///path?..." (D30) */
        STDIO_ATTACH,  /* a pipe that the supervisor keeps: for whoever attaches; what is written
                        * while nobody does is dropped, and input has no end before CLOSE_STDIN */
        _STDIO_KIND_MAX,
} StdioKind;

const char *stdio_kind_to_string(StdioKind kind) _const_;

/* The manager's launch document. Serialised by task_launch_to_json(), read by the supervisor with
 * task_launch_from_json(). All strings are owned. */
typedef struct TaskLaunch {
        char *namespace;
        char *id;
        char *unit;           /* the scope's name */
        char *log_identifier; /* SYSLOG_IDENTIFIER of the journal streams */
        StdioKind stdio[3];
        char *stdio_path[3];   /* for fifo, file, binary */
        bool terminal;         /* process.terminal of the spec says the same */
        int stop_signal;       /* sent on SIGTERM to the supervisor */
        uint64_t stop_timeout; /* usec until SIGKILL after that; a little less than the unit's */
        char *rootfs_lower; /* overlay lowerdir list, top first, separated by ':'; NULL: root.path
                             * of the spec is mounted by somebody else or is a plain directory */
        char *rootfs_upper; /* NULL: read-only view */
        char *rootfs_work;
        char *checkpoint; /* directory with CRIU's images to restore at START (D21); NULL: none */
        char *runtime; /* absolute path of another OCI runtime's program; NULL: we are the runtime
                        */
        char *runtime_name;    /* what the manager's caller called the runtime */
        char *checkpoint_name; /* what the manager's caller called it; NULL: by its directory */
} TaskLaunch;

void task_launch_clear(TaskLaunch *l);
int task_launch_to_json(const TaskLaunch *l, json_t **ret);
int task_launch_from_json(json_t *j, TaskLaunch *ret, Error *e);

/* What the manager writes for an exec. "process" of the document is the process of the OCI
 * runtime specification, which src/runtime/exec.h reads. */
typedef struct ExecLaunch {
        StdioKind stdio[3];
        char *stdio_path[3];
        bool terminal; /* process.terminal says the same */
} ExecLaunch;

void exec_launch_clear(ExecLaunch *l);
/* process: the OCI process, a reference is taken. A member "annotations" may be added to the result
 * (runtime/exec.h tells what is read of it). -EINVAL if a path does not fit its kind. */
int exec_launch_to_json(const ExecLaunch *l, json_t *process, json_t **ret);
int exec_launch_from_json(json_t *j, ExecLaunch *ret, Error *e);

/* The name of an exec's file: prefix (TASK_FILE_EXEC_PREFIX, TASK_FILE_EXEC_EXIT_PREFIX), id,
 * ".json". The id must be valid. Returns buf. */
const char *exec_file_name(const char *prefix, const char *exec_id,
                           char buf[static TASK_EXEC_FILE_SIZE]);

/* An exec's record in the task directory: atomic, not synced (it does not outlive the boot). Errors
 * as exit_record_read(). oom_killed stays false: the kernel does not tell whom it killed. */
int exec_record_write(int task_dir_fd, const char *exec_id, const ExitRecord *record);
int exec_record_read(int task_dir_fd, const char *exec_id, ExitRecord *ret, Error *e);

/* What SUPERVISOR_CHECKPOINT carries, as JSON text. images: an absolute directory of root's. */
typedef struct CheckpointRequest {
        char *images;
        char *parent; /* directory of the checkpoint before, or NULL */
        bool leave_running;
        bool allow_tcp, allow_unix_sockets, allow_terminal, file_locks;
        char **empty_namespaces; /* "network" */
} CheckpointRequest;

void checkpoint_request_clear(CheckpointRequest *c);
/* -ENAMETOOLONG if it does not fit into a message. */
int checkpoint_request_to_text(const CheckpointRequest *c, char **ret);
int checkpoint_request_from_text(const char *text, CheckpointRequest *ret, Error *e);
