#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""What goes wrong around the service: no room, descriptors that are no streams, crowds, and programs that misbehave.

Usage: faults.py [--have=memory] [CASE...]. Prints assertions as client.py does; needs localhost:5000/walk:latest.
"""

import contextlib
import os
import pathlib
import resource
import select
import signal
import socket
import subprocess
import sys
import time

import bus
import contract
import options
import system
import walk
from walk import HELD

ON_SIGNAL = "trap 'exit 8' USR1; while :; do sleep 0.1; done"


def full_run(w):
    """No room in /run: nothing new, nothing half done, and what ends meanwhile is not lost."""
    with system.small("/run/ctr", "3M") as (fill, filler):
        container, task = w.running("before", "sh", "-c", ON_SIGNAL)
        idle = w.thing(task.call("Task.Exec", "idle", HELD))
        other = w.container("other")
        waiting = task.send("Process.Wait")
        fill()
        w.refused("a task without room", "ResourceExhausted", "(?i)space|full", other.call, "Container.CreateTask")
        w.refused("an exec without room", "ResourceExhausted", "(?i)space|full", task.call, "Task.Exec", "more",
                  ["true"])
        w.property("what runs is not disturbed", task, "Process.Status", "RUNNING")
        w.property("nor what waits", idle, "Process.Status", "CREATED")
        task.call("Process.Kill", signal.SIGUSR1)
        w.check("its record finds no room", w.bus.wait(lambda: "Failed to write the exit record" in subprocess.run(
            ["journalctl", "--output=cat", "--lines=1000"], check=True, stdout=subprocess.PIPE, text=True).stdout))
        filler.unlink()
        w.equal("an exit without room for its record is told when there is some", 8, w.answer(waiting)[0])
        w.property("with its true status", task, "Process.ExitStatusKnown", True)
        w.check("then there are tasks again", w.thing(other.call("Container.CreateTask")).call("Process.Start") > 0)
        w.remove(container, other)
        left = [p for p in pathlib.Path("/run/ctr/tasks").glob("*/*")]
        w.check("nothing is left", w.bus.wait(lambda: not list(pathlib.Path("/run/ctr/tasks").glob("*/*"))), left)


def full_disk(w):
    """No room in /var/lib/ctr: what runs goes on, what is told meanwhile is told later."""
    with system.small("/var/lib/ctr", "48M") as (fill, filler):
        w.pull()
        container, task = w.running("before", "sh", "-c", ON_SIGNAL)
        spare = w.container("spare")
        waiting = task.send("Process.Wait")
        fill()
        for number in range(20):  # the log of the database may have some room left
            try:
                w.container(f"new{number}")
            except bus.Refused:
                break
        w.refused("a container without room", "ResourceExhausted", "(?i)space|full", w.container, "none")
        w.refused("a pull without room", "ResourceExhausted", "(?i)space|full", w.pull, "localhost:5000/layers:latest")
        w.check("listing goes on", len(w.root.call("Manager.ListContainers")) >= 2)
        task.call("Process.Kill", signal.SIGUSR1)
        w.equal("an exit is told all the same", 8, w.answer(waiting)[0])
        filler.unlink()
        w.event("and is an event, too, when there is room", "/tasks/exit", "before", ExitStatus=8)
        w.event("after its start", "/tasks/start", "before")
        w.check("containers are made again", w.container("later"))
        w.remove(container, spare)
        for path, _ in w.root.call("Manager.ListContainers"):
            w.remove(w.thing(path))


def garbage():
    """Descriptors that are no streams, by what they are."""
    ours, theirs = socket.socketpair()
    theirs.close()
    listening = socket.create_server(("127.0.0.1", 0))
    reader, writer = os.pipe()
    return {
        "a directory": os.open("/", os.O_RDONLY), "a path only": os.open("/etc/passwd", os.O_PATH),
        "epoll": os.dup(EPOLL.fileno()),
        "an event counter": os.eventfd(0), "a process": os.pidfd_open(os.getpid()),
        "a socket that listens": os.dup(listening.fileno()), "a socket whose peer is gone": os.dup(ours.fileno()),
        "the wrong end of a pipe": reader, "memory": os.memfd_create("garbage"),
        "a file that is only read": os.open("/etc/passwd", os.O_RDONLY),
    }


EPOLL = select.epoll()
# Those of which it is known that nothing can be written to them; with the others the program hears an error.
REFUSED = ("a directory", "a path only", "the wrong end of a pipe", "a file that is only read")


def manager_descriptors():
    """Those that are no files of its own store, of which it opens some when it needs them."""
    found = 0
    for fd in pathlib.Path(f"/proc/{system.manager_pid()}/fd").iterdir():
        try:
            found += not os.readlink(fd).startswith("/var/lib/ctr")
        except FileNotFoundError:
            pass
    return found


def garbage_descriptors(w):
    container, task = w.running("host", streams={"Stdin": "attach", "Stdout": "attach", "Stderr": "attach"})
    w.bus.wait(lambda: False, 0.5)
    before = manager_descriptors()
    other = w.container("garbage", "sh", "-c", "echo x")
    for what, fd in garbage().items():
        for text, call in (("a task", lambda fd: w.thing(other.call("Container.CreateTask", Stdout=fd))),
                           ("an exec", lambda fd: w.thing(task.call("Task.Exec", "e", ["echo", "x"], Stdout=fd))),
                           ("who attaches", lambda fd: task.call("Process.Attach", Stdout=fd))):
            try:
                made = call(fd)
            except bus.Refused as refusal:
                w.check(f"{what} as output of {text} is refused", refusal.name == "InvalidArgument" and
                        "Stdout" in refusal.text, refusal)
                continue
            w.check(f"{what} as output of {text} is taken", what not in REFUSED)
            if made:
                made.call("Process.Start")
                w.check(f"and {text} ends", made.call("Process.Wait")[0] in (0, 1, 141))
                made.call("Process.Delete")
        os.close(fd)
    w.property("the task goes on", task, "Process.Status", "RUNNING")
    w.check("the manager keeps none of them", w.bus.wait(lambda: manager_descriptors() <= before, 60),
            before, manager_descriptors())
    w.remove(container, other)


def limit_descriptors(pid, room):
    """Let it have so many more than it has; the number of one that it gets is the lowest that is free. What it was."""
    before = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (len(os.listdir(f"/proc/{pid}/fd")) + room, before[1]))
    return before


def no_descriptors(w):
    """What ends while the manager cannot open its record is told when it can."""
    container, task = w.running("ends", "sh", "-c", ON_SIGNAL)
    process = w.thing(task.call("Task.Exec", "e", ["sh", "-c", ON_SIGNAL], Start=True))
    pid, waiting = system.manager_pid(), [process.send("Process.Wait"), task.send("Process.Wait")]
    limit = resource.prlimit(pid, resource.RLIMIT_NOFILE)
    process.call("Process.Kill", 0)
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, limit[1]))
    task.call("Process.Kill", signal.SIGUSR1)
    w.check("it is tried", w.bus.wait(lambda: "Failed to read a record of task ends" in subprocess.run(
        ["journalctl", "--output=cat", "--lines=100"], check=True, stdout=subprocess.PIPE, text=True).stdout))
    w.property("what may have ended has not", task, "Process.Status", "RUNNING")
    resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
    w.equal("an exec ends first", 137, w.answer(waiting[0])[0])
    w.equal("and the task as its record says", 8, w.answer(waiting[1])[0])
    w.property("which is true", task, "Process.ExitStatusKnown", True)
    w.remove(container)


def few_descriptors(w):
    """The manager has none left at each of its steps in turn: what it cannot do it says, and undoes."""
    container, task = w.running("before", *HELD, streams={"Stdin": "attach", "Stdout": "attach"})
    idle = w.container("idle")
    its_task = w.thing(idle.path.replace("/container/", "/task/"))
    pid, unclear, refused, done = system.manager_pid(), [], set(), set()

    def attempt(room, what, call, *arguments, **more):
        try:
            call(*arguments, **more)
            done.add(what)
        except bus.Refused as refusal:
            refused.add(what)
            if refusal.name != "ResourceExhausted" or not refusal.text:
                unclear.append((room, what, str(refusal)))

    for room in range(30):
        limit = limit_descriptors(pid, room)
        attempt(room, "a container", w.container, "new")
        attempt(room, "a task", idle.call, "Container.CreateTask", Stdin="null", Stdout="null", Stderr="null")
        attempt(room, "an exec", task.call, "Task.Exec", "e", ["true"], Start=True, AutoRemove=True)
        attempt(room, "figures", task.call, "Task.Stats")
        attempt(room, "pids", task.call, "Task.Pids")
        attempt(room, "a copy", container.call, "Container.StatPath", "/bin")
        resource.prlimit(pid, resource.RLIMIT_NOFILE, limit)
        w.remove(*(t for t in [w.thing(idle.path.replace("idle", "new"))] if t.exists()))
        if its_task.exists():
            its_task.call("Process.Delete", Force=True)
        w.bus.wait(lambda: not w.thing(f"{task.path}/exec/e").exists())
    print("#", sorted(refused), sorted(done))
    w.equal("what lacks descriptors says so", [], unclear)
    w.check("and leaves nothing half made", w.bus.wait(
        lambda: not list(pathlib.Path("/var/lib/ctr/snapshots/overlayfs").glob(".tmp-*"))))
    w.equal("nothing else happens", pid, system.manager_pid())
    w.property("to what runs", task, "Process.Status", "RUNNING")
    # it cannot take what a message has with it, nor anything after that: it begins again
    resource.prlimit(pid, resource.RLIMIT_NOFILE, (0, limit[1]))
    sent = task.send("Process.Attach", Stdout=EPOLL.fileno())
    w.check("who sends descriptors to one that can have none is told", w.bus.wait(lambda: sent.error), sent.answer)
    w.property("what runs goes on", task, "Process.Status", "RUNNING")
    w.remove(container, idle)


def crowd(w):
    """1,000 waiters, each tenth connection of which goes away before the end."""
    container, task = w.running("crowd")
    connections = [bus.Bus(w.contract) for _ in range(10)]
    pending = [[bus.Object(c, task.path).send("Process.Wait") for _ in range(100)] for c in connections]
    w.bus.wait(lambda: False, 0.5)
    connections[0].connection.close_sync(None)
    before = time.monotonic()
    task.call("Process.Kill", signal.SIGKILL)
    rest = [p for row in pending[1:] for p in row]
    w.check("900 of 1,000 waiters hear the exit, the others are gone",
            w.bus.wait(lambda: all(p.done for p in rest)), sum(p.done for p in rest))
    print(f"# {len(rest)} answers in {(time.monotonic() - before) * 1000:.0f} ms")
    w.equal("all of them the same", {137}, {p.answer[0][0] if p.answer else str(p.error) for p in rest})
    for connection in connections[1:]:
        connection.connection.close_sync(None)
    w.remove(container)


def wedged(w):
    """A supervisor that does not answer holds up nobody else, and is ended within its time limit."""
    container, task = w.running("wedged")
    other, healthy = w.running("healthy")
    pid = int(pathlib.Path("/sys/fs/cgroup/ctr.slice/ctr-wedged.scope/supervisor/cgroup.procs").read_text().split()[0])
    os.kill(pid, signal.SIGSTOP)
    try:
        stuck = task.send("Task.Exec", "stuck", ["true"], Start=True)
        started = w.thing(healthy.call("Task.Exec", "fine", ["true"], Start=True))
        w.equal("another task goes on", 0, started.call("Process.Wait")[0])
        w.equal("tasks are listed", 2, len(w.root.call("Manager.ListTasks")))
        w.check("before anything is heard of the stuck one", not stuck.done, stuck.answer)
        system.kill_manager()
        listed = {p["Id"]: p["Status"] for _, p in w.root.call("Manager.ListTasks")}
        w.equal("a new manager lists them, too", ["healthy", "wedged"], sorted(listed))
        # one that it had given up waiting for would have ended
        w.equal("what does not answer is UNKNOWN", "UNKNOWN", listed["wedged"])
        w.bus.wait(lambda: stuck.done)
        w.check("who waited for it hears an error", stuck.error, stuck.answer)
        before = time.monotonic()
        w.check("force ends it", task.call("Process.Delete", Force=True)[1] in (137, 255))
        print(f"# ended after {time.monotonic() - before:.1f} s")
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.kill(pid, signal.SIGCONT)
    w.remove(container, other)


def fork_bomb(w):
    """A fork bomb is held by TasksMax; everybody else goes on, and it ends when asked."""
    if "memory" not in w.have:
        return
    other, healthy = w.running("healthy")
    container, task = w.running("bomb", "sh", "-c", "sleep 1000000 & bomb() { bomb | bomb & }; bomb; wait", TasksMax=64,
                                CPUQuotaPerSecUSec=500000)
    w.check("it reaches its limit", w.bus.wait(lambda: task.call("Task.Stats")["TasksCurrent"] >= 60),
            task.call("Task.Stats")["TasksCurrent"])
    w.check("and no more", max(task.call("Task.Stats")["TasksCurrent"] for _ in range(20)) <= 64)
    started = w.thing(healthy.call("Task.Exec", "fine", ["true"], Start=True))
    w.equal("another task goes on", 0, started.call("Process.Wait")[0])
    w.check("an exec in it may fail, clearly", refused_or_run(task))
    before = time.monotonic()
    w.equal("it ends by force", 137, task.call("Task.Stop", TimeoutUSec=500000, Force=True)[0])
    print(f"# ended after {time.monotonic() - before:.1f} s")
    w.remove(container, other)


def refused_or_run(task):
    try:
        task.call("Task.Exec", "late", ["true"], Start=True)
    except bus.Refused as refusal:
        return refusal.text != ""
    return True


def main():
    have = {word for argument in sys.argv[1:] if argument.startswith("--have=")
            for word in argument.removeprefix("--have=").split(",")}
    wanted = [argument for argument in sys.argv[1:] if not argument.startswith("--")]
    resource.setrlimit(resource.RLIMIT_NOFILE, (8192, 8192))
    c = contract.Contract(options.OPTIONS)
    w = walk.Walk(c, bus.Bus(c), have)
    w.pull()
    for case in (garbage_descriptors, few_descriptors, no_descriptors, crowd, wedged, fork_bomb, full_run, full_disk):
        if not wanted or case.__name__ in wanted:
            w.chapter(case.__name__.replace("_", " "), case)
    print("# walked")
    sys.exit(1 if w.failed else 0)


main()
