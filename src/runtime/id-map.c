/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/id-map.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/process.h"

#define LINE_MAX_SIZE  40 /* three numbers of 32 bits, two blanks, a newline, and its end */
#define PROC_PATH_SIZE 48
#define KILL_USEC      (10 * USEC_PER_SEC)

uint32_t id_map_to_host(const SpecIdMappings *l, uint32_t id) {
        for (size_t i = 0; i < l->n; i++) {
                const SpecIdMapping *m = &l->list[i];

                if (id >= m->container_id && id - m->container_id < m->size)
                        return m->host_id + (id - m->container_id);
        }
        return UINT32_MAX;
}

static int write_proc(pid_t pid, const char *name, const char *text) {
        char path[PROC_PATH_SIZE];
        _cleanup_close_ int fd = -1;

        (void) snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
        fd = open(path, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0)
                return -errno;
        /* the kernel takes a map in one write() */
        return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

static int write_map(pid_t pid, const char *name, const SpecIdMappings *l, Error *e) {
        _cleanup_free_ char *text = malloc(l->n * LINE_MAX_SIZE + 1);
        size_t used = 0;
        int r;

        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < l->n; i++)
                used += (size_t) snprintf(text + used, LINE_MAX_SIZE, "%u %u %u\n",
                                          l->list[i].container_id, l->list[i].host_id,
                                          l->list[i].size);
        r = write_proc(pid, name, text);
        return r < 0 ? error_setf(e, r, "Failed to write %s of process %d: %m", name, pid) : 0;
}

/* newuidmap(1) PID (CONTAINER-ID HOST-ID SIZE)... */
static int call_helper(const char *program, pid_t pid, const SpecIdMappings *l, Error *e) {
        _cleanup_free_ char *path = NULL, *text = NULL;
        _cleanup_free_ char **argv = NULL;
        _cleanup_close_ int pidfd = -1;
        pid_t child;
        char *p;
        int r, status = -1;

        r = process_find_program(program, &path);
        if (r < 0)
                return error_setf(e, r, "Failed to find %s, which maps ids for who is not root: %m",
                                  program);
        argv = calloc(3 * l->n + 3, sizeof(char *));
        text = malloc((3 * l->n + 1) * 12);
        if (!argv || !text)
                return -ENOMEM;
        p = text;
        argv[0] = (char *) program;
        for (size_t i = 0; i < 3 * l->n + 1; i++) {
                const SpecIdMapping *m = &l->list[i > 0 ? (i - 1) / 3 : 0];
                const uint32_t numbers[] = {m->container_id, m->host_id, m->size};

                argv[i + 1] = p;
                p += snprintf(p, 12, "%u", i > 0 ? numbers[(i - 1) % 3] : (uint32_t) pid) + 1;
        }
        r = process_spawn(path, argv, NULL, NULL, 0, &child, &pidfd);
        if (r == 0)
                r = pidfd_wait(pidfd, &status);
        if (r < 0)
                return error_setf(e, r, "Failed to call %s: %m", path);
        if (status != 0)
                return error_setf(e, CTR_PERMISSION_DENIED, "%s failed with status %i", path,
                                  status);
        return 0;
}

static bool is_own_alone(const SpecIdMappings *l, uint32_t id) {
        return l->n == 1 && l->list[0].size == 1 && l->list[0].host_id == id;
}

int id_map_write(pid_t pid, const SpecIdMappings *uids, const SpecIdMappings *gids, Error *e) {
        bool own = is_own_alone(uids, geteuid()) && is_own_alone(gids, getegid());
        int r;

        if (geteuid() != 0 && !own) {
                r = call_helper("newgidmap", pid, gids, e);
                return r == 0 ? call_helper("newuidmap", pid, uids, e) : r;
        }
        if (geteuid() != 0) {
                /* the kernel's condition for a group map of one's own (user_namespaces(7)) */
                r = write_proc(pid, "setgroups", "deny");
                if (r < 0)
                        return error_setf(e, r, "Failed to deny setgroups() to process %d: %m",
                                          pid);
        }
        r = write_map(pid, "gid_map", gids, e);
        return r == 0 ? write_map(pid, "uid_map", uids, e) : r;
}

/* The pid as /proc has it, which may be that of another pid namespace than ours. */
static int pid_of(int pidfd, pid_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[PROC_PATH_SIZE];
        const char *line;
        int r;

        (void) snprintf(path, sizeof(path), "/proc/self/fdinfo/%d", pidfd);
        r = file_read_at(AT_FDCWD, path, 4096, &text, NULL);
        if (r < 0)
                return r;
        line = strstr(text, "\nPid:\t");
        *ret = line ? (pid_t) strtol(line + STRLEN("\nPid:\t"), NULL, 10) : 0;
        return *ret > 0 ? 0 : -ESRCH;
}

static int open_namespace(pid_t pid) {
        char path[PROC_PATH_SIZE];
        int fd;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/user", pid);
        fd = open(path, O_RDONLY | O_CLOEXEC);
        return fd < 0 ? -errno : fd;
}

static int find_and_open(int pidfd, const SpecIdMappings *uids, const SpecIdMappings *gids,
                         int *ret_fd, Error *e) {
        pid_t pid;
        int r;

        r = pid_of(pidfd, &pid);
        if (r < 0)
                return error_setf(e, r, "Failed to find a process: %m");
        r = id_map_write(pid, uids, gids, e);
        if (r != 0)
                return r;
        r = open_namespace(pid);
        if (r < 0)
                return error_setf(e, r, "Failed to open a user namespace: %m");
        *ret_fd = r;
        return 0;
}

int id_map_make_namespace(const SpecIdMappings *uids, const SpecIdMappings *gids, int *ret_fd,
                          Error *e) {
        _cleanup_close_ int pidfd = -1;
        pid_t pid;
        int r;

        pid = process_clone(CLONE_NEWUSER, -1, &pidfd);
        if (pid < 0)
                return error_setf(e, pid, "Failed to make a user namespace: %m");
        if (pid == 0) {
                (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
                for (;;)
                        (void) pause();
        }
        r = find_and_open(pidfd, uids, gids, ret_fd, e);
        pidfd_end(pidfd, KILL_USEC);
        return r;
}
