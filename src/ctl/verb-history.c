/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* history: how an image was built, the newest step first, as its configuration and manifest tell.
 */

#include <time.h>

#include "ctl/bus-json.h"
#include "ctl/inspect.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

#define HISTORY_MAX 1024 /* steps that are shown */

/* "2024-05-01T10:00:00.123Z" or with an offset; 0 for anything else. */
static uint64_t parse_created(const char *s) {
        struct tm tm = {};
        int hours = 0, minutes = 0;
        const char *end;
        time_t t;

        end = s ? strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
        if (!end)
                return 0;
        if (*end == '.')
                end += 1 + strspn(end + 1, "0123456789");
        if (!streq(end, "Z") &&
            (sscanf(end, "%3d:%2d", &hours, &minutes) != 2 || strlen(end) != STRLEN("+00:00")))
                return 0;
        t = timegm(&tm) - hours * 3600 - (*end == '-' ? -minutes : minutes) * 60;
        return t > 0 ? (uint64_t) t * USEC_PER_SEC : 0;
}

/* layer is NULL for a step that made none, or that the manifest does not have. */
static json_t *row_new(const json_t *step, const json_t *layer) {
        const char *by = json_string_value(json_object_get(step, "created_by"));
        const char *comment = json_string_value(json_object_get(step, "comment"));
        const char *digest = json_string_value(json_object_get(layer, "digest"));

        return json_pack("{s:I, s:s, s:s, s:s?, s:I}", "CreatedAt",
                         (json_int_t) parse_created(
                                         json_string_value(json_object_get(step, "created"))),
                         "CreatedBy", strempty(by), "Comment", strempty(comment), "Digest", digest,
                         "Size", json_integer_value(json_object_get(layer, "size")));
}

/* Steps and layers are in the same order, the oldest first; empty_layer marks steps without one. */
static int rows_from_image(const json_t *image, json_t **ret) {
        const json_t *steps = json_object_get(json_object_get(image, "Config"), "history");
        const json_t *layers = json_object_get(json_object_get(image, "Manifest"), "layers");
        size_t n = MIN_OF(json_array_size(steps), (size_t) HISTORY_MAX), used = 0;
        _cleanup_json_ json_t *rows = json_array();

        if (!rows)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                const json_t *step = json_array_get(steps, i);
                bool empty = json_is_true(json_object_get(step, "empty_layer"));
                json_t *row = row_new(step, empty ? NULL : json_array_get(layers, used++));

                if (!row || json_array_insert_new(rows, 0, row) < 0)
                        return -ENOMEM;
        }
        /* layers that nobody tells about */
        for (size_t i = n < HISTORY_MAX ? used : SIZE_MAX; i < json_array_size(layers); i++) {
                json_t *row = row_new(NULL, json_array_get(layers, i));

                if (!row || json_array_insert_new(rows, 0, row) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(rows);
        return 0;
}

int verb_history(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
                        {"SIZE", "Size", cell_bytes, COLUMN_RIGHT},
                        {"CREATED BY", "CreatedBy", NULL, COLUMN_SHORTEN},
                        {"COMMENT", "Comment", NULL, COLUMN_SHORTEN},
        };
        _cleanup_json_ json_t *image = NULL, *rows = NULL;

        if (client_connect(c, e) != 0 || inspect_image(c, args[0], &image, e) != 0)
                return EXIT_FAILURE;
        if (rows_from_image(image, &rows) < 0) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Digest", e);
}
