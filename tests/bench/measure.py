# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measurements, inside the test bed. Prints one line of JSON with what report.py wants.

Usage: measure.py IMAGE BUNDLE native|vm RUNS PARTS

Each part returns plain numbers (milliseconds, KiB); medians and ratios are report.py's. A program that is compared with
is left out, with the reason, when one run of it fails before the measurement.
"""

import json
import os
import platform
import subprocess
import sys

import measure_gc
import measure_images
import measure_oci
import measure_process
from common import WINDOW, Program, client, memory_row, run_quietly, run_rounds, say

SCALING = (25, 50, 100, 200)
TASKS = 100
PEER_TASKS = 10  # of podman and containerd: they take seconds each in the virtual machine


def crun(bundle, *options):
    return lambda name: ["crun", *options, "run", "--bundle", bundle, f"crun-{name}"]


def make_programs(image, bundle, where):
    programs = [
        Program("/bin/true", lambda name: ["/bin/true"]),
        Program("systemd-run --scope", lambda name: ["systemd-run", "--scope", "--quiet", "/bin/true"]),
        Program("ctrctl run --rm", lambda name: ["ctrctl", "run", "--rm", image, "/bin/true"]),
        Program("crun run, no cgroup", crun(bundle, "--cgroup-manager=disabled")),
        Program("crun run, scope", crun(bundle, "--systemd-cgroup"), 4),
    ]
    if where == "vm":
        programs += [
            Program("podman run --rm", lambda name: ["podman", "run", "--rm", "--network=none", image, "/bin/true"], 2),
            Program("ctr run --rm", lambda name: ["ctr", "run", "--rm", image, f"ctr-{name}", "/bin/true"], 2),
        ]
    return programs


def measure_run(image, bundle, where, runs):
    """Whole runs of /bin/true, all programs in turns."""
    return run_rounds(make_programs(image, bundle, where), runs)


def measure_calls(image, runs):
    """The single calls over D-Bus, one task after another on one connection."""
    return client(f"--count={runs}", image, "/bin/true")


def measure_scaling(image, rounds):
    """Many tasks, one after another and all at once."""
    rows = []
    for _ in range(rounds):
        for count in SCALING:
            for window in (1, min(count, WINDOW)):
                result = client(f"--count={count}", f"--window={window}", image, "sleep", "1000")
                rows.append({"count": count, "window": window, "start": result["usec"] / 1000,
                             "delete": result["delete_usec"] / 1000})
    return rows


def measure_memory(image, where):
    client(f"--count={TASKS}", f"--window={WINDOW}", "--prefix=memory", "--keep", image, "sleep", "1000000")
    rows = [memory_row("ctr-manager", TASKS), memory_row("ctr-supervisor", TASKS)]
    for number in range(TASKS):
        run_quietly("ctrctl", "rm", "--force", f"memory{number}")
    if where != "vm":
        return rows
    for number in range(PEER_TASKS):
        run_quietly("podman", "run", "--detach", "--network=none", f"--name=memory{number}", image, "sleep", "1000000")
        run_quietly("ctr", "run", "--detach", image, f"memory{number}", "sleep", "1000000")
    return rows + [memory_row(name, PEER_TASKS) for name in ("conmon", "containerd-shim-runc-v2", "containerd")]


def prepare_bundle(image, bundle):
    """The bundle's document is the very one that our container has."""
    run_quietly("ctrctl", "create", "--name=document", image, "/bin/true")
    output = subprocess.run(["busctl", "--json=short", "call", "org.example.Ctr",
                             "/org/example/Ctr/container/default/document", "org.example.Ctr.Container", "GetSpec",
                             "a{sv}", "0"], check=True, stdout=subprocess.PIPE).stdout
    spec = json.loads(json.loads(output)["data"][0])
    spec["root"]["path"] = "rootfs"
    with open(os.path.join(bundle, "config.json"), "w") as f:
        json.dump(spec, f)
    run_quietly("ctrctl", "rm", "document")


def version(command):
    try:
        output = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, check=True).stdout
        return output.decode().splitlines()[0]
    except (OSError, subprocess.CalledProcessError):
        return None


def describe():
    with open("/proc/mounts") as f:
        mounts = {fields[1]: fields[2] for fields in (line.split() for line in f)}
    path = "/var/lib/ctr"
    while path not in mounts:
        path = os.path.dirname(path)
    commands = (["systemctl", "--version"], ["crun", "--version"], ["podman", "--version"], ["containerd", "--version"])
    return {"kernel": platform.release(), "cpus": os.cpu_count(), "file_system": mounts[path],
            "versions": [v for v in map(version, commands) if v]}


def main():
    image, bundle, where, runs, parts = sys.argv[1:]
    runs, parts = int(runs), parts.split(",")
    result = {"where": where, "machine": describe()}
    client("--count=3", image, "/bin/true")  # caches
    if {"run", "exec"} & set(parts):
        prepare_bundle(image, bundle)
    if "run" in parts:
        result["run"] = measure_run(image, bundle, where, runs)
        say("whole runs done")
    if "calls" in parts:
        result["calls"] = measure_calls(image, runs)
        say("calls done")
    if "scaling" in parts:
        result["scaling"] = measure_scaling(image, 1 if where == "vm" else 3)
        say("scaling done")
    if "memory" in parts:
        result["memory"] = measure_memory(image, where)
    if "exec" in parts:
        result["exec"] = measure_process.measure_exec(image, bundle, where, runs)
        say("execs done")
    if "thousand" in parts:
        result["thousand"] = measure_process.measure_thousand(image, where)
        say("a thousand tasks done")
    if "images" in parts:
        result["images"] = measure_images.measure_images(3)
        say("images done")
    if "gc" in parts:
        result["gc"] = measure_gc.measure_gc()
        say("garbage collections done")
    if "oci" in parts:
        result["oci"] = measure_oci.measure_oci(bundle, runs)
        say("OCI runtimes done")
    result["load"] = os.getloadavg()[0]
    print(json.dumps(result))


main()
