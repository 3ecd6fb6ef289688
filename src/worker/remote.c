/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "worker/remote.h"

#include "basic/clock.h"
#include "basic/stream.h"

#define CREDENTIALS_MAX          (64 * 1024)
#define CREDENTIALS_TIMEOUT_USEC (20 * USEC_PER_SEC)

static int load_credentials(int given_fd, Credentials **ret, Error *e) {
        _cleanup_close_ int fd = given_fd;
        char *text = NULL;
        size_t size;
        int r;

        if (fd < 0)
                return credentials_load(ret, e);
        r = fd_read_all_within(fd, CREDENTIALS_MAX, CREDENTIALS_TIMEOUT_USEC, &text, &size);
        if (r == -ETIMEDOUT)
                return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                  "The credentials do not come to their end: whoever sends them "
                                  "has to close the pipe");
        if (r < 0)
                return error_setf(e, r, "Failed to read the credentials: %m");
        r = credentials_parse_single(text, size, ret, e);
        free(text);
        return r;
}

int remote_load(Remote *r, int credentials_fd, Error *e) {
        int k;

        assert(r);

        k = registries_load(&r->registries, e);
        return k == 0 ? load_credentials(credentials_fd, &r->credentials, e) : k;
}

int remote_open(Remote *r, const Reference *reference, const atomic_bool *canceled, Error *e) {
        _cleanup_(registry_endpoints_clear) RegistryEndpoints endpoints = {};
        int k;

        assert(r && reference);

        k = http_initialize();
        if (k == 0)
                k = registries_lookup(r->registries, reference, &endpoints, e);
        return k == 0 ? registry_new(&endpoints, r->registries, r->credentials, canceled,
                                     &r->registry, e)
                      : k;
}

int remote_open_search(const Remote *r, const char *host, const char *term,
                       const atomic_bool *canceled, char **ret_path, Registry **ret, Error *e) {
        _cleanup_(registry_endpoint_clear) RegistryEndpoint endpoint = {};
        _cleanup_free_ char *path = NULL;
        int k;

        k = registries_lookup_host(r->registries, host, &endpoint, e);
        if (k != 0)
                return k;
        path = endpoint.repository;
        /* credentials may be for a part of the registry only */
        if (asprintf(&endpoint.repository, "%s%s%s", path, *path ? "/" : "", term) < 0) {
                endpoint.repository = NULL;
                return -ENOMEM;
        }
        k = registry_new(&(RegistryEndpoints){&endpoint, 1}, r->registries, r->credentials,
                         canceled, ret, e);
        if (k == 0)
                *ret_path = TAKE_PTR(path);
        return k;
}

void remote_close(Remote *r) {
        r->registry = registry_free(r->registry);
        r->registries = registries_free(r->registries);
        r->credentials = credentials_free(r->credentials);
}
