/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/reference.h"

#include <arpa/inet.h>
#include <ctype.h>

#define TAG_MAX 128
/* registry, slash and repository: what registries and other clients agree on as the limit */
#define NAME_LENGTH_MAX 255

static bool is_lower_alnum(char c) {
        return (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9');
}

static bool is_alnum(char c) {
        return is_lower_alnum(c) || (c >= 'A' && c <= 'Z');
}

/* [a-z0-9]+((\.|_|__|-+)[a-z0-9]+)* */
static bool path_segment_is_valid(const char *s, size_t n) {
        size_t i = 0;

        if (n == 0)
                return false;
        for (;;) {
                size_t start = i, separator;

                while (i < n && is_lower_alnum(s[i]))
                        i++;
                if (i == start)
                        return false;
                if (i == n)
                        return true;
                separator = i;
                while (i < n && s[i] == s[separator] && strchr("._-", s[i]))
                        i++;
                if (i == separator || (s[separator] == '.' && i - separator > 1) ||
                    (s[separator] == '_' && i - separator > 2))
                        return false;
        }
}

static int repository_validate(const char *s, const char *whole, Error *e) {
        for (const char *p = s;; p++) {
                size_t n = strcspn(p, "/");

                for (size_t i = 0; i < n; i++)
                        if (p[i] >= 'A' && p[i] <= 'Z')
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "The image reference \"%s\" is not valid: the "
                                                  "repository \"%s\" must be lower case",
                                                  whole, s);
                if (!path_segment_is_valid(p, n))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The image reference \"%s\" is not valid: \"%.*s\" is "
                                          "not a repository name (lower-case letters and digits, "
                                          "separated by '.', '_', '__' or dashes)",
                                          whole, (int) n, p);
                p += n;
                if (!*p)
                        return 0;
        }
}

/* [a-zA-Z0-9_][a-zA-Z0-9._-]{0,127} */
static bool tag_is_valid(const char *s) {
        size_t n = strlen(s);

        if (n == 0 || n > TAG_MAX || !(is_alnum(s[0]) || s[0] == '_'))
                return false;
        for (size_t i = 1; i < n; i++)
                if (!is_alnum(s[i]) && !strchr("._-", s[i]))
                        return false;
        return true;
}

static bool port_is_valid(const char *s) {
        size_t n = strspn(s, "0123456789");

        return n > 0 && n <= 5 && !s[n] && atoi(s) > 0 && atoi(s) <= 65535;
}

/* Labels of letters, digits and inner dashes; or an IPv6 address in brackets; then maybe a port. */
static bool registry_is_valid(const char *s) {
        const char *port;

        if (*s == '[') {
                char address[INET6_ADDRSTRLEN] = "";
                struct in6_addr in6;
                size_t n = strcspn(s, "]");

                if (s[n] != ']' || n - 1 >= sizeof(address))
                        return false;
                memcpy(address, s + 1, n - 1);
                if (inet_pton(AF_INET6, address, &in6) != 1)
                        return false;
                port = s + n + 1;
        } else {
                for (;;) {
                        size_t n = strcspn(s, ".:");

                        if (n == 0 || n > 63 || s[0] == '-' || s[n - 1] == '-')
                                return false;
                        for (size_t i = 0; i < n; i++)
                                if (!is_alnum(s[i]) && s[i] != '-')
                                        return false;
                        s += n;
                        if (*s != '.')
                                break;
                        s++;
                }
                port = s;
        }
        return !*port || (*port == ':' && port_is_valid(port + 1));
}

size_t reference_host_length(const char *name) {
        size_t n = strcspn(name, "/");

        if (name[n] != '/')
                return 0;
        return memchr(name, '.', n) || memchr(name, ':', n) ||
                                               (n == STRLEN("localhost") &&
                                                strncmp(name, "localhost", n) == 0)
                               ? n
                               : 0;
}

/* Cuts "REGISTRY/" off the front of *s. 1 if there was one, 0 if not, -ENOMEM. */
static int split_registry(char **s, char **ret) {
        size_t n = reference_host_length(*s);
        char *registry;

        if (n == 0)
                return 0;
        registry = strndup(*s, n);
        if (!registry)
                return -ENOMEM;
        *s += n + 1;
        *ret = registry;
        return 1;
}

static int parse_registry_and_repository(char *name, const char *whole, Reference *r, Error *e) {
        int k;

        k = split_registry(&name, &r->registry);
        if (k < 0)
                return k;
        if (k > 0 && !registry_is_valid(r->registry))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The image reference \"%s\" is not valid: \"%s\" is not a "
                                  "registry host",
                                  whole, r->registry);
        /* names of hosts have no case, and two spellings must not be two images */
        for (char *p = r->registry; p && *p; p++)
                *p = (char) tolower((unsigned char) *p);
        if (k == 0 || streq(r->registry, "index." REFERENCE_DEFAULT_REGISTRY)) {
                k = free_and_strdup(&r->registry, REFERENCE_DEFAULT_REGISTRY);
                if (k < 0)
                        return k;
        }
        k = repository_validate(name, whole, e);
        if (k != 0)
                return k;
        if (streq(r->registry, REFERENCE_DEFAULT_REGISTRY) && !strchr(name, '/')) {
                if (asprintf(&r->repository, "library/%s", name) < 0) {
                        r->repository = NULL;
                        return -ENOMEM;
                }
        } else if (!(r->repository = strdup(name)))
                return -ENOMEM;

        if (strlen(r->registry) + 1 + strlen(r->repository) > NAME_LENGTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The image reference \"%s\" is not valid: registry and "
                                  "repository are longer than %i characters",
                                  whole, NAME_LENGTH_MAX);
        return 0;
}

