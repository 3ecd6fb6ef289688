# SPDX-License-Identifier: LGPL-2.1-or-later
"""Tasks: their life, their signals, their pauses, and what each state forbids."""

import os
import pathlib
import shutil
import signal
import tempfile
import time

from gi.repository import GLib

import bus
from walk import FOREVER, HELD, IMAGE


def life(walk):
    """Created, running, stopped, gone."""
    root = walk.root
    gate = pathlib.Path(tempfile.mkdtemp(prefix="walk-life.")) / "gate"
    os.mkfifo(gate)
    container, task = walk.task("life", "sh", "-c", "read status </gates/gate; exit $status",
                                Mounts=[(str(gate.parent), "/gates", "bind", ["rbind", "rw"])])
    created = walk.event("a task is told", "/tasks/create", "life", Terminal=False, Stdout="null", Checkpoint="")
    walk.equal("it has its place", f"{bus.ROOT}/task/default/life", task.path)
    walk.equal("and is found by its id", task.path, root.call("Manager.GetTask", "life", Namespace="default"))
    for member, value in (
            ("Task.Namespace", "default"), ("Task.Id", "life"), ("Task.Container", container.path),
            ("Task.Unit", "ctr-life.scope"), ("Task.CreatedAt", walk.recent), ("Task.Runtime", "org.example.Ctr.v1"),
            ("Task.OOMKilled", False),
            ("Task.OOMCgroup", ""), ("Process.ExecId", ""), ("Process.Stdin", "null"), ("Process.Stdout", "null"),
            ("Process.Stderr", "null"), ("Process.Status", "CREATED"), ("Process.Pid", lambda p: p > 1),
            ("Process.Terminal", False), ("Process.ExitStatus", 255), ("Process.ExitStatusKnown", False),
            ("Process.ExitedAt", 0), ("Process.StartedAt", 0)):
        walk.property(f"a created task: {member}", task, member, value)
    pid = task.get("Process.Pid")
    walk.equal("its init is known from the start", pid, created.get("Pid"))
    walk.equal("its scope is active", "active", walk.unit(task, "ActiveState"))
    walk.equal("the manager counts it", 1, root.get("Manager.NTasks"))
    walk.property("tasks are counted", root, "Manager.NTasks", 1)
    walk.refused("a second task", "AlreadyExists", "life", container.call, "Container.CreateTask")

    waiting = [task.send("Process.Wait") for _ in range(3)]
    walk.equal("Start answers the pid", pid, task.call("Process.Start"))
    walk.property("it runs", task, "Process.Status", "RUNNING")
    walk.property("since now", task, "Process.StartedAt", walk.recent)
    walk.event("the start is told", "/tasks/start", "life", Pid=pid)
    gate.write_text("7\n")
    for pending in waiting:
        walk.equal("a waiter from before the start", 7, walk.answer(pending)[0])
    status, at = task.call("Process.Wait")
    walk.check("one after the exit", status == 7 and walk.recent(at), status, at)
    walk.signal("the exit is told by the task", "Process.Exited", task.path, lambda a: a == (7, at))
    walk.event("and by the manager", "/tasks/exit", "life", Id="life", ContainerId="life", Pid=pid, ExitStatus=7,
               ExitStatusKnown=True, ExitedAt=at)
    for member, value in (("Process.Status", "STOPPED"), ("Process.ExitStatus", 7), ("Process.ExitStatusKnown", True),
                          ("Process.ExitedAt", at), ("Process.Pid", 0)):
        walk.property(f"a stopped task: {member}", task, member, value)
    walk.refused("a container with a task stays", "FailedPrecondition", "life.*STOPPED|task", container.call,
                 "Container.Delete")
    walk.equal("Delete answers pid, status and time", (pid, 7, at), task.call("Process.Delete"))
    walk.event("and is told", "/tasks/delete", "life", Pid=pid, ExitStatus=7, ExitedAt=at)
    walk.gone("the object goes", task)
    walk.refused("there is no task any more", "NotFound", "life", root.call, "Manager.GetTask", "life")
    walk.refused("nor an object", bus.UNKNOWN_OBJECT, ".", task.call, "Process.Wait")
    again = walk.thing(container.call("Container.CreateTask"))
    walk.property("the container can have another one", again, "Process.Status", "CREATED")
    walk.equal("which may be deleted before it starts", 2, len(again.call("Process.Delete")[1:]))
    walk.remove(container)
    shutil.rmtree(gate.parent)


