#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker commit: the layer, the config and the manifest of the new image, and the tree that is extracted from it."""

import gzip
import hashlib
import io
import json
import os
import shutil
import signal
import stat
import tarfile

import worker
from registry import CONFIG, LAYER, MANIFEST, Image, digest, tar

OPAQUE = "trusted.overlay.opaque"
CAPABILITY = bytes.fromhex("0100000200040000000000000000000000000000")


def tree(path):
    """Everything that stat() and others tell of what is below; hard links by the first of their names."""
    first, found = {}, {}
    for p in [path, *sorted(path.rglob("*"))]:
        st = p.lstat()
        content = (os.readlink(p) if stat.S_ISLNK(st.st_mode) else p.read_bytes() if stat.S_ISREG(st.st_mode) else
                   st.st_rdev if stat.S_ISCHR(st.st_mode) or stat.S_ISBLK(st.st_mode) else None)
        name = str(p.relative_to(path))
        xattrs = {n: os.getxattr(p, n, follow_symlinks=False) for n in os.listxattr(p, follow_symlinks=False)}
        # a whiteout is the same whenever it was made
        mtime = None if stat.S_ISCHR(st.st_mode) and st.st_rdev == 0 else st.st_mtime_ns
        found[name] = (oct(st.st_mode), st.st_uid, st.st_gid, mtime, content, xattrs,
                       None if stat.S_ISDIR(st.st_mode) else first.setdefault(st.st_ino, name))
    return found


