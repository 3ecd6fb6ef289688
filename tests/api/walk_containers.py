# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers: their record, their document, and what the document makes of the program."""

import os

import bus
from walk import IMAGE

MEBIBYTE = 1 << 20
PROBE = """
echo directory=$(pwd)
echo user=$(/bin/busybox id -u):$(/bin/busybox id -g)
echo A=$A
echo variables=$(/bin/busybox tr '\\0' '\\n' </proc/self/environ | /bin/busybox cut -d= -f1)
echo name=$(/bin/busybox hostname)
echo file=$(/bin/busybox cat /mnt/file)
echo files=$(ulimit -n)
echo privileges=$(/bin/busybox sed -n 's/^NoNewPrivs:[^0-9]*//p' /proc/self/status)
echo score=$(/bin/busybox cat /proc/self/oom_score_adj)
/bin/busybox touch /x 2>/dev/null || echo root=read-only
echo device=$(/bin/busybox ls /dev/full)
exit 3
"""


def record(walk):
    root = walk.root
    container = walk.container("record", "true", Labels={"app": "web", "tier": "front"})
    walk.equal("a container has its place", f"{bus.ROOT}/container/default/record", container.path)
    walk.event("it is told", "/containers/create", "record", Image=IMAGE)
    prepared = walk.event("its root file system too", "/snapshot/prepare", "record", Key="record")
    walk.check("on top of the image", prepared.get("Parent", "").startswith("sha256:"), prepared)
    for member, value in (("Namespace", "default"), ("Id", "record"), ("Image", IMAGE), ("SnapshotID", "record"),
                          ("Labels", {"app": "web", "tier": "front"}), ("Snapshotter", "overlayfs"),
                          ("Runtime", "org.example.Ctr.v1"), ("CreatedAt", walk.recent), ("UpdatedAt", walk.recent)):
        walk.property(f"a new container: {member}", container, f"Container.{member}", value)
    walk.equal("it is found by its id", container.path, root.call("Manager.GetContainer", "record"))
    walk.equal("and listed", [(container.path, container.get_all("Container"))], root.call("Manager.ListContainers"))

    before = container.get("Container.UpdatedAt")
    container.call("Container.SetLabels", {"app": "db"})
    walk.told("who has changed labels knows it from a signal", container, "Container.Labels", {"app": "db"})
    walk.property("labels are replaced", container, "Container.Labels", {"app": "db"})
    walk.property("the time of the change says so", container, "Container.UpdatedAt", lambda t: t > before)
    walk.event("and it is told", "/containers/update", "record")

    def found(**options):
        return len(root.call("Manager.ListContainers", **options))

    walk.equal("all labels must match", 0, found(Labels={"app": "web"}))
    walk.equal("these do", 1, found(Labels={"app": "db"}))
    walk.equal("an empty value asks for presence", 1, found(Labels={"app": ""}))
    walk.refused("a label without a key", "InvalidArgument", "Labels.*empty", found, Labels={"": "db"})
    walk.equal("filters", 1, found(Filters=["id==other", 'labels."app"==db,id==record']))
    walk.equal("by image and runtime", 1, found(Filters=["image~=walk,runtime.name"]))
    walk.equal("that do not match", 0, found(Filters=["labels.app!=db"]))
    walk.equal("in another namespace", 0, found(Namespace="other"))
    walk.equal("in all", 1, found(AllNamespaces=True))
    walk.refused("a filter that is none", "InvalidArgument", "[0-9]", found, Filters=["id==="])

    container.call("Container.Delete", CleanupSnapshot=False)
    walk.event("its end is told", "/containers/delete", "record")
    walk.gone("its object goes", container)
    walk.refused("it is not found any more", "NotFound", "record", root.call, "Manager.GetContainer", "record")
    walk.refused("its snapshot was kept, as asked", "AlreadyExists", "record", walk.container, "record2", "true",
                 SnapshotID="record")
    root.call("Manager.CreateLease", "root")
    other = walk.container("record2", "true", SnapshotID="record-b", Snapshotter="overlayfs", Lease="root",
                           Runtime="io.containerd.runc.v2")
    walk.property("a runtime may be named as containerd does", other, "Container.Runtime", "io.containerd.runc.v2")
    walk.equal("a lease may hold it", [("snapshots/overlayfs", "record-b")], root.call("Manager.ListLeaseResources", "root"))
    root.call("Manager.DeleteLease", "root")
    walk.property("a snapshot may have another name", other, "Container.SnapshotID", "record-b")
    walk.remove(other)
    walk.event("and goes with the container", "/snapshot/remove", "record-b")


