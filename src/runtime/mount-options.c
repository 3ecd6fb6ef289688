/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/mount-options.h"

#include <sys/mount.h>

typedef enum OptionKind {
        OPTION_NONE,        /* the default, or a wish without a meaning for the kernel */
        OPTION_ATTR,        /* of this mount */
        OPTION_RECURSIVE,   /* of it and all below */
        OPTION_PARAMETER,   /* of the file system: fsconfig(FSCONFIG_SET_FLAG) */
        OPTION_PROPAGATION, /* set: MS_*, clear: 1 for recursive */
        OPTION_BIND,        /* clear: 1 for recursive */
        OPTION_REMOUNT,
        OPTION_IDMAP, /* clear: 1 for recursive */
        OPTION_COPY_UP,
        OPTION_VERSION,
} OptionKind;

typedef struct Option {
        const char *name;
        OptionKind kind;
        uint64_t set, clear;
} Option;

#define ATTR(name, set, clear)                                                                     \
        {name, OPTION_ATTR, set, clear}, {                                                         \
                "r" name, OPTION_RECURSIVE, set, clear                                             \
        }
#define ON(name, flag)  ATTR(name, flag, 0)
#define OFF(name, flag) ATTR(name, 0, flag)
/* The access time mode is a field, not a flag: setting any needs the whole field cleared. */
#define ATIME(name, value) ATTR(name, value, MOUNT_ATTR__ATIME)

static const Option option_table[] = {
                ON("ro", MOUNT_ATTR_RDONLY),
                OFF("rw", MOUNT_ATTR_RDONLY),
                ON("nosuid", MOUNT_ATTR_NOSUID),
                OFF("suid", MOUNT_ATTR_NOSUID),
                ON("nodev", MOUNT_ATTR_NODEV),
                OFF("dev", MOUNT_ATTR_NODEV),
                ON("noexec", MOUNT_ATTR_NOEXEC),
                OFF("exec", MOUNT_ATTR_NOEXEC),
                ON("nosymfollow", MOUNT_ATTR_NOSYMFOLLOW),
                OFF("symfollow", MOUNT_ATTR_NOSYMFOLLOW),
                ON("nodiratime", MOUNT_ATTR_NODIRATIME),
                OFF("diratime", MOUNT_ATTR_NODIRATIME),
                /* relatime is the kernel's default: what takes back another mode goes there */
                ATIME("noatime", MOUNT_ATTR_NOATIME),
                ATIME("atime", MOUNT_ATTR_RELATIME),
                ATIME("relatime", MOUNT_ATTR_RELATIME),
                ATIME("norelatime", MOUNT_ATTR_RELATIME),
                ATIME("strictatime", MOUNT_ATTR_STRICTATIME),
                ATIME("nostrictatime", MOUNT_ATTR_RELATIME),

                {"async", OPTION_PARAMETER, 0, 0},
                {"sync", OPTION_PARAMETER, 0, 0},
                {"dirsync", OPTION_PARAMETER, 0, 0},
                {"lazytime", OPTION_PARAMETER, 0, 0},
                {"nolazytime", OPTION_PARAMETER, 0, 0},
                {"mand", OPTION_PARAMETER, 0, 0},
                {"nomand", OPTION_PARAMETER, 0, 0},

                {"defaults", OPTION_NONE, 0, 0},
                {"loud", OPTION_NONE, 0, 0},
                {"silent", OPTION_NONE, 0, 0},
                {"iversion", OPTION_VERSION, 0, 0},
                {"noiversion", OPTION_NONE, 0, 0},

                {"bind", OPTION_BIND, 0, 0},
                {"rbind", OPTION_BIND, 0, 1},
                {"remount", OPTION_REMOUNT, 0, 0},

                {"shared", OPTION_PROPAGATION, MS_SHARED, 0},
                {"rshared", OPTION_PROPAGATION, MS_SHARED, 1},
                {"slave", OPTION_PROPAGATION, MS_SLAVE, 0},
                {"rslave", OPTION_PROPAGATION, MS_SLAVE, 1},
                {"private", OPTION_PROPAGATION, MS_PRIVATE, 0},
                {"rprivate", OPTION_PROPAGATION, MS_PRIVATE, 1},
                {"unbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 0},
                {"runbindable", OPTION_PROPAGATION, MS_UNBINDABLE, 1},

                {"idmap", OPTION_IDMAP, 0, 0},
                {"ridmap", OPTION_IDMAP, 0, 1},
                {"tmpcopyup", OPTION_COPY_UP, 0, 0},
};

/* The last one wins, as with mount(8): a flag leaves the other side's mask. */
static void attr_add(uint64_t *set, uint64_t *clear, const Option *o) {
        *set = (*set & ~o->clear) | o->set;
        *clear = (*clear & ~(o->set & ~(uint64_t) MOUNT_ATTR__ATIME)) | o->clear;
}

static const Option *option_find(const char *name) {
        for (size_t i = 0; i < ELEMENTSOF(option_table); i++)
                if (streq(option_table[i].name, name))
                        return &option_table[i];
        return NULL;
}

bool mount_option_is_known(const char *option) {
        return option_find(option) != NULL;
}

void mount_options_add(MountOptions *options, const char *option) {
        const Option *o = option_find(option);

        assert(options);

        /* what is not in the table belongs to the file system, says config.md */
        switch (o ? o->kind : OPTION_PARAMETER) {
        case OPTION_NONE:
                break;
        case OPTION_ATTR:
                attr_add(&options->attr_set, &options->attr_clear, o);
                break;
        case OPTION_RECURSIVE:
                attr_add(&options->recursive_set, &options->recursive_clear, o);
                break;
        case OPTION_PROPAGATION:
                options->propagation = (unsigned long) o->set;
                options->propagation_recursive = o->clear != 0;
                break;
        case OPTION_BIND:
                options->bind = true;
                options->bind_recursive = o->clear != 0;
                break;
        case OPTION_REMOUNT:
                options->remount = true;
                break;
        case OPTION_IDMAP:
                options->idmap = true;
                options->idmap_recursive = o->clear != 0;
                break;
        case OPTION_COPY_UP:
                options->copy_up = true;
                break;
        case OPTION_VERSION:
                options->version = true;
                break;
        case OPTION_PARAMETER:
                options->parameters[options->n_parameters++] = option;
                break;
        }
}

void mount_options_clear(MountOptions *options) {
        free(options->parameters);
        *options = (MountOptions){};
}
