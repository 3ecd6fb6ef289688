/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Mounts on the command line, as --volume, --tmpfs and --mount have them. */

#include "basic/identifier.h"
#include "basic/strv.h"
#include "ctl/parse.h"

static int invalid(Error *e, const char *s, const char *expected) {
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not %s", s, expected);
}

static void mount_clear(Mount *m) {
        free(m->source);
        free(m->destination);
        strv_free(m->options);
}

void mount_list_clear(MountList *l) {
        for (size_t i = 0; i < l->n; i++)
                mount_clear(&l->items[i]);
        free(l->items);
        *l = (MountList){};
}

/* Takes over what m owns. */
static int mount_list_add(MountList *l, Mount *m) {
        Mount *larger;

        larger = reallocarray(l->items, l->n + 1, sizeof(Mount));
        if (!larger) {
                mount_clear(m);
                return -ENOMEM;
        }
        l->items = larger;
        l->items[l->n++] = *m;
        return 0;
}

static int mount_add_options(Mount *m, const char *s, bool *ret_is_bind) {
        while (*s) {
                size_t n = strcspn(s, ",");

                if (n > 0 && strv_extendf(&m->options, "%.*s", (int) n, s) < 0)
                        return -ENOMEM;
                if (ret_is_bind &&
                    ((n == 4 && startswith(s, "bind")) || (n == 5 && startswith(s, "rbind"))))
                        *ret_is_bind = true;
                s += n;
                s += *s == ',';
        }
        return 0;
}

/* "./data" is meant from here, whatever the service's own directory is. */
static int make_absolute(const char *s, size_t n, char **ret) {
        _cleanup_free_ char *cwd = NULL;

        if (s[0] == '/') {
                *ret = strndup(s, n);
                return *ret ? 0 : -ENOMEM;
        }
        cwd = getcwd(NULL, 0);
        if (!cwd)
                return -errno;
        if (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '/'))) {
                *ret = TAKE_PTR(cwd);
                return 0;
        }
        return asprintf(ret, "%s/%.*s", cwd, (int) n, s) < 0 ? -ENOMEM : 0;
}

/* NAME:DST, or nothing but DST: a volume. */
static int volume_source(const char *s, size_t n, Mount *m, Error *e) {
        _cleanup_free_ char *name = strndup(s, n);
        int r;

        if (!name)
                return -ENOMEM;
        r = *name ? identifier_validate(name, "name of the volume", e) : 0;
        if (r != 0)
                return r;
        m->type = "volume";
        m->source = TAKE_PTR(name);
        return 0;
}

int parse_volume(const char *s, void *target, Error *e) {
        bool anonymous = s[0] == '/' && !strchr(s, ':'), is_bind = false;
        size_t n = anonymous ? 0 : strcspn(s, ":"), k;
        const char *destination;
        Mount mount = {};
        int r;

        if (!anonymous && (n == 0 || s[n] != ':' || s[n + 1] != '/'))
                return invalid(e, s,
                               "a volume [SOURCE:]DESTINATION[:OPTIONS] with an absolute "
                               "destination");
        destination = anonymous ? s : s + n + 1;
        k = strcspn(destination, ":");

        if (s[0] != '.' && (anonymous || s[0] != '/'))
                r = volume_source(s, n, &mount, e);
        else {
                mount.type = "bind";
                r = make_absolute(s, n, &mount.source);
        }
        if (r == 0 && !(mount.destination = strndup(destination, k)))
                r = -ENOMEM;
        if (r == 0 && destination[k])
                r = mount_add_options(&mount, destination + k + 1, &is_bind);
        if (r == 0 && !is_bind && streq(mount.type, "bind"))
                r = strv_extend(&mount.options, "rbind");
        if (r != 0) {
                mount_clear(&mount);
                return r < 0 ? error_setf(e, r, "%s: %m", s) : r;
        }
        return mount_list_add(target, &mount);
}

int parse_tmpfs(const char *s, void *target, Error *e) {
        size_t n = strcspn(s, ":");
        Mount mount = {.type = "tmpfs"};
        int r = 0;

        if (s[0] != '/')
                return invalid(e, s, "an absolute path");
        mount.source = strdup("tmpfs");
        mount.destination = strndup(s, n);
        if (!mount.source || !mount.destination)
                r = -ENOMEM;
        if (r >= 0 && s[n])
                r = mount_add_options(&mount, s + n + 1, NULL);
        if (r < 0) {
                mount_clear(&mount);
                return r;
        }
        return mount_list_add(target, &mount);
}

