# SPDX-License-Identifier: LGPL-2.1-or-later
"""Checkpoints, and tasks that go on from one. Without CRIU a clear refusal."""

import os
import shutil

DIRECTORY = "/run/walk-checkpoints"
COUNTER = ["sh", "-c", "n=0; while :; do n=$((n + 1)); echo $n >/count; sleep 0.05; done"]


def refusals(walk):
    container, task = walk.running("held-still")
    walk.refused("neither place nor name", "InvalidArgument", "Path|Image", task.call, "Task.Checkpoint")
    walk.refused("an empty name", "InvalidArgument", "Image|reference|empty", task.call, "Task.Checkpoint", Image="")
    walk.refused("both", "InvalidArgument", "Path|Image", task.call, "Task.Checkpoint", Path="/run/x", Image="x")
    walk.refused("an image that needs another one", "InvalidArgument", "ParentPath", task.call, "Task.Checkpoint", Image="x",
                 ParentPath="/run/x")
    walk.refused("a place that is no path", "InvalidArgument", "Path", task.call, "Task.Checkpoint", Path="here")
    walk.refused("a namespace that cannot be empty", "InvalidArgument", "EmptyNamespaces", task.call,
                 "Task.Checkpoint", Path="/run/x", EmptyNamespaces=["moon"])
    walk.remove(container)
    container = walk.container("restored", *COUNTER)
    walk.refused("two checkpoints", "InvalidArgument", "Only one", container.call, "Container.CreateTask",
                 CheckpointPath="/no/such", Checkpoint="localhost/none")
    walk.refused("a checkpoint that is not there", "NotFound", "no/such", container.call, "Container.CreateTask",
                 CheckpointPath="/no/such")
    walk.refused("an image that is not there", "NotFound", "none", container.call, "Container.CreateTask",
                 Checkpoint="localhost/none")
    walk.refused("an image that is no checkpoint", "InvalidArgument", "checkpoint", container.call,
                 "Container.CreateTask", Checkpoint="localhost:5000/walk")
    walk.remove(container)


def unavailable(walk):
    """Without CRIU the task goes on as if nobody had asked."""
    if "criu" in walk.have:
        return
    container, task = walk.running("no-criu")
    for more in ({"Path": f"{DIRECTORY}/none"}, {"Image": "localhost/checkpoint:1"}):
        walk.refused(f"no CRIU, {more}", "Unavailable", "(?i)criu", task.call, "Task.Checkpoint", Exit=True, **more)
    walk.property("the task goes on", task, "Process.Status", "RUNNING")
    walk.check("and nothing is left", not os.path.exists(f"{DIRECTORY}/none") or not os.listdir(f"{DIRECTORY}/none"))
    walk.remove(container)


def count(task):
    try:
        with open(f"/proc/{task.get('Process.Pid')}/root/count") as f:
            return int(f.read() or 0)
    except FileNotFoundError:  # its first turn is not over
        return 0


def resumed_count(walk, task):
    """What it counts from: the file is empty for a moment in each turn."""
    return walk.bus.wait(lambda: count(task)) or 0


def directories(walk):
    if "criu" not in walk.have:
        return
    shutil.rmtree(DIRECTORY, ignore_errors=True)
    container, task = walk.running("counter", *COUNTER)
    walk.bus.wait(lambda: count(task) > 3)
    quirks = {"AllowTCP": True, "AllowUnixSockets": True, "AllowTerminal": True, "FileLocks": True}
    walk.equal("into a directory, which has no name", ("", ""),
               task.call("Task.Checkpoint", Path=f"{DIRECTORY}/first", EmptyNamespaces=["network"], **quirks))
    walk.event("it is told", "/tasks/checkpointed", "counter", Checkpoint=f"{DIRECTORY}/first")
    walk.property("the task goes on", task, "Process.Status", "RUNNING")
    task.call("Task.Checkpoint", Path=f"{DIRECTORY}/second", ParentPath=f"{DIRECTORY}/first", Exit=True, **quirks)
    walk.becomes("unless it is to end", task, "Process.Status", "STOPPED")
    task.call("Process.Delete")
    again = walk.thing(container.call("Container.CreateTask", CheckpointPath=f"{DIRECTORY}/second", Stdout="null",
                                      Stderr="null"))
    walk.property("restoring waits for Start", again, "Process.Pid", 0)
    walk.check("which answers the pid", again.call("Process.Start") > 0)
    before = resumed_count(walk, again)
    walk.check("it goes on counting", before > 3 and walk.bus.wait(lambda: count(again) > before), before)
    walk.remove(container)


def images(walk):
    if "criu" not in walk.have:
        return
    container, task = walk.running("moved", *COUNTER)
    walk.bus.wait(lambda: count(task) > 3)
    reference, digest = task.call("Task.Checkpoint", Image="localhost/checkpoint:1", Exit=True)
    walk.equal("into an image", ("localhost/checkpoint:1", "sha256:"), (reference, digest[:7]))
    image = walk.thing(walk.root.call("Manager.GetImage", reference))
    walk.equal("which is there", digest, image.get("Image.Digest"))
    walk.equal("and says what it is", "true", image.get("Image.Labels").get("containerd.io/checkpoint"))
    walk.remove(container)
    other = walk.container("moved-there", *COUNTER)
    restored = walk.thing(other.call("Container.CreateTask", Checkpoint=reference, Stdout="null", Stderr="null"))
    restored.call("Process.Start")
    before = resumed_count(walk, restored)
    walk.check("another container goes on from it, with its files", before > 3 and
               walk.bus.wait(lambda: count(restored) > before), before)
    walk.remove(other)
    walk.root.call("Manager.DeleteImage", reference, Synchronous=True)


CHAPTERS = [("checkpoints: what is refused", refusals), ("checkpoints: without CRIU", unavailable),
            ("checkpoints: directories", directories), ("checkpoints: images", images)]
