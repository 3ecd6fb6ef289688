#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Many clients at the same few containers, all of them at once: whatever the order, each call is answered, and rightly.

Usage: storm.py [--seed=N] [--calls=N]. What is called follows from the seed, in which order it meets does not, so there
are no expected answers but these: success, or one of the errors that another client's call can be the cause of. First
nothing dies; then the manager, supervisors and clients are killed meanwhile. In the end all can be removed, nothing is
left, and the history is in order. Prints assertions as client.py does; needs localhost:5000/walk:latest.
"""

import argparse
import contextlib
import os
import pathlib
import random
import signal
import sys

import bus
import contract
import options
import system
import walk
import walk_events
from walk import HELD, IMAGE

CLIENTS = 6
PENDING_MAX = 5  # of one client
NAMES = ["a", "b", "c"]
EXECS = ["x", "y"]
NULL = {"Stdout": "null", "Stderr": "null"}
ENDS_SOON = ["sh", "-c", "sleep 0.05; exit 7"]
# Another client was first, or the thing is not there (any more).
EXPECTED = {"NotFound", "AlreadyExists", "FailedPrecondition", "Canceled", "Conflict", "Timeout", bus.UNKNOWN_OBJECT}
# Who answers is dead, or what it asked is.
KILLED = {"Unavailable", "Unknown", "org.freedesktop.DBus.Error.NoReply",
          "org.freedesktop.DBus.Error.Disconnected"}


def container(name):
    return f"{bus.ROOT}/container/default/{name}"


def task(name):
    return f"{bus.ROOT}/task/default/{name}"


def create(r, name):
    end = r.choice([{}, {}, {}, {}, {"AutoRemove": True}, {"RestartPolicy": "always"}])
    return bus.ROOT, "Manager.CreateContainer", (name, IMAGE), {
        "Command": r.choice([HELD, HELD, ENDS_SOON]), "UserNamespace": r.choice(["host", "host", "auto"]),
        "Mounts": [("tmpfs", "/sys", "tmpfs", [])], **end}


def add_exec(r, name):
    return task(name), "Task.Exec", (r.choice(EXECS), r.choice([["true"], HELD])), {
        **NULL, "Start": r.random() < 0.7, "AutoRemove": r.random() < 0.3}


def of_process(member, *arguments, **more):
    def call(r, name):
        path = task(name) if r.random() < 0.7 else f"{task(name)}/exec/{r.choice(EXECS)}"
        return path, member, arguments, more
    return call


def of_task(member, *arguments, **more):
    return lambda r, name: (task(name), member, arguments, more)


# How often, and what.
CALLS = [
    (8, create),
    (10, lambda r, name: (container(name), "Container.CreateTask", (), NULL)),
    (12, of_process("Process.Start")),
    (10, add_exec),
    (3, of_task("Task.Pause")),
    (4, of_task("Task.Resume")),
    (2, of_task("Task.Stop", TimeoutUSec=100000, Force=True)),
    (1, of_task("Task.Update", {"TasksMax": bus.GLib.Variant("t", 500)})),
    (2, of_task("Task.Pids")),
    (2, of_task("Task.Stats")),
    (3, of_process("Process.Kill", signal.SIGKILL)),
    (2, of_process("Process.Wait")),
    (2, of_process("Process.ResizePty", 65535, 0)),
    (3, of_process("Process.Delete")),
    (1, of_process("Process.Delete", Force=True)),
    (1, lambda r, name: (container(name), "Container.Delete", (), {})),
    (1, lambda r, name: (container(name), "Container.Delete", (), {"Force": True})),
    (1, lambda r, name: (container(name), "Container.CreateVersion", (), {"StopTimeoutUSec": 100000})),
    (1, lambda r, name: (container(name), "Container.Rollback", (1,), {"StopTimeoutUSec": 100000})),
    (1, lambda r, name: (container(name), "Container.Commit", ("localhost/storm:1",), {"Compression": "none"})),
    (1, lambda r, name: (container(name), "Container.StatPath", ("/bin/sh",), {})),
    (1, lambda r, name: (bus.ROOT, "Manager.ListTasks", (), {})),
    (1, lambda r, name: (bus.ROOT, "Manager.PruneContainers", (), {})),
]


class Storm:
    def __init__(self, w, seed):
        self.walk, self.random = w, random.Random(seed)
        self.clients = [bus.Bus(w.contract) for _ in range(CLIENTS)]
        self.pending = [[] for _ in self.clients]  # of each client: (what, Pending)
        self.answers = {}  # how often: success or an error's name
        self.unexpected = []

    def collect(self, i, expected):
        """Take what client i was answered."""
        left = []
        for what, pending in self.pending[i]:
            if not pending.done:
                left.append((what, pending))
                continue
            name = pending.error.name if pending.error else "success"
            self.answers[name] = self.answers.get(name, 0) + 1
            if pending.error and (name not in expected or not pending.error.text):
                self.unexpected.append(f"{what}: {pending.error}")
        self.pending[i] = left

    def call(self, expected):
        i = self.random.randrange(CLIENTS)
        weights, makers = zip(*CALLS)
        path, member, arguments, more = self.random.choices(makers, weights)[0](self.random, self.random.choice(NAMES))
        self.pending[i].append((f"{member} of {path}", bus.Object(self.clients[i], path).send(member, *arguments, **more)))
        # who waits for the exit of a process need not be the one who ends it
        self.walk.bus.wait(lambda: self.collect(i, expected) or
                           sum("Wait" not in what for what, _ in self.pending[i]) < PENDING_MAX)

    def reconnect(self, i):
        self.clients[i].connection.close_sync(None)
        self.clients[i], self.pending[i] = bus.Bus(self.walk.contract), []

    def kill_something(self):
        what = self.random.choice(["manager", "supervisor", "client"])
        if what == "manager":
            system.kill_manager()
        elif what == "client":
            self.reconnect(self.random.randrange(CLIENTS))
        else:
            with contextlib.suppress(ProcessLookupError, IndexError):
                os.kill(int(self.random.choice(system.supervisors())), signal.SIGKILL)

    def settle(self, expected):
        """Nothing is to go on by itself, and every call is answered."""
        def removed():
            for name in NAMES:
                with contextlib.suppress(bus.Refused):
                    bus.Object(self.walk.bus, container(name)).call("Container.Delete", Force=True,
                                                                       CleanupVersions=True)
            return not self.walk.root.call("Manager.ListContainers")

        self.walk.check("all containers can be removed", self.walk.bus.wait(removed))

        def answered():
            for i in range(CLIENTS):
                self.collect(i, expected)
            return not any(self.pending)

        self.walk.check("every call was answered", self.walk.bus.wait(answered), *self.pending)
        self.walk.equal("each as it should be", [], self.unexpected)
        print(f"# {dict(sorted(self.answers.items()))}")


def left():
    """What is there that no container needs."""
    return [*map(str, pathlib.Path("/run/ctr/tasks").glob("*/*")), *system.scopes(), *system.supervisors(),
            *map(str, pathlib.Path("/sys/fs/cgroup/ctr.slice").glob("ctr-*"))]


def ends_well(w, storm, expected):
    storm.settle(expected)
    w.check("nothing is left", w.bus.wait(lambda: not left()), *left())
    for client in storm.clients:
        client.connection.close_sync(None)
    told = w.root.call("Manager.ListEvents", Limit=10000)
    w.equal("everything was told in order", [], walk_events.disorder(told))


def calm(w, arguments):
    pid = system.manager_pid()
    storm = Storm(w, arguments.seed)
    for _ in range(arguments.calls):
        storm.call(EXPECTED)
    ends_well(w, storm, EXPECTED)
    w.equal("by one manager", pid, system.manager_pid())


def deadly(w, arguments):
    expected = EXPECTED | KILLED
    storm = Storm(w, arguments.seed + 1)
    for number in range(arguments.calls):
        storm.call(expected)
        if number % 25 == 24:
            storm.kill_something()
    ends_well(w, storm, expected)


def main():
    parser = argparse.ArgumentParser(description="Many clients at once")
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--calls", type=int, default=400, help="of each part")
    arguments = parser.parse_args()
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), set())
    w.pull()
    for case in (calm, deadly):
        w.chapter(case.__name__, lambda w, case=case: case(w, arguments))
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
