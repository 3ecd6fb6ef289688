/* SPDX-License-Identifier: LGPL-2.1-or-later */

/*
 * The tables, version by version: what a release has written is never changed, only added to.
 *
 * What happens to rows is an event (manager/event.h) by a trigger: whoever changes a row, and by
 * whatever way, the event is in the same transaction.
 */

#include "manager/db-internal.h"

static const char schema_1[] =
                "CREATE TABLE namespaces (name TEXT PRIMARY KEY, labels TEXT NOT NULL DEFAULT '{}')"
                " WITHOUT ROWID;"
                "CREATE TABLE blobs (digest TEXT PRIMARY KEY, media_type TEXT, size INTEGER NOT "
                "NULL)"
                " WITHOUT ROWID;"
                "CREATE TABLE snapshots (id INTEGER PRIMARY KEY AUTOINCREMENT,"
                " namespace TEXT NOT NULL, key TEXT NOT NULL, kind INTEGER NOT NULL,"
                " parent INTEGER REFERENCES snapshots(id), bytes INTEGER NOT NULL DEFAULT 0,"
                " inodes INTEGER NOT NULL DEFAULT 0, labels TEXT NOT NULL DEFAULT '{}',"
                " created_at INTEGER NOT NULL, UNIQUE (namespace, key));"
                "CREATE INDEX snapshots_parent ON snapshots(parent);"
                "CREATE TABLE images (namespace TEXT NOT NULL REFERENCES namespaces(name),"
                " name TEXT NOT NULL, digest TEXT NOT NULL, media_type TEXT NOT NULL,"
                " manifest_digest TEXT NOT NULL, config_digest TEXT NOT NULL, size INTEGER NOT "
                "NULL,"
                " unpacked INTEGER NOT NULL, snapshot INTEGER REFERENCES snapshots(id),"
                " labels TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL,"
                " updated_at INTEGER NOT NULL, PRIMARY KEY (namespace, name)) WITHOUT ROWID;"
                "CREATE INDEX images_snapshot ON images(snapshot);"
                "CREATE TABLE image_blobs (namespace TEXT NOT NULL, name TEXT NOT NULL,"
                " digest TEXT NOT NULL REFERENCES blobs(digest), PRIMARY KEY (namespace, name, "
                "digest),"
                " FOREIGN KEY (namespace, name) REFERENCES images(namespace, name) ON DELETE "
                "CASCADE)"
                " WITHOUT ROWID;"
                "CREATE INDEX image_blobs_digest ON image_blobs(digest);"
                "CREATE TABLE containers (namespace TEXT NOT NULL REFERENCES namespaces(name),"
                " id TEXT NOT NULL, image TEXT NOT NULL, runtime TEXT NOT NULL,"
                " snapshotter TEXT NOT NULL, snapshot_key TEXT NOT NULL,"
                " snapshot INTEGER REFERENCES snapshots(id), labels TEXT NOT NULL DEFAULT '{}',"
                " resources TEXT NOT NULL DEFAULT '{}', stop_signal INTEGER NOT NULL,"
                " stop_timeout INTEGER NOT NULL, terminal INTEGER NOT NULL,"
                " auto_remove INTEGER NOT NULL, volatile INTEGER NOT NULL, spec TEXT NOT NULL,"
                " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
                " PRIMARY KEY (namespace, id)) WITHOUT ROWID;"
                "CREATE INDEX containers_snapshot ON containers(snapshot);"
                "PRAGMA user_version = 1;";

/* Topic and name as in manager/event.h, details as in dbus/org.example.Ctr.xml; now_usec() is ours
 * (db.c). */
#define EVENT(trigger, on, topic, namespace, name, details)                                        \
        "CREATE TRIGGER " trigger " AFTER " on " BEGIN INSERT INTO events(time, topic, namespace," \
        " name, details) VALUES (now_usec(), '" topic                                              \
        "', " namespace ", " name ", json_object(" details ")); END;"

/* clang-format off */

/* steps: which events of a process were recorded. boots: which run of the machine was seen last, by
 * whom. restart: what the restart monitor keeps of a container besides its labels. */
