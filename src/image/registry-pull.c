/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The pull part of a Registry: whatever is read is asked of each endpoint in turn. */

#include "image/hash.h"
#include "image/http-text.h"
#include "image/manifest.h"
#include "image/registry-internal.h"

#define ATTEMPTS_MAX      64
#define IDLE_ATTEMPTS_MAX 4 /* that got hardly further */
#define PROGRESS_MIN      (16 * 1024)

/* Makes one request of every endpoint from the current one on until one succeeds. *ret_used is the
 * one that the answer (or the error) is from. */
static int ask(Registry *r, Http *http, const char *path, const HttpRequest *what,
               HttpResponse *ret, Endpoint **ret_used, Error *e) {
        size_t i;

        (void) pthread_mutex_lock(&r->mutex);
        i = r->current;
        (void) pthread_mutex_unlock(&r->mutex);
        for (;; i++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                Endpoint *endpoint = r->endpoints + i;
                HttpRequest request = endpoint_request(r, endpoint);
                bool good, last = i + 1 == r->n_endpoints;
                int k;

                request.method = what->method;
                request.accept = what->accept;
                request.offset = what->offset;
                request.timeout_sec = what->timeout_sec;
                request.body = what->body;
                request.userdata = what->userdata;
                k = endpoint_perform(r, endpoint, http, path, &request, &response, &local);
                good = k == 0 &&
                       (response.status == 200 || response.status == 206 || response.status == 416);
                *ret_used = endpoint;
                /* a body that has begun is to be taken up where it stopped, by our caller */
                if (!good && !last && k >= 0 && k != CTR_CANCELED && !http_body_begun(http))
                        continue;
                if (k != 0)
                        return error_propagate(e, k, &local);
                if (good) {
                        (void) pthread_mutex_lock(&r->mutex);
                        r->current = i;
                        (void) pthread_mutex_unlock(&r->mutex);
                }
                *ret = response;
                response = (HttpResponse){};
                return 0;
        }
}

/* A request for a manifest, with its attempts. buffer may be NULL: only the head. */
static int ask_manifest(Registry *r, Http *http, const char *name, HttpBuffer *buffer,
                        HttpResponse *ret, Endpoint **ret_used, Error *e) {
        _cleanup_free_ char *path = NULL;
        const HttpRequest request = {
                        .method = buffer ? NULL : "HEAD",
                        .accept = media_types_manifest_accept,
                        .timeout_sec = REGISTRY_TIMEOUT_SEC,
                        .body = http_buffer_body,
                        .userdata = buffer,
        };

        if (asprintf(&path, "manifests/%s", name) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                int k;

                if (buffer)
                        buffer->size = 0;
                k = ask(r, http, path, &request, &response, ret_used, &local);
                /* who cannot be reached at all is told of at once: most often the name is wrong */
                if (k != 0)
                        return error_propagate(e, k, &local);
                if (!response_is_transient(http, k, &response) ||
                    attempt + 1 == IDLE_ATTEMPTS_MAX) {
                        *ret = response;
                        response = (HttpResponse){};
                        return 0;
                }
                k = registry_back_off(r, attempt, &response, e);
                if (k != 0)
                        return k;
        }
}

int registry_get_manifest(Registry *r, Http *http, const char *tag_or_digest, size_t max,
                          char **ret_data, size_t *ret_size, char **ret_media_type, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        char what[REGISTRY_WHAT_SIZE];
        _cleanup_(http_buffer_clear)
                        HttpBuffer buffer = {.what = "The registry's manifest", .max = max};
        Endpoint *used;
        int k;

        assert(r && http && tag_or_digest && ret_data && ret_size && ret_media_type);

        k = ask_manifest(r, http, tag_or_digest, &buffer, &response, &used, e);
        if (k != 0)
                return k;
        (void) snprintf(what, sizeof(what), "manifest \"%s\"", tag_or_digest);
        if (response.status != 200)
                return endpoint_status_error(used, what, &response, e);
        if (buffer.size == 0)
                return error_setf(e, CTR_DATA_LOSS, "The registry %s sent an empty %s of %s",
                                  used->host, what, used->repository);
        *ret_size = buffer.size;
        *ret_data = TAKE_PTR(buffer.data);
        *ret_media_type = TAKE_PTR(response.content_type);
        return 0;
}

