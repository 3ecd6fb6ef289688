# SPDX-License-Identifier: LGPL-2.1-or-later
"""What the measurements inside the test bed share: running programs in turns, and reading what they cost."""

import glob
import json
import os
import shutil
import subprocess
import sys
import time

CLIENT = "/usr/lib/ctr-testbed/bench-client"
PROCESS = "/usr/lib/ctr-testbed/bench-process"
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


def run_rounds(programs, runs):
    """All of them in turns, those that work at all: results, and the names of the others."""
    working, skipped = [], []
    for program in programs:
        try:
            program.run_once()
            working.append(program)
        except (OSError, subprocess.CalledProcessError) as error:
            say("left out:", error)
            skipped.append(program.name)
    for number in range((runs + ROUND_RUNS - 1) // ROUND_RUNS):
        for program in working:
            if number % program.every == 0:
                program.run_round()
    return {"programs": [program.result() for program in working], "skipped": skipped}


def client(*arguments, program=CLIENT):
    output = subprocess.run([program, *arguments], check=True, stdout=subprocess.PIPE).stdout
    settle()
    return json.loads(output)


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
