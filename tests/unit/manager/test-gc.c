/* SPDX-License-Identifier: LGPL-2.1-or-later */

/* What is garbage (D48): many shapes of the graph, each as rows and the names that must be found.
 */

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>

#include "basic/clock.h"
#include "basic/fs.h"
#include "basic/json.h"
#include "basic/strv.h"
#include "manager/db-gc.h"
#include "manager/db-internal.h"

#define NOW UINT64_C(1000000000)

typedef struct Store {
        char dir[32];
        Database *db;
} Store;

static int setup(void **state) {
        _cleanup_error_ Error e = ERROR_NULL;
        Store *s = calloc(1, sizeof(Store));

        assert_non_null(s);
        strcpy(s->dir, "/tmp/test-gc-XXXXXX");
        assert_non_null(mkdtemp(s->dir));
        assert_int_equal(db_open(s->dir, &s->db, &e), 0);
        *state = s;
        return 0;
}

static int teardown(void **state) {
        Store *s = *state;

        db_close(s->db);
        assert_int_equal(tree_remove_at(AT_FDCWD, s->dir), 0);
        free(s);
        return 0;
}

static _printf_(2, 3) void sql(Database *db, const char *format, ...) {
        _cleanup_free_ char *text = NULL;
        char *error = NULL;
        va_list ap;

        va_start(ap, format);
        assert_true(vasprintf(&text, format, ap) >= 0);
        va_end(ap);
        if (sqlite3_exec(db->handle, text, NULL, NULL, &error) != SQLITE_OK)
                fail_msg("%s: %s", error, text);
}

/* One word of a description:
 *   cNAME        content NAME of namespace n; cM:NAME of namespace M
 *   lNAME<NAME   a layer with a parent ("<" and nothing: none)
 *   sNAME<NAME   a snapshot of namespace n on a layer
 *   iNAME=BLOB,BLOB<LAYER   an image
 *   kNAME<SNAPSHOT          a container
 *   eNAME@TIME              a lease that expires then; what it holds comes by SQL
 * followed by labels in braces: {key=value,key=value}, the prefix containerd.io/ left out; a value
 * "-" is the empty one. */
static void split(char *word, char mark, char **rest) {
        char *p = strchr(word, mark);

        *rest = NULL;
        if (p) {
                *p = '\0';
                *rest = p + 1;
        }
}

static char *labels_of(char *text) {
        _cleanup_json_ json_t *labels = json_object();
        char *result, *item, *save = NULL, *value, *end;

        if (text) {
                end = strchr(text, '}');
                assert_non_null(end);
                *end = '\0';
                for (item = strtok_r(text, ",", &save); item; item = strtok_r(NULL, ",", &save)) {
                        char key[256];

                        split(item, '=', &value);
                        (void) snprintf(key, sizeof(key), "%s%s",
                                        startswith(item, "org.") ? "" : "containerd.io/", item);
                        assert_int_equal(json_object_set_new(labels, key,
                                                             json_string(streq(value, "-")
                                                                                         ? ""
                                                                                         : value)),
                                         0);
                }
        }
        assert_int_equal(json_to_text(labels, &result), 0);
        return result;
}

static void add_content(Database *db, char *name, const char *labels) {
        const char *namespace = "n";
        char *rest;

        split(name, ':', &rest);
        if (rest) {
                namespace = name;
                name = rest;
        }
        sql(db, "INSERT OR IGNORE INTO blobs(digest, size) VALUES('%s', 10)", name);
        sql(db,
            "INSERT INTO content(namespace, digest, labels, created_at, updated_at)"
            " VALUES('%s', '%s', '%s', 1, 1)",
            namespace, name, labels);
}

