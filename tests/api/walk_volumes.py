# SPDX-License-Identifier: LGPL-2.1-or-later
"""Volumes: named and anonymous ones, what they begin with, and images as mounts."""

import os

from gi.repository import GLib

from walk import IMAGE
from walk_files import pack, unpack

WITH_VOLUMES = "localhost:5000/volumes:1"


def names(walk, **more):
    return [name for name, _ in walk.root.call("Manager.ListVolumes", **more)]


def volume(walk, source, destination, *options):
    return [(source, destination, "volume", list(options))]


def life(walk):
    """Made, looked at, filled, emptied, removed."""
    root = walk.root
    walk.equal("its name", "data", root.call("Manager.CreateVolume", "data", Namespace="default", Labels={"a": "b"}))
    walk.refused("taken", "AlreadyExists", "\"data\"", root.call, "Manager.CreateVolume", "data")
    walk.refused("no name", "InvalidArgument", "volume", root.call, "Manager.CreateVolume", "../etc")
    walk.refused("a label that would end it", "InvalidArgument", "gc", root.call, "Manager.CreateVolume", "x",
                 Labels={"org.example.Ctr/gc.collect": "true"})
    one = root.call("Manager.StatVolume", "data", Namespace="default")
    walk.equal("what it is", ("default", "data", False, {"a": "b"}, []),
               tuple(one[k] for k in ("Namespace", "Name", "Anonymous", "Labels", "Containers")))
    walk.check("since when", walk.recent(one["CreatedAt"]), one)
    random = root.call("Manager.CreateVolume", "")
    walk.check("a random name", len(random) == 64 and root.call("Manager.StatVolume", random)["Anonymous"], random)
    root.call("Manager.CreateVolume", "data", Namespace="other")
    walk.equal("all of them", sorted([random, "data"]), sorted(names(walk, Namespace="default", AllNamespaces=False)))
    walk.equal("in every namespace", 3, len(names(walk, AllNamespaces=True)))
    walk.equal("by a label", ["data"], names(walk, Filters=["labels.a==b"]))
    walk.equal("by a name", ["data"], names(walk, Filters=["name==data,anonymous==false"]))

    with pack(one=b"1" * 5000) as archive:
        job = walk.thing(root.call("Manager.ImportVolume", "data", archive.fileno(), Namespace="default"))
    walk.check("filled from an archive", job.call("Job.Wait")["Bytes"] > 5000)
    walk.equal("and read into one", b"1" * 5000, unpack(walk, root, "Manager.ExportVolume", "data", Namespace="default")["one"])
    with open("/dev/null", "rb") as nothing, open("/dev/null", "wb") as sink:
        for member, fd in (("Manager.ImportVolume", sink), ("Manager.ExportVolume", nothing)):
            walk.refused(f"{member} with the wrong end", "InvalidArgument", "not open for", root.call, member, "data",
                         fd.fileno(), Namespace="default")
    size, inodes = root.call("Manager.VolumeUsage", "data", Namespace="default")
    walk.check("what it takes", size >= 5000 and inodes >= 2, size, inodes)
    walk.refused("not as a snapshot", "FailedPrecondition", "is a volume", root.call, "Manager.RemoveSnapshot",
                 "volume/data", Snapshotter="native")
    walk.refused("nor as a root", "FailedPrecondition", "is a volume", root.call, "Manager.CreateContainerFromSnapshot",
                 "thief", IMAGE, "volume/data", Snapshotter=GLib.Variant("s", "native"), Command=["true"])

    source, sink = os.pipe()
    job = walk.thing(root.call("Manager.ImportVolume", random, source))
    os.close(source)
    walk.refused("what is being filled stays", "FailedPrecondition", "import", root.call, "Manager.RemoveVolume", random)
    walk.equal("and is not pruned", [], root.call("Manager.PruneVolumes"))
    status, text = walk.output_of("vol-busy", "ls", "-A", "/etc", Mounts=volume(walk, random, "/etc"))
    walk.equal("nor begun with what an image has", (0, ""), (status, text))
    with pack(late=b"2") as archive, open(sink, "wb") as pipe:
        pipe.write(archive.read())
    job.call("Job.Wait")
    walk.equal("it gets it all", b"2", unpack(walk, root, "Manager.ExportVolume", random)["late"])

    walk.equal("prune takes what nobody has named", [random], root.call("Manager.PruneVolumes", Namespace="default"))
    walk.equal("and what is older", [], root.call("Manager.PruneVolumes", All=True, Before=1))
    walk.equal("and matches", [], root.call("Manager.PruneVolumes", All=True, Filters=["labels.a==c"]))
    walk.equal("or all", ["data"], root.call("Manager.PruneVolumes", All=True))
    root.call("Manager.RemoveVolume", "data", Namespace="other")
    walk.equal("none is left", [], names(walk, AllNamespaces=True))
    walk.refused("one that is gone", "NotFound", "\"data\"", root.call, "Manager.StatVolume", "data")
    root.call("Manager.DeleteNamespace", "other")


