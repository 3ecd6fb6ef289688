/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/network.h"

#include <net/if.h>
#include <sys/ioctl.h>
#include <sys/socket.h>

int network_loopback_up(Error *e) {
        struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP | IFF_RUNNING};
        _cleanup_close_ int fd = -1;

        /* any socket will do: device ioctls are not the protocol's, and a kernel may lack IPv4 */
        fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
        if (fd < 0 || ioctl(fd, SIOCSIFFLAGS, &request) < 0)
                return error_setf(e, -errno, "Failed to bring the loopback device up: %m");
        return 0;
}
