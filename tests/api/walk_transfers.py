# SPDX-License-Identifier: LGPL-2.1-or-later
"""Images to registries and archives and back; their names and what they take."""

import contextlib
import io
import json
import os
import pathlib
import tarfile
import tempfile

import bus
from walk import IMAGE
from walk_images import layout

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
WORK = "localhost:5000/work:latest"


@contextlib.contextmanager
def memory_file(data=b""):
    """A descriptor of a file that only we have."""
    fd = os.memfd_create("walk")
    os.write(fd, data)
    os.lseek(fd, 0, os.SEEK_SET)
    try:
        yield fd
    finally:
        os.close(fd)


def contents(fd):
    os.lseek(fd, 0, os.SEEK_SET)
    with open(fd, "rb", closefd=False) as stream:
        return stream.read()


def finish(walk, path):
    """What a job brings."""
    job = walk.thing(path)
    pending = job.send("Job.Wait")
    return walk.answer(pending)


def image(walk, name=WORK, **more):
    return walk.thing(walk.root.call("Manager.GetImage", name, **more))


def resolving(walk):
    digest = layout("busybox")[0]
    walk.equal("what a tag stands for", digest, walk.root.call("Manager.ResolveRemoteDigest", "localhost:5000/walk"))
    with memory_file(b'{"username": "nobody", "password": "x"}') as fd:
        walk.equal("asked with a name", digest, walk.root.call("Manager.ResolveRemoteDigest", IMAGE, Credentials=fd,
                                                               Namespace="default"))
    walk.refused("what is not there", "NotFound", "nothere", walk.root.call, "Manager.ResolveRemoteDigest",
                 "localhost:5000/nothere")
    with memory_file(b"nonsense") as fd:
        walk.refused("credentials that are none", "InvalidArgument", "credentials", walk.root.call,
                     "Manager.ResolveRemoteDigest", IMAGE, Credentials=fd)
    directory = os.open("/", os.O_RDONLY | os.O_DIRECTORY)
    walk.refused("credentials that have no end", "InvalidArgument", "Credentials", walk.root.call,
                 "Manager.ResolveRemoteDigest", IMAGE, Credentials=directory)
    os.close(directory)


def searching(walk):
    name = "localhost:5000/walk"
    [(found, details)] = walk.root.call("Manager.SearchImages", name, Namespace="default")
    walk.equal("a registry without a search tells names", (name, {"Description": "", "Stars": 0, "Official": False}),
               (found, details))
    with memory_file(b'{"username": "nobody", "password": "x"}') as fd:
        walk.equal("so many of them", 1, len(walk.root.call("Manager.SearchImages", "localhost:5000/", Limit=1,
                                                            Credentials=fd)))
    walk.equal("nothing is found", [], walk.root.call("Manager.SearchImages", "localhost:5000/nothere"))
    walk.refused("a term with a blank", "InvalidArgument", "blanks", walk.root.call, "Manager.SearchImages", "a b")
    walk.refused("too many", "InvalidArgument", "1000", walk.root.call, "Manager.SearchImages", name, Limit=1001)
    with memory_file(b'{"username": "nobody", "password": "x"}') as fd:
        walk.refused("credentials for whoever", "InvalidArgument", "one registry", walk.root.call, "Manager.SearchImages",
                     "walk", Credentials=fd)


