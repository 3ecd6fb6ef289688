/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The few macros that every file uses: ownership (cleanup attributes, TAKE_*), array sizes, time
 * units. A variable declared with one of the _cleanup_* attributes owns what it holds until
 * TAKE_PTR or TAKE_FD hands it on.
 */

#include <assert.h>
#include <dirent.h>
#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/types.h>
#include <unistd.h>

#define _printf_(a, b) __attribute__((__format__(printf, a, b)))
#define _unused_       __attribute__((__unused__))
#define _const_        __attribute__((__const__))
#define _pure_         __attribute__((__pure__))
#define _noreturn_     __attribute__((__noreturn__))
#define _warn_unused_  __attribute__((__warn_unused_result__))
#define _sentinel_     __attribute__((__sentinel__))
#define _packed_       __attribute__((__packed__))
#define _fallthrough_  __attribute__((__fallthrough__))
#define _cleanup_(f)   __attribute__((__cleanup__(f)))

#define ELEMENTSOF(x) (sizeof(x) / sizeof((x)[0]))
#define STRLEN(s)     (sizeof("" s "") - 1)

#define USEC_PER_SEC  UINT64_C(1000000)
#define USEC_PER_MSEC UINT64_C(1000)
#define NSEC_PER_USEC UINT64_C(1000)

#define MIN_OF(a, b)                                                                               \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a < _b ? _a : _b;                                                                 \
        })
#define MAX_OF(a, b)                                                                               \
        ({                                                                                         \
                __typeof__(a) _a = (a);                                                            \
                __typeof__(b) _b = (b);                                                            \
                _a > _b ? _a : _b;                                                                 \
        })

/* Hands over what a cleanup variable owns: the value is returned, the variable is emptied. */
#define TAKE_PTR(ptr)                                                                              \
        ({                                                                                         \
                __typeof__(ptr) _p = (ptr);                                                        \
                (ptr) = NULL;                                                                      \
                _p;                                                                                \
        })
#define TAKE_FD(fd)                                                                                \
        ({                                                                                         \
                int _fd = (fd);                                                                    \
                (fd) = -1;                                                                         \
                _fd;                                                                               \
        })

/* Defines `namep()`, the cleanup function of a type whose destructor is `name()`. */
#define DEFINE_CLEANUP(type, name)                                                                 \
        static inline void name##p(type *p) {                                                      \
                if (*p)                                                                            \
                        name(*p);                                                                  \
        }                                                                                          \
        struct _swallow_semicolon_

static inline void freep(void *p) {
        free(*(void **) p);
}

/* Closes fd if it is one, keeps errno, returns -1: `fd = fd_close(fd)`. */
static inline int fd_close(int fd) {
        if (fd >= 0) {
                int saved_errno = errno;

                (void) close(fd);
                errno = saved_errno;
        }
        return -1;
}

static inline void fd_closep(int *fd) {
        fd_close(*fd);
}

DEFINE_CLEANUP(FILE *, fclose);
DEFINE_CLEANUP(DIR *, closedir);

#define _cleanup_free_     _cleanup_(freep)
#define _cleanup_close_    _cleanup_(fd_closep)
#define _cleanup_fclose_   _cleanup_(fclosep)
#define _cleanup_closedir_ _cleanup_(closedirp)

static inline bool streq(const char *a, const char *b) {
        return strcmp(a, b) == 0;
}

static inline bool streq_ptr(const char *a, const char *b) {
        return (!a && !b) || (a && b && streq(a, b));
}

static inline bool isempty(const char *s) {
        return !s || !*s;
}

static inline const char *strempty(const char *s) {
        return s ? s : "";
}

/* The rest of s after prefix, or NULL if s does not start with it. */
static inline const char *startswith(const char *s, const char *prefix) {
        size_t n = strlen(prefix);

        return strncmp(s, prefix, n) == 0 ? s + n : NULL;
}

/* Replaces the string in *p by a copy of s (NULL clears it). 0 or -ENOMEM; *p is kept on failure.
 */
static inline int free_and_strdup(char **p, const char *s) {
        char *copy = NULL;

        if (s && !(copy = strdup(s)))
                return -ENOMEM;
        free(*p);
        *p = copy;
        return 0;
}
