/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/table.h"

#include "basic/clock.h"
#include "ctl/text.h"

#define GAP           2
#define WIDTH_MIN     8
#define ELLIPSIS_ROOM 3 /* bytes of "…" more than the character it replaces */

static char *cell_plain(const json_t *row, const char *key) {
        json_t *value = json_object_get(row, key);
        char buf[32];

        if (json_is_string(value))
                return text_escape(json_string_value(value));
        if (json_is_boolean(value))
                return strdup(json_is_true(value) ? "yes" : "no");
        if (!json_is_integer(value))
                return strdup("-");
        (void) snprintf(buf, sizeof(buf), "%lli", (long long) json_integer_value(value));
        return strdup(buf);
}

char *cell_bytes(const json_t *row, const char *key) {
        char buf[TEXT_NUMBER_MAX];

        return strdup(text_bytes((uint64_t) json_integer_value(json_object_get(row, key)), buf));
}

char *cell_length(const json_t *row, const char *key) {
        char *s;

        return asprintf(&s, "%zu", json_array_size(json_object_get(row, key))) < 0 ? NULL : s;
}

char *cell_ago(const json_t *row, const char *key) {
        uint64_t when = (uint64_t) json_integer_value(json_object_get(row, key));
        uint64_t now = now_realtime();
        char buf[TEXT_AGO_MAX], *s;

        if (when == 0)
                return strdup("-");
        if (asprintf(&s, "%s ago", text_span(now > when ? now - when : 0, buf)) < 0)
                return NULL;
        return s;
}

char *cell_in(const json_t *row, const char *key) {
        uint64_t when = (uint64_t) json_integer_value(json_object_get(row, key));
        uint64_t now = now_realtime();
        char buf[TEXT_AGO_MAX], *s;

        if (when == 0)
                return strdup("-");
        if (when <= now)
                return strdup("now");
        return asprintf(&s, "in %s", text_span(when - now, buf)) < 0 ? NULL : s;
}

char *cell_percent(const json_t *row, const char *key) {
        const json_t *value = json_object_get(row, key);
        char *s;

        if (!value)
                return strdup("-");
        return asprintf(&s, "%.1f%%", json_number_value(value)) < 0 ? NULL : s;
}

typedef struct Cells {
        char **texts; /* row by row */
        size_t *widths;
        size_t n_rows, n_columns;
} Cells;

static void cells_clear(Cells *c) {
        for (size_t i = 0; c->texts && i < c->n_rows * c->n_columns; i++)
                free(c->texts[i]);
        free(c->texts);
        free(c->widths);
}

static int cells_fill(Cells *c, const Column *columns, json_t *rows) {
        json_t *row;
        size_t i;

        c->n_rows = json_array_size(rows);
        c->texts = calloc(c->n_rows * c->n_columns + 1, sizeof(char *));
        c->widths = calloc(c->n_rows * c->n_columns + 1, sizeof(size_t));
        if (!c->texts || !c->widths)
                return -ENOMEM;
        json_array_foreach(rows, i, row) {
                for (size_t k = 0; k < c->n_columns; k++) {
                        size_t at = i * c->n_columns + k;

                        c->texts[at] = columns[k].format ? columns[k].format(row, columns[k].key)
                                                         : cell_plain(row, columns[k].key);
                        if (!c->texts[at])
                                return -ENOMEM;
                        c->widths[at] = text_width(c->texts[at]);
                }
        }
        return 0;
}

/* Takes columns from the widest ones that may be shortened until the line fits or none can give. */
static void fit(const Column *columns, size_t n, size_t *widths, unsigned width) {
        size_t total = GAP * (n - 1);

        for (size_t i = 0; i < n; i++)
                total += widths[i];
        while (total > width) {
                size_t widest = n;

                for (size_t i = 0; i < n; i++)
                        if ((columns[i].flags & COLUMN_SHORTEN) && widths[i] > WIDTH_MIN &&
                            (widest == n || widths[i] > widths[widest]))
                                widest = i;
                if (widest == n)
                        return;
                widths[widest]--;
                total--;
        }
}

static void print_cell(FILE *f, const char *text, size_t width, size_t column, bool right,
                       bool is_last) {
        size_t padding = column > width ? column - width : 0;

        if (right)
                fprintf(f, "%*s", (int) padding, "");
        fputs(text, f);
        if (!is_last)
                fprintf(f, "%*s", (int) (GAP + (right ? 0 : padding)), "");
}

static int print_row(FILE *f, const Column *columns, const Cells *c, size_t row,
                     const size_t *widths) {
        for (size_t k = 0; k < c->n_columns; k++) {
                size_t at = row * c->n_columns + k, width = c->widths[at];
                _cleanup_free_ char *copy = NULL;
                const char *text = c->texts[at];

                if (width > widths[k]) {
                        size_t capacity = strlen(text) + 1 + ELLIPSIS_ROOM;

                        copy = malloc(capacity);
                        if (!copy)
                                return -ENOMEM;
                        strcpy(copy, text);
                        text_shorten(copy, capacity, widths[k]);
                        width = text_width(copy);
                        text = copy;
                }
                print_cell(f, text, width, widths[k], columns[k].flags & COLUMN_RIGHT,
                           k + 1 == c->n_columns);
        }
        fputc('\n', f);
        return 0;
}

int table_print(FILE *f, const Column *columns, size_t n_columns, json_t *rows, bool legend,
                unsigned width) {
        _cleanup_(cells_clear) Cells cells = {.n_columns = n_columns};
        size_t widths[TABLE_COLUMNS_MAX] = {};
        int r;

        assert(n_columns > 0 && n_columns <= TABLE_COLUMNS_MAX);

        text_init_locale();
        r = cells_fill(&cells, columns, rows);
        if (r < 0)
                return r;
        for (size_t k = 0; k < n_columns; k++) {
                widths[k] = legend ? strlen(columns[k].title) : 1;
                for (size_t i = 0; i < cells.n_rows; i++)
                        widths[k] = MAX_OF(widths[k], cells.widths[i * n_columns + k]);
        }
        if (width > 0)
                fit(columns, n_columns, widths, width);

        for (size_t k = 0; legend && k < n_columns; k++)
                print_cell(f, columns[k].title, strlen(columns[k].title), widths[k],
                           columns[k].flags & COLUMN_RIGHT, k + 1 == n_columns);
        if (legend)
                fputc('\n', f);
        for (size_t i = 0; i < cells.n_rows; i++) {
                r = print_row(f, columns, &cells, i, widths);
                if (r < 0)
                        return r;
        }
        return 0;
}
