/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A supervisor that supervises nothing. $FAKE_SUPERVISOR says how it behaves, one letter each:
 *   f  answers GO with FAILED        u  answers GO with FAILED, Unavailable (a lost scope)
 *   d  dies on GO                    n  does not answer START
 *   x  fails START with CommandNotFound
 *   b  answers GO with FAILED and, although that is the end, CREATED
 *   a  refuses to add an exec        X  fails EXEC_START with CommandNotFound
 *   e  an exec ends with 3 before its start is answered
 *   q  ends with 7 on START
 *   z  cannot freeze                 1  is of version 1, 9 of a later one
 *   w  takes its time: answers START, EXEC_START and PAUSE when asked for the second time
 *   p  does not answer PAUSE
 *   W  the same, but is done with them in the moment before that
 *   C  answers CHECKPOINT when somebody asks what has become of it
 *   E  does not answer CHECKPOINT, and nobody knows of it later
 *   y  answers HELLO after more than 2 s
 * Otherwise it does as the real one: CREATED after GO, STOP and SIGNAL end it with 128 + signal,
 * and START with a file "exit-now" in the task directory's parent ends it with 7.
 */

#include <fcntl.h>
#include <poll.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "supervisor/protocol.h"
#include "supervisor/record.h"

static int dir_fd, launch_fd = SUPERVISOR_LAUNCH_FD, control_fd = -1;
static const char *mode;
static bool started, paused, starting, pausing, dumping;

typedef struct FakeExec {
        char id[128];
        bool started, exited, starting;
        pid_t pid;
} FakeExec;

static FakeExec execs[64];
static size_t n_execs;

static void say(int fd, SupervisorMessage *m) {
        if (fd >= 0)
                (void) supervisor_message_send(fd, m, NULL, 0);
}

static FakeExec *exec_find(const char *id) {
        for (size_t i = 0; i < n_execs; i++)
                if (streq(execs[i].id, id))
                        return &execs[i];
        return NULL;
}

static void exec_finish(int fd, FakeExec *x, int status, const char *error) {
        ExitRecord record = {
                        .exit_status = status,
                        .exited_at = now_realtime(),
                        .pid = x->pid,
                        .started = !error,
                        .error = (char *) error,
        };
        SupervisorMessage m = {.type = SUPERVISOR_EXEC_EXITED, .number = status, .pid = x->pid};

        x->exited = true;
        if (exec_record_write(dir_fd, x->id, &record) < 0)
                _exit(6);
        strcpy(m.text, x->id);
        say(fd, &m);
}

