/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/stats-internal.h"

#include <math.h>

#include "basic/utf8.h"

void stats_set(TaskStats *s, StatValue v, uint64_t value) {
        s->values[v] = value;
        s->known[v] = true;
}

void stats_add_pair(TaskStats *s, StatGroup *group, const char *name, uint64_t value) {
        if (s->n_pairs == STAT_PAIRS_MAX)
                return;
        if (group->n == 0)
                group->first = s->n_pairs;
        s->pairs[s->n_pairs++] = (StatPair){.name = name, .value = value};
        group->n++;
}

bool stats_parse_number(const char *s, uint64_t *ret) {
        uint64_t value = 0;

        if (streq(s, "max")) {
                *ret = UINT64_MAX;
                return true;
        }
        if (!*s)
                return false;
        for (; *s >= '0' && *s <= '9'; s++)
                if (__builtin_mul_overflow(value, 10U, &value) ||
                    __builtin_add_overflow(value, (uint64_t) (*s - '0'), &value))
                        return false;
        *ret = value;
        return !*s;
}

void stats_parse_flat(TaskStats *s, char *text, StatGroup *ret) {
        char *line;

        while ((line = strsep(&text, "\n"))) {
                char *number = strchr(line, ' ');
                uint64_t value;

                if (!number || number == line)
                        continue;
                *number++ = '\0';
                if (stats_parse_number(number, &value))
                        stats_add_pair(s, ret, line, value);
        }
}

bool stats_find(const TaskStats *s, const StatGroup *group, const char *name, uint64_t *ret) {
        for (size_t i = group->first; i < group->first + group->n; i++)
                if (streq(s->pairs[i].name, name)) {
                        *ret = s->pairs[i].value;
                        return true;
                }
        return false;
}

void stats_parse_io(TaskStats *s, char *text) {
        char *line;

        while ((line = strsep(&text, "\n")) && s->n_io < STAT_GROUPS_MAX) {
                const char *device = strsep(&line, " ");
                StatGroup group = {.name = device};
                char *word;

                /* a device without traffic has no figures, sometimes not even a space */
                while ((word = strsep(&line, " "))) {
                        char *number = strchr(word, '=');
                        uint64_t value;

                        if (!number || number == word)
                                continue;
                        *number++ = '\0';
                        if (stats_parse_number(number, &value))
                                stats_add_pair(s, &group, word, value);
                }
                if (*device && strchr(device, ':') && group.n > 0)
                        s->io[s->n_io++] = group;
        }
}

static bool parse_average(const char *s, double *ret) {
        char *end;

        if (*s < '0' || *s > '9')
                return false;
        *ret = strtod(s, &end);
        return !*end && isfinite(*ret);
}

static bool parse_pressure_line(char *line, StatPressure *p) {
        static const char *const averages[] = {"avg10=", "avg60=", "avg300="};
        const char *value;
        char *word;

        p->kind = strsep(&line, " ");
        if (!streq(p->kind, "some") && !streq(p->kind, "full"))
                return false;
        for (size_t i = 0; i < ELEMENTSOF(averages); i++) {
                word = strsep(&line, " ");
                value = word ? startswith(word, averages[i]) : NULL;
                if (!value || !parse_average(value, &p->average[i]))
                        return false;
        }
        word = strsep(&line, " ");
        value = word ? startswith(word, "total=") : NULL;
        return value && stats_parse_number(value, &p->total);
}

void stats_parse_pressure(TaskStats *s, const char *resource, char *text) {
        char *line;

        while ((line = strsep(&text, "\n")) && s->n_pressure < ELEMENTSOF(s->pressure)) {
                StatPressure p = {.resource = resource};

                if (*line && parse_pressure_line(line, &p))
                        s->pressure[s->n_pressure++] = p;
        }
}

/* One of: eth0: bytes packets errs drop fifo frame compressed multicast, and the same again for
 * what is sent. */
static bool parse_interface(TaskStats *s, char *line, StatGroup *group) {
        static const char *const names[] = {
                        "rx_bytes", "rx_packets", "rx_errors", "rx_dropped", NULL, NULL, NULL, NULL,
                        "tx_bytes", "tx_packets", "tx_errors", "tx_dropped",
        };
        char *colon = strrchr(line, ':'), *word;
        size_t n = 0;

        if (!colon)
                return false;
        *colon = '\0';
        /* the container gives its interfaces any names, and this one is for everybody to read */
        group->name = utf8_repair(line + strspn(line, " "));
        line = colon + 1;
        while (n < ELEMENTSOF(names) && (word = strsep(&line, " "))) {
                uint64_t value;

                if (!*word)
                        continue;
                if (names[n] && stats_parse_number(word, &value))
                        stats_add_pair(s, group, names[n], value);
                n++;
        }
        return group->n > 0;
}

void stats_parse_network(TaskStats *s, char *text) {
        char *line;
        size_t n = 0;

        while ((line = strsep(&text, "\n")) && s->n_network < STAT_GROUPS_MAX) {
                StatGroup group = {};

                if (n++ >= 2 && parse_interface(s, line, &group))
                        s->network[s->n_network++] = group;
        }
}
