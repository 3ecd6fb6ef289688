# SPDX-License-Identifier: LGPL-2.1-or-later
"""The tables of the benchmark, as text for a terminal or as markdown."""

import statistics


def table(head, rows, markdown):
    """Rows of strings; the first column is aligned left, the others right."""
    widths = [max(len(row[i]) for row in [head] + rows) for i in range(len(head))]

    def line(row):
        cells = [cell.ljust(width) if i == 0 else cell.rjust(width) for i, (cell, width) in enumerate(zip(row, widths))]
        return "| " + " | ".join(cells) + " |" if markdown else "  ".join(cells).rstrip()

    if markdown:
        rule = "|" + "|".join("-" * (w + 2) if i == 0 else "-" * (w + 1) + ":" for i, w in enumerate(widths)) + "|"
    else:
        rule = "  ".join("-" * w for w in widths)
    return "\n".join([line(head), rule] + [line(row) for row in rows])


def number(value):
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"


def spread(values):
    """Median, least, greatest."""
    return [number(statistics.median(values)), number(min(values)), number(max(values))]


def render_run(run, markdown):
    base = next(p for p in run["programs"] if p["name"].startswith("systemd-run"))
    ours = next(p for p in run["programs"] if p["name"].startswith("ctrctl"))
    base, ours = statistics.median(base["times"]), statistics.median(ours["times"])
    rows = []
    for program in run["programs"]:
        median = statistics.median(program["times"])
        rows.append([program["name"], *spread(program["times"]), str(len(program["times"])), f"{median / base:.2f}",
                     f"{median / ours:.2f}", number(statistics.median(program["cpu"]))])
    text = table(["whole run of /bin/true", "median ms", "min", "max", "runs", "to systemd-run", "to ctrctl", "CPU ms"],
                 rows, markdown)
    if run["skipped"]:
        text += "\n\nLeft out, because it does not run there: " + ", ".join(run["skipped"]) + "."
    return text


def render_oci(run, markdown):
    medians = {program["name"]: statistics.median(program["times"]) for program in run["programs"]}
    cost = {row["name"]: row for row in run["cost"]}
    base = medians.get("crun run", medians.get("crun run, no cgroup"))
    rows = [[program["name"], *spread(program["times"]), str(len(program["times"])),
             f"{medians[program['name']] / base:.2f}" if base else "", number(statistics.median(program["cpu"])),
             str(cost[program["name"]]["memory"]), str(cost[program["name"]]["calls"] or "-")] for program in run["programs"]]
    text = table(["whole run of /bin/true", "median ms", "min", "max", "runs", "to crun", "CPU ms", "peak KiB",
                  "system calls"], rows, markdown)
    if run["skipped"]:
        text += "\n\nLeft out, because it does not run there: " + ", ".join(run["skipped"]) + "."
    return text


def render_calls(calls, markdown):
    names = [("create_container", "CreateContainer"), ("create_task", "CreateTask"), ("start", "Start")]
    milliseconds = {key: [usec / 1000 for usec in calls[key]] for key, _ in names}
    together = [sum(times) for times in zip(*milliseconds.values())]
    rows = [[label, *spread(milliseconds[key]), str(len(together))] for key, label in names]
    rows.append(["the three together", *spread(together), str(len(together))])
    delete = [usec / 1000 for usec in calls["delete"]]
    rows.append(["Delete, by force", *spread(delete), str(len(delete))])
    return table(["call over D-Bus", "median ms", "min", "max", "calls"], rows, markdown)


def render_scaling(scaling, markdown):
    rows = []
    for count in sorted({row["count"] for row in scaling}):
        cells = [str(count)]
        for at_once in (False, True):
            chosen = [row for row in scaling if row["count"] == count and (row["window"] > 1) == at_once]
            start = statistics.median(row["start"] for row in chosen)
            delete = statistics.median(row["delete"] for row in chosen)
            cells += [number(start), number(start / count), number(delete / count)]
        rows.append(cells)
    return table(["tasks", "one by one: ms", "start, each", "delete, each", "at once: ms", "start, each",
                  "delete, each"], rows, markdown)


def render_exec(result, markdown):
    ours = next(p for p in result["programs"] if p["name"].startswith("ctrctl"))
    ours = statistics.median(ours["times"])
    rows = [[p["name"], *spread(p["times"]), str(len(p["times"])), f"{statistics.median(p['times']) / ours:.2f}",
             number(statistics.median(p["cpu"]))] for p in result["programs"]]
    text = table(["/bin/true in a running container", "median ms", "min", "max", "runs", "to ctrctl", "CPU ms"], rows,
                 markdown)
    if result["skipped"]:
        text += "\n\nLeft out, because it does not run there: " + ", ".join(result["skipped"]) + "."
    rows = []
    calls = (("exec", "Exec"), ("start", "Start"), ("whole", "from Exec to Wait's answer"),
             ("latency", "from the exit to Wait's answer"), ("delete", "Delete"))
    for values, labels in ((result["calls"], calls), (result["pauses"], (("pause", "Pause"), ("resume", "Resume")))):
        for key, label in labels:
            milliseconds = [usec / 1000 for usec in values[key]]
            rows.append([label, *spread(milliseconds), str(len(milliseconds))])
    text += "\n\n" + table(["one connection over D-Bus", "median ms", "min", "max", "calls"], rows, markdown)
    return text + (f"\n\nCPU time of the manager: {result['cpu_each']:.2f} ms for an exec with its three events, "
                   f"{result['cpu_event']:.2f} ms for an event of pausing or resuming, everything included.")


