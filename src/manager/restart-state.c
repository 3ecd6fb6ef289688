/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What the restart monitor keeps: labels, which everybody sees, the column "restart" of the row,
 * and a file that tells a boot whether there is anything to do for us (units/ctr-boot.service). */

#include <fcntl.h>
#include <inttypes.h>
#include <unistd.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "basic/log.h"
#include "manager/db.h"
#include "manager/restart-internal.h"

static void load_streams(Restart *r, json_t *state) {
        json_t *streams = json_object_get(state, "streams");

        for (size_t i = 0; i < 3; i++)
                if (free_and_strdup(&r->streams[i], json_string_value(json_array_get(streams, i))) <
                    0)
                        log_warning("No memory for the streams of %s", r->container->object.name);
}

int restart_load(Container *c, json_t *state) {
        json_t *exit = json_object_get(state, "exit");
        Restart *r;

        assert(!c->restart);

        r = calloc(1, sizeof(Restart));
        if (!r)
                return -ENOMEM;
        r->container = c;
        r->exited = json_is_object(exit);
        r->exit_status = (int) json_integer_value(json_object_get(exit, "status"));
        r->exited_at = (uint64_t) json_integer_value(json_object_get(exit, "at"));
        r->attempt = json_is_true(json_object_get(state, "attempt"));
        r->failures = (unsigned) json_integer_value(json_object_get(state, "failures"));
        load_streams(r, state);
        c->restart = r;
        return 0;
}

Restart *restart_free(Restart *r) {
        if (!r)
                return NULL;
        if (r->phase != RESTART_IDLE)
                r->container->object.manager->restarts->n_busy--;
        sd_event_source_disable_unref(r->timer);
        system_question_free(r->question);
        for (size_t i = 0; i < 3; i++)
                free(r->streams[i]);
        free(r);
        return NULL;
}

static int state_to_text(const Restart *r, char **ret) {
        _cleanup_json_ json_t *j = NULL;

        j = json_pack("{s[s?s?s?] sb sI}", "streams", r->streams[0], r->streams[1], r->streams[2],
                      "attempt", (int) r->attempt, "failures", (json_int_t) r->failures);
        if (!j)
                return -ENOMEM;
        if (r->exited && json_object_set_new(j, "exit",
                                             json_pack("{si sI}", "status", r->exit_status, "at",
                                                       (json_int_t) r->exited_at)) < 0)
                return -ENOMEM;
        return json_to_text(j, ret);
}

static int set_or_remove(json_t *labels, const char *key, const char *value) {
        if (value)
                return json_object_set_new(labels, key, json_string(value));
        (void) json_object_del(labels, key);
        return 0;
}

json_t *restart_change_labels(const Container *c, const RestartChange *change) {
        _cleanup_json_ json_t *labels = json_copy(c->labels);
        char count[24];
        int r = labels ? 0 : -1;

        (void) snprintf(count, sizeof(count), "%" PRIi64, change->count);
        if (r == 0 && change->status)
                r = set_or_remove(labels, RESTART_LABEL_STATUS, change->status);
        if (r == 0 && change->explicitly_stopped >= 0)
                r = set_or_remove(labels, RESTART_LABEL_STOPPED,
                                  change->explicitly_stopped ? "true" : NULL);
        if (r == 0 && change->count >= 0)
                r = set_or_remove(labels, RESTART_LABEL_COUNT, change->count > 0 ? count : NULL);
        return r == 0 ? TAKE_PTR(labels) : NULL;
}

static int save_rows(Restart *r, json_t *labels, uint64_t now, bool wait, Error *e) {
        Database *db = r->container->object.manager->db;
        _cleanup_rollback_ Database *transaction = NULL;
        _cleanup_free_ char *state = NULL;
        int k;

        k = state_to_text(r, &state);
        if (k == 0)
                k = wait ? db_begin(db, e) : db_begin_unsynced(db, e);
        if (k != 0)
                return k;
        transaction = db;
        k = db_container_set_restart(db, r->container, state, e);
        if (k == 0 && labels)
                k = db_container_set_labels(db, r->container, labels, now, e);
        if (k == 0)
                k = db_commit(db, e);
        if (k == 0)
                transaction = NULL;
        return k;
}

int restart_save(Restart *r, json_t *labels, bool wait, Error *e) {
        _cleanup_json_ json_t *new = labels;
        Container *c = r->container;
        Manager *m = c->object.manager;
        uint64_t now = now_realtime();
        int k;

        if (new &&json_equal(new, c->labels)) {
                json_decref(new);
                new = NULL;
        }
        k = new ? restarts_prepare(m, new, e) : 0;
        if (k != 0)
                return k;
        k = save_rows(r, new, now, wait, e);
        if (k != 0 || !new)
                return k;
        json_decref(c->labels);
        c->labels = TAKE_PTR(new);
        c->updated_at = now;
        object_mark_dirty(&c->object);
        return restarts_mark(m, e);
}

