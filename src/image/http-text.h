/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * Small things that a request carries in memory: what it sends, what it is answered, and what
 * stands in its address.
 *
 * Invariant: no answer takes more memory than its HttpBuffer says.
 */

#include "image/http.h"

/* The source of something that is in memory; userdata is a const HttpText, which outlives the
 * request. */
typedef struct HttpText {
        const char *data;
        size_t size;
} HttpText;

int http_text_source(void *buffer, size_t size, uint64_t offset, size_t *ret_size, void *userdata,
                     Error *e);

/* A body that is taken into memory. */
typedef struct HttpBuffer {
        const char *what; /* in "%s is larger than %zu bytes" */
        size_t max;
        char *data; /* NUL-terminated; NULL: nothing came */
        size_t size;
} HttpBuffer;

/* The body function of one; userdata is an HttpBuffer. CTR_RESOURCE_EXHAUSTED if it is too small.
 */
int http_buffer_body(const void *data, size_t size, void *userdata, Error *e);
void http_buffer_clear(HttpBuffer *b);

/* The body function of an answer that nobody reads. */
int http_ignored_body(const void *data, size_t size, void *userdata, Error *e);

/* "host[:port]" of an address. A new string; NULL: it has none, or no memory. */
char *http_url_host(const char *url);

/* All but what RFC 3986 calls unreserved is percent-encoded. A new string; NULL: no memory. */
char *http_url_encode(const char *s);
