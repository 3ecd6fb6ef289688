/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* An archive of images as somebody may hand it in: names stay below a root, data has the length
 * that was said, and a refusal has its sentence. */

#include <sys/mman.h>

#include "basic/fs.h"
#include "image/image-archive.h"

#define FILES_MAX 5000 /* more than an archive may have */

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check_name(const char *name) {
        if (*name == '/' || strlen(name) > PATH_MAX)
                abort();
        for (const char *p = name; *p; p += strcspn(p, "/"), p += *p == '/') {
                size_t n = strcspn(p, "/");

                if ((n == 1 && p[0] == '.') || (n == 2 && startswith(p, "..")))
                        abort();
        }
}

/* 0, or the error of the archive. */
static int read_entry(ImageArchive *a, const ImageArchiveEntry *entry, Error *e) {
        uint64_t size = entry->size, sum = 0;
        char buffer[4096];
        size_t n = 0;
        int r;

        check_name(entry->name);
        if (entry->link) {
                check_name(entry->link);
                return 0;
        }
        do {
                r = image_archive_read(a, buffer, sizeof(buffer), &n, e);
                sum += n;
        } while (r == 0 && n > 0);
        if (r == 0 && sum != size)
                abort();
        return r;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(image_archive_freep) ImageArchive *a = NULL;
        static const atomic_bool canceled = false;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_close_ int fd = -1;
        ImageArchiveEntry entry;
        unsigned n = 0;
        int r;

        fd = memfd_create("archive", MFD_CLOEXEC);
        if (fd < 0 || write(fd, data, size) != (ssize_t) size || lseek(fd, 0, SEEK_SET) != 0)
                abort();
        r = image_archive_open(fd, &canceled, &a, &e);
        while (r == 0 && (r = image_archive_next(a, &entry, &e)) == 0 && entry.name) {
                if (++n > FILES_MAX)
                        abort();
                r = read_entry(a, &entry, &e);
        }
        if (r != 0 && (e.code == 0 || isempty(e.text)))
                abort();
        return 0;
}
