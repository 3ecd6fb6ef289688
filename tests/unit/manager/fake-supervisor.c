/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A supervisor that supervises nothing. $FAKE_SUPERVISOR says how it behaves, one letter each:
 *   f  answers GO with FAILED        u  answers GO with FAILED, Unavailable (a lost scope)
 *   d  dies on GO                    n  does not answer START
 *   x  fails START with CommandNotFound
 *   b  answers GO with FAILED and, although that is the end, CREATED
 * Otherwise it does as the real one: CREATED after GO, STOP and SIGNAL end it with 128 + signal,
 * and START with a file "exit-now" in the task directory's parent ends it with 7.
 */

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "supervisor/protocol.h"
#include "supervisor/record.h"

static int dir_fd, launch_fd = SUPERVISOR_LAUNCH_FD, control_fd = -1;
static const char *mode;
static bool started;

static void say(int fd, SupervisorMessage *m) {
        if (fd >= 0)
                (void) supervisor_message_send(fd, m, NULL, 0);
}

static _noreturn_ void finish(int fd, int status) {
        ExitRecord record = {
                        .exit_status = status,
                        .exited_at = now_realtime(),
                        .pid = getpid(),
                        .started = started,
        };

        if (exit_record_write(dir_fd, &record) < 0)
                _exit(2);
        say(fd, &(SupervisorMessage){.type = SUPERVISOR_EXITED, .number = status});
        _exit(0);
}

static int listen_control(void) {
        struct sockaddr_un a = {.sun_family = AF_UNIX};
        int fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0);

        (void) snprintf(a.sun_path, sizeof(a.sun_path), "/proc/self/fd/%i/control", dir_fd);
        if (fd < 0 || bind(fd, (struct sockaddr *) &a, sizeof(a)) < 0 || listen(fd, 4) < 0)
                _exit(3);
        return fd;
}

static void handle_go(int fd) {
        SupervisorMessage m = {.type = SUPERVISOR_CREATED, .pid = getpid()};

        if (strchr(mode, 'd'))
                _exit(9);
        if (strchr(mode, 'f') || strchr(mode, 'u')) {
                m = (SupervisorMessage){.type = SUPERVISOR_FAILED,
                                        .code = strchr(mode, 'u') ? CTR_UNAVAILABLE
                                                                  : CTR_NOT_FOUND};
                strcpy(m.text, "the test wants it so");
                say(fd, &m);
                _exit(1);
        }
        if (strchr(mode, 'b'))
                say(fd, &(SupervisorMessage){.type = SUPERVISOR_FAILED,
                                             .code = CTR_NOT_FOUND,
                                             .text = "the test wants it so"});
        control_fd = listen_control();
        say(fd, &m);
        if (strchr(mode, 'b'))
                _exit(1);
}

static void handle(int fd, const SupervisorMessage *m) {
        SupervisorMessage reply = {.type = SUPERVISOR_REPLY, .id = m->id, .pid = getpid()};

        switch (m->type) {
        case SUPERVISOR_GO:
                handle_go(fd);
                return;
        case SUPERVISOR_HELLO:
                reply.number = SUPERVISOR_PROTOCOL_VERSION;
                reply.flags = started ? SUPERVISOR_STATE_STARTED : 0;
                break;
        case SUPERVISOR_START:
                if (strchr(mode, 'n'))
                        return;
                if (strchr(mode, 'x')) {
                        reply.code = CTR_COMMAND_NOT_FOUND;
                        strcpy(reply.text, "no such program");
                        say(fd, &reply);
                        finish(fd, 127);
                }
                started = true;
                say(fd, &reply);
                if (faccessat(dir_fd, "../exit-now", F_OK, 0) >= 0)
                        finish(fd, 7);
                return;
        case SUPERVISOR_SIGNAL:
        case SUPERVISOR_STOP:
                say(fd, &reply);
                if (m->number != 0 && m->number != SIGUSR1)
                        finish(fd, 128 + m->number);
                return;
        default:
                break;
        }
        say(fd, &reply);
}

int main(int argc, char *argv[]) {
        int peer_fd = -1;

        mode = getenv("FAKE_SUPERVISOR") ?: "";
        dir_fd = open(argv[1], O_DIRECTORY | O_CLOEXEC);
        if (argc != 2 || dir_fd < 0)
                return 4;
        for (;;) {
                struct pollfd fds[] = {
                                {.fd = launch_fd, .events = POLLIN},
                                {.fd = control_fd, .events = POLLIN},
                                {.fd = peer_fd, .events = POLLIN},
                };
                SupervisorMessage m;

                if (poll(fds, ELEMENTSOF(fds), 60 * 1000) <= 0)
                        return 5; /* bounded, should the test die */
                if (fds[1].revents)
                        peer_fd = accept4(control_fd, NULL, NULL, SOCK_CLOEXEC);
                for (size_t i = 0; i < ELEMENTSOF(fds); i += 2) {
                        int *fd = i == 0 ? &launch_fd : &peer_fd;

                        if (!fds[i].revents)
                                continue;
                        if (supervisor_message_receive(*fd, &m, NULL) > 0)
                                handle(*fd, &m);
                        else if (control_fd < 0)
                                return 0; /* EOF before GO: nothing happened */
                        else
                                *fd = fd_close(*fd);
                }
        }
}