def document(walk):
    container, task = walk.running("document")
    before = walk.spec(task, "Task")
    walk.equal("a task's document says what it runs", FOREVER, before["process"]["args"])
    walk.equal("as the container's", walk.spec(container)["process"], before["process"])
    task.call("Task.Update", {"TasksMax": GLib.Variant("t", 77)})
    walk.equal("the container's changes", 77, walk.spec(container)["linux"]["resources"]["pids"]["limit"])
    walk.equal("a task keeps the document that it was made from", before, walk.spec(task, "Task"))
    walk.remove(container)


def stopping(walk):
    container, task = walk.ready("polite", "trap 'exit 4' TERM; echo ready; while :; do sleep 0.05; done")
    walk.equal("Stop waits for the exit", 4, task.call("Task.Stop", Signal=signal.SIGTERM, TimeoutUSec=60000000)[0])
    walk.refused("a stopped one is not stopped again", "NotFound", ".", task.call, "Task.Stop")
    walk.remove(container)

    reader, writer = os.pipe()
    container, task = walk.running("held", *HELD, streams={"Stdout": writer})
    os.close(writer)
    walk.equal("a program that ignores signals", b"ready\n", os.read(reader, 100))
    os.close(reader)
    walk.refused("Stop gives up in time", "Timeout", "held", task.call, "Task.Stop", TimeoutUSec=300000)
    walk.property("and leaves it alone", task, "Process.Status", "RUNNING")
    walk.equal("unless by force", 137, task.call("Task.Stop", TimeoutUSec=300000, Force=True)[0])
    walk.remove(container)

    container, task = walk.running("forced")
    waiting = task.send("Process.Wait")
    walk.equal("Delete by force kills first", 137, task.call("Process.Delete", Force=True)[1])
    walk.equal("who waits hears of it", 137, walk.answer(waiting)[0])
    walk.remove(container)


def signals(walk):
    container, task = walk.running("signals", "sh", "-c", "sleep 1000000 & sleep 1000000 & wait")
    init = task.get("Process.Pid")
    walk.bus.wait(lambda: len(task.call("Task.Pids")) == 3)
    pids = task.call("Task.Pids")
    walk.equal("three processes, none of them an exec", [""] * 3, [name for _, name in pids])
    walk.check("init is one of them", init in [p for p, _ in pids], pids)
    task.call("Process.Kill", 0)
    walk.ok("signal 0 asks whether it lives")
    child = [p for p, _ in pids if p != init][0]
    task.call("Process.Kill", signal.SIGKILL, Pid=child)
    walk.check("one process by its pid", walk.bus.wait(lambda: len(task.call("Task.Pids")) == 2))
    walk.refused("not one of somebody else", "NotFound", "1", task.call, "Process.Kill", signal.SIGKILL, Pid=1)
    for number in (-1, 65, 1000):
        walk.refused(f"signal {number}", "InvalidArgument", str(number), task.call, "Process.Kill", number)
    task.call("Process.Kill", signal.SIGKILL, All=True)
    walk.equal("all of them", 137, task.call("Process.Wait")[0])
    walk.refused("one that has ended", "NotFound", "signals", task.call, "Process.Kill", signal.SIGTERM)
    walk.remove(container)


def addressed(walk):
    """Whom a signal reaches: init alone, or every process."""
    traps = "trap 'echo {0} first' USR1; trap 'echo {0} second' USR2; echo {0} ready; " \
            "n=0; while [ $n -lt 600 ]; do sleep 0.05; n=$((n + 1)); done"
    reader, writer = os.pipe()
    container, task = walk.running("addressed", "sh", "-c", f"({traps.format('child')}) & {traps.format('init')}",
                                   streams={"Stdout": writer})
    os.close(writer)
    with open(reader) as stream:  # its end comes by itself
        ready = {stream.readline(), stream.readline()}
        walk.equal("two processes that hear signals", {"init ready\n", "child ready\n"}, ready)
        task.call("Process.Kill", signal.SIGUSR1)
        walk.equal("a signal is for init", "init first\n", stream.readline())
        task.call("Process.Kill", signal.SIGUSR2, All=True)
        # a shell runs its traps in the order of the signals: the child would say that it had heard the first
        walk.equal("or for all, and the child did not hear the first one", {"init second\n", "child second\n"},
                   {stream.readline(), stream.readline()})
    walk.remove(container)


