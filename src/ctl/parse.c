/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/parse.h"

#include <ctype.h>
#include <limits.h>

#include "basic/clock.h"
#include "basic/signals.h"
#include "basic/strv.h"

static int invalid(Error *e, const char *s, const char *expected) {
        return error_setf(e, CTR_INVALID_ARGUMENT, "\"%s\" is not %s", s, expected);
}

static void set_u64(void *target, uint64_t value) {
        *(OptionalU64 *) target = (OptionalU64){.set = true, .value = value};
}

int parse_flag(const char *s, void *target, Error *e) {
        *(bool *) target = true;
        return 0;
}

int parse_boolean(const char *s, void *target, Error *e) {
        static const char *const yes[] = {"yes", "true", "on", "1"};
        static const char *const no[] = {"no", "false", "off", "0"};

        for (size_t i = 0; i < ELEMENTSOF(yes); i++)
                if (streq(s, yes[i]) || streq(s, no[i])) {
                        set_u64(target, streq(s, yes[i]));
                        return 0;
                }
        return invalid(e, s, "yes or no");
}

int parse_string(const char *s, void *target, Error *e) {
        return free_and_strdup(target, s);
}

int parse_strv(const char *s, void *target, Error *e) {
        return strv_extend(target, s);
}

/* An unsigned decimal with an optional fraction, times a unit. Exact to the unit's last place. */
static int parse_scaled(const char *s, const char *end, uint64_t unit, uint64_t *ret) {
        unsigned __int128 value = 0, fraction = 0, divisor = 1;
        bool point = false, digits = false;

        for (const char *p = s; p < end; p++) {
                if (*p == '.' && !point) {
                        point = true;
                        continue;
                }
                if (!isdigit((unsigned char) *p))
                        return -EINVAL;
                digits = true;
                if (!point)
                        value = value * 10 + (unsigned) (*p - '0');
                else if (divisor < 1000000000) {
                        fraction = fraction * 10 + (unsigned) (*p - '0');
                        divisor *= 10;
                }
                if (value > UINT64_MAX)
                        return -ERANGE;
        }
        if (!digits)
                return -EINVAL;
        value = value * unit + fraction * unit / divisor;
        if (value >= UINT64_MAX)
                return -ERANGE;
        *ret = (uint64_t) value;
        return 0;
}

typedef struct Unit {
        const char *name;
        uint64_t factor;
} Unit;

static int parse_unit(const char *s, const Unit *units, size_t n_units, uint64_t *ret) {
        size_t n = strspn(s, "0123456789.");

        for (size_t i = 0; i < n_units; i++)
                if (streq(s + n, units[i].name))
                        return parse_scaled(s, s + n, units[i].factor, ret);
        return -EINVAL;
}

static int parse_with_units(const char *s, const Unit *units, size_t n, const char *expected,
                            void *target, Error *e) {
        uint64_t value;

        if (parse_unit(s, units, n, &value) < 0)
                return invalid(e, s, expected);
        set_u64(target, value);
        return 0;
}

int parse_bytes(const char *s, void *target, Error *e) {
        static const Unit units[] = {
                        {"", 1},
                        {"B", 1},
                        {"K", 1 << 10},
                        {"k", 1 << 10},
                        {"M", 1 << 20},
                        {"m", 1 << 20},
                        {"G", 1 << 30},
                        {"g", 1 << 30},
                        {"T", UINT64_C(1) << 40},
                        {"KiB", 1 << 10},
                        {"MiB", 1 << 20},
                        {"GiB", 1 << 30},
                        {"TiB", UINT64_C(1) << 40},
        };

        if (streq(s, "infinity")) {
                set_u64(target, UINT64_MAX);
                return 0;
        }
        return parse_with_units(s, units, ELEMENTSOF(units),
                                "a size in bytes (a suffix K, M, G or T is understood)", target, e);
}

int parse_count(const char *s, void *target, Error *e) {
        static const Unit one[] = {{"", 1}};

        if (streq(s, "infinity")) {
                set_u64(target, UINT64_MAX);
                return 0;
        }
        if (strchr(s, '.'))
                return invalid(e, s, "a whole number or infinity");
        return parse_with_units(s, one, 1, "a whole number or infinity", target, e);
}

int parse_number(const char *s, void *target, Error *e) {
        return parse_count(streq(s, "all") || streq(s, "-1") ? "infinity" : s, target, e);
}

int parse_weight(const char *s, void *target, Error *e) {
        static const char expected[] = "a weight from 1 to 10000";
        OptionalU64 weight = {};

        if (strchr(s, '.') || parse_count(s, &weight, NULL) != 0 || weight.value < 1 ||
            weight.value > 10000)
                return invalid(e, s, expected);
        *(OptionalU64 *) target = weight;
        return 0;
}

int parse_quota(const char *s, void *target, Error *e) {
        static const Unit percent[] = {{"%", USEC_PER_SEC / 100}};
        static const char expected[] = "a percentage of one CPU such as 150%";
        OptionalU64 quota = {};

        if (streq(s, "infinity")) {
                set_u64(target, UINT64_MAX);
                return 0;
        }
        if (parse_with_units(s, percent, 1, expected, &quota, NULL) != 0 || quota.value == 0)
                return invalid(e, s, expected);
        *(OptionalU64 *) target = quota;
        return 0;
}

