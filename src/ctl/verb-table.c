/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/verb-table.h"

const Verb *const verb_tables[] = {image_verbs, container_verbs, storage_verbs, NULL};

const char *verb_in_group(const Verb *v, const char *group) {
        const char *rest = startswith(v->name, group);

        return rest && *rest == ' ' ? rest + 1 : NULL;
}

bool verb_is_group(const char *word) {
        FOREACH_VERB(v)
                if (verb_in_group(v, word))
                        return true;
        return false;
}

const Verb *verb_find(char *const *words, int *ret_n) {
        FOREACH_VERB(v)
                if (words[0] && words[1] && streq_ptr(verb_in_group(v, words[0]), words[1])) {
                        *ret_n = 2;
                        return v;
                }
        FOREACH_VERB(v)
                if (words[0] &&
                    (streq(v->name, words[0]) || (v->alias && streq(v->alias, words[0])))) {
                        *ret_n = 1;
                        return v;
                }
        return NULL;
}
