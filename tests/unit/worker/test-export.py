#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker export: what is in the archives, that it is always the same, and what becomes of a damaged store."""

import io
import json
import os
import select
import shutil
import signal
import tarfile

import registry
import worker
from registry import Image, descriptor, digest, tar


class Export(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.layers = [tar(("a", os.urandom(300000))), tar(("b", b"bb"))]
        self.image = Image(*self.layers)
        self.digest = self.registry.serve(self.image)
        self.pull("--no-unpack")

    def export(self, *arguments):
        """The archive's bytes."""
        path = self.root / "archive"
        with open(path, "wb") as file:
            self.result = self.run_verb("export", f"--fd={file.fileno()}", *(arguments or (self.digest,)), fds=[file.fileno()])
        return path.read_bytes()

    def members(self, data):
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.assertEqual({(m.mode, m.uid, m.gid, m.mtime, m.type) for m in archive}, {(0o444, 0, 0, 0, tarfile.REGTYPE)})
            return {m.name: archive.extractfile(m).read() for m in archive}

    def import_again(self, data, *arguments):
        shutil.rmtree(self.content)
        (self.root / "archive").write_bytes(data)
        return self.run_verb("import", *arguments, str(self.root / "archive"))

    def assert_export_fails(self, code, regex, *arguments):
        with open("/dev/null", "wb") as file:
            self.assert_fails(code, regex, f"--fd={file.fileno()}", *arguments, verb="export", fds=[file.fileno()])

    def test_oci(self):
        data = self.export("--name=example.com/app:1", "--name=example.com/app:2", self.digest)
        members = self.members(data)
        for blob in [*self.image.blobs.values(), self.image.document()]:
            self.assertEqual(members.pop("blobs/sha256/" + digest(blob)[7:]), blob)
        self.assertEqual(set(members), {"index.json", "oci-layout"})
        self.assertEqual([m["digest"] for m in json.loads(members["index.json"])["manifests"]], [self.digest] * 2)
        self.assertEqual(self.result["images"][0]["digest"], self.digest)
        one, = self.import_again(data)["images"]
        self.assertEqual((one["digest"], one["names"]), (self.digest, ["example.com/app:1", "example.com/app:2"]))

    def test_docker(self):
        data = self.export("--format=docker-archive", "--name=example.com/app:1", self.digest)
        members = self.members(data)
        self.assertEqual([members[digest(layer)[7:] + ".tar"] for layer in self.layers], self.layers)
        one, = self.import_again(data)["images"]
        self.assertEqual(one["names"], ["example.com/app:1"])
        self.assertEqual([d["diff_id"] for d in one["layers"]], [digest(layer) for layer in self.layers])

    def test_same(self):
        """Equal images give equal bytes."""
        for form in ("oci-archive", "docker-archive"):
            first = self.export(f"--format={form}", self.digest)
            os.utime(self.content / "sha256" / self.digest[7:], (1, 1))
            self.assertEqual(self.export(f"--format={form}", self.digest), first)

    def test_two(self):
        """A common layer is written once."""
        other = Image(self.layers[0], tar(("c", b"")))
        self.registry.serve(other)
        self.pull("--no-unpack")
        for form in ("oci-archive", "docker-archive"):
            data = self.export(f"--format={form}", self.digest, "--name=second", digest(other.document()))
            with tarfile.open(fileobj=io.BytesIO(data)) as archive:
                names = archive.getnames()
            self.assertEqual(len(names), len(set(names)))
        self.assertEqual([i["names"] for i in self.import_again(data)["images"]], [[], ["second"]])

    def test_index(self):
        other = Image(tar(("arm", b"")), architecture="arm64")
        index = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [
            descriptor(registry.MANIFEST, image.document(), platform={"os": "linux", "architecture": name})
            for image, name in ((self.image, "amd64"), (other, "arm64"))]}).encode()
        for data in [*other.blobs.values(), other.document(), index]:
            (self.content / "sha256" / digest(data)[7:]).write_bytes(data)
        all_of_it = self.members(self.export("--all-platforms", digest(index)))
        self.assertEqual(len(all_of_it), 1 + 2 + 3 + 2 + 2)
        self.export("--platform=linux/arm64", digest(index))
        self.assertEqual(self.result["images"][0]["digest"], digest(other.document()))
        self.assert_export_fails("InvalidArgument", "no place for an index", "--format=docker-archive", "--all-platforms",
                                 digest(index))

    def test_damaged(self):
        path = self.content / "sha256" / digest(self.image.layers[0])[7:]
        path.chmod(0o600)
        data = bytearray(path.read_bytes())
        data[1000] ^= 1
        path.write_bytes(data)
        self.assert_export_fails("DataLoss", "is damaged in the store", self.digest)
        self.assert_export_fails("DataLoss", ".", "--format=docker-archive", self.digest)
        path.unlink()
        self.assert_export_fails("NotFound", "not in the store", self.digest)

    def test_bad_options(self):
        self.assert_export_fails("InvalidArgument", "digest of an image are needed")
        self.assert_export_fails("InvalidArgument", "--format must be", "--format=zip", self.digest)
        self.assert_export_fails("InvalidArgument", ".", "sha256:1")
        self.assert_fails("InvalidArgument", "--fd", self.digest, verb="export")
        self.assert_fails("InvalidArgument", "is no open file", "--fd=99", self.digest, verb="export")

    def test_full(self):
        with open("/dev/full", "wb", buffering=0) as file:
            self.assert_fails("ResourceExhausted", "No space left", f"--fd={file.fileno()}", self.digest, verb="export",
                              fds=[file.fileno()])

    def test_cancel(self):
        """A pipe that nobody reads: when it is full, nobody waits in a write."""
        read, write = os.pipe()
        session = worker.Session(self.root, f"--fd={write}", self.digest, env=self.env, verb="export", fds=[write])
        session.next("progress")
        self.wait_for(lambda: not select.select([], [write], [], 0)[1])
        session.signal(signal.SIGTERM)
        with self.assertRaises(worker.Failed) as context:
            session.finish()
        self.assertEqual(context.exception.code, "Canceled")
        os.close(read)
        os.close(write)


if __name__ == "__main__":
    worker.main()
