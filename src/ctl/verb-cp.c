/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* cp: files between a container and our machine, as docker cp. */

#include <fcntl.h>
#include <sys/stat.h>

#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/copy-child.h"
#include "ctl/copy-path.h"
#include "ctl/job.h"
#include "ctl/verbs.h"

typedef struct Copy {
        Client *client;
        CopyEnd source, target;
        char *object; /* path of the container */
} Copy;

static void copy_clear(Copy *c) {
        copy_end_clear(&c->source);
        copy_end_clear(&c->target);
        free(c->object);
}

static const char *copy_container(const Copy *c) {
        return c->source.container ?: c->target.container;
}

static TarFlags copy_flags(const Copy *c) {
        return (TarFlags) ((c->client->options->archive ? TAR_OWNERS : 0) |
                           (c->client->options->follow ? TAR_FOLLOW : 0));
}

static int local_kind(const char *path, bool follow, CopyKind *ret, Error *e) {
        struct stat st;

        if (fstatat(AT_FDCWD, path, &st, follow ? 0 : AT_SYMLINK_NOFOLLOW) < 0) {
                if (errno != ENOENT)
                        return error_setf(e, -errno, "Failed to look at %s: %m", path);
                *ret = COPY_ABSENT;
        } else
                *ret = S_ISDIR(st.st_mode) ? COPY_DIRECTORY : COPY_FILE;
        return 0;
}

static int copy_init(Copy *c, char **args, Error *e) {
        int r;

        r = copy_end_parse(args[0], &c->source, e);
        if (r == 0)
                r = copy_end_parse(args[1], &c->target, e);
        if (r != 0)
                return r;
        if (!c->source.container == !c->target.container)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "exactly one of the two names has to be in a container, as "
                                  "CONTAINER:PATH");
        if (c->client->options->host)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "files cannot be passed to another host");
        c->object = client_object_path(c->client, "container", copy_container(c));
        return c->object ? 0 : error_setf(e, -ENOMEM, "Out of memory");
}

/* What is at a path of the container, CTR_NOT_FOUND if there is nothing; follow: what a symbolic
 * link leads to. */
static int remote_kind(Copy *c, const char *path, bool follow, CopyKind *ret, Error *e) {
        Arguments arguments = {.client = c->client,
                               .on_object = true,
                               .texts = {path},
                               .flag = follow ? "FollowLink" : NULL};
        const Call call = {.path = c->object,
                           .interface = INTERFACE_CONTAINER,
                           .member = "StatPath",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "container",
                           .name = copy_container(c),
                           .timeout = UINT64_MAX};
        _cleanup_json_ json_t *j = NULL;
        sd_bus_message *reply = NULL;
        int r;

        r = client_call(c->client, &call, &reply, e);
        if (r != 0)
                return r;
        r = bus_message_read_json(reply, &j);
        sd_bus_message_unref(reply);
        if (r < 0)
                return error_setf(e, r, "Failed to read what %s is: %m", path);
        *ret = S_ISDIR((mode_t) json_integer_value(json_object_get(j, "Mode"))) ? COPY_DIRECTORY
                                                                                : COPY_FILE;
        return 0;
}

static int remote_target_kind(Copy *c, CopyKind *ret, Error *e) {
        _cleanup_error_ Error missing = ERROR_NULL;
        int r;

        r = remote_kind(c, c->target.path, true, ret, &missing);
        if (r != CTR_NOT_FOUND)
                return r == 0 ? 0 : error_propagate(e, r, &missing);
        *ret = COPY_ABSENT; /* if it is the container that is not there, the copy will say so */
        return 0;
}

/* Runs CopyIn or CopyOut on a path of the container, with the stream fd. */
static int run_job(Copy *c, const char *member, const char *path, const int *fd, Error *e) {
        Arguments arguments = {.client = c->client,
                               .on_object = true,
                               .texts = {path},
                               .fd = fd,
                               .keys = streq(member, "CopyOut") ? KEY_FOLLOW_LINK : 0};
        const Call call = {.path = c->object,
                           .interface = INTERFACE_CONTAINER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "container",
                           .name = copy_container(c),
                           .once = true};

        return job_run(c->client, &call, "copy", NULL, e);
}

/* The service does its half, a child of ours the other one. If one of them went wrong the other one
 * sees a stream that breaks off, which is not what to tell. */
static int run_both(Copy *c, const char *member, const char *path, const CopyWork *work, Error *e) {
        _cleanup_error_ Error job = ERROR_NULL, local = ERROR_NULL;
        CopyChild child;
        int fd, r, k;

        r = copy_child_start(work, &child, &fd, e);
        if (r != 0)
                return r;
        r = run_job(c, member, path, &fd, &job);
        fd_close(fd);
        k = copy_child_wait(&child, &local);
        if (k != 0 && (r == 0 || (k != -EPIPE && k != CTR_DATA_LOSS && r != CTR_CANCELED)))
                return error_propagate(e, k, &local);
        return r != 0 ? error_propagate(e, r, &job) : 0;
}

static int copy_out(Copy *c, Error *e) {
        CopyWork work = {.flags = copy_flags(c)};
        CopyKind source_kind, target_kind;
        _cleanup_close_ int dir_fd = -1;
        CopyTarget target;
        int r;

        if (streq(c->target.path, "-")) {
                const int fd = STDOUT_FILENO;

                if (isatty(fd))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "standard output is a terminal: redirect it");
                return run_job(c, "CopyOut", c->source.path, &fd, e);
        }
        r = remote_kind(c, c->source.path, c->client->options->follow, &source_kind, e);
        if (r == 0)
                r = local_kind(c->target.path, true, &target_kind, e);
        if (r == 0)
                r = copy_target(c->source.path, source_kind, c->target.path, target_kind, &target,
                                e);
        if (r != 0)
                return r;
        dir_fd = open(target.directory, O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", target.directory);
        work.dir_fd = dir_fd;
        work.as = target.as;
        return run_both(c, "CopyOut", c->source.path, &work, e);
}

static int copy_in(Copy *c, Error *e) {
        CopyWork work = {.path = c->source.path, .flags = copy_flags(c)};
        CopyKind source_kind, target_kind;
        CopyTarget target;
        int r;

        if (streq(c->source.path, "-")) {
                const int fd = STDIN_FILENO;

                if (isatty(fd))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "standard input is a terminal: redirect it");
                return run_job(c, "CopyIn", c->target.path, &fd, e);
        }
        r = local_kind(c->source.path, c->client->options->follow, &source_kind, e);
        if (r == 0)
                r = remote_target_kind(c, &target_kind, e);
        if (r == 0)
                r = copy_target(c->source.path, source_kind, c->target.path, target_kind, &target,
                                e);
        if (r != 0)
                return r;
        work.as = target.as;
        return run_both(c, "CopyIn", target.directory, &work, e);
}

int verb_cp(Client *c, char **args, Error *e) {
        _cleanup_(copy_clear) Copy copy = {.client = c};

        if (copy_init(&copy, args, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        if ((copy.source.container ? copy_out(&copy, e) : copy_in(&copy, e)) != 0)
                return job_failure_status(e);
        return EXIT_SUCCESS;
}
