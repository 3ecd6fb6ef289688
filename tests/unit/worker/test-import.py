#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker import: archives of every kind, whole and broken ones."""

import gzip
import hashlib
import io
import json
import os
import signal
import subprocess
import tarfile

import registry
import worker
from registry import Image, descriptor, digest, entry, tar

LAYOUT = ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')


def blob(data):
    return ("blobs/sha256/" + digest(data)[7:], data)


def oci(*images, order=None, annotations=({},), **more):
    """An OCI archive."""
    members = {name: data for image in images for name, data in map(blob, [*image.blobs.values(), image.document()])}
    index = {"schemaVersion": 2, "manifests": [
        descriptor(image.media_type, image.document(), annotations=notes, **more)
        for image in images for notes in annotations]}
    members = [*members.items(), ("index.json", json.dumps(index).encode()), LAYOUT]
    return tar(*(order(members) if order else members))


def docker(image, layers, tags=("example.com/app:1",), config=None):
    """What docker save writes: layers without compression, in directories of their own."""
    config = json.dumps(image.config).encode() if config is None else config
    name = hashlib.sha256(config).hexdigest() + ".json"
    members = [(f"layer{i}/layer.tar", layer) if isinstance(layer, bytes) else layer for i, layer in enumerate(layers)]
    names = [m[0] if isinstance(m, tuple) else m.name for m in members]
    manifest = [{"Config": name, "RepoTags": list(tags), "Layers": names}]
    return tar(*members, (name, config), ("repositories", b"{}"), ("manifest.json", json.dumps(manifest).encode()))


