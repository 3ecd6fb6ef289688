/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Names and documents of images: references, digests, platforms, manifests, indexes, configs. */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "basic/strv.h"
#include "image/config.h"
#include "image/manifest.h"
#include "image/reference.h"

#define HEX  "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
#define HASH "@sha256:" HEX

static void test_normalize(void **state) {
        static const struct {
                const char *in, *normal, *familiar;
        } cases[] = {
                        {"nginx", "docker.io/library/nginx:latest", "nginx"},
                        {" nginx\n", "docker.io/library/nginx:latest", "nginx"},
                        {"nginx:1.2", "docker.io/library/nginx:1.2", "nginx:1.2"},
                        {"docker.io/nginx", "docker.io/library/nginx:latest", "nginx"},
                        {"index.docker.io/nginx", "docker.io/library/nginx:latest", "nginx"},
                        {"Index.DOCKER.io/nginx", "docker.io/library/nginx:latest", "nginx"},
                        {"docker.io/library/nginx:latest", "docker.io/library/nginx:latest",
                         "nginx"},
                        {"library/nginx", "docker.io/library/nginx:latest", "nginx"},
                        {"user/app", "docker.io/user/app:latest", "user/app"},
                        {"user/app/sub", "docker.io/user/app/sub:latest", "user/app/sub"},
                        {"library/a/b", "docker.io/library/a/b:latest", "library/a/b"},
                        {"localhost/app", "localhost/app:latest", "localhost/app"},
                        {"localhost:5000/app", "localhost:5000/app:latest", "localhost:5000/app"},
                        {"localhost:5000/app:v1", "localhost:5000/app:v1", "localhost:5000/app:v1"},
                        {"example.test/a/b/c:t", "example.test/a/b/c:t", "example.test/a/b/c:t"},
                        {"Example.TEST/app", "example.test/app:latest", "example.test/app"},
                        {"[::1]:5000/app", "[::1]:5000/app:latest", "[::1]:5000/app"},
                        {"nginx" HASH, "docker.io/library/nginx" HASH, "nginx" HASH},
                        {"nginx:1" HASH, "docker.io/library/nginx:1" HASH, "nginx:1" HASH},
                        {"nginx:latest" HASH, "docker.io/library/nginx:latest" HASH,
                         "nginx:latest" HASH},
                        {"a.b/c__d-e--f.g/h", "a.b/c__d-e--f.g/h:latest", "a.b/c__d-e--f.g/h"},
                        {"x:_T-a.g", "docker.io/library/x:_T-a.g", "x:_T-a.g"},
                        {"localhost", "docker.io/library/localhost:latest", "localhost"},
                        {"docker.io/a.b/c", "docker.io/a.b/c:latest", "docker.io/a.b/c"},
                        {"docker.io/localhost/c", "docker.io/localhost/c:latest",
                         "docker.io/localhost/c"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_reference_ Reference r = {};
                _cleanup_free_ char *normal = NULL, *again = NULL, *familiar = NULL, *back = NULL;

                assert_int_equal(reference_parse(cases[i].in, &r, NULL), 0);
                normal = reference_to_string(&r);
                familiar = reference_to_familiar_string(&r);
                assert_string_equal(normal, cases[i].normal);
                assert_string_equal(familiar, cases[i].familiar);
                assert_int_equal(reference_normalize(normal, &again, NULL), 0);
                assert_string_equal(again, normal);
                assert_int_equal(reference_normalize(familiar, &back, NULL), 0);
                assert_string_equal(back, normal);
        }
}

static void test_parts(void **state) {
        _cleanup_reference_ Reference r = {};

        assert_int_equal(reference_parse("host:80/a/b:t" HASH, &r, NULL), 0);
        assert_string_equal(r.registry, "host:80");
        assert_string_equal(r.repository, "a/b");
        assert_string_equal(r.tag, "t");
        assert_true(r.has_digest);
        assert_string_equal(r.digest.hex, HEX);
        reference_clear(&r);
        assert_int_equal(reference_parse("a" HASH, &r, NULL), 0);
        assert_null(r.tag);
}

static void test_bad_references(void **state) {
        static const struct {
                const char *in, *text;
        } cases[] = {
                        {"", "is empty"},
                        {"  ", "is empty"},
                        {"Nginx", "must be lower case"},
                        {"a/B", "must be lower case"},
                        {"a b", "white space"},
                        {"a\xc3\xa4", "non-ASCII"},
                        {"a:", "not a tag"},
                        {"a:-x", "not a tag"},
                        {"a:b/c:d:e", "not a registry host"},
                        {"a//b", "not a repository name"},
                        {"/a", "not a repository name"},
                        {"a/", "not a repository name"},
                        {"-a", "not a repository name"},
                        {"a-", "not a repository name"},
                        {"a..b", "not a repository name"},
                        {"a___b", "not a repository name"},
                        {"a._b", "not a repository name"},
                        {"..", "not a repository name"},
                        {"x.y/../z", "not a repository name"},
                        {"x.y/", "not a repository name"},
                        {"-x.y/a", "not a registry host"},
                        {"x..y/a", "not a registry host"},
                        {"x:0/a", "not a registry host"},
                        {"x:65536/a", "not a registry host"},
                        {"x:12a/a", "not a registry host"},
                        {"[::g]:1/a", "not a registry host"},
                        {"[::1/a:x", "not a registry host"},
                        {"user@host.test/a", "not a digest"},
                        {"a@sha256:12", "64 lower-case"},
                        {"a@", "not a digest"},
                        {"https://host.test/a", "not a registry host"},
                        {"a" HASH HASH, "64 lower-case"},
        };
        char longest[REFERENCE_MAX + 2];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Reference r = {};

                assert_int_equal(reference_parse(cases[i].in, &r, &e), CTR_INVALID_ARGUMENT);
                if (!strstr(error_text(&e), cases[i].text))
                        fail_msg("\"%s\": %s", cases[i].in, error_text(&e));
                assert_null(r.registry);
        }
        memset(longest, 'a', sizeof(longest));
        longest[sizeof(longest) - 1] = '\0';
        assert_int_equal(reference_parse(longest, &(Reference){}, NULL), CTR_INVALID_ARGUMENT);
        longest[300] = '\0';
        assert_int_equal(reference_parse(longest, &(Reference){}, NULL), CTR_INVALID_ARGUMENT);
}

