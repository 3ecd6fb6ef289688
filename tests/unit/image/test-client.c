/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What only the worker uses: hashes, partial blobs, inflating, the configuration of registries,
 * challenges. The registry client itself is tested through ctr-worker. */

#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "basic/fs.h"
#include "image/auth.h"
#include "image/content.h"
#include "image/hash.h"
#include "image/inflate.h"
#include "image/ingest.h"
#include "image/policy.h"
#include "image/registries.h"
#include "image/toml.h"

static void test_hash(void **state) {
        Digest a, b, chain;

        assert_int_equal(hash_buffer(DIGEST_SHA256, "abc", 3, &a), 0);
        assert_string_equal(a.hex,
                            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
        assert_int_equal(hash_buffer(DIGEST_SHA512, "", 0, &b), 0);
        assert_true(startswith(b.hex, "cf83e1357eefb8bdf1542850d66d8007d620e4050b5715dc83f4a921d36c"
                                      "e9ce"));
        assert_int_equal(hash_chain_id(NULL, &a, &chain), 0);
        assert_true(digest_equal(&chain, &a));
        assert_int_equal(hash_chain_id(&a, &a, &chain), 0);
        /* printf '%s %s' sha256:ba78... sha256:ba78... | sha256sum */
        assert_int_equal(hash_buffer(DIGEST_SHA256,
                                     "sha256:ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff"
                                     "61f20015ad sha256:ba7816bf8f01cfea414140de5dae2223b00361a3961"
                                     "77a9cb410ff61f20015ad",
                                     143, &b),
                         0);
        assert_true(digest_equal(&chain, &b));
}

static int open_store(char *path) {
        int root, fd;

        strcpy(path, "/tmp/test-image-XXXXXX");
        assert_non_null(mkdtemp(path));
        root = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
        fd = content_open(root);
        assert_true(fd >= 0);
        fd_close(root);
        return fd;
}

static void test_ingest(void **state) {
        _cleanup_(ingest_freep) Ingest *i = NULL, *other = NULL;
        const atomic_bool canceled = true;
        _cleanup_close_ int store = -1;
        _cleanup_free_ char *data = NULL;
        char path[64];
        size_t size;
        Digest d;

        store = open_store(path);
        assert_int_equal(hash_buffer(DIGEST_SHA256, "hello world", 11, &d), 0);
        assert_int_equal(content_read_blob(store, &d, 100, &data, &size, NULL), CTR_NOT_FOUND);
        assert_int_equal(ingest_open(store, &d, 11, NULL, &i, NULL), 0);
        assert_int_equal(ingest_write(i, "hello", 5, NULL), 0);
        assert_int_equal(ingest_open(store, &d, 11, NULL, &other, NULL), CTR_CONFLICT);

        /* what was written stays, also when opening it is given up, and goes on */
        i = ingest_free(i);
        assert_int_equal(ingest_open(store, &d, 11, &canceled, &i, NULL), CTR_CANCELED);
        assert_int_equal(ingest_open(store, &d, 11, NULL, &i, NULL), 0);
        assert_int_equal(ingest_offset(i), 5);
        assert_int_equal(ingest_write(i, " world, too long", 16, NULL), CTR_DATA_LOSS);
        assert_int_equal(ingest_write(i, " world", 6, NULL), 0);
        assert_int_equal(ingest_verify(i, NULL), 0);
        assert_int_equal(content_read_blob(store, &d, 100, &data, &size, NULL), CTR_NOT_FOUND);
        assert_int_equal(ingest_commit_all(store, &i, 1, false, NULL), 0);
        assert_int_equal(content_read_blob(store, &d, 100, &data, &size, NULL), 0);
        assert_string_equal(data, "hello world");
        assert_int_equal(ingest_open(store, &d, 11, NULL, &other, NULL), CTR_ALREADY_EXISTS);
        free(data);
        data = NULL;
        assert_int_equal(content_read_blob(store, &d, 10, &data, &size, NULL),
                         CTR_RESOURCE_EXHAUSTED);
        assert_int_equal(content_remove_blob(store, &d), 0);
        assert_int_equal(content_remove_blob(store, &d), 0);
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
}

static void test_ingest_bad(void **state) {
        _cleanup_(ingest_freep) Ingest *i = NULL;
        _cleanup_close_ int store = -1;
        char path[64];
        Digest d;

        store = open_store(path);
        assert_int_equal(hash_buffer(DIGEST_SHA256, "hello", 5, &d), 0);
        assert_int_equal(ingest_open(store, &d, 5, NULL, &i, NULL), 0);
        assert_int_equal(ingest_write(i, "hallo", 5, NULL), 0);
        assert_int_equal(ingest_verify(i, NULL), CTR_DATA_LOSS);
        i = ingest_free(i);
        /* nothing of the wrong bytes is left */
        assert_int_equal(ingest_open(store, &d, 5, NULL, &i, NULL), 0);
        assert_int_equal(ingest_offset(i), 0);
        assert_int_equal(ingest_write(i, "hel", 3, NULL), 0);
        assert_int_equal(ingest_verify(i, NULL), CTR_DATA_LOSS);
        i = ingest_free(i);
        assert_int_equal(ingest_open(store, &d, 5, NULL, &i, NULL), 0);
        i = ingest_free(i);
        assert_int_equal(faccessat(store, "ingest", F_OK, 0), 0);
        assert_int_equal(unlinkat(store, "ingest", AT_REMOVEDIR), 0); /* it is empty */
        assert_int_equal(tree_remove_at(AT_FDCWD, path), 0);
}

typedef struct Source {
        const unsigned char *data;
        size_t size, chunk;
} Source;

static int read_source(void *userdata, void *buf, size_t size, size_t *ret_size, Error *e) {
        Source *s = userdata;
        size_t n = MIN_OF(size, s->chunk);

        n = MIN_OF(n, s->size);
        memcpy(buf, s->data, n);
        s->data += n;
        s->size -= n;
        *ret_size = n;
        return 0;
}

/* gzip -n of "hello\n", twice */
static const unsigned char two_members[] = {0x1f, 0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
                                            0x03, 0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00,
                                            0x20, 0x30, 0x3a, 0x36, 0x06, 0x00, 0x00, 0x00, 0x1f,
                                            0x8b, 0x08, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x03,
                                            0xcb, 0x48, 0xcd, 0xc9, 0xc9, 0xe7, 0x02, 0x00, 0x20,
                                            0x30, 0x3a, 0x36, 0x06, 0x00, 0x00, 0x00};

/* Inflates in pieces of every size. Returns what inflate_read() did at last. */
static int inflate_all(const unsigned char *data, size_t size, size_t chunk, size_t out_size,
                       char *ret, size_t *ret_total) {
        _cleanup_(inflate_freep) Inflate *i = NULL;
        Source s = {.data = data, .size = size, .chunk = chunk};
        int r;

        *ret_total = 0;
        assert_int_equal(inflate_new(COMPRESSION_GZIP, read_source, &s, &i), 0);
        for (;;) {
                size_t n = 0;

                r = inflate_read(i, ret + *ret_total, out_size, &n, NULL);
                if (r != 0 || n == 0)
                        return r;
                *ret_total += n;
        }
}

static void test_inflate(void **state) {
        char out[64];
        size_t n;

        for (size_t chunk = 1; chunk <= sizeof(two_members); chunk++)
                for (size_t out_size = 1; out_size < 16; out_size++) {
                        assert_int_equal(inflate_all(two_members, sizeof(two_members), chunk,
                                                     out_size, out, &n),
                                         0);
                        assert_int_equal(n, 12);
                        assert_memory_equal(out, "hello\nhello\n", 12);
                }
        /* cut anywhere but between the members it is truncated */
        for (size_t size = 0; size < sizeof(two_members); size++)
                assert_int_equal(inflate_all(two_members, size, 7, 16, out, &n),
                                 size == sizeof(two_members) / 2 ? 0 : CTR_DATA_LOSS);
}

static void test_inflate_corrupt(void **state) {
        unsigned char bad[sizeof(two_members)];
        char out[1024];
        size_t n;

        /* the checksum and the length at the end are checked */
        for (size_t i = sizeof(bad) - 8; i < sizeof(bad); i++) {
                memcpy(bad, two_members, sizeof(bad));
                bad[i] ^= 1;
                assert_int_equal(inflate_all(bad, sizeof(bad), 9, 16, out, &n), CTR_DATA_LOSS);
        }
}

static void test_toml(void **state) {
        static const char text[] = "# comment\nunqualified = [\n  \"a\", # one\n  'b',\n]\n"
                                   "[[registry]]\r\n\"quoted key\" = 'lit\\eral' # end\n"
                                   "b.c = \"esc\\\"aped\\n\"\ninsecure=true\n[other]\nn = 1_000\n"
                                   "t = { a = 1, b = \"x\" }\n";
        static const struct {
                TomlEvent event;
                const char *name, *text;
        } expected[] = {
                        {TOML_OTHER, "unqualified", NULL},
                        {TOML_ARRAY_TABLE, "registry", NULL},
                        {TOML_STRING, "quoted key", "lit\\eral"},
                        {TOML_STRING, "b.c", "esc\"aped\n"},
                        {TOML_BOOLEAN, "insecure", NULL},
                        {TOML_TABLE, "other", NULL},
                        {TOML_OTHER, "n", NULL},
                        {TOML_OTHER, "t", NULL},
        };
        static const char *const bad[] = {"a",
                                          "a =",
                                          "= 1",
                                          "[a",
                                          "[[a]",
                                          "a = [",
                                          "a = [}",
                                          "a = \"x",
                                          "a = \"x\" y",
                                          "a = \"\"\"x\"\"\"",
                                          "a = \"\\u0041\"",
                                          "[a] b",
                                          "a b = 1"};
        Toml t = {.p = text, .file = "x"};
        TomlEvent event;

        for (size_t i = 0; i < ELEMENTSOF(expected); i++) {
                assert_int_equal(toml_next(&t, &event, NULL), 0);
                assert_int_equal(event, expected[i].event);
                assert_string_equal(t.name, expected[i].name);
                if (expected[i].text)
                        assert_string_equal(t.text, expected[i].text);
        }
        assert_true(t.line == 12);
        assert_int_equal(toml_next(&t, &event, NULL), 0);
        assert_int_equal(event, TOML_END);
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                t = (Toml){.p = bad[i], .file = "x"};
                assert_int_equal(toml_next(&t, &event, NULL), CTR_INVALID_ARGUMENT);
        }
}

