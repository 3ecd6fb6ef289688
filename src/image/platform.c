/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "image/platform.h"

#include <sys/utsname.h>

/* What uname(2) says, and what Go calls it. */
static const struct {
        const char *machine, *architecture, *variant;
} machines[] = {
                {"x86_64", "amd64", ""},    {"aarch64", "arm64", "v8"},
                {"armv8l", "arm", "v8"},    {"armv7l", "arm", "v7"},
                {"armv6l", "arm", "v6"},    {"i686", "386", ""},
                {"i586", "386", ""},        {"riscv64", "riscv64", ""},
                {"ppc64le", "ppc64le", ""}, {"ppc64", "ppc64", ""},
                {"s390x", "s390x", ""},     {"loongarch64", "loong64", ""},
                {"mips64", "mips64", ""},
};

static int part_set(char *part, const char *s, const char *what, Error *e) {
        size_t n = strlen(strempty(s));

        if (n > PLATFORM_PART_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "The %s of the platform is too long",
                                  what);
        for (size_t i = 0; i < n; i++)
                if (!(s[i] >= 'a' && s[i] <= 'z') && !(s[i] >= 'A' && s[i] <= 'Z') &&
                    !(s[i] >= '0' && s[i] <= '9') && !strchr("._-", s[i]))
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "The %s \"%.64s\" of the platform is not valid", what, s);
        memcpy(part, strempty(s), n + 1);
        return 0;
}

int platform_set(Platform *p, const char *os, const char *architecture, const char *variant,
                 Error *e) {
        Platform new = {};
        int r;

        r = part_set(new.os, os, "operating system", e);
        if (r == 0)
                r = part_set(new.architecture, architecture, "architecture", e);
        if (r == 0)
                r = part_set(new.variant, variant, "variant", e);
        if (r == 0)
                *p = new;
        return r;
}

int platform_parse(const char *s, Platform *ret, Error *e) {
        _cleanup_free_ char *copy = NULL;
        char *architecture, *variant = NULL;

        assert(s && ret);

        copy = strdup(s);
        if (!copy)
                return -ENOMEM;
        architecture = strchr(copy, '/');
        if (architecture) {
                *architecture++ = '\0';
                variant = strchr(architecture, '/');
                if (variant)
                        *variant++ = '\0';
        }
        if (isempty(copy) || isempty(architecture) || (variant && isempty(variant)))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "The platform \"%.64s\" is not of the form "
                                  "OS/ARCHITECTURE[/VARIANT]",
                                  s);
        return platform_set(ret, copy, architecture, variant, e);
}

void platform_host(Platform *ret) {
        struct utsname u;
        size_t i;

        (void) uname(&u);
        for (i = 0; i < ELEMENTSOF(machines); i++)
                if (streq(machines[i].machine, u.machine))
                        break;
        /* a machine that is not in the table has the same name in both worlds, as far as known */
        (void) platform_set(ret, "linux",
                            i < ELEMENTSOF(machines) ? machines[i].architecture : u.machine,
                            i < ELEMENTSOF(machines) ? machines[i].variant : "", NULL);
}

/* "v8.1" is 8001, "v7" is 7000; 0 if it is not of that form. */
static int variant_rank(const char *variant) {
        int major = 0, minor = 0, n = 0;

        if (sscanf(variant, "v%2d%n", &major, &n) < 1)
                return 0;
        if (variant[n] == '.' && sscanf(variant + n, ".%2d", &minor) < 1)
                return 0;
        return major * 1000 + minor;
}

/* The variant that the specification's tables mean when none is given. */
static const char *variant_or_default(const Platform *p) {
        if (*p->variant)
                return p->variant;
        if (streq(p->architecture, "arm64"))
                return "v8";
        if (streq(p->architecture, "amd64"))
                return "v1";
        return "";
}

int platform_match(const Platform *host, const Platform *image) {
        const char *have = variant_or_default(host), *want = variant_or_default(image);

        if (!streq(host->os, image->os) || !streq(host->architecture, image->architecture))
                return -1;
        if (streq(have, want))
                return 1000000;
        if (!*want)
                return 0;
        if (!*have || variant_rank(want) == 0 || variant_rank(want) > variant_rank(have))
                return -1;
        return variant_rank(want);
}

const char *platform_to_string(const Platform *p, char buf[static PLATFORM_STRING_SIZE]) {
        (void) snprintf(buf, PLATFORM_STRING_SIZE, "%s/%s%s%s", p->os, p->architecture,
                        *p->variant ? "/" : "", p->variant);
        return buf;
}
