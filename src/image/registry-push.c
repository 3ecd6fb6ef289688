/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The push part of a Registry ("Pushing blobs", "Pushing manifests" of the distribution
 * specification).
 */

#include <unistd.h>

#include "basic/strv.h"
#include "image/http-text.h"
#include "image/registry-internal.h"

#define ATTEMPTS_MAX      64
#define IDLE_ATTEMPTS_MAX 4 /* that got nothing further */

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
        base.body = http_ignored_body;
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

int registry_will_push(Registry *r, char *const *from) {
        _cleanup_free_ char *scope = NULL;

        assert(r);

        if (asprintf(&scope, "repository:%s:pull,push", push_endpoint(r)->repository) < 0) {
                scope = NULL;
                return -ENOMEM;
        }
        STRV_FOREACH(name, from) {
                char *longer;

                if (asprintf(&longer, "%s repository:%s:pull", scope, *name) < 0)
                        return -ENOMEM;
                free(scope);
                scope = longer;
        }
        free(r->scope);
        r->scope = TAKE_PTR(scope);
        return 0;
}

int registry_find_blob(Registry *r, Http *http, const Digest *digest, char *const *from,
                       RegistryBlob *ret, Error *e) {
        bool found = false;
        int k;

        assert(r && http && digest && ret);

        k = head_blob(r, http, digest, &found, e);
        if (k != 0)
                return k;
        if (found) {
                *ret = REGISTRY_BLOB_EXISTS;
                return 0;
        }
        STRV_FOREACH(name, from) {
                k = mount_blob(r, http, digest, *name, &found, e);
                if (k != 0)
                        return k;
                if (found)
                        break;
        }
        *ret = found ? REGISTRY_BLOB_MOUNTED : REGISTRY_BLOB_MISSING;
        return 0;
}

/* A blob on its way out. */
typedef struct Upload {
        const RegistryUpload *what;
        char *location;  /* where it goes on; NULL: not begun */
        uint64_t offset; /* what the registry has taken */
} Upload;

static void upload_forget(Upload *u) {
        free(u->location);
        u->location = NULL;
        u->offset = 0;
}

static int upload_read(void *buffer, size_t size, uint64_t offset, size_t *ret_size, void *userdata,
                       Error *e) {
        const Upload *u = userdata;
        uint64_t position = u->offset + offset;
        ssize_t n;

        n = pread(u->what->fd, buffer, (size_t) MIN_OF((uint64_t) size, u->what->size - position),
                  (off_t) position);
        if (n < 0)
                return error_setf(e, -errno, "Failed to read a blob: %m");
        if (n == 0 && position < u->what->size)
                return error_setf(e, CTR_DATA_LOSS, "The blob %s is shorter than it should be",
                                  DIGEST_STRING(u->what->digest));
        if (u->what->sent)
                atomic_store(u->what->sent, position + (uint64_t) n);
        *ret_size = (size_t) n;
        return 0;
}

static int upload_begin(Registry *r, Http *http, Upload *u, HttpResponse *ret, Error *e) {
        int k;

        k = ask(r, http, "POST", "blobs/uploads/", NULL, ret, e);
        if (k != 0 || ret->status != 202)
                return k;
        if (isempty(ret->location))
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s does not say where to upload to",
                                  push_endpoint(r)->host);
        u->location = TAKE_PTR(ret->location);
        return 0;
}

/* One chunk; the next one goes to the place that the answer names. */
static int upload_chunk(Registry *r, Http *http, Upload *u, HttpResponse *ret, Error *e) {
        uint64_t size = MIN_OF(u->what->chunk, u->what->size - u->offset);
        char range[64];
        HttpRequest request = {
                        .content_type = "application/octet-stream",
                        .content_range = range,
                        .source = upload_read,
                        .source_size = size,
                        .source_userdata = u,
        };
        int k;

        (void) snprintf(range, sizeof(range), "%llu-%llu", (unsigned long long) u->offset,
                        (unsigned long long) (u->offset + size - 1));
        k = ask(r, http, "PATCH", u->location, &request, ret, e);
        if (k != 0 || ret->status != 202)
                return k;
        u->offset += size;
        if (!isempty(ret->location)) {
                free(u->location);
                u->location = TAKE_PTR(ret->location);
        }
        return 0;
}

