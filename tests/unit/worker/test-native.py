#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""Containers whose snapshots are whole trees: what diff, commit, export-root and the copies make of them.

The measure is an upper directory of overlayfs on which the same was done, and the tree itself: an image that was
committed from it must show it again, byte for byte.
"""

import itertools
import os
import random
import shutil
import socket
import stat
import subprocess
import tarfile

import worker
from registry import Image, entry, tar

STAMP = 1500000000
CHANGES = """
echo more >>etc/hosts
chmod 600 etc/shadow
rm -r gone
rm dir/one
rm -r hidden; mkdir hidden; echo new >hidden/new; echo kept >hidden/kept
rm kind; mkdir kind; echo in >kind/file
rm -r was; echo file >was
ln -sfn elsewhere link
mkdir -p new/deep; echo deep >new/deep/file; mkfifo new/pipe; mknod new/null c 1 3
ln linked/a linked/c
echo other >>twins/a
rm pair/b
cat same >same.new; touch -r same same.new; mv same.new same
"""
# an overlay takes them apart: the other name stays what it was
LINKED = {"C/linked/b", "C/twins/b"}
LISTED = ["C/dir", "D/dir/one", "C/etc", "C/etc/hosts", "C/etc/shadow", "D/gone", "C/hidden", "C/hidden/kept", "A/hidden/new",
          "D/hidden/old", "C/kind", "A/kind/file", "C/link", "C/linked", "C/linked/a", "C/linked/b", "A/linked/c", "A/new", "A/new/deep",
          "A/new/deep/file", "A/new/null", "A/new/pipe", "C/pair", "D/pair/b", "C/twins", "C/twins/a", "C/twins/b", "C/was"]


class Native(worker.TestCase):
    """Layers 2 and 3 are an image's; native/7 is a copy of both."""

    def setUp(self):
        super().setUp()
        os.umask(0o022)
        self.native = self.root / "snapshots" / "native"
        self.numbers = itertools.count(100)
        link = {"kind": tarfile.LNKTYPE}
        lower = tar(("etc/hosts", b"h"), ("etc/shadow", b"s"), ("gone/x", b"g"), ("dir/one", b"1"), ("dir/two", b"2"),
                    ("hidden/old", b"o"), ("hidden/kept", b"k"), ("kind", b"k"), ("was/dir", b"w"), ("same", b"same"),
                    entry("link", tarfile.SYMTYPE, linkname="dir"), ("linked/a", b"linked"),
                    entry("linked/b", linkname="linked/a", **link), ("twins/a", b"twins"),
                    entry("twins/b", linkname="twins/a", **link), ("pair/a", b"p"), entry("pair/b", linkname="pair/a", **link))
        upper = tar(("etc/motd", b"m"), (".wh.never", b""))
        self.base = self.registry.serve(Image(lower, upper))
        result = self.pull()
        for layer, n in zip(result["layers"], "23"):
            os.rename(self.snapshots / layer["directory"], self.snapshots / n)
        self.tree = self.copy("7", "overlayfs/3", "overlayfs/2")

    def copy(self, n, *sources):
        directory = self.run_verb("copy", "native", *sources)["directory"]
        os.rename(self.native / directory, self.native / n)
        return self.native / n / "fs"

    def overlay(self, script):
        """Does it in an overlay whose upper directory is 8."""
        (self.snapshots / "8/fs").mkdir(parents=True)
        (self.snapshots / "8/work").mkdir()
        shutil.copystat(self.snapshots / "3/fs", self.snapshots / "8/fs")
        there = self.root / "mounted"
        there.mkdir()
        subprocess.run(["unshare", "--mount", "sh", "-ec", f"""
            cd {self.snapshots}
            mount -t overlay -o lowerdir=3/fs:2/fs,upperdir=8/fs,workdir=8/work overlay {there}
            cd {there}
            {script}"""], check=True)

    def diff(self, layers):
        with open(self.root / "changes", "w+b") as f:
            self.run_verb("diff", f"--layers={layers}", f"--fd={f.fileno()}", fds=[f.fileno()])
            f.seek(0)
            return [record.decode() for record in f.read().split(b"\0")[:-1]]

    def commit(self, layers, *arguments, lower=True, have=(2, 3)):
        """The numbers of the image's layers, topmost first."""
        session = worker.Session(self.root, f"--base={self.base}", f"--layers={layers}",
                                 *(["--lower=3,2"] if lower else []), *arguments, verb="commit")
        self.addCleanup(session.socket.close)
        count = layers.count(",") + 1
        result = session.finish([*have, *[None] * count])
        numbers = []
        for layer in result["layers"][-count:]:
            numbers.insert(0, str(next(self.numbers)))
            os.rename(self.snapshots / layer["directory"], self.snapshots / numbers[0])
        return ",".join([*numbers, "3,2"])

    def export(self, layers):
        with open(self.root / "archive", "w+b") as f:
            self.run_verb("export-root", f"--layers={layers}", f"--fd={f.fileno()}", fds=[f.fileno()])
            f.seek(0)
            return f.read()

    def assert_same(self, layers, other="native/7"):
        """Not the bytes alone: a difference should be readable."""
        mine, theirs = self.export(layers), self.export(other)
        if mine != theirs:
            for data, name in ((mine, "mine"), (theirs, "theirs")):
                (self.root / name).write_bytes(data)
            lists = [subprocess.run(["tar", "--full-time", "-tvf", self.root / name], capture_output=True, text=True,
                                    check=True).stdout.splitlines() for name in ("mine", "theirs")]
            self.assertEqual(*lists)
            self.fail("files differ in what is in them")

    def test_unchanged(self):
        self.assertEqual(self.diff("native/7,3,2"), [])
        layers = self.commit("native/7")
        self.assertEqual(os.listdir(self.snapshots / layers.split(",")[0] / "fs"), [])
        self.assert_same(layers)
        self.assert_same("3,2")

    def test_changes(self):
        """The same list as that of an overlay, and the same image."""
        subprocess.run(["sh", "-ec", CHANGES], cwd=self.tree, check=True)
        self.overlay(CHANGES)
        self.assertEqual(self.diff("native/7,3,2"), LISTED)
        # to an overlay it matters that a file was written, even if it is the same again
        self.assertEqual([c for c in self.diff("8,3,2") if c != "C/same"], [c for c in LISTED if c not in LINKED])
        layers = self.commit("native/7")
        self.assert_same(layers)
        made = self.snapshots / layers.split(",")[0] / "fs"
        self.assertEqual(sorted(os.listdir(made / "linked")), ["a", "b", "c"])
        self.assertFalse((made / "same").exists())
        self.assertTrue(stat.S_ISCHR((made / "gone").stat().st_mode))
        self.assert_same(self.commit("8", lower=False), "8,3,2")

    def test_quiet_changes(self):
        """What size and time do not tell."""
        for path, change in (("same", lambda p: p.write_bytes(b"SAME")), ("dir/two", lambda p: os.setxattr(p, "user.a", b"b")),
                             ("etc/motd", lambda p: os.chown(p, 1, 2))):
            before = (self.tree / path).stat()
            change(self.tree / path)
            os.utime(self.tree / path, ns=(1, before.st_mtime_ns))
        target = (self.tree / "link").lstat()
        (self.tree / "link").unlink()
        os.symlink("rid", self.tree / "link")
        os.utime(self.tree / "link", ns=(1, target.st_mtime_ns), follow_symlinks=False)
        os.utime(self.tree, ns=(1, (self.snapshots / "3/fs").stat().st_mtime_ns))
        self.assertEqual(self.diff("native/7,3,2"), ["C/dir", "C/dir/two", "C/etc", "C/etc/motd", "C/link", "C/same"])
        self.assert_same(self.commit("native/7"))

    def test_links(self):
        """Files with several names: links are made, broken and moved."""
        for change, listed in (
                (lambda t: os.link(t / "linked/a", t / "z"), {"C/linked", "C/linked/a", "C/linked/b", "A/z"}),
                (lambda t: os.rename(t / "z", t / "linked/b"), set()),
                (lambda t: (os.unlink(t / "z"), shutil.copy2(t / "linked/a", t / "n"), os.rename(t / "n", t / "linked/b")),
                 {"C/linked", "C/linked/a", "C/linked/b"}),
                (lambda t: (os.unlink(t / "twins/b"), os.link(t / "linked/a", t / "twins/b")),
                 {"C/linked", "C/linked/a", "C/linked/b", "C/twins", "C/twins/b"})):
            change(self.tree)
            found = set(self.diff("native/7,3,2"))
            if listed:
                self.assertLessEqual(listed, found)
            self.assert_same(self.commit("native/7"))

    def test_versions(self):
        """Each tree is compared with the one that it was copied from."""
        (self.tree / "first").write_bytes(b"1")
        other = self.copy("9", "native/7")
        (other / "second").write_bytes(b"2")
        (other / "first").unlink()
        self.assertEqual(self.diff("native/9,native/7,3,2"), ["D/first", "A/second"])
        layers = self.commit("native/9,native/7")
        tops = [sorted(os.listdir(self.snapshots / n / "fs")) for n in layers.split(",")[:2]]
        self.assertEqual(tops, [["first", "second"], ["first"]])
        self.assert_same(layers, "native/9")

    def test_sockets(self):
        """They are no part of a layer, but what they replaced is gone."""
        (self.tree / "same").unlink()
        for name in ("same", "fresh"):
            with socket.socket(socket.AF_UNIX) as s:
                os.chdir(self.tree)
                s.bind(name)
                os.chdir("/")
        self.assertEqual(self.diff("native/7,3,2"), ["A/fresh", "C/same"])
        made = self.snapshots / self.commit("native/7").split(",")[0] / "fs"
        self.assertEqual(os.listdir(made), ["same"])
        self.assertTrue(stat.S_ISCHR((made / "same").stat().st_mode))

    def test_impossible(self):
        for layers, arguments, code, regex in (
                ("native/99", {}, "NotFound", "snapshot 99"), ("native/7", {"lower": False}, "InvalidArgument", "--lower"),
                ("3,native/7", {}, "InvalidArgument", "--layers"), ("native/7,3", {}, "InvalidArgument", "snapshotter"),
                ("overlayfs/7", {}, "InvalidArgument", "--layers"), ("native/x", {}, "InvalidArgument", "--layers")):
            with self.subTest(layers), self.assertRaises(worker.Failed) as context:
                self.commit(layers, **arguments)
            self.assertEqual(context.exception.code, code)
            self.assertRegex(context.exception.text, regex)
        (self.tree / ".wh.x").write_bytes(b"")
        with self.assertRaises(worker.Failed) as context:
            self.commit("native/7")
        self.assertEqual(context.exception.code, "FailedPrecondition")
        (self.tree / ".wh.x").unlink()
        deep = self.tree
        os.chdir(deep)
        for _ in range(1100):
            os.mkdir("d")
            os.chdir("d")
        os.chdir("/")
        for verb in (lambda: self.diff("native/7,3,2"), lambda: self.commit("native/7")):
            with self.assertRaises(worker.Failed) as context:
                verb()
            self.assertEqual(context.exception.code, "ResourceExhausted")
        subprocess.run(["rm", "-r", "d"], cwd=self.tree, check=True)
        self.assert_no_more()

    def assert_no_more(self):
        self.assertEqual(self.trees(), {"2", "3"})
        self.assertEqual(self.partial(), {})

    def test_copies(self):
        """Files of a stopped container go out and in."""
        archive = self.root / "in"
        archive.write_bytes(tar(("put", b"in")))
        with open(archive, "rb") as f:
            self.run_verb("copy-in", "--layers=native/7,3,2", f"--fd={f.fileno()}", "/dir", fds=[f.fileno()])
        self.assertEqual((self.tree / "dir/put").read_bytes(), b"in")
        with open(self.root / "out", "w+b") as f:
            self.run_verb("copy-out", "--layers=native/7,3,2", f"--fd={f.fileno()}", "--follow-link", "/link/put", fds=[f.fileno()])
            f.seek(0)
            with tarfile.open(fileobj=f) as out:
                self.assertEqual(out.extractfile("put").read(), b"in")
        os.symlink("/../../same", self.tree / "up")
        found = self.run_verb("stat-path", "--layers=native/7,3,2", "--follow-link", "/up")
        self.assertEqual(found["size"], 4)

    def test_random(self):
        """Whatever is done to a tree, the image has it."""
        seed = random.randrange(1 << 32)
        chance = random.Random(seed)
        for n in range(12):
            with self.subTest(seed=seed, n=n):
                for _ in range(chance.randrange(1, 30)):
                    self.disturb(chance)
                layers = self.commit("native/7")
                self.assert_same(layers)

    def disturb(self, chance):
        everything = sorted(p for p in self.tree.rglob("*"))
        directories = [self.tree, *(p for p in everything if p.is_dir() and not p.is_symlink())]
        files = [p for p in everything if not p.is_dir() or p.is_symlink()]
        new = chance.choice(directories) / f"n{chance.randrange(20)}"
        action = chance.randrange(9)
        if action == 0 and not os.path.lexists(new):
            new.mkdir()
        elif action == 1 and not os.path.lexists(new):
            new.write_bytes(b"x" * chance.randrange(3))
        elif action == 2 and files:
            chance.choice(files).unlink()
        elif action == 3 and len(directories) > 1:
            shutil.rmtree(chance.choice(directories[1:]))
        elif action == 4 and files and not os.path.lexists(new):
            os.link(chance.choice(files), new, follow_symlinks=False)
        elif action == 5 and files and not new.is_dir():
            os.rename(chance.choice(files), new)
        elif action == 6 and files:
            victim = chance.choice(files)
            if not victim.is_symlink():
                victim.write_bytes(b"y" * chance.randrange(3))
                os.utime(victim, ns=(1, STAMP * 10**9))
        elif action == 7 and everything:
            victim = chance.choice(everything)
            os.chown(victim, chance.randrange(3), 0, follow_symlinks=False)
        elif action == 8 and not os.path.lexists(new):
            os.symlink(f"t{chance.randrange(3)}", new)


if __name__ == "__main__":
    worker.main()
