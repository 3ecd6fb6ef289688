/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Task.Checkpoint. */

#include "basic/strv.h"
#include "bus/error.h"
#include "bus/interfaces.h"
#include "bus/options.h"
#include "bus/process.h"
#include "bus/service.h"
#include "manager/checkpoint.h"
#include "manager/image.h"

static int option_directory(OptionReader *o, void *target) {
        const char **path = target;
        int r;

        r = option_string(o, target);
        if (r < 0)
                return r;
        return (*path)[0] == '/' ? 0
                                 : option_invalid(o, "\"%.200s\" is not an absolute path", *path);
}

/* A3.17 */
static int option_image(OptionReader *o, void *target) {
        const char **image = target;
        int r;

        r = option_string(o, target);
        if (r < 0)
                return r;
        return isempty(*image) ? option_invalid(o, "the name of an image cannot be empty") : 0;
}

static int option_namespaces(OptionReader *o, void *target) {
        char ***names = target;
        int r;

        r = option_strv(o, target);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *names)
                if (!streq(*s, "network"))
                        return option_invalid(o, "only \"network\" can be left out, not \"%.64s\"",
                                              *s);
        return 0;
}

static int checkpoint_reply(sd_bus_message *m, Object *o) {
        const Image *i = o && o->type == OBJECT_IMAGE ? IMAGE(o) : NULL;

        return sd_bus_reply_method_return(m, "ss", i ? i->object.name : "", i ? i->digest : "");
}

static int checkpoint_start(sd_bus_message *m, Task *t, const CheckpointOptions *options,
                            sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        if (!options->path == !options->image)
                r = error_setf(&e, CTR_INVALID_ARGUMENT,
                               "One of the options Path and Image is needed");
        else if (options->parent && !options->path)
                r = error_setf(&e, CTR_INVALID_ARGUMENT,
                               "ParentPath needs Path: an image is complete without others");
        else
                r = 0;
        if (r != 0)
                return bus_error_set(error, r, &e);
        /* root writes to, or reads, a directory that the caller names */
        r = task_begin(t, m, options->path || options->parent, checkpoint_reply, &late, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = task_checkpoint(t, options, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

int method_checkpoint(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Path", "s", option_directory, offsetof(CheckpointOptions, path)},
                        {"Image", "s", option_image, offsetof(CheckpointOptions, image)},
                        {"ParentPath", "s", option_directory, offsetof(CheckpointOptions, parent)},
                        {"Exit", "b", option_bool, offsetof(CheckpointOptions, exit)},
                        {"AllowTCP", "b", option_bool, offsetof(CheckpointOptions, allow_tcp)},
                        {"AllowUnixSockets", "b", option_bool,
                         offsetof(CheckpointOptions, allow_unix_sockets)},
                        {"AllowTerminal", "b", option_bool,
                         offsetof(CheckpointOptions, allow_terminal)},
                        {"FileLocks", "b", option_bool, offsetof(CheckpointOptions, file_locks)},
                        {"EmptyNamespaces", "as", option_namespaces,
                         offsetof(CheckpointOptions, empty_namespaces)},
                        {},
        };
        CheckpointOptions options = {};
        int r;

        r = options_read(m, table, &options, error);
        if (r >= 0)
                r = checkpoint_start(m, userdata, &options, error);
        strv_free(options.empty_namespaces);
        return r;
}
