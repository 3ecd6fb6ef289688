/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/strv.h"
#include "bus/authorize.h"
#include "bus/container.h"
#include "bus/copy-methods.h"
#include "bus/error.h"
#include "bus/late.h"
#include "bus/manager-methods.h"
#include "bus/options.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/commit.h"

typedef struct CommitOptions {
        CommitRequest request;
        char **changes;
} CommitOptions;

static int option_compression(OptionReader *o, void *target) {
        const char **compression = target;
        int r;

        r = option_read_string(o, compression);
        if (r < 0)
                return r;
        return streq(*compression, "gzip") || streq(*compression, "zstd") ||
                                               streq(*compression, "none")
                               ? 0
                               : option_invalid(o, "\"%.64s\" is neither gzip, zstd nor none",
                                                *compression);
}

static int commit_begin(sd_bus_message *m, Container *c, const CommitRequest *request,
                        sd_bus_error *error) {
        AuthorityDetails details[2] = {container_authority_details(c),
                                       container_authority_details(c)};
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        details[1].image = request->reference;
        r = authorize_each(service_of(&c->object), m, details, ELEMENTSOF(details), error);
        if (r <= 0)
                return r < 0 ? r : 1;
        r = late_new(service_of(&c->object), m, bus_reply_path, &late, error);
        if (r < 0)
                return r;
        r = container_commit(c, request, late_complete, late, &e);
        return late_started(late, r, &e, error);
}

int method_commit(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        static const Option table[] = {
                        {"Pause", "b", option_bool_inverted,
                         offsetof(CommitOptions, request.no_pause)},
                        {"Author", "s", option_string, offsetof(CommitOptions, request.author)},
                        {"Comment", "s", option_string, offsetof(CommitOptions, request.comment)},
                        {"Changes", "as", option_strv, offsetof(CommitOptions, changes)},
                        {"Compression", "s", option_compression,
                         offsetof(CommitOptions, request.compression)},
                        {"Unpack", "b", option_bool_inverted,
                         offsetof(CommitOptions, request.no_unpack)},
                        {"Lease", "s", option_string, offsetof(CommitOptions, request.lease)},
                        {},
        };
        _cleanup_free_ char *reference = NULL;
        CommitOptions options = {};
        int r;

        r = reference_read(m, &reference, error);
        if (r >= 0)
                r = options_read(m, table, &options, error);
        options.request.reference = reference;
        options.request.changes = options.changes;
        if (r >= 0)
                r = commit_begin(m, userdata, &options.request, error);
        strv_free(options.changes);
        return r;
}
