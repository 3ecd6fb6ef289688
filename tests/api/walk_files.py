# SPDX-License-Identifier: LGPL-2.1-or-later
"""Files of containers: in, out, what was changed, and what an image becomes of it."""

import io
import os
import tarfile
import tempfile


def pack(**files):
    """An archive as an open file."""
    archive = tempfile.TemporaryFile()
    with tarfile.open(fileobj=archive, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for name, data in files.items():
            info = tarfile.TarInfo(name)
            info.size, info.uid = len(data), 7
            tar.addfile(info, io.BytesIO(data))
    archive.seek(0)
    return archive


def unpack(walk, container, member, *arguments, **more):
    """The files of the archive that a method writes."""
    with tempfile.TemporaryFile() as archive:
        job = walk.thing(container.call(member, *arguments, archive.fileno(), **more))
        written = job.call("Job.Wait")["Bytes"]
        walk.equal(f"{member} tells how much it has written", os.fstat(archive.fileno()).st_size, written)
        archive.seek(0)
        with tarfile.open(fileobj=archive) as tar:
            return {m.name: tar.extractfile(m).read() if m.isreg() else None for m in tar}


def put(walk, container, path, archive, **more):
    job = walk.thing(container.call("Container.CopyIn", path, archive.fileno(), **more))
    job.call("Job.Wait")


def files(walk):
    container, task = walk.running("files", "sh", "-c", "ln -s tmp way; while :; do sleep 0.1; done")
    walk.bus.wait(lambda: "/way" in [path for _, path in container.call("Container.Diff")])
    put(walk, container, "/tmp", pack(one=b"1"))
    walk.equal("what was copied in", {"one": b"1"}, unpack(walk, container, "Container.CopyOut", "/tmp/one"))
    put(walk, container, "/tmp", pack(two=b"22"), CopyUIDGID=False, NoOverwriteDirNonDir=True)
    walk.equal("owners are kept, or not", [7, 0], [container.call("Container.StatPath", f"/tmp/{n}")["UID"]
                                                   for n in ("one", "two")])
    walk.refused("a directory stays one", "FailedPrecondition", "is a directory", put, walk, container, "/",
                 pack(tmp=b""), NoOverwriteDirNonDir=True)
    walk.equal("a link", ("way", "tmp"), tuple(container.call("Container.StatPath", "/way")[k] for k in ("Name", "LinkTarget")))
    walk.equal("and what it leads to", 0o40000, container.call("Container.StatPath", "/way", FollowLink=True)["Mode"] & 0o170000)
    walk.check("is archived", "way/one" in unpack(walk, container, "Container.CopyOut", "/way", FollowLink=True))
    walk.check("as is all", "tmp/two" in unpack(walk, container, "Container.Export"))
    changes = container.call("Container.Diff", Limit=1000)
    walk.check("changes", {("C", "/tmp"), ("A", "/tmp/one"), ("A", "/way")} <= set(changes), changes)
    with open("/dev/null", "rb") as source, open("/dev/null", "wb") as sink:
        for member, given, fd in (("Container.CopyIn", ("/tmp",), sink), ("Container.CopyOut", ("/tmp",), source),
                                  ("Container.Export", (), source)):
            walk.refused(f"{member} with the wrong end", "InvalidArgument", "not open for", container.call, member, *given,
                         fd.fileno())
    walk.refused("more than allowed", "ResourceExhausted", "more than 1", container.call, "Container.Diff", Limit=1)
    walk.refused("what is not there", "NotFound", "/none", container.call, "Container.StatPath", "/none")
    walk.refused("what can be nowhere", "InvalidArgument", "4095", container.call, "Container.StatPath", "x" * 200000)

    job = walk.thing(container.call("Container.Commit", "localhost:5000/files:1", Pause=True, Author="A", Comment="C",
                                    Changes=["CMD [\"cat\", \"/tmp/two\"]"], Compression="zstd", Unpack=True))
    outcome = job.call("Job.Wait")
    walk.matches("an image of it", "^sha256:", outcome["Digest"])
    walk.becomes("it goes on", task, "Process.Status", "RUNNING")
    reader, writer = os.pipe()
    again = walk.thing(walk.root.call("Manager.CreateContainer", "again", "localhost:5000/files:1"))
    second = walk.thing(again.call("Container.CreateTask", Stdout=writer))
    os.close(writer)
    second.call("Process.Start")
    with open(reader, "rb") as stream:
        walk.equal("runs at once", b"22", stream.read())
    walk.remove(container, again)
    walk.root.call("Manager.DeleteImage", "localhost:5000/files:1", Synchronous=True)


CHAPTERS = [("files of containers", files)]