static void add_snapshot(Database *db, const char *namespace, char *name, const char *labels) {
        char *parent;

        split(name, '<', &parent);
        sql(db,
            "INSERT INTO snapshots(snapshotter, namespace, key, kind, parent, bytes, labels,"
            " created_at, updated_at) VALUES('overlayfs', '%s', '%s', 0,"
            " (SELECT id FROM snapshots WHERE key = '%s'), 100, '%s', 1, 1)",
            namespace, name, strempty(parent), labels);
}

static void add_image(Database *db, char *name, const char *labels) {
        char *blobs, *layer, *save = NULL;

        split(name, '<', &layer);
        split(name, '=', &blobs);
        sql(db,
            "INSERT INTO images(namespace, name, digest, media_type, manifest_digest,"
            " config_digest, size, unpacked, snapshot, labels, created_at, updated_at)"
            " VALUES('n', '%s', '', '', '', '', 0, 1, (SELECT id FROM snapshots WHERE key = '%s'),"
            " '%s', 1, 1)",
            name, strempty(layer), labels);
        for (char *b = strtok_r(blobs, ",", &save); b; b = strtok_r(NULL, ",", &save)) {
                sql(db, "INSERT OR IGNORE INTO blobs(digest, size) VALUES('%s', 10)", b);
                sql(db, "INSERT INTO image_blobs(namespace, name, digest) VALUES('n', '%s', '%s')",
                    name, b);
        }
}

static void add_container(Database *db, char *name, const char *labels) {
        char *snapshot;

        split(name, '<', &snapshot);
        sql(db,
            "INSERT INTO containers(namespace, id, image, runtime, snapshotter, snapshot_key,"
            " snapshot, labels, stop_signal, stop_timeout, terminal, auto_remove, volatile, spec,"
            " created_at, updated_at) VALUES('n', '%s', 'i', 'r', 'overlayfs', '',"
            " (SELECT id FROM snapshots WHERE key = '%s'), '%s', 1, 1, 0, 0, 0, '', 1, 1)",
            name, strempty(snapshot), labels);
}

/* eNAME@EXPIRES with its resources added by SQL. */
static void add_lease(Database *db, char *name, const char *labels) {
        char *expires;

        split(name, '@', &expires);
        sql(db, "INSERT INTO leases VALUES('n', '%s', '%s', 1, %s)", name, labels, expires);
}

static void build(Database *db, const char *description) {
        _cleanup_free_ char *copy = strdup(description);
        char *save = NULL;

        assert_non_null(copy);
        sql(db, "INSERT OR IGNORE INTO namespaces(name) VALUES('n'), ('m')");
        for (char *w = strtok_r(copy, " ", &save); w; w = strtok_r(NULL, " ", &save)) {
                _cleanup_free_ char *labels = NULL;
                char *braces;

                split(w, '{', &braces);
                labels = labels_of(braces);
                switch (*w) {
                case 'c':
                        add_content(db, w + 1, labels);
                        break;
                case 'l':
                        add_snapshot(db, "", w + 1, labels);
                        break;
                case 's':
                        add_snapshot(db, "n", w + 1, labels);
                        break;
                case 'i':
                        add_image(db, w + 1, labels);
                        break;
                case 'k':
                        add_container(db, w + 1, labels);
                        break;
                case 'e':
                        add_lease(db, w + 1, labels);
                        break;
                default:
                        fail_msg("%s", w);
                }
        }
}

static DbGarbage find(const Store *s) {
        _cleanup_(db_closep) Database *reader = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        DbGarbage g = {};

        assert_int_equal(db_open_reader(s->dir, &reader, &e), 0);
        if (db_gc_find(reader, NOW, &g, &e) != 0)
                fail_msg("%s", error_text(&e));
        return g;
}

static int compare_strings(const void *a, const void *b) {
        return strcmp(*(char *const *) a, *(char *const *) b);
}