def render_thousand(result, markdown):
    rows = []
    for row in result["rows"]:
        rows.append([str(row["count"]), number(row["start"] / row["more"]), number(row["manager"]["pss"] / 1024),
                     number(row["manager"]["pss"] / row["count"]), number(statistics.median(row["supervisors"])),
                     *(f"{number(statistics.median(row[m]))} ({number(row['cpu'][m])})"
                       for m in ("ListTasks", "ListContainers", "Metrics"))])
    text = table(["tasks", "start of one more, ms", "manager PSS, MiB", "for each task, KiB", "supervisor PSS, KiB",
                  "ListTasks, ms (CPU)", "ListContainers, ms (CPU)", "Metrics, ms (CPU)"], rows, markdown)
    rows = [[label, *spread([usec / 1000 for usec in result["ends"][key]]), str(len(result["ends"][key]))]
            for key, label in (("kill", "Kill"), ("whole", "from Kill to Wait's answer"),
                               ("latency", "from the exit to Wait's answer"))]
    head = [f"with {result['rows'][-1]['count']} tasks", "median ms", "min", "max", "tasks"]
    return f"{text}\n\n{table(head, rows, markdown)}\n\nDelete by force: {number(result['delete'])} ms each."


def render_images(result, markdown):
    ours = {}
    for row in result["rows"]:
        ours.setdefault(row["what"], statistics.median(row["times"]))
    rows = []
    for row in result["rows"]:
        median = statistics.median(row["times"])
        rows.append([f"{row['what']}: {row['name']}", *spread(row["times"]), str(len(row["times"])),
                     f"{median / ours[row['what']]:.2f}", number(max(row["memory"]))])
    mebibytes = [number(result[key] / (1 << 20)) for key in ("size", "largest")]
    return (table([f"{result['layers']} layers, {mebibytes[0]} MiB, the largest {mebibytes[1]}", "median ms", "min",
                   "max", "runs", "to ours", "peak MiB"], rows, markdown)
            + "\n\nThe peak is that of the process named; that of ctrctl pull and ctr images pull is of the client alone.")


def render_memory(memory, markdown):
    rows = []
    for row in memory:
        pss = [process["pss"] for process in row["processes"]]
        private = [process["private"] for process in row["processes"]]
        rows.append([row["name"], str(row["tasks"]), str(len(pss)), number(statistics.median(pss)), str(max(pss)),
                     number(statistics.median(private)), str(max(private))])
    return table(["memory, KiB", "tasks", "processes", "PSS median", "max", "private median", "max"], rows, markdown)


def goals(result):
    """The numbers that were promised, as (goal, limit, measured, whether reached)."""
    found = []
    if "run" in result:
        times = {p["name"]: statistics.median(p["times"]) for p in result["run"]["programs"]}
        ours = times["ctrctl run --rm"]
        ratio = ours / times["systemd-run --scope"]
        found.append(("whole run, times systemd-run --scope", "at most 1.5", f"{ratio:.2f}", ratio <= 1.5))
        for peer in ("podman run --rm", "ctr run --rm"):
            if peer in times:
                ratio = times[peer] / ours
                found.append((f"times faster than {peer}", "at least 5", f"{ratio:.1f}", ratio >= 5))
    for row in result.get("memory", []):
        pss = max(process["pss"] for process in row["processes"])
        if row["name"] == "ctr-supervisor":
            found.append(("PSS of the largest supervisor, KiB", "at most 300", str(pss), pss <= 300))
        elif row["name"] == "ctr-manager":
            found.append((f"PSS of the manager with {row['tasks']} tasks, MiB", "at most 12", f"{pss / 1024:.1f}",
                          pss <= 12 * 1024))
    for at_once, label in ((False, "one by one"), (True, "at once")):
        each = {count: statistics.median(row["start"] / count for row in result["scaling"]
                                         if row["count"] == count and (row["window"] > 1) == at_once)
                for count in (25, 100)} if "scaling" in result else None
        if each:
            ratio = each[100] / each[25]
            found.append((f"time per task, 100 {label} to 25", "linear: 1", f"{ratio:.2f}", ratio <= 1.15))
    return found + goals_exec(result.get("exec")) + goals_thousand(result.get("thousand")) \
        + goals_images(result.get("images")) + goals_gc(result.get("gc"))


