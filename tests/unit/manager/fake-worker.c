/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * A worker that fetches nothing: its "image" is made up. $FAKE_WORKER, one letter each:
 *   e  reports an error     c  crashes     g  sends garbage     h  hangs until it is signalled
 *   2  another content   r  remains after its result until it is killed
 *   l  names a second layer whose tree is not there      i  names a layer without its chain id
 *   w  waits for a byte from the first descriptor that the job has, and is done
 */

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"

#define CONTROL_FD 3

static const char manifest[] = "{\"schemaVersion\":2}";
static const char config[] = "{\"architecture\":\"amd64\",\"os\":\"linux\",\"config\":"
                             "{\"Env\":[\"A=1\"],\"Cmd\":[\"/bin/sh\"],\"WorkingDir\":\"/work\","
                             "\"StopSignal\":\"SIGINT\"},\"rootfs\":{\"type\":\"layers\","
                             "\"diff_ids\":[\"sha256:"
                             "1111111111111111111111111111111111111111111111111111111111111111"
                             "\"]}}";

static void say(const char *text) {
        if (send(CONTROL_FD, text, strlen(text), 0) < 0)
                _exit(2);
}

static int remove_names(int root_fd, char *names[]) {
        int fd = openat(root_fd, "snapshots/overlayfs", O_DIRECTORY | O_CLOEXEC);

        for (char **n = names; *n; n++)
                if (!startswith(*n, ".doomed-") || tree_remove_at(fd, *n) < 0)
                        return 1;
        return 0;
}

/* As of the true one, nobody reads its signals any more. */
static void block_signals(void) {
        sigset_t set;

        (void) sigfillset(&set);
        (void) sigprocmask(SIG_SETMASK, &set, NULL);
}

int main(int argc, char *argv[]) {
        const char *mode = getenv("FAKE_WORKER") ?: "";
        char c = strchr(mode, '2') ? 'b' : 'a', hex[2][65];
        char buf[4096], layers[256], answer[1024];
        int root_fd = open(argv[2] + STRLEN("--root="), O_DIRECTORY | O_CLOEXEC);
        bool have;
        ssize_t n;

        if (argc < 4 || root_fd < 0)
                return 3;
        if (streq(argv[1], "remove"))
                return remove_names(root_fd, argv + 3);
        if (strchr(mode, 'w')) {
                if (read(CONTROL_FD + 1, buf, 1) != 1)
                        return 7;
                say("{\"type\":\"result\"}");
                return 0;
        }
        if (strchr(mode, 'c'))
                raise(SIGKILL);
        if (strchr(mode, 'g'))
                say("this is no JSON");
        if (strchr(mode, 'e')) {
                say("{\"type\":\"error\",\"code\":\"NotFound\",\"text\":\"no such tag\"}");
                return 1;
        }
        say("{\"type\":\"progress\",\"phase\":\"download\",\"layers\":"
            "[{\"ref\":\"layer-x\",\"phase\":\"download\",\"offset\":1,\"total\":2}]}");
        if (strchr(mode, 'h') || strchr(mode, 'g'))
                return poll(NULL, 0, 10000);
        (void) snprintf(buf, sizeof(buf),
                        "{\"type\":\"plan\",\"layers\":[{\"chain_id\":\"sha256:%c\"}]}", c);
        say(buf);
        n = recv(CONTROL_FD, answer, sizeof(answer) - 1, 0);
        if (n <= 0)
                return 4;
        answer[n] = '\0';
        have = !strstr(answer, "null");

        memset(hex, c, sizeof(hex));
        hex[0][0] = 'c';
        hex[0][64] = hex[1][64] = '\0';
        if (file_write_atomic_at(openat(root_fd, "content/sha256", O_DIRECTORY), hex[0], config,
                                 strlen(config), 0600, 0) < 0 ||
            file_write_atomic_at(openat(root_fd, "content/sha256", O_DIRECTORY), hex[1], manifest,
                                 strlen(manifest), 0600, 0) < 0)
                return 5;
        if (!have && dir_open_make_at(root_fd, "snapshots/overlayfs/.new-1/fs", 0755) < 0)
                return 6;
        (void) snprintf(layers, sizeof(layers), "{\"chain_id\":\"sha256:%c\",\"directory\":%s}%s",
                        c, have ? "null" : "\".new-1\"",
                        strchr(mode, 'l')   ? ",{\"chain_id\":\"x\",\"directory\":\".new-2\"}"
                        : strchr(mode, 'i') ? ",{\"directory\":\".new-2\"}"
                                            : "");
        (void) snprintf(buf, sizeof(buf),
                        "{\"type\":\"result\",\"digest\":\"sha256:%s\",\"media_type\":\"m\","
                        "\"size\":1,\"manifest\":{\"digest\":\"sha256:%s\"},"
                        "\"config\":{\"digest\":\"sha256:%s\"},\"blobs\":"
                        "[{\"digest\":\"sha256:%s\",\"size\":10},{\"digest\":\"sha256:%s\","
                        "\"size\":20}],\"layers\":[%s]}",
                        hex[1], hex[1], hex[0], hex[0], hex[1], layers);
        if (strchr(mode, 'r'))
                block_signals();
        say(buf);
        return strchr(mode, 'r') ? poll(NULL, 0, -1) : 0;
}
