# SPDX-License-Identifier: LGPL-2.1-or-later
"""Every method refuses an option that it does not know and a value of the wrong type, and names the key.

And those error names that no other chapter comes across.
"""

import os
import pathlib
import subprocess

from gi.repository import GLib

import bus
import contract
import options
from walk import IMAGE

NO_DIGEST = "sha256:" + "0" * 64

# What stands before the options of each method.
BEFORE = {
    "Manager.PullImage": (IMAGE,), "Manager.PushImage": (IMAGE,), "Manager.ResolveRemoteDigest": (IMAGE,),
    "Manager.SearchImages": ("localhost:5000/refused",),
    "Manager.TagImage": (IMAGE, "refused"), "Manager.ImportImages": (0,), "Manager.ExportImages": ([IMAGE], 0),
    "Image.SetLabels": ({},), "Manager.GetImage": (IMAGE,), "Manager.DeleteImage": ("localhost:5000/none",),
    "Manager.CreateContainer": ("refused", IMAGE), "Manager.GetContainer": ("matrix",), "Manager.GetTask": ("matrix",),
    "Manager.CreateNamespace": ("refused", {}), "Manager.DeleteNamespace": ("refused",),
    "Manager.SetNamespaceLabels": ("refused", {}),
    "Manager.GetContent": (NO_DIGEST,), "Manager.DeleteContent": (NO_DIGEST,),
    "Manager.SetContentLabels": (NO_DIGEST, {}), "Manager.CreateLease": ("refused",),
    "Manager.DeleteLease": ("refused",), "Manager.ListLeaseResources": ("refused",),
    "Manager.AddLeaseResource": ("refused", "images", IMAGE), "Manager.RemoveLeaseResource": ("refused", "images", IMAGE),
    "Manager.PrepareSnapshot": ("refused", ""), "Manager.ViewSnapshot": ("refused", ""),
    "Manager.CommitSnapshot": ("refused", "none"), "Manager.RemoveSnapshot": ("none",),
    "Manager.SetSnapshotLabels": ("none", {}), "Manager.SnapshotMounts": ("none",), "Manager.StatSnapshot": ("none",),
    "Manager.SnapshotUsage": ("none",), "Manager.CreateContainerFromSnapshot": ("refused", IMAGE, "none"),
    "Manager.CreateVolume": ("refused",), "Manager.RemoveVolume": ("none",), "Manager.StatVolume": ("none",),
    "Manager.VolumeUsage": ("none",), "Manager.ExportVolume": ("none", 0), "Manager.ImportVolume": ("none", 0),
    "Manager.CreateSecret": ("refused", 0), "Manager.RemoveSecret": ("none",), "Manager.StatSecret": ("none",),
    "Container.Rollback": (1,), "Container.DeleteVersion": (1,), "Container.Commit": ("refused",),
    "Container.Export": (0,), "Container.CopyOut": ("/", 0), "Container.CopyIn": ("/tmp", 0), "Container.StatPath": ("/",),
    "Task.Exec": ("refused", ["true"]), "Task.Update": ({},), "Process.Kill": (0,), "Process.ResizePty": (80, 25),
}


def wrong_values(signature):
    """Values whose type is none of these."""
    value = GLib.Variant("d", 1.5)
    return [value] + ([GLib.Variant("s", "x")] if "s" not in signature.split("|") else [GLib.Variant("b", True)])


def matrix(walk):
    container, task = walk.running("matrix")
    things = {"Manager": walk.root, "Container": container, "Task": task, "Process": task,
              "Image": walk.thing(walk.root.call("Manager.GetImage", IMAGE))}
    for member, keys in options.OPTIONS.items():
        thing = things.get(member.split(".")[0])
        if not thing:
            continue  # a job; below
        before = BEFORE.get(member, ())
        refused(walk, thing, member, before, "Nonsense", GLib.Variant("b", True))
        for key, signature in keys.items():
            for value in wrong_values(signature):
                refused(walk, thing, member, before, key, value)
    walk.property("after all that the task runs", task, "Process.Status", "RUNNING")
    walk.remove(container)


