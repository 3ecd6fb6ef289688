/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/registry.h"

#include <poll.h>
#include <strings.h>

#include "basic/clock.h"
#include "basic/json.h"
#include "image/auth.h"
#include "image/http-text.h"
#include "image/registry-internal.h"

#define BACK_OFF_MSEC   250U
#define BACK_OFF_MAX    6U /* doublings */
#define RETRY_AFTER_MAX 60U
#define SLICE_MSEC      100
#define REASON_MAX      200
/* a registry on this machine that takes longer is asked once more */
#define PLAIN_TIMEOUT_SEC 5U

static void endpoint_clear(Endpoint *endpoint) {
        free(endpoint->host);
        free(endpoint->repository);
        certificates_clear(&endpoint->certificates);
        secret_freep(&endpoint->authorization);
        *endpoint = (Endpoint){};
}

static int endpoint_init(Endpoint *endpoint, const RegistryEndpoint *from,
                         const Credentials *credentials, Error *e) {
        *endpoint = (Endpoint){
                        .host = strdup(from->host),
                        .repository = strdup(from->repository),
                        .allow_http = from->insecure || registry_host_is_loopback(from->host),
                        .skip_verify = from->insecure,
                        .credential = credentials_find(credentials, from->host, from->repository),
        };
        if (!endpoint->host || !endpoint->repository)
                return -ENOMEM;
        endpoint->scheme = endpoint->allow_http ? SCHEME_UNKNOWN : SCHEME_HTTPS;
        return certificates_load(endpoint->host, &endpoint->certificates, e);
}

int registry_new(const RegistryEndpoints *endpoints, const Registries *registries,
                 const Credentials *credentials, const atomic_bool *canceled, Registry **ret,
                 Error *e) {
        _cleanup_(registry_freep) Registry *r = NULL;
        int k;

        assert(endpoints && endpoints->n > 0 && ret);

        r = calloc(1, sizeof(Registry));
        if (!r)
                return -ENOMEM;
        (void) pthread_mutex_init(&r->mutex, NULL);
        r->registries = registries;
        r->canceled = canceled;
        r->endpoints = calloc(endpoints->n, sizeof(Endpoint));
        if (!r->endpoints)
                return -ENOMEM;
        for (; r->n_endpoints < endpoints->n; r->n_endpoints++) {
                Endpoint *endpoint = r->endpoints + r->n_endpoints;

                k = endpoint_init(endpoint, endpoints->items + r->n_endpoints, credentials, e);
                if (k != 0) {
                        endpoint_clear(endpoint);
                        return k;
                }
        }
        *ret = TAKE_PTR(r);
        return 0;
}

Registry *registry_free(Registry *r) {
        if (!r)
                return NULL;
        for (size_t i = 0; i < r->n_endpoints; i++)
                endpoint_clear(r->endpoints + i);
        free(r->endpoints);
        free(r->scope);
        (void) pthread_mutex_destroy(&r->mutex);
        free(r);
        return NULL;
}

/* Are they the same machine, whatever the ports? */
static bool same_name(const char *a, const char *b) {
        size_t n = strcspn(a, *a == '[' ? "]" : ":");

        return n == strcspn(b, *b == '[' ? "]" : ":") && strncasecmp(a, b, n) == 0;
}

/* Plain HTTP with a host that a server names: one on this machine, one that the administrator calls
 * insecure, or another port of such an endpoint. */
static bool host_may_be_plain(const char *host, const void *userdata) {
        const Registry *r = userdata;

        if (registry_host_is_loopback(host) ||
            (r->registries && registries_host_is_insecure(r->registries, host)))
                return true;
        for (size_t i = 0; i < r->n_endpoints; i++)
                if (r->endpoints[i].skip_verify && same_name(r->endpoints[i].host, host))
                        return true;
        return false;
}

HttpRequest endpoint_request(const Registry *r, const Endpoint *endpoint) {
        return (HttpRequest){
                        .allow_http = endpoint->allow_http,
                        .may_be_plain = host_may_be_plain,
                        .may_be_plain_userdata = r,
                        .tls = {.skip_verify = endpoint->skip_verify,
                                .ca = endpoint->certificates.ca,
                                .client = endpoint->certificates.client,
                                .key = endpoint->certificates.key},
                        .deadline = r->deadline,
                        .canceled = r->canceled,
        };
}

/* Asks for the root of the registry's API, without anything that is a secret, and whoever answers:
 * what speaks to whom is all that matters. As http_perform(). */
