/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* login and logout: the file of credentials that pull and push take theirs from. The registry is
 * not asked; the first pull tells whether they are good. */

#include "ctl/credentials.h"
#include "ctl/verbs.h"

/* The file that the options or the environment name, and the registry as files name it. */
static int find_place(const Client *c, const char *arg, char **ret_file, char **ret_registry,
                      Error *e) {
        const char *authfile = c->options->registry.authfile;
        _cleanup_free_ char *registry = auth_scope_of_registry(arg);

        if (c->options->host)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "credentials are not kept for another host; log in there");
        if (!registry)
                return error_setf(e, -ENOMEM, "Out of memory");
        if (!*registry || strpbrk(registry, " \t\"\\"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a registry", arg);
        if (authfile) {
                *ret_file = strdup(authfile);
                if (!*ret_file)
                        return error_setf(e, -ENOMEM, "Out of memory");
        } else if (auth_file_default(ret_file, e) != 0)
                return e->code;
        *ret_registry = TAKE_PTR(registry);
        return 0;
}

static int ask(const RegistryOptions *o, Login *ret, Error *e) {
        int r;

        if (o->username) {
                ret->username = strdup(o->username);
                r = ret->username ? 0 : error_setf(e, -ENOMEM, "Out of memory");
        } else if (o->password_stdin)
                r = error_setf(e, CTR_INVALID_ARGUMENT, "--password-stdin needs --username");
        else
                r = ask_on_terminal("User name", false, &ret->username, e);
        if (r == 0)
                r = o->password_stdin ? secret_read_stdin(&ret->password, e)
                                      : ask_on_terminal("Password", true, &ret->password, e);
        if (r != 0)
                return r;
        if (!*ret->username || strchr(ret->username, ':'))
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a user name",
                                  ret->username);
        return 0;
}

int verb_login(Client *c, char **args, Error *e) {
        _cleanup_free_ char *file = NULL, *registry = NULL;
        _cleanup_login_ Login login = {};

        if (find_place(c, args[0], &file, &registry, e) != 0 ||
            ask(&c->options->registry, &login, e) != 0 ||
            auth_file_store(file, registry, &login, e) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}

int verb_logout(Client *c, char **args, Error *e) {
        _cleanup_free_ char *file = NULL, *registry = NULL;

        if (find_place(c, args[0], &file, &registry, e) != 0 ||
            auth_file_store(file, registry, NULL, e) != 0)
                return EXIT_FAILURE;
        return EXIT_SUCCESS;
}
