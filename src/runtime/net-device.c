/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/net-device.h"

#include <fcntl.h>
#include <net/if.h>
#include <sched.h>
#include <sys/prctl.h>
#include <sys/socket.h>

#include "basic/clock.h"
#include "basic/process.h"
#include "runtime/netlink.h"
#include "runtime/step.h"

#define MOVE_USEC (30 * USEC_PER_SEC)

/* A device on its way. */
typedef struct Device {
        const SpecNetDevice *spec;
        unsigned index;
        NetlinkAddresses addresses;
} Device;

typedef struct Move {
        const Spec *spec;
        Device *devices;
        int host_fd; /* netlink of the host's namespace */
        int netns_fd;
} Move;

/* In the host's namespace. */
static int find_devices(void *userdata, Error *e) {
        Move *m = userdata;
        int r;

        m->devices = calloc(m->spec->n_net_devices, sizeof(Device));
        if (!m->devices)
                return -ENOMEM;
        m->host_fd = netlink_open();
        if (m->host_fd < 0)
                return error_setf(e, m->host_fd, "Failed to open netlink: %m");
        for (size_t i = 0; i < m->spec->n_net_devices; i++) {
                Device *d = &m->devices[i];

                d->spec = &m->spec->net_devices[i];
                d->index = if_nametoindex(d->spec->host_name);
                if (d->index == 0)
                        return error_setf(e, CTR_NOT_FOUND,
                                          "linux.netDevices.%s: no such network device",
                                          d->spec->host_name);
                r = netlink_addresses_get(m->host_fd, d->index, &d->addresses);
                if (r < 0)
                        return error_setf(e, r, "Failed to read the addresses of %s: %m",
                                          d->spec->host_name);
        }
        return 0;
}

static int enter_container(void *userdata, Error *e) {
        Move *m = userdata;

        if (setns(m->netns_fd, CLONE_NEWNET) < 0)
                return error_setf(e, -errno,
                                  "Failed to join the container's network namespace: "
                                  "%m");
        return 0;
}

static bool has_index(const struct if_nameindex *l, unsigned index) {
        for (; l && l->if_index != 0; l++)
                if (l->if_index == index)
                        return true;
        return false;
}

/* The one that was not there before: its number may have changed, its name be the kernel's choice.
 */
static unsigned find_new(const struct if_nameindex *before) {
        struct if_nameindex *after = if_nameindex();
        unsigned index = 0;

        for (struct if_nameindex *i = after; i && i->if_index != 0 && index == 0; i++)
                if (!has_index(before, i->if_index))
                        index = i->if_index;
        if_freenameindex(after);
        return index;
}

static int move_link(const Move *m, Device *d, Error *e) {
        const struct ifinfomsg head = {.ifi_family = AF_UNSPEC, .ifi_index = (int) d->index};
        struct if_nameindex *before;
        NetlinkRequest request;
        int r;

        netlink_request_init(&request, RTM_NEWLINK, 0, &head, sizeof(head));
        r = netlink_request_add(&request, IFLA_NET_NS_FD, &m->netns_fd, sizeof(m->netns_fd));
        if (r == 0)
                r = netlink_request_add(&request, IFLA_IFNAME, d->spec->name,
                                        strlen(d->spec->name) + 1);
        before = if_nameindex();
        if (!before)
                return error_setf(e, -errno, "Failed to list network devices: %m");
        if (r == 0)
                r = netlink_call(m->host_fd, &request);
        d->index = r == 0 ? find_new(before) : 0;
        if_freenameindex(before);
        if (r == -EEXIST)
                return error_setf(e, CTR_ALREADY_EXISTS,
                                  "linux.netDevices.%s.name: \"%s\" exists in the container",
                                  d->spec->host_name, d->spec->name);
        if (r == 0 && d->index == 0)
                r = -ENODEV;
        return r < 0 ? error_setf(e, r, "Failed to move the network device %s: %m",
                                  d->spec->host_name)
                     : 0;
}

