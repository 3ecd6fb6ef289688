/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* tag: names of images. untag is rmi. */

#include "ctl/arguments.h"
#include "ctl/verbs.h"

int verb_tag(Client *c, char **args, Error *e) {
        if (client_connect(c, e) != 0)
                return EXIT_FAILURE;
        for (char **name = args + 1; *name; name++) {
                Arguments arguments = {.client = c, .texts = {args[0], *name}};
                const Call call = {.interface = INTERFACE_MANAGER,
                                   .member = "TagImage",
                                   .append = append_arguments,
                                   .userdata = &arguments};

                if (client_call(c, &call, NULL, e) != 0)
                        return EXIT_FAILURE;
        }
        return EXIT_SUCCESS;
}