def goals_exec(result):
    if not result:
        return []
    times = {p["name"]: statistics.median(p["times"]) for p in result["programs"]}
    found = []
    for name in sorted(times):
        if name.startswith(("crun", "podman")):
            ratio = times[name] / times["ctrctl exec"]
            found.append((f"times faster than {name}", "more than 1", f"{ratio:.2f}", ratio > 1))
    return found


def render_gc(result, markdown):
    rows = []
    for row in result["rows"]:
        runs = row["runs"]
        rows.append([f"{row['garbage']} blobs of garbage", *spread([run["elapsed"] for run in runs]),
                     number(statistics.median(run["Turns"] for run in runs)),
                     number(max(run["LongestTurnUSec"] for run in runs) / 1000),
                     number(max(run["wait"] for run in runs)), number(statistics.median(run["wait_median"] for run in runs))])
    text = table([f"{result['snapshots']} snapshots, {result['blobs']} blobs", "CollectGarbage, median ms", "min", "max",
                  "turns", "longest turn, ms", "longest other call, ms", "median other call, ms"], rows, markdown)
    lists = table([f"{result['images']} images", "median ms", "min", "max"], [["ListImages", *spread(result["ListImages"])]],
                  markdown)
    return text + f"\n\nDiskUsage: {number(result['rows'][0]['usage'])} ms.\n\n" + lists


def goals_gc(result):
    if not result:
        return []
    listing = statistics.median(result["ListImages"])
    found = [(f"ListImages with {result['images']} images, ms", "at most 10", number(listing), listing <= 10)]
    for row in result["rows"]:
        elapsed = statistics.median(run["elapsed"] for run in row["runs"])
        found.append((f"collection with {result['snapshots']} snapshots, {result['blobs']} blobs, {row['garbage']} of "
                      "them garbage, ms", "below 1000", number(elapsed), elapsed < 1000))
    return found


def goals_images(result):
    if not result:
        return []
    times = {(row["what"], row["name"]): statistics.median(row["times"]) for row in result["rows"]}
    memory = {(row["what"], row["name"]): max(row["memory"]) for row in result["rows"]}
    found = []
    peers = [times[key] for key in (("pull and unpack", "podman pull"), ("pull and unpack", "ctr images pull")) if key in times]
    if peers:
        ratio = times["pull and unpack", "ctrctl pull"] / min(peers)
        found.append(("pull and unpack, part of the faster peer's time", "at most 0.33", f"{ratio:.2f}", ratio <= 1 / 3))
    again = times["pull of what is there", "ctrctl pull"]
    found.append(("pull of what is there, ms", "at most 20", number(again), again <= 20))
    for (what, name), peak in memory.items():
        if name == "ctr-worker pull":
            found.append((f"memory of the worker, {what}, MiB", "at most 64", number(peak), peak <= 64))
    for what, ours, peers in (("extraction", "ctr-worker", ("umoci unpack", "tar, one after the other")),
                              ("push", "ctr-worker push", ("skopeo copy",))):
        for peer in peers:
            if (what, peer) in times:
                ratio = times[what, peer] / times[what, ours]
                found.append((f"{what}, times faster than {peer}", "more than 1", f"{ratio:.2f}", ratio > 1))
    return found


def goals_thousand(result):
    if not result:
        return []
    first, last = result["rows"][0], result["rows"][-1]
    listing = statistics.median(last["ListTasks"])
    found = [(f"ListTasks with {last['count']} tasks, ms", "at most 10", number(listing), listing <= 10)]
    metrics = statistics.median(last["Metrics"]) / last["count"]
    found.append(("Metrics for each task, ms", "below 1", f"{metrics:.2f}", metrics < 1))
    ratio = (last["start"] / last["more"]) / (first["start"] / first["more"])
    found.append((f"time per task, {first['count']} to {last['count']}", "linear: 1", f"{ratio:.2f}", ratio <= 1.25))
    return found


def render_goals(result, markdown):
    rows = [[goal, limit, measured, "yes" if reached else "no"] for goal, limit, measured, reached in goals(result)]
    return table(["goal", "limit", "measured", "reached"], rows, markdown) if rows else ""


def describe(result):
    host, machine = result["host"], result["machine"]
    where = "In the virtual machine (QEMU without KVM: everything is slow by the same order)" if result["where"] == "vm" \
        else "Natively, in the test bed"
    return (f"{where}: {machine['cpus']} CPUs of {host['cpu']}, host kernel {host['kernel']} with {host['cpus']} CPUs "
            f"and {host['memory']} GiB, kernel {machine['kernel']}, state on {machine['file_system']}, load "
            f"{host['load']:.1f} before and {result['load']:.1f} after. " + "; ".join(machine["versions"]) + ".")


def render(result, markdown=False):
    parts = [describe(result), render_goals(result, markdown)]
    for name, renderer in (("run", render_run), ("calls", render_calls), ("scaling", render_scaling),
                           ("memory", render_memory), ("exec", render_exec), ("thousand", render_thousand),
                           ("images", render_images), ("oci", render_oci), ("gc", render_gc)):
        if name in result:
            parts.append(renderer(result[name], markdown))
    return "\n\n".join(part for part in parts if part) + "\n"
