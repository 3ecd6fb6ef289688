/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/checkpoint-document.h"

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"

#define VERSION        1
#define NAME_MAX_BYTES 4095U

void checkpoint_document_clear(CheckpointDocument *d) {
        for (size_t i = 0; i < ELEMENTSOF(d->stdio); i++)
                free(d->stdio[i]);
        strv_free(d->mounts);
        strv_free(d->empty_namespaces);
        free(d->network);
        *d = (CheckpointDocument){};
}

bool checkpoint_name_is_valid(const char *name) {
        if (isempty(name) || strlen(name) > NAME_MAX_BYTES)
                return false;
        for (const char *p = name; *p; p++)
                if (strchr("[]:", *p) || (unsigned char) *p < ' ')
                        return false;
        return true;
}

/* "pipe:[42]": letters, perhaps a colon, and a number or two in brackets. */
static bool resource_is_valid(const char *s) {
        static const char *const kinds[] = {"pipe:[", "socket:[", "file[", "tty["};

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                const char *id = startswith(s, kinds[i]);
                size_t n = id ? strspn(id, "0123456789abcdef:") : 0;

                if (n > 0 && n < 64)
                        return streq(id + n, "]");
        }
        return false;
}

int checkpoint_document_write(int images_fd, const CheckpointDocument *d) {
        _cleanup_json_ json_t *j = NULL;
        _cleanup_free_ char *text = NULL;
        int r;

        j = json_pack("{si s[s?s?s?] so ss? so sb sb sb sb sb}", "version", VERSION, "stdio",
                      d->stdio[0], d->stdio[1], d->stdio[2], "mounts", json_from_strv(d->mounts),
                      "network", d->network, "emptyNamespaces", json_from_strv(d->empty_namespaces),
                      "terminal", (int) d->terminal, "tcp", (int) d->tcp, "unixSockets",
                      (int) d->unix_sockets, "shellJob", (int) d->shell_job, "fileLocks",
                      (int) d->file_locks);
        r = j ? json_to_text(j, &text) : -ENOMEM;
        if (r < 0)
                return r;
        return file_write_atomic_at(images_fd, CHECKPOINT_DOCUMENT, text, strlen(text), 0600, 0);
}

static int read_stdio(json_t *j, CheckpointDocument *d, Error *e) {
        json_t *a = NULL;
        int r;

        r = json_get_array(j, "", "stdio", ELEMENTSOF(d->stdio), &a, e);
        if (r < 0)
                return r;
        for (size_t i = 0; i < ELEMENTSOF(d->stdio); i++) {
                const char *s = json_string_value(json_array_get(a, i));

                if (s && !resource_is_valid(s))
                        return error_setf(e, -EBADMSG, "stdio[%zu]: unknown resource", i);
                if (free_and_strdup(&d->stdio[i], s) < 0)
                        return -ENOMEM;
        }
        return 0;
}

static int read_flags(json_t *j, CheckpointDocument *d, Error *e) {
        const struct {
                const char *key;
                bool *target;
        } flags[] = {
                        {"terminal", &d->terminal},        {"tcp", &d->tcp},
                        {"unixSockets", &d->unix_sockets}, {"shellJob", &d->shell_job},
                        {"fileLocks", &d->file_locks},
        };
        int r = 0;

        for (size_t i = 0; r >= 0 && i < ELEMENTSOF(flags); i++)
                r = json_get_bool(j, "", flags[i].key, flags[i].target, e);
        return r;
}

static int read_names(json_t *j, CheckpointDocument *d, Error *e) {
        const char *network = NULL;
        int r;

        r = json_get_strv(j, "", "mounts", CHECKPOINT_MOUNTS_MAX, &d->mounts, e);
        if (r >= 0)
                r = json_get_strv(j, "", "emptyNamespaces", 8, &d->empty_namespaces, e);
        if (r >= 0)
                r = json_get_string(j, "", "network", &network, e);
        if (r < 0)
                return r;
        STRV_FOREACH(s, d->mounts)
                if (!checkpoint_name_is_valid(*s) || **s != '/')
                        return error_setf(e, -EBADMSG, "mounts: not a usable mount point");
        STRV_FOREACH(s, d->empty_namespaces)
                if (!streq(*s, "network"))
                        return error_setf(e, -EBADMSG, "emptyNamespaces: only \"network\"");
        if (network && !checkpoint_name_is_valid(network))
                return error_setf(e, -EBADMSG, "network: not a usable name");
        return free_and_strdup(&d->network, network);
}

static int document_read(json_t *j, CheckpointDocument *d, Error *e) {
        int64_t version = 0;
        int r;

        r = json_get_int64(j, "", "version", 1, VERSION, &version, e);
        if (r == 0)
                return error_setf(e, -EBADMSG, "version is missing");
        if (r > 0)
                r = read_stdio(j, d, e);
        if (r >= 0)
                r = read_names(j, d, e);
        if (r >= 0)
                r = read_flags(j, d, e);
        return r < 0 ? r : 0;
}

int checkpoint_document_read(int images_fd, CheckpointDocument *ret, Error *e) {
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        CheckpointDocument d = {};
        int r;

        r = json_read_file_at(images_fd, CHECKPOINT_DOCUMENT, CHECKPOINT_DOCUMENT_SIZE, &j, &local);
        if (r == -ENOENT)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The directory has no checkpoint: %s is missing in it",
                                  CHECKPOINT_DOCUMENT);
        if (r != 0)
                return error_propagate(e, r, &local);
        r = document_read(j, &d, &local);
        if (r == 0) {
                *ret = d;
                return 0;
        }
        checkpoint_document_clear(&d);
        if (r != -EBADMSG)
                return r;
        return error_setf(e, CTR_INVALID_ARGUMENT, "%s: %s", CHECKPOINT_DOCUMENT,
                          error_text(&local));
}
