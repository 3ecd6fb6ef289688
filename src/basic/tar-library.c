/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/tar-library.h"

#include <dlfcn.h>
#include <locale.h>
#include <pthread.h>

#define LIBRARY "libarchive.so.13"

TarLibrary tar_library;

/* Called with the mutex of tar_library_load(). */
static int load(Error *e) {
        void *handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);

        if (!handle)
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "There are no archives without " LIBRARY ": %s", dlerror());
#define LOAD(f)                                                                                    \
        tar_library.f = (__typeof__(tar_library.f)) dlsym(handle, #f);                             \
        if (!tar_library.f) {                                                                      \
                (void) dlclose(handle);                                                            \
                return error_setf(e, CTR_NOT_IMPLEMENTED, LIBRARY " lacks " #f);                   \
        }
        TAR_FUNCTIONS(LOAD)
#undef LOAD
        /* names in archives are UTF-8, in whatever locale we were started */
        (void) setlocale(LC_CTYPE, "C.UTF-8");
        return 0;
}

int tar_library_load(Error *e) {
        static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
        static bool loaded;
        int r = 0;

        (void) pthread_mutex_lock(&mutex);
        if (!loaded)
                r = load(e);
        loaded = r == 0;
        (void) pthread_mutex_unlock(&mutex);
        return r;
}
