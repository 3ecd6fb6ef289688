#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker verify: damaged blobs are found, moved away and fetched again."""

import hashlib
import os
import signal

import worker
from registry import Image, digest, tar


class Verify(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.image = Image(tar(("a", os.urandom(300000))), tar(("b", b"bb")))
        self.registry.serve(self.image)
        self.pull("--no-unpack")
        self.blobs = self.content / "sha256"
        self.bytes = sum(p.stat().st_size for p in self.blobs.iterdir())

    def verify(self, *arguments):
        return self.run_verb("verify", *arguments)

    def damage(self, layer, data=None):
        path = self.blobs / digest(self.image.layers[layer])[7:]
        path.chmod(0o600)
        if data is None:
            data = bytearray(path.read_bytes())
            data[-1] ^= 1
        path.write_bytes(data)
        return path

    def test_good(self):
        result = self.verify()
        self.assertEqual((result["blobs"], result["bytes"], result["n_damaged"], result["damaged"]), (4, self.bytes, 0, []))
        last = self.last.progress[-1]["layers"][0]
        self.assertEqual((last["offset"], last["total"]), (self.bytes, self.bytes))

    def test_sha512(self):
        (self.content / "sha512" / hashlib.sha512(b"good").hexdigest()).write_bytes(b"good")
        (self.content / "sha512" / hashlib.sha512(b"x").hexdigest()).write_bytes(b"bad")
        result = self.verify()
        self.assertEqual((result["blobs"], result["n_damaged"]), (6, 1))
        self.assertEqual(result["damaged"][0]["blob"], "sha512/" + hashlib.sha512(b"x").hexdigest())

    def test_damaged(self):
        """A flipped bit, a truncated and an empty one; nothing is changed."""
        for data in (None, b"short", b""):
            with self.subTest(data):
                path = self.damage(0, data)
                result = self.verify()
                self.assertEqual(result["damaged"], [{"blob": f"sha256/{path.name}", "reason": "wrong digest", "quarantined": False}])
                self.assertTrue(path.exists())

    def test_quarantine(self):
        """The next pull brings it again."""
        path = self.damage(0)
        wrong = path.read_bytes()
        result = self.verify("--quarantine")
        self.assertEqual([(d["blob"], d["quarantined"]) for d in result["damaged"]], [(f"sha256/{path.name}", True)])
        self.assertFalse(path.exists())
        self.assertEqual((self.content / "quarantine" / path.name).read_bytes(), wrong)
        self.registry.requests.clear()
        self.pull()
        self.assertEqual(self.registry.blob_requests(), [f"/v2/test/image/blobs/sha256:{path.name}"])
        self.assertEqual(path.read_bytes(), self.image.layers[0])
        self.assertEqual(self.verify()["n_damaged"], 0)

    def test_unreadable(self):
        """One that may not be opened is told of, and the others are read all the same."""
        path = min(self.blobs.iterdir())
        all_blobs = self.verify()["blobs"]
        path.chmod(0)
        result = self.verify()
        self.assertEqual(result["blobs"], all_blobs)
        self.assertEqual([(d["blob"], d["reason"]) for d in result["damaged"]], [(f"sha256/{path.name}", "unreadable")])

    def test_strange(self):
        """What is no blob is none, whatever it is."""
        os.symlink("/etc/passwd", self.blobs / ("0" * 64))
        os.mkfifo(self.blobs / ("1" * 64))
        (self.blobs / "name").write_bytes(b"")
        (self.blobs / ("2" * 64)).mkdir()
        result = self.verify("--quarantine")
        self.assertEqual({d["blob"][7:]: d["reason"] for d in result["damaged"]},
                         {"0" * 64: "no regular file", "1" * 64: "no regular file", "2" * 64: "no regular file",
                          "name": "no name of a blob"})
        self.assertEqual(self.verify()["n_damaged"], 0)

    def test_many(self):
        """The report has an end, the count does not."""
        for i in range(600):
            (self.blobs / f"{i:064}").write_bytes(b"x")
        result = self.verify()
        self.assertEqual((result["n_damaged"], len(result["damaged"])), (600, 500))

    def test_cancel(self):
        with open(self.blobs / ("3" * 64), "wb") as file:
            file.truncate(1 << 36)
        session = worker.Session(self.root, env=self.env, verb="verify")
        session.next("progress")
        session.signal(signal.SIGTERM)
        with self.assertRaises(worker.Failed) as context:
            session.finish()
        self.assertEqual(context.exception.code, "Canceled")

    def test_options(self):
        self.assert_fails("InvalidArgument", "no argument", "x", verb="verify")


if __name__ == "__main__":
    worker.main()
