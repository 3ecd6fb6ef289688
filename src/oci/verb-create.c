/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* create and run. */

#include "oci/late-hooks.h"
#include "oci/launch.h"
#include "runtime/detached.h"

typedef struct RunOptions {
        LaunchOptions launch;
        bool no_subreaper, keep;
} RunOptions;

/* *ret_id is NULL after --help. */
static int parse(RunOptions *o, const char *usage, bool is_run, int argc, char *argv[],
                 const char **ret_id, Error *e) {
        LaunchOptions *l = &o->launch;
        const Option options[] = {
                        {"bundle", 'b', OPTION_STRING, &l->bundle, "directory of config.json"},
                        {"console-socket", 0, OPTION_STRING, &l->console_socket,
                         "socket that gets the terminal's master"},
                        {"pid-file", 0, OPTION_STRING, &l->pid_file, "file to write init's pid to"},
                        {"preserve-fds", 0, OPTION_UNSIGNED, &l->preserve_fds,
                         "descriptors from 3 on that the program gets"},
                        {"no-pivot", 0, OPTION_FLAG, &l->no_pivot,
                         "chroot instead of pivot_root, for an initramfs"},
                        {"no-new-keyring", 0, OPTION_FLAG, &l->no_keyring,
                         "keep the session keyring"},
                        /* of run alone */
                        {"detach", 'd', OPTION_FLAG, &l->detach, "do not stay with the container"},
                        {"no-subreaper", 0, OPTION_FLAG, &o->no_subreaper,
                         "do not take orphans of the container"},
                        {"keep", 0, OPTION_FLAG, &o->keep,
                         "do not delete the container at its end"},
        };
        const OptionTable table = {usage, options, ELEMENTSOF(options) - (is_run ? 0 : 3),
                                   1,     1,       false};
        int first, r;

        *ret_id = NULL;
        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        if (l->preserve_fds > PRESERVE_FDS_MAX)
                return error_setf(e, -EINVAL, "--preserve-fds: more than %u", PRESERVE_FDS_MAX);
        *ret_id = argv[first];
        return 0;
}

static int detach(Launch *l, Error *e) {
        _cleanup_close_ int listen_fd = -1;
        int r;

        r = detached_listen(l->state->dir_fd, STATE_START, &listen_fd, e);
        return r == 0 ? container_detach(l->container, listen_fd, SET_UP_TIMEOUT, e) : r;
}

int verb_create(Context *c, int argc, char *argv[], Error *e) {
        _cleanup_(launch_clear) Launch l = LAUNCH_NULL;
        RunOptions o = {.launch.detach = true};
        const char *id;
        int r;

        r = parse(&o, "create [OPTIONS] CONTAINER", false, argc, argv, &id, e);
        if (r != 0 || !id)
                return r;
        r = launch_open(&l, c, &o.launch, id, e);
        if (r == 0)
                r = launch_set_up(&l, e);
        if (r == 0)
                r = detach(&l, e);
        if (r == 0)
                launch_release(&l);
        return r;
}

int verb_run(Context *c, int argc, char *argv[], Error *e) {
        _cleanup_(launch_clear) Launch l = LAUNCH_NULL;
        _cleanup_close_ int signal_fd = -1;
        RunOptions o = {};
        const char *id;
        int r;

        r = parse(&o, "run [OPTIONS] CONTAINER", true, argc, argv, &id, e);
        if (r != 0 || !id)
                return r;
        r = launch_open(&l, c, &o.launch, id, e);
        if (r == 0 && !o.launch.detach)
                r = launch_prepare_stay(!o.no_subreaper, &signal_fd, e);
        if (r == 0)
                r = launch_set_up(&l, e);
        if (r == 0)
                r = container_start(l.container, SET_UP_TIMEOUT, e);
        if (r == 0)
                r = late_hooks_run(l.state, HOOK_POSTSTART, e);
        if (r != 0)
                return r;
        if (o.launch.detach) {
                launch_release(&l);
                return 0;
        }
        return launch_stay(&l, o.keep, signal_fd, e);
}