static _noreturn_ void finish(int fd, int status) {
        ExitRecord record = {
                        .exit_status = status,
                        .exited_at = now_realtime(),
                        .pid = getpid(),
                        .started = started,
        };

        for (size_t i = 0; i < n_execs; i++)
                if (execs[i].started && !execs[i].exited)
                        exec_finish(fd, &execs[i], 128 + SIGKILL, NULL);
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

static int exec_add(const char *id) {
        char name[TASK_EXEC_FILE_SIZE];

        if (strchr(mode, 'a'))
                return CTR_FAILED_PRECONDITION;
        if (exec_find(id))
                return CTR_ALREADY_EXISTS;
        if (faccessat(dir_fd, exec_file_name(TASK_FILE_EXEC_PREFIX, id, name), F_OK, 0) < 0 ||
            n_execs == ELEMENTSOF(execs))
                _exit(7);
        execs[n_execs] = (FakeExec){.pid = (pid_t) (100000 + n_execs)};
        strcpy(execs[n_execs++].id, id);
        return 0;
}

static int exec_delete(FakeExec *x) {
        char name[TASK_EXEC_FILE_SIZE];

        if (x->started && !x->exited)
                return CTR_FAILED_PRECONDITION;
        (void) unlinkat(dir_fd, exec_file_name(TASK_FILE_EXEC_PREFIX, x->id, name), 0);
        (void) unlinkat(dir_fd, exec_file_name(TASK_FILE_EXEC_EXIT_PREFIX, x->id, name), 0);
        *x = execs[--n_execs];
        return 0;
}

/* Whether this is the first of two requests. */
static bool is_slow(bool *busy) {
        *busy = (strchr(mode, 'w') || strchr(mode, 'W')) && !*busy;
        return *busy;
}

static void exec_start(int fd, FakeExec *x, SupervisorMessage *reply) {
        if (is_slow(&x->starting))
                return;
        x->started = true;
        reply->pid = x->pid;
        reply->code = strchr(mode, 'W') ? CTR_FAILED_PRECONDITION : 0;
        if (strchr(mode, 'X')) {
                reply->code = CTR_COMMAND_NOT_FOUND;
                strcpy(reply->text, "no such program");
                exec_finish(fd, x, 127, reply->text);
        } else if (strchr(mode, 'e'))
                exec_finish(fd, x, 3, NULL);
        say(fd, reply);
}

static void exec_signal(int fd, FakeExec *x, int signo, SupervisorMessage *reply) {
        if (!x->started)
                reply->code = CTR_FAILED_PRECONDITION;
        else if (x->exited)
                reply->code = CTR_NOT_FOUND;
        say(fd, reply);
        if (reply->code == 0 && signo != 0 && signo != SIGUSR1)
                exec_finish(fd, x, 128 + signo, NULL);
}

/* 1: answered. */
static int handle_exec(int fd, const SupervisorMessage *m, SupervisorMessage *reply) {
        FakeExec *x = exec_find(m->text);

        if (m->type == SUPERVISOR_EXEC_ADD)
                reply->code = exec_add(m->text);
        else if (!x)
                reply->code = CTR_NOT_FOUND;
        else if (m->type == SUPERVISOR_EXEC_START) {
                exec_start(fd, x, reply);
                return 1;
        } else if (m->type == SUPERVISOR_SIGNAL) {
                exec_signal(fd, x, m->number, reply);
                return 1;
        } else if (m->type == SUPERVISOR_EXEC_DELETE)
                reply->code = exec_delete(x);
        else if (m->type == SUPERVISOR_EXEC_STATE) {
                reply->pid = x->starting ? 0 : x->pid;
                reply->flags = (x->started || x->starting ? SUPERVISOR_STATE_STARTED : 0) |
                               (x->starting ? SUPERVISOR_STATE_STARTING : 0) |
                               (x->exited ? SUPERVISOR_STATE_EXITED : 0);
        }
        return 0;
}

static unsigned version(void) {
        return strchr(mode, '1') ? 1 : strchr(mode, '9') ? 9 : SUPERVISOR_PROTOCOL_VERSION;
}

static void handle(int fd, const SupervisorMessage *m, const int *fds) {
        SupervisorMessage reply = {.type = SUPERVISOR_REPLY, .id = m->id, .pid = getpid()};

        if (*m->text && m->type != SUPERVISOR_CHECKPOINT) {
                if (handle_exec(fd, m, &reply) == 0)
                        say(fd, &reply);
                return;
        }
        switch (m->type) {
        case SUPERVISOR_GO:
                handle_go(fd);
                return;
        case SUPERVISOR_HELLO:
                if (strchr(mode, 'y'))
                        (void) usleep(2500 * USEC_PER_MSEC);
                reply.number = (int) version();
                reply.flags = (started || starting ? SUPERVISOR_STATE_STARTED : 0) |
                              (starting ? SUPERVISOR_STATE_STARTING : 0) |
                              (pausing ? SUPERVISOR_STATE_PAUSING : 0) |
                              (dumping ? SUPERVISOR_STATE_DUMPING : 0) |
                              (paused ? SUPERVISOR_STATE_PAUSED : 0);
                break;
        case SUPERVISOR_START:
                if (strchr(mode, 'n') || is_slow(&starting))
                        return;
                if (strchr(mode, 'x')) {
                        reply.code = CTR_COMMAND_NOT_FOUND;
                        strcpy(reply.text, "no such program");
                        say(fd, &reply);
                        finish(fd, 127);
                }
                started = true;
                reply.code = strchr(mode, 'W') ? CTR_FAILED_PRECONDITION : 0;
                say(fd, &reply);
                if (strchr(mode, 'q') || faccessat(dir_fd, "../exit-now", F_OK, 0) >= 0)
                        finish(fd, 7);
                return;
        case SUPERVISOR_SIGNAL:
                if (m->pid != 0 && m->pid != getpid()) {
                        reply.code = CTR_NOT_FOUND;
                        break;
                }
                _fallthrough_;
        case SUPERVISOR_STOP:
                say(fd, &reply);
                /* what is frozen handles no signal but one */
                if (m->number != 0 && m->number != SIGUSR1 && (!paused || m->number == SIGKILL))
                        finish(fd, 128 + m->number);
                return;
        case SUPERVISOR_PAUSE:
                pausing = pausing || strchr(mode, 'p');
                if (strchr(mode, 'p') || is_slow(&pausing))
                        return;
                reply.code = strchr(mode, 'z') ? CTR_DEADLINE_EXCEEDED : 0;
                paused = reply.code == 0;
                if (strchr(mode, 'W'))
                        reply.code = CTR_FAILED_PRECONDITION;
                break;
        case SUPERVISOR_RESUME:
                if (dumping)
                        _exit(10);
                paused = pausing = false;
                break;
        case SUPERVISOR_CHECKPOINT:
                dumping = strchr(mode, 'C') && *m->text;
                if (dumping || strchr(mode, 'E'))
                        return;
                say(fd, &reply);
                if (strstr(m->text, "\"leave_running\":false"))
                        finish(fd, 128 + SIGKILL);
                return;
        case SUPERVISOR_ATTACH:
                /* says which stream it took each one for */
                for (size_t i = 0, k = 0; i < 3; i++)
                        if ((m->flags & (1U << i)) && write(fds[k++], &"012"[i], 1) != 1)
                                _exit(8);
                break;
        default:
                break;
        }
        say(fd, &reply);
}

int main(int argc, char *argv[]) {
        int peer_fd = -1;

        /* with the test, however that ends */
        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
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
                int received[SUPERVISOR_MESSAGE_FDS_MAX];
                SupervisorMessage m;

                if (poll(fds, ELEMENTSOF(fds), 60 * 1000) <= 0)
                        return 5; /* bounded, should the test die */
                if (fds[1].revents)
                        peer_fd = accept4(control_fd, NULL, NULL, SOCK_CLOEXEC);
                for (size_t i = 0; i < ELEMENTSOF(fds); i += 2) {
                        int *fd = i == 0 ? &launch_fd : &peer_fd;

                        if (!fds[i].revents)
                                continue;
                        if (supervisor_message_receive(*fd, &m, received) > 0) {
                                handle(*fd, &m, received);
                                for (size_t k = 0; k < ELEMENTSOF(received); k++)
                                        fd_close(received[k]);
                        } else if (control_fd < 0)
                                return 0; /* EOF before GO: nothing happened */
                        else
                                *fd = fd_close(*fd);
                }
        }
}
