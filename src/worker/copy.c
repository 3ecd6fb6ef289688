/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/copy.h"

#include <fcntl.h>
#include <limits.h>

#include "basic/utf8.h"
#include "image/image-archive.h"
#include "snapshot/diff.h"
#include "snapshot/inside.h"

#define SLICE_MSEC       100
#define COPY_BUFFER_SIZE (128U * 1024)

static void copy_count(Copy *c, uint64_t bytes) {
        (void) pthread_mutex_lock(&c->job.mutex);
        c->bytes += bytes;
        (void) pthread_mutex_unlock(&c->job.mutex);
}

int copy_set_archive(Copy *c, int fd, Error *e) {
        int r;

        c->fd = fd;
        r = stream_out_init(&c->out, fd);
        return r < 0 ? error_setf(e, r, "Failed to look at the archive: %m") : 0;
}

static int write_archive(void *userdata, const void *data, size_t size, Error *e) {
        const char *p = data;
        Copy *c = userdata;

        while (size > 0) {
                ssize_t n;

                if (job_is_canceled(&c->job))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                n = stream_out_write(&c->out, p, size, SLICE_MSEC);
                if (n < 0)
                        return error_setf(e, (int) n, "Failed to write the archive: %m");
                p += n;
                size -= (size_t) n;
                copy_count(c, (uint64_t) n);
        }
        return 0;
}

char *name_to_text(const char *name) {
        char *text, *q;

        if (utf8_is_valid(name))
                return strdup(name);
        text = q = malloc(4 * strlen(name) + 1);
        for (const char *p = name; text && *p;) {
                size_t n = utf8_character(p);

                if (n == 0)
                        q += sprintf(q, "\\x%02x", (unsigned) (unsigned char) *p++);
                else {
                        memcpy(q, p, n);
                        q += n;
                        p += n;
                }
        }
        if (text)
                *q = '\0';
        return text;
}

/* What a file is like, as part of the result. */
static int describe(const InsideFile *f, json_t **ret, Error *e) {
        _cleanup_free_ char *name = name_to_text(f->name), *link = NULL;
        char target[PATH_MAX] = "";
        ssize_t n = 0;

        if (S_ISLNK(f->st.st_mode))
                n = readlinkat(f->fd, "", target, sizeof(target) - 1);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read the link \"%s\": %m", f->name);
        target[n] = '\0';
        link = name_to_text(target);
        *ret = name && link ? json_pack("{ss sI si sI sI sI ss}", "name", name, "size",
                                        (json_int_t) f->st.st_size, "mode", (int) f->st.st_mode,
                                        "uid", (json_int_t) f->st.st_uid, "gid",
                                        (json_int_t) f->st.st_gid, "modified_at",
                                        (json_int_t) f->st.st_mtim.tv_sec * 1000000 +
                                                        f->st.st_mtim.tv_nsec / 1000,
                                        "link_target", link)
                            : NULL;
        return *ret ? 0 : -ENOMEM;
}

static int run_out(WorkerJob *j, Error *e) {
        _cleanup_(inside_file_clear) InsideFile f = INSIDE_FILE_NULL;
        Copy *c = (Copy *) j;
        int r;

        r = inside_find(c->root.fd, c->options->insert.path, c->options->follow, &f, e);
        if (r != 0)
                return r;
        return layer_diff(f.fd,
                          &(DiffOptions){
                                          .name = f.name,
                                          .entries = c->options->insert.limits->entries,
                                          .bytes = c->options->insert.limits->bytes,
                                          .canceled = &j->canceled,
                          },
                          write_archive, c, e);
}

static int run_stat(WorkerJob *j, Error *e) {
        _cleanup_(inside_file_clear) InsideFile f = INSIDE_FILE_NULL;
        Copy *c = (Copy *) j;
        int r;

        r = inside_find(c->root.fd, c->options->insert.path, c->options->follow, &f, e);
        return r == 0 ? describe(&f, &c->values, e) : r;
}

static int read_archive(void *userdata, const void **ret, size_t *ret_size, Error *e) {
        Copy *c = userdata;
        size_t n;
        int r;

        r = fd_read_canceled(c->fd, c->buffer, COPY_BUFFER_SIZE, &c->job.canceled, &n, e);
        if (r != 0)
                return r;
        copy_count(c, n);
        *ret = c->buffer;
        *ret_size = n;
        return 0;
}

static int run_in(WorkerJob *j, Error *e) {
        Copy *c = (Copy *) j;

        c->buffer = malloc(COPY_BUFFER_SIZE);
        if (!c->buffer)
                return -ENOMEM;
        return tree_insert(c->root.fd, &c->options->insert, read_archive, c, e);
}

static json_t *progress(WorkerJob *j) {
        Copy *c = (Copy *) j;
        uint64_t bytes;

        (void) pthread_mutex_lock(&j->mutex);
        bytes = c->bytes;
        (void) pthread_mutex_unlock(&j->mutex);
        return json_pack("{s:s, s:s, s:[{s:s, s:s, s:I, s:i}]}", "type", "progress", "phase",
                         "copy", "layers", "ref", "archive", "phase", "copy", "offset",
                         (json_int_t) bytes, "total", 0);
}

static json_t *result(WorkerJob *j) {
        Copy *c = (Copy *) j;
        json_t *values = c->values ? json_incref(c->values) : json_object();

        if (json_object_set_new(values, "type", json_string("result")) < 0 ||
            json_object_set_new(values, "bytes", json_integer((json_int_t) c->bytes)) < 0) {
                json_decref(values);
                return NULL;
        }
        return values;
}

static const JobType types[_COPY_KIND_MAX] = {
                [COPY_OUT] = {.name = "copy",
                              .run = run_out,
                              .progress = progress,
                              .result = result},
                [COPY_IN] = {.name = "copy", .run = run_in, .progress = progress, .result = result},
                [COPY_STAT] = {.name = "look",
                               .run = run_stat,
                               .progress = progress,
                               .result = result},
};

int copy_init(Copy *c, CopyKind kind, const CopyOptions *options, int control_fd, Error *e) {
        assert(c && options && kind < _COPY_KIND_MAX);

        *c = (Copy){.options = options, .root = CONTAINER_ROOT_NULL, .fd = -1};
        return job_init(&c->job, types + kind, control_fd, e);
}

void copy_clear(Copy *c) {
        container_root_clear(&c->root);
        c->fd = fd_close(c->fd);
        json_decref(c->values);
        free(c->buffer);
        job_clear(&c->job);
}
