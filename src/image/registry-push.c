/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The push part of a Registry ("Pushing blobs", "Pushing manifests" of the distribution
 * specification). Each request that carries data follows one that does not, so that a challenge is
 * answered before anything is sent.
 */

#include <unistd.h>

#include "image/registry-internal.h"

#define ATTEMPTS_MAX 4

static int on_ignored(const void *data, size_t size, void *userdata, Error *e) {
        return 0;
}

static Endpoint *push_endpoint(Registry *r) {
        return r->endpoints + r->n_endpoints - 1;
}

/* A request with a short answer that nobody reads. */
static int ask(Registry *r, Http *http, const char *method, const char *path, HttpRequest *request,
               HttpResponse *ret, Error *e) {
        Endpoint *endpoint = push_endpoint(r);
        HttpRequest base = endpoint_request(r, endpoint);

        if (request) {
                base.content_type = request->content_type;
                base.content_range = request->content_range;
                base.source = request->source;
                base.source_size = request->source_size;
                base.source_userdata = request->source_userdata;
        } else
                base.timeout_sec = REGISTRY_TIMEOUT_SEC;
        base.method = method;
        base.body = on_ignored;
        return endpoint_perform(r, endpoint, http, path, &base, ret, e);
}

static int head_blob(Registry *r, Http *http, const Digest *digest, bool *ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        char path[REGISTRY_WHAT_SIZE];
        int k;

        (void) snprintf(path, sizeof(path), "blobs/%s", DIGEST_STRING(digest));
        k = ask(r, http, "HEAD", path, NULL, &response, e);
        if (k != 0)
                return k;
        if (response.status != 200 && response.status != 404)
                return endpoint_status_error(push_endpoint(r), "the blobs", &response, e);
        *ret = response.status == 200;
        return 0;
}

/* 201: it is ours now. Everything else means that it has to be uploaded. */
static int mount_blob(Registry *r, Http *http, const Digest *digest, const char *from, bool *ret,
                      Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {}, canceled = {};
        _cleanup_free_ char *path = NULL;
        int k;

        if (asprintf(&path, "blobs/uploads/?mount=%s&from=%s", DIGEST_STRING(digest), from) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = ask(r, http, "POST", path, NULL, &response, e);
        if (k != 0)
                return k;
        *ret = response.status == 201;
        /* a session was opened instead, which nobody will use */
        if (response.status == 202 && response.location)
                (void) ask(r, http, "DELETE", response.location, NULL, &canceled, NULL);
        return 0;
}

int registry_has_blob(Registry *r, Http *http, const Digest *digest, const char *from, bool *ret,
                      Error *e) {
        bool found = false;
        int k;

        assert(r && http && digest && ret);

        k = head_blob(r, http, digest, &found, e);
        if (k == 0 && !found && from)
                k = mount_blob(r, http, digest, from, &found, e);
        if (k != 0)
                return k;
        *ret = found;
        return 0;
}

/* A piece of a file on its way out. */
typedef struct Piece {
        int fd;
        uint64_t offset, end;
} Piece;

static int piece_read(void *buffer, size_t size, size_t *ret_size, void *userdata, Error *e) {
        Piece *p = userdata;
        ssize_t n;

        n = pread(p->fd, buffer, (size_t) MIN_OF((uint64_t) size, p->end - p->offset),
                  (off_t) p->offset);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read a blob: %m");
        if (n == 0 && p->offset < p->end)
                return error_setf(e, CTR_DATA_LOSS, "A blob is shorter than it should be");
        p->offset += (uint64_t) n;
        *ret_size = (size_t) n;
        return 0;
}

static int begin_upload(Registry *r, Http *http, char **ret_location, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        Endpoint *endpoint = push_endpoint(r);
        int k;

        k = ask(r, http, "POST", "blobs/uploads/", NULL, &response, e);
        if (k != 0)
                return k;
        if (response.status != 202)
                return endpoint_status_error(endpoint, "an upload", &response, e);
        if (isempty(response.location))
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s does not say where to upload to",
                                  endpoint->host);
        *ret_location = TAKE_PTR(response.location);
        return 0;
}

