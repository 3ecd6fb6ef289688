/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The search part of a Registry. There is no standard for it: some have what the first version of
 * the API had (/v1/search), some the list of their repositories (/v2/_catalog), in pages. */

#include "basic/json.h"
#include "basic/strv.h"
#include "image/http-text.h"
#include "image/registry-internal.h"

#define ATTEMPTS_MAX      4
#define DOCUMENT_MAX      (4 * 1024 * 1024)
#define CATALOG_MAX       10000
#define CATALOG_PAGE      1000U
#define CATALOG_PAGES_MAX 100
/* some send all that they have at once; the document is bounded as well */
#define CATALOG_SENT_MAX 1000000
#define DESCRIPTION_MAX  1024 /* bytes */

/* One document of the registry's, in a few attempts. Any status is a success. */
static int fetch(Registry *r, Http *http, const char *path, HttpBuffer *text, HttpResponse *ret,
                 Error *e) {
        for (unsigned attempt = 0;; attempt++) {
                HttpRequest request = endpoint_request(r, r->endpoints);
                _cleanup_(http_response_clear) HttpResponse response = {};
                _cleanup_error_ Error local = ERROR_NULL;
                int k;

                text->size = 0;
                request.accept = "application/json";
                request.timeout_sec = REGISTRY_TIMEOUT_SEC;
                request.body = http_buffer_body;
                request.userdata = text;
                k = endpoint_perform(r, r->endpoints, http, path, &request, &response, &local);
                if (k != 0)
                        return error_propagate(e, k, &local);
                if (!response_is_transient(http, k, &response) || attempt + 1 == ATTEMPTS_MAX) {
                        *ret = response;
                        response = (HttpResponse){};
                        return 0;
                }
                k = registry_back_off(r, attempt, &response, e);
                if (k != 0)
                        return k;
        }
}

/* A name without the path that all names are below; NULL for one that is not. */
static const char *name_below(const RegistrySearch *search, const char *name) {
        if (!*search->path)
                return name;
        name = startswith(name, search->path);
        return name && *name == '/' ? name + 1 : NULL;
}

/* What the image is called here: 0 and NULL for what is no name, or not of this registry. */
static int image_name(const RegistrySearch *search, const char *name, char **ret) {
        _cleanup_reference_ Reference reference = {};
        _cleanup_free_ char *whole = NULL;
        int k;

        *ret = NULL;
        name = name_below(search, name);
        if (!name || strpbrk(name, ":@ "))
                return 0;
        if (asprintf(&whole, "%s/%s", search->host, name) < 0) {
                whole = NULL;
                return -ENOMEM;
        }
        k = reference_parse(whole, &reference, NULL);
        if (k != 0)
                return MIN_OF(k, 0);
        return asprintf(ret, "%s/%s", reference.registry, reference.repository) < 0 ? -ENOMEM : 0;
}

/* At most so many bytes of a text, and no half of a character. */
static size_t text_prefix(const char *s, size_t max) {
        size_t n = strnlen(s, max + 1);

        if (n <= max)
                return n;
        for (n = max; n > 0 && ((unsigned char) s[n] & 0xc0) == 0x80; n--)
                ;
        return n;
}

/* Takes over nothing; item is what the registry says besides, or NULL. */
static int add_found(const RegistrySearch *search, const char *name, const json_t *item,
                     json_t *found) {
        const char *description = strempty(json_string_value(json_object_get(item, "description")));
        json_int_t stars = json_integer_value(json_object_get(item, "star_count"));
        _cleanup_free_ char *image = NULL;
        int k;

        k = image_name(search, name, &image);
        if (k < 0 || !image)
                return k;
        return json_array_append_new(
                               found,
                               json_pack("{s:s, s:s%, s:I, s:b}", "name", image, "description",
                                         description, text_prefix(description, DESCRIPTION_MAX),
                                         "stars", MAX_OF(stars, (json_int_t) 0), "official",
                                         json_is_true(json_object_get(item, "is_official")))) < 0
                               ? -ENOMEM
                               : 0;
}

