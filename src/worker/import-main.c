/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker import: its options, and the order in which the job is set up. */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/strv.h"
#include "config.h"
#include "worker/import.h"
#include "worker/options.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

typedef struct Options {
        ImportOptions import;
        const char *root, *path;
        int control_fd; /* -1: none */
        int fd;         /* of the archive; -1: path */
} Options;

static int parse_options(int argc, char *argv[], Options *o, Error *e) {
        const WorkerOption options[] = {
                        {"root", option_string, &o->root},
                        {"control-fd", option_control_fd, &o->control_fd},
                        {"fd", option_fd, &o->fd},
                        {"platform", option_platform, &o->import.pull.platform},
                        {"no-unpack", option_unset, &o->import.pull.unpack},
                        {"limit", option_limit, &o->import.pull.limits},
                        {"rootfs", option_set, &o->import.rootfs},
                        {"request-fd", option_request, &o->import.request},
                        {},
        };
        char **arguments;
        int r;

        r = options_parse(options, argc, argv, &arguments, e);
        if (r != 0)
                return r;
        if (strv_length(arguments) != (o->fd < 0))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Either --fd or the path of one archive is needed");
        if (o->import.request && !o->import.rootfs)
                return error_setf(e, CTR_INVALID_ARGUMENT, "--request-fd is for --rootfs only");
        o->path = arguments[0];
        return 0;
}

static int import(Import *m, Options *o, Error *e) {
        struct stat st;
        int r;

        r = import_init(m, &o->import, o->control_fd, e);
        if (r != 0)
                return r;
        m->fd = o->path ? open(o->path, O_RDONLY | O_CLOEXEC | O_NOCTTY) : o->fd;
        if (m->fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open %s: %m", o->path);
        if (fstat(m->fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat the archive: %m");
        m->is_directory = S_ISDIR(st.st_mode);
        if (m->is_directory)
                sandbox_let_read(m->fd);
        r = trust_load_policy(&m->trust, e);
        if (r == 0)
                r = store_open_root(&m->store, o->root, e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT, &m->store.root_fd, e);
        if (r == 0)
                r = store_open(&m->store, e);
        return r == 0 ? report_run(&m->job, e) : r;
}

int verb_import(int argc, char *argv[]) {
        _cleanup_(import_clear) Import m = {.store = STORE_NULL, .fd = -1};
        _cleanup_error_ Error e = ERROR_NULL;
        Options o = {.root = CTR_STATE_DIR, .control_fd = -1, .fd = -1};
        int r;

        block_signals();
        platform_host(&o.import.pull.platform);
        o.import.pull.unpack = true;
        o.import.pull.all_platforms = true;
        o.import.pull.limits = apply_limits_default;
        r = parse_options(argc, argv, &o, &e);
        if (r == 0)
                r = import(&m, &o, &e);
        json_decref(o.import.request);
        return report_end(o.control_fd, r, &e);
}
