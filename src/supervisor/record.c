/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The exit record as JSON. Invariant: whatever the program, its paths and its error text were made
 * of, a record can be written; and what is read back is either complete and in range or refused.
 */

#include "supervisor/record.h"

#include <limits.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/json.h"

#define ERROR_TEXT_MAX 4000

const char *exec_file_name(const char *prefix, const char *exec_id,
                           char buf[static TASK_EXEC_FILE_SIZE]) {
        assert(identifier_is_valid(exec_id));

        (void) snprintf(buf, TASK_EXEC_FILE_SIZE, "%s%s.json", prefix, exec_id);
        return buf;
}

void exit_record_clear(ExitRecord *r) {
        if (!r)
                return;
        free(r->oom_cgroup);
        free(r->error);
        *r = (ExitRecord){};
}

/* A JSON string of at most ERROR_TEXT_MAX bytes. JSON is UTF-8 and a path need not be: then every
 * byte that is not ASCII becomes '?'. */
static json_t *error_text_to_json(const char *s) {
        _cleanup_free_ char *ascii = NULL;
        size_t n = strnlen(s, ERROR_TEXT_MAX);
        json_t *j;

        j = json_stringn(s, n);
        if (j)
                return j;

        ascii = strndup(s, n);
        if (!ascii)
                return NULL;
        for (char *p = ascii; *p; p++)
                if ((unsigned char) *p >= 0x80)
                        *p = '?';
        return json_string(ascii);
}

static json_t *exit_record_to_json(const ExitRecord *record) {
        _cleanup_json_ json_t *j = NULL;

        j = json_pack("{s:i, s:I, s:i, s:b, s:b}", "exit_status", record->exit_status, "exited_at",
                      (json_int_t) record->exited_at, "pid", (int) record->pid, "started",
                      (int) record->started, "oom_killed", (int) record->oom_killed);
        if (!j)
                return NULL;
        if (record->terminated && json_object_set_new(j, "terminated", json_true()) < 0)
                return NULL;
        if (record->oom_cgroup &&
            json_object_set_new(j, "oom_cgroup", error_text_to_json(record->oom_cgroup)) < 0)
                return NULL;
        if (record->error && json_object_set_new(j, "error", error_text_to_json(record->error)) < 0)
                return NULL;
        return TAKE_PTR(j);
}

static int record_write(int task_dir_fd, const char *name, const ExitRecord *record,
                        FileWriteFlags flags) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        assert(task_dir_fd >= 0 && record);
        assert(record->exit_status >= 0 && record->exit_status <= 255);

        j = exit_record_to_json(record);
        if (!j)
                return -ENOMEM;
        r = json_to_text(j, &text);
        if (r < 0)
                return r;
        return file_write_atomic_at(task_dir_fd, name, text, strlen(text), 0600, flags);
}

int exit_record_write(int task_dir_fd, const ExitRecord *record) {
        return record_write(task_dir_fd, TASK_FILE_EXIT, record, FILE_WRITE_SYNC);
}

int exec_record_write(int task_dir_fd, const char *exec_id, const ExitRecord *record) {
        char name[TASK_EXEC_FILE_SIZE];

        return record_write(task_dir_fd, exec_file_name(TASK_FILE_EXEC_EXIT_PREFIX, exec_id, name),
                            record, 0);
}

/* The member must be there. */
static int required(int r, const char *key, Error *e) {
        return r == 0 ? error_setf(e, -EBADMSG, "%s is missing", key) : r;
}

static int exit_record_from_json(json_t *j, ExitRecord *ret, Error *e) {
        int64_t status, exited_at, pid;
        const char *error = NULL, *oom_cgroup = NULL;
        bool started, oom_killed, terminated = false;
        int r;

        if (!json_is_object(j))
                return error_setf(e, -EBADMSG, "not an object");

        r = required(json_get_int64(j, "", "exit_status", 0, 255, &status, e), "exit_status", e);
        if (r < 0)
                return r;
        r = required(json_get_int64(j, "", "exited_at", 0, INT64_MAX, &exited_at, e), "exited_at",
                     e);
        if (r < 0)
                return r;
        r = required(json_get_int64(j, "", "pid", 0, INT_MAX, &pid, e), "pid", e);
        if (r < 0)
                return r;
        r = required(json_get_bool(j, "", "started", &started, e), "started", e);
        if (r < 0)
                return r;
        r = required(json_get_bool(j, "", "oom_killed", &oom_killed, e), "oom_killed", e);
        if (r < 0)
                return r;
        r = json_get_bool(j, "", "terminated", &terminated, e);
        if (r >= 0)
                r = json_get_string(j, "", "error", &error, e);
        if (r >= 0)
                r = json_get_string(j, "", "oom_cgroup", &oom_cgroup, e);
        if (r < 0)
                return r;

        *ret = (ExitRecord){
                        .exit_status = (int) status,
                        .exited_at = (uint64_t) exited_at,
                        .pid = (pid_t) pid,
                        .started = started,
                        .oom_killed = oom_killed,
                        .terminated = terminated,
        };
        if (free_and_strdup(&ret->error, error) < 0 ||
            free_and_strdup(&ret->oom_cgroup, oom_cgroup) < 0) {
                exit_record_clear(ret);
                return -ENOMEM;
        }
        return 0;
}

static int record_read(int task_dir_fd, const char *name, ExitRecord *ret, Error *e) {
        _cleanup_free_ char *data = NULL;
        _cleanup_json_ json_t *j = NULL;
        size_t size;
        int r;

        assert(task_dir_fd >= 0 && ret);

        r = file_read_at(task_dir_fd, name, TASK_RECORD_MAX, &data, &size);
        if (r == -ENOENT || r == -ENOMEM || r == -EMFILE || r == -ENFILE)
                return r;
        if (r < 0)
                /* -EFBIG, a directory, a link: the supervisor writes none of these */
                return error_setf(e, -EBADMSG, "Failed to read %s: %s", name, strerror(-r));

        r = json_parse(data, size, name, &j, e);
        if (r == -ENOMEM)
                return r;
        if (r != 0) {
                if (e)
                        e->code = -EBADMSG;
                return -EBADMSG;
        }
        r = exit_record_from_json(j, ret, e);
        if (r == -EBADMSG)
                (void) error_prefix(e, r, "%s", name);
        return r;
}

int exit_record_read(int task_dir_fd, ExitRecord *ret, Error *e) {
        return record_read(task_dir_fd, TASK_FILE_EXIT, ret, e);
}

int exec_record_read(int task_dir_fd, const char *exec_id, ExitRecord *ret, Error *e) {
        char name[TASK_EXEC_FILE_SIZE];

        return record_read(task_dir_fd, exec_file_name(TASK_FILE_EXEC_EXIT_PREFIX, exec_id, name),
                           ret, e);
}