/* One chunk; the next one goes to the place that the answer names. */
static int send_chunk(Registry *r, Http *http, Piece *piece, char **location, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        char range[64];
        HttpRequest request = {
                        .content_type = "application/octet-stream",
                        .content_range = range,
                        .source = piece_read,
                        .source_size = piece->end - piece->offset,
                        .source_userdata = piece,
        };
        int k;

        (void) snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long) piece->offset,
                        (unsigned long long) (piece->end - 1));
        k = ask(r, http, "PATCH", *location, &request, &response, e);
        if (k != 0)
                return k;
        if (response.status != 202)
                return endpoint_status_error(push_endpoint(r), "a chunk of a blob", &response, e);
        if (!isempty(response.location)) {
                free(*location);
                *location = TAKE_PTR(response.location);
        }
        return 0;
}

static int finish_upload(Registry *r, Http *http, const Digest *digest, const char *location,
                         Piece *piece, HttpResponse *ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        HttpRequest request = {
                        .content_type = "application/octet-stream",
                        .source = piece_read,
                        .source_size = piece->end - piece->offset,
                        .source_userdata = piece,
        };

        if (asprintf(&path, "%s%sdigest=%s", location, strchr(location, '?') ? "&" : "?",
                     DIGEST_STRING(digest)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return ask(r, http, "PUT", path, &request, ret, e);
}

static int upload(Registry *r, Http *http, const Digest *digest, int fd, uint64_t size,
                  uint64_t chunk, HttpResponse *ret, Error *e) {
        _cleanup_free_ char *location = NULL;
        uint64_t offset = 0;
        Piece rest;
        int k;

        k = begin_upload(r, http, &location, e);
        while (k == 0 && chunk > 0 && size - offset > 0) {
                Piece piece = {.fd = fd,
                               .offset = offset,
                               .end = offset + MIN_OF(chunk, size - offset)};

                k = send_chunk(r, http, &piece, &location, e);
                offset = piece.end;
        }
        if (k != 0)
                return k;
        rest = (Piece){.fd = fd, .offset = offset, .end = size};
        return finish_upload(r, http, digest, location, &rest, ret, e);
}

int registry_put_blob(Registry *r, Http *http, const Digest *digest, int fd, uint64_t size,
                      uint64_t chunk, Error *e) {
        char what[REGISTRY_WHAT_SIZE];

        assert(r && http && digest && fd >= 0);

        (void) snprintf(what, sizeof(what), "blob %s", DIGEST_STRING(digest));
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                int k;

                k = upload(r, http, digest, fd, size, chunk, &response, &local);
                if (k == 0 && response.status == 201)
                        return 0;
                if (!response_is_transient(http, k, &response) || attempt + 1 == ATTEMPTS_MAX)
                        return k != 0 ? error_move(e, &local)
                                      : endpoint_status_error(push_endpoint(r), what, &response, e);
                k = registry_back_off(r, attempt, &response, e);
                if (k != 0)
                        return k;
        }
}

typedef struct Text {
        const char *p;
        size_t left;
} Text;

static int text_read(void *buffer, size_t size, size_t *ret_size, void *userdata, Error *e) {
        Text *t = userdata;

        *ret_size = MIN_OF(size, t->left);
        memcpy(buffer, t->p, *ret_size);
        t->p += *ret_size;
        t->left -= *ret_size;
        return 0;
}

int registry_put_manifest(Registry *r, Http *http, const char *tag_or_digest,
                          const char *media_type, const char *data, size_t size, Error *e) {
        char what[REGISTRY_WHAT_SIZE];
        _cleanup_free_ char *path = NULL;

        assert(r && http && tag_or_digest && media_type && data);

        if (asprintf(&path, "manifests/%s", tag_or_digest) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        (void) snprintf(what, sizeof(what), "manifest \"%s\"", tag_or_digest);
        for (unsigned attempt = 0;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                Text text = {.p = data, .left = size};
                HttpRequest request = {
                                .content_type = media_type,
                                .source = text_read,
                                .source_size = size,
                                .source_userdata = &text,
                };
                int k;

                k = ask(r, http, "PUT", path, &request, &response, &local);
                if (k == 0 && (response.status == 201 || response.status == 200))
                        return 0;
                if (!response_is_transient(http, k, &response) || attempt + 1 == ATTEMPTS_MAX)
                        return k != 0 ? error_move(e, &local)
                                      : endpoint_status_error(push_endpoint(r), what, &response, e);
                k = registry_back_off(r, attempt, &response, e);
                if (k != 0)
                        return k;
        }
}