/* *ret: whether the registry has a search. Whatever it answers else, its catalog may tell. */
static int search_index(Registry *r, Http *http, const RegistrySearch *search, json_t *found,
                        bool *ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_free_ char *path = NULL, *term = NULL;
        _cleanup_json_ json_t *document = NULL;
        json_t *results = NULL, *item;
        _cleanup_(http_buffer_clear)
                        HttpBuffer text = {.what = "The registry's answer", .max = DOCUMENT_MAX};
        size_t i, n = 0;
        int k;

        *ret = false;
        term = http_url_encode(search->term);
        if (!term || asprintf(&path, "/v1/search?q=%s&n=%zu", term, search->max) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = fetch(r, http, path, &text, &response, e);
        if (k != 0)
                return k;
        if (response.status != 200 || !text.data ||
            json_parse(text.data, text.size, "search", &document, NULL) != 0 ||
            json_get_array(document, "", "results", CATALOG_MAX, &results, NULL) != 1)
                return 0;
        *ret = true;
        json_array_foreach(results, i, item) {
                const char *name = json_string_value(json_object_get(item, "name"));

                if (name && n++ < search->max && (k = add_found(search, name, item, found)) < 0)
                        return k;
        }
        return 0;
}

/* The endpoint's repository is what is searched for: no name to be told. */
static int catalog_error(const Endpoint *endpoint, const HttpResponse *response, Error *e) {
        switch (response->status) {
        case 404:
                return error_setf(e, CTR_NOT_FOUND, "The registry %s has no search and no catalog",
                                  endpoint->host);
        case 401:
        case 403:
                return endpoint_refusal(endpoint, "its catalog", response, e);
        case 429:
                return endpoint_busy(endpoint, response, e);
        default:
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry %s answers HTTP status %li for its catalog",
                                  endpoint->host, response->status);
        }
}

/* The names of the catalog behind the name last; NULL: the first ones. */
static int read_page(Registry *r, Http *http, const char *last, char ***ret, Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        _cleanup_free_ char *path = NULL, *from = NULL;
        _cleanup_json_ json_t *document = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_(http_buffer_clear)
                        HttpBuffer text = {.what = "The registry's answer", .max = DOCUMENT_MAX};
        int k;

        from = http_url_encode(strempty(last));
        if (!from || asprintf(&path, "/v2/_catalog?n=%u%s%s", CATALOG_PAGE, last ? "&last=" : "",
                              from) < 0) {
                path = NULL;
                return -ENOMEM;
        }
        k = fetch(r, http, path, &text, &response, e);
        if (k != 0)
                return k;
        /* some have no page behind the last one */
        if (last && response.status == 404)
                return 0;
        if (response.status != 200 || !text.data)
                return catalog_error(r->endpoints, &response, e);
        k = json_parse(text.data, text.size, "the catalog", &document, &local);
        if (k == 0) {
                k = json_get_strv(document, "", "repositories", CATALOG_SENT_MAX, ret, &local);
                k = MIN_OF(k, 0);
        }
        if (k == 0 || k == -ENOMEM)
                return k;
        return error_setf(e, CTR_DATA_LOSS, "The registry %s sent a catalog that is none: %s",
                          r->endpoints->host, error_text(&local));
}

/* Goes on as long as there is something new, and names are left that count. */
static int search_catalog(Registry *r, Http *http, const RegistrySearch *search, json_t *found,
                          Error *e) {
        size_t end = json_array_size(found) + search->max, seen = 0;
        _cleanup_free_ char *last = NULL;

        for (unsigned i = 0; i < CATALOG_PAGES_MAX && seen < CATALOG_MAX; i++) {
                _cleanup_strv_free_ char **names = NULL;
                size_t n;
                int k;

                k = read_page(r, http, last, &names, e);
                if (k != 0)
                        return k;
                n = strv_length(names);
                if (n == 0 || streq_ptr(last, names[n - 1]))
                        return 0;
                STRV_FOREACH(name, names) {
                        if (json_array_size(found) == end || seen++ == CATALOG_MAX)
                                return 0;
                        if (strcasestr(strempty(name_below(search, *name)), search->term) &&
                            (k = add_found(search, *name, NULL, found)) < 0)
                                return k;
                }
                k = free_and_strdup(&last, names[n - 1]);
                if (k < 0)
                        return k;
        }
        return 0;
}

int registry_search(Registry *r, Http *http, const RegistrySearch *search, json_t *found,
                    Error *e) {
        bool has_search;
        int k;

        assert(r && http && search && found && r->n_endpoints == 1);

        r->deadline = search->deadline;
        k = search_index(r, http, search, found, &has_search, e);
        return k != 0 || has_search ? k : search_catalog(r, http, search, found, e);
}
