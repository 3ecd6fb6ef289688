#!/usr/bin/python3
# SPDX-License-Identifier: LGPL-2.1-or-later
"""ctr-worker pull and import under a signature policy: what comes in, and what does not, whoever says so."""

import base64
import json
import os
import subprocess
import tempfile
import unittest

import registry
import worker
from registry import Image, descriptor, digest, tar

PAYLOAD = "application/vnd.dev.cosign.simplesigning.v1+json"
ANNOTATION = "dev.cosignproject.cosign/signature"
ACCEPT = [{"type": "insecureAcceptAnything"}]
REJECT = [{"type": "reject"}]


def openssl(*arguments, data=None):
    return subprocess.run(["openssl", *arguments], input=data, check=True, capture_output=True).stdout


class Key:
    """A key pair of files."""

    def __init__(self, directory, name, *kind):
        self.private, self.public = f"{directory}/{name}.key", f"{directory}/{name}.pub"
        openssl("genpkey", *(kind or ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-256")), "-out", self.private)
        openssl("pkey", "-in", self.private, "-pubout", "-out", self.public)

    def sign(self, data):
        with tempfile.NamedTemporaryFile() as file:
            if b"ED25519" in openssl("pkey", "-in", self.private, "-noout", "-text"):
                file.write(data)
                file.flush()
                raw = openssl("pkeyutl", "-sign", "-inkey", self.private, "-rawin", "-in", file.name)
            else:
                raw = openssl("dgst", "-sha256", "-sign", self.private, data=data)
        return base64.b64encode(raw).decode()


def statement(manifest, reference, **changes):
    return {"critical": {"type": "cosign container image signature", "image": {"docker-manifest-digest": manifest},
                         "identity": {"docker-reference": reference}, **changes}, "optional": None}


class Signatures(worker.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.keys = tempfile.TemporaryDirectory(prefix="test-signatures-")
        cls.addClassCleanup(cls.keys.cleanup)
        cls.key = Key(cls.keys.name, "ours")
        cls.other = Key(cls.keys.name, "other")

    def setUp(self):
        super().setUp()
        self.tagged = self.reference + ":latest"
        self.image = Image(tar(("a", os.urandom(1000))))
        self.name = self.registry.serve(self.image)

    def policy(self, default, **transports):
        path = self.root / "policy.json"
        path.write_text(default if isinstance(default, str) else json.dumps({"default": default, "transports": transports}))
        self.env["CTR_SIGNATURE_POLICY"] = str(path)

    def require(self, key=None, **more):
        """The policy asks for our key."""
        self.policy(REJECT, docker={self.registry.host: [{
            "type": "sigstoreSigned", **({} if "keyData" in more else {"keyPath": (key or self.key).public}), **more}]})

    def attach(self, *signatures, manifest=None, layers=None):
        """signatures: (statement or bytes, base64)."""
        entries = []
        for said, signature in signatures:
            data = said if isinstance(said, bytes) else json.dumps(said).encode()
            self.registry.blobs[digest(data)] = data
            entries.append(descriptor(PAYLOAD, data, annotations={ANNOTATION: signature}))
        document = {"schemaVersion": 2, "mediaType": registry.MANIFEST, "config": descriptor(registry.CONFIG, b"{}"),
                    "layers": entries if layers is None else layers}
        tag = (manifest or self.name).replace(":", "-") + ".sig"
        self.registry.manifests[tag] = (registry.MANIFEST, json.dumps(document).encode())

    def sign(self, reference=None, manifest=None, key=None, **changes):
        data = json.dumps(statement(manifest or self.name, reference or self.tagged, **changes)).encode()
        return data, (key or self.key).sign(data)

    def refused(self, regex, *arguments, code="PermissionDenied", layers=False, **more):
        """The pull is refused, and no layer was asked for."""
        self.registry.requests.clear()
        self.assert_fails(code, regex, *arguments, **more)
        if not layers:
            wanted = {digest(layer) for layer in self.image.layers}
            self.assertFalse([p for p in self.registry.blob_requests() if p.split("/")[-1] in wanted])

    def test_no_signature_needed(self):
        """No requests for signatures where nobody wants one."""
        self.policy(ACCEPT, docker={"example.com": REJECT})
        self.pull()
        self.assertFalse([p for p, _ in self.registry.requests if p.endswith(".sig")])

    def test_reject(self):
        """What is rejected is not even asked for; the sentence names file and rule."""
        self.policy(ACCEPT, docker={self.registry.host: REJECT})
        self.refused(rf'policy.json does not accept {self.tagged}: by its rule for "{self.registry.host}" of "docker" all')
        self.assertEqual(self.registry.requests, [])
        self.policy(REJECT)
        self.refused("by its default all is rejected")
        self.policy(REJECT, docker={"": ACCEPT})
        self.pull()

    def test_scopes(self):
        """The longest name counts."""
        host = self.registry.host
        for wins, scopes in {
                "": {"": ACCEPT}, "host": {"": REJECT, host: ACCEPT},
                "namespace": {host: REJECT, host + "/test": ACCEPT, host + "/tes": REJECT},
                "repository": {host + "/test": REJECT, host + "/test/image": ACCEPT, host + "/test/image/x": REJECT},
                "tag": {host + "/test/image": REJECT, host + "/test/image:latest": ACCEPT}}.items():
            with self.subTest(wins=wins):
                self.policy(REJECT, docker=scopes, atomic={"": REJECT})
                self.pull()
        self.policy(REJECT, docker={host + "/test/image:latest": ACCEPT})
        self.refused("default", reference=f"{self.reference}@{self.name}")
        self.policy(REJECT, docker={f"{host}/test/image@{self.name}": ACCEPT})
        self.pull(reference=f"{self.reference}@{self.name}")
        self.pull(reference=f"{self.reference}:other@{self.name}")
        self.refused("default")

    def test_signed(self):
        self.require()
        self.refused("it needs a signature and has none")
        self.attach(self.sign())
        result = self.pull()
        self.assertEqual((self.tree(result) / "a").stat().st_size, 1000)
        # what did not change is asked about again
        known = f"--known-digest={self.name}"
        self.pull(known)
        self.registry.manifests.pop(self.name.replace(":", "-") + ".sig")
        self.refused("has none", known)
        self.refused("has none", "--policy=missing", reference=f"{self.reference}@{self.name}")
        self.assert_fails("PermissionDenied", "has none", "--no-unpack")

    def test_keys(self):
        """One of several keys, of several kinds, as files and in the policy itself."""
        pem = subprocess.run(["cat", self.key.public], check=True, capture_output=True).stdout
        self.attach(self.sign())
        self.require(keyData=base64.b64encode(pem).decode())
        self.pull()
        for n, kind in enumerate([("-algorithm", "RSA", "-pkeyopt", "rsa_keygen_bits:2048"), ("-algorithm", "ED25519"),
                                  ("-algorithm", "EC", "-pkeyopt", "ec_paramgen_curve:P-384")]):
            key = Key(self.keys.name, f"kind{n}", *kind)
            self.require(key)
            self.refused("none of the policy's keys has made it")
            self.attach(self.sign(), self.sign(key=key))
            self.pull()
        self.policy(REJECT, docker={"": [{"type": "sigstoreSigned", "keyPaths": [key.public, self.other.public]}]})
        self.pull()
        # all requirements have to be met
        both = [{"type": "sigstoreSigned", "keyPath": k.public} for k in (self.key, self.other)]
        self.policy(REJECT, docker={"": [*ACCEPT, *both]})
        self.refused(r"those that it has \(2\) none will do: none of the policy's keys")
        self.attach(self.sign(), self.sign(key=self.other))
        self.pull()

    def test_identities(self):
        host = self.registry.host
        by_digest = f"{self.reference}@{self.name}"
        for kind, signed, reference, good in [
                ({"type": "matchRepoDigestOrExact"}, self.tagged, None, True),
                ({"type": "matchRepoDigestOrExact"}, self.reference + ":1", None, False),
                ({"type": "matchRepoDigestOrExact"}, self.reference + ":1", by_digest, True),
                ({"type": "matchRepoDigestOrExact"}, self.reference, None, False),
                ({"type": "matchRepoDigestOrExact"}, f"{host}/test/other:1", by_digest, False),
                ({"type": "matchExact"}, self.tagged, None, True),
                ({"type": "matchExact"}, self.tagged, by_digest, False),
                ({"type": "matchExact"}, by_digest, by_digest, True),
                ({"type": "matchRepository"}, self.reference, None, True),
                ({"type": "matchRepository"}, self.reference + ":1", None, True),
                ({"type": "matchRepository"}, f"{host}/test/other", None, False),
                ({"type": "matchRepository"}, "no reference!", None, False),
                ({"type": "exactReference", "dockerReference": "example.com/a:1"}, "example.com/a:1", None, True),
                ({"type": "exactReference", "dockerReference": "example.com/a:1"}, "example.com/a", None, False),
                ({"type": "exactRepository", "dockerRepository": "example.com/a"}, "example.com/a:9", None, True),
                ({"type": "exactRepository", "dockerRepository": "example.com/a"}, self.tagged, None, False),
                ({"type": "remapIdentity", "prefix": host, "signedPrefix": "example.com/x"},
                 "example.com/x/test/image:latest", None, True),
                ({"type": "remapIdentity", "prefix": self.reference, "signedPrefix": "example.com/x"},
                 "example.com/x:latest", None, True),
                ({"type": "remapIdentity", "prefix": host + "/tes", "signedPrefix": "example.com/x"},
                 "example.com/xt/image:latest", None, False),
                ({"type": "remapIdentity", "prefix": host, "signedPrefix": "example.com/x"}, self.tagged, None, False)]:
            with self.subTest(kind=kind, signed=signed, reference=reference):
                self.require(signedIdentity=kind)
                self.attach(self.sign(signed))
                if good:
                    self.pull(reference=reference)
                else:
                    self.refused("it is on an image called", reference=reference)

    def test_hostile_signatures(self):
        """What attachments may be, and are not believed; a good one beside them counts."""
        self.require()
        good, bad = self.sign(), self.other.sign(b"x")
        data, signature = good
        extra = json.dumps({**statement(self.name, self.tagged), "more": 1}).encode()
        twice = data.replace(b'"optional"', b'"critical": {}, "optional"')
        for what, entry, regex in [
                ("another manifest", self.sign(manifest="sha256:" + "0" * 64), "on another image, sha256:0000"),
                ("another key", (data, self.other.sign(data)), "none of the policy's keys"),
                ("another text", (data.replace(b"latest", b"newest"), signature), "none of the policy's keys"),
                ("no base64", (data, signature[:-1] + "!"), "no base64"), ("cut", (data, signature[:8]), "keys"),
                ("no signature", (data, ""), "keys"), ("long", (data, "A" * 5000), "it has no signature"),
                ("not DER", (data, base64.b64encode(b"\0" * 72).decode()), "keys"),
                ("another type", self.sign(type="atomic container signature"), "type"),
                ("no object", (b"[]", self.key.sign(b"[]")), "members"), ("no JSON", (b"\0", self.key.sign(b"\0")), "statement"),
                ("more members", (extra, self.key.sign(extra)), "other members"),
                ("twice", (twice, self.key.sign(twice)), "statement"),
                ("critical members", self.sign(more={}), "critical"),
                ("no reference", self.sign(identity={"docker-reference": 1}), "no reference"),
                ("control characters", self.sign("a\033[31m\n"), 'called "a"'),
                ("no digest", self.sign(image={"docker-manifest-digest": "sha256:1"}), "no digest")]:
            with self.subTest(what=what):
                self.attach(entry)
                self.refused(regex)
                self.attach(entry, (data, bad), good)
                self.pull()

    def test_hostile_manifests(self):
        self.require()
        good = self.sign()
        tag = self.name.replace(":", "-") + ".sig"
        layer = descriptor(PAYLOAD, good[0], annotations={ANNOTATION: good[1]})
        self.registry.blobs[digest(good[0])] = good[0]
        self.attach(layers=[layer] * 100)
        self.pull()
        self.attach(layers=[layer] * 1000)
        self.refused(f"The signatures {tag}: it has more than 100", code="ResourceExhausted")
        self.attach(layers=[{**layer, "size": 1 << 40}])
        self.refused("larger than", code="ResourceExhausted")
        self.attach(layers=[{**layer, "size": 10}])
        self.refused("larger than its descriptor", code="DataLoss")
        self.attach(layers=[{**layer, "size": 1000}])
        self.refused("instead of", code="DataLoss")
        self.attach(layers=[{**layer, "digest": "sha256:1"}])
        self.refused(r"layers\[0\].digest", code="InvalidArgument")
        self.attach(layers=[{**layer, "mediaType": "application/vnd.dsse.envelope.v1+json"}])
        self.refused("has none")
        self.attach(layers=[{**layer, "annotations": {}}])
        self.refused("it has no signature")
        for data, code in [(b"", "DataLoss"), (b"{}", "InvalidArgument"), (b"[" * 100000, "InvalidArgument"),
                           (b" " * (5 << 20), "ResourceExhausted"), (b'{"layers": [1]}', "InvalidArgument")]:
            self.registry.manifests[tag] = (registry.MANIFEST, data)
            self.refused("The signatures" if data else "empty", code=code)
        self.attach(good)
        self.registry.blobs.pop(digest(good[0]))
        self.refused("has no blob", code="NotFound")
        self.registry.fault = lambda h: tag in h.path and (h.refuse(403, "DENIED", "no") or True)
        self.refused("refuses access")

    def test_platforms(self):
        """Of an index the image counts that is wanted, not the index; with all of them, all."""
        images = {name: Image(tar(("name", name.encode())), architecture=name) for name in ("amd64", "arm64")}
        names = {name: self.registry.serve(image, tag=name) for name, image in images.items()}
        top = self.registry.serve_index([descriptor(registry.MANIFEST, image.document(),
                                                    platform={"os": "linux", "architecture": name})
                                         for name, image in images.items()])
        self.require()
        amd64 = "--platform=linux/amd64"
        self.attach(self.sign(manifest=top), manifest=top)
        self.refused("has none", amd64)
        self.attach(self.sign(manifest=names["amd64"]), manifest=names["amd64"])
        self.pull(amd64)
        self.pull(amd64, reference=f"{self.reference}@{top}")
        self.refused("has none", "--platform=linux/arm64")
        self.refused("has none", amd64, "--all-platforms")
        self.attach(self.sign(manifest=names["arm64"]), manifest=names["arm64"])
        self.pull(amd64, "--all-platforms")

    def test_unsupported(self):
        """What cannot be checked is refused by name, and only where it counts."""
        for requirement, what in [
                ({"type": "signedBy", "keyType": "GPGKeys", "keyPath": "/nothing"}, "GPG signatures"),
                ({"type": "signedBaseLayer", "baseLayerIdentity": {"type": "matchExact"}}, "signedBaseLayer"),
                ({"type": "sigstoreSigned", "fulcio": {}}, "fulcio"),
                ({"type": "sigstoreSigned", "keyPath": self.key.public, "rekorPublicKeyPath": "/x"}, "rekorPublicKeyPath")]:
            self.policy(ACCEPT, docker={self.reference: [requirement]})
            self.refused(what + ".*which cannot be checked here", code="NotImplemented")
            self.policy(ACCEPT, docker={"example.com": [requirement]})
            self.pull()

    def test_damaged(self):
        key = {"type": "sigstoreSigned", "keyPath": self.key.public}
        for policy, what in [
                ("", "end of file"), ("{", "end of file"), ("[]", "no object"), ("{}", '"default" is missing'),
                ({"default": []}, "default is no list"), ({"default": ACCEPT, "more": 1}, "policy.more"),
                ({"default": ACCEPT, "transports": 1}, "transports"),
                ({"default": ACCEPT, "transports": {"docker": {"a": [{}]}}}, r'docker\["a"\]\[0\].type is missing'),
                ({"default": [{"type": "acceptAll"}]}, "not known"),
                ({"default": [{"type": "reject", "keyPath": "/x"}]}, "keyPath is not known"),
                ({"default": [{"type": "sigstoreSigned"}]}, "exactly one of"),
                ({"default": [{**key, "keyData": "eA=="}]}, "exactly one of"),
                ({"default": [{"type": "sigstoreSigned", "keyData": "!"}]}, "no base64"),
                ({"default": [{"type": "sigstoreSigned", "keyPath": "relative"}]}, "no absolute path"),
                ({"default": [{**key, "signedIdentity": {"type": "any"}}]}, "not known"),
                ({"default": [{**key, "signedIdentity": {"type": "matchExact", "prefix": "a"}}]}, "prefix is not known"),
                ({"default": [{**key, "signedIdentity": {"type": "exactReference", "dockerReference": "a.b/c"}}]}, "neither a tag"),
                ({"default": [{**key, "signedIdentity": {"type": "remapIdentity", "prefix": "a", "signedPrefix": "A.b/"}}]}, "full name")]:
            with self.subTest(what=what):
                self.policy(policy if isinstance(policy, str) else json.dumps(policy))
                self.refused(f"The signature policy .*policy.json is damaged: .*{what}", code="FailedPrecondition")
        self.policy('{"default": [{"type": "insecureAcceptAnything"}], "default": [{"type": "reject"}]}')
        self.refused("duplicate", code="FailedPrecondition")
        self.policy(" " * (2 << 20))
        self.refused("Failed to read the signature policy", code="FailedPrecondition")
        self.env["CTR_SIGNATURE_POLICY"] = str(self.root / "nothing")
        self.refused("Failed to read the signature policy", code="FailedPrecondition")
        for content in ["", "no key", "-----BEGIN PUBLIC KEY-----\nAAAA\n-----END PUBLIC KEY-----\n"]:
            (self.root / "bad.pub").write_text(content)
            self.policy([{"type": "sigstoreSigned", "keyPath": str(self.root / "bad.pub")}])
            self.refused("no public key", code="FailedPrecondition")
        self.policy([{"type": "sigstoreSigned", "keyPath": "/nothing"}])
        self.refused("Failed to read /nothing", code="FailedPrecondition")

    def load(self, *members, arguments=()):
        archive = self.root / "archive.tar"
        archive.write_bytes(tar(*members))
        return self.run_verb("import", *arguments, str(archive))

    def test_import(self):
        """Archives have no signatures: they are accepted or refused by their kind."""
        document = self.image.document()
        blobs = [("blobs/sha256/" + digest(b)[7:], b) for b in [document, *self.image.blobs.values()]]
        index = {"schemaVersion": 2, "manifests": [descriptor(registry.MANIFEST, document)]}
        oci = [*blobs, ("index.json", json.dumps(index).encode()), ("oci-layout", b'{"imageLayoutVersion": "1.0.0"}')]
        layer = tar(("a", b"1"))
        config = json.dumps({**self.image.config, "rootfs": {"type": "layers", "diff_ids": [digest(layer)]}}).encode()
        docker = [("l.tar", layer), ("c.json", config),
                  ("manifest.json", json.dumps([{"Config": "c.json", "RepoTags": [], "Layers": ["l.tar"]}]).encode())]
        kinds = {"oci-archive": (oci, ()), "docker-archive": (docker, ()), "tarball": ([("a", b"1")], ("--rootfs",))}
        for kind, (members, arguments) in kinds.items():
            with self.subTest(kind=kind):
                others = {other: {"": ACCEPT} for other in kinds if other != kind}
                self.policy(REJECT, **others)
                self.assert_import_fails("PermissionDenied", f'the kind "{kind}": by its default all is rejected',
                                         members, arguments)
                self.policy(ACCEPT, **{kind: {"": [{"type": "sigstoreSigned", "keyPath": self.key.public}]}})
                self.assert_import_fails("PermissionDenied", "archives have none", members, arguments)
                self.policy(ACCEPT, **{kind: {"/var/tmp": ACCEPT}})
                self.assert_import_fails("FailedPrecondition", "by their paths", members, arguments)
                self.policy(REJECT, **{kind: {"": ACCEPT}})
                self.assertEqual(len(self.load(*members, arguments=arguments)["images"]), 1)

    def assert_import_fails(self, code, regex, members, arguments):
        with self.assertRaises(worker.Failed) as context:
            self.load(*members, arguments=arguments)
        self.assertEqual(context.exception.code, code)
        self.assertRegex(context.exception.text, regex)
        self.assertEqual(self.partial(), {})


if __name__ == "__main__":
    worker.main()