def refused(walk, thing, member, before, key, value):
    interface, name = member.split(".")
    method = walk.contract.method(interface, name)
    body = GLib.Variant("(" + "".join(t for _, t in method.inputs) + ")", (*before, {key: value}))
    nothing = os.open("/dev/null", os.O_RDWR)  # for what wants a descriptor
    walk.refused(f"{member}: {key} as {value.get_type_string()}", "InvalidArgument", key, walk.bus.raw, thing.path,
                 f"{bus.SERVICE}.{interface}", name, body, [nothing])
    os.close(nothing)


def objects(walk):
    """Objects that are not there."""
    for member, path, arguments in (("Image.Inspect", "image/default/none", ()),
                                    ("Task.Pause", "task/default/none", ()),
                                    ("Container.GetSpec", "container/default/none", ()),
                                    ("Process.Wait", "task/default/none/exec/none", ()), ("Job.Wait", "job/999999", ()),
                                    ("Job.Wait", "job/01", ()), ("Container.GetSpec", "container/default", ())):
        walk.refused(f"{member} of {path}", bus.UNKNOWN_OBJECT, ".", walk.thing(f"{bus.ROOT}/{path}").call, member,
                     *arguments)


def introspection(walk):
    """The service says of itself what the XML says."""
    said = contract.read(walk.bus.introspect(bus.ROOT))
    container, task = walk.task("look")
    said.update(contract.read(walk.bus.introspect(task.path)))
    said.update(contract.read(walk.bus.introspect(container.path)))
    said.update(contract.read(walk.bus.introspect(walk.root.call("Manager.GetImage", IMAGE))))
    for name, interface in walk.contract.interfaces.items():
        if name != "Job":
            walk.equal(f"what {name} says of itself", [], contract.differences(interface, said.get(name)))
    managed = walk.bus.raw(bus.ROOT, "org.freedesktop.DBus.ObjectManager", "GetManagedObjects", None).unpack()[0]
    walk.check("all objects at once", {container.path, task.path} <= set(managed), managed.keys())
    walk.equal("with their properties", task.get_all("Process"), managed[task.path][f"{bus.SERVICE}.Process"])
    walk.property("a version", walk.root, "Manager.Version", lambda v: v != "")
    walk.remove(container)
    walk.check("objects are announced and taken back", all(
        walk.find(f"org.freedesktop.DBus.ObjectManager.{s}", bus.ROOT, lambda a: a[0] == task.path)
        for s in ("InterfacesAdded", "InterfacesRemoved")))


def damage(walk):
    """DataLoss: a registry whose blob is not what its digest says."""
    walk.push("layers", "damaged:latest")
    blobs = pathlib.Path(os.environ["WALK_REGISTRY"]).glob("**/blobs/**/data")
    victim = next(blob for blob in blobs if blob.stat().st_size > 900000)
    with open(victim, "rb") as f:
        good = f.read()
    with open(victim, "wb") as f:
        f.write(good[:1000] + b"X" * 1000 + good[2000:])
    walk.refused("a blob that is damaged", "DataLoss", "sha256|digest|match", walk.pull, "localhost:5000/damaged")
    with open(victim, "wb") as f:
        f.write(good)


def too_much(walk):
    """A message with more in it than anybody needs."""
    huge = "x" * (5 << 20)
    walk.refused("more text than a message may have", "InvalidArgument", "Labels", walk.root.call,
                 "Manager.CreateContainer", "refused", IMAGE, Labels={"a": huge})


def strangers(walk):
    """A user without rights may look, and nothing else."""
    program = pathlib.Path(__file__).with_name("stranger.py")
    lines = subprocess.run(["runuser", "-u", "tester", "--", program], check=False, stdout=subprocess.PIPE,
                           text=True).stdout.split()
    walk.check("a user may look", lines[:1] not in ([], ["0"]), lines)
    walk.check("but not change", len(lines) == 3 and set(lines[1:]) <= {
        "org.freedesktop.DBus.Error.AccessDenied",
        "org.freedesktop.DBus.Error.InteractiveAuthorizationRequired"}, lines)


CHAPTERS = [("introspection", introspection), ("options of every method", matrix),
            ("objects that are not there", objects),
            ("damage", damage), ("too much", too_much), ("strangers", strangers)]
