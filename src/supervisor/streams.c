/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "supervisor/streams.h"

#include <fcntl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"

#define JOURNAL_SEND_BUFFER (8 * 1024 * 1024) /* as systemd does for its services */

static int socket_set_send_timeout(int fd, uint64_t usec) {
        struct timeval tv = {.tv_sec = (time_t) (usec / USEC_PER_SEC),
                             .tv_usec = (suseconds_t) (usec % USEC_PER_SEC)};

        return setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &tv, sizeof(tv)) < 0 ? -errno : 0;
}

static int journal_connect(int fd, const char *path, uint64_t usec) {
        struct sockaddr_un sa = {.sun_family = AF_UNIX};
        int r;

        if (strlen(path) >= sizeof(sa.sun_path))
                return -ENAMETOOLONG;
        strcpy(sa.sun_path, path);

        /* the time limit covers a full backlog; the program must not inherit it */
        r = socket_set_send_timeout(fd, usec);
        if (r < 0)
                return r;
        if (connect(fd, (struct sockaddr *) &sa, sizeof(sa)) < 0)
                return -errno;
        if (shutdown(fd, SHUT_RD) < 0)
                return -errno;
        return socket_set_send_timeout(fd, 0);
}

int journal_stream_open(const char *path, const char *identifier, const char *unit, int priority,
                        uint64_t usec, int *ret_fd, Error *e) {
        static const int buffer = JOURNAL_SEND_BUFFER;
        _cleanup_free_ char *header = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        assert(path && unit && ret_fd);

        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to make a socket: %m");
        r = journal_connect(fd, path, usec);
        if (r < 0)
                return error_setf(e, CTR_UNAVAILABLE, "Failed to connect to the journal at %s: %s",
                                  path, strerror(-r));

        /* identifier, unit, priority, priorities in the text, then forwarding to syslog, kmsg and
         * console */
        if (asprintf(&header, "%s\n%s\n%i\n0\n0\n0\n0\n", strempty(identifier), unit, priority) < 0)
                return -ENOMEM;
        r = fd_write_all(fd, header, strlen(header));
        if (r < 0)
                return error_setf(e, CTR_UNAVAILABLE, "Failed to open a journal stream: %s",
                                  strerror(-r));

        /* larger than wmem_max needs CAP_NET_ADMIN; a smaller one works as well */
        if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &buffer, sizeof(buffer)) < 0)
                (void) setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer));

        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int null_open(int *ret_fd, Error *e) {
        *ret_fd = open("/dev/null", O_RDWR | O_CLOEXEC | O_NOCTTY);
        return *ret_fd < 0 ? error_setf(e, -errno, "Failed to open /dev/null: %m") : 0;
}

/* Opens both ends of a fifo without waiting for the client's: the reading one first, because the
 * writing one needs it. */
