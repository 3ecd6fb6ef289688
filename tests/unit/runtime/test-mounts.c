/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* Each option of config.md's table as the container's /proc/self/mountinfo shows it: of a mount, of
 * all mounts below one, and of the file system. */

#include "fixture.h"

/* Prints of the mount at a place its options, its propagation, and the file system's options, of
 * which one is there on some kernels alone. */
#define SHOW(place)                                                                                \
        "while read id parent device root at options rest; do [ $at = " place " ] || continue;"    \
        " super=${rest##* }; echo $options ${rest%%-*}/ ${super%,inode64};"                        \
        " done < /proc/self/mountinfo"

typedef struct Case {
        const char *option, *shown;
} Case;

static void run_cases(Fixture *f, const Case *cases, size_t n, const char *format) {
        for (size_t i = 0; i < n; i++) {
                const Outcome *o;
                char json[1024];
                size_t used;

                used = (size_t) snprintf(json, sizeof(json), "%s", format);
                assert_true(used < sizeof(json));
                used = strcspn(json, "@");
                (void) snprintf(json + used, sizeof(json) - used, "%s%s", cases[i].option,
                                format + used + 1);
                fixture_set(f, "mounts", json);
                o = fixture_run(f);
                if (!streq(o->error, "") || !streq(o->output, cases[i].shown))
                        fail_msg("%s: \"%s\" instead of \"%s\" %s", cases[i].option, o->output,
                                 cases[i].shown, o->error);
        }
}

#define PROC "{\"destination\": \"/proc\", \"type\": \"proc\"},"

static void test_options(void **state) {
        static const Case cases[] = {
                        {"defaults", "rw,relatime / rw\n"},
                        {"ro", "ro,relatime / rw\n"},
                        {"rw", "rw,relatime / rw\n"},
                        {"nosuid", "rw,nosuid,relatime / rw\n"},
                        {"nodev", "rw,nodev,relatime / rw\n"},
                        {"noexec", "rw,noexec,relatime / rw\n"},
                        {"nosymfollow", "rw,relatime,nosymfollow / rw\n"},
                        {"noatime", "rw,noatime / rw\n"},
                        {"nodiratime", "rw,nodiratime,relatime / rw\n"},
                        {"strictatime", "rw / rw\n"},
                        {"relatime", "rw,relatime / rw\n"},
                        {"ro\", \"nosuid\", \"rw\", \"suid", "rw,relatime / rw\n"},
                        {"nodev\", \"noexec\", \"dev\", \"exec", "rw,relatime / rw\n"},
                        {"nosymfollow\", \"nodiratime\", \"symfollow\", \"diratime",
                         "rw,relatime / rw\n"},
                        {"noatime\", \"atime", "rw,relatime / rw\n"},
                        {"noatime\", \"norelatime", "rw,relatime / rw\n"},
                        {"strictatime\", \"nostrictatime", "rw,relatime / rw\n"},
                        {"sync", "rw,relatime / rw,sync\n"},
                        {"dirsync", "rw,relatime / rw,dirsync\n"},
                        {"lazytime", "rw,relatime / rw,lazytime\n"},
                        {"async", "rw,relatime / rw\n"},
                        {"nolazytime", "rw,relatime / rw\n"},
                        {"nomand", "rw,relatime / rw\n"},
                        {"silent", "rw,relatime / rw\n"},
                        {"loud", "rw,relatime / rw\n"},
                        {"iversion", "rw,relatime / rw\n"},
                        {"noiversion", "rw,relatime / rw\n"},
                        {"size=64k", "rw,relatime / rw,size=64k\n"},
                        {"private", "rw,relatime / rw\n"},
                        {"slave", "rw,relatime / rw\n"},
                        {"unbindable", "rw,relatime unbindable / rw\n"},
                        {"rprivate", "rw,relatime / rw\n"},
                        {"rslave", "rw,relatime / rw\n"},
                        {"runbindable", "rw,relatime unbindable / rw\n"},
        };
        Fixture *f = *state;

        fixture_script(f, SHOW("/m"));
        run_cases(f, cases, ELEMENTSOF(cases),
                  "[" PROC "{\"destination\": \"/m\", \"type\": \"tmpfs\", \"options\": [\"@\"]}]");
}

