/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "fake-program.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>

#include "basic/fs.h"
#include "basic/process.h"

bool fake_option(json_t *options, const char *key) {
        return json_is_true(json_object_get(options, key));
}

int fake_number(json_t *options, const char *key) {
        return (int) json_integer_value(json_object_get(options, key));
}

int fake_fail_at(json_t *options, const char *step, Error *e) {
        const char *code = json_string_value(json_object_get(options, "code"));

        if (!streq_ptr(json_string_value(json_object_get(options, "fail")), step))
                return 0;
        return error_setf(e, (int) error_code_from_string(code), "Asked to fail at %s", step);
}

static void on_term(int signo) {
        _exit(7);
}

static void on_usr1(int signo) {
}

static void write_output(int fd, int size) {
        char line[64];

        memset(line, 'x', sizeof(line) - 1);
        line[sizeof(line) - 1] = '\n';
        for (int done = 0; done < size; done += (int) sizeof(line))
                if (fd_write_all(fd, line, sizeof(line)) < 0)
                        _exit(9);
}

static void copy_input(void) {
        char line[256];

        while (fgets(line, sizeof(line), stdin) && line[0] != '.')
                if (fd_write_all(STDOUT_FILENO, line, strlen(line)) < 0)
                        _exit(9);
}

void fake_become(json_t *options, int slave, const int stdio[3], int barrier, int answer) {
        int kept[2];

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        (void) setsid();
        kept[0] = fcntl(barrier >= 0 ? barrier : answer, F_DUPFD, 100);
        kept[1] = fcntl(answer, F_DUPFD, 100);
        for (int i = 0; i < 3; i++)
                if (slave >= 0 || stdio[i] >= 0)
                        (void) dup2(slave >= 0 ? slave : stdio[i], i);
        if (slave >= 0)
                (void) ioctl(slave, TIOCSCTTY, 0);
        (void) dup2(kept[0], 3);
        (void) dup2(kept[1], 4);
        (void) fd_close_from(5);
        if (barrier < 0)
                (void) close(3);
        (void) signal(SIGTERM, fake_option(options, "ignore") ? SIG_IGN : on_term);
        (void) signal(SIGUSR1, on_usr1);
}

/* What a program leaves behind becomes the supervisor's child. No cgroup ends it when a test kills
 * the supervisor, so it sees to that itself. */
_noreturn_ static void stay(pid_t supervisor, pid_t program) {
        for (;;) {
                pid_t parent = getppid();

                if (parent == supervisor) {
                        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                        while (getppid() == supervisor)
                                (void) pause();
                }
                if (parent != program)
                        _exit(0);
                (void) usleep(10000);
        }
}

_noreturn_ void fake_execute(json_t *options) {
        const pid_t supervisor = getppid(), program = getpid();
        sigset_t blocked, none;

        (void) sigemptyset(&none);
        (void) sigemptyset(&blocked);
        (void) sigaddset(&blocked, SIGUSR1);
        (void) sigprocmask(SIG_SETMASK, &blocked, NULL);
        if (fake_option(options, "hang"))
                (void) sigsuspend(&none);
        (void) sigprocmask(SIG_SETMASK, &none, NULL);
        (void) close(4);

        if (fake_option(options, "leave") && fork() == 0)
                stay(supervisor, program);
        write_output(STDOUT_FILENO, fake_number(options, "output"));
        write_output(STDERR_FILENO, fake_number(options, "error"));
        if (fake_option(options, "cat"))
                copy_input();
        for (int i = 0; fake_option(options, "close") && i < 3; i++)
                (void) close(i);
        while (fake_option(options, "wait"))
                (void) pause();
        if (fake_number(options, "kill") > 0)
                (void) raise(fake_number(options, "kill"));
        _exit(fake_number(options, "exit"));
}
