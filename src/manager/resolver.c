/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/resolver.h"

#include <arpa/inet.h>
#include <fcntl.h>

#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/spec.h"

#define HOST_FILE_MAX (1024 * 1024)
#define LIST_MAX      256
/* what systemd-resolved knows itself: its stubs (systemd-resolved.service(8)) are on loopback */
#define RESOLVED_CONF "/run/systemd/resolve/resolv.conf"

typedef struct Resolver {
        char **servers, **search, **options, **hosts; /* hosts: "NAME:ADDRESS" */
        const char *hostname;
        bool conf, own_hosts, own_network;
        json_t *j; /* owns hostname */
} Resolver;

bool resolver_has_conf(const ContainerRequest *request) {
        return request->dns || request->dns_search || request->dns_options;
}

bool resolver_has_hosts(const ContainerRequest *request) {
        return request->extra_hosts;
}

int resolver_to_annotation(const ContainerRequest *request, const char *hostname, char **ret) {
        const struct {
                const char *key;
                char *const *list;
        } lists[] = {
                        {"servers", request->dns},
                        {"search", request->dns_search},
                        {"options", request->dns_options},
                        {"extraHosts", request->extra_hosts},
        };
        _cleanup_json_ json_t *j = NULL;

        *ret = NULL;
        if (!resolver_has_conf(request) && !resolver_has_hosts(request))
                return 0;
        j = json_pack("{sssbsbsb}", "hostname", hostname, "conf", (int) resolver_has_conf(request),
                      "hosts", (int) resolver_has_hosts(request), "ownNetwork",
                      (int) !request->host_network);
        if (!j)
                return -ENOMEM;
        /* a list that is not there says nothing about its lines */
        for (size_t i = 0; i < ELEMENTSOF(lists); i++)
                if (lists[i].list &&
                    json_object_set_new(j, lists[i].key, json_from_strv(lists[i].list)) < 0)
                        return -ENOMEM;
        return json_to_text(j, ret);
}

static void resolver_clear(Resolver *q) {
        strv_free(q->servers);
        strv_free(q->search);
        strv_free(q->options);
        strv_free(q->hosts);
        json_decref(q->j);
}

static int read_annotation(const char *text, Resolver *q, Error *e) {
        const char *path = RESOLVER_ANNOTATION;
        int r;

        r = json_parse(text, strlen(text), path, &q->j, e);
        if (r != 0)
                return r;
        r = json_get_strv(q->j, path, "servers", LIST_MAX, &q->servers, e);
        if (r >= 0)
                r = json_get_strv(q->j, path, "search", LIST_MAX, &q->search, e);
        if (r >= 0)
                r = json_get_strv(q->j, path, "options", LIST_MAX, &q->options, e);
        if (r >= 0)
                r = json_get_strv(q->j, path, "extraHosts", LIST_MAX, &q->hosts, e);
        if (r >= 0)
                r = json_get_string(q->j, path, "hostname", &q->hostname, e);
        if (r >= 0)
                r = json_get_bool(q->j, path, "conf", &q->conf, e);
        if (r >= 0)
                r = json_get_bool(q->j, path, "hosts", &q->own_hosts, e);
        if (r >= 0)
                r = json_get_bool(q->j, path, "ownNetwork", &q->own_network, e);
        return r < 0 ? r : 0;
}

/* 127.0.0.0/8 and ::1 */
static bool is_loopback(const char *address, size_t n) {
        char copy[INET6_ADDRSTRLEN] = "";
        struct in6_addr in6;
        struct in_addr in;

        if (n >= sizeof(copy))
                return false;
        memcpy(copy, address, n);
        if (inet_pton(AF_INET, copy, &in) == 1)
                return ntohl(in.s_addr) >> 24 == 127;
        return inet_pton(AF_INET6, copy, &in6) == 1 && IN6_IS_ADDR_LOOPBACK(&in6);
}

/* The value of a line "KEYWORD VALUE", to the end of the line; NULL if it is another one. */
static const char *line_value(const char *line, const char *keyword) {
        const char *value = startswith(line, keyword);

        if (!value || !strchr(" \t", *value) || !*value)
                return NULL;
        return value + strspn(value, " \t");
}

/* A line of the host's that nothing of the container's replaces. */
static void copy_line(FILE *f, const char *line, size_t n, bool own_network, bool with_servers,
                      bool with_search, bool with_options) {
        const char *server = line_value(line, "nameserver");

        if (server &&
            (!with_servers || (own_network && is_loopback(server, strcspn(server, " \t\r\n")))))
                return;
        if (!with_search && (line_value(line, "search") || line_value(line, "domain")))
                return;
        if (!with_options && line_value(line, "options"))
                return;
        (void) fprintf(f, "%.*s\n", (int) n, line);
}

static void print_list(FILE *f, const char *keyword, char *const *list) {
        (void) fputs(keyword, f);
        STRV_FOREACH(s, list)
                (void) fprintf(f, " %s", *s);
        (void) fputc('\n', f);
}

