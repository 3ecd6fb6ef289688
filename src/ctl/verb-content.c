/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* content ls, get, rm and label: the blobs that images are made of. */

#include "basic/fs.h"
#include "ctl/arguments.h"
#include "ctl/batch.h"
#include "ctl/bus-json.h"
#include "ctl/listing.h"
#include "ctl/verbs.h"

static const Column blob_columns[] = {
                {"DIGEST", "Digest", NULL, COLUMN_SHORTEN},
                {"SIZE", "Size", cell_bytes, COLUMN_RIGHT},
                {"IMAGES", "Images", NULL, COLUMN_RIGHT},
                {"CREATED", "CreatedAt", cell_ago, COLUMN_SHORTEN},
                {"MEDIA TYPE", "MediaType", NULL, COLUMN_SHORTEN},
};

static const Column ingest_columns[] = {
                {"DIGEST", "Digest", NULL, COLUMN_SHORTEN},
                {"OFFSET", "Offset", cell_bytes, COLUMN_RIGHT},
                {"TOTAL", "Total", cell_bytes, COLUMN_RIGHT},
                {"STARTED", "StartedAt", cell_ago, COLUMN_SHORTEN},
                {"UPDATED", "UpdatedAt", cell_ago, COLUMN_SHORTEN},
};

int verb_content_ls(Client *c, char **args, Error *e) {
        static const NamedListing blobs = {.member = "ListContent",
                                           .name = "Digest",
                                           .columns = blob_columns,
                                           .n_columns = ELEMENTSOF(blob_columns),
                                           .keys = KEY_FILTERS | KEY_ALL_NAMESPACES};
        static const NamedListing ingests = {.member = "ListIngests",
                                             .name = "Digest",
                                             .columns = ingest_columns,
                                             .n_columns = ELEMENTSOF(ingest_columns),
                                             .keys = KEY_ALL_NAMESPACES};

        return listing_verb(c, c->options->image.ingests ? &ingests : &blobs, e);
}

static int copy_out(int fd, Error *e) {
        char buf[64 * 1024];
        int r = 0;

        for (;;) {
                ssize_t n = read(fd, buf, sizeof(buf));

                if (n < 0 && errno == EINTR)
                        continue;
                if (n < 0)
                        return error_setf(e, -errno, "Failed to read the blob: %m");
                if (n == 0)
                        return 0;
                r = fd_write_all(STDOUT_FILENO, buf, (size_t) n);
                if (r < 0)
                        return error_setf(e, r, "Failed to write to standard output: %m");
        }
}

int verb_content_get(Client *c, char **args, Error *e) {
        Arguments arguments = {.client = c, .texts = {args[0]}};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "GetContent",
                           .append = append_arguments,
                           .userdata = &arguments};
        sd_bus_message *reply = NULL;
        int fd, r;

        if (client_connect(c, e) != 0 || client_call(c, &call, &reply, e) != 0)
                return EXIT_FAILURE;
        r = sd_bus_message_read(reply, "h", &fd);
        if (r < 0)
                (void) error_setf(e, r, "Failed to read the descriptor of the blob: %m");
        else
                r = copy_out(fd, e);
        sd_bus_message_unref(reply);
        return r == 0 ? EXIT_SUCCESS : EXIT_FAILURE;
}

int verb_content_rm(Client *c, char **args, Error *e) {
        return batch_methods(c, "content rm", "DeleteContent", 0, args, e);
}

int verb_content_label(Client *c, char **args, Error *e) {
        return labels_verb(c, "SetContentLabels", 0, args, e);
}