static int upload_finish(Registry *r, Http *http, Upload *u, HttpResponse *ret, Error *e) {
        _cleanup_free_ char *path = NULL;
        HttpRequest request = {
                        .content_type = "application/octet-stream",
                        .source = upload_read,
                        .source_size = u->what->size - u->offset,
                        .source_userdata = u,
        };

        if (asprintf(&path, "%s%sdigest=%s", u->location, strchr(u->location, '?') ? "&" : "?",
                     DIGEST_STRING(u->what->digest)) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        return ask(r, http, "PUT", path, &request, ret, e);
}

/* Goes on with an upload until something is refused: *ret is the last answer, 201 at the end. */
static int upload_go_on(Registry *r, Http *http, Upload *u, HttpResponse *ret, Error *e) {
        int k = 0;

        ret->status = 202;
        if (!u->location)
                k = upload_begin(r, http, u, ret, e);
        while (k == 0 && ret->status == 202 && u->what->chunk > 0 && u->offset < u->what->size) {
                http_response_clear(ret);
                k = upload_chunk(r, http, u, ret, e);
        }
        if (k != 0 || ret->status != 202)
                return k;
        http_response_clear(ret);
        return upload_finish(r, http, u, ret, e);
}

/* After a failure: how far the registry has got, where there are chunks; from the start where it
 * does not say. */
static void upload_recover(Registry *r, Http *http, Upload *u) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        unsigned long long last;

        if (u->what->chunk == 0 || !u->location ||
            ask(r, http, NULL, u->location, NULL, &response, NULL) != 0 ||
            response.status / 100 != 2 || isempty(response.range) ||
            (sscanf(response.range, "0-%llu", &last) != 1 &&
             sscanf(response.range, "bytes=0-%llu", &last) != 1) ||
            last >= u->what->size) {
                upload_forget(u);
                return;
        }
        /* an empty one is "0-0", too: a single byte is sent again rather than missed */
        u->offset = last > 0 ? last + 1 : 0;
        if (!isempty(response.location)) {
                free(u->location);
                u->location = TAKE_PTR(response.location);
        }
}

static int upload_run(Registry *r, Http *http, Upload *u, Error *e) {
        char what[REGISTRY_WHAT_SIZE];
        unsigned idle = 0;

        (void) snprintf(what, sizeof(what), "blob %s", DIGEST_STRING(u->what->digest));
        for (unsigned attempt = 1;; attempt++) {
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                uint64_t before = u->offset;
                bool again;
                int k;

                k = upload_go_on(r, http, u, &response, &local);
                if (k == 0 && response.status == 201)
                        return 0;
                idle = u->offset > before ? 1 : idle + 1;
                /* 404: the registry has forgotten the upload; 416: it stands elsewhere */
                again = response_is_transient(http, k, &response) ||
                        (k == 0 && u->location &&
                         (response.status == 404 || response.status == 416));
                if (!again || idle == IDLE_ATTEMPTS_MAX || attempt == ATTEMPTS_MAX)
                        return k != 0 ? error_propagate(e, k, &local)
                                      : endpoint_status_error(push_endpoint(r), what, &response, e);
                k = registry_back_off(r, idle - 1, &response, e);
                if (k != 0)
                        return k;
                upload_recover(r, http, u);
        }
}

int registry_put_blob(Registry *r, Http *http, const RegistryUpload *upload, Error *e) {
        Upload u = {.what = upload};
        int k;

        assert(r && http && upload && upload->digest && upload->fd >= 0);

        k = upload_run(r, http, &u, e);
        upload_forget(&u);
        return k;
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
                HttpText text = {.data = data, .size = size};
                HttpRequest request = {
                                .content_type = media_type,
                                .source = http_text_source,
                                .source_size = size,
                                .source_userdata = &text,
                };
                int k;

                k = ask(r, http, "PUT", path, &request, &response, &local);
                if (k == 0 && (response.status == 201 || response.status == 200))
                        return 0;
                if (!response_is_transient(http, k, &response) || attempt + 1 == IDLE_ATTEMPTS_MAX)
                        return k != 0 ? error_propagate(e, k, &local)
                                      : endpoint_status_error(push_endpoint(r), what, &response, e);
                k = registry_back_off(r, attempt, &response, e);
                if (k != 0)
                        return k;
        }
}
