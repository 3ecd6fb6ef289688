/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* secret ...: bytes that containers get as files. They go to the service in a sealed file in
 * memory, and never come back. */

#include <fcntl.h>

#include "basic/fs.h"
#include "ctl/arguments.h"
#include "ctl/batch.h"
#include "ctl/credentials.h"
#include "ctl/listing.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define SECRET_MAX (512U * 1024U)

int verb_secret_ls(Client *c, char **args, Error *e) {
        return listing_verb_used(c, "ListSecrets", e);
}

/* From a file or standard input into a sealed file in memory. */
static int open_secret(const char *path, int *ret_fd, Error *e) {
        bool is_stdin = !path || streq(path, "-");
        _cleanup_close_ int fd = -1;
        const char *what = is_stdin ? "standard input" : path;
        size_t size = 0;
        char *data;
        int r;

        if (is_stdin && isatty(STDIN_FILENO))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input is a terminal: name a file, or redirect it");
        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", what);
        r = fd_read_all(fd, SECRET_MAX, &data, &size);
        if (r == -EFBIG)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s has more than %u bytes", what,
                                  SECRET_MAX);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", what);
        r = memory_file_new("secret", data, size, ret_fd);
        explicit_bzero(data, size);
        free(data);
        return r < 0 ? error_setf(e, r, "Failed to pass the secret: %m") : 0;
}

int verb_secret_create(Client *c, char **args, Error *e) {
        _cleanup_close_ int fd = -1;
        Arguments arguments = {.client = c, .texts = {args[0]}, .fd = &fd, .keys = KEY_LABELS};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "CreateSecret",
                           .append = append_arguments,
                           .userdata = &arguments};

        if (c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "a secret cannot be passed to another host");
                return EXIT_FAILURE;
        }
        if (open_secret(args[1], &fd, e) != 0 || client_connect(c, e) != 0 ||
            client_call(c, &call, NULL, e) != 0)
                return EXIT_FAILURE;
        puts(args[0]);
        return EXIT_SUCCESS;
}

int verb_secret_inspect(Client *c, char **args, Error *e) {
        return named_inspect(c, "StatSecret", "secret", args, e);
}

int verb_secret_rm(Client *c, char **args, Error *e) {
        return batch_methods(c, "secret rm", "RemoveSecret", 0, args, e);
}