int parse_cpus(const char *s, void *target, Error *e) {
        static const Unit cpus[] = {{"", USEC_PER_SEC}};
        static const char expected[] = "a number of CPUs such as 1.5";
        OptionalU64 quota = {};

        if (parse_with_units(s, cpus, 1, expected, &quota, NULL) != 0 || quota.value == 0)
                return invalid(e, s, expected);
        *(OptionalU64 *) target = quota;
        return 0;
}

static const Unit time_units[] = {
                {"", USEC_PER_SEC},         {"s", USEC_PER_SEC},
                {"ms", USEC_PER_MSEC},      {"us", 1},
                {"m", 60 * USEC_PER_SEC},   {"min", 60 * USEC_PER_SEC},
                {"h", 3600 * USEC_PER_SEC}, {"d", 86400 * USEC_PER_SEC},
};

int parse_duration(const char *s, void *target, Error *e) {
        return parse_with_units(s, time_units, ELEMENTSOF(time_units),
                                "a time span in seconds (a unit ms, s, min, h or d is understood)",
                                target, e);
}

static int parse_calendar(const char *s, uint64_t *ret) {
        static const char *const formats[] = {"%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S",
                                              "%Y-%m-%dT%H:%M", "%Y-%m-%d %H:%M", "%Y-%m-%d"};

        for (size_t i = 0; i < ELEMENTSOF(formats); i++) {
                struct tm tm = {.tm_isdst = -1};
                const char *end;
                time_t t;

                end = strptime(s, formats[i], &tm);
                if (!end || (*end && !streq(end, "Z")))
                        continue;
                t = *end ? timegm(&tm) : mktime(&tm);
                if (t < 0)
                        return -ERANGE;
                *ret = (uint64_t) t * USEC_PER_SEC;
                return 0;
        }
        return -EINVAL;
}

int parse_time(const char *s, void *target, Error *e) {
        static const Unit seconds[] = {{"", USEC_PER_SEC}};
        uint64_t value, now = now_realtime();

        if (s[0] == '@') {
                if (parse_unit(s + 1, seconds, 1, &value) < 0)
                        return invalid(e, s, "a time");
        } else if (parse_unit(s, time_units, ELEMENTSOF(time_units), &value) >= 0)
                value = value < now ? now - value : 0;
        else if (parse_calendar(s, &value) < 0)
                return invalid(e, s,
                               "a time: YYYY-MM-DD [HH:MM[:SS]], @SECONDS, or a span before now");
        set_u64(target, value);
        return 0;
}

int parse_signal(const char *s, void *target, Error *e) {
        int signo = signal_from_string(s);

        if (signo < 0)
                return invalid(e, s, "a signal");
        set_u64(target, (uint64_t) signo);
        return 0;
}

int parse_signal_or_probe(const char *s, void *target, Error *e) {
        if (!streq(s, "0"))
                return parse_signal(s, target, e);
        set_u64(target, 0);
        return 0;
}

int parse_oom_score(const char *s, void *target, Error *e) {
        char *end;
        long value;

        errno = 0;
        value = strtol(s, &end, 10);
        if (errno != 0 || end == s || *end || value < -1000 || value > 1000)
                return invalid(e, s, "a number from -1000 to 1000");
        set_u64(target, (uint64_t) (int64_t) value);
        return 0;
}

int parse_network(const char *s, void *target, Error *e) {
        /* podman's "none" is what we call private: loopback and nothing else */
        if (streq(s, "none"))
                s = "private";
        if (!streq(s, "private") && !streq(s, "host"))
                return invalid(e, s, "a network: private or host");
        return free_and_strdup(target, s);
}

/* The service knows what can be done with them; here is only told what is none at all. */
int parse_stream(const char *s, void *target, Error *e) {
        static const char *const names[] = {"null", "journal", "attach"};
        static const char *const schemes[] = {"fifo:", "file:", "binary:", "binary-v2:", "/"};

        for (size_t i = 0; i < ELEMENTSOF(names); i++)
                if (streq(s, names[i]))
                        return free_and_strdup(target, s);
        for (size_t i = 0; i < ELEMENTSOF(schemes); i++)
                if (startswith(s, schemes[i]))
                        return free_and_strdup(target, s);
        return invalid(e, s,
                       "a stream: null, journal, attach, fifo:PATH, file:PATH or "
                       "binary:///PROGRAM");
}

int parse_restart(const char *s, void *target, Error *e) {
        const char *retries = startswith(s, "on-failure:");
        OptionalU64 n;

        if (retries ? parse_count(retries, &n, NULL) != 0
                    : !streq(s, "no") && !streq(s, "always") && !streq(s, "on-failure") &&
                                            !streq(s, "unless-stopped"))
                return invalid(e, s, "a policy: no, always, on-failure[:N] or unless-stopped");
        return free_and_strdup(target, s);
}
