/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/auth.h"

#include <strings.h>

#include "basic/json.h"
#include "image/http-text.h"

#define TOKEN_ANSWER_MAX  (64 * 1024)
#define TOKEN_TIMEOUT_SEC 60

void challenge_clear(Challenge *c) {
        free(c->realm);
        free(c->service);
        free(c->scope);
        *c = (Challenge){};
}

/* A token or a quoted string; *s goes behind it. NULL if there is none or memory is short. */
static char *read_value(const char **s) {
        const char *p = *s;
        size_t n = 0;
        char *value;

        value = malloc(strlen(p) + 1);
        if (!value)
                return NULL;
        if (*p == '"') {
                for (p++; *p && *p != '"'; p++) {
                        if (*p == '\\' && p[1])
                                p++;
                        value[n++] = *p;
                }
                if (*p++ != '"') {
                        free(value);
                        return NULL;
                }
        } else
                while (*p && !strchr(" \t,", *p))
                        value[n++] = *p++;
        value[n] = '\0';
        *s = p;
        return value;
}

static int read_parameter(const char **s, Challenge *c) {
        size_t n = strcspn(*s, "= \t,");
        const char *name = *s;
        char *value, **field = NULL;

        *s += n;
        *s += strspn(*s, " \t");
        if (n == 0 || **s != '=')
                return -EBADMSG;
        (*s)++;
        *s += strspn(*s, " \t");
        value = read_value(s);
        if (!value)
                return -EBADMSG;
        if (n == 5 && strncasecmp(name, "realm", n) == 0)
                field = &c->realm;
        else if (n == 7 && strncasecmp(name, "service", n) == 0)
                field = &c->service;
        else if (n == 5 && strncasecmp(name, "scope", n) == 0)
                field = &c->scope;
        if (field && !*field)
                *field = value;
        else
                free(value);
        *s += strspn(*s, " \t");
        if (**s == ',')
                (*s)++;
        else if (**s)
                return -EBADMSG;
        *s += strspn(*s, " \t,");
        return 0;
}

int challenge_parse(const char *s, Challenge *ret, Error *e) {
        size_t n = strcspn(s, " \t");
        const char *p = s + n;
        Challenge c = {};

        c.bearer = n == STRLEN("Bearer") && strncasecmp(s, "Bearer", n) == 0;
        p += strspn(p, " \t");
        while (c.bearer && *p)
                if (read_parameter(&p, &c) < 0) {
                        challenge_clear(&c);
                        return error_setf(
                                        e, CTR_UNAVAILABLE,
                                        "The registry's challenge \"%.200s\" cannot be understood",
                                        s);
                }
        if (c.bearer && isempty(c.realm)) {
                challenge_clear(&c);
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The registry's challenge \"%.200s\" names no realm", s);
        }
        *ret = c;
        return 0;
}

/* "&scope=A&scope=B" for the scope "A B": what Docker's token servers take. */
static char *token_scopes(const char *scope) {
        _cleanup_free_ char *copy = NULL, *query = NULL;
        char *part, *state = NULL;

        copy = strdup(strempty(scope));
        query = strdup("");
        if (!copy || !query)
                return NULL;
        for (part = strtok_r(copy, " ", &state); part; part = strtok_r(NULL, " ", &state)) {
                _cleanup_free_ char *encoded = http_url_encode(part);
                char *longer;

                if (!encoded || asprintf(&longer, "%s&scope=%s", query, encoded) < 0)
                        return NULL;
                free(query);
                query = longer;
        }
        return TAKE_PTR(query);
}

static char *token_url(const Challenge *c, const Credential *credential) {
        _cleanup_free_ char *service = NULL, *scope = NULL, *account = NULL;
        char *url;

        service = http_url_encode(strempty(c->service));
        scope = token_scopes(c->scope);
        account = http_url_encode(credential ? strempty(credential->username) : "");
        if (!service || !scope || !account)
                return NULL;
        if (asprintf(&url, "%s%sservice=%s%s%s%s", c->realm, strchr(c->realm, '?') ? "&" : "?",
                     service, scope, *account ? "&account=" : "", account) < 0)
                return NULL;
        return url;
}

