/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The inverse of apply.h: a directory as an uncompressed tar stream (PAX). With DIFF_OVERLAY it is
 * an upper directory of overlayfs, whose whiteouts and opaque directories become the entries of
 * layer.md in the OCI image specification (".wh.NAME", ".wh..wh..opq").
 *
 * Entries come in the order of their names, so that the same tree gives the same stream. Sockets
 * are left out: nobody listens in an archive. The tree must not change meanwhile.
 */

#include "basic/error.h"

typedef enum DiffFlags {
        DIFF_OVERLAY = 1 << 0,
} DiffFlags;

/* Takes the next piece of the stream. 0 or an error that ends it. */
typedef int (*DiffSink)(void *userdata, const void *data, size_t size, Error *e);

/* 0; the sink's error; CTR_RESOURCE_EXHAUSTED for a tree deeper than DIFF_DEPTH_MAX; -errno. Texts
 * name the entry. */
int layer_diff(int dir_fd, DiffFlags flags, DiffSink sink, void *userdata, Error *e);

#define DIFF_DEPTH_MAX 1024U
