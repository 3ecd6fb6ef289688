/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/pull.h"

#include "ctl/arguments.h"
#include "ctl/credentials.h"
#include "ctl/job.h"

int pull_image(Client *c, const char *reference, const char *policy, json_t **ret, Error *e) {
        _cleanup_close_ int credentials_fd = -1;
        Arguments arguments = {.client = c,
                               .texts = {reference},
                               .policy = policy,
                               .keys = KEY_POLICY | KEY_PLATFORM | KEY_ALL_PLATFORMS | KEY_UNPACK |
                                       KEY_KEEP_LAYERS | KEY_LABELS | KEY_SNAPSHOTTER | KEY_LEASE};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "PullImage",
                           .append = append_arguments,
                           .userdata = &arguments};
        int r;

        r = credentials_open(c->options, reference, &credentials_fd, e);
        if (r != 0)
                return r;
        arguments.credentials_fd = credentials_fd;
        if (!c->options->quiet)
                fprintf(stderr, "Pulling %s\n", reference);
        return job_run(c, &call, "pull", ret, e);
}