class Commit(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.base = Image(tar(("etc/passwd", b"root"), ("gone", b"g"), ("dir/x", b"x")))
        self.digest = self.registry.serve(self.base)
        result = self.pull()
        os.rename(self.snapshots / result["layers"][0]["directory"], self.snapshots / "3")
        self.upper = self.snapshots / "7" / "fs"
        self.upper.mkdir(parents=True)
        self.upper.chmod(0o755)

    def commit(self, *arguments, layers="7", have=None, **request):
        file = self.root / "request"
        file.write_text(json.dumps({"created_at": 1500000000123456, **request}))
        with open(file, "rb") as f:
            session = worker.Session(self.root, f"--base={self.digest}", f"--layers={layers}", f"--request-fd={f.fileno()}",
                                     *arguments, verb="commit", fds=[f.fileno()])
        self.addCleanup(session.socket.close)
        self.last = session
        self.result = session.finish(have or [3] + [None] * (layers.count(",") + 1))
        self.manifest = json.loads(self.blob(self.result["digest"]))
        self.config = json.loads(self.blob(self.manifest["config"]["digest"]))
        return self.result

    def refused(self, code, regex, *arguments, **request):
        with self.assertRaises(worker.Failed) as context:
            self.commit(*arguments, **request)
        self.assertEqual(context.exception.code, code, context.exception)
        self.assertRegex(context.exception.text, regex)
        self.assertEqual(self.trees(), {"3", "7"})
        self.assertEqual(self.partial(), {})

    def blob(self, d):
        data = (self.content / "sha256" / d[7:]).read_bytes()
        self.assertEqual(digest(data), d)
        return data

    def change(self):
        """What a layer can have, all of it."""
        for path in ("dir/sub", "opaque", "long/" * 20 + "end"):
            (self.upper / path).mkdir(parents=True)
        (self.upper / "dir").chmod(0o2750)
        file = self.upper / "dir/file"
        file.write_bytes(os.urandom(300000))
        os.chown(file, 1000, 3000000000)
        file.chmod(0o4755)
        os.link(file, self.upper / "linked")
        os.setxattr(file, "user.note", b"\0note=\n")
        os.setxattr(file, "security.capability", CAPABILITY)
        with open(self.upper / "sparse", "wb") as f:
            f.seek(20 << 20)
            f.write(b"end")
        os.symlink("/etc/" + "p" * 200, self.upper / "symbolic")
        os.link(self.upper / "symbolic", self.upper / "symbolic-linked", follow_symlinks=False)
        os.mkfifo(self.upper / "fifo", 0o640)
        os.mknod(self.upper / "device", stat.S_IFBLK | 0o660, os.makedev(259, 70000))
        os.mknod(self.upper / "gone", stat.S_IFCHR, os.makedev(0, 0))
        (self.upper / "etc").mkdir()
        os.mknod(self.upper / "etc/passwd", stat.S_IFCHR, os.makedev(0, 0))
        os.setxattr(self.upper / "opaque", OPAQUE, b"y")
        (self.upper / "opaque/new").write_bytes(b"n")
        (self.upper / ("n" * 255)).write_bytes(b"l")
        (self.upper / "caf\u00e9").write_bytes(b"c")
        os.setxattr(self.upper, "user.root", b"r")
        for n, name in enumerate(("dir/file", "symbolic", "fifo", "dir", "opaque", "n" * 255, ".")):
            os.utime(self.upper / name, ns=(1, -2000000000 if n == 1 else (n << 40) + 123456789 + n), follow_symlinks=False)

    def test_tree(self):
        """The extracted layer is the upper directory again."""
        self.change()
        result = self.commit()
        directory = result["layers"][1]["directory"]
        self.assertIsNone(result["layers"][0]["directory"])
        mine, theirs = tree(self.snapshots / directory / "fs"), tree(self.upper)
        self.assertEqual(mine.keys(), theirs.keys())
        for name, what in theirs.items():
            self.assertEqual(mine[name], what, name)
        self.assertLess((self.snapshots / directory / "fs/sparse").stat().st_blocks, 1000)
        self.assertEqual(self.partial(), {})

    def test_documents(self):
        (self.upper / "new").write_bytes(b"n")
        result = self.commit(author="A U Thor", comment="why", created_by="sh -c true")
        base = json.loads(self.base.document())
        layer = self.manifest["layers"][1]
        self.assertEqual(self.manifest["layers"][:-1], base["layers"])
        self.assertEqual((self.manifest["mediaType"], self.manifest["config"]["mediaType"], layer["mediaType"]), (MANIFEST, CONFIG, LAYER))
        data = gzip.decompress(self.blob(layer["digest"]))
        self.assertEqual(self.config["rootfs"]["diff_ids"][1], digest(data))
        self.assertEqual(result["layers"][1]["chain_id"], "sha256:" + hashlib.sha256(
            " ".join(self.config["rootfs"]["diff_ids"]).encode()).hexdigest())
        with tarfile.open(fileobj=io.BytesIO(data)) as archive:
            self.assertEqual(archive.getnames(), [".", "new"])
        self.assertEqual((self.config["author"], self.config["created"]), ("A U Thor", "2017-07-14T02:40:00.123456Z"))
        self.assertEqual(self.config["history"][-1], {"created": "2017-07-14T02:40:00.123456Z", "created_by": "sh -c true",
                                                      "author": "A U Thor", "comment": "why"})
        self.assertEqual({b["digest"] for b in result["blobs"]},
                         {result["digest"], self.manifest["config"]["digest"], *(d["digest"] for d in self.manifest["layers"])})

    def test_again(self):
        """Equal trees give equal bytes, wherever they are and whatever made them."""
        self.change()
        first = self.commit()["digest"]
        copy = self.snapshots / "9" / "fs"
        copy.parent.mkdir()
        with tarfile.open(fileobj=io.BytesIO(gzip.decompress(self.blob(self.manifest["layers"][1]["digest"])))) as archive:
            names = archive.getnames()[1:]
        self.assertEqual(names, sorted(names, key=lambda n: [(not part.startswith(".wh."), part) for part in n.split("/")]))
        os.rename(self.upper, copy)
        os.mkdir(self.upper)
        self.assertEqual(self.commit(layers="9")["digest"], first)
        os.utime(copy / "linked", ns=(7, 7))
        self.assertNotEqual(self.commit(layers="9")["digest"], first)

    def test_zstd(self):
        (self.upper / "new").write_bytes(b"n" * 1000000)
        self.commit("--compression=zstd")
        self.assertEqual(self.manifest["layers"][1]["mediaType"], LAYER.replace("gzip", "zstd"))
        self.assertEqual(self.blob(self.manifest["layers"][1]["digest"])[:4], b"\x28\xb5\x2f\xfd")
        self.assertEqual((self.tree(self.result) / "new").read_bytes(), b"n" * 1000000)
        self.commit("--compression=none")
        self.assertEqual(digest(self.blob(self.manifest["layers"][1]["digest"])), self.config["rootfs"]["diff_ids"][1])

    def test_versions(self):
        """One layer for each upper directory, the lowest first."""
        below = self.snapshots / "5" / "fs"
        below.mkdir(parents=True)
        (below / "one").write_bytes(b"1")
        (self.upper / "two").write_bytes(b"2")
        self.commit(layers="7,5")
        self.assertEqual([sorted(os.listdir(self.tree(self.result, n))) for n in (1, 2)], [["one"], ["two"]])
        self.assertEqual(len(self.config["rootfs"]["diff_ids"]), 3)

    def test_changes(self):
        self.commit(changes=["CMD [\"a\", \"b c\"]", "env A=1 B=\"2 3\" C='4\"5'", "ENV D  six seven", "ENV A=8", "EXPOSE 80 53/udp",
                             "LABEL x=y \"with space\"=\"z\"", "STOPSIGNAL SIGINT", "USER 5:6", "VOLUME [\"/data\"]", "VOLUME /a /b",
                             "WORKDIR /opt", "WORKDIR sub"])
        config = self.config["config"]
        self.assertEqual(config["Cmd"], ["a", "b c"])
        self.assertEqual([v for v in config["Env"] if v[0] in "ABCD"], ["A=8", "B=2 3", "C=4\"5", "D=six seven"])
        self.assertEqual(config["ExposedPorts"], {"80/tcp": {}, "53/udp": {}})
        self.assertEqual((config["Labels"]["x"], config["Labels"]["with space"]), ("y", "z"))
        self.assertEqual((config["StopSignal"], config["User"], config["WorkingDir"]), ("SIGINT", "5:6", "/opt/sub"))
        self.assertEqual(config["Volumes"], {"/data": {}, "/a": {}, "/b": {}})
        self.commit(changes=["CMD=echo one", "ENTRYPOINT /bin/thing"])
        self.assertEqual(self.config["config"]["Entrypoint"], ["/bin/sh", "-c", "/bin/thing"])
        self.assertEqual(self.config["config"]["Cmd"], ["/bin/sh", "-c", "echo one"])
        self.commit(changes=["ENTRYPOINT [\"/x\"]"])
        self.assertNotIn("Cmd", self.config["config"])

    def test_bad_changes(self):
        for change in ("", "RUN true", "FROM x", "CMD", "ENV", "ENV A", "ENV =1", "ENV A=1 B", "LABEL 'x=1", "EXPOSE x", "EXPOSE 99999",
                       "EXPOSE 80/xyz", "USER", "USER a b", "VOLUME relative", "WORKDIR", "STOPSIGNAL", "ENV " + "A=1 " * 300, 7, None):
            with self.subTest(change):
                self.refused("InvalidArgument", "change", changes=[change])
        self.refused("InvalidArgument", "more than", changes=["USER x"] * 300)

    def test_impossible(self):
        (self.upper / ".wh.etc").write_bytes(b"")
        self.refused("FailedPrecondition", "cannot be in a layer")
        (self.upper / ".wh.etc").unlink()
        (self.upper / "moved").mkdir()
        os.setxattr(self.upper / "moved", "trusted.overlay.redirect", b"/etc")
        self.refused("FailedPrecondition", "redirect_dir")
        (self.upper / "moved").rmdir()
        (self.upper / "large").write_bytes(b"x" * 5000)
        self.refused("ResourceExhausted", "larger", "--limit=bytes=4000")
        self.refused("ResourceExhausted", "entries|too many", "--limit=entries=1")
        self.refused("NotFound", "snapshot 99", layers="99")
        self.refused("InvalidArgument", "compression", "--compression=xz")

    def test_sockets_are_left_out(self):
        import socket
        with socket.socket(socket.AF_UNIX) as s:
            os.chdir(self.upper)
            s.bind("socket")
            os.chdir("/")
        self.commit()
        self.assertEqual(os.listdir(self.tree(self.result)), [])

    def test_no_base(self):
        for d in (self.digest, json.loads(self.base.document())["config"]["digest"]):
            path = self.content / "sha256" / d[7:]
            data = path.read_bytes()
            path.unlink()
            self.refused("NotFound", "not there any more")
            path.write_bytes(data)
        shutil.rmtree(self.snapshots / "9", ignore_errors=True)

    def test_killed(self):
        """Nothing half of it is there, and the next one removes what was begun."""
        (self.upper / "large").write_bytes(os.urandom(64 << 20))
        before = self.stored()
        session = worker.Session(self.root, f"--base={self.digest}", "--layers=7", verb="commit")
        while session.next("progress")["layers"][0]["offset"] < 1 << 20:
            pass
        session.signal(signal.SIGKILL)
        session.wait()
        self.assertEqual((self.stored(), self.trees()), (before, {"3", "7"}))
        self.assertNotEqual(self.partial(), {})
        (self.upper / "large").unlink()
        self.commit()
        self.assertEqual(self.partial(), {})


if __name__ == "__main__":
    worker.main()
