/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The image configuration (config.md of the OCI image specification): what the image runs on, what
 * a container of it executes by default, and the digests of its uncompressed layers.
 */

#include "image/digest.h"
#include "image/platform.h"

#define CONFIG_SIZE_MAX (4 * 1024 * 1024)

typedef struct ImageConfig {
        Platform platform;
        char *created, *author; /* NULL if not given, as all strings and lists here */
        char *user;             /* "user", "uid", "user:group", "uid:gid", ... */
        char *working_dir;
        char *stop_signal; /* "SIGTERM", "15", as the image says it */
        char **env;        /* NAME=VALUE */
        char **entrypoint, **cmd;
        char **labels;        /* name, value, name, value, ... sorted by name */
        char **exposed_ports; /* "80/tcp" */
        char **volumes;       /* paths */
        Digest *diff_ids;     /* of the uncompressed layers, bottom first */
        size_t n_diff_ids;
} ImageConfig;

/* CTR_INVALID_ARGUMENT with the JSON path of what is wrong. what names the document in errors. */
int image_config_parse(const char *data, size_t size, const char *what, ImageConfig **ret,
                       Error *e);
ImageConfig *image_config_free(ImageConfig *c);
DEFINE_CLEANUP(ImageConfig *, image_config_free);
