/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The groups in the resctrl file system. What the hardware has is read from info/ and from the
 * root's schemata; each class gets its lines. Groups that no class names stay as they are: they may
 * be somebody else's.
 */

#include "manager/rdt.h"

#include <fcntl.h>
#include <inttypes.h>
#include <sys/stat.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/log.h"
#include "basic/yaml-json.h"
#include "manager/rdt-internal.h"

#define FILE_MAX      (1U << 20)
#define RESOURCES_MAX 8U
#define CLASS_DEFAULT "DEFAULT"

struct Rdt {
        char *dir;
        int dir_fd;       /* -1: there is no resctrl file system */
        json_t *document; /* partitions */
        json_t *classes;  /* {class: true if its group is as it should be} */
};

Rdt *rdt_free(Rdt *rdt) {
        if (!rdt)
                return NULL;
        fd_close(rdt->dir_fd);
        json_decref(rdt->document);
        json_decref(rdt->classes);
        free(rdt->dir);
        free(rdt);
        return NULL;
}

/* A number in a small file below info/. */
static int read_info(const Rdt *rdt, const char *resource, const char *name, int base,
                     uint64_t *ret) {
        _cleanup_free_ char *text = NULL;
        char path[64], *end;
        int r;

        (void) snprintf(path, sizeof(path), "info/%s/%s", resource, name);
        r = file_read_at(rdt->dir_fd, path, 256, &text, NULL);
        if (r < 0)
                return r;
        *ret = strtoull(text, &end, base);
        return end == text ? -EBADMSG : 0;
}

/* "  L3:0=fffff;1=fffff" of the root's schemata. False: it is of a kind that we do not know. */
static bool read_resource(char *line, RdtResource *resource) {
        static const struct {
                const char *name, *part;
                RdtKind kind;
        } known[] = {
                        {"L2", "unified", RDT_L2},  {"L2CODE", "code", RDT_L2},
                        {"L2DATA", "data", RDT_L2}, {"L3", "unified", RDT_L3},
                        {"L3CODE", "code", RDT_L3}, {"L3DATA", "data", RDT_L3},
                        {"MB", "", RDT_MB},
        };
        char *name = line + strspn(line, " "), *rest = strchr(name, ':'), *entry;

        if (!rest)
                return false;
        *rest++ = '\0';
        *resource = (RdtResource){};
        for (size_t i = 0; i < ELEMENTSOF(known); i++)
                if (streq(known[i].name, name)) {
                        strcpy(resource->name, name);
                        resource->kind = known[i].kind;
                        resource->part = known[i].part;
                }
        if (!resource->part)
                return false;
        while ((entry = strsep(&rest, ";")) && resource->n_caches < RDT_CACHES_MAX) {
                char *value = strchr(entry, '=');

                if (!value)
                        return false;
                resource->caches[resource->n_caches++] = (unsigned) strtoul(entry, NULL, 10);
                /* a bandwidth over 100 is no percentage: mounted with mba_MBps */
                if (resource->kind == RDT_MB && strtoull(value + 1, NULL, 10) > 100)
                        resource->megabytes = true;
        }
        return true;
}

static int read_limits(const Rdt *rdt, RdtResource *resource) {
        uint64_t value;
        int r;

        if (resource->kind == RDT_MB) {
                r = read_info(rdt, "MB", "min_bandwidth", 10, &value);
                resource->min_bandwidth = r < 0 ? 0 : (unsigned) MIN_OF(value, UINT64_C(100));
                return r;
        }
        r = read_info(rdt, resource->name, "cbm_mask", 16, &resource->mask);
        if (r >= 0)
                r = read_info(rdt, resource->name, "min_cbm_bits", 10, &value);
        resource->min_bits = r < 0 ? 0 : (unsigned) MIN_OF(value, UINT64_C(64));
        return r >= 0 && resource->mask == 0 ? -EBADMSG : r;
}

