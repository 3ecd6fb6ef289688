/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker checkpoint NAME, and ctr-worker restore DIGEST NAME LAYER...: between a directory that
 * a checkpoint was written to, or is to be restored from, and the content store. */

#include <sys/socket.h>

#include "basic/json.h"
#include "basic/strv.h"
#include "config.h"
#include "snapshot/overlayfs.h"
#include "worker/checkpoint.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define NAME_PREFIX ".new-"

typedef struct CheckpointCommand {
        const char *root;
        int control_fd;
        char **arguments;
        const char *name; /* of the directory */
        uint64_t layers[OVERLAYFS_LOWER_MAX];
        size_t n_layers;
} CheckpointCommand;

static int read_layers(CheckpointCommand *c, char **arguments, Error *e) {
        for (; *arguments; arguments++) {
                char *end;

                if (c->n_layers >= ELEMENTSOF(c->layers))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "More than %zu layers",
                                          ELEMENTSOF(c->layers));
                errno = 0;
                c->layers[c->n_layers] = strtoull(*arguments, &end, 10);
                if (errno != 0 || *end || **arguments < '1' || **arguments > '9')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" is not the number of a layer", *arguments);
                c->n_layers++;
        }
        return 0;
}

/* The n-th argument is the name of the directory; layers may follow if that is not the first. */
static int read_options(int argc, char *argv[], size_t n, CheckpointCommand *ret, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &ret->root},
                        {"control-fd", option_control_fd, &ret->control_fd},
                        {},
        };
        size_t given;
        int r;

        *ret = (CheckpointCommand){.root = CTR_STATE_DIR, .control_fd = -1};
        r = options_parse(options, argc, argv, &ret->arguments, e);
        if (r != 0)
                return r;
        given = strv_length(ret->arguments);
        if (n == 1 ? given != n : given < n)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%zu arguments are needed", n);
        ret->name = ret->arguments[n - 1];
        if (!startswith(ret->name, NAME_PREFIX) || strchr(ret->name, '/') ||
            strlen(ret->name) >= OVERLAYFS_NAME_SIZE)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not the name of a new directory", ret->name);
        return read_layers(ret, ret->arguments + n, e);
}

static int open_store(const CheckpointCommand *c, Store *s, Error *e) {
        int r;

        r = store_open_root(s, c->root, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT, &s->root_fd, e);
        return r != 0 ? r : store_open(s, e);
}

static int report_packet(int control_fd, json_t *packet, Error *e) {
        _cleanup_free_ char *text = NULL;
        int r;

        r = json_to_text(packet, &text);
        if (r < 0)
                return r;
        if (control_fd < 0)
                return puts(text) < 0 ? -EIO : 0;
        if (send(control_fd, text, strlen(text), MSG_NOSIGNAL) < 0)
                return error_setf(e, -errno, "Failed to report the result: %m");
        return 0;
}

int verb_checkpoint(int argc, char *argv[]) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *result = NULL;
        CheckpointCommand c;
        Store s = STORE_NULL;
        int r;

        r = read_options(argc, argv, 1, &c, &e);
        if (r == 0)
                r = open_store(&c, &s, &e);
        if (r == 0)
                r = checkpoint_store(&s, c.name, &result, &e);
        if (r == 0)
                r = report_packet(c.control_fd, result, &e);
        store_close(&s);
        return report_end(c.control_fd, r, &e);
}

int verb_restore(int argc, char *argv[]) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_json_ json_t *result = NULL;
        CheckpointCommand c;
        Store s = STORE_NULL;
        bool root = false;
        int r;

        r = read_options(argc, argv, 2, &c, &e);
        if (r == 0)
                r = open_store(&c, &s, &e);
        if (r == 0)
                r = checkpoint_extract(&s, c.arguments[0], c.name, c.layers, c.n_layers, &root, &e);
        if (r == 0) {
                result = json_pack("{ss sb}", "type", "result", "root", (int) root);
                r = result ? report_packet(c.control_fd, result, &e) : -ENOMEM;
        }
        store_close(&s);
        return report_end(c.control_fd, r, &e);
}
