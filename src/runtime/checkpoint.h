/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Writing a running container's processes down and bringing them back, by CRIU (criu.h). What a
 * dump finds outside of the container (masks, bind mounts, standard streams, a joined network
 * namespace) is external to CRIU, named in checkpoint-document.h, and given anew at the restore: by
 * the container's present document, and as descriptors.
 *
 * CRIU 3.17, as found by experiment on Linux 6.1: sockets of network namespaces other than the
 * container's are not found, so the journal's is made in the container's (ContainerParameters,
 * open_stdio); no_new_privs is not restored, nor a session keyring of its own, so criu gets both
 * before it starts; a terminal comes back as one of the host's devpts, because the container's own
 * is not there before criu mounts it; processes that were brought into the container by exec are no
 * descendants of init and are not written down.
 */

#include "runtime/criu.h"
#include "runtime/spec.h"

#define CHECKPOINT_DUMP_LOG    "dump.log"
#define CHECKPOINT_RESTORE_LOG "criu-restore.log"
#define CHECKPOINT_PID         "criu.pid"
#define CHECKPOINT_ROOT        "rootfs" /* below config_dir_fd, for CRIU to start from */
#define CHECKPOINT_FD_FIRST    10U      /* descriptors that criu is started with */

/* What CRIU calls the resources behind the standard streams of init, NULL for one that is closed:
 * to be asked before its program runs, or just after it was restored. Later the program may have
 * others in their places; a shell has whenever it redirects the output of a command of its own.
 * Replaces names. -errno. */
int checkpoint_name_streams(pid_t pid, char *names[static 3], Error *e);

typedef struct CheckpointDump {
        pid_t init_pid;
        int config_dir_fd; /* where config.json is */
        const char *config_name;
        int images_fd;      /* the directory to write to; the log goes there too */
        int cgroup_fd;      /* the payload's; frozen until CRIU holds all processes */
        const char *parent; /* absolute path of the checkpoint before, or NULL */
        char *const *stdio; /* three: what checkpoint_name_streams() found in the beginning */
        bool leave_running;
        bool tcp, unix_sockets, terminal, file_locks;
        char *const *empty_namespaces; /* "network" */
} CheckpointDump;

/* Starts criu. All descriptors and strings of p must live until criu is gone. Errors of
 * criu_finish() besides: CTR_NOT_IMPLEMENTED for what cannot be written down. */
int checkpoint_dump(const CheckpointDump *p, Helper **ret, Error *e);

typedef struct CheckpointRestore {
        int config_dir_fd; /* where config.json is; the root is mounted below, for CRIU alone */
        const char *config_name;
        const char *rootfs_lower, *rootfs_upper, *rootfs_work; /* as in ContainerParameters */
        int images_fd;
        int work_fd;   /* where the log and CHECKPOINT_PID go */
        int cgroup_fd; /* of the payload: criu runs there, and so do its children */
        int stdio[3];  /* the new standard streams; with a terminal its slave, three times */
        const char *terminal_path; /* of the slave, or NULL */
        /* As in ContainerParameters, if the network namespace is made anew; else in that of the
         * caller, with -1 for those it has to open. */
        int (*open_stdio)(void *userdata, int stdio[3], Error *e);
        void *userdata;
} CheckpointRestore;

/* Starts criu, which restores init as a child of the caller. Then checkpoint_read_pid(). */
int checkpoint_restore(const CheckpointRestore *p, Helper **ret, Error *e);

/* After criu_finish(): init, an unreaped child of the caller, by pid and pidfd. Removes the file.
 */
int checkpoint_read_pid(int work_fd, pid_t *ret_pid, int *ret_pidfd, Error *e);

/* The command lines, for the two above. root, images and so on are paths. *ret is to be freed with
 * strv_free(). */
typedef struct CheckpointDocument CheckpointDocument;
int checkpoint_dump_arguments(const CheckpointDump *p, const CheckpointDocument *d,
                              const char *images, const char *parent, const char *cgroup,
                              char ***ret);
int checkpoint_restore_arguments(const CheckpointRestore *p, const Spec *spec,
                                 const CheckpointDocument *d, const char *images, const char *work,
                                 const char *bundle, const char *root, int network_fd, char ***ret,
                                 Error *e);

/* The way from the directory images to the directory parent, "../a", for a link in the former: CRIU
 * follows it when the container's root is its own already, where an absolute one would be looked
 * for. Both are absolute and resolved. CTR_INVALID_ARGUMENT if they are the same. *ret is to be
 * freed. */
int checkpoint_parent_link(const char *images, const char *parent, char **ret, Error *e);

/* What of a mount table (/proc/PID/mountinfo) comes from outside of the container that spec
 * describes: appended to *mounts. CTR_NOT_IMPLEMENTED for a mount point that CRIU cannot be told.
 */
int checkpoint_external_mounts(const char *mountinfo, const Spec *spec, char ***mounts, Error *e);

/* Where an external mount comes from now: /dev/null, the terminal, or the source of a bind mount,
 * which is relative to bundle. CTR_FAILED_PRECONDITION if the document has no such mount. */
int checkpoint_mount_source(const Spec *spec, const char *mount, const char *terminal_path,
                            const char *bundle, char **ret, Error *e);
