# SPDX-License-Identifier: LGPL-2.1-or-later
"""The history of events and its order; containers that are started again."""

import bus
import system
from walk import FOREVER, IMAGE

# What may come right after what, in the life of one task or one exec (D11).
AFTER = {
    "/tasks/create": {"", "/tasks/delete"},
    "/tasks/start": {"/tasks/create"},
    "/tasks/exec-added": {"", "/tasks/exit", "/tasks/exec-added"},  # an exec that never started leaves no more events
    "/tasks/exec-started": {"/tasks/exec-added"},
}
RUNS = {"/tasks/start", "/tasks/exec-started", "/tasks/paused", "/tasks/resumed", "/tasks/oom", "/tasks/checkpointed"}


def subject(event):
    """Whose life an event belongs to: namespace, container, exec or "". None if it is no task's."""
    topic, namespace, details = event[2:]
    if not topic.startswith("/tasks/"):
        return None
    if topic.startswith("/tasks/exec-"):
        return namespace, details["Id"], details["ExecId"]
    container = details.get("ContainerId", details["Id"])
    return namespace, container, "" if details["Id"] == container else details["Id"]


def disorder(events):
    """What is against the order, as sentences."""
    last, wrong, running = {}, [], {}
    for event in events:
        who, topic = subject(event), event[2]
        if who is None:
            continue
        before = last.get(who, "")
        if (topic, before) == ("/tasks/checkpointed", "/tasks/exit"):
            continue  # one with Exit is told when it is stored
        allowed = AFTER.get(topic, RUNS)
        if topic == "/tasks/delete":
            allowed = {"/tasks/exit", "/tasks/create"}
        if before not in allowed:
            wrong.append(f"{topic} of {who} after {before or 'nothing'}")
        last[who] = topic
        execs = running.setdefault(who[:2], set())
        if topic == "/tasks/exec-started":
            execs.add(who)
        elif topic == "/tasks/exit":
            execs.discard(who)
            if who[2] == "" and execs:
                wrong.append(f"the exit of {who[:2]} before those of {execs}")
    return wrong


def history(walk):
    """ListEvents, by all its options."""
    root = walk.root
    container, task = walk.running("told", "sh", "-c", "exit 3")
    task.call("Process.Wait")
    task.call("Process.Delete")
    walk.remove(container)
    walk.event("the last event of a container", "/containers/delete", "told")

    def listed(**options):
        return root.call("Manager.ListEvents", **options)

    everything = listed(AllNamespaces=True, Limit=10000)
    numbers = [e[0] for e in everything]
    walk.equal("the history is in the order of its numbers", sorted(set(numbers)), numbers)
    mine = [e for e in everything if subject(e) == ("default", "told", "")]
    walk.equal("a task's life", ["create", "start", "exit", "delete"], [e[2].rsplit("/", 1)[1] for e in mine])
    walk.equal("at times in this order", sorted(e[1] for e in mine), [e[1] for e in mine])
    walk.equal("after a number", [e for e in everything if e[3] == "default" and e[0] > mine[1][0]],
               listed(After=mine[1][0], Limit=10000))
    walk.equal("between two times", [e for e in everything if e[3] == "default" and mine[0][1] <= e[1] <= mine[3][1]],
               listed(Since=mine[0][1], Until=mine[3][1]))
    walk.equal("only some", everything[:2], listed(AllNamespaces=True, Limit=2))
    walk.equal("by topic", mine[2:3], listed(Filters=["topic==/tasks/exit,event.ContainerId==told"]))
    walk.equal("by namespace", [], listed(Namespace="nobody"))
    walk.refused("too many", "InvalidArgument", "Limit", listed, Limit=10001)
    walk.refused("a filter that is none", "InvalidArgument", "[0-9]", listed, Filters=["topic="])


