/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/http-text.h"

#include <curl/curl.h>

int http_text_source(void *buffer, size_t size, uint64_t offset, size_t *ret_size, void *userdata,
                     Error *e) {
        const HttpText *t = userdata;

        assert(offset <= t->size);

        *ret_size = MIN_OF(size, t->size - (size_t) offset);
        memcpy(buffer, t->data + offset, *ret_size);
        return 0;
}

int http_buffer_body(const void *data, size_t size, void *userdata, Error *e) {
        HttpBuffer *b = userdata;
        char *larger;

        if (size > b->max - b->size)
                return error_setf(e, CTR_RESOURCE_EXHAUSTED, "%s is larger than %zu bytes", b->what,
                                  b->max);
        larger = realloc(b->data, b->size + size + 1);
        if (!larger)
                return -ENOMEM;
        b->data = larger;
        memcpy(b->data + b->size, data, size);
        b->size += size;
        b->data[b->size] = '\0';
        return 0;
}

void http_buffer_clear(HttpBuffer *b) {
        free(b->data);
        b->data = NULL;
        b->size = 0;
}

int http_ignored_body(const void *data, size_t size, void *userdata, Error *e) {
        return 0;
}

char *http_url_host(const char *url) {
        char *name = NULL, *port = NULL, *host = NULL;
        CURLU *parts = curl_url();

        if (parts && curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK &&
            curl_url_get(parts, CURLUPART_HOST, &name, 0) == CURLUE_OK) {
                (void) curl_url_get(parts, CURLUPART_PORT, &port, 0);
                if (asprintf(&host, "%s%s%s", name, port ? ":" : "", strempty(port)) < 0)
                        host = NULL;
        }
        curl_free(name);
        curl_free(port);
        curl_url_cleanup(parts);
        return host;
}

char *http_url_encode(const char *s) {
        static const char unreserved[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
                                         "0123456789-._~";
        char *encoded = malloc(3 * strlen(s) + 1), *p = encoded;

        if (!encoded)
                return NULL;
        for (; *s; s++)
                if (strchr(unreserved, *s))
                        *p++ = *s;
                else
                        p += sprintf(p, "%%%02X", (unsigned char) *s);
        *p = '\0';
        return encoded;
}