static const char schema_2[] =
        "CREATE TABLE events (sequence INTEGER PRIMARY KEY AUTOINCREMENT, time INTEGER NOT NULL,"
        " topic TEXT NOT NULL, namespace TEXT NOT NULL, name TEXT NOT NULL,"
        " details TEXT NOT NULL);"
        "CREATE TABLE steps (run TEXT PRIMARY KEY, steps INTEGER NOT NULL) WITHOUT ROWID;"
        "CREATE TABLE boots (reader TEXT PRIMARY KEY, boot_id TEXT NOT NULL) WITHOUT ROWID;"
        "ALTER TABLE containers ADD COLUMN restart TEXT NOT NULL DEFAULT '{}';"

        EVENT("container_create", "INSERT ON containers",
              "/containers/create", "NEW.namespace", "NEW.id",
              "'Id', NEW.id, 'Image', NEW.image, 'Runtime', NEW.runtime")
        EVENT("container_update", "UPDATE OF image, runtime, labels, resources, spec ON containers",
              "/containers/update", "NEW.namespace", "NEW.id",
              "'Id', NEW.id, 'Image', NEW.image, 'Runtime', NEW.runtime")
        EVENT("container_delete", "DELETE ON containers",
              "/containers/delete", "OLD.namespace", "OLD.id", "'Id', OLD.id")

        EVENT("image_create", "INSERT ON images",
              "/images/create", "NEW.namespace", "NEW.name",
              "'Name', NEW.name, 'Labels', json(NEW.labels)")
        EVENT("image_update", "UPDATE ON images",
              "/images/update", "NEW.namespace", "NEW.name",
              "'Name', NEW.name, 'Labels', json(NEW.labels)")
        EVENT("image_delete", "DELETE ON images",
              "/images/delete", "OLD.namespace", "OLD.name", "'Name', OLD.name")

        /* kind 0 is a committed one */
        EVENT("snapshot_prepare", "INSERT ON snapshots WHEN NEW.kind != 0",
              "/snapshot/prepare", "NEW.namespace", "NEW.key",
              "'Key', NEW.key,"
              " 'Parent', ifnull((SELECT key FROM snapshots WHERE id = NEW.parent), '')")
        EVENT("snapshot_commit", "INSERT ON snapshots WHEN NEW.kind = 0",
              "/snapshot/commit", "NEW.namespace", "NEW.key", "'Key', NEW.key, 'Name', NEW.key")
        EVENT("snapshot_commit_active",
              "UPDATE OF kind ON snapshots WHEN NEW.kind = 0 AND OLD.kind != 0",
              "/snapshot/commit", "NEW.namespace", "NEW.key", "'Key', OLD.key, 'Name', NEW.key")
        EVENT("snapshot_remove", "DELETE ON snapshots",
              "/snapshot/remove", "OLD.namespace", "OLD.key", "'Key', OLD.key")

        EVENT("content_create", "INSERT ON blobs",
              "/content/create", "''", "NEW.digest", "'Digest', NEW.digest, 'Size', NEW.size")
        EVENT("content_delete", "DELETE ON blobs",
              "/content/delete", "''", "OLD.digest", "'Digest', OLD.digest")

        EVENT("namespace_create", "INSERT ON namespaces",
              "/namespaces/create", "NEW.name", "NEW.name",
              "'Name', NEW.name, 'Labels', json(NEW.labels)")
        EVENT("namespace_update", "UPDATE OF labels ON namespaces",
              "/namespaces/update", "NEW.name", "NEW.name",
              "'Name', NEW.name, 'Labels', json(NEW.labels)")
        EVENT("namespace_delete", "DELETE ON namespaces",
              "/namespaces/delete", "OLD.name", "OLD.name", "'Name', OLD.name")

        "PRAGMA user_version = 2;";

/* Keys of snapshots are those of a snapshotter: the table is made anew (its UNIQUE cannot be
 * changed), with the numbers that were given, as directories are named by them. Foreign keys are
 * off during a migration, and checked at its end. Layers belong to no namespace (''), as always.
 *
 * container and version make a committed snapshot a version of a container (manager/version.h);
 * operation is what has begun with one and is not over. */
