#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the XML has not promised: every method with values that nobody means, answered by a named error or done.

Usage: hostile.py. It reads the methods from the XML and their options from options.py. First each word of a method's
comment is offered to it as an option, with a type that none has: those that it knows must be those of the table. Then
every argument and every option gets strange values of its own type: empty, with control characters, longer than a
sentence may say, out of range, descriptors of the wrong kind. An answer is success or an error of ours that says something, but never
Unknown, and never silence. In the end one manager has survived it, with no more descriptors than before. Prints
assertions as client.py does; needs localhost:5000/walk:latest.
"""

import contextlib
import os
import select
import socket
import sys

import bus
import contract
import options
import system
import walk
import walk_refusals
from gi.repository import GLib
from walk import IMAGE

PENDING_MAX = 16
INVALID_ARGS = "org.freedesktop.DBus.Error.InvalidArgs"
READ_ONLY = "org.freedesktop.DBus.Error.PropertyReadOnly"
# What a value can be the cause of. Unavailable: a registry that is not there.
NAMED = {"success", "InvalidArgument", "NotFound", "AlreadyExists", "FailedPrecondition", "NotImplemented", "Unavailable",
         "ResourceExhausted", "CommandNotFound", "CommandNotExecutable"}
SENTENCE_MAX = 4096
# They end what the others need, or wait for something that does not come.
LEFT_OUT = {"Container.CreateVersion", "Container.Rollback", "Container.Delete", "Process.Delete", "Process.Wait",
            "Process.Kill", "Task.Stop", "Task.Pause"}
STRINGS = ("", "a\x01\x1b[31m\n", "a" + "é" * 300, "../..", "%s%n", "x" * 200000)
VALUES = {
    "s": STRINGS,
    "b": (),  # no value is strange
    "i": (-1, 65, 2**31 - 1, -2**31),
    "u": (0, 2**31, 2**32 - 1),
    "t": (0, 2**63, 2**64 - 1),
    "as": ([], [""], [STRINGS[1]], [STRINGS[2]], ["=", "=x"], ["x" * 200000]),
    "a{ss}": ({"": "x"}, {STRINGS[1]: STRINGS[2]}, {"containerd.io/gc.expire": "x"}, {"a": "x" * 200000}),
    "a{st}": ({"x": 1}, {"entries": 0}, {"entries": 2**64 - 1}),
    "a(sssas)": ([("", "", "", [])], [(STRINGS[1], STRINGS[2], "bind", [STRINGS[2]])], [("a" + "é" * 300, "/x", "volume", [])],
                 [("/", "../x", "bind", ["O"])]),
    "a(ssuuu)": ([("", "", 0, 0, 0)], [("none", "..", 2**32 - 1, 0, 0o7777)], [(STRINGS[2], STRINGS[2], 0, 0, 0o400)]),
    "a(ss)": ([("", "")], [("/dev/null", "x")], [("/" + "é" * 300, "é" * 20)]),
    "a(stt)": ([("", 0, 0)], [("RLIMIT_NOFILE", 2, 1)], [(STRINGS[2], 1, 1)]),
    "a(uuu)": ([(0, 0, 0)], [(0, 1, 2**32 - 1)], [(2**32 - 1, 2**32 - 1, 2**32 - 1)]),
}


class Attack:
    def __init__(self, w, things):
        self.walk, self.things = w, things
        self.pending = 0
        self.n = 0

    def member(self, member):
        """(objects that have it, the method)"""
        interface, name = member.split(".")
        return self.things[interface], self.walk.contract.method(interface, name)

    def call(self, path, interface, name, body, fds, note):
        """Sends it; note is called with the name of the answer and its sentence."""
        def on_reply(connection, result):
            self.pending -= 1
            try:
                connection.call_with_unix_fd_list_finish(result)
                note("success", "")
            except GLib.Error as error:
                refusal = bus.Refused(error)
                note(refusal.name, refusal.text)

        self.pending += 1
        self.n += 1
        self.walk.bus.raw(path, interface, name, body, fds, callback=on_reply)
        self.settle(PENDING_MAX)

    def settle(self, left=0):
        self.walk.bus.wait(lambda: self.pending <= left, bus.TIMEOUT + 30)

    def send(self, member, values, given, note):
        """given: the options, as (key, Variant or descriptor)."""
        paths, method = self.member(member)
        interface, name = member.split(".")
        fds = [value for (_, t), value in zip(method.inputs, values) if t == "h"]
        place = iter(range(len(fds)))
        parts = [GLib.Variant(t, next(place) if t == "h" else value) for (_, t), value in zip(method.inputs, values)]
        if method.has_options:
            builder = GLib.VariantBuilder.new(GLib.VariantType.new("a{sv}"))
            for key, value in given:
                if isinstance(value, int):
                    fds.append(value)
                    value = GLib.Variant("h", len(fds) - 1)
                builder.add_value(GLib.Variant.new_dict_entry(GLib.Variant("s", key), GLib.Variant.new_variant(value)))
            parts.append(builder.end())
        for path in paths:
            self.call(path, f"{bus.SERVICE}.{interface}", name, GLib.Variant.new_tuple(*parts), fds, note)


@contextlib.contextmanager
def descriptors():
    """One that can be read and written, and some that are not what is wanted, whatever that is: none makes a job wait."""
    left, right = socket.socketpair()
    right.close()
    reader, writer = os.pipe()
    poll = select.epoll()
    fds = {"a good one": os.open("/dev/null", os.O_RDWR), "a directory": os.open("/", os.O_RDONLY), "a handle": os.open("/dev/null", os.O_PATH),
           "one to write": os.open("/dev/null", os.O_WRONLY), "one to read": os.open("/dev/null", os.O_RDONLY),
           "an epoll": poll.fileno(), "a socket without a peer": left.fileno(), "a pipe's end": reader}
    os.close(writer)
    yield fds
    for text, fd in fds.items():
        if text not in ("an epoll", "a socket without a peer"):
            os.close(fd)
    poll.close()
    left.close()


def usual(attack, member, fds):
    """Arguments as they should be."""
    _, method = attack.member(member)
    n = len(method.inputs) - method.has_options
    values = list(walk_refusals.BEFORE.get(member, ()))
    values += [{"a{ss}": {}, "a{sv}": {}}[t] for _, t in method.inputs[len(values):n]]
    return [fds["a good one"] if t == "h" else value for (_, t), value in zip(method.inputs, values)]


def keys(w, attack, fds):
    """Each method knows the options of the table, and no other word of its comment."""
    for member in options.OPTIONS:
        if member.split(".")[0] not in attack.things:
            continue
        known = set()
        # what it says of its options is "as CreateContainer", and nearly so does options.py
        source = "Manager.CreateContainer" if member == "Manager.CreateContainerFromSnapshot" else member
        values = usual(attack, member, fds)
        for key in sorted(w.contract.words(source) | options.OPTIONS[source].keys()):
            def note(name, text, known=known, key=key):
                if name != "InvalidArgument" or not text.endswith(f"Unknown option {key}"):
                    known.add(key)

            attack.send(member, values, [(key, GLib.Variant("d", 1.5))], note)
        attack.settle()
        w.equal(f"the options of {member}", sorted(options.OPTIONS[source]), sorted(known))


def strange(signature, fds):
    for t in signature.split("|"):
        for value in fds.values() if t == "h" else VALUES[t]:
            yield value if t == "h" else GLib.Variant(t, value)


def answered(w, text, send):
    """Every answer to what send sends is one that may be."""
    bad = []

    def note_for(what):
        def note(name, sentence):
            if name not in NAMED or (name != "success") != bool(sentence) or len(sentence) > SENTENCE_MAX:
                bad.append(f"{what[:200]}: {name}: {sentence[:200]}")

        return note

    send(note_for)
    return w.equal(text, [], bad)


def arguments(w, attack, fds):
    for interface, description in w.contract.interfaces.items():
        for name, method in description.methods.items():
            member = f"{interface}.{name}"
            if interface not in attack.things or member in LEFT_OUT:
                continue
            good = usual(attack, member, fds)

            def send(note_for, member=member, method=method, good=good):
                for i, (argument, signature) in enumerate(method.inputs[:len(good)]):
                    for value in fds.values() if signature == "h" else VALUES.get(signature, ()):
                        values = [*good[:i], value, *good[i + 1:]]
                        attack.send(member, values, [], note_for(f"{argument}={value!r}"))
                attack.settle()

            if good:
                answered(w, f"the arguments of {member}", send)


def values_of_options(w, attack, fds):
    for member, table in options.OPTIONS.items():
        if member.split(".")[0] not in attack.things or member in LEFT_OUT or not table:
            continue
        good = usual(attack, member, fds)

        def send(note_for, member=member, table=table, good=good):
            for key, signature in table.items():
                for value in strange(signature, fds):
                    attack.send(member, good, [(key, value)], note_for(f"{key}={value}"))
            attack.settle()

        answered(w, f"the options' values of {member}", send)


def twice(w, attack, fds):
    """An option that is given twice; what it is worth does not matter."""
    bad = []
    for member, table in options.OPTIONS.items():
        for key, signature in table.items():
            value = next((v for v in strange(signature.split("|")[0], fds)), GLib.Variant("b", False))

            def note(name, text, what=f"{member}:{key}"):
                if name not in ("InvalidArgument", "FailedPrecondition") or not text:
                    bad.append(f"{what}: {name}: {text}")

            if member.split(".")[0] in attack.things:
                attack.send(member, usual(attack, member, fds), [(key, value)] * 2, note)
    attack.settle()
    w.equal("no option may be given twice", [], bad)


def bodies(w, attack, _fds):
    """Arguments of other types than the method's, and properties that are set."""
    bad = []

    def expect(what, *names):
        def note(name, text):
            if name not in names or not text:
                bad.append(f"{what}: {name}: {text}")

        return note

    for interface, paths in attack.things.items():
        full = f"{bus.SERVICE}.{interface}"
        for path in paths:
            for name in w.contract.interfaces[interface].methods:
                for body in (None, GLib.Variant("(d)", (1.5,)), GLib.Variant("(ssssss)", tuple("abcdef"))):
                    attack.call(path, full, name, body, [], expect(f"{interface}.{name}", INVALID_ARGS))
            for name in w.contract.interfaces[interface].properties:
                body = GLib.Variant("(ssv)", (full, name, GLib.Variant("d", 1.5)))
                attack.call(path, bus.PROPERTIES, "Set", body, [], expect(f"{interface}.{name}", READ_ONLY, INVALID_ARGS))
    attack.settle()
    w.equal("other types are refused by name", [], bad)


