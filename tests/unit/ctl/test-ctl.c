/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* The parts of ctrctl that need no bus: values of options, option tables, text, tables, JSON. */

#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/socket.h>
#include <time.h>

#include <cmocka.h>

#include "basic/strv.h"
#include "ctl/bus-json.h"
#include "ctl/options.h"
#include "ctl/progress.h"
#include "ctl/table.h"
#include "ctl/text.h"

#define INVALID UINT64_C(0xdead) /* no case below has this value */

typedef int (*Parser)(const char *s, void *target, Error *e);

static void test_numbers(void **state) {
        static const struct {
                Parser parse;
                const char *text;
                uint64_t value;
        } cases[] = {
                        {parse_bytes, "0", 0},
                        {parse_bytes, "64M", 64 << 20},
                        {parse_bytes, "1.5K", 1536},
                        {parse_bytes, "2GiB", UINT64_C(2) << 30},
                        {parse_bytes, "infinity", UINT64_MAX},
                        {parse_bytes, "18446744073709551615", INVALID},
                        {parse_bytes, "16777216T", INVALID},
                        {parse_bytes, "99999999999999999999999", INVALID},
                        {parse_bytes, "-1", INVALID},
                        {parse_bytes, "", INVALID},
                        {parse_bytes, ".", INVALID},
                        {parse_bytes, "1..5K", INVALID},
                        {parse_bytes, "1X", INVALID},
                        {parse_count, "17", 17},
                        {parse_count, "1.5", INVALID},
                        {parse_number, "all", UINT64_MAX},
                        {parse_number, "-1", UINT64_MAX},
                        {parse_weight, "1", 1},
                        {parse_weight, "10000", 10000},
                        {parse_weight, "0", INVALID},
                        {parse_weight, "10001", INVALID},
                        {parse_weight, "infinity", INVALID},
                        {parse_quota, "50%", 500000},
                        {parse_quota, "12.5%", 125000},
                        {parse_quota, "0%", INVALID},
                        {parse_quota, "50", INVALID},
                        {parse_duration, "10", 10 * USEC_PER_SEC},
                        {parse_duration, "1.5min", 90 * USEC_PER_SEC},
                        {parse_duration, "20ms", 20000},
                        {parse_duration, "1fortnight", INVALID},
                        {parse_time, "@5", 5 * USEC_PER_SEC},
                        {parse_time, "1970-01-02T00:00:01Z", 86401 * USEC_PER_SEC},
                        {parse_time, "tomorrow", INVALID},
                        {parse_signal, "TERM", SIGTERM},
                        {parse_signal, "SIGTERM", SIGTERM},
                        {parse_signal, "sigkill", SIGKILL},
                        {parse_signal, "usr1", SIGUSR1},
                        {parse_signal, "15", 15},
                        {parse_signal, "0", INVALID},
                        {parse_signal_or_probe, "0", 0},
                        {parse_signal_or_probe, "RTMAX-1", 63},
                        {parse_signal_or_probe, "-1", INVALID},
                        {parse_signal, "65", INVALID},
                        {parse_signal, "RTMIN+1", 35},
                        {parse_signal, "RTMIN+31", INVALID},
                        {parse_signal, "rtmin+1", 35},
                        {parse_signal, "SIGRTMAX", 64},
                        {parse_signal, "RTMINx", INVALID},
                        {parse_signal, "", INVALID},
                        {parse_boolean, "no", 0},
                        {parse_boolean, "true", 1},
                        {parse_boolean, "maybe", INVALID},
                        {parse_oom_score, "-1000", (uint64_t) INT64_C(-1000)},
                        {parse_oom_score, "1001", INVALID},
                        {parse_oom_score, "", INVALID},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                OptionalU64 target = {};
                int r = cases[i].parse(cases[i].text, &target, &e);

                if (cases[i].value == INVALID) {
                        if (r != CTR_INVALID_ARGUMENT || !e.text || target.set)
                                fail_msg("\"%s\" was taken for %llu", cases[i].text,
                                         (unsigned long long) target.value);
                } else if (r != 0 || !target.set || target.value != cases[i].value)
                        fail_msg("\"%s\" became %llu", cases[i].text,
                                 (unsigned long long) target.value);
        }
}