/* The names of what was found, sorted, with a blank between. */
static char *names_of(Database *db, const DbGarbage *g) {
        _cleanup_strv_free_ char **names = NULL;
        char *text = strdup("");

        for (size_t i = 0; i < g->n_content + g->n_snapshots; i++) {
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_statement_ sqlite3_stmt *s = NULL;
                bool content = i < g->n_content;

                assert_int_equal(content ? db_prepare(db, &s, &e,
                                                      "SELECT CASE namespace WHEN 'n' THEN '' ELSE"
                                                      " namespace || ':' END || digest"
                                                      " FROM content WHERE id = ?1",
                                                      "l", g->content[i])
                                         : db_prepare(db, &s, &e,
                                                      "SELECT key FROM snapshots WHERE id = ?1",
                                                      "l", g->snapshots[i - g->n_content]),
                                 0);
                assert_int_equal(db_step(db, s, &e, "read"), 1);
                assert_int_equal(strv_extend(&names, (const char *) sqlite3_column_text(s, 0)), 0);
        }
        if (names)
                qsort(names, strv_length(names), sizeof(char *), compare_strings);
        STRV_FOREACH(name, names) {
                char *longer;

                assert_true(asprintf(&longer, "%s%s%s", text, *text ? " " : "", *name) >= 0);
                free(text);
                text = longer;
        }
        return text;
}

static const struct {
        const char *name, *rows, *sql, *garbage;
} cases[] = {
                {"nothing", "", "", ""},
                {"nobody", "ca cb l1< l2<1", "", "1 2 a b"},
                {"an image", "ca l1< l2<1 l3<1 ii=b,c<2", "", "3 a"},
                {"an image without layers", "ii=b,c<", "", ""},
                {"another namespace's image", "ii=b,c< cm:b", "", "m:b"},
                {"a container without its image", "ca l1< l2<1 l3<2 sx<2 kk<x", "", "3 a"},
                {"a root", "ca{gc.root=x} cb{gc.root=-} l1<{gc.root=x} l2<1", "", "2 b"},
                {"a reference", "ca{gc.root=x,gc.ref.content=b} cb cc", "", "c"},
                {"references with names",
                 "ca{gc.root=x,gc.ref.content.l.0=b,gc.ref.content/y=c} cb cc cd", "", "d"},
                {"a chain of them", "ca{gc.root=x,gc.ref.content.1=b} cb{gc.ref.content=c} cc", "",
                 ""},
                {"no such label", "ca{gc.root=x,gc.ref.contents=b,gc.ref.content-1=b} cb", "", "b"},
                {"a circle", "ca{gc.ref.content=b} cb{gc.ref.content=a}", "", "a b"},
                {"a circle that is reached",
                 "ca{gc.ref.content=b} cb{gc.ref.content=a} ii=x<{gc.ref.content.0=b}", "", ""},
                {"itself", "ca{gc.ref.content=a}", "", "a"},
                {"into another namespace", "ca{gc.root=x,gc.ref.content=b} cm:b", "", "m:b"},
                {"from a layer into each", "l1<{gc.root=x,gc.ref.content=b} cm:b cb", "", ""},
                {"a snapshot", "ca{gc.root=x,gc.ref.snapshot.overlayfs=2} l1< l2<1 l3<", "", "3"},
                {"a snapshot with a name", "ca{gc.root=x,gc.ref.snapshot.overlayfs/y/z=1} l1< l2<1",
                 "", "2"},
                {"another snapshotter's", "ca{gc.root=x,gc.ref.snapshot.native=1} l1<", "", "1"},
                {"no snapshotter", "ca{gc.root=x,gc.ref.snapshot.=1} l1<", "", "1"},
                {"from a container", "kk<{gc.ref.content=a,gc.ref.snapshot.overlayfs=1} ca l1< cb",
                 "", "b"},
                {"nowhere", "ca{gc.root=x,gc.ref.content=z,gc.ref.snapshot.overlayfs=z}", "", ""},
                {"back to content", "ca{gc.bref.content=b} cb{gc.root=x} cc{gc.bref.content=d} cd",
                 "", "c d"},
                {"back to an image", "ca{gc.bref.image=i} cb{gc.bref.image.x=j} ii=y<", "", "b"},
                {"back to a container",
                 "ca{gc.bref.container=k} l1<{gc.bref.container/z=k} l2<{gc.bref.container=m} kk<",
                 "", "2"},
                {"back to a snapshot",
                 "ca{gc.bref.snapshot.overlayfs=1} l1<{gc.root=x} l2<"
                 " cb{gc.bref.snapshot.overlayfs/q=2}",
                 "", "2 b"},
                {"there and back", "ca{gc.bref.content=b,gc.ref.content=c} cb{gc.root=x} cc cd", "",
                 "d"},
                {"a user's snapshot", "l1< l2< sx<1", "", "2"},
                {"one that was given up", "l1< sx<1{org.example.Ctr/gc.collect=true}", "", "1 x"},
                {"but is a root", "l1< sx<1{org.example.Ctr/gc.collect=true} kk<x", "", ""},
                {"a lease", "ca cb l1< l2<1 l3<2 ee@0",
                 "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'a'),"
                 " ('n', 'e', 'snapshots/overlayfs', '2'), ('n', 'e', 'snapshots/native', '3'),"
                 " ('n', 'e', 'ingests', 'b'), ('n', 'e', 'content', 'none')",
                 "3 b"},
                {"leases that end", "ca cb ee@999999999 ef@1000000001",
                 "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'a'),"
                 " ('n', 'f', 'content', 'b')",
                 "a"},
                {"a lease is followed", "ca{gc.ref.content=b} cb ee@0",
                 "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'a')", ""},
                {"a flat one is not", "ca{gc.ref.content=b} cb l1< l2<1 ee@0{gc.flat=true}",
                 "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'a'),"
                 " ('n', 'e', 'snapshots/overlayfs', '2')",
                 "b"},
                {"flat and not", "ca{gc.ref.content=b} cb ee@0{gc.flat=true} ef@0",
                 "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'a'),"
                 " ('n', 'f', 'content', 'a')",
                 ""},
                {"another namespace's lease", "ca ee@0",
                 "INSERT INTO leases VALUES('m', 'e', '{}', 1, 0);"
                 "INSERT INTO lease_resources VALUES('m', 'e', 'content', 'a')",
                 "a"},
};