def pulling(walk):
    """The options of PullImage."""
    digest, _, size, manifest, _ = layout("layers")
    walk.push("layers", "work:latest")
    walk.refused("what is not to be pulled", "NotFound", "not to be pulled", walk.root.call, "Manager.PullImage", WORK,
                 Policy="never")
    walk.refused("too many files", "ResourceExhausted", "entries", finish, walk,
                 walk.root.call("Manager.PullImage", WORK, Limits={"entries": 1}))
    with memory_file(b'{"username": "nobody", "password": "x"}') as fd:
        result = finish(walk, walk.root.call("Manager.PullImage", WORK, Credentials=fd, Labels={"a": "b"}, KeepLayers=True,
                                             Platform="linux/amd64", AllPlatforms=True, Limits={"entries": 1000000}))
    work = image(walk)
    walk.equal("a pull answers image and digest", {"Image": work.path, "Digest": digest}, result)
    walk.property("with the labels", work, "Image.Labels", {"a": "b"})
    walk.property("and the platforms", work, "Image.Platforms", ["linux/amd64"])
    walk.equal("one that is there needs no pull", result,
               finish(walk, walk.root.call("Manager.PullImage", WORK, Policy="never")))
    walk.refused("a limit that is none", "InvalidArgument", "Limits.*age", walk.root.call, "Manager.PullImage", WORK,
                 Limits={"age": 1})
    walk.refused("a snapshotter that is none", "InvalidArgument", "no snapshotter \"zfs\"", walk.root.call,
                 "Manager.PullImage", WORK, Snapshotter="zfs")
    walk.root.call("Manager.CreateLease", "pulled")
    walk.equal("one that is there, and a lease", result, finish(walk, walk.root.call(
        "Manager.PullImage", WORK, Snapshotter="native", Lease="pulled")))
    walk.check("which holds the image", ("images", WORK) in walk.root.call("Manager.ListLeaseResources", "pulled"))
    walk.root.call("Manager.DeleteLease", "pulled")
    walk.refused("a platform that is none", "InvalidArgument", "Platform", walk.root.call, "Manager.PullImage", WORK,
                 Platform="/")
    usage = work.call("Image.Usage")
    walk.equal("the content", size, usage["ContentBytes"])
    walk.check("the layers, of which others have one", 0 < usage["SharedBytes"] < usage["SnapshotBytes"], usage)
    walk.equal("no container", 0, usage["Containers"])
    walk.root.call("Manager.TagImage", WORK, "localhost:5000/twin", Namespace="default")
    walk.equal("two names share all of it", (usage["ContentBytes"] + usage["SnapshotBytes"]),
               work.call("Image.Usage")["SharedBytes"])
    walk.root.call("Manager.DeleteImage", "localhost:5000/twin", Synchronous=True)
    top = json.loads(manifest)["layers"][-1]["digest"]

    def deletions():
        return len(walk.events(top, "/content/delete", ""))

    before = deletions()
    finish(walk, walk.root.call("Manager.PullImage", WORK, KeepLayers=False))
    kept = len(manifest.encode()) + json.loads(manifest)["config"]["size"]
    walk.equal("without its layers there are the documents", kept, image(walk).call("Image.Usage")["ContentBytes"])
    walk.check("the layers go", walk.bus.wait(lambda: deletions() > before, walk.patience))
    walk.refused("and it cannot be pushed", "NotFound", "sha256:", finish, walk,
                 walk.root.call("Manager.PushImage", WORK))
    finish(walk, walk.root.call("Manager.PullImage", WORK, KeepLayers=True))
    walk.equal("until they are fetched again", size, image(walk).call("Image.Usage")["ContentBytes"])


def naming(walk):
    work = image(walk)
    tagged = walk.thing(walk.root.call("Manager.TagImage", WORK, "tagged", Namespace="default"))
    walk.property("another name", tagged, "Image.Name", "docker.io/library/tagged:latest")
    walk.equal("for the same", [work.get(f"Image.{p}") for p in ("Digest", "Size", "Labels", "Platforms", "Unpacked")],
               [tagged.get(f"Image.{p}") for p in ("Digest", "Size", "Labels", "Platforms", "Unpacked")])
    walk.event("is told", "/images/create", "docker.io/library/tagged:latest", Labels={"a": "b"})
    tagged.call("Image.SetLabels", {"kind": "copy"})
    walk.property("with labels of its own", tagged, "Image.Labels", {"kind": "copy"})
    walk.event("which are told", "/images/update", "docker.io/library/tagged:latest", Labels={"kind": "copy"})
    walk.property("which the other one has not", work, "Image.Labels", {"a": "b"})
    finish(walk, walk.root.call("Manager.PullImage", IMAGE))
    walk.equal("a name is moved", tagged.path, walk.root.call("Manager.TagImage", IMAGE, "tagged"))
    walk.property("to the other image", tagged, "Image.Digest", layout("busybox")[0])
    walk.refused("not to one that is not there", "NotFound", "none", walk.root.call, "Manager.TagImage", "none", "x")
    walk.refused("and it must be one", "InvalidArgument", ".", walk.root.call, "Manager.TagImage", IMAGE, "A b")


def pushing(walk):
    digest = layout("layers")[0]
    result = finish(walk, walk.root.call("Manager.PushImage", WORK, Namespace="default", Target="localhost:5000/sent:1",
                                         ChunkSize=65536))
    walk.equal("a push answers what it put there", digest, result["Digest"])
    walk.check("blobs are taken over from where they are", result["Mounted"] > 0 and result["Uploaded"] == 0, result)
    walk.equal("it is there", digest, walk.root.call("Manager.ResolveRemoteDigest", "localhost:5000/sent:1"))
    with memory_file(b'{"username": "nobody", "password": "x"}') as fd:
        result = finish(walk, walk.root.call("Manager.PushImage", WORK, Target="localhost:5000/sent:1", Credentials=fd,
                                             AllPlatforms=True, Platform="linux/amd64"))
    walk.check("once more it is all there", result["Existed"] > 0 and result["Mounted"] == result["Uploaded"] == 0, result)
    walk.refused("not what is not here", "NotFound", "none", walk.root.call, "Manager.PushImage", "none")
    walk.refused("pieces that are too small", "InvalidArgument", "chunk", finish, walk,
                 walk.root.call("Manager.PushImage", WORK, ChunkSize=1))


