/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Manager.CreateContainer: the call, which may have to pull the image first. Its
 * options are read in container-options.c. */

#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/container-options.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/image.h"
#include "manager/pull.h"

static int reply_path(sd_bus_message *m, Object *o) {
        _cleanup_free_ char *path = NULL;
        int r;

        r = bus_path_of(o, &path);
        if (r < 0)
                return r;
        return sd_bus_reply_method_return(m, "o", path);
}

static int read_arguments(sd_bus_message *m, ContainerOptions *options, sd_bus_error *error) {
        ContainerRequest *request = &options->request;
        const char *id;
        int r;

        r = identifier_read(m, "container id", &id, error);
        if (r < 0)
                return r;
        request->id = strdup(id);
        if (!request->id)
                return -ENOMEM;
        r = reference_read(m, &request->image, error);
        if (r < 0)
                return r;
        return container_options_read(m, options, error);
}

/* Whether the image has to be pulled. Not for a container that cannot be made anyway: the id is
 * looked at first. */
static bool needs_pull(Manager *m, const ContainerOptions *options) {
        const ContainerRequest *request = &options->request;

        if (options->pull == PULL_NEVER)
                return false;
        if (object_find(m, OBJECT_CONTAINER, request->namespace, request->id))
                return false;
        return options->pull == PULL_ALWAYS ||
               !object_find(m, OBJECT_IMAGE, request->namespace, request->image);
}

/* The image is there, or not to be had. Nothing is made for a caller that left meanwhile. */
static void on_pulled(Object *job, int r, const Error *e, void *userdata) {
        _cleanup_error_ Error failure = ERROR_NULL;
        Late *late = userdata;
        const ContainerOptions *options = late_payload(late);
        Container *c = NULL;

        if (r == 0 && late_message(late)) {
                r = container_create(job->manager, &options->request, &c, &failure);
                e = &failure;
        }
        late_complete(c ? &c->object : NULL, r, e, late);
}

static int pull_and_create(Service *s, sd_bus_message *m, ContainerOptions **options,
                           sd_bus_error *error) {
        const ContainerRequest *request = &(*options)->request;
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        Job *job;
        int r;

        r = job_pull(s->manager,
                     &(PullRequest){
                                     .namespace = request->namespace,
                                     .reference = request->image,
                                     .policy = (*options)->pull == PULL_MISSING
                                                               ? IMAGE_POLICY_MISSING
                                                               : IMAGE_POLICY_ALWAYS,
                     },
                     &job, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        r = late_new(s, m, reply_path, &late, error);
        if (r < 0)
                return r;
        late_set_payload(late, TAKE_PTR(*options), container_options_destroy);
        r = job_wait(job, on_pulled, late, &e);
        return late_started(late, r, &e, error);
}

int method_create_container(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(container_options_freep) ContainerOptions *options = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        AuthorityDetails details;
        Service *s = userdata;
        Container *c;
        bool pull;
        int r;

        options = calloc(1, sizeof(ContainerOptions));
        if (!options)
                return -ENOMEM;
        r = read_arguments(m, options, error);
        if (r < 0)
                return r;

        details = (AuthorityDetails){
                        .namespace = options->request.namespace,
                        .container = options->request.id,
                        .image = options->request.image,
        };
        pull = needs_pull(s->manager, options);
        r = (pull ? authorize_more : authorize)(s, m, &details, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        if (pull)
                return pull_and_create(s, m, &options, error);
        r = container_create(s->manager, &options->request, &c, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return reply_path(m, &c->object);
}
