/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/user.h"

#include <limits.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "runtime/path.h"

#define DATABASE_SIZE_MAX (8U * 1024 * 1024)
#define DATABASE_FIELDS   7

/* One of the two files, and the line that was read last, cut into its fields. */
typedef struct Database {
        char *data, *next;
        char *fields[DATABASE_FIELDS];
        size_t n_fields;
} Database;

static void database_clear(Database *d) {
        free(d->data);
}

/* A missing file is an empty one. */
static int database_open(Database *d, int root_fd, const char *path, Error *e) {
        _cleanup_close_ int fd = -1;
        struct stat st;
        int r;

        fd = path_open(root_fd, path, O_RDONLY | O_NONBLOCK | O_NOCTTY);
        if (fd == -ENOENT || fd == -ENOTDIR)
                return 0;
        if (fd < 0)
                return error_setf(e, fd, "Failed to open %s of the container: %m", path);
        if (fstat(fd, &st) < 0)
                return error_setf(e, -errno, "Failed to stat %s of the container: %m", path);
        if (!S_ISREG(st.st_mode))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s of the container is not a regular file", path);
        r = fd_read_all(fd, DATABASE_SIZE_MAX, &d->data, NULL);
        if (r == -EFBIG)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s of the container is larger than %u bytes", path,
                                  DATABASE_SIZE_MAX);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s of the container: %m", path);
        d->next = d->data;
        return 0;
}

/* Where nothing that it says is needed, a file that the container made unusable is an empty one: it
 * must not keep anybody out who was given by number, like the administrator who would mend it. */
static int database_open_optional(Database *d, int root_fd, const char *path) {
        _cleanup_error_ Error ignored = ERROR_NULL;

        return database_open(d, root_fd, path, &ignored) == -ENOMEM ? -ENOMEM : 0;
}

/* Cuts the next line; false at the end. */
static bool database_read(Database *d) {
        char *line = d->next, *end;

        if (!line || *line == '\0')
                return false;
        end = strchr(line, '\n');
        d->next = end ? end + 1 : NULL;
        if (end)
                *end = '\0';
        for (d->n_fields = 0; d->n_fields < DATABASE_FIELDS && line; d->n_fields++) {
                d->fields[d->n_fields] = line;
                line = strchr(line, ':');
                if (line)
                        *line++ = '\0';
        }
        return true;
}

/* Decimal digits only. 0; -EINVAL if it is no number, -ERANGE if it is not below 2^31. */
static int parse_id(const char *s, uint32_t *ret) {
        uint64_t value = 0;

        if (*s == '\0')
                return -EINVAL;
        for (; *s; s++) {
                if (*s < '0' || *s > '9')
                        return -EINVAL;
                value = MIN_OF(value * 10 + (uint64_t) (*s - '0'), (uint64_t) UINT32_MAX);
        }
        if (value > INT32_MAX)
                return -ERANGE;
        *ret = (uint32_t) value;
        return 0;
}

/* Looks up by name, or by uid if name is NULL. True if found: u has uid, gid, home and *ret_name a
 * pointer into d. Lines with numbers out of range are no entries. */
static bool passwd_find(Database *d, const char *name, uid_t uid, User *u, const char **ret_name,
                        const char **ret_home) {
        uint32_t entry_uid, entry_gid;

        while (database_read(d)) {
                if (d->n_fields < 4 || isempty(d->fields[0]) ||
                    parse_id(d->fields[2], &entry_uid) < 0 ||
                    parse_id(d->fields[3], &entry_gid) < 0)
                        continue;
                if (name ? !streq(d->fields[0], name) : entry_uid != uid)
                        continue;
                u->uid = entry_uid;
                u->gid = entry_gid;
                *ret_name = d->fields[0];
                *ret_home = d->n_fields > 5 ? d->fields[5] : NULL;
                return true;
        }
        return false;
}

static bool group_has_member(const char *members, const char *name) {
        size_t length = strlen(name);

        for (const char *p = members; *p;) {
                size_t n = strcspn(p, ",");

                if (n == length && memcmp(p, name, n) == 0)
                        return true;
                p += n;
                p += *p == ',';
        }
        return false;
}

static int gids_add(User *u, gid_t gid) {
        gid_t *larger;

        for (size_t i = 0; i < u->n_gids; i++)
                if (u->gids[i] == gid)
                        return 0;
        if (u->n_gids >= SPEC_GIDS_MAX)
                return -E2BIG;
        if ((u->n_gids & (u->n_gids - 1)) == 0) { /* at powers of two, and at 0 */
                larger = realloc(u->gids, MAX_OF(u->n_gids * 2, (size_t) 1) * sizeof(gid_t));
                if (!larger)
                        return -ENOMEM;
                u->gids = larger;
        }
        u->gids[u->n_gids++] = gid;
        return 0;
}

