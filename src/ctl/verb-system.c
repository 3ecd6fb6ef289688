/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* system df, gc and verify: what the store holds, what of it nobody needs, and whether it is whole.
 */

#include "ctl/arguments.h"
#include "ctl/bus-json.h"
#include "ctl/job.h"
#include "ctl/listing.h"
#include "ctl/output.h"
#include "ctl/text.h"
#include "ctl/verbs.h"

static int call_for_object(Client *c, const char *member, json_t **ret, Error *e) {
        Arguments arguments = {.client = c, .keys = KEY_ALL_NAMESPACES};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = member,
                           .append = append_arguments,
                           .userdata = &arguments,
                           .timeout = UINT64_MAX};
        sd_bus_message *reply = NULL;
        int r;

        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return e->code;
        r = bus_message_read_json(reply, ret);
        sd_bus_message_unref(reply);
        return r < 0 ? error_setf(e, r, "Failed to read the answer to %s: %m", member) : 0;
}

static int show_object(const Client *c, json_t *object, Error *e) {
        if (print_json(object, c->options->json) == 0)
                return EXIT_SUCCESS;
        (void) error_setf(e, -EIO, "Failed to write to standard output");
        return EXIT_FAILURE;
}

static char *cell_count(const json_t *row, const char *key) {
        const json_t *value = json_object_get(row, key);
        char *s;

        if (!json_is_integer(value))
                return strdup("-");
        return asprintf(&s, "%lli", (long long) json_integer_value(value)) < 0 ? NULL : s;
}

/* A table of one row per kind of thing, as docker has it. */
static int usage_rows(const json_t *usage, json_t **ret) {
        static const struct {
                const char *type, *count, *size;
        } kinds[] = {
                        {"Images", "Images", NULL},
                        {"Containers", "Containers", NULL},
                        {"Leases", "Leases", NULL},
                        {"Blobs", "Blobs", "ContentBytes"},
                        {"Downloads", NULL, "IngestBytes"},
                        {"Quarantine", NULL, "QuarantineBytes"},
                        {"Snapshots", "Snapshots", "SnapshotBytes"},
                        {"Reclaimable", NULL, "ReclaimableBytes"},
        };
        _cleanup_json_ json_t *rows = json_array();

        if (!rows)
                return -ENOMEM;
        for (size_t i = 0; i < ELEMENTSOF(kinds); i++) {
                json_t *count = kinds[i].count ? json_object_get(usage, kinds[i].count) : NULL;
                json_t *size = kinds[i].size ? json_object_get(usage, kinds[i].size) : NULL;
                json_t *row;

                if (!count && !size)
                        continue;
                row = json_pack("{s:s, s:O?, s:O?}", "Type", kinds[i].type, "Count", count, "Size",
                                size);
                if (!row || json_array_append_new(rows, row) < 0)
                        return -ENOMEM;
        }
        *ret = TAKE_PTR(rows);
        return 0;
}

static char *cell_size_if_known(const json_t *row, const char *key) {
        return json_is_integer(json_object_get(row, key)) ? cell_bytes(row, key) : strdup("-");
}

int verb_system_df(Client *c, char **args, Error *e) {
        static const Column columns[] = {
                        {"TYPE", "Type", NULL, 0},
                        {"COUNT", "Count", cell_count, COLUMN_RIGHT},
                        {"SIZE", "Size", cell_size_if_known, COLUMN_RIGHT},
        };
        _cleanup_json_ json_t *usage = NULL, *rows = NULL;

        if (call_for_object(c, "DiskUsage", &usage, e) != 0)
                return EXIT_FAILURE;
        if (c->options->json != JSON_MODE_OFF)
                return show_object(c, usage, e);
        if (usage_rows(usage, &rows) < 0) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        return listing_show(c, columns, ELEMENTSOF(columns), rows, "Type", e);
}

int verb_gc(Client *c, char **args, Error *e) {
        _cleanup_json_ json_t *removed = NULL;
        char bytes[TEXT_NUMBER_MAX];

        if (call_for_object(c, "CollectGarbage", &removed, e) != 0)
                return EXIT_FAILURE;
        if (c->options->json != JSON_MODE_OFF)
                return show_object(c, removed, e);
        if (!c->options->quiet)
                printf("Removed %lli blobs (%s), %lli snapshots, %lli partial downloads\n",
                       (long long) json_integer_value(json_object_get(removed, "Blobs")),
                       text_bytes((uint64_t) json_integer_value(json_object_get(removed, "Bytes")),
                                  bytes),
                       (long long) json_integer_value(json_object_get(removed, "Snapshots")),
                       (long long) json_integer_value(json_object_get(removed, "Ingests")));
        return EXIT_SUCCESS;
}

int verb_verify(Client *c, char **args, Error *e) {
        Arguments arguments = {.client = c, .keys = KEY_QUARANTINE};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "VerifyContent",
                           .append = append_arguments,
                           .userdata = &arguments};
        _cleanup_json_ json_t *result = NULL;
        const json_t *damaged, *blob;
        size_t i;

        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        if (job_run(c, &call, "verification", &result, e) != 0)
                return job_failure_status(e);
        damaged = json_object_get(result, "Damaged");
        if (c->options->json != JSON_MODE_OFF) {
                if (show_object(c, result, e) != EXIT_SUCCESS)
                        return EXIT_FAILURE;
        } else
                json_array_foreach(damaged, i, blob) {
                        _cleanup_free_ char *text = text_escape(strempty(json_string_value(blob)));

                        puts(strempty(text));
                }
        if (json_array_size(damaged) == 0)
                return EXIT_SUCCESS;
        (void) error_setf(e, CTR_DATA_LOSS, "%zu blobs are damaged%s", json_array_size(damaged),
                          c->options->image.quarantine
                                          ? " and were put aside; pull their images again"
                                          : "; use --quarantine to fetch them again with a pull");
        return EXIT_FAILURE;
}
