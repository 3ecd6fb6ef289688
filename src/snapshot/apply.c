/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "snapshot/apply.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/strv.h"
#include "snapshot/apply-entry.h"

#define WHITEOUT_PREFIX      ".wh."
#define WHITEOUT_META_PREFIX ".wh..wh."
#define WHITEOUT_OPAQUE      ".wh..wh..opq"

const ApplyLimits apply_limits_default = {
                .entries = UINT64_C(4) << 20,
                .bytes = UINT64_C(128) << 30,
                .xattr_bytes = 64 * 1024,
                .xattr_count = 128,
};

void apply_result_clear(ApplyResult *result) {
        result->implied = strv_free(result->implied);
        result->hiding = strv_free(result->hiding);
        result->links = strv_free(result->links);
        *result = (ApplyResult){};
}

static ssize_t on_read(struct archive *archive, void *userdata, const void **ret) {
        Apply *a = userdata;
        size_t n = 0;

        if (a->source_result != 0 || a->source_ended)
                return a->source_ended ? 0 : -1;
        a->source_result = a->source(a->userdata, ret, &n, a->e);
        if (a->source_result == 0) {
                a->source_ended = n == 0;
                a->stream_bytes += n;
                if (a->stream_bytes > a->limits->bytes)
                        a->source_result = error_setf(a->e, CTR_RESOURCE_EXHAUSTED,
                                                      "The uncompressed layer is larger than %llu "
                                                      "bytes",
                                                      (unsigned long long) a->limits->bytes);
        }
        if (a->source_result != 0) {
                tar_library.archive_set_error(archive, EIO, "source failed");
                return -1;
        }
        return (ssize_t) n;
}

int apply_archive_failed(Apply *a, const char *where) {
        const char *text = tar_library.archive_error_string(a->archive);

        if (a->source_result != 0)
                return a->source_result;
        if (tar_library.archive_errno(a->archive) == ENOMEM)
                return -ENOMEM;
        return error_setf(a->e, CTR_DATA_LOSS, "%s: %s", where, text ? text : "bad tar archive");
}

/* *ret_done is true if the entry was a whiteout or other metadata and not a file of its own. */
static int apply_whiteout(Apply *a, bool *ret_done) {
        char *slash = strrchr(a->path, '/'), *name = slash ? slash + 1 : a->path;
        _cleanup_free_ char *target = NULL;

        *ret_done = true;
        if (streq(name, WHITEOUT_OPAQUE)) {
                target = strndup(a->path, slash ? (size_t) (slash - a->path) : 0);
                if (!target)
                        return -ENOMEM;
                return tree_opaque(a->tree, target, a->e);
        }
        for (const char *p = a->path; p; p = strchr(p, '/')) {
                p += *p == '/';
                /* what aufs noted for itself */
                if (startswith(p, WHITEOUT_META_PREFIX))
                        return 0;
                if (startswith(p, WHITEOUT_PREFIX) && p != name)
                        return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                          "\"%s\" lies below the name of a whiteout", a->path);
        }
        if (!startswith(name, WHITEOUT_PREFIX)) {
                *ret_done = false;
                return 0;
        }
        name += STRLEN(WHITEOUT_PREFIX);
        if (!*name || streq(name, ".") || streq(name, ".."))
                return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                  "The whiteout \"%s\" names nothing that could be removed",
                                  a->path);
        if (asprintf(&target, "%.*s%s", slash ? (int) (slash - a->path + 1) : 0, a->path, name) <
            0) {
                target = NULL;
                return -ENOMEM;
        }
        return tree_whiteout(a->tree, target, a->e);
}