def refusals(walk):
    taken = walk.container("taken", "true")
    for text, error, pattern, name, image, more in (
            ("a duplicate id", "AlreadyExists", "taken", "taken", IMAGE, {}),
            ("no id", "InvalidArgument", "empty", "", IMAGE, {}),
            ("an id that climbs", "InvalidArgument", "not valid", "..", IMAGE, {}),
            ("an image that is not there", "NotFound", "no image", "new", "localhost:5000/none", {}),
            ("an unknown policy", "InvalidArgument", "Pull", "new", IMAGE, {"Pull": "often"}),
            ("a bad namespace", "InvalidArgument", "amespace", "new", IMAGE, {"Namespace": "a/b"}),
            ("no namespace", "FailedPrecondition", "required", "new", IMAGE, {"Namespace": ""}),
            ("a relative directory", "InvalidArgument", "here", "new", IMAGE, {"WorkingDirectory": "here"}),
            ("an unknown capability", "InvalidArgument", "CAP_FLY", "new", IMAGE, {"CapabilitiesAdd": ["CAP_FLY"]}),
            ("an unknown policy of restarts", "InvalidArgument", "RestartPolicy", "new", IMAGE,
             {"RestartPolicy": "perhaps"}),
            ("a count where it has no place", "InvalidArgument", "RestartPolicy", "new", IMAGE,
             {"RestartPolicy": "always:3"}),
            ("a weight out of range", "InvalidArgument", "CPUWeight", "new", IMAGE, {"CPUWeight": 20000}),
            ("a signal that is none", "InvalidArgument", "StopSignal", "new", IMAGE, {"StopSignal": 99}),
            ("a network that is none", "InvalidArgument", "Network", "new", IMAGE, {"Network": "mesh"})):
        walk.refused(text, error, pattern, walk.root.call, "Manager.CreateContainer", name, image, **more)
    walk.remove(taken)
    walk.refused("a container that is gone", bus.UNKNOWN_OBJECT, ".", taken.call, "Container.GetSpec")
    walk.refused("no task without its container", bus.UNKNOWN_OBJECT, ".", taken.call, "Container.CreateTask")


def pulling(walk):
    walk.push("busybox", "pulled:latest")
    container = walk.thing(walk.root.call("Manager.CreateContainer", "pulled", "localhost:5000/pulled", Pull="missing",
                                          Namespace="default"))
    walk.property("a missing image is pulled on demand", container, "Container.Image", "localhost:5000/pulled:latest")
    walk.remove(container)
    walk.root.call("Manager.DeleteImage", "localhost:5000/pulled", Synchronous=False)


def program(walk):
    """Options that the program can see."""
    directory = "/run/walk-volume"
    os.makedirs(directory, exist_ok=True)
    with open(f"{directory}/file", "w") as f:
        f.write("from the host")
    status, text = walk.output_of(
        "program", "sh", "-c", PROBE, WorkingDirectory="/tmp", User="65534:65533", Environment=["A=b", "PATH"],
        Hostname="walker", Mounts=[(directory, "/mnt", "bind", ["rbind", "ro"])], ReadOnly=True, Volatile=True,
        Rlimits=[("RLIMIT_NOFILE", 64, 128)], NoNewPrivileges=False, OOMScoreAdjust=500, Devices=[("/dev/full", "rw")])
    walk.equal("the program ends as it does", 3, status)
    seen = dict(line.split("=", 1) for line in text.splitlines() if "=" in line)
    for what, key, expected in (
            ("working directory", "directory", "/tmp"), ("user and group", "user", "65534:65533"),
            ("a variable that is set", "A", "b"), ("a host name", "name", "walker"), ("files", "files", "64"),
            ("a file of the host", "file", "from the host"), ("no new privileges only if wanted", "privileges", "0"),
            ("the score for the OOM killer", "score", "500"), ("a root that is only read", "root", "read-only"),
            ("a device", "device", "/dev/full")):
        walk.equal(what, expected, seen.get(key))
    walk.check("a variable that is removed", "PATH" not in seen["variables"].split(), text)

    spec = walk.spec(container := walk.container("document", "sh", CapabilitiesAdd=["CAP_SYS_TIME"],
                                                 CapabilitiesDrop=["CAP_KILL"], Devices=[("/dev/full", "r")]))
    bounding = spec["process"]["capabilities"]["bounding"]
    walk.check("capabilities in the document", "CAP_SYS_TIME" in bounding and "CAP_KILL" not in bounding, bounding)
    walk.check("the device, too", "/dev/full" in [d["path"] for d in spec["linux"]["devices"]], spec["linux"])
    walk.remove(container)

    status, text = walk.output_of("terminal", "sh", "-c", "test -t 0 && echo $TERM", Terminal=True)
    walk.equal("a terminal", (0, "xterm\r\n"), (status, text))
    status, text = walk.output_of("network", "sh", "-c", "ls /sys/class/net", Network="private")
    walk.equal("a network with loopback only", "lo\n", text)
    status, text = walk.output_of(
        "resolver", "cat", "/etc/resolv.conf", "/etc/hosts", DNS=["192.0.2.1"], DNSSearch=["a.example"],
        DNSOptions=["ndots:2"], ExtraHosts=["db:192.0.2.7"])
    for line in ("nameserver 192.0.2.1", "search a.example", "options ndots:2", "192.0.2.7\tdb"):
        walk.check(f"names are resolved by {line}", status == 0 and line in text.splitlines(), text)
    status, text = walk.output_of("shared", "readlink", "/proc/self/ns/net", Network="host")
    walk.equal("the network of the host", os.readlink("/proc/self/ns/net") + "\n", text)


