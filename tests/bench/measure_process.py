# SPDX-License-Identifier: LGPL-2.1-or-later
"""The measurements of tasks that run: execs beside those of the peers, exits, pauses, and a thousand tasks at once."""

import json
import os
import subprocess

from common import PROCESS, WINDOW, Program, client, memory_row, run_quietly, run_rounds, say, settle

THOUSAND = {"native": (25, 100, 250, 500, 1000), "vm": (25, 50, 100)}
LISTINGS = 20  # calls of each
ENDS = 100  # tasks whose end is timed
HOST = "bench-host"  # the container that execs run in
CRUN_FORMS = ([], ["--systemd-cgroup"], ["--cgroup-manager=disabled"])


def process(*arguments):
    return client(*map(str, arguments), program=PROCESS)


def cpu_ticks():
    """CPU time of the manager, in milliseconds."""
    pid = subprocess.run(["systemctl", "show", "--property=MainPID", "--value", "ctr.service"], check=True,
                         stdout=subprocess.PIPE, text=True).stdout.strip()
    with open(f"/proc/{pid}/stat") as f:
        fields = f.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) * 1000 / os.sysconf("SC_CLK_TCK")


def crun_host(bundle):
    """Start a container of crun's that stays, in the first form that works here. Its options, or None."""
    with open(os.path.join(bundle, "config.json")) as f:
        spec = json.load(f)
    spec["process"]["args"] = ["sleep", "1000000"]
    with open(os.path.join(bundle, "config.json"), "w") as f:
        json.dump(spec, f)
    for form in CRUN_FORMS:
        done = subprocess.run(["crun", *form, "run", "--detach", "--bundle", bundle, HOST], check=False,
                              stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        if done.returncode == 0:
            return form
        subprocess.run(["crun", *form, "delete", "--force", HOST], check=False, stderr=subprocess.DEVNULL)
    return None


def peer_hosts(image, where):
    """The same of podman's and containerd's: the programs that exec in them. In namespaces podman has no cgroups."""
    cgroups = [] if where == "vm" else ["--cgroups=disabled"]
    programs = []
    try:
        run_quietly("podman", "run", "--detach", "--network=none", *cgroups, f"--name={HOST}", image, "sleep",
                    "1000000")
        programs.append(Program("podman exec", lambda name: ["podman", "exec", HOST, "/bin/true"], 2))
    except (OSError, subprocess.CalledProcessError) as error:
        say("left out:", error)
    if where == "vm":
        run_quietly("ctr", "run", "--detach", image, HOST, "sleep", "1000000")
        programs.append(Program("ctr task exec", lambda name: [
            "ctr", "task", "exec", "--exec-id", f"e{name}", HOST, "/bin/true"], 2))
    return programs


def measure_exec(image, bundle, where, runs):
    """/bin/true in a container that runs: programs in turns, then the single calls over D-Bus."""
    run_quietly("ctrctl", "run", "--detach", f"--name={HOST}", image, "sleep", "1000000")
    programs = [Program("/bin/true", lambda name: ["/bin/true"]),
                Program("ctrctl exec", lambda name: ["ctrctl", "exec", HOST, "/bin/true"]),
                Program("bench-process: exec over D-Bus, one connection", lambda name: [
                    PROCESS, "exec", "1", HOST, "/bin/true"])]
    form = crun_host(bundle)
    programs.append(Program(" ".join(["crun", *(form or []), "exec"]), lambda name: [
        "crun", *(form or []), "exec", HOST, "/bin/true"]))
    programs += peer_hosts(image, where)
    result = run_rounds(programs, runs)
    before = cpu_ticks()
    result["calls"] = process("exec", runs * 5, HOST, "/bin/true")
    result["cpu_each"] = (cpu_ticks() - before) / (runs * 5)
    before = cpu_ticks()
    result["pauses"] = process("pause", runs * 5, HOST)
    result["cpu_event"] = (cpu_ticks() - before) / (runs * 10)
    run_quietly("ctrctl", "rm", "--force", HOST)
    if form is not None:
        run_quietly("crun", *form, "delete", "--force", HOST)
    if any(program.name == "podman exec" for program in programs):
        run_quietly("podman", "rm", "--force", "--time=0", HOST)
    if where == "vm":
        run_quietly("ctr", "task", "kill", "--signal", "KILL", HOST)
    return result


def measure_thousand(image, where):
    """More and more tasks at once: what starting one more costs, what the manager takes, and how long listings last."""
    rows, running = [], 0
    for count in THOUSAND[where]:
        more = count - running
        started = client(f"--count={more}", f"--window={min(more, WINDOW)}", f"--prefix=k{count}-", "--keep", image,
                         "sleep", "1000000")
        running = count
        row = {"count": count, "more": more, "start": started["usec"] / 1000}
        row["cpu"] = {}
        for method in ("ListTasks", "ListContainers", "Metrics"):
            before = cpu_ticks()
            row[method] = [usec / 1000 for usec in process("call", LISTINGS, method)["call"]]
            row["cpu"][method] = (cpu_ticks() - before) / LISTINGS
        row["manager"] = memory_row("ctr-manager", count)["processes"][0]
        row["supervisors"] = [p["pss"] for p in memory_row("ctr-supervisor", count)["processes"]]
        rows.append(row)
    last = THOUSAND[where][-1]
    ends = process("end", min(ENDS, last - THOUSAND[where][-2]), f"k{last}-")
    deleted = below = 0
    for count in THOUSAND[where]:
        deleted += client(f"--count={count - below}", f"--window={WINDOW}", f"--prefix=k{count}-", "--delete", image,
                          "sleep")["delete_usec"] / 1000
        below = count
    settle()
    return {"rows": rows, "ends": ends, "delete": deleted / last}
