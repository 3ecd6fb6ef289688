# SPDX-License-Identifier: LGPL-2.1-or-later
"""Execs: more processes in a container, each with an object of its own."""

import os
import signal

import system
from walk import HELD


def life(walk):
    """Added, started, exited, deleted: the same interface as init's."""
    container, task = walk.running("host")
    process = walk.thing(task.call("Task.Exec", "first", ["sleep", "1000"], Stdin="null", Stdout="null",
                                   Stderr="null"))
    walk.equal("an exec has its place", f"{task.path}/exec/first", process.path)
    walk.event("it is told", "/tasks/exec-added", "host", Id="host", ExecId="first")
    for member, value in (("ExecId", "first"), ("Status", "CREATED"), ("Pid", 0), ("Terminal", False),
                          ("ExitStatus", 255), ("ExitStatusKnown", False), ("ExitedAt", 0), ("StartedAt", 0),
                          ("Stdout", "null")):
        walk.property(f"an added exec: {member}", process, f"Process.{member}", value)
    walk.refused("a signal before the start", "FailedPrecondition", "not|CREATED", process.call, "Process.Kill", 9)
    walk.refused("a second one of that id", "AlreadyExists", "first", task.call, "Task.Exec", "first", ["true"])
    walk.refused("no id", "InvalidArgument", "empty", task.call, "Task.Exec", "", ["true"])
    walk.refused("an id that climbs", "InvalidArgument", ".", task.call, "Task.Exec", "../x", ["true"])
    walk.refused("no command", "InvalidArgument", ".", task.call, "Task.Exec", "empty", [])
    waiting = process.send("Process.Wait")
    pid = process.call("Process.Start")
    walk.property("it runs", process, "Process.Status", "RUNNING")
    walk.property("with its pid", process, "Process.Pid", pid)
    walk.event("the start is told", "/tasks/exec-started", "host", Id="host", ExecId="first", Pid=pid)
    walk.check("the pids know it", (pid, "first") in task.call("Task.Pids"))
    walk.refused("it is not started twice", "FailedPrecondition", "RUNNING", process.call, "Process.Start")
    walk.refused("nor deleted while it runs", "FailedPrecondition", "RUNNING", process.call, "Process.Delete")
    process.call("Process.Kill", signal.SIGKILL)
    status, at = walk.answer(waiting)
    walk.equal("who waited hears its status", 137, status)
    walk.signal("it tells its exit", "Process.Exited", process.path, lambda a: a == (137, at))
    walk.event("so does the manager", "/tasks/exit", "host", Id="first", ContainerId="host", Pid=pid, ExitStatus=137,
               ExitedAt=at)
    walk.property("it is stopped", process, "Process.Status", "STOPPED")
    walk.property("the task is not", task, "Process.Status", "RUNNING")
    walk.refused("a signal after the exit", "NotFound", "first", process.call, "Process.Kill", signal.SIGTERM)
    walk.equal("Delete answers as a task's", (pid, 137, at), process.call("Process.Delete"))
    walk.gone("its object goes", process)
    again = walk.thing(task.call("Task.Exec", "first", ["true"]))
    walk.property("its id is free again", again, "Process.Status", "CREATED")
    again.call("Process.Delete")
    walk.remove(container)


def run(walk, task, name, *command, **more):
    """Status and output of an exec that starts at once."""
    reader, writer = os.pipe()
    process = walk.thing(task.call("Task.Exec", name, list(command), Start=True, Stdout=writer, Stderr=writer, **more))
    os.close(writer)
    with open(reader, "rb") as stream:
        text = stream.read().decode()
    status = process.call("Process.Wait")[0]
    process.call("Process.Delete")
    return status, text


def options(walk):
    container, task = walk.running("options", Environment=["A=container"])
    walk.equal("it has the container's environment", (0, "container\n"), run(walk, task, "e1", "sh", "-c", "echo $A"))
    walk.equal("or another", (0, "b-\n"), run(walk, task, "e2", "sh", "-c", "echo $B-$A", Environment=["B=b", "A"]))
    walk.equal("a directory", (0, "/tmp\n"), run(walk, task, "e3", "pwd", WorkingDirectory="/tmp"))
    walk.equal("a user", (0, "65534 65533\n"),
               run(walk, task, "e4", "sh", "-c", "echo $(id -u) $(id -g)", User="65534:65533"))
    walk.equal("limits", (0, "55\n"),
               run(walk, task, "e5", "sh", "-c", "ulimit -n", Rlimits=[("RLIMIT_NOFILE", 55, 66)]))
    show = ["sed", "-n", r"s/^\(NoNewPrivs\|CapBnd\):\t//p", "/proc/self/status"]
    usual = run(walk, task, "e6", *show)[1].split()
    changed = run(walk, task, "e7", *show, NoNewPrivileges=False, CapabilitiesAdd=["CAP_SYS_TIME"],
                  CapabilitiesDrop=["CAP_KILL"])[1].split()
    walk.equal("capabilities", 1 << 25 | 1 << 5, int(usual[0], 16) ^ int(changed[0], 16))
    walk.equal("new privileges", ["1", "0"], [usual[1], changed[1]])
    walk.equal("a status", 42, run(walk, task, "e8", "sh", "-c", "exit 42")[0])
    walk.equal("a signal is 128 and its number", 137, run(walk, task, "e9", "sh", "-c", "kill -9 $$")[0])
    walk.equal("it is in the container's namespaces", run(walk, task, "n1", "readlink", "/proc/1/ns/pid"),
               run(walk, task, "n2", "readlink", "/proc/self/ns/pid"))
    walk.equal("and sees its processes", 0, run(walk, task, "n3", "sh", "-c", "kill -0 1")[0])
    walk.equal("a terminal of a size", (0, "25 80\r\n"),
               run(walk, task, "t1", "stty", "size", Terminal=True, Width=80, Height=25))
    walk.refused("a command that is not there", "CommandNotFound", "/no/such", task.call, "Task.Exec", "missing",
                 ["/no/such"], Start=True)
    passing = walk.thing(task.call("Task.Exec", "passing", ["true"], Start=True, AutoRemove=True))
    walk.gone("one that goes by itself", passing)
    source = "/run/walk-exec-input"
    with open(source, "w") as f:
        f.write("from a file")
    walk.equal("input from a file", (0, "from a file"), run(walk, task, "i1", "cat", Stdin=f"file:{source}"))
    walk.remove(container)


