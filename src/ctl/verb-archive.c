/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * load, import, save and export, those of volumes, too: archives from and to files or our standard
 * streams. The service reads and writes them by itself, through descriptors: nothing is copied
 * here, but for a directory (ctl/layout.h).
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "ctl/arguments.h"
#include "ctl/job.h"
#include "ctl/layout.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

/* path is NULL or "-" for standard input. */
static int open_input(const Client *c, const char *path, int *ret_fd, Error *e) {
        bool is_stdin = !path || streq(path, "-");
        int fd;

        if (c->options->host)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "files cannot be passed to another host");
        if (is_stdin && isatty(STDIN_FILENO))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "standard input is a terminal: name a file, or redirect it");
        fd = is_stdin ? fcntl(STDIN_FILENO, F_DUPFD_CLOEXEC, 3)
                      : open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m",
                                  is_stdin ? "standard input" : path);
        *ret_fd = fd;
        return 0;
}

/* A file that is being written: it gets its name when it is complete, and has none before where the
 * file system can have that. A pipe or a device that is there is written to as it is. */
typedef struct Output {
        int fd, dir_fd;
        const char *path; /* NULL: standard output, or written in place */
        char *name, *temporary;
        bool is_linked; /* as temporary */
} Output;

static void output_clear(Output *o) {
        if (o->is_linked)
                (void) unlinkat(o->dir_fd, o->temporary, 0);
        free(o->temporary);
        free(o->name);
        fd_close(o->fd);
        fd_close(o->dir_fd);
}

static int output_open_file(const char *path, Output *o, Error *e) {
        const char *slash = strrchr(path, '/');
        _cleanup_free_ char *dir = slash ? strndup(path, (size_t) (slash - path) + 1) : strdup(".");

        o->name = strdup(slash ? slash + 1 : path);
        if (!dir || !o->name ||
            asprintf(&o->temporary, ".#%s.%u", o->name, (unsigned) getpid()) < 0)
                return error_setf(e, -ENOMEM, "Out of memory");
        o->dir_fd = open(dir, O_DIRECTORY | O_PATH | O_CLOEXEC);
        if (o->dir_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", dir);
        o->fd = openat(o->dir_fd, ".", O_WRONLY | O_TMPFILE | O_CLOEXEC, 0666);
        if (o->fd < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
                o->fd = openat(o->dir_fd, o->temporary,
                               O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
                o->is_linked = o->fd >= 0;
        }
        if (o->fd < 0)
                return error_setf(e, -errno, "Failed to create %s: %m", path);
        o->path = path;
        return 0;
}

static int output_open(const Client *c, Output *o, Error *e) {
        const char *path = c->options->image.output;
        bool is_stdout = !path || streq(path, "-");
        struct stat st;

        if (c->options->host)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "files cannot be passed to another host");
        if (is_stdout && isatty(STDOUT_FILENO))
                return error_setf(
                                e, CTR_INVALID_ARGUMENT,
                                "standard output is a terminal: use --output=FILE, or redirect it");
        if (!is_stdout && (stat(path, &st) < 0 || S_ISREG(st.st_mode)))
                return output_open_file(path, o, e);
        o->fd = is_stdout ? fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 3)
                          : open(path, O_WRONLY | O_CLOEXEC | O_NOCTTY);
        if (o->fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m",
                                  is_stdout ? "standard output" : path);
        return 0;
}

static int output_finish(Output *o, Error *e) {
        char link[sizeof("/proc/self/fd/") + 3 * sizeof(int)];

        if (!o->path)
                return 0;
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", o->fd);
        if (!o->is_linked && linkat(AT_FDCWD, link, o->dir_fd, o->temporary, AT_SYMLINK_FOLLOW) < 0)
                return error_setf(e, -errno, "Failed to create %s: %m", o->path);
        o->is_linked = true;
        if (renameat(o->dir_fd, o->temporary, o->dir_fd, o->name) < 0)
                return error_setf(e, -errno, "Failed to create %s: %m", o->path);
        o->is_linked = false;
        return 0;
}

static int print_images(const Client *c, json_t *result, Error *e) {
        const json_t *images = json_object_get(result, "Images"), *image;
        size_t i;

        if (c->options->json != JSON_MODE_OFF && print_json(result, c->options->json) < 0)
                return error_setf(e, -EIO, "Failed to write to standard output");
        if (c->options->json != JSON_MODE_OFF)
                return 0;
        json_array_foreach(images, i, image) {
                _cleanup_free_ char *text = text_escape(strempty(json_string_value(image)));

                if (!text)
                        return error_setf(e, -ENOMEM, "Out of memory");
                puts(text);
        }
        return 0;
}

