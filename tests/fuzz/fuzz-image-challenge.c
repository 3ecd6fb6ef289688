/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A WWW-Authenticate header, the configuration of registries, and files with credentials: small
 * grammars, of our own or in JSON. */

#include "image/auth.h"
#include "image/credentials.h"
#include "image/registries.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void read_credentials(const uint8_t *data, size_t size) {
        _cleanup_(credentials_freep) Credentials *many = NULL, *single = NULL;
        _cleanup_free_ char *text = strndup((const char *) data, size);
        _cleanup_error_ Error e = ERROR_NULL;
        const Credential *found;

        if (!text)
                return;
        if (credentials_parse(&many, text, strlen(text), "sample", &e) != 0 && e.code <= 0)
                abort();
        found = credentials_find(many, "localhost:5000", "a/b");
        if (found && !found->identity_token && !found->username)
                abort();
        error_clear(&e);
        (void) snprintf(text, size + 1, "%.*s", (int) size, (const char *) data);
        if (credentials_parse_single(text, strlen(text), &single, &e) != 0 && e.code <= 0)
                abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(registries_freep) Registries *registries = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *text = NULL;
        Challenge c = {};

        text = strndup((const char *) data, size);
        if (!text)
                return 0;
        if (challenge_parse(text, &c, &e) == 0) {
                if (c.bearer && isempty(c.realm))
                        abort();
                challenge_clear(&c);
        } else if (isempty(e.text))
                abort();
        error_clear(&e);
        if (registries_parse(&registries, text, "sample", &e) != 0 && e.code <= 0)
                abort();
        read_credentials(data, size);
        return 0;
}