/* One part of --mount; the names are docker's and podman's. */
static int mount_set(Mount *m, const char *key, const char *value, Error *e) {
        static const struct {
                const char *key, *option; /* with a '=': takes the value */
        } options[] = {
                        {"bind-propagation", ""}, {"tmpfs-size", "size="}, {"tmpfs-mode", "mode="},
                        {"size", "size="},        {"mode", "mode="},
        };
        static const char *const types[] = {"bind", "tmpfs", "volume", "image"};

        if (streq(key, "type")) {
                for (size_t i = 0; i < ELEMENTSOF(types); i++)
                        if (streq_ptr(value, types[i])) {
                                m->type = types[i];
                                return 0;
                        }
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "\"%s\" is not a type of mount: bind, tmpfs, volume or image",
                                  strempty(value));
        }
        if (streq(key, "source") || streq(key, "src"))
                return isempty(value) ? invalid(e, strempty(value), "a source")
                                      : free_and_strdup(&m->source, value);
        if (streq(key, "volume-nocopy"))
                return streq_ptr(value, "false") ? 0 : strv_extend(&m->options, "nocopy");
        if (streq(key, "target") || streq(key, "destination") || streq(key, "dst"))
                return free_and_strdup(&m->destination, value);
        if (streq(key, "readonly") || streq(key, "ro"))
                return streq_ptr(value, "false") ? 0 : strv_extend(&m->options, "ro");
        for (size_t i = 0; i < ELEMENTSOF(options); i++)
                if (streq(key, options[i].key) && value)
                        return strv_extendf(&m->options, "%s%s", options[i].option, value);
        return invalid(e, key, "a part of a mount that is known");
}

/* What a source is depends on the type, which may have come after it. */
static int mount_finish(Mount *m, const char *s, Error *e) {
        _cleanup_free_ char *source = TAKE_PTR(m->source);
        int r;

        if (streq(m->type, "volume"))
                return volume_source(strempty(source), strlen(strempty(source)), m, e);
        if (streq(m->type, "tmpfs"))
                return source ? invalid(e, s, "a tmpfs: it has no source")
                              : free_and_strdup(&m->source, "tmpfs");
        if (!source)
                return invalid(e, s, "a mount of this type: it needs a source");
        if (streq(m->type, "image")) {
                m->source = TAKE_PTR(source);
                return 0;
        }
        r = make_absolute(source, strlen(source), &m->source);
        return r < 0 ? r : strv_extend(&m->options, "rbind");
}

static int mount_from_text(Mount *m, const char *s, Error *e) {
        _cleanup_free_ char *copy = strdup(s);
        char *save = NULL;

        if (!copy)
                return -ENOMEM;
        for (char *part = strtok_r(copy, ",", &save); part; part = strtok_r(NULL, ",", &save)) {
                char *value = strchr(part, '=');
                int r;

                if (value)
                        *value++ = '\0';
                r = mount_set(m, part, value, e);
                if (r != 0)
                        return r;
        }
        if (!m->type)
                return invalid(e, s, "a mount: it needs a type: bind, tmpfs, volume or image");
        if (isempty(m->destination) || m->destination[0] != '/')
                return invalid(e, s, "a mount: it needs an absolute target");
        return mount_finish(m, s, e);
}

int parse_mount(const char *s, void *target, Error *e) {
        Mount mount = {};
        int r;

        r = mount_from_text(&mount, s, e);
        if (r != 0) {
                mount_clear(&mount);
                return r < 0 ? error_setf(e, r, "%s: %m", s) : r;
        }
        return mount_list_add(target, &mount);
}

int parse_image_volume(const char *s, void *target, Error *e) {
        if (!streq(s, "anonymous") && !streq(s, "ignore"))
                return invalid(e, s, "anonymous or ignore");
        *(OptionalU64 *) target = (OptionalU64){.set = true, .value = streq(s, "anonymous")};
        return 0;
}
