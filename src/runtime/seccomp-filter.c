/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/seccomp-filter.h"

#include <fcntl.h>
#include <linux/seccomp.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "runtime/cache-file.h"

#define CACHE_ENTRIES_MAX 128
#define CACHE_TEXT_MAX    (1U * 1024 * 1024)
#define CACHE_MAGIC       UINT64_C(0x0231706d63657343) /* changes with the way of compiling */

typedef struct CacheHead {
        uint64_t magic;
        uint32_t text_size;
        uint32_t n; /* instructions; they follow the text */
} CacheHead;

static int flag_from_string(const char *s, unsigned *ret) {
        static const struct {
                const char *name;
                unsigned flag;
        } table[] = {
                        {"SECCOMP_FILTER_FLAG_TSYNC", SECCOMP_FILTER_FLAG_TSYNC},
                        {"SECCOMP_FILTER_FLAG_LOG", SECCOMP_FILTER_FLAG_LOG},
                        {"SECCOMP_FILTER_FLAG_SPEC_ALLOW", SECCOMP_FILTER_FLAG_SPEC_ALLOW},
                        {"SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV",
                         SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV},
        };

        for (size_t i = 0; i < ELEMENTSOF(table); i++)
                if (streq(table[i].name, s)) {
                        *ret |= table[i].flag;
                        return 0;
                }
        return -EINVAL;
}

static int parse_flags(json_t *section, unsigned *ret, Error *e) {
        json_t *array, *item;
        size_t i;
        int r;

        r = json_get_array(section, "linux.seccomp", "flags", 16, &array, e);
        if (r <= 0)
                return r;
        json_array_foreach(array, i, item) {
                if (flag_from_string(strempty(json_string_value(item)), ret) < 0)
                        return error_setf(e, CTR_NOT_IMPLEMENTED,
                                          "linux.seccomp.flags[%zu] is not supported", i);
        }
        return 0;
}

static bool is_notify(json_t *action) {
        return json_is_string(action) && streq(json_string_value(action), "SCMP_ACT_NOTIFY");
}

static bool has_notify(json_t *section) {
        json_t *rule;
        size_t i;

        if (is_notify(json_object_get(section, "defaultAction")))
                return true;
        json_array_foreach(json_object_get(section, "syscalls"), i, rule)
                if (is_notify(json_object_get(rule, "action")))
                        return true;
        return false;
}

static int check_listener(json_t *section, Error *e) {
        const char *path = NULL, *metadata = NULL;
        int r;

        r = json_get_string(section, "linux.seccomp", "listenerPath", &path, e);
        if (r >= 0)
                r = json_get_string(section, "linux.seccomp", "listenerMetadata", &metadata, e);
        if (r < 0)
                return r;
        if (!isempty(metadata) && isempty(path))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.seccomp.listenerMetadata: needs "
                                  "linux.seccomp.listenerPath");
        if (!has_notify(section))
                return 0; /* then the path is to be ignored */
        if (isempty(path))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.seccomp.listenerPath is missing: SCMP_ACT_NOTIFY needs "
                                  "it");
        if (path[0] != '/')
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "linux.seccomp.listenerPath: not an absolute path");
        return 0;
}

int seccomp_filter_check(json_t *section, Error *e) {
        unsigned flags = 0;
        int r;

        r = check_listener(section, e);
        if (r == 0)
                r = parse_flags(section, &flags, e);
        if (r == -EBADMSG && e) /* from the JSON getters, which have named the path */
                e->code = r = CTR_INVALID_ARGUMENT;
        return r;
}

const char *seccomp_filter_listener(json_t *section) {
        return has_notify(section) ? json_string_value(json_object_get(section, "listenerPath"))
                                   : NULL;
}

/* The text that the filter is compiled from: who listens is different for each container, and makes
 * no other filter. */
static int make_text(json_t *section, char **ret) {
        _cleanup_json_ json_t *copy = json_copy(section);

        if (!copy)
                return -ENOMEM;
        (void) json_object_del(copy, "listenerPath");
        (void) json_object_del(copy, "listenerMetadata");
        return json_to_text(copy, ret);
}

/* FNV-1a: it only spreads names. That a name belongs to a text is said by the text in the file. */
static uint64_t text_hash(const char *text) {
        uint64_t hash = UINT64_C(0xcbf29ce484222325);

        for (; *text; text++)
                hash = (hash ^ (unsigned char) *text) * UINT64_C(0x100000001b3);
        return hash;
}

