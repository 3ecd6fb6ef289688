# SPDX-License-Identifier: LGPL-2.1-or-later
"""A registry on loopback that does what it is told, also what no registry should.

An image is made from layers (bytes of tar archives) in memory. A fault is a function that gets the request handler and
either answers by itself and returns True, or returns False to let the registry answer as usual.
"""

import gzip
import hashlib
import http.server
import io
import itertools
import json
import socket
import tarfile
import threading
import urllib.parse

OCI = "application/vnd.oci.image."
MANIFEST = OCI + "manifest.v1+json"
INDEX = OCI + "index.v1+json"
CONFIG = OCI + "config.v1+json"
LAYER = OCI + "layer.v1.tar+gzip"


def digest(data, algorithm="sha256"):
    return algorithm + ":" + hashlib.new(algorithm, data).hexdigest()


def tar(*members, trailer=True):
    """A tar archive. A member is (name, bytes), or a TarInfo, or (TarInfo, bytes)."""
    out = io.BytesIO()
    archive = tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT)
    for member in members:
        info, data = member if isinstance(member, tuple) else (member, b"")
        if isinstance(info, str):
            info = tarfile.TarInfo(info)
            info.mode = 0o644
            info.mtime = 1000000000
            info.size = len(data)
        archive.addfile(info, io.BytesIO(data))
    if not trailer:
        return out.getvalue()
    archive.close()
    return out.getvalue()


def entry(name, kind=tarfile.REGTYPE, **fields):
    info = tarfile.TarInfo(name)
    info.type = kind
    info.mode = 0o755
    info.mtime = 1000000000
    for key, value in fields.items():
        setattr(info, key, value)
    return info


def descriptor(media_type, data, **more):
    return {"mediaType": media_type, "digest": digest(data), "size": len(data), **more}


class Image:
    """What a registry serves under one name: the documents and blobs, ready to be tampered with."""

    def __init__(self, *layers, compress=gzip.compress, layer_type=LAYER, architecture="amd64"):
        self.blobs = {}
        self.layers = [compress(layer) for layer in layers]
        self.config = {
            "architecture": architecture,
            "os": "linux",
            "config": {"Cmd": ["/bin/sh"]},
            "rootfs": {"type": "layers", "diff_ids": [digest(layer) for layer in layers]},
        }
        self.layer_type = layer_type
        self.media_type = MANIFEST
        self.seal()

    def seal(self):
        """Make the documents fit to each other (again)."""
        config = json.dumps(self.config).encode()
        for blob in [config, *self.layers]:
            self.blobs[digest(blob)] = blob
        self.manifest = {
            "schemaVersion": 2,
            "mediaType": self.media_type,
            "config": descriptor(CONFIG, config),
            "layers": [descriptor(self.layer_type, blob) for blob in self.layers],
        }

    def document(self):
        return json.dumps(self.manifest).encode()


