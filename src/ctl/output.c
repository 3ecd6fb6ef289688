/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/output.h"

#include <fcntl.h>
#include <signal.h>

#include "basic/process.h"
#include "ctl/text.h"

static int pager_spawn(const char *command, Pager *p) {
        char *const argv[] = {(char *) "sh", (char *) "-c", (char *) command, NULL};
        int pipe_fds[2], r;
        pid_t pid;

        if (pipe2(pipe_fds, O_CLOEXEC) < 0)
                return -errno;
        r = process_spawn("/bin/sh", argv, environ,
                          (const int[]){pipe_fds[0], STDOUT_FILENO, STDERR_FILENO}, 3, &pid,
                          &p->pidfd);
        fd_close(pipe_fds[0]);
        if (r >= 0 && dup2(pipe_fds[1], STDOUT_FILENO) < 0)
                r = -errno;
        fd_close(pipe_fds[1]);
        return r;
}

void pager_open(Pager *p, const Options *o) {
        static const char fallback[] = "command -v less >/dev/null && exec less;"
                                       "command -v more >/dev/null && exec more; exec cat";
        const char *command = getenv("SYSTEMD_PAGER") ?: getenv("PAGER");

        if (o->no_pager || !isatty(STDOUT_FILENO) || !isatty(STDIN_FILENO))
                return;
        if (command && (isempty(command) || streq(command, "cat")))
                return;

        /* quit if it fits on one screen, keep what is on the screen; and no way from the pager to a
         * shell or another file, we may have been started with more rights than the user */
        (void) setenv("LESS", getenv("SYSTEMD_LESS") ?: "FRSXMK", true);
        (void) setenv("LESSSECURE", "1", true);
        (void) signal(SIGINT, SIG_IGN);
        (void) pager_spawn(command ?: fallback, p);
}

int pager_close(Pager *p) {
        int r = 0, status;

        if (fflush(stdout) == EOF || ferror(stdout))
                r = -errno;
        if (p->pidfd < 0)
                return r;
        (void) fd_close(STDOUT_FILENO);
        (void) pidfd_wait(p->pidfd, &status);
        p->pidfd = fd_close(p->pidfd);
        return r == -EPIPE ? 0 : r; /* the user has read enough */
}

int print_json(json_t *j, JsonMode mode) {
        size_t flags = mode == JSON_MODE_SHORT ? JSON_COMPACT : JSON_INDENT(8);

        if (json_dumpf(j, stdout, flags | JSON_ENCODE_ANY) < 0)
                return errno > 0 ? -errno : -EIO;
        return fputc('\n', stdout) == EOF ? -EIO : 0;
}

/* Only where the name of the error leaves one cause: with run, create and start it may be about the
 * image, the user, a mount and more, and the text says it all. */
static const struct {
        int code;
        const char *verb; /* NULL: any */
        const char *hint;
} hints[] = {
                {-EACCES, NULL,
                 "Run it as root, or allow the action to this user with a polkit rule."},
                {-EHOSTUNREACH, NULL, "Is Ctr installed? See 'systemctl status ctr.service'."},
                {-ECONNRESET, NULL, "See 'journalctl -u ctr.service' for why it went away."},
                {CTR_NOT_FOUND, "rmi", "'ctrctl images' lists the images."},
                {CTR_NOT_FOUND, "pull",
                 "Check the name and the tag; the registry has no such one."},
                {CTR_NOT_FOUND, "inspect",
                 "'ctrctl ps -a' lists containers, 'ctrctl images' images."},
                {CTR_NOT_FOUND, "stop", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "kill", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "wait", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "logs", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "diff", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "export", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "rm", "'ctrctl ps -a' lists the containers."},
                {CTR_NOT_FOUND, "exec", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "attach", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "pause", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "resume", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "update", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "top", "'ctrctl ps' lists the containers that run."},
                {CTR_NOT_FOUND, "stats", "'ctrctl ps' lists the containers that run."},
                {CTR_ALREADY_EXISTS, "run", "Remove it with 'ctrctl rm', or take another --name."},
                {CTR_ALREADY_EXISTS, "create",
                 "Remove it with 'ctrctl rm', or take another --name."},
                {CTR_FAILED_PRECONDITION, "rm", "Stop it first, or use --force."},
                {CTR_UNAVAILABLE, "pull", "Check the registry's name and the network."},
                {CTR_TIMEOUT, "stop", "End it with 'ctrctl kill -s KILL'."},
};

static const char *find_hint(const char *verb, int code) {
        for (size_t i = 0; i < ELEMENTSOF(hints); i++)
                if (hints[i].code == code &&
                    (!hints[i].verb || (verb && streq(hints[i].verb, verb))))
                        return hints[i].hint;
        return NULL;
}

void print_error(const char *verb, const Error *e) {
        const char *hint = find_hint(verb, e->code);
        _cleanup_free_ char *text = NULL;

        text = text_escape(error_text(e));
        fprintf(stderr, "ctrctl: %s\n", text ?: "Out of memory");
        if (hint)
                fprintf(stderr, "Hint: %s\n", hint);
        else if (e->code == CTR_INVALID_ARGUMENT && verb)
                fprintf(stderr, "Hint: See 'ctrctl %s --help'.\n", verb);
}
