/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Reads the file; what counts for which image is in policy-scope.c. */

#include "image/policy.h"

#include <fcntl.h>

#include "basic/base64.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "image/policy-internal.h"

#define FILE_DEFAULT     "/etc/containers/policy.json"
#define FILE_SIZE_MAX    (1024 * 1024)
#define SCOPES_MAX       4096
#define REQUIREMENTS_MAX 16
#define KEYS_MAX         16
#define PATH_SIZE        320 /* of a place in the document */

static void requirement_clear(PolicyRequirement *q) {
        free(q->unsupported);
        strv_free(q->key_files);
        strv_free(q->keys);
        policy_identity_clear(&q->identity);
        *q = (PolicyRequirement){};
}

static void scope_clear(PolicyScope *s) {
        for (size_t i = 0; i < s->n_requirements; i++)
                requirement_clear(s->requirements + i);
        free(s->requirements);
        free(s->transport);
        free(s->name);
        *s = (PolicyScope){};
}

Policy *policy_free(Policy *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n_scopes; i++)
                scope_clear(p->scopes + i);
        free(p->scopes);
        free(p->file);
        free(p);
        return NULL;
}

const char *policy_file(const Policy *p) {
        return p->file;
}

int policy_check_keys(json_t *j, const char *path, const char *const *keys, Error *e) {
        const char *key;
        json_t *value;

        json_object_foreach(j, key, value) {
                const char *const *known = keys;

                while (*known && !streq(*known, key))
                        known++;
                if (!*known)
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%.60s is not known", path,
                                          key);
        }
        return 0;
}

static int set_unsupported(PolicyRequirement *q, const char *what) {
        q->kind = POLICY_UNSUPPORTED;
        return free_and_strdup(&q->unsupported, what);
}

/* keyData and keyDatas: base64 of PEM. */
static int add_key(PolicyRequirement *q, const char *base64, const char *path, Error *e) {
        _cleanup_free_ char *pem = NULL;
        size_t size;
        int r;

        r = base64_decode(base64, &pem, &size);
        if (r == -EBADMSG || (r == 0 && strlen(pem) != size))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is no base64 of a key", path);
        return r == 0 ? strv_extend(&q->keys, pem) : r;
}

