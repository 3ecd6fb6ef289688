/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* ctr-worker pull: its options, and the order in which the job is set up. */

#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <sys/socket.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "basic/process.h"
#include "config.h"
#include "worker/report.h"
#include "worker/sandbox.h"
#include "worker/worker.h"

#define CREDENTIALS_MAX (64 * 1024)

/* A descriptor that we were given. */
static int parse_fd(const char *s, int *ret) {
        char *end;
        long fd;
        int r;

        errno = 0;
        fd = strtol(s, &end, 10);
        if (errno != 0 || *end || end == s || fd < 3 || fd > INT32_MAX)
                return -EINVAL;
        r = fd_set_cloexec((int) fd, true);
        if (r < 0)
                return r;
        *ret = (int) fd;
        return 0;
}

/* It must be a connected SEQPACKET socket. */
static int parse_control_fd(const char *s, int *ret) {
        socklen_t size = sizeof(int);
        int fd, type, r;

        r = parse_fd(s, &fd);
        if (r < 0)
                return r;
        if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &size) < 0)
                return -errno;
        if (type != SOCK_SEQPACKET)
                return -EPROTOTYPE;
        *ret = fd;
        return 0;
}

/* Who we are to the registry: what came with the job, or what the configuration says. */
static int load_credentials(Pull *p, Error *e) {
        _cleanup_close_ int fd = p->options->credentials_fd;
        char *text = NULL;
        size_t size;
        int r;

        if (fd < 0)
                return credentials_load(&p->credentials, e);
        r = fd_read_all(fd, CREDENTIALS_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read the credentials: %m");
        r = credentials_parse_single(text, size, &p->credentials, e);
        free(text);
        return r;
}

static int parse_options(int argc, char *argv[], PullOptions *ret, Error *e) {
        static const struct option options[] = {
                        {"root", required_argument, NULL, 'r'},
                        {"control-fd", required_argument, NULL, 'c'},
                        {"platform", required_argument, NULL, 'p'},
                        {"no-unpack", no_argument, NULL, 'n'},
                        {"policy", required_argument, NULL, 'l'},
                        {"credentials-fd", required_argument, NULL, 'k'},
                        {},
        };
        int c, r;

        *ret = (PullOptions){.root = CTR_STATE_DIR,
                             .control_fd = -1,
                             .credentials_fd = -1,
                             .unpack = true};
        platform_host(&ret->platform);
        while ((c = getopt_long(argc, argv, "", options, NULL)) >= 0)
                switch (c) {
                case 'r':
                        ret->root = optarg;
                        break;
                case 'c':
                        r = parse_control_fd(optarg, &ret->control_fd);
                        if (r < 0)
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "--control-fd=%s is not a SOCK_SEQPACKET socket",
                                                  optarg);
                        break;
                case 'k':
                        r = parse_fd(optarg, &ret->credentials_fd);
                        if (r < 0)
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "--credentials-fd=%s is no open file", optarg);
                        break;
                case 'p':
                        r = platform_parse(optarg, &ret->platform, e);
                        if (r != 0)
                                return r;
                        break;
                case 'n':
                        ret->unpack = false;
                        break;
                case 'l':
                        ret->prefer_local = streq(optarg, "missing");
                        if (!ret->prefer_local && !streq(optarg, "always"))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "--policy must be \"always\" or \"missing\"");
                        break;
                default:
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "Unknown option or missing value, see ctr-worker --help");
                }
        if (argc - optind != 1)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Exactly one image reference is needed");
        ret->reference = argv[optind];
        return 0;
}

/* SIGTERM and SIGINT are read from a descriptor; threads inherit the mask. */
static void block_signals(void) {
        sigset_t set;

        (void) sigemptyset(&set);
        (void) sigaddset(&set, SIGTERM);
        (void) sigaddset(&set, SIGINT);
        (void) sigprocmask(SIG_BLOCK, &set, NULL);
        (void) signal(SIGPIPE, SIG_IGN);
}

int verb_pull(int argc, char *argv[]) {
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_(pull_clear) Pull p = {.root_fd = -1,
                                        .content_fd = -1,
                                        .snapshots_fd = -1,
                                        .event_fd = -1};
        PullOptions options;
        int r;

        block_signals();
        r = parse_options(argc, argv, &options, &e);
        if (r == 0)
                r = pull_init(&p, &options, &e);
        if (r == 0)
                r = reference_parse(options.reference, &p.reference, &e);
        /* the last things that are read from where the sandbox may not look */
        if (r == 0)
                r = registries_load(&p.registries, &e);
        if (r == 0)
                r = load_credentials(&p, &e);
        if (r == 0)
                r = sandbox_enter(SANDBOX_EXTRACT | SANDBOX_NETWORK, &p.root_fd, &e);
        if (r == 0)
                r = pull_open_store(&p, &e);
        if (r == 0)
                r = http_initialize();
        if (r == 0)
                r = report_run(&p, &e);
        if (r == 0)
                r = report_result(&p, &e);
        if (r != 0) {
                if (e.code == 0)
                        (void) error_setf(&e, r, "%s",
                                          r < 0 ? strerrordesc_np(-r) : error_code_to_string(r));
                report_error(options.control_fd, &e);
        }
        return r != 0;
}