static void clear(Database *db) {
        sql(db,
            "PRAGMA foreign_keys = OFF; DELETE FROM lease_resources; DELETE FROM leases;"
            "DELETE FROM image_blobs; DELETE FROM images; DELETE FROM containers;"
            "DELETE FROM content; DELETE FROM blobs; DELETE FROM snapshots; DELETE FROM touched;"
            "PRAGMA foreign_keys = ON");
}

static void test_shapes(void **state) {
        const Store *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(cases); i++) {
                _cleanup_(db_garbage_done) DbGarbage g = {};
                _cleanup_free_ char *names = NULL;

                clear(s->db);
                build(s->db, cases[i].rows);
                sql(s->db, "%s", cases[i].sql);
                g = find(s);
                names = names_of(s->db, &g);
                if (!streq(names, cases[i].garbage))
                        fail_msg("%s: found \"%s\", not \"%s\"", cases[i].name, names,
                                 cases[i].garbage);
        }
}

/* A long chain, and that children come before their parents. */
static void test_order(void **state) {
        _cleanup_(db_garbage_done) DbGarbage g = {};
        const Store *s = *state;

        sql(s->db, "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 300)"
                   " INSERT INTO snapshots(snapshotter, namespace, key, kind, parent, created_at,"
                   " updated_at) SELECT 'overlayfs', '', i, 0, nullif(i - 1, 0), 1, 1 FROM n");
        g = find(s);
        assert_int_equal(g.n_snapshots, 300);
        for (size_t i = 0; i < g.n_snapshots; i++)
                assert_int_equal(g.snapshots[i], (int64_t) (300 - i));
}

