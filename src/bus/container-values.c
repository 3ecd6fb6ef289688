/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/container-values.h"

#include <limits.h>

#include "basic/fs.h"
#include "basic/identifier.h"
#include "basic/rlimit.h"
#include "basic/strv.h"
#include "manager/container-secrets.h"

#define USER_MAX 256U

int container_check_command(OptionReader *o, char *const *command) {
        if (command && isempty(command[0]))
                return option_invalid(o, "the program to run must not be empty");
        return 0;
}

/* A name without '=' removes the image's variable. */
int container_check_environment(OptionReader *o, char *const *environment) {
        STRV_FOREACH(s, environment)
                if (**s == '\0' || **s == '=')
                        return option_invalid(o, "\"%.64s\" has an empty name", *s);
        return 0;
}

int container_check_user(OptionReader *o, const char *user) {
        if (strlen(user) > USER_MAX)
                return option_invalid(o, "longer than %u characters", USER_MAX);
        return 0;
}

/* Labels of letters, digits, '-' and '_', separated by single dots. */
int container_check_hostname(OptionReader *o, const char *name) {
        static const char characters[] =
                        "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.";
        size_t n = strlen(name);

        if (n == 0)
                return 0; /* as if not given */
        if (n > HOST_NAME_MAX)
                return option_invalid(o, "longer than %i characters", HOST_NAME_MAX);
        if (strspn(name, characters) != n || strchr("-.", name[0]) || strchr("-.", name[n - 1]) ||
            strstr(name, ".."))
                return option_invalid(o, "\"%s\" is not a host name", name);
        return 0;
}

static bool is_bind(const ContainerMount *m) {
        const char *p = m->options;

        if (streq(m->type, "bind"))
                return true;
        while (*p) {
                size_t n = strcspn(p, ",");

                if ((n == 4 && strncmp(p, "bind", n) == 0) ||
                    (n == 5 && strncmp(p, "rbind", n) == 0))
                        return true;
                p += n;
                p += *p == ',';
        }
        return false;
}

/* A volume's name ("": an anonymous one), an image's reference. */
static int check_mount_name(OptionReader *o, const ContainerMount *m) {
        bool volume = streq(m->type, "volume");

        if (volume ? !isempty(m->source) && !identifier_is_valid(m->source) : isempty(m->source))
                return option_invalid(o, "the source \"%.128s\" of %.128s names no %s", m->source,
                                      m->destination, m->type);
        return 0;
}

int container_check_mount(OptionReader *o, const ContainerMount *m) {
        if (m->destination[0] != '/')
                return option_invalid(o, "the destination \"%.128s\" is not an absolute path",
                                      m->destination);
        if (streq(m->type, "volume") || streq(m->type, "image"))
                return check_mount_name(o, m);
        if (is_bind(m) && m->source[0] != '/')
                return option_invalid(o, "the source \"%.128s\" of %.128s is not an absolute path",
                                      m->source, m->destination);
        return 0;
}

static bool path_climbs(const char *path) {
        for (const char *p = path; *p;) {
                size_t n;

                p += strspn(p, "/");
                n = strcspn(p, "/");
                if (n == 2 && p[0] == '.' && p[1] == '.')
                        return true;
                p += n;
        }
        return false;
}

int container_check_device(OptionReader *o, const ContainerDevice *d) {
        if (d->path[0] != '/' || path_climbs(d->path))
                return option_invalid(o, "\"%.128s\" is not an absolute path without \"..\"",
                                      d->path);
        if (isempty(d->access) || strspn(d->access, "rwm") != strlen(d->access))
                return option_invalid(o, "the access \"%.16s\" is not made of r, w and m",
                                      d->access);
        for (const char *p = d->access; *p; p++)
                if (strchr(p + 1, *p))
                        return option_invalid(o, "the access \"%.16s\" says %c twice", d->access,
                                              *p);
        return 0;
}

/* One is the other, however it is written, or lies below it. */
static bool places_collide(const char *a, const char *b) {
        if (a[0] != '/' || b[0] != '/')
                return streq(a, b);
        return path_is_below(a, b) || path_is_below(b, a);
}

/* A name, or below /run/secrets the same as a path, is one in that directory. */
static int check_secret_target(OptionReader *o, ContainerSecret *s) {
        const char *name = startswith(s->target, SECRETS_TARGET "/") ?: s->target;
        size_t n = strlen(name);

        if (n == 0)
                return free_and_strdup(&s->target, s->name);
        if (name != s->target || name[0] != '/') {
                if (strchr(name, '/') || n > NAME_MAX || streq(name, ".") || streq(name, ".."))
                        return option_invalid(
                                        o,
                                        "\"%.128s\" is not the name of a file in " SECRETS_TARGET
                                        ", nor a path elsewhere",
                                        s->target);
                memmove(s->target, name, n + 1);
                return 0;
        }
        if (n >= PATH_MAX || path_climbs(name) || name[n - 1] == '/' || strstr(name, "/./") ||
            streq(name + n - 2, "/.") || places_collide(name, SECRETS_TARGET))
                return option_invalid(o, "\"%.128s\" is no place for a secret", s->target);
        return 0;
}

int container_check_secret(OptionReader *o, const ContainerSecret *secrets, size_t n,
                           ContainerSecret *last) {
        int r;

        if (n > SECRETS_MAX)
                return option_invalid(o, "more than %u secrets", SECRETS_MAX);
        if (!identifier_is_valid(last->name))
                return option_invalid(o, "\"%.128s\" is not the name of a secret", last->name);
        if (last->mode > 0777)
                return option_invalid(o, "the mode 0%o of %s is not from 0 to 0777", last->mode,
                                      last->name);
        if (last->uid == UINT32_MAX || last->gid == UINT32_MAX)
                return option_invalid(o, "the owner of %s is nobody", last->name);
        r = check_secret_target(o, last);
        if (r < 0)
                return r;
        for (size_t i = 0; i < n - 1; i++)
                if (places_collide(secrets[i].target, last->target))
                        return option_invalid(o, "two secrets at \"%.128s\"", last->target);
        return 0;
}

int container_check_rlimit(OptionReader *o, const ContainerRlimit *limits, size_t n) {
        const ContainerRlimit *last = limits + n - 1;

        if (rlimit_from_string(last->name) < 0)
                return option_invalid(o, "\"%.64s\" is not a resource limit", last->name);
        for (size_t i = 0; i < n - 1; i++)
                if (streq(limits[i].name, last->name))
                        return option_invalid(o, "%s is given twice", last->name);
        if (last->soft > last->hard)
                return option_invalid(o, "the soft limit of %s is above the hard one", last->name);
        return 0;
}
