/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctrctl, the command line of Ctr. It has no private doors: everything goes through the interfaces
 * of dbus/org.example.Ctr.xml, but for logs, which come from the journal.
 */

#include <fcntl.h>
#include <limits.h>
#include <signal.h>

#include "basic/strv.h"
#include "config.h"
#include "ctl/options.h"
#include "ctl/output.h"
#include "ctl/polkit-agent.h"
#include "ctl/verbs.h"

#define SETS_MAX  6
#define ANY_COUNT UINT_MAX

typedef struct Verb {
        const char *name, *synopsis, *help;
        unsigned min_args, max_args;
        int (*run)(Client *c, char **args, Error *e);
        bool stop_at_first; /* what follows the first argument belongs to the container's command */
        int usage_status;   /* exit status when it is called wrongly */
        const OptionSet *sets[SETS_MAX + 1];
} Verb;

static const Verb verbs[] = {
                {"pull",
                 "IMAGE...",
                 "Fetch images from a registry",
                 1,
                 ANY_COUNT,
                 verb_pull,
                 false,
                 1,
                 {&options_quiet, &options_namespace, &options_global}},
                {"images",
                 "",
                 "List images",
                 0,
                 0,
                 verb_images,
                 false,
                 1,
                 {&options_list, &options_namespace, &options_global}},
                {"rmi",
                 "IMAGE...",
                 "Remove images",
                 1,
                 ANY_COUNT,
                 verb_rmi,
                 false,
                 1,
                 {&options_namespace, &options_global}},
                {"run",
                 "IMAGE [COMMAND...]",
                 "Create a container, start it and wait for it",
                 1,
                 ANY_COUNT,
                 verb_run,
                 true,
                 EXIT_RUN_FAILED,
                 {&options_run, &options_create, &options_pull, &options_namespace,
                  &options_global}},
                {"create",
                 "IMAGE [COMMAND...]",
                 "Create a container",
                 1,
                 ANY_COUNT,
                 verb_create,
                 true,
                 1,
                 {&options_create, &options_pull, &options_quiet, &options_namespace,
                  &options_global}},
                {"start",
                 "CONTAINER...",
                 "Start containers",
                 1,
                 ANY_COUNT,
                 verb_start,
                 false,
                 1,
                 {&options_attach, &options_namespace, &options_global}},
                {"stop",
                 "CONTAINER...",
                 "Stop containers gracefully",
                 1,
                 ANY_COUNT,
                 verb_stop,
                 false,
                 1,
                 {&options_stop, &options_namespace, &options_global}},
                {"kill",
                 "CONTAINER...",
                 "Send a signal to containers",
                 1,
                 ANY_COUNT,
                 verb_kill,
                 false,
                 1,
                 {&options_kill, &options_namespace, &options_global}},
                {"wait",
                 "CONTAINER...",
                 "Wait for containers, print their exit statuses",
                 1,
                 ANY_COUNT,
                 verb_wait,
                 false,
                 1,
                 {&options_namespace, &options_global}},
                {"ps",
                 "",
                 "List containers",
                 0,
                 0,
                 verb_ps,
                 false,
                 1,
                 {&options_ps, &options_list, &options_namespace, &options_global}},
                {"logs",
                 "CONTAINER",
                 "Show what a container has printed",
                 1,
                 1,
                 verb_logs,
                 false,
                 1,
                 {&options_logs, &options_namespace, &options_global}},
                {"rm",
                 "CONTAINER...",
                 "Remove containers",
                 1,
                 ANY_COUNT,
                 verb_rm,
                 false,
                 1,
                 {&options_remove, &options_namespace, &options_global}},
                {"inspect",
                 "CONTAINER|IMAGE...",
                 "Show everything about containers and images",
                 1,
                 ANY_COUNT,
                 verb_inspect,
                 false,
                 1,
                 {&options_namespace, &options_global}},
                {"version",
                 "",
                 "Show the versions of ctrctl and of the service",
                 0,
                 0,
                 verb_version,
                 false,
                 1,
                 {&options_global}},
};

static const OptionSet *const sets_before_verb[] = {&options_namespace, &options_global, NULL};

