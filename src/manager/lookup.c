/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "manager/lookup.h"

#include "manager/image.h"
#include "manager/task.h"

static bool field_is(const FilterField *field, const char *path) {
        return streq(field->rests[0], path);
}

bool label_lookup(json_t *labels, const FilterField *field, const char **ret) {
        json_t *value;

        if (field->n < 2 || !streq(field->names[0], "labels"))
                return false;
        value = json_object_get(labels, field->rests[1]);
        *ret = strempty(json_string_value(value));
        return value;
}

static bool image_lookup(const Image *i, const FilterField *field, const char **ret) {
        if (field_is(field, "name"))
                return filter_value(i->object.name, ret);
        if (field_is(field, "target.digest"))
                return filter_value(i->digest, ret);
        if (field_is(field, "target.mediatype"))
                return filter_value(i->media_type, ret);
        return label_lookup(i->labels, field, ret);
}

static bool container_lookup(const Container *c, const FilterField *field, const char **ret) {
        if (field_is(field, "id"))
                return filter_value(c->object.name, ret);
        if (field_is(field, "image"))
                return filter_value(c->image, ret);
        if (field_is(field, "runtime.name"))
                return filter_value(c->runtime, ret);
        return label_lookup(c->labels, field, ret);
}

static bool task_lookup(const Task *t, const FilterField *field, const char **ret) {
        if (field_is(field, "status"))
                return filter_value(task_status_to_string(t->process.status), ret);
        if (field_is(field, "container.id"))
                return filter_value(t->process.object.name, ret);
        if (field_is(field, "runtime.name"))
                return filter_value(t->runtime, ret);
        return container_lookup(t->container, field, ret);
}

bool object_lookup(const void *object, const FilterField *field, const char **ret) {
        const Object *o = object;

        if (field_is(field, "namespace"))
                return filter_value(o->namespace, ret);
        switch (o->type) {
        case OBJECT_IMAGE:
                return image_lookup((const Image *) o, field, ret);
        case OBJECT_CONTAINER:
                return container_lookup((const Container *) o, field, ret);
        case OBJECT_TASK:
                return task_lookup((const Task *) o, field, ret);
        default:
                return false;
        }
}