/* The position of a file that was read in part is not ours to take back: never sent twice. */
static int import_archive(Client *c, const char *path, Arguments *arguments, Error *e) {
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ImportImages",
                           .append = append_arguments,
                           .userdata = arguments,
                           .once = true};
        _cleanup_json_ json_t *result = NULL;
        _cleanup_close_ int fd = -1;

        if (open_input(c, path, &fd, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        arguments->client = c;
        arguments->fd = &fd;
        if (job_run(c, &call, "import", &result, e) != 0 || print_images(c, result, e) != 0)
                return job_failure_status(e);
        return EXIT_SUCCESS;
}

int verb_load(Client *c, char **args, Error *e) {
        Arguments arguments = {.keys = KEY_NAME | KEY_PLATFORM | KEY_UNPACK | KEY_KEEP_LAYERS |
                                       KEY_LABELS | KEY_SNAPSHOTTER | KEY_LEASE};
        const char *input = c->options->image.input;

        if (input && args[0]) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "the archive is named twice, by --input and as an argument");
                return EXIT_FAILURE;
        }
        return import_archive(c, input ?: args[0], &arguments, e);
}

int verb_import(Client *c, char **args, Error *e) {
        Arguments arguments = {.keys = KEY_COMMENT | KEY_CHANGES | KEY_PLATFORM | KEY_LABELS |
                                       KEY_SNAPSHOTTER | KEY_LEASE,
                               .flag = "Rootfs",
                               .text_key = "Name",
                               .text_value = args[1]};

        return import_archive(c, args[0], &arguments, e);
}

/* target: what is called, with path, interface and member, and whose names are in errors. */
static int export_archive(Client *c, const Call *target, Arguments *arguments, Error *e) {
        _cleanup_(output_clear) Output output = {.fd = -1, .dir_fd = -1};
        Call call = *target;

        if (output_open(c, &output, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        call.append = append_arguments;
        call.userdata = arguments;
        call.once = true;
        arguments->client = c;
        arguments->fd = &output.fd;
        if (job_run(c, &call, "export", NULL, e) != 0 || output_finish(&output, e) != 0)
                return job_failure_status(e);
        return EXIT_SUCCESS;
}

/* The service writes an archive of it, which is its default. */
static int save_directory(Client *c, Arguments *arguments, Error *e) {
        const char *path = c->options->image.output;
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ExportImages",
                           .append = append_arguments,
                           .userdata = arguments,
                           .once = true};

        arguments->client = c;
        arguments->keys &= ~KEY_FORMAT;
        if (isempty(path) || streq(path, "-")) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "--format=oci-dir needs --output=DIRECTORY");
                return EXIT_FAILURE;
        }
        if (c->options->host) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "files cannot be passed to another host");
                return EXIT_FAILURE;
        }
        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        return layout_save(c, &call, arguments, path, e) == 0 ? EXIT_SUCCESS
                                                              : job_failure_status(e);
}

int verb_save(Client *c, char **args, Error *e) {
        Arguments arguments = {.list = args, .keys = KEY_FORMAT | KEY_PLATFORM | KEY_ALL_PLATFORMS};

        if (streq_ptr(c->options->image.format, "oci-dir"))
                return save_directory(c, &arguments, e);
        return export_archive(c, &(Call){.interface = INTERFACE_MANAGER, .member = "ExportImages"},
                              &arguments, e);
}

int verb_export(Client *c, char **args, Error *e) {
        _cleanup_free_ char *path = client_object_path(c, "container", args[0]);
        Arguments arguments = {.on_object = true};

        if (!path) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        return export_archive(c,
                              &(Call){.path = path,
                                      .interface = INTERFACE_CONTAINER,
                                      .member = "Export",
                                      .what = "container",
                                      .name = args[0]},
                              &arguments, e);
}

int verb_volume_export(Client *c, char **args, Error *e) {
        Arguments arguments = {.texts = {args[0]}};

        return export_archive(c,
                              &(Call){.interface = INTERFACE_MANAGER,
                                      .member = "ExportVolume",
                                      .what = "volume",
                                      .name = args[0]},
                              &arguments, e);
}

int verb_volume_import(Client *c, char **args, Error *e) {
        _cleanup_close_ int fd = -1;
        Arguments arguments = {.client = c, .texts = {args[0]}, .fd = &fd};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "ImportVolume",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .what = "volume",
                           .name = args[0],
                           .once = true};

        if (open_input(c, args[1], &fd, e) != 0 || client_connect(c, e) != 0)
                return EXIT_FAILURE;
        return job_run(c, &call, "import", NULL, e) == 0 ? EXIT_SUCCESS : job_failure_status(e);
}