def restart_of_manager(walk):
    """The history outlives the manager, whose death loses and doubles nothing."""
    container, task = walk.running("outlives", "sh", "-c", "sleep 2; exit 4")
    before = walk.root.call("Manager.ListEvents", AllNamespaces=True, Limit=10000)
    system.kill_manager()
    status, at = task.call("Process.Wait")
    walk.equal("a task that ends without a manager", 4, status)
    walk.event("is told by the next one", "/tasks/exit", "outlives", ExitStatus=4, ExitedAt=at)
    after = walk.root.call("Manager.ListEvents", AllNamespaces=True, Limit=10000)
    walk.equal("which knows what was before", before, after[:len(before)])
    exits = [e for e in after if e[2] == "/tasks/exit" and e[4]["ContainerId"] == "outlives"]
    walk.equal("the exit is there once", 1, len(exits))
    walk.remove(container)


def restarts(walk):
    """Policies, and who was stopped on purpose."""
    def starts(name):
        return len(walk.events(name, "/tasks/start"))

    container, task = walk.running("always", "sh", "-c", "sleep 0.1; exit 0", RestartPolicy="always")
    walk.equal("the policy is in the labels", "always", container.get("Container.Labels").get(
        "containerd.io/restart.policy"))
    walk.check("it is started again and again", walk.bus.wait(lambda: starts("always") >= 3, 60), starts("always"))
    walk.check("which is counted", walk.bus.wait(
        lambda: int(container.get("Container.Labels")["containerd.io/restart.count"]) >= 2))
    walk.remove(container)

    succeeds, task = walk.running("succeeds", "true", RestartPolicy="on-failure")
    walk.equal("a program succeeds", 0, task.call("Process.Wait")[0])
    stopped, task = walk.running("stopped", *FOREVER, RestartPolicy="unless-stopped")
    walk.equal("wanted to run", "running", stopped.get("Container.Labels")["containerd.io/restart.status"])
    task.call("Task.Stop", Force=True)
    walk.check("who stops it means it", walk.bus.wait(lambda: stopped.get("Container.Labels").get(
        "containerd.io/restart.explicitly-stopped") == "true"), stopped.get("Container.Labels"))

    container, task = walk.running("failing", "sh", "-c", "exit 1", RestartPolicy="on-failure:2")
    walk.check("after failures, so often", walk.bus.wait(lambda: starts("failing") == 3, 60), starts("failing"))
    walk.check("and no more", walk.bus.wait(
        lambda: container.get("Container.Labels")["containerd.io/restart.count"] == "2"), container.get("Container.Labels"))
    walk.remove(container)

    # both would have been started again before this one was for the second time
    walk.check("not after success", starts("succeeds") == 1, walk.events("succeeds"))
    walk.equal("nor after a stop", 1, starts("stopped"))
    walk.remove(succeeds, stopped)


def order(walk):
    """Over the whole walk: signals and history tell the same, once, in order."""
    told = walk.events()
    numbers = [e[0] for e in told]
    walk.equal("numbers only grow", sorted(set(numbers)), numbers)
    wrong = disorder(told)
    walk.check(f"{len(told)} events in order", not wrong and len(told) > 100, *wrong)
    listed, after = [], numbers[0] - 1
    while page := walk.root.call("Manager.ListEvents", AllNamespaces=True, After=after, Limit=500):
        listed += page
        after = page[-1][0]
    walk.equal("the history has what was told, and nothing else", [e[0] for e in listed], numbers)
    walk.check("word for word", listed == told, *[(a, b) for a, b in zip(listed, told) if a != b][:3])
    twins = sum(1 for s in walk.bus.signals if s.path == bus.ROOT and s.member.startswith("Manager.") and
                s.member not in ("Manager.Event", "Manager.JobNew", "Manager.JobRemoved"))
    walk.equal("each has a signal of its own", len(told), twins)
    walk.equal("what came is what the XML says", [], walk.bus.mismatches)
    walk.check("of the image, too", any(e[4].get("Image") == IMAGE for e in told))


CHAPTERS = [("events: history", history), ("events: a new manager", restart_of_manager), ("restarts", restarts)]
LAST = [("events: order", order)]
