/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* A compiled filter: conditions in one array, in which each alternative starts with a mark. */

#include "basic/filter.h"

#include "basic/filter-internal.h"
#include "basic/strv.h"

#define CONDITIONS_MAX 256U

/* glibc copies what is repeated: "(((a+)+)+)+" doubles with each parenthesis, "a{255}" is 255 a's.
 * This is what all copies together may come to, in characters of the pattern. */
#define REGEX_LENGTH_MAX    512U
#define REGEX_EXPANSION_MAX 1024U
#define REGEXES_MAX         16U

struct Filter {
        Condition *conditions;
        size_t n, n_regexes;
        bool at_start; /* while it is being read: the next condition starts an alternative */
};

void condition_done(Condition *c) {
        if (c->compiled)
                regfree(&c->regex);
        free(c->text);
        free(c->value);
        *c = (Condition){};
}

Filter *filter_free(Filter *f) {
        if (!f)
                return NULL;
        for (size_t i = 0; i < f->n; i++)
                condition_done(f->conditions + i);
        free(f->conditions);
        free(f);
        return NULL;
}

/* How often an interval "{n}", "{n,}" or "{n,m}" at s copies what is before it: at most the larger
 * number, and once more. */
static size_t interval_copies(const char *s) {
        unsigned largest = 0, number = 0;

        for (s++; *s == ',' || (*s >= '0' && *s <= '9'); s++) {
                number = *s == ',' ? 0 : number * 10 + (unsigned) (*s - '0');
                largest = MAX_OF(largest, number);
                if (largest > REGEX_EXPANSION_MAX)
                        break;
        }
        return largest + 1;
}

/* An upper bound of what the pattern grows to: as if all that is repeated were nested. */
static int check_pattern(const char *pattern, Error *e) {
        size_t length = strlen(pattern), expansion = MAX_OF(length, 1U);

        if (length > REGEX_LENGTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "the regular expression is longer than %u bytes",
                                  REGEX_LENGTH_MAX);
        for (const char *p = pattern; *p; p++) {
                size_t copies = 1;

                if (*p == '\\' && p[1]) {
                        p++;
                        if (*p >= '1' && *p <= '9')
                                return error_setf(e, CTR_INVALID_ARGUMENT,
                                                  "the regular expression has a back-reference");
                } else if (*p == '{')
                        copies = interval_copies(p);
                else if (*p == '+' && p > pattern && strchr(")+*?}", p[-1]))
                        copies = 2;
                expansion *= copies; /* both are bounded far below what would overflow */
                if (expansion > REGEX_EXPANSION_MAX)
                        return error_setf(e, CTR_INVALID_ARGUMENT,
                                          "the regular expression repeats too much");
        }
        return 0;
}

int condition_compile(Condition *c, Error *e) {
        char reason[128];
        int r;

        if (c->operator!= FILTER_MATCHES)
                return 0;
        r = check_pattern(c->value, e);
        if (r != 0)
                return r;
        r = regcomp(&c->regex, c->value, REG_EXTENDED | REG_NOSUB);
        if (r == REG_ESPACE)
                return -ENOMEM;
        if (r != 0) {
                (void) regerror(r, &c->regex, reason, sizeof(reason));
                return error_setf(e, CTR_INVALID_ARGUMENT, "bad regular expression: %s", reason);
        }
        c->compiled = true;
        return 0;
}

static int append_condition(Condition *c, void *userdata) {
        Filter *f = userdata;
        Condition *grown;

        if (f->n == CONDITIONS_MAX || (c->compiled && f->n_regexes == REGEXES_MAX))
                return -E2BIG;
        grown = reallocarray(f->conditions, f->n + 1, sizeof(Condition));
        if (!grown)
                return -ENOMEM;
        f->conditions = grown;
        grown[f->n] = *c;
        grown[f->n++].first = f->at_start;
        f->n_regexes += c->compiled;
        f->at_start = false;
        return 0;
}

static int add_alternative(Filter *f, const char *text, size_t number, Error *e) {
        _cleanup_error_ Error cause = ERROR_NULL;
        int r;

        f->at_start = true;
        if (strlen(text) > FILTER_LENGTH_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "Filter %zu: it is longer than %u bytes",
                                  number, FILTER_LENGTH_MAX);
        r = filter_parse(text, append_condition, f, &cause);
        if (r == -E2BIG)
                return error_setf(e, CTR_INVALID_ARGUMENT,
                                  "Filter %zu: there are more than %u conditions, or %u regular "
                                  "expressions",
                                  number, CONDITIONS_MAX, REGEXES_MAX);
        if (r != 0)
                return error_setf(e, r, "Filter %zu, %s", number, error_text(&cause));
        return 0;
}

int filter_new(char *const *alternatives, Filter **ret, Error *e) {
        size_t n = strv_length(alternatives);
        _cleanup_(filter_freep) Filter *f = NULL;
        bool everything = n == 0;
        int r;

        assert(ret);

        if (n > FILTERS_MAX)
                return error_setf(e, CTR_INVALID_ARGUMENT, "There are more than %u filters",
                                  FILTERS_MAX);
        f = calloc(1, sizeof(Filter));
        if (!f)
                return -ENOMEM;
        for (size_t i = 0; i < n; i++) {
                if (isempty(alternatives[i])) {
                        everything = true;
                        continue; /* the others must be well-formed all the same */
                }
                r = add_alternative(f, alternatives[i], i + 1, e);
                if (r != 0)
                        return r;
        }
        if (everything)
                for (; f->n > 0; f->n--)
                        condition_done(f->conditions + f->n - 1);
        *ret = TAKE_PTR(f);
        return 0;
}

static bool condition_holds(const Condition *c, FilterLookup lookup, const void *object) {
        const char *value = "";
        bool present;

        present = lookup(object, &c->field, &value);
        if (!present)
                value = "";
        switch (c->operator) {
        case FILTER_PRESENT:
                return present;
        case FILTER_EQUAL:
                return present && streq(value, c->value);
        case FILTER_NOT_EQUAL:
                return !streq(value, c->value);
        case FILTER_MATCHES:
                return regexec(&c->regex, value, 0, NULL, 0) == 0;
        }
        return false;
}

bool filter_matches(const Filter *f, FilterLookup lookup, const void *object) {
        bool holds = true;

        if (!f || f->n == 0)
                return true;
        for (size_t i = 0; i < f->n; i++) {
                if (i > 0 && f->conditions[i].first) {
                        if (holds)
                                return true;
                        holds = true;
                }
                holds = holds && condition_holds(f->conditions + i, lookup, object);
        }
        return holds;
}