/* What a parser that appends to a list makes of one text; NULL: refused. */
static void test_lists(void **state) {
        static const struct {
                Parser parse;
                const char *text, *first, *second;
        } cases[] = {
                        {parse_environment, "A=b=c", "A=b=c", NULL},
                        {parse_environment, "TEST_CTL", "TEST_CTL=here", NULL},
                        {parse_environment, "=x", NULL, NULL},
                        {parse_unset, "A", "A", NULL},
                        {parse_unset, "A=b", NULL, NULL},
                        {parse_label, "k", "k=", NULL},
                        {parse_label, "k=v=w", "k=v=w", NULL},
                        {parse_label, "=v", NULL, NULL},
                        {parse_capability, "net_admin", "CAP_NET_ADMIN", NULL},
                        {parse_capability, "CAP_CHOWN", "CAP_CHOWN", NULL},
                        {parse_capability, "all", "ALL", NULL},
                        {parse_capability, "", NULL, NULL},
                        {parse_capability, "a b", NULL, NULL},
                        {parse_device, "/dev/fuse", "/dev/fuse", "rwm"},
                        {parse_device, "/dev/fuse:r", "/dev/fuse", "r"},
                        {parse_device, "/dev/fuse:/dev/fuse:rw", "/dev/fuse", "rw"},
                        {parse_device, "/dev/fuse:/dev/other", NULL, NULL},
                        {parse_device, "/dev/fuse:x", NULL, NULL},
                        {parse_device, "fuse", NULL, NULL},
        };

        assert_int_equal(setenv("TEST_CTL", "here", true), 0);
        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_strv_free_ char **list = NULL;
                int r = cases[i].parse(cases[i].text, &list, NULL);

                assert_int_equal(r, cases[i].first ? 0 : CTR_INVALID_ARGUMENT);
                assert_int_equal(strv_length(list), !!cases[i].first + !!cases[i].second);
                if (cases[i].first)
                        assert_string_equal(list[0], cases[i].first);
                if (cases[i].second)
                        assert_string_equal(list[1], cases[i].second);
        }
}

static void test_environment(void **state) {
        char path[] = "/tmp/test-ctl-XXXXXX";
        _cleanup_strv_free_ char **list = NULL;
        _cleanup_close_ int fd = mkstemp(path);
        static const char text[] = "# comment\n\n A=1\r\nB=two words\nUNSET_HERE\nA=3";

        assert_true(fd >= 0);
        assert_int_equal(write(fd, text, sizeof(text) - 1), (int) sizeof(text) - 1);
        assert_int_equal(parse_environment_file(path, &list, NULL), 0);
        assert_int_equal(strv_length(list), 2);
        assert_string_equal(list[0], "A=3");
        assert_string_equal(list[1], "B=two words");
        assert_int_equal(unlink(path), 0);
        assert_int_equal(parse_environment_file(path, &list, NULL), -ENOENT);
}

