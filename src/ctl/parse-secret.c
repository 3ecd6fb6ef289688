/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* --secret, as podman has it: NAME[,target=PATH][,uid=N][,gid=N][,mode=N][,type=mount]. */

#include "basic/identifier.h"
#include "ctl/parse.h"

#define MODE_DEFAULT 0444
#define MODE_MAX     0777

static void secret_clear(SecretMount *s) {
        free(s->name);
        free(s->target);
}

void secret_list_clear(SecretList *l) {
        for (size_t i = 0; i < l->n; i++)
                secret_clear(&l->items[i]);
        free(l->items);
        *l = (SecretList){};
}

static int parse_id(const char *key, const char *value, int base, uint32_t max, uint32_t *ret,
                    Error *e) {
        unsigned long n;
        char *end;

        errno = 0;
        n = strtoul(value, &end, base);
        if (*value < '0' || *value > '9' || *end || errno > 0 || n > max)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a number for %s", value,
                                  key);
        *ret = (uint32_t) n;
        return 0;
}

static int check_type(const char *value, Error *e) {
        if (streq(value, "mount"))
                return 0;
        if (streq(value, "env"))
                return error_setf(e, CTR_NOT_IMPLEMENTED,
                                  "a secret is not given as a variable: everybody who may look at "
                                  "the container would see it");
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a type of secret: mount", value);
}

static int secret_set(SecretMount *s, const char *key, const char *value, Error *e) {
        if (streq(key, "target") && *value)
                return free_and_strdup(&s->target, value);
        if (streq(key, "source") && *value)
                return free_and_strdup(&s->name, value);
        if (streq(key, "uid"))
                return parse_id(key, value, 10, UINT32_MAX - 1, &s->uid, e);
        if (streq(key, "gid"))
                return parse_id(key, value, 10, UINT32_MAX - 1, &s->gid, e);
        if (streq(key, "mode"))
                return parse_id(key, value, 8, MODE_MAX, &s->mode, e);
        if (streq(key, "type"))
                return check_type(value, e);
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s=%s\" is not a part of a secret", key,
                          value);
}

static int secret_from_text(SecretMount *secret, const char *s, Error *e) {
        _cleanup_free_ char *copy = strdup(s);
        char *save = NULL;
        int r = copy ? 0 : -ENOMEM;

        for (char *part = copy ? strtok_r(copy, ",", &save) : NULL; r == 0 && part;
             part = strtok_r(NULL, ",", &save)) {
                char *value = strchr(part, '=');

                if (value)
                        *value++ = '\0';
                if (value)
                        r = secret_set(secret, part, value, e);
                else if (!secret->name)
                        r = free_and_strdup(&secret->name, part);
                else
                        r = error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not a part of a secret",
                                       part);
        }
        if (r == 0)
                r = identifier_validate(strempty(secret->name), "name of the secret", e);
        if (r == 0 && !secret->target)
                r = free_and_strdup(&secret->target, "");
        return r;
}

int parse_secret(const char *s, void *target, Error *e) {
        SecretMount secret = {.mode = MODE_DEFAULT}, *larger;
        SecretList *l = target;
        int r;

        r = secret_from_text(&secret, s, e);
        larger = r == 0 ? reallocarray(l->items, l->n + 1, sizeof(SecretMount)) : NULL;
        if (!larger) {
                secret_clear(&secret);
                return r != 0 ? r : -ENOMEM;
        }
        l->items = larger;
        l->items[l->n++] = secret;
        return 0;
}
