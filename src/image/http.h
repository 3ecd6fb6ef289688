/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * One HTTP request at a time over a kept connection. Everything a server can do to us is bounded
 * here: redirects, header and error body sizes, time without progress. What it answers is told
 * apart from not reaching it: any status is a success of this layer, and only bodies with status
 * 200 or 206 are given to the caller's function.
 */

#include <stdatomic.h>

#include "basic/error.h"

typedef struct Http Http;

/* Takes a piece of the body. 0 to go on, an error (set in e) ends the transfer with it. */
typedef int (*HttpBody)(const void *data, size_t size, void *userdata, Error *e);

/* Gives a piece of what is sent, from offset on: at most size bytes into buffer, *ret_size 0 at the
 * end. What was given may be asked for again: a request can have to be sent anew. */
typedef int (*HttpSource)(void *buffer, size_t size, uint64_t offset, size_t *ret_size,
                          void *userdata, Error *e);

/* Whether plain HTTP may be spoken with a host ("host[:port]") that somebody else has named. */
typedef bool (*HttpMayBePlain)(const char *host, const void *userdata);

/* How to speak TLS. What it points to lives as long as the request. */
typedef struct HttpTls {
        bool skip_verify;   /* accept any certificate */
        const char *ca;     /* certificates in PEM, trusted besides the system's; NULL: none */
        const char *client; /* path of our certificate, NULL: none */
        const char *key;    /* and of its key */
} HttpTls;

typedef struct HttpRequest {
        const char *method; /* NULL: GET */
        const char *url;
        const char *accept;        /* value of the Accept header; NULL for any */
        const char *authorization; /* value of the Authorization header or NULL; not sent to another
                                    * host by a redirect */
        uint64_t offset;           /* the body function gets the bytes from here on */
        bool allow_http;           /* plain HTTP, also by a redirect; but of those from HTTPS only
                                    * the ones to hosts that may_be_plain is true for */
        bool check_http;           /* ask may_be_plain for the address itself and all redirects */
        HttpMayBePlain may_be_plain; /* NULL: none may */
        const void *may_be_plain_userdata;
        HttpTls tls;
        unsigned timeout_sec; /* for the whole request; 0: only stalls end it */
        uint64_t deadline;    /* of all that the request is a part of: now_monotonic(); 0: none */
        HttpBody body;
        void *userdata;
        const char *content_type, *content_range; /* of what is sent; may be NULL */
        HttpSource source;                        /* NULL: nothing is sent */
        uint64_t source_size;
        void *source_userdata;
        const atomic_bool *canceled; /* may be NULL */
} HttpRequest;

typedef struct HttpResponse {
        long status;
        char *content_type; /* NULL if the header was not there */
        char *challenge;    /* WWW-Authenticate; of several, one of the scheme Bearer */
        char *location;
        char *digest;         /* Docker-Content-Digest */
        char *range;          /* Range: what of an upload is there */
        unsigned retry_after; /* seconds; 0: the header was not there, or is a date */
        bool has_range;       /* a Content-Range header came, which starts at: */
        uint64_t range_start;
        char *message; /* the start of the body of an unsuccessful answer, printable */
} HttpResponse;

/* Once per process, before there are threads. */
int http_initialize(void);

int http_new(Http **ret);
Http *http_free(Http *h);
DEFINE_CLEANUP(Http *, http_free);

/* Seconds from an environment variable, 1 to 3600, or what is the rule: for lines and registries
 * that are slower than we think, and for tests. */
long http_time_limit(const char *variable, long fallback_sec);

/* A method other than GET and HEAD follows no redirect. 0 for any status; CTR_UNAVAILABLE if the
 * server cannot be reached, stalls, redirects in a loop or cuts the connection;
 * CTR_PERMISSION_DENIED if it redirects to a forbidden protocol, or to plain HTTP where that is not
 * allowed; CTR_DEADLINE_EXCEEDED if the request's deadline passes; CTR_RESOURCE_EXHAUSTED for too
 * large headers; CTR_CANCELED; what the body
 * function returned. */
int http_perform(Http *h, const HttpRequest *request, HttpResponse *ret, Error *e);
void http_response_clear(HttpResponse *response);

/* False if the last http_perform() ended in a way that another attempt cannot change. */
bool http_may_retry(const Http *h) _pure_;

/* True if the last http_perform() failed because the other side does not speak TLS. */
bool http_tls_failed(const Http *h) _pure_;

/* True if the last request of the last http_perform(), which may have been redirected, had a
 * connection on which TLS was spoken, whatever came after that. */
bool http_tls_begun(const Http *h) _pure_;

/* True if the last http_perform() gave something to the body function. */
bool http_body_begun(const Http *h) _pure_;
