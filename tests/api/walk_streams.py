# SPDX-License-Identifier: LGPL-2.1-or-later
"""Standard streams: descriptors, files, fifos, loggers, the journal, terminals, and who attaches to them."""

import os
import pathlib
import subprocess

WORK = pathlib.Path("/var/lib/walk-streams")  # programs in /run are not executed everywhere


def kinds(walk):
    WORK.mkdir(exist_ok=True)
    say = ("sh", "-c", "echo out; echo err >&2")

    def ended(name, streams, *command):
        container, task = walk.task(name, *(command or say), streams=streams)
        waiting = task.send("Process.Wait")
        task.call("Process.Start")
        walk.equal(f"a program with {streams}", 0, walk.answer(waiting)[0])
        return container, task

    file = WORK / "both"
    file.write_text("before\n")
    container, task = ended("file", {"Stdout": f"file:{file}", "Stderr": f"file:{file}"})
    walk.equal("one file for both streams, in order, appended to", "before\nout\nerr\n", file.read_text())
    walk.property("its name is the property", task, "Process.Stdout", f"file:{file}")
    walk.property("of both", task, "Process.Stderr", f"file:{file}")
    walk.remove(container)

    fifo = WORK / "fifo"
    os.mkfifo(fifo)
    reader = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    container, _ = ended("fifo", {"Stdout": f"fifo:{fifo}"})
    walk.equal("a fifo", b"out\n", os.read(reader, 100))
    walk.remove(container)
    container, _ = ended("path", {"Stdout": str(fifo)})
    walk.equal("a path is a fifo", b"out\n", os.read(reader, 100))
    walk.remove(container)
    os.close(reader)

    logger = WORK / "logger"
    logger.write_text(f"#!/bin/sh\nexec >{WORK}/logged 2>&1\necho $CONTAINER_ID $CONTAINER_NAMESPACE $*\n"
                      "exec 5>&-\ncat <&3\ncat <&4\n")
    logger.chmod(0o755)
    container, task = ended("binary", {"Stdout": f"binary://{logger}?a=b", "Stderr": f"binary://{logger}?a=b"})
    walk.bus.wait(lambda: (WORK / "logged").exists() and "err" in (WORK / "logged").read_text())
    walk.equal("a logger of one's own", ["binary", "default", "a", "b", "out", "err"],
               (WORK / "logged").read_text().split())
    walk.property("everybody sees which, but not its arguments", task, "Process.Stdout", f"binary://{logger}")
    walk.event("in events neither", "/tasks/create", "binary", Stderr=f"binary://{logger}")
    walk.remove(container)

    container, task = ended("journal", {"Stdout": "journal", "Stderr": "journal"})
    walk.bus.wait(lambda: len(journal("journal")) == 2)
    # it may read two streams in any order
    walk.equal("the journal, with the container's name", ["err", "out"], sorted(journal("journal")))
    walk.property("it says so", task, "Process.Stdout", "journal")
    walk.remove(container)

    reader, writer = os.pipe()
    container, task = ended("descriptor", {"Stdin": reader, "Stdout": writer}, "sh", "-c", "echo x; head -c 2")
    walk.property("a descriptor", task, "Process.Stdin", "fd")
    walk.remove(container)
    os.close(writer)
    os.close(reader)

    container = walk.container("wrong", "true")
    for streams, error, pattern in (({"Stdout": "nowhere"}, "InvalidArgument", "nowhere"),
                                    ({"Stdout": "file:/tmp"}, "InvalidArgument", "/tmp"),
                                    ({"Stdin": "fifo:/no/such"}, "NotFound", "/no/such"),
                                    ({"Stdin": "journal"}, "InvalidArgument", "Stdin"),
                                    ({"Stdin": "binary:///bin/true"}, "InvalidArgument", "Stdin"),
                                    ({"Stdout": "binary:///no/such"}, "CommandNotFound", "/no/such")):
        walk.refused(f"{streams}", error, pattern, container.call, "Container.CreateTask", **streams)
    walk.remove(container)


def journal(container):
    return subprocess.run(["journalctl", "--output=cat", f"CTR_CONTAINER={container}", "_TRANSPORT=stdout"],
                          stdout=subprocess.PIPE, text=True, check=False).stdout.split()


def large(walk):
    """A lot of output, of a program that ends at once and a reader that is slow."""
    size = 100 << 20
    reader, writer = os.pipe()
    container, task = walk.task("large", "head", "-c", str(size), "/dev/zero", streams={"Stdout": writer})
    os.close(writer)
    waiting = task.send("Process.Wait")
    task.call("Process.Start")
    got = 0
    while block := os.read(reader, 1 << 20):
        got += len(block)
    walk.equal("100 MiB arrive", size, got)
    walk.equal("and the status", 0, walk.answer(waiting)[0])
    os.close(reader)
    walk.remove(container)


def terminal(walk):
    container, task = walk.task("tty", "sh", "-c", "read line; echo got $line; stty size; read line; exit 3",
                                Terminal=True, streams={"Stdin": "attach", "Stdout": "attach", "Stderr": "null"})
    walk.property("a terminal", task, "Process.Terminal", True)
    walk.event("is in the event", "/tasks/create", "tty", Terminal=True)
    task.call("Process.ResizePty", 120, 40)
    task.call("Process.Start")
    ours, theirs = os.pipe()
    back, forth = os.pipe()
    task.call("Process.Attach", Stdin=ours, Stdout=forth)
    os.close(ours)
    os.close(forth)
    os.write(theirs, b"hello\n")
    text = b""
    while b"40 120" not in text and (block := os.read(back, 4096)):
        text += block
    walk.matches("lines arrive, the size is right", r"got hello\r\n40 120", text.decode())
    os.close(back)
    os.close(theirs)
    walk.property("detaching ends nothing", task, "Process.Status", "RUNNING")
    ours, theirs = os.pipe()
    back, forth = os.pipe()
    task.call("Process.Attach", Stdin=ours, Stdout=forth)
    os.close(ours)
    os.close(forth)
    os.write(theirs, b"\n")
    walk.equal("attaching again goes on", 3, task.call("Process.Wait")[0])
    while os.read(back, 4096):
        pass
    walk.ok("the end of the output is the end of the stream")
    walk.refused("who attaches after the exit", "FailedPrecondition", "STOPPED", task.call,
                 "Process.Attach", Stdout=theirs)
    walk.remove(container)
    walk.refused("a terminal of no size", "InvalidArgument", "70000", walk.task("size")[1].call, "Process.ResizePty",
                 70000, 1)
    size = walk.thing(walk.root.call("Manager.GetTask", "size"))
    size.call("Process.ResizePty", 80, 25)
    walk.ok("resizing without a terminal is no error")
    walk.remove(walk.thing(size.get("Task.Container")))


def foreign_descriptors(walk):
    """Descriptors that are no streams."""
    container = walk.container("garbage", "true")
    reader, writer = os.pipe()
    directory, path = os.open("/", os.O_RDONLY), os.open("/", os.O_PATH)
    for what, key, fd in (("a directory as output", "Stdout", directory), ("a path only as output", "Stderr", path),
                          ("the wrong end of a pipe as output", "Stdout", reader),
                          ("the wrong end of a pipe as input", "Stdin", writer)):
        walk.refused(what, "InvalidArgument", key, container.call, "Container.CreateTask", **{key: fd})
    for fd in (reader, writer, directory, path):
        os.close(fd)
    walk.remove(container)


CHAPTERS = [("streams: kinds", kinds), ("streams: a lot", large), ("streams: a terminal", terminal),
            ("streams: what is no stream", foreign_descriptors)]
