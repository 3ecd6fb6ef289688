/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Filters (A0.5): what they match, what they refuse and where, and that a hostile one costs little.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <time.h>

#include <cmocka.h>

#include "basic/filter.h"

typedef struct Thing {
        const char *name, *image, *label, *label_value;
} Thing;

static bool lookup(const void *object, const FilterField *field, const char **ret) {
        const Thing *t = object;

        if (field->n == 1 && streq(field->names[0], "name"))
                return filter_value(t->name, ret);
        if (field->n == 2 && streq(field->names[0], "image") && streq(field->names[1], "name"))
                return filter_value(t->image, ret);
        if (field->n > 1 && streq(field->names[0], "labels") && t->label &&
            streq(field->rests[1], t->label)) {
                *ret = t->label_value;
                return true;
        }
        return false;
}

static const Thing web = {"web-1", "docker.io/library/nginx:1", "a.b/c", "x y"};
static const Thing bare = {"bare", NULL, "tier", ""};

static void test_matching(void **state) {
        static const struct {
                const char *filter;
                bool web, bare;
        } cases[] = {
                        {"", true, true},
                        {"name", true, true},
                        {"image.name", true, false},
                        {"image", false, false},
                        {"nothing", false, false},
                        {"name==web-1", true, false},
                        {"name==web", false, false},
                        {"name!=web-1", false, true},
                        {"name == web-1", true, false},
                        {" name==web-1 , image.name ", true, false},
                        {"\"name\"==\"web-1\"", true, false},
                        {"name~=^web-[0-9]+$", true, false},
                        {"name~=b", true, true},
                        {"name~=/^(web|db)-1$/", true, false},
                        {"name~=|a/b|", false, false},
                        {"image.name~=/library\\/nginx/", true, false},
                        {"image.name==docker.io/library/nginx:1", true, false},
                        {"labels.\"a.b/c\"", true, false},
                        {"labels.a.\"b/c\"==\"x y\"", true, false},
                        {"labels.\"a.b/c\"==x", false, false},
                        {"labels.tier", false, true},
                        {"labels.tier==\"\"", false, true},
                        {"labels.tier!=gold", true, true},
                        /* what is not there is unequal to everything, and empty to a regex */
                        {"image.name!=x", true, true},
                        {"image.name==\"\"", false, false},
                        {"image.name~=^$", false, true},
                        {"name==\"w\\145\\x62\\u002d\\U00000031\"", true, false},
                        {"name==web-1,image.name==other", false, false},
                        {"name~=\"\"", true, true},
                        {"name==a=b", false, false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *alternatives[] = {(char *) cases[i].filter, NULL};
                _cleanup_(filter_freep) Filter *f = NULL;
                _cleanup_error_ Error e = ERROR_NULL;

                if (filter_new(alternatives, &f, &e) != 0)
                        fail_msg("%s: %s", cases[i].filter, error_text(&e));
                if (filter_matches(f, lookup, &web) != cases[i].web ||
                    filter_matches(f, lookup, &bare) != cases[i].bare)
                        fail_msg("%s: matches the wrong ones", cases[i].filter);
        }
}

static void test_alternatives(void **state) {
        static const struct {
                const char *filters[4];
                bool web, bare;
        } cases[] = {
                        {{NULL}, true, true},
                        {{"name==web-1", "name==bare"}, true, true},
                        {{"name==bare", "name==web-1,image.name==other"}, false, true},
                        {{"name==x,name", "name==web-1"}, true, false},
                        {{"name==x", ""}, true, true},
                        {{"name==x", "name==y", "labels.tier"}, false, true},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(filter_freep) Filter *f = NULL;

                assert_int_equal(filter_new((char *const *) cases[i].filters, &f, NULL), 0);
                assert_int_equal(filter_matches(f, lookup, &web), cases[i].web);
                assert_int_equal(filter_matches(f, lookup, &bare), cases[i].bare);
        }
        assert_true(filter_matches(NULL, lookup, &web));
}

static void test_refused(void **state) {
        static const struct {
                const char *filter, *error;
        } cases[] = {
                        {",", "position 0: expected a name"},
                        {"name==x,", "position 8: expected a name"},
                        {"name.", "position 5: expected a name"},
                        {".name", "position 0: expected a name"},
                        {"name=x", "position 4: expected one of the operators"},
                        {"name===x", "position 4: expected one of the operators"},
                        {"name<x", "position 4: expected one of the operators"},
                        {"name==", "position 6: expected a value"},
                        {"name==,x", "position 6: expected a value"},
                        {"name==x y", "position 8: expected a comma"},
                        {"name==\"x\"y", "position 9: expected a comma"},
                        {"name==\"x", "position 6: the quotation does not end"},
                        {"name~=/x", "position 6: the quotation does not end"},
                        {"name==\"a\nb\"", "position 6: the quotation does not end"},
                        {"name==\"\\q\"", "position 8: unknown escape"},
                        {"name==\"\\'\"", "position 8: unknown escape"},
                        {"name==\"\\x4\"", "bad number"},
                        {"name==\"\\400\"", "stands for no character"},
                        {"name==\"\\ud800\"", "stands for no character"},
                        {"name==\"\\U00110000\"", "stands for no character"},
                        {"name==\"\\x00\"", "NUL"},
                        {"name==\"\\", "unknown escape"},
                        {"name~=(", "position 6: bad regular expression"},
                        {"name~=[a", "position 6: bad regular expression"},
                        {"name~=/(a)\\\\1/", "back-reference"},
                        {"a.b.c.d.e.f.g.h.i.j.k.l.m.n.o.p.q", "the path is too long"},
                        {"\xc3\xa4==x", "position 0: expected a name"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                char *alternatives[] = {(char *) "name", (char *) cases[i].filter, NULL};
                _cleanup_error_ Error e = ERROR_NULL;
                Filter *f = NULL;

                if (filter_new(alternatives, &f, &e) != CTR_INVALID_ARGUMENT)
                        fail_msg("%s is not refused", cases[i].filter);
                assert_null(f);
                if (!startswith(e.text, "Filter 2, ") || !strstr(e.text, cases[i].error))
                        fail_msg("%s: %s", cases[i].filter, e.text);
        }
}

static void test_bounds(void **state) {
        char long_filter[FILTER_LENGTH_MAX + 2] = {}, many[4096] = "a", regexes[4096] = "a";
        const char *filters[FILTERS_MAX + 2] = {long_filter};
        char *conditions[] = {many, NULL}, *expressions[] = {regexes, NULL};
        _cleanup_error_ Error e = ERROR_NULL;
        Filter *f = NULL;

        memset(long_filter, 'x', sizeof(long_filter) - 1);
        assert_int_equal(filter_new((char *const *) filters, &f, &e), CTR_INVALID_ARGUMENT);
        for (size_t i = 0; i < FILTERS_MAX + 1; i++)
                filters[i] = "name";
        assert_int_equal(filter_new((char *const *) filters, &f, NULL), CTR_INVALID_ARGUMENT);
        filters[FILTERS_MAX] = NULL;
        assert_int_equal(filter_new((char *const *) filters, &f, NULL), 0);
        filter_free(f);
        f = NULL;
        for (size_t i = 0; i < 300; i++)
                strcat(many, ",a");
        assert_int_equal(filter_new(conditions, &f, NULL), CTR_INVALID_ARGUMENT);
        for (size_t i = 0; i < 20; i++)
                strcat(regexes, ",a~=x");
        assert_int_equal(filter_new(expressions, &f, NULL), CTR_INVALID_ARGUMENT);
        assert_null(f);
}

/* Each of these would fill the memory, or never end, if regcomp(3) or regexec(3) saw it. */
static void test_hostile_patterns(void **state) {
        static const char *const refused[] = {
                        "name~=((((((((((((((((((((a+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)+)",
                        "name~=/((a{255}){255}){255}/",
                        "name~=a{32767}",
                        "name~=/a{-1}{99999999999999999999}/",
                        "name~=/(a{1,}{9,}{9,}{9,}{9,}{9,}{9,})/",
                        "name~=a++++++++++++++++++++++++++++++++++++++++",
                        "name~=a+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?+?",
        };
        static const char *const costly = "name~=(a|b|ab|ba)*(a|b)*a(a|b){26}c";
        char *alternatives[] = {NULL, NULL}, value[4096];
        struct timespec start, end;
        Thing t = {.name = value};
        _cleanup_(filter_freep) Filter *f = NULL;

        for (size_t i = 0; i < ELEMENTSOF(refused); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                Filter *g = NULL;

                alternatives[0] = (char *) refused[i];
                if (filter_new(alternatives, &g, &e) != CTR_INVALID_ARGUMENT)
                        fail_msg("%s is not refused", refused[i]);
        }

        for (size_t i = 0; i < sizeof(value) - 1; i++)
                value[i] = i * i % 7 < 3 ? 'a' : 'b';
        value[sizeof(value) - 1] = '\0';
        alternatives[0] = (char *) costly;
        assert_int_equal(filter_new(alternatives, &f, NULL), 0);
        (void) clock_gettime(CLOCK_MONOTONIC, &start);
        assert_false(filter_matches(f, lookup, &t));
        (void) clock_gettime(CLOCK_MONOTONIC, &end);
        print_message("a costly pattern over %zu bytes: %ld us\n", sizeof(value),
                      (end.tv_sec - start.tv_sec) * 1000000 + (end.tv_nsec - start.tv_nsec) / 1000);
        assert_true(end.tv_sec - start.tv_sec < 5);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_matching),
                        cmocka_unit_test(test_alternatives),
                        cmocka_unit_test(test_refused),
                        cmocka_unit_test(test_bounds),
                        cmocka_unit_test(test_hostile_patterns),
        };

        return cmocka_run_group_tests(tests, NULL, NULL);
}
