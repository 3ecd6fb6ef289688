#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker push and resolve: what is sent, in which order, and what becomes of it when the registry does not play along."""

import json
import os
import signal
import threading

import registry
import worker
from registry import Image, descriptor, digest, tar


class Push(worker.TestCase):
    def setUp(self):
        super().setUp()
        # the image is pulled from one registry and pushed to another
        self.image = Image(tar(("a", os.urandom(300000))), tar(("b", os.urandom(100))), tar(("c", b"")))
        self.digest = self.registry.serve(self.image)
        self.pull("--no-unpack")
        self.source = self.registry
        self.registry = registry.Registry()
        self.addCleanup(self.registry.close)
        self.target = f"{self.registry.host}/team/copy:1"

    def push(self, *arguments, source=None, **more):
        return self.run_verb("push", f"--from-digest={source or self.digest}", *arguments, self.target, **more)

    def assert_push_fails(self, code, regex, *arguments):
        self.assert_fails(code, regex, f"--from-digest={self.digest}", *arguments, self.target, verb="push")

    def assert_complete(self):
        self.assertEqual(self.registry.blobs, self.source.blobs)
        self.assertEqual(self.registry.manifests["1"], self.source.manifests["latest"])

    def methods(self, method, part=""):
        return [path for m, path in self.registry.methods if m == method and part in path]

    def test_all(self):
        result = self.push()
        self.assertEqual((result["digest"], result["uploaded"], result["existed"], result["mounted"]), (self.digest, 4, 0, 0))
        self.assertEqual(result["bytes"], sum(map(len, self.source.blobs.values())))
        self.assertEqual(result["reference"], self.target)
        self.assert_complete()
        self.assertEqual(self.registry.methods[-1], ("PUT", "/v2/team/copy/manifests/1"))
        last = self.last.progress[-1]
        self.assertEqual(last["phase"], "done")
        self.assertTrue(all((b["phase"], b["offset"]) == ("done", b["total"]) for b in last["layers"]), last)

    def test_again(self):
        """The second time nothing but the manifest is sent."""
        self.push()
        self.registry.methods.clear()
        result = self.push()
        self.assertEqual((result["uploaded"], result["existed"], result["bytes"]), (0, 4, 0))
        self.assertEqual(self.methods("POST"), [])

    def test_by_digest(self):
        self.target = f"{self.registry.host}/team/copy@{self.digest}"
        self.run_verb("push", self.target)
        self.assertEqual(self.registry.manifests[self.digest], self.source.manifests["latest"])
        self.assert_fails("InvalidArgument", "not that of its name", f"--from-digest={self.digest}",
                          f"{self.registry.host}/team/copy@{digest(b'')}", verb="push")

    def test_tag_alone(self):
        self.assert_fails("InvalidArgument", "named by its digest", self.target, verb="push")

    def test_not_there(self):
        self.assert_fails("NotFound", "not in the store", f"--from-digest={digest(b'x')}", self.target, verb="push")
        (self.content / "sha256" / digest(self.image.layers[1])[7:]).unlink()
        self.assert_push_fails("NotFound", "blob sha256:.* not in the store")
        self.assertEqual(self.registry.methods, [], "nothing is begun that cannot be completed")

    def test_damaged(self):
        """The registry sees that a blob is not what it should be."""
        path = self.content / "sha256" / digest(self.image.layers[1])[7:]
        path.chmod(0o600)
        path.write_bytes(bytes(len(self.image.layers[1])))
        self.assert_push_fails("Unavailable", "provided digest did not match")
        self.assertNotIn("1", self.registry.manifests)
        path.write_bytes(b"x")
        self.assert_push_fails("DataLoss", "has 1 bytes in the store")

    def test_mount(self):
        """What another repository has is taken over from there."""
        layer = digest(self.image.layers[0])
        self.registry.elsewhere["team/base"] = {layer: self.image.layers[0]}
        result = self.push("--mount-from=team/none", "--mount-from=team/base")
        self.assertEqual((result["mounted"], result["uploaded"]), (1, 3))
        self.assert_complete()
        self.assertEqual(self.registry.uploads, {}, "sessions that nobody uses are ended")

    def test_bad_options(self):
        for option in ("--mount-from=UPPER", "--mount-from=a&mount=b", "--mount-from=", "--chunk-size=1", "--chunk-size=x",
                       "--from-digest=sha256:1", "--nonsense"):
            with self.subTest(option):
                self.assert_fails("InvalidArgument", ".", option, self.target, verb="push")

    def test_chunks(self):
        result = self.push("--chunk-size=65536")
        self.assertEqual(result["uploaded"], 4)
        self.assertEqual(len(self.methods("PATCH")), 5 + 3)
        self.assert_complete()

    def cut_once(self, wanted, store):
        """Let the connection end in the middle of the wanted-th request with a body of more than 40,000 bytes."""
        count = [0]

        def fault(handler):
            if handler.command not in ("PATCH", "PUT") or int(handler.headers.get("Content-Length") or 0) < 40000:
                return False
            count[0] += 1
            if count[0] != wanted:
                return False
            data = handler.rfile.read(40000)
            name = handler.path.split("/")[-1].split("?")[0]
            if store:
                self.registry.uploads[name] += data
            handler.cut()
            return True

        self.registry.fault = fault

    def test_cut(self):
        """In one piece: from the start, in a new session."""
        self.cut_once(1, store=False)
        self.push()
        self.assert_complete()

    def test_cut_chunk(self):
        """In pieces: from where the registry has got to."""
        self.cut_once(3, store=True)
        self.push("--chunk-size=65536")
        self.assert_complete()
        self.assertEqual(len(self.methods("GET", "/uploads/")), 1)
        self.assertEqual(len(self.methods("POST")), 4)

    def test_lost_session(self):
        """The registry forgets an upload: it is begun anew."""
        self.cut_once(3, store=False)
        fault = self.registry.fault

        def forget(handler):
            if fault(handler):
                self.registry.uploads.clear()
                return True
            return False

        self.registry.fault = forget
        self.push("--chunk-size=65536")
        self.assert_complete()

    def test_busy(self):
        """429 and 503 are waited for, as long as the registry says."""
        count = [0]

        def fault(handler):
            if handler.command != "PUT":
                return False
            count[0] += 1
            if count[0] > 2:
                return False
            handler.body()
            handler.answer(429 if count[0] == 1 else 503, Retry_After="1")
            return True

        self.registry.fault = fault
        self.push()
        self.assert_complete()

    def test_refused(self):
        """The rest is an error with the registry's words."""
        for status, code in ((401, "PermissionDenied"), (403, "PermissionDenied"), (404, "NotFound"), (400, "Unavailable"),
                             (500, "Unavailable")):
            for command in ("HEAD", "POST", "PUT"):
                def fault(handler):
                    if handler.command != command or (command == "HEAD" and status == 404):
                        return False
                    handler.body()
                    handler.refuse(status, "DENIED", "not today")
                    return True

                with self.subTest(f"{command} {status}"):
                    self.registry.fault = fault
                    self.registry.blobs.clear()
                    if command == "HEAD" and status == 404:
                        continue
                    self.assert_push_fails(code, "(not today)|refuses|HTTP status")

    def test_bad_answers(self):
        """No place to upload to."""
        self.registry.fault = lambda handler: handler.command == "POST" and not handler.body() and not handler.answer(202)
        self.assert_push_fails("Unavailable", "does not say where")

    def test_foreign_location(self):
        """An upload that is sent to another host does not take our credentials there."""
        seen = []
        other = registry.Registry()
        self.addCleanup(other.close)

        def fault(handler):
            if handler.headers.get("Authorization") is None:
                handler.body()
                handler.answer(401, WWW_Authenticate='Basic realm="x"')
                return True
            if handler.command != "POST":
                return False
            handler.body()
            handler.answer(202, Location=f"http://{other.host}/v2/x/blobs/uploads/u0")
            return True

        def listen(handler):
            seen.append(handler.headers.get("Authorization"))
            return False

        self.registry.fault = fault
        other.fault = listen
        read, write = os.pipe()
        os.write(write, json.dumps({"username": "u", "password": "p"}).encode())
        os.close(write)
        with self.assertRaises(worker.Failed):
            self.push(f"--credentials-fd={read}", fds=[read])
        os.close(read)
        self.assertTrue(seen)
        self.assertEqual(set(seen), {None})

    def test_cancel(self):
        """SIGTERM in the middle of an upload."""
        reached = threading.Event()
        release = threading.Event()
        self.addCleanup(release.set)

        def fault(handler):
            if handler.command != "PUT" or int(handler.headers.get("Content-Length") or 0) < 200000:
                return False
            handler.rfile.read(1000)
            reached.set()
            release.wait(60)
            handler.cut()
            return True

        self.registry.fault = fault
        session = worker.Session(self.root, f"--from-digest={self.digest}", self.target, env=self.env, verb="push")
        self.assertTrue(reached.wait(60))
        session.signal(signal.SIGTERM)
        with self.assertRaises(worker.Failed) as context:
            session.finish()
        self.assertEqual(context.exception.code, "Canceled")
        self.assertRegex(context.exception.text, "The push was canceled")
        self.assertNotIn("1", self.registry.manifests)

    def make_index(self):
        """An index of two platforms and an attestation, all in the store."""
        other = Image(tar(("arm", b"arm")), architecture="arm64")
        note = {"schemaVersion": 2, "mediaType": registry.MANIFEST,
                "config": descriptor("application/vnd.example.note+json", b"{}"),
                "layers": [descriptor("application/vnd.in-toto+json", b"[]")]}
        note = json.dumps(note).encode()
        entries = [{**descriptor(registry.MANIFEST, image.document()), "platform": {"os": "linux", "architecture": name}}
                   for image, name in ((self.image, "amd64"), (other, "arm64"))]
        entries.append(descriptor(registry.MANIFEST, note, platform={"os": "unknown", "architecture": "unknown"}))
        index = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": entries}).encode()
        for data in [*other.blobs.values(), other.document(), note, b"{}", b"[]", index]:
            (self.content / "sha256" / digest(data)[7:]).write_bytes(data)
        return digest(index), other

    def test_index(self):
        index, other = self.make_index()
        result = self.push("--all-platforms", source=index)
        self.assertEqual((result["digest"], result["manifests"]), (index, 4))
        self.assertEqual(self.registry.manifests["1"][0], registry.INDEX)
        self.assertEqual(set(self.registry.manifests), {"1", index, self.digest, digest(other.document()),
                                                        *self.registry.manifests})
        self.assertEqual(len(self.registry.manifests), 5)

    def test_one_of_index(self):
        index, other = self.make_index()
        result = self.push("--platform=linux/arm64", source=index)
        self.assertEqual(result["digest"], digest(other.document()))
        self.assertEqual(self.registry.manifests["1"][1], other.document())
        self.assert_fails("NotFound", "no image for linux/s390x", f"--from-digest={index}", "--platform=linux/s390x",
                          self.target, verb="push")

    def test_incomplete_index(self):
        index, other = self.make_index()
        (self.content / "sha256" / digest(other.document())[7:]).unlink()
        self.assert_fails("NotFound", "is not in the store", f"--from-digest={index}", "--all-platforms", self.target,
                          verb="push")

    # Resolving

    def resolve(self, reference):
        return self.run_verb("resolve", reference, root=False)

    def test_resolve(self):
        """A1.10: the head of the manifest is enough, no blob is asked for."""
        self.registry = self.source
        self.registry.methods.clear()
        result = self.resolve(self.reference)
        # this registry does not tell the digest with a HEAD
        self.assertEqual(result["digest"], self.digest)
        self.assertEqual([m for m, path in self.registry.methods if "/v2/test" in path], ["HEAD", "GET"])
        self.registry.methods.clear()
        self.registry.fault = lambda handler: "manifests" in handler.path and not handler.answer(
            200, Docker_Content_Digest=digest(b"told"), Content_Length="0")
        self.assertEqual(self.resolve(self.reference)["digest"], digest(b"told"))
        self.assertEqual([m for m, path in self.registry.methods if "/v2/test" in path], ["HEAD"])
        self.assertEqual(self.registry.blob_requests(), [p for p in self.registry.blob_requests() if "sha" in p])

    def test_resolve_fails(self):
        for reference, code in ((self.target, "NotFound"), ("UPPER", "InvalidArgument"), ("127.0.0.1:1/a", "Unavailable")):
            with self.subTest(reference):
                self.assert_fails(code, ".", reference, verb="resolve", root=False)

    def test_resolve_no_registry(self):
        """Who answers any request with a page has no image."""
        self.registry.fault = lambda handler: not handler.answer(200, b"<html>Log in</html>", "text/html")
        self.assert_fails("NotImplemented", "which is neither an image manifest", self.target, verb="resolve", root=False)


if __name__ == "__main__":
    worker.main()
