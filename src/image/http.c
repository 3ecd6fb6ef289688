/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <strings.h>

#include "basic/clock.h"
#include "image/http-internal.h"
#include "image/http-text.h"

#define REDIRECTS_MAX       5L
#define CONNECT_TIMEOUT_SEC 20L
/* a server that sends less than this many bytes per second over this time is given up */
#define STALL_BYTES      64L
#define STALL_SEC        30L
#define CURL_BUFFER_SIZE (256L * 1024)

#define TIME_LIMIT_MAX_SEC 3600L

struct Http {
        CURL *curl;
        CURLcode result;
        char error[CURL_ERROR_SIZE];

        /* of the request under way */
        const HttpRequest *request;
        HttpResponse *response;
        bool message_full; /* the transfer was ended: nobody reads more of an error */
        uint64_t skip;     /* bytes to drop: the server does not do ranges */
        uint64_t sent;     /* what the source was asked for so far */
        bool body_begun, tls_begun;
        bool downgraded; /* the transfer was ended: it led to plain HTTP */
        bool expired;    /* ... its time is over */
        int body_result;
        Error *e;
};

int http_initialize(void) {
        return curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK ? 0 : -ENOMEM;
}

int http_new(Http **ret) {
        _cleanup_(http_freep) Http *h = NULL;

        assert(ret);

        h = calloc(1, sizeof(Http));
        if (!h)
                return -ENOMEM;
        h->curl = curl_easy_init();
        if (!h->curl)
                return -ENOMEM;
        *ret = TAKE_PTR(h);
        return 0;
}

Http *http_free(Http *h) {
        if (!h)
                return NULL;
        curl_easy_cleanup(h->curl);
        free(h);
        return NULL;
}

static size_t on_header(char *line, size_t size, size_t n, void *userdata) {
        const Http *h = userdata;

        http_response_add_header(h->response, line, size * n);
        return size * n;
}

/* Sees to it that the body starts at the offset asked for. */
static int begin_body(Http *h, long status) {
        const HttpRequest *q = h->request;

        h->body_begun = true;
        if (status == 200) {
                h->skip = q->offset;
                return 0;
        }
        if (!h->response->has_range || h->response->range_start != q->offset)
                return error_setf(h->e, CTR_UNAVAILABLE,
                                  "%s sent another range than bytes from %llu on", q->url,
                                  (unsigned long long) q->offset);
        return 0;
}

static size_t on_body(char *data, size_t size, size_t n, void *userdata) {
        size_t total = size * n, skip;
        Http *h = userdata;
        long status = 0;

        (void) curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
        if (status != 200 && status != 206) {
                h->message_full = !http_response_add_message(h->response, data, total);
                return h->message_full ? CURL_WRITEFUNC_ERROR : total;
        }
        if (!h->body_begun)
                h->body_result = begin_body(h, status);
        skip = MIN_OF(h->skip, total);
        h->skip -= skip;
        if (h->body_result == 0 && total > skip)
                h->body_result = h->request->body(data + skip, total - skip, h->request->userdata,
                                                  h->e);
        return h->body_result == 0 ? total : CURL_WRITEFUNC_ERROR;
}

static size_t on_read(char *buffer, size_t size, size_t n, void *userdata) {
        Http *h = userdata;
        size_t length = 0;

        h->body_result = h->request->source(buffer, size * n, h->sent, &length,
                                            h->request->source_userdata, h->e);
        h->sent += length;
        return h->body_result == 0 ? length : CURL_READFUNC_ABORT;
}

/* A kept connection that the server had closed is noticed when something was sent already. */
static int on_seek(void *userdata, curl_off_t offset, int origin) {
        Http *h = userdata;

        if (origin != SEEK_SET || offset < 0)
                return CURL_SEEKFUNC_CANTSEEK;
        h->sent = (uint64_t) offset;
        return CURL_SEEKFUNC_OK;
}

static bool may_be_plain(const Http *h) {
        _cleanup_free_ char *host = NULL;
        const char *url = NULL;

        if (!h->request->may_be_plain ||
            curl_easy_getinfo(h->curl, CURLINFO_EFFECTIVE_URL, &url) != CURLE_OK || !url)
                return false;
        host = http_url_host(url);
        return host && h->request->may_be_plain(host, h->request->may_be_plain_userdata);
}

