# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pulling, extracting and pushing a large image, next to what others need for the same.

Everything is on the machine's file system, the registry on loopback, the page cache warm, and what was written before
is on the disk when a turn begins. A program that is compared with is left out when its first run fails.
"""

import glob
import gzip
import hashlib
import json
import os
import shutil
import subprocess
import tarfile
import time

from common import run_quietly, say

WORKER = "/usr/lib/ctr/ctr-worker"
BASE = "/var/lib/ctr/bench"
LAYOUT = "/run/testbed-images/large"
REGISTRY = "localhost:5000"
NAME = f"{REGISTRY}/large:1"
HUGE = 9 << 28
PEAK = "/run/bench-peak"
CONTAINERD = f"{BASE}/containerd"
SOCKET = "/run/bench-containerd/containerd.sock"


def timed(*command):
    """Milliseconds."""
    started = time.perf_counter()
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    elapsed = (time.perf_counter() - started) * 1000
    if done.returncode != 0:
        raise subprocess.CalledProcessError(done.returncode, command, stderr=done.stderr[-300:])
    return elapsed


def peak(*command):
    """The greatest resident size of the process in MiB. What we start ourselves is as large as we are, to the kernel."""
    timed("/usr/bin/time", "--format=%M", f"--output={PEAK}", *command)
    with open(PEAK) as f:
        return int(f.read()) / 1024


def podman(*arguments):
    return ["podman", f"--root={BASE}/podman", "--runroot=/run/bench-podman", "--storage-driver=overlay", *arguments]


def containerd(*arguments):
    return ["ctr", f"--address={SOCKET}", *arguments]


class Row:
    """One measurement: run() is given the function that measures, and calls it with a command. prepare() is not timed."""

    def __init__(self, what, name, prepare, run):
        self.what, self.name, self.prepare, self.run = what, name, prepare, run
        self.times, self.memory = [], []

    def warm_up(self):
        self.prepare()
        self.memory.append(self.run(peak))

    def once(self):
        self.prepare()
        run_quietly("sync", "-f", BASE)
        self.times.append(self.run(timed))

    def result(self):
        return {"what": self.what, "name": self.name, "times": self.times, "memory": self.memory}


def fresh(name):
    path = f"{BASE}/{name}"
    shutil.rmtree(path, ignore_errors=True)
    return path


def delete_image():
    subprocess.run(["busctl", "call", "org.example.Ctr", "/org/example/Ctr", "org.example.Ctr.Manager", "DeleteImage",
                    "sa{sv}", NAME, "1", "Synchronous", "b", "true"], check=False, stderr=subprocess.DEVNULL)


def forget(*command):
    subprocess.run(command, check=False, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def pulls():
    return [
        Row("pull and unpack", "ctrctl pull", delete_image, lambda do: do("ctrctl", "pull", "-q", NAME)),
        Row("pull and unpack", "ctr-worker pull", lambda: fresh("pull"),
            lambda do: do(WORKER, "pull", f"--root={BASE}/pull", NAME)),
        Row("pull and unpack", "podman pull", lambda: forget(*podman("rmi", "--all", "--force")),
            lambda do: do(*podman("pull", "--quiet", "--tls-verify=false", NAME))),
        Row("pull and unpack", "ctr images pull", lambda: forget(*containerd("images", "rm", "--sync", NAME)),
            lambda do: do(*containerd("images", "pull", "--plain-http", NAME))),
    ]


def again():
    return [
        Row("pull of what is there", "ctrctl pull", lambda: None, lambda do: do("ctrctl", "pull", "-q", NAME)),
        Row("pull of what is there", "podman pull", lambda: None,
            lambda do: do(*podman("pull", "--quiet", "--tls-verify=false", NAME))),
        Row("pull of what is there", "ctr images pull", lambda: None,
            lambda do: do(*containerd("images", "pull", "--plain-http", NAME))),
    ]


def fill_store():
    """A store that has all blobs and no tree."""
    root = fresh("extract")
    run_quietly(WORKER, "pull", f"--root={root}", "--no-unpack", NAME)


def digest_of(layout):
    with open(f"{layout}/index.json") as f:
        return json.load(f)["manifests"][0]["digest"]


def layer_files():
    with open(f"{LAYOUT}/blobs/{digest_of(LAYOUT).replace(':', '/')}") as f:
        return [f"{LAYOUT}/blobs/{layer['digest'].replace(':', '/')}" for layer in json.load(f)["layers"]]


def extract_with_tar(do):
    root = fresh("tar")
    os.makedirs(root)
    script = 'for layer; do tar --xattrs --xattrs-include="*" --numeric-owner -xpzf "$layer" -C "$0" || exit; done'
    return do("bash", "-c", script, root, *layer_files())


def forget_trees():
    shutil.rmtree(f"{BASE}/extract/snapshots", ignore_errors=True)


def extracts():
    reference = f"{REGISTRY}/large@{digest_of(LAYOUT)}"
    fill_store()
    return [
        Row("extraction", "ctr-worker", forget_trees,
            lambda do: do(WORKER, "pull", "--policy=missing", f"--root={BASE}/extract", reference)),
        Row("extraction", "umoci unpack", lambda: fresh("umoci"),
            lambda do: do("umoci", "unpack", "--image", f"{LAYOUT}:latest", f"{BASE}/umoci")),
        Row("extraction", "tar, one after the other", lambda: None, extract_with_tar),
    ]


def empty_registry():
    """What is pushed is not there yet, under any name."""
    shutil.rmtree(glob.glob("/tmp/bench.*/registry")[0] + "/docker", ignore_errors=True)


def pushes():
    return [
        Row("push", "ctr-worker push", empty_registry,
            lambda do: do(WORKER, "push", f"--root={BASE}/extract", f"--from-digest={digest_of(LAYOUT)}", NAME)),
        Row("push", "skopeo copy", empty_registry,
            lambda do: do("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{LAYOUT}:latest",
                          f"docker://{NAME}")),
    ]


class Repeated:
    """A file that says the same again and again, with something new in between: size bytes."""

    def __init__(self, size):
        self.size, self.block = size, os.urandom(64 * 1024)

    def read(self, n):
        n = min(n, self.size)
        self.size -= n
        if n > 0 and self.size % (1 << 20) < n:
            self.block = os.urandom(64 * 1024)
        return (self.block * (n // len(self.block) + 1))[:n]


class Digests:
    """What is written goes on to a file, and is counted and hashed."""

    def __init__(self, file):
        self.file, self.size, self.hash = file, 0, hashlib.sha256()

    def write(self, data):
        self.size += len(data)
        self.hash.update(data)
        return self.file.write(data)

    def flush(self):
        self.file.flush()


def put_blob(layout, media_type, data):
    name = hashlib.sha256(data).hexdigest()
    with open(f"{layout}/blobs/sha256/{name}", "wb") as f:
        f.write(data)
    return {"mediaType": media_type, "digest": f"sha256:{name}", "size": len(data)}


def put_huge_layer(layout):
    """Its descriptor, and the digest without compression."""
    with open(f"{layout}/layer", "wb") as f:
        packed = Digests(f)
        with gzip.GzipFile(fileobj=packed, mode="wb", compresslevel=1, mtime=0) as zipped:
            plain = Digests(zipped)
            with tarfile.open(fileobj=plain, mode="w|") as archive:
                for name, size in (("large", HUGE), ("small", 1)):
                    entry = tarfile.TarInfo(name)
                    entry.size = size
                    archive.addfile(entry, Repeated(size))
    os.rename(f"{layout}/layer", f"{layout}/blobs/sha256/{packed.hash.hexdigest()}")
    return {"mediaType": "application/vnd.oci.image.layer.v1.tar+gzip", "digest": f"sha256:{packed.hash.hexdigest()}",
            "size": packed.size}, f"sha256:{plain.hash.hexdigest()}"


def serve_huge():
    """An image with one layer of HUGE bytes, in the registry."""
    layout = fresh("huge")
    os.makedirs(f"{layout}/blobs/sha256")
    layer, diff_id = put_huge_layer(layout)
    config = put_blob(layout, "application/vnd.oci.image.config.v1+json",
                      json.dumps({"architecture": "amd64", "os": "linux", "config": {},
                                  "rootfs": {"type": "layers", "diff_ids": [diff_id]}}).encode())
    manifest = put_blob(layout, "application/vnd.oci.image.manifest.v1+json",
                        json.dumps({"schemaVersion": 2, "config": config, "layers": [layer]}).encode())
    manifest["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    for name, document in (("index.json", {"schemaVersion": 2, "manifests": [manifest]}),
                           ("oci-layout", {"imageLayoutVersion": "1.0.0"})):
        with open(f"{layout}/{name}", "w") as f:
            json.dump(document, f)
    serve(layout, "huge:1")
    fresh("huge")


def serve(layout, name):
    run_quietly("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{layout}:latest",
                f"docker://{REGISTRY}/{name}")


def extremes():
    """What memory could depend on. podman next to it; containerd's is in its daemon."""
    serve_huge()
    serve(f"{os.path.dirname(LAYOUT)}/deep", "deep:1")
    rows = []
    for what, name in (("one layer of 2.25 GiB", "huge:1"), ("128 layers", "deep:1")):
        rows += [
            Row(what, "ctr-worker pull", lambda: fresh("pull"),
                lambda do, name=name: do(WORKER, "pull", f"--root={BASE}/pull", f"{REGISTRY}/{name}")),
            Row(what, "podman pull", lambda: forget(*podman("rmi", "--all", "--force")),
                lambda do, name=name: do(*podman("pull", "--quiet", "--tls-verify=false", f"{REGISTRY}/{name}"))),
        ]
    return rows