def commands(walk):
    """Command, Entrypoint and Arguments."""
    for name, more, expected in (("command", {"Command": ["echo", "x"]}, ["echo", "x"]),
                                 ("entry", {"Entrypoint": ["echo", "y"]}, ["echo", "y"]),
                                 ("args", {"Arguments": ["ls", "-l"]}, ["ls", "-l"]),
                                 ("both", {"Entrypoint": ["echo"], "Arguments": ["z"]}, ["echo", "z"])):
        container = walk.thing(walk.root.call("Manager.CreateContainer", name, IMAGE, **more))
        walk.equal(f"what runs with {more}", expected, walk.spec(container)["process"]["args"][:len(expected)])
        walk.remove(container)


def automatic(walk):
    """AutoRemove, and limits that reach the scope."""
    container, task = walk.task("passing", "sh", "-c", "exit 9", AutoRemove=True)
    waiting = task.send("Process.Wait")
    task.call("Process.Start")
    walk.equal("who waits hears the status", 9, walk.answer(waiting)[0])
    walk.gone("and the container goes by itself", container)

    limits = {"MemoryMax": 64 * MEBIBYTE, "MemoryHigh": 48 * MEBIBYTE, "MemoryLow": 8 * MEBIBYTE,
              "MemorySwapMax": 0, "TasksMax": 77, "CPUWeight": 33, "IOWeight": 44, "CPUQuotaPerSecUSec": 500000,
              "AllowedCPUs": "0", "AllowedMemoryNodes": "0"}
    reader, writer = os.pipe()
    container, task = walk.running("limited", "sh", "-c", "trap 'exit 5' USR1; echo; while :; do sleep 0.05; done",
                                   streams={"Stdout": writer}, StopSignal=10, StopTimeoutUSec=30000000, **limits)
    os.close(writer)
    os.read(reader, 1)
    walk.property("the limits of a task", task, "Task.Resources",
                  lambda r: all(r.get(key) == value for key, value in limits.items()))
    walk.equal("are those of its scope", "67108864 77 33",
               " ".join(walk.unit(task, p) for p in ("MemoryMax", "TasksMax", "CPUWeight")))
    walk.equal("the stop signal is the container's", 5, task.call("Task.Stop")[0])
    os.close(reader)
    walk.remove(container)


def classes(walk):
    """Classes of input and output, and of RDT: only their files can make an effect; without them they are refused."""
    for key in ("BlockIOClass", "RDTClass"):
        try:
            walk.remove(walk.container("class", "true", **{key: "gold"}))
            walk.ok(f"{key} is taken")
        except bus.Refused as refusal:
            walk.check(f"{key} without its file is refused by name",
                       refusal.name in ("NotFound", "InvalidArgument", "FailedPrecondition") and
                       "gold" in refusal.text, refusal)
            walk.contract.use(f"Manager.CreateContainer:{key}")


def runtimes(walk):
    """Which runtime makes it, and whether it is for a systemd."""
    container, task = walk.running("runtime", "sh", "-c", "trap 'exit 6' RTMIN+3; while :; do sleep 0.05; done",
                                   Runtime="io.containerd.runc.v2", Systemd="always")
    walk.property("the runtime is the one that was named", container, "Container.Runtime",
                  lambda r: r == "io.containerd.runc.v2")
    walk.equal("what is for a systemd is stopped like one", "37", walk.unit(task, "KillSignal"))
    walk.remove(container)
    for key, value in (("Runtime", "no/runtime"), ("Runtime", "nosuch"), ("Systemd", "perhaps")):
        walk.refused(f"{key}={value}", "NotFound" if value == "nosuch" else "InvalidArgument", value,
                     walk.container, "refused", "true", **{key: value})


