/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* org.example.Ctr.Manager.CreateContainer and CreateContainerFromSnapshot: the call, which may have
 * to pull the image first, or to copy it. Options are read in container-options.c. */

#include "basic/identifier.h"
#include "bus/authorize.h"
#include "bus/container-options.h"
#include "bus/error.h"
#include "bus/manager-methods.h"
#include "bus/path.h"
#include "bus/service.h"
#include "manager/image.h"
#include "manager/pull.h"
#include "manager/snapshot.h"

static int snapshot_read(sd_bus_message *m, char **ret, sd_bus_error *error) {
        _cleanup_error_ Error e = ERROR_NULL;
        const char *key;
        int r;

        r = sd_bus_message_read_basic(m, 's', &key);
        if (r < 0)
                return r;
        r = snapshot_key_validate(key, "snapshot id", &e);
        return r != 0 ? bus_error_set(error, r, &e) : free_and_strdup(ret, key);
}

/* snapshot NULL: there is no such argument. */
static int read_arguments(sd_bus_message *m, ContainerOptions *options, char **snapshot,
                          sd_bus_error *error) {
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
        if (r >= 0 && snapshot)
                r = snapshot_read(m, snapshot, error);
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
                Manager *manager = job->manager;
                bool copy = container_needs_copy(manager, &options->request);

                r = copy ? container_create_copy(manager, &options->request, late_complete, late,
                                                 &failure)
                         : container_create(manager, &options->request, &c, &failure);
                if (copy && r == 0)
                        return;
                e = &failure;
        }
        late_complete(c ? &c->object : NULL, r, e, late);
}

/* Its root is a copy, which takes its time. */
static int copy_and_create(Service *s, sd_bus_message *m, ContainerOptions **options,
                           sd_bus_error *error) {
        const ContainerRequest *request = &(*options)->request;
        _cleanup_error_ Error e = ERROR_NULL;
        Late *late;
        int r;

        r = late_new(s, m, bus_reply_path, &late, error);
        if (r < 0)
                return r;
        late_set_payload(late, TAKE_PTR(*options), container_options_destroy);
        r = container_create_copy(s->manager, request, late_complete, late, &e);
        return late_started(late, r, &e, error);
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
        r = late_new(s, m, bus_reply_path, &late, error);
        if (r < 0)
                return r;
        late_set_payload(late, TAKE_PTR(*options), container_options_destroy);
        r = job_wait(job, on_pulled, late, &e);
        return late_started(late, r, &e, error);
}

static int create(Service *s, sd_bus_message *m, ContainerOptions **options, sd_bus_error *error) {
        const ContainerRequest *request = &(*options)->request;
        _cleanup_error_ Error e = ERROR_NULL;
        AuthorityDetails details;
        Container *c;
        bool pull;
        int r;

        details = (AuthorityDetails){
                        .namespace = request->namespace,
                        .container = request->id,
                        .image = request->image,
        };
        r = authorize_runtime(s, m, request->runtime, error);
        if (r <= 0)
                return r < 0 ? r : 1;
        pull = needs_pull(s->manager, *options);
        r = (pull ? authorize_more : authorize)(s, m, &details, error);
        if (r <= 0)
                return r < 0 ? r : 1;

        if (pull)
                return pull_and_create(s, m, options, error);
        if (container_needs_copy(s->manager, request))
                return copy_and_create(s, m, options, error);
        r = container_create(s->manager, request, &c, &e);
        if (r != 0)
                return bus_error_set(error, r, &e);
        return bus_reply_path(m, &c->object);
}

int method_create_container(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(container_options_freep) ContainerOptions *options = NULL;
        int r;

        options = calloc(1, sizeof(ContainerOptions));
        if (!options)
                return -ENOMEM;
        r = read_arguments(m, options, NULL, error);
        return r < 0 ? r : create(userdata, m, &options, error);
}

int method_create_container_from_snapshot(sd_bus_message *m, void *userdata, sd_bus_error *error) {
        _cleanup_(container_options_freep) ContainerOptions *options = NULL;
        _cleanup_free_ char *snapshot = NULL;
        int r;

        options = calloc(1, sizeof(ContainerOptions));
        if (!options)
                return -ENOMEM;
        r = read_arguments(m, options, &snapshot, error);
        if (r < 0)
                return r;
        if (options->request.snapshot_id)
                return sd_bus_error_setf(error, BUS_ERROR_PREFIX "InvalidArgument",
                                         "Option SnapshotID: the snapshot is an argument");
        options->request.snapshot_id = TAKE_PTR(snapshot);
        options->request.existing_snapshot = true;
        return create(userdata, m, &options, error);
}
