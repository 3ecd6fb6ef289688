/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "basic/yaml-json.h"

#include <dlfcn.h>
#include <yaml.h>

#include "basic/json.h"

#define LIBRARY   "libyaml-0.so.2"
#define DEPTH_MAX 16U
#define NODES_MAX 10000U /* an alias counts each time that it is used */

/* Few machines have such a file: nobody else pays for the library. */
static struct {
        void *handle;
        __typeof__(yaml_parser_initialize) *parser_initialize;
        __typeof__(yaml_parser_set_input_string) *parser_set_input_string;
        __typeof__(yaml_parser_load) *parser_load;
        __typeof__(yaml_parser_delete) *parser_delete;
        __typeof__(yaml_document_get_root_node) *document_get_root_node;
        __typeof__(yaml_document_get_node) *document_get_node;
        __typeof__(yaml_document_delete) *document_delete;
} library;

static int load_library(Error *e) {
        if (library.handle)
                return 0;
        library.handle = dlopen(LIBRARY, RTLD_NOW | RTLD_LOCAL);
        if (!library.handle)
                return error_setf(e, CTR_NOT_IMPLEMENTED, "Cannot load " LIBRARY ": %s", dlerror());
#define LOAD(name)                                                                                 \
        ((library.name = (__typeof__(library.name)) dlsym(library.handle, "yaml_" #name)) != NULL)
        if (LOAD(parser_initialize) && LOAD(parser_set_input_string) && LOAD(parser_load) &&
            LOAD(parser_delete) && LOAD(document_get_root_node) && LOAD(document_get_node) &&
            LOAD(document_delete))
                return 0;
#undef LOAD
        (void) dlclose(library.handle);
        library.handle = NULL;
        return error_setf(e, CTR_NOT_IMPLEMENTED, LIBRARY " lacks a function");
}

typedef struct Conversion {
        yaml_document_t *document;
        const char *what;
        size_t n;
        Error *e;
} Conversion;

static int convert(Conversion *c, yaml_node_t *node, unsigned depth, json_t **ret);

static int refuse(Conversion *c, const yaml_node_t *node, const char *sentence) {
        return error_setf(c->e, CTR_INVALID_ARGUMENT, "%s: line %zu: %s", c->what,
                          node->start_mark.line + 1, sentence);
}

static int convert_sequence(Conversion *c, yaml_node_t *node, unsigned depth, json_t *array) {
        int r = 0;

        for (yaml_node_item_t *item = node->data.sequence.items.start;
             r == 0 && item < node->data.sequence.items.top; item++) {
                json_t *value;

                r = convert(c, library.document_get_node(c->document, *item), depth + 1, &value);
                if (r == 0)
                        r = json_array_append_new(array, value) < 0 ? -ENOMEM : 0;
        }
        return r;
}

static int convert_mapping(Conversion *c, yaml_node_t *node, unsigned depth, json_t *object) {
        int r = 0;

        for (yaml_node_pair_t *pair = node->data.mapping.pairs.start;
             r == 0 && pair < node->data.mapping.pairs.top; pair++) {
                yaml_node_t *key = library.document_get_node(c->document, pair->key);
                json_t *value;
                const char *name;

                if (!key || key->type != YAML_SCALAR_NODE)
                        return refuse(c, node, "a key is no string");
                name = (const char *) key->data.scalar.value;
                if (json_object_get(object, name))
                        return refuse(c, key, "this key is there twice");
                r = convert(c, library.document_get_node(c->document, pair->value), depth + 1,
                            &value);
                if (r == 0)
                        r = json_object_set_new(object, name, value) < 0 ? -ENOMEM : 0;
        }
        return r;
}

static int convert(Conversion *c, yaml_node_t *node, unsigned depth, json_t **ret) {
        _cleanup_json_ json_t *value = NULL;
        int r = 0;

        if (!node)
                return -EBADMSG;
        if (depth > DEPTH_MAX || ++c->n > NODES_MAX)
                return refuse(c, node, "the document is too deep or too large");
        if (node->type == YAML_SCALAR_NODE) {
                value = json_stringn((const char *) node->data.scalar.value,
                                     node->data.scalar.length);
                if (value && strlen(json_string_value(value)) != node->data.scalar.length)
                        return refuse(c, node, "a string has a NUL in it");
        } else
                value = node->type == YAML_SEQUENCE_NODE ? json_array() : json_object();
        if (!value)
                return -ENOMEM;
        if (node->type == YAML_SEQUENCE_NODE)
                r = convert_sequence(c, node, depth, value);
        else if (node->type == YAML_MAPPING_NODE)
                r = convert_mapping(c, node, depth, value);
        if (r != 0)
                return r;
        *ret = TAKE_PTR(value);
        return 0;
}

static int convert_document(yaml_document_t *document, const char *what, json_t **ret, Error *e) {
        Conversion c = {.document = document, .what = what, .e = e};
        yaml_node_t *root;

        root = library.document_get_root_node(document);
        if (!root) {
                *ret = json_object();
                return *ret ? 0 : -ENOMEM;
        }
        return convert(&c, root, 0, ret);
}

int yaml_parse(const char *data, size_t size, const char *what, json_t **ret, Error *e) {
        yaml_document_t document;
        yaml_parser_t parser;
        int r;

        r = load_library(e);
        if (r != 0)
                return r;
        if (!library.parser_initialize(&parser))
                return -ENOMEM;
        library.parser_set_input_string(&parser, (const unsigned char *) data, size);
        if (!library.parser_load(&parser, &document))
                r = parser.error == YAML_MEMORY_ERROR
                                    ? -ENOMEM
                                    : error_setf(e, CTR_INVALID_ARGUMENT, "%s: line %zu: %s", what,
                                                 parser.problem_mark.line + 1,
                                                 parser.problem ?: "it is no YAML");
        else {
                r = convert_document(&document, what, ret, e);
                library.document_delete(&document);
        }
        library.parser_delete(&parser);
        return r;
}
