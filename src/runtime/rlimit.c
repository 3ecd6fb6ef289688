/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "runtime/rlimit.h"

#include "runtime/spec.h"

bool rlimit_value_from_json(json_t *j, rlim_t *ret) {
        if (!json_is_integer(j) || json_integer_value(j) < -1)
                return false;
        *ret = (rlim_t) json_integer_value(j);
        return true;
}

static int is_last(int resource, const struct rlimit *l) {
        struct rlimit current;

        if (resource != RLIMIT_NOFILE && resource != RLIMIT_NPROC)
                return false;
        if (getrlimit((__rlimit_resource_t) resource, &current) < 0)
                return -errno;
        return l->rlim_max <= current.rlim_max;
}

int rlimits_apply(const SpecRlimits *limits, bool last, Error *e) {
        for (int i = 0; i < (int) RLIM_NLIMITS; i++) {
                const struct rlimit *l = &limits->limits[i];

                int r;

                if (!(limits->set & (1U << i)))
                        continue;
                r = is_last(i, l);
                if (r < 0)
                        return error_setf(e, r, "Failed to read %s: %m", rlimit_to_string(i));
                if (r != last || setrlimit((__rlimit_resource_t) i, l) >= 0)
                        continue;
                return error_setf(e, errno == EPERM ? CTR_PERMISSION_DENIED : -errno,
                                  "Failed to set %s to %llu (hard limit %llu): %m",
                                  rlimit_to_string(i), (unsigned long long) l->rlim_cur,
                                  (unsigned long long) l->rlim_max);
        }
        return 0;
}
