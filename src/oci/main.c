/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctr-runtime: the command line of an OCI runtime, as runc and crun have it, over the container
 * code of the supervisor.
 */

#include <fcntl.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/log.h"
#include "config.h"
#include "oci/context.h"
#include "oci/options.h"
#include "oci/own-binary.h"
#include "oci/report.h"

#define EXEC_FAILED 255 /* what runc returns for an exec that it could not do */

static const struct {
        const char *name;
        Verb run;
        const char *help;
        bool clones; /* into a container: see own-binary.h */
} verbs[] = {
                {"checkpoint", verb_checkpoint, "write a running container down, with CRIU", false},
                {"create", verb_create, "set a container up, to be started later", true},
                {"delete", verb_delete, "remove what is left of a container", false},
                {"events", verb_events, "show figures and out-of-memory events", false},
                {"exec", verb_exec, "run a further process in a container", true},
                {"features", verb_features, "show what this runtime can do", false},
                {"kill", verb_kill, "send a signal to a container", false},
                {"list", verb_list, "list containers", false},
                {"pause", verb_pause, "freeze all processes of a container", false},
                {"ps", verb_ps, "list the processes of a container", false},
                {"restore", verb_restore, "continue a container that was written down", true},
                {"resume", verb_resume, "let a paused container go on", false},
                {"run", verb_run, "create and start a container", true},
                {"spec", verb_spec, "write a config.json to begin with", false},
                {"start", verb_start, "start a container that was created", false},
                {"state", verb_state, "show the state of a container", false},
                {"update", verb_update, "change the limits of a container", false},
};

static bool in_user_namespace(void) {
        static const char everything[] = "         0          0 4294967295\n";
        _cleanup_free_ char *map = NULL;

        return file_read_at(AT_FDCWD, "/proc/self/uid_map", 4096, &map, NULL) >= 0 &&
               !streq(map, everything);
}

/* $XDG_RUNTIME_DIR is the user's own; without it there is no place that outlives us and is not
 * open to everybody. */
static int set_root(Context *c, const char *root, Error *e) {
        const char *user_dir = getenv("XDG_RUNTIME_DIR");

        c->rootless = geteuid() != 0 || in_user_namespace();
        if (root) {
                c->root = root[0] == '/' ? strdup(root) : realpath(".", NULL);
                if (root[0] != '/' && c->root) {
                        char *directory = c->root;

                        if (asprintf(&c->root, "%s/%s", directory, root) < 0)
                                c->root = NULL;
                        free(directory);
                }
        } else if (!c->rootless)
                c->root = strdup("/run/" RUNTIME_NAME);
        else if (!isempty(user_dir)) {
                if (asprintf(&c->root, "%s/" RUNTIME_NAME, user_dir) < 0)
                        c->root = NULL;
        } else
                return 0; /* enough for verbs that keep no state */
        return c->root ? 0 : -ENOMEM;
}

int context_open_root(Context *c, bool make, Error *e) {
        if (c->root_fd >= 0)
                return 0;
        if (!c->root)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "neither --root nor $XDG_RUNTIME_DIR says where to keep state");
        c->root_fd = open(c->root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (c->root_fd < 0 && errno == ENOENT && make)
                c->root_fd = dir_open_make_at(AT_FDCWD, c->root, 0700);
        else if (c->root_fd < 0)
                c->root_fd = -errno;
        if (c->root_fd >= 0)
                return 0;
        return c->root_fd == -ENOENT && !make
                               ? -ENOENT
                               : error_setf(e, c->root_fd, "Failed to open %s: %m", c->root);
}

static void print_version(void) {
        (void) printf(RUNTIME_NAME " version " CTR_VERSION "\nspec: " OCI_VERSION "\n");
}

static void print_verbs(void) {
        (void) printf("\nVerbs:\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                (void) printf("  %-12s %s\n", verbs[i].name, verbs[i].help);
        (void) printf("\n`" RUNTIME_NAME " VERB --help` shows the options of a verb.\n");
}

/* all are the arguments of the whole program. */
static int run_verb(Context *c, char *all[], int argc, char *argv[], Error *e) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++) {
                int r;

                if (!streq(verbs[i].name, argv[0]))
                        continue;
                r = verbs[i].clones ? own_binary_protect(all, e) : 0;
                return r == 0 ? verbs[i].run(c, argc, argv, e) : r;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT, "unknown verb \"%s\"", argv[0]);
}

static int parse_and_run(Context *c, Report *report, int argc, char *argv[], Error *e) {
        const char *root = NULL, *log = NULL, *format = NULL;
        bool version = false, debug = false;
        const Option options[] = {
                        {"root", 0, OPTION_STRING, &root, "directory of the containers' state"},
                        {"log", 0, OPTION_STRING, &log, "file to write errors to"},
                        {"log-format", 0, OPTION_STRING, &format, "text or json"},
                        {"systemd-cgroup", 's', OPTION_FLAG, &c->systemd_cgroup,
                         "cgroups are scopes of systemd's; cgroupsPath is slice:prefix:name"},
                        {"cgroup-manager", 0, OPTION_IGNORED, NULL, NULL},
                        {"criu", 0, OPTION_IGNORED, NULL, NULL},
                        {"rootless", 0, OPTION_IGNORED, NULL, NULL},
                        {"debug", 0, OPTION_FLAG, &debug, "tell more on standard error"},
                        {"version", 'v', OPTION_FLAG, &version, "show the version"},
        };
        const OptionTable table = {"[OPTIONS] VERB ...", options, ELEMENTSOF(options), 0, -1, true};
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r == 0 && first == 0)
                print_verbs();
        if (r != 0 || first == 0)
                return r;
        if (version) {
                print_version();
                return 0;
        }
        r = report_init(report, log, format, e);
        if (r == 0)
                r = set_root(c, root, e);
        if (r != 0)
                return r;
        if (debug)
                log_set_max_level(LOG_DEBUG);
        if (first >= argc)
                return error_setf(e, CTR_INVALID_ARGUMENT, "no verb is given, see --help");
        if (streq(argv[first], "exec"))
                c->exit_status = EXEC_FAILED;
        return run_verb(c, argv, argc - first, argv + first, e);
}

/* 0, 1 and 2 are open in whatever comes. */
static int open_streams(void) {
        for (;;) {
                int fd = open("/dev/null", O_RDWR);

                if (fd < 0)
                        return -errno;
                if (fd > STDERR_FILENO) {
                        fd_close(fd);
                        return 0;
                }
        }
}

int main(int argc, char *argv[]) {
        Context c = {.root_fd = -1};
        Error e = ERROR_NULL;
        Report report = {};
        int r;

        log_parse_environment();
        r = fcntl(STDERR_FILENO, F_GETFD) < 0 || fcntl(STDIN_FILENO, F_GETFD) < 0 ||
                                            fcntl(STDOUT_FILENO, F_GETFD) < 0
                            ? open_streams()
                            : 0;
        if (r == 0)
                r = parse_and_run(&c, &report, argc, argv, &e);
        if (r != 0) {
                char *sentence;

                (void) error_setf(&e, r, "%s", r < 0 ? strerror(-r) : error_code_to_string(r));
                sentence = report_sentence(&e);
                report_error(&report, sentence ? sentence : error_text(&e));
                free(sentence);
                if (c.exit_status == 0)
                        c.exit_status = EXIT_FAILURE;
        }
        error_clear(&e);
        free(c.root);
        fd_close(c.root_fd);
        return c.exit_status;
}
