/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Stands in for libFuzzer's main(): gives every file of a directory to the target once, so that
 * each sample is a test with any compiler. */

#include <fcntl.h>

#include "basic/fs.h"

#define SAMPLE_MAX (16U * 1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int main(int argc, char *argv[]) {
        _cleanup_closedir_ DIR *dir = NULL;
        struct dirent *de;
        unsigned n = 0;

        if (argc != 2 || !(dir = opendir(argv[1]))) {
                (void) fprintf(stderr, "Usage: %s DIRECTORY-OF-SAMPLES\n", argv[0]);
                return 2;
        }
        while ((errno = 0, de = readdir(dir))) {
                _cleanup_free_ char *data = NULL;
                size_t size;
                int r;

                if (de->d_name[0] == '.')
                        continue;
                r = file_read_at(dirfd(dir), de->d_name, SAMPLE_MAX, &data, &size);
                if (r < 0) {
                        (void) fprintf(stderr, "%s: %s\n", de->d_name, strerror(-r));
                        return 1;
                }
                (void) LLVMFuzzerTestOneInput((const uint8_t *) data, size);
                n++;
        }
        if (errno != 0 || n == 0) {
                (void) fprintf(stderr, "No samples in %s\n", argv[1]);
                return 1;
        }
        return 0;
}
