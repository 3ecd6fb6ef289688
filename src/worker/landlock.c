/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <fcntl.h>
#include <linux/landlock.h>
#include <sys/syscall.h>

#include "basic/fs.h"
#include "image/content.h"
#include "snapshot/snapshotter.h"
#include "worker/sandbox.h"

/* What newer kernels know and the headers may not. */
#define ACCESS_FS_TRUNCATE  (UINT64_C(1) << 14) /* ABI 3 */
#define ACCESS_FS_IOCTL_DEV (UINT64_C(1) << 15) /* ABI 5 */
#define ACCESS_NET_BIND     (UINT64_C(1) << 0)  /* ABI 4 */
#define ACCESS_NET_CONNECT  (UINT64_C(1) << 1)

/* Moving and linking across directories is impossible under the first ABI, and the store needs it.
 */
#define ABI_MIN 2

#define ACCESS_READ (LANDLOCK_ACCESS_FS_READ_FILE | LANDLOCK_ACCESS_FS_READ_DIR)
#define ACCESS_STORE                                                                               \
        (ACCESS_READ | LANDLOCK_ACCESS_FS_WRITE_FILE | LANDLOCK_ACCESS_FS_REMOVE_DIR |             \
         LANDLOCK_ACCESS_FS_REMOVE_FILE | LANDLOCK_ACCESS_FS_MAKE_CHAR |                           \
         LANDLOCK_ACCESS_FS_MAKE_DIR | LANDLOCK_ACCESS_FS_MAKE_REG |                               \
         LANDLOCK_ACCESS_FS_MAKE_SOCK | LANDLOCK_ACCESS_FS_MAKE_FIFO |                             \
         LANDLOCK_ACCESS_FS_MAKE_BLOCK | LANDLOCK_ACCESS_FS_MAKE_SYM | (UINT64_C(1) << 13))

/* The layout of ABI 4; older kernels take the first member alone. */
typedef struct Ruleset {
        uint64_t handled_access_fs, handled_access_net;
} Ruleset;

/* Of the store: what else the manager keeps there, its database and secrets, is not for us. */
static const char *const store_directories[] = {CONTENT_DIRECTORY, SNAPSHOTS_DIRECTORY};

/* Libraries that are loaded when they are needed (libarchive, the name service's), configuration
 * and sockets of the latter, certificates, and what libc reads about the machine. /etc/resolv.conf
 * is a link into one of those of /run, or to another file. */
static const char *const readable[] = {"/etc",
                                       "/usr",
                                       "/lib",
                                       "/lib64",
                                       "/run/systemd/resolve",
                                       "/run/resolvconf",
                                       "/run/NetworkManager",
                                       "/run/connman",
                                       "/run/nscd",
                                       "/etc/resolv.conf",
                                       "/proc",
                                       "/sys/devices/system/cpu",
                                       "/dev/urandom",
                                       "/dev/null"};

/* Certificates may be elsewhere: the environment comes from the administrator. */
static const char *const readable_variables[] = {"SSL_CERT_FILE", "SSL_CERT_DIR", "CTR_CERTS_DIR"};

static int allow(int ruleset, int fd, uint64_t access) {
        struct landlock_path_beneath_attr rule = {.allowed_access = access, .parent_fd = fd};

        return syscall(SYS_landlock_add_rule, ruleset, LANDLOCK_RULE_PATH_BENEATH, &rule, 0) < 0
                               ? -errno
                               : 0;
}

static int allow_reading(int ruleset, const char *path) {
        _cleanup_close_ int fd = -1;
        int r;

        if (isempty(path))
                return 0;
        fd = open(path, O_PATH | O_CLOEXEC);
        if (fd < 0)
                return errno == ENOENT ? 0 : -errno;
        r = allow(ruleset, fd, ACCESS_READ);
        /* directory rights make no sense for a file */
        return r == -EINVAL ? allow(ruleset, fd, LANDLOCK_ACCESS_FS_READ_FILE) : r;
}

/* What the callers named. */
static struct {
        int fd;
        bool write;
} open_to_us[4];
static size_t n_open_to_us;

static void let(int dir_fd, bool write) {
        assert(n_open_to_us < ELEMENTSOF(open_to_us));
        open_to_us[n_open_to_us].fd = dir_fd;
        open_to_us[n_open_to_us++].write = write;
}

void sandbox_let_read(int dir_fd) {
        let(dir_fd, false);
}

void sandbox_let_write(int dir_fd) {
        let(dir_fd, true);
}

static int allow_store(int ruleset, int root_fd, uint64_t access) {
        int r = 0;

        for (size_t i = 0; r == 0 && i < ELEMENTSOF(store_directories); i++) {
                _cleanup_close_ int fd = -1;

                fd = dir_open_make_at(root_fd, store_directories[i], 0700);
                if (fd >= 0)
                        r = allow(ruleset, fd, access);
                else if (fd == -ENOMEM || fd == -EMFILE || fd == -ENFILE)
                        r = fd;
                /* otherwise the job cannot open it either, and says so in its own words */
        }
        return r;
}

static int add_rules(int ruleset, int root_fd, uint64_t store) {
        int r;

        r = root_fd >= 0 ? allow_store(ruleset, root_fd, store) : 0;
        for (size_t i = 0; r == 0 && i < n_open_to_us; i++)
                r = allow(ruleset, open_to_us[i].fd, open_to_us[i].write ? store : ACCESS_READ);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(readable); i++)
                r = allow_reading(ruleset, readable[i]);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(readable_variables); i++)
                r = allow_reading(ruleset, getenv(readable_variables[i]));
        return r;
}

int sandbox_restrict_paths(SandboxFlags flags, int root_fd, Error *e) {
        Ruleset rules = {.handled_access_fs = ACCESS_STORE | LANDLOCK_ACCESS_FS_EXECUTE};
        _cleanup_close_ int ruleset = -1;
        uint64_t store = ACCESS_STORE;
        long abi;
        int r;

        abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);
        if (abi < ABI_MIN)
                return 0; /* the mount namespace says the same */
        if (abi >= 3) {
                rules.handled_access_fs |= ACCESS_FS_TRUNCATE;
                store |= ACCESS_FS_TRUNCATE;
        }
        if (abi >= 4)
                rules.handled_access_net = ACCESS_NET_BIND |
                                           (flags & SANDBOX_NETWORK ? 0 : ACCESS_NET_CONNECT);
        if (abi >= 5)
                rules.handled_access_fs |= ACCESS_FS_IOCTL_DEV;

        ruleset = (int) syscall(SYS_landlock_create_ruleset, &rules,
                                abi >= 4 ? sizeof(rules) : sizeof(rules.handled_access_fs), 0);
        if (ruleset < 0)
                return error_setf(e, -errno, "Failed to make a Landlock ruleset: %m");
        r = add_rules(ruleset, root_fd, store);
        if (r < 0)
                return error_setf(e, r, "Failed to add a Landlock rule: %m");
        if (syscall(SYS_landlock_restrict_self, ruleset, 0) < 0)
                return error_setf(e, -errno, "Failed to apply the Landlock ruleset: %m");
        return 0;
}