static void test_loopback(void **state) {
        static const struct {
                const char *host;
                bool loopback;
        } cases[] = {
                        {"localhost", true},        {"localhost:5000", true},  {"127.0.0.1", true},
                        {"127.1.2.3:80", true},     {"[::1]:5000", true},      {"[::1]", true},
                        {"localhost.test", false},  {"127.0.0.1.test", false}, {"128.0.0.1", false},
                        {"[::2]:5000", false},      {"docker.io", false},      {"127", false},
                        {"localhostx:5000", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                assert_int_equal(registry_host_is_loopback(cases[i].host), cases[i].loopback);
}

static void test_digest(void **state) {
        char text[DIGEST_STRING_SIZE], upper[] = "sha256:" HEX;
        Digest d, e;

        assert_int_equal(digest_parse("sha256:" HEX, &d, NULL), 0);
        assert_string_equal(digest_to_string(&d, text), "sha256:" HEX);
        assert_int_equal(digest_parse("sha512:" HEX HEX, &e, NULL), 0);
        assert_string_equal(digest_to_string(&e, text), "sha512:" HEX HEX);
        assert_false(digest_equal(&d, &e));
        assert_int_equal(digest_parse("blake3:" HEX, &d, NULL), CTR_NOT_IMPLEMENTED);
        assert_int_equal(digest_parse("sha256+b64u:LCa0", &d, NULL), CTR_NOT_IMPLEMENTED);
        assert_int_equal(digest_parse("sha256:" HEX "0", &d, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(digest_parse("sha512:" HEX, &d, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(digest_parse("sha256", &d, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(digest_parse(":" HEX, &d, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(digest_parse("../x:" HEX, &d, NULL), CTR_INVALID_ARGUMENT);
        upper[20] = 'A';
        assert_int_equal(digest_parse(upper, &d, NULL), CTR_INVALID_ARGUMENT);
}

static void test_platform(void **state) {
        static const struct {
                const char *host, *image;
                bool runs;
        } cases[] = {
                        {"linux/amd64", "linux/amd64", true},
                        {"linux/amd64", "linux/amd64/v1", true},
                        {"linux/amd64", "linux/amd64/v2", false},
                        {"linux/amd64/v3", "linux/amd64/v2", true},
                        {"linux/amd64", "linux/arm64", false},
                        {"linux/amd64", "windows/amd64", false},
                        {"linux/arm64/v8", "linux/arm64", true},
                        {"linux/arm64", "linux/arm64/v8", true},
                        {"linux/arm64/v8.1", "linux/arm64/v8", true},
                        {"linux/arm64/v8", "linux/arm64/v8.1", false},
                        {"linux/arm/v7", "linux/arm/v6", true},
                        {"linux/arm/v7", "linux/arm/v8", false},
                        {"linux/arm/v7", "linux/arm", true},
                        {"linux/arm/v7", "linux/arm/odd", false},
        };
        static const char *const bad[] = {"",           "linux", "linux/",     "/amd64",
                                          "linux/arm/", "a b/c", "linux/a/b/c"};
        char text[PLATFORM_STRING_SIZE];
        Platform a, b;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                assert_int_equal(platform_parse(cases[i].host, &a, NULL), 0);
                assert_int_equal(platform_parse(cases[i].image, &b, NULL), 0);
                assert_int_equal(platform_match(&a, &b) >= 0, cases[i].runs);
                assert_string_equal(platform_to_string(&b, text), cases[i].image);
        }
        for (size_t i = 0; i < ELEMENTSOF(bad); i++)
                assert_int_equal(platform_parse(bad[i], &a, NULL), CTR_INVALID_ARGUMENT);
        platform_host(&a);
        assert_string_equal(a.os, "linux");
        assert_true(*a.architecture);
}

static void test_media_types(void **state) {
        Compression c = COMPRESSION_NONE;

        assert_int_equal(media_type_kind("application/vnd.oci.image.layer.v1.tar+zstd", &c),
                         MEDIA_LAYER);
        assert_int_equal(c, COMPRESSION_ZSTD);
        assert_int_equal(media_type_kind("application/vnd.docker.image.rootfs.diff.tar.gzip", &c),
                         MEDIA_LAYER);
        assert_int_equal(c, COMPRESSION_GZIP);
        assert_int_equal(media_type_kind("application/vnd.oci.image.index.v1+json", NULL),
                         MEDIA_INDEX);
        assert_int_equal(media_type_kind("text/html", NULL), MEDIA_UNKNOWN);
}

#define MANIFEST "application/vnd.oci.image.manifest.v1+json"
#define CONFIG                                                                                     \
        "{\"mediaType\":\"application/vnd.oci.image.config.v1+json\","                             \
        "\"digest\":\"sha256:" HEX "\",\"size\":7}"
#define LAYER                                                                                      \
        "{\"mediaType\":\"application/vnd.oci.image.layer.v1.tar+gzip\","                          \
        "\"digest\":\"sha256:" HEX "\",\"size\":9}"

static void test_manifest(void **state) {
        static const char text[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER
                                   "," LAYER "],\"unknown\":1}";
        static const char broken[] = "{\"schemaVersion\":2,\"config\":" CONFIG ",\"layers\":[" LAYER
                                     ",{\"mediaType\":7}]}";
        _cleanup_(manifest_freep) Manifest *m = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        _cleanup_free_ char *media_type = NULL;
        MediaKind kind;

        assert_int_equal(media_type_identify(text, strlen(text), NULL, "x", &kind, &media_type, &e),
                         0);
        assert_int_equal(kind, MEDIA_MANIFEST);
        assert_string_equal(media_type, MANIFEST);
        assert_int_equal(manifest_parse(text, strlen(text), media_type, "x", &m, &e), 0);
        assert_int_equal(m->n_layers, 2);
        assert_int_equal(m->layers[1].size, 9);
        assert_string_equal(m->config.digest.hex, HEX);

        m = manifest_free(m);
        assert_int_equal(manifest_parse(broken, strlen(broken), MANIFEST, "x", &m, &e),
                         CTR_INVALID_ARGUMENT);
        assert_string_equal(error_text(&e), "x: layers[1].mediaType: expected a string");
        assert_int_equal(e.code, CTR_INVALID_ARGUMENT);
}

static void test_index(void **state) {
        static const char text[] =
                        "{\"schemaVersion\":2,\"manifests\":["
                        "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"sha256:" HEX "\",\"size\":1,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\","
                        "\"variant\":\"v6\"}},"
                        "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"sha256:" HEX "\",\"size\":2,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\","
                        "\"variant\":\"v7\"}},"
                        "{\"mediaType\":\"text/x\",\"digest\":\"sha256:" HEX "\",\"size\":3,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"s390x\"}},"
                        "{\"mediaType\":\"" MANIFEST "\",\"digest\":\"sha256:" HEX "\",\"size\":4,"
                        "\"platform\":{\"os\":\"linux\",\"architecture\":\"arm\","
                        "\"variant\":\"v7\"}}]}";
        _cleanup_(index_freep) Index *i = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const Descriptor *d = NULL;
        Platform p;

        assert_int_equal(index_parse(text, strlen(text), "x", "x", &i, &e), 0);
        assert_int_equal(platform_parse("linux/arm/v8", &p, NULL), 0);
        assert_int_equal(index_choose(i, &p, "x", &d, &e), 0);
        assert_int_equal(d->size, 2);
        assert_int_equal(platform_parse("linux/arm/v6", &p, NULL), 0);
        assert_int_equal(index_choose(i, &p, "x", &d, &e), 0);
        assert_int_equal(d->size, 1);
        /* an entry of a type that we do not know is not chosen */
        assert_int_equal(platform_parse("linux/s390x", &p, NULL), 0);
        assert_int_equal(index_choose(i, &p, "x", &d, &e), CTR_NOT_FOUND);
}

static void test_config(void **state) {
        static const char text[] =
                        "{\"os\":\"linux\",\"architecture\":\"arm64\",\"variant\":\"v8\","
                        "\"created\":\"2020-01-01T00:00:00Z\",\"author\":null,"
                        "\"config\":{\"User\":\"1:2\",\"WorkingDir\":\"\",\"StopSignal\":"
                        "\"SIGINT\","
                        "\"Env\":[\"A=b\",\"C=\"],\"Entrypoint\":[\"/x\"],\"Cmd\":[\"y\",\"z\"],"
                        "\"Labels\":{\"b\":\"2\",\"a\":\"1\"},"
                        "\"ExposedPorts\":{\"80/tcp\":{},\"22\":{}},\"Volumes\":{\"/v\":{}}},"
                        "\"rootfs\":{\"type\":\"layers\",\"diff_ids\":[\"sha256:" HEX "\"]}}";
        _cleanup_(image_config_freep) ImageConfig *c = NULL;
        _cleanup_error_ Error e = ERROR_NULL;

        assert_int_equal(image_config_parse(text, strlen(text), "x", &c, &e), 0);
        assert_string_equal(c->platform.variant, "v8");
        assert_string_equal(c->user, "1:2");
        assert_null(c->working_dir);
        assert_null(c->author);
        assert_string_equal(c->stop_signal, "SIGINT");
        assert_int_equal(strv_length(c->env), 2);
        assert_string_equal(c->entrypoint[0], "/x");
        assert_string_equal(c->cmd[1], "z");
        assert_int_equal(strv_length(c->labels), 4);
        assert_string_equal(c->labels[0], "a");
        assert_string_equal(c->labels[3], "2");
        assert_string_equal(c->exposed_ports[0], "22");
        assert_string_equal(c->volumes[0], "/v");
        assert_int_equal(c->n_diff_ids, 1);
        assert_string_equal(c->diff_ids[0].hex, HEX);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_normalize),      cmocka_unit_test(test_parts),
                        cmocka_unit_test(test_bad_references), cmocka_unit_test(test_loopback),
                        cmocka_unit_test(test_digest),         cmocka_unit_test(test_platform),
                        cmocka_unit_test(test_media_types),    cmocka_unit_test(test_manifest),
                        cmocka_unit_test(test_index),          cmocka_unit_test(test_config),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