/* A request goes out: over a connection on which TLS is spoken already, be it a kept one, or over
 * one without. */
static int on_connected(void *userdata, char *address, char *own_address, int port, int own_port) {
        const char *scheme = NULL;
        Http *h = userdata;
        bool check = h->tls_begun || h->request->check_http;

        h->tls_begun = curl_easy_getinfo(h->curl, CURLINFO_SCHEME, &scheme) == CURLE_OK && scheme &&
                       strcasecmp(scheme, "https") == 0;
        h->downgraded = check && !h->tls_begun && !may_be_plain(h);
        return h->downgraded ? CURL_PREREQFUNC_ABORT : CURL_PREREQFUNC_OK;
}

static int on_progress(void *userdata, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
                       curl_off_t ul) {
        Http *h = userdata;

        h->expired = h->request->deadline > 0 && now_monotonic() >= h->request->deadline;
        return h->expired || (h->request->canceled && atomic_load(h->request->canceled));
}

/* The method and what is sent with it. */
static CURLcode set_method(Http *h) {
        const HttpRequest *q = h->request;
        CURL *c = h->curl;
        CURLcode r;

        if (q->method && streq(q->method, "HEAD"))
                return curl_easy_setopt(c, CURLOPT_NOBODY, 1L);
        if (!q->method)
                return CURLE_OK;
        if ((r = curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 0L)) != CURLE_OK)
                return r;
        if (!q->source) {
                r = curl_easy_setopt(c, CURLOPT_POSTFIELDS, "");
                return r == CURLE_OK ? curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method) : r;
        }
        if ((r = curl_easy_setopt(c, CURLOPT_UPLOAD, 1L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_CUSTOMREQUEST, q->method)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_INFILESIZE_LARGE, (curl_off_t) q->source_size)) !=
                            CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_READFUNCTION, on_read)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_READDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_SEEKFUNCTION, on_seek)) != CURLE_OK)
                return r;
        return curl_easy_setopt(c, CURLOPT_SEEKDATA, h);
}

long http_time_limit(const char *variable, long fallback_sec) {
        const char *text = getenv(variable);
        char *end;
        long sec;

        if (isempty(text))
                return fallback_sec;
        sec = strtol(text, &end, 10);
        return *end || sec < 1 || sec > TIME_LIMIT_MAX_SEC ? fallback_sec : sec;
}

static CURLcode set_options(Http *h, struct curl_slist *headers) {
        const HttpRequest *q = h->request;
        CURL *c = h->curl;
        char range[32];
        CURLcode r;

        curl_easy_reset(c);
        (void) snprintf(range, sizeof(range), "%llu-", (unsigned long long) q->offset);
        if ((r = curl_easy_setopt(c, CURLOPT_URL, q->url)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_HTTPHEADER, headers)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_RANGE, q->offset > 0 ? range : NULL)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_PROTOCOLS_STR,
                                  q->allow_http ? "https,http" : "https")) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_REDIR_PROTOCOLS_STR,
                                  q->allow_http ? "https,http" : "https")) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_FOLLOWLOCATION, 1L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_MAXREDIRS, REDIRECTS_MAX)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_TIMEOUT, (long) q->timeout_sec)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME,
                                  http_time_limit("CTR_STALL_SEC", STALL_SEC))) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_BUFFERSIZE, CURL_BUFFER_SIZE)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_HEADERDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_WRITEDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_PREREQFUNCTION, on_connected)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_PREREQDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_XFERINFODATA, h)) != CURLE_OK)
                return r;
        r = set_method(h);
        return r == CURLE_OK ? http_set_tls(c, &q->tls) : r;
}

static int add_header(struct curl_slist **headers, const char *name, const char *value) {
        _cleanup_free_ char *line = NULL;
        struct curl_slist *longer;

        if (!value)
                return 0;
        if (asprintf(&line, "%s: %s", name, value) < 0) {
                line = NULL;
                return -ENOMEM;
        }
        longer = curl_slist_append(*headers, line);
        if (!longer)
                return -ENOMEM;
        *headers = longer;
        return 0;
}

