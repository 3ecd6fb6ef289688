# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the chapters assert with. One line "ok - TEXT" or "not ok - TEXT" for each assertion, as tests/system/lib.sh
reads them; diagnoses follow a failure as lines with "#".
"""

import json
import os
import re
import subprocess
import time
import traceback

import bus
import options

IMAGE = "localhost:5000/walk:latest"
FOREVER = ["sleep", "1000000"]
HELD = ["sh", "-c", "trap '' TERM; echo ready; while :; do sleep 0.1; done"]  # only SIGKILL ends it


class Walk:
    def __init__(self, contract, connection, have, patience=120):
        self.contract, self.bus, self.have, self.patience = contract, connection, have, patience
        self.root = connection.root
        self.failed = 0
        self.errors = []  # names of the errors that were expected and came

    # --- assertions

    def ok(self, text):
        print(f"ok - {text}", flush=True)

    def fail(self, text, *why):
        self.failed += 1
        print(f"not ok - {text}")
        for line in "\n".join(str(w) for w in why).splitlines()[:40]:
            print(f"#   {line}")
        print(end="", flush=True)

    def check(self, text, good, *why):
        self.ok(text) if good else self.fail(text, *why)
        return good

    def equal(self, text, expected, got):
        return self.check(text, expected == got, f"expected: {expected!r}", f"     got: {got!r}")

    def matches(self, text, pattern, got):
        return self.check(text, re.search(pattern, str(got)), f"no match for {pattern!r}: {got!r}")

    def chapter(self, title, function):
        print(f"# --- {title}", flush=True)
        try:
            function(self)
            self.bus.pump()
        except Exception:  # the other chapters are worth walking all the same
            self.fail(f"{title}: the chapter ends early", traceback.format_exc())
            for path, _ in self.root.call("Manager.ListContainers"):
                self.remove(self.thing(path))

    def refused(self, text, error, pattern, call, *arguments, **keywords):
        """The call is answered by this error, and its sentence matches."""
        try:
            answer = call(*arguments, **keywords)
        except bus.Refused as refusal:
            self.errors.append(refusal.name)
            return self.check(text, refusal.name == error and re.search(pattern, refusal.text),
                              f"expected {error} that matches {pattern!r}, got {refusal.name}: {refusal.text}")
        return self.fail(text, f"not refused; the answer: {answer!r}")

    def property(self, text, thing, member, expected):
        """A property has this value, or satisfies this function. Noted as used."""
        value = thing.get(member)
        good = expected(value) if callable(expected) else value == expected
        if self.check(text, good, f"{member} of {thing.path} is {value!r}", f"expected {expected!r}"):
            self.contract.use(member)

    def told(self, text, thing, member, expected):
        """A signal has told this value of a property by now, before the answer that has just come."""
        interface, name = member.split(".")
        self.bus.pump()
        self.equal(text, expected, self.bus.values.get((thing.path, interface, name)))

    def becomes(self, text, thing, member, expected):
        self.bus.wait(lambda: thing.get(member) == expected, self.patience)
        self.property(text, thing, member, expected)

    def gone(self, text, thing):
        self.check(text, self.bus.wait(lambda: not thing.exists(), self.patience), f"{thing.path} is still there")

    # --- signals

    def find(self, member, path=None, where=lambda arguments: True):
        self.bus.pump()
        for signal in self.bus.signals:
            if signal.member == member and path in (None, signal.path) and where(signal.arguments):
                return signal
        return None

    def signal(self, text, member, path=None, where=lambda arguments: True):
        """This signal has come, or comes. Its arguments; noted as used."""
        found = self.bus.wait(lambda: self.find(member, path, where), self.patience)
        if self.check(text, found, f"no {member} of {path}; there are:",
                      *[s for s in self.bus.signals if s.member == member][-10:]):
            self.contract.use(member)
            return found.arguments
        return None

    def events(self, name=None, topic=None, namespace="default"):
        """The Event signals so far about a name (or all), as (sequence, time, topic, namespace, details)."""
        self.bus.pump()
        found = [s.arguments for s in self.bus.signals if s.member == "Manager.Event"]
        return [e for e in found if (topic is None or e[2] == topic) and
                (name is None or e[3] == namespace and name in (e[4].get("ContainerId"), self.name_of(e)))]

    def name_of(self, event):
        return event[4].get(options.TOPICS[event[2]][1])

    def event(self, text, topic, name, namespace="default", **details):
        """This event has come or comes, in both forms, with its details. The details are returned."""
        own, _, types = options.TOPICS[topic]

        def match(got):
            return all(got.get(key) == value for key, value in details.items())

        found = self.bus.wait(lambda: [e for e in self.events(name, topic, namespace) if match(e[4])],
                              self.patience)
        twin = self.bus.wait(lambda: self.find(f"Manager.{own}", bus.ROOT,
                                               lambda a: a[:2] == (namespace, name) and match(a[2])),
                             self.patience)
        good = found and twin and set(types) <= set(found[-1][4]) and self.typed(topic, name, types)
        if self.check(text, good, f"{topic} of {name} with {details}: found {found}, as a signal of its own {twin};",
                      f"its details should be {types}; of this name:", *self.events(name, None, namespace)):
            self.contract.use("Manager.Event")
            self.contract.use(f"Manager.{own}")
            return found[-1][4]
        return {}

    def typed(self, topic, name, types):
        """Every event of the topic about the name has details of the right types."""
        for signal in self.bus.signals:
            if signal.member == "Manager.Event" and signal.arguments[2] == topic:
                details = signal.parameters.get_child_value(4)
                for key, kind in types.items():
                    value = details.lookup_value(key, None)
                    if value is not None and value.get_type_string() != kind:
                        return False
        return True

    # --- things that chapters need

    def thing(self, path):
        return bus.Object(self.bus, path)

    def container(self, name, *command, image=IMAGE, **more):
        """A container of the walk's image, if of no other."""
        return self.thing(self.root.call("Manager.CreateContainer", name, image, Command=list(command or FOREVER),
                                         **more))

    def task(self, name, *command, streams=None, **more):
        """Container and task; not started. Output goes nowhere unless streams say otherwise."""
        container = self.container(name, *command, **more)
        return container, self.thing(container.call("Container.CreateTask",
                                                    **{"Stdout": "null", "Stderr": "null", **(streams or {})}))

    def running(self, name, *command, streams=None, **more):
        container, task = self.task(name, *command, streams=streams, **more)
        task.call("Process.Start")
        return container, task

    def ready(self, name, script):
        """A running task whose script has printed a line: what stands before that has happened."""
        reader, writer = os.pipe()
        container, task = self.running(name, "sh", "-c", script, streams={"Stdout": writer})
        os.close(writer)
        with open(reader, "rb") as stream:
            self.check(f"{name} is ready", stream.readline())
        return container, task

    def remove(self, *containers):
        for container in containers:
            container.call("Container.Delete", Force=True)

    def output_of(self, name, *command, **more):
        """Run to the end: exit status and standard output."""
        reader, writer = os.pipe()
        container, task = self.task(name, *command, streams={"Stdout": writer, "Stderr": writer}, **more)
        os.close(writer)
        waiting = task.send("Process.Wait")
        task.call("Process.Start")
        with open(reader, "rb") as stream:
            text = stream.read().decode()
        status = self.answer(waiting)[0]
        self.remove(container)
        return status, text

    def answer(self, pending, seconds=bus.TIMEOUT):
        """The answer of a call that was only sent; its error is raised."""
        if not self.bus.wait(lambda: pending.done, seconds):
            raise TimeoutError("no answer")
        if pending.error:
            raise pending.error
        return pending.answer[0]

    def spec(self, thing, interface="Container"):
        return json.loads(thing.call(f"{interface}.GetSpec"))

    def push(self, image, name, *more):
        """Serve one of the prepared images under a name."""
        subprocess.run(["skopeo", "copy", "--quiet", "--dest-tls-verify=false", *more,
                        f"oci:/run/testbed-images/{image}:latest", f"docker://localhost:5000/{name}"], check=True)

    def pull(self, reference=IMAGE, **more):
        job = self.thing(self.root.call("Manager.PullImage", reference, **more))
        try:
            job.call("Job.Wait")
        except bus.Refused as refusal:
            if refusal.name != bus.UNKNOWN_OBJECT:  # over before we asked
                raise
        return job

    def unit(self, task, name):
        """A property of the task's scope, as systemd has it."""
        return subprocess.run(["systemctl", "show", "--property", name, "--value", task.get("Task.Unit")],
                              stdout=subprocess.PIPE, text=True, check=True).stdout.strip()

    def recent(self, usec):
        """A time that can only be of this walk."""
        return 0 <= time.time_ns() // 1000 - usec < 3600 * 1000000