def archives(walk):
    digest = layout("layers")[0]
    with memory_file() as fd:
        result = finish(walk, walk.root.call("Manager.ExportImages", [WORK, IMAGE], fd, Namespace="default",
                                             Format="oci-archive"))
        walk.equal("an export answers the names", [WORK, IMAGE], result["Images"])
        data = contents(fd)
    names = tarfile.open(fileobj=io.BytesIO(data)).getnames()
    walk.check("it is an image layout", {"oci-layout", "index.json"} <= set(names), names)
    with memory_file(data) as fd:
        result = finish(walk, walk.root.call("Manager.ImportImages", fd, Namespace="back", Labels={"from": "archive"},
                                             KeepLayers=True, Limits={"bytes": 1 << 30}, Unpack=True,
                                             Platform="linux/amd64"))
    walk.equal("which can be imported", {WORK, IMAGE}, set(result["Images"]))
    back = image(walk, Namespace="back")
    walk.property("as the same", back, "Image.Digest", digest)
    walk.property("with labels", back, "Image.Labels", {"from": "archive"})
    walk.property("unpacked", back, "Image.Unpacked", True)
    with memory_file() as fd:
        finish(walk, walk.root.call("Manager.ExportImages", [WORK], fd, Format="docker-archive", AllPlatforms=False,
                                    Platform="linux/amd64"))
        data = contents(fd)
    with memory_file(data) as fd:
        walk.root.call("Manager.CreateLease", "imported", Namespace="back")
        walk.refused("for no snapshotter", "InvalidArgument", "no snapshotter", walk.root.call, "Manager.ImportImages", fd,
                     Snapshotter="zfs")
        result = finish(walk, walk.root.call("Manager.ImportImages", fd, Namespace="back", Unpack=False, Lease="imported",
                                             Snapshotter="overlayfs"))
    walk.equal("docker's kind, too", [WORK], result["Images"])
    walk.check("a lease holds it", ("images", WORK) in walk.root.call("Manager.ListLeaseResources", "imported",
                                                                      Namespace="back"))
    walk.root.call("Manager.DeleteLease", "imported", Namespace="back")
    with memory_file() as fd:
        finish(walk, walk.root.call("Manager.ExportImages", [WORK], fd, AllPlatforms=True))
        walk.check("with all platforms", len(contents(fd)) > 10240)
    tree = io.BytesIO()
    with tarfile.open(fileobj=tree, mode="w") as tar:
        tar.addfile(tarfile.TarInfo("file"), io.BytesIO())
    with memory_file(tree.getvalue()) as fd:
        result = finish(walk, walk.root.call("Manager.ImportImages", fd, Namespace="back", Rootfs=True, Name="made",
                                                 Comment="by hand", Changes=["CMD [\"sh\"]", "LABEL a=b"]))
    walk.equal("and a root file system", ["docker.io/library/made:latest"], result["Images"])
    with memory_file(tree.getvalue()) as fd:
        walk.refused("no instruction", "InvalidArgument", "CMD, ENTRYPOINT", finish, walk,
                     walk.root.call("Manager.ImportImages", fd, Rootfs=True, Name="made", Changes=["RUN x"]))
        walk.refused("changes of an archive's images", "InvalidArgument", "only",
                     walk.root.call, "Manager.ImportImages", fd, Changes=["CMD x"])
    with memory_file(b"nonsense") as fd:
        walk.refused("what is no archive", "DataLoss", "archive", finish, walk,
                     walk.root.call("Manager.ImportImages", fd))
        walk.refused("what is not here", "NotFound", "none", walk.root.call, "Manager.ExportImages", ["none"], fd)
        walk.refused("no image", "InvalidArgument", "Between 1 and", walk.root.call, "Manager.ExportImages", [], fd)
    handle = os.open("/etc/passwd", os.O_PATH)
    walk.refused("a handle is not open for reading", "InvalidArgument", "not open for reading", walk.root.call,
                 "Manager.ImportImages", handle)
    os.close(handle)
    with tempfile.TemporaryDirectory() as directory:
        fd = os.open(pathlib.Path(directory) / "file", os.O_RDONLY | os.O_CREAT)
        walk.refused("nor what is read-only for writing", "InvalidArgument", "not open for writing", walk.root.call,
                     "Manager.ExportImages", [WORK], fd)
        os.close(fd)


def pruning(walk):
    container = walk.container("keeps", "true")
    walk.equal("what matches is removed", {"docker.io/library/tagged:latest"},
               set(walk.root.call("Manager.PruneImages", Filters=["name~=tagged"], Namespace="default")))
    walk.equal("nothing is that old", [], walk.root.call("Manager.PruneImages", Before=1000000))
    walk.equal("what a container was made from stays", [WORK], walk.root.call("Manager.PruneImages", Synchronous=True))
    walk.event("the rest is gone", "/images/delete", WORK)
    walk.equal("in that namespace", 3, len(walk.root.call("Manager.ListImages", Namespace="back")))
    walk.equal("until it is meant", 3, len(walk.root.call("Manager.PruneImages", Synchronous=True, Namespace="back")))
    walk.remove(container)
    walk.root.call("Manager.DeleteNamespace", "back")


CHAPTERS = [("resolving references", resolving), ("searching", searching), ("options of pulls", pulling), ("names of images", naming),
            ("pushing", pushing), ("archives", archives), ("pruning images", pruning)]
