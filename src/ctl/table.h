/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * A listing as a table: rows are JSON objects, columns say how a row becomes a cell. On a terminal
 * the table is as wide as that at most: columns that may be shortened give way, widest first.
 */

#include "basic/json.h"

typedef enum ColumnFlags {
        COLUMN_RIGHT = 1 << 0,   /* right-aligned, for numbers */
        COLUMN_SHORTEN = 1 << 1, /* may be cut when the terminal is too narrow */
} ColumnFlags;

typedef struct Column {
        const char *title;
        const char *key; /* member of the row */
        /* The cell's text, malloc'ed; NULL: out of memory. NULL here: the member as it is. */
        char *(*format)(const json_t *row, const char *key);
        ColumnFlags flags;
} Column;

#define TABLE_COLUMNS_MAX 12

/* Prints rows (an array of objects) to f. width: columns of the terminal, 0 for no limit. 0 or
 * -ENOMEM; write errors show at the end, when f is closed. */
int table_print(FILE *f, const Column *columns, size_t n_columns, json_t *rows, bool legend,
                unsigned width);

/* Formats for struct Column. */
char *cell_bytes(const json_t *row, const char *key);
char *cell_percent(const json_t *row, const char *key); /* "-" if it is not there */
char *cell_in(const json_t *row, const char *key);      /* "in 5 minutes", "-" for never */
char *cell_length(const json_t *row, const char *key);  /* of an array */
char *cell_ago(const json_t *row, const char *key); /* microseconds since the epoch: "3 days ago" */