/* Resolves the group of the annotation (NULL: none given) and the groups that have user_name (NULL:
 * unknown) as a member. */
static int groups_resolve(int root_fd, const char *group, const char *user_name, User *u,
                          Error *e) {
        _cleanup_(database_clear) Database d = {};
        bool found = !group;
        uint32_t gid;
        int r;

        if (group) {
                r = parse_id(group, &u->gid);
                if (r == -ERANGE)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The group id %s is not between 0 and %d", group,
                                          INT32_MAX);
                found = r == 0;
        }
        if (found && !user_name)
                return 0;
        r = found ? database_open_optional(&d, root_fd, "/etc/group")
                  : database_open(&d, root_fd, "/etc/group", e);
        if (r != 0)
                return r;
        while (database_read(&d)) {
                if (d.n_fields < 3 || parse_id(d.fields[2], &gid) < 0)
                        continue;
                if (!found && streq(d.fields[0], group)) {
                        u->gid = gid;
                        found = true;
                }
                if (user_name && d.n_fields > 3 && group_has_member(d.fields[3], user_name)) {
                        r = gids_add(u, gid);
                        if (r < 0)
                                return error_setf(e, r, "Failed to add group %s: %m", d.fields[0]);
                }
        }
        if (!found)
                return error_setf(e, CTR_NOT_FOUND, "The group \"%s\" is not in /etc/group", group);
        return 0;
}

/* "name|uid[:group|gid]", cut in place. An empty user is root. */
static int annotation_split(char *s, const char **ret_user, const char **ret_group, Error *e) {
        char *colon = strchr(s, ':');

        *ret_group = NULL;
        if (colon) {
                *colon = '\0';
                *ret_group = colon + 1;
                if (colon[1] == '\0' || strchr(colon + 1, ':'))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The user \"%s:%s\" is not of the form "
                                          "name|uid[:group|gid]",
                                          s, colon + 1);
        }
        *ret_user = *s ? s : "0";
        return 0;
}

static int by_annotation(int root_fd, const SpecUser *spec, bool want_home, User *u, Error *e) {
        _cleanup_(database_clear) Database d = {};
        const char *user = NULL, *group = NULL, *name = NULL, *home = NULL;
        _cleanup_free_ char *copy = NULL;
        bool numeric, found;
        int r;

        copy = strdup(spec->name);
        if (!copy)
                return -ENOMEM;
        r = annotation_split(copy, &user, &group, e);
        if (r != 0)
                return r;
        r = parse_id(user, &u->uid);
        if (r == -ERANGE)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The user id %s is not between 0 and %d",
                                  user, INT32_MAX);
        numeric = r == 0;
        r = numeric ? database_open_optional(&d, root_fd, "/etc/passwd")
                    : database_open(&d, root_fd, "/etc/passwd", e);
        if (r != 0)
                return r;
        found = passwd_find(&d, numeric ? NULL : user, u->uid, u, &name, &home);
        /* a number needs no entry: its group is 0 then */
        if (!found && !numeric)
                return error_setf(e, CTR_NOT_FOUND, "The user \"%s\" is not in /etc/passwd", user);
        r = groups_resolve(root_fd, group, name, u, e);
        if (r != 0)
                return r;
        return want_home ? free_and_strdup(&u->home, home) : 0;
}

static int by_number(int root_fd, const SpecUser *spec, bool want_home, User *u, Error *e) {
        _cleanup_(database_clear) Database d = {};
        const char *name = NULL, *home = NULL;
        User entry = {};
        int r;

        u->uid = spec->uid;
        u->gid = spec->gid;
        for (size_t i = 0; i < spec->n_gids; i++) {
                r = gids_add(u, spec->gids[i]);
                if (r < 0)
                        return error_setf(e, r, "Failed to add group %u: %m", spec->gids[i]);
        }
        if (!want_home)
                return 0;
        r = database_open_optional(&d, root_fd, "/etc/passwd");
        if (r != 0)
                return r;
        if (!passwd_find(&d, NULL, spec->uid, &entry, &name, &home))
                return 0;
        return free_and_strdup(&u->home, home);
}

int user_resolve(int root_fd, const SpecUser *spec, bool want_home, User *ret, Error *e) {
        _cleanup_(user_clear) User u = {};
        int r;

        if (spec->name)
                r = by_annotation(root_fd, spec, want_home, &u, e);
        else
                r = by_number(root_fd, spec, want_home, &u, e);
        if (r != 0)
                return r;
        if (want_home && isempty(u.home)) {
                r = free_and_strdup(&u.home, "/");
                if (r < 0)
                        return r;
        }
        *ret = u;
        u = (User){};
        return 0;
}

void user_clear(User *u) {
        free(u->gids);
        free(u->home);
        *u = (User){};
}