/* The mount below has none of the attributes, or all of them. */
static void test_recursive_options(void **state) {
        static const Case set[] = {
                        {"rro", "ro,relatime / rw\n"},
                        {"rnosuid", "rw,nosuid,relatime / rw\n"},
                        {"rnodev", "rw,nodev,relatime / rw\n"},
                        {"rnoexec", "rw,noexec,relatime / rw\n"},
                        {"rnosymfollow", "rw,relatime,nosymfollow / rw\n"},
                        {"rnoatime", "rw,noatime / rw\n"},
                        {"rnodiratime", "rw,nodiratime,relatime / rw\n"},
                        {"rstrictatime", "rw / rw\n"},
                        {"runbindable", "rw,relatime unbindable / rw\n"},
                        /* which are for the one above alone */
                        {"ro\", \"nosuid\", \"noatime\", \"unbindable", "rw,relatime / rw\n"},
        };
        static const Case cleared[] = {
                        {"rrw", "rw,nosuid,nodev,noexec,noatime,nodiratime,nosymfollow / rw\n"},
                        {"rsuid", "ro,nodev,noexec,noatime,nodiratime,nosymfollow / rw\n"},
                        {"rdev", "ro,nosuid,noexec,noatime,nodiratime,nosymfollow / rw\n"},
                        {"rexec", "ro,nosuid,nodev,noatime,nodiratime,nosymfollow / rw\n"},
                        {"rsymfollow", "ro,nosuid,nodev,noexec,noatime,nodiratime / rw\n"},
                        {"rdiratime", "ro,nosuid,nodev,noexec,noatime,nosymfollow / rw\n"},
                        {"ratime", "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow / rw\n"},
                        {"rrelatime",
                         "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow / rw\n"},
                        {"rnorelatime",
                         "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow / rw\n"},
                        {"rnostrictatime",
                         "ro,nosuid,nodev,noexec,nodiratime,relatime,nosymfollow / rw\n"},
        };
        Fixture *f = *state;

#define BELOW(options)                                                                             \
        "[" PROC "{\"destination\": \"/m\", \"type\": \"tmpfs\"},"                                 \
        " {\"destination\": \"/m/sub\", \"type\": \"tmpfs\", \"options\": [" options "]},"         \
        " {\"destination\": \"/m\", \"options\": [\"remount\", \"@\"]}]"
        fixture_script(f, SHOW("/m/sub"));
        run_cases(f, set, ELEMENTSOF(set), BELOW(""));
        run_cases(f, cleared, ELEMENTSOF(cleared),
                  BELOW("\"ro\", \"nosuid\", \"nodev\", \"noexec\", \"nosymfollow\","
                        " \"noatime\", \"nodiratime\""));
}

/* A new peer group; which number it has is the kernel's. */
static void test_shared(void **state) {
        Fixture *f = *state;

        fixture_script(f, "grep -cE ' /m [^-]* shared:[0-9]+ ' /proc/self/mountinfo");
        fixture_set(f, "mounts",
                    "[" PROC "{\"destination\": \"/m\", \"type\": \"tmpfs\","
                    " \"options\": [\"shared\"]}]");
        fixture_expect(f, "1\n");
        fixture_script(f, "grep -cE ' /m(/sub)? [^-]* shared:[0-9]+ ' /proc/self/mountinfo");
        fixture_set(f, "mounts",
                    "[" PROC "{\"destination\": \"/m\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"/m/sub\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"/m\", \"options\": [\"remount\", \"rshared\"]}]");
        fixture_expect(f, "2\n");
}

/* In the document's order: what comes later lies above. A destination may be relative to /. */
static void test_order(void **state) {
        Fixture *f = *state;

        fixture_script(f, "for i in 1 2 3; do [ -e /m/$i ] && echo $i; done; ls -d /m/sub;"
                          " stat -f -c %T /rel");
        fixture_set(f, "mounts",
                    "[" PROC "{\"destination\": \"/m\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"/m/1\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"/m\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"/m/sub\", \"type\": \"tmpfs\"},"
                    " {\"destination\": \"rel\", \"type\": \"tmpfs\"}]");
        fixture_expect(f, "/m/sub\ntmpfs\n");
}

int main(void) {
#define TEST(name) cmocka_unit_test_setup_teardown(name, fixture_setup, fixture_teardown)
        const struct CMUnitTest tests[] = {
                        TEST(test_options),
                        TEST(test_recursive_options),
                        TEST(test_shared),
                        TEST(test_order),
        };
        int r = fixture_can_run();

        return r != 0 ? r : cmocka_run_group_tests(tests, NULL, NULL);
}
