/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/resolver-options.h"

#include <arpa/inet.h>

#include "basic/strv.h"

#define ITEMS_MAX  256
#define DOMAIN_MAX 253
#define OPTION_MAX 64

/* Reads a list, and says of the first item that is not valid what it is not. */
static int read_list(OptionReader *o, char ***list, bool (*is_valid)(const char *item),
                     const char *what) {
        int r;

        r = option_strv(o, list);
        if (r >= 0 && strv_length(*list) > ITEMS_MAX)
                return option_invalid(o, "more than %i", ITEMS_MAX);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *list)
                if (!is_valid(*s))
                        return option_invalid(o, "\"%.64s\" is %s", *s, what);
        /* an empty one is as if it were not given */
        if (strv_length(*list) == 0)
                *list = strv_free(*list);
        return 0;
}

static bool is_address(const char *s) {
        struct in6_addr in6;
        struct in_addr in;

        return inet_pton(AF_INET, s, &in) == 1 || inet_pton(AF_INET6, s, &in6) == 1;
}

/* Labels of letters, digits, '-' and '_', separated by single dots; n characters. */
static bool is_domain(const char *s, size_t n) {
        size_t label = 0;

        if (n == 0 || n > DOMAIN_MAX)
                return false;
        for (size_t i = 0; i < n; i++) {
                bool is_dot = s[i] == '.';

                if (is_dot ? label == 0 || s[i - 1] == '-'
                           : !strchr("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                     "0123456789-_",
                                     s[i]) || (label == 0 && s[i] == '-'))
                        return false;
                label = is_dot ? 0 : label + 1;
        }
        return s[n - 1] != '-';
}

/* "." says that there is none. */
static bool is_search(const char *s) {
        return streq(s, ".") || is_domain(s, strlen(s));
}

static bool is_option(const char *s) {
        return *s && strlen(s) <= OPTION_MAX &&
               s[strspn(s, "abcdefghijklmnopqrstuvwxyz0123456789-_:")] == '\0';
}

/* An IPv6 address may be in brackets. */
static bool is_host(const char *s) {
        const char *colon = strchr(s, ':');
        struct in6_addr in6;
        char copy[INET6_ADDRSTRLEN] = "";
        size_t n;

        if (!colon || !is_domain(s, (size_t) (colon - s)))
                return false;
        if (colon[1] != '[')
                return is_address(colon + 1);
        n = strcspn(colon + 2, "]");
        if (n >= sizeof(copy) || !streq(colon + 2 + n, "]"))
                return false;
        memcpy(copy, colon + 2, n);
        return inet_pton(AF_INET6, copy, &in6) == 1;
}

int option_dns(OptionReader *o, void *target) {
        return read_list(o, target, is_address, "no IP address");
}

int option_dns_search(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list, is_search, "no domain");
        if (r < 0 || strv_length(*list) < 2)
                return r;
        STRV_FOREACH(s, *list)
                if (streq(*s, "."))
                        return option_invalid(o, "\".\" is no domain to stand with others");
        return 0;
}

int option_dns_options(OptionReader *o, void *target) {
        return read_list(o, target, is_option, "no option of resolv.conf(5)");
}

int option_extra_hosts(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list, is_host, "not NAME:ADDRESS");
        if (r < 0)
                return r;
        /* hosts(5) has no brackets */
        STRV_FOREACH(s, *list) {
                char *bracket = strstr(*s, ":[");

                if (!bracket)
                        continue;
                memmove(bracket + 1, bracket + 2, strlen(bracket + 2) + 1);
                (*s)[strlen(*s) - 1] = '\0';
        }
        return 0;
}