/* The endpoints as "host/repository[!]" with spaces between them, "!" for an insecure one. */
static void check_endpoints(const Registries *r, const char *reference, const char *expected) {
        _cleanup_(registry_endpoints_clear) RegistryEndpoints endpoints = {};
        _cleanup_reference_ Reference ref = {};
        char text[1024] = "";

        assert_int_equal(reference_parse(reference, &ref, NULL), 0);
        assert_int_equal(registries_lookup(r, &ref, &endpoints, NULL), 0);
        for (size_t i = 0; i < endpoints.n; i++) {
                const RegistryEndpoint *endpoint = endpoints.items + i;
                size_t n = strlen(text);

                (void) snprintf(text + n, sizeof(text) - n, "%s%s/%s%s", i > 0 ? " " : "",
                                endpoint->host, endpoint->repository,
                                endpoint->insecure ? "!" : "");
        }
        assert_string_equal(text, expected);
}

static void test_registries(void **state) {
        static const char text[] = "[[registry]]\nlocation = \"a.test\"\ninsecure = true\n"
                                   "[[registry]]\nprefix = \"a.test/secure\"\n"
                                   "location = \"b.test/other\"\n"
                                   "[[registry.mirror]]\nlocation = \"m.test\"\n"
                                   "[[registry]]\nprefix = \"*.wild.test\"\ninsecure = true\n"
                                   "[[registry]]\nprefix = \"bad.test\"\nblocked = true\n";
        _cleanup_(registry_endpoints_clear) RegistryEndpoints endpoints = {};
        _cleanup_(registries_freep) Registries *r = NULL;
        _cleanup_reference_ Reference blocked = {};

        assert_int_equal(registries_parse(&r, text, "x", NULL), 0);
        check_endpoints(r, "a.test/x", "a.test/x!");
        check_endpoints(r, "a.test:5000/x", "a.test:5000/x!");
        check_endpoints(r, "a.test/secure/x", "m.test/x b.test/other/x");
        check_endpoints(r, "a.test/secured/x", "a.test/secured/x!");
        check_endpoints(r, "sub.wild.test/x", "sub.wild.test/x!");
        check_endpoints(r, "wild.test/x", "wild.test/x");
        check_endpoints(r, "ba.test/x", "ba.test/x");
        check_endpoints(r, "x", "docker.io/library/x");
        assert_int_equal(reference_parse("bad.test/x", &blocked, NULL), 0);
        assert_int_equal(registries_lookup(r, &blocked, &endpoints, NULL), CTR_PERMISSION_DENIED);

        /* a later file replaces */
        assert_int_equal(registries_parse(&r, "[[registry]]\nlocation = \"a.test\"\n", "y", NULL),
                         0);
        check_endpoints(r, "a.test/x", "a.test/x");
        assert_int_equal(registries_parse(&r, "[[registry]]\ninsecure = true\n", "y", NULL),
                         CTR_INVALID_ARGUMENT);
        assert_int_equal(registries_parse(&r, "[[registry]]\ninsecure = \"yes\"\n", "y", NULL),
                         CTR_INVALID_ARGUMENT);
}