def pausing(walk):
    reader, writer = os.pipe()
    container, task = walk.running("paused", "sh", "-c", "while :; do echo .; sleep 0.02; done",
                                   streams={"Stdout": writer})
    os.close(writer)
    os.read(reader, 1)
    task.call("Task.Pause")
    walk.told("who has paused a task knows it from a signal", task, "Process.Status", "PAUSED")
    walk.property("a paused task says so", task, "Process.Status", "PAUSED")
    walk.event("it is told", "/tasks/paused", "paused")
    while os.get_blocking(reader) and os.read(reader, 65536):
        os.set_blocking(reader, False)
    time.sleep(0.3)
    walk.check("and stands still", not readable(reader))
    walk.refused("it is not paused twice", "FailedPrecondition", "PAUSED", task.call, "Task.Pause")
    walk.refused("nor started", "FailedPrecondition", "PAUSED", task.call, "Process.Start")
    walk.refused("it takes no exec", "FailedPrecondition", "PAUSED", task.call, "Task.Exec", "late", ["true"])
    walk.refused("it is not deleted", "FailedPrecondition", "PAUSED", task.call, "Process.Delete")
    task.call("Task.Resume")
    walk.told("as who resumes it", task, "Process.Status", "RUNNING")
    walk.property("a resumed task runs", task, "Process.Status", "RUNNING")
    walk.event("it is told", "/tasks/resumed", "paused")
    walk.check("and goes on", walk.bus.wait(lambda: readable(reader), 60))
    walk.refused("it is not resumed twice", "FailedPrecondition", "RUNNING", task.call, "Task.Resume")
    os.close(reader)
    task.call("Task.Pause")
    task.call("Process.Kill", signal.SIGKILL)
    walk.equal("a paused task can be killed", 137, task.call("Process.Wait")[0])
    walk.told("and who waits", task, "Process.Status", "STOPPED")
    walk.remove(container)

    container, task = walk.ready("thawed", "trap 'exit 6' TERM; echo ready; while :; do sleep 0.05; done")
    task.call("Task.Pause")
    walk.equal("Stop thaws it", 6, task.call("Task.Stop", TimeoutUSec=60000000)[0])
    walk.remove(container)


def readable(fd):
    try:
        return bool(os.read(fd, 1))
    except BlockingIOError:
        return False


def wrong_states(walk):
    """What each state forbids, with the state in the sentence."""
    container, task = walk.task("states")
    for member, arguments, more in (("Task.Pause", (), {}), ("Task.Resume", (), {}),
                                    ("Task.Checkpoint", (), {"Path": "/run/walk-checkpoint"})):
        walk.refused(f"{member} of a created task", "FailedPrecondition", "CREATED", task.call, member, *arguments,
                     **more)
    limit = {"TasksMax": GLib.Variant("t", 50)}
    task.call("Task.Update", limit)
    walk.equal("limits change before the start", 50, task.get("Task.Resources")["TasksMax"])
    early = walk.thing(task.call("Task.Exec", "early", ["true"]))
    walk.property("an exec may be added before it", early, "Process.Status", "CREATED")
    walk.check("and even run before it", early.call("Process.Start") > 0)
    walk.equal("to its end", 0, early.call("Process.Wait")[0])
    task.call("Process.Start")
    task.call("Task.Pause")
    task.call("Task.Update", {"TasksMax": GLib.Variant("t", 51)})
    walk.equal("limits change while it is paused", 51, task.get("Task.Resources")["TasksMax"])
    task.call("Task.Resume")
    walk.refused("Start of a running task", "FailedPrecondition", "RUNNING", task.call, "Process.Start")
    walk.refused("Delete of a running task", "FailedPrecondition", "RUNNING", task.call, "Process.Delete")
    walk.refused("Resume of a running task", "FailedPrecondition", "RUNNING", task.call, "Task.Resume")
    task.call("Task.Stop", Force=True)
    for member, arguments, more in (("Process.Start", (), {}), ("Task.Pause", (), {}), ("Task.Resume", (), {}),
                                    ("Task.Update", (limit,), {}),
                                    ("Task.Exec", ("x", ["true"]), {}),
                                    ("Task.Checkpoint", (), {"Path": "/run/walk-checkpoint"})):
        walk.refused(f"{member} of a stopped task", "FailedPrecondition", "STOPPED", task.call, member,
                     *arguments, **more)
    walk.remove(container)