/* After the mark somebody refers to the garbage: it stays. */
static void test_touched(void **state) {
        static const struct {
                const char *name, *sql, *stays;
        } late[] = {
                        {"nothing", "", ""},
                        {"an image of blobs", "INSERT INTO image_blobs VALUES('n', 'i', 'a')", "a"},
                        {"an image of layers", "UPDATE images SET snapshot = 2", "1 2"},
                        {"a container",
                         "INSERT INTO containers(namespace, id, image, runtime, snapshotter,"
                         " snapshot_key, snapshot, stop_signal, stop_timeout, terminal,"
                         " auto_remove, volatile, spec, created_at, updated_at) VALUES('n', 'k',"
                         " '', '', '', '', 2, 1, 1, 0, 0, 0, '', 1, 1)",
                         "1 2"},
                        {"a child",
                         "INSERT INTO snapshots(snapshotter, namespace, key, kind, parent,"
                         " created_at, updated_at) VALUES('overlayfs', 'n', 'x', 1, 2, 1, 1)",
                         "1 2"},
                        {"a lease of content",
                         "INSERT INTO leases VALUES('n', 'e', '{}', 1, 0);"
                         "INSERT INTO lease_resources VALUES('n', 'e', 'content', 'b')",
                         "b c"},
                        {"a lease of a layer",
                         "INSERT INTO leases VALUES('n', 'e', '{}', 1, 0);"
                         "INSERT INTO lease_resources VALUES('n', 'e', 'snapshots/overlayfs', '1')",
                         "1"},
                        {"an expired lease again", "UPDATE leases SET expires_at = 0", "d"},
                        {"a root",
                         "UPDATE content SET labels = json_object("
                         "'containerd.io/gc.root', 'x') WHERE digest = 'b'",
                         "b"},
                        {"an image's label",
                         "UPDATE images SET labels = json_object("
                         "'containerd.io/gc.ref.content.1', 'b')",
                         "b c"},
                        {"a live one's label",
                         "UPDATE content SET labels = json_object("
                         "'containerd.io/gc.ref.content', 'a')"
                         " WHERE digest = 'y'",
                         "a"},
        };
        const Store *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(late); i++) {
                _cleanup_(db_garbage_done) DbGarbage g = {}, left = {};
                _cleanup_error_ Error e = ERROR_NULL;
                _cleanup_free_ char *stays = NULL;

                clear(s->db);
                sql(s->db, "DELETE FROM sqlite_sequence");
                build(s->db, "l1< l2<1 l3<2 ca cb{gc.ref.content=c} cc cd ii=y< eold@5");
                sql(s->db, "INSERT INTO lease_resources VALUES('n', 'old', 'content', 'd')");
                assert_int_equal(db_gc_begin(s->db, &e), 0);
                g = find(s);
                assert_int_equal(g.n_content + g.n_snapshots, 7);
                sql(s->db, "%s", late[i].sql);

                assert_int_equal(db_begin(s->db, &e), 0);
                assert_int_equal(db_gc_rescue(s->db, NOW, &e), 0);
                for (size_t k = 0; k < g.n_snapshots + g.n_content; k++) {
                        _cleanup_(db_removed_done) DbRemoved removed = {};
                        bool snapshot = k < g.n_snapshots;
                        int64_t *kept = snapshot ? left.snapshots : left.content;
                        size_t *n = snapshot ? &left.n_snapshots : &left.n_content;
                        int64_t id = snapshot ? g.snapshots[k] : g.content[k - g.n_snapshots];
                        int r = snapshot ? db_gc_remove_snapshot(s->db, id, &removed, &e)
                                         : db_gc_remove_content(s->db, id, &removed, &e);

                        if (r != 0 && r != 1)
                                fail_msg("%s: %s", late[i].name, error_text(&e));
                        assert_int_equal(removed.bytes, r == 0 ? 0 : snapshot ? 100 : 10);
                        if (r == 1)
                                continue;
                        kept = reallocarray(kept, *n + 1, sizeof(int64_t));
                        assert_non_null(kept);
                        kept[(*n)++] = id;
                        *(snapshot ? &left.snapshots : &left.content) = kept;
                }
                assert_int_equal(db_commit(s->db, &e), 0);
                stays = names_of(s->db, &left);
                if (!streq(stays, late[i].stays))
                        fail_msg("%s: \"%s\" stays, not \"%s\"", late[i].name, stays,
                                 late[i].stays);
        }
}

