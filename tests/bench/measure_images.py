# SPDX-License-Identifier: LGPL-2.1-or-later
"""Pulling, extracting and pushing a large image, next to what others need for the same.

Everything is on one file system, the registry on loopback, the page cache warm. A program that is compared with is left
out when its first run fails.
"""

import glob
import json
import os
import shutil
import subprocess
import time

from common import run_quietly, say

WORKER = "/usr/lib/ctr/ctr-worker"
BASE = "/var/lib/ctr/bench"
LAYOUT = "/run/testbed-images/large"
REGISTRY = "localhost:5000"
NAME = f"{REGISTRY}/large:1"
CONTAINERD = f"{BASE}/containerd"
SOCKET = "/run/bench-containerd/containerd.sock"


def timed(*command):
    """Milliseconds, and the greatest resident size of the process in MiB."""
    started = time.perf_counter()
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE)
    errors = child.stderr.read()
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    elapsed = (time.perf_counter() - started) * 1000
    if child.returncode != 0:
        raise subprocess.CalledProcessError(child.returncode, command, stderr=errors[-300:])
    return elapsed, usage.ru_maxrss / 1024


def podman(*arguments):
    return ["podman", f"--root={BASE}/podman", "--runroot=/run/bench-podman", "--storage-driver=overlay", *arguments]


def containerd(*arguments):
    return ["ctr", f"--address={SOCKET}", *arguments]


class Row:
    """One measurement: prepare() is not timed, run() returns what timed() does."""

    def __init__(self, what, name, prepare, run):
        self.what, self.name, self.prepare, self.run = what, name, prepare, run
        self.times, self.memory = [], []

    def once(self):
        self.prepare()
        elapsed, memory = self.run()
        self.times.append(elapsed)
        self.memory.append(memory)

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
        Row("pull and unpack", "ctrctl pull", delete_image, lambda: timed("ctrctl", "pull", "-q", NAME)),
        Row("pull and unpack", "ctr-worker pull", lambda: fresh("pull"),
            lambda: timed(WORKER, "pull", f"--root={BASE}/pull", NAME)),
        Row("pull and unpack", "podman pull", lambda: forget(*podman("rmi", "--all", "--force")),
            lambda: timed(*podman("pull", "--quiet", "--tls-verify=false", NAME))),
        Row("pull and unpack", "ctr images pull", lambda: forget(*containerd("images", "rm", "--sync", NAME)),
            lambda: timed(*containerd("images", "pull", "--plain-http", NAME))),
    ]


def again():
    return [
        Row("pull of what is there", "ctrctl pull", lambda: None, lambda: timed("ctrctl", "pull", "-q", NAME)),
        Row("pull of what is there", "podman pull", lambda: None,
            lambda: timed(*podman("pull", "--quiet", "--tls-verify=false", NAME))),
        Row("pull of what is there", "ctr images pull", lambda: None,
            lambda: timed(*containerd("images", "pull", "--plain-http", NAME))),
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


def extract_with_tar():
    root = fresh("tar")
    os.makedirs(root)
    script = 'for layer; do tar --xattrs --xattrs-include="*" --numeric-owner -xpzf "$layer" -C "$0" || exit; done'
    return timed("bash", "-c", script, root, *layer_files())


def forget_trees():
    shutil.rmtree(f"{BASE}/extract/snapshots", ignore_errors=True)


def extracts():
    reference = f"{REGISTRY}/large@{digest_of(LAYOUT)}"
    fill_store()
    return [
        Row("extraction", "ctr-worker", forget_trees,
            lambda: timed(WORKER, "pull", "--policy=missing", f"--root={BASE}/extract", reference)),
        Row("extraction", "umoci unpack", lambda: fresh("umoci"),
            lambda: timed("umoci", "unpack", "--image", f"{LAYOUT}:latest", f"{BASE}/umoci")),
        Row("extraction", "tar, one after the other", lambda: None, extract_with_tar),
    ]


def empty_registry():
    """What is pushed is not there yet, under any name."""
    shutil.rmtree(glob.glob("/tmp/bench.*/registry")[0] + "/docker", ignore_errors=True)


def pushes():
    return [
        Row("push", "ctr-worker push", empty_registry,
            lambda: timed(WORKER, "push", f"--root={BASE}/extract", f"--from-digest={digest_of(LAYOUT)}", NAME)),
        Row("push", "skopeo copy", empty_registry,
            lambda: timed("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{LAYOUT}:latest",
                          f"docker://{NAME}")),
    ]


def in_turns(rows, rounds):
    working = []
    for row in rows:
        try:
            row.prepare()
            row.run()
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


def measure_images(rounds):
    """rounds of each; what is compared runs in turns."""
    os.makedirs(BASE, exist_ok=True)
    if shutil.which("containerd"):
        start_containerd()
    run_quietly("skopeo", "copy", "--quiet", "--dest-tls-verify=false", f"oci:{LAYOUT}:latest", f"docker://{NAME}")
    rows = in_turns(pulls(), rounds)
    say("pulls done")
    rows += in_turns(again(), max(rounds, 20))
    rows += in_turns(extracts(), rounds)
    say("extractions done")
    rows += in_turns(pushes(), rounds)
    size = sum(os.path.getsize(path) for path in layer_files())
    forget("systemctl", "stop", "bench-containerd")
    delete_image()
    forget("rm", "-rf", "--one-file-system", BASE)
    return {"rows": rows, "layers": len(layer_files()), "size": size,
            "largest": max(os.path.getsize(path) for path in layer_files())}