char *resolver_make_conf(const char *host, bool own_network, char *const *servers,
                         char *const *search, char *const *options) {
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        if (!f)
                return NULL;
        STRV_FOREACH(s, servers)
                (void) fprintf(f, "nameserver %s\n", *s);
        /* "." alone: no domain at all, not even the host's */
        if (search && !streq(search[0], "."))
                print_list(f, "search", search);
        if (options)
                print_list(f, "options", options);
        for (const char *line = strempty(host); *line;) {
                size_t n = strcspn(line, "\n");

                if (*line != '#' && *line != ';' && n > 0)
                        copy_line(f, line, n, own_network, !servers, !search, !options);
                line += n + (line[n] == '\n');
        }
        if (fclose(f) != 0) {
                free(text);
                return NULL;
        }
        return text;
}

/* A file of the host that need not be there. *ret is "" then. */
static int read_host_file(const char *path, char **ret, Error *e) {
        _cleanup_close_ int fd = -1;
        char *text = NULL;
        size_t size;
        int r;

        /* often a symbolic link */
        fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT) {
                text = strdup("");
                r = text ? 0 : -ENOMEM;
        } else
                r = fd < 0 ? -errno : fd_read_all(fd, HOST_FILE_MAX, &text, &size);
        if (r < 0)
                return error_setf(e, r, "Failed to read %s: %m", path);
        *ret = text;
        return 0;
}

static bool is_stub(const char *address, size_t n) {
        static const char *const stubs[] = {"127.0.0.53", "127.0.0.54"};

        for (size_t i = 0; i < ELEMENTSOF(stubs); i++)
                if (n == strlen(stubs[i]) && memcmp(address, stubs[i], n) == 0)
                        return true;
        return false;
}

static bool has_stub(const char *conf) {
        for (const char *line = conf; *line;) {
                const char *server = line_value(line, "nameserver");

                if (server && is_stub(server, strcspn(server, " \t\r\n")))
                        return true;
                line += strcspn(line, "\n");
                line += *line == '\n';
        }
        return false;
}

static int make_conf(const Resolver *q, char **ret, Error *e) {
        _cleanup_free_ char *host = NULL, *better = NULL;
        int r;

        r = read_host_file("/etc/resolv.conf", &host, e);
        if (r == 0 && q->own_network && has_stub(host))
                r = read_host_file(RESOLVED_CONF, &better, e);
        if (r != 0)
                return r;
        *ret = resolver_make_conf(isempty(better) ? host : better, q->own_network, q->servers,
                                  q->search, q->options);
        return *ret ? 0 : -ENOMEM;
}

/* What was asked for comes first, since the first line with a name counts. */
static int make_hosts(const Resolver *q, char **ret, Error *e) {
        _cleanup_free_ char *host = NULL;
        size_t size;
        FILE *f;
        int r;

        if (!q->own_network) {
                r = read_host_file("/etc/hosts", &host, e);
                if (r != 0)
                        return r;
        }
        f = open_memstream(ret, &size);
        if (!f)
                return -ENOMEM;
        STRV_FOREACH(s, q->hosts) {
                const char *colon = strchr(*s, ':');

                if (colon)
                        (void) fprintf(f, "%s\t%.*s\n", colon + 1, (int) (colon - *s), *s);
        }
        if (q->own_network)
                (void) fprintf(f,
                               "127.0.0.1\tlocalhost\n::1\tlocalhost ip6-localhost ip6-loopback\n"
                               "127.0.0.1\t%s\n",
                               strempty(q->hostname));
        else
                (void) fputs(host, f);
        return fclose(f) == 0 ? 0 : -ENOMEM;
}

static int write_file(int dir_fd, const char *name, const char *text, Error *e) {
        int r = file_write_atomic_at(dir_fd, name, text, strlen(text), 0644, 0);

        return r < 0 ? error_setf(e, r, "Failed to write %s of the container: %m", name) : 0;
}

static int write_files(const Resolver *q, int dir_fd, Error *e) {
        _cleanup_free_ char *conf = NULL, *hosts = NULL;
        int r = 0;

        if (q->conf) {
                r = make_conf(q, &conf, e);
                if (r == 0)
                        r = write_file(dir_fd, RESOLVER_CONF, conf, e);
        }
        if (r == 0 && q->own_hosts) {
                r = make_hosts(q, &hosts, e);
                if (r == 0)
                        r = write_file(dir_fd, RESOLVER_HOSTS, hosts, e);
        }
        return r;
}

int resolver_write_files(const char *document, int dir_fd, Error *e) {
        _cleanup_(resolver_clear) Resolver q = {};
        _cleanup_free_ char *text = NULL;
        int r;

        r = spec_read_annotation(document, RESOLVER_ANNOTATION, &text, e);
        if (r != 0 || !text)
                return r;
        r = read_annotation(text, &q, e);
        return r == 0 ? write_files(&q, dir_fd, e) : r;
}
