/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/registry.h"

#include <poll.h>
#include <pthread.h>

#include "basic/json.h"
#include "image/auth.h"
#include "image/manifest.h"

#define MANIFEST_TIMEOUT_SEC 60
#define ATTEMPTS_MAX         64
#define IDLE_ATTEMPTS_MAX    4 /* that got no byte further */
#define RETRY_MSEC           250
#define REASON_MAX           200

typedef enum Scheme {
        SCHEME_UNKNOWN,
        SCHEME_HTTPS,
        SCHEME_HTTP,
} Scheme;

struct Registry {
        char *host, *repository;
        bool allow_http, skip_verify;
        const atomic_bool *canceled;

        pthread_mutex_t mutex; /* protects what follows */
        Scheme scheme;
        char *authorization;
};

int registry_new(const RegistryEndpoint *endpoint, const atomic_bool *canceled, Registry **ret,
                 Error *e) {
        _cleanup_(registry_freep) Registry *r = NULL;

        assert(endpoint && ret);

        r = calloc(1, sizeof(Registry));
        if (!r)
                return -ENOMEM;
        (void) pthread_mutex_init(&r->mutex, NULL);
        r->canceled = canceled;
        r->allow_http = endpoint->insecure || registry_host_is_loopback(endpoint->host);
        r->skip_verify = endpoint->insecure;
        r->scheme = r->allow_http ? SCHEME_UNKNOWN : SCHEME_HTTPS;
        r->host = strdup(endpoint->host);
        r->repository = strdup(endpoint->repository);
        if (!r->host || !r->repository)
                return -ENOMEM;
        *ret = TAKE_PTR(r);
        return 0;
}

Registry *registry_free(Registry *r) {
        if (!r)
                return NULL;
        (void) pthread_mutex_destroy(&r->mutex);
        free(r->host);
        free(r->repository);
        free(r->authorization);
        free(r);
        return NULL;
}

static HttpRequest base_request(const Registry *r) {
        return (HttpRequest){
                        .allow_http = r->allow_http,
                        .skip_verify = r->skip_verify,
                        .canceled = r->canceled,
        };
}

static int on_ignored(const void *data, size_t size, void *userdata, Error *e) {
        return 0;
}

/* Where both are allowed, HTTPS is tried first. The answer itself does not matter. Called with the
 * mutex held. */
static int find_scheme(Registry *r, Http *http, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_error_ Error ping_error = ERROR_NULL;
        _cleanup_free_ char *url = NULL;
        HttpRequest request = base_request(r);
        int k;

        if (r->scheme != SCHEME_UNKNOWN)
                return 0;
        if (asprintf(&url, "https://%s/v2/", r->host) < 0) {
                url = NULL;
                return -ENOMEM;
        }
        request.url = url;
        request.timeout_sec = MANIFEST_TIMEOUT_SEC;
        request.body = on_ignored;
        k = http_get(http, &request, &response, &ping_error);
        if (k == 0)
                r->scheme = SCHEME_HTTPS;
        else if (k == CTR_UNAVAILABLE && http_tls_failed(http))
                r->scheme = SCHEME_HTTP;
        else if (k == CTR_UNAVAILABLE && !strchr(r->host, ':'))
                r->scheme = SCHEME_HTTP; /* nobody at the HTTPS port */
        else
                return error_move(e, &ping_error);
        return 0;
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

static int status_error(const Registry *r, const char *what, const HttpResponse *response,
                        Error *e) {
        char reason[REASON_MAX];

        error_reason(response->message, reason);
        switch (response->status) {
        case 404:
                return error_setf(e, CTR_NOT_FOUND, "%s/%s has no %s%s", r->host, r->repository,
                                  what, reason);
        case 401:
        case 403:
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The registry %s refuses access to %s of %s%s", r->host, what,
                                  r->repository, reason);
        case 429:
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s is asked too often at the moment%s", r->host,
                                  reason);
        default:
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s answers HTTP status %li for %s of %s%s", r->host,
                                  response->status, what, r->repository, reason);
        }
}

