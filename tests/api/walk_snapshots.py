# SPDX-License-Identifier: LGPL-2.1-or-later
"""Snapshots, and versions of containers that are made of them."""

import os
import subprocess
import tarfile
import tempfile

from walk import FOREVER, IMAGE


def stat(walk, key):
    return walk.root.call("Manager.StatSnapshot", key, Namespace="default", Snapshotter="overlayfs")


def write(mounts, name, text):
    """A file in what is mounted, by mount(8)."""
    with tempfile.TemporaryDirectory() as directory:
        for kind, source, options in mounts:
            subprocess.run(["mount", "-t", kind, "-o", ",".join(options), source, directory], check=True)
        try:
            with open(os.path.join(directory, name), "w") as f:
                f.write(text)
        finally:
            subprocess.run(["umount", directory], check=True)


def life(walk):
    """Prepared, committed, viewed, removed."""
    root = walk.root
    names = {name: (good, why) for name, good, why in root.call("Manager.ListSnapshotters", Namespace="default")}
    walk.equal("what is always there", (True, ""), names.get("overlayfs"))
    walk.check("and what needs no overlay", "native" in names, names)
    mounts = root.call("Manager.PrepareSnapshot", "base", "", Namespace="default", Snapshotter="overlayfs",
                       Labels={"a": "b"})
    walk.event("it is told", "/snapshot/prepare", "base", Key="base", Parent="")
    write(mounts, "file", "x" * 10000)
    walk.equal("mounts are the same again", mounts, root.call("Manager.SnapshotMounts", "base", Namespace="default",
                                                              Snapshotter="overlayfs"))
    one = stat(walk, "base")
    walk.equal("what it is", ("default", "base", "", "Active", "overlayfs", {"a": "b"}),
               tuple(one[k] for k in ("Namespace", "Name", "Parent", "Kind", "Snapshotter", "Labels")))
    walk.check("since when", walk.recent(one["CreatedAt"]) and walk.recent(one["UpdatedAt"]), one)
    size, inodes = root.call("Manager.SnapshotUsage", "base", Namespace="default", Snapshotter="overlayfs")
    walk.check("what it takes", size >= 10000 and inodes >= 2, size, inodes)
    walk.refused("a taken key", "AlreadyExists", "base", root.call, "Manager.PrepareSnapshot", "base", "")
    walk.refused("another snapshotter", "InvalidArgument", "no snapshotter \"none\"", root.call,
                 "Manager.CommitSnapshot", "other", "base", Snapshotter="none")
    walk.refused("a parent that is not committed", "FailedPrecondition", "base", root.call, "Manager.PrepareSnapshot",
                 "upper", "base")
    root.call("Manager.CommitSnapshot", "done", "base", Namespace="default", Snapshotter="overlayfs", Labels={"c": "d"})
    walk.event("a commit is told", "/snapshot/commit", "done", Key="base", Name="done")
    walk.equal("committed, with new labels", ("Committed", {"c": "d"}),
               tuple(stat(walk, "done")[k] for k in ("Kind", "Labels")))
    walk.refused("it has no mounts", "FailedPrecondition", "done", root.call, "Manager.SnapshotMounts", "done")
    root.call("Manager.SetSnapshotLabels", "done", {"e": "f"}, Namespace="default", Snapshotter="overlayfs")
    walk.equal("labels", {"e": "f"}, stat(walk, "done")["Labels"])
    view = root.call("Manager.ViewSnapshot", "look", "done", Namespace="default", Snapshotter="overlayfs", Labels={})
    walk.check("a view is only read", all("ro" in options for _, _, options in view), view)
    walk.refused("what lies below another stays", "FailedPrecondition", "done", root.call, "Manager.RemoveSnapshot",
                 "done")
    listed = dict(root.call("Manager.ListSnapshots", Namespace="default", AllNamespaces=False, Snapshotter="overlayfs",
                            Filters=["kind==view"]))
    walk.equal("found by its kind", ["look"], list(listed))
    walk.equal("with its parent", "done", listed["look"]["Parent"])
    for key in ("look", "done"):
        root.call("Manager.RemoveSnapshot", key, Namespace="default", Snapshotter="overlayfs")
        walk.event(f"{key} goes", "/snapshot/remove", key)
    walk.refused("one that is gone", "NotFound", "done", root.call, "Manager.StatSnapshot", "done")