static const char schema_3[] =
        "CREATE TABLE snapshots_3 (id INTEGER PRIMARY KEY AUTOINCREMENT,"
        " snapshotter TEXT NOT NULL, namespace TEXT NOT NULL, key TEXT NOT NULL,"
        " kind INTEGER NOT NULL, parent INTEGER REFERENCES snapshots(id),"
        " bytes INTEGER NOT NULL DEFAULT 0, inodes INTEGER NOT NULL DEFAULT 0,"
        " labels TEXT NOT NULL DEFAULT '{}', container TEXT, version INTEGER,"
        " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,"
        " UNIQUE (snapshotter, namespace, key));"
        "INSERT INTO snapshots_3 SELECT id, 'overlayfs', namespace, key, kind, parent, bytes,"
        " inodes, labels, NULL, NULL, created_at, created_at FROM snapshots;"
        "DELETE FROM sqlite_sequence WHERE name = 'snapshots_3';"
        "INSERT INTO sqlite_sequence(name, seq)"
        " SELECT 'snapshots_3', seq FROM sqlite_sequence WHERE name = 'snapshots';"
        "DROP TABLE snapshots;"
        "ALTER TABLE snapshots_3 RENAME TO snapshots;"
        "CREATE INDEX snapshots_parent ON snapshots(parent);"
        "CREATE UNIQUE INDEX snapshots_version ON snapshots(namespace, container, version)"
        " WHERE version IS NOT NULL;"
        "ALTER TABLE containers ADD COLUMN last_version INTEGER NOT NULL DEFAULT 0;"
        "ALTER TABLE containers ADD COLUMN operation TEXT;"

        /* they went with the table; kind 0 is a committed one */
        EVENT("snapshot_prepare", "INSERT ON snapshots WHEN NEW.kind != 0",
              "/snapshot/prepare", "NEW.namespace", "NEW.key",
              "'Key', NEW.key, 'Parent', ifnull((SELECT key FROM snapshots WHERE id = NEW.parent),"
              " ''), 'Snapshotter', NEW.snapshotter")
        EVENT("snapshot_commit", "INSERT ON snapshots WHEN NEW.kind = 0",
              "/snapshot/commit", "NEW.namespace", "NEW.key",
              "'Key', NEW.key, 'Name', NEW.key, 'Snapshotter', NEW.snapshotter")
        EVENT("snapshot_commit_active",
              "UPDATE OF kind ON snapshots WHEN NEW.kind = 0 AND OLD.kind != 0",
              "/snapshot/commit", "NEW.namespace", "NEW.key",
              "'Key', OLD.key, 'Name', NEW.key, 'Snapshotter', NEW.snapshotter")
        EVENT("snapshot_remove", "DELETE ON snapshots",
              "/snapshot/remove", "OLD.namespace", "OLD.key",
              "'Key', OLD.key, 'Snapshotter', OLD.snapshotter")
        "DROP TRIGGER container_update;"
        EVENT("container_update",
              "UPDATE OF image, runtime, labels, resources, spec, snapshot_key ON containers",
              "/containers/update", "NEW.namespace", "NEW.id",
              "'Id', NEW.id, 'Image', NEW.image, 'Runtime', NEW.runtime")

        "ALTER TABLE images ADD COLUMN platforms TEXT NOT NULL DEFAULT '[]';"

        "PRAGMA user_version = 3;";

/* content: which blobs a namespace has, over blobs, which all namespaces share; an image's are its
 * namespace's. damaged_at: when the blob was found to be damaged or missing, 0 if it is as it should
 * be. ingests: who fetches what is not complete yet; the bytes are in content/ingest/ (image/ingest.h).
 * The partial indexes are for the garbage collection, which looks at all labels of its own
 * (db-gc.c). user_namespace: which ids it has (manager/user-namespace.h). spool: of its
 * one row's notes so many are in the tables (event-spool.c). */
