#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker pull: what it makes of good images, and its side of the protocol."""

import fcntl
import gzip
import json
import os
import pathlib
import shutil
import signal
import ssl
import stat
import subprocess
import tarfile
import threading
import unittest

import registry
import worker
from registry import Image, digest, entry, tar


class Pull(worker.TestCase):
    def test_layers(self):
        """Two layers: blobs verified and stored, trees beside each other, ids right."""
        lower = tar(("a", b"one"), ("b", b"two"))
        upper = tar(("a", b"changed"))
        self.registry.serve(Image(lower, upper))
        result = self.pull()
        self.assertEqual(result["reference"], self.reference + ":latest")
        self.assertEqual(result["platforms"], ["linux/amd64"])
        self.assertEqual({b["digest"][7:] for b in result["blobs"]}, self.stored())
        self.assertEqual(self.partial(), {})
        self.assertEqual((self.tree(result, 0) / "b").read_bytes(), b"two")
        self.assertEqual((self.tree(result, 1) / "a").read_bytes(), b"changed")
        self.assertEqual([p.name for p in self.tree(result, 1).iterdir()], ["a"])
        chain = digest(f"{digest(lower)} {digest(upper)}".encode())
        self.assertEqual([layer["chain_id"] for layer in result["layers"]], [digest(lower), chain])
        self.assertEqual(result["layers"][0]["bytes"], 6)
        self.assertEqual(result["layers"][0]["inodes"], 3)
        for blob in self.stored():
            self.assertEqual(digest((self.content / "sha256" / blob).read_bytes()), "sha256:" + blob)

    def test_progress(self):
        """The last progress has every blob at 100 %, and phases never go back."""
        self.registry.serve(Image(tar(("a", os.urandom(1 << 20))), tar(("b", os.urandom(1 << 20)))))
        self.pull()
        phases = [p["phase"] for p in self.last.progress]
        order = ["resolve", "download", "unpack", "verify", "done"]
        self.assertEqual(phases, sorted(phases, key=order.index))
        self.assertEqual(phases[-1], "done")
        refs = [layer["ref"].split("-")[0] for layer in self.last.progress[-1]["layers"]]
        self.assertEqual(refs, ["manifest", "config", "layer", "layer"])
        for layer in self.last.progress[-1]["layers"]:
            self.assertEqual((layer["phase"], layer["offset"]), ("done", layer["total"]))

    def test_have(self):
        """A layer that the manager has is not fetched; the one above takes attributes from it."""
        lower = tar(entry("d", tarfile.DIRTYPE, mode=0o1777, uid=5, mtime=1234567890))
        image = Image(lower, tar(("d/new", b"x")))
        self.registry.serve(image)
        first = self.pull()
        os.rename(self.snapshots / first["layers"][0]["directory"], self.snapshots / "17")
        self.registry.requests.clear()
        (self.content / "sha256" / digest(image.layers[0])[7:]).unlink()
        (self.content / "sha256" / digest(image.layers[1])[7:]).unlink()
        second = self.pull(have=[17, None])
        self.assertEqual([p.split("/")[-1] for p in self.registry.blob_requests()], [digest(image.layers[1])])
        self.assertIsNone(second["layers"][0]["directory"])
        self.assertNotIn(digest(image.layers[0]), [b["digest"] for b in second["blobs"]])
        st = (self.tree(second) / "d").stat()
        self.assertEqual((stat.S_IMODE(st.st_mode), st.st_uid, st.st_mtime), (0o1777, 5, 1234567890))

    def test_fetch(self):
        """The blob of a layer that the manager has is fetched on demand, and not extracted."""
        image = Image(tar(("a", b"x")), tar(("b", b"y")))
        self.registry.serve(image)
        first = self.pull()
        os.rename(self.snapshots / first["layers"][0]["directory"], self.snapshots / "17")
        os.rename(self.snapshots / first["layers"][1]["directory"], self.snapshots / "18")
        for layer in image.layers:
            (self.content / "sha256" / digest(layer)[7:]).unlink()
        session = self.start()
        session.next()
        session.send({"type": "have", "layers": [17, 18], "fetch": [False, True]})
        result = session.finish()
        self.assertEqual([layer["directory"] for layer in result["layers"]], [None, None])
        self.assertIn(digest(image.layers[1])[7:], self.stored())
        self.assertNotIn(digest(image.layers[0])[7:], self.stored())

    def test_bad_have(self):
        self.registry.serve(Image(tar(("a", b""))))
        for have in [[True], [0], ["17"], [], [None, None]]:
            with self.assertRaises(worker.Failed):
                session = self.start()
                session.next()
                session.send({"type": "have", "layers": have})
                session.finish()
            self.assert_no_trees()
        self.assert_fails("NotFound", "snapshot 99 is gone", have=[99])

    def test_again(self):
        """Nothing but the tag is asked for when everything is there."""
        self.registry.serve(Image(tar(("a", b"x"))))
        self.pull()
        self.registry.requests.clear()
        result = self.pull()
        self.assertEqual(self.registry.blob_requests(), [])
        self.assertEqual((self.tree(result) / "a").read_bytes(), b"x")

    def test_policy(self):
        """With policy missing, a digest in the store is not asked for at all; a tag is."""
        name = self.registry.serve(Image(tar(("a", b"x"))))
        self.pull()
        self.registry.requests.clear()
        self.pull("--policy=missing", reference=f"{self.reference}@{name}")
        self.assertEqual(self.registry.requests, [])
        self.pull("--policy=always", reference=f"{self.reference}@{name}")
        self.assertEqual(len([p for p, _ in self.registry.requests if "/manifests/" in p]), 1)

    def test_digest(self):
        """The digest decides, whatever the tag beside it."""
        name = self.registry.serve(Image(tar(("a", b"old"))))
        self.registry.serve(Image(tar(("a", b"new"))))
        result = self.pull(reference=f"{self.reference}:latest@{name}")
        self.assertEqual(result["digest"], name)
        self.assertEqual((self.tree(result) / "a").read_bytes(), b"old")

    def test_no_unpack(self):
        image = Image(tar(("a", b"x")))
        self.registry.serve(image)
        result = self.pull("--no-unpack")
        self.assertIsNone(result["layers"][0]["directory"])
        self.assertIn(digest(image.layers[0])[7:], self.stored())
        self.assert_no_trees()

    def test_same_layer_twice(self):
        layer = tar(("a", b"x"))
        self.registry.serve(Image(layer, layer))
        result = self.pull()
        self.assertEqual(len(self.registry.blob_requests()), 2)  # config and layer
        self.assertEqual(len(result["blobs"]), 3)
        self.assertEqual((self.tree(result, 0) / "a").read_bytes(), b"x")
        self.assertEqual((self.tree(result, 1) / "a").read_bytes(), b"x")

    def test_two_at_once(self):
        """Two workers want the same blob: it is downloaded once, both succeed."""
        image = Image(tar(("a", os.urandom(1 << 20))))
        self.registry.serve(image)
        go, seen = threading.Event(), threading.Event()

        def hold(handler):
            if handler.path.endswith(digest(image.layers[0])):
                seen.set()
                go.wait(worker.TIMEOUT)
            return False

        self.registry.fault = hold
        first = self.start()
        plan = first.next("plan")
        first.send({"type": "have", "layers": [None]})
        self.assertTrue(seen.wait(worker.TIMEOUT))
        second = self.start()
        plan = second.next("plan")
        second.send({"type": "have", "layers": [None] * len(plan["layers"])})
        while second.next("progress")["layers"][-1]["phase"] != "download":
            pass
        go.set()
        trees = {self.tree(session.finish()) for session in (first, second)}
        self.assertEqual(len(trees), 2)
        self.assertEqual(len([p for p in self.registry.blob_requests() if p.endswith(digest(image.layers[0]))]), 1)

    def test_many_layers(self):
        self.registry.serve(Image(*[tar((f"f{i}", b"x")) for i in range(200)]))
        self.assertEqual(len(self.pull()["layers"]), 200)
        self.registry.serve(Image(*[tar((f"f{i}", b"x")) for i in range(201)]))
        self.assert_fails("InvalidArgument", "layers: more than 200")

    def test_upper_first(self):
        """C22, B33: a layer is complete while the one below it has not come: nothing waits for a parent."""
        lower = tar(entry("d", tarfile.DIRTYPE, mode=0o1777), ("d/below", os.urandom(100000)))
        image = Image(lower, tar(("d/above", b"x")))
        self.registry.serve(image)
        go = threading.Event()
        self.addCleanup(go.set)
        held = digest(image.layers[0])
        self.registry.fault = lambda handler: handler.path.endswith(held) and not go.wait(worker.TIMEOUT)
        session = self.start()
        self.addCleanup(session.socket.close)
        session.next("plan")
        session.send({"type": "have", "layers": [None, None]})
        phases = []
        while phases[1:] != ["done"]:
            phases = [layer["phase"] for layer in session.next("progress")["layers"] if layer["ref"].startswith("layer-")]
        self.assertNotEqual(phases[0], "done")
        go.set()
        result = session.finish()
        # what the layer does not say of its directory came from below in the end
        self.assertEqual(stat.S_IMODE((self.tree(result) / "d").stat().st_mode), 0o1777)

    def test_no_layers(self):
        self.registry.serve(Image())
        self.assertEqual(self.pull()["layers"], [])

    def test_compressions(self):
        layer = tar(("a", b"x" * 100000))
        halves = gzip.compress(layer[:1000]) + gzip.compress(layer[1000:])
        zstd = subprocess.run(["zstd", "-c"], input=layer, stdout=subprocess.PIPE, check=True).stdout
        for media_type, data in [
                ("application/vnd.oci.image.layer.v1.tar", layer),
                ("application/vnd.oci.image.layer.v1.tar+gzip", halves),
                ("application/vnd.oci.image.layer.v1.tar+zstd", zstd),
                ("application/vnd.docker.image.rootfs.diff.tar.gzip", gzip.compress(layer))]:
            with self.subTest(media_type=media_type):
                self.registry.serve(Image(layer, compress=lambda _, data=data: data, layer_type=media_type))
                self.assertEqual((self.tree(self.pull()) / "a").stat().st_size, 100000)

    def test_docker_types(self):
        image = Image(tar(("a", b"x")), layer_type="application/vnd.docker.image.rootfs.diff.tar.gzip")
        image.media_type = "application/vnd.docker.distribution.manifest.v2+json"
        image.seal()
        image.manifest["config"]["mediaType"] = "application/vnd.docker.container.image.v1+json"
        self.registry.serve(image)
        self.assertEqual(self.pull()["media_type"], image.media_type)

    def test_encrypted(self):
        """A layer that ocicrypt has encrypted is told by that, and not fetched."""
        self.registry.serve(Image(tar(("a", b"1")), layer_type=registry.LAYER + "+encrypted"))
        self.assert_fails("NotImplemented", r"layers\[0\] is encrypted \(.*gzip\+encrypted")
        self.assertEqual(self.registry.blob_requests(), [])

    def test_index(self):
        """The host's platform, another one on request, the best variant, and none."""
        entries = []
        for name, platform in [("amd64", {}), ("arm64", {"variant": "v8"}), ("arm", {"variant": "v6"}),
                               ("arm", {"variant": "v7"})]:
            image = Image(tar(("name", (name + platform.get("variant", "")).encode())), architecture=name)
            self.registry.serve(image, tag=name)
            entries.append(registry.descriptor(registry.MANIFEST, image.document(),
                                               platform={"os": "linux", "architecture": name, **platform}))
        entries.append({**entries[0], "platform": {"os": "unknown", "architecture": "unknown"}})
        name = self.registry.serve_index(entries)
        for option, content in [("linux/amd64", b"amd64"), ("linux/arm64", b"arm64v8"), ("linux/arm/v7", b"armv7"),
                                ("linux/arm/v6", b"armv6"), ("linux/arm/v8", b"armv7")]:
            result = self.pull(f"--platform={option}")
            self.assertEqual((self.tree(result) / "name").read_bytes(), content, option)
            self.assertEqual((result["digest"], result["media_type"]), (name, registry.INDEX))
            self.assertEqual(self.last.plan["documents"], [name, result["manifest"]["digest"], result["config"]["digest"]])
        self.assert_fails("NotFound", "no image for linux/s390x; it has: linux/amd64, linux/arm64/v8",
                          "--platform=linux/s390x")
        self.assert_fails("InvalidArgument", "OS/ARCHITECTURE", "--platform=linux")

    def test_all_platforms(self):
        """Everything that an index names is in the store, one image is extracted; nothing is fetched twice."""
        shared = tar(("shared", b"s"))
        images = {name: Image(shared, tar(("name", name.encode())), architecture=name) for name in ("amd64", "arm64")}
        entries = []
        for name, image in images.items():
            self.registry.serve(image, tag=name)
            entries.append(registry.descriptor(registry.MANIFEST, image.document(),
                                               platform={"os": "linux", "architecture": name}))
        top = self.registry.serve_index(entries)
        result = self.pull("--all-platforms", "--platform=linux/amd64")
        wanted = {top[7:]} | {digest(i.document())[7:] for i in images.values()}
        wanted |= {name[7:] for i in images.values() for name in i.blobs}
        self.assertEqual(self.stored(), wanted)
        self.assertEqual({b["digest"][7:] for b in result["blobs"]}, wanted)
        self.assertEqual(len(result["blobs"]), len(wanted))
        self.assertEqual(result["platforms"], ["linux/amd64", "linux/arm64"])
        self.assertEqual(len(self.trees()), 2)
        self.assertEqual((self.tree(result) / "name").read_bytes(), b"amd64")
        self.assertEqual(len(self.registry.blob_requests()), len(set(self.registry.blob_requests())))
        self.assertEqual(self.partial(), {})
        self.registry.blobs.pop(digest(images["arm64"].layers[1]))
        self.pull("--all-platforms", "--platform=linux/amd64")
        (self.content / "sha256" / digest(images["arm64"].layers[1])[7:]).unlink()
        self.assert_fails("NotFound", digest(images["arm64"].layers[1]), "--all-platforms", "--platform=linux/amd64")

    def test_many_platforms(self):
        """More blobs than wait for the end of a job, and a result that is longer than a packet."""
        entries = []
        for i in range(300):
            image = Image(tar((f"n{i}", b"x")), architecture=f"a{i}")
            self.registry.serve(image, tag=f"a{i}")
            entries.append(registry.descriptor(registry.MANIFEST, image.document(),
                                               platform={"os": "linux", "architecture": f"a{i}"}))
        self.registry.serve_index(entries)
        result = self.pull("--all-platforms", "--platform=linux/a7")
        self.assertEqual(len(result["blobs"]), 1 + 3 * 300)
        self.assertEqual(len(self.stored()), 1 + 3 * 300)
        self.assertGreater(self.last.n_parts, 0)
        others = {blob["digest"] for blob in result["blobs"]} - set(self.last.plan["documents"])
        others -= {layer["digest"] for layer in self.last.plan["layers"]}
        self.assertEqual(set(self.last.plan["others"]), others)

    def test_known_digest(self):
        """A tag that has not moved costs one HEAD; one that has, or whose manifest is lost, a GET more."""
        name = self.registry.serve(Image(tar(("a", b"x"))))
        self.registry.tells_digest = True
        self.pull()

        def asked(known):
            self.registry.methods.clear()
            result = self.pull(f"--known-digest={known}")
            return result["digest"], [method for method, path in self.registry.methods if path != "/v2/"]

        self.assertEqual(asked(name), (name, ["HEAD"]))
        (self.content / "sha256" / name[7:]).unlink()
        self.assertEqual(asked(name), (name, ["GET"]))
        moved = self.registry.serve(Image(tar(("a", b"y"))))
        found, methods = asked(name)
        self.assertEqual((found, methods[:2]), (moved, ["HEAD", "GET"]))
        self.assertEqual(asked("sha256:" + "0" * 64), (moved, ["GET"]))

    def test_nested_index(self):
        image = Image(tar(("a", b"x")))
        self.registry.serve(image, tag="image")
        platform = {"os": "linux", "architecture": "amd64"}
        inner = registry.descriptor(registry.MANIFEST, image.document(), platform=platform)
        for depth in range(4):
            data = json.dumps({"schemaVersion": 2, "mediaType": registry.INDEX, "manifests": [inner]}).encode()
            self.registry.serve_index([inner])
            if depth < 3:
                self.pull("--platform=linux/amd64")
            inner = registry.descriptor(registry.INDEX, data, platform=platform)
        self.assert_fails("InvalidArgument", "nested more than", "--platform=linux/amd64")

    def test_foreign_platform(self):
        self.registry.serve(Image(tar(("a", b"x")), architecture="s390x"))
        self.assert_fails("NotFound", "an image for linux/s390x, not for linux/amd64", "--platform=linux/amd64")
        self.assertEqual(self.pull("--platform=linux/s390x")["platforms"], ["linux/s390x"])

    def test_vague_content_type(self):
        """Servers that say application/json, or have an old manifest without mediaType."""
        image = Image(tar(("a", b"x")))
        del image.manifest["mediaType"]
        self.registry.serve(image, content_type="application/json; charset=utf-8")
        self.assertEqual(self.pull()["media_type"], registry.MANIFEST)

    def test_redirect(self):
        """A blob elsewhere is followed, without our authorization."""
        image = Image(tar(("a", b"x")))
        self.registry.serve(image)
        elsewhere = registry.Registry()
        self.addCleanup(elsewhere.close)
        elsewhere.blobs = self.registry.blobs

        def redirect(handler):
            if "/blobs/" not in handler.path:
                return False
            handler.answer(307, Location=f"http://{elsewhere.host}{handler.path}")
            return True

        self.registry.fault = redirect
        self.pull()
        self.assertEqual(len(elsewhere.requests), 2)

    def test_token(self):
        """An anonymous bearer token is fetched once and used; others do not see it."""
        self.registry.serve(Image(tar(("a", b"x"))))

        def guard(handler):
            if handler.path.startswith("/token"):
                handler.answer(200, b'{"token": "secret"}', "application/json")
                return True
            if handler.headers.get("Authorization") == "Bearer secret":
                return False
            handler.answer(401, WWW_Authenticate=f'Bearer realm="http://{self.registry.host}/token",'
                                                 'service="the registry",scope="repository:test/image:pull"')
            return True

        self.registry.fault = guard
        self.pull()
        tokens = [p for p, _ in self.registry.requests if p.startswith("/token")]
        self.assertEqual(tokens, ["/token?service=the%20registry&scope=repository%3Atest%2Fimage%3Apull"])

    def make_certificate(self):
        """A context for a registry that speaks TLS, and the certificate that it shows."""
        key, certificate = self.root / "key.pem", self.root / "cert.pem"
        subprocess.run(["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", key, "-out", certificate,
                        "-days", "2", "-subj", "/CN=test", "-addext", "subjectAltName=IP:127.0.0.1"],
                       check=True, capture_output=True)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate, key)
        return context, certificate

    def test_tls(self):
        """HTTPS with a CA of our own; without it the certificate is refused."""
        context, certificate = self.make_certificate()
        secure = registry.Registry(context)
        self.addCleanup(secure.close)
        secure.serve(Image(tar(("a", b"x"))))
        self.reference = f"{secure.host}/test/image"
        self.assert_fails("Unavailable", "certificate")
        self.env["SSL_CERT_FILE"] = str(certificate)
        self.pull()
        del self.env["SSL_CERT_FILE"]
        conf = self.root / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{secure.host}"\ninsecure = true\n')
        self.env["CONTAINERS_REGISTRIES_CONF"] = str(conf)
        self.pull()

    def test_led_to_tls(self):
        """Who leads from plain HTTP to HTTPS is no plain registry, also over a connection that is there already."""
        both = registry.Registry(upgrade=self.make_certificate()[0])
        self.addCleanup(both.close)
        image = Image(tar(("a", b"x")))
        both.serve(image)
        plain = []

        def lead(handler):
            if isinstance(handler.connection, ssl.SSLSocket):
                return "/cache/" in handler.path and not handler.refuse(404, "MANIFEST_UNKNOWN", "not in this one")
            plain.append(handler.path)
            return not handler.answer(307, Location=f"https://{both.host}{handler.path}")

        both.fault = lead
        conf = self.root / "registries.conf"
        conf.write_text(f'[[registry]]\nlocation = "{both.host}"\ninsecure = true\n'
                        f'[[registry.mirror]]\nlocation = "{both.host}/cache"\ninsecure = true\n')
        self.env["CONTAINERS_REGISTRIES_CONF"] = str(conf)
        self.assertEqual(self.pull(reference=f"{both.host}/test/image")["digest"], digest(image.document()))
        self.assertEqual(plain, ["/v2/", "/v2/"])

    def serve_beyond_loopback(self):
        """A registry that speaks TLS, and a host of plain HTTP, elsewhere.test, which a proxy stands for."""
        context, certificate = self.make_certificate()
        secure, plain = registry.Registry(context), registry.Registry()
        self.addCleanup(secure.close)
        self.addCleanup(plain.close)
        image = Image(tar(("a", os.urandom(1000))))
        secure.serve(image)
        plain.fault = lambda handler: not handler.answer(
            200, b'{"token": "secret"}' if "/token" in handler.path else image.layers[0])
        self.env.update(http_proxy=f"http://{plain.host}", no_proxy="127.0.0.1", SSL_CERT_FILE=str(certificate))
        self.reference = f"{secure.host}/test/image"
        return secure, plain, image

    def configure_insecure(self, *hosts):
        conf = self.root / "registries.conf"
        conf.write_text("".join(f'[[registry]]\nlocation = "{host}"\ninsecure = true\n' for host in hosts))
        self.env["CONTAINERS_REGISTRIES_CONF"] = str(conf)

    def pull_as_somebody(self):
        fd = os.memfd_create("credentials")
        self.addCleanup(os.close, fd)
        os.write(fd, b'{"username": "me", "password": "word"}')
        os.lseek(fd, 0, os.SEEK_SET)
        return self.pull(f"--credentials-fd={fd}", fds=[fd])

    def test_led_from_tls(self):
        """From HTTPS nobody is led to plain HTTP with a host that is not configured as insecure."""
        secure, plain, image = self.serve_beyond_loopback()
        for status in (301, 302, 303, 307, 308):
            for part in ("/blobs/" + digest(image.layers[0]), "/manifests/"):
                secure.fault = lambda handler, status=status, part=part: part in handler.path and not handler.answer(
                    status, Location=f"http://elsewhere.test{handler.path}")
                with self.subTest(status=status, part=part):
                    self.assert_fails("PermissionDenied", "plain HTTP")
        self.assertEqual(plain.requests, [])
        # not by what the registry is configured to be either, but by what the host is
        self.configure_insecure(secure.host)
        self.assert_fails("PermissionDenied", "plain HTTP")
        self.assertEqual(plain.requests, [])
        secure.fault = lambda handler: handler.path.endswith(digest(image.layers[0])) and not handler.answer(
            308, Location=f"http://elsewhere.test{handler.path}")
        self.configure_insecure("elsewhere.test")
        self.pull()
        self.assertEqual(len(plain.requests), 1)

    def token_guard(self, secure, realm, answer):
        """Whoever has no token is sent to the realm; answer is what /token of the registry does."""
        def guard(handler):
            if handler.path.startswith("/token"):
                answer(handler)
                return True
            return handler.headers.get("Authorization") != "Bearer secret" and not handler.answer(
                401, WWW_Authenticate=f'Bearer realm="{realm}",service="s"')

        secure.fault = guard

    def test_realm_leads_on(self):
        """Neither a password nor a request for a token goes on to plain HTTP, and no password to another host."""
        secure, plain, _ = self.serve_beyond_loopback()
        for status in (301, 302, 303, 307, 308):
            self.token_guard(secure, f"https://{secure.host}/token", lambda handler, status=status: handler.answer(
                status, Location="http://elsewhere.test/token"))
            with self.subTest(status=status), self.assertRaises(worker.Failed) as context:
                self.pull_as_somebody()
            self.assertEqual(context.exception.code, "PermissionDenied")
            self.assertRegex(context.exception.text, "plain HTTP")
        self.assertEqual(plain.requests, [])
        first = (self.root / "cert.pem").read_bytes()
        other = registry.Registry(self.make_certificate()[0])
        self.addCleanup(other.close)
        with open(self.root / "both.pem", "wb") as both:
            both.write(first + (self.root / "cert.pem").read_bytes())
        self.env["SSL_CERT_FILE"] = both.name
        other.fault = lambda handler: not handler.answer(200, b'{"token": "secret"}')
        self.token_guard(secure, f"https://{secure.host}/token", lambda handler: handler.answer(
            307, Location=f"https://{other.host}/token"))
        self.pull_as_somebody()
        self.assertEqual([("Authorization" in headers) for _, headers in other.requests], [False])

    def test_realm_is_plain(self):
        """That a registry is insecure says nothing of the hosts that it names."""
        secure, plain, _ = self.serve_beyond_loopback()
        self.token_guard(secure, "http://elsewhere.test/token", lambda handler: None)
        self.configure_insecure(secure.host)
        with self.assertRaises(worker.Failed) as context:
            self.pull_as_somebody()
        self.assertRegex(context.exception.text, 'Protocol "http"')
        self.assertEqual(plain.requests, [])
        self.configure_insecure(secure.host, "elsewhere.test:80")
        self.token_guard(secure, "http://elsewhere.test:80/token", lambda handler: None)
        self.pull_as_somebody()
        self.assertEqual([("Authorization" in headers) for _, headers in plain.requests], [True])

    def test_registries_conf(self):
        self.registry.serve(Image(tar(("a", b"x"))))
        conf = self.root / "registries.conf"
        self.env["CONTAINERS_REGISTRIES_CONF"] = str(conf)
        conf.write_text(f'unqualified-search-registries = ["a", "b"]\n[[registry]]\nprefix = "example.test/some"\n'
                        f'location = "{self.registry.host}/test"\n[aliases]\n"a/b" = "c/d"\n')
        self.assertEqual(self.pull(reference="example.test/some/image")["reference"], "example.test/some/image:latest")
        conf.write_text('[[registry]]\nprefix = "example.test"\nblocked = true\n')
        self.assert_fails("PermissionDenied", "blocked", reference="example.test/some/image")
        conf.write_text('[[registry]]\nprefix = 7\n')
        self.assert_fails("InvalidArgument", "line 2: prefix must be")

    def test_damaged_documents(self):
        """A document that is damaged in the store is fetched again."""
        image = Image(tar(("a", b"x")))
        self.registry.serve(image)
        name = self.pull()["digest"]
        for document in (image.manifest["config"]["digest"], name):
            blob = self.content / "sha256" / document[7:]
            blob.chmod(0o600)
            blob.write_bytes(b"x" + blob.read_bytes()[1:])
            self.pull("--policy=missing", reference=f"{self.reference}@{name}")
            self.assertEqual(digest(blob.read_bytes()), document)

    def test_cancel(self):
        """SIGTERM and a lost socket end the job; the partial blob stays and is resumed."""
        data = os.urandom(1 << 20)
        image = Image(tar(("a", data)))
        layer = digest(image.layers[0])
        self.registry.serve(image)
        release = threading.Event()
        self.addCleanup(release.set)

        def stall(handler):
            if not handler.path.endswith(layer) or release.is_set():
                return False
            body = self.registry.blobs[layer]
            handler.send_response(200)
            handler.send_header("Content-Length", str(len(body)))
            handler.end_headers()
            handler.wfile.write(body[:500000])
            release.wait(worker.TIMEOUT)
            handler.cut()
            return True

        self.registry.fault = stall
        for end in (lambda s: s.signal(signal.SIGTERM), lambda s: s.socket.shutdown(2)):
            session = self.start()
            plan = session.next("plan")
            session.send({"type": "have", "layers": [None] * len(plan["layers"])})
            while self.snapshots.exists() and not self.partial().get(layer[7:], 0) >= 490000:
                session.next("progress")
            end(session)
            self.assertEqual(session.process.wait(worker.TIMEOUT), 1)
            session.socket.close()
            self.assert_no_trees()
            self.assertGreaterEqual(self.partial()[layer[7:]], 490000)
        release.set()
        self.registry.requests.clear()
        result = self.pull()
        self.assertEqual((self.tree(result) / "a").read_bytes(), data)
        ranges = [h.get("Range") for p, h in self.registry.requests if p.endswith(layer)]
        self.assertEqual(ranges, [f"bytes={ranges[0][6:-1]}-"])
        self.assertEqual(self.partial(), {})

    def test_cancel_late(self):
        """A cancellation that comes while the trees are being published leaves none of them."""
        image = Image(tar(("a", b"x")))
        self.registry.serve(image)
        for _ in range(3):
            shutil.rmtree(self.content, ignore_errors=True)
            (self.content / "ingest").mkdir(parents=True)
            with open(self.content / "ingest" / image.manifest["config"]["digest"][7:], "w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                session = self.start()
                plan = session.next("plan")
                session.send({"type": "have", "layers": [None] * len(plan["layers"])})
                while session.next("progress")["phase"] != "verify":
                    pass
                # both at once: it may go on, and it is to stop
                session.signal(signal.SIGSTOP)
                session.signal(signal.SIGTERM)
            session.signal(signal.SIGCONT)
            self.assertEqual(session.process.wait(worker.TIMEOUT), 1)
            session.socket.close()
            self.assert_no_trees()

    def test_sandbox(self):
        """While it talks to a registry the worker is confined."""
        self.registry.serve(Image(tar(("a", b"x"))))
        session = self.start()
        session.next("plan")
        proc = pathlib.Path(f"/proc/{session.process.pid}")
        status = dict(line.split(":\t", 1) for line in (proc / "status").read_text().splitlines() if ":\t" in line)
        kept = sum(1 << bit for bit in (0, 1, 3, 4, 21, 27, 31))  # see worker/sandbox.c
        self.assertEqual((int(status["CapEff"], 16), int(status["CapBnd"], 16)), (kept, kept))
        self.assertEqual((status["NoNewPrivs"], int(status["CapInh"], 16), int(status["CapAmb"], 16)), ("1", 0, 0))
        if "asan" not in subprocess.run(["ldd", worker.WORKER], capture_output=True, text=True, check=True).stdout:
            self.assertEqual(status["Seccomp"], "2")
        mounts = [line.split() for line in (proc / "mountinfo").read_text().splitlines()]
        self.assertTrue(mounts)
        self.assertEqual([m[4] for m in mounts if not m[5].startswith("ro")], [])
        self.assertNotEqual(os.readlink(proc / "ns/mnt"), os.readlink("/proc/self/ns/mnt"))
        session.send({"type": "have", "layers": [None]})
        self.assertEqual(session.finish()["type"], "result")

    def test_killed(self):
        """kill -9 in the middle of everything: the next pull succeeds."""
        data = os.urandom(3 << 20)
        self.registry.serve(Image(*[tar((f"f{i}", data)) for i in range(4)]))
        for phase in ("resolve", "download", "unpack", "verify"):
            session = self.start()
            while (packet := session.next()) and packet["type"] == "plan":
                session.send({"type": "have", "layers": [None] * 4})
                while (packet := session.next("progress")) and packet["phase"] not in (phase, "done"):
                    pass
                break
            session.signal(signal.SIGKILL)
            session.wait()
        result = self.pull()
        for i in range(4):
            self.assertEqual((self.tree(result, i) / f"f{i}").read_bytes(), data)
        for blob in self.stored():
            self.assertEqual(digest((self.content / "sha256" / blob).read_bytes()), "sha256:" + blob)

    def test_shell(self):
        """Without a control socket: lines on standard error, the result on standard output."""
        self.registry.serve(Image(tar(("a", b"x"))))
        done = subprocess.run([worker.WORKER, "pull", f"--root={self.root}", self.reference], capture_output=True,
                              check=True, env={**os.environ, **self.env})
        self.assertEqual(json.loads(done.stdout)["type"], "result")
        self.assertRegex(done.stderr.decode(), "(?s)resolve.*layer-sha256:.*: done.*\ndone\n")

    def test_command_line(self):
        for arguments in ([], ["pull"], ["nonsense"], ["pull", "a", "b"], ["pull", "--what", "a"],
                          ["pull", "--policy=never", "a"], ["pull", "--control-fd=0", "a"],
                          ["pull", "--control-fd=2", "a"], ["remove"], ["remove", "17"]):
            done = subprocess.run([worker.WORKER, *arguments], capture_output=True, check=False)
            self.assertEqual((done.returncode, bool(done.stderr)), (1, True), arguments)
        self.assertIn(b"remove", subprocess.run([worker.WORKER, "--help"], capture_output=True, check=True).stdout)
        self.assert_fails("InvalidArgument", "lower case", reference="localhost:1/Upper")


class Remove(worker.TestCase):
    def remove(self, *names):
        return subprocess.run([worker.WORKER, "remove", f"--root={self.root}", *names], capture_output=True,
                              check=False)

    def test_remove(self):
        doomed = self.snapshots / ".doomed-7"
        (doomed / "fs" / "a" / "b").mkdir(parents=True)
        (doomed / "fs" / "a" / "file").write_text("x")
        os.chown(doomed / "fs" / "a" / "file", 1000, 1000)
        (doomed / "fs" / "out").symlink_to("/")
        (self.snapshots / "7").mkdir()
        self.assertEqual(self.remove(".doomed-7", ".doomed-8").returncode, 0)
        self.assertEqual([p.name for p in self.snapshots.iterdir()], ["7"])

    def test_only_doomed(self):
        for name in ("7", "../content", ".doomed-7/../../x", ".new-1", ""):
            (self.snapshots / "7").mkdir(parents=True, exist_ok=True)
            done = self.remove(name)
            self.assertEqual(done.returncode, 1, name)
            self.assertIn(b"InvalidArgument", done.stderr, name)
            self.assertTrue((self.snapshots / "7").exists())


if __name__ == "__main__":
    worker.main()