class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def log_message(self, *args):
        pass

    def answer(self, status, body=b"", content_type="application/octet-stream", **headers):
        self.send_response(status)
        self.send_header("Content-Type", content_type)
        if "Content_Length" not in headers:
            self.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            self.send_header(name.replace("_", "-"), value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def refuse(self, status, code, message):
        self.answer(status, json.dumps({"errors": [{"code": code, "message": message}]}).encode(), "application/json")

    def cut(self):
        """Close the connection without a word."""
        self.close_connection = True

    def do_GET(self):
        registry = self.server.registry
        registry.requests.append((self.path, dict(self.headers)))
        registry.methods.append((self.command, self.path))
        try:
            if registry.fault and registry.fault(self):
                return
            self.serve(registry)
        except (BrokenPipeError, ConnectionResetError):
            self.close_connection = True

    do_HEAD = do_POST = do_PATCH = do_PUT = do_DELETE = do_GET

    def serve(self, registry):
        url = urllib.parse.urlsplit(self.path)
        parts = url.path.split("/")
        self.query = dict(urllib.parse.parse_qsl(url.query))
        if self.path == "/v2/":
            self.answer(200, b"{}", "application/json")
        elif "uploads" in parts:
            self.serve_upload(registry, parts[-1])
        elif self.command == "PUT" and parts[-2] == "manifests":
            self.put_manifest(registry, parts[-1])
        elif len(parts) < 5 or parts[-2] not in ("manifests", "blobs"):
            self.refuse(404, "UNSUPPORTED", "no such page")
        elif parts[-2] == "manifests":
            self.serve_manifest(registry, parts[-1])
        else:
            self.serve_blob(registry, parts[-1])

    def serve_manifest(self, registry, name):
        if name not in registry.manifests:
            self.refuse(404, "MANIFEST_UNKNOWN", "manifest unknown")
            return
        content_type, data = registry.manifests[name]
        told = {"Docker_Content_Digest": digest(data)} if registry.tells_digest else {}
        self.answer(200, data, content_type, **told)

    def body(self):
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def location(self, name):
        return self.path.split("/uploads/")[0] + f"/uploads/{name}?state=1"

    def begin_upload(self, registry):
        self.body()
        wanted, source = self.query.get("mount"), self.query.get("from")
        if wanted and wanted in registry.elsewhere.get(source, {}):
            registry.blobs[wanted] = registry.elsewhere[source][wanted]
            self.answer(201, Location="/v2/elsewhere")
            return
        name = f"u{next(registry.numbers)}"
        registry.uploads[name] = b""
        self.answer(202, Location=self.location(name))

    def serve_upload(self, registry, name):
        """An upload session, as the distribution specification has it."""
        if self.command == "POST":
            self.begin_upload(registry)
        elif name not in registry.uploads:
            self.body()
            self.refuse(404, "BLOB_UPLOAD_UNKNOWN", "no such upload")
        elif self.command == "DELETE":
            registry.uploads.pop(name)
            self.answer(204)
        elif self.command == "GET":
            self.answer(204, Location=self.location(name), Range=f"0-{max(len(registry.uploads[name]) - 1, 0)}")
        elif self.command == "PATCH":
            self.take_chunk(registry, name)
        else:
            self.finish_upload(registry, name)

    def take_chunk(self, registry, name):
        data = self.body()
        if int(self.headers["Content-Range"].split("-")[0]) != len(registry.uploads[name]):
            self.refuse(416, "BLOB_UPLOAD_INVALID", "not the next chunk")
            return
        registry.uploads[name] += data
        self.answer(202, Location=self.location(name), Range=f"0-{len(registry.uploads[name]) - 1}")

    def finish_upload(self, registry, name):
        data = registry.uploads[name] + self.body()
        if digest(data) != self.query["digest"]:
            self.refuse(400, "DIGEST_INVALID", "provided digest did not match uploaded content")
            return
        registry.uploads.pop(name)
        registry.blobs[digest(data)] = data
        self.answer(201, Location="/v2/done")

    def put_manifest(self, registry, name):
        """What a manifest refers to must be there already."""
        data = self.body()
        manifest = json.loads(data)
        there = all(d["digest"] in registry.blobs for d in [*manifest.get("layers", []), *filter(None, [manifest.get("config")])])
        there = there and all(d["digest"] in registry.manifests for d in manifest.get("manifests", []))
        if not there:
            self.refuse(400, "MANIFEST_BLOB_UNKNOWN", "blob unknown to registry")
            return
        for key in (name, digest(data)):
            registry.manifests[key] = (self.headers["Content-Type"], data)
        self.answer(201, Docker_Content_Digest=digest(data))

    def serve_blob(self, registry, name):
        if name not in registry.blobs:
            self.refuse(404, "BLOB_UNKNOWN", "blob unknown to registry")
            return
        data = registry.blobs[name]
        wanted = self.headers.get("Range")
        if not wanted or not registry.ranges:
            self.answer(200, data)
            return
        start = int(wanted.removeprefix("bytes=").rstrip("-"))
        if start >= len(data):
            self.answer(416, Content_Range=f"bytes */{len(data)}")
        else:
            self.answer(206, data[start:], Content_Range=f"bytes {start}-{len(data) - 1}/{len(data)}")


class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    upgrade = None

    def finish_request(self, request, client_address):
        if self.upgrade and request.recv(1, socket.MSG_PEEK) == b"\x16":
            with self.upgrade.wrap_socket(request, server_side=True) as secured:
                super().finish_request(secured, client_address)
        else:
            super().finish_request(request, client_address)

    def handle_error(self, request, client_address):
        """Clients that vanish are part of the tests."""


class Registry:
    def __init__(self, context=None, upgrade=None):
        """context: speaks nothing but TLS; upgrade: that, too, at the same port."""
        self.server = Server(("127.0.0.1", 0), Handler)
        self.server.registry = self
        self.server.upgrade = upgrade
        if context:
            self.server.socket = context.wrap_socket(self.server.socket, server_side=True)
        self.host = f"127.0.0.1:{self.server.server_address[1]}"
        self.manifests = {}
        self.blobs = {}
        self.requests = []
        self.methods = []
        self.uploads = {}
        self.numbers = itertools.count()
        self.elsewhere = {}  # of other repositories: blobs that can be mounted
        self.fault = None
        self.ranges = True
        self.tells_digest = False  # in a header of manifests
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()

    def serve(self, image, tag="latest", content_type=None):
        data = image.document()
        for name in (tag, digest(data)):
            self.manifests[name] = (content_type or image.media_type, data)
        self.blobs.update(image.blobs)
        return digest(data)

    def serve_index(self, entries, tag="latest", media_type=INDEX):
        """entries: descriptors with a platform."""
        data = json.dumps({"schemaVersion": 2, "mediaType": media_type, "manifests": entries}).encode()
        for name in (tag, digest(data)):
            self.manifests[name] = (media_type, data)
        return digest(data)

    def blob_requests(self):
        return [path for path, _ in self.requests if "/blobs/" in path]

    def close(self):
        self.server.shutdown()
        self.server.server_close()