def identities(walk):
    """Which ids it has: the host's, a range of its own, or those that are mapped by hand."""
    # a new sysfs would show more than that of the test bed does, and the kernel refuses it
    more = {"Mounts": [("tmpfs", "/sys", "tmpfs", [])]}
    container = walk.container("plain", "true")
    walk.property("by default ids are the host's", container, "Container.UserNamespace", "host")
    walk.property("without maps", container, "Container.UIDMappings", [])
    walk.remove(container)

    first, task = walk.running("first", "sh", "-c", "while :; do sleep 1000; done", UserNamespace="auto", **more)
    second = walk.container("second", "true", UserNamespace="auto", UserNamespaceSize=100, **more)
    [(inside, start, size)] = first.get("Container.UIDMappings")
    [(_, other, number)] = second.get("Container.UIDMappings")
    walk.property("groups are mapped as users are", first, "Container.GIDMappings", [(inside, start, size)])
    walk.equal("from 0, and 65536 by default", (0, 65536), (inside, size))
    walk.equal("or as many as wanted", 100, number)
    walk.check("no id is two containers'", start + size <= other or other + number <= start, (start, other))
    walk.equal("the program has them", start, os.stat(f"/proc/{task.get('Process.Pid')}").st_uid)
    walk.remove(second)
    walk.remove(first)

    status, text = walk.output_of("mapped", "cat", "/proc/self/uid_map", "/proc/self/gid_map", UserNamespace="mapped",
                                  UIDMappings=[(0, 70000, 10), (10, 90000, 1)], GIDMappings=[(0, 80000, 5)], **more)
    walk.equal("ids that are mapped by hand", (0, "0 70000 10 10 90000 1 0 80000 5"), (status, " ".join(text.split())))
    for text, pattern, options in (
            ("a user namespace that is none", "UserNamespace", {"UserNamespace": "mine"}),
            ("one without ids", "without ids", {"UserNamespace": "auto", "UserNamespaceSize": 0}),
            ("a size that has no place", "UserNamespaceSize", {"UserNamespaceSize": 5}),
            ("maps that have no place", "UIDMappings", {"UIDMappings": [(0, 1, 1)]}),
            ("no maps", "UIDMappings", {"UserNamespace": "mapped"}),
            ("id 0 left out", "id 0", {"UserNamespace": "mapped", "UIDMappings": [(1, 1, 1)]}),
            ("ids that overlap", "twice", {"UserNamespace": "mapped", "UIDMappings": [(0, 1, 9), (5, 50, 1)]}),
            ("ids beyond the highest", "beyond", {"UserNamespace": "mapped", "UIDMappings": [(0, 2**32 - 2, 2)]})):
        walk.refused(text, "InvalidArgument", pattern, walk.container, "refused", "true", **options)


def pruning(walk):
    """What does not run, and is not about to, goes."""
    def prune(**more):
        return sorted(walk.root.call("Manager.PruneContainers", **more))

    labels = {"walk": "prune"}
    fresh = walk.container("prune-fresh", Labels=labels)
    ended, task = walk.running("prune-ended", "true", RestartPolicy="on-failure", Labels=labels)
    walk.equal("a program succeeds", 0, task.call("Process.Wait")[0])
    stopped, task = walk.running("prune-stopped", RestartPolicy="unless-stopped")
    task.call("Task.Stop", Force=True)
    left = [walk.running("prune-runs", Labels=labels)[0], walk.task("prune-created", Labels=labels)[0],
            walk.running("prune-again", "false", RestartPolicy="always")[0]]
    walk.event("one is always started again", "/tasks/exit", "prune-again")

    walk.equal("nothing that is young", [], prune(Before=1000000))
    walk.equal("nothing that does not match", [], prune(Filters=["labels.walk==other"]))
    # whether the one that has ended is started again may not be decided yet
    pruned = []
    walk.bus.wait(lambda: pruned.extend(prune(Filters=["labels.walk==prune"], Namespace="default")) or
                  len(pruned) >= 2, walk.patience)
    walk.equal("what matches and does not run", ["prune-ended", "prune-fresh"], sorted(pruned))
    for name, thing in (("prune-fresh", fresh), ("prune-ended", ended)):
        walk.event(f"{name} is told", "/containers/delete", name)
        walk.gone(f"{name} is gone", thing)
    walk.equal("without a filter all, and who was stopped on purpose", ["prune-stopped"], prune())
    walk.gone("which is gone", stopped)
    walk.equal("what runs, is going to, or was only set up stays", [True] * 3, [c.exists() for c in left])
    walk.remove(*left)

    several = {walk.container(f"prune-{i}", "true").get("Container.Id") for i in range(35)}
    first, second = prune(), prune()
    walk.equal("so many at a time", (32, 3), (len(first), len(second)))
    walk.equal("each once", several, set(first + second))
    walk.equal("until none is left", [], prune())


CHAPTERS = [("containers: the record", record), ("containers: what is refused", refusals),
            ("containers: pulling on demand", pulling), ("containers: the program", program),
            ("containers: commands", commands), ("containers: removed by itself, limited", automatic),
            ("containers: pruning", pruning), ("containers: classes", classes),
            ("containers: runtimes", runtimes), ("containers: identities", identities)]
