#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""A store that cannot be written, and a history that is large: no event is lost or doubled.

Usage: store_faults.py. Prints assertions as client.py does; needs localhost:5000/walk:latest.
"""

import contextlib
import json
import pathlib
import shutil
import signal
import sqlite3
import subprocess
import sys
import time

import bus
import contract
import options
import system
import walk
from system import small

STORE, RUNTIME = "/var/lib/ctr", "/run/ctr"
SPOOL = pathlib.Path(RUNTIME) / "events.spool"
NO_ROOM = ("ResourceExhausted", "(?i)space|full")
READ_ONLY = ("FailedPrecondition", "(?i)read-only file system")


def history(w, namespace="default"):
    """All of a namespace, page by page."""
    found, after = [], 0
    while page := w.root.call("Manager.ListEvents", Namespace=namespace, After=after, Limit=10000):
        found += page
        after = page[-1][0]
    return found


def life(w, name):
    """What the history has of a container's tasks and execs, in one line."""
    return " ".join(e[2].removeprefix("/tasks/") for e in history(w)
                    if e[2].startswith("/tasks/") and e[4].get("ContainerId", e[4]["Id"]) == name)


def in_order(w, text):
    numbers = [e[0] for e in history(w)]
    w.equal(text, sorted(set(numbers)), numbers)


def no_room_for_rows(w):
    """The log of the database may have some room left."""
    for number in range(100):
        try:
            w.root.call("Manager.CreateNamespace", f"n{number}", {"x": "x" * 4000})
        except bus.Refused:
            return


def unwritten(w, name, expected):
    """A task is paused, resumed, has an exec, and goes; the container can not."""
    container, task = w.thing(f"{bus.ROOT}/container/default/{name}"), w.thing(f"{bus.ROOT}/task/default/{name}")
    task.call("Task.Pause")
    task.call("Task.Resume")
    program = w.thing(task.call("Task.Exec", "e", ["sh", "-c", "exit 3"], Start=True))
    w.equal("an exec goes on", 3, program.call("Process.Wait")[0])
    program.call("Process.Delete")
    task.call("Process.Kill", signal.SIGKILL)
    w.equal("an exit is told", 137, task.call("Process.Wait")[0])
    w.refused("its container can not go", *expected, container.call, "Container.Delete", Force=True)
    w.gone("but its task", task)


LIFE = "create start paused resumed exec-added exec-started exit exit delete"


def full_disk(w):
    """The manager is killed while its disk is full, with and without a successor that finds it so."""
    with small(STORE, "24M") as (fill, filler):
        w.pull()
        names = [f"full{i}" for i in range(3)]
        for name in names:
            w.running(name)
        fill()
        no_room_for_rows(w)
        unwritten(w, names[0], NO_ROOM)
        w.check("the history can be read", history(w))
        w.check("what is not in it is in the spool", SPOOL.stat().st_size > 0)
        system.kill_manager()
        w.equal("a successor lists what there is", 3, len(w.root.call("Manager.ListContainers")))
        unwritten(w, names[1], NO_ROOM)
        system.kill_manager()
        filler.unlink()
        w.equal("nothing is lost of a task that is gone", LIFE, life(w, names[0]))
        w.check("the spool is empty then", w.bus.wait(lambda: not SPOOL.exists()))
        fill()
        no_room_for_rows(w)
        unwritten(w, names[2], NO_ROOM)
        filler.unlink()
        w.event("who was not killed tells it, too", "/tasks/delete", names[2])
        for name in names:
            w.equal(f"nothing is lost or doubled of {name}", LIFE, life(w, name))
        w.check("the spool is empty again", w.bus.wait(lambda: not SPOOL.exists()))
        in_order(w, "the numbers grow")
        w.remove(*[w.thing(path) for path, _ in w.root.call("Manager.ListContainers")])


def journal(since):
    return subprocess.run(["journalctl", "--unit=ctr.service", f"--since=@{since}", "--output=cat"], check=True,
                          stdout=subprocess.PIPE, text=True).stdout


