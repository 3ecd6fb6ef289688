/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* spec: a document to begin with: a shell with few rights. */

#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "oci/context.h"
#include "oci/options.h"

static const char document[] =
                "{'ociVersion': '" OCI_VERSION "',"
                "'process': {'terminal': true, 'user': {'uid': 0, 'gid': 0}, 'args': ['sh'],"
                "'env': ['PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin',"
                "'TERM=xterm'], 'cwd': '/', 'capabilities': {"
                "'bounding': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],"
                "'effective': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE'],"
                "'permitted': ['CAP_AUDIT_WRITE', 'CAP_KILL', 'CAP_NET_BIND_SERVICE']},"
                "'rlimits': [{'type': 'RLIMIT_NOFILE', 'hard': 1024, 'soft': 1024}],"
                "'noNewPrivileges': true},"
                "'root': {'path': 'rootfs', 'readonly': true}, 'hostname': '" RUNTIME_NAME "',"
                "'mounts': ["
                "{'destination': '/proc', 'type': 'proc', 'source': 'proc'},"
                "{'destination': '/dev', 'type': 'tmpfs', 'source': 'tmpfs',"
                "'options': ['nosuid', 'strictatime', 'mode=755', 'size=65536k']},"
                "{'destination': '/dev/pts', 'type': 'devpts', 'source': 'devpts', 'options':"
                "['nosuid', 'noexec', 'newinstance', 'ptmxmode=0666', 'mode=0620', 'gid=5']},"
                "{'destination': '/dev/shm', 'type': 'tmpfs', 'source': 'shm', 'options':"
                "['nosuid', 'noexec', 'nodev', 'mode=1777', 'size=65536k']},"
                "{'destination': '/dev/mqueue', 'type': 'mqueue', 'source': 'mqueue',"
                "'options': ['nosuid', 'noexec', 'nodev']},"
                "{'destination': '/sys', 'type': 'sysfs', 'source': 'sysfs',"
                "'options': ['nosuid', 'noexec', 'nodev', 'ro']},"
                "{'destination': '/sys/fs/cgroup', 'type': 'cgroup', 'source': 'cgroup',"
                "'options': ['nosuid', 'noexec', 'nodev', 'relatime', 'ro']}],"
                "'linux': {'resources': {'devices': [{'allow': false, 'access': 'rwm'}]},"
                "'namespaces': [{'type': 'pid'}, {'type': 'network'}, {'type': 'ipc'},"
                "{'type': 'uts'}, {'type': 'mount'}, {'type': 'cgroup'}],"
                "'maskedPaths': ['/proc/acpi', '/proc/asound', '/proc/interrupts', '/proc/kcore',"
                "'/proc/keys', '/proc/latency_stats', '/proc/sched_debug', '/proc/scsi',"
                "'/proc/timer_list', '/proc/timer_stats', '/sys/firmware',"
                "'/sys/devices/virtual/powercap'],"
                "'readonlyPaths': ['/proc/bus', '/proc/fs', '/proc/irq', '/proc/sys',"
                "'/proc/sysrq-trigger']}}";

static int parse_document(json_t **ret, Error *e) {
        char text[sizeof(document)];

        for (size_t i = 0; i < sizeof(text); i++)
                text[i] = (char) (document[i] == '\'' ? '"' : document[i]);
        return json_parse(text, sizeof(text) - 1, "document", ret, e);
}

/* Without its gid, which is not mapped. */
static int fix_devpts(json_t *mounts) {
        json_t *mount, *options, *option;
        size_t i, k;

        json_array_foreach(mounts, i, mount) {
                options = json_object_get(mount, "options");
                json_array_foreach(options, k, option) {
                        if (streq(json_string_value(option), "gid=5"))
                                return json_array_remove(options, k);
                }
        }
        return 0;
}

/* For a user without rights: the caller is root inside. */
static int make_rootless(json_t *j) {
        json_t *section = json_object_get(j, "linux");
        json_t *spaces = json_object_get(section, "namespaces");

        if (json_array_append_new(spaces, json_pack("{s:s}", "type", "user")) < 0 ||
            json_object_set_new(section, "uidMappings",
                                json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
                                          (json_int_t) geteuid(), "size", 1)) < 0 ||
            json_object_set_new(section, "gidMappings",
                                json_pack("[{s:i, s:I, s:i}]", "containerID", 0, "hostID",
                                          (json_int_t) getegid(), "size", 1)) < 0 ||
            json_object_del(section, "resources") < 0)
                return -ENOMEM;
        return fix_devpts(json_object_get(j, "mounts"));
}

static int write_document(const char *bundle, json_t *j, Error *e) {
        _cleanup_close_ int dir_fd = -1, fd = -1;
        _cleanup_free_ char *text = NULL;
        int r;

        dir_fd = open(bundle, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        if (dir_fd < 0)
                return error_setf(e, -errno, "Failed to open the bundle %s: %m", bundle);
        text = json_dumps(j, JSON_INDENT(8));
        if (!text)
                return -ENOMEM;
        fd = openat(dir_fd, CONFIG_NAME, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666);
        if (fd < 0 && errno == EEXIST)
                return error_setf(e, CTR_ALREADY_EXISTS,
                                  "File " CONFIG_NAME " exists. Remove it first");
        r = fd < 0 ? -errno : fd_write_all(fd, text, strlen(text));
        if (r == 0)
                r = fd_write_all(fd, "\n", 1);
        return r < 0 ? error_setf(e, r, "Failed to write " CONFIG_NAME ": %m") : 0;
}

int verb_spec(Context *c, int argc, char *argv[], Error *e) {
        const char *bundle = ".";
        bool rootless = false;
        const Option options[] = {
                        {"bundle", 'b', OPTION_STRING, &bundle, "directory to write to"},
                        {"rootless", 0, OPTION_FLAG, &rootless, "for a user without rights"},
        };
        const OptionTable table = {"spec [OPTIONS]", options, ELEMENTSOF(options), 0, 0, false};
        _cleanup_json_ json_t *j = NULL;
        int first, r;

        r = options_parse(&table, argc, argv, &first, e);
        if (r != 0 || first == 0)
                return r;
        r = parse_document(&j, e);
        if (r == 0 && rootless)
                r = make_rootless(j);
        return r == 0 ? write_document(bundle, j, e) : r;
}
