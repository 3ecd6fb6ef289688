/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/resctrl.h"

#include <fcntl.h>
#include <mntent.h>
#include <sys/stat.h>

#include "basic/fs.h"

#define SCHEMATA_MAX (64U * 1024)

/* One container on its way in. */
typedef struct Join {
        const SpecIntelRdt *rdt;
        const char *name; /* of the control group; "." for the root */
        const char *id;
        int root_fd, group_fd;
        bool group_made, monitoring_made;
} Join;

static void join_clear(Join *j) {
        fd_close(j->root_fd);
        fd_close(j->group_fd);
}

void resctrl_groups_clear(ResctrlGroups *g) {
        free(g->control);
        free(g->monitoring);
        *g = (ResctrlGroups){};
}

static int find_root(char **ret) {
        FILE *mounts = setmntent("/proc/self/mounts", "re");
        struct mntent *m;
        int r = -ENODEV;

        if (!mounts)
                return -errno;
        while (r == -ENODEV && (m = getmntent(mounts)))
                if (streq(m->mnt_type, "resctrl"))
                        r = free_and_strdup(ret, m->mnt_dir);
        (void) endmntent(mounts);
        return r;
}

static int open_root(const char *root, int *ret_fd, Error *e) {
        _cleanup_free_ char *found = NULL;
        int r;

        if (!root) {
                r = find_root(&found);
                if (r < 0)
                        return r == -ENODEV ? error_setf(e, CTR_NOT_IMPLEMENTED,
                                                         "linux.intelRdt: no resctrl file system "
                                                         "is mounted")
                                            : error_setf(e, r, "Failed to read the mounts: %m");
                root = found;
        }
        *ret_fd = open(root, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        return *ret_fd < 0 ? error_setf(e, -errno, "linux.intelRdt: Failed to open %s: %m", root)
                           : 0;
}

static int join_open(Join *j, const SpecIntelRdt *rdt, const char *root, const char *id, Error *e) {
        *j = (Join){.rdt = rdt, .id = id, .root_fd = -1, .group_fd = -1};
        j->name = !rdt->clos_id ? id : streq(rdt->clos_id, "/") ? "." : rdt->clos_id;
        return open_root(root, &j->root_fd, e);
}

static bool has_schemas(const SpecIntelRdt *rdt) {
        return rdt->l3_cache || rdt->memory_bandwidth || rdt->n_schemata > 0;
}

static int open_group(Join *j, Error *e) {
        j->group_fd = openat(j->root_fd, j->name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        if (j->group_fd >= 0)
                return 0;
        return errno == ENOENT ? error_setf(e, CTR_NOT_FOUND,
                                            "linux.intelRdt.closID: there is no group \"%s\"",
                                            j->name)
                               : error_setf(e, -errno, "linux.intelRdt: Failed to open %s: %m",
                                            j->name);
}

static int make_group(Join *j, Error *e) {
        bool own = !j->rdt->clos_id;

        if (own || (has_schemas(j->rdt) && !streq(j->name, "."))) {
                j->group_made = mkdirat(j->root_fd, j->name, 0755) >= 0;
                if (!j->group_made && errno == EEXIST && own)
                        return error_setf(e, CTR_ALREADY_EXISTS,
                                          "linux.intelRdt: the group \"%s\" is there already",
                                          j->name);
                if (!j->group_made && errno != EEXIST)
                        return error_setf(e, -errno,
                                          "linux.intelRdt: Failed to make the group \"%s\": %m",
                                          j->name);
        }
        return open_group(j, e);
}

/* One write(2) for each line: that is how the kernel takes it, and refuses it. */
static int write_value(int dir_fd, const char *file, const char *value, const char *property,
                       Error *e) {
        _cleanup_close_ int fd = -1;
        size_t n = strlen(value);

        fd = openat(dir_fd, file, O_WRONLY | O_CLOEXEC | O_NOFOLLOW);
        if (fd < 0 || write(fd, value, n) != (ssize_t) n)
                return error_setf(e, -errno, "%s: Failed to write \"%.*s\" to %s: %m", property,
                                  (int) strcspn(value, "\n"), value, file);
        return 0;
}

static int write_schema(int group_fd, const char *schema, const char *property, Error *e) {
        _cleanup_free_ char *line = NULL;

        if (asprintf(&line, "%s\n", schema) < 0)
                return -ENOMEM;
        return write_value(group_fd, "schemata", line, property, e);
}

/* Whether what begins at a is the same "id=value" as at b: 0 is 000 and f is F. */
static bool same_value(const char *a, size_t a_size, const char *b, size_t b_size) {
        const char *equals = memchr(a, '=', a_size);
        size_t head = equals ? (size_t) (equals - a) + 1 : 0;

        if (b_size < head || memcmp(a, b, head) != 0)
                return false;
        for (a += head, a_size -= head; a_size > 1 && *a == '0'; a_size--)
                a++;
        for (b += head, b_size -= head; b_size > 1 && *b == '0'; b_size--)
                b++;
        return a_size == b_size && strncasecmp(a, b, a_size) == 0;
}

/* Whether the line "L3:0=ff;1=ff" of a group has each value of the schema "L3:1=ff". */
static bool line_has_schema(const char *line, size_t line_size, const char *schema) {
        size_t head = strcspn(schema, ":") + 1;
        const char *end = line + line_size;

        if (line_size < head || strncmp(line, schema, head) != 0)
                return false;
        for (const char *want = schema + head; *want;) {
                size_t n = strcspn(want, ";");
                bool found = false;

                for (const char *have = line + head; have < end && !found;) {
                        const char *next = memchr(have, ';', (size_t) (end - have));
                        size_t have_size = (size_t) ((next ? next : end) - have);

                        found = same_value(want, n, have, have_size);
                        have += have_size + 1;
                }
                if (!found)
                        return false;
                want += n + (want[n] == ';' ? 1 : 0);
        }
        return true;
}

static int check_schema(const char *schemata, const char *schema, const char *property, Error *e) {
        for (const char *line = schemata; *line;) {
                size_t n;

                line += strspn(line, " \n");
                n = strcspn(line, "\n");
                if (line_has_schema(line, n, schema))
                        return 0;
                line += n;
        }
        return error_setf(e, CTR_ALREADY_EXISTS,
                          "%s: the group linux.intelRdt.closID has another schema than \"%s\"",
                          property, schema);
}

/* Writes the schemas into a new group, or looks whether a group has them. */
static int set_schemas(const Join *j, Error *e) {
        const SpecIntelRdt *rdt = j->rdt;
        _cleanup_free_ char *have = NULL;
        bool check = !j->group_made && !streq(j->name, ".");
        const struct {
                const char *schema, *property;
        } fixed[] = {
                        {rdt->l3_cache, "linux.intelRdt.l3CacheSchema"},
                        {rdt->memory_bandwidth, "linux.intelRdt.memBwSchema"},
        };
        int r = 0;

        if (check && has_schemas(rdt))
                r = file_read_at(j->group_fd, "schemata", SCHEMATA_MAX, &have, NULL);
        if (r < 0)
                return error_setf(e, r, "linux.intelRdt: Failed to read schemata: %m");
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(fixed); i++)
                if (fixed[i].schema)
                        r = check ? check_schema(have, fixed[i].schema, fixed[i].property, e)
                                  : write_schema(j->group_fd, fixed[i].schema, fixed[i].property,
                                                 e);
        for (size_t i = 0; r == 0 && i < rdt->n_schemata; i++)
                r = check ? check_schema(have, rdt->schemata[i], "linux.intelRdt.schemata", e)
                          : write_schema(j->group_fd, rdt->schemata[i], "linux.intelRdt.schemata",
                                         e);
        return r;
}

static int open_monitoring(const Join *j, bool make, bool *ret_made, int *ret_fd, Error *e) {
        _cleanup_close_ int groups_fd = -1;

        groups_fd = openat(j->group_fd, "mon_groups", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (groups_fd >= 0 && make)
                *ret_made = mkdirat(groups_fd, j->id, 0755) >= 0;
        if (groups_fd >= 0 && (!make || *ret_made))
                *ret_fd = openat(groups_fd, j->id, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return *ret_fd < 0 ? error_setf(e, -errno,
                                        "linux.intelRdt.enableMonitoring: Failed to %s the "
                                        "monitoring group \"%s\": %m",
                                        make ? "make" : "open", j->id)
                           : 0;
}

static int add_task(Join *j, pid_t pid, bool make, Error *e) {
        _cleanup_close_ int fd = -1;
        char text[16];
        int r;

        (void) snprintf(text, sizeof(text), "%d\n", pid);
        r = write_value(j->group_fd, "tasks", text, "linux.intelRdt", e);
        if (r != 0 || !j->rdt->monitoring)
                return r;
        r = open_monitoring(j, make, &j->monitoring_made, &fd, e);
        return r == 0 ? write_value(fd, "tasks", text, "linux.intelRdt.enableMonitoring", e) : r;
}

/* The process goes with init, which the caller ends. */
static void undo(Join *j) {
        _cleanup_free_ char *path = NULL;

        if (j->monitoring_made && asprintf(&path, "%s/mon_groups/%s", j->name, j->id) >= 0)
                (void) unlinkat(j->root_fd, path, AT_REMOVEDIR);
        if (j->group_made)
                (void) unlinkat(j->root_fd, j->name, AT_REMOVEDIR);
}

static int note_groups(const Join *j, ResctrlGroups *ret) {
        _cleanup_(resctrl_groups_clear) ResctrlGroups g = {};
        int r = 0;

        if (!j->rdt->clos_id)
                r = free_and_strdup(&g.control, j->name);
        if (r == 0 && j->rdt->monitoring &&
            asprintf(&g.monitoring, "%s/mon_groups/%s", j->name, j->id) < 0)
                r = -ENOMEM;
        if (r < 0)
                return r;
        *ret = g;
        g = (ResctrlGroups){};
        return 0;
}

int resctrl_join(const SpecIntelRdt *rdt, const char *root, const char *id, pid_t pid,
                 ResctrlGroups *ret, Error *e) {
        _cleanup_(join_clear) Join j;
        int r;

        r = join_open(&j, rdt, root, id, e);
        if (r == 0)
                r = make_group(&j, e);
        if (r == 0)
                r = set_schemas(&j, e);
        if (r == 0)
                r = add_task(&j, pid, true, e);
        if (r == 0)
                r = note_groups(&j, ret);
        if (r != 0)
                undo(&j);
        return r;
}

int resctrl_add(const SpecIntelRdt *rdt, const char *root, const char *id, pid_t pid, Error *e) {
        _cleanup_(join_clear) Join j;
        int r;

        r = join_open(&j, rdt, root, id, e);
        if (r == 0)
                r = open_group(&j, e);
        return r == 0 ? add_task(&j, pid, false, e) : r;
}

int resctrl_remove(const ResctrlGroups *g, const char *root, Error *e) {
        const char *const paths[] = {g->monitoring, g->control};
        _cleanup_close_ int root_fd = -1;
        int r;

        if (!g->monitoring && !g->control)
                return 0;
        r = open_root(root, &root_fd, e);
        for (size_t i = 0; r == 0 && i < ELEMENTSOF(paths); i++)
                if (paths[i] && unlinkat(root_fd, paths[i], AT_REMOVEDIR) < 0 && errno != ENOENT)
                        r = error_setf(e, -errno, "Failed to remove the resctrl group %s: %m",
                                       paths[i]);
        return r;
}