static int read_resources(const Rdt *rdt, RdtResource resources[static RESOURCES_MAX],
                          size_t *ret_n, Error *e) {
        _cleanup_free_ char *text = NULL;
        char *rest, *line;
        size_t n = 0;
        int r;

        r = file_read_at(rdt->dir_fd, "schemata", RDT_TEXT_MAX, &text, NULL);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s/schemata: %m", rdt->dir);
        rest = text;
        while ((line = strsep(&rest, "\n")) && n < RESOURCES_MAX) {
                if (!read_resource(line, &resources[n]))
                        continue;
                r = read_limits(rdt, &resources[n]);
                if (r < 0)
                        return error_setf(e, r, "Failed to read %s/info of %s: %m", rdt->dir,
                                          resources[n].name);
                n++;
        }
        *ret_n = n;
        return 0;
}

/* options.l3.optional=false and no such resource. */
static int check_required(const Rdt *rdt, const RdtResource *resources, size_t n, Error *e) {
        static const char *const names[_RDT_KIND_MAX] = {
                        [RDT_L2] = "l2",
                        [RDT_L3] = "l3",
                        [RDT_MB] = "mb",
        };
        json_t *options = json_object_get(rdt->document, "options");

        for (int kind = 0; kind < _RDT_KIND_MAX; kind++) {
                json_t *option = json_object_get(options, names[kind]);
                const char *optional = json_string_value(json_object_get(option, "optional"));
                bool found = false;

                for (size_t i = 0; i < n; i++)
                        found = found || (int) resources[i].kind == kind;
                if (!found && streq_ptr(optional, "false"))
                        return error_setf(e, CTR_UNAVAILABLE, "This machine cannot divide %s",
                                          names[kind]);
        }
        return 0;
}

/* A group's directory, made if need be. */
static int group_open(const Rdt *rdt, const char *class_name, bool make) {
        int fd;

        if (streq(class_name, CLASS_DEFAULT))
                class_name = ".";
        else if (make && mkdirat(rdt->dir_fd, class_name, 0755) < 0 && errno != EEXIST)
                return -errno;
        fd = openat(rdt->dir_fd, class_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd;
}

static int group_write(int group_fd, const char *file, const char *text) {
        _cleanup_close_ int fd = -1;

        fd = openat(group_fd, file, O_WRONLY | O_TRUNC | O_CLOEXEC | O_NOFOLLOW);
        return fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
}

static int make_group(const Rdt *rdt, const RdtResource *resources, size_t n, const char *partition,
                      const char *class_name, Error *e) {
        json_t *partitions = json_object_get(rdt->document, "partitions");
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        int r;

        text = calloc(1, RDT_TEXT_MAX);
        if (!text)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                r = rdt_schema_line(resources + i, partitions, partition, class_name, text,
                                    RDT_TEXT_MAX, e);
                if (r != 0)
                        return r;
        }
        fd = group_open(rdt, class_name, true);
        if (fd < 0)
                return error_setf(e, fd, "Failed to make %s/%s: %m", rdt->dir, class_name);
        r = *text ? group_write(fd, "schemata", text) : 0;
        if (r < 0)
                return error_setf(e, r, "Failed to write %s/%s/schemata: %m", rdt->dir, class_name);
        return 0;
}

/* It becomes the name of a directory beside those of the file system itself. */
static bool class_name_is_valid(const char *name) {
        static const char *const taken[] = {"info", "mon_groups", "mon_data"};

        for (size_t i = 0; i < ELEMENTSOF(taken); i++)
                if (streq(taken[i], name))
                        return false;
        return *name && *name != '.' && strlen(name) <= RDT_GROUP_NAME_MAX && !strpbrk(name, "/\n");
}

