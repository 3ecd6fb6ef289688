/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/http.h"

#include <curl/curl.h>
#include <strings.h>

#define REDIRECTS_MAX       5L
#define CONNECT_TIMEOUT_SEC 20L
/* a server that sends less than this many bytes per second over this time is given up */
#define STALL_BYTES      64L
#define STALL_SEC        30L
#define HEADER_MAX       (8 * 1024)
#define MESSAGE_MAX      4096
#define CURL_BUFFER_SIZE (256L * 1024)

struct Http {
        CURL *curl;
        CURLcode result;
        char error[CURL_ERROR_SIZE];

        /* of the request under way */
        const HttpRequest *request;
        HttpResponse *response;
        size_t message_size;
        uint64_t skip; /* bytes to drop: the server does not do ranges */
        bool body_begun;
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

/* Keeps the value of a header if it is of a sensible size; of several the last one counts, which is
 * that of the last answer in a chain of redirects. */
static void keep_header(char **p, const char *value, size_t n) {
        while (n > 0 && strchr(" \t\r\n", value[n - 1]))
                n--;
        while (n > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                n--;
        }
        free(*p);
        *p = n <= HEADER_MAX ? strndup(value, n) : NULL;
}

static size_t on_header(char *line, size_t size, size_t n, void *userdata) {
        HttpResponse *response = ((Http *) userdata)->response;
        const char *colon = memchr(line, ':', size * n), *end = line + size * n;
        size_t name;

        if (startswith(line, "HTTP/")) {
                http_response_clear(response);
                return size * n;
        }
        if (!colon)
                return size * n;
        name = (size_t) (colon - line);
        if (name == STRLEN("content-type") && strncasecmp(line, "content-type", name) == 0)
                keep_header(&response->content_type, colon + 1, (size_t) (end - colon - 1));
        else if (name == STRLEN("www-authenticate") &&
                 strncasecmp(line, "www-authenticate", name) == 0)
                keep_header(&response->challenge, colon + 1, (size_t) (end - colon - 1));
        else if (name == STRLEN("content-range") && strncasecmp(line, "content-range", name) == 0) {
                _cleanup_free_ char *value = NULL;
                unsigned long long start;

                keep_header(&value, colon + 1, (size_t) (end - colon - 1));
                response->has_range = value && sscanf(value, "bytes %llu-", &start) == 1;
                if (response->has_range)
                        response->range_start = start;
        }
        return size * n;
}

/* The body of an error says why, in the registry's words: kept for our sentence, made harmless for
 * terminals and logs. */
static void keep_message(Http *h, const char *data, size_t size) {
        HttpResponse *response = h->response;

        if (!response->message) {
                response->message = calloc(1, MESSAGE_MAX + 1);
                h->message_size = 0;
        }
        for (size_t i = 0; response->message && i < size && h->message_size < MESSAGE_MAX; i++)
                response->message[h->message_size++] =
                                data[i] >= ' ' && data[i] <= '~' ? data[i] : ' ';
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
                keep_message(h, data, total);
                return total;
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

static int on_progress(void *userdata, curl_off_t dl_total, curl_off_t dl, curl_off_t ul_total,
                       curl_off_t ul) {
        const Http *h = userdata;

        return h->request->canceled && atomic_load(h->request->canceled);
}

/* libcurl has the system's certificates built in; the variables are those of OpenSSL. */
static CURLcode set_certificates(CURL *c) {
        const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
        CURLcode r = CURLE_OK;

        if (!isempty(file))
                r = curl_easy_setopt(c, CURLOPT_CAINFO, file);
        if (r == CURLE_OK && !isempty(dir))
                r = curl_easy_setopt(c, CURLOPT_CAPATH, dir);
        return r;
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
            (r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, q->skip_verify ? 0L : 1L)) !=
                            CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, q->skip_verify ? 0L : 2L)) !=
                            CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_NOSIGNAL, 1L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_CONNECTTIMEOUT, CONNECT_TIMEOUT_SEC)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_TIMEOUT, (long) q->timeout_sec)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_LOW_SPEED_LIMIT, STALL_BYTES)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_LOW_SPEED_TIME, STALL_SEC)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_BUFFERSIZE, CURL_BUFFER_SIZE)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_ERRORBUFFER, h->error)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_HEADERFUNCTION, on_header)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_HEADERDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_WRITEFUNCTION, on_body)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_WRITEDATA, h)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_NOPROGRESS, 0L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_XFERINFOFUNCTION, on_progress)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_XFERINFODATA, h)) != CURLE_OK)
                return r;
        return set_certificates(c);
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

        switch (h->result) {
        case CURLE_ABORTED_BY_CALLBACK:
                return error_setf(e, CTR_CANCELED, "The job was canceled");
        case CURLE_OUT_OF_MEMORY:
                return -ENOMEM;
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
                return error_setf(e, CTR_UNAVAILABLE, "Failed to fetch %s: %s", h->request->url,
                                  reason);
        }
}

int http_get(Http *h, const HttpRequest *request, HttpResponse *ret, Error *e) {
        struct curl_slist *headers = NULL;
        HttpResponse response = {};
        int r;

        assert(h && request && request->url && request->body && ret);

        h->request = request;
        h->response = &response;
        h->body_result = 0;
        h->body_begun = false;
        h->skip = 0;
        h->e = e;
        *h->error = '\0';

        r = add_header(&headers, "Accept", request->accept);
        if (r == 0)
                r = add_header(&headers, "Authorization", request->authorization);
        if (r == 0) {
                h->result = set_options(h, headers);
                if (h->result == CURLE_OK)
                        h->result = curl_easy_perform(h->curl);
                if (h->body_result != 0)
                        r = h->body_result;
                else if (h->result != CURLE_OK)
                        r = transfer_error(h, e);
                else
                        (void) curl_easy_getinfo(h->curl, CURLINFO_RESPONSE_CODE, &response.status);
        }
        /* the handle must not keep pointers to what is gone */
        curl_easy_reset(h->curl);
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

void http_response_clear(HttpResponse *response) {
        free(response->content_type);
        free(response->challenge);
        free(response->message);
        *response = (HttpResponse){};
}

bool http_may_retry(const Http *h) {
        return h->result != CURLE_TOO_MANY_REDIRECTS &&
               h->result != CURLE_PEER_FAILED_VERIFICATION &&
               h->result != CURLE_UNSUPPORTED_PROTOCOL;
}

bool http_tls_failed(const Http *h) {
        return h->result == CURLE_SSL_CONNECT_ERROR;
}
