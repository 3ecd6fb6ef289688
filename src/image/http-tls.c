/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/http-internal.h"

/* libcurl has the system's certificates built in; the variables are those of OpenSSL. */
static CURLcode set_authorities(CURL *c, const HttpTls *tls) {
        const char *file = getenv("SSL_CERT_FILE"), *dir = getenv("SSL_CERT_DIR");
        struct curl_blob ca = {.data = (void *) tls->ca, .flags = CURL_BLOB_NOCOPY};
        CURLcode r;

        if (!isempty(file) && (r = curl_easy_setopt(c, CURLOPT_CAINFO, file)) != CURLE_OK)
                return r;
        if (!isempty(dir) && (r = curl_easy_setopt(c, CURLOPT_CAPATH, dir)) != CURLE_OK)
                return r;
        if (!tls->ca)
                return CURLE_OK;
        ca.len = strlen(tls->ca);
        return curl_easy_setopt(c, CURLOPT_CAINFO_BLOB, &ca);
}

/* Certificates that nobody is checked against are not read either: that takes longer than all the
 * rest of a pull of what is there. */
static CURLcode set_no_authorities(CURL *c) {
        CURLcode r;

        if ((r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYPEER, 0L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_SSL_VERIFYHOST, 0L)) != CURLE_OK ||
            (r = curl_easy_setopt(c, CURLOPT_CAINFO, NULL)) != CURLE_OK)
                return r;
        return curl_easy_setopt(c, CURLOPT_CAPATH, NULL);
}

CURLcode http_set_tls(CURL *c, const HttpTls *tls) {
        CURLcode r = tls->skip_verify ? set_no_authorities(c) : set_authorities(c, tls);

        if (r != CURLE_OK || !tls->client)
                return r;
        r = curl_easy_setopt(c, CURLOPT_SSLCERT, tls->client);
        return r == CURLE_OK ? curl_easy_setopt(c, CURLOPT_SSLKEY, tls->key) : r;
}
