/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/netlink.h"

#include <linux/if_addr.h>
#include <sys/socket.h>

#define ANSWERS_MAX 4096U /* of one dump */
#define TIMEOUT_SEC 10

int netlink_open(void) {
        const struct timeval timeout = {.tv_sec = TIMEOUT_SEC};
        _cleanup_close_ int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);

        if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &timeout, sizeof(timeout)) < 0)
                return -errno;
        return TAKE_FD(fd);
}

void netlink_request_init(NetlinkRequest *m, uint16_t type, uint16_t flags, const void *head,
                          size_t head_size) {
        *m = (NetlinkRequest){};
        m->header.nlmsg_len = (uint32_t) NLMSG_LENGTH(head_size);
        m->header.nlmsg_type = type;
        m->header.nlmsg_flags = (uint16_t) (NLM_F_REQUEST | flags);
        memcpy(NLMSG_DATA(&m->header), head, head_size);
}

int netlink_request_add(NetlinkRequest *m, uint16_t type, const void *data, size_t size) {
        size_t used = NLMSG_ALIGN(m->header.nlmsg_len);
        struct rtattr a = {.rta_type = type, .rta_len = (uint16_t) RTA_LENGTH(size)};

        if (used + RTA_SPACE(size) > sizeof(m->space))
                return -EMSGSIZE;
        memcpy(m->space + used, &a, sizeof(a));
        memcpy(m->space + used + RTA_LENGTH(0), data, size);
        m->header.nlmsg_len = (uint32_t) (used + RTA_LENGTH(size));
        return 0;
}

static int request_send(int fd, const NetlinkRequest *m) {
        const struct sockaddr_nl kernel = {.nl_family = AF_NETLINK};

        if (sendto(fd, m->space, m->header.nlmsg_len, 0, (const struct sockaddr *) &kernel,
                   sizeof(kernel)) < 0)
                return -errno;
        return 0;
}

int netlink_call(int fd, NetlinkRequest *m) {
        union {
                struct nlmsghdr header;
                char space[4096];
        } answer;
        const struct nlmsgerr *error = NLMSG_DATA(&answer.header);
        ssize_t n;
        int r;

        m->header.nlmsg_flags |= NLM_F_ACK;
        r = request_send(fd, m);
        if (r < 0)
                return r;
        n = recv(fd, answer.space, sizeof(answer.space), 0);
        if (n < 0)
                return errno == EAGAIN ? -ETIMEDOUT : -errno;
        if ((size_t) n < NLMSG_LENGTH(sizeof(*error)) || answer.header.nlmsg_type != NLMSG_ERROR)
                return -EBADMSG;
        return error->error;
}

/* The macros of the kernel's headers for these cast to types of a larger alignment. */
static const struct rtattr *attribute_next(const struct rtattr *a, int *left) {
        size_t size = RTA_ALIGN(a->rta_len);

        *left -= (int) size;
        return (const void *) ((const char *) a + size);
}

static const struct nlmsghdr *message_next(const struct nlmsghdr *h, ssize_t *left) {
        size_t size = NLMSG_ALIGN(h->nlmsg_len);

        *left -= (ssize_t) size;
        return (const void *) ((const char *) h + size);
}

/* Without what the kernel makes anew, or what names the device of before. */
static int address_copy(const struct nlmsghdr *h, NetlinkAddress *ret, uint32_t *ret_flags) {
        const struct ifaddrmsg *head = NLMSG_DATA(h);
        const struct rtattr *a = (const void *) ((const char *) head + NLMSG_ALIGN(sizeof(*head)));
        int left = (int) IFA_PAYLOAD(h);

        *ret = (NetlinkAddress){.head = *head};
        *ret_flags = head->ifa_flags;
        for (; RTA_OK(a, left); a = attribute_next(a, &left)) {
                if (a->rta_type == IFA_FLAGS && RTA_PAYLOAD(a) == sizeof(uint32_t))
                        memcpy(ret_flags, RTA_DATA(a), sizeof(uint32_t));
                if (a->rta_type == IFA_CACHEINFO || a->rta_type == IFA_LABEL)
                        continue;
                if (ret->size + RTA_ALIGN(a->rta_len) > sizeof(ret->attributes))
                        return -EMSGSIZE;
                memcpy(ret->attributes + ret->size, a, a->rta_len);
                ret->size += RTA_ALIGN(a->rta_len);
        }
        return 0;
}

static int addresses_add(NetlinkAddresses *l, const struct nlmsghdr *h, unsigned index) {
        const struct ifaddrmsg *head = NLMSG_DATA(h);
        NetlinkAddress address, *larger;
        uint32_t flags;
        int r;

        if (head->ifa_index != index || head->ifa_scope != RT_SCOPE_UNIVERSE)
                return 0;
        r = address_copy(h, &address, &flags);
        if (r < 0 || !(flags & IFA_F_PERMANENT))
                return r;
        if (l->n >= NETLINK_ADDRESSES_MAX)
                return -E2BIG;
        larger = realloc(l->list, (l->n + 1) * sizeof(*larger));
        if (!larger)
                return -ENOMEM;
        l->list = larger;
        l->list[l->n++] = address;
        return 0;
}

int netlink_addresses_get(int fd, unsigned index, NetlinkAddresses *ret) {
        const struct ifaddrmsg head = {.ifa_family = AF_UNSPEC};
        _cleanup_(netlink_addresses_clear) NetlinkAddresses l = {};
        _cleanup_free_ char *buffer = malloc(32768);
        NetlinkRequest m;
        int r;

        if (!buffer)
                return -ENOMEM;
        netlink_request_init(&m, RTM_GETADDR, NLM_F_DUMP, &head, sizeof(head));
        r = request_send(fd, &m);
        for (unsigned i = 0; r == 0 && i < ANSWERS_MAX; i++) {
                ssize_t n = recv(fd, buffer, 32768, 0);

                if (n <= 0)
                        return n < 0 && errno != EAGAIN ? -errno : -ETIMEDOUT;
                for (const struct nlmsghdr *h = (const void *) buffer; r == 0 && NLMSG_OK(h, n);
                     h = message_next(h, &n)) {
                        if (h->nlmsg_type == NLMSG_DONE) {
                                *ret = l;
                                l = (NetlinkAddresses){};
                                return 0;
                        }
                        if (h->nlmsg_type == NLMSG_ERROR)
                                return -EBADMSG;
                        if (h->nlmsg_type == RTM_NEWADDR)
                                r = addresses_add(&l, h, index);
                }
        }
        return r < 0 ? r : -E2BIG;
}

void netlink_addresses_clear(NetlinkAddresses *l) {
        free(l->list);
        *l = (NetlinkAddresses){};
}