static void test_mirrors(void **state) {
        static const char text[] = "[[registry]]\nlocation = \"a.test\"\n"
                                   "[[registry.mirror]]\nlocation = \"m1.test/cache\"\n"
                                   "insecure = true\n"
                                   "[[registry.mirror]]\nlocation = \"m2.test\"\n"
                                   "pull-from-mirror = \"digest-only\"\n"
                                   "[[registry.mirror]]\nlocation = \"m3.test\"\n"
                                   "pull-from-mirror = \"tag-only\"\n"
                                   "[aliases]\nx = \"y\"\n"
                                   "[[registry]]\nlocation = \"b.test\"\n"
                                   "mirror-by-digest-only = true\n"
                                   "[[registry.mirror]]\nlocation = \"m.test\"\n"
                                   "[[registry]]\nprefix = \"*.wild.test\"\n"
                                   "[[registry.mirror]]\nlocation = \"m.test\"\n",
                          *const bad[] = {"[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\n",
                                          "[[registry]]\nlocation = \"a\"\n[[registry.mirror]]\n"
                                          "location = \"m\"\npull-from-mirror = \"some\"\n"};
#define D "@sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        _cleanup_(registries_freep) Registries *r = NULL;

        assert_int_equal(registries_parse(&r, text, "x", NULL), 0);
        check_endpoints(r, "a.test/x", "m1.test/cache/x! m3.test/x a.test/x");
        check_endpoints(r, "a.test/x" D, "m1.test/cache/x! m2.test/x a.test/x");
        check_endpoints(r, "b.test/x", "b.test/x");
        check_endpoints(r, "b.test/x" D, "m.test/x b.test/x");
        check_endpoints(r, "s.wild.test/x", "m.test/x s.wild.test/x");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(registries_parse(&r, bad[i], "x", NULL), CTR_INVALID_ARGUMENT);
#undef D
}