#define N_CONTENT   60
#define N_SNAPSHOTS 40

/* What a plain search in memory finds is what the query finds. */
static void test_random(void **state) {
        const Store *s = *state;
        unsigned seed = 1;

        for (unsigned round = 0; round < 30; round++) {
                bool live_content[N_CONTENT] = {}, live_snapshot[N_SNAPSHOTS] = {}, changed = true;
                int reference[N_CONTENT], parent[N_SNAPSHOTS];
                _cleanup_(db_garbage_done) DbGarbage g = {};
                size_t n_live = 0;

                clear(s->db);
                build(s->db, "");
                sql(s->db, "DELETE FROM sqlite_sequence; BEGIN");
                for (int i = 0; i < N_SNAPSHOTS; i++) {
                        char word[64];

                        parent[i] = i > 0 && rand_r(&seed) % 4 > 0 ? rand_r(&seed) % i : -1;
                        live_snapshot[i] = rand_r(&seed) % 8 == 0;
                        (void) snprintf(word, sizeof(word), "lS%i<S%i%s", i, parent[i],
                                        live_snapshot[i] ? "{gc.root=x}" : "");
                        build(s->db, word);
                }
                for (int i = 0; i < N_CONTENT; i++) {
                        char word[128];

                        reference[i] = rand_r(&seed) % (N_CONTENT + N_SNAPSHOTS);
                        live_content[i] = rand_r(&seed) % 12 == 0;
                        if (reference[i] < N_CONTENT)
                                (void) snprintf(word, sizeof(word), "cC%i{gc.ref.content=C%i%s}", i,
                                                reference[i], live_content[i] ? ",gc.root=x" : "");
                        else
                                (void) snprintf(word, sizeof(word),
                                                "cC%i{gc.ref.snapshot.overlayfs=S%i%s}", i,
                                                reference[i] - N_CONTENT,
                                                live_content[i] ? ",gc.root=x" : "");
                        build(s->db, word);
                }
                sql(s->db, "COMMIT");
                while (changed) {
                        changed = false;
                        for (int i = 0; i < N_CONTENT; i++) {
                                bool *to = reference[i] < N_CONTENT ? live_content + reference[i]
                                                                    : live_snapshot + reference[i] -
                                                                                      N_CONTENT;

                                changed |= live_content[i] && !*to;
                                *to |= live_content[i];
                        }
                        for (int i = 0; i < N_SNAPSHOTS; i++)
                                if (live_snapshot[i] && parent[i] >= 0 && !live_snapshot[parent[i]])
                                        changed = live_snapshot[parent[i]] = true;
                }
                g = find(s);
                for (size_t i = 0; i < g.n_content; i++)
                        assert_false(live_content[g.content[i] - 1]);
                for (size_t i = 0; i < g.n_snapshots; i++)
                        assert_false(live_snapshot[g.snapshots[i] - 1]);
                for (int i = 0; i < N_CONTENT; i++)
                        n_live += live_content[i];
                for (int i = 0; i < N_SNAPSHOTS; i++)
                        n_live += live_snapshot[i];
                assert_int_equal(g.n_content + g.n_snapshots, N_CONTENT + N_SNAPSHOTS - n_live);
        }
}