def ends(walk):
    """An exec ends when asked, or when its task does; init's exit is the last one."""
    container, task = walk.running("ends")
    reader, writer = os.pipe()
    process = walk.thing(task.call("Task.Exec", "held", HELD, Start=True, Stdout=writer))
    os.close(writer)
    os.read(reader, 1)
    process.call("Process.Kill", signal.SIGKILL, All=True)
    walk.equal("a signal reaches an exec only", 137, process.call("Process.Wait")[0])
    walk.property("not its task", task, "Process.Status", "RUNNING")
    process.call("Process.Delete")
    forced = walk.thing(task.call("Task.Exec", "forced", HELD, Start=True))
    walk.equal("Delete by force kills it", 137, forced.call("Process.Delete", Force=True)[1])
    last = [walk.thing(task.call("Task.Exec", f"last{i}", HELD, Start=True)) for i in range(3)]
    waiting = [p.send("Process.Wait") for p in last]
    task.call("Process.Kill", signal.SIGKILL)
    walk.equal("execs end with their task", [137] * 3, [walk.answer(w)[0] for w in waiting])
    task.call("Process.Wait")
    walk.event("its exit is told", "/tasks/exit", "ends", Id="ends")
    walk.equal("as the last one", "ends", walk.events("ends", "/tasks/exit")[-1][4]["Id"])
    task.call("Process.Delete")
    for process in last:
        walk.gone("execs are deleted with their task", process)
    walk.remove(container)


def attached(walk):
    """A client that goes away neither kills nor blocks; another one may come."""
    container, task = walk.running("attached")
    process = walk.thing(task.call("Task.Exec", "cat", ["cat"], Stdin="attach", Stdout="attach", Stderr="attach"))
    walk.property("streams for whoever attaches", process, "Process.Stdin", "attach")
    walk.property("both ways", process, "Process.Stdout", "attach")
    process.call("Process.Start")
    for text in (b"first", b"second"):
        in_reader, in_writer = os.pipe()
        out_reader, out_writer = os.pipe()
        process.call("Process.Attach", Stdin=in_reader, Stdout=out_writer, Stderr=out_writer)
        os.close(in_reader)
        os.close(out_writer)
        os.write(in_writer, text)
        walk.equal("a client is echoed", text, os.read(out_reader, 100))
        os.close(in_writer)
        os.close(out_reader)
        walk.property("and may go", process, "Process.Status", "RUNNING")
    process.call("Process.CloseIO")
    in_reader, in_writer = os.pipe()
    out_reader, out_writer = os.pipe()
    process.call("Process.Attach", Stdin=in_reader, Stdout=out_writer)
    os.write(in_writer, b"third")
    walk.equal("CloseIO without a stream does nothing", b"third", os.read(out_reader, 100))
    for fd in (in_reader, in_writer, out_reader, out_writer):
        os.close(fd)
    process.call("Process.CloseIO", Stdin=True)
    walk.equal("with one it ends the input", 0, process.call("Process.Wait")[0])
    walk.remove(container)


def recovery(walk):
    """Execs outlive the manager."""
    container, task = walk.running("kept")
    names = ("runs", "ends", "waits")
    execs = [walk.thing(task.call("Task.Exec", n, ["sh", "-c", "sleep 2; exit 9"] if n == "ends" else HELD,
                                  Start=n != "waits")) for n in names]
    pid = execs[0].get("Process.Pid")
    system.kill_manager()
    walk.becomes("a running exec is found again", execs[0], "Process.Status", "RUNNING")
    walk.property("with its pid", execs[0], "Process.Pid", pid)
    walk.equal("one that ends has its status", 9, execs[1].call("Process.Wait")[0])
    walk.becomes("one that was not started yet", execs[2], "Process.Status", "CREATED")
    walk.check("can be started", execs[2].call("Process.Start") > 0)
    walk.remove(container)


CHAPTERS = [("execs: life", life), ("execs: options", options), ("execs: ends", ends), ("execs: attaching", attached),
            ("execs: a new manager", recovery)]