static int collect_classes(const Rdt *rdt, const char *path, Error *e) {
        const char *partition_name, *name;
        json_t *partition, *section;

        json_object_foreach(json_object_get(rdt->document, "partitions"), partition_name,
                            partition) {
                json_object_foreach(json_object_get(partition, "classes"), name, section) {
                        if (!class_name_is_valid(name))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s: \"%s\" cannot be the name of a class", path,
                                                  name);
                        if (json_object_get(rdt->classes, name))
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "%s: the class %s is there twice", path, name);
                        if (json_object_set_new(rdt->classes, name, json_false()) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

static int make_groups(const Rdt *rdt, Error *e) {
        RdtResource resources[RESOURCES_MAX];
        const char *partition_name, *name;
        json_t *partition, *section;
        size_t n = 0;
        int r;

        r = read_resources(rdt, resources, &n, e);
        if (r == 0)
                r = check_required(rdt, resources, n, e);
        if (r != 0)
                return r;
        json_object_foreach(json_object_get(rdt->document, "partitions"), partition_name,
                            partition) {
                json_object_foreach(json_object_get(partition, "classes"), name, section) {
                        _cleanup_error_ Error cause = ERROR_NULL;

                        r = make_group(rdt, resources, n, partition_name, name, &cause);
                        if (r != 0)
                                log_warning("The RDT class %s cannot be used: %s", name,
                                            error_text(&cause));
                        else if (json_object_set_new(rdt->classes, name, json_true()) < 0)
                                return -ENOMEM;
                }
        }
        return 0;
}

/* A directory without schemata is only the place where it would be mounted. */
static int open_resctrl(const char *dir) {
        _cleanup_close_ int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

        if (fd < 0)
                return -errno;
        return faccessat(fd, "schemata", F_OK, 0) < 0 ? -errno : TAKE_FD(fd);
}

int rdt_load(const char *path, const char *resctrl_dir, Rdt **ret, Error *e) {
        _cleanup_error_ Error cause = ERROR_NULL;
        _cleanup_(rdt_freep) Rdt *rdt = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        int r;

        r = file_read_at(AT_FDCWD, path, FILE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        rdt = calloc(1, sizeof(Rdt));
        if (!rdt)
                return -ENOMEM;
        *rdt = (Rdt){.dir = strdup(resctrl_dir), .dir_fd = -1, .classes = json_object()};
        if (!rdt->dir || !rdt->classes)
                return -ENOMEM;
        r = yaml_parse(text, size, path, &rdt->document, e);
        if (r == 0)
                r = collect_classes(rdt, path, e);
        if (r != 0)
                return r;

        rdt->dir_fd = open_resctrl(resctrl_dir);
        if (rdt->dir_fd < 0)
                log_warning_errno(rdt->dir_fd,
                                  "RDT classes cannot be used: no resctrl file system at %s: %m",
                                  resctrl_dir);
        else if (make_groups(rdt, &cause) != 0)
                log_warning("RDT classes cannot be used: %s", error_text(&cause));
        *ret = TAKE_PTR(rdt);
        return 0;
}

int rdt_check(const Rdt *rdt, const char *class_name, Error *e) {
        json_t *usable = rdt ? json_object_get(rdt->classes, class_name) : NULL;

        if (!usable)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There is no RDT class \"%.64s\"%s",
                                  class_name, rdt ? "" : ": no configuration of classes is loaded");
        if (rdt->dir_fd < 0)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The RDT class \"%s\" cannot be used: no resctrl file system is "
                                  "mounted at %s",
                                  class_name, rdt->dir);
        if (!json_is_true(usable))
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The RDT class \"%s\" cannot be used: its group in %s could not "
                                  "be made, see the log",
                                  class_name, rdt->dir);
        return 0;
}

int rdt_assign(const Rdt *rdt, const char *class_name, pid_t pid, Error *e) {
        _cleanup_close_ int fd = -1;
        char text[16];
        int r;

        r = rdt_check(rdt, class_name, e);
        if (r != 0)
                return r;
        (void) snprintf(text, sizeof(text), "%i\n", pid);
        fd = group_open(rdt, class_name, false);
        r = fd < 0 ? fd : group_write(fd, "tasks", text);
        if (r < 0)
                return error_setf(e, r, "Failed to put process %i into %s/%s: %m", pid, rdt->dir,
                                  class_name);
        return 0;
}