def finish_jobs(w):
    """Jobs that a value started end by themselves, or here."""
    def ended():
        jobs = w.root.call("Manager.ListJobs", AllNamespaces=True)
        for path, _ in jobs:
            with contextlib.suppress(bus.Refused):
                w.thing(path).call("Job.Cancel")
        return not jobs

    w.check("every job ends", w.bus.wait(ended))


def open_descriptors(pid):
    return len(os.listdir(f"/proc/{pid}/fd"))


def hostile(w):
    container, task = w.running("matrix")
    process = w.thing(task.call("Task.Exec", "exec", ["sleep", "1000000"], Stdout="null", Stderr="null", Start=True))
    attack = Attack(w, {"Manager": [bus.ROOT], "Container": [container.path], "Task": [task.path],
                        "Process": [task.path, process.path], "Image": [w.root.call("Manager.GetImage", IMAGE)]})
    pid = system.manager_pid()
    before = open_descriptors(pid)
    with descriptors() as fds:
        for part in (keys, bodies, twice, arguments, values_of_options):
            part(w, attack, fds)
    w.check("every call was answered", attack.pending == 0, attack.pending)
    finish_jobs(w)
    print(f"# {attack.n} calls")
    w.property("the task runs after all that", task, "Process.Status", "RUNNING")
    w.property("and its exec", process, "Process.Status", "RUNNING")
    w.remove(container)
    w.equal("by one manager", pid, system.manager_pid())
    # those of the task, and whatever was known to be needed again
    w.check("which has closed what it was sent", w.bus.wait(lambda: open_descriptors(pid) <= before),
            before, *(os.readlink(f"/proc/{pid}/fd/{fd}") for fd in os.listdir(f"/proc/{pid}/fd")))


def main():
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), set())
    w.pull()
    w.chapter("hostile", hostile)
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