static void check_credential(const Credentials *c, const char *host, const char *repository,
                             const char *expected) {
        const Credential *found = credentials_find(c, host, repository);

        if (!expected) {
                assert_null(found);
                return;
        }
        assert_non_null(found);
        assert_string_equal(found->identity_token ?: found->username, expected);
}

static int parse_credentials(Credentials **c, const char *document) {
        _cleanup_free_ char *text = strdup(document);
        int r;

        assert_non_null(text);
        r = credentials_parse(c, text, strlen(document), "auth.json", NULL);
        /* cleared, whatever came of it */
        for (size_t i = 0; i < strlen(document); i++)
                assert_int_equal(text[i], 0);
        return r;
}

/* dXNlcjpwYXNz is user:pass, YTpi a:b, Yzpk c:d. */
static void test_credentials(void **state) {
        static const char first[] = "{\"auths\": {\"h.test:5000\": {\"auth\": \"dXNlcjpwYXNz\"},"
                                    "\"h.test:5000/team\": {\"auth\": \"YTpi\"},"
                                    "\"https://old.test/v1/\": {\"auth\": \"YTpi\"},"
                                    "\"https://index.docker.io/v1/\": {\"auth\": \"Yzpk\"},"
                                    "\"t.test\": {\"identitytoken\": \"secret\"},"
                                    "\"empty.test\": {}}, \"credsStore\": \"x\"}",
                          second[] = "{\"auths\": {\"h.test:5000/team/app\": {\"auth\": "
                                     "\"Yzpk\"}, \"only.test\": {\"auth\": \"Yzpk\"}}}",
                          *const bad[] = {"[]",
                                          "{\"auths\": []}",
                                          "{\"auths\": {\"a\": 1}}",
                                          "{\"auths\": {\"a\": {\"auth\": \"!!!!\"}}}",
                                          "{\"auths\": {\"a\": {\"auth\": \"dXNlcg==\"}}}",
                                          "{\"auths\": {\"a\": {\"auth\": 1}}}"};
        _cleanup_(credentials_freep) Credentials *c = NULL;
        _cleanup_secret_ char *basic = NULL;

        assert_int_equal(parse_credentials(&c, first), 0);
        assert_int_equal(parse_credentials(&c, second), 0);
        check_credential(c, "h.test:5000", "x", "user");
        check_credential(c, "h.test:5000", "team/app", "a"); /* the earlier file wins */
        check_credential(c, "h.test:5000", "teams", "user");
        check_credential(c, "h.test", "x", NULL);
        check_credential(c, "old.test", "x", "a");
        check_credential(c, "docker.io", "library/x", "c");
        check_credential(c, "t.test", "x", "secret");
        check_credential(c, "empty.test", "x", NULL);
        check_credential(c, "only.test", "x", "c");
        assert_int_equal(credential_basic(credentials_find(c, "h.test:5000", "x"), &basic), 0);
        assert_string_equal(basic, "Basic dXNlcjpwYXNz");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(parse_credentials(&c, bad[i]), CTR_INVALID_ARGUMENT);
}

