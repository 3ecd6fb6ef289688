#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker checkpoint and restore: what the index has, that files come back as they were, and hostile ones."""

import gzip
import hashlib
import json
import os
import pathlib
import stat
import tarfile

import worker
from registry import CONFIG, INDEX, LAYER, MANIFEST, descriptor, digest, entry, tar

CRIU = "application/vnd.containerd.container.criu.checkpoint.criu.tar"
SPEC = "application/vnd.containerd.container.checkpoint.config.v1+proto"
FILES = "application/vnd.oci.image.layer.v1.tar"
TARGET = {"mediaType": MANIFEST, "digest": digest(b"image"), "size": 5}
OPAQUE = "trusted.overlay.opaque"
IMAGES = {"inventory.img": b"inventory", "pages-1.img": os.urandom(1 << 20), "stats": b""}


def tree(path):
    """What is below: kind, mode, owner, content; hard links by the first of their names."""
    first, found = {}, {}
    for p in sorted(path.rglob("*")):
        st = p.lstat()
        content = (os.readlink(p) if stat.S_ISLNK(st.st_mode) else p.read_bytes() if stat.S_ISREG(st.st_mode) else
                   st.st_rdev if stat.S_ISCHR(st.st_mode) else None)
        name = str(p.relative_to(path))
        opaque = stat.S_ISDIR(st.st_mode) and OPAQUE in os.listxattr(p)
        found[name] = (oct(st.st_mode), st.st_uid, st.st_gid, content, opaque,
                       None if stat.S_ISDIR(st.st_mode) else first.setdefault(st.st_ino, name))
    return found