def commands(walk):
    """A program that cannot be executed is refused when its task is made, and leaves nothing."""
    for command, error in ((["/no/such/command"], "CommandNotFound"), (["/etc/passwd"], "CommandNotExecutable")):
        container = walk.container("command", *command)
        walk.refused(f"{command[0]} cannot be executed", error, command[0], container.call, "Container.CreateTask")
        walk.refused("so there is no task", "NotFound", "command", walk.root.call, "Manager.GetTask", "command")
        container.call("Container.Delete")


def runtime(walk):
    """What makes the container, for one task (A5.6)."""
    container = walk.container("made", "true", Runtime="io.containerd.runc.v2")
    for value, error in (("no/runtime", "InvalidArgument"), ("nosuch", "NotFound"), ("/no/such", "NotFound")):
        walk.refused(f"Runtime={value}", error, value, container.call, "Container.CreateTask", Runtime=value)
    task = walk.thing(container.call("Container.CreateTask", Runtime="org.example.Ctr.v1"))
    walk.property("a task has the runtime that it was made with", task, "Task.Runtime", "org.example.Ctr.v1")
    walk.property("its container keeps its own", container, "Container.Runtime", "io.containerd.runc.v2")
    for wanted, name in ((1, "org.example.Ctr.v1"), (0, "io.containerd.runc.v2")):
        walk.equal(f"tasks of {name}", wanted,
                   len(walk.root.call("Manager.ListTasks", Filters=[f"id==made,runtime.name=={name}"])))
    task.call("Process.Delete")
    task = walk.thing(container.call("Container.CreateTask"))
    walk.property("the next one has the container's again", task, "Task.Runtime", "io.containerd.runc.v2")
    walk.remove(container)


def listing(walk):
    containers = [walk.running(name, Labels={"n": name})[0] for name in ("one", "two")]
    paused = walk.thing(walk.root.call("Manager.GetTask", "two"))
    paused.call("Task.Pause")

    def found(**options):
        return sorted(p["Id"] for _, p in walk.root.call("Manager.ListTasks", **options))

    walk.equal("tasks are listed", ["one", "two"], found())
    path, properties = walk.root.call("Manager.ListTasks", Filters=["id==one"])[0]
    one = walk.thing(path)
    walk.equal("with the properties of both interfaces", {**one.get_all("Task"), **one.get_all("Process")}, properties)
    for wanted, filters in ((["one"], ["id==one"]), (["two"], ["status==PAUSED"]), (["one", "two"], ["image~=walk"]),
                            (["one"], ["labels.n==one"]), (["one", "two"], ["id==one", "id==two"]), ([], ["id==three"]),
                            (["one", "two"], ["namespace==default,runtime.name"])):
        walk.equal(f"filters {filters}", wanted, found(Filters=filters))
    walk.equal("none in another namespace", [], found(Namespace="other"))
    walk.equal("all namespaces", ["one", "two"], found(AllNamespaces=True))
    walk.refused("a filter that is none", "InvalidArgument", "[0-9]", found, Filters=["=="])
    walk.refused("a task of a container without one", "NotFound", "none", walk.root.call, "Manager.GetTask", "none")
    walk.refused("an id that is none", "InvalidArgument", ".", walk.root.call, "Manager.GetTask", "a/b")
    walk.remove(*containers)


def removal(walk):
    """What needs an image goes on without it, and a namespace with a task stays."""
    container, _ = walk.running("stays")
    walk.refused("its namespace stays", "FailedPrecondition", "container", walk.root.call, "Manager.DeleteNamespace",
                 "default")
    walk.check("its image may be asked for", walk.root.call("Manager.GetImage", IMAGE) != "")
    walk.remove(container)


CHAPTERS = [("tasks: life", life), ("tasks: document", document), ("tasks: stopping", stopping),
            ("tasks: signals", signals), ("tasks: whom signals reach", addressed), ("tasks: pausing", pausing),
            ("tasks: wrong states", wrong_states),
            ("tasks: what cannot be executed", commands), ("tasks: runtime", runtime), ("tasks: listing", listing), ("tasks: in use", removal)]
