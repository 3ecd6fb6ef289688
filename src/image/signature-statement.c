/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What was signed: the "simple signing" payload, {"critical": {...}, "optional": {...}}. It is
 * read as strictly as containers-signature(5) asks for: what we do not know of its critical part
 * could be what the signer means to restrict. */

#include <math.h>

#include "basic/json.h"
#include "image/signature.h"

#define STATEMENT_TYPE "cosign container image signature"

static int malformed(Error *e, const char *what) {
        return error_setf(e, CTR_PERMISSION_DENIED,
                          "what was signed is no statement on an image: %s", what);
}

/* An object with these members, exactly. */
static bool has_exactly(json_t *j, const char *const *keys, size_t n) {
        if (!json_is_object(j) || json_object_size(j) != n)
                return false;
        for (size_t i = 0; i < n; i++)
                if (!json_object_get(j, keys[i]))
                        return false;
        return true;
}

static bool is_whole(json_t *j) {
        double value = json_real_value(j);

        return json_is_integer(j) || (json_is_real(j) && value > -9e18 && value < 9e18 &&
                                      fpclassify(value - (double) (int64_t) value) == FP_ZERO);
}

/* Of it nothing counts, but two members have a type. */
static bool optional_is_valid(json_t *j) {
        json_t *creator = json_object_get(j, "creator"), *time = json_object_get(j, "timestamp");

        if (json_is_null(j))
                return true;
        if (!json_is_object(j) || (creator && !json_is_string(creator)))
                return false;
        return !time || is_whole(time);
}

static int read_critical(json_t *j, SignedStatement *ret, Error *e) {
        static const char *const keys[] = {"type", "image", "identity"};
        static const char *const image_keys[] = {"docker-manifest-digest"};
        static const char *const identity_keys[] = {"docker-reference"};
        json_t *image = json_object_get(j, "image"), *identity = json_object_get(j, "identity");
        const char *digest, *reference;

        if (!has_exactly(j, keys, ELEMENTSOF(keys)) ||
            !has_exactly(image, image_keys, ELEMENTSOF(image_keys)) ||
            !has_exactly(identity, identity_keys, ELEMENTSOF(identity_keys)))
                return malformed(e, "\"critical\" has other members than it should");
        if (!streq_ptr(json_string_value(json_object_get(j, "type")), STATEMENT_TYPE))
                return malformed(e, "its type is another one");
        digest = json_string_value(json_object_get(image, image_keys[0]));
        reference = json_string_value(json_object_get(identity, identity_keys[0]));
        if (!digest || digest_parse(digest, &ret->digest, NULL) != 0)
                return malformed(e, "it has no digest of a manifest");
        if (!reference)
                return malformed(e, "it has no reference");
        ret->reference = strdup(reference);
        return ret->reference ? 0 : -ENOMEM;
}

int signed_statement_parse(const char *data, size_t size, SignedStatement *ret, Error *e) {
        static const char *const keys[] = {"critical", "optional"};
        _cleanup_(signed_statement_clear) SignedStatement s = {};
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(data && ret);

        r = json_parse(data, size, "statement", &j, &local);
        if (r != 0)
                return r == -ENOMEM ? r : malformed(e, error_text(&local));
        if (!has_exactly(j, keys, ELEMENTSOF(keys)))
                return malformed(e, "it has other members than \"critical\" and \"optional\"");
        if (!optional_is_valid(json_object_get(j, "optional")))
                return malformed(e, "\"optional\" is not valid");
        r = read_critical(json_object_get(j, "critical"), &s, e);
        if (r != 0)
                return r;
        *ret = s;
        s = (SignedStatement){};
        return 0;
}

void signed_statement_clear(SignedStatement *s) {
        free(s->reference);
        *s = (SignedStatement){};
}