def nowhere(w):
    """No room for the history nor for the spool: it is said, and written when there is some again."""
    with small(STORE, "24M") as (fill, filler):
        w.pull()
        with small(RUNTIME, "3M") as (fill_runtime, runtime_filler):
            container, task = w.running("nowhere")
            since = int(time.time())
            fill()
            no_room_for_rows(w)
            fill_runtime()
            task.call("Task.Pause")
            task.call("Task.Resume")
            w.check("it is said what a kill would lose", w.bus.wait(lambda: "in memory only" in journal(since)),
                    journal(since))
            filler.unlink()
            w.event("it is told when there is room", "/tasks/resumed", "nowhere")
            w.equal("and written", "create start paused resumed", life(w, "nowhere"))
            w.equal("which is said once", 1, journal(since).count("in memory only"))
            runtime_filler.unlink()
            w.remove(container)


@contextlib.contextmanager
def read_only():
    """The store is read-only, for a manager that starts in it; the one before was stopped, or killed."""
    subprocess.run(["mount", "-o", "remount,bind,ro", STORE], check=True)
    system.systemctl("start", "ctr.service")
    try:
        yield
    finally:
        system.systemctl("stop", "ctr.service")
        subprocess.run(["mount", "-o", "remount,bind,rw", STORE], check=True)
        system.systemctl("start", "ctr.service")


def stop():
    system.systemctl("stop", "ctr.service")


def kill_without_successor():
    """The log of its database is left behind."""
    override = pathlib.Path("/run/systemd/system/ctr.service.d/no-restart.conf")
    override.parent.mkdir(exist_ok=True)
    override.write_text("[Service]\nRestart=no\n")
    system.systemctl("daemon-reload")
    system.kill_manager()
    override.unlink()
    system.systemctl("daemon-reload")


def look_around(w, name):
    w.check("containers are listed", name in str(w.root.call("Manager.ListContainers")))
    w.property("images are shown", w.thing(w.root.call("Manager.GetImage", walk.IMAGE)), "Image.Name", walk.IMAGE)
    w.property("a task runs on", w.thing(f"{bus.ROOT}/task/default/{name}"), "Process.Status", "RUNNING")
    w.refused("no container is made", *READ_ONLY, w.container, "none")
    w.refused("nothing is pulled", *READ_ONLY, w.pull)
    w.refused("no namespace is made", *READ_ONLY, w.root.call, "Manager.CreateNamespace", "none", {})
    w.refused("no label is set", *READ_ONLY, w.thing(f"{bus.ROOT}/container/default/{name}").call,
              "Container.SetLabels", {"a": "b"})


def read_only_store(w):
    """Everything is seen, nothing is changed, and what runs is told about; later it is in the history."""
    w.pull()
    for name, end in (("stopped", stop), ("killed", kill_without_successor)):
        container, _ = w.running(name)
        before = history(w)
        end()
        with read_only():
            look_around(w, name)
            unwritten(w, name, READ_ONLY)
            details = w.event("the end of a task is told", "/tasks/delete", name)
            w.equal("with its status", 137, details.get("ExitStatus"))
            w.equal("the history knows it", LIFE, life(w, name))
            during = history(w)
            w.equal("and what was before", before, during[:len(before)])
            system.kill_manager()
            w.equal("so does the next manager's", during, history(w))
            w.equal("who tells it once", 1, len(w.events(name, "/tasks/delete")))
        w.equal("and the one of a store that can be written, by the same numbers", during, history(w)[:len(during)])
        w.equal("once", LIFE, life(w, name))
        w.check("there is no spool left", w.bus.wait(lambda: not SPOOL.exists()))
        w.remove(container)
    in_order(w, "the numbers grow")


