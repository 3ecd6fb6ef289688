/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/restart-policy.h"

#include <inttypes.h>

#include "basic/clock.h"

const RestartTimes restart_times_default = {
                .first = 100 * USEC_PER_MSEC,
                .max = 60 * USEC_PER_SEC,
                .settled = 10 * USEC_PER_SEC,
                .healthy = 600 * USEC_PER_SEC,
};

static int parse_number(const char *text, uint64_t *ret) {
        char *end;

        if (text[0] < '0' || text[0] > '9')
                return -EINVAL;
        errno = 0;
        *ret = strtoull(text, &end, 10);
        return errno != 0 || *end || *ret > INT32_MAX ? -EINVAL : 0;
}

int restart_policy_parse(const char *text, RestartPolicy *ret, Error *e) {
        static const struct {
                const char *name;
                RestartKind kind;
        } kinds[] = {
                        {"", RESTART_ALWAYS},
                        {"no", RESTART_NO},
                        {"always", RESTART_ALWAYS},
                        {"on-failure", RESTART_ON_FAILURE},
                        {"unless-stopped", RESTART_UNLESS_STOPPED},
        };
        const char *number = startswith(text, "on-failure:");
        uint64_t max;

        for (size_t i = 0; i < ELEMENTSOF(kinds); i++)
                if (streq(text, kinds[i].name)) {
                        *ret = (RestartPolicy){.kind = kinds[i].kind};
                        return 0;
                }
        if (number && parse_number(number, &max) == 0) {
                *ret = (RestartPolicy){.kind = RESTART_ON_FAILURE, .max = max};
                return 0;
        }
        return error_setf(e, CTR_INVALID_ARGUMENT,
                          "\"%.64s\" is no restart policy: no, always, on-failure[:N] or "
                          "unless-stopped (only on-failure has a number)",
                          text);
}

static const char *label(json_t *labels, const char *key) {
        return json_string_value(json_object_get(labels, key));
}

int restart_labels_check(json_t *labels, Error *e) {
        const char *policy = label(labels, RESTART_LABEL_POLICY);
        const char *status = label(labels, RESTART_LABEL_STATUS);
        const char *count = label(labels, RESTART_LABEL_COUNT);
        RestartPolicy parsed;
        uint64_t number;
        int r;

        r = policy ? restart_policy_parse(policy, &parsed, e) : 0;
        if (r != 0)
                return error_prefix(e, r, "Label %s", RESTART_LABEL_POLICY);
        if (status && !streq(status, "running") && !streq(status, "stopped"))
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Label %s: \"%.64s\" is neither running nor stopped",
                                  RESTART_LABEL_STATUS, status);
        if (count && parse_number(count, &number) < 0)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Label %s: \"%.64s\" is no number",
                                  RESTART_LABEL_COUNT, count);
        return 0;
}

int restart_labels_set_policy(json_t *labels, const char *policy) {
        if (!streq(policy, "no"))
                return json_object_set_new(labels, RESTART_LABEL_POLICY, json_string(policy)) < 0
                                       ? -ENOMEM
                                       : 0;
        (void) json_object_del(labels, RESTART_LABEL_POLICY);
        (void) json_object_del(labels, RESTART_LABEL_STATUS);
        return 0;
}

bool restart_labels_wanted(json_t *labels) {
        return label(labels, RESTART_LABEL_POLICY) || label(labels, RESTART_LABEL_STATUS);
}

bool restart_labels_running(json_t *labels) {
        return streq(strempty(label(labels, RESTART_LABEL_STATUS)), "running");
}

bool restart_labels_explicitly_stopped(json_t *labels) {
        return streq(strempty(label(labels, RESTART_LABEL_STOPPED)), "true");
}

uint64_t restart_labels_count(json_t *labels) {
        uint64_t count = 0;

        return parse_number(strempty(label(labels, RESTART_LABEL_COUNT)), &count) == 0 ? count : 0;
}

/* They were checked when they were set; what was written by hand into the database is no policy. */
RestartPolicy restart_labels_policy(json_t *labels) {
        RestartPolicy policy = {};

        if (restart_labels_wanted(labels))
                (void) restart_policy_parse(strempty(label(labels, RESTART_LABEL_POLICY)), &policy,
                                            NULL);
        return policy;
}

bool restart_wanted(json_t *labels, int exit_status) {
        RestartPolicy policy = restart_labels_policy(labels);

        if (!restart_labels_running(labels))
                return false;
        switch (policy.kind) {
        case RESTART_ALWAYS:
                return true;
        case RESTART_UNLESS_STOPPED:
                return !restart_labels_explicitly_stopped(labels);
        case RESTART_ON_FAILURE:
                return exit_status < 0 ||
                       (exit_status != 0 &&
                        (policy.max == 0 || restart_labels_count(labels) < policy.max));
        case RESTART_NO:
        default:
                return false;
        }
}

bool restart_wanted_at_boot(json_t *labels) {
        RestartKind kind = restart_labels_policy(labels).kind;

        return kind != RESTART_NO &&
               (restart_labels_running(labels) ||
                (kind == RESTART_ALWAYS && restart_labels_explicitly_stopped(labels)));
}

uint64_t restart_delay(const RestartTimes *times, unsigned failures) {
        uint64_t delay = times->first;

        while (failures-- > 0 && delay < times->max)
                delay *= 2;
        return MIN_OF(delay, times->max);
}
