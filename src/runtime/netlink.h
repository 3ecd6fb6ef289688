/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * The little of rtnetlink(7) that moving a network device takes.
 */

#include <linux/rtnetlink.h>

#include "basic/macro.h"

#define NETLINK_ADDRESSES_MAX 256

/* A request that grows; init with the type's fixed part. */
typedef struct NetlinkRequest {
        union {
                struct nlmsghdr header;
                char space[1024];
        };
} NetlinkRequest;

typedef struct NetlinkAddress {
        struct ifaddrmsg head;
        char attributes[128];
        size_t size;
} NetlinkAddress;

typedef struct NetlinkAddresses {
        NetlinkAddress *list;
        size_t n;
} NetlinkAddresses;

/* A socket that belongs to the present network namespace, also after that was left; or -errno. */
int netlink_open(void);

void netlink_request_init(NetlinkRequest *m, uint16_t type, uint16_t flags, const void *head,
                          size_t head_size);
/* -EMSGSIZE if there is no room. */
int netlink_request_add(NetlinkRequest *m, uint16_t type, const void *data, size_t size);

/* Sends and waits for the kernel's answer: 0 or -errno. */
int netlink_call(int fd, NetlinkRequest *m);

/* The permanent addresses of global scope of a device. 0 or -errno; -E2BIG if there are too many.
 */
int netlink_addresses_get(int fd, unsigned index, NetlinkAddresses *ret);
void netlink_addresses_clear(NetlinkAddresses *l);
