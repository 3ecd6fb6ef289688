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

static const char schema_3[] =
        "ALTER TABLE images ADD COLUMN platforms TEXT NOT NULL DEFAULT '[]';"

        "PRAGMA user_version = 3;";

/* clang-format on */

const char *const db_schema[DB_SCHEMA_VERSION] = {schema_1, schema_2, schema_3};