def mounted(walk):
    """In containers: shared, kept, begun with what the image has."""
    root = walk.root
    status, text = walk.output_of("vol-a", "sh", "-c", "echo kept > /bin/new; ls /bin | wc -l",
                                  Mounts=volume(walk, "bin", "/bin"))
    walk.check("an empty volume begins with what the image has", status == 0 and int(text) > 5, text)
    status, text = walk.output_of("vol-b", "cat", "/mnt/x/new", Mounts=volume(walk, "bin", "/mnt/x", "ro"))
    walk.equal("what was written stays", (0, "kept\n"), (status, text))
    status, text = walk.output_of("vol-c", "touch", "/mnt/x/other", Mounts=volume(walk, "bin", "/mnt/x", "ro"))
    walk.matches("unless it may only be read", "Read-only", text)
    status, text = walk.output_of("vol-d", "sh", "-c", "ls /etc; grep ' /etc ' /proc/self/mountinfo",
                                  Mounts=volume(walk, "empty", "/etc", "nocopy"))
    walk.matches("nothing is copied on demand", r"^\S+ .*nosuid,nodev", text)
    user = walk.container("vol-user", Mounts=volume(walk, "bin", "/data"))
    walk.equal("its user", ["vol-user"], root.call("Manager.StatVolume", "bin")["Containers"])
    walk.refused("in use", "FailedPrecondition", "vol-user", root.call, "Manager.RemoveVolume", "bin")
    walk.equal("prune leaves it", ["empty"], root.call("Manager.PruneVolumes", All=True))
    walk.remove(user)
    walk.equal("a named one stays without its container", ["bin"], names(walk))
    root.call("Manager.RemoveVolume", "bin")
    walk.refused("a volume where the image has a file", "FailedPrecondition", "no directory", walk.container, "vol-e",
                 Mounts=volume(walk, "f", "/bin/sh"))
    walk.equal("leaves none", [], names(walk))


def anonymous(walk):
    """Paths that the image declares."""
    root = walk.root
    container, task = walk.ready("vol-maker", "mkdir -p /data/sub; echo first > /data/sub/f; echo; exec sleep 1000000")
    job = walk.thing(container.call("Container.Commit", WITH_VOLUMES, Changes=["VOLUME /data"]))
    job.call("Job.Wait")
    walk.remove(container)
    one = walk.container("vol-1", "true", image=WITH_VOLUMES)
    two = walk.container("vol-2", "true", image=WITH_VOLUMES, Mounts=volume(walk, "", "/extra"))
    walk.equal("one for each path of each container", 3, len(names(walk, Filters=["anonymous==true"])))
    walk.equal("or none", 0, len([m for m in walk.spec(walk.container(
        "vol-3", "true", image=WITH_VOLUMES, ImageVolumes=False))["mounts"] if m["destination"] == "/data"]))
    walk.remove(walk.thing(root.call("Manager.GetContainer", "vol-3")))
    status, text = walk.output_of("vol-4", "cat", "/data/sub/f", image=WITH_VOLUMES, AutoRemove=False)
    walk.equal("which begins with what is there", (0, "first\n"), (status, text))
    one.call("Container.Delete", CleanupVolumes=True)
    walk.equal("it goes with its container", 3, len(names(walk)))
    walk.remove(two)
    walk.equal("or stays", 3, len(names(walk)))
    root.call("Manager.PruneVolumes")
    busy = walk.container("vol-busy", "true", image=WITH_VOLUMES)
    left, = names(walk)
    source, sink = os.pipe()
    job = walk.thing(root.call("Manager.ImportVolume", left, source))
    os.close(source)
    busy.call("Container.Delete", CleanupVolumes=True)
    walk.equal("one that is being filled stays without its container", [left], names(walk))
    job.call("Job.Cancel")
    walk.check("and can go when that is over", walk.bus.wait(lambda: root.call("Manager.PruneVolumes") == [left]))
    os.close(sink)
    container, task = walk.running("vol-5", "true", image=WITH_VOLUMES, AutoRemove=True)
    walk.gone("a container that removes itself", container)
    walk.equal("takes them along", [], names(walk))
    root.call("Manager.DeleteImage", WITH_VOLUMES, Synchronous=True)


def images(walk):
    """An image as a mount."""
    root = walk.root
    mount = [(IMAGE, "/image", "image", [])]
    status, text = walk.output_of("vol-image", "sh", "-c", "test -x /image/bin/sh && touch /image/x", Mounts=mount)
    walk.check("an image is there to be read", status != 0 and "Read-only" in text, status, text)
    container = walk.container("vol-image", Mounts=mount)
    views = [key for key, s in root.call("Manager.ListSnapshots") if s["Kind"] == "View"]
    walk.equal("a view holds it", ["image/vol-image/0"], views)
    walk.refused("as long as the container is there", "FailedPrecondition", "vol-image", root.call,
                 "Manager.RemoveSnapshot", views[0])
    walk.remove(container)
    walk.equal("and no longer", [], [key for key, s in root.call("Manager.ListSnapshots") if s["Kind"] == "View"])
    walk.refused("one that is not there", "NotFound", "none", walk.container, "vol-none",
                 Mounts=[("localhost:5000/none", "/image", "image", [])])
    for option in "rw", "rrw":
        walk.refused("the layer itself is nobody's to write to", "InvalidArgument", "read only", walk.container,
                     "vol-none", Mounts=[(IMAGE, "/image", "image", [option])])
    walk.refused("none at all", "InvalidArgument", "names no image", walk.container, "vol-none",
                 Mounts=[("", "/image", "image", [])])


CHAPTERS = [("volumes", life), ("volumes in containers", mounted), ("volumes of images", anonymous),
            ("images as mounts", images)]