class Checkpoint(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.upper = self.layer(7)
        self.layer(3)
        for algorithm in ("sha256", "sha512"):
            (self.content / algorithm).mkdir(parents=True)
        self.n = 0

    def layer(self, n):
        path = self.snapshots / str(n) / "fs"
        path.mkdir(parents=True)
        path.chmod(0o755)
        return path

    def blob(self, data):
        (self.content / "sha256" / hashlib.sha256(data).hexdigest()).write_bytes(data)
        return data

    def read_blob(self, d):
        return (self.content / "sha256" / d[7:]).read_bytes()

    def directory(self):
        self.n += 1
        path = self.snapshots / f".new-{self.n}"
        path.mkdir(mode=0o700)
        return path

    def request(self, **more):
        """A directory as the manager and CRIU leave it."""
        path = self.directory()
        (path / "images").mkdir()
        for name, data in IMAGES.items():
            (path / "images" / name).write_bytes(data)
            os.utime(path / "images" / name, (1000000000, 1000000000))
        (path / "config.json").write_text('{"ociVersion":"1.0.2"}')
        (path / "request.json").write_text(json.dumps({
            "image": "localhost/app:1", "snapshot": 7, "os": "linux", "architecture": "amd64", "target": TARGET, **more}))
        return path

    def checkpoint(self, **more):
        return self.run_verb("checkpoint", self.request(**more).name)

    def restore(self, d, *layers):
        path = self.directory()
        self.result = self.run_verb("restore", d, path.name, *layers)
        return path

    def index(self, *manifests, **more):
        return digest(self.blob(json.dumps({"schemaVersion": 2, "mediaType": INDEX, "manifests": list(manifests), **more}).encode()))

    def images(self, *members):
        return descriptor(CRIU, self.blob(tar(*(members or IMAGES.items()))))

    def files(self, *members, media_type=FILES, pack=bytes):
        return descriptor(media_type, self.blob(pack(tar(*members))))

    def assert_refused(self, regex, *manifests, code="InvalidArgument", layers=()):
        d = self.index(*manifests)
        self.assert_fails(code, regex, d, self.directory().name, *layers, verb="restore")

    def test_index(self):
        """A3.16: which manifests, in which order, with which platform."""
        (self.upper / "file").write_bytes(b"x")
        result = self.checkpoint()
        index = json.loads(self.read_blob(result["digest"]))
        self.assertEqual((index["schemaVersion"], index["mediaType"], result["media_type"]), (2, INDEX, INDEX))
        self.assertEqual(index["annotations"], {"image.name": "localhost/app:1"})
        self.assertEqual([m["mediaType"] for m in index["manifests"]], [CRIU, SPEC, MANIFEST, FILES])
        self.assertEqual(index["manifests"][2], TARGET)
        own = [index["manifests"][i] for i in (0, 1, 3)]
        for m in own:
            self.assertEqual(m["platform"], {"os": "linux", "architecture": "amd64"})
            data = self.read_blob(m["digest"])
            self.assertEqual((digest(data), len(data)), (m["digest"], m["size"]))
        self.assertEqual(self.read_blob(own[1]["digest"]), b'{"ociVersion":"1.0.2"}')
        self.assertEqual({b["digest"] for b in result["blobs"]}, {result["digest"], *(m["digest"] for m in own)})
        self.assertEqual(self.stored(), {b["digest"][7:] for b in result["blobs"]})
        self.assertEqual(self.partial(), {})

    def test_again(self):
        """A3.18, A5.22: content that is there already is a success."""
        first = self.checkpoint()
        self.assertEqual(self.checkpoint(), first)

    def make_changes(self):
        """What overlayfs makes of changes in a container."""
        below = self.snapshots / "3" / "fs" / "dir"
        below.mkdir(exist_ok=True)
        (below / "removed").write_bytes(b"r")
        for path in ("dir/sub", "opaque", "empty"):
            (self.upper / path).mkdir(parents=True)
        (self.upper / "dir").chmod(0o2750)
        (self.upper / "dir/file").write_bytes(os.urandom(300000))
        os.chown(self.upper / "dir/file", 1000, 1001)
        (self.upper / "dir/file").chmod(0o4755)
        os.link(self.upper / "dir/file", self.upper / "linked")
        (self.upper / "secret").write_bytes(b"s")
        (self.upper / "secret").chmod(0)
        os.symlink("/etc/passwd", self.upper / "symbolic")
        os.link(self.upper / "symbolic", self.upper / "symbolic-linked", follow_symlinks=False)
        os.mkfifo(self.upper / "fifo")
        os.mknod(self.upper / "dir/removed", stat.S_IFCHR, os.makedev(0, 0))
        os.setxattr(self.upper / "opaque", OPAQUE, b"y")
        (self.upper / "opaque/new").write_bytes(b"n")
        (self.upper / ("long" * 60)).write_bytes(b"l")
        (self.upper / "caf\u00e9").write_bytes(b"c")
        os.setxattr(self.upper / "linked", "user.note", b"\0note")

    def test_files_come_back(self):
        """Whiteouts, opaque directories, hard links and the rest, as they were."""
        self.make_changes()
        result = self.checkpoint()
        path = self.restore(result["digest"], "3")
        self.assertTrue(self.result["root"])
        self.assertEqual(tree(path / "fs"), tree(self.upper))
        self.assertEqual(os.getxattr(path / "fs/linked", "user.note"), b"\0note")
        self.assertEqual({p.name: p.read_bytes() for p in (path / "images").iterdir()}, IMAGES)
        self.assertEqual({p.name for p in path.iterdir()}, {"images", "fs"})

    def test_layer_has_marks(self):
        """In the store a change is what layer.md says."""
        self.make_changes()
        index = json.loads(self.read_blob(self.checkpoint()["digest"]))
        path = self.content / "sha256" / index["manifests"][3]["digest"][7:]
        with tarfile.open(path) as archive:
            names = archive.getnames()
            self.assertEqual(archive.getmember("linked").linkname, "dir/file")
        for name in ("dir/.wh.removed", "opaque/.wh..wh..opq"):
            self.assertIn(name, names)
        self.assertNotIn("dir/removed", names)
        self.assertEqual(names, sorted(names, key=lambda n: [(not part.startswith(".wh."), part) for part in n.split("/")]))

    def test_root_of_the_layer_below(self):
        """Directories that the layer does not name look as they do below, the root too."""
        below = self.snapshots / "3" / "fs"
        below.chmod(0o711)
        (below / "var").mkdir()
        os.chown(below / "var", 5, 6)
        (below / "text").write_bytes(b"below")
        hard = entry("var/hard", tarfile.LNKTYPE, linkname="text")
        path = self.restore(self.index(self.images(), self.files(("var/new", b"n"), hard)), "3")
        self.assertEqual(stat.S_IMODE((path / "fs").stat().st_mode), 0o711)
        self.assertEqual(((path / "fs/var").stat().st_uid, (path / "fs/var").stat().st_gid), (5, 6))
        self.assertEqual((path / "fs/var/hard").read_bytes(), b"below")

    def test_without_files(self):
        path = self.restore(self.index(self.images()))
        self.assertFalse(self.result["root"])
        self.assertFalse((path / "fs").exists())

    def test_packed_files(self):
        """As containerd stores them."""
        path = self.restore(self.index(TARGET, self.files(("a", b"a"), media_type=LAYER, pack=gzip.compress), self.images()))
        self.assertEqual((path / "fs/a").read_bytes(), b"a")
        self.assert_refused("files of the checkpoint", self.images(), self.files(("a", b"a"), media_type=LAYER), code="DataLoss")

    def test_no_checkpoint(self):
        """A3.20, A5.5."""
        for manifests in ((), (TARGET,), (descriptor(CONFIG, b"x"), {"mediaType": CRIU}, {"digest": 1}, "x", None)):
            d = self.index(*manifests)
            self.assert_fails("InvalidArgument", f"^checkpoint not found in index {d}$", d, self.directory().name, verb="restore")
        self.assert_refused('^unsupported checkpoint type "application/vnd.containerd.container.criu.checkpoint.criu.tar\\+zstd"$',
                            descriptor(CRIU + "+zstd", self.blob(b"x")))

    def test_hostile_index(self):
        for text in (b"", b"\0", b"[]", b"{}", b'{"manifests":7}', b'{"manifests":{}}', b"[" * 100000,
                     json.dumps({"manifests": [None] * 5000}).encode(), b" " * (5 << 20)):
            with self.subTest(text[:20]), self.assertRaises(worker.Failed) as context:
                self.restore(digest(self.blob(text)))
            self.assertIn(context.exception.code, ("InvalidArgument", "ResourceExhausted", "DataLoss"), context.exception)
        for bad in ("sha256:0", "sha256:../../../../etc/passwd", "x"):
            self.assert_refused("(?i)digest", {**self.images(), "digest": bad})
        self.assert_refused("is missing", {**self.images(), "digest": digest(b"not there")}, code="NotFound")
        self.assert_refused("more than one layer", self.images(), self.files(("a", b"")), self.files(("b", b"")))
        self.assert_fails("NotFound", "is not in the store", digest(b"none"), self.directory().name, verb="restore")

    def test_hostile_images(self):
        """CRIU is to find files and nothing else."""
        kinds = (entry("parent", tarfile.SYMTYPE, linkname="/etc"), entry("core-1.img", tarfile.FIFOTYPE),
                 entry("core-1.img", tarfile.CHRTYPE, devmajor=1, devminor=3), entry("dir", tarfile.DIRTYPE), "x/y",
                 ".wh.pages-1.img")
        for kind in kinds:
            self.assert_refused("no regular file", self.images((kind, b"") if isinstance(kind, str) else kind))
        self.assert_refused(r"\.\.", self.images(("../escaped", b"x")))
        for target in ("../../../7/fs/x", "none"):
            self.assert_refused("Hard link|hard link", self.images(entry("a", tarfile.LNKTYPE, linkname=target)))
        self.assertFalse((self.snapshots / "escaped").exists())

    def test_hostile_files(self):
        target = pathlib.Path(self.root / "target")
        target.write_bytes(b"untouched")
        link = entry("link", tarfile.SYMTYPE, linkname=str(self.root))
        self.restore(self.index(self.images(), self.files(link, ("link/target", b"written"))))
        self.assertEqual(target.read_bytes(), b"untouched")
        self.assert_refused(r"\.\.", self.images(), self.files(("../../x", b"x")))
        self.assert_refused("not in its layer|not there|leads to", self.images(), self.files(entry("a", tarfile.LNKTYPE, linkname="none")),
                            layers=["3"])

    def test_hostile_request(self):
        for snapshot in (None, -1, "7"):
            with self.subTest(snapshot), self.assertRaises(worker.Failed) as context:
                self.checkpoint(snapshot=snapshot)
            self.assertRegex(context.exception.text, "snapshot")
        with self.assertRaises(worker.Failed) as context:
            self.checkpoint(snapshot=8)
        self.assertEqual(context.exception.code, "NotFound")
        self.assertEqual(self.partial(), {})

    def test_arguments(self):
        d = self.index(self.images())
        for name in ("7", ".tmp-1", ".new-1/../7", "", "/.new-1", ".new-" + "x" * 100):
            self.assert_fails("InvalidArgument", "not the name", d, name, verb="restore")
            self.assert_fails("InvalidArgument", "not the name", name, verb="checkpoint")
        for layer in ("x", "0", "+1", "3/..", "99999999999999999999999"):
            self.assert_fails("InvalidArgument", "number of a layer", d, self.directory().name, layer, verb="restore")
        self.assert_fails("InvalidArgument", "More than", d, self.directory().name, *["3"] * 201, verb="restore")
        self.assert_fails("InvalidArgument", "arguments", d, verb="restore")
        self.assert_fails("NotFound", "gone", self.index(self.images(), self.files(("a", b""))), self.directory().name, "99", verb="restore")


if __name__ == "__main__":
    worker.main()