static int apply_entry(Apply *a) {
        const char *name = tar_library.archive_entry_pathname(a->entry), *target;
        TreePlace place;
        mode_t type;
        bool done;
        int r;

        /* one entry may make all the directories on the way to it */
        if (++a->entries > a->limits->entries || tree_inodes(a->tree) > a->limits->entries)
                return error_setf(a->e, CTR_RESOURCE_EXHAUSTED,
                                  "The layer has more than %llu entries",
                                  (unsigned long long) a->limits->entries);
        if (!name)
                return error_setf(a->e, CTR_DATA_LOSS, "An entry has a name that is not UTF-8");
        free(a->path);
        a->path = NULL;
        r = tree_clean_path(name, &a->path, a->e);
        if (r == 0)
                r = tree_resolve(a->tree, &a->path, a->e);
        if (r != 0)
                return r;

        type = tar_library.archive_entry_filetype(a->entry);
        target = tar_library.archive_entry_hardlink(a->entry);
        if (!*a->path && (type != AE_IFDIR || target))
                return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                  "The root of the layer is not a directory");
        r = apply_whiteout(a, &done);
        if (r != 0 || done)
                return r;
        if (target)
                return apply_hardlink(a, target);
        if (type == AE_IFDIR)
                return apply_directory(a);

        r = tree_find(a->tree, a->path, true, &place, a->e);
        if (r != 0)
                return r;
        switch (type) {
        case AE_IFREG:
                return apply_file(a, &place);
        case AE_IFLNK:
        case AE_IFCHR:
        case AE_IFBLK:
        case AE_IFIFO:
                return apply_special(a, &place);
        default:
                return error_setf(a->e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" has the type %o, which a layer cannot have", a->path,
                                  type);
        }
}

static int set_directory_times(Apply *a) {
        for (size_t i = 0; i < a->n_times; i++) {
                struct timespec times[2] = {a->times[i].mtime, a->times[i].mtime};
                TreePlace place = {.dir_fd = a->root_fd, .name = "."};
                int r;

                if (*a->times[i].path) {
                        r = tree_find(a->tree, a->times[i].path, false, &place, a->e);
                        if (r == CTR_NOT_FOUND)
                                continue; /* replaced by something else later in the archive */
                        if (r != 0)
                                return r;
                }
                if (utimensat(place.dir_fd, place.name, times, AT_SYMLINK_NOFOLLOW) < 0 &&
                    errno != ENOENT)
                        return error_setf(a->e, -errno, "Failed to set the time of \"%s\": %m",
                                          a->times[i].path);
        }
        return 0;
}

static int read_archive(Apply *a) {
        int r;

        for (;;) {
                r = tar_library.archive_read_next_header(a->archive, &a->entry);
                if (r == ARCHIVE_EOF)
                        break;
                /* a warning means that something of the entry was lost */
                if (r != ARCHIVE_OK)
                        return apply_archive_failed(a, "The layer");
                r = apply_entry(a);
                if (r != 0)
                        return r;
        }
        /* what follows the archive belongs to the digest all the same */
        while (!a->source_ended) {
                const void *data;

                if (on_read(a->archive, a, &data) < 0)
                        return a->source_result;
        }
        return set_directory_times(a);
}

static int open_archive(Apply *a) {
        int r;

        r = tar_library_load(a->e);
        if (r != 0)
                return r;
        a->archive = tar_library.archive_read_new();
        if (!a->archive)
                return -ENOMEM;
        if (tar_library.archive_read_support_format_tar(a->archive) != ARCHIVE_OK ||
            tar_library.archive_read_support_format_empty(a->archive) != ARCHIVE_OK ||
            tar_library.archive_read_open(a->archive, a, NULL, on_read, NULL) != ARCHIVE_OK)
                return apply_archive_failed(a, "The layer");
        return 0;
}

static void apply_done(Apply *a) {
        for (size_t i = 0; i < a->n_times; i++)
                free(a->times[i].path);
        free(a->times);
        strv_free(a->links);
        free(a->path);
        tree_free(a->tree);
        if (a->archive)
                (void) tar_library.archive_read_free(a->archive);
}

int layer_apply(int dir_fd, int links_fd, ApplySource source, void *userdata,
                const ApplyLimits *limits, ApplyResult *ret, Error *e) {
        _cleanup_error_ Error own_error = ERROR_NULL;
        _cleanup_(apply_done) Apply a = {
                        .root_fd = dir_fd,
                        .links_fd = links_fd,
                        .limits = limits ? limits : &apply_limits_default,
                        .source = source,
                        .userdata = userdata,
                        .e = e ? e : &own_error,
        };
        ApplyResult result = {};
        int r;

        assert(dir_fd >= 0 && source && ret);

        r = tree_new(dir_fd, &a.tree);
        if (r < 0)
                return r;
        r = open_archive(&a);
        if (r == 0)
                r = read_archive(&a);
        if (r != 0)
                return r;
        result.bytes = a.written;
        result.inodes = tree_inodes(a.tree);
        r = tree_take_implied(a.tree, &result.implied);
        if (r < 0)
                return r;
        result.hiding = tree_take_hiding(a.tree);
        result.links = TAKE_PTR(a.links);
        *ret = result;
        return 0;
}