class Import(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.layers = [tar(("a", os.urandom(300000))), tar(("b", b"bb"))]
        self.image = Image(*self.layers)

    def load(self, data, *arguments, fds=()):
        """Import from a pipe."""
        read, write = os.pipe()
        pid = os.fork()
        if pid == 0:
            os.close(read)
            try:
                with os.fdopen(write, "wb") as file:
                    file.write(data)
            finally:
                os._exit(0)
        os.close(write)
        try:
            return self.run_verb("import", f"--fd={read}", *arguments, fds=[read, *fds])
        finally:
            os.close(read)
            os.waitpid(pid, 0)

    def assert_load_fails(self, code, regex, data, *arguments, **more):
        with self.assertRaises(worker.Failed) as context:
            self.load(data, *arguments, **more)
        self.assertEqual(context.exception.code, code, context.exception)
        self.assertRegex(context.exception.text, regex)
        self.assert_no_trees()
        self.assertEqual([name for name in self.partial() if len(name) != 64], [], "what cannot be resumed is gone")
        for name in self.stored():
            self.assertEqual(digest((self.content / "sha256" / name).read_bytes()), "sha256:" + name)

    def check(self, result, image=None):
        """One image with its trees."""
        image = image or self.image
        one, = result["images"]
        self.assertEqual(self.stored(), {d[7:] for d in result["kept"]})
        for i, layer in enumerate(self.layers):
            tree = self.tree(one, i)
            with tarfile.open(fileobj=io.BytesIO(layer)) as archive:
                for member in archive:
                    self.assertEqual((tree / member.name).read_bytes(), archive.extractfile(member).read())
        self.assertEqual(self.partial(), {})
        return one

    def test_oci(self):
        one = self.check(self.load(oci(self.image, annotations=[{"org.opencontainers.image.ref.name": "example.com/app:1"}])))
        self.assertEqual(one["digest"], digest(self.image.document()))
        self.assertEqual(one["names"], ["example.com/app:1"])
        self.assertEqual((self.content / "sha256" / one["digest"][7:]).read_bytes(), self.image.document())

    def test_order(self):
        """The index may come first, and the archive be compressed."""
        self.check(self.load(gzip.compress(oci(self.image, order=lambda members: members[::-1]))))

    def test_names(self):
        """Two names of one image are one image; containerd's annotation is the better one."""
        names = [{"io.containerd.image.name": "example.com/app:1", "org.opencontainers.image.ref.name": "1"},
                 {"org.opencontainers.image.ref.name": "2"}, {}]
        one = self.check(self.load(oci(self.image, annotations=names)))
        self.assertEqual(one["names"], ["example.com/app:1", "2"])

    def test_two(self):
        other = Image(tar(("c", b"c")))
        result = self.load(oci(self.image, other))
        self.assertEqual([i["digest"] for i in result["images"]], [digest(self.image.document()), digest(other.document())])
        self.assertEqual((self.tree(result["images"][1]) / "c").read_bytes(), b"c")
        self.assertEqual(self.last.plan["digest"], digest(other.document()), "each image is asked for")

    def test_shared_layers(self):
        """What several images of an archive have in common is extracted once."""
        base = self.layers[0]
        images = [Image(base, tar((f"n{i}", b"x"))) for i in range(3)]
        result = self.load(oci(*images))
        directories = [[layer["directory"] for layer in image["layers"]] for image in result["images"]]
        self.assertTrue(all(directories[0]))
        for first, second in directories[1:]:
            self.assertIsNone(first)
            self.assertTrue(second)
        self.assertEqual(len(self.trees()), 4)

    def test_many_images(self):
        """A result that is longer than one packet."""
        images = [Image(*(tar((f"n{i}-{k}", b"x")) for k in range(8)), tar((f"m{i}", b"x"))) for i in range(32)]
        result = self.load(oci(*images), "--no-unpack")
        self.assertEqual([i["digest"] for i in result["images"]], [digest(i.document()) for i in images])
        self.assertGreater(self.last.n_parts, 0)

    def test_leftovers(self):
        """Nothing of an archive that was not imported is left, however it ended."""
        whole = oci(self.image)
        for data in (whole[:len(whole) // 2], tar(*[blob(b) for b in self.image.blobs.values()])):
            with self.assertRaises(worker.Failed):
                self.load(data)
            self.assertEqual((self.partial(), self.stored()), ({}, set()))

    def test_file(self):
        path = self.root / "archive"
        path.write_bytes(oci(self.image))
        self.check(self.run_verb("import", str(path)))
        self.assert_fails("NotFound", "Failed to open", str(self.root / "none"), verb="import")
        self.assert_fails("InvalidArgument", "one archive", verb="import")

    def test_directory(self):
        """An image layout as a directory; symbolic links lead nowhere."""
        directory = self.root / "layout"
        with tarfile.open(fileobj=io.BytesIO(oci(self.image))) as archive:
            archive.extractall(directory)
        self.check(self.run_verb("import", str(directory)))
        stray = directory / "blobs/sha256" / ("0" * 64)
        stray.symlink_to("/etc/passwd")
        self.assert_fails("Unknown", "0000", str(directory), verb="import")
        stray.unlink()
        stray.mkdir()
        self.assert_fails("InvalidArgument", "not a regular file", str(directory), verb="import")
        (directory / "index.json").unlink()
        stray.rmdir()
        self.assert_fails("InvalidArgument", "neither an OCI archive", str(directory), verb="import")

    def test_again(self):
        """What is in the store already is not written again."""
        self.load(oci(self.image), "--no-unpack")
        before = {p.name: p.stat().st_ino for p in (self.content / "sha256").iterdir()}
        self.check(self.load(oci(self.image)))
        self.assertEqual({p.name: p.stat().st_ino for p in (self.content / "sha256").iterdir()}, before)

    def test_left_over(self):
        """A pull left a part of a blob, and a crashed import a file."""
        data = self.image.layers[0]
        self.load(oci(Image(tar(("x", b"")))), "--no-unpack")
        (self.content / "ingest" / digest(data)[7:]).write_bytes(data[:1000])
        (self.content / "ingest" / ".import-1-1").write_bytes(b"left")
        result = self.load(oci(self.image))
        self.assertEqual(self.partial(), {})
        self.assertEqual(len(result["images"]), 1)

    def test_unreferenced(self):
        """What no image refers to is not kept."""
        data = oci(self.image, order=lambda members: [*members, blob(b"stray"), ("README", b"hello")])
        self.check(self.load(data))

    def test_index(self):
        """Of an index all is kept and the image for the platform unpacked."""
        other = Image(tar(("arm", b"")), architecture="arm64")
        index = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [
            descriptor(registry.MANIFEST, image.document(), platform={"os": "linux", "architecture": name})
            for image, name in ((self.image, "amd64"), (other, "arm64"))]}).encode()
        top = json.dumps({"schemaVersion": 2, "manifests": [descriptor(registry.INDEX, index)]}).encode()
        blobs = [*self.image.blobs.values(), self.image.document(), *other.blobs.values(), other.document(), index]
        archive = tar(*{name: data for name, data in map(blob, blobs)}.items(), ("index.json", top), LAYOUT)
        one = self.check(self.load(archive))
        self.assertEqual((one["digest"], one["manifest"]["digest"]), (digest(index), digest(self.image.document())))
        self.assertIn(digest(other.layers[0])[7:], self.stored())
        self.assertEqual({b["digest"][7:] for b in one["blobs"]}, self.stored())
        self.assertEqual(one["platforms"], ["linux/amd64", "linux/arm64"])
        one, = self.load(archive, "--platform=linux/arm64")["images"]
        self.assertEqual(one["manifest"]["digest"], digest(other.document()))

    def test_incomplete_index(self):
        """An archive need not have all that its index names; what there is belongs to the image."""
        other, none = (Image(tar((name, b"")), architecture=name) for name in ("arm64", "riscv64"))
        index = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [
            descriptor(registry.MANIFEST, image.document(), platform={"os": "linux", "architecture": name})
            for image, name in ((self.image, "amd64"), (other, "arm64"), (none, "riscv64"))]}).encode()
        top = json.dumps({"schemaVersion": 2, "manifests": [descriptor(registry.INDEX, index)]}).encode()
        blobs = [*self.image.blobs.values(), self.image.document(), json.dumps(other.config).encode(), other.document(),
                 index]
        archive = tar(*{name: data for name, data in map(blob, blobs)}.items(), ("index.json", top), LAYOUT)
        one = self.check(self.load(archive))
        self.assertEqual({b["digest"][7:] for b in one["blobs"]}, self.stored())
        self.assertEqual(one["platforms"], ["linux/amd64"])

    def test_encrypted(self):
        """Nothing of it stays."""
        image = Image(self.layers[0], layer_type=registry.LAYER + "+encrypted")
        self.assert_load_fails("NotImplemented", r"layers\[0\] is encrypted", oci(image))

    def test_docker(self):
        data = docker(self.image, self.layers)
        one = self.check(self.load(data))
        self.assertEqual(one["names"], ["example.com/app:1"])
        manifest = json.loads((self.content / "sha256" / one["digest"][7:]).read_bytes())
        self.assertEqual([d["digest"] for d in manifest["layers"]], [digest(layer) for layer in self.layers])
        self.assertEqual({d["mediaType"] for d in manifest["layers"]}, {"application/vnd.oci.image.layer.v1.tar"})
        self.assertEqual(manifest["config"]["digest"], digest(json.dumps(self.image.config).encode()))
        self.assertEqual(self.load(data, "--no-unpack")["images"][0]["digest"], one["digest"], "equal bytes, equal digest")

    def test_docker_links(self):
        """A layer that occurs twice is a link the second time."""
        link = entry("layer1/layer.tar", tarfile.SYMTYPE, linkname="../layer0/layer.tar")
        self.layers = [self.layers[0], self.layers[0]]
        image = Image(*self.layers)
        self.check(self.load(docker(image, [self.layers[0], link])))

    def test_docker_compressed(self):
        self.check(self.load(docker(self.image, [gzip.compress(self.layers[0]), self.layers[1]])))

    def test_docker_wrong(self):
        config = dict(self.image.config, rootfs={"type": "layers", "diff_ids": [digest(b"x"), digest(self.layers[1])]})
        self.assert_load_fails("DataLoss", "the config says", docker(self.image, self.layers, config=json.dumps(config).encode()))
        for data in (b"{}", b"[1]", b"[", b'[{"Config": "none", "Layers": []}]', b'[{"Config": 1, "Layers": ["x"]}]', b"[]"):
            with self.subTest(data):
                self.assert_load_fails("InvalidArgument", ".", tar(("manifest.json", data)))
        loop = [entry("l/layer.tar", tarfile.SYMTYPE, linkname="layer.tar")]
        self.assert_load_fails("InvalidArgument", "not in the archive", docker(self.image, loop))

    def test_rootfs(self):
        layer = tar(("etc/hostname", b"box"), entry("bin", tarfile.SYMTYPE, linkname="usr/bin"))
        for data in (layer, gzip.compress(layer, mtime=0)):
            result = self.load(data, "--rootfs", "--platform=linux/arm64/v8")
            one, = result["images"]
            self.assertEqual((self.tree(one) / "etc/hostname").read_bytes(), b"box")
            self.assertEqual(one["layers"][0]["diff_id"], digest(layer))
            self.assertEqual(one["layers"][0]["digest"], digest(data))
            self.assertEqual(one["platforms"], ["linux/arm64/v8"])
            self.assertEqual(self.load(data, "--rootfs", "--platform=linux/arm64/v8", "--no-unpack")["images"][0]["digest"],
                             one["digest"])

    def test_rootfs_request(self):
        """What is said of the image of a root file system; all of it is tested with commit."""
        data = tar(("a", b"a"))
        cases = [({"changes": ["RUN a"]}, "InvalidArgument", "CMD, ENTRYPOINT"),
                 ({"changes": "CMD a"}, "Unknown", "changes: expected an array"),
                 ({"comment": 1}, "Unknown", "comment: expected a string"),
                 ([], "InvalidArgument", "no object"),
                 ({"comment": "by hand", "changes": ["CMD [\"/a\"]", "ENV A=1"]}, None, None),
                 ({}, None, None)]
        for request, code, regex in cases:
            with self.subTest(request), open(self.root / "request", "w+") as file:
                json.dump(request, file)
                file.seek(0)
                arguments = ["--rootfs", f"--request-fd={file.fileno()}"]
                if code:
                    self.assert_load_fails(code, regex, data, *arguments, fds=[file.fileno()])
                    continue
                one, = self.load(data, *arguments, fds=[file.fileno()])["images"]
                config = json.loads((self.content / "sha256" / one["config"]["digest"][7:]).read_bytes())
                self.assertEqual(config["config"], {"Cmd": ["/a"], "Env": ["A=1"]} if request else {})
                self.assertEqual(config["history"][0].get("comment"), request.get("comment"))

    def test_request_of_archive(self):
        with open(self.root / "request", "w+") as file:
            file.write("{}")
            file.seek(0)
            with self.assertRaisesRegex(worker.Failed, "--rootfs only"):
                self.load(oci(self.image), f"--request-fd={file.fileno()}", fds=[file.fileno()])

    def test_missing(self):
        """An archive without a blob of its image: a name and a digest."""
        data = oci(self.image, order=lambda members: [m for m in members if m[0] != blob(self.image.layers[1])[0]])
        self.assert_load_fails("NotFound", digest(self.image.layers[1]) + ".*not in the store", data)

    def test_damaged(self):
        name = blob(self.image.layers[0])[0]
        wrong = lambda members: [(n, b"x" * len(d)) if n == name else (n, d) for n, d in members]
        self.assert_load_fails("DataLoss", "wrong digest", oci(self.image, order=wrong))
        data = oci(self.image)
        self.assert_load_fails("DataLoss", "[Tt]runcated", data[:100000])
        compressed = gzip.compress(data)
        self.assert_load_fails("DataLoss", ".", compressed[:len(compressed) // 2])
        self.assert_load_fails("DataLoss", ".", b"")
        self.assert_load_fails("DataLoss", ".", os.urandom(10000))

    def test_hostile(self):
        for members, code, regex in (
                ([("../x", b"")], "InvalidArgument", "no name in an archive"),
                ([("/etc/x", b"")], "InvalidArgument", "no name in an archive"),
                ([entry("x", tarfile.SYMTYPE, linkname="/etc/passwd")], "InvalidArgument", "no name"),
                ([entry("x", tarfile.SYMTYPE, linkname="../../etc/passwd")], "InvalidArgument", "leads out"),
                ([entry("x", tarfile.CHRTYPE)], "InvalidArgument", "neither a file nor a link"),
                ([("x", b"1"), ("x", b"2")], "InvalidArgument", "twice"),
                ([("x", b"1"), ("./x", b"2")], "InvalidArgument", "twice"),
                ([(f"f{i}", b"") for i in range(2001)], "ResourceExhausted", "more than 2000 files"),
                ([("x", b"1")], "InvalidArgument", "neither an OCI archive"),
                ([LAYOUT, ("index.json", b"{}")], "InvalidArgument", "manifests is missing"),
                ([LAYOUT, ("index.json", b"x" * (5 << 20))], "ResourceExhausted", "larger than"),
                ([LAYOUT, ("index.json", json.dumps({"schemaVersion": 2, "manifests": []}).encode())], "InvalidArgument",
                 "no image")):
            with self.subTest(regex=regex):
                self.assert_load_fails(code, regex, tar(*members))

    def test_cyclic(self):
        """Indexes cannot refer to themselves, but be nested deeply."""
        data, kind, members = self.image.document(), registry.MANIFEST, [blob(b) for b in self.image.blobs.values()]
        for _ in range(6):
            members.append(blob(data))
            data, kind = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX,
                                     "manifests": [descriptor(kind, data)]}).encode(), registry.INDEX
        self.assert_load_fails("InvalidArgument", "nested", tar(*dict(members).items(), ("index.json", data), LAYOUT))

    def test_cancel(self):
        """A pipe on which nothing comes."""
        read, write = os.pipe()
        os.write(write, oci(self.image)[:10000])
        session = worker.Session(self.root, f"--fd={read}", env=self.env, verb="import", fds=[read])
        session.next("progress")
        session.signal(signal.SIGTERM)
        with self.assertRaises(worker.Failed) as context:
            session.finish()
        self.assertEqual(context.exception.code, "Canceled")
        os.close(write)
        os.close(read)

    def test_without_manager(self):
        path = self.root / "archive"
        path.write_bytes(oci(self.image))
        done = subprocess.run([worker.WORKER, "import", f"--root={self.root}", path], capture_output=True, check=True)
        self.assertEqual(json.loads(done.stdout)["images"][0]["digest"], digest(self.image.document()))


if __name__ == "__main__":
    worker.main()