static int ping(const Registry *r, const Endpoint *endpoint, Http *http, const char *scheme,
                unsigned timeout_sec, HttpResponse *ret, Error *e) {
        HttpRequest request = endpoint_request(r, endpoint);
        _cleanup_free_ char *url = NULL;

        if (asprintf(&url, "%s://%s/v2/", scheme, endpoint->host) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        request.url = url;
        request.timeout_sec = timeout_sec;
        request.body = http_ignored_body;
        request.tls.skip_verify = true;
        return http_perform(http, &request, ret, e);
}

/* True if the host answers plain HTTP as a registry does. This is asked first where it is cheap:
 * at a port of this machine, which is one program's, and that without certificates. Who wants TLS
 * there answers otherwise (400) or not at all, and is asked in the other way, too. */
static bool is_plain(const Registry *r, const Endpoint *endpoint, Http *http) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        int k;

        if (!registry_host_is_loopback(endpoint->host) || !strchr(endpoint->host, ':') ||
            endpoint->certificates.ca || endpoint->certificates.client)
                return false;
        k = ping(r, endpoint, http, "http", PLAIN_TIMEOUT_SEC, &response, NULL);
        return k == 0 && (response.status == 200 || response.status == 401) &&
               !http_tls_begun(http); /* it led elsewhere */
}

/* Where both are allowed, HTTPS comes first. The answer itself does not matter, nor who gives it:
 * requests that do matter look at the certificate again. Called with the mutex held. */
static int find_scheme(const Registry *r, Endpoint *endpoint, Http *http, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_error_ Error ping_error = ERROR_NULL;
        int k;

        if (endpoint->scheme != SCHEME_UNKNOWN)
                return 0;
        if (is_plain(r, endpoint, http)) {
                endpoint->scheme = SCHEME_HTTP;
                return 0;
        }
        k = ping(r, endpoint, http, "https", REGISTRY_TIMEOUT_SEC, &response, &ping_error);
        /* one that wants a certificate refuses after that; the request that matters hears it */
        if (k == 0 || (k == CTR_UNAVAILABLE && http_tls_begun(http)))
                endpoint->scheme = SCHEME_HTTPS;
        else if (k == CTR_UNAVAILABLE && http_tls_failed(http))
                endpoint->scheme = SCHEME_HTTP;
        else if (k == CTR_UNAVAILABLE && !strchr(endpoint->host, ':'))
                endpoint->scheme = SCHEME_HTTP; /* nobody at the HTTPS port */
        else
                return error_propagate(e, k, &ping_error);
        return 0;
}

/* "scheme://host" of the endpoint. */
static int endpoint_origin(const Endpoint *endpoint, char **ret) {
        return asprintf(ret, "%s://%s", endpoint->scheme == SCHEME_HTTP ? "http" : "https",
                        endpoint->host) < 0
                               ? -ENOMEM
                               : 0;
}

/* The address of path, and whether our authorization may be sent there: an upload may be told to go
 * to another host. */
static int endpoint_url(const Endpoint *endpoint, const char *path, char **ret, bool *ret_ours) {
        _cleanup_free_ char *origin = NULL;
        const char *rest;
        int k;

        k = endpoint_origin(endpoint, &origin);
        if (k < 0)
                return k;
        *ret_ours = true;
        if (path[0] == '/')
                return asprintf(ret, "%s%s", origin, path) < 0 ? -ENOMEM : 0;
        if (strstr(path, "://")) {
                rest = startswith(path, origin);
                *ret_ours = rest && (*rest == '/' || *rest == '?' || !*rest);
                *ret = strdup(path);
                return *ret ? 0 : -ENOMEM;
        }
        return asprintf(ret, "%s/v2/%s/%s", origin, endpoint->repository, path) < 0 ? -ENOMEM : 0;
}

/* Credentials go nowhere in plain HTTP but to hosts that may be plain, whatever realm a registry
 * names. */
static bool realm_may_be_plain(const Registry *r, const Endpoint *endpoint, const char *realm) {
        _cleanup_free_ char *host = NULL;

        if (strncasecmp(realm, "https://", STRLEN("https://")) == 0)
                return endpoint->allow_http;
        if (strncasecmp(realm, "http://", STRLEN("http://")) != 0)
                return false;
        host = http_url_host(realm);
        return endpoint->allow_http && host && host_may_be_plain(host, r);
}

/* Gets the answer to a challenge, unless another thread has done so since we asked with used. */
static int answer_challenge(Registry *r, Endpoint *endpoint, Http *http, const char *text,
                            const char *used, Error *e) {
        HttpRequest template = endpoint_request(r, endpoint);
        Challenge challenge = {};
        char *answer = NULL;
        bool known;
        int k;

        (void) pthread_mutex_lock(&r->mutex);
        known = endpoint->authorization && !streq_ptr(endpoint->authorization, used);
        (void) pthread_mutex_unlock(&r->mutex);
        if (known)
                return 0;
        k = challenge_parse(text, &challenge, e);
        if (k == 0 && r->scope)
                k = free_and_strdup(&challenge.scope, r->scope);
        if (k == 0 && challenge.bearer) {
                template.allow_http = realm_may_be_plain(r, endpoint, challenge.realm);
                template.check_http = true;
        }
        if (k == 0)
                k = challenge_answer(&challenge, endpoint->credential, endpoint->host, http,
                                     &template, &answer, e);
        challenge_clear(&challenge);
        if (k != 0)
                return k;
        (void) pthread_mutex_lock(&r->mutex);
        secret_freep(&endpoint->authorization);
        endpoint->authorization = answer;
        (void) pthread_mutex_unlock(&r->mutex);
        return 0;
}