/* A blob goes with the last namespace that has it. */
static void test_shared_blob(void **state) {
        _cleanup_(db_removed_done) DbRemoved first = {}, second = {};
        _cleanup_(db_garbage_done) DbGarbage g = {};
        _cleanup_error_ Error e = ERROR_NULL;
        const Store *s = *state;

        build(s->db, "ca cm:a");
        g = find(s);
        assert_int_equal(g.n_content, 2);
        assert_int_equal(db_content_remove(s->db, g.content[0], &first, &e), 1);
        assert_null(first.blob);
        assert_int_equal(db_blob_find(s->db, "a", &e), 1);
        assert_int_equal(db_content_remove(s->db, g.content[1], &second, &e), 1);
        assert_string_equal(second.blob, "a");
        assert_int_equal(second.bytes, 10);
        assert_int_equal(db_blob_find(s->db, "a", &e), 0);
        db_removed_done(&second);
        assert_int_equal(db_content_remove(s->db, g.content[1], &second, &e), 0);
}

static int collect_name(const char *namespace, const char *name, void *userdata) {
        return strv_extend(userdata, name);
}

static void test_expired_images(void **state) {
        _cleanup_strv_free_ char **names = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const Store *s = *state;

        build(s->db,
              "iold=a<{gc.expire=1970-01-01T00:16:40Z} inew=a<{gc.expire=1970-01-01T00:16:41Z}"
              " iother=a<{gc.expire=soon} iplain=a< ileased=a<{gc.expire=1970-01-01T00:00:01Z}"
              " izone=a<{gc.expire=1970-01-01T02:16:40+02:00} ee@0");
        sql(s->db, "INSERT INTO lease_resources VALUES('n', 'e', 'images', 'leased')");
        assert_int_equal(db_gc_expired_images(s->db, NOW, collect_name, &names, &e), 0);
        assert_int_equal(strv_length(names), 2);
        assert_string_equal(names[0], "old");
        assert_string_equal(names[1], "zone");
}

/* Of a namespace, and of all. Reclaimable is what only an image without a container needs, and what
 * nobody does. */
static void test_usage(void **state) {
        _cleanup_(db_closep) Database *reader = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        const Store *s = *state;
        DbUsage u = {};

        build(s->db, "l1< l2<1 l3<1 l4< ii=a,b<2 ij=a,c<3 cd cm:a cm:z sx<2 kk<x");
        assert_int_equal(db_open_reader(s->dir, &reader, &e), 0);
        if (db_usage(reader, NULL, NOW, &u, &e) != 0)
                fail_msg("%s", error_text(&e));
        assert_int_equal(u.images, 2);
        assert_int_equal(u.containers, 1);
        assert_int_equal(u.blobs, 5); /* a b c d z */
        assert_int_equal(u.content_bytes, 50);
        assert_int_equal(u.snapshots, 5);
        assert_int_equal(u.snapshot_bytes, 500);
        assert_int_equal(u.reclaimable_bytes, 30 + 200); /* c d z, 3 4 */
        assert_int_equal(db_usage(reader, "n", NOW, &u, &e), 0);
        assert_int_equal(u.blobs, 4);
        assert_int_equal(u.snapshots, 4);
        assert_int_equal(u.reclaimable_bytes, 20 + 100);
        assert_int_equal(db_usage(reader, "m", NOW, &u, &e), 0);
        assert_int_equal(u.images, 0);
        assert_int_equal(u.blobs, 2);
        assert_int_equal(u.snapshots, 0);
        assert_int_equal(u.reclaimable_bytes, 10); /* a is in use elsewhere */
}