/* One GET below the repository. A 401 is answered once, with a token that everybody may have. */
static int get(Registry *r, Http *http, const char *kind, const char *name, HttpRequest *request,
               HttpResponse *ret, Error *e) {
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_free_ char *url = NULL, *authorization = NULL;
                HttpResponse response = {};
                Challenge challenge = {};
                int k;

                (void) pthread_mutex_lock(&r->mutex);
                k = find_scheme(r, http, e);
                if (k == 0 && r->authorization && !(authorization = strdup(r->authorization)))
                        k = -ENOMEM;
                (void) pthread_mutex_unlock(&r->mutex);
                if (k != 0)
                        return k;
                if (asprintf(&url, "%s://%s/v2/%s/%s/%s",
                             r->scheme == SCHEME_HTTP ? "http" : "https", r->host, r->repository,
                             kind, name) < 0) {
                        url = NULL;
                        return -ENOMEM;
                }
                request->url = url;
                request->authorization = authorization;
                k = http_get(http, request, &response, e);
                if (k != 0)
                        return k;
                if (response.status != 401 || attempt > 0 || isempty(response.challenge)) {
                        *ret = response;
                        return 0;
                }

                k = challenge_parse(response.challenge, &challenge, e);
                http_response_clear(&response);
                if (k == 0 && !challenge.bearer)
                        k = error_setf(e, CTR_PERMISSION_DENIED,
                                       "The registry %s wants a user name and a password", r->host);
                if (k == 0) {
                        HttpRequest template = base_request(r);
                        char *token = NULL;

                        k = challenge_get_token(&challenge, http, &template, &token, e);
                        if (k == 0) {
                                (void) pthread_mutex_lock(&r->mutex);
                                free(r->authorization);
                                r->authorization = token;
                                (void) pthread_mutex_unlock(&r->mutex);
                        }
                }
                challenge_clear(&challenge);
                if (k != 0)
                        return k;
        }
}

typedef struct Buffer {
        char *data;
        size_t size, max;
} Buffer;

static int on_manifest(const void *data, size_t size, void *userdata, Error *e) {
        Buffer *b = userdata;
        char *larger;

        if (size > b->max - b->size)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "The registry's manifest is larger than %zu bytes", b->max);
        larger = realloc(b->data, b->size + size + 1);
        if (!larger)
                return -ENOMEM;
        b->data = larger;
        memcpy(b->data + b->size, data, size);
        b->size += size;
        b->data[b->size] = '\0';
        return 0;
}

int registry_get_manifest(Registry *r, Http *http, const char *tag_or_digest, size_t max,
                          char **ret_data, size_t *ret_size, char **ret_media_type, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_free_ char *what = NULL, *data = NULL;
        HttpRequest request = base_request(r);
        Buffer buffer = {.max = max};
        int k;

        assert(r && http && tag_or_digest && ret_data && ret_size && ret_media_type);

        request.accept = media_types_manifest_accept;
        request.timeout_sec = MANIFEST_TIMEOUT_SEC;
        request.body = on_manifest;
        request.userdata = &buffer;
        k = get(r, http, "manifests", tag_or_digest, &request, &response, e);
        data = buffer.data;
        if (k != 0)
                return k;
        if (asprintf(&what, "manifest \"%s\"", tag_or_digest) < 0) {
                what = NULL;
                return -ENOMEM;
        }
        if (response.status != 200)
                return status_error(r, what, &response, e);
        if (!data)
                return error_setf(e, CTR_DATA_LOSS, "The registry %s sent an empty %s of %s",
                                  r->host, what, r->repository);
        *ret_data = TAKE_PTR(data);
        *ret_size = buffer.size;
        *ret_media_type = TAKE_PTR(response.content_type);
        return 0;
}

typedef struct BlobTransfer {
        HttpBody body;
        void *userdata;
        uint64_t offset; /* behind the last byte that went to body */
} BlobTransfer;

static int on_blob(const void *data, size_t size, void *userdata, Error *e) {
        BlobTransfer *t = userdata;
        int r;

        r = t->body(data, size, t->userdata, e);
        if (r == 0)
                t->offset += size;
        return r;
}

/* True for what another attempt may cure. */
static bool is_transient(const Http *http, int k, const HttpResponse *response) {
        return (k == CTR_UNAVAILABLE && http_may_retry(http)) ||
               (k == 0 && (response->status == 429 || response->status >= 500));
}

int registry_get_blob(Registry *r, Http *http, const Digest *digest, uint64_t offset, HttpBody body,
                      void *userdata, Error *e) {
        BlobTransfer t = {.body = body, .userdata = userdata, .offset = offset};
        unsigned idle_attempts = 0;
        char what[DIGEST_STRING_SIZE + 8];

        assert(r && http && digest && body);

        (void) snprintf(what, sizeof(what), "blob %s", DIGEST_STRING(digest));
        for (unsigned attempt = 1;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error attempt_error = ERROR_NULL;
                HttpRequest request = base_request(r);
                int k;

                request.offset = t.offset;
                request.body = on_blob;
                request.userdata = &t;
                k = get(r, http, "blobs", DIGEST_STRING(digest), &request, &response,
                        &attempt_error);
                if (k == 0 && (response.status == 200 || response.status == 206))
                        return 0;
                /* nothing behind the offset: the registry's blob ends there */
                if (k == 0 && response.status == 416 && t.offset > 0)
                        return 0;
                idle_attempts = t.offset > request.offset ? 0 : idle_attempts + 1;
                if (!is_transient(http, k, &response) || idle_attempts == IDLE_ATTEMPTS_MAX ||
                    attempt == ATTEMPTS_MAX)
                        return k != 0 ? error_move(e, &attempt_error)
                                      : status_error(r, what, &response, e);
                (void) poll(NULL, 0, RETRY_MSEC << idle_attempts);
        }
}
