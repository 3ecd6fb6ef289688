/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What a server answers, piece by piece as it comes (http-response.c), and who it has to be
 * (http-tls.c), for the transfer (http.c).
 *
 * Invariant: of an answer nothing is kept but a few headers of bounded size and the start of an
 * unsuccessful one's body.
 */

#include <curl/curl.h>

#include "image/http.h"

/* Takes a line of the headers, which ends nowhere but after size bytes. A status line begins a new
 * answer: of a chain of redirects the headers of the last one count. */
void http_response_add_header(HttpResponse *response, const char *line, size_t size);

/* Takes a piece of the body of an unsuccessful answer, which says why in the server's words; it is
 * made harmless for terminals and logs. False when no more of it is wanted. */
bool http_response_add_message(HttpResponse *response, const char *data, size_t size);

/* Sets whose certificates are trusted and what ours is; tls lives as long as the transfer. */
CURLcode http_set_tls(CURL *c, const HttpTls *tls);