def held(walk):
    """What a lease was told to hold stays, although its label says that nobody wants it."""
    root = walk.root
    collect = {"org.example.Ctr/gc.collect": "1"}

    def holds():
        return root.call("Manager.ListLeaseResources", "holder")

    root.call("Manager.CreateLease", "holder")
    walk.refused("no lease of that name", "NotFound", "nobody", root.call, "Manager.PrepareSnapshot", "leased", "",
                 Lease="nobody")
    for snapshotter in ("overlayfs", "native"):
        place = {"Snapshotter": snapshotter, "Lease": "holder"}
        root.call("Manager.PrepareSnapshot", "leased", "", Labels=collect, **place)
        walk.equal(f"{snapshotter}: a lease holds what is prepared", [(f"snapshots/{snapshotter}", "leased")], holds())
        root.call("Manager.CommitSnapshot", "kept", "leased", **place)
        walk.equal("under its new name when it is committed", [(f"snapshots/{snapshotter}", "kept")], holds())
        root.call("Manager.ViewSnapshot", "seen", "kept", Labels=collect, **place)
        walk.equal("and a view", [(f"snapshots/{snapshotter}", n) for n in ("kept", "seen")], sorted(holds()))
        root.call("Manager.CollectGarbage")
        names = dict(root.call("Manager.ListSnapshots", Snapshotter=snapshotter))
        walk.check("so they stay", {"kept", "seen"} <= set(names), names)
        for name in ("seen", "kept"):
            root.call("Manager.RemoveLeaseResource", "holder", f"snapshots/{snapshotter}", name)
        root.call("Manager.CollectGarbage")
        names = dict(root.call("Manager.ListSnapshots", Snapshotter=snapshotter))
        walk.equal("until it lets go", set(), {"kept", "seen"} & set(names))
    root.call("Manager.DeleteLease", "holder")


def copied(walk):
    """A container whose root is a whole tree, its changes and the image of it."""
    container = walk.container("copied", "true", Snapshotter="native")
    parent = root_of(walk, "copied")
    walk.check("upon the image", parent.startswith("sha256:"), parent)
    with tempfile.TemporaryFile() as archive:
        with tarfile.open(fileobj=archive, mode="w") as tar:
            tar.addfile(tarfile.TarInfo("one"))
        archive.seek(0)
        walk.thing(container.call("Container.CopyIn", "/tmp", archive.fileno())).call("Job.Wait")
    walk.equal("what was changed", [("C", "/tmp"), ("A", "/tmp/one")], container.call("Container.Diff"))
    walk.root.call("Manager.CreateLease", "image")
    job = walk.thing(container.call("Container.Commit", "localhost:5000/copied:1", Lease="image"))
    digest = job.call("Job.Wait")["Digest"]
    held = walk.root.call("Manager.ListLeaseResources", "image")
    walk.check("a lease holds the new image", {("images", "localhost:5000/copied:1"), ("content", digest)} <= set(held), held)
    walk.equal("for every snapshotter", (0, "/tmp/one\n"), walk.output_of(
        "again", "ls", "/tmp/one", Snapshotter="overlayfs", image="localhost:5000/copied:1"))
    walk.remove(container)
    walk.root.call("Manager.DeleteImage", "localhost:5000/copied:1", Synchronous=True)
    walk.root.call("Manager.DeleteLease", "image", Synchronous=True)


def root_of(walk, name):
    return walk.root.call("Manager.StatSnapshot", name, Snapshotter="native")["Parent"]


def adopted(walk):
    """A container upon a snapshot that is there."""
    root = walk.root
    layer = walk.container("parent", "true")
    parent = stat(walk, "parent")["Parent"]
    walk.remove(layer)
    root.call("Manager.PrepareSnapshot", "own", parent)
    container = walk.thing(root.call("Manager.CreateContainerFromSnapshot", "adopter", IMAGE, "own", Namespace="default",
                                     Labels={"a": "b"}, Command=["true"]))
    walk.property("its root", container, "Container.SnapshotID", "own")
    walk.property("its labels", container, "Container.Labels", {"a": "b"})
    walk.refused("a root of two containers", "FailedPrecondition", "own", root.call,
                 "Manager.CreateContainerFromSnapshot", "second", IMAGE, "own")
    walk.refused("one that is not there", "NotFound", "none", root.call, "Manager.CreateContainerFromSnapshot", "second",
                 IMAGE, "none")
    walk.remove(container)


def versions(walk):
    """A version of a running container, and back to it."""
    container, task = walk.running("versioned", *FOREVER)
    before = container.get("Container.SnapshotID")
    number, snapshot = container.call("Container.CreateVersion", Start=True, StopTimeoutUSec=100000, Labels={"a": "b"})
    walk.equal("the first version", 1, number)
    walk.property("a new root", container, "Container.SnapshotID", lambda s: s not in (before, snapshot))
    walk.property("the task runs again", task, "Process.Status", "RUNNING")
    found = container.call("Container.ListVersions")
    walk.equal("it is listed", [(1, snapshot)], [v[:2] for v in found])
    walk.check("with its labels", found[0][4].get("a") == "b" and walk.recent(found[0][3]), found)
    container.call("Container.Rollback", 1, Start=False, StopTimeoutUSec=100000)
    walk.gone("a rollback that starts nothing", task)
    walk.refused("to what is not there", "NotFound", "7", container.call, "Container.Rollback", 7)
    container.call("Container.DeleteVersion", 1)
    walk.equal("a version goes", [], container.call("Container.ListVersions"))
    kept = container.call("Container.CreateVersion", Start=False)[1]
    container.call("Container.Delete", CleanupVersions=True, Force=True)
    # in the background, as the root goes that lies upon it
    walk.check("a container's versions go with it when asked", walk.bus.wait(
        lambda: kept not in dict(walk.root.call("Manager.ListSnapshots"))), kept)


CHAPTERS = [("snapshots: life", life), ("snapshots: leases", held), ("snapshots: whole trees", copied),
            ("snapshots: a container upon one", adopted), ("snapshots: versions", versions)]
