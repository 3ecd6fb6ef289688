/* SPDX-License-Identifier: LGPL-2.1-or-later */

#include "ctl/progress.h"

#include "ctl/text.h"

#define LABEL_WIDTH  22 /* "manifest 0123456789ab" */
#define COUNTS_WIDTH 15 /* "1023.9M/1023.9M" */
#define PHASE_WIDTH  8
#define BAR_MIN      10
#define BAR_MAX      50
#define ITEMS_MAX    512

typedef struct Shown {
        char *label;
        char phase[PHASE_WIDTH + 1];
        uint64_t done, total;
} Shown;

struct Progress {
        FILE *f;
        Shown *shown;
        size_t n;
        unsigned lines_drawn;
};

Progress *progress_new(FILE *f) {
        Progress *p;

        text_init_locale();
        p = malloc(sizeof(Progress));
        if (p)
                *p = (Progress){.f = f};
        return p;
}

Progress *progress_free(Progress *p) {
        if (!p)
                return NULL;
        for (size_t i = 0; i < p->n; i++)
                free(p->shown[i].label);
        free(p->shown);
        free(p);
        return NULL;
}

/* "layer 0123456789ab" from "layer-sha256:0123456789abcdef..." */
static char *make_label(const char *ref) {
        _cleanup_free_ char *safe = text_escape(ref);
        const char *colon = safe ? strchr(safe, ':') : NULL;
        char *label;

        if (!safe)
                return NULL;
        if (asprintf(&label, "%.*s%s%.12s", (int) MIN_OF(strcspn(safe, "-"), (size_t) 9), safe,
                     colon ? " " : "", colon ? colon + 1 : "") < 0)
                return NULL;
        return label;
}

static Shown *find_shown(Progress *p, const char *label, size_t hint) {
        if (hint < p->n && streq(p->shown[hint].label, label))
                return p->shown + hint;
        for (size_t i = 0; i < p->n; i++)
                if (streq(p->shown[i].label, label))
                        return p->shown + i;
        return NULL;
}

static int find_or_add(Progress *p, const char *ref, size_t hint, Shown **ret) {
        _cleanup_free_ char *label = make_label(ref);
        Shown *larger;

        if (!label)
                return -ENOMEM;
        *ret = find_shown(p, label, hint);
        if (*ret)
                return 0;
        larger = reallocarray(p->shown, p->n + 1, sizeof(Shown));
        if (!larger)
                return -ENOMEM;
        p->shown = larger;
        p->shown[p->n] = (Shown){.label = TAKE_PTR(label)};
        *ret = p->shown + p->n++;
        return 0;
}

static bool is_finished(const Shown *s) {
        return streq(s->phase, "done") || streq(s->phase, "exists");
}

static void print_bar(FILE *f, const Shown *s, unsigned width) {
        uint64_t filled = 0;

        if (is_finished(s))
                filled = width;
        else if (s->total > 0)
                filled = (uint64_t) ((unsigned __int128) MIN_OF(s->done, s->total) * width /
                                     s->total);
        fputc('[', f);
        for (unsigned i = 0; i < width; i++)
                fputc(i < filled ? '=' : i == filled ? '>' : ' ', f);
        fputc(']', f);
}

static void print_line(FILE *f, const Shown *s, unsigned columns) {
        char done[TEXT_NUMBER_MAX], total[TEXT_NUMBER_MAX], counts[2 * TEXT_NUMBER_MAX + 2];
        unsigned fixed = LABEL_WIDTH + COUNTS_WIDTH + PHASE_WIDTH + 6;

        (void) snprintf(counts, sizeof(counts), "%s/%s", text_bytes(s->done, done),
                        s->total > 0 ? text_bytes(s->total, total) : "?");
        fprintf(f, "\r%-*.*s ", LABEL_WIDTH, LABEL_WIDTH, s->label);
        if (columns > fixed + BAR_MIN) {
                print_bar(f, s, MIN_OF(columns - fixed, (unsigned) BAR_MAX));
                fputc(' ', f);
        }
        fprintf(f, "%*s %s\033[K\n", COUNTS_WIDTH, streq(s->phase, "exists") ? "" : counts,
                s->phase);
}

/* What is finished gives way when there are more blobs than lines. */
static void draw(Progress *p) {
        unsigned columns = terminal_columns(fileno(p->f)), lines = terminal_lines(fileno(p->f));
        size_t room = lines > 2 ? lines - 2 : 1, unfinished = 0;
        unsigned drawn = 0;

        for (size_t i = 0; i < p->n; i++)
                unfinished += !is_finished(p->shown + i);

        if (p->lines_drawn > 0)
                fprintf(p->f, "\033[%uA", p->lines_drawn);
        for (size_t i = 0; i < p->n && drawn < room; i++) {
                bool finished = is_finished(p->shown + i);

                if (finished && p->n > room && drawn + unfinished >= room)
                        continue;
                print_line(p->f, p->shown + i, columns);
                drawn++;
                unfinished -= !finished;
        }
        fputs("\033[J", p->f);
        p->lines_drawn = drawn;
}

static void print_change(Progress *p, const Shown *s) {
        char total[TEXT_NUMBER_MAX];

        if (streq(s->phase, "wait"))
                return;
        fprintf(p->f, "%s: %s", s->label, s->phase);
        if (streq(s->phase, "download") && s->total > 0)
                fprintf(p->f, " (%s)", text_bytes(s->total, total));
        fputc('\n', p->f);
}

int progress_update(Progress *p, const ProgressItem *items, size_t n) {
        bool tty = isatty(fileno(p->f));

        for (size_t i = 0; i < n && i < ITEMS_MAX; i++) {
                char phase[PHASE_WIDTH + 1];
                Shown *s;
                int r;

                r = find_or_add(p, items[i].ref, i, &s);
                if (r < 0)
                        return r;
                (void) snprintf(phase, sizeof(phase), "%.*s", PHASE_WIDTH, items[i].phase);
                for (char *c = phase; *c; c++)
                        *c = (char) (*c >= 'a' && *c <= 'z' ? *c : '?');
                s->done = items[i].done;
                s->total = items[i].total;
                if (streq(s->phase, phase))
                        continue;
                strcpy(s->phase, phase);
                if (!tty)
                        print_change(p, s);
        }
        if (tty)
                draw(p);
        (void) fflush(p->f);
        return 0;
}
