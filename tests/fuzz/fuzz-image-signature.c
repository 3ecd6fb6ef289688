/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What a registry sends as a signature, and a policy as somebody may have edited it: refused with a
 * sentence, or in bounds. The same bytes are read as each of them. */

#include "image/policy.h"
#include "image/signature.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void check(int r, const Error *e) {
        if (r != 0 && r != -ENOMEM && (e->code <= 0 || isempty(e->text)))
                abort();
}

static void read_signatures(const char *text, size_t size) {
        _cleanup_(signatures_clear) Signatures s = {};
        _cleanup_error_ Error e = ERROR_NULL;

        check(signatures_parse(text, size, &s, &e), &e);
        if (s.n > SIGNATURES_MAX)
                abort();
        for (size_t i = 0; i < s.n; i++)
                if (s.items[i].size > SIGNATURE_PAYLOAD_MAX ||
                    strlen(s.items[i].digest.hex) != digest_hex_length(s.items[i].digest.algorithm))
                        abort();
}

static void match(const PolicyScope *scope, const Reference *wanted, const char *name) {
        for (size_t i = 0; i < scope->n_requirements; i++) {
                int r = policy_identity_matches(&scope->requirements[i].identity, wanted, name);

                if (r < 0 && r != -ENOMEM)
                        abort();
        }
}

static void read_policy(const char *text, size_t size, const char *name) {
        _cleanup_(policy_freep) Policy *policy = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_reference_ Reference wanted = {};
        const PolicyScope *scope;
        char buf[POLICY_TEXT_SIZE];

        check(policy_parse(text, size, "sample", &policy, &e), &e);
        if (!policy || reference_parse("a.example.com:5000/b/c:1", &wanted, NULL) != 0)
                return;
        scope = policy_find_reference(policy, &wanted);
        if (!scope)
                return;
        if (scope->n_requirements == 0 || strlen(policy_scope_describe(scope, buf)) >= sizeof(buf))
                abort();
        match(scope, &wanted, name);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
        _cleanup_(signed_statement_clear) SignedStatement statement = {};
        const char *text = (const char *) data;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *name = NULL;

        check(signed_statement_parse(text, size, &statement, &e), &e);
        if (statement.reference &&
            strlen(statement.digest.hex) != digest_hex_length(statement.digest.algorithm))
                abort();
        /* the text itself as a name: what a statement says is any text, too */
        name = strndup(text, size);
        if (!name)
                return 0;
        read_signatures(text, size);
        read_policy(text, size, statement.reference ?: name);
        return 0;
}