int registry_resolve(Registry *r, Http *http, const char *tag, size_t max, Digest *ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_free_ char *data = NULL, *media_type = NULL, *type = NULL;
        char what[REGISTRY_WHAT_SIZE];
        MediaKind kind;
        Endpoint *used;
        size_t size;
        int k;

        assert(r && http && tag && ret);

        k = ask_manifest(r, http, tag, NULL, &response, &used, e);
        if (k != 0)
                return k;
        (void) snprintf(what, sizeof(what), "manifest \"%s\"", tag);
        if (response.status == 401 || response.status == 403 || response.status == 404)
                return endpoint_status_error(used, what, &response, e);
        if (response.status == 200 && response.digest &&
            digest_parse(response.digest, ret, NULL) == 0)
                return 0;
        /* a registry that does not do HEAD, or does not tell the digest */
        k = registry_get_manifest(r, http, tag, max, &data, &size, &media_type, e);
        if (k != 0)
                return k;
        /* whatever answers for any address is no registry, and has no image */
        k = media_type_identify(data, size, media_type, what, &kind, &type, e);
        if (k != 0)
                return error_prefix(e, k, "%s/%s", used->host, used->repository);
        k = hash_buffer(DIGEST_SHA256, data, size, ret);
        return k < 0 ? error_setf(e, k, "Failed to compute a digest: %m") : 0;
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

/* The endpoint gave up on us: the others have their turn. False if there is none left. */
static bool use_next(Registry *r, const Endpoint *used) {
        size_t i = (size_t) (used - r->endpoints);
        bool more = i + 1 < r->n_endpoints;

        (void) pthread_mutex_lock(&r->mutex);
        if (more && r->current <= i)
                r->current = i + 1;
        (void) pthread_mutex_unlock(&r->mutex);
        return more;
}

int registry_get_blob(Registry *r, Http *http, const Digest *digest, uint64_t offset, HttpBody body,
                      void *userdata, Error *e) {
        BlobTransfer t = {.body = body, .userdata = userdata, .offset = offset};
        char what[REGISTRY_WHAT_SIZE], path[REGISTRY_WHAT_SIZE];
        unsigned idle = 0;

        assert(r && http && digest && body);

        (void) snprintf(what, sizeof(what), "blob %s", DIGEST_STRING(digest));
        (void) snprintf(path, sizeof(path), "blobs/%s", DIGEST_STRING(digest));
        for (unsigned attempt = 1;; attempt++) {
                const HttpRequest request = {.offset = t.offset, .body = on_blob, .userdata = &t};
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                Endpoint *used;
                bool transient;
                int k;

                k = ask(r, http, path, &request, &response, &used, &local);
                if (k == 0 && (response.status == 200 || response.status == 206))
                        return 0;
                /* nothing behind the offset: the registry's blob ends there */
                if (k == 0 && response.status == 416 && t.offset > 0)
                        return 0;
                idle = t.offset - request.offset >= PROGRESS_MIN ? 0 : idle + 1;
                transient = response_is_transient(http, k, &response);
                if (transient && idle == IDLE_ATTEMPTS_MAX && use_next(r, used))
                        idle = 0;
                if (!transient || idle == IDLE_ATTEMPTS_MAX || attempt == ATTEMPTS_MAX)
                        return k != 0 ? error_propagate(e, k, &local)
                                      : endpoint_status_error(used, what, &response, e);
                k = registry_back_off(r, idle, &response, e);
                if (k != 0)
                        return k;
        }
}