static void test_mounts(void **state) {
        _cleanup_free_ char *cwd = getcwd(NULL, 0), *here = NULL;
        _cleanup_(mount_list_clear) MountList l = {};
        static const char *const wrong[] = {"/a:b", ":/b", "na/me:/b", "/a::ro", "",
                                            ":",    "/a:", "name",     "-x:/b"};
        static const char *const wrong_parts[] = {
                        "target=/t",          "type=bind,target=/t",
                        "type=volume",        "type=image,dst=/t",
                        "type=zfs,target=/t", "type=tmpfs,src=/a,dst=/t",
                        "type=volume,dst=t",  "type=volume,src=a/b,dst=/t",
        };

        assert_int_equal(parse_volume("/a:/b:ro,nosuid", &l, NULL), 0);
        assert_string_equal(l.items[0].source, "/a");
        assert_string_equal(l.items[0].destination, "/b");
        assert_string_equal(l.items[0].type, "bind");
        assert_int_equal(strv_length(l.items[0].options), 3);
        assert_string_equal(l.items[0].options[0], "ro");
        assert_string_equal(l.items[0].options[2], "rbind");
        assert_int_equal(parse_volume(".:/b:bind", &l, NULL), 0);
        assert_string_equal(l.items[1].source, cwd);
        assert_int_equal(strv_length(l.items[1].options), 1);
        assert_int_equal(parse_volume("./x:/b", &l, NULL), 0);
        assert_true(asprintf(&here, "%s/./x", cwd) > 0);
        assert_string_equal(l.items[2].source, here);
        assert_int_equal(parse_tmpfs("/t:size=1m", &l, NULL), 0);
        assert_string_equal(l.items[3].type, "tmpfs");
        assert_string_equal(l.items[3].options[0], "size=1m");
        assert_int_equal(parse_tmpfs("t", &l, NULL), CTR_INVALID_ARGUMENT);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_volume(wrong[i], &l, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_equal(l.n, 4);

        assert_int_equal(parse_volume("name:/b:ro,nocopy", &l, NULL), 0);
        assert_string_equal(l.items[4].type, "volume");
        assert_string_equal(l.items[4].source, "name");
        assert_int_equal(strv_length(l.items[4].options), 2);
        assert_int_equal(parse_volume("/data", &l, NULL), 0);
        assert_string_equal(l.items[5].type, "volume");
        assert_string_equal(l.items[5].source, "");
        assert_string_equal(l.items[5].destination, "/data");
        assert_int_equal(parse_mount("source=x,type=volume,dst=/b,volume-nocopy", &l, NULL), 0);
        assert_string_equal(l.items[6].source, "x");
        assert_string_equal(l.items[6].options[0], "nocopy");
        assert_int_equal(parse_mount("type=image,src=localhost:5000/a,dst=/b", &l, NULL), 0);
        assert_string_equal(l.items[7].source, "localhost:5000/a");
        assert_int_equal(parse_mount("src=x,type=bind,dst=/b", &l, NULL), 0);
        free(here);
        assert_true(asprintf(&here, "%s/x", cwd) > 0);
        assert_string_equal(l.items[8].source, here);
        for (size_t i = 0; i < ELEMENTSOF(wrong_parts); i++)
                if (parse_mount(wrong_parts[i], &l, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong_parts[i]);
        assert_int_equal(l.n, 9);
}

static void test_secrets(void **state) {
        static const char *const wrong[] = {
                        "",         ",target=a", "a,b",          "a,mode=8",
                        "a,uid=-1", "a,uid=",    "a,mode=01000", "a,target=",
                        "../a",     "a,x=1",     "a,type=file",  "a,uid=4294967295"};
        _cleanup_(secret_list_clear) SecretList l = {};

        assert_int_equal(parse_secret("key", &l, NULL), 0);
        assert_string_equal(l.items[0].name, "key");
        assert_string_equal(l.items[0].target, "");
        assert_int_equal(l.items[0].mode, 0444);
        assert_int_equal(parse_secret("key,target=/a,uid=1,gid=2,mode=0400,type=mount", &l, NULL),
                         0);
        assert_string_equal(l.items[1].target, "/a");
        assert_int_equal(l.items[1].uid, 1);
        assert_int_equal(l.items[1].gid, 2);
        assert_int_equal(l.items[1].mode, 0400);
        assert_int_equal(parse_secret("type=mount,source=x", &l, NULL), 0);
        assert_string_equal(l.items[2].name, "x");
        assert_int_equal(parse_secret("key,type=env", &l, NULL), CTR_NOT_IMPLEMENTED);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_secret(wrong[i], &l, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_equal(l.n, 3);
}

static void test_filters(void **state) {
        _cleanup_strv_free_ char **l = NULL;

        assert_int_equal(parse_filter("label=a", &l, NULL), 0);
        assert_string_equal(l[0], "labels.\"a\"");
        assert_int_equal(parse_filter("label!=b=\"c\\", &l, NULL), 0);
        assert_string_equal(l[0], "labels.\"a\",labels.\"b\"!=\"\\\"c\\\\\"");
        assert_int_equal(parse_filter("name==x", &l, NULL), 0);
        assert_int_equal(parse_filter("label=d=", &l, NULL), 0);
        assert_int_equal(strv_length(l), 2);
        assert_string_equal(l[1], "name==x,labels.\"d\"==\"\"");
        assert_int_equal(parse_filter("label=", &l, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(parse_filter("label!==x", &l, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(parse_filter("label!=x", &l, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(strv_length(l), 2);
}

static void test_rlimits(void **state) {
        _cleanup_(rlimit_list_clear) RlimitList l = {};
        static const char *const wrong[] = {"nofile",    "nofile=",
                                            "=1",        "nofile=2:1",
                                            "no file=1", "nofile=1:2:3",
                                            "nofile=x",  "averyveryverylongname=1"};

        assert_int_equal(parse_ulimit("nofile=10:20", &l, NULL), 0);
        assert_string_equal(l.items[0].name, "RLIMIT_NOFILE");
        assert_int_equal(l.items[0].soft, 10);
        assert_int_equal(l.items[0].hard, 20);
        assert_int_equal(parse_ulimit("core=unlimited", &l, NULL), 0);
        assert_true(l.items[1].soft == UINT64_MAX && l.items[1].hard == UINT64_MAX);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_ulimit(wrong[i], &l, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong[i]);
}

static void test_user_namespace(void **state) {
        static const char *const wrong[] = {"",           "mine",        "auto:",
                                            "auto:size=", "auto:size=x", "auto:size=4294967296",
                                            "host:size=5"};
        UserNamespace u = {};

        assert_int_equal(parse_user_namespace("auto:size=100", &u, NULL), 0);
        assert_string_equal(u.mode, "auto");
        assert_true(u.size.set && u.size.value == 100);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_user_namespace(wrong[i], &u, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong[i]);
        assert_string_equal(u.mode, "auto");
        assert_int_equal(parse_user_namespace("host", &u, NULL), 0);
        assert_string_equal(u.mode, "host");
        assert_false(u.size.set);
        free(u.mode);
}

static void test_id_mapping(void **state) {
        static const char *const wrong[] = {"",       "0",       "0:",           "0:1:",
                                            "0:1:2:", "0:1:2:3", "0:4294967296", "-1:0",
                                            "0::1",   ":0:1",    "0:1x",         " 0:1"};
        IdMappingList l = {};

        assert_int_equal(parse_id_mapping("0:100000:65536", &l, NULL), 0);
        assert_int_equal(parse_id_mapping("65536:4294967294", &l, NULL), 0);
        for (size_t i = 0; i < ELEMENTSOF(wrong); i++)
                if (parse_id_mapping(wrong[i], &l, NULL) != CTR_INVALID_ARGUMENT)
                        fail_msg("\"%s\" was taken", wrong[i]);
        assert_int_equal(l.n, 2);
        assert_int_equal(l.items[0].container, 0);
        assert_int_equal(l.items[0].host, 100000);
        assert_int_equal(l.items[0].size, 65536);
        assert_int_equal(l.items[1].host, 4294967294);
        assert_int_equal(l.items[1].size, 1);
        free(l.items);
}

static void test_entrypoint(void **state) {
        OptionalStrv e = {};

        assert_int_equal(parse_entrypoint("[\"/bin/sh\", \"-c\"]", &e, NULL), 0);
        assert_int_equal(strv_length(e.list), 2);
        assert_string_equal(e.list[1], "-c");
        assert_int_equal(parse_entrypoint("[1]", &e, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(parse_entrypoint("[", &e, NULL), CTR_INVALID_ARGUMENT);
        assert_int_equal(parse_entrypoint("", &e, NULL), 0);
        assert_true(e.set);
        assert_int_equal(strv_length(e.list), 0);
        strv_free(e.list);
}

static int parse_line(const char *line, bool stop_at_first, Options *o, char ***ret_rest,
                      Error *e) {
        static const OptionSet *const sets[] = {&options_run,
                                                &options_process,
                                                &options_create,
                                                &options_resources,
                                                &options_namespace,
                                                &options_global,
                                                NULL};
        static char copy[256];
        static char *argv[32];
        int argc = 0, first = 0, r;
        char *save = NULL;

        (void) snprintf(copy, sizeof(copy), "%s", line);
        for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save))
                argv[argc++] = w;
        argv[argc] = NULL;
        r = options_parse(sets, stop_at_first, argc, argv, o, &first, e);
        *ret_rest = argv + first;
        return r;
}

static void test_options(void **state) {
        _cleanup_(options_clear) Options o = {};
        char **rest;

        assert_int_equal(parse_line("run -dit --name x --json=short -e A=1 image -e B=2 --rm", true,
                                    &o, &rest, NULL),
                         0);
        assert_true(o.detach && o.interactive && o.create.terminal && !o.remove);
        assert_string_equal(o.name, "x");
        assert_int_equal(o.json, JSON_MODE_SHORT);
        assert_int_equal(strv_length(o.create.environment), 1);
        assert_string_equal(rest[0], "image");
        assert_string_equal(rest[3], "--rm");
        options_clear(&o);
        assert_int_equal(parse_line("rm a --rm b --namespace=n", false, &o, &rest, NULL), 0);
        assert_true(o.remove);
        assert_string_equal(o.namespace, "n");
        assert_string_equal(rest[1], "b");
}

static void test_options_refused(void **state) {
        static const struct {
                const char *line, *text;
        } cases[] = {
                        {"run -x", "unknown option -x"},
                        {"run --nonsense", "--nonsense"},
                        {"run --rm=1", "--rm takes no value"},
                        {"run --name", "--name needs a value (ID)"},
                        {"run -dx", "unknown option -x"},
                        {"run --cpu-weight=0", "--cpu-weight: \"0\" is not a weight"},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(options_clear) Options o = {};
                _cleanup_error_ Error e = ERROR_NULL;
                char **rest;

                assert_int_equal(parse_line(cases[i].line, true, &o, &rest, &e),
                                 CTR_INVALID_ARGUMENT);
                if (!strstr(error_text(&e), cases[i].text))
                        fail_msg("%s: %s", cases[i].line, error_text(&e));
        }
}

static void test_text(void **state) {
        static const struct {
                const char *text, *escaped;
        } cases[] = {
                        {"plain", "plain"},
                        {"\033[31mred", "\\x1b[31mred"},
                        {"a\nb", "a\\x0ab"},
                        {"\xc3\xa4", "\xc3\xa4"},
                        {"\xc3", "\\xc3"},
                        {"\xc2\x9b", "\\xc2\\x9b"}, /* CSI, one character wide on no terminal */
                        {"\x7f", "\\x7f"},
                        {"\xe2\x80\xae", "\\xe2\\x80\\xae"}, /* from right to left */
        };
        char s[16] = "0123456789", number[TEXT_NUMBER_MAX], span[TEXT_AGO_MAX];

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *escaped = text_escape(cases[i].text);

                assert_string_equal(escaped, cases[i].escaped);
        }
        assert_int_equal(text_width("\xe4\xb8\xad\xc3\xa4"), 3);
        text_shorten(s, sizeof(s), 10);
        assert_string_equal(s, "0123456789");
        text_shorten(s, sizeof(s), 5);
        assert_string_equal(s, "0123\xe2\x80\xa6");
        text_shorten(s, sizeof(s), 1);
        assert_string_equal(s, "\xe2\x80\xa6");
        text_shorten(s, sizeof(s), 0);
        assert_string_equal(s, "");

        assert_string_equal(text_bytes(0, number), "0B");
        assert_string_equal(text_bytes(1023, number), "1023B");
        assert_string_equal(text_bytes(1024, number), "1.0K");
        assert_string_equal(text_bytes(198 * 1024 * 1024 + 512 * 1024, number), "198.5M");
        assert_string_equal(text_bytes(UINT64_MAX, number), "15.9E");
        assert_string_equal(text_span(0, span), "less than a second");
        assert_string_equal(text_span(61 * USEC_PER_SEC, span), "1 minute");
        assert_string_equal(text_span(3 * 86400 * USEC_PER_SEC, span), "3 days");
}

static char *print_rows(json_t *rows, bool legend, unsigned width) {
        static const Column columns[] = {{"NAME", "Name", NULL, COLUMN_SHORTEN},
                                         {"SIZE", "Size", cell_bytes, COLUMN_RIGHT},
                                         {"NOTE", "Note", NULL, 0}};
        char *text = NULL;
        size_t size;
        FILE *f;

        f = open_memstream(&text, &size);
        assert_non_null(f);
        assert_int_equal(table_print(f, columns, ELEMENTSOF(columns), rows, legend, width), 0);
        assert_int_equal(fclose(f), 0);
        return text;
}

static void test_table(void **state) {
        _cleanup_json_ json_t *rows =
                        json_pack("[{s:s, s:i, s:s}, {s:s, s:i}]", "Name", "first-of-all", "Size",
                                  2048, "Note", "x\033", "Name", "b", "Size", 1);
        _cleanup_free_ char *wide = print_rows(rows, true, 0),
                            *narrow = print_rows(rows, false, 22);

        assert_string_equal(wide, "NAME          SIZE  NOTE\n"
                                  "first-of-all  2.0K  x\\x1b\n"
                                  "b               1B  -\n");
        assert_string_equal(narrow, "first-of\xe2\x80\xa6  2.0K  x\\x1b\n"
                                    "b            1B  -\n");
}

static void test_progress(void **state) {
        const ProgressItem first[] = {{"layer-sha256:00112233445566", "wait", 0, 0},
                                      {"config-sha256:aabb", "download", 1, 2048}},
                           second[] = {{"layer-sha256:00112233445566", "download", 10, 20},
                                       {"config-sha256:aabb", "done", 2048, 2048}};
        _cleanup_(progress_freep) Progress *p = NULL;
        char text[512] = "";
        FILE *f = tmpfile();

        assert_non_null(f);
        p = progress_new(f);
        assert_non_null(p);
        assert_int_equal(progress_update(p, first, 2), 0);
        assert_int_equal(progress_update(p, second, 2), 0);
        assert_int_equal(progress_update(p, second, 2), 0);
        rewind(f);
        assert_true(fread(text, 1, sizeof(text) - 1, f) > 0);
        assert_string_equal(text, "config aabb: download (2.0K)\n"
                                  "layer 001122334455: download (20B)\n"
                                  "config aabb: done\n");
        assert_int_equal(fclose(f), 0);
}

/* A message that has been sent to nobody: sealed and read again. */
static json_t *round_trip(const char *signature, ...) {
        sd_bus_message *m = NULL;
        sd_bus *bus = NULL;
        json_t *j = NULL;
        int pair[2];
        va_list ap;

        assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
        assert_true(sd_bus_new(&bus) >= 0);
        assert_true(sd_bus_set_fd(bus, pair[0], pair[0]) >= 0);
        assert_true(sd_bus_start(bus) >= 0);
        assert_true(sd_bus_message_new_signal(bus, &m, "/x", "x.y", "Z") >= 0);
        va_start(ap, signature);
        assert_true(sd_bus_message_appendv(m, signature, ap) >= 0);
        va_end(ap);
        assert_true(sd_bus_message_seal(m, 1, 0) >= 0);
        assert_int_equal(bus_message_read_json(m, &j), 0);
        sd_bus_message_unref(m);
        sd_bus_close_unref(bus);
        fd_close(pair[1]);
        return j;
}

static void assert_json(json_t *j, const char *expected) {
        _cleanup_free_ char *text = json_dumps(j, JSON_COMPACT | JSON_SORT_KEYS | JSON_ENCODE_ANY);

        assert_string_equal(text, expected);
        json_decref(j);
}

static void test_bus_json(void **state) {
        assert_json(round_trip("a{sv}", 3, "A", "s", "x", "B", "as", 2, "p", "q", "C", "(tb)",
                               UINT64_C(5), 1),
                    "{\"A\":\"x\",\"B\":[\"p\",\"q\"],\"C\":[5,true]}");
        assert_json(round_trip("t", UINT64_MAX), "\"infinity\"");
        assert_json(round_trip("t", UINT64_MAX - 1), "\"18446744073709551614\"");
        assert_json(round_trip("a{ss}", 1, "k", "v"), "{\"k\":\"v\"}");
        assert_json(round_trip("a{us}", 1, 7, "v"), "[[7,\"v\"]]");
        assert_json(round_trip("ai", 3, -1, 0, 1), "[-1,0,1]");
        assert_json(round_trip("a(oa{sv})", 0), "[]");
        assert_json(round_trip("d", 0.5), "0.5");
}

static void test_detach_keys(void **state) {
        static const struct {
                const char *text;
                const char *keys; /* NULL: refused */
        } cases[] = {
                        {"ctrl-p,ctrl-q", "\x10\x11"},
                        {"", ""},
                        {"a", "a"},
                        {"ctrl-A,b,ctrl-[,ctrl-_", "\x01"
                                                   "b\x1b\x1f"},
                        {"ctrl-", NULL},
                        {"ctrl-pp", NULL},
                        {"ctrl-1", NULL},
                        {"ab", NULL},
                        {",", NULL},
                        {"a,", NULL},
                        {"a,,b", NULL},
                        {"a,b,c,d,e,f,g,h,i,j,k,l,m,n,o,p,q", NULL},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                DetachKeys keys = {};
                int r = parse_detach_keys(cases[i].text, &keys, &e);

                assert_int_equal(r, cases[i].keys ? 0 : CTR_INVALID_ARGUMENT);
                assert_int_equal(keys.set, r == 0);
                if (r != 0)
                        continue;
                assert_int_equal(keys.n, strlen(cases[i].keys));
                assert_memory_equal(keys.keys, cases[i].keys, keys.n);
        }
}

/* However the input is cut into pieces, the same is left over. */
static void test_detach_scan(void **state) {
        static const struct {
                const char *keys, *input, *output;
                bool detached;
        } cases[] = {
                        {"a,b", "xyz", "xyz", false},   {"a,b", "xabz", "x", true},
                        {"a,b", "aab", "a", true},      {"a,b", "acb", "acb", false},
                        {"a,b", "ba", "b", false},      {"a,a,b", "aaab", "a", true},
                        {"a,a,b", "aac", "aac", false}, {"a,b,a,c", "ababac", "ab", true},
                        {"a", "xa", "x", true},         {"", "abc", "abc", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++)
                for (size_t piece = 1; piece <= strlen(cases[i].input); piece++) {
                        unsigned char out[64];
                        size_t matched = 0, n = 0, more, left = strlen(cases[i].input);
                        const char *in = cases[i].input;
                        DetachKeys keys = {};
                        bool detached = false;

                        assert_int_equal(parse_detach_keys(cases[i].keys, &keys, NULL), 0);
                        while (left > 0 && !detached) {
                                size_t size = MIN_OF(piece, left);

                                detached = detach_keys_scan(&keys, &matched,
                                                            (const unsigned char *) in, size,
                                                            out + n, &more);
                                n += more;
                                in += size;
                                left -= size;
                        }
                        assert_int_equal(detached, cases[i].detached);
                        assert_int_equal(n, strlen(cases[i].output));
                        assert_memory_equal(out, cases[i].output, n);
                }
}

static void test_streams_and_policies(void **state) {
        static const struct {
                Parser parse;
                const char *text;
                bool valid;
        } cases[] = {
                        {parse_stream, "null", true},
                        {parse_stream, "journal", true},
                        {parse_stream, "file:/x", true},
                        {parse_stream, "/x", true},
                        {parse_stream, "binary:///bin/x?a=b", true},
                        {parse_stream, "x", false},
                        {parse_stream, "", false},
                        {parse_restart, "no", true},
                        {parse_restart, "unless-stopped", true},
                        {parse_restart, "on-failure", true},
                        {parse_restart, "on-failure:3", true},
                        {parse_restart, "on-failure:", false},
                        {parse_restart, "always:3", false},
                        {parse_restart, "", false},
        };

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_free_ char *value = NULL;

                assert_int_equal(cases[i].parse(cases[i].text, &value, NULL),
                                 cases[i].valid ? 0 : CTR_INVALID_ARGUMENT);
                assert_true(cases[i].valid ? streq(value, cases[i].text) : !value);
        }
}

static void test_time(void **state) {
        char buf[TEXT_TIME_MAX];

        (void) setenv("TZ", "IST-5:30", true);
        tzset();
        assert_string_equal(text_time(UINT64_C(1700000000000001), buf),
                            "2023-11-15T03:43:20.000001+05:30");
        (void) unsetenv("TZ");
        tzset();
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test(test_numbers),
                        cmocka_unit_test(test_lists),
                        cmocka_unit_test(test_environment),
                        cmocka_unit_test(test_mounts),
                        cmocka_unit_test(test_secrets),
                        cmocka_unit_test(test_filters),
                        cmocka_unit_test(test_rlimits),
                        cmocka_unit_test(test_entrypoint),
                        cmocka_unit_test(test_user_namespace),
                        cmocka_unit_test(test_id_mapping),
                        cmocka_unit_test(test_options),
                        cmocka_unit_test(test_options_refused),
                        cmocka_unit_test(test_text),
                        cmocka_unit_test(test_table),
                        cmocka_unit_test(test_progress),
                        cmocka_unit_test(test_bus_json),
                        cmocka_unit_test(test_detach_keys),
                        cmocka_unit_test(test_detach_scan),
                        cmocka_unit_test(test_streams_and_policies),
                        cmocka_unit_test(test_time),
        };

        (void) setenv("LC_ALL", "C.UTF-8", true);
        text_init_locale();
        return cmocka_run_group_tests(tests, NULL, NULL);
}