/* What remains of the text after the digest and the tag were cut off is registry and repository. */
static int parse_parts(char *s, const char *whole, Reference *r, Error *e) {
        char *at, *slash, *colon;
        int k;

        at = strchr(s, '@');
        if (at) {
                *at = '\0';
                k = digest_parse(at + 1, &r->digest, e);
                if (k != 0)
                        return error_prefix(e, k, "The image reference \"%s\" is not valid", whole);
                r->has_digest = true;
        }

        slash = strrchr(s, '/');
        colon = strrchr(slash ? slash : s, ':');
        if (colon) {
                *colon = '\0';
                if (!tag_is_valid(colon + 1))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The image reference \"%s\" is not valid: \"%s\" is not "
                                          "a tag (at most %i letters, digits, '.', '_' and '-')",
                                          whole, colon + 1, TAG_MAX);
        }
        if (colon || !at) {
                r->tag = strdup(colon ? colon + 1 : "latest");
                if (!r->tag)
                        return -ENOMEM;
        }
        return parse_registry_and_repository(s, whole, r, e);
}

int reference_parse(const char *s, Reference *ret, Error *e) {
        static const char white_space[] = " \t\r\n";
        _cleanup_reference_ Reference r = {};
        _cleanup_free_ char *copy = NULL, *whole = NULL;
        size_t n;
        int k;

        assert(s && ret);

        s += strspn(s, white_space);
        n = strnlen(s, REFERENCE_MAX + 1);
        while (n > 0 && n <= REFERENCE_MAX && strchr(white_space, s[n - 1]))
                n--;
        if (n == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The image reference is empty");
        if (n > REFERENCE_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The image reference is longer than %i characters",
                                  REFERENCE_MAX);
        for (size_t i = 0; i < n; i++)
                if (s[i] <= ' ' || s[i] > '~')
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The image reference contains white space, a control "
                                          "or a non-ASCII character");

        copy = strndup(s, n);
        whole = strndup(s, n);
        if (!copy || !whole)
                return -ENOMEM;
        k = parse_parts(copy, whole, &r, e);
        if (k != 0)
                return k;

        *ret = r;
        r = (Reference){};
        return 0;
}

void reference_clear(Reference *r) {
        if (!r)
                return;
        free(r->registry);
        free(r->repository);
        free(r->tag);
        *r = (Reference){};
}

static char *print(const Reference *r, const char *prefix, const char *repository,
                   const char *tag) {
        char *s;

        if (asprintf(&s, "%s%s%s%s%s%s", prefix, repository, tag ? ":" : "", strempty(tag),
                     r->has_digest ? "@" : "", r->has_digest ? DIGEST_STRING(&r->digest) : "") < 0)
                return NULL;
        return s;
}

char *reference_to_string(const Reference *r) {
        _cleanup_free_ char *prefix = NULL;

        if (asprintf(&prefix, "%s/", r->registry) < 0) {
                prefix = NULL;
                return NULL;
        }
        return print(r, prefix, r->repository, r->tag);
}

char *reference_to_familiar_string(const Reference *r) {
        _cleanup_free_ char *prefix = NULL;
        const char *repository = r->repository, *tag = r->tag, *rest;
        bool is_default = streq(r->registry, REFERENCE_DEFAULT_REGISTRY);

        if (asprintf(&prefix, "%s%s", is_default ? "" : r->registry, is_default ? "" : "/") < 0) {
                prefix = NULL;
                return NULL;
        }
        rest = startswith(repository, "library/");
        if (is_default && rest && !strchr(rest, '/'))
                repository = rest;
        /* with a digest, no tag and :latest are two different references */
        if (tag && streq(tag, "latest") && !r->has_digest)
                tag = NULL;
        /* "docker.io/a.b/c" must keep its registry: a.b would be taken for one */
        if (is_default && strchr(repository, '/')) {
                size_t n = strcspn(repository, "/");

                if (memchr(repository, '.', n) || strncmp(repository, "localhost/", n + 1) == 0)
                        return print(r, REFERENCE_DEFAULT_REGISTRY "/", repository, tag);
        }
        return print(r, prefix, repository, tag);
}

int reference_normalize(const char *s, char **ret, Error *e) {
        _cleanup_reference_ Reference r = {};
        char *normal;
        int k;

        assert(ret);

        k = reference_parse(s, &r, e);
        if (k != 0)
                return k;
        normal = reference_to_string(&r);
        if (!normal)
                return -ENOMEM;
        *ret = normal;
        return 0;
}

bool registry_host_is_loopback(const char *registry) {
        char host[INET6_ADDRSTRLEN + 16] = "";
        struct in_addr in;
        size_t n;

        if (*registry == '[') {
                struct in6_addr in6;

                n = strcspn(registry, "]");
                if (n - 1 >= sizeof(host))
                        return false;
                memcpy(host, registry + 1, n - 1);
                return inet_pton(AF_INET6, host, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
        }
        n = strcspn(registry, ":");
        if (n >= sizeof(host))
                return false;
        memcpy(host, registry, n);
        if (streq(host, "localhost"))
                return true;
        return inet_pton(AF_INET, host, &in) == 1 && ntohl(in.s_addr) >> 24 == 127;
}
