/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The instructions of a Dockerfile that need no build: what they say goes into an image's config.
 * Between the name and its arguments is white space, or (as podman has it) a '='.
 */

#include "worker/config-changes.h"

#include <ctype.h>
#include <strings.h>

#include "basic/strv.h"

#define CHANGES_MAX 256U
#define WORDS_MAX   256U

typedef struct Changes {
        json_t *config;
        const char *text; /* of the present instruction */
        bool cmd_set;
        Error *e;
} Changes;

static int invalid(Changes *c, const char *why) {
        return error_setf(c->e, CTR_INVALID_ARGUMENT, "The change \"%.200s\": %s", c->text, why);
}

static int set(json_t *o, const char *key, json_t *value) {
        return json_object_set_new(o, key, value) < 0 ? -ENOMEM : 0;
}

/* Takes the next word off *p, its quotes and backslashes away, and the white space behind it. */
static int next_word(Changes *c, const char **p, char *word) {
        char quote = '\0';

        for (; **p && (quote || !strchr(" \t", **p)); (*p)++) {
                if (quote ? **p == quote : strchr("\"'", **p) != NULL)
                        quote = quote ? '\0' : **p;
                else {
                        if (**p == '\\' && quote != '\'' && (*p)[1])
                                (*p)++;
                        *word++ = **p;
                }
        }
        *word = '\0';
        *p += strspn(*p, " \t");
        return quote ? invalid(c, "a quote is not closed") : 0;
}

static int split_words(Changes *c, const char *text, char ***ret) {
        _cleanup_strv_free_ char **words = NULL;
        _cleanup_free_ char *word = malloc(strlen(text) + 1);
        int r;

        if (!word)
                return -ENOMEM;
        text += strspn(text, " \t");
        if (!*text)
                return invalid(c, "it has no argument");
        for (size_t n = 0; *text; n++) {
                if (n == WORDS_MAX)
                        return invalid(c, "too many words");
                r = next_word(c, &text, word);
                if (r == 0)
                        r = strv_extend(&words, word);
                if (r != 0)
                        return r;
        }
        *ret = TAKE_PTR(words);
        return 0;
}

/* Arguments as a JSON array of strings. 1 and a new reference, 0 if that is not what it is. */
static int parse_array(const char *text, json_t **ret) {
        _cleanup_json_ json_t *j = NULL;
        json_t *item;
        size_t i;

        if (text[0] != '[' || json_parse(text, strlen(text), "array", &j, NULL) != 0 ||
            !json_is_array(j) || json_array_size(j) > WORDS_MAX)
                return 0;
        json_array_foreach(j, i, item)
                if (!json_is_string(item))
                        return 0;
        *ret = TAKE_PTR(j);
        return 1;
}

/* The exec form, or else the shell's. */
static int set_command(Changes *c, const char *key, const char *text) {
        json_t *array = NULL;

        if (!*text)
                return invalid(c, "it has no argument");
        if (!parse_array(text, &array))
                array = json_pack("[sss]", "/bin/sh", "-c", text);
        return set(c->config, key, array);
}

static int change_cmd(Changes *c, const char *text) {
        c->cmd_set = true;
        return set_command(c, "Cmd", text);
}

/* What an image says to execute was meant for its own entry point. */
static int change_entrypoint(Changes *c, const char *text) {
        if (!c->cmd_set)
                (void) json_object_del(c->config, "Cmd");
        return set_command(c, "Entrypoint", text);
}

/* NAME=VALUE..., or NAME VALUE for a single one. */
static int split_assignments(Changes *c, const char *text, char ***ret) {
        _cleanup_strv_free_ char **words = NULL, **single = NULL;
        size_t n;
        int r;

        r = split_words(c, text, &words);
        if (r != 0)
                return r;
        if (strchr(words[0], '=')) {
                STRV_FOREACH(w, words)
                        if (**w == '=' || !strchr(*w, '='))
                                return invalid(c, "NAME=VALUE is expected");
                *ret = TAKE_PTR(words);
                return 0;
        }
        n = strcspn(text, " \t");
        if (!words[1])
                return invalid(c, "NAME=VALUE is expected");
        r = strv_extendf(&single, "%s=%s", words[0], text + n + strspn(text + n, " \t"));
        if (r == 0)
                *ret = TAKE_PTR(single);
        return r;
}

static int change_env(Changes *c, const char *text) {
        _cleanup_strv_free_ char **assignments = NULL, **env = NULL;
        _cleanup_json_ json_t *list = json_array();
        int r;

        r = split_assignments(c, text, &assignments);
        if (r != 0)
                return r;
        r = json_get_strv(c->config, "config", "Env", 4096, &env, c->e);
        if (r < 0)
                return r;
        STRV_FOREACH(a, assignments)
                if (strv_env_assign(&env, *a) < 0)
                        return -ENOMEM;
        STRV_FOREACH(v, env)
                if (json_array_append_new(list, json_string(*v)) < 0)
                        return -ENOMEM;
        return set(c->config, "Env", json_incref(list));
}

/* The object at key, made where missing. */
static int get_map(Changes *c, const char *key, json_t **ret) {
        int r;

        r = json_get_object(c->config, "config", key, ret, c->e);
        if (r != 0)
                return r < 0 ? r : 0;
        *ret = json_object();
        return set(c->config, key, *ret);
}