static bool is_redirect(const Http *h) {
        long status = 0;

        (void) curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &status);
        return status / 100 == 3;
}

static int transfer_error(Http *h, Error *e) {
        const char *reason = *h->error ? h->error : curl_easy_strerror(h->result);

        if (h->downgraded)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "%s leads to plain HTTP with a host that is not configured as "
                                  "insecure",
                                  h->request->url);
        if (h->expired)
                return error_setf(e, CTR_DEADLINE_EXCEEDED,
                                  "%s was not through in the time that there is", h->request->url);
        switch (h->result) {
        case CURLE_ABORTED_BY_CALLBACK:
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        case CURLE_OUT_OF_MEMORY:
                /* the latter is what libcurl says of more than it takes, too */
                return error_setf(e, CTR_RESOURCE_EXHAUSTED,
                                  "There is not enough memory for %s, or the headers of the answer "
                                  "are too large",
                                  h->request->url);
        case CURLE_URL_MALFORMAT:
                return error_setf(e, CTR_INVALID_ARGUMENT, "The address %s is not valid",
                                  h->request->url);
        case CURLE_UNSUPPORTED_PROTOCOL:
                /* also what an answer that is no HTTP gives */
                if (is_redirect(h))
                        return error_setf(e, CTR_PERMISSION_DENIED,
                                          "%s leads to plain HTTP or another protocol that is not "
                                          "allowed: %s",
                                          h->request->url, reason);
                _fallthrough_;
        default:
                return error_setf(e, CTR_UNAVAILABLE, "Failed to %s %s: %s",
                                  h->request->source ? "send to" : "fetch", h->request->url,
                                  reason);
        }
}

/* libcurl 7.88 does nothing but fail with a handle whose name resolution has failed. Connections
 * that failed are of no use either. */
static void renew_handle(Http *h) {
        CURL *fresh = curl_easy_init();

        if (!fresh)
                return; /* the old one may do */
        curl_easy_cleanup(h->curl);
        h->curl = fresh;
}

int http_perform(Http *h, const HttpRequest *request, HttpResponse *ret, Error *e) {
        struct curl_slist *headers = NULL;
        HttpResponse response = {};
        int r;

        assert(h && request && request->url && request->body && ret);

        h->request = request;
        h->response = &response;
        h->result = CURLE_OK;
        h->body_result = 0;
        h->body_begun = h->tls_begun = h->downgraded = h->expired = false;
        h->skip = h->sent = 0;
        h->message_full = false;
        h->e = e;
        *h->error = '\0';

        r = add_header(&headers, "Accept", request->accept);
        if (r == 0)
                r = add_header(&headers, "Authorization", request->authorization);
        if (r == 0)
                r = add_header(&headers, "Content-Type", request->content_type);
        if (r == 0)
                r = add_header(&headers, "Content-Range", request->content_range);
        if (r == 0) {
                h->result = set_options(h, headers);
                if (h->result == CURLE_OK)
                        h->result = curl_easy_perform(h->curl);
                if (h->body_result != 0)
                        r = h->body_result;
                else if (h->result != CURLE_OK && !h->message_full)
                        r = transfer_error(h, e);
                else
                        (void) curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &response.status);
        }
        /* the handle must not keep pointers to what is gone */
        curl_easy_reset(h->curl);
        if (h->result != CURLE_OK)
                renew_handle(h);
        curl_slist_free_all(headers);
        h->request = NULL;
        h->response = NULL;
        h->e = NULL;
        if (r != 0) {
                http_response_clear(&response);
                return r;
        }
        *ret = response;
        return 0;
}

bool http_may_retry(const Http *h) {
        return h->result != CURLE_TOO_MANY_REDIRECTS &&
               h->result != CURLE_PEER_FAILED_VERIFICATION &&
               h->result != CURLE_UNSUPPORTED_PROTOCOL;
}

bool http_tls_failed(const Http *h) {
        return h->result == CURLE_SSL_CONNECT_ERROR;
}

bool http_tls_begun(const Http *h) {
        return h->tls_begun;
}

bool http_body_begun(const Http *h) {
        return h->body_begun;
}
