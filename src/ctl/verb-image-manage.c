/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* tag, untag and prune: names of images, and those that nobody needs. */

#include "basic/strv.h"
#include "ctl/arguments.h"
#include "ctl/prune.h"
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

/* A normalised name without a tag: what is known by its digest alone. */
#define UNTAGGED "name~=\"/[^/:@]*@\""

/* Without --all only what has no tag, of what the user selects. */
static int prune_filters(const Options *o, char ***ret) {
        int r = 0;

        if (!o->filters && !o->all)
                r = strv_extend(ret, UNTAGGED);
        STRV_FOREACH(filter, o->filters) {
                if (r < 0)
                        return r;
                r = o->all ? strv_extend(ret, *filter)
                           : strv_extendf(ret, "%s%s" UNTAGGED, *filter, **filter ? "," : "");
        }
        return r;
}

int verb_prune(Client *c, char **args, Error *e) {
        _cleanup_strv_free_ char **filters = NULL;
        Arguments arguments = {.client = c, .keys = KEY_BEFORE, .flag = "Synchronous"};
        const Call call = {.interface = INTERFACE_MANAGER,
                           .member = "PruneImages",
                           .append = append_arguments,
                           .userdata = &arguments,
                           .timeout = UINT64_MAX};

        if (prune_filters(c->options, &filters) < 0) {
                (void) error_setf(e, -ENOMEM, "Out of memory");
                return EXIT_FAILURE;
        }
        arguments.filters = filters;
        if (prune_confirm(c->options,
                          c->options->all ? "images that no container was made from"
                                          : "images without a tag that no container was made from",
                          e) != 0)
                return EXIT_FAILURE;
        return prune_run(c, &call, e);
}