/* The values of one of the four members that may name keys; NULL if it is not there. */
static int read_key_values(json_t *j, const char *path, const char *key, char ***ret, Error *e) {
        const char *one;
        int r;

        if (key[strlen(key) - 1] == 's')
                r = json_get_strv(j, path, key, KEYS_MAX, ret, e);
        else {
                r = json_get_string(j, path, key, &one, e);
                if (r > 0 && strv_extend(ret, one) < 0)
                        return -ENOMEM;
        }
        if (r > 0 && strv_length(*ret) == 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s is empty", path, key);
        return r < 0 ? r : 0;
}

static int read_key_member(json_t *j, const char *path, const char *key, PolicyRequirement *q,
                           unsigned *n, Error *e) {
        _cleanup_strv_free_ char **values = NULL;
        bool is_path = startswith(key, "keyPath");
        int r;

        r = read_key_values(j, path, key, &values, e);
        if (r != 0 || !values)
                return r;
        ++*n;
        STRV_FOREACH(value, values) {
                if (is_path && **value != '/')
                        return error_setf(e, CTR_INVALID_ARGUMENT, "%s.%s is no absolute path",
                                          path, key);
                r = is_path ? strv_extend(&q->key_files, *value) : add_key(q, *value, path, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

static int read_keys(json_t *j, const char *path, PolicyRequirement *q, Error *e) {
        static const char *const members[] = {"keyPath", "keyPaths", "keyData", "keyDatas"};
        unsigned n = 0;

        for (size_t i = 0; i < ELEMENTSOF(members); i++) {
                int r = read_key_member(j, path, members[i], q, &n, e);

                if (r != 0)
                        return r;
        }
        if (n != 1)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "%s needs exactly one of keyPath, keyPaths, keyData and keyDatas",
                                  path);
        return 0;
}

/* Signatures without a key of one's own, and those that have to be in a log. */
static int find_keyless(json_t *j, PolicyRequirement *q) {
        static const char *const members[] = {
                        "fulcio",
                        "pki",
                        "rekorPublicKeyPath",
                        "rekorPublicKeyPaths",
                        "rekorPublicKeyData",
                        "rekorPublicKeyDatas",
        };

        for (size_t i = 0; i < ELEMENTSOF(members); i++)
                if (json_object_get(j, members[i])) {
                        _cleanup_free_ char *what = NULL;

                        if (asprintf(&what, "\"%s\" of sigstoreSigned", members[i]) < 0) {
                                what = NULL;
                                return -ENOMEM;
                        }
                        return set_unsupported(q, what);
                }
        return 0;
}

static int read_sigstore(json_t *j, const char *path, PolicyRequirement *q, Error *e) {
        static const char *const keys[] = {"type",     "keyPath",        "keyPaths", "keyData",
                                           "keyDatas", "signedIdentity", NULL};
        char identity_path[PATH_SIZE + 32];
        json_t *identity;
        int r;

        q->kind = POLICY_SIGSTORE;
        r = find_keyless(j, q);
        if (r != 0 || q->kind == POLICY_UNSUPPORTED)
                return r;
        r = policy_check_keys(j, path, keys, e);
        if (r == 0)
                r = read_keys(j, path, q, e);
        if (r != 0)
                return r;
        r = json_get_object(j, path, "signedIdentity", &identity, e);
        if (r <= 0)
                return r; /* the default is the first kind */
        (void) snprintf(identity_path, sizeof(identity_path), "%s.signedIdentity", path);
        return policy_identity_parse(identity, identity_path, &q->identity, e);
}

static int read_requirement(json_t *j, const char *path, PolicyRequirement *q, Error *e) {
        static const char *const only_type[] = {"type", NULL};
        const char *type;
        int r;

        if (!json_is_object(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is no object", path);
        r = json_get_string(j, path, "type", &type, e);
        if (r <= 0)
                return r < 0 ? r : error_setf(e, CTR_INVALID_ARGUMENT, "%s.type is missing", path);
        if (streq(type, "sigstoreSigned"))
                return read_sigstore(j, path, q, e);
        if (streq(type, "signedBy"))
                return set_unsupported(q, "GPG signatures (signedBy)");
        if (streq(type, "signedBaseLayer"))
                return set_unsupported(q, "signedBaseLayer");
        q->kind = streq(type, "reject") ? POLICY_REJECT : POLICY_ACCEPT;
        if (q->kind == POLICY_ACCEPT && !streq(type, "insecureAcceptAnything"))
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s.type \"%.60s\" is not known", path,
                                  type);
        return policy_check_keys(j, path, only_type, e);
}

static int read_requirements(json_t *j, const char *path, PolicyScope *s, Error *e) {
        json_t *item;
        size_t i;

        if (!json_is_array(j) || json_array_size(j) == 0 || json_array_size(j) > REQUIREMENTS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "%s is no list of 1 to %i requirements",
                                  path, REQUIREMENTS_MAX);
        s->requirements = calloc(json_array_size(j), sizeof(PolicyRequirement));
        if (!s->requirements)
                return -ENOMEM;
        json_array_foreach(j, i, item) {
                char item_path[PATH_SIZE];
                int r;

                (void) snprintf(item_path, sizeof(item_path), "%.280s[%zu]", path, i);
                s->n_requirements = i + 1;
                r = read_requirement(item, item_path, s->requirements + i, e);
                if (r != 0)
                        return r;
        }
        return 0;
}

/* transport NULL: the default */
static int add_scope(Policy *p, const char *transport, const char *name, json_t *j, Error *e) {
        PolicyScope *larger, *s;
        char path[PATH_SIZE];

        if (p->n_scopes == SCOPES_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "more than %i scopes", SCOPES_MAX);
        larger = reallocarray(p->scopes, p->n_scopes + 1, sizeof(PolicyScope));
        if (!larger)
                return -ENOMEM;
        p->scopes = larger;
        s = larger + p->n_scopes++;
        *s = (PolicyScope){.name = strdup(name)};
        if (!s->name || (transport && !(s->transport = strdup(transport))))
                return -ENOMEM;
        if (transport)
                (void) snprintf(path, sizeof(path), "transports.%.60s[\"%.200s\"]", transport,
                                name);
        else
                (void) snprintf(path, sizeof(path), "default");
        return read_requirements(j, path, s, e);
}

static int read_transports(Policy *p, json_t *transports, Error *e) {
        const char *transport, *name;
        json_t *scopes, *requirements;
        int r;

        json_object_foreach(transports, transport, scopes) {
                if (!json_is_object(scopes))
                        return error_setf(e, CTR_INVALID_ARGUMENT, "transports.%.60s is no object",
                                          transport);
                json_object_foreach(scopes, name, requirements) {
                        r = add_scope(p, transport, name, requirements, e);
                        if (r != 0)
                                return r;
                }
        }
        return 0;
}

static int read_document(Policy *p, json_t *j, Error *e) {
        static const char *const keys[] = {"default", "transports", NULL};
        json_t *standard, *transports;
        int r;

        if (!json_is_object(j))
                return error_setf(e, CTR_INVALID_ARGUMENT, "it is no object");
        r = policy_check_keys(j, "policy", keys, e);
        if (r != 0)
                return r;
        standard = json_object_get(j, "default");
        if (!standard)
                return error_setf(e, CTR_INVALID_ARGUMENT, "\"default\" is missing");
        r = add_scope(p, NULL, "", standard, e);
        if (r != 0)
                return r;
        r = json_get_object(j, "policy", "transports", &transports, e);
        return r > 0 ? read_transports(p, transports, e) : r;
}

/* Whatever is wrong with it, the state of the machine is what does not allow the pull. */
static int damaged(int r, const char *file, Error *e) {
        if (r == -ENOMEM)
                return r;
        if (e)
                e->code = CTR_FAILED_PRECONDITION;
        return error_prefix(e, CTR_FAILED_PRECONDITION, "The signature policy %s is damaged", file);
}

int policy_parse(const char *text, size_t size, const char *file, Policy **ret, Error *e) {
        _cleanup_(policy_freep) Policy *p = NULL;
        _cleanup_error_ Error local = ERROR_NULL;
        _cleanup_json_ json_t *j = NULL;
        int r;

        assert(text && file && ret);

        p = calloc(1, sizeof(Policy));
        if (!p || !(p->file = strdup(file)))
                return -ENOMEM;
        r = json_parse(text, size, "document", &j, &local);
        if (r == 0)
                r = read_document(p, j, &local);
        if (r != 0) {
                r = damaged(r, file, &local);
                return error_propagate(e, r, &local);
        }
        *ret = TAKE_PTR(p);
        return 0;
}

int policy_load(Policy **ret, Error *e) {
        const char *only = getenv("CTR_SIGNATURE_POLICY"),
                   *file = isempty(only) ? FILE_DEFAULT : only;
        _cleanup_free_ char *text = NULL;
        _cleanup_close_ int fd = -1;
        size_t size;
        int r;

        assert(ret);

        /* an administrator may put a symbolic link here; one that leads nowhere is no missing file
         */
        fd = open(file, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
        if (fd < 0 && errno == ENOENT && isempty(only) &&
            faccessat(AT_FDCWD, file, F_OK, AT_SYMLINK_NOFOLLOW) < 0 && errno == ENOENT) {
                *ret = NULL;
                return 0;
        }
        r = fd < 0 ? -errno : fd_read_all(fd, FILE_SIZE_MAX, &text, &size);
        if (r < 0) {
                errno = -r;
                return error_setf(e, CTR_FAILED_PRECONDITION,
                                  "Failed to read the signature policy %s: %m", file);
        }
        return policy_parse(text, size, file, ret, e);
}
