# SPDX-License-Identifier: LGPL-2.1-or-later
"""The OCI runtimes side by side: whole runs of /bin/true from the same bundle, and the memory that one takes."""

import json
import os
import shutil
import subprocess
import time

from common import Program, run_rounds

SYSTEM_CALLS = ["strace", "-f", "-qq", "-o"]


def write_bundle(image_bundle, name, *arguments):
    """The document that `spec` writes, without a terminal: all runtimes take it."""
    bundle = os.path.join(os.path.dirname(image_bundle), name)
    os.makedirs(bundle, exist_ok=True)
    subprocess.run(["ctr-runtime", "spec", "--bundle", bundle], check=True)
    path = os.path.join(bundle, "config.json")
    with open(path) as f:
        document = json.load(f)
    document["ociVersion"] = "1.0.2"
    document["process"]["terminal"] = False
    document["process"]["args"] = list(arguments)
    document["root"]["path"] = os.path.join(image_bundle, "rootfs")
    with open(path, "w") as f:
        json.dump(document, f)
    return bundle


def run(bundle, *command):
    return lambda name: [*command, "run", "--bundle", bundle, f"oci-{command[0]}-{name}"]


def programs(bundle):
    return [
        Program("ctr-runtime run", run(bundle, "ctr-runtime")),
        Program("ctr-runtime run, scope", run(bundle, "ctr-runtime", "--systemd-cgroup")),
        Program("crun run", run(bundle, "crun", "--cgroup-manager=cgroupfs")),
        Program("crun run, no cgroup", run(bundle, "crun", "--cgroup-manager=disabled")),
        Program("crun run, scope", run(bundle, "crun", "--systemd-cgroup")),
        Program("runc run", run(bundle, "runc")),
    ]


def memory_value(pid, file, name):
    with open(f"/proc/{pid}/{file}") as f:
        return next(int(line.split()[1]) for line in f if line.startswith(name))


def peak_memory(command):
    """KiB that the runtime has had at most, when its container runs and it stays with it.

    The kernel's peak alone would be too little: until 6.2 it lacks what the last 63 page faults have mapped, which is
    half of a process as small as these. The sum over its pages lacks nothing.
    """
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    runtime, name = command[0], command[-1]
    for _ in range(600):
        state = subprocess.run([runtime, "state", name], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        if state.returncode == 0 and json.loads(state.stdout)["status"] == "running":
            break
        time.sleep(0.05)
    peak = max(memory_value(process.pid, "status", "VmHWM:"), memory_value(process.pid, "smaps_rollup", "Rss:"))
    subprocess.run([runtime, "kill", name, "KILL"], check=True)
    process.wait()
    return peak


def count_calls(command):
    """System calls of all processes of the run, those of the program that is run (two dozen) included."""
    if not shutil.which(SYSTEM_CALLS[0]):
        return None
    subprocess.run([*SYSTEM_CALLS, "/tmp/oci-calls", *command], check=True, stdin=subprocess.DEVNULL)
    with open("/tmp/oci-calls") as f:
        return sum(1 for line in f if "(" in line and "resumed>" not in line)


def measure_oci(image_bundle, runs):
    bundle = write_bundle(image_bundle, "oci", "/bin/true")
    sleeping = {p.name: p for p in programs(write_bundle(image_bundle, "oci-sleep", "/bin/sleep", "1000000"))}
    result = run_rounds(programs(bundle), runs)
    working = {program["name"] for program in result["programs"]}
    result["cost"] = [{"name": program.name, "memory": peak_memory(sleeping[program.name].make("memory")),
                       "calls": count_calls(program.make("calls"))}
                      for program in programs(bundle) if program.name in working]
    return result
