/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/options.h"

#include <getopt.h>

#include "basic/strv.h"

#define OPTIONS_MAX   96
#define FIRST_NO_CHAR 256 /* getopt's codes are this plus the index */
#define HELP_COLUMN   30

static void image_options_clear(ImageOptions *i) {
        free(i->policy);
        free(i->platform);
        free(i->snapshotter);
        free(i->name);
        free(i->input);
        free(i->output);
        free(i->format);
        free(i->lease);
        free(i->parent);
        free(i->author);
        free(i->message);
        strv_free(i->changes);
        strv_free(i->labels);
}

static void registry_options_clear(RegistryOptions *r) {
        if (r->credentials)
                explicit_bzero(r->credentials, strlen(r->credentials));
        free(r->credentials);
        free(r->authfile);
        free(r->username);
}

void options_clear(Options *o) {
        CreateOptions *c = &o->create;

        free(o->host);
        free(o->namespace);
        free(o->name);
        free(o->exec_id);
        free(o->id_file);
        for (size_t i = 0; i < ELEMENTSOF(o->streams); i++)
                free(o->streams[i]);
        strv_free(o->filters);
        strv_free(c->environment);
        strv_free(c->labels);
        strv_free(c->capabilities_add);
        strv_free(c->capabilities_drop);
        strv_free(c->dns);
        strv_free(c->dns_search);
        strv_free(c->dns_options);
        strv_free(c->extra_hosts);
        strv_free(c->devices);
        strv_free(c->entrypoint.list);
        free(c->working_directory);
        free(c->user);
        free(c->runtime);
        free(c->systemd);
        free(c->hostname);
        free(c->network);
        free(c->allowed_cpus);
        free(c->allowed_memory_nodes);
        free(c->restart_policy);
        free(c->blockio_class);
        free(c->rdt_class);
        free(c->snapshotter);
        free(c->user_namespace.mode);
        free(c->uid_mappings.items);
        free(c->gid_mappings.items);
        mount_list_clear(&c->mounts);
        secret_list_clear(&c->secrets);
        rlimit_list_clear(&c->rlimits);
        free(o->checkpoint.path);
        free(o->checkpoint.image);
        free(o->checkpoint.parent);
        registry_options_clear(&o->registry);
        image_options_clear(&o->image);
        *o = (Options){};
}

/* What getopt_long() wants, made from the tables. */
typedef struct Getopt {
        const Option *known[OPTIONS_MAX];
        struct option table[OPTIONS_MAX + 1];
        char letters[3 + 2 * OPTIONS_MAX];
        size_t n;
} Getopt;

static void getopt_fill(Getopt *g, const OptionSet *const *sets, bool stop_at_first) {
        char *p = g->letters;

        /* ':' tells a missing value from an unknown option and leaves the message to us */
        if (stop_at_first)
                *p++ = '+';
        *p++ = ':';
        for (; *sets; sets++)
                for (size_t i = 0; i < (*sets)->n; i++) {
                        const Option *o = (*sets)->options + i;

                        assert(g->n < OPTIONS_MAX);
                        g->table[g->n] = (struct option){
                                        .name = o->name,
                                        .has_arg = o->value ? required_argument : no_argument,
                                        .val = FIRST_NO_CHAR + (int) g->n,
                        };
                        g->known[g->n++] = o;
                        if (!o->letter)
                                continue;
                        *p++ = o->letter;
                        if (o->value)
                                *p++ = ':';
                }
        *p = '\0';
}

static const Option *getopt_find(const Getopt *g, int c) {
        if (c >= FIRST_NO_CHAR)
                return g->known[c - FIRST_NO_CHAR];
        for (size_t i = 0; i < g->n; i++)
                if (g->known[i]->letter == c)
                        return g->known[i];
        return NULL;
}

static int option_refused(const Getopt *g, int c, char **argv, Error *e) {
        const Option *o = c == ':' ? getopt_find(g, optopt) : NULL;

        if (o)
                return error_setf(e, CTR_INVALID_ARGUMENT, "option --%s needs a value (%s)",
                                  o->name, o->value);
        o = optopt ? getopt_find(g, optopt) : NULL;
        if (o)
                return error_setf(e, CTR_INVALID_ARGUMENT, "option --%s takes no value", o->name);
        if (optopt && optopt < FIRST_NO_CHAR)
                return error_setf(e, CTR_INVALID_ARGUMENT, "unknown option -%c", optopt);
        return error_setf(e, CTR_INVALID_ARGUMENT, "unknown or ambiguous option %s",
                          argv[optind - 1]);
}

int options_parse(const OptionSet *const *sets, bool stop_at_first, int argc, char **argv,
                  Options *o, int *ret_first, Error *e) {
        Getopt g = {};
        int c, r;

        getopt_fill(&g, sets, stop_at_first);
        optind = 0; /* glibc: start afresh */
        while ((c = getopt_long(argc, argv, g.letters, g.table, NULL)) >= 0) {
                const Option *option = c == '?' || c == ':' ? NULL : getopt_find(&g, c);

                if (!option)
                        return option_refused(&g, c, argv, e);
                r = option->parse(optarg, (char *) o + option->offset, e);
                if (r != 0)
                        return error_prefix(e, r, "--%s", option->name);
        }
        *ret_first = optind;
        return 0;
}

static void option_print_help(const Option *o, FILE *f) {
        int n;

        n = fprintf(f, "  %c%c%s --%s%s%s", o->letter ? '-' : ' ', o->letter ?: ' ',
                    o->letter ? "," : " ", o->name, o->value ? "=" : "", strempty(o->value));
        if (n >= HELP_COLUMN)
                n = fprintf(f, "\n") - 1;
        fprintf(f, "%*s%s\n", HELP_COLUMN - n, "", o->help);
}

void options_print_help(const OptionSet *const *sets, FILE *f) {
        for (; *sets; sets++) {
                if ((*sets)->n == 0)
                        continue;
                fprintf(f, "\n%s:\n", (*sets)->title);
                for (size_t i = 0; i < (*sets)->n; i++)
                        option_print_help((*sets)->options + i, f);
        }
}
