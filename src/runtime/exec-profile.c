/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/exec-profile.h"

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "runtime/cache-file.h"
#include "runtime/id-map.h"

#define PROFILE_MAGIC UINT64_C(0x0200656c69666f72) /* changes with the structure */

/* The file: this, and seccomp_n instructions. */
typedef struct ProfileHead {
        uint64_t magic;
        uint64_t device, inode, size; /* of the document */
        int64_t changed_sec, changed_nsec;
        uint64_t personality;
        int32_t namespaces;
        int32_t oom_score_adj;
        uint32_t personality_set;
        uint32_t seccomp_flags;
        uint64_t seccomp_n;
        uint32_t root_uid, root_gid;
        SpecMemoryPolicy memory_policy;
} ProfileHead;

static void head_identify(ProfileHead *head, const struct stat *st) {
        *head = (ProfileHead){
                        .magic = PROFILE_MAGIC,
                        .device = st->st_dev,
                        .inode = st->st_ino,
                        .size = (uint64_t) st->st_size,
                        .changed_sec = st->st_ctim.tv_sec,
                        .changed_nsec = st->st_ctim.tv_nsec,
        };
}

/* True and the profile if it is there and made from the document that wanted identifies. */
static bool load(int dir_fd, const ProfileHead *wanted, ExecProfile *ret) {
        _cleanup_free_ char *data = NULL;
        size_t size, filter_size;
        ProfileHead head;

        if (file_read_at(dir_fd, EXEC_PROFILE_NAME,
                         sizeof(head) + SECCOMP_FILTER_MAX * sizeof(struct sock_filter), &data,
                         &size) < 0 ||
            size < sizeof(head))
                return false;
        memcpy(&head, data, sizeof(head));
        if (memcmp(&head, wanted, offsetof(ProfileHead, personality)) != 0 ||
            head.seccomp_n > SECCOMP_FILTER_MAX)
                return false;
        filter_size = head.seccomp_n * sizeof(struct sock_filter);
        if (size != sizeof(head) + filter_size)
                return false;
        *ret = (ExecProfile){
                        .namespaces = head.namespaces,
                        .oom_score_adj = head.oom_score_adj,
                        .personality_set = head.personality_set,
                        .personality = head.personality,
                        .root_uid = head.root_uid,
                        .root_gid = head.root_gid,
                        .memory_policy = head.memory_policy,
                        .seccomp.n = head.seccomp_n,
                        .seccomp.flags = head.seccomp_flags,
        };
        if (filter_size == 0)
                return true;
        ret->seccomp.filter = malloc(filter_size);
        if (!ret->seccomp.filter)
                return false;
        memcpy(ret->seccomp.filter, data + sizeof(head), filter_size);
        return true;
}

/* It only saves time: nothing of it is an error. */
static void store(int dir_fd, const ProfileHead *document, const ExecProfile *p) {
        ProfileHead head = *document;
        const struct iovec parts[] = {
                        {.iov_base = &head, .iov_len = sizeof(head)},
                        {.iov_base = p->seccomp.filter,
                         .iov_len = p->seccomp.n * sizeof(*p->seccomp.filter)},
        };

        head.namespaces = p->namespaces;
        head.oom_score_adj = p->oom_score_adj;
        head.personality_set = p->personality_set;
        head.personality = p->personality;
        head.root_uid = p->root_uid;
        head.root_gid = p->root_gid;
        head.memory_policy = p->memory_policy;
        head.seccomp_flags = p->seccomp.flags;
        head.seccomp_n = p->seccomp.n;
        (void) cache_file_write(dir_fd, EXEC_PROFILE_NAME, parts, ELEMENTSOF(parts));
}

static int make(int dir_fd, const char *config_name, const char *seccomp_cache, ExecProfile *ret,
                Error *e) {
        _cleanup_(spec_freep) Spec *s = NULL;
        ExecProfile p = {};
        int r;

        r = spec_read(dir_fd, config_name, &s, e);
        if (r != 0)
                return r;
        for (NamespaceType i = 0; i < _NAMESPACE_MAX; i++)
                if (s->namespaces[i].set)
                        p.namespaces |= namespace_type_flag(i);
        p.oom_score_adj = s->process.oom_score_adj; /* 0 if not given */
        p.root_uid = id_map_to_host(&s->uids, 0);
        p.root_gid = id_map_to_host(&s->gids, 0);
        p.memory_policy = s->memory_policy;
        p.personality_set = s->personality_set;
        p.personality = s->personality;
        if (s->seccomp) {
                r = seccomp_filter_prepare(s->seccomp, seccomp_cache, &p.seccomp, e);
                if (r != 0)
                        return r;
        }
        if (p.seccomp.notifies || s->intel_rdt.set)
                p.document = json_incref(s->document);
        *ret = p;
        return 0;
}

int exec_profile_read(int dir_fd, const char *config_name, const char *seccomp_cache,
                      ExecProfile *ret, Error *e) {
        ProfileHead document;
        struct stat st;
        int r;

        /* before the document is read: if it is replaced between the two, what is stored belongs to
         * neither and is not used again */
        if (fstatat(dir_fd, config_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
                return error_setf(e, -errno, "Failed to read %s: %m", config_name);
        head_identify(&document, &st);
        if (load(dir_fd, &document, ret))
                return 0;
        r = make(dir_fd, config_name, seccomp_cache, ret, e);
        if (r != 0)
                return r;
        if (!ret->document)
                store(dir_fd, &document, ret);
        return 0;
}

void exec_profile_clear(ExecProfile *p) {
        seccomp_filter_clear(&p->seccomp);
        json_decref(p->document);
        p->document = NULL;
}