static int fifo_open(const char *path, bool input, int *ret_fd, int *ret_keeper, Error *e) {
        static const int flags = O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK;
        _cleanup_close_ int reader = -1, writer = -1;
        struct stat st;
        int r;

        reader = open(path, O_RDONLY | flags);
        if (reader < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open fifo %s: %m", path);
        if (fstat(reader, &st) < 0)
                return error_setf(e, -errno, "Failed to look at %s: %m", path);
        if (!S_ISFIFO(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not a fifo", path);
        writer = open(path, O_WRONLY | flags);
        if (writer < 0)
                return error_setf(e, -errno, "Failed to open fifo %s: %m", path);

        /* programs expect standard streams that block */
        r = fd_set_nonblock(input ? reader : writer, false);
        if (r < 0)
                return error_setf(e, r, "Failed to set up fifo %s: %m", path);

        *ret_fd = input ? TAKE_FD(reader) : TAKE_FD(writer);
        *ret_keeper = input ? TAKE_FD(writer) : TAKE_FD(reader);
        return 0;
}

/* Makes the file and its parent directories where they are missing (D30). */
static int log_file_open(const char *path, int *ret_fd, Error *e) {
        _cleanup_free_ char *parent = strdup(path);
        _cleanup_close_ int dir = -1, fd = -1;
        char link[STRLEN("/proc/self/fd/") + 11 + 1];
        struct stat st;
        char *slash;

        if (!parent)
                return -ENOMEM;
        slash = strrchr(parent, '/');
        if (!slash || !slash[1])
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s names no file", path);
        /* "PARENT/.": a link there (/var/run -> /run) is on the way, and followed as all before it
         */
        strcpy(slash + 1, ".");
        dir = dir_open_make_at(AT_FDCWD, parent, 0755);
        if (dir < 0)
                return error_setf(e, dir, "Failed to make the directory of %s: %m", path);

        /* O_NONBLOCK: a fifo in the place of the file must not hang us */
        fd = openat(dir, path + (slash + 1 - parent),
                    O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK,
                    0644);
        if (fd < 0)
                return error_setf(e, errno == EISDIR ? CTR_INVALID_ARGUMENT : -errno,
                                  "Failed to open %s: %m", path);
        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to look at %s: %m", path);
        if (!S_ISREG(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not a regular file", path);
        /* The same file without O_NOFOLLOW: CRIU opens it again through /proc with the flags that
         * it finds. */
        (void) snprintf(link, sizeof(link), "/proc/self/fd/%i", fd);
        *ret_fd = open(link, O_WRONLY | O_APPEND | O_CLOEXEC | O_NOCTTY);
        return *ret_fd < 0 ? error_setf(e, -errno, "Failed to open %s again: %m", path) : 0;
}

/* Of the host: a directory would lead out of the container's root, and anything but a file can make
 * the program wait for the host or tell it something. */
static int input_file_open(const char *path, int *ret_fd, Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;

        /* O_NONBLOCK: a fifo in the place of the file must not hang us */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NOCTTY | O_NONBLOCK);
        if (fd < 0)
                return error_setf(e, errno == ENOENT ? CTR_NOT_FOUND : -errno,
                                  "Failed to open %s: %m", path);
        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to look at %s: %m", path);
        if (!S_ISREG(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is not a regular file", path);
        *ret_fd = TAKE_FD(fd);
        return 0;
}

static int stream_share(const Streams *s, int *ret_fd, Error *e) {
        *ret_fd = fcntl(s->fd[STDOUT_FILENO], F_DUPFD_CLOEXEC, 3);
        return *ret_fd < 0 ? error_setf(e, -errno, "Failed to share a stream: %m") : 0;
}

static int file_open(const StreamsParameters *p, size_t i, const Streams *s, int *ret_fd,
                     Error *e) {
        const char *path = p->paths[i];

        /* output and errors to one file share one description, and with it the position (D28) */
        if (i == STDERR_FILENO && p->kinds[STDOUT_FILENO] == STDIO_FILE &&
            streq(p->paths[STDOUT_FILENO], path))
                return stream_share(s, ret_fd, e);
        return i == STDIN_FILENO ? input_file_open(path, ret_fd, e)
                                 : log_file_open(path, ret_fd, e);
}

/* A way back to the host's file system, or to something that its giver may not even open, has no
 * place in a container. */
static int handed_take(size_t i, int *handed, int *ret_fd, Error *e) {
        struct stat st;
        int flags;

        if (*handed < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Stream %zu was to be handed over and is not open", i);
        flags = fcntl(*handed, F_GETFL);
        if (flags < 0 || fstat(*handed, &st) < 0)
                return error_setf(e, -errno, "Failed to look at stream %zu: %m", i);
        if ((flags & O_PATH) || S_ISDIR(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT, "Stream %zu cannot be read or written",
                                  i);
        *ret_fd = TAKE_FD(*handed);
        return 0;
}

/* A pipe to the program or from it; ours is the other end. */
static int pipe_open(bool input, bool nonblock, int *ret_program, int *ret_own, Error *e) {
        int fds[2], r;

        if (pipe2(fds, O_CLOEXEC) < 0)
                return error_setf(e, -errno, "Failed to make a pipe: %m");
        *ret_program = fds[input ? 0 : 1];
        *ret_own = fds[input ? 1 : 0];
        if (!nonblock)
                return 0;
        r = fd_set_nonblock(*ret_own, true);
        return r < 0 ? error_setf(e, r, "Failed to set up a pipe: %m") : 0;
}

static int journal_open(const StreamsParameters *p, size_t i, Streams *s, Error *e) {
        /* one stream for both, or the journal may turn their lines around; so does systemd's
         * StandardError=inherit */
        if (i == STDERR_FILENO && p->kinds[STDOUT_FILENO] == STDIO_JOURNAL)
                return stream_share(s, &s->fd[i], e);
        return journal_stream_open(JOURNAL_STREAM_PATH, p->log_identifier, p->unit, LOG_INFO,
                                   p->journal_usec, &s->fd[i], e);
}

static int stream_open(const StreamsParameters *p, size_t i, int handed[static 3], Streams *s,
                       Error *e) {
        switch (p->kinds[i]) {
        case STDIO_NULL:
                return p->terminal ? 0 : null_open(&s->fd[i], e);
        case STDIO_FD:
                return handed_take(i, &handed[i], &s->fd[i], e);
        case STDIO_JOURNAL:
                return p->journal_later && !p->terminal ? 0 : journal_open(p, i, s, e);
        case STDIO_FIFO:
                return fifo_open(p->paths[i], i == STDIN_FILENO, &s->fd[i], &s->keeper[i], e);
        case STDIO_FILE:
                return file_open(p, i, s, &s->fd[i], e);
        case STDIO_BINARY:
                return pipe_open(false, false, &s->fd[i], &s->logger[i], e);
        case STDIO_ATTACH:
                return p->terminal ? 0
                                   : pipe_open(i == STDIN_FILENO, true, &s->fd[i], &s->relay[i], e);
        case _STDIO_KIND_MAX:
                break;
        }
        return error_setf(e, CTR_NOT_IMPLEMENTED, "Stream %zu is of an unknown kind", i);
}

int streams_open(const StreamsParameters *parameters, int handed[static 3], Streams *ret,
                 Error *e) {
        Streams s = STREAMS_INIT;

        assert(parameters && parameters->kinds && parameters->paths && ret);

        for (size_t i = 0; i < ELEMENTSOF(s.fd); i++) {
                int r;

                if (parameters->terminal && i == STDERR_FILENO)
                        break; /* a terminal mixes both (D25) */
                r = stream_open(parameters, i, handed, &s, e);
                if (r != 0) {
                        streams_close(&s);
                        return r;
                }
        }
        *ret = s;
        return 0;
}

int streams_open_journal(const StreamsParameters *p, int fd[static 3], Error *e) {
        Streams s = {.fd = {fd[0], fd[1], fd[2]}};

        for (size_t i = STDOUT_FILENO; i <= STDERR_FILENO; i++) {
                int r = p->kinds[i] == STDIO_JOURNAL ? journal_open(p, i, &s, e) : 0;

                if (r != 0)
                        return r;
                fd[i] = s.fd[i];
        }
        return 0;
}

void streams_close_program_ends(Streams *s) {
        for (size_t i = 0; i < ELEMENTSOF(s->fd); i++)
                s->fd[i] = fd_close(s->fd[i]);
}

void streams_close(Streams *s) {
        streams_close_program_ends(s);
        for (size_t i = 0; i < ELEMENTSOF(s->keeper); i++) {
                s->keeper[i] = fd_close(s->keeper[i]);
                s->relay[i] = fd_close(s->relay[i]);
                s->logger[i] = fd_close(s->logger[i]);
        }
}