static const Verb *find_verb(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                if (streq(verbs[i].name, name))
                        return verbs + i;
        return NULL;
}

static void print_verb_help(const Verb *v) {
        printf("Usage: ctrctl %s [OPTION...]%s%s\n\n%s.\n", v->name, *v->synopsis ? " " : "",
               v->synopsis, v->help);
        options_print_help(v->sets, stdout);
}

static void print_help(void) {
        printf("Usage: ctrctl [OPTION...] VERB [OPTION...] [ARGUMENT...]\n\n"
               "Run and look after containers of the Ctr container manager.\n\nVerbs:\n");
        for (size_t i = 0; i < ELEMENTSOF(verbs); i++)
                printf("  %-8s %-20s %s\n", verbs[i].name, verbs[i].synopsis, verbs[i].help);
        printf("  %-8s %-20s %s\n", "help", "[VERB]", "Show this help, or a verb's options");
        options_print_help(sets_before_verb, stdout);
        printf("\nSee the ctrctl(1) man page for details.\n");
}

static int verb_help(char **args, Error *e) {
        const Verb *v;

        if (!args[0]) {
                print_help();
                return EXIT_SUCCESS;
        }
        v = find_verb(args[0]);
        if (!v) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "unknown verb \"%s\"", args[0]);
                return EXIT_FAILURE;
        }
        print_verb_help(v);
        return EXIT_SUCCESS;
}

static int verb_execute(const Verb *v, int argc, char **argv, Options *o, Error *e) {
        Client client = {.options = o};
        unsigned n;
        int first, status;

        if (options_parse(v->sets, v->stop_at_first, argc, argv, o, &first, e) != 0)
                return v->usage_status;
        if (o->help) {
                print_verb_help(v);
                return EXIT_SUCCESS;
        }
        n = (unsigned) (argc - first);
        if (n < v->min_args || n > v->max_args) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  n < v->min_args ? "%s needs %s" : "%s takes no more than %s",
                                  v->name, *v->synopsis ? v->synopsis : "no argument");
                return v->usage_status;
        }
        status = v->run(&client, argv + first, e);
        client_clear(&client);
        return status;
}

static int dispatch(int argc, char **argv, Options *o, const char **ret_verb, Error *e) {
        const Verb *v;
        int first;

        if (options_parse(sets_before_verb, true, argc, argv, o, &first, e) != 0)
                return EXIT_FAILURE;
        if (o->version) {
                puts("ctrctl " CTR_VERSION);
                return EXIT_SUCCESS;
        }
        if (o->help) {
                print_help();
                return EXIT_SUCCESS;
        }
        if (first >= argc) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "no verb given; 'ctrctl --help' shows them");
                return EXIT_FAILURE;
        }
        if (streq(argv[first], "help"))
                return verb_help(argv + first + 1, e);
        v = find_verb(argv[first]);
        if (!v) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "unknown verb \"%s\"; 'ctrctl --help' shows them", argv[first]);
                return EXIT_FAILURE;
        }
        *ret_verb = v->name;
        return verb_execute(v, argc - first, argv + first, o, e);
}

/* Started with 0, 1 or 2 closed, the next descriptors that we open would take their place. */
static int check_standard_fds(void) {
        for (int fd = 0; fd <= 2; fd++)
                if (fcntl(fd, F_GETFD) < 0 && open("/dev/null", O_RDWR | O_NOCTTY) != fd)
                        return -errno;
        return 0;
}

int main(int argc, char **argv) {
        _cleanup_(options_clear) Options options = {};
        _cleanup_error_ Error e = ERROR_NULL;
        const char *verb = NULL;
        int status;

        if (check_standard_fds() < 0)
                return EXIT_FAILURE;
        (void) signal(SIGPIPE, SIG_IGN); /* a pipe that is closed is an error like others */

        status = dispatch(argc, argv, &options, &verb, &e);
        if (e.code != 0)
                print_error(verb, &e);
        polkit_agent_close();
        if (fflush(stdout) == EOF && errno != EPIPE && errno != EBADF && status == EXIT_SUCCESS) {
                fprintf(stderr, "ctrctl: Failed to write to standard output: %m\n");
                status = EXIT_FAILURE;
        }
        return status;
}