def emptied(w):
    """Somebody empties /run while the store is read-only: what is told of that has its number, too."""
    w.pull()
    lost, _ = w.running("lost")
    other, task = w.running("other")
    stop()
    system.systemctl("kill", "--signal=KILL", "ctr-lost.scope")
    w.bus.wait(lambda: "ctr-lost.scope" not in system.scopes())
    shutil.rmtree(f"{RUNTIME}/tasks/default/lost")
    with read_only():
        w.equal("what was there has ended", "create start exit delete", life(w, "lost"))
        task.call("Task.Pause")
        during = history(w)
        system.kill_manager()
        w.equal("which the next manager says by the same numbers", during, history(w))
    w.equal("and the one that can write", during, history(w)[:len(during)])
    w.equal("it ended once", "create start exit delete", life(w, "lost"))
    w.remove(lost, other)


def insert(n, details):
    """Rows of another namespace, behind the service's back."""
    stop()
    with contextlib.closing(sqlite3.connect(f"{STORE}/ctr.db")) as db, db:
        db.executemany("INSERT INTO events(time, topic, namespace, name, details)"
                       " VALUES(?, '/containers/update', 'crowd', 'x', ?)", ((1000 + i, details) for i in range(n)))


def pages(w):
    """An answer has its limit in bytes; whoever goes on has all in the end."""
    w.pull()
    n = 300
    insert(n, json.dumps({"Id": "x", "Image": "i" * 100000, "Runtime": "r"}))
    first = w.root.call("Manager.ListEvents", Namespace="crowd", Limit=10000)
    w.check("an answer is bounded", 10 < len(first) < 100, len(first))
    found = history(w, "crowd")
    w.equal("nothing is left out", n, len(found))
    w.equal("nor doubled", n, len({e[0] for e in found}))
    shown = subprocess.run(["ctrctl", "--namespace=crowd", "events", "--json=short"], check=True,
                           stdout=subprocess.PIPE, text=True).stdout.splitlines()
    w.equal("ctrctl shows all", [e[0] for e in found], [json.loads(line)["Sequence"] for line in shown])


def slow_filter(w):
    """A filter over all of the history holds up nobody else."""
    insert(66000, json.dumps({"Id": "x", "Image": "i" * 60, "Runtime": "org.example.runtime"}))
    insert(1, json.dumps({"Id": "x", "Image": "needle", "Runtime": "r"}))
    w.equal("what is at the end is found", ["needle"], [e[4]["Image"] for e in w.root.call(
        "Manager.ListEvents", Namespace="crowd", Filters=["event.Image==needle"])])
    w.equal("a time without events has none", [], w.root.call("Manager.ListEvents", Since=5, Until=6))
    other = bus.Bus(w.contract)
    before = time.monotonic()
    listing = w.root.send("Manager.ListEvents", Namespace="crowd", Filters=["event.Image==nobody"])
    latencies = []
    while not listing.done and time.monotonic() < before + 60:
        w.bus.pump()
        start = time.monotonic()
        other.root.call("Manager.ListNamespaces")
        latencies.append(time.monotonic() - start)
    latencies.sort()
    print(f"# {time.monotonic() - before:.3f} s for the filter, {len(latencies)} other calls meanwhile of "
          f"{latencies[len(latencies) // 2] * 1000:.1f} ms, the longest {latencies[-1] * 1000:.1f} ms")
    w.equal("it finds what there is", [], w.answer(listing))
    w.check("others are answered meanwhile", len(latencies) >= 3, latencies)
    gone = bus.Bus(w.contract)
    for _ in range(20):
        gone.root.send("Manager.ListEvents", Namespace="crowd", Filters=["event.Image==nobody"])
    gone.connection.flush_sync(None)
    gone.connection.close_sync(None)
    w.equal("who goes away leaves nothing", [],
            w.root.call("Manager.ListEvents", Namespace="crowd", Filters=["event.Image==nobody"]))


def main():
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), set())
    for case in (full_disk, nowhere, read_only_store, emptied, pages, slow_filter):
        w.chapter(case.__name__.replace("_", " "), case)
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
