/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* The graph of manager/db-gc.h in pieces of SQL, for the queries about garbage (db-gc.c) and about
 * use (db-usage.c). */

/* Kinds of nodes; 0 is what is a root by itself, an image or a container. */
#define CONTENT  "1"
#define SNAPSHOT "2"

#define LABEL "containerd.io/gc."

/* clang-format off */

/* The label's key is NAME, or NAME with something that only makes it different from others. */
#define KEY_IS(name) "(l.key = '" LABEL name "' OR l.key GLOB '" LABEL name "[./]*')"

/* The snapshotter in the keys LABEL "ref.snapshot.SNAPSHOTTER/..." and "bref.snapshot. ...": what
 * stands between the character with that number, counted from 1, and the next slash. */
#define SNAPSHOTTER_AT(n) "substr(l.key, " n ", instr(substr(l.key, " n ") || '/', '/') - 1)"
#define REF_SNAPSHOTTER   SNAPSHOTTER_AT("31")
#define BREF_SNAPSHOTTER  SNAPSHOTTER_AT("32")

/* Layers belong to all namespaces, and may name what is in any. */
#define CONTENT_OF_LABEL "content t ON t.digest = l.value AND l.namespace IN (t.namespace, '')"
#define SNAPSHOT_OF_LABEL(snapshotter)                                                             \
        "snapshots t ON t.snapshotter = " snapshotter " AND t.namespace IN (l.namespace, '')"      \
        " AND t.key = l.value"

#define LABELS_OF(kind, id, table)                                                                 \
        "SELECT " kind ", " id ", t.namespace, j.key, j.value FROM " table " t, json_each(t.labels) j" \
        " WHERE instr(t.labels, '" LABEL "') > 0"

/*
 * GRAPH(seeds) begins a query that has the table live(kind, id, flat): what is reached from the
 * seeds and from what labels say of images, containers and roots. flat: held, but not followed where
 * labels lead. Labels and their edges are few, or none: they are looked up once.
 */
#define GRAPH(seeds)                                                                               \
        "WITH RECURSIVE labels(kind, id, namespace, key, value) AS MATERIALIZED ("                 \
        LABELS_OF(CONTENT, "t.id", "content")                                                      \
        " UNION ALL " LABELS_OF(SNAPSHOT, "t.id", "snapshots")                                     \
        " UNION ALL " LABELS_OF("0", "0", "images")                                                \
        " UNION ALL " LABELS_OF("0", "0", "containers") "),"                                       \
        " edges(from_kind, from_id, to_kind, to_id) AS MATERIALIZED ("                             \
        "SELECT l.kind, l.id, " CONTENT ", t.id FROM labels l JOIN " CONTENT_OF_LABEL              \
        " WHERE " KEY_IS("ref.content")                                                            \
        " UNION ALL SELECT l.kind, l.id, " SNAPSHOT ", t.id FROM labels l"                         \
        " JOIN " SNAPSHOT_OF_LABEL(REF_SNAPSHOTTER)                                                \
        " WHERE l.key GLOB '" LABEL "ref.snapshot.?*'"                                             \
        " UNION ALL SELECT " CONTENT ", t.id, l.kind, l.id FROM labels l JOIN " CONTENT_OF_LABEL   \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.content")                                           \
        " UNION ALL SELECT " SNAPSHOT ", t.id, l.kind, l.id FROM labels l"                         \
        " JOIN " SNAPSHOT_OF_LABEL(BREF_SNAPSHOTTER)                                               \
        " WHERE l.kind <> 0 AND l.key GLOB '" LABEL "bref.snapshot.?*'"                            \
        " UNION ALL SELECT 0, 0, l.kind, l.id FROM labels l"                                       \
        " JOIN images t ON l.namespace IN (t.namespace, '') AND t.name = l.value"                  \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.image")                                             \
        " UNION ALL SELECT 0, 0, l.kind, l.id FROM labels l"                                       \
        " JOIN containers t ON l.namespace IN (t.namespace, '') AND t.id = l.value"                \
        " WHERE l.kind <> 0 AND " KEY_IS("bref.container") "),"                                    \
        " live(kind, id, flat) AS (" seeds                                                         \
        " UNION SELECT kind, id, 0 FROM labels"                                                    \
        " WHERE kind <> 0 AND key = '" LABEL "root' AND value <> ''"                               \
        " UNION SELECT to_kind, to_id, 0 FROM edges WHERE from_kind = 0"                           \
        " UNION SELECT " SNAPSHOT ", s.parent, l.flat FROM live l JOIN snapshots s ON s.id = l.id" \
        " WHERE l.kind = " SNAPSHOT " AND s.parent IS NOT NULL"                                    \
        " UNION SELECT e.to_kind, e.to_id, 0 FROM live l"                                          \
        " JOIN edges e ON e.from_kind = l.kind AND e.from_id = l.id WHERE l.flat = 0) "

/* ?1 is the time. */
#define LEASES                                                                                     \
        "leases l JOIN lease_resources r ON r.namespace = l.namespace AND r.lease = l.id"
#define LEASED(kind, target)                                                                       \
        "SELECT " kind ", t.id, json_extract(l.labels, '$.\"" LABEL "flat\"') IS NOT NULL"         \
        " FROM " LEASES " JOIN " target " WHERE (l.expires_at = 0 OR l.expires_at > ?1)"

#define SEEDS_LEASES                                                                               \
        LEASED(CONTENT, "content t ON r.type = 'content' AND t.namespace = r.namespace"            \
               " AND t.digest = r.key")                                                            \
        " UNION " LEASED(SNAPSHOT, "snapshots t ON r.type GLOB 'snapshots/*'"                      \
               " AND t.snapshotter = substr(r.type, 11) AND t.namespace IN (r.namespace, '')"      \
               " AND t.key = r.key")

#define SEEDS_CONTAINERS                                                                           \
        "SELECT " SNAPSHOT ", snapshot, 0 FROM containers WHERE snapshot IS NOT NULL"

#define SEEDS_IMAGES(condition)                                                                    \
        "SELECT " CONTENT ", c.id, 0 FROM images i"                                                \
        " JOIN image_blobs b ON b.namespace = i.namespace AND b.name = i.name"                     \
        " JOIN content c ON c.namespace = b.namespace AND c.digest = b.digest WHERE " condition    \
        " UNION SELECT " SNAPSHOT ", i.snapshot, 0 FROM images i"                                  \
        " WHERE i.snapshot IS NOT NULL AND " condition

#define SEEDS_OWN(condition)                                                                       \
        "SELECT " SNAPSHOT ", id, 0 FROM snapshots WHERE namespace <> '' AND " condition           \
        " AND json_extract(labels, '$.\"org.example.Ctr/gc.collect\"') IS NULL"

/* What images hold is most of the content, and leads nowhere but by labels: only what has edges is
 * followed, and the rest needs not be remembered. */
#define HELD_BY_IMAGE(c)                                                                           \
        "EXISTS (SELECT 1 FROM image_blobs b WHERE b.digest = " c ".digest"                        \
        " AND b.namespace = " c ".namespace)"
#define SEEDS_ROOTS                                                                                \
        "SELECT " CONTENT ", c.id, 0 FROM edges e JOIN content c ON c.id = e.from_id"              \
        " WHERE e.from_kind = " CONTENT " AND " HELD_BY_IMAGE("c")                                 \
        " UNION SELECT " SNAPSHOT ", snapshot, 0 FROM images WHERE snapshot IS NOT NULL"           \
        " UNION " SEEDS_CONTAINERS " UNION " SEEDS_OWN("1") " UNION " SEEDS_LEASES

/* clang-format on */
