# SPDX-License-Identifier: LGPL-2.1-or-later
"""Garbage collection over a large store: the whole of it, and how long anybody else has to wait meanwhile.

The rows and files are made while the manager is stopped: 1,000 images with 99 blobs of their own and a chain of ten
layers each. Then, beside the manager, as many blobs as said that nothing refers to. A second client calls
ListNamespaces all the time.
"""

import json
import os
import shutil
import sqlite3
import statistics
import subprocess
import threading
import time

import gi

from common import say
from measure_process import process

gi.require_version("Gio", "2.0")
from gi.repository import Gio, GLib  # noqa: E402

STATE = "/var/lib/ctr"
SNAPSHOTS, BLOBS, IMAGES = 10000, 100000, 1000


def digest(number):
    return f"sha256:{number * 7919:064x}"


def connect():
    address = Gio.dbus_address_get_for_bus_sync(Gio.BusType.SYSTEM)
    flags = Gio.DBusConnectionFlags.AUTHENTICATION_CLIENT | Gio.DBusConnectionFlags.MESSAGE_BUS_CONNECTION
    return Gio.DBusConnection.new_for_address_sync(address, flags)


def call(bus, member):
    return bus.call_sync("org.example.Ctr", "/org/example/Ctr", "org.example.Ctr.Manager", member,
                         GLib.Variant("(a{sv})", ({},)), None, Gio.DBusCallFlags.NONE, 600000, None).unpack()[0]


def open_database():
    db = sqlite3.connect(f"{STATE}/ctr.db", timeout=60)
    db.create_function("now_usec", 0, lambda: time.time_ns() // 1000)
    return db


def make_blobs(first, end):
    directory = os.open(f"{STATE}/content/sha256", os.O_RDONLY)
    for i in range(first, end):
        os.close(os.open(digest(i).removeprefix("sha256:"), os.O_CREAT | os.O_WRONLY, 0o400, dir_fd=directory))
    os.close(directory)


def add_garbage(count):
    blobs = [digest(i) for i in range(BLOBS, BLOBS + count)]
    make_blobs(BLOBS, BLOBS + count)
    db = open_database()
    with db:
        db.executemany("INSERT INTO blobs(digest, size) VALUES(?, 1)", ((blob,) for blob in blobs))
        db.executemany("INSERT INTO content(namespace, digest, created_at, updated_at) VALUES('default', ?, 1, 1)",
                       ((blob,) for blob in blobs))
    db.close()


def fill_rows():
    db = open_database()
    images = [f"registry.example/some/image-{i}:latest" for i in range(IMAGES)]
    with db:
        first = db.execute("SELECT ifnull(max(id), 0) + 1 FROM snapshots").fetchone()[0]
        db.execute("INSERT OR IGNORE INTO namespaces(name) VALUES('default')")
        db.executemany("INSERT INTO snapshots(id, snapshotter, namespace, key, kind, parent, created_at, updated_at)"
                       " VALUES(?, 'overlayfs', '', ?, 0, ?, 1, 1)",
                       ((first + i, f"sha256:{i:064x}", first + i - 1 if i % 10 else None) for i in range(SNAPSHOTS)))
        db.executemany("INSERT INTO images(namespace, name, digest, media_type, manifest_digest, config_digest, size,"
                       " unpacked, snapshot, created_at, updated_at) VALUES('default', ?, '', '', '', '', 1, 1, ?, 1, 1)",
                       ((name, first + i * 10 + 9) for i, name in enumerate(images)))
        db.executemany("INSERT INTO blobs(digest, size) VALUES(?, 1)", ((digest(i),) for i in range(BLOBS)))
        db.executemany("INSERT INTO image_blobs VALUES('default', ?, ?)",
                       ((images[i * IMAGES // BLOBS], digest(i)) for i in range(BLOBS)))
        db.execute("DELETE FROM events")
    db.close()
    return first


def copy_store(source, target):
    """With the devices that images have, which are not to be read."""
    subprocess.run(["cp", "-aT", source, target], check=True)


def fill():
    """A large store; the manager's own is put aside."""
    subprocess.run(["systemctl", "stop", "ctr.service"], check=True)
    if not os.path.exists(f"{STATE}.small"):
        copy_store(STATE, f"{STATE}.small")
    first = fill_rows()
    for i in range(SNAPSHOTS):
        os.makedirs(f"{STATE}/snapshots/overlayfs/{first + i}/fs")
    make_blobs(0, BLOBS)


def restore():
    subprocess.run(["systemctl", "stop", "ctr.service"], check=True)
    for name in os.listdir(STATE):
        path = os.path.join(STATE, name)
        if os.path.isdir(path):
            shutil.rmtree(path)
        else:
            os.unlink(path)
    copy_store(f"{STATE}.small", STATE)


class Bystander(threading.Thread):
    """Calls something short again and again, and notes how long it takes."""

    def __init__(self):
        super().__init__()
        self.times, self.stopping = [], False

    def run(self):
        bus = connect()
        while not self.stopping:
            started = time.perf_counter()
            call(bus, "ListNamespaces")
            self.times.append((time.perf_counter() - started) * 1000)


def collect(bus):
    bystander = Bystander()
    bystander.start()
    time.sleep(0.2)
    before = len(bystander.times)
    started = time.perf_counter()
    answer = call(bus, "CollectGarbage")
    elapsed = (time.perf_counter() - started) * 1000
    bystander.stopping = True
    bystander.join()
    waits = bystander.times[before:]
    return {"elapsed": elapsed, "wait": max(waits), "wait_median": statistics.median(waits), **answer}


def start():
    """Starts the manager, and waits for the collection that it begins with."""
    bus = connect()
    started = time.perf_counter()
    call(bus, "ListNamespaces")
    say(f"started over {BLOBS} blobs in {time.perf_counter() - started:.1f} s")
    call(bus, "CollectGarbage")
    return bus


def measure_lists():
    """Milliseconds of ListImages, a hundred times."""
    return [usec / 1000 for usec in process("call", 100, "ListImages")["call"]]


def measure_gc():
    rows = []
    fill()
    bus = start()
    lists = measure_lists()
    for garbage in (0, 1000, BLOBS // 10):
        runs, usage = [], []
        for _ in range(5):
            add_garbage(garbage)
            runs.append(collect(bus))
            started = time.perf_counter()
            call(bus, "DiskUsage")
            usage.append((time.perf_counter() - started) * 1000)
        rows.append({"garbage": garbage, "runs": runs, "usage": statistics.median(usage)})
    restore()
    return json.loads(json.dumps({"snapshots": SNAPSHOTS, "blobs": BLOBS, "images": IMAGES, "ListImages": lists,
                                  "rows": rows}))
