/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What describes a container on the command line: environment, labels, devices, limits. */

#include <ctype.h>
#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "ctl/parse.h"

#define LINES_FILE_MAX (1024 * 1024)
#define ENTRYPOINT_MAX 1024

static int invalid(Error *e, const char *s, const char *expected) {
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not %s", s, expected);
}

int parse_environment(const char *s, void *target, Error *e) {
        const char *value;

        if (isempty(s) || s[0] == '=')
                return invalid(e, s, "an assignment NAME=VALUE");
        if (strchr(s, '='))
                return strv_env_assign(target, s);
        value = getenv(s);
        return value ? strv_extendf(target, "%s=%s", s, value) : 0;
}

int parse_unset(const char *s, void *target, Error *e) {
        if (isempty(s) || strchr(s, '='))
                return invalid(e, s, "the name of an environment variable");
        return strv_extend(target, s);
}

/* One value per line of the file s, but for empty lines and comments. */
static int parse_lines(const char *s, int (*parse)(const char *s, void *target, Error *e),
                       void *target, Error *e) {
        _cleanup_free_ char *data = NULL;
        _cleanup_close_ int fd = -1;
        char *save = NULL;
        int r;

        /* as with a shell's redirection, a fifo or a symbolic link is fine here */
        fd = open(s, O_RDONLY | O_CLOEXEC | O_NOCTTY);
        if (fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", s);
        r = fd_read_all(fd, LINES_FILE_MAX, &data, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", s);

        for (char *line = strtok_r(data, "\n", &save); line; line = strtok_r(NULL, "\n", &save)) {
                line += strspn(line, " \t");
                line[strcspn(line, "\r")] = '\0';
                if (!*line || *line == '#')
                        continue;
                r = parse(line, target, e);
                if (r != 0)
                        return error_prefix(e, r, "%s", s);
        }
        return 0;
}

int parse_environment_file(const char *s, void *target, Error *e) {
        return parse_lines(s, parse_environment, target, e);
}

int parse_label(const char *s, void *target, Error *e) {
        if (isempty(s) || s[0] == '=')
                return invalid(e, s, "a label KEY[=VALUE]");
        return strv_extendf(target, "%s%s", s, strchr(s, '=') ? "" : "=");
}

int parse_label_file(const char *s, void *target, Error *e) {
        return parse_lines(s, parse_label, target, e);
}

void rlimit_list_clear(RlimitList *l) {
        free(l->items);
        *l = (RlimitList){};
}

static int parse_rlimit_value(const char *s, uint64_t *ret) {
        OptionalU64 value = {};

        if (streq(s, "unlimited") || streq(s, "-1") || streq(s, "infinity")) {
                *ret = UINT64_MAX;
                return 0;
        }
        if (parse_count(s, &value, NULL) != 0)
                return -EINVAL;
        *ret = value.value;
        return 0;
}

int parse_ulimit(const char *s, void *target, Error *e) {
        static const char expected[] = "a resource limit NAME=SOFT[:HARD]";
        size_t n = strcspn(s, "=");
        RlimitList *l = target;
        Rlimit limit, *larger;
        char soft[32];
        const char *hard;

        if (n == 0 || n > sizeof(limit.name) - STRLEN("RLIMIT_") - 1 || s[n] != '=')
                return invalid(e, s, expected);
        (void) snprintf(limit.name, sizeof(limit.name), "RLIMIT_%.*s", (int) n, s);
        for (char *p = limit.name; *p; p++) {
                if (!isalpha((unsigned char) *p) && *p != '_')
                        return invalid(e, s, expected);
                *p = (char) toupper((unsigned char) *p);
        }

        hard = strchr(s + n + 1, ':');
        if (snprintf(soft, sizeof(soft), "%.*s", (int) strcspn(s + n + 1, ":"), s + n + 1) >=
            (int) sizeof(soft))
                return invalid(e, s, expected);
        if (parse_rlimit_value(soft, &limit.soft) < 0 ||
            parse_rlimit_value(hard ? hard + 1 : soft, &limit.hard) < 0 || limit.soft > limit.hard)
                return invalid(e, s, expected);

        larger = reallocarray(l->items, l->n + 1, sizeof(Rlimit));
        if (!larger)
                return -ENOMEM;
        l->items = larger;
        l->items[l->n++] = limit;
        return 0;
}

int parse_user_namespace(const char *s, void *target, Error *e) {
        static const char expected[] = "host, auto or auto:size=N";
        UserNamespace *u = target;
        OptionalU64 size = {};
        const char *rest;

        rest = startswith(s, "auto:size=");
        if (rest && (parse_number(rest, &size, NULL) != 0 || size.value > UINT32_MAX))
                return invalid(e, s, expected);
        if (!rest && !streq(s, "auto") && !streq(s, "host"))
                return invalid(e, s, expected);
        u->size = size;
        return free_and_strdup(&u->mode, rest ? "auto" : s);
}

/* The next number of CONTAINER:HOST:SIZE, with the ':' after it. */
static bool next_number(const char **s, uint32_t *ret) {
        uint64_t value = 0;
        const char *p = *s;

        for (; isdigit((unsigned char) *p) && value <= UINT32_MAX; p++)
                value = value * 10 + (uint64_t) (*p - '0');
        if (p == *s || value > UINT32_MAX || (*p && *p != ':'))
                return false;
        *ret = (uint32_t) value;
        *s = p + (*p == ':' && p[1]);
        return true;
}

int parse_id_mapping(const char *s, void *target, Error *e) {
        IdMappingList *l = target;
        IdMapping mapping = {.size = 1}, *larger;
        const char *p = s;

        if (!next_number(&p, &mapping.container) || !next_number(&p, &mapping.host) ||
            (*p && !next_number(&p, &mapping.size)) || *p)
                return invalid(e, s, "a mapping of ids CONTAINER:HOST[:SIZE]");
        larger = reallocarray(l->items, l->n + 1, sizeof(IdMapping));
        if (!larger)
                return -ENOMEM;
        l->items = larger;
        l->items[l->n++] = mapping;
        return 0;
}

/* HOST[:CONTAINER][:PERMISSIONS] as podman has it. A device keeps its path. */
int parse_device(const char *s, void *target, Error *e) {
        static const char expected[] = "a device /dev/NAME[:rwm]";
        size_t n = strcspn(s, ":");
        const char *rest = s[n] ? s + n + 1 : "", *access = "rwm";
        int r;

        if (s[0] != '/')
                return invalid(e, s, expected);
        if (rest[0] == '/') {
                size_t m = strcspn(rest, ":");

                if (m != n || strncmp(rest, s, n) != 0)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "\"%s\": a device keeps its path in the container", s);
                rest += m;
                rest += *rest == ':';
        }
        if (*rest) {
                if (rest[strspn(rest, "rwm")])
                        return invalid(e, s, expected);
                access = rest;
        }
        r = strv_extendf(target, "%.*s", (int) n, s);
        return r < 0 ? r : strv_extend(target, access);
}

int parse_capability(const char *s, void *target, Error *e) {
        char name[64];
        int n;

        if (strcasecmp(s, "all") == 0)
                return strv_extend(target, "ALL");
        if (*s == '\0')
                return invalid(e, s, "a capability");
        n = snprintf(name, sizeof(name), "%s%s", strncasecmp(s, "CAP_", 4) == 0 ? "" : "CAP_", s);
        if (n < 0 || (size_t) n >= sizeof(name))
                return invalid(e, s, "a capability");
        for (char *p = name; *p; p++) {
                if (!isalnum((unsigned char) *p) && *p != '_')
                        return invalid(e, s, "a capability");
                *p = (char) toupper((unsigned char) *p);
        }
        return strv_extend(target, name);
}

int parse_entrypoint(const char *s, void *target, Error *e) {
        _cleanup_json_ json_t *array = NULL;
        _cleanup_strv_free_ char **list = NULL;
        OptionalStrv *entrypoint = target;
        json_t *item;
        size_t i;
        int r;

        if (s[0] != '[') {
                r = isempty(s) ? 0 : strv_extend(&list, s);
                if (r < 0)
                        return r;
        } else {
                r = json_parse(s, strlen(s), "entrypoint", &array, e);
                if (r != 0)
                        return r;
                if (json_array_size(array) > ENTRYPOINT_MAX)
                        return invalid(e, s, "an entrypoint: too many arguments");
                json_array_foreach(array, i, item) {
                        if (!json_is_string(item))
                                return invalid(e, s, "a JSON array of strings");
                        r = strv_extend(&list, json_string_value(item));
                        if (r < 0)
                                return r;
                }
        }
        strv_free(entrypoint->list);
        *entrypoint = (OptionalStrv){.set = true, .list = TAKE_PTR(list)};
        return 0;
}
