/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "oci/console.h"

#include <fcntl.h>
#include <libgen.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>

#include "basic/fs.h"
#include "basic/process.h"

#define COPY_SIZE           16384
#define CONNECT_TIMEOUT_SEC 5
/* of a terminal at the end, each a page: more than the kernel keeps of its output */
#define LAST_READS_MAX 1024

static int connect_to(const char *path, int *ret_fd) {
        _cleanup_free_ char *directory = strdup(path), *name = strdup(path);
        struct sockaddr_un address = {.sun_family = AF_UNIX};
        const struct timeval timeout = {.tv_sec = CONNECT_TIMEOUT_SEC};
        _cleanup_close_ int dir_fd = -1, fd = -1;
        int n;

        if (!directory || !name)
                return -ENOMEM;
        /* by its directory's descriptor, because names of sockets are short */
        dir_fd = open(dirname(directory), O_PATH | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return -errno;
        n = snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/%s", dir_fd,
                     basename(name));
        if (n < 0 || (size_t) n >= sizeof(address.sun_path))
                return -ENAMETOOLONG;
        fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
        /* where as many wait as may, and nobody takes them, we would wait for ever */
        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &timeout, sizeof(timeout)) < 0 ||
            connect(fd, (struct sockaddr *) &address, sizeof(address)) < 0)
                return -errno;
        *ret_fd = TAKE_FD(fd);
        return 0;
}

int console_send(const char *path, int master_fd, Error *e) {
        union {
                struct cmsghdr header;
                char space[CMSG_SPACE(sizeof(int))];
        } control = {};
        /* runc sends the name that it opened the master by; receivers want at least one byte */
        struct iovec iov = {.iov_base = (char *) "/dev/ptmx", .iov_len = STRLEN("/dev/ptmx")};
        struct msghdr mh = {
                        .msg_iov = &iov,
                        .msg_iovlen = 1,
                        .msg_control = &control,
                        .msg_controllen = sizeof(control),
        };
        _cleanup_close_ int fd = -1;
        int r;

        r = connect_to(path, &fd);
        if (r < 0)
                return error_setf(e, r, "Failed to connect to the console socket %s: %m", path);
        control.header = (struct cmsghdr){
                        .cmsg_level = SOL_SOCKET,
                        .cmsg_type = SCM_RIGHTS,
                        .cmsg_len = CMSG_LEN(sizeof(int)),
        };
        memcpy(CMSG_DATA(&control.header), &master_fd, sizeof(int));
        if (sendmsg(fd, &mh, MSG_NOSIGNAL) < 0)
                return error_setf(e, -errno, "Failed to send the terminal to %s: %m", path);
        return 0;
}

int console_block_signals(int *ret_signal_fd, Error *e) {
        sigset_t set;
        int fd;

        (void) sigfillset(&set);
        for (const int *s = (const int[]){SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, 0}; *s;
             s++)
                (void) sigdelset(&set, *s);
        if (sigprocmask(SIG_BLOCK, &set, NULL) < 0 ||
            (fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK)) < 0)
                return error_setf(e, -errno, "Failed to catch signals: %m");
        *ret_signal_fd = fd;
        return 0;
}

static void copy_size(int master_fd) {
        struct winsize size;

        if (master_fd >= 0 && ioctl(STDIN_FILENO, TIOCGWINSZ, &size) >= 0)
                (void) ioctl(master_fd, TIOCSWINSZ, &size);
}

/* What the kernel or a user at the terminal means for the one program that he sees. */
static void forward_signals(int signal_fd, int pidfd, int master_fd) {
        struct signalfd_siginfo si;

        while (read(signal_fd, &si, sizeof(si)) == sizeof(si)) {
                int signo = (int) si.ssi_signo;

                if (signo == SIGWINCH)
                        copy_size(master_fd);
                else if (signo != SIGCHLD && signo != SIGPIPE && signo != SIGURG)
                        (void) pidfd_signal(pidfd, signo);
        }
}

/* 1; 0 at the end. */
static int copy(int from, int to) {
        char buffer[COPY_SIZE];
        ssize_t n = read(from, buffer, sizeof(buffer));

        if (n < 0 && (errno == EINTR || errno == EAGAIN))
                return 1;
        return n > 0 && fd_write_all(to, buffer, (size_t) n) >= 0;
}

static void relay(int pidfd, int master_fd, int signal_fd) {
        struct pollfd p[] = {
                        {.fd = pidfd, .events = POLLIN},
                        {.fd = signal_fd, .events = POLLIN},
                        {.fd = master_fd, .events = POLLIN},
                        {.fd = master_fd >= 0 ? STDIN_FILENO : -1, .events = POLLIN},
        };

        for (;;) {
                if (poll(p, ELEMENTSOF(p), -1) < 0 && errno != EINTR)
                        return;
                if (p[1].revents)
                        forward_signals(signal_fd, pidfd, master_fd);
                if (p[2].revents && !copy(master_fd, STDOUT_FILENO))
                        p[2].fd = -1;
                if (p[3].revents && !copy(STDIN_FILENO, master_fd))
                        p[3].fd = -1;
                if (p[0].revents)
                        break;
        }
        /* what it still said; others may have the terminal open, and are not waited for */
        for (unsigned i = 0; i < LAST_READS_MAX; i++)
                if (p[2].fd < 0 || poll(&p[2], 1, 0) <= 0 || !copy(master_fd, STDOUT_FILENO))
                        break;
}

int console_stay(int pidfd, int master_fd, int signal_fd, int *ret_status, Error *e) {
        struct termios before, raw;
        bool is_raw = false;
        int r;

        copy_size(master_fd);
        if (master_fd >= 0 && tcgetattr(STDIN_FILENO, &before) >= 0) {
                raw = before;
                cfmakeraw(&raw);
                is_raw = tcsetattr(STDIN_FILENO, TCSANOW, &raw) >= 0;
        }
        relay(pidfd, master_fd, signal_fd);
        if (is_raw)
                (void) tcsetattr(STDIN_FILENO, TCSANOW, &before);
        r = pidfd_wait(pidfd, ret_status);
        return r < 0 ? error_setf(e, r, "Failed to wait for the process: %m") : 0;
}
