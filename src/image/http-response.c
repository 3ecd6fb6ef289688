/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include <strings.h>

#include "image/http-internal.h"

#define HEADER_MAX  (8 * 1024)
#define MESSAGE_MAX 4096

void http_response_clear(HttpResponse *response) {
        free(response->content_type);
        free(response->challenge);
        free(response->location);
        free(response->digest);
        free(response->range);
        free(response->message);
        *response = (HttpResponse){};
}

/* The value of a header line behind its name, if it is of a sensible size. */
static char *header_value(const char *value, size_t n) {
        while (n > 0 && strchr(" \t\r\n", value[n - 1]))
                n--;
        while (n > 0 && (*value == ' ' || *value == '\t')) {
                value++;
                n--;
        }
        return n <= HEADER_MAX ? strndup(value, n) : NULL;
}

static bool is_bearer(const char *challenge) {
        return challenge && strncasecmp(challenge, "Bearer", STRLEN("Bearer")) == 0;
}

/* Of several challenges the one that we would rather answer is kept. */
static void keep_challenge(HttpResponse *response, char *value) {
        if (is_bearer(response->challenge) && !is_bearer(value)) {
                free(value);
                return;
        }
        free(response->challenge);
        response->challenge = value;
}

static void keep_range(HttpResponse *response, const char *value) {
        unsigned long long start;

        response->has_range = value && sscanf(value, "bytes %llu-", &start) == 1;
        if (response->has_range)
                response->range_start = start;
}

static void keep_retry_after(HttpResponse *response, const char *value) {
        unsigned seconds;

        response->retry_after = value && sscanf(value, "%9u", &seconds) == 1 ? seconds : 0;
}

static void keep_header(HttpResponse *response, const char *name, size_t n, char *value) {
        const struct {
                const char *name;
                char **field;
        } plain[] = {{"content-type", &response->content_type},
                     {"location", &response->location},
                     {"docker-content-digest", &response->digest},
                     {"range", &response->range}};

        for (size_t i = 0; i < ELEMENTSOF(plain); i++)
                if (strlen(plain[i].name) == n && strncasecmp(name, plain[i].name, n) == 0) {
                        free(*plain[i].field);
                        *plain[i].field = value;
                        return;
                }
        if (n == STRLEN("www-authenticate") && strncasecmp(name, "www-authenticate", n) == 0) {
                keep_challenge(response, value);
                return;
        }
        if (n == STRLEN("content-range") && strncasecmp(name, "content-range", n) == 0)
                keep_range(response, value);
        else if (n == STRLEN("retry-after") && strncasecmp(name, "retry-after", n) == 0)
                keep_retry_after(response, value);
        free(value);
}

void http_response_add_header(HttpResponse *response, const char *line, size_t size) {
        const char *colon = memchr(line, ':', size), *end = line + size;

        if (size >= STRLEN("HTTP/") && memcmp(line, "HTTP/", STRLEN("HTTP/")) == 0)
                http_response_clear(response);
        else if (colon)
                keep_header(response, line, (size_t) (colon - line),
                            header_value(colon + 1, (size_t) (end - colon - 1)));
}

bool http_response_add_message(HttpResponse *response, const char *data, size_t size) {
        size_t used;

        if (!response->message)
                response->message = calloc(1, MESSAGE_MAX + 1);
        if (!response->message)
                return false;
        used = strlen(response->message);
        for (size_t i = 0; i < size && used < MESSAGE_MAX; i++)
                response->message[used++] = data[i] >= ' ' && data[i] <= '~' ? data[i] : ' ';
        return used < MESSAGE_MAX;
}