static void test_credentials_single(void **state) {
        static const char *const bad[] = {"{}", "{\"username\": \"a\"}", "[]",
                                          "{\"username\": \"a\", \"password\": \"b\\nc\"}"};
        char text[] = "{\"username\": \"a\", \"password\": \"b\"}";
        _cleanup_(credentials_freep) Credentials *c = NULL;

        assert_int_equal(credentials_parse_single(text, strlen(text), &c, NULL), 0);
        check_credential(c, "any.test", "x", "a");
        for (size_t i = 0; i < ELEMENTSOF(bad); i++) {
                _cleanup_free_ char *copy = strdup(bad[i]);
                Credentials *none;

                assert_non_null(copy);
                assert_int_equal(credentials_parse_single(copy, strlen(copy), &none, NULL),
                                 CTR_INVALID_ARGUMENT);
        }
}

static void test_challenge(void **state) {
        Challenge c = {};

        assert_int_equal(challenge_parse("bearer realm=\"https://a/b?c\" , service = x,scope=\"r:a"
                                         "\\\"b:pull,push\", error=x",
                                         &c, NULL),
                         0);
        assert_true(c.bearer);
        assert_string_equal(c.realm, "https://a/b?c");
        assert_string_equal(c.service, "x");
        assert_string_equal(c.scope, "r:a\"b:pull,push");
        challenge_clear(&c);
        assert_int_equal(challenge_parse("Basic realm=\"x\"", &c, NULL), 0);
        assert_false(c.bearer);
        challenge_clear(&c);
        assert_int_equal(challenge_parse("Bearer realm=\"x", &c, NULL), CTR_UNAVAILABLE);
        assert_int_equal(challenge_parse("Bearer", &c, NULL), CTR_UNAVAILABLE);
}