static const char schema_4[] =
        "CREATE TABLE content (id INTEGER PRIMARY KEY AUTOINCREMENT, namespace TEXT NOT NULL,"
        " digest TEXT NOT NULL REFERENCES blobs(digest), labels TEXT NOT NULL DEFAULT '{}',"
        " created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL, UNIQUE (namespace, digest));"
        "CREATE INDEX content_digest ON content(digest);"
        "DELETE FROM blobs WHERE digest NOT IN (SELECT digest FROM image_blobs);"
        "INSERT INTO content(namespace, digest, created_at, updated_at)"
        " SELECT DISTINCT namespace, digest, now_usec(), now_usec() FROM image_blobs;"
        "CREATE TRIGGER image_blobs_content AFTER INSERT ON image_blobs BEGIN"
        " INSERT INTO content(namespace, digest, created_at, updated_at)"
        " VALUES (NEW.namespace, NEW.digest, now_usec(), now_usec()) ON CONFLICT DO NOTHING; END;"

        "ALTER TABLE blobs ADD COLUMN damaged_at INTEGER NOT NULL DEFAULT 0;"
        "CREATE INDEX blobs_damaged ON blobs(digest) WHERE damaged_at <> 0;"
        "CREATE TABLE ingests (namespace TEXT NOT NULL, digest TEXT NOT NULL,"
        " size INTEGER NOT NULL, started_at INTEGER NOT NULL, PRIMARY KEY (namespace, digest))"
        " WITHOUT ROWID;"

        "CREATE TABLE leases (namespace TEXT NOT NULL, id TEXT NOT NULL,"
        " labels TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL,"
        " expires_at INTEGER NOT NULL, PRIMARY KEY (namespace, id)) WITHOUT ROWID;"
        "CREATE INDEX leases_expiry ON leases(expires_at) WHERE expires_at <> 0;"
        "CREATE TABLE lease_resources (namespace TEXT NOT NULL, lease TEXT NOT NULL,"
        " type TEXT NOT NULL, key TEXT NOT NULL, PRIMARY KEY (namespace, lease, type, key),"
        " FOREIGN KEY (namespace, lease) REFERENCES leases(namespace, id) ON DELETE CASCADE)"
        " WITHOUT ROWID;"
        "CREATE INDEX lease_resources_key ON lease_resources(type, key);"

        "CREATE INDEX content_gc ON content(id) WHERE instr(labels, 'containerd.io/gc.') > 0;"
        "CREATE INDEX snapshots_gc ON snapshots(id) WHERE instr(labels, 'containerd.io/gc.') > 0;"
        "CREATE INDEX images_gc ON images(namespace, name)"
        " WHERE instr(labels, 'containerd.io/gc.') > 0;"
        "CREATE INDEX containers_gc ON containers(namespace, id)"
        " WHERE instr(labels, 'containerd.io/gc.') > 0;"

        "ALTER TABLE containers ADD COLUMN user_namespace TEXT NOT NULL DEFAULT '{}';"

        "CREATE TABLE spool (one INTEGER PRIMARY KEY, id TEXT NOT NULL, taken INTEGER NOT NULL);"

        /* volume: its name as a volume (manager/volume.h); anonymous: it goes with its container.
         * container_mounts: what a container mounts besides its root. */
        "ALTER TABLE snapshots ADD COLUMN volume TEXT;"
        "ALTER TABLE snapshots ADD COLUMN anonymous INTEGER NOT NULL DEFAULT 0;"
        "CREATE UNIQUE INDEX snapshots_volume ON snapshots(namespace, volume)"
        " WHERE volume IS NOT NULL;"
        "CREATE TABLE container_mounts (namespace TEXT NOT NULL, container TEXT NOT NULL,"
        " snapshot INTEGER NOT NULL REFERENCES snapshots(id),"
        " PRIMARY KEY (namespace, container, snapshot), FOREIGN KEY (namespace, container)"
        " REFERENCES containers(namespace, id) ON DELETE CASCADE) WITHOUT ROWID;"
        "CREATE INDEX container_mounts_snapshot ON container_mounts(snapshot);"

        /* the bytes of a secret are in a file that has its id (manager/secret.h) */
        "CREATE TABLE secrets (id INTEGER PRIMARY KEY, namespace TEXT NOT NULL, name TEXT NOT NULL,"
        " labels TEXT NOT NULL DEFAULT '{}', created_at INTEGER NOT NULL, UNIQUE (namespace, name));"
        "CREATE TABLE container_secrets (namespace TEXT NOT NULL, container TEXT NOT NULL,"
        " secret INTEGER NOT NULL REFERENCES secrets(id),"
        " PRIMARY KEY (namespace, container, secret), FOREIGN KEY (namespace, container)"
        " REFERENCES containers(namespace, id) ON DELETE CASCADE) WITHOUT ROWID;"
        "CREATE INDEX container_secrets_secret ON container_secrets(secret);"

        "PRAGMA user_version = 4;";

/* clang-format on */

const char *const db_schema[DB_SCHEMA_VERSION] = {schema_1, schema_2, schema_3, schema_4};