/* Descriptor of the directory, made 0700; -EPERM if somebody else than root could write there. */
static int cache_open(const char *directory) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = dir_open_make_at(AT_FDCWD, directory, 0700);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (st.st_uid != geteuid() || (st.st_mode & 0022))
                return -EPERM;
        return TAKE_FD(fd);
}

/* 1 and the filter if it is there, else 0. Whatever is wrong with the file: compile again. */
static int cache_read(int cache_fd, const char *name, const char *text, SeccompFilter *ret) {
        _cleanup_free_ char *data = NULL;
        size_t size, text_size = strlen(text);
        struct sock_filter *filter;
        CacheHead head;

        if (file_read_at(cache_fd, name,
                         sizeof(head) + CACHE_TEXT_MAX + SECCOMP_FILTER_MAX * sizeof(*filter),
                         &data, &size) < 0 ||
            size < sizeof(head))
                return 0;
        memcpy(&head, data, sizeof(head));
        if (head.magic != CACHE_MAGIC || head.text_size != text_size || head.n == 0 ||
            head.n > SECCOMP_FILTER_MAX ||
            size != sizeof(head) + text_size + head.n * sizeof(*filter) ||
            memcmp(data + sizeof(head), text, text_size) != 0)
                return 0;
        filter = malloc(head.n * sizeof(*filter));
        if (!filter)
                return -ENOMEM;
        memcpy(filter, data + sizeof(head) + text_size, head.n * sizeof(*filter));
        ret->filter = filter;
        ret->n = head.n;
        return 1;
}

static bool cache_is_full(int cache_fd) {
        _cleanup_closedir_ DIR *dir = NULL;
        unsigned n = 0;
        int fd;

        fd = openat(cache_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (fd < 0)
                return true;
        dir = fdopendir(fd);
        if (!dir) {
                fd_close(fd);
                return true;
        }
        while (n < CACHE_ENTRIES_MAX && readdir(dir))
                n++;
        return n >= CACHE_ENTRIES_MAX;
}

static int cache_write(int cache_fd, const char *name, const char *text, const SeccompFilter *p) {
        CacheHead head = {
                        .magic = CACHE_MAGIC,
                        .text_size = (uint32_t) strlen(text),
                        .n = (uint32_t) p->n,
        };
        const struct iovec parts[] = {
                        {.iov_base = &head, .iov_len = sizeof(head)},
                        {.iov_base = (void *) text, .iov_len = head.text_size},
                        {.iov_base = p->filter, .iov_len = p->n * sizeof(*p->filter)},
        };

        if (head.text_size > CACHE_TEXT_MAX || cache_is_full(cache_fd))
                return 0;
        return cache_file_write(cache_fd, name, parts, ELEMENTSOF(parts));
}

int seccomp_filter_prepare(json_t *section, const char *cache_directory, SeccompFilter *ret,
                           Error *e) {
        _cleanup_(seccomp_filter_clear) SeccompFilter p = {};
        _cleanup_close_ int cache_fd = -1;
        _cleanup_free_ char *text = NULL;
        char name[32];
        int r;

        r = parse_flags(section, &p.flags, e);
        if (r != 0)
                return r;
        p.notifies = has_notify(section);
        /* the kernel takes it for such filters alone, and it has no meaning for others */
        if (!p.notifies)
                p.flags &= ~(unsigned) SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV;
        r = make_text(section, &text);
        if (r < 0)
                return r;
        (void) snprintf(name, sizeof(name), "%016llx.bpf", (unsigned long long) text_hash(text));

        /* The cache only saves time: without it everything still works, so nothing of it is an
         * error. */
        cache_fd = cache_directory ? cache_open(cache_directory) : -1;
        if (cache_fd >= 0) {
                r = cache_read(cache_fd, name, text, &p);
                if (r < 0)
                        return r;
        }
        if (!p.filter) {
                r = seccomp_filter_compile(section, &p, e);
                if (r == -EBADMSG && e) /* from the JSON getters, which have named the path */
                        e->code = r = CTR_INVALID_ARGUMENT;
                if (r != 0)
                        return r;
                if (cache_fd >= 0)
                        (void) cache_write(cache_fd, name, text, &p);
        }
        *ret = p;
        p = (SeccompFilter){};
        return 0;
}

int seccomp_filter_load(const SeccompFilter *p, Error *e) {
        struct sock_fprog program = {.len = (unsigned short) p->n, .filter = p->filter};

        if (!p->filter)
                return 0;
        if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, p->flags, &program) < 0)
                return error_setf(e, -errno, "Failed to load the seccomp filter: %m");
        return 0;
}

void seccomp_filter_clear(SeccompFilter *p) {
        free(p->filter);
        *p = (SeccompFilter){};
}
