# SPDX-License-Identifier: LGPL-2.1-or-later
"""Limits that change, figures that are read, and the memory that is not there."""

import subprocess

from gi.repository import GLib

MEBIBYTE = 1 << 20
# Which figures must be there: those that cgroup v2 has without any controller, and those of each controller.
ALWAYS = {"Timestamp": int, "CPUUsageUSec": int, "CPUUserUSec": int, "CPUSystemUSec": int, "Network": list}
CONTROLLED = {"CPUPeriods": int, "CPUThrottledPeriods": int, "CPUThrottledUSec": int, "MemoryCurrent": int,
              "MemoryWithoutCache": int, "MemoryCache": int, "MemoryAnonymous": int, "MemoryKernel": int,
              "MemoryMax": int, "MemoryEvents": dict, "MemoryStat": dict, "TasksCurrent": int, "TasksMax": int}


def resources(**limits):
    return {key: GLib.Variant("s" if isinstance(value, str) else "t", value) for key, value in limits.items()}


def update(walk):
    container, task = walk.running("updated", MemoryMax=64 * MEBIBYTE)
    changes = {"MemoryMax": 96 * MEBIBYTE, "MemoryHigh": 80 * MEBIBYTE, "MemoryLow": 4 * MEBIBYTE, "MemorySwapMax": 0,
               "TasksMax": 55, "CPUWeight": 22, "IOWeight": 33, "CPUQuotaPerSecUSec": 250000, "AllowedCPUs": "0",
               "AllowedMemoryNodes": "0"}
    for key, value in changes.items():
        task.call("Task.Update", resources(**{key: value}))
        walk.equal(f"{key} changes", value, task.get("Task.Resources").get(key))
    walk.equal("the scope has them", "100663296 55 22 33", " ".join(
        walk.unit(task, name) for name in ("MemoryMax", "TasksMax", "CPUWeight", "IOWeight")))
    walk.equal("and so has the document", 96 * MEBIBYTE,
               walk.spec(container)["linux"]["resources"]["memory"]["limit"])
    walk.refused("an unknown limit", "InvalidArgument", "Colour", task.call, "Task.Update", resources(Colour=1))
    walk.refused("one of the wrong type", "InvalidArgument", "TasksMax", task.call, "Task.Update",
                 resources(TasksMax="5"))
    walk.refused("one out of range, with one that is not", "InvalidArgument", "CPUWeight", task.call, "Task.Update",
                 resources(TasksMax=66, CPUWeight=99999))
    walk.equal("which changes nothing", 55, task.get("Task.Resources")["TasksMax"])
    subprocess.run(["systemctl", "set-property", "--runtime", task.get("Task.Unit"), "TasksMax=44"], check=True)
    walk.check("what systemctl sets is seen", walk.bus.wait(
        lambda: task.get("Task.Resources").get("TasksMax") == 44), task.get("Task.Resources"))
    task.call("Task.Stop", Force=True)
    task.call("Process.Delete")
    again = walk.thing(container.call("Container.CreateTask"))
    walk.property("the next task of the container has them too", again, "Task.Resources",
                  lambda r: r.get("CPUWeight") == 22)
    walk.remove(container)


def wants(walk):
    return {**ALWAYS, **(CONTROLLED if "memory" in walk.have else {})}


def statistics(walk):
    container, task = walk.running("busy", "sh", "-c", "while :; do :; done", TasksMax=20, MemoryMax=64 * MEBIBYTE)
    walk.check("a program that works", walk.bus.wait(lambda: task.call("Task.Stats")["CPUUsageUSec"] > 10000, 60))
    first, second = task.call("Task.Stats"), task.call("Task.Stats")
    missing = {key for key, kind in wants(walk).items() if not isinstance(first.get(key), kind)}
    walk.equal("figures", set(), missing)
    walk.check("that are of now", walk.recent(first["Timestamp"]) and second["Timestamp"] > first["Timestamp"])
    walk.check("of work", second["CPUUsageUSec"] >= first["CPUUsageUSec"] > 10000, first, second)
    walk.check("the task's own network", [name for name, _ in first["Network"]] == ["lo"], first["Network"])
    if "memory" in walk.have:
        walk.equal("with its limits", (20, 64 * MEBIBYTE), (first["TasksMax"], first["MemoryMax"]))
        walk.check("memory apart from caches", first["MemoryWithoutCache"] <= first["MemoryCurrent"], first)
    idle, other = walk.running("idle", Labels={"kind": "idle"})

    def found(**options):
        return sorted(path.rsplit("/", 1)[1] for path, _ in walk.root.call("Manager.Metrics", **options))

    walk.equal("figures of all tasks", ["busy", "idle"], found())
    walk.equal("are what each task answers", set(task.call("Task.Stats")),
               set(dict(walk.root.call("Manager.Metrics"))[task.path]))
    for wanted, filters in ((["busy"], ["id==busy"]), (["idle"], ["labels.kind==idle"]), (["busy", "idle"], [
            "runtime.name,namespace==default"]), ([], ["id==none"]), (["busy", "idle"], ["id==busy", "id==idle"])):
        walk.equal(f"filters {filters}", wanted, found(Filters=filters))
    walk.equal("in another namespace", [], found(Namespace="other"))
    walk.equal("in all", ["busy", "idle"], found(AllNamespaces=True))
    walk.refused("a filter that is none", "InvalidArgument", "[0-9]", found, Filters=["id==="])
    other.call("Task.Stop", Force=True)
    walk.equal("one that has stopped has none", ["busy"], found())
    walk.refused("nor by itself", "NotFound", "cgroup|idle", other.call, "Task.Stats")
    walk.remove(container, idle)


def out_of_memory(walk):
    if "memory" not in walk.have:
        return
    container, task = walk.running("greedy", "sh", "-c", "sleep 0.3; dd if=/dev/zero of=/dev/null bs=64M count=1",
                                   MemoryMax=16 * MEBIBYTE, MemorySwapMax=0)
    walk.equal("a task with too little memory is killed", 137, task.call("Process.Wait")[0])
    event = walk.event("it is told why", "/tasks/oom", "greedy")
    walk.matches("whose limit it was", "ctr-greedy.scope", event.get("Cgroup"))
    walk.property("the task knows", task, "Task.OOMKilled", True)
    walk.property("which limit, too", task, "Task.OOMCgroup", lambda c: "ctr-greedy.scope" in c)
    topics = [e[2] for e in walk.events("greedy")]
    walk.check("before its exit", topics.index("/tasks/oom") < topics.index("/tasks/exit"), topics)
    walk.remove(container)


CHAPTERS = [("resources: changing limits", update), ("resources: figures", statistics),
            ("resources: out of memory", out_of_memory)]
