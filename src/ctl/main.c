/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * ctrctl, the command line of Ctr. It has no private doors: everything goes through the interfaces
 * of dbus/org.example.Ctr.xml, but for logs, which come from the journal.
 */

#include <fcntl.h>
#include <signal.h>

#include "config.h"
#include "ctl/output.h"
#include "ctl/polkit-agent.h"
#include "ctl/verb-table.h"

/* Completions know this form: two spaces follow a name. */
#define VERB_FORMAT "  %-17s  %-26s %s\n"

static const OptionSet *const sets_before_verb[] = {&options_namespace, &options_global, NULL};

static void print_verbs_of(const char *group) {
        FOREACH_VERB(v)
                if (verb_in_group(v, group))
                        printf(VERB_FORMAT, v->name, v->synopsis, v->help);
}

static void print_verb_help(const Verb *v) {
        printf("Usage: ctrctl %s [OPTION...]%s%s\n\n%s.\n", v->name, *v->synopsis ? " " : "",
               v->synopsis, v->help);
        options_print_help(v->sets, stdout);
        if (verb_is_group(v->name)) {
                printf("\nOther verbs:\n");
                print_verbs_of(v->name);
        }
}

static void print_help(void) {
        printf("Usage: ctrctl [OPTION...] VERB [OPTION...] [ARGUMENT...]\n\n"
               "Run and look after containers of the Ctr container manager.\n\nVerbs:\n");
        FOREACH_VERB(v)
                printf(VERB_FORMAT, v->name, v->synopsis, v->help);
        printf(VERB_FORMAT, "help", "[VERB]", "Show this help, or a verb's options");
        options_print_help(sets_before_verb, stdout);
        printf("\nSee the ctrctl(1) man page for details.\n");
}

static void print_group_help(const char *group) {
        printf("Usage: ctrctl %s VERB [OPTION...] [ARGUMENT...]\n\nVerbs:\n", group);
        print_verbs_of(group);
        printf("\nSee 'ctrctl help %s VERB' for the options of one.\n", group);
}

/* Says what is wrong with words that begin with no verb; or shows what a group has. */
static int no_verb(char *const *words, Error *e) {
        if (!verb_is_group(words[0]))
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "unknown verb \"%s\"; 'ctrctl --help' shows them", words[0]);
        else if (words[1] && !streq(words[1], "--help") && !streq(words[1], "-h"))
                (void) error_setf(e, CTR_INVALID_ARGUMENT,
                                  "unknown verb \"%s %s\"; 'ctrctl help %s' shows them", words[0],
                                  words[1], words[0]);
        else {
                print_group_help(words[0]);
                return words[1] ? EXIT_SUCCESS : EXIT_FAILURE;
        }
        return EXIT_FAILURE;
}

static int verb_help(char **args, Error *e) {
        const Verb *v;
        int n;

        if (!args[0]) {
                print_help();
                return EXIT_SUCCESS;
        }
        v = verb_find(args, &n);
        if (!v && !args[1] && verb_is_group(args[0])) {
                print_group_help(args[0]);
                return EXIT_SUCCESS;
        }
        if (!v)
                return no_verb(args, e);
        print_verb_help(v);
        return EXIT_SUCCESS;
}

static int verb_execute(const Verb *v, int argc, char **argv, Options *o, Error *e) {
        Client client = {.options = o};
        unsigned n;
        int first, status;

        if (options_parse(v->sets, v->stop_at_first, argc, argv, o, &first, e) != 0)
                return v->usage_status ?: EXIT_FAILURE;
        if (o->help) {
                print_verb_help(v);
                return EXIT_SUCCESS;
        }
        n = (unsigned) (argc - first);
        if (n < v->min_args || n > v->max_args) {
                (void) error_setf(e, CTR_INVALID_ARGUMENT, "%s %s %s", v->name,
                                  n < v->min_args ? "needs"
                                                  : (*v->synopsis ? "takes no more than" : "takes"),
                                  *v->synopsis ? v->synopsis : "no argument");
                return v->usage_status ?: EXIT_FAILURE;
        }
        status = v->run(&client, argv + first, e);
        client_clear(&client);
        return status;
}

static int dispatch(int argc, char **argv, Options *o, const char **ret_verb, Error *e) {
        const Verb *v;
        int first, n;

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
        v = verb_find(argv + first, &n);
        if (!v)
                return no_verb(argv + first, e);
        *ret_verb = v->name;
        return verb_execute(v, argc - (first + n - 1), argv + first + n - 1, o, e);
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