/* The policy has every scope of the table. */
static void test_policy_scopes(void **state) {
        static const struct {
                const char *reference, *scope;
        } cases[] = {
                        {"a.b.example.com:5000/x/y:1", "a.b.example.com:5000/x"},
                        {"a.b.example.com:5000/x", "a.b.example.com:5000/x"},
                        {"a.b.example.com:5000/xx", "a.b.example.com:5000"},
                        {"a.b.example.com:443/x", "*.b.example.com"},
                        {"c.b.example.com/x", "*.b.example.com"},
                        {"b.example.com/x", "*.example.com"},
                        {"example.com/x", "example.com/x:latest"},
                        {"example.com/x:2", ""},
                        {"example.community/x", ""},
                        {"busybox", "docker.io/library/busybox"},
                        {"docker.io/other/busybox", "docker.io"},
                        {"[::1]:5000/x", ""},
        };
        _cleanup_(policy_freep) Policy *policy = NULL;
        _cleanup_free_ char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        assert_non_null(f);
        (void) fputs("{\"default\": [{\"type\": \"reject\"}], \"transports\": {\"docker\": {", f);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                bool again = false;

                for (size_t k = 0; k < i; k++)
                        again = again || streq(cases[k].scope, cases[i].scope);
                if (!again)
                        (void) fprintf(f, "%s\"%s\": [{\"type\": \"reject\"}]", i > 0 ? ", " : "",
                                       cases[i].scope);
        }
        (void) fputs("}, \"oci\": {\"\": [{\"type\": \"reject\"}]}}}", f);
        assert_int_equal(fclose(f), 0);
        assert_int_equal(policy_parse(text, size, "policy", &policy, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_reference_ Reference r = {};
                const PolicyScope *scope;

                assert_int_equal(reference_parse(cases[i].reference, &r, NULL), 0);
                scope = policy_find_reference(policy, &r);
                assert_non_null(scope);
                assert_string_equal(scope->transport, "docker");
                assert_string_equal(scope->name, cases[i].scope);
        }
}

static void test_policy_archives(void **state) {
        static const char text[] = "{\"default\": [{\"type\": \"reject\"}], \"transports\": "
                                   "{\"oci\": {\"\": [{\"type\": \"insecureAcceptAnything\"}]}, "
                                   "\"tarball\": {\"/a\": [{\"type\": \"reject\"}]}}}";
        _cleanup_(policy_freep) Policy *policy = NULL;
        const PolicyScope *scope;

        assert_int_equal(policy_parse(text, strlen(text), "policy", &policy, NULL), 0);
        assert_int_equal(policy_find_archive(policy, "oci", &scope, NULL), 0);
        assert_int_equal(scope->requirements[0].kind, POLICY_ACCEPT);
        assert_int_equal(policy_find_archive(policy, "docker-archive", &scope, NULL), 0);
        assert_null(scope->transport);
        assert_int_equal(policy_find_archive(policy, "tarball", &scope, NULL),
                         CTR_FAILED_PRECONDITION);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_hash),
                        cmocka_unit_test(test_ingest),
                        cmocka_unit_test(test_ingest_bad),
                        cmocka_unit_test(test_inflate),
                        cmocka_unit_test(test_inflate_corrupt),
                        cmocka_unit_test(test_toml),
                        cmocka_unit_test(test_registries),
                        cmocka_unit_test(test_mirrors),
                        cmocka_unit_test(test_credentials),
                        cmocka_unit_test(test_credentials_single),
                        cmocka_unit_test(test_challenge),
                        cmocka_unit_test(test_policy_scopes),
                        cmocka_unit_test(test_policy_archives),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
