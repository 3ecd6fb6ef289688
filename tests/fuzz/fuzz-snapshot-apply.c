/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A layer as anybody may make it, applied in a directory beside which lies another one, and what it
 * takes from a lower layer then: what is outside must be as it was, and a refusal has its sentence.
 * Without root little is made, but all is read. */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "snapshot/inherit.h"

#define PIECE_SIZE 700 /* so that headers are split */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

typedef struct Source {
        const uint8_t *data;
        size_t size;
} Source;

static int read_piece(void *userdata, const void **ret_data, size_t *ret_size, Error *e) {
        Source *s = userdata;
        size_t n = MIN_OF(s->size, (size_t) PIECE_SIZE);

        *ret_data = s->data;
        *ret_size = n;
        s->data += n;
        s->size -= n;
        return 0;
}

/* The directory beside has exactly one file, which says so. */
static void check_outside(int dir_fd) {
        _cleanup_free_ char *text = NULL;
        struct stat st;

        if (file_read_at(dir_fd, "outside", 16, &text, NULL) < 0 || !streq(text, "untouched") ||
            fstat(dir_fd, &st) < 0 || st.st_nlink != 5)
                abort();
}

/* What the names of the samples find below them. */
static int make_lower(int dir_fd) {
        int fd = dir_open_make_at(dir_fd, "lower", 0755);
        _cleanup_close_ int etc_fd = -1;

        if (fd < 0 || file_write_atomic_at(fd, "file", "lower", 5, 0644, 0) < 0 ||
            (symlinkat("../../outside", fd, "link") < 0))
                abort();
        etc_fd = dir_open_make_at(fd, "etc", 0750);
        if (etc_fd < 0 || file_write_atomic_at(etc_fd, "passwd", "lower", 5, 0644, 0) < 0)
                abort();
        return fd;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        static const ApplyLimits limits = {.entries = 1000,
                                           .bytes = 1 << 22,
                                           .xattr_bytes = 4096,
                                           .xattr_count = 8};
        char path[] = "/tmp/fuzz-apply-XXXXXX";
        Source source = {.data = data, .size = size};
        _cleanup_close_ int dir_fd = -1, tree_fd = -1, links_fd = -1, lower_fd = -1;
        _cleanup_(apply_result_clear) ApplyResult result = {};
        _cleanup_error_ Error e = ERROR_NULL;
        int r;

        if (!mkdtemp(path))
                abort();
        dir_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0 || file_write_atomic_at(dir_fd, "outside", "untouched", 9, 0600, 0) < 0)
                abort();
        tree_fd = dir_open_make_at(dir_fd, "tree", 0755);
        links_fd = dir_open_make_at(dir_fd, "links", 0700);
        lower_fd = make_lower(dir_fd);
        if (tree_fd < 0 || links_fd < 0)
                abort();
        r = layer_apply(tree_fd, links_fd, read_piece, &source, &limits, &result, &e);
        if (r == 0)
                r = layer_inherit(tree_fd, links_fd, &limits, &lower_fd, 1, &result, &e);
        if (r != 0 && (e.code == 0 || isempty(e.text)))
                abort();
        check_outside(dir_fd);
        if (tree_remove_at(AT_FDCWD, path) < 0)
                abort();
        return 0;
}