int endpoint_perform(Registry *r, Endpoint *endpoint, Http *http, const char *path,
                     HttpRequest *request, HttpResponse *ret, Error *e) {
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_secret_ char *authorization = NULL;
                _cleanup_free_ char *url = NULL;
                bool ours;
                int k;

                (void) pthread_mutex_lock(&r->mutex);
                k = find_scheme(r, endpoint, http, e);
                if (k == 0 && endpoint->authorization &&
                    !(authorization = strdup(endpoint->authorization)))
                        k = -ENOMEM;
                (void) pthread_mutex_unlock(&r->mutex);
                if (k == 0)
                        k = endpoint_url(endpoint, path, &url, &ours);
                if (k != 0)
                        return k;
                request->url = url;
                request->authorization = ours ? authorization : NULL;
                request->check_http = !ours && endpoint->scheme == SCHEME_HTTPS;
                k = http_perform(http, request, &response, e);
                request->url = request->authorization = NULL;
                if (k != 0)
                        return k;
                if (response.status != 401 || attempt > 0 || isempty(response.challenge) || !ours) {
                        *ret = response;
                        response = (HttpResponse){};
                        return 0;
                }
                k = answer_challenge(r, endpoint, http, response.challenge, authorization, e);
                if (k != 0)
                        return k;
        }
}

/* The sentence of the registry's error document, {"errors": [{"code", "message"}]}, or "". */
static void error_reason(const char *message, char buf[static REASON_MAX]) {
        _cleanup_json_ json_t *j = NULL;
        json_t *errors = NULL, *first;
        const char *s = NULL;

        buf[0] = '\0';
        if (!message || json_parse(message, strlen(message), "answer", &j, NULL) != 0)
                return;
        if (json_get_array(j, "", "errors", 1024, &errors, NULL) <= 0)
                return;
        first = json_array_get(errors, 0);
        if (first && json_get_string(first, "", "message", &s, NULL) > 0)
                (void) snprintf(buf, REASON_MAX, " (%s)", s);
}

int endpoint_busy(const Endpoint *endpoint, const HttpResponse *response, Error *e) {
        char reason[REASON_MAX], when[64] = "";

        error_reason(response->message, reason);
        if (response->retry_after > 0)
                (void) snprintf(when, sizeof(when), "; it may be asked again in %u s",
                                response->retry_after);
        return error_setf(e, CTR_UNAVAILABLE,
                          "The registry %s is asked too often at the moment%s%s", endpoint->host,
                          reason, when);
}

int endpoint_refusal(const Endpoint *endpoint, const char *what, const HttpResponse *response,
                     Error *e) {
        bool anonymous = !endpoint->credential;
        char reason[REASON_MAX];

        error_reason(response->message, reason);
        return error_setf(e, CTR_PERMISSION_DENIED, "The registry %s refuses access to %s%s%s%s%s",
                          endpoint->host, what, reason,
                          anonymous ? "; nobody is logged in: \"ctrctl login " : "",
                          anonymous ? endpoint->host : "", anonymous ? "\" does it" : "");
}

int endpoint_status_error(const Endpoint *endpoint, const char *what, const HttpResponse *response,
                          Error *e) {
        char reason[REASON_MAX], whole[REGISTRY_WHAT_SIZE + REFERENCE_MAX];

        error_reason(response->message, reason);
        switch (response->status) {
        case 404:
                return error_setf(e, CTR_NOT_FOUND, "%s/%s has no %s%s", endpoint->host,
                                  endpoint->repository, what, reason);
        case 401:
        case 403:
                (void) snprintf(whole, sizeof(whole), "%s of %s", what, endpoint->repository);
                return endpoint_refusal(endpoint, whole, response, e);
        case 429:
                return endpoint_busy(endpoint, response, e);
        default:
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s answers HTTP status %li for %s of %s%s",
                                  endpoint->host, response->status, what, endpoint->repository,
                                  reason);
        }
}

bool response_is_transient(const Http *http, int k, const HttpResponse *response) {
        return (k == CTR_UNAVAILABLE && http_may_retry(http)) ||
               (k == 0 && (response->status == 429 || response->status >= 500));
}

int registry_back_off(const Registry *r, unsigned attempt, const HttpResponse *response, Error *e) {
        uint64_t msec = (uint64_t) BACK_OFF_MSEC << MIN_OF(attempt, BACK_OFF_MAX);
        uint64_t end;

        if (response->retry_after > 0)
                msec = MIN_OF(response->retry_after, RETRY_AFTER_MAX) * UINT64_C(1000);
        end = now_monotonic() + msec * USEC_PER_MSEC;
        do {
                if (r->canceled && atomic_load(r->canceled))
                        return error_setf(e, CTR_CANCELED, "The job was canceled");
                if (r->deadline > 0 && now_monotonic() >= r->deadline)
                        return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                          "There is no time to wait until the registry %s answers",
                                          r->endpoints->host);
                (void) poll(NULL, 0, SLICE_MSEC);
        } while (now_monotonic() < end);
        return 0;
}