static void test_times(void **state) {
        static const struct {
                const char *text;
                int r;
                uint64_t seconds;
        } times[] = {
                        {"2026-11-23T10:00:00Z", 1, 1795428000},
                        {"2026-11-23T10:00:00.123456789Z", 1, 1795428000},
                        {"2026-11-23T12:00:00+02:00", 1, 1795428000},
                        {"2026-11-23", 0, 0},
                        {"now", 0, 0},
                        {"12:00", 0, 0},
                        {"", 0, 0},
                        {"2026-13-23T10:00:00Z", 0, 0},
        };
        _cleanup_error_ Error e = ERROR_NULL;
        const Store *s = *state;

        for (size_t i = 0; i < ELEMENTSOF(times); i++) {
                uint64_t t = 0;

                assert_int_equal(db_parse_time(s->db, times[i].text, &t, &e), times[i].r);
                assert_int_equal(t, times[i].seconds * USEC_PER_SEC);
        }
}

/* A database of version 2, with what it may have: each row finds its place. */
static void test_migration(void **state) {
        _cleanup_(db_garbage_done) DbGarbage g = {};
        _cleanup_free_ char *path = NULL, *names = NULL;
        _cleanup_error_ Error e = ERROR_NULL;
        Store s = {.dir = "/tmp/test-gc-XXXXXX"};
        sqlite3 *handle;

        assert_non_null(mkdtemp(s.dir));
        assert_true(asprintf(&path, "%s/ctr.db", s.dir) > 0);
        assert_int_equal(sqlite3_open(path, &handle), SQLITE_OK);
        for (int i = 0; i < 2; i++)
                assert_int_equal(sqlite3_exec(handle, db_schema[i], NULL, NULL, NULL), SQLITE_OK);
        /* its triggers need the function that the manager has */
        assert_int_equal(
                        sqlite3_exec(handle,
                                     "DROP TRIGGER namespace_create; DROP TRIGGER content_create;"
                                     "DROP TRIGGER snapshot_commit; DROP TRIGGER snapshot_prepare;"
                                     "DROP TRIGGER image_create;"
                                     "INSERT INTO namespaces(name) VALUES('n');"
                                     "INSERT INTO blobs VALUES('a', 'm', 1), ('b', NULL, 2),"
                                     " ('lost', 'm', 3);"
                                     "INSERT INTO snapshots(id, namespace, key, kind, parent,"
                                     " created_at) VALUES(1, '', 'L1', 0, NULL, 5),"
                                     " (4, '', 'L2', 0, 1, 5), (5, 'n', 'web', 1, 4, 5),"
                                     " (6, '', 'L3', 0, 1, 5);"
                                     "INSERT INTO images VALUES('n', 'i', 'd', 'm', 'a', 'b', 3, 1,"
                                     " 4, '{}', 5, 5);"
                                     "INSERT INTO image_blobs VALUES('n', 'i', 'a'), ('n', 'i', "
                                     "'b')",
                                     NULL, NULL, NULL),
                        SQLITE_OK);
        sqlite3_close(handle);

        if (db_open(s.dir, &s.db, &e) != 0)
                fail_msg("%s", error_text(&e));
        g = find(&s);
        names = names_of(s.db, &g);
        assert_string_equal(names, "L3");
        assert_int_equal(g.snapshots[0], 6); /* directories are named by it */
        assert_int_equal(db_blob_find(s.db, "a", &e), 1);
        assert_int_equal(db_blob_find(s.db, "lost", &e), 0); /* nobody had it any more */
        sql(s.db, "INSERT INTO snapshots(snapshotter, namespace, key, kind, created_at, updated_at)"
                  " VALUES('overlayfs', 'n', 'new', 1, 6, 6)");
        assert_int_equal(sqlite3_last_insert_rowid(s.db->handle), 7);
        db_close(s.db);
        assert_int_equal(tree_remove_at(AT_FDCWD, s.dir), 0);
}

int main(void) {
        const struct CMUnitTest tests[] = {
                        cmocka_unit_test_setup_teardown(test_shapes, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_order, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_touched, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_random, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_shared_blob, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_expired_images, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_usage, setup, teardown),
                        cmocka_unit_test_setup_teardown(test_times, setup, teardown),
                        cmocka_unit_test(test_migration),
        };

        return cmocka_run_group_tests_name("manager/gc", tests, NULL, NULL);
}
