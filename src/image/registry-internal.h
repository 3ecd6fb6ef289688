/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* Between the parts of a Registry: speaking to an endpoint (registry.c), pulling
 * (registry-pull.c) and pushing (registry-push.c). */

#include <pthread.h>

#include "image/certificates.h"
#include "image/registry.h"

#define REGISTRY_TIMEOUT_SEC 60
/* "blob " and a digest, or "manifest " and a tag in quotes */
#define REGISTRY_WHAT_SIZE 256

typedef enum Scheme {
        SCHEME_UNKNOWN,
        SCHEME_HTTPS,
        SCHEME_HTTP,
} Scheme;

/* One place where the repository is. */
typedef struct Endpoint {
        char *host, *repository;
        bool allow_http, skip_verify;
        Certificates certificates;
        const Credential *credential; /* the registry's; NULL: anonymous */

        /* guarded by the registry's mutex */
        Scheme scheme;
        char *authorization; /* secret */
} Endpoint;

struct Registry {
        Endpoint *endpoints;
        size_t n_endpoints;
        const Registries *registries; /* may be NULL */
        const atomic_bool *canceled;
        uint64_t deadline; /* of a search; 0: none */

        pthread_mutex_t mutex;
        size_t current; /* the endpoint that answered last */
        char *scope;    /* what tokens are asked for; NULL: what the challenge says */
};

/* A request that may do what the endpoint allows. */
HttpRequest endpoint_request(const Registry *r, const Endpoint *endpoint);

/* One request to the endpoint: path is below /v2/REPOSITORY/, or an address that it gave. Finds out
 * how to speak to it, and answers its challenge once. As http_perform(). */
int endpoint_perform(Registry *r, Endpoint *endpoint, Http *http, const char *path,
                     HttpRequest *request, HttpResponse *ret, Error *e);

/* What an unsuccessful status means: CTR_NOT_FOUND, CTR_PERMISSION_DENIED, CTR_UNAVAILABLE ... */
int endpoint_status_error(const Endpoint *endpoint, const char *what, const HttpResponse *response,
                          Error *e);

/* The answer to a 401 or 403 (CTR_PERMISSION_DENIED); what is refused is said in full. */
int endpoint_refusal(const Endpoint *endpoint, const char *what, const HttpResponse *response,
                     Error *e);

/* The answer to a 429 (CTR_UNAVAILABLE), with the time that it names. */
int endpoint_busy(const Endpoint *endpoint, const HttpResponse *response, Error *e);

/* True for what another attempt may cure. k is what http_perform() returned. */
bool response_is_transient(const Http *http, int k, const HttpResponse *response);

/* Waits before the next attempt (counted from 0), or as long as the server asked for. CTR_CANCELED,
 * CTR_DEADLINE_EXCEEDED. */
int registry_back_off(const Registry *r, unsigned attempt, const HttpResponse *response, Error *e);