/* The body of an OAuth2 request for a token (RFC 6749, section 6). */
static char *token_form(const Challenge *c, const Credential *credential) {
        _cleanup_free_ char *service = NULL, *scope = NULL;
        _cleanup_secret_ char *token = NULL;
        char *form;

        service = http_url_encode(strempty(c->service));
        scope = http_url_encode(strempty(c->scope));
        token = http_url_encode(credential->identity_token);
        if (!service || !scope || !token)
                return NULL;
        if (asprintf(&form,
                     "grant_type=refresh_token&client_id=ctr&service=%s&scope=%s&refresh_token=%s",
                     service, scope, token) < 0)
                return NULL;
        return form;
}

static int token_from_answer(const Challenge *c, const HttpBuffer *answer, char **ret, Error *e) {
        _cleanup_json_ json_t *j = NULL;
        const char *token = NULL;
        int r;

        r = json_parse(answer->data, answer->size, "The token server's answer", &j, e);
        if (r != 0)
                return r;
        if (json_get_string(j, "", "token", &token, NULL) <= 0 &&
            json_get_string(j, "", "access_token", &token, NULL) <= 0)
                return error_setf(e, CTR_UNAVAILABLE, "The token server %s sent no token",
                                  c->realm);
        /* it goes into a header line */
        if (strpbrk(token, "\r\n"))
                return error_setf(e, CTR_UNAVAILABLE, "The token server %s sent a bad token",
                                  c->realm);
        return asprintf(ret, "Bearer %s", token) < 0 ? -ENOMEM : 0;
}

static int token_request(const Challenge *c, Http *http, HttpRequest *request, char **ret,
                         Error *e) {
        _cleanup_(http_response_clear) HttpResponse response = {};
        HttpBuffer answer = {.what = "The token server's answer", .max = TOKEN_ANSWER_MAX};
        _cleanup_secret_ char *data = NULL;
        int r;

        request->accept = "application/json";
        request->offset = 0;
        request->timeout_sec = TOKEN_TIMEOUT_SEC;
        request->body = http_buffer_body;
        request->userdata = &answer;
        r = http_perform(http, request, &response, e);
        data = answer.data;
        if (r != 0)
                return r;
        if (response.status == 429 || response.status >= 500)
                return error_setf(e, CTR_UNAVAILABLE,
                                  "The token server %s cannot answer (HTTP status %li)", c->realm,
                                  response.status);
        if (response.status != 200 || !data)
                return error_setf(e, CTR_PERMISSION_DENIED,
                                  "The token server %s refused (HTTP status %li)", c->realm,
                                  response.status);
        return token_from_answer(c, &answer, ret, e);
}

static int get_token(const Challenge *c, const Credential *credential, Http *http,
                     const HttpRequest *template, char **ret, Error *e) {
        _cleanup_secret_ char *authorization = NULL, *body = NULL;
        _cleanup_free_ char *url = NULL;
        HttpRequest request = *template;
        HttpText text;
        int r;

        if (credential && credential->identity_token) {
                body = token_form(c, credential);
                if (!body)
                        return -ENOMEM;
                text = (HttpText){.data = body, .size = strlen(body)};
                request.method = "POST";
                request.content_type = "application/x-www-form-urlencoded";
                request.source = http_text_source;
                request.source_size = text.size;
                request.source_userdata = &text;
                request.url = c->realm;
                return token_request(c, http, &request, ret, e);
        }
        url = token_url(c, credential);
        if (!url)
                return -ENOMEM;
        if (credential) {
                r = credential_basic(credential, &authorization);
                if (r < 0)
                        return r;
        }
        request.url = url;
        request.authorization = authorization;
        return token_request(c, http, &request, ret, e);
}

int challenge_answer(const Challenge *c, const Credential *credential, const char *host, Http *http,
                     const HttpRequest *template, char **ret, Error *e) {
        assert(c && host && http && template && ret);

        if (c->bearer) {
                int r = get_token(c, credential, http, template, ret, e);

                return r == CTR_PERMISSION_DENIED && !credential
                                       ? error_prefix(e, r,
                                                      "Nobody is logged in to the registry %s "
                                                      "(\"ctrctl login %s\" does it)",
                                                      host, host)
                                       : r;
        }
        if (!credential || !credential->username)
                return error_setf(
                                e, CTR_PERMISSION_DENIED,
                                "The registry %s wants a user name and a password: \"ctrctl login "
                                "%s\" stores them",
                                host, host);
        return credential_basic(credential, ret);
}
