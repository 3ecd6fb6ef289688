/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/copy-child.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "basic/fs.h"

#define RESULT_MAX (64 * 1024)

static int do_work(const CopyWork *work, int fd, Error *e) {
        unsigned skipped = 0;
        int r;

        if (work->path)
                return tar_pack(fd, work->path, work->as, work->flags, e);
        r = tar_unpack(fd, work->dir_fd, work->as, work->flags, &skipped, e);
        if (r == 0 && skipped > 0)
                r = error_setf(e, CTR_NOT_IMPLEMENTED, "%u devices were left out", skipped);
        return r;
}

/* The code and the sentence go to the parent, which knows what the service says. */
static void run_child(const CopyWork *work, int fd, int result_fd) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *text;
        int code;

        /* who cancels the job closes the pipe: there is something to tidy up then */
        (void) signal(SIGINT, SIG_IGN);
        code = do_work(work, fd, &e);
        text = code == 0 ? "" : error_text(&e);
        if (fd_write_all(result_fd, &code, sizeof(code)) < 0 ||
            fd_write_all(result_fd, text, MIN_OF(strlen(text), (size_t) RESULT_MAX / 2)) < 0)
                _exit(EXIT_FAILURE);
        (void) fflush(stderr);
        _exit(EXIT_SUCCESS);
}

int copy_child_start(const CopyWork *work, CopyChild *ret, int *ret_fd, Error *e) {
        int data[2] = {-1, -1}, result[2] = {-1, -1};
        int own = work->path ? 1 : 0; /* the end that the child has */
        pid_t pid = -1;

        if (pipe2(data, O_CLOEXEC) < 0 || pipe2(result, O_CLOEXEC) < 0 || (pid = fork()) < 0) {
                (void) error_setf(e, -errno, "Failed to start a process for the copy: %m");
                for (size_t i = 0; i < 2; i++) {
                        fd_close(data[i]);
                        fd_close(result[i]);
                }
                return e->code;
        }
        if (pid == 0) {
                fd_close(data[!own]);
                fd_close(result[0]);
                run_child(work, data[own], result[1]);
        }
        fd_close(data[own]);
        fd_close(result[1]);
        *ret = (CopyChild){.pid = pid, .result_fd = result[0]};
        *ret_fd = data[!own];
        return 0;
}

int copy_child_wait(CopyChild *child, Error *e) {
        _cleanup_free_ char *data = NULL;
        int status, code, r;
        size_t size = 0;

        r = fd_read_all(child->result_fd, RESULT_MAX, &data, &size);
        child->result_fd = fd_close(child->result_fd);
        while (waitpid(child->pid, &status, 0) < 0 && errno == EINTR)
                ;
        if (r < 0 || size < sizeof(code))
                return error_setf(e, -EIO, "The process that copies has died");
        memcpy(&code, data, sizeof(code));
        return code == 0 ? 0 : error_setf(e, code, "%s", data + sizeof(code));
}