def in_turns(rows, rounds):
    working = []
    for row in rows:
        try:
            row.warm_up()
            working.append(row)
        except (OSError, subprocess.CalledProcessError) as error:
            say("left out:", row.name, error, getattr(error, "stderr", ""))
    for _ in range(rounds):
        for row in working:
            row.once()
    return [row.result() for row in working]


def start_containerd():
    os.makedirs(CONTAINERD, exist_ok=True)
    with open("/run/bench-containerd.toml", "w") as f:
        f.write(f'version = 2\nroot = "{CONTAINERD}"\nstate = "/run/bench-containerd"\n'
                f'disabled_plugins = ["io.containerd.grpc.v1.cri"]\n[grpc]\naddress = "{SOCKET}"\n')
    forget("systemd-run", "--quiet", "--unit=bench-containerd", "containerd", "--config=/run/bench-containerd.toml")
    for _ in range(200):
        if os.path.exists(SOCKET):
            return
        time.sleep(0.05)


def measure_all(rounds):
    os.makedirs(BASE, exist_ok=True)
    if shutil.which("containerd"):
        start_containerd()
    serve(LAYOUT, "large:1")
    rows = in_turns(pulls(), rounds)
    say("pulls done")
    rows += in_turns(again(), max(rounds, 20))
    rows += in_turns(extracts(), rounds)
    say("extractions done")
    rows += in_turns(pushes(), rounds)
    rows += in_turns(extremes(), 1)
    forget("systemctl", "stop", "bench-containerd")
    return rows


def measure_images(rounds):
    """rounds of each; what is compared runs in turns."""
    rows = measure_all(rounds)
    return {"rows": rows, "layers": len(layer_files()), "size": sum(map(os.path.getsize, layer_files())),
            "largest": max(map(os.path.getsize, layer_files()))}