static int change_label(Changes *c, const char *text) {
        _cleanup_strv_free_ char **assignments = NULL;
        json_t *labels;
        int r;

        r = split_assignments(c, text, &assignments);
        if (r == 0)
                r = get_map(c, "Labels", &labels);
        for (char **a = assignments; r == 0 && a && *a; a++) {
                char *value = strchr(*a, '=');

                *value++ = '\0';
                r = set(labels, *a, json_string(value));
        }
        return r;
}

/* NUMBER[-NUMBER][/PROTOCOL] */
static bool port_is_valid(const char *port) {
        char *end;
        unsigned long n = strtoul(port, &end, 10);

        if (*port < '0' || *port > '9' || n > UINT16_MAX)
                return false;
        if (*end == '-')
                return end[1] >= '0' && end[1] <= '9' && strtoul(end + 1, &end, 10) <= UINT16_MAX &&
                       (!*end || streq(end, "/tcp") || streq(end, "/udp") || streq(end, "/sctp"));
        return !*end || streq(end, "/tcp") || streq(end, "/udp") || streq(end, "/sctp");
}

static int change_expose(Changes *c, const char *text) {
        _cleanup_strv_free_ char **ports = NULL;
        json_t *map;
        int r;

        r = split_words(c, text, &ports);
        if (r == 0)
                r = get_map(c, "ExposedPorts", &map);
        for (char **p = ports; r == 0 && p && *p; p++) {
                char key[32];

                if (!port_is_valid(*p) || strlen(*p) > sizeof(key) - 5)
                        return invalid(c, "a port, with tcp, udp or sctp, is expected");
                (void) snprintf(key, sizeof(key), "%s%s", *p, strchr(*p, '/') ? "" : "/tcp");
                r = set(map, key, json_object());
        }
        return r;
}

static int change_volume(Changes *c, const char *text) {
        _cleanup_strv_free_ char **words = NULL;
        _cleanup_json_ json_t *array = NULL;
        json_t *map;
        size_t i = 0;
        int r;

        if (parse_array(text, &array))
                for (r = 0; r == 0 && i < json_array_size(array); i++)
                        r = strv_extend(&words, json_string_value(json_array_get(array, i)));
        else
                r = split_words(c, text, &words);
        if (r == 0)
                r = get_map(c, "Volumes", &map);
        for (char **w = words; r == 0 && w && *w; w++)
                r = **w == '/' ? set(map, *w, json_object())
                               : invalid(c, "an absolute path is expected");
        return r;
}

static int set_word(Changes *c, const char *key, const char *text) {
        _cleanup_strv_free_ char **words = NULL;
        int r;

        r = split_words(c, text, &words);
        if (r == 0 && words[1])
                r = invalid(c, "one argument is expected");
        return r == 0 ? set(c->config, key, json_string(words[0])) : r;
}

static int change_stop_signal(Changes *c, const char *text) {
        return set_word(c, "StopSignal", text);
}

static int change_user(Changes *c, const char *text) {
        return set_word(c, "User", text);
}

/* A relative one is relative to the one before. */
static int change_working_directory(Changes *c, const char *text) {
        const char *before = json_string_value(json_object_get(c->config, "WorkingDir"));
        _cleanup_free_ char *path = NULL;

        if (!*text)
                return invalid(c, "it has no argument");
        if (asprintf(&path, "%s%s%s",
                     text[0] == '/'    ? ""
                     : isempty(before) ? "/"
                                       : before,
                     text[0] == '/' || isempty(before) || before[strlen(before) - 1] == '/' ? ""
                                                                                            : "/",
                     text) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return set(c->config, "WorkingDir", json_string(path));
}

static const struct {
        const char *name;
        int (*change)(Changes *c, const char *text);
} instructions[] = {
                {"CMD", change_cmd},
                {"ENTRYPOINT", change_entrypoint},
                {"ENV", change_env},
                {"EXPOSE", change_expose},
                {"LABEL", change_label},
                {"STOPSIGNAL", change_stop_signal},
                {"USER", change_user},
                {"VOLUME", change_volume},
                {"WORKDIR", change_working_directory},
};

static int apply_change(Changes *c) {
        const char *text = c->text + strspn(c->text, " \t");

        for (size_t i = 0; i < ELEMENTSOF(instructions); i++) {
                size_t n = strlen(instructions[i].name);
                _cleanup_free_ char *arguments = NULL;

                if (strncasecmp(text, instructions[i].name, n) != 0 ||
                    !(text[n] == '\0' || strchr(" \t=", text[n])))
                        continue;
                text += n + (text[n] != '\0');
                arguments = strdup(text + strspn(text, " \t"));
                if (!arguments)
                        return -ENOMEM;
                for (n = strlen(arguments); n > 0 && isspace((unsigned char) arguments[n - 1]);)
                        arguments[--n] = '\0';
                return instructions[i].change(c, arguments);
        }
        return invalid(c, "CMD, ENTRYPOINT, ENV, EXPOSE, LABEL, STOPSIGNAL, USER, VOLUME or "
                          "WORKDIR is expected");
}

int config_apply_changes(json_t *config, json_t *request, Error *e) {
        Changes c = {.config = config, .e = e};
        json_t *changes = NULL, *change;
        size_t i;
        int r;

        r = json_get_array(request, "request", "changes", SIZE_MAX, &changes, e);
        if (r <= 0)
                return r;
        if (json_array_size(changes) > CHANGES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There are more than %u changes",
                                  CHANGES_MAX);
        json_array_foreach(changes, i, change) {
                c.text = strempty(json_string_value(change));
                r = apply_change(&c);
                if (r != 0)
                        return r;
        }
        return 0;
}
