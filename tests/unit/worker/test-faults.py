#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker pull against registries that fail, images that lie and stores that are full.

Each case must end with the named error and its sentence, and leave no tree and no wrong blob behind.
"""

import gzip
import json
import os
import pathlib
import shutil
import signal
import socket
import subprocess
import threading
import time

import registry
import worker
from registry import Image, digest, tar

ERROR_OF_STATUS = {401: "PermissionDenied", 403: "PermissionDenied", 404: "NotFound", 418: "Unavailable",
                   429: "Unavailable", 500: "Unavailable"}


class Faults(worker.TestCase):
    def setUp(self):
        super().setUp()
        self.image = Image(tar(("a", os.urandom(300000))))
        self.layer = digest(self.image.layers[0])
        self.registry.serve(self.image)

    def assert_fails(self, *arguments, **more):
        super().assert_fails(*arguments, **more)
        if self.content.exists():
            for blob in self.stored():
                self.assertEqual(digest((self.content / "sha256" / blob).read_bytes()), "sha256:" + blob)

    def on_layer(self, action):
        """Let action answer requests for the layer."""
        def fault(handler):
            if not handler.path.endswith(self.layer):
                return False
            return action(handler) is not False

        self.registry.fault = fault

    def heal(self):
        """After the fault is gone, the next pull succeeds."""
        self.registry.fault = None
        self.registry.serve(self.image)
        return self.pull()

    # The registry cannot be reached or does not have it.

    def test_unreachable(self):
        self.registry.close()
        self.assert_fails("Unavailable", f"https://{self.registry.host}/v2/.*[Cc]onnect")

    def test_no_host(self):
        self.assert_fails("Unavailable", "[Rr]esolve", reference="host.invalid/a/b")

    def test_not_http(self):
        """Something listens that speaks neither TLS nor HTTP."""
        with socket.create_server(("127.0.0.1", 0)) as server:
            def talk():
                for _ in range(2):
                    connection, _ = server.accept()
                    connection.sendall(b"220 hello\r\n")
                    connection.recv(1000)
                    connection.close()

            threading.Thread(target=talk, daemon=True).start()
            self.assert_fails("Unavailable", "Failed to fetch", reference=f"127.0.0.1:{server.getsockname()[1]}/a/b")

    def test_unknown_tag(self):
        self.assert_fails("NotFound", r'no manifest "other" \(manifest unknown\)', reference=self.reference + ":other")

    def test_unknown_digest(self):
        self.assert_fails("NotFound", "no manifest", reference=f"{self.reference}@{digest(b'x')}")

    def test_unknown_blob(self):
        del self.registry.blobs[self.layer]
        self.assert_fails("NotFound", f"Layer {self.layer}.*has no blob")
        self.heal()

    def test_statuses(self):
        for status, code in ERROR_OF_STATUS.items():
            self.registry.fault = lambda handler, status=status: handler.refuse(status, "X", "told \x1b[31myou") or True
            self.assert_fails(code, r"\(told \[31myou\)|told" if status != 404 else "has no manifest")

    def test_server_error_on_blob(self):
        self.on_layer(lambda handler: handler.refuse(503, "UNAVAILABLE", "come back later"))
        self.assert_fails("Unavailable", "HTTP status 503 .*come back later")
        self.assertEqual(len([p for p in self.registry.blob_requests() if p.endswith(self.layer)]), 4)

    def test_transient_error(self):
        """One failure in between is not noticed."""
        state = {"failures": 1}

        def action(handler):
            if state["failures"] == 0:
                return False
            state["failures"] -= 1
            return handler.refuse(500, "X", "x")

        self.on_layer(action)
        self.pull()

    def test_redirect_loop(self):
        self.on_layer(lambda handler: handler.answer(302, Location=handler.path))
        self.assert_fails("Unavailable", "redirect")
        self.heal()

    def test_redirect_loop_of_manifest(self):
        """Two addresses that name each other."""
        def fault(handler):
            if "/manifests/" not in handler.path:
                return False
            other = "b" if handler.path.endswith("a") else "a"
            return handler.answer(307, Location=f"/v2/test/image/manifests/{other}") or True

        self.registry.fault = fault
        self.assert_fails("Unavailable", "redirect")
        self.assertLess(len(self.registry.requests), 20)
        self.heal()

    def test_password_loop(self):
        """A password is asked for again and again."""
        credentials = os.memfd_create("credentials")
        self.addCleanup(os.close, credentials)
        os.write(credentials, b'{"username": "me", "password": "in vain"}')
        os.lseek(credentials, 0, os.SEEK_SET)
        self.registry.fault = lambda handler: handler.answer(401, WWW_Authenticate='Basic realm="x"') or True
        self.assert_fails("PermissionDenied", "refuses access", f"--credentials-fd={credentials}", fds=[credentials])
        self.assertLess(len(self.registry.requests), 10)

    def test_credentials_without_end(self):
        """Whoever sends the credentials does not close the pipe: a signal ends the wait, or its time is over."""
        reader, writer = os.pipe()
        os.write(writer, b'{"username": "me"')
        session = self.start(f"--credentials-fd={reader}", fds=[reader])
        os.close(reader)
        # it is waiting when it has taken what there is
        self.wait_for(lambda: worker.bytes_in_pipe(writer) == 0)
        session.signal(signal.SIGTERM)
        self.assertEqual(session.wait(), -signal.SIGTERM)
        os.close(writer)

    def dribble(self, handler, start, data):
        """One byte every 20 ms, until the other side has enough of it."""
        handler.wfile.write(start)
        for byte in data:
            handler.wfile.write(bytes([byte]))
            time.sleep(0.02)

    def test_slow_body(self):
        self.env["CTR_STALL_SEC"] = "1"
        self.registry.ranges = False
        layer = self.image.layers[0]
        self.on_layer(lambda handler: self.dribble(handler, b"HTTP/1.1 200 OK\r\nContent-Length: %d\r\n\r\n" % len(layer),
                                                   layer))
        self.assert_fails("Unavailable", "too slow|timed out")
        self.heal()

    def test_slow_headers(self):
        self.env["CTR_STALL_SEC"] = "1"
        self.registry.fault = lambda handler: self.dribble(handler, b"HTTP/1.1 200 OK\r\nX-Header: ", b"x" * 10000)
        self.assert_fails("Unavailable", "too slow|timed out")
        self.heal()

    def test_redirect_to_file(self):
        self.on_layer(lambda handler: handler.answer(302, Location="file:///etc/passwd"))
        self.assert_fails("PermissionDenied", 'Protocol "file" not supported')

    def test_password(self):
        self.registry.fault = lambda handler: handler.answer(401, WWW_Authenticate='Basic realm="x"') or True
        self.assert_fails("PermissionDenied", "user name and a password")

    def test_token_loop(self):
        """The token is given out, and never accepted."""
        def fault(handler):
            if handler.path.startswith("/token"):
                handler.answer(200, b'{"access_token": "x"}', "application/json")
            else:
                handler.answer(401, WWW_Authenticate=f'Bearer realm="http://{self.registry.host}/token"')
            return True

        self.registry.fault = fault
        self.assert_fails("PermissionDenied", "refuses access")
        self.assertLess(len(self.registry.requests), 10)

    def test_bad_challenges(self):
        host = self.registry.host
        for challenge, code, regex in [
                ("Bearer", "Unavailable", "names no realm"),
                ('Bearer realm="', "Unavailable", "cannot be understood"),
                ("Bearer realm", "Unavailable", "cannot be understood"),
                ("Bearer ,,,", "Unavailable", "cannot be understood"),
                (f'Bearer realm="http://{host}/nothing"', "PermissionDenied", "HTTP status 404"),
                (f'Bearer realm="http://{host}/huge"', "ResourceExhausted", "larger than 65536 bytes"),
                (f'Bearer realm="http://{host}/text"', "InvalidArgument", "token server's answer, line 1"),
                (f'Bearer realm="http://{host}/empty"', "Unavailable", "sent no token"),
                (f'Bearer realm="http://{host}/lines"', "Unavailable", "sent a bad token"),
                # no name of it is asked for: nothing is sent to others than this machine in plain HTTP
                ('Bearer realm="HTTP://other.invalid/token"', "Unavailable", 'Protocol "http"'),
                ('Bearer realm="http://127.0.0.1:1@other.invalid/token"', "Unavailable", 'Protocol "http"'),
                ('Bearer realm="other.invalid/token"', "Unavailable", 'Protocol "http"'),
                ('Bearer realm="file:///etc/passwd"', "Unavailable", 'Protocol "file" not supported')]:
            def fault(handler, challenge=challenge):
                answers = {"huge": b"x" * 100000, "text": b"hello", "empty": b"{}", "lines": b'{"token": "a\\r\\nb: c"}'}
                name = handler.path.split("?")[0][1:]
                if name in answers:
                    handler.answer(200, answers[name], "application/json")
                elif name == "nothing":
                    handler.answer(404)
                else:
                    handler.answer(401, WWW_Authenticate=challenge)
                return True

            self.registry.fault = fault
            with self.subTest(challenge=challenge):
                self.assert_fails(code, regex)

    # The bytes are not what they should be.

    def test_wrong_digest(self):
        self.registry.blobs[self.layer] = self.registry.blobs[self.layer][:-1] + b"x"
        self.assert_fails("DataLoss", f"Layer {self.layer}.*wrong digest")
        self.assertEqual(self.partial(), {})
        self.heal()

    def test_wrong_manifest_digest(self):
        name = digest(self.image.document())
        self.registry.manifests[name] = (registry.MANIFEST, self.image.document() + b" ")
        self.assert_fails("DataLoss", "instead of " + name, reference=f"{self.reference}@{name}")

    def test_wrong_config_digest(self):
        config = self.image.manifest["config"]["digest"]
        self.registry.blobs[config] = b"x" * self.image.manifest["config"]["size"]
        self.assert_fails("DataLoss", "instead of " + config)

    def test_wrong_config_size(self):
        config = self.image.manifest["config"]["digest"]
        self.registry.blobs[config] += b" "
        self.assert_fails("DataLoss", "bytes instead of the")

    def test_truncated(self):
        self.registry.blobs[self.layer] = self.registry.blobs[self.layer][:1000]
        self.assert_fails("DataLoss", "truncated: 1000 of")
        self.assertEqual(self.partial(), {})
        self.heal()

    def test_too_long(self):
        self.registry.blobs[self.layer] += b"x"
        self.assert_fails("DataLoss", "larger than the")
        self.heal()

    def cut_at(self, size):
        """Promise everything, send at most size bytes of what is asked for, and close."""
        def action(handler):
            data = self.registry.blobs[self.layer]
            start = int(handler.headers.get("Range", "bytes=0-")[6:-1]) if self.registry.ranges else 0
            handler.send_response(206 if start else 200)
            handler.send_header("Content-Length", str(len(data) - start))
            if start:
                handler.send_header("Content-Range", f"bytes {start}-{len(data) - 1}/{len(data)}")
            handler.end_headers()
            handler.wfile.write(data[start:start + size])
            handler.cut()

        return action

    def test_cut_and_resumed(self):
        """Each connection carries 50 kB: Range brings the rest."""
        self.on_layer(self.cut_at(50000))
        self.pull()
        ranges = [h.get("Range") for p, h in self.registry.requests if p.endswith(self.layer)]
        self.assertEqual(ranges[:3], [None, "bytes=50000-", "bytes=100000-"])

    def test_cut_anywhere(self):
        """Whichever byte is the last one of the first connection, the second one brings the rest."""
        size = len(self.image.layers[0])
        for cut in (0, 1, 9, 10, 4095, 4096, 65535, 65536, 65537, size // 2, size - 8, size - 1):
            def action(handler, cut=cut):
                self.registry.fault = None
                self.cut_at(cut)(handler)

            with self.subTest(cut=cut):
                shutil.rmtree(self.content, ignore_errors=True)
                self.registry.requests.clear()
                self.on_layer(action)
                self.pull()
                ranges = [h.get("Range") for p, h in self.registry.requests if p.endswith(self.layer)]
                self.assertEqual(ranges, [None, f"bytes={cut}-" if cut else None])
                self.assertEqual(self.partial(), {})

    def test_cut_without_ranges(self):
        """A server without ranges that always stops at the same byte; what came is used later."""
        self.registry.ranges = False
        self.on_layer(self.cut_at(100000))
        self.assert_fails("Unavailable", "Failed to fetch")
        self.assertEqual(self.partial(), {self.layer[7:]: 100000})
        self.heal()
        self.assertEqual(self.partial(), {})

    def test_cut_at_headers(self):
        self.registry.fault = lambda handler: handler.cut() or True
        self.assert_fails("Unavailable", "Failed to fetch")

    def test_huge_header(self):
        """A line of 1 MiB, of a blob's answer and of a manifest's."""
        def action(handler):
            handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: " + b"x" * (1 << 20) + b"\r\nContent-Length: 0\r\n\r\n")
            handler.cut()

        self.on_layer(action)
        self.assert_fails("ResourceExhausted", "headers of the answer are too large")
        self.registry.fault = lambda handler: "/manifests/" in handler.path and not action(handler)
        self.assert_fails("ResourceExhausted", "headers of the answer are too large")
        self.heal()

    def test_wrong_range(self):
        (self.root / "content" / "ingest").mkdir(parents=True)
        (self.content / "ingest" / self.layer[7:]).write_bytes(self.image.layers[0][:1000])
        self.on_layer(lambda handler: handler.answer(206, b"x" * 10, Content_Range="bytes 0-9/300000"))
        self.assert_fails("Unavailable", "another range")

    def test_damaged_partial(self):
        """A partial blob with wrong bytes costs one failed pull, not all."""
        (self.root / "content" / "ingest").mkdir(parents=True)
        (self.content / "ingest" / self.layer[7:]).write_bytes(b"x" * 1000)
        self.assert_fails("DataLoss", "wrong digest")
        self.pull()

    def test_partial_too_long(self):
        (self.root / "content" / "ingest").mkdir(parents=True)
        (self.content / "ingest" / self.layer[7:]).write_bytes(b"x" * 1000000)
        self.pull()

    def test_damaged_store(self):
        """A damaged blob in the store is found, removed, and fetched again."""
        self.pull()
        path = self.content / "sha256" / self.layer[7:]
        path.chmod(0o600)
        path.write_bytes(path.read_bytes()[:-20] + b"x" * 20)
        with self.assertRaises(worker.Failed) as context:
            self.pull()
        self.assertEqual(context.exception.code, "DataLoss")
        self.assertIn("removed, pull again", context.exception.text)
        self.pull()

    def test_bad_compression(self):
        good = tar(("a", b"x" * 100000))
        packed = gzip.compress(good)
        for name, data in [("garbage", os.urandom(5000)), ("truncated", packed[:-20]), ("no trailer", packed[:-8]),
                           ("half trailer", packed[:-4]), ("bad checksum", packed[:-8] + b"\0" * 8),
                           ("garbage behind", packed + b"garbage"), ("empty", b""), ("header", packed[:5])]:
            self.registry.serve(Image(good, compress=lambda _, data=data: data))
            with self.subTest(name):
                self.assert_fails("DataLoss", "corrupt|truncated|empty")
        zstd = subprocess.run(["zstd", "-c"], input=good, stdout=subprocess.PIPE, check=True).stdout
        for data in [zstd[:-2], b"garbage" * 10, b""]:
            self.registry.serve(Image(good, compress=lambda _, data=data: data, layer_type=registry.LAYER[:-4] + "zstd"))
            self.assert_fails("DataLoss", "corrupt|truncated|empty")

    def test_zstd_window(self):
        """A frame that says it needs 2 GiB of memory."""
        frame = bytes.fromhex("28b52ffd" "00" "a8" "090000") + b"x"
        self.registry.serve(Image(b"x", compress=lambda _: frame, layer_type=registry.LAYER[:-4] + "zstd"))
        self.assert_fails("ResourceExhausted", "more than 128 MiB of memory")

    def test_wrong_diff_id(self):
        image = Image(tar(("a", b"x")))
        image.config["rootfs"]["diff_ids"] = [digest(b"other")]
        image.seal()
        self.registry.serve(image)
        self.assert_fails("DataLoss", "the config says " + digest(b"other"))

    def test_no_tar(self):
        self.registry.serve(Image(b"no tar archive" * 1000))
        self.assert_fails("DataLoss", "Layer")
        self.registry.serve(Image(tar(("a", b"x" * 10000))[:5000]))
        self.assert_fails("DataLoss", "[Tt]runcated")

    # The documents are not what they should be.

    def test_media_types(self):
        for content_type, code, regex in [
                ("text/html", "NotImplemented", '"text/html", which is neither'),
                ("application/vnd.docker.distribution.manifest.v1+prettyjws", "NotImplemented", "v1"),
                ("application/vnd.oci.image.index.v1+json", "InvalidArgument", "calls itself")]:
            self.registry.serve(self.image, content_type=content_type)
            self.assert_fails(code, regex)

    def test_layer_media_type(self):
        self.registry.serve(Image(tar(("a", b"x")), layer_type="application/vnd.test.layer"))
        self.assert_fails("NotImplemented", r'layers\[0\] has the media type "application/vnd.test.layer"')

    def test_artifact(self):
        self.image.manifest["config"]["mediaType"] = "application/vnd.test.config"
        self.registry.serve(self.image)
        self.assert_fails("NotImplemented", "no container image")

    def test_bad_documents(self):
        good = self.image.document()
        for data, regex in [(b"", "empty|manifest"), (b"{", "line 1"), (b"[]", "manifest|object"), (b"{}", "config is missing"),
                            (good[:-1] + b', "manifests": []}', "both"), (good.replace(b'"schemaVersion": 2', b'"schemaVersion": 1'), "schemaVersion"),
                            (good.replace(b'"sha256:', b'"sha256:x', 1), "digest"),
                            (good.replace(b'"size": ', b'"size": -', 1), "size"),
                            (good.replace(b'"layers"', b'"lasers"'), "layers is missing"),
                            (good.replace(b'"config"', b'"c"'), "config is missing")]:
            self.registry.manifests["latest"] = (registry.MANIFEST, data)
            with self.subTest(data=data[:100]):
                with self.assertRaises(worker.Failed) as context:
                    self.pull()
                self.assertIn(context.exception.code, ("InvalidArgument", "DataLoss", "NotImplemented"))
                self.assertRegex(context.exception.text, regex)

    def test_bad_configs(self):
        for change in [{"rootfs": None}, {"rootfs": {"type": "x", "diff_ids": []}}, {"config": {"Env": ["NOVALUE"]}},
                       {"config": {"Cmd": "sh"}}, {"rootfs": {"type": "layers", "diff_ids": ["x"]}},
                       {"rootfs": {"type": "layers", "diff_ids": []}}, {"config": {"Labels": {"a": 1}}}]:
            image = Image(tar(("a", b"x")))
            image.config.update(change)
            image.seal()
            self.registry.serve(image)
            with self.subTest(change=change):
                self.assert_fails("InvalidArgument", "rootfs|config|diff_ids")

    def test_huge_manifest(self):
        huge = b'{"x": "' + b"x" * (5 << 20) + b'"}'
        self.registry.manifests["latest"] = (registry.MANIFEST, huge)
        self.assert_fails("ResourceExhausted", "larger than 4194304 bytes")

        def endless(handler):
            handler.send_response(200)
            handler.send_header("Content-Type", registry.MANIFEST)
            handler.send_header("Connection", "close")
            handler.end_headers()
            for _ in range(1000):
                handler.wfile.write(b" " * 65536)
            handler.cut()
            return True

        self.registry.fault = lambda handler: "/manifests/" in handler.path and endless(handler)
        self.assert_fails("ResourceExhausted", "larger than 4194304 bytes")

    def test_listed_with_other_type(self):
        entry = registry.descriptor(registry.INDEX, self.image.document(),
                                    platform={"os": "linux", "architecture": "amd64"})
        self.registry.serve_index([entry])
        self.assert_fails("InvalidArgument", "listed as", "--platform=linux/amd64")

    def test_cyclic_index(self):
        """An index cannot contain its own digest, but a registry may pretend so."""
        entry = {"mediaType": registry.INDEX, "digest": digest(b"x"), "size": 1,
                 "platform": {"os": "linux", "architecture": "amd64"}}
        self.registry.serve_index([entry])
        self.registry.manifests[digest(b"x")] = self.registry.manifests["latest"]
        self.assert_fails("DataLoss", "bytes instead", "--platform=linux/amd64")

    # The store is not what it should be.

    def mounted(self, options):
        """A command prefix that gives the worker a tmpfs as its store, and keeps what it left as a list."""
        script = (f'mount -t tmpfs -o {options} tmpfs {self.root} && "$@"; r=$?;'
                  f'find {self.root} -name ".tmp-*" -o -name ".new-*" >{self.root}.left; exit $r')
        self.addCleanup(pathlib.Path(f"{self.root}.left").unlink, True)
        return ["unshare", "--mount", "--propagation=private", "sh", "-c", script, "sh"]

    def assert_fails_mounted(self, options, code, regex):
        with self.assertRaises(worker.Failed) as context:
            self.pull(wrap=self.mounted(options))
        self.assertEqual(context.exception.code, code, context.exception)
        self.assertRegex(context.exception.text, regex)
        with open(f"{self.root}.left", encoding="utf-8") as left:
            self.assertEqual(left.read(), "")

    def test_full_disk(self):
        for size in (100, 200, 300, 400, 500, 560):
            with self.subTest(size=size):
                self.assert_fails_mounted(f"size={size}k", "ResourceExhausted", "No space left on device")

    def test_no_inodes(self):
        self.registry.serve(Image(tar(*[(f"f{i}", b"") for i in range(100)])))
        self.assert_fails_mounted("nr_inodes=50", "ResourceExhausted", "Failed to create")

    def test_read_only(self):
        self.assert_fails_mounted("ro", "FailedPrecondition", f"The store {self.root} is not writable: Read-only")

    def test_no_directory(self):
        self.root.rmdir()
        self.root.write_text("a file")
        self.addCleanup(self.root.unlink)
        with self.assertRaises(worker.Failed) as context:
            self.pull()
        self.assertIn(f"Failed to open the store {self.root}", context.exception.text)

    def test_manager_talks_nonsense(self):
        for packet in (b"{", b"[]", b'{"type": "have"}', b'{"type": "other"}', b"x" * 200000):
            session = self.start()
            session.next()
            session.socket.send(packet)
            last = session.next()
            self.assertEqual((last["type"], session.wait()), ("error", 1))
            self.assert_no_trees()

    def test_json_is_kept_short(self):
        """Texts of others in our sentences are cut."""
        self.image.manifest["config"]["mediaType"] = "x" * 100000
        self.registry.serve(self.image)
        with self.assertRaises(worker.Failed) as context:
            self.pull()
        self.assertLess(len(json.dumps(context.exception.text)), 2000)


if __name__ == "__main__":
    worker.main()
