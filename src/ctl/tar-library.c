/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/tar-library.h"

#include <dlfcn.h>
#include <locale.h>

#define LIBRARY "libarchive.so.13"

int tar_library_get(const TarLibrary **ret, Error *e) {
        static TarLibrary library;
        static void *handle;

        if (!handle) {
                void *h = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

                if (!h)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "Files cannot be copied without " LIBRARY ": %s",
                                          dlerror());
#define LOAD(f)                                                                                    \
        library.f = (__typeof__(library.f)) dlsym(h, #f);                                          \
        if (!library.f) {                                                                          \
                (void) dlclose(h);                                                                 \
                return error_setf(e, CTR_NOT_IMPLEMENTED, LIBRARY " lacks " #f);                   \
        }
                TAR_FUNCTIONS(LOAD)
#undef LOAD
                /* names in archives are UTF-8, in whatever locale we were started */
                (void) setlocale(LC_CTYPE, "C.UTF-8");
                handle = h;
        }
        *ret = &library;
        return 0;
}
