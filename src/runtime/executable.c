/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/executable.h"

#include <elf.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/openat2.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define DEFAULT_PATH      "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
#define INTERPRETER_MAX   256 /* BINPRM_BUF_SIZE: more of the first line the kernel does not read */
#define INTERPRETER_DEPTH 5   /* as the kernel */

static int open_plain(const char *path, uint64_t flags) {
        struct open_how how = {.flags = flags | O_CLOEXEC, .resolve = RESOLVE_NO_MAGICLINKS};
        int fd = (int) syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

        return fd < 0 ? -errno : fd;
}

/* 0 if the file is there and may be executed. */
static int check_file(const char *path) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        fd = open_plain(path, O_PATH);
        if (fd < 0)
                return fd;
        if (fstat(fd, &st) < 0)
                return -errno;
        if (!S_ISREG(st.st_mode))
                return -EACCES;
        /* with the effective ids: they decide at execve() too. Needs faccessat2(2), 5.8 */
        if (syscall(SYS_faccessat2, fd, "", X_OK, AT_EMPTY_PATH | AT_EACCESS) < 0)
                return -errno;
        return 0;
}

static bool is_missing(int r) {
        return r == -ENOENT || r == -ENOTDIR;
}

static int find_in_path(const char *command, const char *search, char **ret_path, Error *e) {
        int worst = -ENOENT;

        for (const char *p = search, *next; p; p = next) {
                _cleanup_free_ char *path = NULL;
                size_t n = strcspn(p, ":");
                int r;

                next = p[n] == ':' ? p + n + 1 : NULL;
                if (n >= PATH_MAX)
                        continue;
                /* an empty element is the working directory, says POSIX */
                if (asprintf(&path, "%.*s%s%s", (int) n, p, n > 0 ? "/" : "./", command) < 0)
                        return -ENOMEM;
                r = check_file(path);
                if (r == 0) {
                        *ret_path = TAKE_PTR(path);
                        return 0;
                }
                if (!is_missing(r))
                        worst = r;
        }
        if (worst == -ENOENT)
                return error_setf(e, CTR_COMMAND_NOT_FOUND,
                                  "The command \"%.256s\" is not found in PATH=%.1024s", command,
                                  search);
        return error_setf(e, CTR_COMMAND_NOT_EXECUTABLE,
                          "The command \"%.256s\" found in PATH=%.1024s cannot be executed: %s",
                          command, search, strerror(-worst));
}

/* The interpreter of "#!": 1 and its path, 0 if it is no script. */
static int script_interpreter(const char *head, size_t size, char interpreter[PATH_MAX]) {
        const char *p = head + 2, *end = head + size;
        size_t n = 0;

        if (size < 2 || head[0] != '#' || head[1] != '!')
                return 0;
        while (p < end && (*p == ' ' || *p == '\t'))
                p++;
        while (p + n < end && !strchr(" \t\n", p[n]))
                n++;
        if (n == 0)
                return 0;
        memcpy(interpreter, p, n);
        interpreter[n] = '\0';
        return 1;
}

/* The dynamic linker of an ELF file of this machine's word size: 1 and its path, 0 if it has none.
 * Anything malformed has none here: the kernel judges at execve(). What the kernel takes must not
 * be malformed to us, wherever in the file it is. */
static int elf_interpreter(int fd, const char *head, size_t size, char interpreter[PATH_MAX]) {
        Elf64_Ehdr header;
        Elf64_Phdr p;

        if (size < sizeof(header))
                return 0;
        memcpy(&header, head, sizeof(header));
        if (memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
            header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(p) ||
            header.e_phoff > INT64_MAX - UINT16_MAX * sizeof(p))
                return 0;
        for (size_t i = 0; i < header.e_phnum; i++) {
                ssize_t n;

                n = pread(fd, &p, sizeof(p), (off_t) (header.e_phoff + i * sizeof(p)));
                if (n != sizeof(p))
                        return n < 0 ? -errno : 0;
                if (p.p_type != PT_INTERP)
                        continue;
                if (p.p_filesz < 2 || p.p_filesz > PATH_MAX || p.p_offset > INT64_MAX)
                        return 0;
                n = pread(fd, interpreter, p.p_filesz, (off_t) p.p_offset);
                if (n < 0)
                        return -errno;
                return n == (ssize_t) p.p_filesz && interpreter[n - 1] == '\0';
        }
        return 0;
}

/* What the kernel would open besides the file itself must be there and be no magic link. */
static int check_interpreters(const char *command, Error *e) {
        char path[PATH_MAX], head[INTERPRETER_MAX];
        const char *file = command;

        for (unsigned depth = 0; depth < INTERPRETER_DEPTH; depth++) {
                _cleanup_close_ int fd = -1;
                bool script;
                ssize_t n;
                int r;

                fd = open_plain(file, O_RDONLY | O_NONBLOCK | O_NOCTTY);
                if (fd == -EACCES || fd == -EPERM)
                        return 0; /* executable, but not readable: no interpreter to be seen */
                n = fd < 0 ? fd : pread(fd, head, sizeof(head), 0);
                if (n < 0)
                        return error_setf(e, fd < 0 ? fd : -errno, "Failed to read %.512s: %m",
                                          file);
                script = script_interpreter(head, MIN_OF((size_t) n, sizeof(head) - 1), path) > 0;
                r = script ? 1 : elf_interpreter(fd, head, (size_t) n, path);
                if (r < 0)
                        return error_setf(e, r, "Failed to read %.512s: %m", file);
                if (r == 0)
                        return 0;
                r = check_file(path);
                if (is_missing(r))
                        return error_setf(e, CTR_COMMAND_NOT_FOUND,
                                          "The interpreter \"%.512s\" of %.256s is not found", path,
                                          command);
                if (r < 0)
                        return error_setf(e, CTR_COMMAND_NOT_EXECUTABLE,
                                          "The interpreter \"%.512s\" of %.256s cannot be "
                                          "executed: %s",
                                          path, command, strerror(-r));
                if (!script)
                        return 0; /* a dynamic linker has none */
                file = path;
        }
        return 0;
}

int executable_find(const char *command, const char *search, char **ret_path, Error *e) {
        _cleanup_free_ char *path = NULL;
        int r;

        assert(command && ret_path);

        if (strchr(command, '/')) {
                r = check_file(command);
                if (is_missing(r))
                        return error_setf(e, CTR_COMMAND_NOT_FOUND,
                                          "The command \"%.512s\" is not found", command);
                if (r < 0)
                        return error_setf(e, CTR_COMMAND_NOT_EXECUTABLE,
                                          "The command \"%.512s\" cannot be executed: %s", command,
                                          strerror(-r));
                path = strdup(command);
                if (!path)
                        return -ENOMEM;
        } else {
                r = find_in_path(command, search ? search : DEFAULT_PATH, &path, e);
                if (r != 0)
                        return r;
        }
        r = check_interpreters(path, e);
        if (r != 0)
                return r;
        *ret_path = TAKE_PTR(path);
        return 0;
}
