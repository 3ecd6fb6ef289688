#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker copy-out, copy-in, stat-path, export-root and diff: what comes over, and that nothing leads out."""

import io
import os
import pathlib
import shutil
import signal
import stat
import subprocess
import tarfile
import threading

import worker
from registry import entry, tar

OPAQUE = "trusted.overlay.opaque"
MARK = b"of the host only"


class Copy(worker.TestCase):
    """A stopped container: layer 7 is its own, on 3 and 2."""

    def setUp(self):
        super().setUp()
        self.upper, self.middle, self.bottom = (self.layer(n) for n in (7, 3, 2))
        (self.snapshots / "7" / "work").mkdir(mode=0o700)
        self.outside = self.root / "outside"
        self.outside.mkdir()
        (self.outside / "secret").write_bytes(MARK)

    def layer(self, n):
        path = self.snapshots / str(n) / "fs"
        path.mkdir(parents=True)
        path.chmod(0o755)
        return path

    def out(self, path, *arguments, verb="copy-out"):
        """The members of the archive, by their names."""
        file = self.root / "archive"
        with open(file, "wb") as f:
            self.result = self.run_verb(verb, "--layers=7,3,2", f"--fd={f.fileno()}", *arguments,
                                        *([path] if path else []), fds=[f.fileno()])
        with tarfile.open(file) as archive:
            return {m.name: (m, archive.extractfile(m).read() if m.isreg() else None) for m in archive}

    def put(self, path, data, *arguments):
        file = self.root / "archive"
        file.write_bytes(data)
        with open(file, "rb") as f:
            return self.run_verb("copy-in", "--layers=7,3,2", f"--fd={f.fileno()}", *arguments, path, fds=[f.fileno()])

    def refused(self, code, regex, verb, *arguments, layers="7,3,2", data=b""):
        file = self.root / "archive"
        file.write_bytes(data)
        with open(file, "r+b") as f:
            self.assert_fails(code, regex, f"--layers={layers}", *([] if verb == "stat-path" else [f"--fd={f.fileno()}"]),
                              *arguments, verb=verb, fds=[f.fileno()])

    def stat(self, path, *arguments):
        return self.run_verb("stat-path", "--layers=7,3,2", *arguments, path)

    def changes(self):
        with open(self.root / "changes", "w+b") as f:
            result = self.run_verb("diff", "--layers=7,3,2", f"--fd={f.fileno()}", fds=[f.fileno()])
            f.seek(0)
            found = [r.decode() for r in f.read().split(b"\0")[:-1]]
        self.assertEqual(result["changes"], len(found))
        return found

    def test_out(self):
        (self.bottom / "etc").mkdir()
        (self.bottom / "etc/passwd").write_bytes(b"below")
        (self.middle / "etc").mkdir(mode=0o750)
        (self.middle / "etc/passwd").write_bytes(b"root")
        (self.middle / "etc/hosts").write_bytes(b"h")
        (self.upper / "etc").mkdir()
        os.chown(self.upper / "etc", 3, 4)
        os.mknod(self.upper / "etc/hosts", stat.S_IFCHR, os.makedev(0, 0))
        os.symlink("/etc/passwd", self.upper / "link")
        os.utime(self.middle / "etc/passwd", ns=(5, 1000000000123456789))
        found = self.out("/etc")
        self.assertEqual(list(found), ["etc", "etc/passwd"])
        self.assertEqual((found["etc"][0].uid, found["etc"][0].gid), (3, 4))
        self.assertEqual(found["etc/passwd"][1], b"root")
        self.assertEqual(found["etc/passwd"][0].pax_headers["mtime"], "1000000000.123456789")
        self.assertEqual(list(self.out("etc/")), ["etc", "etc/passwd"])
        self.assertEqual(list(self.out("/etc/.")), [".", "passwd"])
        self.assertEqual(self.out("/link")["link"][0].linkname, "/etc/passwd")
        self.assertEqual(self.out("/link", "--follow-link")["link"][1], b"root")
        self.assertEqual(list(self.out(None, verb="export-root")), [".", "etc", "etc/passwd", "link"])
        self.refused("NotFound", "There is no \"/etc/hosts\"", "copy-out", "/etc/hosts")
        self.refused("FailedPrecondition", "is no directory", "copy-out", "/etc/passwd/")
        self.refused("FailedPrecondition", "is no directory", "copy-out", "/etc/passwd/x")

    def test_links_stay_inside(self):
        (self.bottom / "secret").write_bytes(b"inside")
        for n, target in enumerate(("/secret", "../../../../../../secret", "/proc/../secret", str(self.outside / "secret"))):
            os.symlink(target, self.upper / f"link{n}")
        (self.upper / "proc").mkdir()
        for n in range(3):
            self.assertEqual(self.out(f"/link{n}", "--follow-link")[f"link{n}"][1], b"inside")
            self.assertEqual(self.out(f"/../../link{n}", "--follow-link")[f"link{n}"][1], b"inside")
        self.refused("NotFound", "no \"/link3\"", "copy-out", "--follow-link", "/link3")
        os.symlink("loop", self.upper / "loop")
        self.refused("InvalidArgument", "symbolic links", "copy-out", "--follow-link", "/loop")
        self.refused("InvalidArgument", "too long", "copy-out", "/" + "x" * 300)
        self.refused("InvalidArgument", "too long", "copy-out", "/x" * 3000)

    def test_stat(self):
        (self.bottom / "f").write_bytes(b"12345")
        os.chown(self.bottom / "f", 7, 8)
        os.utime(self.bottom / "f", ns=(0, 1234567890123456))
        os.symlink(b"caf\xe9", os.fsencode(self.upper) + b"/l")
        found = self.stat("f")
        self.assertEqual((found["name"], found["size"], found["mode"], found["uid"], found["gid"], found["link_target"]),
                         ("f", 5, stat.S_IFREG | 0o644, 7, 8, ""))
        self.assertEqual(found["modified_at"], 1234567890123)
        self.assertEqual(self.stat("/l")["link_target"], "caf\\xe9")
        self.assertEqual(self.stat("/")["name"], ".")
        self.refused("NotFound", "no \"/none\"", "stat-path", "/none")

    def test_changes(self):
        for path in ("a/b", "gone", "hidden/sub"):
            (self.bottom / path).mkdir(parents=True)
        for path in ("a/changed", "a/removed", "kind", "hidden/x", "hidden/y"):
            (self.bottom / path).write_bytes(b"1")
        for path in ("a", "hidden", "new/deep"):
            (self.upper / path).mkdir(parents=True)
        (self.upper / "a/changed").write_bytes(b"2")
        for path in ("a/removed", "gone", "never"):
            os.mknod(self.upper / path, stat.S_IFCHR, os.makedev(0, 0))
        (self.upper / "kind").mkdir()
        os.setxattr(self.upper / "hidden", OPAQUE, b"y")
        (self.upper / "hidden/y").write_bytes(b"2")
        (self.upper / "hidden/z").write_bytes(b"2")
        (pathlib.Path(os.fsdecode(os.fsencode(self.upper) + b"/new/\xff"))).write_bytes(b"")
        self.assertEqual(self.changes(), [
            "C/a", "C/a/changed", "D/a/removed", "D/gone", "C/hidden", "D/hidden/sub", "D/hidden/x", "C/hidden/y",
            "A/hidden/z", "C/kind", "A/new", "A/new/deep", "A/new/\\xff"])
        self.refused("ResourceExhausted", "more than 12 changes", "diff", "--max=12")
        self.refused("InvalidArgument", "--max=0", "diff", "--max=0")

    def test_in(self):
        (self.bottom / "opt").mkdir()
        (self.bottom / "opt/old").write_bytes(b"old")
        os.symlink("/opt", self.bottom / "way")
        data = tar(entry("./", tarfile.DIRTYPE, mode=0o700), entry("d", tarfile.DIRTYPE, mode=0o2755, uid=5, gid=6, mtime=1000),
                   ("d/f", b"new"), ("old", b"replaced"), ("made/on/the/way", b"w"),
                   entry("d/l", tarfile.SYMTYPE, linkname="/etc/passwd"), entry("d/h", tarfile.LNKTYPE, linkname="d/f"),
                   entry("d/p", tarfile.FIFOTYPE), entry("d/c", tarfile.CHRTYPE, devmajor=1, devminor=3))
        self.put("/way", data)
        opt = self.upper / "opt"
        self.assertEqual((opt / "old").read_bytes(), b"replaced")
        self.assertEqual((self.bottom / "opt/old").read_bytes(), b"old")
        self.assertEqual((opt / "made/on/the/way").read_bytes(), b"w")
        st = (opt / "d").stat()
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_gid, st.st_mtime), (0o2755, 5, 6, 1000))
        self.assertEqual(os.readlink(opt / "d/l"), "/etc/passwd")
        self.assertEqual((opt / "d/h").stat().st_ino, (opt / "d/f").stat().st_ino)
        self.assertEqual((opt / "d/c").stat().st_rdev, os.makedev(1, 3))
        self.assertTrue(stat.S_ISFIFO((opt / "d/p").stat().st_mode))
        self.assertEqual(stat.S_IMODE(opt.stat().st_mode), 0o755)
        self.put("opt", data, "--no-owner")
        self.assertEqual((opt / "d").stat().st_uid, 0)

    def test_in_follows_links_inside(self):
        """As in the container: an entry below a link goes where the link leads there."""
        (self.bottom / "usr/lib").mkdir(parents=True)
        os.symlink("/usr/lib", self.bottom / "lib")
        os.symlink(str(self.outside), self.bottom / "out")
        self.put("/", tar(("lib/x", b"x")))
        self.assertEqual((self.upper / "usr/lib/x").read_bytes(), b"x")
        self.refused("FailedPrecondition", "is no directory", "copy-in", "/", data=tar(("out/secret", b"written")))
        link = entry("sneaky", tarfile.SYMTYPE, linkname=str(self.outside))
        self.refused("FailedPrecondition", "is no directory", "copy-in", "/", data=tar(link, ("sneaky/secret", b"written")))
        for name in ("../x", "a/../../x"):
            self.refused("InvalidArgument", "upwards", "copy-in", "/", data=tar((name, b"x")))
        for name in ("/absolute", "//absolute2"):
            self.put("/usr", tar((name, b"x")))
        self.assertTrue((self.upper / "usr/absolute2").exists())
        self.assertEqual((self.outside / "secret").read_bytes(), MARK)

    def test_kinds(self):
        (self.bottom / "dir/full").mkdir(parents=True)
        (self.bottom / "file").write_bytes(b"f")
        directory, file = tar(entry("file", tarfile.DIRTYPE)), tar(("dir", b"x"))
        self.refused("FailedPrecondition", "is no directory, and is not", "copy-in", "--no-overwrite-dir-non-dir", "/", data=directory)
        self.refused("FailedPrecondition", "is a directory, and is not", "copy-in", "--no-overwrite-dir-non-dir", "/", data=file)
        self.put("/", directory)
        self.put("/", file)
        self.assertTrue((self.upper / "file").is_dir())
        self.assertEqual((self.upper / "dir").read_bytes(), b"x")
        self.refused("FailedPrecondition", "is no directory", "copy-in", "/dir", data=directory)
        self.refused("NotFound", "There is no", "copy-in", "/none", data=directory)

    def fill(self, root, what):
        """What is to be replaced: a file, a link or a directory that is not empty."""
        root.mkdir()
        (root / "other").write_bytes(b"new")
        if what == "directory":
            (root / "x").mkdir()
            (root / "x/inside").write_bytes(b"old")
        elif what == "link":
            os.symlink("old", root / "x")
        else:
            (root / "x").write_bytes(b"old")

    def seen(self, root):
        """What x is now."""
        path = root / "x"
        if path.is_symlink():
            return os.readlink(path)
        if path.is_dir():
            return "old" if (path / "inside").exists() else "new"
        return path.read_text() if path.exists() else None

    def killed_at(self, root, data, call, n):
        """A copy that dies at its n-th call of that kind; False if there were not so many."""
        file, directory = self.root / "archive", os.open(root, os.O_PATH)
        file.write_bytes(data)
        strace = ["strace", "-f", "-qq", "-o", "/dev/null", "-e", f"trace={call}", "-e", f"inject={call}:signal=KILL:when={n}"]
        with open(file, "rb") as f:
            session = worker.Session(self.root, f"--container-fd={directory}", f"--fd={f.fileno()}", "/", verb="copy-in",
                                     wrap=strace, fds=[directory, f.fileno()],
                                     env={"ASAN_OPTIONS": "detect_leaks=0"})  # which does not work under strace
            os.close(directory)
            packet = session.next()
            code = session.wait()
        self.assertIn(code, (0, -signal.SIGKILL), packet)
        return code != 0

    def test_in_killed(self):
        """Whenever it dies, there is what was there or what replaces it; where it is a directory that gives way, too."""
        new = {"file": ("x", b"new"), "link": entry("x", tarfile.SYMTYPE, linkname="new"),
               "hard link": entry("x", tarfile.LNKTYPE, linkname="other"), "directory": entry("x", tarfile.DIRTYPE)}
        root, kills = self.root / "container", 0
        for before, after in (("file", "file"), ("link", "file"), ("directory", "file"), ("file", "link"), ("file", "hard link"),
                              ("file", "directory"), ("directory", "link")):
            for call in ("unlinkat", "renameat,renameat2", "linkat,symlinkat,mkdirat"):
                for n in range(1, 20):
                    shutil.rmtree(root, ignore_errors=True)
                    self.fill(root, before)
                    with self.subTest(before=before, after=after, call=call, n=n):
                        killed = self.killed_at(root, tar(new[after]), call, n)
                        self.assertIn(self.seen(root), ("old", "new") if killed else ("new",))
                        if not killed:
                            self.assertEqual(sorted(p.name for p in root.iterdir()), ["other", "x"])
                    if not killed:
                        break
                    kills += 1
        self.assertGreater(kills, 10)

    def test_bad_archives(self):
        for data in (b"x" * 5000, tar(("a", b"a" * 5000))[:3000], b"\x1f\x8b" + b"x" * 100):
            self.refused("DataLoss", ".", "copy-in", "/", data=data)
        self.assertFalse((self.upper / "a").exists(), "half a file has no name")
        self.refused("ResourceExhausted", "entries", "copy-in", "--limit=entries=2", "/", data=tar(*((str(n), b"") for n in range(3))))
        self.refused("InvalidArgument", "out of range: 524288:1", "copy-in", "/",
                     data=tar(entry("c", tarfile.CHRTYPE, devmajor=1 << 19, devminor=1)))
        self.refused("ResourceExhausted", "larger", "copy-in", "--limit=bytes=2", "/", data=tar(("b", b"123")))
        self.refused("ResourceExhausted", "deeper", "copy-in", "/", data=tar(("d/" * 300 + "x", b"")))
        self.refused("ResourceExhausted", "entries|too many files", "copy-out", "--limit=entries=2", "/")
        self.refused("ResourceExhausted", "larger", "copy-out", "--limit=bytes=1000", "/")
        self.put("/", b"")

    def test_bad_options(self):
        for layers in ("", "0", "7,", "x", "7,-3", "7;3", "1" * 30, ",".join("7" * 201)):
            self.refused("InvalidArgument", "layers", "copy-out", "/", layers=layers)
        self.refused("NotFound", "snapshot 99 is gone", "copy-out", "/", layers="7,99")
        self.refused("InvalidArgument", "path of one file", "copy-out")
        self.refused("InvalidArgument", "path of one file", "export-root", "/etc")
        with self.assertRaises(worker.Failed):
            self.run_verb("copy-out", "--layers=7,3", "/")

    def test_volatile(self):
        (self.snapshots / "7/work/work/incompat/volatile").mkdir(parents=True)
        self.refused("FailedPrecondition", "volatile", "copy-in", "/", data=tar(("a", b"")))

    def test_lock(self):
        """Two writers: the second is refused, and the first is let go by its end."""
        read, write = os.pipe()
        first = worker.Session(self.root, "--layers=7,3,2", f"--fd={read}", "/", verb="copy-in", fds=[read])
        first.next("progress")
        self.refused("Conflict", "Somebody else writes", "copy-in", "/", data=tar(("a", b"")))
        first.signal(signal.SIGKILL)
        first.wait()
        os.close(write)
        os.close(read)
        self.put("/", tar(("a", b"")))

    def test_cancel(self):
        """A pipe that nobody writes, and one that nobody reads."""
        (self.bottom / "large").write_bytes(os.urandom(1 << 20))
        for verb in ("copy-in", "copy-out"):
            pipe = os.pipe()
            fd = pipe[verb == "copy-out"]
            session = worker.Session(self.root, "--layers=7,3,2", f"--fd={fd}", "/", verb=verb, fds=[fd])
            session.next("progress")
            session.signal(signal.SIGTERM)
            with self.assertRaises(worker.Failed) as context:
                session.finish()
            self.assertEqual(context.exception.code, "Canceled")
            for fd in pipe:
                os.close(fd)

    def test_holes(self):
        """A sparse file stays one, on both ways; the map depends on what is in it alone."""
        path = self.bottom / "sparse"
        with open(path, "wb") as f:
            f.write(b"a" * 5000)
            f.seek(50 << 20)
            f.write(b"b")
            f.truncate(100 << 20)
        os.utime(path, (1, 1))
        self.assertEqual(len(self.out("/sparse")["sparse"][1]), 100 << 20)
        archive = (self.root / "archive").read_bytes()
        self.assertLess(len(archive), 100000)
        (self.bottom / "target").mkdir()
        self.put("/target", archive)
        copy = self.upper / "target/sparse"
        self.assertEqual(copy.read_bytes(), path.read_bytes())
        self.assertLess(copy.stat().st_blocks, 1000)
        dense = path.read_bytes()
        path.unlink()
        path.write_bytes(dense)
        os.utime(path, (1, 1))
        self.out("/sparse")
        self.assertEqual((self.root / "archive").read_bytes(), archive)

    def test_hostile_container(self):
        """While files are copied, a directory becomes a link to the host's and back, again and again."""
        target = self.upper / "data"
        target.mkdir()
        (target / "secret").write_bytes(b"inside")
        stop = threading.Event()
        link = self.upper / "link"
        os.symlink(str(self.outside), link)

        libc = __import__("ctypes").CDLL(None)

        def swap():
            while not stop.is_set():
                libc.renameat2(-100, os.fsencode(target), -100, os.fsencode(link), 2)

        thread = threading.Thread(target=swap)
        thread.start()
        root = os.open(self.upper, os.O_PATH)
        try:
            for _ in range(40):
                self.hostile_round(root)
        finally:
            stop.set()
            thread.join()
            os.close(root)
        self.assertEqual({p.name: p.read_bytes() for p in self.outside.iterdir()}, {"secret": MARK})

    def hostile_round(self, root):
        file = self.root / "archive"
        for verb, path, data in (("copy-out", "/data/secret", None), ("copy-out", "/data", None),
                                 ("copy-in", "/data", tar(("secret", b"inside"))), ("copy-in", "/", tar(("data/secret", b"inside")))):
            file.write_bytes(data or b"")
            with open(file, "r+b") as f:
                try:
                    self.run_verb(verb, f"--container-fd={root}", f"--fd={f.fileno()}", path, fds=[root, f.fileno()])
                except worker.Failed as failure:
                    self.assertIn(failure.code, ("NotFound", "FailedPrecondition", "Conflict", "Unknown"), failure)
                    self.assertNotEqual(failure.code, "Unknown", failure)
            self.assertNotIn(MARK, file.read_bytes())

    def test_running(self):
        """What a container has mounted is seen through its own root, and what is on the host is not."""
        (self.upper / "mnt").mkdir()
        script = ('mount -t tmpfs none "$1/mnt" && echo mounted >"$1/mnt/file" && chroot "$1" 2>/dev/null; '
                  'cd "$1" && mkdir -p old && pivot_root . old && echo ready && read -r line')
        child = subprocess.Popen(["unshare", "--mount", "--propagation=private", "bash", "-c",
                                  'mount --bind "$1" "$1" && ' + script, "bash", str(self.upper)],
                                 stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        self.assertEqual(child.stdout.readline(), b"ready\n")
        root = os.open(f"/proc/{child.pid}/root", os.O_PATH)
        file = self.root / "archive"
        with open(file, "wb") as f:
            self.run_verb("copy-out", f"--container-fd={root}", f"--fd={f.fileno()}", "/mnt", fds=[root, f.fileno()])
        with tarfile.open(file) as archive:
            self.assertEqual(archive.extractfile("mnt/file").read(), b"mounted\n")
        file.write_bytes(tar(("in", b"copied")))
        with open(file, "rb") as f:
            self.run_verb("copy-in", f"--container-fd={root}", f"--fd={f.fileno()}", "/mnt", fds=[root, f.fileno()])
        self.assertFalse((self.upper / "mnt/in").exists())
        with open(file, "wb") as f:
            self.run_verb("copy-out", f"--container-fd={root}", f"--fd={f.fileno()}", "/mnt/in", fds=[root, f.fileno()])
        self.assertEqual(tarfile.open(fileobj=io.BytesIO(file.read_bytes())).getnames(), ["in"])
        os.close(root)
        child.communicate(b"\n", timeout=60)


if __name__ == "__main__":
    worker.main()
