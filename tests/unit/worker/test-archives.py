#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker pull: what archives become, good and hostile ones.

The layers are in the form overlayfs wants: a whiteout is the character device 0/0, an opaque directory has an extended
attribute.
"""

import gzip
import io
import os
import stat
import struct
import tarfile

import worker
from registry import Image, entry, tar

OPAQUE = "trusted.overlay.opaque"


def directory(name, **fields):
    return entry(name, tarfile.DIRTYPE, **fields)


def symlink(name, target, **fields):
    return entry(name, tarfile.SYMTYPE, linkname=target, **fields)


def hardlink(name, target):
    return entry(name, tarfile.LNKTYPE, linkname=target)


def with_xattrs(info, **xattrs):
    info.pax_headers = {f"SCHILY.xattr.{name.replace('__', '.')}": value for name, value in xattrs.items()}
    return info


def mode(path):
    return stat.S_IMODE(path.lstat().st_mode)


def is_whiteout(path):
    st = path.lstat()
    return stat.S_ISCHR(st.st_mode) and st.st_rdev == 0


class Archives(worker.TestCase):
    def extract(self, *members, **more):
        """Pull an image with this one layer; its tree."""
        return self.extract_tar(tar(*members, **more))

    def extract_tar(self, *layers):
        self.registry.serve(Image(*layers))
        return self.tree(self.pull())

    def refuse(self, code, regex, *members):
        self.registry.serve(Image(tar(*members)))
        self.assert_fails(code, regex)

    def test_types(self):
        tree = self.extract(
            directory("d", mode=0o2775, uid=3, gid=4, mtime=111),
            (entry("d/f", size=5, mode=0o4755, uid=1000, gid=1001, mtime=222), b"hello"),
            symlink("d/link", "../nowhere/at all", uid=7, gid=8, mtime=333),
            hardlink("hard", "d/f"),
            entry("fifo", tarfile.FIFOTYPE, mode=0o600, mtime=444),
            entry("null", tarfile.CHRTYPE, devmajor=1, devminor=3, mode=0o666, uid=2),
            entry("disk", tarfile.BLKTYPE, devmajor=253, devminor=300, mode=0o660, gid=6),
            directory("d", mode=0o2775, uid=3, gid=4, mtime=111))
        st = (tree / "d").stat()
        self.assertEqual((mode(tree / "d"), st.st_uid, st.st_gid, st.st_mtime), (0o2775, 3, 4, 111))
        st = (tree / "d/f").stat()
        self.assertEqual((mode(tree / "d/f"), st.st_uid, st.st_gid, st.st_mtime), (0o4755, 1000, 1001, 222))
        self.assertEqual((st.st_ino, st.st_nlink), ((tree / "hard").stat().st_ino, 2))
        st = (tree / "d/link").lstat()
        self.assertEqual((os.readlink(tree / "d/link"), st.st_uid, st.st_gid, st.st_mtime),
                         ("../nowhere/at all", 7, 8, 333))
        st = (tree / "fifo").lstat()
        self.assertEqual((stat.S_ISFIFO(st.st_mode), mode(tree / "fifo"), st.st_mtime), (True, 0o600, 444))
        st = (tree / "null").lstat()
        self.assertEqual((stat.S_ISCHR(st.st_mode), st.st_rdev, st.st_uid), (True, os.makedev(1, 3), 2))
        self.assertEqual(mode(tree / "null"), 0o666)
        st = (tree / "disk").lstat()
        self.assertEqual((stat.S_ISBLK(st.st_mode), st.st_rdev, st.st_gid), (True, os.makedev(253, 300), 6))

    def test_setgid_directory(self):
        """A set-group-ID directory does not lend its group."""
        tree = self.extract(directory("d", mode=0o2777, gid=50), ("d/f", b"x"), directory("d/e", mode=0o755))
        self.assertEqual(((tree / "d/f").stat().st_gid, (tree / "d/e").stat().st_gid), (0, 0))
        self.assertEqual(mode(tree / "d/e"), 0o755)

    def test_root(self):
        tree = self.extract(directory("./", mode=0o711, uid=9, mtime=555), ("./f", b"x"))
        st = tree.stat()
        self.assertEqual((mode(tree), st.st_uid, st.st_mtime), (0o711, 9, 555))

    def test_names(self):
        names = ["/absolute", "./dotted", "double//slash", "trailing/./dot", "n" * 255, "a/" * 200 + "deep",
                 "\u00e4\u00f6\u20ac\U0001f600", "sp ace\nline", "l" * 90 + "/" + "m" * 90]
        tree = self.extract(*[(name, b"x") for name in names])
        for name in names:
            self.assertTrue((tree / name.lstrip("/")).is_file(), name)

    def test_formats(self):
        """GNU and old ustar archives, names that are not UTF-8, times before 1970 and with fractions."""
        for kind in (tarfile.GNU_FORMAT, tarfile.USTAR_FORMAT, tarfile.PAX_FORMAT):
            out = io.BytesIO()
            archive = tarfile.open(fileobj=out, mode="w", format=kind, encoding="latin-1")
            name = "\xe4" if kind != tarfile.PAX_FORMAT else "a"
            long = "x" * 120 if kind != tarfile.USTAR_FORMAT else "y" * 60 + "/" + "x" * 60
            for info in (entry(name), entry(long)):
                info.mtime = -1000 if kind != tarfile.USTAR_FORMAT else 0
                archive.addfile(info, io.BytesIO())
            archive.close()
            tree = self.extract_tar(out.getvalue())
            path = os.fsencode(tree) + b"/" + name.encode("latin-1")
            self.assertEqual(os.lstat(path).st_mtime, -1000 if kind != tarfile.USTAR_FORMAT else 0)
            self.assertTrue((tree / long).is_file())
        self.assertEqual((self.extract(entry("f", mtime=1.25)) / "f").stat().st_mtime_ns, 1250000000)

    def test_trailers(self):
        """No trailer, one block of it, much padding behind it, nothing at all."""
        layer = tar(("a", b"x" * 1000), trailer=False)
        for end in (b"", b"\0" * 512, b"\0" * 1024, b"\0" * 100000, b"\0" * 1024 + b"garbage" * 1000):
            self.assertEqual((self.extract_tar(layer + end) / "a").stat().st_size, 1000)
        self.assertEqual(list(self.extract_tar(b"").iterdir()), [])
        self.assertEqual(list(self.extract_tar(b"\0" * 10240).iterdir()), [])

    def test_sparse(self):
        """The three PAX forms and GNU's old one need GNU tar to make them; 1.0 by hand is enough here."""
        blocks = [(0, b"begin"), (1 << 30, b"end")]
        table = f"{len(blocks)}\n" + "".join(f"{offset}\n{len(data)}\n" for offset, data in blocks)
        body = table.encode().ljust(512, b"\0") + b"".join(data for _, data in blocks)
        info = entry("GNUSparseFile.0/sparse", size=len(body))
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                            "GNU.sparse.realsize": str((1 << 30) + 3)}
        tree = self.extract((info, body))
        st = (tree / "sparse").stat()
        self.assertEqual(st.st_size, (1 << 30) + 3)
        self.assertLess(st.st_blocks, 100)
        with open(tree / "sparse", "rb") as file:
            self.assertEqual(file.read(6), b"begin\0")
            file.seek(1 << 30)
            self.assertEqual(file.read(), b"end")

    def test_xattrs(self):
        capability = struct.pack("<IIIII", 0x02000001, 1 << 13, 0, 0, 0)
        tree = self.extract(
            with_xattrs(entry("f"), user__a="text", user__b="zero\0line\nend", trusted__x="t",
                        security__capability=capability.decode("latin-1"), security__selinux="label",
                        trusted__overlay__redirect="/etc", trusted__overlay__metacopy="", user__overlay__opaque="y"),
            with_xattrs(directory("d"), user__d="dir", trusted__overlay__opaque="y"))
        names = {name: os.getxattr(tree / "f", name) for name in os.listxattr(tree / "f")}
        names.pop("security.selinux", None)
        self.assertEqual(names, {"user.a": b"text", "user.b": b"zero\0line\nend", "trusted.x": b"t",
                                 "security.capability": capability})
        self.assertEqual(os.listxattr(tree / "d"), ["user.d"])

    def test_bad_attributes(self):
        """What no file can have is the archive's fault."""
        for member, regex in ((with_xattrs(entry("f"), security__capability="nonsense"), "attribute security.capability of"),
                              (with_xattrs(entry("f"), **{"user__" + "x" * 300: "x"}), "attribute user.xxx"),
                              (entry("c", tarfile.CHRTYPE, devmajor=1 << 19, devminor=1), "number out of range: 524288:1"),
                              (entry("b", tarfile.BLKTYPE, devmajor=1, devminor=1 << 20), "number out of range: 1:1048576")):
            with self.subTest(regex):
                self.refuse("InvalidArgument", regex, member)

    def test_whiteouts(self):
        """One that hides nothing would be listed by overlayfs."""
        lower = tar(("gone", b""), ("d/gone", b""), ("e/gone", b""))
        upper = tar((".wh.gone", b""), ("d/.wh.gone", b""), ("d/.wh..wh..opq", b""), ("d/kept", b"x"),
                    ("e/.wh.gone", b""), ("new/.wh.nothing", b""), (".wh..wh.plnk/1.2", b"aufs"), (".wh..wh.aufs", b""))
        tree = self.extract_tar(lower, upper)
        self.assertTrue(is_whiteout(tree / "gone"))
        self.assertTrue(is_whiteout(tree / "e/gone"))
        self.assertEqual(os.getxattr(tree / "d", OPAQUE), b"y")
        self.assertEqual(sorted(str(p.relative_to(tree)) for p in tree.rglob("*")),
                         ["d", "d/kept", "e", "e/gone", "gone", "new"])
        self.assertEqual([p.name for p in self.extract((".wh.gone", b""), ("kept", b"")).iterdir()], ["kept"])

    def test_whiteouts_of_own_layer(self):
        """A whiteout concerns lower layers only, in whatever order the entries come."""
        tree = self.extract(("file", b"x"), (".wh.file", b""), (".wh.later", b""), ("later", b"x"),
                            (".wh.dir", b""), directory("dir"), ("dir/new", b"x"), directory("first"),
                            ("first/new", b"x"), (".wh.first", b""), (".wh.implied", b""), ("implied/new", b"x"))
        for name in ("file", "later", "dir/new", "first/new", "implied/new"):
            self.assertTrue((tree / name).is_file(), name)
        for name in ("dir", "first", "implied"):
            self.assertEqual(os.getxattr(tree / name, OPAQUE), b"y", name)

    def extract_all(self, *layers, have=None):
        """The trees of all layers."""
        self.registry.serve(Image(*layers))
        result = self.pull(have=have)
        return [self.tree(result, i) for i in range(len(layers)) if result["layers"][i]["directory"]]

    def test_lower_hardlink(self):
        """A hard link to a file of a lower layer takes it over, with all that belongs to it."""
        sparse = b"\0" * (1 << 20) + b"end"
        info = with_xattrs(entry("d/f", mode=0o4751, uid=1000, gid=1001, size=len(sparse)), user__name="value")
        base = tar(directory("d", mode=0o750, uid=7), (info, sparse))
        _, middle, top = self.extract_all(base, tar(("other", b"x")),
                                          tar(hardlink("a", "d/f"), hardlink("b", "a"), hardlink("e/c", "./d/f")))
        self.assertEqual(os.listdir(middle), ["other"])
        files = [top / name for name in ("a", "b", "e/c", "d/f")]
        for file in files:
            self.assertEqual(file.read_bytes(), sparse)
            self.assertEqual(os.stat(file).st_ino, os.stat(files[0]).st_ino)
        st = os.stat(files[0])
        self.assertEqual((st.st_nlink, st.st_uid, st.st_gid, mode(files[0])), (4, 1000, 1001, 0o4751))
        self.assertEqual(st.st_mtime, 1000000000)
        self.assertEqual(os.getxattr(files[0], "user.name"), b"value")
        self.assertEqual((mode(top / "d"), os.stat(top / "d").st_uid), (0o750, 7))
        self.assertEqual({p.name for p in top.parent.iterdir()}, {"fs"})

    def test_lower_hardlink_of_snapshot(self):
        """The lower layer may be a snapshot that the manager has."""
        base = tar(("f", b"content"))
        lower, = self.extract_all(base)
        lower.parent.rename(self.snapshots / "12")
        top, = self.extract_all(base, tar(hardlink("a", "f")), have=[12, None])
        self.assertEqual((top / "a").read_bytes(), b"content")

    def test_lower_hardlink_replaced(self):
        """What the archive does with the names afterwards counts."""
        _, top = self.extract_all(tar(("f", b"old"), ("g", b"gone")),
                                  tar(hardlink("a", "f"), ("f", b"new"), hardlink("h", "g"), ("g", b"1"), ("h", b"2")))
        self.assertEqual([(top / name).read_bytes() for name in "afgh"], [b"old", b"new", b"1", b"2"])

    def test_lower_hardlink_hidden(self):
        """What is removed in between, or by the layer itself, is not there."""
        base = tar(("d/f", b"content"), directory("dir"), symlink("link", "d/f"))
        for between, top, regex in ((tar((".wh.d", b"")), tar(hardlink("a", "d/f")), "neither in its layer"),
                                    (tar(("d/.wh.f", b"")), tar(hardlink("a", "d/f")), "neither in its layer"),
                                    (tar(("d/.wh..wh..opq", b"")), tar(hardlink("a", "d/f")), "neither in its layer"),
                                    (tar((".wh..wh..opq", b"")), tar(hardlink("a", "d/f")), "neither in its layer"),
                                    (tar(("x", b"")), tar((".wh..wh..opq", b""), hardlink("a", "d/f")), "neither in its"),
                                    (tar(("x", b"")), tar(("d/.wh.f", b""), hardlink("a", "d/f")), "not in its layer"),
                                    (tar(("x", b"")), tar(hardlink("a", "dir")), "no regular file"),
                                    (tar(("x", b"")), tar(hardlink("a", "link")), "no regular file"),
                                    (tar(("x", b"")), tar(hardlink("a", "d/f/g")), "neither in its layer"),
                                    (tar(("x", b"")), tar(hardlink("a", "none")), "neither in its layer")):
            with self.subTest(regex=regex, top=top[:100]):
                self.registry.serve(Image(base, between, top))
                self.assert_fails("InvalidArgument", regex)

    def test_lower_hardlink_limit(self):
        """What is copied counts."""
        self.registry.serve(Image(tar(("f", os.urandom(1 << 17))), tar(("g", os.urandom(1 << 17))),
                                  tar(hardlink("a", "f"), hardlink("b", "g"))))
        self.assert_fails("ResourceExhausted", "leads to .*with it .* larger than 200000 bytes", "--limit=bytes=200000")
        self.pull("--limit=bytes=300000")

    def test_opaque_root(self):
        """overlayfs has no mark for an opaque root: what is below it is hidden by name."""
        _, _, top = self.extract_all(tar(("gone", b""), ("d/gone", b""), ("file", b"old"), directory("empty")),
                                     tar(("also", b""), (".wh.empty", b"")),
                                     tar((".wh..wh..opq", b""), ("d/new", b""), ("file", b"new")))
        self.assertEqual({p.name for p in top.iterdir()}, {"gone", "d", "file", "also", "empty"})
        self.assertTrue(is_whiteout(top / "gone") and is_whiteout(top / "also") and is_whiteout(top / "empty"))
        self.assertEqual(os.getxattr(top / "d", OPAQUE), b"y")
        self.assertEqual((top / "file").read_bytes(), b"new")

    def test_limits(self):
        """Limits are options, and directories that are only implied count."""
        self.registry.serve(Image(tar(("/".join("abcdefgh"), b""))))
        self.assert_fails("ResourceExhausted", "more than 8 entries", "--limit=entries=8")
        self.pull("--limit=entries=9")
        self.assert_fails("ResourceExhausted", "larger than 100 bytes", "--limit=bytes=100")
        for limit in ("entries=", "entries=x", "entries=-1", "nonsense=1", "entries", "xattr-count=99999"):
            self.assert_fails("InvalidArgument", "is no limit", f"--limit={limit}")

    def test_root_opaque(self):
        self.assertEqual(os.getxattr(self.extract((".wh..wh..opq", b"")), OPAQUE), b"y")

    def test_replaced(self):
        """A later entry of the same name wins, and replaces what is no directory."""
        tree = self.extract(("f", b"one"), ("f", b"two"), directory("d"), ("d/x", b"x"), ("d", b"now a file"),
                            ("g", b"file"), directory("g"), ("g/x", b"x"), symlink("s", "/etc"), directory("s"),
                            ("s/x", b"inside"), symlink("f2", "f"), ("f2", b"no link"), hardlink("f", "f"))
        self.assertEqual((tree / "f").read_bytes(), b"two")
        self.assertEqual((tree / "d").read_bytes(), b"now a file")
        self.assertEqual((tree / "g/x").read_bytes(), b"x")
        self.assertEqual((tree / "s/x").read_bytes(), b"inside")
        self.assertEqual((tree / "f2").read_bytes(), b"no link")

    def test_inherited(self):
        """Directories that are not named look as they do below; a hidden one does not count."""
        lowest = tar(directory("./", mode=0o701), directory("a", mode=0o1777, uid=1, mtime=111),
                     with_xattrs(directory("a/b", mode=0o700, gid=2, mtime=222), user__x="y"), directory("c", mode=0o711),
                     directory("e", mode=0o700), directory("e/f", mode=0o700))
        middle = tar(("a/m", b""), (".wh.c", b""), ("e/.wh..wh..opq", b""))
        top = tar(("a/b/t", b""), ("c/t", b""), ("e/f/t", b""))
        tree = self.extract_tar(lowest, middle, top)
        self.assertEqual(mode(tree), 0o701)
        st = (tree / "a").stat()
        self.assertEqual((mode(tree / "a"), st.st_uid, st.st_mtime), (0o1777, 1, 111))
        st = (tree / "a/b").stat()
        self.assertEqual((mode(tree / "a/b"), st.st_gid, st.st_mtime), (0o700, 2, 222))
        self.assertEqual(os.getxattr(tree / "a/b", "user.x"), b"y")
        self.assertEqual(mode(tree / "c"), 0o755)
        self.assertEqual(mode(tree / "e"), 0o700)
        self.assertNotIn(OPAQUE, os.listxattr(tree / "e"))
        self.assertEqual(mode(tree / "e/f"), 0o755)

    def test_parent_links(self):
        """Links of the layer are followed where they are parents, as if the layer were the root; the last name is not."""
        layer = tar(directory("usr/lib", mtime=5), symlink("lib", "usr/lib"), ("lib/a", b"a"), directory("lib/d", mode=0o700),
                    symlink("abs", "/usr/./lib/../lib"), ("abs/d/b", b"b"), symlink("up", "../../../usr"), ("up/lib/c", b"c"),
                    symlink("one", "two"), symlink("two", "lib/d"), symlink("one/e", "target"), ("one/.wh.gone", b""),
                    ("one/.wh..wh..opq", b""), symlink("dangling", "made/here"), ("dangling/f", b"f"),
                    hardlink("h", "abs/a"), hardlink("lib/h", "up/lib/c"), symlink("root", "/"), ("root/g", b"g"),
                    ("lib/.wh.a2", b""), symlink("lib/d/back", "../../bin"), ("two/back/i", b"i"))
        tree = self.extract_tar(tar(("usr/lib/a2", b"")), layer)
        for name, data in (("a", b"a"), ("d/b", b"b"), ("c", b"c"), ("h", b"c")):
            self.assertEqual((tree / "usr/lib" / name).read_bytes(), data)
        for name in ("lib", "abs", "up", "one", "two", "dangling", "root", "usr/lib/d/e", "usr/lib/d/back"):
            self.assertTrue((tree / name).is_symlink(), name)
        self.assertEqual((mode(tree / "usr/lib/d"), (tree / "usr/lib").stat().st_mtime), (0o700, 5))
        self.assertEqual(os.getxattr(tree / "usr/lib/d", OPAQUE), b"y")
        self.assertTrue(is_whiteout(tree / "usr/lib/a2"))
        self.assertFalse(os.path.lexists(tree / "usr/lib/d/gone"))
        for name, data in (("made/here/f", b"f"), ("g", b"g"), ("h", b"a"), ("usr/bin/i", b"i")):
            self.assertEqual((tree / name).read_bytes(), data)

    def test_parent_replaced(self):
        """What was a parent a moment ago may be something else now."""
        tree = self.extract(directory("a/b"), ("a/b/x", b"x"), ("a", b"file"), directory("a"), ("a/b/y", b"y"),
                            ("a", b"file"), symlink("a", "c"), ("a/b/z", b"z"))
        self.assertEqual((tree / "c/b/z").read_bytes(), b"z")
        self.assertTrue((tree / "a").is_symlink())

    # What must not be.

    def test_links_out(self):
        """A link that leads out leads to a place inside of the layer."""
        outside = self.root / "outside"
        outside.mkdir()
        (outside / "file").write_text("untouched")
        name, up = str(outside), "../" * 12
        inside = name.lstrip("/")
        for target in (name, up + name, up + name + "/../outside"):
            tree = self.extract(symlink("l", target), ("l/evil", b"x"), ("l/.wh.file", b""), ("l/.wh..wh..opq", b""))
            self.assertEqual((tree / inside / "evil").read_bytes(), b"x")
        tree = self.extract(symlink("l", ".."), symlink("l/m", up), ("m/evil", b"x"), symlink("p", "/proc/self/root"), ("p/evil", b"x"))
        self.assertTrue((tree / "evil").is_file() and (tree / "proc/self/root/evil").is_file())
        tree = self.extract(symlink("a", "b"), symlink("b", name), ("a/evil", b"x"), hardlink("h", "b/evil"))
        self.assertTrue((tree / inside / "evil").samefile(tree / "h"))
        self.assertEqual([p.name for p in outside.iterdir()], ["file"])
        self.assertEqual((outside / "file").read_text(), "untouched")

    def test_bad_parent_links(self):
        loop = (symlink("a", "b"), symlink("b", "a"))
        self.refuse("InvalidArgument", "too many symbolic links", *loop, ("a/f", b"x"))
        self.refuse("InvalidArgument", "too many symbolic links", *loop, hardlink("h", "a/f"))
        self.refuse("InvalidArgument", "too many symbolic links", symlink("a", "x/../" * 800), ("a/f", b"x"))
        self.refuse("InvalidArgument", "too long name", symlink("a", "n" * 300), ("a/f", b"x"))
        self.refuse("InvalidArgument", "too long name", symlink("a", "/".join(["n" * 200] * 20)), ("a/" + "m" * 100 + "/f", b"x"))
        self.refuse("ResourceExhausted", "deeper than 256", symlink("a", "d/" * 256), ("a/f", b"x"))
        self.refuse("InvalidArgument", "not a directory", ("f", b"x"), symlink("a", "f"), ("a/x", b"x"))
        self.refuse("InvalidArgument", "below the name of a whiteout", symlink("a", "d/.wh.x"), ("a/f", b"x"))

    def test_escapes(self):
        outside = self.root / "outside"
        outside.mkdir()
        (outside / "file").write_text("untouched")
        up = "../" * 12
        self.refuse("InvalidArgument", "leads upwards", (up + "tmp/evil", b"x"))
        self.refuse("InvalidArgument", "leads upwards", ("a/../../evil", b"x"))
        self.refuse("InvalidArgument", "leads upwards", directory(".."))
        self.refuse("InvalidArgument", "not a directory", ("a", b""), ("a/evil", b"x"))
        self.refuse("InvalidArgument", "leads upwards", hardlink("a", up + "etc/passwd"))
        self.refuse("InvalidArgument", 'leads to "etc/passwd": it is neither in its layer', hardlink("a", "/etc/passwd"))
        self.refuse("InvalidArgument", "neither in its layer", symlink("l", str(outside)), hardlink("a", "l/file"))
        self.refuse("InvalidArgument", "leads to the directory", directory("d"), hardlink("a", "d"))
        self.refuse("InvalidArgument", "not in its layer", hardlink("a", "."))
        self.refuse("InvalidArgument", "root of the layer", symlink("./", "/"))
        self.refuse("InvalidArgument", "root of the layer", (".", b"x"))
        self.assertEqual([p.name for p in outside.iterdir()], ["file"])
        self.assertEqual((outside / "file").read_text(), "untouched")

    def test_link_to_link(self):
        """A hard link to a symbolic link is one, and writing through it is impossible."""
        outside = self.root / "outside"
        outside.write_text("untouched")
        tree = self.extract(symlink("l", str(outside)), hardlink("h", "l"), ("h", b"overwritten"))
        self.assertEqual(outside.read_text(), "untouched")
        self.assertEqual((tree / "h").read_bytes(), b"overwritten")

    def test_bad_whiteouts(self):
        for name in (".wh.", ".wh..", ".wh...", "d/.wh."):
            self.refuse("InvalidArgument", "whiteout", (name, b""))
        self.refuse("InvalidArgument", "below the name of a whiteout", (".wh.d/x", b""))

    def test_limits(self):
        self.refuse("InvalidArgument", "more than 255 bytes", ("n" * 256, b"x"))
        self.refuse("ResourceExhausted", "deeper than 256", ("a/" * 256 + "f", b"x"))
        self.refuse("InvalidArgument", "longer than", *[("/".join(["n" * 200] * 21), b"x")])
        self.refuse("ResourceExhausted", "extended attribute user.big .* larger", with_xattrs(entry("f"), user__big="x" * 65537))
        self.refuse("ResourceExhausted", "more than 128 extended", with_xattrs(entry("f"), **{f"user__x{i}": "x" for i in range(129)}))
        self.refuse("InvalidArgument", "owner out of range", entry("f", uid=(1 << 32) - 1))

    def test_huge_files(self):
        """Sizes that only exist on paper: a sparse file of 8 EiB, a file of 1 TiB without data."""
        info = entry("GNUSparseFile.0/sparse", size=512)
        info.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "sparse",
                            "GNU.sparse.realsize": str((1 << 63) - 1)}
        self.refuse("ResourceExhausted", "larger than", (info, b"0\n".ljust(512, b"\0")))
        header = entry("f", size=1 << 40).tobuf(tarfile.GNU_FORMAT)
        self.registry.serve(Image(header))
        self.assert_fails("ResourceExhausted", "larger than")

    def test_bomb(self):
        """256 MiB of zeros behind the archive are read through once for their digest."""
        layer = tar(("a", b"x")) + b"\0" * (1 << 28)
        self.registry.serve(Image(layer, compress=lambda data: gzip.compress(data, 1)))
        self.pull()

    def test_large_file(self):
        """A layer larger than all buffers together."""
        tree = self.extract(("big", os.urandom(1 << 20) * 40))
        self.assertEqual((tree / "big").stat().st_size, 40 << 20)


if __name__ == "__main__":
    worker.main()