void restart_save_or_log(Restart *r, const RestartChange *change, bool wait) {
        _cleanup_error_ Error e = ERROR_NULL;
        Container *c = r->container;
        json_t *labels;

        labels = restart_change_labels(c, change);
        if (!labels) {
                log_error_errno(-ENOMEM, "Failed to note the restart of container %s: %m",
                                c->object.name);
                return;
        }
        if (restart_save(r, json_incref(labels), wait, &e) == 0) {
                json_decref(labels);
                return;
        }
        log_error("Failed to note the restart of container %s: %s", c->object.name, error_text(&e));
        json_decref(c->labels);
        c->labels = labels;
}

void restart_parse_stream(const char *name, StdioKind *kind, const char **path) {
        const char *value;

        *path = NULL;
        if ((value = startswith(name, "fifo:")))
                *kind = STDIO_FIFO;
        else if ((value = startswith(name, "file:")))
                *kind = STDIO_FILE;
        else if (startswith(name, "binary:") || startswith(name, "binary-v2:")) {
                *kind = STDIO_BINARY;
                value = name;
        } else if (streq(name, "attach"))
                *kind = STDIO_ATTACH;
        else if (streq(name, "null"))
                *kind = STDIO_NULL;
        else
                *kind = STDIO_JOURNAL;
        *path = value;
}

/* containerd's: file:///path, fifo:///path, binary:///path?args, or a path alone. */
static bool parse_log(json_t *labels, StdioKind *kind, const char **path) {
        const char *uri = json_string_value(json_object_get(labels, RESTART_LABEL_LOGURI));
        const char *file = json_string_value(json_object_get(labels, RESTART_LABEL_LOGPATH));
        const char *value;

        if (!isempty(uri) && (value = startswith(uri, "file://")))
                *kind = STDIO_FILE;
        else if (!isempty(uri) && (value = startswith(uri, "fifo://")))
                *kind = STDIO_FIFO;
        else if (!isempty(uri)) {
                *kind = STDIO_BINARY;
                value = uri;
        } else if (!isempty(file)) {
                *kind = STDIO_FILE;
                value = file;
        } else
                return false;
        *path = value;
        return true;
}

void restart_streams(const Restart *r, StreamsRequest *ret) {
        *ret = STREAMS_NULL;
        for (size_t i = 0; i < 3; i++) {
                restart_parse_stream(strempty(r->streams[i]), &ret->kind[i], &ret->path[i]);
                if (i == 0 && ret->kind[i] == STDIO_JOURNAL) /* output only */
                        ret->kind[i] = STDIO_NULL;
                if (i > 0)
                        (void) parse_log(r->container->labels, &ret->kind[i], &ret->path[i]);
        }
}

static int wants_boot(Object *o, void *userdata) {
        return restart_wanted_at_boot(CONTAINER(o)->labels);
}

int restarts_mark_now(Manager *m, bool wanted, Error *e) {
        int fd;

        if (wanted) {
                fd = openat(m->state_fd, RESTART_MARKER,
                            O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
                if (fd < 0)
                        return error_setf(e, -errno, "Failed to make %s/%s: %m", m->state_dir,
                                          RESTART_MARKER);
                fd_close(fd);
        } else if (unlinkat(m->state_fd, RESTART_MARKER, 0) < 0 && errno != ENOENT)
                return error_setf(e, -errno, "Failed to remove %s/%s: %m", m->state_dir,
                                  RESTART_MARKER);
        if (wanted && fsync(m->state_fd) < 0)
                return error_setf(e, -errno, "Failed to sync %s: %m", m->state_dir);
        m->restarts->marked = wanted;
        return 0;
}

int restarts_mark(Manager *m, Error *e) {
        bool wanted = object_foreach(m, OBJECT_CONTAINER, NULL, wants_boot, NULL) != 0;

        return wanted == m->restarts->marked ? 0 : restarts_mark_now(m, wanted, e);
}

/* The file is there before somebody wants to be started by it, and gone after. */
int restarts_prepare(Manager *m, json_t *labels, Error *e) {
        if (m->restarts->marked || !restart_wanted_at_boot(labels))
                return 0;
        return restarts_mark_now(m, true, e);
}

void restarts_forget(Manager *m) {
        _cleanup_error_ Error e = ERROR_NULL;

        if (m->restarts->marked && restarts_mark(m, &e) != 0)
                log_warning("%s", error_text(&e));
}

/* Nobody wants a container back that goes with its task, or with the power. */
int restart_request_check(const ContainerRequest *request, Error *e) {
        RestartPolicy policy = restart_labels_policy(request->labels);
        int r;

        r = restart_labels_check(request->labels, e);
        if (r == 0 && request->restart_policy)
                r = restart_policy_parse(request->restart_policy, &policy, e);
        if (r != 0)
                return r;
        if (policy.kind != RESTART_NO && (request->auto_remove || request->volatile_root))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "A container with a restart policy cannot be %s",
                                  request->auto_remove ? "AutoRemove" : "Volatile");
        return 0;
}
