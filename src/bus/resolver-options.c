/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "bus/resolver-options.h"

#include <arpa/inet.h>

#include "basic/strv.h"

#define ITEMS_MAX  256
#define DOMAIN_MAX 253
#define OPTION_MAX 64

static int read_list(OptionReader *o, char ***list) {
        int r;

        r = option_strv(o, list);
        if (r >= 0 && strv_length(*list) > ITEMS_MAX)
                return option_invalid(o, "more than %i", ITEMS_MAX);
        /* an empty one is as if it were not given */
        if (r >= 0 && strv_length(*list) == 0)
                *list = strv_free(*list);
        return r;
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

int option_dns(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *list)
                if (!is_address(*s))
                        return option_invalid(o, "\"%.64s\" is no IP address", *s);
        return 0;
}

int option_dns_search(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *list)
                if (!is_domain(*s, strlen(*s)) && !(streq(*s, ".") && strv_length(*list) == 1))
                        return option_invalid(o, "\"%.64s\" is no domain", *s);
        return 0;
}

int option_dns_options(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *list)
                if (!**s || strlen(*s) > OPTION_MAX ||
                    (*s)[strspn(*s, "abcdefghijklmnopqrstuvwxyz0123456789-_:")])
                        return option_invalid(o, "\"%.64s\" is no option of resolv.conf(5)", *s);
        return 0;
}

int option_extra_hosts(OptionReader *o, void *target) {
        char ***list = target;
        int r;

        r = read_list(o, list);
        if (r < 0)
                return r;
        STRV_FOREACH(s, *list) {
                const char *colon = strchr(*s, ':');

                if (!colon || !is_domain(*s, (size_t) (colon - *s)) || !is_address(colon + 1))
                        return option_invalid(o, "\"%.64s\" is not NAME:ADDRESS", *s);
        }
        return 0;
}