static int add_address(int fd, const Device *d, const NetlinkAddress *a) {
        struct ifaddrmsg head = a->head;
        NetlinkRequest request;

        head.ifa_index = d->index;
        netlink_request_init(&request, RTM_NEWADDR, NLM_F_CREATE | NLM_F_REPLACE, &head,
                             sizeof(head));
        memcpy(request.space + NLMSG_SPACE(sizeof(head)), a->attributes, a->size);
        request.header.nlmsg_len = (uint32_t) (NLMSG_SPACE(sizeof(head)) + a->size);
        return netlink_call(fd, &request);
}

static int bring_up(int fd, const Device *d) {
        const struct ifinfomsg head = {
                        .ifi_family = AF_UNSPEC,
                        .ifi_index = (int) d->index,
                        .ifi_flags = IFF_UP,
                        .ifi_change = IFF_UP,
        };
        NetlinkRequest request;

        netlink_request_init(&request, RTM_NEWLINK, 0, &head, sizeof(head));
        return netlink_call(fd, &request);
}

/* Before the first is moved: the kernel renames after it has moved, and a device that is left in
 * the container goes with it. */
static int check_names(void *userdata, Error *e) {
        const Move *m = userdata;

        for (size_t i = 0; i < m->spec->n_net_devices; i++) {
                const SpecNetDevice *d = &m->spec->net_devices[i];

                if (!strchr(d->name, '%') && if_nametoindex(d->name) != 0)
                        return error_setf(
                                        e, CTR_ALREADY_EXISTS,
                                        "linux.netDevices.%s.name: \"%s\" exists in the container",
                                        d->host_name, d->name);
        }
        return 0;
}

static int move_devices(void *userdata, Error *e) {
        const Move *m = userdata;
        _cleanup_close_ int fd = netlink_open();
        int r;

        if (fd < 0)
                return error_setf(e, fd, "Failed to open netlink: %m");
        for (size_t i = 0; i < m->spec->n_net_devices; i++) {
                Device *d = &m->devices[i];

                r = move_link(m, d, e);
                if (r != 0)
                        return r;
                for (size_t k = 0; r == 0 && k < d->addresses.n; k++)
                        r = add_address(fd, d, &d->addresses.list[k]);
                if (r < 0)
                        return error_setf(e, r, "Failed to give %s its addresses back: %m",
                                          d->spec->host_name);
                r = bring_up(fd, d);
                if (r < 0)
                        return error_setf(e, r, "Failed to bring %s up: %m", d->spec->host_name);
        }
        return 0;
}

_noreturn_ static void run(const Spec *spec, int netns_fd, int sync_fd) {
        static const Step steps[] = {
                        {STAGE_NAMESPACES, find_devices},
                        {STAGE_NAMESPACES, enter_container},
                        {STAGE_NAMESPACES, check_names},
                        {STAGE_NAMESPACES, move_devices},
        };
        Move m = {.spec = spec, .host_fd = -1, .netns_fd = netns_fd};

        (void) prctl(PR_SET_PDEATHSIG, SIGKILL);
        steps_run(sync_fd, steps, ELEMENTSOF(steps), &m);
        _exit(sync_send(sync_fd, SYNC_DONE, 0, -1) < 0);
}

int net_devices_move(const Spec *spec, pid_t pid, Error *e) {
        _cleanup_close_ int netns_fd = -1, own_fd = -1, child_fd = -1, pidfd = -1;
        SyncAnswer answer;
        char path[64];
        int fds[2], r;
        pid_t child;

        (void) snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
        netns_fd = open(path, O_RDONLY | O_CLOEXEC);
        if (netns_fd < 0)
                return error_setf(e, -errno, "Failed to open %s: %m", path);
        if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, fds) < 0)
                return error_setf(e, -errno, "Failed to make a socket pair: %m");
        own_fd = fds[0];
        child_fd = fds[1];
        child = process_clone(0, -1, &pidfd);
        if (child < 0)
                return error_setf(e, child, "Failed to clone: %m");
        if (child == 0)
                run(spec, netns_fd, child_fd);
        child_fd = fd_close(child_fd);
        r = sync_receive(own_fd, now_monotonic() + MOVE_USEC, &answer, e);
        fd_close(answer.fd);
        pidfd_end(pidfd, MOVE_USEC);
        if (answer.failed)
                return r;
        return r == SYNC_DONE ? 0
                              : error_setf(e, r < 0 ? r : -ECHILD,
                                           "Failed to move network devices: %m");
}
