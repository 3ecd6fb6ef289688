# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measurements, inside the test bed. Prints one line of JSON with what report.py wants.

Usage: measure.py IMAGE BUNDLE native|vm RUNS PARTS

Each part returns plain numbers (milliseconds, KiB); medians and ratios are report.py's. A program that is compared with
is left out, with the reason, when one run of it fails before the measurement.
"""

import glob
import json
import os
import platform
import shutil
import subprocess
import sys
import time

CLIENT = "/usr/lib/ctr-testbed/bench-client"
SCALING = (25, 50, 100, 200)
TASKS = 100
PEER_TASKS = 10  # of podman and containerd: they take seconds each in the virtual machine
WINDOW = 100  # what "at once" means; the bus allows a connection 128 calls without an answer
ROUND_RUNS = 3  # of every program in a round; CPU time is taken over that many


def say(*text):
    print("bench:", *text, file=sys.stderr, flush=True)


def cpu_usec():
    """CPU time of all processes of the test bed, the dead ones included."""
    with open("/sys/fs/cgroup/cpu.stat") as f:
        return int(f.readline().split()[1])


def spawn(command):
    """Milliseconds from before the start to after the end."""
    actions = [(os.POSIX_SPAWN_OPEN, fd, "/dev/null", os.O_RDWR, 0) for fd in (0, 1, 2)]
    started = time.perf_counter()
    pid = os.posix_spawn(command[0], command, os.environ, file_actions=actions)
    status = os.waitpid(pid, 0)[1]
    elapsed = (time.perf_counter() - started) * 1000
    if status != 0:
        raise subprocess.CalledProcessError(os.waitstatus_to_exitcode(status), command)
    return elapsed


class Program:
    """One of those that run in turns. make() returns a command, with a fresh name each time."""

    def __init__(self, name, make, every=1):
        self.name, self.make, self.every = name, make, every
        self.times, self.cpu = [], []
        self.count = 0

    def run_once(self):
        self.count += 1
        command = self.make(f"{os.getpid()}-{self.count}")
        return spawn([shutil.which(command[0]) or command[0]] + command[1:])

    def run_round(self):
        before = cpu_usec()
        for _ in range(ROUND_RUNS if self.every == 1 else 1):
            self.times.append(self.run_once())
        settle()
        self.cpu.append((cpu_usec() - before) / 1000 / (ROUND_RUNS if self.every == 1 else 1))

    def result(self):
        return {"name": self.name, "times": self.times, "cpu": self.cpu}


def settle():
    """Wait until what goes on after the answer (units that are unloaded, trees that are removed) has ended."""
    last = cpu_usec()
    for _ in range(100):
        time.sleep(0.03)
        now = cpu_usec()
        if now - last < 1000:
            return
        last = now


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
    programs, skipped = [], []
    for program in make_programs(image, bundle, where):
        try:
            program.run_once()
            programs.append(program)
        except (OSError, subprocess.CalledProcessError) as error:
            say("left out:", error)
            skipped.append(program.name)
    for number in range((runs + ROUND_RUNS - 1) // ROUND_RUNS):
        for program in programs:
            if number % program.every == 0:
                program.run_round()
    return {"programs": [program.result() for program in programs], "skipped": skipped}


def client(*arguments):
    output = subprocess.run([CLIENT, *arguments], check=True, stdout=subprocess.PIPE).stdout
    settle()
    return json.loads(output)


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


def memory_of(pid):
    values = {}
    with open(f"/proc/{pid}/smaps_rollup") as f:
        for line in f:
            if line.endswith("kB\n"):
                name, value = line.split(":")
                values[name] = int(value.split()[0])
    return {"pss": values["Pss"], "private": values["Private_Clean"] + values["Private_Dirty"]}


def memory_by_name(name):
    """Memory of all processes whose command has this name (the kernel keeps 15 characters)."""
    found = []
    for path in glob.glob("/proc/[0-9]*/comm"):
        try:
            with open(path) as f:
                if f.read().strip() == name[:15]:
                    found.append(memory_of(int(path.split("/")[2])))
        except (FileNotFoundError, ProcessLookupError):
            pass
    return found


def run_quietly(*command):
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                   stderr=subprocess.DEVNULL)


def memory_row(name, tasks):
    found = memory_by_name(name)
    if not found:
        raise RuntimeError(f"no process {name}")
    return {"name": name, "tasks": tasks, "processes": found}


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
    if "run" in parts:
        prepare_bundle(image, bundle)
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
    result["load"] = os.getloadavg()[0]
    print(json.dumps(result))


main()
